"""Stimuli to spike trains: laws of the encoders, exact times, and every refusal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from snn.encoding import (
    grey_value_rates,
    latency,
    poisson_rate,
    poisson_rate_counts,
    raw_spikes,
    threshold_crossing,
)


def rng(seed=0):
    return np.random.default_rng(seed)


# --- Poisson -----------------------------------------------------------------------------------------------------


def test_poisson_counts_follow_the_poisson_law_of_rate_times_duration():
    counts = poisson_rate(np.full(4000, 40.0), 100.0, 0.1, rng()).counts()[:, 0]
    values = np.arange(9)  # mean 4; the last class holds the tail
    expected = stats.poisson.pmf(values, 4.0)
    expected[-1] = stats.poisson.sf(values[-2], 4.0)
    observed = np.bincount(np.minimum(counts, values[-1]), minlength=len(values))
    assert stats.chisquare(observed, expected * len(counts)).pvalue > 1e-3


def test_poisson_spikes_fall_evenly_on_all_steps_and_steps_are_independent():
    trains = poisson_rate(np.full(2000, 500.0), 10.0, 1.0, rng(1))
    per_step = np.bincount(trains.steps, minlength=11)[1:]
    assert stats.chisquare(per_step).pvalue > 1e-3
    counts = trains.counts(bin_ms=1.0)  # mean 0.5 per step: several spikes of a neuron in a step do occur
    assert counts.max() > 1
    assert counts.var() == pytest.approx(counts.mean(), rel=0.05)
    np.testing.assert_allclose(np.corrcoef(counts.T), np.eye(10), atol=0.1)


def test_poisson_rates_of_bins_hold_within_their_bin():
    trains = poisson_rate([[0.0, 1000.0], [2000.0, 0.0]], 2000.0, 1.0, rng())
    counts = trains.counts(bin_ms=1000.0)
    assert counts[0, 0] == counts[1, 1] == 0
    assert abs(counts[0, 1] - 1000) < 5 * np.sqrt(1000)
    assert abs(counts[1, 0] - 2000) < 5 * np.sqrt(2000)


def test_poisson_with_equal_bins_is_the_same_law_as_one_bin():
    one = poisson_rate(np.full(3000, 30.0), 100.0, 1.0, rng(0)).counts()[:, 0]
    four = poisson_rate(np.full((3000, 4), 30.0), 100.0, 1.0, rng(1)).counts()[:, 0]
    assert stats.ks_2samp(one, four).pvalue > 1e-3


def test_poisson_is_reproduced_by_its_seed_and_silent_at_rate_zero():
    first, second = (poisson_rate([10.0, 0.0, 100.0], 500.0, 0.1, rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first.steps, second.steps)
    np.testing.assert_array_equal(first.neurons, second.neurons)
    assert first.counts()[1, 0] == 0
    assert dict(first.populations) == {"input": 3}
    assert first.n_steps == 5000


@pytest.mark.parametrize("rates_hz", [[100.0, 0.0, 3000.0], [[0.0, 900.0], [2000.0, 0.0]], [0.0]])
def test_poisson_counts_per_step_are_those_of_the_same_spikes(rates_hz):
    counts = poisson_rate_counts(rates_hz, 100.0, 0.5, rng(3))
    np.testing.assert_array_equal(counts, poisson_rate(rates_hz, 100.0, 0.5, rng(3)).counts(bin_ms=0.5))


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([5.0, -1.0], r"rates_hz holds -1\.0 Hz: a rate must be >= 0"),
        ([5.0, np.nan], "rates_hz holds nan"),
        ([np.inf], "rates_hz holds inf"),
        ([], r"rates_hz has shape \(0,\)"),
        (5.0, r"rates_hz has shape \(\)"),
        (np.ones((2, 2, 2)), r"rates_hz has shape \(2, 2, 2\)"),
        (np.ones((2, 3)), "3 bins, which do not divide the 100 steps"),
    ],
)
def test_poisson_refuses_rates_that_mean_nothing(rates, message):
    with pytest.raises(ValueError, match=message):
        poisson_rate(rates, 100.0, 1.0, rng())


@pytest.mark.parametrize(
    ("duration_ms", "resolution_ms", "message"),
    [
        (-1.0, 0.1, r"duration_ms=-1\.0 is not allowed"),
        (0.0, 0.1, r"duration_ms=0\.0 is not allowed"),
        (np.nan, 0.1, "duration_ms=nan is not allowed"),
        (1.05, 0.1, r"duration_ms=1\.05 is not a whole number of steps of 0\.1 ms"),
        (0.01, 0.1, r"duration_ms=0\.01 is not a whole number"),
        (10.0, 0.0, r"resolution_ms=0\.0 is not allowed"),
        (10.0, np.inf, "resolution_ms=inf is not allowed"),
    ],
)
@pytest.mark.parametrize("encoder", ["poisson", "latency", "crossing", "raw"])
def test_every_encoder_refuses_times_off_the_grid(encoder, duration_ms, resolution_ms, message):
    encode = {
        "poisson": lambda: poisson_rate([1.0], duration_ms, resolution_ms, rng()),
        "latency": lambda: latency([1.0], duration_ms, resolution_ms),
        "crossing": lambda: threshold_crossing([[0.0, 1.0]], [0.5], duration_ms, resolution_ms),
        "raw": lambda: raw_spikes([], [], 1, duration_ms, resolution_ms),
    }[encoder]
    with pytest.raises(ValueError, match=message.replace("duration_ms", "(duration|sample)_ms")):
        encode()


@pytest.mark.parametrize(
    "encode",
    [
        lambda: poisson_rate([1.0], 1.0, 0.1, rng(), population="pixels"),
        lambda: latency([1.0], 1.0, 0.1, population="pixels"),
        lambda: threshold_crossing([[0.0, 1.0]], [0.5], 1.0, 0.1, population="pixels"),
        lambda: raw_spikes([0.1], [0], 1, 1.0, 0.1, population="pixels"),
    ],
)
def test_the_population_carries_the_given_name(encode):
    assert list(encode().populations) == ["pixels"]


# --- latency -----------------------------------------------------------------------------------------------------


def test_latency_is_linear_from_the_first_step_to_the_last():
    trains = latency([1.0, 0.5, 0.0, 1e-12, 0.25], 10.1, 0.1)
    steps = dict(zip(trains.neurons.tolist(), trains.steps.tolist(), strict=True))
    assert steps == {0: 1, 1: 51, 3: 101, 4: 76}


def test_latency_below_the_threshold_is_silence_and_at_it_a_spike():
    trains = latency([0.2, 0.3, 0.4, 0.0], 10.0, 1.0, threshold=0.3)
    np.testing.assert_array_equal(np.sort(trains.neurons), [1, 2])


@settings(derandomize=True, deadline=None)
@given(arrays(float, st.integers(1, 20), elements=st.floats(0, 1)))
def test_latency_never_lets_a_larger_value_fire_later(values):
    trains = latency(values, 20.0, 0.5)
    np.testing.assert_array_equal(np.sort(trains.neurons), np.flatnonzero(values > 0))
    in_order_of_time = values[trains.neurons]
    later = trains.steps[:, np.newaxis] > trains.steps
    assert not (later & (in_order_of_time[:, np.newaxis] > in_order_of_time)).any()


@pytest.mark.parametrize(
    ("values", "threshold", "message"),
    [
        ([0.5, 1.2], 0.0, r"values span 0\.5 … 1\.2, outside \[0, 1\]"),
        ([-0.1, 1.0], 0.0, r"values span -0\.1"),
        ([np.nan], 0.0, "values holds nan"),
        ([[0.5]], 0.0, r"values has shape \(1, 1\)"),
        ([0.5], 1.5, r"threshold=1\.5 is outside \[0, 1\]"),
        ([0.5], np.nan, "threshold=nan is outside"),
    ],
)
def test_latency_refuses_values_outside_the_unit_interval(values, threshold, message):
    with pytest.raises(ValueError, match=message):
        latency(values, 10.0, 1.0, threshold=threshold)


# --- threshold crossing ------------------------------------------------------------------------------------------


def test_a_ramp_crosses_each_threshold_once_at_the_sample_that_reaches_it():
    trains = threshold_crossing([[0.0, 1.0, 2.0, 3.0, 0.0]], [0.5, 2.0, 9.0], 2.0, 0.5)
    # neurons: up and down of 0.5, of 2.0, of 9.0; samples last 4 steps
    spikes = list(zip(trains.steps.tolist(), trains.neurons.tolist(), strict=True))
    assert spikes == [(5, 0), (9, 2), (17, 1), (17, 3)]
    assert trains.n_neurons == 6
    assert trains.duration_ms == 10.0


def test_an_image_read_pixel_by_pixel_is_one_channel():
    image = np.array([[0, 9], [9, 0]])
    trains = threshold_crossing(image.reshape(1, -1), [5], 1.0, 1.0)
    assert list(zip(trains.steps.tolist(), trains.neurons.tolist(), strict=True)) == [(2, 0), (4, 1)]


signals = arrays(float, st.tuples(st.integers(1, 3), st.integers(1, 12)), elements=st.floats(-2, 2))


@settings(derandomize=True, deadline=None)
@given(signals)
def test_up_and_down_spikes_of_a_threshold_alternate_and_tell_where_the_signal_is(signal):
    thresholds = [-1.0, 0.0, 0.7]
    trains = threshold_crossing(signal, thresholds, 1.0, 1.0)
    is_up = np.zeros((trains.n_neurons, signal.shape[1]), dtype=int)
    is_up[trains.neurons, trains.steps - 1] = 1
    change = (is_up[0::2] - is_up[1::2]).reshape(len(signal), len(thresholds), -1)
    for channel, samples in enumerate(signal):
        for k, threshold in enumerate(thresholds):
            is_above = samples[0] >= threshold
            np.testing.assert_array_equal(is_above + np.cumsum(change[channel, k]), samples >= threshold)


@settings(derandomize=True, deadline=None)
@given(signals)
def test_reading_the_signal_backwards_swaps_up_and_down(signal):
    forwards = threshold_crossing(signal, [0.0, 1.0], 1.0, 1.0).counts().reshape(-1, 2)
    backwards = threshold_crossing(signal[:, ::-1], [0.0, 1.0], 1.0, 1.0).counts().reshape(-1, 2)
    np.testing.assert_array_equal(forwards, backwards[:, ::-1])


@pytest.mark.parametrize(
    ("signal", "thresholds", "message"),
    [
        ([0.0, 1.0], [0.5], r"signal has shape \(2,\)"),
        ([[0.0, np.nan]], [0.5], "signal holds nan"),
        ([[0.0, 1.0]], [], r"thresholds has shape \(0,\)"),
        ([[0.0, 1.0]], [np.inf], "thresholds holds inf"),
    ],
)
def test_threshold_crossing_refuses_signals_and_thresholds_that_mean_nothing(signal, thresholds, message):
    with pytest.raises(ValueError, match=message):
        threshold_crossing(signal, thresholds, 1.0, 0.1)


# --- raw spikes --------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 4)), max_size=30), st.sampled_from([0.1, 0.25, 1.0]))
def test_raw_spikes_keep_every_spike_in_its_step(spikes, resolution_ms):
    steps, neurons = np.array(spikes, dtype=int).reshape(-1, 2).T
    trains = raw_spikes(steps * resolution_ms, neurons, 5, 10_000 * resolution_ms, resolution_ms)
    kept = sorted(zip(trains.steps.tolist(), trains.neurons.tolist(), strict=True))
    assert kept == sorted(spikes)
    assert trains.n_steps == 10_000


@pytest.mark.parametrize(
    ("times", "neurons", "message"),
    [
        ([0.1, 0.25], [0, 0], r"times_ms\[1\]=0\.25 is off the grid of 0\.1 ms"),
        ([0.0], [0], r"times_ms\[0\]=0\.0 is outside \(0, 10\.0\] ms"),
        ([-0.1], [0], r"times_ms\[0\]=-0\.1 is outside"),
        ([1.0, 10.1], [0, 0], r"times_ms\[1\]=10\.1 is outside"),
        ([np.nan], [0], "times_ms holds nan"),
        ([[1.0]], [[0]], r"times_ms has shape \(1, 1\)"),
        ([1.0, 2.0], [0], r"neurons has shape \(1,\), times_ms \(2,\)"),
        ([1.0], [2], r"neuron 2 is outside 0 … 1"),
        ([1.0], [-1], "neuron -1 is outside"),
        ([1.0], [0.5], "neurons has dtype float64"),
    ],
)
def test_raw_spikes_name_the_spike_that_does_not_fit(times, neurons, message):
    with pytest.raises(ValueError, match=message):
        raw_spikes(times, neurons, 2, 10.0, 0.1)


def test_raw_spikes_need_a_neuron():
    with pytest.raises(ValueError, match="n_neurons=0 is not allowed"):
        raw_spikes([], [], 0, 10.0, 0.1)


# --- grey values -------------------------------------------------------------------------------------------------


def test_grey_values_run_linearly_from_the_minimum_to_the_maximum_rate():
    np.testing.assert_allclose(grey_value_rates([[0, 4], [8, 16]]), [1.0, 25.75, 50.5, 100.0])


def test_a_black_image_is_at_the_minimum_rate():
    np.testing.assert_array_equal(grey_value_rates(np.zeros((2, 2)), 80.0, 3.0), [3.0] * 4)


@settings(derandomize=True, deadline=None)
@given(arrays(int, 6, elements=st.integers(0, 255)), st.floats(0.001, 1000))
def test_brightness_of_the_whole_image_does_not_matter(pixels, factor):
    np.testing.assert_allclose(grey_value_rates(pixels * factor), grey_value_rates(pixels), rtol=1e-12)


@pytest.mark.parametrize(
    ("pixels", "rates", "message"),
    [
        ([1.0, -2.0], (100.0, 1.0), r"pixels holds -2\.0"),
        ([np.nan], (100.0, 1.0), "pixels holds nan"),
        ([], (100.0, 1.0), r"pixels has shape \(0,\)"),
        ([1.0], (1.0, 2.0), r"min_rate_hz=2\.0 and max_rate_hz=1\.0"),
        ([1.0], (1.0, -1.0), r"min_rate_hz=-1\.0"),
        ([1.0], (np.inf, 1.0), "max_rate_hz=inf"),
    ],
)
def test_grey_values_refuse_pixels_and_rates_that_mean_nothing(pixels, rates, message):
    with pytest.raises(ValueError, match=message):
        grey_value_rates(pixels, *rates)
