"""Episodes of an analysis: intact and changed colonies in the same worlds, spread over ranks, as tables."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from envs.types import WALL
from experiments.ablations import Variant
from experiments.colonies import Colony
from experiments.colony_analysis import field_ticks, measure, packed, unpacked
from experiments.config import AntsConfig, config_from_dict
from experiments.process import is_stop_requested
from experiments.program import make_evaluator
from experiments.recorded_episode import RecordedEpisode, record_episode
from experiments.rollout import MEASURES, run_episode, task_seeds
from experiments.run import GenerationFailedError
from experiments.settings import config_to_dict
from experiments.storage import Tables
from optim.base import Array
from optim.evaluators import MakeEvaluator
from optim.tasks import Task, TaskFunction
from snn import random_genomes

_SNAPSHOTS = (0.03, 0.1, 0.2, 0.4, 0.7, 1.0)  # when the pheromone is drawn, shares of an episode


def make_analysis_task(settings: Mapping[str, Any]) -> TaskFunction:
    """Task function of an analysis on any rank; also compiles the world and loads the engine before work begins.

    Parameters
    ----------
    settings : "config", the nested plain values of an `AntsConfig`; "worlds", those of the world of every individual;
        "is_recorded": return `experiments.colony_analysis.measure`, else the measures of an episode and the food there
        was

    Raises
    ------
    snn.nest_kernel.NestUnavailableError : NEST is the engine, but missing or built with MPI.
    """
    config = config_from_dict(settings["config"])
    configs = [dataclasses.replace(config, env=ForagingConfig(**world)) for world in settings["worlds"]]
    function = _recorded if settings["is_recorded"] else _scored
    # An episode of one tick loads or compiles all that the others need.
    short = dataclasses.replace(config, env=dataclasses.replace(config.env, n_ticks=1))
    run_episode(random_genomes(config.brain, 1, np.random.default_rng(0))[0], short, _world(short), (0, 1))

    def analyse(task: Task, genome: Array) -> Array:
        return function(genome, configs[task.individual], task_seeds(config, task, is_held_out=True))

    return analyse


def _world(config: AntsConfig) -> AntForagingEnv:
    return AntForagingEnv(**dataclasses.asdict(config.env))


def _scored(genome: Array, config: AntsConfig, seeds: tuple[int, int]) -> Array:
    env = _world(config)
    episode = run_episode(genome, config, env, seeds)
    measures = env.measures()
    return np.append(episode.values, float(measures["food_placed"] + measures["food_grown"]))


def _recorded(genome: Array, config: AntsConfig, seeds: tuple[int, int]) -> Array:
    return packed(measure(record_episode(genome, config, seeds)))


def compute(colony: Colony, variants: list[Variant], make: MakeEvaluator) -> Tables:
    """Everything that is drawn, as tables.

    variants : group, name (n_variants,)
    episodes : the measures of an episode, and the units of food "available" (n_variants, n_episodes), NaN where it
        failed; env_seed (n_episodes,), the same worlds for all variants
    recorded : `experiments.colony_analysis.measure` of the intact colony (n_episodes, ...), NaN where it failed
    fields : tick (n_fields,) of what is followed over time
    snapshots, arena : the first of these episodes at some ticks, and where it took place

    Raises
    ------
    EvaluationStopped : by a signal.
    GenerationFailedError : the intact colony failed in every world.
    """
    config = colony.config
    scores = _evaluate(colony, variants, make, is_recorded=False)
    records = _evaluate(colony, variants[:1], make, is_recorded=True)
    if np.isnan(scores[0]).all() or np.isnan(records).all():
        raise GenerationFailedError(
            "every episode of the intact colony failed, see above: there is nothing to compare."
        )
    n_variants, n_episodes, _ = scores.shape
    columns = zip((*MEASURES, "available"), np.moveaxis(scores, 2, 0), strict=True)
    tasks = [Task(0, 0, episode) for episode in range(n_episodes)]
    seeds = [task_seeds(config, task, is_held_out=True) for task in tasks]
    return {
        "variants": {
            "group": np.array([variant.group for variant in variants]),
            "name": np.array([variant.name for variant in variants]),
        },
        "episodes": {name: values.reshape(n_variants, n_episodes) for name, values in columns}
        | {"env_seed": np.array([env_seed for env_seed, _ in seeds])},
        "recorded": unpacked(records[0], config.env),
        "fields": {"tick": field_ticks(config.env)},
        **_snapshots(record_episode(colony.genome, config, seeds[0])),
    }


def _evaluate(colony: Colony, variants: list[Variant], make: MakeEvaluator, *, is_recorded: bool) -> Array:
    """(n_variants, n_episodes, n_values); NaN where a task failed."""
    config = colony.config
    worlds = [dataclasses.asdict(variant.world) for variant in variants]
    settings = {"config": config_to_dict(config), "worlds": worlds, "is_recorded": is_recorded}
    evaluator = make_evaluator(config, settings, make)
    genomes = np.stack([variant.genome for variant in variants])
    what = "recorded episodes" if is_recorded else f"{len(variants)} variants"
    try:
        with tqdm(total=len(variants) * config.episodes, desc=what, disable=None, unit="ep") as bar:
            results = evaluator.evaluate(
                0, genomes, config.episodes, on_result=lambda _: bar.update(), should_stop=is_stop_requested
            )
    finally:
        evaluator.close()
    for result in results:
        if result.error:
            sys.stderr.write(f"failed: {variants[result.task.individual].name}, {result.task}\n{result.error}\n")
    n_values = max((result.values.size for result in results if result.values is not None), default=1)
    rows = [np.full(n_values, np.nan) if result.values is None else result.values for result in results]
    return np.array(rows).reshape(len(variants), config.episodes, n_values)


def _snapshots(episode: RecordedEpisode) -> Tables:
    """Ants, pheromone and food at some ticks of an episode."""
    wanted = np.array(_SNAPSHOTS) * episode.n_ticks
    chosen = np.unique(np.abs(episode.pheromone_ticks[:, None] - wanted).argmin(axis=0))
    ticks = episode.pheromone_ticks[chosen]
    food = np.stack([episode.food_at(tick) for tick in ticks])
    return {
        "snapshots": {
            "tick": ticks,
            "pheromone": episode.pheromone[chosen],
            "food": food,
            "x": episode.x[ticks],
            "y": episode.y[ticks],
            "returned": episode.returned[ticks],
        },
        "arena": {
            "bounds": np.array(episode.config.env.arena),
            "nest": episode.nest,
            "is_wall": episode.objects == WALL,
        },
    }
