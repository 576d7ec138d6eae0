"""What every engine promises. A new one is added to `snn.params.ENGINES`; nothing else is needed."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from snn import AntBrainConfig, decode, random_genomes
from snn.flush import set_flush_to_zero
from snn.models import NEURON_MODELS, SOURCE_MODELS, Population
from snn.nest_kernel import LowLevelCalls, PublicCalls
from snn.network import build
from snn.topology import Connections, Topology, ant_brain
from tests.contract.random_networks import (
    RESOLUTIONS_MS,
    connections,
    drive,
    every_engine,
    make_case,
    neuron_names,
    spike_trains,
)

# Random networks that fire a lot: all models, one and several copies, every resolution, short and long slices.
BUSY_SEEDS = (5, 10, 15, 20)
STRONG_pA = 20000.0  # makes a resting neuron fire within a millisecond
N_FAST, N_ALL = 60, 600


def make_chain(weight_pA=1500.0, delay_ms=1.0, n_senders=2, **parameters):
    """Neurons "a", each of which drives one of "b"; "given" spikes drive "a" as strongly."""
    kinds = (("given", "spike_generator", {}), ("a", "iaf_psc_alpha", parameters), ("b", "iaf_psc_alpha", parameters))
    populations = [Population(name=name, size=n_senders, model=model, parameters=p) for name, model, p in kinds]
    node = np.arange(2 * n_senders)
    weights, delays = np.full(node.size, weight_pA), np.full(node.size, delay_ms)
    return Topology(tuple(populations), Connections(node, node + n_senders, weights, delays))


def make_noise(weight_pA=1.0, n_targets=1, n_synapses=1, delay_ms=1.0):
    """One Poisson source, and targets without leak or threshold whose potential counts its spikes."""
    source = Population(name="noise", size=1, model="poisson_generator")
    counter = {"tau_m": 1e12, "V_th": 1e9, "E_L": 0.0, "V_reset": 0.0}
    target = Population(name="counters", size=n_targets, model="iaf_psc_delta", parameters=counter)
    ends = np.tile(np.arange(n_targets) + 1, n_synapses)
    values = np.ones(ends.size)
    return Topology((source, target), Connections(0 * ends, ends, weight_pA * values, delay_ms * values))


def record_all(case, engine):
    """A network of a case, all of whose neurons are counted, recorded and probed."""
    names = neuron_names(case.topology)
    options = {"counted": names, "recorded": names, "probed": names, "resolution_ms": case.resolution_ms}
    return build(case.topology, engine=engine, n_copies=case.n_copies, **options)


def outcome(network, case, **settings):
    """All that a network says when it is driven: counts, spikes, potentials."""
    counts = drive(network, case, **settings)
    return counts, network.spikes(), network.membrane_potentials()


def assert_equal(ours, theirs):
    """Every count and spike equal, every potential to the last bit."""
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1].equals(theirs[1])
    assert ours[2].tobytes() == theirs[2].tobytes(), f"first in step {np.argwhere(ours[2] != theirs[2])[:1]}"


class TestSameNumbers:
    """Both engines give the same spikes and potentials."""

    @pytest.mark.nest
    @pytest.mark.parametrize(
        "seed", [*range(N_FAST), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(N_FAST, N_ALL))]
    )
    def test_random_networks_are_equal_to_the_last_bit(self, seed):
        case = make_case(seed)
        assert_equal(*(outcome(record_all(case, engine), case) for engine in ("numba", "nest")))

    def test_the_random_networks_are_of_all_kinds_and_fire(self):
        cases = [make_case(seed) for seed in range(N_FAST)]
        models = {population.model for case in cases for population in case.topology.populations}
        assert models == {*NEURON_MODELS, "spike_generator"}
        assert {case.resolution_ms for case in cases} == set(RESOLUTIONS_MS)
        shortest = np.array([case.topology.connections.delay_ms.min(initial=np.inf) for case in cases])
        copies = np.array([case.n_copies for case in cases])
        has_multapses = []
        for case in cases:
            source, target, *_ = case.topology.connections
            has_multapses.append(np.unique(source * case.topology.n_nodes + target).size < source.size)
        for is_so in (shortest < 1, shortest > 1, copies == 1, copies > 8, np.array(has_multapses)):
            assert 5 <= is_so.sum() <= N_FAST - 5
        n_spikes = [outcome(record_all(case, "numba"), case)[0].sum() for case in cases[:20]]
        assert np.median(n_spikes) > 500

    @pytest.mark.nest
    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_the_documented_calls_of_nest_give_the_same(self, monkeypatch, seed):
        case = make_case(seed)
        low_level = record_all(case, "nest")
        assert isinstance(low_level._kernel._calls, LowLevelCalls)
        expected = outcome(low_level, case)
        monkeypatch.setenv("STIGMERGY_NEST_CALLS", "public")
        public = record_all(case, "nest")
        assert isinstance(public._kernel._calls, PublicCalls)
        assert_equal(outcome(public, case), expected)

    @pytest.mark.nest
    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_a_silence_of_three_seconds_leaves_no_difference(self, model):
        # Without flush-to-zero, currents would have become denormal numbers; see snn.flush.
        driven = Population(name="driven", size=2, model=model)
        topology = Topology((driven,), connections((0, 1, 0.5 if model == "iaf_psc_delta" else 100.0, 1.0)))

        def run(engine):
            network = build(topology, engine=engine, counted=("driven",), recorded=("driven",), probed=("driven",))
            for current_pA, duration_ms in ((700.0, 50.0), (0.0, 3000.0), (700.0, 50.0)):
                network.set_inputs("driven", [current_pA, 0.0])
                network.run(duration_ms)
            return network.spike_counts(), network.spikes(), network.membrane_potentials()

        numba = run("numba")
        assert_equal(numba, run("nest"))
        assert numba[0][0, 0] >= 4

    @every_engine
    def test_running_leaves_the_processor_as_it_was(self, engine):
        network = build(make_chain(), engine=engine)
        network.run(10.0)
        assert set_flush_to_zero(False) is False


@every_engine
class TestReading:
    def test_counts_are_those_since_the_last_call(self, engine):
        network = build(make_chain(), engine=engine, n_copies=2, counted=("a", "b"), recorded=("a", "b"))
        network.set_inputs("a", [[STRONG_pA, 0.0], [600.0, 900.0]])
        counted = []
        for _ in range(12):
            network.run(20.0)
            counted.append(network.spike_counts())
            assert not network.spike_counts().any()
        a, b = (network.spikes().population(name).counts(20.0) for name in "ab")
        recorded = np.concatenate([a.reshape(2, 2, -1), b.reshape(2, 2, -1)], axis=1)
        np.testing.assert_array_equal(counted, np.moveaxis(recorded, 2, 0))
        assert recorded.sum() > 200
        assert not recorded[0, [1, 3]].any()

    def test_counts_have_one_row_per_copy_and_the_order_asked_for(self, engine):
        def count(*names):
            network = build(make_chain(n_senders=3), engine=engine, n_copies=5, counted=names)
            network.set_inputs("a", STRONG_pA)
            network.run(30.0)
            counts = network.spike_counts()
            assert counts.shape == (5, 3 * len(names))
            assert counts.dtype == np.int64
            return counts

        forwards, backwards = count("a", "b"), count("b", "a")
        np.testing.assert_array_equal(forwards, np.roll(backwards, 3, axis=1))
        assert (forwards[:, :3] > forwards[:, 3:]).all()
        np.testing.assert_array_equal(count("b"), forwards[:, 3:])
        assert count().shape == (5, 0)

    def test_looking_at_the_recording_takes_nothing_from_the_counts(self, engine):
        network = build(make_chain(t_ref=1.0), engine=engine, counted=("a",), recorded=("a",), resolution_ms=1.0)
        network.set_inputs("a", [STRONG_pA, 0.0])  # one spike every 2 ms
        network.run(20.0)
        assert network.spikes().steps.size == 10
        network.run(10.0)
        assert network.spikes().steps.size == 15
        assert network.spike_counts().tolist() == [[15, 0]]
        network.run(10.0)
        assert network.spike_counts().tolist() == [[5, 0]]
        assert network.spikes().steps.tolist() == list(range(1, 40, 2))

    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_what_is_read_changes_nothing(self, engine, seed):
        case = make_case(seed)
        counts, spikes, potentials = outcome(record_all(case, engine), case)
        names = neuron_names(case.topology)
        options = {"engine": engine, "n_copies": case.n_copies, "resolution_ms": case.resolution_ms}
        only_counted = build(case.topology, counted=names, **options)
        np.testing.assert_array_equal(drive(only_counted, case), counts)
        chosen = names[::-2]  # every other population, the last one first
        network = build(case.topology, recorded=chosen, probed=chosen, **options)
        drive(network, case)
        assert list(network.spikes().populations) == list(chosen)
        for name in chosen:
            assert network.spikes().population(name).equals(spikes.population(name))
        sizes = [case.topology.population(name).size for name in names]
        columns = dict(zip(names, np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]), strict=True))
        own = np.concatenate([columns[name] for name in chosen])
        np.testing.assert_array_equal(network.membrane_potentials(), potentials[:, :, own])

    def test_spikes_number_the_copies_of_a_population_side_by_side(self, engine):
        network = build(make_chain(), engine=engine, n_copies=3, recorded=("b", "a"), resolution_ms=0.5)
        assert network.spikes().n_steps == 0
        network.set_inputs("a", [[0.0, 0.0], [0.0, 0.0], [STRONG_pA, 0.0]])
        network.run(25.0)
        spikes = network.spikes()
        assert (spikes.resolution_ms, spikes.n_steps, dict(spikes.populations)) == (0.5, 50, {"b": 6, "a": 6})
        assert set(spikes.neurons.tolist()) == {2 * 2 + 0, 6 + 2 * 2 + 0}  # copy 2, neuron 0 of b and of a

    def test_no_spike_of_a_long_busy_run_is_lost(self, engine):
        network = build(
            make_chain(t_ref=1.0), engine=engine, n_copies=10, counted=("a",), recorded=("a",), resolution_ms=1
        )
        network.set_inputs("a", STRONG_pA)
        counts = []
        for _ in range(10):  # 1,000 spikes each
            network.run(100.0)
            counts.append(network.spike_counts())
        assert (np.array(counts) == 50).all()
        assert (network.spikes().counts() == 500).all()

    def test_a_silent_network_rests_and_its_last_slice_is_not_shown(self, engine):
        topology = make_chain(delay_ms=0.5)
        network = build(topology, engine=engine, n_copies=3, recorded=("a", "b"), probed=("b", "a"))
        network.run(20.0)
        assert network.slice_ms == 0.5
        potentials = network.membrane_potentials()
        assert potentials.shape == (195, 3, 4)
        assert (potentials == -70.0).all()
        network.run(0.5)
        assert network.membrane_potentials().shape == (200, 3, 4)
        assert network.spikes().steps.size == 0

    def test_potentials_are_empty_before_the_second_slice(self, engine):
        network = build(make_chain(), engine=engine, n_copies=2, probed=("a", "b"))
        assert network.membrane_potentials().shape == (0, 2, 4)
        network.run(1.0)
        assert network.membrane_potentials().shape == (0, 2, 4)
        network.run(1.0)
        assert network.membrane_potentials().shape == (10, 2, 4)

    @pytest.mark.parametrize("method", ["spikes", "membrane_potentials"])
    def test_nothing_is_read_that_was_not_asked_for(self, engine, method):
        network = build(make_chain(), engine=engine, counted=("a",))
        network.run(1.0)
        with pytest.raises(RuntimeError, match=r"build the network with (recorded|probed)="):
            getattr(network, method)()


@every_engine
class TestState:
    """What a network remembers, and what not."""

    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_reset_gives_a_new_network(self, engine, seed):
        case = make_case(seed)
        network = record_all(case, engine)
        first = outcome(network, case)
        assert first[0].sum() > 100
        network.reset()
        assert network.spikes().n_steps == 0
        assert_equal(outcome(network, case), first)

    @pytest.mark.parametrize("seed", range(24))
    def test_reset_without_potentials_gives_a_new_network(self, engine, seed):
        case = make_case(seed)
        names = neuron_names(case.topology)
        options = {"n_copies": case.n_copies, "recorded": names, "resolution_ms": case.resolution_ms}
        network = build(case.topology, engine=engine, **options)
        drive(network, case)
        first = network.spikes()
        for _ in range(2):
            network.reset()
            drive(network, case)
            assert network.spikes().equals(first)

    @pytest.mark.parametrize("resolution_ms", [0.001, 0.01, 0.1, 1.0])
    def test_reset_forgets_at_any_resolution(self, engine, resolution_ms):
        touchy = {"t_ref": 0.0, "C_m": 10.0, "V_th": -69.0}
        populations = (
            Population(name="given", size=1, model="spike_generator"),
            Population(name="a", size=1, model="iaf_psc_alpha", parameters=touchy),
            Population(name="b", size=1, model="iaf_psc_exp", parameters=touchy),
        )
        edges = connections((0, 1, 5000.0, resolution_ms), (0, 2, 5000.0, resolution_ms), (1, 2, 10.0, resolution_ms))
        network = build(Topology(populations, edges), engine=engine, recorded=("a", "b"), resolution_ms=resolution_ms)
        network.set_inputs("given", spike_trains([(1, 0), (2, 0)], 1, resolution_ms))
        network.run(20 * resolution_ms)
        assert network.spikes().steps.size > 0
        network.reset()
        network.run(500 * resolution_ms)
        assert network.spikes().steps.size == 0

    def test_reset_takes_the_inputs_away(self, engine):
        network = build(make_chain(), engine=engine, counted=("a", "b"), recorded=("a",))
        network.set_inputs("a", STRONG_pA)
        network.set_inputs("given", spike_trains([(5, 0), (5, 1)], 2))
        network.run(10.0)
        network.reset()
        network.run(50.0)
        assert not network.spike_counts().any()
        assert network.spikes().steps.size == 0

    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_set_weights_gives_a_new_network_with_these_weights(self, engine, seed):
        case = make_case(seed)
        weight_pA = case.topology.connections.weight_pA[::-1] * 0.7
        delay_ms = case.topology.connections.delay_ms[::-1] + 2 * case.resolution_ms
        changed = case.topology.connections._replace(weight_pA=weight_pA, delay_ms=delay_ms)
        fresh = case._replace(topology=Topology(case.topology.populations, changed))
        expected = outcome(record_all(fresh, engine), case)
        network = record_all(case, engine)
        before = outcome(network, case)
        network.set_weights(weight_pA, delay_ms)
        assert_equal(outcome(network, case), expected)
        assert not before[1].equals(expected[1])

    def test_set_weights_alone_keeps_the_delays(self, engine):
        def first_spike(network):
            network.set_inputs("a", STRONG_pA)
            network.run(20.0)
            return network.spikes().steps[0]

        network = build(make_chain(delay_ms=1.0), engine=engine, recorded=("b",))
        one = first_spike(network)
        network.set_weights(np.full(4, 1500.0), np.full(4, 6.0))
        network.set_weights(np.full(4, 1500.0))
        assert first_spike(network) == one + 50

    def test_arrays_that_change_later_change_nothing(self, engine):
        def count(network):
            network.run(30.0)
            return network.spike_counts().tolist()

        network = build(make_chain(), engine=engine, counted=("b",))
        weight_pA, current_pA = np.full(4, 6000.0), np.full((1, 2), STRONG_pA)
        network.set_weights(weight_pA)
        network.set_inputs("a", current_pA)
        weight_pA[:], current_pA[:] = 0.0, 0.0
        driven = count(network)
        assert driven[0][0] > 5
        network.set_inputs("a", current_pA)
        count(network)
        assert count(network) == [[0, 0]]
        network.reset()
        network.set_inputs("a", STRONG_pA)
        assert count(network) == driven

    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_a_run_in_pieces_is_the_same_run(self, engine, seed):
        case = make_case(seed)
        whole = outcome(record_all(case, engine), case)
        network = record_all(case, engine)
        assert_equal(outcome(network, case, n_pieces=9), whole)

    def test_inputs_stay_until_they_are_replaced(self, engine):
        network = build(make_chain(), engine=engine, counted=("a",))
        counts = []
        for _ in range(3):
            network.run(100.0)
            counts.append(network.spike_counts()[0, 0])
            if len(counts) == 1:
                network.set_inputs("a", 600.0)
        network.set_inputs("a", 0.0)
        network.run(100.0)
        assert counts[0] == 0
        assert min(counts[1:]) > 5
        assert network.spike_counts()[0, 0] == 0

    def test_a_network_built_after_another_is_as_one_built_before_it(self, engine):
        case, other = make_case(BUSY_SEEDS[0]), make_case(BUSY_SEEDS[1])
        before = outcome(record_all(case, engine), case)
        outcome(record_all(other, engine), other)
        assert_equal(outcome(record_all(case, engine), case), before)

    def test_leaving_the_context_ends_the_network_even_after_an_error(self, engine):
        with build(make_chain(), engine=engine, counted=("a",)) as network:
            network.set_inputs("a", STRONG_pA)
            network.run(10.0)
            assert network.spike_counts().sum() > 0
        with pytest.raises(ValueError, match="duration_ms"), build(make_chain(), engine=engine) as network:
            network.run(-1.0)
        with build(make_chain(), engine=engine, counted=("a",)) as network:
            network.run(1.0)
            assert network.spike_counts().sum() == 0

    @pytest.mark.parametrize("n_copies", [2, 8, 9])
    def test_copies_are_independent_of_each_other(self, engine, n_copies):
        case = make_case(BUSY_SEEDS[0])
        name = neuron_names(case.topology)[1]
        size = case.topology.population(name).size
        currents = np.random.default_rng(n_copies).uniform(0, 900, (6, n_copies, size))

        def run(currents):
            options = {"recorded": (name,), "probed": (name,), "resolution_ms": case.resolution_ms}
            network = build(case.topology, engine=engine, n_copies=currents.shape[1], **options)
            for row in currents:
                network.set_inputs(name, row)
                network.run(20.0)
            return network.spikes(), network.membrane_potentials()

        together, potentials = run(currents)
        for copy in range(n_copies):
            alone, own_potentials = run(currents[:, copy : copy + 1])
            is_own = together.neurons // size == copy
            np.testing.assert_array_equal(together.steps[is_own], alone.steps)
            np.testing.assert_array_equal(together.neurons[is_own] % size, alone.neurons)
            np.testing.assert_array_equal(potentials[:, copy], own_potentials[:, 0])
        assert together.steps.size > 100


@every_engine
class TestInputs:
    @pytest.mark.parametrize("values", [700.0, [700.0, 700.0], [[700.0], [700.0], [700.0]], np.full((3, 2), 700.0)])
    def test_currents_are_broadcast(self, engine, values):
        network = build(make_chain(), engine=engine, n_copies=3, recorded=("a",))
        network.set_inputs("a", values)
        network.run(100.0)
        steps = [train.tolist() for train in network.spikes().trains()]
        assert len(steps[0]) >= 6
        assert steps == 6 * steps[:1]

    def test_one_current_per_neuron_or_per_copy(self, engine):
        network = build(make_chain(), engine=engine, n_copies=2, counted=("a",))
        network.set_inputs("a", [STRONG_pA, 0.0])
        network.run(20.0)
        assert (network.spike_counts() > 0).tolist() == [[True, False], [True, False]]
        network.set_inputs("a", [[0.0], [STRONG_pA]])
        network.run(20.0)
        assert (network.spike_counts() > 0).tolist() == [[False, False], [True, True]]

    @pytest.mark.parametrize("delay_ms", [0.1, 0.4, 1.0, 2.3, 17.0])
    def test_a_given_spike_arrives_exactly_one_delay_later(self, engine, delay_ms):
        network = build(make_chain(100.0, delay_ms), engine=engine, n_copies=2, probed=("a",))
        n_before = round(3 * network.slice_ms / 0.1)
        network.run(3 * network.slice_ms)
        network.set_inputs("given", spike_trains([(1, 0), (8, 3)], 4))  # copy 0, neuron 0; copy 1, neuron 1
        network.run(round(30 / network.slice_ms) * network.slice_ms)
        rises = network.membrane_potentials() > -70.0
        first = np.where(rises.any(axis=0), rises.argmax(axis=0) + 1, 0)
        # The current jumps `delay_ms` after the end of the spike's step; one step later it shows in the potential.
        n_delay = round(delay_ms / 0.1)
        assert first.tolist() == [[n_before + 1 + n_delay + 1, 0], [0, n_before + 8 + n_delay + 1]]

    def test_new_spike_trains_replace_those_still_to_come(self, engine):
        network = build(make_chain(), engine=engine, recorded=("a",))
        network.set_inputs("given", spike_trains([(10, 0), (90, 0), (150, 0)], 2))
        network.run(5.0)
        network.set_inputs("given", spike_trains([(50, 1)], 2))
        network.run(30.0)
        spikes = network.spikes()
        assert spikes.neurons.tolist() == [0, 1]
        assert np.diff(spikes.steps).tolist() == [90]
        network.set_inputs("given", spike_trains([], 2))
        network.run(5.0)
        assert network.spikes().steps.size == 2

    def test_a_given_spike_outlives_the_train_it_came_from(self, engine):
        network = build(make_chain(delay_ms=4.0), engine=engine, recorded=("a",))
        network.set_inputs("given", spike_trains([(8, 0)], 2))
        network.run(1.0)
        network.set_inputs("given", spike_trains([], 2))
        network.run(20.0)
        assert network.spikes().neurons.tolist() == [0]

    def test_two_spikes_in_one_step_count_twice(self, engine):
        def response(spikes, weight_pA=100.0):
            network = build(make_chain(weight_pA, E_L=0.0, V_th=15.0, V_reset=0.0), engine=engine, probed=("a",))
            network.set_inputs("given", spike_trains(spikes, 2))
            network.run(20.0)
            return network.membrane_potentials()

        np.testing.assert_array_equal(response([(3, 0), (3, 0)]), response([(3, 0)], 200.0))
        assert response([(3, 0)]).max() > 0.5

    def test_spike_trains_are_those_of_the_own_copy(self, engine):
        network = build(make_chain(), engine=engine, n_copies=10, counted=("a",))
        network.set_inputs("given", spike_trains([(1 + k, k) for k in range(0, 20, 3)], 20))
        network.run(20.0)
        np.testing.assert_array_equal(network.spike_counts().ravel(), np.arange(20) % 3 == 0)


@every_engine
class TestNoise:
    """Poisson sources: no engine has the other's random numbers, so that counts are held against the closed form."""

    N_COPIES, N_TARGETS, RATE_HZ, DURATION_MS = 50, 40, 100.0, 100.0
    N, MEAN = N_COPIES * N_TARGETS, RATE_HZ * DURATION_MS / 1000  # 2,000 independent counts with mean 10

    def count(self, engine, topology, rng_seed=1, resolution_ms=1.0):
        """(n_copies, n_targets) spikes that have arrived after `DURATION_MS` of noise."""
        options = {"probed": ("counters",), "resolution_ms": resolution_ms, "rng_seed": rng_seed}
        network = build(topology, engine=engine, n_copies=self.N_COPIES, **options)
        network.set_inputs("noise", self.RATE_HZ)
        network.run(self.DURATION_MS + 2)  # the delay, and the slice that is not shown
        counts = network.membrane_potentials()[-1]
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
        return np.rint(counts)

    @pytest.mark.parametrize("resolution_ms", [1.0, 0.1])
    def test_counts_are_poisson_distributed(self, engine, resolution_ms):
        # Tolerances are five standard deviations of the mean and of the variance of 2,000 counts.
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS), resolution_ms=resolution_ms)
        assert abs(counts.mean() - self.MEAN) < 5 * math.sqrt(self.MEAN / self.N)
        assert abs(counts.var() - self.MEAN) < 5 * math.sqrt((self.MEAN + 2 * self.MEAN**2) / self.N)
        inner = np.arange(4, 18)
        observed = [(counts < 4).sum(), *(counts == inner[:, None, None]).sum(axis=(1, 2)), (counts > 17).sum()]
        law = poisson(self.MEAN)
        expected = self.N * np.array([law.cdf(3), *law.pmf(inner), law.sf(17)])
        assert chisquare(observed, expected).pvalue > 1e-6

    def test_every_synapse_of_a_source_has_its_own_noise(self, engine):
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS)).reshape(-1, 2)
        assert abs(np.corrcoef(counts.T)[0, 1]) < 5 / math.sqrt(self.N / 2)
        # Two synapses between the same nodes: the variance of a sum of two independent counts, not of twice one count.
        doubled = self.count(engine, make_noise(n_targets=self.N_TARGETS, n_synapses=2))
        mean = 2 * self.MEAN
        assert abs(doubled.mean() - mean) < 5 * math.sqrt(mean / self.N)
        assert abs(doubled.var() - mean) < 5 * math.sqrt((mean + 2 * mean**2) / self.N)

    def test_copies_have_their_own_noise(self, engine):
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS))
        across = np.corrcoef(counts)[~np.eye(self.N_COPIES, dtype=bool)]
        assert abs(across.mean()) < 5 / math.sqrt(across.size / 2 * self.N_TARGETS)

    def test_the_seed_decides(self, engine):
        topology = make_noise(n_targets=self.N_TARGETS)
        first = self.count(engine, topology, rng_seed=7)
        np.testing.assert_array_equal(self.count(engine, topology, rng_seed=7), first)
        assert (self.count(engine, topology, rng_seed=8) != first).any()

    @pytest.mark.parametrize("delay_ms", [1.0, 3.0])
    @pytest.mark.parametrize("n_before", [0, 20])
    def test_noise_begins_at_once_but_for_the_very_first_step(self, engine, n_before, delay_ms):
        # NEST's sources are active in steps that begin after time 0, and so are everyone's.
        network = build(make_noise(delay_ms=delay_ms), engine=engine, probed=("counters",), resolution_ms=1.0)
        if n_before:
            network.run(n_before)
        network.set_inputs("noise", 1e6)  # about 1,000 spikes per step
        network.run(20.0)
        potentials = network.membrane_potentials()[:, 0, 0]
        first = int(max(1, n_before) + delay_ms)
        assert np.argmax(potentials > 0) == first
        assert np.abs(np.diff(potentials[first - 1 :]) - 1000).max() < 5 * math.sqrt(1000)

    def test_rates_can_change_at_any_time(self, engine):
        network = build(make_noise(), engine=engine, n_copies=2, probed=("counters",), resolution_ms=1.0)
        rates_hz = np.array([[0.0, 0.0], [1e5, 0.0], [0.0, 0.0], [1e4, 1e5]])
        for rate_hz in rates_hz:
            network.set_inputs("noise", rate_hz[:, None])
            network.run(100.0)
        network.run(2.0)
        arrived = np.diff(network.membrane_potentials()[::100, :, 0], axis=0)  # steps 1, 101, …: one delay later
        expected = rates_hz * 0.1
        np.testing.assert_array_less(np.abs(arrived - expected), 5 * np.sqrt(expected) + 0.5)

    def test_reset_begins_the_noise_again_at_rate_zero(self, engine):
        network = build(make_noise(), engine=engine, probed=("counters",), resolution_ms=1.0)
        traces = []
        for rate_hz in (500.0, 500.0, 0.0):
            if rate_hz:
                network.set_inputs("noise", rate_hz)
            network.run(100.0)
            traces.append(network.membrane_potentials())
            network.reset()
        np.testing.assert_array_equal(traces[0], traces[1])
        assert traces[0].max() > 0
        assert not traces[2].any()

    def test_a_source_without_synapses_does_nothing(self, engine):
        populations = (*make_noise().populations, Population(name="given", size=1, model="spike_generator"))
        network = build(Topology(populations, connections()), engine=engine, counted=("counters",))
        network.set_inputs("noise", 1000.0)
        network.set_inputs("given", spike_trains([(1, 0)]))
        network.run(10.0)
        assert network.spike_counts().tolist() == [[0]]


def make_mixed(t_ref=2.0, delay_ms=1.0):
    """One population of each kind of node."""
    neurons = [Population(name=f"neurons {m}", size=2, model=m, parameters={"t_ref": t_ref}) for m in NEURON_MODELS]
    sources = [Population(name=model, size=1, model=model) for model in SOURCE_MODELS]
    return Topology((*neurons, *sources), connections((0, 1, 100.0, delay_ms), (7, 2, 100.0, 2.0)))


@every_engine
class TestRefusals:
    """Bad input is refused before anything runs, with what is wrong and what is right."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_copies": 2.0}, "n_copies=2.0 is not allowed: give a whole number"),
            ({"rng_seed": 1.5}, "rng_seed=1.5 is not allowed: give a whole number"),
            ({"resolution_ms": 1 / 3}, "resolution_ms=0.33.* multiple of 0.001 ms"),
            ({"resolution_ms": 1.0005}, "resolution_ms=1.0005"),
            ({"n_copies": 0}, "n_copies=0 is not allowed: it must be >= 1"),
            ({"rng_seed": 0}, "rng_seed=0 is outside 1 … "),
            ({"rng_seed": 2**32}, "rng_seed=4294967296 is outside"),
            ({"counted": ("output",)}, "no population 'output': this network has neurons iaf_psc_alpha, "),
            ({"recorded": ("spike_generator",)}, "recorded names 'spike_generator', a spike_generator: only neurons"),
            ({"probed": ("poisson_generator",)}, "probed names 'poisson_generator'"),
            ({"probed": 2 * ("neurons iaf_psc_exp",)}, "names a population twice"),
            ({"counted": "neurons iaf_psc_exp"}, "is a text: give a tuple of names"),
            ({"resolution_ms": 0.0}, "resolution_ms=0.0 is not allowed: it must divide 1 ms"),
            ({"resolution_ms": math.nan}, "resolution_ms=nan"),
            ({"resolution_ms": -0.1}, "resolution_ms=-0.1"),
            ({"resolution_ms": 1e-5}, "resolution_ms=1e-05"),  # NEST's smallest unit of time is 0.001 ms
            ({"resolution_ms": 0.4, "delay_ms": 2.0}, "resolution_ms=0.4"),  # slices of 1 ms would not be whole steps
            ({"delay_ms": 0.05}, "delay 0 is 0.05 ms: delays must be positive multiples of the resolution, 0.1 ms"),
            ({"delay_ms": 1.55}, "delay 0 is 1.55 ms"),
            ({"delay_ms": 1.5, "resolution_ms": 1.0}, "delay 0 is 1.5 ms: .* resolution, 1.0 ms"),
            ({"t_ref": 0.25}, "population 'neurons iaf_psc_alpha': t_ref=0.25 is not a multiple of the resolution"),
        ],
    )
    def test_of_options(self, engine, options, message):
        shape = {name: options[name] for name in ("t_ref", "delay_ms") if name in options}
        with pytest.raises(ValueError, match=message):
            build(make_mixed(**shape), engine=engine, **{k: v for k, v in options.items() if k not in shape})

    @pytest.mark.parametrize(
        ("population", "values", "message"),
        [
            ("hidden", 1.0, "no population 'hidden': this network has"),
            ("neurons iaf_psc_alpha", math.nan, "inputs of 'neurons iaf_psc_alpha' hold nan: give finite numbers"),
            ("neurons iaf_psc_alpha", [[0.0, math.inf]], "hold inf"),
            ("neurons iaf_psc_alpha", np.zeros(3), r"'neurons iaf_psc_alpha'.* \(3,\).*broadcast to"),
            ("neurons iaf_psc_alpha", np.zeros((1, 3, 2, 1)), "broadcast to"),
            ("neurons iaf_psc_alpha", "strong", "broadcast to"),
            ("neurons iaf_psc_alpha", spike_trains([], 6), "broadcast to"),
            ("poisson_generator", -1.0, "hold the rate -1.0 Hz: rates must be >= 0"),
            ("poisson_generator", math.nan, "hold nan"),
            ("spike_generator", [1.0, 2.0], "are list: give SpikeTrains"),
            ("spike_generator", spike_trains([], 2), "have 2 spike trains, expected 3"),
            ("spike_generator", spike_trains([], 3, 1.0), "resolution_ms=1.0, the network has 0.1"),
        ],
    )
    def test_of_inputs(self, engine, population, values, message):
        network = build(make_mixed(), engine=engine, n_copies=3, counted=("neurons iaf_psc_alpha",))
        counts = []
        for is_asked in (False, True):
            network.reset()
            network.set_inputs("neurons iaf_psc_alpha", 600.0)
            if is_asked:
                with pytest.raises(ValueError, match=message):
                    network.set_inputs(population, values)
            network.run(100.0)
            counts.append(network.spike_counts())
        np.testing.assert_array_equal(*counts)  # as if nothing had been asked
        assert (counts[0] >= 5).all()

    @pytest.mark.parametrize(
        ("weight_pA", "delay_ms", "message"),
        [
            ([1.0], None, r"weight_pA has shape \(1,\), expected \(2,\)"),
            ([[1.0], [2.0]], None, r"weight_pA has shape \(2, 1\), expected \(2,\)"),
            (2.0, None, r"weight_pA has shape \(\), expected \(2,\)"),
            ([1.0, 2.0], [1.0], r"delay_ms has shape \(1,\), expected \(2,\)"),
            ([1.0, math.nan], None, "weight 1 is nan pA: every weight must be finite"),
            ([-math.inf, 1.0], None, "weight 0 is -inf pA"),
            ([1.0, 2.0], [1.0, 0.0], "delay 1 is 0.0 ms: delays must be positive multiples of the resolution"),
            ([1.0, 2.0], [1.0, 1.23], "delay 1 is 1.23 ms"),
            ([1.0, 2.0], [math.nan, 1.0], "delay 0 is nan ms"),
        ],
    )
    def test_of_weights_and_delays(self, engine, weight_pA, delay_ms, message):
        network = build(make_mixed(), engine=engine, counted=("neurons iaf_psc_alpha",))
        network.set_inputs("neurons iaf_psc_alpha", 600.0)
        network.run(50.0)
        delay_ms = None if delay_ms is None else np.array(delay_ms)
        with pytest.raises(ValueError, match=message):
            network.set_weights(np.array(weight_pA), delay_ms)
        network.run(50.0)  # still the same network, at the same time
        assert (network.spike_counts() >= 5).all()

    @pytest.mark.parametrize("duration_ms", [0.0, -1.0, 0.5, 1.5, math.nan, math.inf])
    def test_of_durations(self, engine, duration_ms):
        network = build(make_mixed(), engine=engine, recorded=("neurons iaf_psc_alpha",))
        with pytest.raises(ValueError, match=f"duration_ms={duration_ms} is not allowed: .* multiple of 1 ms"):
            network.run(duration_ms)
        network.run(2.0)
        assert network.spikes().n_steps == 20


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine='brian' is unknown: choose one of nest, numba"):
        build(make_mixed(), engine="brian")


@pytest.mark.slow
@every_engine
def test_a_thousand_rebuilt_colonies_do_not_grow_the_process(engine):
    config = AntBrainConfig()
    topology = ant_brain(config, *decode(random_genomes(config, 1, np.random.default_rng(0))[0], config))

    def rebuild(times):
        for _ in range(times):
            options = {"n_copies": 15, "counted": ("output",), "recorded": ("output",), "resolution_ms": 1.0}
            with build(topology, engine=engine, **options) as network:
                network.set_inputs("input", STRONG_pA)
                network.run(20.0)
                network.spikes()

    def resident_kb():
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    rebuild(100)
    before = resident_kb()
    rebuild(1000)
    assert resident_kb() - before < 5000  # 5 kB per colony
