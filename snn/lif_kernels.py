"""Compiled steps of integrate-and-fire networks, bit for bit those of NEST; arrays in, arrays out.

Layout. Copies of a network share its weights and are simulated in *blocks* of eight, which fit the nearest cache. A
*lane* is one neuron of one copy; the lanes of a neuron's eight copies stand side by side. Every variable is one row of
lanes, so that the processor updates eight at once, and a spike adds ``weight * fired`` to one neuron of eight copies
in one go. Without copies a neuron has one lane, and a spike is sent alone. A *slot* of the buffer holds what arrives in
one step: a row of excitatory, then a row of inhibitory input.

Order. Sums of floating-point numbers depend on their order, so NEST's is kept: time runs in slices of the shortest
delay; at the start of one, the spikes of the slice before are delivered by source, then step; then come the sources
from outside; then every neuron takes its steps.

Loops are short and touch few arrays each: the compiler turns a loop into vector instructions only while it can check
that its arrays do not overlap. The functions of a step are merged into their caller: handing views over costs more than
their work.
"""

from __future__ import annotations

from numba import njit

from snn.lif_arrays import (
    ALPHA,
    DELTA,
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
    P31_EX,
    P31_IN,
    P32_EX,
    P32_IN,
    P_CURRENT,
    P_LEAK,
    REFRACTORY,
    RESET,
    THRESHOLD,
    V_NEXT,
    V,
)
from snn.vector import WIDTH, add_scaled, any_nonzero


@njit(cache=True, nogil=True, error_model="numpy")
def advance(first_step, n_steps, layout, synapses, states, drive, record):
    """Advance all networks by `n_steps`, a multiple of the slice; `first_step` steps have been taken before."""
    n_networks, n_blocks, _, n_lanes = states.lanes.shape
    stride, slice_steps = 2 * layout.n_driven, layout.slice_steps
    size = states.buffer.shape[2]
    has_raster, has_potentials = record.raster.shape[2] > 0, record.potentials.shape[2] > 0
    for part in range(n_networks * n_blocks):
        network, block = part // n_blocks, part % n_blocks
        lanes, buffer, counts = (
            states.lanes[network, block],
            states.buffer[network, block],
            states.counts[network, block],
        )
        fired, n_fired = states.fired[network, block], states.n_fired[network, block]
        weight, place = synapses.weight[network], synapses.place[network]
        event = drive.first_event[part]
        for offset in range(0, n_steps, slice_steps):
            step = first_step + offset
            base = (step - slice_steps) * stride % size
            if layout.n_copies == 1:
                deliver_single(base, stride, layout, weight, place, fired, n_fired, buffer)
            else:
                deliver_block(base, stride, layout, weight, place, fired, n_fired, buffer)
            event = deliver_events(
                event, drive.first_event[part + 1], step, stride, layout, weight, place, drive, buffer
            )
            if drive.noise_synapse.size > 0:
                noise = drive.noise[network, offset : offset + slice_steps, :, block * WIDTH :]
                deliver_noise(step, stride, weight, place, drive.noise_synapse, noise, buffer)
            n_fired[:] = 0.0
            slot = step * stride % size
            for lag in range(slice_steps):
                row = lag * n_lanes
                update(layout, lanes, buffer, slot, fired, row)
                tally(layout.counted, fired, row, n_fired, counts)
                if has_raster:
                    record.raster[network, block, offset + lag, :] = fired[row : row + n_lanes]
                if has_potentials:
                    probe(layout.probed, lanes[V], record.potentials[network, block, offset + lag])
                slot = slot + stride if slot + stride < size else 0


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_single(first, stride, layout, weight, place, fired, n_fired, buffer):
    """Send the spikes of a slice, the slot of whose first step begins at `first`, to the buffer; one copy."""
    source_lane, source_node, first_synapse = layout.source_lane, layout.source_node, layout.first_synapse
    size, n_lanes, slice_steps = buffer.size, n_fired.size, layout.slice_steps
    for neuron in range(source_lane.size):
        lane, node = source_lane[neuron], source_node[neuron]
        if n_fired[lane] == 0.0:
            continue
        begin, end = first_synapse[node], first_synapse[node + 1]
        for lag in range(slice_steps):
            if fired[lag * n_lanes + lane] == 0.0:
                continue
            base = (first + lag * stride) % size
            for synapse in range(begin, end):
                at = base + place[synapse]
                if at >= size:
                    at -= size
                buffer[at] += weight[synapse]


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_block(first, stride, layout, weight, place, fired, n_fired, buffer):
    """Send the spikes of a slice, the slot of whose first step begins at `first`; eight copies at once."""
    source_lane, source_node, first_synapse = layout.source_lane, layout.source_node, layout.first_synapse
    size, n_lanes, slice_steps = buffer.size, n_fired.size, layout.slice_steps
    for neuron in range(source_lane.size):
        lane, node = source_lane[neuron], source_node[neuron]
        if not any_nonzero(n_fired, lane):
            continue
        begin, end = first_synapse[node], first_synapse[node + 1]
        for lag in range(slice_steps):
            row = lag * n_lanes + lane
            if slice_steps > 1 and not any_nonzero(fired, row):
                continue
            base = (first + lag * stride) % size
            for synapse in range(begin, end):
                at = base + place[synapse]
                if at >= size:
                    at -= size
                add_scaled(buffer, at, fired, row, weight[synapse])


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_events(event, end, step, stride, layout, weight, place, drive, buffer):
    """Send the given spikes of the slice that begins at `step`; returns the first event that lies later."""
    first_synapse, size = layout.first_synapse, buffer.size
    while event < end and drive.step[event] < step + layout.slice_steps:
        node = drive.node[event]
        base = drive.step[event] * stride % size
        for synapse in range(first_synapse[node], first_synapse[node + 1]):
            buffer[(base + place[synapse]) % size + drive.shift[event]] += weight[synapse]
        event += 1
    return event


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def deliver_noise(step, stride, weight, place, noise_synapse, noise, buffer):
    """Send the Poisson spikes of the slice that begins at `step`; noise: (slice_steps, n_noisy, copies)."""
    for lag in range(noise.shape[0]):
        base = (step + lag) * stride % buffer.size
        for noisy in range(noise_synapse.size):
            synapse = noise_synapse[noisy]
            at = (base + place[synapse]) % buffer.size
            for copy in range(min(noise.shape[2], WIDTH)):
                buffer[at + copy] += weight[synapse] * noise[lag, noisy, copy]


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def update(layout, lanes, buffer, slot, fired, row):
    """One step of every neuron; clears the slot of the buffer that it reads, and writes to `fired` from `row` on."""
    model, group_lane, is_driven = layout.model, layout.group_lane, layout.is_driven
    constants, n_refractory = layout.constants, layout.n_refractory
    slot_ex, slot_in = slot, slot + layout.n_driven
    for group in range(model.size):
        a, b, c = group_lane[group], group_lane[group + 1], constants[group]
        if not is_driven[group]:
            membrane_alone(lanes, a, b, model[group], c[P_LEAK], c[P_CURRENT])
        elif model[group] == DELTA:
            membrane_delta(lanes, buffer, slot_ex, a, b, c[P_LEAK], c[P_CURRENT])
        elif model[group] == ALPHA:
            membrane_alpha(lanes, a, b, c)
            current_alpha(lanes, DI_EX, I_EX, buffer, slot_ex, a, b, c[P11_EX], c[P21_EX], c[KICK_EX])
            current_alpha(lanes, DI_IN, I_IN, buffer, slot_in, a, b, c[P11_IN], c[P21_IN], c[KICK_IN])
        else:
            membrane_exp(lanes, a, b, c)
            current_exp(lanes, I_EX, buffer, slot_ex, a, b, c[P11_EX])
            current_exp(lanes, I_IN, buffer, slot_in, a, b, c[P11_IN])
        fire(lanes, fired, row, a, b, c[THRESHOLD], c[RESET], n_refractory[group])


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def membrane_alpha(lanes, a, b, c):
    """iaf_psc_alpha: potentials of neurons that are not refractory. The terms stand in NEST's order."""
    P_leak, P_current, P31_ex, P31_in, P32_ex, P32_in = (
        c[P_LEAK],
        c[P_CURRENT],
        c[P31_EX],
        c[P31_IN],
        c[P32_EX],
        c[P32_IN],
    )
    V_m, V_next, I_e = lanes[V][a:b], lanes[V_NEXT][a:b], lanes[I_E][a:b]
    dI_ex, I_ex, dI_in, I_in = lanes[DI_EX][a:b], lanes[I_EX][a:b], lanes[DI_IN][a:b], lanes[I_IN][a:b]
    for i in range(b - a):
        V_next[i] = (
            P_current * I_e[i]
            + P31_ex * dI_ex[i]
            + P32_ex * I_ex[i]
            + P31_in * dI_in[i]
            + P32_in * I_in[i]
            + P_leak * V_m[i]
            + V_m[i]
        )


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def current_alpha(lanes, slope_row, current_row, buffer, slot, a, b, P11, P21, kick):
    """iaf_psc_alpha: synaptic current and its slope; clears the input."""
    dI, I_syn, arriving = lanes[slope_row][a:b], lanes[current_row][a:b], buffer[slot + a : slot + b]
    for i in range(b - a):
        I_syn[i] = P21 * dI[i] + P11 * I_syn[i]
        dI[i] = dI[i] * P11 + kick * arriving[i]
        arriving[i] = 0.0


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def membrane_exp(lanes, a, b, c):
    """iaf_psc_exp: potentials of neurons that are not refractory. The terms stand in NEST's order."""
    P_leak, P_current, P32_ex, P32_in = c[P_LEAK], c[P_CURRENT], c[P32_EX], c[P32_IN]
    V_m, V_next, I_e = lanes[V][a:b], lanes[V_NEXT][a:b], lanes[I_E][a:b]
    I_ex, I_in = lanes[I_EX][a:b], lanes[I_IN][a:b]
    for i in range(b - a):
        V_next[i] = V_m[i] * P_leak + I_ex[i] * P32_ex + I_in[i] * P32_in + I_e[i] * P_current


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def current_exp(lanes, current_row, buffer, slot, a, b, P11):
    """iaf_psc_exp: synaptic current; clears the input."""
    I_syn, arriving = lanes[current_row][a:b], buffer[slot + a : slot + b]
    for i in range(b - a):
        I_syn[i] = I_syn[i] * P11 + arriving[i]
        arriving[i] = 0.0


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def membrane_delta(lanes, buffer, slot, a, b, P_leak, P_current):
    """iaf_psc_delta: potentials of neurons that are not refractory; clears the input, which the others lose."""
    V_m, V_next, I_e, arriving = lanes[V][a:b], lanes[V_NEXT][a:b], lanes[I_E][a:b], buffer[slot + a : slot + b]
    for i in range(b - a):
        V_next[i] = P_current * I_e[i] + P_leak * V_m[i] + arriving[i]
        arriving[i] = 0.0


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def membrane_alone(lanes, a, b, model, P_leak, P_current):
    """Potentials of neurons without synapses: the terms of the synapses, all 0, are left out."""
    V_m, V_next, I_e = lanes[V][a:b], lanes[V_NEXT][a:b], lanes[I_E][a:b]
    if model == ALPHA:
        for i in range(b - a):
            V_next[i] = P_current * I_e[i] + P_leak * V_m[i] + V_m[i]
    else:  # of two terms the order does not matter
        for i in range(b - a):
            V_next[i] = V_m[i] * P_leak + I_e[i] * P_current


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def fire(lanes, all_fired, row, a, b, threshold, V_reset, n_refractory):
    """Take over the potentials of neurons that are not refractory; fire and reset those at the threshold."""
    V_m, V_next, refractory = lanes[V][a:b], lanes[V_NEXT][a:b], lanes[REFRACTORY][a:b]
    fired = all_fired[row + a : row + b]
    for i in range(b - a):
        V_old, candidate, left = V_m[i], V_next[i], refractory[i]
        one_less = left - 1.0
        is_free = left == 0.0
        V_new = candidate if is_free else V_old
        left = 0.0 if is_free else one_less
        has_fired = V_new >= threshold
        V_m[i] = V_reset if has_fired else V_new
        refractory[i] = n_refractory if has_fired else left
        fired[i] = 1.0 if has_fired else 0.0


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def tally(counted, fired, row, n_fired, counts):
    """Count the spikes of a step, of all neurons for the slice, of the counted ones for the user."""
    add(fired, row, n_fired, 0, n_fired.size)
    for k in range(counted.shape[0]):
        add(fired, row, counts, counted[k, 0], counted[k, 1])


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def add(fired, row, sums, a, b):
    """Add lanes a … b - 1 of a row of `fired` to sums."""
    terms, total = fired[row + a : row + b], sums[a:b]
    for i in range(b - a):
        total[i] += terms[i]


@njit(cache=True, nogil=True, forceinline=True, error_model="numpy")
def probe(probed, V_m, potentials):
    """Write down the potentials of the probed populations."""
    at = 0
    for k in range(probed.shape[0]):
        for lane in range(probed[k, 0], probed[k, 1]):
            potentials[at] = V_m[lane]
            at += 1
