"""What the outer loop costs, and how well many ranks are used.

python tests/bench/outer_loop.py                       # overhead with 1, 2 and 64 ranks; efficiency by simulation
python tests/bench/outer_loop.py --plot FILE.png       # and the figure of the docs

The simulation hands out real episode times with the scheduler of the evaluators itself. The times are those of
published and random brains on NEST, measured first, as CPU time; each simulated individual draws one of these brains.
"""

from __future__ import annotations

import argparse
import heapq
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from timing import DATA, ROOT, Stopwatch, row, text, title

from envs.foraging import AntForagingEnv
from experiments.config import AntsConfig
from experiments.rollout import run_episode
from optim.schedule import Schedule
from optim.tasks import Task, TaskResult
from snn import AntBrainConfig, load_published_genomes, random_genomes

MPIRUN = Path(sys.executable).parent / "mpirun"
INSTANT = str(Path(__file__).parent / "instant.py")
N_RANKS = (1, 2, 16, 64, 256, 1024, 4096)
N_EPISODES, N_GENERATIONS = 5, 3
_EPISODES_RECORDED = 4
_SECONDS_PER_MESSAGE = 200e-6  # rank 0: receive results, record them, choose and send tasks; measured below


class Usage(NamedTuple):
    """How well ranks were used in simulated generations."""

    efficiency: float  # work / (ranks × duration)
    coordinator: float  # share of its time in which rank 0 handles messages


def bench_overhead() -> None:
    """Generations of individuals that take no time."""
    title("Outer loop without its evaluations: 256 instant individuals, 1,440 genes, random search; per generation")
    for n_ranks in (1, 2, 64):
        if n_ranks > 1 and not MPIRUN.exists():
            text("mpirun is missing: no figures for several ranks (pip install -e '.[mpi]')")
            return
        launcher = [str(MPIRUN), "-n", str(n_ranks)] if n_ranks > 1 else []
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*launcher, sys.executable, INSTANT], check=True, capture_output=True, text=True, env=environment
        )
        wall, cpu, largest = map(float, done.stdout.split())
        row(
            f"{n_ranks} ranks, wall time",
            1e3 * wall,
            "ms",
            f"rank 0: {1e3 * cpu:.1f} ms CPU; slowest {1e3 * largest:.0f}",
        )


def recorded_episodes() -> NDArray[np.float64]:
    """(n_brains, episodes) CPU seconds of episodes of 2,000 ticks on NEST, by brain."""
    brain = AntBrainConfig()
    genomes = random_genomes(brain, 12, np.random.default_rng(1))
    published = DATA / "published_ants" / "fitness_full_genomes.npz"
    if published.exists():
        evolved, _ = load_published_genomes(published)
        genomes = np.concatenate([genomes, evolved[::6]])
    config, env = AntsConfig(brain=brain), AntForagingEnv(preset="published_training")
    seconds = np.empty((len(genomes), _EPISODES_RECORDED))
    for i, genome in enumerate(genomes):
        for e in range(_EPISODES_RECORDED):
            watch = Stopwatch()
            with watch.running():
                run_episode(genome, config, env, (e, 1 + e))
            seconds[i, e] = watch.seconds
    return seconds


def simulate(recorded: NDArray[np.float64], n_ranks: int, n_individuals: int, rng: np.random.Generator) -> Usage:
    """Some generations of the dynamic schedule; what to expect is not known in the first."""
    duration = work = busy = 0.0
    expected: dict[int, float] = {}
    for _ in range(N_GENERATIONS):
        brains = rng.integers(len(recorded), size=n_individuals)
        seconds = recorded[brains[:, None], rng.integers(recorded.shape[1], size=(n_individuals, N_EPISODES))]
        genome = np.empty(0)
        tasks = [(Task(0, i, e), genome) for i in range(n_individuals) for e in range(N_EPISODES)]
        schedule = Schedule(tasks, expected)
        end, n_messages = _work_off(schedule, seconds, n_ranks)
        expected = schedule.expected
        duration, work, busy = duration + end, work + seconds.sum(), busy + n_messages * _SECONDS_PER_MESSAGE
    return Usage(work / (n_ranks * duration), busy / duration)


def _work_off(schedule: Schedule, seconds: NDArray[np.float64], n_ranks: int) -> tuple[float, int]:
    """(when the last rank is done, number of messages to rank 0) of one generation."""
    coordinator, last, n_messages = 0.0, 0.0, 0
    arrivals: list[tuple[float, int, list[Task]]] = [(0.0, rank, []) for rank in range(n_ranks)]
    while arrivals:
        arrival, rank, done = heapq.heappop(arrivals)
        coordinator = max(coordinator, arrival) + _SECONDS_PER_MESSAGE
        n_messages += 1
        last = max(last, coordinator)
        for task in done:
            schedule.learn(TaskResult(task, None, seconds[task.individual, task.episode]))
        chunk = [task for task, _ in schedule.take(n_ranks)]
        if chunk:
            needed = sum(seconds[task.individual, task.episode] for task in chunk)
            heapq.heappush(arrivals, (coordinator + needed, rank, chunk))
    return last, n_messages


def static_efficiency(
    recorded: NDArray[np.float64], n_ranks: int, n_individuals: int, rng: np.random.Generator
) -> float:
    """Whole individuals dealt out in equal blocks before it begins."""
    brains = rng.integers(len(recorded), size=(n_ranks, max(1, n_individuals // n_ranks)))
    seconds = recorded[brains].mean(axis=-1).sum(axis=1)
    return float(seconds.mean() / seconds.max())


def uneven_episodes(rng: np.random.Generator) -> NDArray[np.float64]:
    """(n_brains, episodes) seconds far more uneven than ours: log-normal, sigma 0.5 between brains, 0.3 within."""
    return np.exp(0.5 * rng.standard_normal((1000, 1)) + 0.3 * rng.standard_normal((1000, 20)))


def bench_efficiency(plot: Path | None) -> None:
    """Efficiency against the number of ranks, by simulation."""
    recorded = recorded_episodes()
    means = recorded.mean(axis=1)
    spread, within = means.std() / means.mean(), (recorded.std(axis=1) / means).mean()
    title(f"Ranks in use, simulated; {N_EPISODES} episodes per individual; static: blocks of individuals")
    text(f"episodes on NEST: {means.mean():.2f} s, sd between brains {100 * spread:.0f} %, within {100 * within:.0f} %")
    rng = np.random.default_rng(1)
    curves: dict[int, list[float]] = {1: [], 4: []}
    for n_ranks in N_RANKS:
        for per_rank, curve in curves.items():
            usage = simulate(recorded, n_ranks, per_rank * n_ranks, rng)
            curve.append(usage.efficiency)
            static = static_efficiency(recorded, n_ranks, per_rank * n_ranks, rng)
            note = f"static {100 * static:.0f} %; rank 0 busy with messages {100 * usage.coordinator:.0f} %"
            row(f"{n_ranks} ranks, population {per_rank * n_ranks}", 100 * usage.efficiency, "%", note)
    for n_ranks in (64, 1024):
        usage = simulate(uneven_episodes(rng), n_ranks, 4 * n_ranks, rng)
        static = static_efficiency(uneven_episodes(rng), n_ranks, 4 * n_ranks, rng)
        note = f"static {100 * static:.0f} %"
        row(f"{n_ranks} ranks, population {4 * n_ranks}, very uneven episodes", 100 * usage.efficiency, "%", note)
    if plot is not None:
        _plot(curves, plot)


def _plot(curves: dict[int, list[float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for per_rank, curve in curves.items():
        label = "as many individuals as ranks" if per_rank == 1 else f"{per_rank} individuals per rank"
        axes.semilogx(N_RANKS, 100 * np.array(curve), "o-", base=2, label=label)
    axes.set(xlabel="MPI ranks", ylabel="parallel efficiency (%)", ylim=(0, 102))
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path, metavar="FILE")
    bench_overhead()
    bench_efficiency(parser.parse_args().plot)
