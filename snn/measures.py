"""What spike trains and liquid states are like: rates, irregularity, correlation, separation, ranks, memory; pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from snn.readout import RidgeReadout, check_states
from snn.spike_trains import FloatArray, SpikeTrains, is_whole


def rates_hz(trains: SpikeTrains) -> FloatArray:
    """(n_neurons,) firing rates in Hz over the whole recording.

    Raises
    ------
    ValueError : a recording of no length.
    """
    if trains.n_steps < 1:
        raise ValueError(f"the recording has {trains.n_steps} steps: a rate needs at least one.")
    return trains.counts()[:, 0] / (trains.duration_ms / 1000.0)


def cv_isi(trains: SpikeTrains) -> FloatArray:
    """Coefficient of variation of the inter-spike intervals: 0 for a clock, 1 for a Poisson process.

    Returns
    -------
    (n_neurons,) float64; NaN for neurons with fewer than two intervals, or with intervals that are all zero

    Source: `elephant.statistics.cv` of `isi`, population standard deviation.   Deviates: NaN, not 0, for one interval.
    """
    order = np.lexsort((trains.steps, trains.neurons))
    steps, neurons = trains.steps[order], trains.neurons[order]
    is_same = neurons[1:] == neurons[:-1]
    intervals, owner = np.diff(steps)[is_same].astype(np.float64), neurons[1:][is_same]
    n_intervals = np.bincount(owner, minlength=trains.n_neurons)
    n_divisor = np.maximum(n_intervals, 1)
    mean = np.bincount(owner, intervals, trains.n_neurons) / n_divisor
    variance = np.bincount(owner, np.square(intervals - mean[owner]), trains.n_neurons) / n_divisor
    is_defined = (n_intervals >= 2) & (mean > 0)
    return np.where(is_defined, np.sqrt(variance) / np.where(is_defined, mean, 1.0), np.nan)


def fano_factor(counts: ArrayLike) -> FloatArray:
    """Variance of the spike count divided by its mean: 0 for a clock, 1 for a Poisson process.

    Parameters
    ----------
    counts : (n_neurons, n_trials) >= 0, spikes per trial: ``np.hstack([trains.counts() for trains in trials])``, or
        windows of one recording as trials, ``trains.counts(window_ms)``. ``trains.counts().T`` compares neurons.

    Returns
    -------
    (n_neurons,) float64; NaN for silent neurons

    Raises
    ------
    ValueError : counts that are not two-dimensional, empty, negative or not finite.

    Source: equals `elephant.statistics.fanofactor` of the trials of a neuron, population variance.
    """
    counts = _check_counts(counts)
    mean = counts.mean(axis=1)
    has_spikes = mean > 0
    return np.where(has_spikes, counts.var(axis=1) / np.where(has_spikes, mean, 1.0), np.nan)


def pairwise_correlation(counts: ArrayLike) -> FloatArray:
    """Pearson correlation of binned spike counts between all pairs of neurons.

    Parameters
    ----------
    counts : (n_neurons, n_bins) >= 0, e.g. ``trains.counts(bin_ms=5.0)``

    Returns
    -------
    (n_neurons, n_neurons) float64, symmetric, 1 on the diagonal; NaN with a neuron of constant count

    Raises
    ------
    ValueError : counts that are not two-dimensional, empty, negative or not finite.

    Source: equals `elephant.spike_train_correlation.correlation_coefficient` with ``binary=False``.
    """
    counts = _check_counts(counts)
    deviation = counts - counts.mean(axis=1, keepdims=True)
    deviation[np.ptp(counts, axis=1) == 0] = np.nan  # exactly: the mean of equal counts can be off by rounding
    deviation /= np.sqrt(np.square(deviation).sum(axis=1, keepdims=True))
    correlation = np.clip(deviation @ deviation.T, -1.0, 1.0)
    np.fill_diagonal(correlation, np.where(np.isnan(np.diag(correlation)), np.nan, 1.0))
    return correlation


def filtered_trace(trains: SpikeTrains, tau_ms: float, at_ms: ArrayLike) -> FloatArray:
    """Liquid states: exponentially filtered spike trains at given instants, exact for any instants.

    ``trace[i, k]`` is the sum of ``exp(-(at_ms[k] - t) / tau_ms)`` over the spikes `t` of neuron `i` up to and
    including the instant.

    Parameters
    ----------
    trains : spikes of a trial
    tau_ms : float, > 0, decay constant
    at_ms : (n_instants,) or one instant, in ms within the recording, in any order, on or off the grid

    Returns
    -------
    (n_neurons, n_instants) float64, dimensionless

    Raises
    ------
    ValueError : `tau_ms` not positive, no instants, or an instant outside the recording.

    Source: Maass, Natschläger & Markram 2002, doi:10.1162/089976602760407955.
    """
    if not 0 < tau_ms < np.inf:
        raise ValueError(f"tau_ms={tau_ms} is not allowed: the decay constant must be > 0, e.g. 20 ms.")
    exact = np.atleast_1d(np.asarray(at_ms, dtype=np.float64)) / trains.resolution_ms
    if exact.ndim != 1 or exact.size == 0:
        raise ValueError(f"at_ms has shape {exact.shape}: give one instant or a one-dimensional array of them.")
    instants = np.where(is_whole(exact), np.rint(exact), exact)
    is_inside = (instants >= 0) & (instants <= trains.n_steps)
    if not is_inside.all():
        raise ValueError(
            f"at_ms holds {exact[~is_inside][0] * trains.resolution_ms}, outside the recording of "
            f"0 … {trains.duration_ms} ms."
        )
    order = np.argsort(instants)
    ends = instants[order]
    decay_per_step = trains.resolution_ms / tau_ms
    is_seen = trains.steps <= ends[-1]
    steps, neurons = trains.steps[is_seen], trains.neurons[is_seen]
    reader = np.searchsorted(ends, steps)  # the first instant that sees the spike
    height = np.exp(-(ends[reader] - steps) * decay_per_step)
    cell = neurons * len(ends) + reader
    summed = np.bincount(cell, weights=height, minlength=trains.n_neurons * len(ends))
    trace = summed.astype(np.float64).reshape(trains.n_neurons, len(ends))  # without spikes the sum is int64
    for k, keep in enumerate(np.exp(-np.diff(ends) * decay_per_step), start=1):
        trace[:, k] += keep * trace[:, k - 1]
    unsorted = np.empty_like(trace)
    unsorted[:, order] = trace
    return unsorted


def separation(states: ArrayLike, classes: ArrayLike) -> float:
    """Separation of liquid states: distance between the class means over the spread within the classes.

    ``inter / (intra + 1)`` with ``inter`` the mean Euclidean distance over all n_classes² pairs of class means (a
    class and itself included) and ``intra`` the mean over classes of the mean distance of a state to its class mean.

    Parameters
    ----------
    states : (n_trials, n_features)
    classes : (n_trials,) label of each trial

    Returns
    -------
    float >= 0; depends on the unit of the states

    Raises
    ------
    ValueError : states not finite, one label per trial missing, fewer than two classes.

    Source: Norton & Ventura 2010, doi:10.1016/j.neucom.2010.08.005.
    """
    states = check_states(states)
    classes = np.asarray(classes)
    if classes.shape != (len(states),):
        raise ValueError(f"classes have shape {classes.shape}, but there are {len(states)} states: give one per trial.")
    labels, class_idx = np.unique(classes, return_inverse=True)
    if len(labels) < 2:
        raise ValueError(f"all trials are of class {labels[0]}: separation needs at least two classes.")
    means = np.stack([states[class_idx == k].mean(axis=0) for k in range(len(labels))])
    spread = np.linalg.norm(states - means[class_idx], axis=1)
    intra = np.mean(np.bincount(class_idx, spread) / np.bincount(class_idx))
    inter = np.mean(np.linalg.norm(means[:, np.newaxis] - means, axis=2))
    return float(inter / (intra + 1.0))


def kernel_rank(states: ArrayLike, tolerance: float | None = None) -> int:
    """Number of distinct inputs that linear readouts can tell apart freely: the rank of their liquid states.

    Parameters
    ----------
    states : (n_inputs, n_features), one row per distinct input
    tolerance : float, > 0, singular values below it count as zero; None is rounding level, which any noise exceeds

    Returns
    -------
    int, 0 … min(n_inputs, n_features), high is good

    Raises
    ------
    ValueError : states not finite or not two-dimensional, tolerance not positive.

    Source: Legenstein & Maass 2007, doi:10.1016/j.neunet.2007.04.017.
    """
    if tolerance is not None and not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance={tolerance} is not allowed: give a singular value > 0, or None.")
    return int(np.linalg.matrix_rank(check_states(states), tol=tolerance))


def generalisation_rank(states: ArrayLike, tolerance: float | None = None) -> float:
    """Rank of the liquid states of noisy versions of one input; low when the liquid takes them for the same.

    Parameters
    ----------
    states : (n_versions, n_features), versions of one input, or (n_inputs, n_versions, n_features)
    tolerance : as in `kernel_rank`

    Returns
    -------
    float, mean rank over the inputs; a good liquid has a `kernel_rank` far above it

    Raises
    ------
    ValueError : states not finite or of another shape, tolerance not positive.

    Source: Legenstein & Maass 2007, doi:10.1016/j.neunet.2007.04.017.
    """
    states = np.asarray(states, dtype=np.float64)
    if states.ndim not in (2, 3) or states.size == 0:
        raise ValueError(f"states have shape {states.shape}: give (n_inputs, n_versions, n_features), or one input.")
    per_input = states.reshape(-1, *states.shape[-2:])
    return float(np.mean([kernel_rank(versions, tolerance) for versions in per_input]))


def memory_curve(
    inputs: ArrayLike, states: ArrayLike, max_delay: int, *, alpha: float = 1e-3, train_fraction: float = 0.5
) -> FloatArray:
    """How much of the input of earlier steps a linear readout finds in the liquid state.

    For each delay a `RidgeReadout` is trained on the first part to give back the input that many steps ago. The value
    is the squared correlation of the two on the rest.

    Parameters
    ----------
    inputs : (n_steps,) independent random numbers that drove the liquid, one per step
    states : (n_steps, n_features), read at the end of each step; cut a warm-up off both first
    max_delay : int, > 0, in steps
    alpha : float, > 0, penalty of the readouts
    train_fraction : float in (0, 1), share of the steps to train on

    Returns
    -------
    (max_delay,) float64 in [0, 1], entry k for a delay of k + 1 steps; without memory about 1 / n_test, not 0

    Raises
    ------
    ValueError : not finite, unequal lengths, a delay or a fraction that leaves fewer than two steps on either side.

    Source: Jaeger 2001, Short term memory in echo state networks, GMD report 152.   Deviates: held-out steps.
    """
    states = check_states(states)
    inputs = np.asarray(inputs, dtype=np.float64)
    if inputs.shape != (len(states),) or not np.isfinite(inputs).all():
        raise ValueError(f"inputs of shape {inputs.shape} for {len(states)} states: give one finite number per step.")
    if not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction={train_fraction} is outside (0, 1), e.g. 0.5.")
    n_used = len(states) - max_delay
    n_train = round(train_fraction * n_used)
    if max_delay < 1 or n_train < 2 or n_used - n_train < 2:
        raise ValueError(
            f"max_delay={max_delay} with {len(states)} steps and train_fraction={train_fraction} is not allowed: it "
            "must be >= 1 and leave at least two steps to train on and two to test."
        )
    delayed = np.stack([inputs[max_delay - delay : len(inputs) - delay] for delay in range(1, max_delay + 1)], axis=1)
    seen = states[max_delay:]
    readout = RidgeReadout(alpha).fit(seen[:n_train], delayed[:n_train])
    wanted, found = delayed[n_train:], readout.outputs(seen[n_train:])
    varies = np.all([np.ptp(x, axis=0) > 1e-12 * np.abs(x).max(axis=0) for x in (wanted, found)], axis=0)
    wanted, found = wanted - wanted.mean(axis=0), found - found.mean(axis=0)
    power = np.square(wanted).sum(axis=0) * np.square(found).sum(axis=0)
    shared = np.square((wanted * found).sum(axis=0))
    return np.minimum(shared / np.where(varies, power, np.inf), 1.0)  # a constant output remembers nothing


def memory_capacity(
    inputs: ArrayLike, states: ArrayLike, max_delay: int, *, alpha: float = 1e-3, train_fraction: float = 0.5
) -> float:
    """Short-term memory in steps: the sum of `memory_curve`, at most the number of features for independent inputs.

    Parameters, errors and source are those of `memory_curve`.
    """
    return float(memory_curve(inputs, states, max_delay, alpha=alpha, train_fraction=train_fraction).sum())


def _check_counts(counts: ArrayLike) -> FloatArray:
    """Spike counts as a float array (n_neurons, n_trials or n_bins)."""
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"counts have shape {array.shape}: give (n_neurons, n_bins), e.g. trains.counts(bin_ms).")
    if not (array >= 0).all() or not np.isfinite(array).all():
        wrong = array[~(array >= 0) | ~np.isfinite(array)][0]
        raise ValueError(f"counts hold {wrong}: a spike count must be finite and >= 0.")
    return array
