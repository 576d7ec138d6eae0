"""The outer loop: ask, evaluate, tell, record, until the run is done or told to stop."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from experiments.analysis import plot_fitness
from experiments.config import AntsConfig
from experiments.process import EXIT_DONE, EXIT_STOPPED, is_stop_requested
from experiments.rollout import MEASURES, run_episode, task_seeds
from experiments.run_folder import RunFolder
from experiments.seeds import initial_rng, optimizer_seed
from experiments.sonata import recording_bytes
from experiments.storage import Tables, write_genomes
from optim import (
    Block,
    EnsembleKalmanFilter,
    Evaluations,
    EvolutionStrategy,
    GeneticAlgorithm,
    Optimizer,
    ParameterSpace,
)
from optim.base import Array
from optim.evaluators import EvaluationStopped, Evaluator
from optim.fitness import mean_over_episodes
from optim.tasks import Task, TaskResult
from snn import gene_blocks, random_genomes

FITNESS, FOOD = MEASURES.index("fitness"), MEASURES.index("food")
PICK_UPS = MEASURES.index("pick_ups")

_SPIKE_RATE_HZ = 170.0  # per neuron, with the sensors: a published colony has 1,780 spikes a tick, random ones 2,200
_LARGE_RECORDING = 1e9  # bytes


class GenerationFailedError(RuntimeError):
    """Too many individuals of a generation failed: there is nothing to learn from."""


@dataclass
class Progress:
    """What the loop carries from one generation to the next, besides the optimizer."""

    generation: int = 0  # the next one
    best_fitness: float = -math.inf  # of all individuals so far
    best_generation: int = -1
    best_genome: Array = field(default_factory=lambda: np.empty(0))  # (genome_size,), empty before the first generation


def make_optimizer(config: AntsConfig) -> Optimizer:
    """The configured optimizer at its first generation; all three start from the same random genomes."""
    space = ParameterSpace(tuple(Block(*block) for block in gene_blocks(config.brain)))
    initial = random_genomes(config.brain, config.population, initial_rng(config.seed))
    seed = optimizer_seed(config.seed)
    if config.optimizer == "ga":
        return GeneticAlgorithm(space, config.ga, initial=initial, seed=seed)
    if config.optimizer == "es":
        return EvolutionStrategy(space, config.es, x0=initial[0], population_size=config.population, seed=seed)
    return EnsembleKalmanFilter(space, config.enkf, initial=initial, targets=np.ones(3), seed=seed)


def colony_responses(measures: Array, world: ForagingConfig) -> Array:
    """What the ensemble Kalman filter compares with its targets, which are all 1.

    Fitness, pick-ups and returned food, each divided by what a colony reaches that picks up and returns everything
    without any cost. Pick-ups and fitness differ between colonies long before the first return, which gives the filter
    something to correlate with from the first generation on.

    Parameters
    ----------
    measures : (n, len(MEASURES)), means over episodes

    Returns
    -------
    (n, 3) float64
    """
    most_food = max(world.total_food, 1)
    gain = world.food_gain + world.pick_up_gain or 1.0
    scale = np.array([gain * most_food, most_food, most_food])
    return measures[:, [FITNESS, PICK_UPS, FOOD]] / scale


def evolve(config: AntsConfig, optimizer: Optimizer, run: RunFolder, evaluator: Evaluator) -> int:
    """Run or continue a study in its folder; returns the exit code.

    Parameters
    ----------
    optimizer : as `make_optimizer` gives it; its state is taken from the last checkpoint, if there is one

    Raises
    ------
    GenerationFailedError : too many individuals of a generation failed; the checkpoint before it stays.
    experiments.storage.StorageError : checkpoints or records are damaged or missing.
    """
    progress = _restore(run, optimizer)
    if large := large_recording_line(config, config.generations - progress.generation):
        say(f"{large}: {run.path / 'spikes'}")
    started_at, start = progress.generation, time.monotonic()
    code = EXIT_DONE
    while progress.generation < config.generations and code == EXIT_DONE:
        try:
            tables = _run_generation(config, optimizer, evaluator, progress)
        except EvaluationStopped:
            code = EXIT_STOPPED
            break
        generation = progress.generation
        run.write_generation(generation, tables)
        if config.record_spikes:
            _record_spikes(config, run, tables, generation)
        progress.generation += 1
        run.write_checkpoint(progress.generation, {"optimizer": optimizer.state_dict(), "progress": vars(progress)})
        done, left = progress.generation - started_at, config.generations - progress.generation
        say(_generation_line(tables, eta=(time.monotonic() - start) / done * left))
        if is_stop_requested() and left:
            code = EXIT_STOPPED
    _finish(config, run, progress)
    if code == EXIT_STOPPED:
        say(f"stopped before generation {progress.generation}; continue with --resume {run.path}")
    return code


def large_recording_line(config: AntsConfig, n_generations: int) -> str:
    """What the spikes of so many generations will take on disk; empty if they are not recorded or below 1 GB."""
    brain = config.brain
    n_neurons = config.env.n_ants * (brain.n_inputs + brain.n_hidden + brain.n_outputs)
    each = recording_bytes(n_neurons, _SPIKE_RATE_HZ, config.env.n_ticks * brain.tick_ms)
    if not config.record_spikes or n_generations * each <= _LARGE_RECORDING:
        return ""
    return (
        f"spikes about {n_generations * each / 1e9:.1f} GB, {n_generations} generations × {each / 1e6:.0f} MB "
        f"(at {_SPIKE_RATE_HZ:.0f} Hz per neuron)"
    )


def say(line: str) -> None:
    """One line for the user, if anybody still listens; only rank 0 gets here."""
    try:
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has left: the run goes on
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def _restore(run: RunFolder, optimizer: Optimizer) -> Progress:
    state, refused = run.read_checkpoint()
    for reason in refused:
        say(f"warning: {reason}")
    if state is None:
        return Progress()
    optimizer.load_state_dict(state["optimizer"])
    progress = Progress(**state["progress"])
    run.check_recorded(progress.generation)
    return progress


def _run_generation(
    config: AntsConfig, optimizer: Optimizer, evaluator: Evaluator, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Ask, evaluate, tell; returns the record of the generation and brings `progress.best_*` up to date."""
    start = time.perf_counter()
    genomes = optimizer.ask()
    n_tasks = len(genomes) * config.episodes
    with tqdm(total=n_tasks, desc=f"gen {progress.generation:03d}", leave=False, disable=None, unit="ep") as bar:
        results = evaluator.evaluate(
            progress.generation,
            genomes,
            config.episodes,
            on_result=lambda _: bar.update(),
            should_stop=is_stop_requested,
        )
    episodes = np.array([_values(result) for result in results]).reshape(len(genomes), config.episodes, -1)
    measures = mean_over_episodes(episodes)
    evaluations = Evaluations(measures[:, FITNESS], colony_responses(measures, config.env))
    n_failed = int(evaluations.failed.sum())
    # The filter needs a covariance, the others one individual that works.
    if len(genomes) - n_failed < (2 if config.optimizer == "enkf" else 1):
        first = next(result for result in results if result.error)
        raise GenerationFailedError(
            f"{n_failed} of {len(genomes)} individuals of generation {progress.generation} failed, too many to go on; "
            f"the first:\n{first.error}"
        )
    optimizer.tell(genomes, evaluations)
    best = int(np.nanargmax(evaluations.fitness))
    if evaluations.fitness[best] > progress.best_fitness:
        progress.best_fitness = float(evaluations.fitness[best])
        progress.best_generation = progress.generation
        progress.best_genome = genomes[best].copy()
    return _make_tables(config, progress.generation, genomes, results, measures, time.perf_counter() - start)


def _values(result: TaskResult) -> Array:
    return np.full(len(MEASURES), np.nan) if result.values is None else result.values


def _make_tables(
    config: AntsConfig, generation: int, genomes: Array, results: list[TaskResult], measures: Array, seconds: float
) -> dict[str, dict[str, Any]]:
    """Rows of one generation for `experiments.storage`."""
    fitness = measures[:, FITNESS]
    best = int(np.nanargmax(fitness))
    tasks = [result.task for result in results]
    failures = [result for result in results if result.error]
    episodes: dict[str, Any] = {
        "generation": np.array([task.generation for task in tasks]),
        "individual": np.array([task.individual for task in tasks]),
        "episode": np.array([task.episode for task in tasks]),
        "env_seed": np.array([task_seeds(config, task)[0] for task in tasks]),
        "seconds": np.array([result.seconds for result in results]),
    }
    values = np.array([_values(result) for result in results])
    episodes |= {name: values[:, column] for column, name in enumerate(MEASURES)}
    return {
        "individuals": {
            "generation": np.full(len(genomes), generation),
            "individual": np.arange(len(genomes)),
            "fitness": fitness,
            "genome": genomes,
        },
        "episodes": episodes,
        "failures": {
            "generation": np.array([failure.task.generation for failure in failures], dtype=np.int64),
            "individual": np.array([failure.task.individual for failure in failures], dtype=np.int64),
            "episode": np.array([failure.task.episode for failure in failures], dtype=np.int64),
            "traceback": np.array([failure.error for failure in failures], dtype=np.str_),
        },
        "generations": {
            "generation": np.array([generation]),
            "best": np.array([fitness[best]]),
            "mean": np.array([np.nanmean(fitness)]),
            "sd": np.array([np.nanstd(fitness)]),
            "food": np.array([measures[best, FOOD]]),
            "mean_food": np.array([np.nanmean(measures[:, FOOD])]),
            "n_failed": np.array([int(np.isnan(fitness).sum())]),
            "seconds": np.array([seconds]),
        },
    }


def _generation_line(tables: Tables, eta: float) -> str:
    row = {name: values[0] for name, values in tables["generations"].items()}
    minutes, seconds = divmod(round(eta), 60)
    return (
        f"gen {row['generation']:03d}  best {row['best']:9.1f}  mean {row['mean']:9.1f} ± {row['sd']:7.1f}  "
        f"food {row['food']:5.1f} (mean {row['mean_food']:5.1f})  failed {row['n_failed']}  "
        f"{row['seconds']:6.1f} s  eta {minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    )


def _record_spikes(config: AntsConfig, run: RunFolder, tables: Tables, generation: int) -> None:
    """Repeat the first episode of the generation's best individual with all spikes recorded."""
    individuals = tables["individuals"]
    best = int(np.nanargmax(individuals["fitness"]))
    seeds = task_seeds(config, Task(generation, best, 0))
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    episode = run_episode(individuals["genome"][best], config, env, seeds, has_recording=True)
    attributes = {"generation": generation, "individual": best, "env_seed": seeds[0], "nest_seed": seeds[1]}
    assert episode.spikes is not None  # it was asked for
    run.write_spikes(generation, episode.spikes, attributes | {"fitness": episode.values[FITNESS]})


def _finish(config: AntsConfig, run: RunFolder, progress: Progress) -> None:
    """Merge the records, save the best genome, draw the figure and say where everything is."""
    if progress.generation == 0:
        return
    run.merge()
    weights, delays = np.split(progress.best_genome[None], 2, axis=1)
    write_genomes(run.path / "best.npz", weights, delays)
    say(f"best   fitness {progress.best_fitness:.1f} in generation {progress.best_generation}: {run.path / 'best.npz'}")
    say(f"data   {run.path / 'results.h5'}")
    figure = run.path / "fitness.png"
    if plot_fitness(
        run.read_results(["generations"])["generations"], figure, title=f"{config.optimizer}, seed {config.seed}"
    ):
        say(f"figure {figure}")
    else:
        say("figure not drawn: matplotlib is missing (pip install -e '.[plot]')")
