"""The ant colony in Brian2, beside both engines."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from colony import N_ANTS, make_case
from numpy.typing import NDArray
from timing import Stopwatch, medians, row, rows, text, title

from snn import AntBrainConfig
from snn.network import Network, build
from snn.topology import ant_brain

_N_TICKS = 200
_HOW = "python -m venv /tmp/brian2 && /tmp/brian2/bin/pip install 'brian2==2.9.*' 'numpy<2' setuptools"


def bench_brian2(python: str | None) -> None:
    """The same colony, inputs and protocol on three simulators."""
    title(f"Brian2 (cython) as peer: tick of a colony, {N_ANTS} ants, 20 ms at 1.0 ms; CPU time")
    if python is None:
        text("left out: Brian2 needs numpy < 2, so an environment of its own. To include it:")
        text(f"{_HOW}")
        text("python tests/bench/networks.py --brian2 /tmp/brian2/bin/python")
        return
    log: dict[str, tuple[NDArray[np.int64], int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_case(Path(folder) / "case.npz")
        measurements = {
            "Brian2, one run, a Python function per tick": lambda: _measure_brian2(python, Path(folder), log),
            "engine nest, set_inputs, run, spike_counts": lambda: _measure_engine("nest", log),
            "engine numba, set_inputs, run, spike_counts": lambda: _measure_engine("numba", log),
        }
        for measure in list(measurements.values())[::2]:
            measure()  # compile
        times = medians(measurements, 3)
    rows(times, "µs", scale=1e6, reference="engine nest, set_inputs, run, spike_counts")
    brian2, _, numba = times.values()
    row("Brian2 / Numba engine", brian2 / numba, "×")
    assert np.array_equal(log["nest"][0], log["numba"][0]), "the engines count different spikes"
    n_equal = np.mean((log["brian2"][0] == log["numba"][0]).all(axis=(1, 2)))
    spikes = ", ".join(f"{n / (_N_TICKS * N_ANTS):.1f} on {name}" for name, (_, n) in log.items() if n)
    text(f"spikes per ant and tick: {spikes}; equal output counts in {100 * n_equal:.0f} % of the ticks")


def write_case(path: Path) -> None:
    """All that Brian2 needs to know."""
    case, config = make_case(), AntBrainConfig()
    topology = ant_brain(config, case.weights_pA, case.delays_ms)
    if config.neuron.tau_syn_ex != config.neuron.tau_syn_in:
        raise ValueError("the peer has one synaptic time constant: give tau_syn_ex = tau_syn_in.")
    np.savez(
        path,
        **topology.connections._asdict(),
        **config.neuron.to_parameters(),
        tau_syn=config.neuron.tau_syn_ex,
        n_ants=N_ANTS,
        n_nodes=topology.n_nodes,
        inputs=topology.nodes("input"),
        outputs=topology.nodes("output"),
        heartbeat=topology.nodes("heartbeat"),
        current_pA=config.input_current_pA,
        tick_ms=config.tick_ms,
        observations=case.observations[:_N_TICKS],
    )


def _measure_brian2(python: str, folder: Path, log: dict[str, tuple[NDArray[np.int64], int]]) -> float:
    command = [python, str(Path(__file__).with_name("brian2_peer.py")), folder / "case.npz", folder / "counts.npy"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{python} could not run the peer:\n{result.stderr[-2000:]}")
    answer = json.loads(result.stdout.splitlines()[-1])
    log["brian2"] = np.load(folder / "counts.npy"), answer["n_spikes"]
    return answer["seconds_per_tick"]


def _measure_engine(engine: str, log: dict[str, tuple[NDArray[np.int64], int]]) -> float:
    case, config = make_case(), AntBrainConfig()
    populations = ("output", "input", "hidden", "heartbeat")

    def make(counted: tuple[str, ...]) -> Network:
        topology = ant_brain(config, case.weights_pA, case.delays_ms)
        return build(topology, engine=engine, n_copies=N_ANTS, counted=counted, resolution_ms=config.resolution_ms)

    def run(network: Network, n_ticks: slice) -> list[NDArray[np.int64]]:
        counts = []
        for obs in case.observations[n_ticks]:
            network.set_inputs("input", config.input_current_pA * obs)
            network.run(config.tick_ms)
            counts.append(network.spike_counts())
        return counts

    network, watch = make(("output",)), Stopwatch()
    counts = run(network, slice(1))
    with watch.running():
        counts += run(network, slice(1, _N_TICKS))
    n_spikes = 0
    if engine == "numba":
        n_spikes = int(np.sum(run(make(populations), slice(_N_TICKS))))
    log[engine] = np.array(counts), n_spikes
    return watch.seconds / (_N_TICKS - 1)
