"""Readouts that share a reservoir: counts of NEST, any split over calls, any number of members, refusals."""

import itertools

import numpy as np
import pytest

from snn import shared_reservoir
from snn.liquid_config import published_liquid
from snn.params import NeuronConfig
from snn.published_reservoir import PublishedReservoirConfig
from snn.reservoirs import LIQUID
from snn.shared_reservoir import SharedReservoir
from snn.spike_trains import SpikeTrains
from tests.unit.replay_cases import NO_IDLE, make_config, make_recording


def make_weights(shared, n_members, seed=0):
    """Weights of either sign at every synapse, in pA."""
    return np.random.default_rng(seed).normal(60.0, 250.0, (n_members, shared.trained.size))


# --- Engines -----------------------------------------------------------------------------------------------------

CASES = [
    (1, 1, {}, {}),
    (1, 5, {"noise_output_rate_hz": 0.0}, {}),
    (1, 17, {}, NO_IDLE),
    (3, 1, {"noise_output_rate_hz": 0.0}, NO_IDLE),
    (3, 5, {"noise_output_weight_pA": 30.3, "cluster_weight_pA": 0.1}, {}),
    (3, 17, {"delay_ms": 3.0, "neuron": NeuronConfig(tau_syn_ex=1.3, tau_syn_in=4.1, t_ref=3.0)}, {}),
    (10, 1, {}, {"resolution_ms": 0.1}),
    (10, 5, {"delay_ms": 1.5}, {"resolution_ms": 0.5}),
    (10, 17, {}, {}),
]


@pytest.mark.parametrize(("n_clusters", "n_members", "settings", "changes"), CASES)
def test_counts_are_those_of_nest(n_clusters, n_members, settings, changes):
    config = make_config({"n_clusters": n_clusters} | settings, **changes)
    machines = [SharedReservoir(config, n_members, engine) for engine in ("nest", "numba")]
    recordings = [make_recording(config, seed, 0.03 * config.resolution_ms) for seed in (0, 1)]
    weights_pA = make_weights(machines[0], n_members)
    for machine in machines:
        machine.set_weights(weights_pA)
    counts = [machine.counts_of(recordings, [4, 7]) for machine in machines]
    np.testing.assert_array_equal(*counts)
    assert counts[0].shape == (2, n_members, 5 * n_clusters)
    assert counts[1].dtype == np.int64
    assert counts[0].mean() > 0.3
    assert n_members == 1 or (counts[0][:, 0] != counts[0][:, 1]).any()
    np.testing.assert_array_equal(*[machine.rates_of(recordings, [4, 7]) for machine in machines])


def test_ten_published_clusters_are_those_of_nest():
    config = published_liquid(reservoir=PublishedReservoirConfig(n_clusters=10), stimulus_ms=100.0, **NO_IDLE)
    machines = [SharedReservoir(config, 2, engine) for engine in ("nest", "numba")]
    recording = make_recording(config, 0, 0.01)
    weights_pA = machines[0].weights_pA * np.random.default_rng(1).uniform(0.0, 2.0, machines[0].weights_pA.shape)
    counts = []
    for machine in machines:
        machine.set_weights(weights_pA)
        counts.append(machine.counts(recording, 3))
    assert machines[0].trained.size == 96_000
    np.testing.assert_array_equal(*counts)
    assert counts[0].mean() > 1


# --- Splits ------------------------------------------------------------------------------------------------------


def test_several_recordings_at_once_are_those_one_by_one(monkeypatch):
    monkeypatch.setattr(shared_reservoir, "_N_TOGETHER", 2)
    config = make_config()
    shared = SharedReservoir(config, 3, "numba")
    shared.set_weights(make_weights(shared, 3))
    recordings, indices = [make_recording(config, seed) for seed in range(5)], [3, 0, 8, 8, 1]
    together = shared.counts_of(recordings, np.array(indices))
    alone = [shared.counts(recording, index) for recording, index in zip(recordings, indices, strict=True)]
    np.testing.assert_array_equal(together, alone)
    rates_hz = [shared.rates_hz(recording, index) for recording, index in zip(recordings, indices, strict=True)]
    np.testing.assert_array_equal(shared.rates_of(recordings, indices), rates_hz)
    np.testing.assert_allclose(rates_hz[1][2, 1], alone[1][2, 3:6].mean() / 0.06)
    assert (together[0] != together[1]).any()


def test_no_recording_gives_no_counts():
    for engine in ("nest", "numba"):
        shared = SharedReservoir(make_config(), 3, engine)
        assert shared.counts_of([], []).shape == (0, 3, 10)
        assert shared.rates_of([], []).shape == (0, 3, 2)


def test_counts_do_not_depend_on_how_members_are_split_over_calls():
    config = make_config()
    shared = SharedReservoir(config, 1, "numba")
    recordings, weights_pA = [make_recording(config, seed) for seed in (0, 1)], make_weights(shared, 37)
    shared.set_weights(weights_pA)
    whole = shared.counts_of(recordings, [0, 1])
    for bounds in ([0, 1, 2, 37], [0, 16, 32, 37], [0, 20, 37]):
        parts = []
        for first, end in itertools.pairwise(bounds):
            shared.set_weights(weights_pA[first:end])
            parts.append(shared.counts_of(recordings, [0, 1]))
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("engine", ["nest", "numba"])
def test_the_number_of_members_may_change(engine):
    config = make_config()
    shared, recording = SharedReservoir(config, 2, engine), make_recording(config, 0)
    weights_pA = make_weights(shared, 5)
    for n_members in (5, 2, 2, 4):
        shared.set_weights(weights_pA[:n_members])
        assert (shared.n_members, shared.weights_pA.shape) == (n_members, (n_members, 400))
        counts = shared.counts(recording, 1)
        expected = SharedReservoir(config, n_members, "numba")
        expected.set_weights(weights_pA[:n_members])
        np.testing.assert_array_equal(counts, expected.counts(recording, 1))


def test_other_populations_and_their_order_do_not_matter():
    config = make_config()
    shared, recording = SharedReservoir(config, 2, "numba"), make_recording(config, 0)
    parts = {name: recording.population(name) for name in LIQUID}
    # The same spikes with inhibitory neurons first, after three neurons of something else.
    neurons = [parts["inhibitory"].neurons + 3, parts["excitatory"].neurons + 23, np.array([1])]
    steps = [parts["inhibitory"].steps, parts["excitatory"].steps, np.array([2])]
    populations = {"other": 3, "inhibitory": 20, "excitatory": 60}
    other = SpikeTrains.from_unsorted(np.concatenate(steps), np.concatenate(neurons), 1.0, 75, populations)
    np.testing.assert_array_equal(shared.counts(other, 2), shared.counts(recording, 2))


# --- Refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["nest", "numba"])
def test_bad_weights_and_lists_are_refused(engine):
    config = make_config()
    shared, recording = SharedReservoir(config, 2, engine), make_recording(config, 0)
    for shape in ((0, 400), (400,), (2, 399), (1, 2, 400)):
        with pytest.raises(ValueError, match=r"expected \(n_members, 400\), members × trained synapses"):
            shared.set_weights(np.zeros(shape))
    with pytest.raises(ValueError, match=r"weights_pA\[2\] holds a weight that is not finite"):
        shared.set_weights(np.array([[0.0], [1.0], [np.inf]]) * np.ones(400))
    for n_recordings, indices in ((1, [0, 1]), (2, [0]), (0, [0])):
        with pytest.raises(ValueError, match=f"{n_recordings} recordings but {len(indices)} indices"):
            shared.counts_of(n_recordings * [recording], indices)
    with pytest.raises(ValueError, match="index=-3 is not allowed"):
        shared.counts_of([recording, recording], [0, -3])
    with pytest.raises(ValueError, match=r"the recording lasts 60 ms, but 15 ms of idle time"):
        shared.rates_of([recording, recording.slice(15.0, 75.0)], [0, 1])
    assert shared.n_members == 2
