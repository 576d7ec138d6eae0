"""A recorded episode as a few bytes: a list of arrays that JSON can hold, and one compressed stream; pure.

Every array has one of three codings, all along its last axis, which is time wherever there is time:

- ``bits``: one bit each, the highest of a byte first; every row begins with a new byte
- ``levels``: bytes, each as the difference from the one before, modulo 256
- ``numbers``: whole multiples of a unit, each as the difference from the one before, d >= 0 as 2 d and d < 0 as
  -2 d - 1, in 32 bits: first the lowest bytes of all, then the next higher ones

The stream is zlib's. What changes little is mostly zeros then, and goes away.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.render import DECADES, least_shown
from envs.types import DEPOSIT, LEFT, MOVE, RIGHT, TURN, WALL
from experiments.recorded_episode import RecordedEpisode

PATCH_UNIT, DEGREE_UNIT, FITNESS_UNIT = 1 / 64, 1 / 64, 0.01
TOP_LEVEL = 255  # of the pheromone, at `10**DECADES` times the least that is shown
_LARGEST = 2**30  # of the numbers: their differences fit into 32 bits
_RECORDED = ("hidden", "output")  # what the sensors fire follows from what they sense

Array = NDArray[Any]


class Packed(NamedTuple):
    """An episode for a page."""

    arrays: list[dict[str, Any]]  # name, coding, shape, and unit of those that are numbers; in the order of the stream
    stream: bytes  # zlib


def pack_episode(episode: RecordedEpisode) -> Packed:
    """Compress what a page shows of an episode; grids are cut to the arena.

    Returns
    -------
    Packed, with the arrays
        x, y : (n_ants, n_ticks + 1) patches, to 1/64; heading : the same, degrees, to 1/64
        is_carrying : (n_ants, n_ticks + 1) bits
        obs : (n_ants, 11, n_ticks) bits; actions : (n_ants, 4, n_ticks) bits: left, right, move, deposit
        spikes : (n_ants, n_hidden + n_outputs, n_steps) bits; step s of `SpikeTrains` is bit s - 1
        returned : (n_ticks + 1,) food units in the nest; fitness : (n_ticks + 1,), to 1/100
        food : (rows, columns) units at the start; food_tick, food_patch, food_units : (n_changes,), see `FoodChanges`
        walls, nest : (rows, columns) bits
        pheromone_tick : (n_fields,); pheromone : (rows * columns, n_fields) levels, see `pheromone_levels`
    """
    x_min, x_max, y_min, y_max = episode.config.env.arena
    arena = np.s_[..., y_min : y_max + 1, x_min : x_max + 1]
    n_columns = x_max - x_min + 1
    change_row, change_column = np.divmod(episode.food_changes.patch, episode.first_food.shape[1])
    levels = pheromone_levels(episode.pheromone[arena], episode.config.env.deposit)
    numbers: dict[str, tuple[Array, float]] = {
        "x": (episode.x.T, PATCH_UNIT),
        "y": (episode.y.T, PATCH_UNIT),
        "heading": (episode.heading.T, DEGREE_UNIT),
        "returned": (episode.returned, 1),
        "fitness": (episode.fitness, FITNESS_UNIT),
        "food": (episode.first_food[arena], 1),
        "food_tick": (episode.food_changes.tick, 1),
        "food_patch": ((change_row - y_min) * n_columns + change_column - x_min, 1),
        "food_units": (episode.food_changes.units, 1),
        "pheromone_tick": (episode.pheromone_ticks, 1),
    }
    bits: dict[str, Array] = {
        "is_carrying": episode.is_carrying.T,
        "obs": episode.obs.transpose(1, 2, 0) != 0,
        "actions": _action_bits(episode.actions),
        "spikes": _spike_bits(episode),
        "walls": episode.objects[arena] == WALL,
        "nest": _is_nest(episode)[arena],
    }
    packed = [_pack_numbers(name, *content) for name, content in numbers.items()]
    packed += [_entry(name, "bits", rows.shape, np.packbits(rows, axis=-1)) for name, rows in bits.items()]
    by_patch = np.ascontiguousarray(levels.reshape(len(levels), -1).T)
    packed.append(_entry("pheromone", "levels", by_patch.shape, np.diff(by_patch, axis=-1, prepend=np.uint8(0))))
    return Packed([entry for entry, _ in packed], zlib.compress(b"".join(content for _, content in packed), 9))


def unpack_episode(arrays: Sequence[Mapping[str, Any]], stream: bytes) -> dict[str, Array]:
    """The arrays of `pack_episode` by name: float64 if they have a unit below 1, int64, uint8 levels, or bool.

    Raises
    ------
    ValueError : the stream is damaged, or does not hold these arrays.
    """
    try:
        content = np.frombuffer(zlib.decompress(stream), dtype=np.uint8)
    except zlib.error as error:
        raise ValueError(f"the recording is damaged: {error}.") from None
    unpacked, start = {}, 0
    for entry in arrays:
        *rows, last = entry["shape"]
        width = {"bits": -(-last // 8), "levels": last, "numbers": 4 * last}[entry["coding"]]
        end = start + math.prod(rows) * width
        if end > len(content):
            raise ValueError(f"the recording ends before {entry['name']}.")
        unpacked[entry["name"]] = _unpack(entry, content[start:end])
        start = end
    if start != len(content):
        raise ValueError(f"the recording goes on for {len(content) - start} bytes after its last array.")
    return unpacked


def pheromone_levels(field: Array, deposit: float) -> NDArray[np.uint8]:
    """Contents on a logarithmic scale: 0 below the least shown, 1 there, 255 at `10**DECADES` times as much or above.

    Parameters
    ----------
    field : any shape; deposit : that of the world, which sets the scale, see `envs.render.least_shown`
    """
    least = least_shown(deposit)
    share = np.log10(np.maximum(field, least) / least) / DECADES
    levels = np.minimum(np.rint(1 + (TOP_LEVEL - 1) * share), TOP_LEVEL)
    return np.where(field >= least, levels, 0).astype(np.uint8)


def _is_nest(episode: RecordedEpisode) -> Array:
    """Free ground near the centre of the nest, as `envs.generators` makes it."""
    rows, columns = np.indices(episode.objects.shape)
    distance = np.hypot(columns - episode.nest[0], rows - episode.nest[1])
    return (episode.objects == 0) & (distance < episode.config.env.nest_radius)


def _action_bits(actions: Array) -> Array:
    """(n_ants, 4, n_ticks) bool: left, right, move, deposit; from (n_ticks, n_ants, 3)."""
    turn = actions[..., TURN]
    bits = np.stack([turn == LEFT, turn == RIGHT, actions[..., MOVE] != 0, actions[..., DEPOSIT] != 0])
    return bits.transpose(2, 0, 1)


def _spike_bits(episode: RecordedEpisode) -> Array:
    """(n_ants, n_hidden + n_outputs, n_steps) bool."""
    brain, n_ants = episode.config.brain, episode.config.env.n_ants
    bits = np.zeros((n_ants, brain.n_hidden + brain.n_outputs, episode.spikes.n_steps), dtype=np.bool_)
    first = 0
    for name, size in zip(_RECORDED, (brain.n_hidden, brain.n_outputs), strict=True):
        trains = episode.spikes.population(name)
        ant, neuron = np.divmod(trains.neurons, size)
        bits[ant, first + neuron, trains.steps - 1] = True
        first += size
    return bits


def _pack_numbers(name: str, values: Array, unit: float) -> tuple[dict[str, Any], bytes]:
    most = float(np.abs(values).max(initial=0.0))
    unit = max(unit, most / _LARGEST)
    whole = np.rint(values / unit).astype(np.int64)
    change = np.diff(whole, axis=-1, prepend=0)
    code = np.where(change >= 0, 2 * change, -2 * change - 1).astype("<u4")
    return _entry(name, "numbers", values.shape, code.reshape(-1, 1).view(np.uint8).T, unit=unit)


def _entry(name: str, coding: str, shape: tuple[int, ...], content: Array, **more: Any) -> tuple[dict[str, Any], bytes]:
    return {"name": name, "coding": coding, "shape": list(shape), **more}, content.tobytes()


def _unpack(entry: Mapping[str, Any], content: NDArray[np.uint8]) -> Array:
    shape = tuple(entry["shape"])
    if entry["coding"] == "bits":
        rows = content.reshape(*shape[:-1], -(-shape[-1] // 8))
        return np.unpackbits(rows, axis=-1, count=shape[-1]).astype(np.bool_)
    if entry["coding"] == "levels":
        return np.cumsum(content.reshape(shape), axis=-1, dtype=np.uint8)
    code = np.ascontiguousarray(content.reshape(4, -1).T).view("<u4").reshape(shape).astype(np.int64)
    whole = np.cumsum(np.where(code % 2 == 0, code // 2, -(code + 1) // 2), axis=-1)
    return whole if entry["unit"] == 1 else whole * entry["unit"]
