"""Networks on NEST: timing, counting, recording, ownership, refusals."""

import math
from pathlib import Path

import numpy as np
import pytest

from snn import AntBrainConfig, AntColonyBrain, NeuronConfig, decode, random_genomes
from snn.nest_network import NestNetwork
from snn.topology import Connections

pytestmark = pytest.mark.nest


def _connections(*synapses):
    """Connections from (source, target, weight_pA, delay_ms) tuples."""
    columns = np.array(synapses, dtype=float).T
    return Connections(columns[0].astype(int), columns[1].astype(int), columns[2], columns[3])


def _pair(weight_pA=2000.0, delay_ms=1.0, **options):
    return NestNetwork(NeuronConfig(), 2, _connections((0, 1, weight_pA, delay_ms)), np.array([0, 1]), **options)


def test_a_driven_neuron_fires_at_the_closed_form_intervals():
    # V(t) - E_L = I tau/C (1 - exp(-t/tau)) reaches 15 mV after tau ln(I R / (I R - 15)), rounded up to whole steps.
    network = _pair(weight_pA=0.0, has_recording=True)
    current_pA = 500.0
    network.set_current(np.array([0]), current_pA)
    network.run(200.0)
    steps = network.spikes().steps
    rise_mV = current_pA * 10.0 / 250.0
    charge_ms = math.ceil(10.0 * math.log(rise_mV / (rise_mV - 15.0)))
    assert steps[0] == charge_ms
    assert set(np.diff(steps)) == {charge_ms + 1}  # + t_ref


@pytest.mark.parametrize("delay_ms", [1.0, 4.0, 7.0])
def test_a_longer_delay_shifts_the_target_by_exactly_the_difference(delay_ms):
    def first_spike(delay):
        network = _pair(delay_ms=delay, has_recording=True)
        network.set_current(np.array([0]), 20000.0)
        network.run(3.0)
        network.set_current(np.array([0]), 0.0)
        network.run(30.0)
        spikes = network.spikes()
        return spikes.steps[spikes.neurons == 1][0]

    assert first_spike(delay_ms) - first_spike(1.0) == delay_ms - 1.0


def test_an_excitatory_spike_lifts_the_target_by_the_closed_form_potential():
    # 1.300066 mV per 100 pA at the peak (closed form of the alpha synapse): 15 mV need more than 1153 pA at 1 ms steps.
    def fires(weight_pA):
        network = _pair(weight_pA=weight_pA)
        network.set_current(np.array([0]), 20000.0)
        network.run(1.0)
        network.set_current(np.array([0]), 0.0)
        network.run(40.0)
        return network.spike_counts()[1] > 0

    assert not fires(1150.0)
    assert fires(1160.0)


def test_counts_since_the_last_call_add_up_to_the_recording():
    config = AntBrainConfig()
    genome = random_genomes(config, 1, np.random.default_rng(3))[0]
    obs = np.zeros((4, 11), dtype=np.int8)
    obs[:, [3, 8]] = 1
    brain = AntColonyBrain(*decode(genome, config), 4, config, has_recording=True)
    counted = []
    original = brain._network.spike_counts
    brain._network.spike_counts = lambda: counted.append(original()) or counted[-1]
    for _ in range(60):
        brain.act(obs)
    output = brain.spikes()["output"]
    recorded = np.zeros((60, 16), dtype=int)
    np.add.at(recorded, ((output.steps - 1) // 20, output.neurons), 1)
    assert recorded.sum() > 100
    np.testing.assert_array_equal(counted, recorded)


def test_recording_does_not_change_the_behaviour():
    config = AntBrainConfig()
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(4))[0], config)
    observations = np.random.default_rng(5).integers(0, 2, size=(50, 3, 11)).astype(np.int8)
    plain = AntColonyBrain(*weights_delays, 3, config)
    actions = [plain.act(obs) for obs in observations]
    recording = AntColonyBrain(*weights_delays, 3, config, has_recording=True)
    np.testing.assert_array_equal(actions, [recording.act(obs) for obs in observations])
    assert np.ptp(actions) > 0


def test_reset_equals_a_fresh_brain_and_leaves_no_trace_of_the_past():
    config = AntBrainConfig()
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(6))[0], config)
    rng = np.random.default_rng(7)
    brain = AntColonyBrain(*weights_delays, 2, config)
    for _ in range(20):
        brain.act(rng.integers(0, 2, size=(2, 11)).astype(np.int8))
    brain.reset()
    observations = rng.integers(0, 2, size=(30, 2, 11)).astype(np.int8)
    again = [brain.act(obs) for obs in observations]
    fresh = AntColonyBrain(*weights_delays, 2, config)
    np.testing.assert_array_equal(again, [fresh.act(obs) for obs in observations])


def test_ants_of_a_colony_do_not_influence_each_other():
    config = AntBrainConfig()
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(8))[0], config)
    observations = np.random.default_rng(9).integers(0, 2, size=(40, 3, 11)).astype(np.int8)
    colony = AntColonyBrain(*weights_delays, 3, config)
    together = np.array([colony.act(obs) for obs in observations])
    for ant in range(3):
        alone = AntColonyBrain(*weights_delays, 1, config)
        np.testing.assert_array_equal(together[:, ant], [alone.act(obs[ant : ant + 1])[0] for obs in observations])


def test_the_startup_transient_can_be_switched_off():
    config = AntBrainConfig(has_startup_transient=False)
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(8))[0], config)
    brain = AntColonyBrain(*weights_delays, 1, config, has_recording=True)
    brain.act(np.zeros((1, 11), dtype=np.int8))
    assert brain.spikes()["input"].steps.size == 0


@pytest.mark.parametrize("delay_ms", [3.0, 5.0, 7.0])
def test_a_brain_whose_delays_are_all_long_runs_and_answers_later(delay_ms):
    config = AntBrainConfig()
    weights, _ = decode(random_genomes(config, 1, np.random.default_rng(1))[0], config)

    def first_hidden_spike(delay):
        brain = AntColonyBrain(np.abs(weights), np.full_like(weights, delay), 1, config, has_recording=True)
        brain.act(np.ones((1, 11), dtype=np.int8))
        return brain.spikes()["hidden"].steps[0]

    assert first_hidden_spike(delay_ms) - first_hidden_spike(1.0) == delay_ms - 1.0


def test_a_network_refuses_to_run_after_another_was_built():
    first = _pair()
    second = _pair()
    with pytest.raises(RuntimeError, match="another one was built since"):
        first.run(1.0)
    with pytest.raises(RuntimeError, match="another one was built since"):
        first.set_current(np.array([0]), 20000.0)
    second.run(1.0)
    first.reset()
    first.run(1.0)


def test_looking_at_the_recording_takes_nothing_from_the_counts():
    network = _pair(weight_pA=0.0, has_recording=True)
    network.set_current(np.array([0]), 20000.0)
    network.run(20.0)
    assert len(network.spikes().steps) == 10
    network.run(10.0)
    assert len(network.spikes().steps) == 15
    assert network.spike_counts().tolist() == [15, 0]
    network.run(10.0)
    assert network.spike_counts().tolist() == [5, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counted": np.array([0, 0])}, "each one once"),
        ({"counted": np.array([], dtype=int)}, "at least one neuron"),
        ({"rng_seed": 0}, "rng_seed=0 is outside"),
    ],
)
def test_a_network_that_cannot_be_read_or_seeded_is_refused(change, message):
    arguments = {"counted": np.array([0]), **change}
    with pytest.raises(ValueError, match=message):
        NestNetwork(NeuronConfig(), 2, _connections((0, 1, 1.0, 1.0)), **arguments)


def test_a_colony_without_ants_is_refused():
    config = AntBrainConfig()
    with pytest.raises(ValueError, match="n_ants=0"):
        AntColonyBrain(*decode(random_genomes(config, 1, np.random.default_rng(0))[0], config), 0, config)


def test_spikes_need_recording():
    with pytest.raises(RuntimeError, match="has_recording=True"):
        _pair().spikes()


@pytest.mark.parametrize(
    ("synapse", "message"),
    [
        ((0, 2, 1.0, 1.0), r"connections.target holds neuron 2, outside 0 … 1"),
        ((-1, 1, 1.0, 1.0), r"connections.source holds neuron -1"),
        ((0, 1, np.nan, 1.0), "weight 0 is nan pA"),
        ((0, 1, 1.0, 0.5), "delay 0 is 0.5 ms: .* multiples of the resolution, 1.0 ms"),
        ((0, 1, 1.0, 1.5), "delay 0 is 1.5 ms"),
    ],
)
def test_bad_connections_are_refused_before_nest_sees_them(synapse, message):
    with pytest.raises(ValueError, match=message):
        NestNetwork(NeuronConfig(), 2, _connections(synapse), np.array([0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tau_m": 0.0}, "tau_m=0.0 .* > 0"), ({"V_reset": -50.0}, "V_reset=-50.0"), ({"C_m": np.nan}, "C_m=nan")],
)
def test_bad_neuron_parameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NeuronConfig(**settings)


def test_a_wrong_observation_is_refused():
    config = AntBrainConfig()
    brain = AntColonyBrain(*decode(random_genomes(config, 1, np.random.default_rng(0))[0], config), 2, config)
    with pytest.raises(ValueError, match=r"shape \(3, 11\), expected \(2, 11\)"):
        brain.act(np.zeros((3, 11), dtype=np.int8))


def test_a_thousand_networks_do_not_grow_the_process():
    def resident_kb():
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    config = AntBrainConfig()
    weights_delays = decode(random_genomes(config, 1, np.random.default_rng(0))[0], config)
    obs = np.ones((15, 11), dtype=np.int8)

    def build(times):
        for _ in range(times):
            with AntColonyBrain(*weights_delays, 15, config) as brain:
                brain.act(obs)

    build(50)
    before = resident_kb()
    build(300)
    assert resident_kb() - before < 3000  # 10 kB per network would be 3000


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
