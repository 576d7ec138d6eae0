"""Measures against closed forms, invariants and Elephant."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snn.encoding import poisson_rate
from snn.measures import (
    cv_isi,
    fano_factor,
    filtered_trace,
    generalisation_rank,
    kernel_rank,
    memory_capacity,
    memory_curve,
    pairwise_correlation,
    rates_hz,
    separation,
)
from snn.spike_trains import SpikeTrains

NO_ELEPHANT = "Elephant is the second implementation of this test; it is in the extra `test`"


def trains_of(*steps_of_neuron, n_steps=1000, resolution_ms=0.1):
    """Spike trains from one list of steps per neuron."""
    steps = np.array([step for steps in steps_of_neuron for step in steps], dtype=np.int64)
    neurons = np.array([i for i, steps in enumerate(steps_of_neuron) for _ in steps], dtype=np.int64)
    return SpikeTrains.from_unsorted(steps, neurons, resolution_ms, n_steps, {"liquid": len(steps_of_neuron)})


def poisson_trains(n_neurons=12, seed=0):
    """Poisson trains of 1 s at 0.1 ms, among them a silent neuron and one of few spikes."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(20, 120, n_neurons)
    rates[0], rates[1] = 0.0, 3.0
    return poisson_rate(rates, 1000.0, 0.1, rng)


def elephant_module(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(f"elephant.{name}", reason=NO_ELEPHANT)


def neo_trains(trains):
    """One neo.SpikeTrain per neuron, in the middle of each step: away from the borders of half-open bins."""
    import neo

    times_ms = (trains.steps - 0.5) * trains.resolution_ms
    return [
        neo.SpikeTrain(times_ms[trains.neurons == i], units="ms", t_stop=trains.duration_ms)
        for i in range(trains.n_neurons)
    ]


# --- Elephant ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # Elephant, neo and quantities warn about silent trains and old NumPy names
def test_rates_cv_and_fano_factor_equal_elephant():
    statistics = elephant_module("statistics")
    trains = poisson_trains()
    theirs = neo_trains(trains)
    rates = [float(statistics.mean_firing_rate(train).rescale("Hz")) for train in theirs]
    np.testing.assert_allclose(rates_hz(trains), rates, atol=1e-6)
    cv = [statistics.cv(statistics.isi(train).magnitude) if len(train) > 2 else np.nan for train in theirs]
    np.testing.assert_allclose(cv_isi(trains), cv, atol=1e-6)
    across_neurons = fano_factor(trains.counts().T)
    np.testing.assert_allclose(across_neurons, [statistics.fanofactor(theirs)], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_fano_factor_of_a_neuron_over_trials_equals_elephant():
    statistics = elephant_module("statistics")
    trials = [poisson_trains(seed=seed) for seed in range(6)]
    theirs = list(zip(*(neo_trains(trains) for trains in trials), strict=True))
    found = fano_factor(np.hstack([trains.counts() for trains in trials]))
    np.testing.assert_allclose(found, [statistics.fanofactor(list(of_neuron)) for of_neuron in theirs], atol=1e-6)
    assert np.isnan(found[0])  # silent in all trials


@pytest.mark.filterwarnings("ignore")
def test_correlation_equals_elephant():
    correlation = elephant_module("spike_train_correlation")
    conversion = elephant_module("conversion")
    import quantities

    trains = poisson_trains()
    binned = conversion.BinnedSpikeTrain(neo_trains(trains), bin_size=5 * quantities.ms)
    np.testing.assert_array_equal(binned.to_array(), trains.counts(bin_ms=5.0))
    theirs = correlation.correlation_coefficient(binned, binary=False)
    np.testing.assert_allclose(pairwise_correlation(trains.counts(bin_ms=5.0)), theirs, atol=1e-6)


# --- statistics of spike trains ----------------------------------------------------------------------------------


def test_rates_are_spikes_per_second_and_zero_for_silence():
    np.testing.assert_allclose(rates_hz(trains_of([1, 500, 1000], [], [7])), [30.0, 0.0, 10.0])


def test_rates_of_an_empty_recording_are_refused():
    with pytest.raises(ValueError, match="the recording has 0 steps: a rate needs at least one"):
        rates_hz(trains_of([], n_steps=0))


def test_cv_is_zero_for_a_clock_and_the_closed_form_for_two_intervals():
    cv = cv_isi(trains_of(range(10, 1000, 10), [100, 110, 140], [5]))
    np.testing.assert_allclose(cv, [0.0, 10 / 20, np.nan], atol=1e-12)  # intervals 10 and 30: mean 20, deviation 10


@pytest.mark.parametrize("steps", [[], [5], [5, 9], [5, 5, 5]])
def test_cv_needs_two_intervals_that_are_not_all_zero(steps):
    assert np.isnan(cv_isi(trains_of(steps, [1, 2, 3]))[0])


def test_cv_and_fano_factor_of_a_poisson_process_are_one():
    trains = poisson_rate(np.full(200, 100.0), 5000.0, 0.1, np.random.default_rng(0))
    assert np.mean(cv_isi(trains)) == pytest.approx(1.0, abs=0.01)
    assert np.mean(fano_factor(trains.counts(bin_ms=50.0))) == pytest.approx(1.0, abs=0.02)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=3, max_size=20, unique=True), st.sampled_from([0.1, 0.5, 1.0]))
def test_cv_depends_neither_on_the_resolution_nor_on_the_direction_of_time(steps, resolution_ms):
    cv = cv_isi(trains_of(steps))
    backwards = [1001 - step for step in steps]
    np.testing.assert_allclose(cv_isi(trains_of(backwards, resolution_ms=resolution_ms)), cv, rtol=1e-9, atol=1e-12)


def test_fano_factor_is_zero_for_equal_counts_and_the_closed_form_otherwise():
    np.testing.assert_allclose(fano_factor([[4, 4, 4], [0, 0, 6], [0, 0, 0]]), [0.0, 8 / 2, np.nan])


def test_copies_correlate_fully_opposites_negatively_and_constant_counts_not_at_all():
    counts = np.array([[0, 1, 2, 1], [0, 2, 4, 2], [2, 1, 0, 1], [3, 3, 3, 3], [0, 0, 0, 0]])
    found = pairwise_correlation(counts)
    np.testing.assert_allclose(found[:3, :3], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-12)
    assert np.isnan(found[3:]).all()
    assert np.isnan(found[:, 3:]).all()


@settings(derandomize=True, deadline=None)
@given(arrays(int, st.tuples(st.integers(1, 5), st.integers(1, 12)), elements=st.integers(0, 9)))
def test_correlation_is_symmetric_within_one_and_one_on_the_diagonal(counts):
    found = pairwise_correlation(counts)
    varies = np.ptp(counts, axis=1) > 0
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.isnan(found), ~(varies[:, np.newaxis] & varies))
    np.testing.assert_array_equal(np.diag(found)[varies], 1.0)
    assert (np.abs(found[varies][:, varies]) <= 1).all()


@pytest.mark.parametrize("measure", [fano_factor, pairwise_correlation])
@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2], r"counts have shape \(2,\)"),
        (np.zeros((0, 3)), r"counts have shape \(0, 3\)"),
        ([[1, -1]], r"counts hold -1\.0"),
        ([[1, np.nan]], "counts hold nan"),
        ([[1, np.inf]], "counts hold inf"),
    ],
)
def test_counts_that_mean_nothing_are_refused(measure, counts, message):
    with pytest.raises(ValueError, match=message):
        measure(counts)


# --- filtered trace ----------------------------------------------------------------------------------------------


def direct_trace(trains, tau_ms, at_ms):
    """The definition, spike by spike; instants must not lie on spikes."""
    trace = np.zeros((trains.n_neurons, len(at_ms)))
    for step, neuron in zip(trains.steps, trains.neurons, strict=True):
        age_ms = np.asarray(at_ms) - step * trains.resolution_ms
        trace[neuron] += np.where(age_ms >= 0, np.exp(-np.maximum(age_ms, 0) / tau_ms), 0.0)
    return trace


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 100), max_size=6), min_size=1, max_size=4),
    st.lists(st.integers(0, 99), min_size=1, max_size=6),
    st.floats(0.5, 100),
)
def test_trace_is_the_sum_of_decayed_spikes_for_instants_in_any_order(steps, instants, tau_ms):
    trains = trains_of(*steps, n_steps=100)
    at_ms = (np.array(instants) + 0.37) * 0.1  # between steps
    np.testing.assert_allclose(
        filtered_trace(trains, tau_ms, at_ms), direct_trace(trains, tau_ms, at_ms), rtol=1e-9, atol=1e-15
    )


def test_a_spike_counts_fully_at_its_own_instant_whatever_the_rounding_of_its_time():
    steps = np.arange(1, 1001)
    trains = trains_of(steps)
    at_ms = [0.3, 0.7, 100.0]  # 3 * 0.1 and 7 * 0.1 are above 0.3 and 0.7 in floats
    ratio = np.exp(-0.1 / 20.0)
    expected = [(1 - ratio**n) / (1 - ratio) for n in (3, 7, 1000)]  # geometric series
    np.testing.assert_allclose(filtered_trace(trains, 20.0, at_ms), [expected])


def test_trace_before_any_spike_is_zero_and_a_single_instant_needs_no_list():
    np.testing.assert_array_equal(filtered_trace(trains_of([9], []), 5.0, 0.0), [[0.0], [0.0]])
    silent = filtered_trace(trains_of([], []), 5.0, [1.0, 2.0])
    np.testing.assert_array_equal(silent, np.zeros((2, 2)))
    assert silent.dtype == np.float64


@pytest.mark.parametrize(
    ("tau_ms", "at_ms", "message"),
    [
        (0.0, [1.0], r"tau_ms=0\.0 is not allowed"),
        (np.nan, [1.0], "tau_ms=nan is not allowed"),
        (5.0, [], r"at_ms has shape \(0,\)"),
        (5.0, [[1.0]], r"at_ms has shape \(1, 1\)"),
        (5.0, [1.0, -0.5], r"at_ms holds -0\.5, outside the recording of 0 … 100\.0 ms"),
        (5.0, [101.0], r"at_ms holds 101\.0, outside"),
        (5.0, [np.nan], "at_ms holds nan, outside"),
    ],
)
def test_trace_refuses_constants_and_instants_that_mean_nothing(tau_ms, at_ms, message):
    with pytest.raises(ValueError, match=message):
        filtered_trace(trains_of([1]), tau_ms, at_ms)


# --- liquid states -----------------------------------------------------------------------------------------------


def test_separation_of_two_points_is_half_their_distance():
    # four pairs of means, two of them at distance 5; no spread
    assert separation([[0.0, 0.0], [3.0, 4.0]], ["a", "b"]) == pytest.approx(2.5)


def test_separation_falls_with_the_spread_within_classes():
    # means at 0 and 10: inter 5; every state 1 from its mean: intra 1
    assert separation([[-1.0], [1.0], [9.0], [11.0]], [0, 0, 1, 1]) == pytest.approx(5 / 2)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 1000))
def test_separation_does_not_depend_on_position_rotation_and_order(seed):
    rng = np.random.default_rng(seed)
    states, classes = rng.normal(size=(12, 4)), np.arange(12) % 3
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    order = rng.permutation(12)
    moved = (states @ rotation + 7.0)[order]
    assert separation(moved, classes[order]) == pytest.approx(separation(states, classes), rel=1e-9)


@pytest.mark.parametrize(
    ("states", "classes", "message"),
    [
        (np.eye(3), [0, 1], r"classes have shape \(2,\), but there are 3 states"),
        (np.eye(3), [4, 4, 4], "all trials are of class 4: separation needs at least two"),
        ([[np.nan], [1.0]], [0, 1], r"states\[0, 0\]=nan"),
        ([1.0, 2.0], [0, 1], r"states have shape \(2,\)"),
    ],
)
def test_separation_refuses_states_and_classes_that_do_not_fit(states, classes, message):
    with pytest.raises(ValueError, match=message):
        separation(states, classes)


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 6), st.integers(0, 1000))
def test_kernel_rank_finds_the_rank_the_states_were_made_with(rank, seed):
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(9, rank)) @ rng.normal(size=(rank, 7)) if rank else np.zeros((9, 7))
    assert kernel_rank(states) == rank


def test_a_tolerance_takes_small_differences_for_none():
    states = np.diag([10.0, 1.0, 0.01])
    assert [kernel_rank(states, tolerance) for tolerance in (None, 0.1, 5.0)] == [3, 2, 1]


def test_versions_that_the_liquid_takes_for_the_same_have_rank_one():
    versions = np.tile([3.0, 1.0, 4.0], (5, 1))
    assert generalisation_rank(versions) == 1.0
    assert generalisation_rank([versions[:3], np.eye(3)]) == 2.0  # mean of the ranks 1 and 3


@pytest.mark.parametrize("rank", [kernel_rank, generalisation_rank])
@pytest.mark.parametrize(
    ("states", "tolerance", "message"),
    [
        ([1.0, 2.0], None, r"states have shape \(2,\)"),
        ([[1.0, np.inf]], None, r"states\[0, 1\]=inf"),
        (np.eye(2), 0.0, r"tolerance=0\.0 is not allowed"),
        (np.eye(2), np.nan, "tolerance=nan is not allowed"),
    ],
)
def test_ranks_refuse_states_and_tolerances_that_mean_nothing(rank, states, tolerance, message):
    with pytest.raises(ValueError, match=message):
        rank(states, tolerance)


# --- memory ------------------------------------------------------------------------------------------------------


def delay_line(inputs, n_delays):
    """States that hold the last `n_delays` inputs before the present one."""
    states = np.zeros((len(inputs), n_delays))
    for k in range(1, n_delays + 1):
        states[k:, k - 1] = inputs[:-k]
    return states


def test_a_delay_line_remembers_exactly_its_length():
    inputs = np.random.default_rng(0).uniform(-1, 1, 4000)
    states = delay_line(inputs, 5)
    curve = memory_curve(inputs, states, 10)
    np.testing.assert_allclose(curve[:5], 1.0, atol=1e-6)
    assert (curve[5:] < 0.01).all()  # chance: about 1 / 2000
    assert memory_capacity(inputs, states, 10) == pytest.approx(curve.sum())
    assert memory_capacity(inputs, states, 5) == pytest.approx(5.0, abs=1e-5)


def test_mixing_the_states_linearly_does_not_change_the_memory():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, 2000)
    mixed = delay_line(inputs, 4) @ np.linalg.qr(rng.normal(size=(4, 4)))[0] * 50 + 3
    assert memory_capacity(inputs, mixed, 4, alpha=1e-6) == pytest.approx(4.0, abs=1e-5)


def test_a_noisy_memory_has_the_capacity_of_its_signal_share():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=20_000)
    states = (delay_line(inputs, 1)[:, 0] + 0.5 * rng.normal(size=20_000))[:, np.newaxis]
    assert memory_curve(inputs, states, 1)[0] == pytest.approx(1 / (1 + 0.25), abs=0.02)


def test_states_without_input_or_without_change_remember_nothing():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=4000)
    assert memory_capacity(inputs, rng.normal(size=(4000, 3)), 5) < 0.02
    assert memory_capacity(inputs, np.ones((4000, 3)), 5) == 0.0


@pytest.mark.parametrize(
    ("inputs", "states", "settings", "message"),
    [
        (np.ones(9), np.ones((10, 2)), {}, r"inputs of shape \(9,\) for 10 states"),
        (np.full(10, np.nan), np.ones((10, 2)), {}, r"inputs of shape \(10,\).*finite number per step"),
        (np.ones(10), np.full((10, 2), np.nan), {}, r"states\[0, 0\]=nan"),
        (np.ones(10), np.ones((10, 2)), {"max_delay": 0}, "max_delay=0 with 10 steps"),
        (np.ones(10), np.ones((10, 2)), {"max_delay": 7}, "max_delay=7 with 10 steps .* at least two steps to train"),
        (np.ones(10), np.ones((10, 2)), {"train_fraction": 1.0}, r"train_fraction=1\.0 is outside \(0, 1\)"),
        (np.ones(10), np.ones((10, 2)), {"alpha": 0.0}, r"alpha=0\.0 is not allowed"),
    ],
)
def test_memory_refuses_inputs_that_do_not_fit(inputs, states, settings, message):
    with pytest.raises(ValueError, match=message):
        memory_capacity(inputs, states, **{"max_delay": 2, **settings})
