"""Stimuli to the spike trains that the spike sources of a network emit; pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn.spike_trains import FloatArray, IntArray, SpikeTrains, is_whole, whole_steps


def poisson_rate(
    rates_hz: ArrayLike,
    duration_ms: float,
    resolution_ms: float,
    rng: np.random.Generator,
    *,
    population: str = "input",
) -> SpikeTrains:
    """Independent Poisson spike trains with constant or piecewise constant rates.

    The number of spikes of a neuron in a bin is one Poisson draw and each of them falls on a uniformly drawn step of
    the bin, which is the same law as one Poisson draw per step. A step can hold several spikes of a neuron.

    Parameters
    ----------
    rates_hz : (n_neurons,) or (n_neurons, n_bins) in Hz, >= 0; the bins share the duration equally. One row from
        `grey_value_rates`, ``rates_hz[np.newaxis]``, presents the pixels of an image one after another.
    duration_ms : float, > 0, a whole number of steps that `n_bins` divides
    resolution_ms : float, > 0, ms per step
    rng : source of the spikes
    population : name of the neurons

    Returns
    -------
    SpikeTrains of `n_neurons` neurons and `duration_ms`

    Raises
    ------
    ValueError : negative or non-finite rates, wrong shapes, a duration off the grid, bins of broken steps.
    """
    counts, steps, (n_neurons, n_bins, n_per_bin) = _poisson_spikes(rates_hz, duration_ms, resolution_ms, rng)
    cell = np.repeat(np.arange(n_neurons * n_bins), counts)
    steps += cell % n_bins * n_per_bin
    return SpikeTrains.from_unsorted(steps, cell // n_bins, resolution_ms, n_bins * n_per_bin, {population: n_neurons})


def poisson_rate_counts(
    rates_hz: ArrayLike, duration_ms: float, resolution_ms: float, rng: np.random.Generator
) -> IntArray:
    """The spikes of `poisson_rate` as numbers per step: the same random numbers, without the time to sort them.

    Parameters and errors as `poisson_rate`.

    Returns
    -------
    (n_neurons, n_steps) int64
    """
    counts, steps, (n_neurons, _, n_per_bin) = _poisson_spikes(rates_hz, duration_ms, resolution_ms, rng)
    cells = np.split(steps, np.cumsum(counts)[:-1])
    return np.stack([np.bincount(cell, minlength=n_per_bin + 1)[1:] for cell in cells]).reshape(n_neurons, -1)


def _poisson_spikes(
    rates_hz: ArrayLike, duration_ms: float, resolution_ms: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray, tuple[int, int, int]]:
    """Spikes of each neuron and bin, neuron-major: how many, and their steps 1 … n_per_bin, bin after bin.

    The third part is n_neurons, n_bins, n_per_bin.
    """
    n_steps = whole_steps(duration_ms, resolution_ms)
    rates = _finite("rates_hz", rates_hz, (1, 2))
    if rates.min() < 0:
        raise ValueError(f"rates_hz holds {rates.min()} Hz: a rate must be >= 0. Clip or rectify the stimulus first.")
    rates = rates.reshape(len(rates), -1)
    n_neurons, n_bins = rates.shape
    if n_steps % n_bins:
        raise ValueError(
            f"rates_hz has {n_bins} bins, which do not divide the {n_steps} steps of {duration_ms} ms into whole "
            "steps: choose a duration that is a multiple of bins × resolution."
        )
    n_per_bin = n_steps // n_bins
    counts = rng.poisson(rates * (n_per_bin * resolution_ms / 1000.0)).ravel()
    return counts, rng.integers(1, n_per_bin + 1, size=counts.sum()), (n_neurons, n_bins, n_per_bin)


def latency(
    values: ArrayLike,
    duration_ms: float,
    resolution_ms: float,
    *,
    threshold: float = 0.0,
    population: str = "input",
) -> SpikeTrains:
    """One spike per neuron, the larger the value the earlier: 1 fires in the first step, values near 0 in the last.

    Parameters
    ----------
    values : (n_neurons,) in [0, 1]; time falls linearly with the value and is rounded to the grid
    duration_ms : float, > 0, a whole number of steps
    resolution_ms : float, > 0, ms per step
    threshold : float in [0, 1]; values below it, and zeros, do not fire
    population : name of the neurons

    Returns
    -------
    SpikeTrains with at most one spike per neuron

    Raises
    ------
    ValueError : values or threshold outside [0, 1] or not finite, a wrong shape, a duration off the grid.
    """
    n_steps = whole_steps(duration_ms, resolution_ms)
    values = _finite("values", values, (1,))
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"values span {values.min()} … {values.max()}, outside [0, 1]: scale the stimulus first.")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} is outside [0, 1], the range of the values.")
    neurons = np.flatnonzero((values > 0) & (values >= threshold))
    steps = 1 + np.rint((1.0 - values[neurons]) * (n_steps - 1)).astype(np.int64)
    return SpikeTrains.from_unsorted(steps, neurons, resolution_ms, n_steps, {population: len(values)})


def threshold_crossing(
    signal: ArrayLike,
    thresholds: ArrayLike,
    sample_ms: float,
    resolution_ms: float,
    *,
    population: str = "input",
) -> SpikeTrains:
    """Spikes where a sampled signal crosses thresholds: an up neuron and a down neuron per channel and threshold.

    A signal at or above a threshold counts as above it. The spike comes in the first step of the sample that ends the
    crossing; the first sample has no past and no spikes. Neuron ``2 * (channel * n_thresholds + k)`` reports upward
    crossings of threshold `k`, the next neuron downward ones. An image read pixel by pixel is one channel:
    ``threshold_crossing(image.reshape(1, -1), …)``.

    Parameters
    ----------
    signal : (n_channels, n_samples), finite
    thresholds : (n_thresholds,) in the unit of the signal
    sample_ms : float, > 0, ms per sample, a whole number of steps
    resolution_ms : float, > 0, ms per step
    population : name of the neurons

    Returns
    -------
    SpikeTrains of ``2 * n_channels * n_thresholds`` neurons and ``n_samples * sample_ms``

    Raises
    ------
    ValueError : NaN or infinite values, wrong shapes, a sample that is not a whole number of steps.

    Source: Bellec et al. 2018, arXiv:1803.09574, sequential MNIST.   Deviates: any number of channels; no neuron that
    marks the end of the sample.
    """
    n_per_sample = whole_steps(sample_ms, resolution_ms, "sample_ms")
    signal = _finite("signal", signal, (2,))
    thresholds = _finite("thresholds", thresholds, (1,))
    is_above = signal[:, np.newaxis, :] >= thresholds[:, np.newaxis]
    was_above, is_above = is_above[..., :-1], is_above[..., 1:]
    crossings = np.stack([is_above & ~was_above, was_above & ~is_above], axis=2)
    n_neurons = 2 * len(signal) * len(thresholds)
    neurons, before = np.nonzero(crossings.reshape(n_neurons, -1))
    steps = (before + 1) * n_per_sample + 1
    n_steps = signal.shape[1] * n_per_sample
    return SpikeTrains.from_unsorted(steps, neurons, resolution_ms, n_steps, {population: n_neurons})


def raw_spikes(
    times_ms: ArrayLike,
    neurons: ArrayLike,
    n_neurons: int,
    duration_ms: float,
    resolution_ms: float,
    *,
    population: str = "input",
) -> SpikeTrains:
    """Spike trains of the user, in any order, put onto the grid; no time is moved.

    Parameters
    ----------
    times_ms : (n_spikes,) in ms, multiples of the resolution in (0, duration_ms]
    neurons : (n_spikes,) integer, who fires, 0 … n_neurons - 1
    n_neurons : int, > 0
    duration_ms : float, > 0, a whole number of steps
    resolution_ms : float, > 0, ms per step
    population : name of the neurons

    Returns
    -------
    SpikeTrains of `n_neurons` neurons and `duration_ms`

    Raises
    ------
    ValueError : a time that is off the grid, <= 0, after the end or not finite, an unknown neuron, unequal lengths.
    """
    n_steps = whole_steps(duration_ms, resolution_ms)
    if n_neurons < 1:
        raise ValueError(f"n_neurons={n_neurons} is not allowed: it must be >= 1.")
    times = _finite("times_ms", times_ms, (1,), is_empty_allowed=True)
    senders = np.asarray(neurons)
    if senders.shape != times.shape:
        raise ValueError(f"neurons has shape {senders.shape}, times_ms {times.shape}: give one neuron per spike.")
    if senders.size and senders.dtype.kind not in "iu":
        raise ValueError(f"neurons has dtype {senders.dtype}: give whole numbers, e.g. neurons.astype(np.int64).")
    is_unknown = (senders < 0) | (senders >= n_neurons)
    if is_unknown.any():
        raise ValueError(f"neuron {senders[is_unknown][0]} is outside 0 … {n_neurons - 1}.")
    return SpikeTrains.from_unsorted(
        _grid_steps(times, n_steps, resolution_ms),
        senders.astype(np.int64),
        resolution_ms,
        n_steps,
        {population: n_neurons},
    )


def grey_value_rates(pixels: ArrayLike, max_rate_hz: float = 100.0, min_rate_hz: float = 1.0) -> FloatArray:
    """Firing rates of one image: from `min_rate_hz` for black to `max_rate_hz` for its brightest pixel.

    ``rate = pixel / max(pixels) * (max_rate_hz - min_rate_hz) + min_rate_hz``; a black image is at the minimum.

    Parameters
    ----------
    pixels : array of any shape, >= 0, one image
    max_rate_hz, min_rate_hz : float in Hz, 0 <= min_rate_hz <= max_rate_hz

    Returns
    -------
    (n_pixels,) float64 in Hz, row by row

    Raises
    ------
    ValueError : negative or non-finite pixels, no pixels, rates out of order.

    Source: Yegenoglu et al. 2022, doi:10.3389/fncom.2022.885207, encoding "greyvalue" of the released code.
    """
    grey = _finite("pixels", np.ravel(np.asarray(pixels)), (1,))
    if grey.min() < 0:
        raise ValueError(f"pixels holds {grey.min()}: a grey value must be >= 0.")
    if not 0 <= min_rate_hz <= max_rate_hz < np.inf:
        raise ValueError(
            f"min_rate_hz={min_rate_hz} and max_rate_hz={max_rate_hz} are not allowed: give 0 <= min <= max, in Hz."
        )
    brightest = grey.max()
    relative = grey / brightest if brightest > 0 else grey
    return relative * (max_rate_hz - min_rate_hz) + min_rate_hz


def _grid_steps(times_ms: FloatArray, n_steps: int, resolution_ms: float) -> NDArray[np.int64]:
    """Steps of spike times; the first time that has none is named."""
    exact = times_ms / resolution_ms
    steps = np.rint(exact)
    is_off = ~is_whole(exact)
    if is_off.any():
        first = np.flatnonzero(is_off)[0]
        raise ValueError(
            f"times_ms[{first}]={times_ms[first]} is off the grid of {resolution_ms} ms: round the times to multiples "
            "of the resolution, or use a finer one."
        )
    is_outside = (steps < 1) | (steps > n_steps)
    if is_outside.any():
        first = np.flatnonzero(is_outside)[0]
        raise ValueError(
            f"times_ms[{first}]={times_ms[first]} is outside (0, {n_steps * resolution_ms}] ms: a spike belongs to "
            "the step that it ends, so the first possible time is one resolution."
        )
    return steps.astype(np.int64)


def _finite(name: str, values: ArrayLike, dimensions: tuple[int, ...], is_empty_allowed: bool = False) -> FloatArray:
    """Float array of the expected number of dimensions without NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in dimensions or (array.size == 0 and not is_empty_allowed):
        expected = " or ".join(f"{n}-dimensional" for n in dimensions)
        raise ValueError(f"{name} has shape {array.shape}: give a non-empty {expected} array.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds {array[~np.isfinite(array)][0]}: every value must be finite.")
    return array
