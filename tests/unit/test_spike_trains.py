"""Spike trains: exact steps, checked order, cutting, counting, and the way to Neo."""

import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn.spike_trains import SpikeTrains, is_whole, whole_steps

RESOLUTIONS_MS = (0.1, 0.25, 1.0)


@st.composite
def recordings(draw):
    """Any small recording: empty populations, empty recordings and repeated spikes included."""
    names = draw(st.lists(st.sampled_from(["input", "hidden", "output"]), unique=True))
    populations = {name: draw(st.integers(0, 4)) for name in names}
    n_steps, n_neurons = draw(st.integers(0, 24)), sum(populations.values())
    can_fire = n_steps > 0 and n_neurons > 0
    spike = st.tuples(st.integers(1, max(n_steps, 1)), st.integers(0, max(n_neurons - 1, 0)))
    spikes = np.array(draw(st.lists(spike, max_size=40 if can_fire else 0)), dtype=np.int64).reshape(-1, 2)
    resolution_ms = draw(st.sampled_from(RESOLUTIONS_MS))
    return SpikeTrains.from_unsorted(spikes[:, 0], spikes[:, 1], resolution_ms, n_steps, populations)


def make_trains(spikes, resolution_ms=1.0, n_steps=10, **populations):
    steps, neurons = np.array(spikes, dtype=np.int64).reshape(-1, 2).T
    return SpikeTrains(steps, neurons, resolution_ms, n_steps, populations or {"all": 3})


@pytest.mark.parametrize(
    ("spikes", "options", "message"),
    [
        ([(0, 0)], {}, r"steps 0 … 0, outside 1 … 10"),
        ([(1, 0), (11, 0)], {}, r"steps 1 … 11, outside 1 … 10"),
        ([(1, 3)], {}, r"neurons 3 … 3, outside 0 … 2"),
        ([(1, -1)], {}, r"neurons -1 … -1, outside 0 … 2"),
        ([(2, 0), (1, 0)], {}, r"not sorted by step, then neuron: use SpikeTrains.from_unsorted"),
        ([(1, 1), (1, 0)], {}, r"not sorted by step, then neuron"),
        ([], {"resolution_ms": 0.0}, r"resolution_ms=0.0 is not allowed: it must be > 0"),
        ([], {"resolution_ms": np.nan}, r"resolution_ms=nan"),
        ([], {"n_steps": -1}, r"n_steps=-1 is not allowed"),
        ([], {"hidden": -2}, r"hidden=-2 is not allowed"),
    ],
)
def test_what_is_no_recording_is_refused(spikes, options, message):
    with pytest.raises(ValueError, match=message):
        make_trains(spikes, **options)


@pytest.mark.parametrize("steps", [np.array([1.0]), np.array([[1]]), np.array([True]), [1.5], ["1"], 1, None])
def test_only_flat_whole_numbers_are_accepted(steps):
    for name, arguments in (("steps", (steps, [0])), ("neurons", ([1], steps))):
        for make in (SpikeTrains, SpikeTrains.from_unsorted):
            with pytest.raises(
                ValueError, match=rf"{name} has shape .* and type .*: give a flat list or array of whole"
            ):
                make(*arguments, 1.0, 10, {"all": 1})
    with pytest.raises(ValueError, match="steps is no flat list: give one whole number per spike"):
        SpikeTrains([[1], [1, 2]], [0], 1.0, 10, {"all": 1})


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda values: np.array(values, dtype=np.uint16)])
def test_lists_and_arrays_of_any_whole_numbers_give_the_same_trains(kind):
    expected = make_trains([(1, 0), (3, 2)])
    assert SpikeTrains(kind([1, 3]), kind([0, 2]), 1.0, 10, {"all": 3}).equals(expected)
    trains = SpikeTrains.from_unsorted(kind([3, 1]), kind([2, 0]), 1.0, 10, {"all": 3})
    assert trains.equals(expected)
    assert trains.steps.dtype == trains.neurons.dtype == np.int64
    assert SpikeTrains(kind([]), kind([]), 1.0, 10, {"all": 3}).equals(make_trains([]))


@given(st.integers(1, 10**9), st.sampled_from([0.001, 0.1, 0.3, 1 / 3, 1.0, 20.0]))
def test_a_multiple_of_the_resolution_is_that_many_steps_and_a_broken_one_is_none(n_steps, resolution_ms):
    assert whole_steps(n_steps * resolution_ms, resolution_ms) == n_steps
    assert whole_steps(sum([resolution_ms] * 10), resolution_ms) == 10
    if n_steps < 10**7:
        with pytest.raises(ValueError, match=r"bin_ms=.* is not a whole number of steps of .* ms: use a multiple"):
            whole_steps((n_steps + 0.3) * resolution_ms, resolution_ms, "bin_ms")


@pytest.mark.parametrize(
    ("duration_ms", "resolution_ms", "message"),
    [
        (1.0, 0.0, "resolution_ms=0.0 is not allowed"), (1.0, np.nan, "resolution_ms=nan"),
        (0.0, 1.0, "duration_ms=0.0 is not allowed: it must be > 0"), (-1.0, 1.0, "duration_ms=-1.0"),
        (np.inf, 1.0, "duration_ms=inf"), (np.nan, 1.0, "duration_ms=nan"), (1e-9, 1.0, "not a whole number of steps"),
    ],
)  # fmt: skip
def test_durations_of_no_steps_are_refused(duration_ms, resolution_ms, message):
    with pytest.raises(ValueError, match=message):
        whole_steps(duration_ms, resolution_ms)


def test_whole_numbers_are_told_from_broken_ones():
    values = [0.0, -2.0, 3.0 + 1e-7, 3.0 + 1e-5, 0.5, 1e12 + 0.25, np.nan, np.inf]
    assert is_whole(values).tolist() == [True, True, True, False, False, True, False, False]


def test_unequal_lengths_are_refused():
    for make in (SpikeTrains, SpikeTrains.from_unsorted):
        with pytest.raises(ValueError, match="2 steps but 1 neurons"):
            make(np.array([1, 2]), np.array([0]), 1.0, 10, {"all": 1})


@given(recordings(), st.randoms(use_true_random=False))
def test_any_order_of_the_spikes_gives_the_same_trains(trains, random):
    order = list(range(len(trains.steps)))
    random.shuffle(order)
    order = np.array(order, dtype=np.int64)
    shuffled = SpikeTrains.from_unsorted(
        trains.steps[order], trains.neurons[order], trains.resolution_ms, trains.n_steps, trains.populations
    )
    assert shuffled.equals(trains)


def test_equality_sees_every_field():
    trains = make_trains([(1, 0), (2, 1)], a=1, b=2)
    assert trains.equals(make_trains([(1, 0), (2, 1)], a=1, b=2))
    others = [
        make_trains([(1, 0), (3, 1)], a=1, b=2),
        make_trains([(1, 0), (2, 2)], a=1, b=2),
        make_trains([(1, 0)], a=1, b=2),
        make_trains([(1, 0), (2, 1)], a=2, b=1),
        make_trains([(1, 0), (2, 1)], b=1, a=2),
        make_trains([(1, 0), (2, 1)], a=1, c=2),
        make_trains([(1, 0), (2, 1)], n_steps=11, a=1, b=2),
        make_trains([(1, 0), (2, 1)], resolution_ms=0.5, a=1, b=2),
    ]
    assert not any(trains.equals(other) for other in others)
    assert not make_trains([], a=1, b=1).equals(make_trains([], b=1, a=1))  # the order numbers the neurons


@given(recordings())
def test_populations_split_the_trains_of_all_neurons(trains):
    parts = [train for name in trains.populations for train in trains.population(name).trains()]
    assert len(parts) == trains.n_neurons
    for part, train in zip(parts, trains.trains(), strict=True):
        np.testing.assert_array_equal(part, train)


def test_an_unknown_population_is_named_with_the_known_ones():
    with pytest.raises(KeyError, match="no population 'x': the recording holds a, b"):
        make_trains([], a=1, b=2).population("x")


@given(recordings())
def test_trains_are_the_times_of_each_neuron(trains):
    expected = [[] for _ in range(trains.n_neurons)]
    for step, neuron in zip(trains.steps.tolist(), trains.neurons.tolist(), strict=True):
        expected[neuron].append(step * trains.resolution_ms)
    assert [train.tolist() for train in trains.trains()] == expected


@given(recordings(), st.data())
def test_a_recording_cut_in_two_keeps_every_spike_once(trains, data):
    cut = data.draw(st.integers(0, trains.n_steps))
    cut_ms = cut * trains.resolution_ms
    first, second = trains.slice(0, cut_ms), trains.slice(cut_ms, trains.duration_ms)
    assert (first.n_steps, second.n_steps) == (cut, trains.n_steps - cut)
    np.testing.assert_array_equal(np.concatenate([first.steps, second.steps + cut]), trains.steps)
    np.testing.assert_array_equal(np.concatenate([first.neurons, second.neurons]), trains.neurons)
    assert trains.slice(0, trains.duration_ms).equals(trains)


@pytest.mark.parametrize(("start_ms", "stop_ms"), [(-1, 5), (0, 11), (6, 5), (0.5, 5), (0, np.nan)])
def test_a_slice_that_is_no_part_of_the_recording_is_refused(start_ms, stop_ms):
    with pytest.raises(ValueError, match=r"no part of the recording: give multiples of 1.0 ms with .* <= 10.0"):
        make_trains([]).slice(start_ms, stop_ms)


@given(recordings(), st.integers(1, 24))
def test_counts_and_rates_agree_with_counting_one_by_one(trains, n_per_bin):
    bin_ms = n_per_bin * trains.resolution_ms
    if trains.n_steps % n_per_bin:
        with pytest.raises(ValueError, match=r"bin_ms=.* does not divide the recording"):
            trains.counts(bin_ms)
        return
    n_bins = trains.n_steps // n_per_bin
    expected = np.zeros((trains.n_neurons, n_bins), dtype=np.int64)
    for step, neuron in zip(trains.steps, trains.neurons, strict=True):
        expected[neuron, (step - 1) // n_per_bin] += 1  # a spike at the end of a bin belongs to it
    np.testing.assert_array_equal(trains.counts(bin_ms), expected)
    np.testing.assert_array_equal(trains.counts(), expected.sum(axis=1, keepdims=True))
    if trains.n_neurons:
        np.testing.assert_allclose(trains.mean_rate_hz(bin_ms), expected.mean(axis=0) / (bin_ms / 1000))


@pytest.mark.parametrize("bin_ms", [0.0, -1.0, 0.5, 3.0, 20.0, np.inf])
def test_bins_that_do_not_divide_the_recording_are_refused(bin_ms):
    with pytest.raises(ValueError, match=rf"bin_ms={bin_ms} does not divide the recording of 10.0 ms"):
        make_trains([]).mean_rate_hz(bin_ms)


def test_the_rate_of_a_regular_train_is_known():
    trains = make_trains([(step, 0) for step in range(20, 1001, 20)], n_steps=1000, all=2)
    np.testing.assert_allclose(trains.mean_rate_hz(100.0), 25.0)  # one of two neurons at 50 Hz
    np.testing.assert_allclose(trains.mean_rate_hz(), [25.0])


def test_a_million_spikes_are_checked_in_less_than_50_ms():
    rng = np.random.default_rng(0)
    steps, neurons = np.sort(rng.integers(1, 100_001, 1_000_000)), rng.integers(0, 1000, 1_000_000)
    trains = SpikeTrains.from_unsorted(steps, neurons, 0.1, 100_000, {"all": 1000})
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        SpikeTrains(trains.steps, trains.neurons, 0.1, 100_000, {"all": 1000})
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


@pytest.fixture(scope="module")
def neo():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("neo")


@pytest.mark.parametrize("resolution_ms", [0.1, 1.0])
def test_neo_gets_every_train_and_gives_it_back(neo, resolution_ms):
    rng = np.random.default_rng(1)
    sizes = {"input": 3, "hidden": 4, "output": 2}
    steps, neurons = rng.integers(1, 3001, 200), rng.integers(0, 8, 200)  # the last neuron is silent
    trains = SpikeTrains.from_unsorted(steps, neurons, resolution_ms, 3000, sizes)
    segment = trains.to_neo()
    labels = [(train.annotations["population"], train.annotations["id"]) for train in segment.spiketrains]
    assert labels == [(name, index) for name, size in sizes.items() for index in range(size)]
    assert {str(train.units.dimensionality) for train in segment.spiketrains} == {"ms"}
    assert {float(train.t_stop) for train in segment.spiketrains} == {trains.duration_ms}
    first = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    times_ms = [train.rescale("ms").magnitude for train in segment.spiketrains]
    back = SpikeTrains.from_unsorted(
        np.rint(np.concatenate(times_ms) / resolution_ms).astype(np.int64),
        np.repeat([first[name] + index for name, index in labels], [len(train) for train in times_ms]),
        resolution_ms,
        3000,
        sizes,
    )
    assert back.equals(trains)


def test_neo_takes_an_empty_recording(neo):
    assert len(make_trains([], n_steps=0, all=2).to_neo().spiketrains) == 2


def test_a_missing_neo_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(ImportError, match=r"neo is missing.*pip install -e '.\[neo\]'"):
        make_trains([]).to_neo()
