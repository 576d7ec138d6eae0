"""What recorded episodes tell about a colony: correlations, behaviour, trails; and how colonies compare. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from envs.config import ForagingConfig
from envs.types import DEPOSIT, FOOD_AHEAD, LEFT, MOVE, N_SENSORS, ON_NEST, REWARD, RIGHT, SENSORS, STRAIGHT, TURN
from envs.types import WALL_AHEAD as WALL
from experiments.recorded_episode import RecordedEpisode
from optim.base import Array
from snn.decoding import MOTORS
from snn.params import INPUT_LAG_MS
from snn.spike_trains import SpikeTrains

INPUTS = SENSORS[:N_SENSORS]
# Columns of `behaviour`; all but the first are shares of ant-ticks.
BEHAVIOUR = ("pick_ups", "move", "left", "right", "straight", "drop", "on_nest", "sees_wall", "sees_food")
# Columns of `deposits`: an ant may be in several of these situations at once.
PLACES = ("anywhere", "on_nest", "food_ahead", "picking_up", "carrying", "none_of_these")
TRAIL = 1.0  # pheromone above this is trail, as in the published figure
CONFIDENCE = 0.95


class Paired(NamedTuple):
    """How much worse a variant does than the intact colony in the same worlds."""

    n: int  # worlds in which both were measured
    drop: float  # mean of intact - variant
    low: float  # bounds of its Student 95 % interval
    high: float
    d: float  # Cohen's d of the differences: their mean / their standard deviation
    better: float  # share of worlds in which the intact colony has more


def paired(intact: Array, variant: Array) -> Paired:
    """Paired statistics of two samples (n_worlds,); worlds where either is NaN, i.e. failed, are left out.

    What too few worlds, or differences that are all equal, do not tell is NaN.
    """
    difference = intact - variant
    difference = difference[np.isfinite(difference)]
    n, mean, low, high = mean_interval(difference)
    sd = float(difference.std(ddof=1)) if n > 1 else math.nan
    better = float((difference > 0).mean()) if n else math.nan
    return Paired(n, mean, low, high, mean / sd if sd > 0 else math.nan, better)


def mean_interval(values: Array) -> tuple[int, float, float, float]:
    """Size, mean, and bounds of the Student 95 % interval of a sample (n,).

    NaN is left out; what too few values do not tell is NaN.
    """
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return 0, math.nan, math.nan, math.nan
    mean = float(values.mean())
    if n == 1:
        return 1, mean, math.nan, math.nan
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return n, mean, mean - half, mean + half


def binned(spikes: SpikeTrains, n_ants: int, bin_ms: float, n_bins: int | None = None) -> NDArray[np.int64]:
    """Spikes per neuron and bin; the first bin begins with the first spike of a sensor, 3 ms after the start.

    Parameters
    ----------
    spikes : of one population of a colony, neuron k of ant a is a * size + k
    bin_ms : the tick of a brain: then a sensor's spikes of one tick lie in one bin
    n_bins : None: all that are whole

    Returns
    -------
    (n_ants, size, n_bins) int64
    """
    if n_bins is None:
        n_bins = int((spikes.duration_ms - INPUT_LAG_MS) // bin_ms)  # the last spikes of a sensor lie in no whole one
    counts = spikes.slice(INPUT_LAG_MS, INPUT_LAG_MS + n_bins * bin_ms).counts(bin_ms)
    return counts.reshape(n_ants, len(counts) // n_ants, n_bins)


def correlations(inputs: NDArray[np.int64], outputs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pearson correlation of every output train with every input train of the same ant.

    Parameters
    ----------
    inputs, outputs : (n_ants, n_inputs, n_bins), (n_ants, n_outputs, n_bins) spike counts, see `binned`

    Returns
    -------
    (n_ants, n_outputs, n_inputs) float64; NaN where a train is constant
    """
    unit, changes = [], []
    for counts in (outputs, inputs):
        centred = counts - counts.sum(axis=2, keepdims=True) / max(counts.shape[2], 1)
        norm = np.sqrt((centred**2).sum(axis=2, keepdims=True))
        changes.append((counts != counts[..., :1]).any(axis=2))
        unit.append(centred / np.where(changes[-1][..., None], norm, 1.0))
    is_known = changes[0][:, :, None] & changes[1][:, None, :]
    return np.asarray(np.where(is_known, unit[0] @ unit[1].transpose(0, 2, 1), np.nan))


def behaviour(obs: NDArray[np.int8], actions: NDArray[np.int8]) -> Array:
    """What the ants did, (len(BEHAVIOUR),): pick-ups of the colony, then shares of ant-ticks.

    Parameters
    ----------
    obs, actions : (n_ticks, n_ants, 11), (n_ticks, n_ants, 3)
    """
    turn = actions[..., TURN]
    shares = [actions[..., MOVE], turn == LEFT, turn == RIGHT, turn == STRAIGHT, actions[..., DEPOSIT]]
    shares += [obs[..., sensor] for sensor in (ON_NEST, WALL, FOOD_AHEAD)]
    return np.array([obs[..., REWARD].sum(), *(share.mean() for share in shares)], dtype=np.float64)


def deposits(obs: NDArray[np.int8], actions: NDArray[np.int8], is_carrying: NDArray[np.bool_]) -> Array:
    """Where pheromone is laid.

    Parameters
    ----------
    obs, actions : (n_ticks, n_ants, 11), (n_ticks, n_ants, 3)
    is_carrying : (n_ticks, n_ants) when the ants act

    Returns
    -------
    (2, len(PLACES)) float64: deposits, and ant-ticks, in each situation
    """
    situations = [obs[..., ON_NEST] != 0, obs[..., FOOD_AHEAD] != 0, obs[..., REWARD] != 0, is_carrying]
    anywhere = np.ones_like(is_carrying)
    places = np.array([anywhere, *situations, ~np.any(situations, axis=0)])
    return np.array([(places & (actions[..., DEPOSIT] != 0)).sum(axis=(1, 2)), places.sum(axis=(1, 2))], dtype=float)


def trail_area(pheromone: NDArray[np.float32], arena: tuple[int, int, int, int]) -> Array:
    """Share of the arena with trail, (n_fields,), of pheromone fields (n_fields, height, width)."""
    x_min, x_max, y_min, y_max = arena
    inside = pheromone[:, y_min : y_max + 1, x_min : x_max + 1]
    return np.asarray((inside > TRAIL).mean(axis=(1, 2)))


def field_ticks(world: ForagingConfig) -> NDArray[np.int64]:
    """Ticks done when an episode of full length keeps a pheromone field; a shorter one keeps the first of them."""
    last = world.n_ticks - 1
    return np.array([0, *(t + 1 for t in range(world.n_ticks) if t % world.pheromone_period == 0 or t == last)])


def measure(episode: RecordedEpisode) -> dict[str, Array]:
    """Everything that is compared between episodes: finite arrays whose shapes the world decides, see `shapes`.

    A correlation is given as the sum over the ants that have one, and their number. What is followed over time keeps
    its last value after an early end.
    """
    config = episode.config
    inputs, outputs = (
        binned(episode.spikes.population(name), config.env.n_ants, config.brain.tick_ms) for name in ("input", "output")
    )
    found = correlations(inputs, outputs)
    area = trail_area(episode.pheromone, config.env.arena)
    returned = episode.returned[episode.pheromone_ticks]
    n_missing = len(field_ticks(config.env)) - len(area)
    is_home = episode.returned > 0
    return {
        "correlation_sum": np.nansum(found, axis=0),
        "correlation_n": np.isfinite(found).sum(axis=0).astype(np.float64),
        "behaviour": behaviour(episode.obs, episode.actions),
        "deposits": deposits(episode.obs, episode.actions, episode.is_carrying[:-1]),
        "area": np.pad(area, (0, n_missing), mode="edge"),
        "returned": np.pad(returned, (0, n_missing), mode="edge").astype(np.float64),
        "first_return": np.array(is_home.argmax() if is_home.any() else -1, dtype=np.float64),
        "ticks": np.array(episode.n_ticks, dtype=np.float64),
    }


def shapes(world: ForagingConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of `measure`, in their order."""
    n_fields = len(field_ticks(world))
    pairs = (len(MOTORS), len(INPUTS))
    return {
        "correlation_sum": pairs,
        "correlation_n": pairs,
        "behaviour": (len(BEHAVIOUR),),
        "deposits": (2, len(PLACES)),
        "area": (n_fields,),
        "returned": (n_fields,),
        "first_return": (),
        "ticks": (),
    }


def packed(measures: dict[str, Array]) -> Array:
    """The arrays of `measure` as one, (n_values,), which a task can return."""
    return np.concatenate([values.ravel() for values in measures.values()])


def unpacked(rows: Array, world: ForagingConfig) -> dict[str, Array]:
    """Arrays by name, (n_episodes, ...), of rows (n_episodes, n_values) of `packed`."""
    parts, start = {}, 0
    for name, shape in shapes(world).items():
        size = math.prod(shape)
        parts[name] = rows[:, start : start + size].reshape(len(rows), *shape)
        start += size
    return parts


def mean_correlation(total: Array, n: Array) -> Array:
    """Mean over all ants of all episodes that have one, (n_outputs, n_inputs), NaN where none has.

    Parameters
    ----------
    total, n : (n_episodes, n_outputs, n_inputs), "correlation_sum" and "correlation_n" of `measure`
    """
    count = np.nansum(n, axis=0)
    return np.asarray(np.where(count > 0, np.nansum(total, axis=0) / np.maximum(count, 1.0), np.nan))
