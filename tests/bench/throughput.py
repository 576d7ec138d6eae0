"""Brain A on both engines: neuron updates and synaptic events per second, and how near the machine's limit that is."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from limits import OPERATIONS_PER_UPDATE, Limits, measure_limits
from numpy.typing import NDArray
from timing import Stopwatch, medians, row, rows, text, title
from workload import N_NEURONS, TICK_MS, Brains, make_brains, make_currents

from snn.network import Network, build
from snn.numba_network import NumbaEnsemble
from snn.spike_trains import FloatArray, IntArray

N_NETWORKS, N_COPIES, N_TICKS = 64, 15, 2000
_N_COMPARED = 8  # networks of the comparison with NEST
_N_MEASURED = {1.0: 400, 0.1: 60}  # ticks of a repetition
_N_MEASURED_NEST = {1.0: 60, 0.1: 20}
_POPULATIONS = ("input", "hidden", "output")


class Work(NamedTuple):
    """What some ticks consist of, per brain and tick."""

    updates: float
    spikes: float
    events: float  # spikes × out-degree


def make_ensemble(brains: Brains, resolution_ms: float, counted: tuple[str, ...] = ("output",)) -> NumbaEnsemble:
    """All networks, each with its copies."""
    ensemble = NumbaEnsemble(
        brains.topology,
        n_networks=len(brains.weight_pA),
        n_copies=N_COPIES,
        counted=counted,
        resolution_ms=resolution_ms,
    )
    ensemble.set_weights(brains.weight_pA, brains.delay_ms)
    return ensemble


def count_work(brains: Brains, currents: FloatArray, resolution_ms: float, ticks_per_run: int = 1) -> Work:
    """Spikes of all neurons in the runs that are measured, in a run of its own that counts them all."""
    ensemble = make_ensemble(brains, resolution_ms, _POPULATIONS)
    for values in currents:
        ensemble.set_inputs("input", values)
        ensemble.run(ticks_per_run * TICK_MS)
    n_brain_ticks = len(currents) * ticks_per_run * len(brains.weight_pA) * N_COPIES
    spikes = ensemble.spike_counts().sum(axis=(0, 1)) / n_brain_ticks
    outdegree = np.bincount(brains.topology.connections.source, minlength=N_NEURONS)
    return Work(N_NEURONS * TICK_MS / resolution_ms, float(spikes.sum()), float(spikes @ outdegree))


def measure_ensemble(brains: Brains, currents: FloatArray, resolution_ms: float, ticks_per_run: int = 1) -> float:
    """CPU seconds per brain and tick; inputs are set and counts read after every run."""
    ensemble, watch = make_ensemble(brains, resolution_ms), Stopwatch()
    with watch.running():
        for values in currents:
            ensemble.set_inputs("input", values)
            ensemble.run(ticks_per_run * TICK_MS)
            ensemble.spike_counts()
    return watch.seconds / (len(currents) * ticks_per_run * len(brains.weight_pA) * N_COPIES)


def measure_colonies(
    engine: str, brains: Brains, currents: FloatArray, resolution_ms: float, log: dict[str, NDArray[np.int64]]
) -> float:
    """CPU seconds per brain and tick of one network with its copies after the other, without building them."""
    watch, counts = Stopwatch(), []
    for number, (weight_pA, delay_ms) in enumerate(zip(brains.weight_pA, brains.delay_ms, strict=True)):
        network = build(
            brains.topology, engine=engine, n_copies=N_COPIES, counted=("output",), resolution_ms=resolution_ms
        )
        network.set_weights(weight_pA, delay_ms)
        counts += _run_ticks(network, currents[:1, number])  # NEST prepares itself
        with watch.running():
            counts += _run_ticks(network, currents[1:, number])
    log[engine] = np.array(counts)
    return watch.seconds / ((len(currents) - 1) * len(brains.weight_pA) * N_COPIES)


def _run_ticks(network: Network, currents: FloatArray) -> list[IntArray]:
    counts = []
    for values in currents:
        network.set_inputs("input", values)
        network.run(TICK_MS)
        counts.append(network.spike_counts())
    return counts


def bench_limits() -> Limits:
    """Print what this core can do at most."""
    limits = measure_limits()
    title("Limits of one core, small kernels on arrays of 8 kB, in billions per second")
    row("multiplications and additions of float64 (polynomials, eight at once)", limits.operations / 1e9, "G/s")
    name = f"  divided by the {OPERATIONS_PER_UPDATE} operations of a step of iaf_psc_exp: neuron updates"
    row(name, limits.updates / 1e9, "G/s")
    row("y += a x, elements", limits.axpy / 1e9, "G/s")
    row("additions to places at random, one by one: synaptic events", limits.scattered / 1e9, "G/s")
    row("the same in rows of eight (what eight copies receive)", limits.row_added / 1e9, "G/s")
    return limits


def bench_throughput(resolution_ms: float, limits: Limits) -> None:
    """64 networks × 15 copies, and the first eight of them on both engines."""
    rng = np.random.default_rng(1)
    brains = make_brains(N_NETWORKS, rng)
    n_ticks = _N_MEASURED[resolution_ms]
    currents = make_currents((n_ticks, N_NETWORKS, N_COPIES), rng)
    few = Brains(brains.topology, brains.weight_pA[:_N_COMPARED], brains.delay_ms[:_N_COMPARED])
    few_currents = currents[: _N_MEASURED_NEST[resolution_ms], :_N_COMPARED]
    log: dict[str, NDArray[np.int64]] = {}
    together, long = (
        f"{N_NETWORKS} networks together, a call per tick",
        f"{N_NETWORKS} networks together, a call per 10 ticks",
    )
    nest, numba = "NEST engine, colony by colony, a call per tick", "Numba engine, colony by colony, a call per tick"
    measurements = {
        together: functools.partial(measure_ensemble, brains, currents, resolution_ms),
        long: functools.partial(measure_ensemble, brains, currents[::10], resolution_ms, 10),
        numba: functools.partial(measure_colonies, "numba", few, few_currents, resolution_ms, log),
        nest: functools.partial(measure_colonies, "nest", few, few_currents, resolution_ms, log),
    }
    measure_ensemble(few, few_currents, resolution_ms)  # compile
    times = medians(measurements)
    assert np.array_equal(log["nest"], log["numba"]), "the engines count different spikes"
    works = {
        together: count_work(brains, currents, resolution_ms),
        long: count_work(brains, currents[::10], resolution_ms, 10),
    }
    title(
        f"Brain A, {N_NEURONS} neurons, 1,000 synapses, {N_COPIES} copies, at {resolution_ms} ms: "
        "CPU time per brain and tick of 20 ms"
    )
    for name, work in works.items():
        row(f"Numba engine, {name}", times[name] * 1e6, "µs", f"{work.spikes:.1f} spikes, {work.events:.0f} events")
        _print_rates(work, times[name], limits)
    how = f"scaled from {n_ticks} ticks" if n_ticks < N_TICKS else ""
    row(
        f"{N_NETWORKS} × {N_COPIES} × {N_TICKS:,} ticks, a call per tick",
        times[together] * N_NETWORKS * N_COPIES * N_TICKS,
        "CPU s",
        how,
    )
    text(f"the first {_N_COMPARED} networks on both engines, equal counts in all ticks:")
    rows({nest: times[nest], numba: times[numba]}, "µs", scale=1e6, reference=nest)
    row("NEST engine / Numba engine", times[nest] / times[numba], "×")


def _print_rates(work: Work, seconds: float, limits: Limits) -> None:
    """Updates and events per second, both in the same time, and the time that the limits would need."""
    row("  neuron updates", work.updates / seconds / 1e6, "M/s")
    row("  synaptic events, at once", work.events / seconds / 1e6, "M/s")
    share = work.updates / limits.updates, work.events / limits.scattered
    row(
        "  of the limit: time of updates and events at the limits / time",
        100 * sum(share) / seconds,
        "%",
        f"updates {share[0] * 1e6:.2f} µs, events {share[1] * 1e6:.2f} µs",
    )
