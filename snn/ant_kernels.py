"""One tick of a colony's brains, compiled: what `snn.ant_brain` does with calls of the network, in one call."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snn.decoding import decode_into
from snn.lif_arrays import I_E
from snn.lif_kernels import advance
from snn.numba_network import NumbaNetwork
from snn.params import INPUT_LAG_MS, AntBrainConfig
from snn.vector import WIDTH


class TickPlan(NamedTuple):
    """What stays the same in all ticks of a colony."""

    lag_steps: int  # steps with the sensors of the tick before
    rest_steps: int
    current_pA: float  # of an active input neuron
    has_startup_transient: bool
    input_lane: NDArray[np.int64]  # (n_ants, n_inputs) within the ant's block
    output_lane: NDArray[np.int64]  # (n_ants, n_outputs)
    counts: NDArray[np.float64]  # (n_ants, n_outputs) scratch


def make_plan(network: NumbaNetwork, config: AntBrainConfig) -> TickPlan:
    """Plan of a network that was built from `snn.topology.ant_brain`."""
    lag_steps = round(INPUT_LAG_MS / config.resolution_ms)
    return TickPlan(
        lag_steps=lag_steps,
        rest_steps=round(config.tick_ms / config.resolution_ms) - lag_steps,
        current_pA=config.input_current_pA,
        has_startup_transient=config.has_startup_transient,
        input_lane=network.lanes("input"),
        output_lane=network.lanes("output"),
        counts=np.zeros((network.n_copies, config.n_outputs)),
    )


@njit(cache=True, nogil=True)
def tick(n_ticks, obs, plan, parts, actions):
    """Simulate the tick after `n_ticks` others.

    Parameters
    ----------
    obs : (n_ants, n_inputs) int8 of 0 and 1
    parts : `snn.lif_arrays.Parts` of the network, changed in place; its drive and record are empty
    actions : (n_ants, 3) int64, written
    """
    states = parts.states
    first_step = n_ticks * (plan.lag_steps + plan.rest_steps)
    advance(first_step, plan.lag_steps, parts.layout, parts.synapses, states, parts.drive, parts.record)
    is_startup = n_ticks == 0 and plan.has_startup_transient
    for ant in range(obs.shape[0]):
        for sensor in range(obs.shape[1]):
            is_active = obs[ant, sensor] != 0 or is_startup
            lane = plan.input_lane[ant, sensor]
            states.lanes[0, ant // WIDTH, I_E, lane] = plan.current_pA if is_active else 0.0
    first_step += plan.lag_steps
    advance(first_step, plan.rest_steps, parts.layout, parts.synapses, states, parts.drive, parts.record)
    for ant in range(obs.shape[0]):
        for output in range(plan.output_lane.shape[1]):
            lane = plan.output_lane[ant, output]
            plan.counts[ant, output] = states.counts[0, ant // WIDTH, lane]
            states.counts[0, ant // WIDTH, lane] = 0.0
    decode_into(plan.counts, actions)
