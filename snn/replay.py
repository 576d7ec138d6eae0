"""Replay of recorded spikes into the output neurons of all members of an ensemble, in compiled code.

The clusters of output neurons do not reach one another: each is a small network of its own, of which
`snn.replay_kernels` simulates many members side by side. Spikes are those of `snn.numba_network`, and so of NEST.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snn.flush import flushing_to_zero
from snn.lif_arrays import N_ROWS
from snn.lif_layout import aligned_zeros
from snn.models import Population, propagators
from snn.published_reservoir import OUTPUTS
from snn.replay_kernels import LANES, Group, Neurons, State, replay
from snn.reservoirs import LIQUID, node_ranges
from snn.spike_trains import FloatArray, IntArray, SpikeTrains
from snn.topology import Connections, Topology, combine_multapses


class Replay:
    """Output neurons of many members, which differ in the weights of the synapses from the liquid.

    Parameters
    ----------
    topology : of one member: generators named `noise` and as `LIQUID`, neurons named as `OUTPUTS`, all of one
        iaf_psc_alpha, cluster after cluster
    n_clusters : int, parts of equal size of each population of outputs
    noise : name of the generators of noise, one synapse of which leads to each output neuron
    resolution_ms : float, > 0, ms per step

    Attributes
    ----------
    given : (n_given,) int64, indices of the synapses from the liquid in the connections of the topology
    n_outputs : int, output neurons of a member

    Raises
    ------
    ValueError : delays that differ, synapses between clusters, neurons without a source of noise or with several.
    """

    def __init__(self, topology: Topology, n_clusters: int, noise: str, resolution_ms: float) -> None:
        self._topology, c = topology, topology.connections
        outputs = np.concatenate([topology.nodes(name) for name in OUTPUTS])
        sources = np.concatenate([topology.nodes(name) for name in LIQUID])
        self._n_sources, self.n_outputs, self._first_output = sources.size, outputs.size, outputs[0]
        self.given: IntArray = np.flatnonzero(np.isin(c.source, sources))
        self._has_multapses = np.unique(c.source * topology.n_nodes + c.target).size < c.source.size
        self._weight_pA = combine_multapses(topology, c.weight_pA, c.delay_ms)
        self._noise_of, self._noise_pA = self._find_noise(noise)
        clusters = np.concatenate([topology.nodes(name).reshape(n_clusters, -1) for name in OUTPUTS], axis=1)
        self._clusters: IntArray = clusters - self._first_output
        self._groups, self._order = zip(*[self._make_group(nodes) for nodes in clusters], strict=True)
        n_inside = sum(group.inside_pA.size for group in self._groups)
        if self.given.size + n_inside + self.n_outputs < c.source.size:
            raise ValueError("synapses lead from one cluster to another: replayed clusters are simulated one by one.")
        if np.ptp(c.delay_ms) > 0:
            raise ValueError(f"delays span {c.delay_ms.min()} … {c.delay_ms.max()} ms: a replay needs equal ones.")
        population = topology.population(OUTPUTS[0])
        values = population.all_parameters()
        self._neurons = Neurons(
            constants=np.array(propagators(population, resolution_ms)),
            n_refractory=float(round(values["t_ref"] / resolution_ms)),
            start_mV=values["V_m"] - values["E_L"],
            current_pA=values["I_e"],
            delay_steps=round(c.delay_ms[0] / resolution_ms),
        )
        self.set_weights(self._weight_pA[np.newaxis, self.given])

    def set_weights(self, weight_pA: FloatArray) -> None:
        """Weights of the synapses `given`, (n_members, n_given) in pA; any number of members."""
        if self._has_multapses:
            weight_pA = self._combined(weight_pA)
        self._n_members, n_blocks = len(weight_pA), -(-len(weight_pA) // LANES)
        self._weights = []
        for order in self._order:
            side_by_side = aligned_zeros((n_blocks, order.size, LANES))
            for block in range(n_blocks):
                members = weight_pA[block * LANES : (block + 1) * LANES, order]
                side_by_side[block, :, : len(members)] = members.T
            self._weights.append(side_by_side.reshape(n_blocks, -1))

    def counts(self, recordings: Sequence[SpikeTrains], noise: Sequence[IntArray], n_idle: int) -> IntArray:
        """Spikes of all outputs of all members, for each recording.

        Parameters
        ----------
        recordings : one or more of equal length, with the populations `LIQUID`; others are left out
        noise : (n_generators, n_steps) int64 per recording, spikes of the noise; empty for no noise
        n_idle : int, >= 0, steps at the beginning whose spikes are not counted

        Returns
        -------
        (n_recordings, n_members, n_outputs) int64, outputs in the order of the topology
        """
        counts = np.empty((len(recordings), self._n_members, self.n_outputs), dtype=np.int64)
        first_spike, source = given_spikes(recordings)
        noise_pA = np.empty((0, 0, 0))
        for group, cluster, weights in zip(self._groups, self._clusters, self._weights, strict=True):
            n_lanes = cluster.size * LANES
            state = State(
                lanes=aligned_zeros((N_ROWS, n_lanes)),
                buffer=aligned_zeros((2 * n_lanes,)),
                fired=aligned_zeros((self._neurons.delay_steps * n_lanes,)),
            )
            if len(noise):
                noise_pA = self._noise_currents(noise, cluster)
            own = aligned_zeros((len(recordings), len(weights), n_lanes))
            with flushing_to_zero():
                replay(group, self._neurons, state, weights, first_spike, source, noise_pA, n_idle, own)
            members = own.reshape(len(recordings), len(weights), cluster.size, LANES).swapaxes(2, 3)
            counts[:, :, cluster] = members.reshape(len(recordings), -1, cluster.size)[:, : self._n_members]
        return counts

    def _noise_currents(self, noise: Sequence[IntArray], outputs: IntArray) -> FloatArray:
        """(n_recordings, n_steps, n) pA that noise sends to n outputs in each step, its spikes added one by one."""
        spikes = np.stack([own[self._noise_of[outputs]] for own in noise])
        terms = np.repeat(self._noise_pA[outputs, np.newaxis], spikes.max(initial=0), axis=1)
        sums = np.pad(np.cumsum(terms, axis=1), ((0, 0), (1, 0)))
        return np.ascontiguousarray(sums[np.arange(outputs.size)[:, np.newaxis], spikes].swapaxes(1, 2))

    def _combined(self, weight_pA: FloatArray) -> FloatArray:
        """Weights of which those of synapses that act as one are added, as both engines do."""
        c, combined = self._topology.connections, np.empty_like(weight_pA)
        for member, row in enumerate(weight_pA):
            whole = c.weight_pA.copy()
            whole[self.given] = row
            combined[member] = combine_multapses(self._topology, whole, c.delay_ms)[self.given]
        return combined

    def _find_noise(self, name: str) -> tuple[IntArray, FloatArray]:
        """(n_outputs,) generator of each output's noise, and weight of its synapse."""
        c, nodes = self._topology.connections, self._topology.nodes(name)
        synapses = np.flatnonzero(np.isin(c.source, nodes))
        synapses = synapses[np.argsort(c.target[synapses])]
        if not np.array_equal(c.target[synapses], self._first_output + np.arange(self.n_outputs)):
            raise ValueError(f"the {self.n_outputs} outputs have {synapses.size} synapses of noise: give each one.")
        return c.source[synapses] - nodes[0], self._weight_pA[synapses]

    def _make_group(self, nodes: IntArray) -> tuple[Group, IntArray]:
        """Wiring of one cluster, and which of `given` are its synapses, by source."""
        c, n_lanes = self._topology.connections, nodes.size * LANES
        number = np.full(self._topology.n_nodes, -1)
        number[nodes] = np.arange(nodes.size)
        first_source = self._topology.nodes(LIQUID[0])[0]
        order = np.flatnonzero(number[c.target[self.given]] >= 0)
        order = order[np.argsort(c.source[self.given[order]], kind="stable")]
        given, inside = self.given[order], np.flatnonzero((number[c.source] >= 0) & (number[c.target] >= 0))
        inside = inside[np.argsort(number[c.source[inside]], kind="stable")]
        is_inhibitory = self._weight_pA[inside] <= 0
        group = Group(
            first_given=np.searchsorted(c.source[given] - first_source, np.arange(self._n_sources + 1)),
            given_lane=number[c.target[given]] * LANES,
            first_inside=np.searchsorted(number[c.source[inside]], np.arange(nodes.size + 1)),
            inside_place=number[c.target[inside]] * LANES + is_inhibitory * n_lanes,
            inside_pA=self._weight_pA[inside],
        )
        return group, order


def given_spikes(recordings: Sequence[SpikeTrains]) -> tuple[IntArray, IntArray]:
    """Spikes of the liquid in the order of `snn.replay_kernels.replay`: its `first_spike` and `source`."""
    n_steps = recordings[0].n_steps
    first_spike = np.empty((len(recordings), n_steps + 1), dtype=np.int64)
    sources, n_before = [], 0
    for k, recording in enumerate(recordings):
        trains = [recording.population(name) for name in LIQUID]
        steps = np.concatenate([train.steps for train in trains])
        neurons = np.concatenate([trains[0].neurons, trains[0].n_neurons + trains[1].neurons])
        order = np.argsort(steps, kind="stable")  # of two sorted lists: linear time
        first_spike[k] = n_before + np.searchsorted(steps[order], np.arange(1, n_steps + 2))
        sources.append(neurons[order])
        n_before += order.size
    return first_spike, np.concatenate(sources)


def network_of_members(topology: Topology, n_members: int) -> Topology:
    """One network with the neurons of all members, and one set of spike generators that drive them all.

    Neuron ``k`` of member ``j`` in a population is number ``j * size + k``. Synapses of a member stand together.
    """
    populations = tuple(
        Population(name=p.name, size=p.size * (n_members if p.is_neuron else 1), model=p.model, parameters=p.parameters)
        for p in topology.populations
    )
    node = np.empty((n_members, topology.n_nodes), dtype=np.int64)
    for population, nodes in zip(topology.populations, node_ranges(populations), strict=True):
        shape = (n_members if population.is_neuron else 1, population.size)
        node[:, topology.nodes(population.name)] = nodes.reshape(shape)
    c = topology.connections
    ends = node[:, c.source].ravel(), node[:, c.target].ravel()
    return Topology(populations, Connections(*ends, np.tile(c.weight_pA, n_members), np.tile(c.delay_ms, n_members)))
