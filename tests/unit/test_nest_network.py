"""What is special about networks on NEST: one kernel per process, its errors, its launchers; and brains on it."""

import numpy as np
import pytest

from snn import AntBrainConfig, AntColonyBrain, NeuronConfig, decode, random_genomes
from snn.models import Population
from snn.nest_kernel import NestError
from snn.nest_network import NestNetwork
from snn.topology import Topology
from tests.contract.network_cases import connections, spike_trains

pytestmark = pytest.mark.nest


def make_pair(delay_ms=1.0):
    """Neuron "a" drives "b"; given spikes drive "a"."""
    populations = (
        Population(name="a", size=1),
        Population(name="b", size=1, model="iaf_psc_exp"),
        Population(name="given", size=1, model="spike_generator"),
    )
    return Topology(populations, connections((0, 1, 1500.0, delay_ms), (2, 0, 1500.0, delay_ms)))


def break_parameter(topology, **parameters):
    """Smuggle parameters past the checks of `Population`."""
    object.__setattr__(topology.populations[1], "parameters", parameters)
    return topology


class TestOwnership:
    """NEST holds one network per process."""

    @pytest.mark.parametrize(
        "use",
        [
            lambda network: network.run(1.0),
            lambda network: network.set_inputs("a", 100.0),
            lambda network: network.set_inputs("given", spike_trains([(1, 0)])),
            lambda network: network.spike_counts(),
            lambda network: network.spikes(),
            lambda network: network.membrane_potentials(),
        ],
        ids=["run", "set currents", "set trains", "counts", "spikes", "potentials"],
    )
    def test_a_network_refuses_all_use_after_another_was_built(self, use):
        options = {"counted": ("a",), "recorded": ("a",), "probed": ("a",)}
        first, second = NestNetwork(make_pair(), **options), NestNetwork(make_pair(), **options)
        with pytest.raises(RuntimeError, match="another one was built since"):
            use(first)
        use(second)

    @pytest.mark.parametrize("method", ["reset", "set_weights"])
    def test_building_it_again_takes_the_kernel_back(self, method):
        first, second = NestNetwork(make_pair(), counted=("a",)), NestNetwork(make_pair())
        second.run(1.0)
        first.reset() if method == "reset" else first.set_weights(np.array([1500.0, 1500.0]))
        first.set_inputs("a", 20000.0)
        first.run(20.0)
        assert first.spike_counts()[0, 0] >= 5
        with pytest.raises(RuntimeError, match="another one was built since"):
            second.run(1.0)

    def test_a_build_that_fails_ends_the_network_before_it_cleanly(self, monkeypatch):
        network = NestNetwork(make_pair(), counted=("a",))
        network.run(5.0)
        monkeypatch.setattr("snn.nest_network.check_grid", lambda *_: None)
        with pytest.raises(NestError, match=r"NEST refused a kernel with resolution 0\.33"):
            NestNetwork(make_pair(), resolution_ms=1 / 3)
        with pytest.raises(RuntimeError, match="another one was built since"):
            network.run(1.0)
        network.reset()
        network.set_inputs("a", 20000.0)
        network.run(20.0)
        assert network.spike_counts().sum() > 0

    def test_leaving_a_network_that_lost_the_kernel_harms_nobody(self):
        with NestNetwork(make_pair()) as first:
            first.run(1.0)
            second = NestNetwork(make_pair(), counted=("a",))
            second.set_inputs("a", 20000.0)
            second.run(10.0)
        second.run(10.0)
        assert second.spike_counts()[0, 0] >= 5


class TestErrorsOfNest:
    """What slips through the checks comes back with the part of the network it was about."""

    @pytest.mark.parametrize("calls", ["low-level", "public"])
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"tau_m": -1.0}, "NEST refused population 'b', iaf_psc_exp with .*'tau_m': -1.0.*time constants"),
            ({"tau_M": 5.0}, "NEST refused population 'b', iaf_psc_exp with .*tau_M"),
        ],
    )
    def test_a_bad_parameter_is_named_with_its_population(self, monkeypatch, calls, parameters, message):
        monkeypatch.setenv("STIGMERGY_NEST_CALLS", calls)
        with pytest.raises(NestError, match=message):
            NestNetwork(break_parameter(make_pair(), **parameters))

    def test_a_bad_delay_is_one_of_the_synapses(self, monkeypatch):
        monkeypatch.setattr("snn.nest_network.check_grid", lambda *_: None)
        with pytest.raises(NestError, match=r"NEST refused the synapses of the network a, b, given: .*[Dd]elay"):
            NestNetwork(make_pair(delay_ms=0.01))

    def test_a_bad_input_is_named_with_its_population(self, monkeypatch):
        noise = Population(name="noise", size=1, model="poisson_generator")
        network = NestNetwork(Topology((*make_pair().populations, noise), connections((3, 0, 1.0, 1.0))))
        monkeypatch.setattr("snn.nest_network.check_values", lambda *_: np.array([[-5.0]]))
        with pytest.raises(NestError, match="'noise'"):
            network.set_inputs("noise", -5.0)

    def test_the_next_network_is_none_the_worse(self):
        with pytest.raises(NestError):
            NestNetwork(break_parameter(make_pair(), tau_m=-1.0))
        network = NestNetwork(make_pair(), counted=("b",))
        network.set_inputs("a", 20000.0)
        network.run(20.0)
        assert network.spike_counts()[0, 0] > 0


class TestBrain:
    """The colony's brain on NEST."""

    def test_counts_since_the_last_call_add_up_to_the_recording(self):
        brain = make_brain(3, n_ants=4, has_recording=True)
        obs = np.zeros((4, 11), dtype=np.int8)
        obs[:, [3, 8]] = 1
        counted = []
        original = brain._network.spike_counts
        brain._network.spike_counts = lambda: counted.append(original()) or counted[-1]
        for _ in range(60):
            brain.act(obs)
        recorded = brain.spikes().population("output").counts(20.0).reshape(4, 4, 60)
        assert recorded.sum() > 100
        np.testing.assert_array_equal(counted, np.moveaxis(recorded, 2, 0))

    def test_recording_does_not_change_the_behaviour(self):
        observations = np.random.default_rng(5).integers(0, 2, size=(50, 3, 11)).astype(np.int8)
        plain = make_brain(4, n_ants=3)
        actions = [plain.act(obs) for obs in observations]
        recording = make_brain(4, n_ants=3, has_recording=True)
        np.testing.assert_array_equal(actions, [recording.act(obs) for obs in observations])
        assert np.ptp(actions) > 0

    def test_reset_equals_a_fresh_brain_and_leaves_no_trace_of_the_past(self):
        rng = np.random.default_rng(7)
        brain = make_brain(6, n_ants=2)
        for _ in range(20):
            brain.act(rng.integers(0, 2, size=(2, 11)).astype(np.int8))
        brain.reset()
        observations = rng.integers(0, 2, size=(30, 2, 11)).astype(np.int8)
        again = [brain.act(obs) for obs in observations]
        fresh = make_brain(6, n_ants=2)
        np.testing.assert_array_equal(again, [fresh.act(obs) for obs in observations])

    def test_ants_of_a_colony_do_not_influence_each_other(self):
        observations = np.random.default_rng(9).integers(0, 2, size=(40, 3, 11)).astype(np.int8)
        colony = make_brain(8, n_ants=3)
        together = np.array([colony.act(obs) for obs in observations])
        for ant in range(3):
            alone = make_brain(8, n_ants=1)
            np.testing.assert_array_equal(together[:, ant], [alone.act(obs[ant : ant + 1])[0] for obs in observations])

    def test_both_engines_act_alike(self):
        observations = np.random.default_rng(1).integers(0, 2, size=(60, 9, 11)).astype(np.int8)
        brains = {engine: make_brain(2, n_ants=9, has_recording=True, engine=engine) for engine in ("numba", "nest")}
        actions = {engine: [brain.act(obs) for obs in observations] for engine, brain in brains.items()}
        np.testing.assert_array_equal(actions["nest"], actions["numba"])
        assert brains["nest"].spikes().equals(brains["numba"].spikes())
        assert np.ptp(actions["nest"]) > 0

    def test_the_startup_transient_can_be_switched_off(self):
        brain = make_brain(8, n_ants=1, has_recording=True, has_startup_transient=False)
        brain.act(np.zeros((1, 11), dtype=np.int8))
        assert brain.spikes().population("input").steps.size == 0

    @pytest.mark.parametrize("delay_ms", [3.0, 5.0, 7.0])
    def test_a_brain_whose_delays_are_all_long_runs_and_answers_later(self, delay_ms):
        config = AntBrainConfig()
        weights, _ = decode(random_genomes(config, 1, np.random.default_rng(1))[0], config)

        def first_hidden_spike(delay):
            brain = AntColonyBrain(np.abs(weights), np.full_like(weights, delay), 1, config, has_recording=True)
            brain.act(np.ones((1, 11), dtype=np.int8))
            return brain.spikes().population("hidden").steps[0]

        assert first_hidden_spike(delay_ms) - first_hidden_spike(1.0) == delay_ms - 1.0

    def test_a_colony_without_ants_is_refused(self):
        with pytest.raises(ValueError, match="n_ants=0"):
            make_brain(0, n_ants=0)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [({"tau_m": 0.0}, "tau_m=0.0 .* > 0"), ({"V_reset": -50.0}, "V_reset=-50.0"), ({"C_m": np.nan}, "C_m=nan")],
    )
    def test_bad_neuron_parameters_are_refused(self, settings, message):
        with pytest.raises(ValueError, match=message):
            NeuronConfig(**settings)

    def test_a_wrong_observation_is_refused(self):
        brain = make_brain(0, n_ants=2)
        with pytest.raises(ValueError, match=r"shape \(3, 11\), expected \(2, 11\)"):
            brain.act(np.zeros((3, 11), dtype=np.int8))


def make_brain(seed, n_ants, has_recording=False, **settings):
    """The brain of a colony with a random genome."""
    config = AntBrainConfig(**settings)
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(seed))[0], config)
    return AntColonyBrain(*weights_delays, n_ants, config, has_recording=has_recording)


class TestUnavailable:
    """Each needs a process of its own, since NEST is loaded once."""

    BUILD = "from snn.nest_kernel import nest_version; nest_version()"

    def test_missing_nest_gives_the_install_line(self, run_python):
        done = run_python("-c", f"import sys; sys.modules['nest'] = None; {self.BUILD}")
        assert done.returncode == 1
        assert "pip install 'nest-simulator>=3.10" in done.stderr

    def test_an_mpi_enabled_nest_is_refused(self, run_python):
        fake = "import sys, types; sys.modules['nest'] = types.SimpleNamespace(num_processes=4)"
        done = run_python("-c", f"{fake}; {self.BUILD}")
        assert "joins all 4 ranks into one simulation" in done.stderr

    def test_nest_under_a_launcher_without_mpi_is_an_error_and_no_sudden_exit(self, run_python):
        done = run_python("-c", self.BUILD, env={"PMI_RANK": "0", "MPI_LOCALNRANKS": "2"})
        assert done.returncode == 1
        assert "MPI is not initialised yet" in done.stderr

    def test_importing_the_packages_does_not_load_the_simulator(self, run_python):
        done = run_python("-c", "import snn, sys; sys.exit('nest' in sys.modules)")
        assert done.returncode == 0, done.stderr

    def test_nest_starts_without_a_word(self, run_python):
        done = run_python("-c", self.BUILD)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_a_network_runs_without_a_word(self, run_python):
        lines = (
            "import numpy as np",
            "from snn.models import Population",
            "from snn.topology import Connections, Topology",
            "from snn.network import build",
            "none = np.empty(0, dtype=np.int64)",
            "cells = Population(name='cells', size=2)",
            "topology = Topology((cells,), Connections(none, none, np.empty(0), np.empty(0)))",
            "network = build(topology, engine='nest', counted=('cells',))",
            "network.set_inputs('cells', 20000.0)",
            "network.run(20.0)",
            "assert network.spike_counts().min() >= 5",
        )
        done = run_python("-c", "\n".join(lines))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
