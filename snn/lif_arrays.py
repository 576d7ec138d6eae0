"""The arrays of `snn.lif_kernels`: their shapes, and the numbers of their rows and columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

V, DI_EX, I_EX, DI_IN, I_IN, REFRACTORY, I_E, V_NEXT = range(8)  # rows of `State.lanes`
N_ROWS = 8
ALPHA, EXP, DELTA = range(3)
# Columns of `Layout.constants`: the fields of `snn.models.Propagators`.
P_LEAK, P_CURRENT, THRESHOLD, RESET, P11_EX, P11_IN, P21_EX, P21_IN = range(8)
P31_EX, P31_IN, P32_EX, P32_IN, KICK_EX, KICK_IN = range(8, 14)


class Layout(NamedTuple):
    """What all networks of a batch share."""

    model: NDArray[np.int64]  # (n_groups,) ALPHA, EXP or DELTA; a group has equal constants
    group_lane: NDArray[np.int64]  # (n_groups + 1,) first lane of a group
    is_driven: NDArray[np.bool_]  # (n_groups,) whether any synapse ends here; these groups come first
    constants: NDArray[np.float64]  # (n_groups, 14) `snn.models.Propagators`
    n_refractory: NDArray[np.float64]  # (n_groups,) steps
    counted: NDArray[np.int64]  # (n_counted, 2) first lane and end of the counted populations
    probed: NDArray[np.int64]  # (n_probed, 2) first lane and end of the probed populations
    source_lane: NDArray[np.int64]  # (n_neurons,) first lane of a neuron
    source_node: NDArray[np.int64]  # (n_neurons,) its node
    first_synapse: NDArray[np.int64]  # (n_nodes + 1,) synapses are sorted by source
    n_copies: int
    n_driven: int  # lanes of the groups that are driven, > 0: what the buffer has room for
    slice_steps: int  # steps of a slice


class Synapses(NamedTuple):
    """Per network of a batch, sorted by source."""

    weight: NDArray[np.float64]  # (n_networks, n_synapses)
    # Where in the buffer a spike arrives that is fired in the step of its first slot, for the target's first lane.
    place: NDArray[np.int32]  # (n_networks, n_synapses)


class State(NamedTuple):
    """What changes from step to step, per network of a batch and block of copies."""

    lanes: NDArray[np.float64]  # (n_networks, n_blocks, N_ROWS, n_lanes)
    buffer: NDArray[np.float64]  # (n_networks, n_blocks, n_slots * 2 * n_driven)
    fired: NDArray[np.float64]  # (n_networks, n_blocks, slice_steps * n_lanes) 1 or 0
    n_fired: NDArray[np.float64]  # (n_networks, n_blocks, n_lanes) sum of `fired` over the slice
    counts: NDArray[np.float64]  # (n_networks, n_blocks, n_lanes) spikes of the counted populations


class Drive(NamedTuple):
    """Spikes from outside during one call."""

    step: NDArray[np.int64]  # (n_events,) step of emission; sorted by network, block, slice, source, step
    node: NDArray[np.int64]  # (n_events,)
    shift: NDArray[np.int64]  # (n_events,) copy within its block
    first_event: NDArray[np.int64]  # (n_networks * n_blocks + 1,)
    noise_synapse: NDArray[np.int64]  # (n_noisy,) synapses of Poisson sources
    noise: NDArray[np.int64]  # (n_networks, n_steps, n_noisy, n_copies) spikes


class Record(NamedTuple):
    """What a call writes down; no steps where nothing is asked for."""

    raster: NDArray[np.uint8]  # (n_networks, n_blocks, n_steps, n_lanes)
    potentials: NDArray[np.float64]  # (n_networks, n_blocks, n_steps, n_probed_lanes) mV above E_L


class Parts(NamedTuple):
    """All arguments of `advance` that are arrays."""

    layout: Layout
    synapses: Synapses
    states: State
    drive: Drive
    record: Record
