"""Replays of recordings: bit for bit the network of all members, on NEST and in compiled code."""

import hashlib
import os
import sys

import numpy as np
import pytest

from snn import replay
from snn.lif_arrays import DI_EX, DI_IN, I_EX, I_IN, REFRACTORY, V
from snn.network import build
from snn.numba_network import NumbaNetwork
from snn.params import NeuronConfig
from snn.published_reservoir import OUTPUTS, make_published_reservoir
from snn.replay import Replay, network_of_members
from snn.replay_kernels import LANES
from snn.reservoirs import LIQUID
from snn.shared_reservoir import output_network
from snn.spike_trains import SpikeTrains
from snn.topology import Connections, Topology
from tests.conftest import ROOT
from tests.unit.replay_cases import make_config, make_recording


def reference(topology, weights_pA, drive, engine, resolution_ms=1.0):
    """The network of all members after a recording, driven by spike trains of each population of generators."""
    members = network_of_members(topology, len(weights_pA))
    c = members.connections
    members = Topology(members.populations, Connections(c.source, c.target, weights_pA.ravel(), c.delay_ms))
    network = build(members, engine=engine, counted=OUTPUTS, resolution_ms=resolution_ms)
    for name, trains in drive.items():
        network.set_inputs(name, trains)
    network.run(next(iter(drive.values())).duration_ms)
    return network


def counts_of_members(network, n_members):
    """(n_members, n_outputs) spikes; the populations of the members' network stand one after the other."""
    sizes = [network.topology.population(name).size for name in OUTPUTS]
    parts = np.split(network.spike_counts()[0], np.cumsum(sizes)[:-1])
    return np.concatenate([part.reshape(n_members, -1) for part in parts], axis=1)


def doubled_synapses(topology, seed=0):
    """The same network with some synapses two or three times; those of noise stay single. Weights have either sign."""
    c, rng = topology.connections, np.random.default_rng(seed)
    others = np.flatnonzero(c.source >= topology.nodes(LIQUID[0])[0])
    chosen = np.concatenate([np.arange(c.source.size), rng.choice(others, 150), rng.choice(others, 150)])
    rng.shuffle(chosen)
    doubled = Connections(*[values[chosen] for values in c])
    return Topology(
        topology.populations, doubled._replace(weight_pA=doubled.weight_pA * rng.choice([-1, 1], chosen.size))
    )


def make_single(config):
    published = make_published_reservoir(config.reservoir, np.random.default_rng(config.seed))
    return output_network(published.topology)[0]


def make_drive(config, topology, seed=0):
    """A recording, noise, and both as spike trains of each population of generators."""
    recording, rng = make_recording(config, seed), np.random.default_rng(seed + 10)
    n_noise = topology.population("noise_output").size
    noise = rng.poisson(3.0, (n_noise, recording.n_steps))
    steps, neurons = np.repeat(np.argwhere(noise.T), noise.T[noise.T > 0], axis=0).T
    trains = SpikeTrains(steps + 1, neurons, config.resolution_ms, recording.n_steps, {"noise_output": n_noise})
    return recording, noise, {name: recording.population(name) for name in LIQUID} | {"noise_output": trains}


@pytest.mark.parametrize("engine", ["nest", "numba"])
def test_synapses_that_act_as_one_are_added_as_in_a_network(engine):
    config = make_config({"readout_weight_pA": 60.0, "readout_weight_sd_pA": 250.0})
    topology = doubled_synapses(make_single(config))
    recording, noise, drive = make_drive(config, topology)
    machine = Replay(topology, 2, "noise_output", 1.0)
    weights_pA = np.tile(topology.connections.weight_pA, (3, 1))
    weights_pA[:, machine.given] = np.random.default_rng(5).normal(60.0, 250.0, (3, machine.given.size))
    machine.set_weights(weights_pA[:, machine.given])
    counts = machine.counts([recording], [noise], 0)[0]
    np.testing.assert_array_equal(counts, counts_of_members(reference(topology, weights_pA, drive, engine), 3))
    assert counts.mean() > 1


@pytest.mark.parametrize("is_doubled", [False, True])
@pytest.mark.parametrize("delay_ms", [1.0, 2.0])
def test_all_state_is_that_of_a_network_to_the_last_bit(monkeypatch, delay_ms, is_doubled):
    settings = {"delay_ms": delay_ms, "neuron": NeuronConfig(tau_syn_ex=2.0, tau_syn_in=2.0, t_ref=2.0)}
    config = make_config(settings | {"readout_weight_pA": 60.0, "readout_weight_sd_pA": 250.0})
    topology = doubled_synapses(make_single(config)) if is_doubled else make_single(config)
    states = []
    make_state = replay.State
    monkeypatch.setattr(replay, "State", lambda **arrays: states.append(make_state(**arrays)) or states[-1])
    for seed in range(10):
        recording, noise, drive = make_drive(config, topology, seed)
        machine = Replay(topology, 2, "noise_output", 1.0)
        weights_pA = np.tile(topology.connections.weight_pA, (3, 1))
        weights_pA[:, machine.given] = np.random.default_rng(seed).normal(60.0, 250.0, (3, machine.given.size))
        machine.set_weights(weights_pA[:, machine.given])
        states.clear()
        machine.counts([recording], [noise], 0)
        network = reference(topology, weights_pA, drive, "numba")
        assert isinstance(network, NumbaNetwork)
        whole = network.parts().states.lanes[0, 0]
        for row in (V, I_EX, DI_EX, I_IN, DI_IN, REFRACTORY):
            expected = [whole[row, network.lanes(name)[0]].reshape(3, 2, -1) for name in OUTPUTS]
            expected = np.concatenate(expected, axis=2)  # members, clusters, neurons
            given = [state.lanes[row].reshape(-1, LANES)[:, :3].T for state in states]
            np.testing.assert_array_equal(np.stack(given, axis=1), expected)
        assert np.ptp(whole[V, network.lanes(OUTPUTS[0])]) > 1


def test_networks_that_are_no_clusters_of_outputs_are_refused():
    topology = make_single(make_config())
    c = topology.connections

    def make(source=c.source, target=c.target, delay_ms=c.delay_ms):
        weight_pA = np.ones(len(source))
        return Replay(
            Topology(topology.populations, Connections(source, target, weight_pA, delay_ms)), 2, "noise_output", 1.0
        )

    make()
    outputs = topology.nodes(OUTPUTS[0])
    between = np.append(c.source, outputs[0]), np.append(c.target, outputs[-1]), np.append(c.delay_ms, 1.0)
    with pytest.raises(ValueError, match="synapses lead from one cluster to another"):
        make(*between)
    with pytest.raises(ValueError, match=r"delays span 1.0 … 2.0 ms: a replay needs equal ones"):
        make(delay_ms=c.delay_ms + (np.arange(c.delay_ms.size) == 7))
    is_kept = np.arange(c.source.size) != np.flatnonzero(c.source == 0)[0]
    with pytest.raises(ValueError, match="the 10 outputs have 9 synapses of noise: give each one"):
        make(c.source[is_kept], c.target[is_kept], c.delay_ms[is_kept])


# --- Without compilation -----------------------------------------------------------------------------------------


def digest():
    """Fingerprint of a replay."""
    config = make_config(stimulus_ms=20.0, bin_ms=20.0)
    topology = doubled_synapses(make_single(config))
    recording, noise, _ = make_drive(config, topology)
    machine = Replay(topology, 2, "noise_output", 1.0)
    machine.set_weights(np.random.default_rng(1).normal(60.0, 250.0, (18, machine.given.size)))
    counts = machine.counts([recording, recording], [noise, noise], 5)
    assert counts.sum() > 20
    return hashlib.sha256(counts.tobytes()).hexdigest()


def test_the_kernels_do_the_same_without_compilation(run_python):
    lines = ("import experiments", "from tests.unit.test_replay import digest", "print(digest())")
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = run_python("-c", "\n".join(lines), env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()
