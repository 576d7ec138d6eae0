"""The published reservoir: pixels -> relays -> liquid -> output clusters, from (config, rng); pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np

from snn import wiring
from snn.models import Population
from snn.params import NeuronConfig
from snn.receptive_fields import fixed_indegree_from_patches
from snn.reservoirs import LIQUID, check_ranges, node_ranges, synapse_block
from snn.spike_trains import IntArray
from snn.topology import Connections, Topology

Encoding = Literal["published", "improved", "local"]
ENCODINGS = get_args(Encoding)
OUTPUTS = ("output_excitatory", "output_inhibitory")  # populations that hold the clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedReservoirConfig:
    """The reservoir of the published study on ensemble Kalman filters: pixels -> relays -> liquid -> output clusters.

    Two letters name source and target kind, ``ei`` is excitatory onto inhibitory; `sd` is a standard deviation.

    Raises
    ------
    ValueError : a number outside its range.

    Source: Yegenoglu et al. 2022, doi:10.3389/fncom.2022.885207, and its frozen code.
    """

    n_pixels: int = 784  # Poisson generators, each onto a neuron of its own; >= 1, as all sizes
    n_excitatory: int = 1600
    n_inhibitory: int = 400
    n_clusters: int = 3  # one per class
    n_cluster_excitatory: int = 10
    n_cluster_inhibitory: int = 2
    input_indegree: int = 8  # from the relays onto each neuron of the liquid
    outdegree_ee: int = 96  # inside the liquid
    outdegree_ei: int = 32
    outdegree_ie: int = 160
    outdegree_ii: int = 32
    readout_indegree_e: int = 640  # from the liquid onto each output neuron
    readout_indegree_i: int = 160
    cluster_indegree: int = 2  # inside a cluster, from each kind onto each neuron; may be from itself
    input_weight_pA: float = 70.0  # mean, from pixels to relays and from relays to the liquid
    input_weight_sd_pA: float = 400.0
    relay_weight_pA: float = 1500.0  # from pixels to relays, unless as published; above 1154 each spike passes
    patch_pixels: int = 10  # side of the square patch that a neuron of the liquid sees in the local encoding
    weight_e_pA: float = 70.0  # mean, inside the liquid
    weight_i_pA: float = -90.0
    weight_sd_pA: float = 100.0  # as published, many weights have the other sign than their mean
    readout_weight_pA: float = 100.0  # mean from excitatory neurons, its negative from inhibitory ones
    readout_weight_sd_pA: float = 50.0
    cluster_weight_pA: float = 1.0
    noise_strong_rate_hz: float = 8_000.0  # onto the liquid
    noise_strong_weight_pA: float = 5.5
    noise_weak_rate_hz: float = 10_000.0  # onto the liquid
    noise_weak_weight_pA: float = 1.0
    noise_output_rate_hz: float = 10_000.0  # onto the clusters
    noise_output_weight_pA: float = 1.0
    idle_rate_hz: float = 1.0  # of the pixels between images
    delay_ms: float = 1.0  # > 0, of all synapses
    neuron: NeuronConfig = field(default_factory=lambda: NeuronConfig(t_ref=2.0))  # of model iaf_psc_alpha

    def __post_init__(self) -> None:
        check_ranges(self)


class TrainedSynapses(NamedTuple):
    """Where the trained synapses stand in the connections; row k holds those onto cluster k."""

    ee: IntArray  # (n_clusters, n) index of a synapse; excitatory onto excitatory neurons
    ei: IntArray
    ie: IntArray
    ii: IntArray

    def of_clusters(self) -> IntArray:
        """(n_clusters, n) indices of all kinds, in the order ee, ei, ie, ii."""
        return np.concatenate(self, axis=1)


class PublishedReservoir(NamedTuple):
    """What `make_published_reservoir` gives."""

    topology: Topology
    trained: TrainedSynapses
    rates_hz: dict[str, float]  # of every Poisson population, for `set_inputs` before the first image


def make_published_reservoir(
    config: PublishedReservoirConfig, rng: np.random.Generator, encoding: Encoding = "published"
) -> PublishedReservoir:
    """Populations "pixels", "input" (the relays), "excitatory", "inhibitory", three of noise, and two of outputs.

    The outputs of all clusters are two populations, "output_excitatory" and "output_inhibitory", cluster after cluster.
    The published encoding silences 43 % of the pixels by negative weights and passes few spikes of the others. The
    improved one takes the absolute values of the input weights and one weight that passes every spike for the relays;
    all else is equal for equal generators. In the local one relays pass every spike, too, but neurons of the liquid get
    their inputs, with the signs that are drawn, from a square patch of the image each.

    Raises
    ------
    ValueError : an unknown encoding, or a degree above the number of partners.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding={encoding!r} is unknown: give one of {', '.join(ENCODINGS)}.")
    populations = _published_populations(config)
    names = [population.name for population in populations]
    nodes = dict(zip(names, node_ranges(populations), strict=True))
    liquid = _liquid_blocks(config, nodes, rng, encoding)
    noise = []
    for name, targets in (("noise_strong", LIQUID), ("noise_weak", LIQUID), ("noise_output", OUTPUTS)):
        pairs = wiring.all_to_all(nodes[name], np.concatenate([nodes[target] for target in targets]))
        noise.append(
            synapse_block(pairs, np.full(len(pairs[0]), getattr(config, f"{name}_weight_pA")), config.delay_ms)
        )
    clusters, readout = _output_blocks(config, nodes, rng)
    connections = wiring.join(*liquid, *noise, *clusters, *readout)
    sizes = [len(block.source) for block in readout[:4]]
    trained = len(connections.source) - config.n_clusters * sum(sizes) + np.arange(config.n_clusters * sum(sizes))
    kinds = np.split(trained.reshape(config.n_clusters, -1), np.cumsum(sizes)[:-1], axis=1)
    rates_hz = {name: getattr(config, f"{name}_rate_hz") for name in names if name.startswith("noise")}
    return PublishedReservoir(
        Topology(populations, connections), TrainedSynapses(*kinds), {"pixels": config.idle_rate_hz, **rates_hz}
    )


def _published_populations(config: PublishedReservoirConfig) -> tuple[Population, ...]:
    sources = {"pixels": config.n_pixels, "noise_strong": 1, "noise_weak": 1, "noise_output": 1}
    neurons = {
        "input": config.n_pixels,
        "excitatory": config.n_excitatory,
        "inhibitory": config.n_inhibitory,
        "output_excitatory": config.n_clusters * config.n_cluster_excitatory,
        "output_inhibitory": config.n_clusters * config.n_cluster_inhibitory,
    }
    parameters = config.neuron.to_parameters()
    return tuple(Population(name=name, size=size, model="poisson_generator") for name, size in sources.items()) + tuple(
        Population(name=name, size=size, parameters=parameters) for name, size in neurons.items()
    )


def _liquid_blocks(
    config: PublishedReservoirConfig, nodes: dict[str, IntArray], rng: np.random.Generator, encoding: Encoding
) -> list[Connections]:
    """Pixels -> relays -> liquid, and the synapses inside the liquid."""
    blocks = []

    def add(pairs: wiring.Pairs, mean_pA: float, sd_pA: float, is_positive: bool = False) -> None:
        weight_pA = wiring.draw_weights(len(pairs[0]), mean_pA, sd_pA, rng)
        blocks.append(synapse_block(pairs, np.abs(weight_pA) if is_positive else weight_pA, config.delay_ms))

    add(wiring.one_to_one(nodes["pixels"], nodes["input"]), config.input_weight_pA, config.input_weight_sd_pA)
    if encoding != "published":
        blocks[0].weight_pA[:] = config.relay_weight_pA
    for target in LIQUID:
        if encoding == "local":
            patch = config.patch_pixels
            pairs = fixed_indegree_from_patches(nodes["input"], nodes[target], patch, config.input_indegree, rng)
        else:
            pairs = wiring.fixed_indegree(nodes["input"], nodes[target], config.input_indegree, rng)
        add(pairs, config.input_weight_pA, config.input_weight_sd_pA, encoding == "improved")
    for source in LIQUID:
        for target in LIQUID:
            outdegree = getattr(config, f"outdegree_{source[0]}{target[0]}")
            pairs = wiring.fixed_outdegree(nodes[source], nodes[target], outdegree, rng)
            add(pairs, getattr(config, f"weight_{source[0]}_pA"), config.weight_sd_pA)
    return blocks


def _output_blocks(
    config: PublishedReservoirConfig, nodes: dict[str, IntArray], rng: np.random.Generator
) -> tuple[list[Connections], list[Connections]]:
    """Synapses inside the clusters, and the trained ones: ee, ei, ie, ii of the first cluster, then of the next."""
    inside, trained = [], []
    for cluster in range(config.n_clusters):
        outputs = [nodes[name].reshape(config.n_clusters, -1)[cluster] for name in OUTPUTS]
        for source in outputs:
            for target in outputs:
                pairs = wiring.fixed_indegree(source, target, config.cluster_indegree, rng, has_autapses=True)
                inside.append(synapse_block(pairs, np.full(len(pairs[0]), config.cluster_weight_pA), config.delay_ms))
        for name, sign in zip(LIQUID, (1, -1), strict=True):
            for target in outputs:
                indegree = getattr(config, f"readout_indegree_{name[0]}")
                pairs = wiring.fixed_indegree(nodes[name], target, indegree, rng)
                mean_pA = sign * config.readout_weight_pA
                weight_pA = wiring.draw_weights(len(pairs[0]), mean_pA, config.readout_weight_sd_pA, rng)
                trained.append(synapse_block(pairs, weight_pA, config.delay_ms))
    return inside, trained


def sub_network(topology: Topology, names: Sequence[str], given: Sequence[str] = ()) -> tuple[Topology, IntArray]:
    """Some populations of a network and the synapses among them.

    Parameters
    ----------
    names : populations to keep, in the order of the topology
    given : those of them that become spike generators, i.e. whose spikes are known; synapses onto them are left out

    Returns
    -------
    topology : the smaller network
    synapses : (n_synapses,) index of its synapses in the connections of the larger one

    Raises
    ------
    ValueError : a population that does not exist, or no neuron left.
    """
    kept = [topology.population(name) for name in names]
    populations = tuple(
        Population(name=p.name, size=p.size, model="spike_generator") if p.name in given else p for p in kept
    )
    new_node = np.full(topology.n_nodes, -1)
    for population, nodes in zip(populations, node_ranges(populations), strict=True):
        new_node[topology.nodes(population.name)] = nodes
    is_target = new_node >= 0
    for name in given:
        is_target[topology.nodes(name)] = False
    c = topology.connections
    synapses = np.flatnonzero((new_node[c.source] >= 0) & is_target[c.target])
    ends = new_node[c.source[synapses]], new_node[c.target[synapses]]
    return Topology(populations, Connections(*ends, c.weight_pA[synapses], c.delay_ms[synapses])), synapses
