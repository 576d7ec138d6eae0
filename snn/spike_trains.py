"""Spike trains of a network: flat arrays on the time grid of the simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Steps, and share of long times: nearer to a whole step is rounding, further away is off the grid.
_TOLERANCE, _RELATIVE_TOLERANCE = 1e-6, 1e-9


def is_whole(n_steps: ArrayLike) -> NDArray[np.bool_]:
    """Whether numbers of steps are whole, but for rounding; NaN and infinity are not."""
    exact = np.asarray(n_steps, dtype=np.float64)
    is_finite = np.isfinite(exact)
    exact = np.where(is_finite, exact, 0.0)
    tolerance = np.maximum(_TOLERANCE, _RELATIVE_TOLERANCE * np.abs(exact))
    return is_finite & (np.abs(exact - np.rint(exact)) <= tolerance)


def whole_steps(duration_ms: float, resolution_ms: float, what: str = "duration_ms") -> int:
    """Number of steps of a duration, at least one.

    Parameters
    ----------
    what : name of the duration in messages

    Raises
    ------
    ValueError : a duration that is not a whole number of steps, or either number not finite and > 0.
    """
    if not 0 < resolution_ms < math.inf:
        raise ValueError(f"resolution_ms={resolution_ms} is not allowed: it must be > 0, in ms per step.")
    if not 0 < duration_ms < math.inf:
        raise ValueError(f"{what}={duration_ms} is not allowed: it must be > 0, in ms.")
    n_steps = round(duration_ms / resolution_ms)
    if n_steps < 1 or not is_whole(duration_ms / resolution_ms):
        raise ValueError(f"{what}={duration_ms} is not a whole number of steps of {resolution_ms} ms: use a multiple.")
    return n_steps


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTrains:
    """Who fired when, in integration steps: exact, so equal trains compare equal.

    Lists and arrays of any whole numbers are taken, and kept as int64.
    Neurons are numbered 0, 1, … through the populations in their order; `population` gives the trains of one of them,
    numbered from 0 again. Copies of a population stand side by side: neuron ``k`` of copy ``c`` is ``c * size + k``.

    Raises
    ------
    ValueError : numbers that are not whole or lists of unequal length, a spike outside the recording or the
        populations, spikes out of order, a resolution that is not positive, or a negative length or size.
    """

    steps: IntArray  # (n_spikes,) end of the step in which the threshold was crossed, 1 … n_steps, ascending
    neurons: IntArray  # (n_spikes,) ascending within a step
    resolution_ms: float  # ms per step, > 0
    n_steps: int  # length of the recording
    populations: Mapping[str, int]  # name to number of neurons, in order

    def __post_init__(self) -> None:
        for name in ("steps", "neurons"):
            object.__setattr__(self, name, _as_integers(name, getattr(self, name)))
        self._check_sizes()
        if len(self.steps) == 0:
            return
        if self.steps[0] < 1 or self.steps[-1] > self.n_steps:
            raise ValueError(f"spikes lie in steps {self.steps[0]} … {self.steps[-1]}, outside 1 … {self.n_steps}.")
        if self.neurons.min() < 0 or self.neurons.max() >= self.n_neurons:
            raise ValueError(
                f"spikes name neurons {self.neurons.min()} … {self.neurons.max()}, outside 0 … {self.n_neurons - 1}."
            )
        is_later = self.steps[1:] > self.steps[:-1]
        is_same = self.steps[1:] == self.steps[:-1]
        if not (is_later | (is_same & (self.neurons[1:] >= self.neurons[:-1]))).all():
            raise ValueError("spikes are not sorted by step, then neuron: use SpikeTrains.from_unsorted.")

    def _check_sizes(self) -> None:
        _check_lengths(self.steps, self.neurons)
        if not 0 < self.resolution_ms < np.inf:
            raise ValueError(f"resolution_ms={self.resolution_ms} is not allowed: it must be > 0.")
        for name, size in (("n_steps", self.n_steps), *self.populations.items()):
            if size < 0:
                raise ValueError(f"{name}={size} is not allowed: lengths and population sizes are >= 0.")

    @classmethod
    def from_unsorted(
        cls, steps: ArrayLike, neurons: ArrayLike, resolution_ms: float, n_steps: int, populations: Mapping[str, int]
    ) -> SpikeTrains:
        """Spike trains from spikes in any order; otherwise as the class."""
        steps, neurons = _as_integers("steps", steps), _as_integers("neurons", neurons)
        _check_lengths(steps, neurons)
        order = np.lexsort((neurons, steps))
        return cls(steps[order], neurons[order], resolution_ms, n_steps, populations)

    @property
    def n_neurons(self) -> int:
        """Neurons of all populations."""
        return sum(self.populations.values())

    @property
    def duration_ms(self) -> float:
        """Length of the recording."""
        return self.n_steps * self.resolution_ms

    @property
    def times_ms(self) -> FloatArray:
        """(n_spikes,) spike times in ms."""
        return self.steps.astype(np.float64) * self.resolution_ms

    def equals(self, other: SpikeTrains) -> bool:
        """Same spikes, resolution, length and populations (in the same order)."""
        return (
            self.resolution_ms == other.resolution_ms
            and self.n_steps == other.n_steps
            and list(self.populations.items()) == list(other.populations.items())
            and np.array_equal(self.steps, other.steps)
            and np.array_equal(self.neurons, other.neurons)
        )

    def population(self, name: str) -> SpikeTrains:
        """Spike trains of one population, its neurons numbered from 0.

        Raises
        ------
        KeyError : no population of this name.
        """
        if name not in self.populations:
            raise KeyError(f"no population {name!r}: the recording holds {', '.join(self.populations) or 'none'}.")
        names = list(self.populations)
        first = sum(self.populations[earlier] for earlier in names[: names.index(name)])
        size = self.populations[name]
        is_chosen = (self.neurons >= first) & (self.neurons < first + size)
        return SpikeTrains(
            self.steps[is_chosen], self.neurons[is_chosen] - first, self.resolution_ms, self.n_steps, {name: size}
        )

    def slice(self, start_ms: float, stop_ms: float) -> SpikeTrains:
        """Spikes after `start_ms` up to and including `stop_ms`; `start_ms` becomes time 0.

        A spike belongs to the step it ends, so a recording cut in pieces keeps every spike in exactly one of them.

        Raises
        ------
        ValueError : a bound outside the recording or off the time grid, or `stop_ms` before `start_ms`.
        """
        exact = np.array([start_ms, stop_ms], dtype=np.float64) / self.resolution_ms
        if not is_whole(exact).all() or not 0 <= np.rint(exact[0]) <= np.rint(exact[1]) <= self.n_steps:
            raise ValueError(
                f"start_ms={start_ms} to stop_ms={stop_ms} is no part of the recording: give multiples of "
                f"{self.resolution_ms} ms with 0 <= start_ms <= stop_ms <= {self.duration_ms}."
            )
        start, stop = (int(bound) for bound in np.rint(exact))
        first, end = np.searchsorted(self.steps, [start, stop], side="right")
        return SpikeTrains(
            self.steps[first:end] - start, self.neurons[first:end], self.resolution_ms, stop - start, self.populations
        )

    def trains(self) -> list[FloatArray]:
        """Spike times of every neuron in ms, ascending: `n_neurons` arrays."""
        times_ms = self.times_ms[np.argsort(self.neurons, kind="stable")]
        n_spikes = np.bincount(self.neurons, minlength=self.n_neurons)
        ends = np.cumsum(n_spikes)
        return [times_ms[start:end] for start, end in zip(ends - n_spikes, ends, strict=True)]

    def counts(self, bin_ms: float | None = None) -> IntArray:
        """Spikes per neuron and bin; without `bin_ms` the whole recording is one bin.

        Returns
        -------
        (n_neurons, n_bins) int64

        Raises
        ------
        ValueError : a bin that is not a whole number of steps, or does not divide the recording.
        """
        n_per_bin, n_bins = self._bins(bin_ms)
        cell = self.neurons * n_bins + (self.steps - 1) // n_per_bin
        return np.bincount(cell, minlength=self.n_neurons * n_bins).reshape(self.n_neurons, n_bins)

    def mean_rate_hz(self, bin_ms: float | None = None) -> FloatArray:
        """Firing rate in each bin, mean over all neurons; without `bin_ms` the whole recording is one bin.

        Returns
        -------
        (n_bins,) float64, spikes per second and neuron; 0 without neurons or time

        Raises
        ------
        ValueError : as `counts`.
        """
        n_per_bin, n_bins = self._bins(bin_ms)
        n_spikes = np.bincount((self.steps - 1) // n_per_bin, minlength=n_bins)
        return n_spikes / (max(self.n_neurons, 1) * n_per_bin * self.resolution_ms * 1e-3)

    def to_neo(self) -> Any:
        """The recording as a `neo.Segment`, e.g. for Elephant.

        Returns
        -------
        neo.Segment with one `neo.SpikeTrain` per neuron, in ms, from 0 to `duration_ms`, in the order of the neurons;
        annotations ``population`` (name) and ``id`` (index within the population)

        Raises
        ------
        ImportError : neo is not installed.
        """
        try:
            import neo
        except ImportError:
            raise ImportError("neo is missing, which to_neo needs: pip install -e '.[neo]'.") from None
        segment = neo.Segment()
        labels = [(name, index) for name, size in self.populations.items() for index in range(size)]
        for (name, index), times_ms in zip(labels, self.trains(), strict=True):
            train = neo.SpikeTrain(times_ms, units="ms", t_stop=self.duration_ms, population=name, id=index)
            segment.spiketrains.append(train)
        return segment

    def _bins(self, bin_ms: float | None) -> tuple[int, int]:
        """Steps per bin (>= 1) and number of bins."""
        if bin_ms is None:
            return max(self.n_steps, 1), 1
        try:
            n_per_bin = whole_steps(bin_ms, self.resolution_ms, "bin_ms")
        except ValueError:
            n_per_bin = 0
        if n_per_bin == 0 or self.n_steps % n_per_bin:
            raise ValueError(
                f"bin_ms={bin_ms} does not divide the recording of {self.duration_ms} ms into equal bins of whole "
                f"{self.resolution_ms} ms steps."
            )
        return n_per_bin, self.n_steps // n_per_bin


def _as_integers(name: str, values: ArrayLike) -> IntArray:
    """One whole number per spike as int64; an int64 array is kept, not copied."""
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal length
        raise ValueError(f"{name} is no flat list: give one whole number per spike.") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(
            f"{name} has shape {array.shape} and type {array.dtype}: give a flat list or array of whole numbers, one "
            "per spike."
        )
    return array.astype(np.int64, copy=False)


def _check_lengths(steps: IntArray, neurons: IntArray) -> None:
    if len(steps) != len(neurons):
        raise ValueError(f"{len(steps)} steps but {len(neurons)} neurons: give one of each per spike.")
