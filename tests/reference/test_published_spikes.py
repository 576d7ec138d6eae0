"""The published NEST recordings, reproduced spike for spike by both engines.

Source: github.com/Meta-optimization/emergent_communication_in_agents (MIT), data of Jimenez-Romero et al. 2024.
"""

import dataclasses

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from snn import AntColonyBrain, decode
from tests.contract.network_cases import every_engine

pytestmark = pytest.mark.data

N_TICKS = 1901
RECORDINGS = [(generation, individual, ant) for generation, individual in ((200, 4), (1600, 30)) for ant in range(3)]
TICK_MS = 20
# What an active sensor's neuron does in a tick that begins at t0.
PATTERN_MS = np.arange(3, 22, 2)


def load(published_ants, generation, individual, ant):
    """Recorded (times_ms, neuron) pairs of the input, hidden and output layer, sorted by time, then neuron."""
    with np.load(published_ants / f"spikes_{generation}_{individual}_ant{ant}.npz") as data:
        layers = {}
        for ours, theirs in (("input", "input"), ("hidden", "middle"), ("output", "output")):
            times, neurons = data[f"{theirs}_times_ms"].astype(int), data[f"{theirs}_neuron"].astype(int)
            order = np.lexsort((neurons, times))
            layers[ours] = times[order], neurons[order]
    return layers


def observations(times, neurons):
    """(N_TICKS, 11) sensor activity that the first spike of each pattern stands for."""
    is_first = times % TICK_MS == PATTERN_MS[0]
    obs = np.zeros((N_TICKS, 11), dtype=np.int8)
    obs[times[is_first] // TICK_MS, neurons[is_first]] = 1
    return obs


def pattern(obs):
    """(time_ms, neuron) of all input spikes that belong to the sensors active in `obs`, up to its end."""
    ticks, neurons = np.nonzero(obs)
    spikes = {(int(t) * TICK_MS + int(d), int(n)) for t, n in zip(ticks, neurons, strict=True) for d in PATTERN_MS}
    return {spike for spike in spikes if spike[0] <= len(obs) * TICK_MS}


def make_brain(published_genome, recording, engine):
    """The brain of one ant of a recording."""
    genome, config = published_genome(*recording[:2])
    config = dataclasses.replace(config, engine=engine)
    return AntColonyBrain(*decode(genome, config), 1, config, has_recording=True)


def assert_reproduced(published_ants, published_genome, recording, n_ticks, engine):
    """A brain that is fed with the recorded sensors fires the recorded spikes, all of them."""
    layers = load(published_ants, *recording)
    obs = observations(*layers["input"])
    brain = make_brain(published_genome, recording, engine)
    for tick in range(n_ticks):
        brain.act(obs[tick : tick + 1])
    for layer, (times, neurons) in layers.items():
        ours, is_due = brain.spikes().population(layer), times <= n_ticks * TICK_MS
        np.testing.assert_array_equal(ours.steps, times[is_due], err_msg=layer)
        np.testing.assert_array_equal(ours.neurons, neurons[is_due], err_msg=layer)
        assert is_due.sum() > n_ticks


@every_engine
def test_an_active_sensor_fires_the_ten_spikes_seen_in_all_recordings(published_ants, published_genome, engine):
    obs = (np.random.default_rng(0).random((40, 11)) < 0.4).astype(np.int8)
    brain = make_brain(published_genome, (1600, 30), engine)
    for row in obs:
        brain.act(row[None])
    obs[0] = 1  # the start-up transient: every sensor in tick 0
    ours = brain.spikes().population("input")
    assert set(zip(ours.steps.tolist(), ours.neurons.tolist(), strict=True)) == pattern(obs)
    for recording in RECORDINGS:
        times, neurons = load(published_ants, *recording)["input"]
        sensed = observations(times, neurons)
        assert sensed[0].all()
        assert set(zip(times.tolist(), neurons.tolist(), strict=True)) == pattern(sensed)


def test_exactly_one_of_each_triple_is_active_here_as_in_all_recordings(published_ants):
    env = AntForagingEnv()
    env.action_space.seed(0)
    first, _ = env.reset(seed=0)
    ours = [first, *(env.step(env.action_space.sample())[0] for _ in range(500))]
    theirs = [observations(*load(published_ants, *recording)["input"])[1:] for recording in RECORDINGS]
    for obs in (*ours, *theirs):
        assert (obs[:, 2:5].sum(axis=1) == 1).all()
        assert (obs[:, 7:10].sum(axis=1) == 1).all()
        assert not obs[:, 5].any()  # ants never stand on a wall


@every_engine
def test_two_seconds_of_one_ant_are_reproduced_exactly(published_ants, published_genome, engine):
    assert_reproduced(published_ants, published_genome, (1600, 30, 0), 100, engine)


@every_engine
@pytest.mark.slow
@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_whole_recordings_are_reproduced_exactly(published_ants, published_genome, recording, engine):
    assert_reproduced(published_ants, published_genome, recording, N_TICKS, engine)


@every_engine
def test_rounding_delays_instead_of_flooring_them_destroys_the_match(published_ants, published_genome, engine):
    genome, config = published_genome(1600, 30)
    config = dataclasses.replace(config, engine=engine)
    weights, delays = np.split(genome, 2)
    layers = load(published_ants, 1600, 30, 0)
    obs = observations(*layers["input"])
    brain = AntColonyBrain(*decode(np.concatenate([weights, np.round(delays)]), config), 1, config, has_recording=True)
    for tick in range(50):
        brain.act(obs[tick : tick + 1])
    times, neurons = layers["hidden"]
    published = set(zip(times[times <= 1000].tolist(), neurons[times <= 1000].tolist(), strict=True))
    hidden = brain.spikes().population("hidden")
    ours = set(zip(hidden.steps.tolist(), hidden.neurons.tolist(), strict=True))
    assert len(ours & published) / len(ours | published) < 0.6
