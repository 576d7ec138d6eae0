"""What both engines demand of options, inputs and durations, said once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np

from snn.models import Population
from snn.spike_trains import FloatArray, SpikeTrains
from snn.topology import Topology, check_delays, check_weights

# Currents or rates, or spike trains; see `snn.network.Network.set_inputs`.
Inputs = FloatArray | float | SpikeTrains

# NEST runs in slices of the shortest delay, that of its recorders included, which is at most this long.
_MAX_SLICE_MS = 1.0


def slice_ms(delay_ms: FloatArray, resolution_ms: float) -> float:
    """Length of the slices in which spikes are exchanged: the shortest delay, at most 1 ms."""
    shortest_ms = round(float(delay_ms.min(initial=_MAX_SLICE_MS)), 6)  # 0.1 + 0.2 is 0.3
    return max(resolution_ms, min(_MAX_SLICE_MS, shortest_ms))


def n_steps_of(duration_ms: float, slice_ms: float, resolution_ms: float) -> int:
    """Steps of a duration; raises ValueError unless it is a positive multiple of the slice."""
    n_slices = duration_ms / slice_ms if 0 < duration_ms < math.inf else 0.5
    if n_slices < 0.5 or abs(n_slices - round(n_slices)) > 1e-6:
        raise ValueError(
            f"duration_ms={duration_ms} is not allowed: give a positive multiple of {slice_ms:g} ms, the shortest "
            "delay (at most 1 ms)."
        )
    return round(duration_ms / resolution_ms)


def check_options(topology: Topology, n_copies: int, rng_seed: int, **names: Sequence[str]) -> None:
    """Raise ValueError for options that no engine takes."""
    for name, value in (("n_copies", n_copies), ("rng_seed", rng_seed)):
        if not isinstance(value, Integral):
            raise ValueError(f"{name}={value!r} is not allowed: give a whole number.")
    if n_copies < 1:
        raise ValueError(f"n_copies={n_copies} is not allowed: it must be >= 1.")
    if not 1 <= rng_seed < 2**32:
        raise ValueError(f"rng_seed={rng_seed} is outside 1 … 2**32 - 1, which NEST takes.")
    for option, populations in names.items():
        if isinstance(populations, str):
            raise ValueError(f"{option}={populations!r} is a text: give a tuple of names, e.g. ({populations!r},).")
        for name in populations:
            if not topology.population(name).is_neuron:
                raise ValueError(f"{option} names {name!r}, a {topology.population(name).model}: only neurons can be.")
        if len(set(populations)) < len(populations):
            raise ValueError(f"{option}={tuple(populations)} names a population twice.")


def check_synapses(weight_pA: FloatArray, delay_ms: FloatArray, resolution_ms: float, *shapes: tuple[int, ...]) -> None:
    """Raise ValueError for weights and delays of none of the shapes, not finite, or off the time grid."""
    for name, values in (("weight_pA", weight_pA), ("delay_ms", delay_ms)):
        if np.shape(values) not in shapes:
            raise ValueError(f"{name} has shape {np.shape(values)}, expected {' or '.join(map(str, shapes))}.")
    check_weights(np.ravel(weight_pA))
    check_delays(np.ravel(delay_ms), resolution_ms)


def check_values(population: Population, values: Inputs, shape: tuple[int, ...]) -> FloatArray:
    """Currents or rates broadcast to (*shape, size); raises ValueError, see `snn.network.Network.set_inputs`."""
    shape = (*shape, population.size)
    try:
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.shape != shape:
            numbers = np.broadcast_to(numbers, shape)
    except (ValueError, TypeError):
        raise ValueError(
            f"inputs of {population.name!r}, a {population.model}, are {type(values).__name__} "
            f"{getattr(values, 'shape', '')}: give numbers that broadcast to {shape}."
        ) from None
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"inputs of {population.name!r} hold {numbers[~np.isfinite(numbers)][0]}: give finite numbers."
        )
    if population.model == "poisson_generator" and (numbers < 0).any():
        raise ValueError(f"inputs of {population.name!r} hold the rate {numbers.min()} Hz: rates must be >= 0.")
    return numbers


def check_trains(population: Population, trains: Inputs, n_trains: int, resolution_ms: float) -> SpikeTrains:
    """Spike trains for a population of spike generators; raises ValueError, see `snn.network.Network.set_inputs`."""
    if not isinstance(trains, SpikeTrains):
        raise ValueError(
            f"inputs of {population.name!r}, a spike_generator, are {type(trains).__name__}: give SpikeTrains."
        )
    if trains.n_neurons != n_trains:
        raise ValueError(f"inputs of {population.name!r} have {trains.n_neurons} spike trains, expected {n_trains}.")
    if abs(trains.resolution_ms - resolution_ms) > 1e-9:
        raise ValueError(
            f"inputs of {population.name!r} have resolution_ms={trains.resolution_ms}, the network has {resolution_ms}."
        )
    return trains
