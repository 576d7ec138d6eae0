"""What every engine promises. A new one is added to `snn.params.ENGINES`; nothing else is needed."""

from pathlib import Path

import numpy as np
import pytest

from snn import AntBrainConfig, decode, random_genomes
from snn.flush import set_flush_to_zero
from snn.models import NEURON_MODELS, Population
from snn.nest_kernel import LowLevelCalls, PublicCalls
from snn.network import build
from snn.topology import Topology, ant_brain
from tests.contract.network_cases import (
    BUSY_SEEDS,
    N_ALL,
    N_FAST,
    RESOLUTIONS_MS,
    STRONG_pA,
    assert_equal,
    connections,
    drive,
    every_engine,
    make_case,
    make_chain,
    neuron_names,
    outcome,
    record_all,
    spike_trains,
)


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
