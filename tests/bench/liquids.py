"""Liquids: images per second on both engines, and the published reservoir with its noise."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from timing import Stopwatch, cpu_seconds, medians, row, rows, text, title

from snn.encoding import poisson_rate
from snn.liquid import LiquidStateMachine, trials_to_copies
from snn.liquid_config import LiquidConfig
from snn.network import Network, build
from snn.published_reservoir import PublishedReservoirConfig, make_published_reservoir
from snn.reservoirs import LIQUID, ReservoirConfig, make_reservoir
from snn.spike_trains import IntArray, SpikeTrains

_STIMULUS_MS, _RATE_HZ, _N_IMAGES = 300.0, 12.0, 16
_PIXEL_RATE_HZ = 13.0  # mean of the pixels of handwritten digits whose white is 100 Hz
_PUBLISHED_MS = {1.0: 1000.0, 0.1: 300.0}


def present(network: Network, trials: list[SpikeTrains], log: dict[str, IntArray], name: str) -> float:
    """CPU seconds per image: reset, spike trains in, 300 ms, spike counts out; as many images at once as copies."""
    watch, counts = Stopwatch(), []
    for first in range(0, len(trials), network.n_copies):
        batch = trials_to_copies(trials[first : first + network.n_copies], network.n_copies)
        with watch.running():
            network.reset()
            network.set_inputs("input", batch)
            network.run(_STIMULUS_MS)
            counts.append(network.spike_counts())
    log[name] = np.concatenate(counts)
    return watch.seconds / len(trials)


def transform(machine: LiquidStateMachine, images: list[np.ndarray]) -> float:
    """CPU seconds per image of the whole way from pixels to liquid states."""
    return cpu_seconds(lambda: machine.transform(images)) / len(images)


def bench_liquid(resolution_ms: float) -> None:
    """The default reservoir, in images per second."""
    config = ReservoirConfig()
    rng = np.random.default_rng(1)
    topology = make_reservoir(config, rng)
    rates_hz = np.full(config.n_inputs, _RATE_HZ)
    trials = [poisson_rate(rates_hz, _STIMULUS_MS, resolution_ms, rng) for _ in range(_N_IMAGES)]
    images = [np.full(config.n_inputs, _RATE_HZ / LiquidConfig().max_rate_hz) for _ in range(_N_IMAGES)]
    log: dict[str, IntArray] = {}
    measurements: dict[str, Callable[[], float]] = {}
    for name, engine, n_copies in (
        ("NEST engine, spike trains given", "nest", 1),
        ("Numba engine, spike trains given, one image at a time", "numba", 1),
        ("Numba engine, spike trains given, eight images side by side", "numba", 8),
    ):
        make = functools.partial(build, topology, engine=engine, n_copies=n_copies, counted=LIQUID)
        measurements[name] = lambda make=make, name=name: present(make(resolution_ms=resolution_ms), trials, log, name)
    nest, single, eight = measurements
    for name, engine in (("NEST engine", "nest"), ("Numba engine", "numba")):
        make = functools.partial(LiquidStateMachine, LiquidConfig(resolution_ms=resolution_ms), engine)
        measurements[f"{name}, LiquidStateMachine.transform, pixels to states"] = lambda make=make: transform(
            make(), images
        )
    for name in list(measurements)[1:]:
        measurements[name]()  # compile
    times = medians(measurements, 3)
    assert np.array_equal(log[nest], log[single]), "the engines give different states"
    assert np.array_equal(log[nest], log[eight]), "copies change the states"
    rate_hz = log[nest].mean() / (_STIMULUS_MS / 1000.0)
    n_neurons = config.n_excitatory + config.n_inhibitory
    title(
        f"Liquid, {n_neurons:,} neurons, in-degree {config.excitatory_indegree + config.inhibitory_indegree}, "
        f"{config.n_inputs} inputs of {_RATE_HZ:.0f} Hz, {_STIMULUS_MS:.0f} ms at {resolution_ms} ms, exact reset "
        "before each image"
    )
    for name, seconds in times.items():
        ratio = "" if name == nest else f", {times[nest] / seconds:.1f} times the first row"
        row(name, 1 / seconds, "images/s", f"{seconds * 1e3:.2f} ms{ratio}")
    text(f"mean rate {rate_hz:.1f} Hz; equal spike counts of all neurons for {_N_IMAGES} images")


def bench_published(resolution_ms: float) -> None:
    """The published reservoir; its Poisson noise is drawn by each engine."""
    reservoir = make_published_reservoir(PublishedReservoirConfig(), np.random.default_rng(1))
    duration_ms = _PUBLISHED_MS[resolution_ms]
    rates: dict[str, float] = {}

    def measure(engine: str) -> float:
        network = build(reservoir.topology, engine=engine, counted=LIQUID, resolution_ms=resolution_ms)
        for name, rate_hz in (reservoir.rates_hz | {"pixels": _PIXEL_RATE_HZ}).items():
            network.set_inputs(name, rate_hz)
        seconds = cpu_seconds(lambda: network.run(duration_ms))
        rates[engine] = network.spike_counts().mean() / (duration_ms / 1000.0)
        return seconds / (duration_ms / 1000.0)

    measure("numba")  # compile
    names = {"nest": "NEST engine", "numba": "Numba engine"}
    times = medians({name: functools.partial(measure, engine) for engine, name in names.items()}, 3)
    n_synapses = len(reservoir.topology.connections.source)
    title(
        f"Published reservoir, {n_synapses:,} synapses, with its noise, pixels at {_PIXEL_RATE_HZ:.0f} Hz, at "
        f"{resolution_ms} ms: CPU time per biological second"
    )
    rows(times, "s", reference="NEST engine")
    text(f"mean rate of the liquid: {rates['nest']:.2f} Hz on NEST, {rates['numba']:.2f} Hz on Numba")
