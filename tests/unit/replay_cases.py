"""A small published reservoir with recordings made up for it, shared by tests of replays."""

import dataclasses

import numpy as np

from snn.liquid_config import published_liquid
from snn.published_reservoir import PublishedReservoirConfig
from snn.spike_trains import SpikeTrains

TINY = PublishedReservoirConfig(
    n_pixels=20, n_excitatory=60, n_inhibitory=20, n_clusters=2, n_cluster_excitatory=3, n_cluster_inhibitory=2,
    outdegree_ee=8, outdegree_ei=4, outdegree_ie=10, outdegree_ii=4, readout_indegree_e=30, readout_indegree_i=10,
    noise_output_weight_pA=2.3, cluster_weight_pA=150.7,
)  # fmt: skip
NO_IDLE = {"warm_up_ms": 0.0, "cool_down_ms": 0.0}


def make_config(settings=None, **changes):
    """A small published liquid; settings of its reservoir, changes of the rest."""
    times = {"stimulus_ms": 60.0, "bin_ms": 20.0, "warm_up_ms": 5.0, "cool_down_ms": 10.0}
    return published_liquid(reservoir=dataclasses.replace(TINY, **settings or {}), **times | changes)


def make_recording(config, seed, rate=0.03):
    """Random spikes of a liquid as long as a recording, several of a neuron in one step among them."""
    rng, reservoir = np.random.default_rng(seed), config.reservoir
    sizes = {"excitatory": reservoir.n_excitatory, "inhibitory": reservoir.n_inhibitory}
    n_steps = round((config.warm_up_ms + config.cool_down_ms + config.stimulus_ms) / config.resolution_ms)
    n_spikes = rng.poisson(rate * n_steps * sum(sizes.values()))
    steps, neurons = rng.integers(1, n_steps + 1, n_spikes), rng.integers(0, sum(sizes.values()), n_spikes)
    return SpikeTrains.from_unsorted(steps, neurons, config.resolution_ms, n_steps, sizes)
