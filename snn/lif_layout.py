"""From a topology to the arrays of `snn.lif_arrays`; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from snn import lif_arrays as arrays
from snn.lif_arrays import Layout, State, Synapses
from snn.models import Population, Propagators, propagators
from snn.spike_trains import FloatArray, IntArray
from snn.topology import Topology
from snn.vector import WIDTH

_MODEL_CODES = {"iaf_psc_alpha": arrays.ALPHA, "iaf_psc_exp": arrays.EXP, "iaf_psc_delta": arrays.DELTA}
_ALIGNMENT = 64  # bytes of a cache line; vectors that lie across two lines cost twice


class Group(NamedTuple):
    """Populations that are updated in one go: the same model and constants, and all with or all without synapses."""

    populations: list[Population]
    model: int
    constants: Propagators
    n_refractory: int  # steps
    is_driven: bool  # whether any synapse ends here


def make_groups(topology: Topology, resolution_ms: float) -> list[Group]:
    """All populations of neurons in groups."""
    is_target = np.zeros(topology.n_nodes, dtype=np.bool_)
    is_target[topology.connections.target] = True
    groups: dict[tuple[Any, ...], list[Population]] = {}
    for population in topology.populations:
        if population.is_neuron:
            n_refractory = round(population.all_parameters()["t_ref"] / resolution_ms)
            is_driven = bool(is_target[topology.nodes(population.name)].any())
            kind = (_MODEL_CODES[population.model], propagators(population, resolution_ms), n_refractory, is_driven)
            groups.setdefault(kind, []).append(population)
    # Driven groups first: only they have room in the buffer.
    return sorted((Group(populations, *kind) for kind, populations in groups.items()), key=lambda g: not g.is_driven)


def n_blocks_of(n_copies: int) -> int:
    """Blocks of copies that are simulated together."""
    return -(-n_copies // WIDTH)


def lanes_of(groups: Sequence[Group], n_copies: int) -> dict[str, IntArray]:
    """(n_copies, size) lanes of every population of neurons within the block of the copy, ``copy // WIDTH``."""
    n_padded = _lanes_per_neuron(n_copies)
    copies = np.arange(n_copies)[:, None] % WIDTH
    lanes, first = {}, 0
    for group in groups:
        for population in group.populations:
            lanes[population.name] = first + copies + n_padded * np.arange(population.size)
            first += n_padded * population.size
        first = _round_up(first)
    return lanes


def make_layout(
    topology: Topology,
    groups: Sequence[Group],
    lanes: Mapping[str, IntArray],
    counted: Sequence[str],
    probed: Sequence[str],
) -> Layout:
    """What all networks of a batch share; slices are one step long until `_replace` says otherwise."""
    n_copies = len(next(iter(lanes.values())))
    ranges = {name: (values[0, 0], values[0, -1] + _lanes_per_neuron(n_copies)) for name, values in lanes.items()}
    first = [ranges[group.populations[0].name][0] for group in groups]
    end = _round_up(ranges[groups[-1].populations[-1].name][1])
    neurons = [population.name for population in topology.populations if population.is_neuron]
    return Layout(
        model=np.array([group.model for group in groups]),
        group_lane=np.array([*first, end]),
        is_driven=np.array([group.is_driven for group in groups]),
        constants=np.array([group.constants for group in groups]),
        n_refractory=np.array([float(group.n_refractory) for group in groups]),
        counted=np.array([ranges[name] for name in counted], dtype=np.int64).reshape(-1, 2),
        probed=np.array([ranges[name] for name in probed], dtype=np.int64).reshape(-1, 2),
        source_lane=np.concatenate([lanes[name][0] for name in neurons]),
        source_node=np.concatenate([topology.nodes(name) for name in neurons]),
        first_synapse=np.searchsorted(np.sort(topology.connections.source), np.arange(topology.n_nodes + 1)),
        n_copies=n_copies,
        n_driven=max(
            WIDTH, max((_round_up(ranges[p.name][1]) for g in groups if g.is_driven for p in g.populations), default=0)
        ),
        slice_steps=1,
    )


def make_synapses(
    topology: Topology, lanes: Mapping[str, IntArray], n_driven: int, weight: FloatArray, delay_steps: IntArray
) -> Synapses:
    """Synapses sorted by source, and where in the buffer each one's target reads.

    Parameters
    ----------
    weight, delay_steps : (n_networks, n_synapses) in the order of the topology
    """
    order = np.argsort(topology.connections.source, kind="stable")
    first_lane = np.full(topology.n_nodes, -1)
    is_delta = np.zeros(topology.n_nodes, dtype=np.bool_)
    for name, own in lanes.items():
        first_lane[topology.nodes(name)] = own[0]
        is_delta[topology.nodes(name)] = topology.population(name).model == "iaf_psc_delta"
    target = topology.connections.target[order]
    weight = np.ascontiguousarray(weight[:, order])
    # As NEST: by the sign of what arrives; a delta neuron has one buffer.
    n_bytes = 16.0 * n_driven * (delay_steps.max(initial=0) + 1)
    if n_bytes >= 2**34:  # places are 32-bit numbers of 8 bytes
        raise ValueError(
            f"the longest delay of {delay_steps.max()} steps needs a buffer of {n_bytes / 1e9:.0f} GB per eight "
            "copies; 17 GB are allowed: use shorter delays, fewer neurons or a coarser resolution."
        )
    is_inhibitory = (weight <= 0) & ~is_delta[target]
    place = (2 * delay_steps[:, order] + is_inhibitory) * n_driven + first_lane[target]
    return Synapses(weight, np.ascontiguousarray(place.astype(np.int32)))


def make_state(
    topology: Topology, layout: Layout, lanes: Mapping[str, IntArray], n_networks: int, max_delay_steps: int
) -> State:
    """State at time 0."""
    n_lanes = int(layout.group_lane[-1])
    n_slots = max_delay_steps + layout.slice_steps
    parts = (n_networks, n_blocks_of(layout.n_copies))
    state = State(
        lanes=aligned_zeros((*parts, arrays.N_ROWS, n_lanes)),
        buffer=aligned_zeros((*parts, n_slots * 2 * layout.n_driven)),
        fired=aligned_zeros((*parts, layout.slice_steps * n_lanes)),
        n_fired=aligned_zeros((*parts, n_lanes)),
        counts=aligned_zeros((*parts, n_lanes)),
    )
    for name, own in lanes.items():
        values = topology.population(name).all_parameters()
        state.lanes[:, :, arrays.V, own] = values["V_m"] - values["E_L"]
        state.lanes[:, :, arrays.I_E, own] = values["I_e"]
    return state


def sort_events(
    step: IntArray, node: IntArray, copy: IntArray, n_parts: tuple[int, int], n_copies: int, slice_steps: int
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Given spikes in the order in which NEST would deliver them: by slice, source, step.

    Parameters
    ----------
    step, node, copy : (n_events,); copies are numbered through all networks
    n_parts : networks and blocks of each

    Returns
    -------
    step, node, shift, first_event : as in `snn.lif_arrays.Drive`
    """
    network, own_copy = np.divmod(copy, n_copies)
    part = network * n_parts[1] + own_copy // WIDTH
    order = np.lexsort((step, node, step // slice_steps, part))
    first_event = np.searchsorted(part[order], np.arange(n_parts[0] * n_parts[1] + 1))
    return step[order], node[order], own_copy[order] % WIDTH, first_event


def noisy_synapses(topology: Topology) -> dict[str, tuple[IntArray, IntArray]]:
    """Synapses of each population of Poisson sources: their indices, sorted by source, and their sources' numbers."""
    source = np.sort(topology.connections.source)
    noisy = {}
    for population in topology.populations:
        if population.model == "poisson_generator":
            first = topology.nodes(population.name)[0]
            synapses = np.flatnonzero((source >= first) & (source < first + population.size))
            noisy[population.name] = (synapses, source[synapses] - first)
    return noisy


def _lanes_per_neuron(n_copies: int) -> int:
    return 1 if n_copies == 1 else WIDTH


def _round_up(n_lanes: int) -> int:
    """Next multiple of what a processor takes at once."""
    return -(-n_lanes // WIDTH) * WIDTH


def aligned_zeros(shape: tuple[int, ...]) -> FloatArray:
    """Zeros that begin at a cache line."""
    size = int(np.prod(shape))
    room = np.zeros(size + _ALIGNMENT // 8)
    skip = -room.ctypes.data % _ALIGNMENT // 8
    return room[skip : skip + size].reshape(shape)
