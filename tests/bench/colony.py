"""Ant colonies: one tick in each way to simulate it, and whole episodes."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from naive import ScriptedColony, Style
from numpy.typing import NDArray
from timing import DATA, N_ROUNDS, Stopwatch, cpu_seconds, medians, row, rows, text, title

from envs.foraging import AntForagingEnv
from experiments.compiled import run_compiled
from experiments.config import AntsConfig
from experiments.rollout import run_ticks
from snn import AntBrainConfig, AntColonyBrain, decode, load_published_genomes, random_genomes
from snn.spike_trains import FloatArray, IntArray

N_ANTS, N_TICKS, N_GENOMES = 15, 2000, 64
PUBLISHED_ROW = 60  # of the file: generation 1600, individual 30
# Ticks of one repetition. Scripts are slow, and their time does not depend on the activity.
_N_SCRIPT_TICKS = 20
_N_NEST_TICKS = {1.0: 300, 0.1: 100}
_N_NUMBA_TICKS = {1.0: 1000, 0.1: 300}


@functools.cache
def load_genomes() -> tuple[NDArray[np.float64], str]:
    """(64, genome_size) genomes, the first of them the one of the ticks, and where they come from."""
    path = DATA / "published_ants" / "fitness_full_genomes.npz"
    if not path.is_file():
        genomes = random_genomes(AntBrainConfig(), N_GENOMES, np.random.default_rng(1))
        return genomes, f"random genomes, since {path} is missing (set STIGMERGY_DATA)"
    genomes = np.roll(load_published_genomes(path)[0], -PUBLISHED_ROW, axis=0)
    return np.resize(genomes, (N_GENOMES, genomes.shape[1])), "published genomes, the first of them 1600/30"


class Case(NamedTuple):
    """The colony of the benchmarks: its weights, and what its ants sense in an episode."""

    weights_pA: FloatArray
    delays_ms: FloatArray
    observations: NDArray[np.int8]  # (n_ticks, N_ANTS, n_inputs)


@functools.cache
def make_case() -> Case:
    """Observations of an episode with the colony's own actions, played back to all that are compared."""
    config = AntBrainConfig(engine="numba")
    weights_pA, delays_ms = decode(load_genomes()[0][0], config)
    env = AntForagingEnv()
    obs, _ = env.reset(seed=1)
    brain = AntColonyBrain(weights_pA, delays_ms, N_ANTS, config)
    observations = [np.ones_like(obs)]  # what every brain senses in its first tick
    for _ in range(max(*_N_NEST_TICKS.values(), *_N_NUMBA_TICKS.values())):
        obs, _, terminated, truncated, _ = env.step(brain.act(obs))
        if terminated or truncated:
            obs, _ = env.reset(seed=1)
        observations.append(obs.copy())
    return Case(weights_pA, delays_ms, np.array(observations))


def describe_case() -> None:
    """Print how active the colony is."""
    case = make_case()
    config = AntBrainConfig(engine="numba")
    n_ticks = 300
    brain = AntColonyBrain(case.weights_pA, case.delays_ms, N_ANTS, config, has_recording=True)
    for obs in case.observations[:n_ticks]:
        brain.act(obs)
    n_spikes = len(brain.spikes().steps) / (n_ticks * N_ANTS)
    n_sensors = case.observations[0].size
    n_changes = n_sensors * np.mean(case.observations[1:] != case.observations[:-1])
    title(f"The colony: {load_genomes()[1]}; its observations are those of an episode")
    text(f"{n_changes:.0f} of {n_sensors} sensors change per tick; {n_spikes:.0f} spikes per ant and tick")


def ticker(make: Callable[[], Any], n_ticks: int, log: dict[str, IntArray], name: str) -> Callable[[], float]:
    """Measurement: CPU seconds per tick of a new colony; the first tick, which compiles or prepares, is not counted."""

    def measure() -> float:
        colony, watch = make(), Stopwatch()
        observations = make_case().observations[:n_ticks]
        actions = [colony.act(observations[0])]
        with watch.running():
            for obs in observations[1:]:
                actions.append(colony.act(obs))
        log[name] = np.array(actions)
        return watch.seconds / (n_ticks - 1)

    return measure


def bench_ticks(resolution_ms: float) -> dict[str, float]:
    """All ways in turn; returns CPU seconds per tick by engine."""
    case = make_case()
    log: dict[str, IntArray] = {}
    config = AntBrainConfig(resolution_ms=resolution_ms)
    compiled = dataclasses.replace(config, engine="numba")
    arguments = (case.weights_pA, case.delays_ms, N_ANTS)
    scripts = {
        "script as published: set and clear a generator per sensor": Style.PUBLISHED,
        "script as published, but generators are never switched off": Style.LEAN,
        "typical script: set(I_e) per sensor, n_events per motor neuron": Style.TYPICAL,
    }
    measurements = {
        name: ticker(functools.partial(ScriptedColony, *arguments, config, style), _N_SCRIPT_TICKS, log, name)
        for name, style in scripts.items()
    }
    nest, numba = "engine nest, AntColonyBrain.act", "engine numba, AntColonyBrain.act"
    for name, own, n_ticks in ((nest, config, _N_NEST_TICKS), (numba, compiled, _N_NUMBA_TICKS)):
        make = functools.partial(AntColonyBrain, *arguments, own)
        measurements[name] = ticker(make, n_ticks[resolution_ms], log, name)
    measurements[numba]()  # compile
    times = medians(measurements)
    title(f"Tick of a colony, {N_ANTS} ants, 20 ms at {resolution_ms} ms; CPU time, ratio to the NEST engine")
    rows(times, "µs", scale=1e6, reference=nest)
    row("NEST engine / Numba engine", times[nest] / times[numba], "×")
    n_common = len(log[nest])
    assert np.array_equal(log[nest], log[numba][:n_common]), "the engines act differently"
    same = [name for name in scripts if np.array_equal(log[name], log[nest][:_N_SCRIPT_TICKS])]
    text(f"actions of the engines are equal in all {n_common} ticks; those of {len(same)} of 3 scripts equal them too")
    text("(inputs act at the same time in the published scripts at 1 ms only; see naive.py)")
    return {"nest": times[nest], "numba": times[numba]}


def bench_builds() -> None:
    """What a new individual costs before its first tick."""
    case = make_case()
    measurements = {
        f"engine {engine}, AntColonyBrain(…)": functools.partial(
            cpu_seconds,
            functools.partial(AntColonyBrain, *case[:2], N_ANTS, AntBrainConfig(engine=engine)),
        )
        for engine in ("nest", "numba")
    }
    times = medians(measurements, 4 * N_ROUNDS)
    title(f"Building a colony ({N_ANTS} × 700 synapses); CPU time")
    rows(times, "ms", scale=1e3, reference="engine nest, AntColonyBrain(…)")


class Outcome(NamedTuple):
    seconds: float  # CPU, with building the colony and resetting the world
    n_ticks: int
    fitness: float


def run_one(genome: FloatArray, config: AntsConfig, env: AntForagingEnv, is_compiled: bool) -> Outcome:
    """One episode of `experiments.rollout.run_episode`, in one call or tick by tick."""
    watch = Stopwatch()
    with watch.running():
        weights_pA, delays_ms = decode(genome, config.brain)
        obs, _ = env.reset(seed=1)
        with AntColonyBrain(weights_pA, delays_ms, config.env.n_ants, config.brain) as brain:
            if is_compiled:
                run_compiled(env, brain)
            else:
                run_ticks(env, brain, obs)
            measures = env.measures()
    return Outcome(watch.seconds, measures["ticks"], measures["fitness"])


def bench_episodes(resolution_ms: float, n_compared: int, n_compiled: int) -> None:
    """Episodes of different genomes; the three ways take turns with each of the first `n_compared`."""
    config = AntsConfig(brain=AntBrainConfig(resolution_ms=resolution_ms))
    numba = dataclasses.replace(config, brain=dataclasses.replace(config.brain, engine="numba"))
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    genomes = load_genomes()[0]
    ways = {
        "engine numba, whole episode in one call": (numba, True),
        "engine numba, tick by tick": (numba, False),
        "engine nest, tick by tick": (config, False),
    }
    one_call, by_tick, nest = ways
    for name in (one_call, by_tick):  # compile
        run_one(genomes[0], ways[name][0], env, ways[name][1])
    outcomes = {name: [] for name in ways}
    for genome in genomes[:n_compared]:
        for name, (own, is_compiled) in ways.items():
            outcomes[name].append(run_one(genome, own, env, is_compiled))
        assert len({outcomes[name][-1][1:] for name in ways}) == 1, "an episode depends on the engine"
    per_tick = {
        name: statistics.median(o.seconds / o.n_ticks for o in outcomes[name]) for name in (nest, by_tick, one_call)
    }
    title(
        f"Whole episodes with the world, {N_ANTS} ants, {resolution_ms} ms: CPU time per tick with its share of the "
        f"build; {n_compared} genomes, equal fitness"
    )
    rows(per_tick, "µs", scale=1e6, reference=nest)
    row("NEST engine / whole episode in one call", per_tick[nest] / per_tick[one_call], "×")
    _print_generation(genomes, numba, env, n_compiled, per_tick[by_tick], per_tick[nest])


def _print_generation(
    genomes: FloatArray, config: AntsConfig, env: AntForagingEnv, n_compiled: int, by_tick: float, nest: float
) -> None:
    """CPU seconds of a generation: of all genomes in compiled calls, otherwise scaled from what was measured."""
    n_all = N_GENOMES * N_TICKS
    totals = []
    for _ in range(3 if n_compiled == N_GENOMES else 1):
        episodes = [run_one(genome, config, env, True) for genome in genomes[:n_compiled]]
        totals.append(sum(o.seconds for o in episodes) * n_all / sum(o.n_ticks for o in episodes))
    how = f"median of {len(totals)} runs of all" if n_compiled == N_GENOMES else f"scaled from {n_compiled} genomes"
    text(f"{N_GENOMES} genomes × {N_ANTS} ants × {N_TICKS:,} ticks:")
    row("engine numba, whole episodes in one call", statistics.median(totals), "CPU s", how)
    row("engine numba, tick by tick", by_tick * n_all, "CPU s", "scaled from the ticks above")
    row("engine nest, tick by tick", nest * n_all, "CPU s", "scaled from the ticks above")
