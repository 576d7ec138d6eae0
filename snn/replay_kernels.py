"""Compiled replay of given spikes into small groups of neurons that differ in their weights; arrays in, arrays out.

Layout. `LANES` members of an ensemble are simulated side by side: a *lane* is one neuron of one member; the lanes of a
neuron's members stand together, as do those of a synapse's weights. Groups of neurons that do not reach one another are
simulated one after the other, and stimuli follow each other while the weights lie in the cache.

Order. The sums are those of `snn.lif_kernels`, bit for bit: every synapse has the same delay, so what arrives in a step
was fired in one step, and it is added by source, noise first, then the given spikes, then those of the group.
Excitatory and inhibitory input stay apart, as there. The steps of the neurons are its functions.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from snn.lif_arrays import (
    DI_EX,
    DI_IN,
    I_E,
    I_EX,
    I_IN,
    KICK_EX,
    KICK_IN,
    P11_EX,
    P11_IN,
    P21_EX,
    P21_IN,
    RESET,
    THRESHOLD,
    V,
)
from snn.lif_kernels import add, current_alpha, fire, membrane_alpha
from snn.spike_trains import FloatArray, IntArray
from snn.vector import WIDTH, add_by_sign, add_scaled, any_nonzero

LANES = 16  # members side by side, a multiple of WIDTH; with 8 the same takes 1.4 times as long


class Group(NamedTuple):
    """Wiring of neurons that only given spikes and their own reach; synapses are sorted by source."""

    first_given: IntArray  # (n_sources + 1,) first synapse of each source of given spikes
    given_lane: IntArray  # (n_given,) first lane of the neuron at which a synapse ends
    first_inside: IntArray  # (n_neurons + 1,) first synapse of each neuron of the group
    inside_place: IntArray  # (n_inside,) where in `State.buffer` a spike arrives, for the target's first lane
    inside_pA: FloatArray  # (n_inside,) weights, the same for all members


class Neurons(NamedTuple):
    """What all neurons share."""

    constants: FloatArray  # (14,) `snn.models.Propagators` of iaf_psc_alpha
    n_refractory: float  # steps
    start_mV: float  # potential at time 0, above E_L
    current_pA: float  # constant
    delay_steps: int  # of every synapse, >= 1


class State(NamedTuple):
    """What changes from step to step; its contents before a call do not matter."""

    lanes: FloatArray  # (N_ROWS, n_neurons * LANES)
    buffer: FloatArray  # (2 * n_neurons * LANES,) what arrives: excitatory, then inhibitory
    fired: FloatArray  # (delay_steps * n_neurons * LANES,) 1 or 0


@njit(cache=True, nogil=True, error_model="numpy")
def replay(
    group: Group,
    neurons: Neurons,
    state: State,
    weights: FloatArray,
    first_spike: IntArray,
    source: IntArray,
    noise_pA: FloatArray,
    n_idle: int,
    counts: FloatArray,
) -> None:
    """Count the spikes of a group of neurons of all members for several stimuli.

    Parameters
    ----------
    weights : (n_blocks, n_given * LANES) float64 in pA of the synapses of given spikes, members of a block side by side
    first_spike : (n_stimuli, n_steps + 1) int64, first given spike of each step, and the end of the last one's
    source : (n_spikes,) int64, who fired each given spike, ascending within a step
    noise_pA : (n_stimuli, n_steps, n_neurons) float64, sum of the noise that is sent to each neuron in each step, the
        same for all members; no stimuli for no noise
    n_idle : int, steps at the beginning whose spikes are not counted
    counts : (n_stimuli, n_blocks, n_neurons * LANES) float64, zeros to begin with
    """
    n_lanes, n_steps = counts.shape[2], first_spike.shape[1] - 1
    lanes, buffer, fired, c = state.lanes, state.buffer, state.fired, neurons.constants
    buffer[:] = 0.0
    for block in range(weights.shape[0]):
        for stimulus in range(first_spike.shape[0]):
            lanes[:] = 0.0
            lanes[V, :] = neurons.start_mV
            lanes[I_E, :] = neurons.current_pA
            fired[:] = 0.0
            for step in range(n_steps):
                row = step % neurons.delay_steps * n_lanes
                sent = step - neurons.delay_steps
                if sent >= 0:
                    if noise_pA.shape[0] > 0:
                        deliver_noise(noise_pA[stimulus, sent], buffer)
                    begin, end = first_spike[stimulus, sent], first_spike[stimulus, sent + 1]
                    deliver_given(source, begin, end, group, weights[block], buffer)
                    deliver_inside(fired, row, group, buffer)
                membrane_alpha(lanes, 0, n_lanes, c)
                current_alpha(lanes, DI_EX, I_EX, buffer, 0, 0, n_lanes, c[P11_EX], c[P21_EX], c[KICK_EX])
                current_alpha(lanes, DI_IN, I_IN, buffer, n_lanes, 0, n_lanes, c[P11_IN], c[P21_IN], c[KICK_IN])
                fire(lanes, fired, row, 0, n_lanes, c[THRESHOLD], c[RESET], neurons.n_refractory)
                if step >= n_idle:
                    add(fired, row, counts[stimulus, block], 0, n_lanes)


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_noise(noise_pA: FloatArray, buffer: FloatArray) -> None:
    """What arrives first in a step, in an empty buffer: noise, (n_neurons,), equal for all members."""
    n_lanes = buffer.size // 2
    for neuron in range(noise_pA.size):
        value = noise_pA[neuron]
        at = neuron * LANES if value > 0.0 else neuron * LANES + n_lanes
        buffer[at : at + LANES] = value


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_given(
    source: IntArray, begin: int, end: int, group: Group, weights: FloatArray, buffer: FloatArray
) -> None:
    """Send the given spikes begin … end - 1; excitatory input is the first half of the buffer."""
    n_lanes = buffer.size // 2
    for spike in range(begin, end):
        node = source[spike]
        for synapse in range(group.first_given[node], group.first_given[node + 1]):
            at = group.given_lane[synapse]
            for k in range(0, LANES, WIDTH):
                add_by_sign(buffer, at + k, n_lanes + at + k, weights, synapse * LANES + k)


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_inside(fired: FloatArray, row: int, group: Group, buffer: FloatArray) -> None:
    """Send what the group's own neurons fired."""
    for neuron in range(group.first_inside.size - 1):
        for k in range(0, LANES, WIDTH):
            lane = row + neuron * LANES + k
            if any_nonzero(fired, lane):
                for synapse in range(group.first_inside[neuron], group.first_inside[neuron + 1]):
                    add_scaled(buffer, group.inside_place[synapse] + k, fired, lane, group.inside_pA[synapse])
