"""What is special about networks in compiled code: ensembles, long runs, no need of NEST or of the compiler."""

import hashlib
import os
import sys
import threading
import time

import numpy as np
import pytest

from snn import numba_network
from snn.models import Population
from snn.numba_network import NumbaEnsemble, NumbaNetwork
from snn.topology import Topology
from tests.conftest import ROOT
from tests.contract.network_cases import (
    BUSY_SEEDS,
    assert_equal,
    connections,
    make_case,
    neuron_names,
    outcome,
    record_all,
    spike_trains,
)


def make_ensemble(case, n_networks, n_copies):
    names = neuron_names(case.topology)
    options = {"counted": names, "recorded": names, "probed": names, "resolution_ms": case.resolution_ms}
    return NumbaEnsemble(case.topology, n_networks=n_networks, n_copies=n_copies, **options)


class TestEnsemble:
    """Many weight sets of one wiring, simulated in one call."""

    N_NETWORKS = 3

    @pytest.mark.parametrize("n_copies", [1, 5, 8, 11])
    @pytest.mark.parametrize("seed", BUSY_SEEDS)
    def test_its_networks_are_those_simulated_one_by_one(self, seed, n_copies):
        case = make_case(seed)
        rng = np.random.default_rng(seed)
        n_synapses = case.topology.connections.source.size
        weights = case.topology.connections.weight_pA * rng.uniform(0.5, 1.5, (self.N_NETWORKS, n_synapses))
        delays = case.topology.connections.delay_ms + case.resolution_ms * rng.integers(0, 9, weights.shape)
        shortest = np.argmin(case.topology.connections.delay_ms)
        delays[:, shortest] = case.topology.connections.delay_ms[shortest]  # one length of slice for all
        currents = {
            name: rng.uniform(0, 900, (self.N_NETWORKS, n_copies, case.topology.population(name).size))
            for name in neuron_names(case.topology)
        }
        spikes = rng.integers(1, 300, 40)
        sources = {p.name: p.size for p in case.topology.populations if not p.is_neuron}
        neurons = {name: rng.integers(0, self.N_NETWORKS * n_copies * size, 40) for name, size in sources.items()}

        ensemble = make_ensemble(case, self.N_NETWORKS, n_copies)
        ensemble.set_weights(weights, delays)
        self.run(ensemble, case, currents, spikes, neurons, slice(None))
        together = ensemble.spike_counts(), ensemble.spikes(), ensemble.membrane_potentials()
        n_spikes = 0
        for k in range(self.N_NETWORKS):
            single = make_ensemble(case, 1, n_copies)
            single.set_weights(weights[k : k + 1], delays[k : k + 1])
            self.run(single, case, currents, spikes, neurons, slice(k, k + 1))
            assert_equal(
                (together[0][k], together[1][k], together[2][k]),
                (single.spike_counts()[0], single.spikes()[0], single.membrane_potentials()[0]),
            )
            n_spikes += together[1][k].steps.size
        assert n_spikes > 50

    @staticmethod
    def run(ensemble, case, currents, spikes, neurons, chosen):
        """Drive the chosen networks with their own currents and spikes."""
        for name, values in currents.items():
            ensemble.set_inputs(name, values[chosen])
        n_networks, n_copies = ensemble.n_networks, ensemble.n_copies
        for name, numbers in neurons.items():
            per_network = n_copies * case.topology.population(name).size
            first = (chosen.start or 0) * per_network
            own = [(s, n - first) for s, n in zip(spikes, numbers, strict=True)]
            own = [(s, n) for s, n in own if 0 <= n < n_networks * per_network]
            ensemble.set_inputs(name, spike_trains(own, n_networks * per_network, case.resolution_ms))
        ensemble.run(60.0)

    def test_weights_for_all_are_weights_for_each(self):
        case = make_case(BUSY_SEEDS[0])
        ensemble = make_ensemble(case, 2, 3)
        for name in neuron_names(case.topology):
            ensemble.set_inputs(name, 700.0)
        ensemble.run(60.0)
        first, second = ensemble.spikes()
        assert first.equals(second)
        assert first.steps.size > 50
        n_neurons = sum(case.topology.population(name).size for name in neuron_names(case.topology))
        assert ensemble.spike_counts().shape == (2, 3, n_neurons)

    def test_slices_of_unequal_length_are_refused(self):
        cells = Population(name="cells", size=2)
        ensemble = NumbaEnsemble(Topology((cells,), connections((0, 1, 1.0, 1.0))), n_networks=2)
        with pytest.raises(ValueError, match=r"shortest delays of \[0.5, 1.0\] ms: below 1 ms they must agree"):
            ensemble.set_weights(np.ones((2, 1)), np.array([[0.5], [3.0]]))
        ensemble.set_weights(np.ones((2, 1)), np.array([[0.1 + 0.2], [0.3]]))  # equal but for rounding
        assert ensemble.slice_ms == pytest.approx(0.3)

    def test_an_empty_ensemble_is_refused(self):
        with pytest.raises(ValueError, match="n_networks=0 is not allowed: it must be >= 1"):
            NumbaEnsemble(Topology((Population(name="cells", size=2),), connections()), n_networks=0)

    @pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 2, 1), (2, 2)])
    def test_weights_of_another_shape_are_refused(self, shape):
        cells = Population(name="cells", size=2)
        ensemble = NumbaEnsemble(Topology((cells,), connections((0, 1, 1.0, 1.0))), n_networks=2)
        with pytest.raises(ValueError, match=r"weight_pA has shape .*, expected \(1,\) or \(2, 1\)"):
            ensemble.set_weights(np.ones(shape))


@pytest.mark.parametrize("seed", BUSY_SEEDS)
def test_long_runs_are_cut_into_calls_without_a_trace(monkeypatch, seed):
    case = make_case(seed)
    expected = outcome(record_all(case, "numba"), case)
    calls = []
    advance = NumbaNetwork._advance
    monkeypatch.setattr(numba_network, "_MAX_CALL_BYTES", 1_000.0)
    monkeypatch.setattr(NumbaNetwork, "_advance", lambda self, n: (calls.append(n), advance(self, n)))
    assert_equal(outcome(record_all(case, "numba"), case), expected)
    assert len(calls) > 10


def test_networks_do_not_share_their_state():
    case, other = make_case(BUSY_SEEDS[0]), make_case(BUSY_SEEDS[1])
    expected = outcome(record_all(case, "numba"), case)
    first, second = record_all(case, "numba"), record_all(other, "numba")
    outcome(second, other)
    assert_equal(outcome(first, case), expected)


def digest(seed):
    """Fingerprint of all that a random network says in one stretch."""
    case = make_case(seed)
    counts, spikes, potentials = outcome(record_all(case, "numba"), case, n_stretches=1)
    assert counts.sum() > 20
    arrays = (counts, spikes.steps, spikes.neurons, potentials)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@pytest.mark.parametrize("seed", [3, 18])  # one copy; seven copies
def test_the_kernels_do_the_same_without_compilation(run_python, seed):
    lines = ("import experiments", "from tests.unit.test_numba_network import digest", f"print(digest({seed}))")
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = run_python("-c", "\n".join(lines), env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest(seed)


def test_it_runs_where_nest_is_missing(run_python):
    lines = (
        "import sys; sys.modules['nest'] = None",
        "import numpy as np",
        "from snn import AntBrainConfig, AntColonyBrain, decode, random_genomes",
        "config = AntBrainConfig(engine='numba')",
        "genome = random_genomes(config, 1, np.random.default_rng(0))[0]",
        "brain = AntColonyBrain(*decode(genome, config), 3, config)",
        "assert brain.act(np.ones((3, 11), dtype=np.int8)).shape == (3, 3)",
    )
    done = run_python("-c", "\n".join(lines))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_buffer_beyond_all_memory_is_refused_before_it_is_asked_for():
    topology = Topology((Population(name="a", size=1),), connections((0, 0, 1.0, 140000.0)))
    with pytest.raises(ValueError, match=r"the longest delay of 140000000 steps needs a buffer of 18 GB"):
        NumbaNetwork(topology, resolution_ms=0.001)


def test_a_single_network_takes_no_number_of_networks_and_no_axis_for_them():
    topology = Topology((Population(name="a", size=2),), connections())
    with pytest.raises(TypeError, match="n_networks"):
        NumbaNetwork(topology, n_networks=2)
    with pytest.raises(ValueError, match=r"broadcast to \(3, 2\)"):
        NumbaNetwork(topology, n_copies=3).set_inputs("a", np.zeros((1, 3, 2)))


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="the interpreter keeps its lock")
def test_other_threads_run_while_a_network_does():
    network = NumbaNetwork(make_case(5).topology, n_copies=8, resolution_ms=make_case(5).resolution_ms)
    network.run(network.slice_ms)  # compile
    duration_ms = 20000 * network.slice_ms
    worker = threading.Thread(target=network.run, args=(duration_ms,))
    start = previous = time.perf_counter()
    longest = 0.0
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        longest, previous = max(longest, now - previous), now
    assert longest < 0.5 * (time.perf_counter() - start)
