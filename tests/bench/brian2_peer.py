"""The ant colony in Brian2, run by the Python of an environment with brian2 2.9 and numpy < 2; see `networks.py`.

The network, its inputs and the time grid are those of `snn.build(..., resolution_ms=1.0)` whose inputs are set at the
start of each tick; alpha-shaped currents are linear equations that are solved exactly. One run; a function that is
called every tick reads the output spikes and sets the inputs, since to start a run takes Brian2 longer than a tick.
"""

import json
import sys
import time

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    amp,
    defaultclock,
    ms,
    mV,
    network_operation,
    pA,
    pF,
    prefs,
    second,
)

_EQUATIONS = """
dv/dt = -v / tau_m + (I_syn + I_e) / C_m : volt (unless refractory)
dI_syn/dt = slope - I_syn / tau_syn : amp
dslope/dt = -slope / tau_syn : amp / second
I_e : amp
"""
_N_WARM_UP = 5  # ticks that are not measured


def simulate(case):
    """One closed loop over all observations.

    Parameters
    ----------
    case : arrays and numbers of `peer.write_case`

    Returns
    -------
    seconds per tick, (n_ticks, n_ants, n_outputs) spikes, spikes of all neurons
    """
    prefs.codegen.target = "cython"
    defaultclock.dt = 1.0 * ms
    n_ants, n_nodes = int(case["n_ants"]), int(case["n_nodes"])
    constants = {
        "tau_m": float(case["tau_m"]) * ms,
        "tau_syn": float(case["tau_syn"]) * ms,
        "C_m": float(case["C_m"]) * pF,
        "threshold": float(case["V_th"] - case["E_L"]) * mV,
        "reset": float(case["V_reset"] - case["E_L"]) * mV,
    }
    # Brian2 counts the step of the spike as part of the refractory time, NEST does not.
    neurons = NeuronGroup(
        n_ants * n_nodes,
        _EQUATIONS,
        threshold="v >= threshold",
        reset="v = reset",
        refractory=float(case["t_ref"] + 1.0) * ms,
        method="exact",
        namespace=constants,
    )
    first = n_nodes * np.arange(n_ants)[:, np.newaxis]
    kick = np.e / float(case["tau_syn"]) * case["weight_pA"] * 1e-12 / 1e-3
    synapses = Synapses(neurons, neurons, "kick : amp / second", on_pre="slope_post += kick")
    synapses.connect(i=(first + case["source"]).ravel(), j=(first + case["target"]).ravel())
    synapses.kick = np.tile(kick, n_ants) * amp / second
    synapses.delay = np.tile(case["delay_ms"], n_ants) * ms
    inputs, outputs = first + case["inputs"], first + case["outputs"]
    current_pA = float(case["current_pA"])
    neurons.I_e[(first + case["heartbeat"]).ravel()] = current_pA * pA
    monitor = SpikeMonitor(neurons, record=False)
    seen, times = [], []
    drive = neurons.variables["I_e"].get_value()  # amp, the array itself
    observations = case["observations"]

    @network_operation(dt=float(case["tick_ms"]) * ms, when="start")
    def tick():
        times.append(time.thread_time())
        seen.append(monitor.count[:][outputs])
        if len(seen) <= len(observations):
            drive[inputs] = current_pA * 1e-12 * observations[len(seen) - 1]

    network = Network(neurons, synapses, monitor, tick)
    network.run(len(observations) * float(case["tick_ms"]) * ms)
    seen.append(np.asarray(monitor.count[:])[outputs])
    seconds = (times[-1] - times[_N_WARM_UP]) / (len(times) - 1 - _N_WARM_UP)
    return seconds, np.diff(seen, axis=0), int(np.sum(monitor.count[:]))


def main():
    """Read the case of the first argument, write the spike counts to the second, print the time."""
    with np.load(sys.argv[1]) as data:
        case = dict(data)
    seconds, counts, n_spikes = simulate(case)
    np.save(sys.argv[2], counts)
    print(json.dumps({"seconds_per_tick": seconds, "n_spikes": n_spikes}))


if __name__ == "__main__":
    main()
