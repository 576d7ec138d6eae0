"""Where the time goes: the calls of the network protocol one by one."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterable

import numpy as np
from colony import N_ANTS, make_case, ticker
from timing import N_ROUNDS, Stopwatch, medians, row, title

from snn import AntBrainConfig, AntColonyBrain
from snn.encoding import poisson_rate
from snn.network import build
from snn.params import INPUT_LAG_MS
from snn.reservoirs import ReservoirConfig, make_reservoir
from snn.topology import ant_brain

_N_TICKS, _N_IMAGES = 200, 8
Steps = Iterable[tuple[str, Callable[[], object]]]  # named calls, in their order


def time_steps(steps: Steps, n_repetitions: int) -> dict[str, float]:
    """Median over the rounds of the CPU seconds that each name takes per repetition."""
    samples: dict[str, list[float]] = {}
    for _ in range(N_ROUNDS):
        watches = {name: Stopwatch() for name, _ in steps}
        for number in range(n_repetitions + 1):
            for name, call in steps:
                if number == 0:  # prepares and compiles
                    call()
                    continue
                with watches[name].running():
                    call()
        for name, watch in watches.items():
            samples.setdefault(name, []).append(watch.seconds / n_repetitions)
    return {name: statistics.median(values) for name, values in samples.items()}


def bench_tick_parts() -> None:
    """A colony's tick by the calls of the protocol, and without spikes."""
    case, config = make_case(), AntBrainConfig()
    title(f"Where the tick of a colony goes, {N_ANTS} ants at {config.resolution_ms} ms; CPU time")
    for engine, name in (("nest", "NEST engine"), ("numba", "Numba engine by the protocol")):
        topology = ant_brain(config, case.weights_pA, case.delays_ms)
        network = build(
            topology, engine=engine, n_copies=N_ANTS, counted=("output",), resolution_ms=config.resolution_ms
        )
        currents_pA = iter(config.input_current_pA * np.tile(case.observations, (N_ROUNDS, 1, 1)))
        steps = (
            ("run", functools.partial(network.run, INPUT_LAG_MS)),
            ("set_inputs", lambda network=network, values=currents_pA: network.set_inputs("input", next(values))),
            ("run", functools.partial(network.run, config.tick_ms - INPUT_LAG_MS)),
            ("spike_counts", network.spike_counts),
        )
        _print_parts(name, time_steps(steps, _N_TICKS), 1e6, "µs")
    compiled = dataclasses.replace(config, engine="numba")
    silent = dataclasses.replace(compiled, input_current_pA=1e-6)
    arguments = (case.weights_pA, case.delays_ms, N_ANTS)
    measurements = {
        name: ticker(functools.partial(AntColonyBrain, *arguments, own), 5 * _N_TICKS, {}, name)
        for name, own in (("all in one call (AntColonyBrain)", compiled), ("the same, no neuron fires", silent))
    }
    _print_parts("Numba engine", medians(measurements), 1e6, "µs")


def bench_image_parts(resolution_ms: float) -> None:
    """An image in the default liquid by the calls of the protocol."""
    config, rng = ReservoirConfig(), np.random.default_rng(1)
    topology = make_reservoir(config, rng)
    trains = poisson_rate(np.full(config.n_inputs, 12.0), 300.0, resolution_ms, rng)
    title(f"Where the image of a liquid goes, 1,000 neurons, 300 ms at {resolution_ms} ms; CPU time")
    for engine, name in (("nest", "NEST engine"), ("numba", "Numba engine")):
        network = build(topology, engine=engine, counted=("excitatory", "inhibitory"), resolution_ms=resolution_ms)
        steps = (
            ("reset", network.reset),
            ("set_inputs", functools.partial(network.set_inputs, "input", trains)),
            ("run", functools.partial(network.run, 300.0)),
            ("spike_counts", network.spike_counts),
        )
        _print_parts(name, time_steps(steps, _N_IMAGES), 1e3, "ms")


def _print_parts(engine: str, parts: dict[str, float], scale: float, unit: str) -> None:
    for name, seconds in parts.items():
        row(f"{engine}: {name}", seconds * scale, unit)
