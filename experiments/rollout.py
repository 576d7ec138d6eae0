"""One episode of one colony: genome -> brains -> world -> measurements."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.foraging import AntForagingEnv
from experiments.compiled import run_compiled
from experiments.config import AntsConfig, config_from_dict
from experiments.seeds import episode_seeds
from optim.base import Array
from optim.tasks import Task, TaskFunction
from snn import AntColonyBrain, decode, random_genomes
from snn.spike_trains import SpikeTrains

# What an episode measures, in the order of the values of a task.
MEASURES = ("food", "fitness", "ticks", "pick_ups", "moves", "turns", "deposits")


class Episode(NamedTuple):
    """Outcome of one episode."""

    values: Array  # (len(MEASURES),)
    spikes: SpikeTrains | None  # None unless recorded


def run_episode(
    genome: Array, config: AntsConfig, env: AntForagingEnv, seeds: tuple[int, int], *, has_recording: bool = False
) -> Episode:
    """Let a colony forage until the episode ends.

    Parameters
    ----------
    genome : (genome_size,) float64
    env : the world of ``config.env``; reset here
    seeds : env_seed, nest_seed

    Raises
    ------
    ValueError : a genome that does not fit ``config.brain``.
    """
    env_seed, nest_seed = seeds
    weights_pA, delays_ms = decode(genome, config.brain)
    obs, _ = env.reset(seed=env_seed)
    with AntColonyBrain(
        weights_pA, delays_ms, config.env.n_ants, config.brain, rng_seed=nest_seed, has_recording=has_recording
    ) as brain:
        forage(env, brain, obs)
        info = env.measures()
        spikes = brain.spikes() if has_recording else None
    return Episode(np.array([info[name] for name in MEASURES], dtype=np.float64), spikes)


def forage(env: AntForagingEnv, brain: AntColonyBrain, obs: NDArray[np.int8]) -> None:
    """Let a colony forage until the episode ends, in one compiled call where that is possible."""
    if brain.compiled is not None:
        run_compiled(env, brain)
    else:
        run_ticks(env, brain, obs)


def run_ticks(env: AntForagingEnv, brain: AntColonyBrain, obs: NDArray[np.int8]) -> None:
    """Let a colony forage tick by tick until the episode ends."""
    has_ended = False
    while not has_ended:
        obs, _, terminated, truncated, _ = env.step(brain.act(obs))
        has_ended = terminated or truncated


def task_seeds(config: AntsConfig, task: Task, *, is_held_out: bool = False) -> tuple[int, int]:
    """env_seed and nest_seed of a task; held-out worlds are those that no run with this seed meets."""
    return episode_seeds(config.seed, *task, worlds="held_out" if is_held_out else config.worlds)


def make_colony_task(settings: Mapping[str, Any]) -> TaskFunction:
    """Task function of the ant study on any rank; also compiles the world and loads the engine before work begins.

    Parameters
    ----------
    settings : "config", the nested plain values of an `AntsConfig`, and "is_held_out", see `task_seeds`

    Raises
    ------
    snn.nest_kernel.NestUnavailableError : NEST is the engine, but missing or built with MPI.
    """
    config, is_held_out = config_from_dict(settings["config"]), bool(settings["is_held_out"])
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    # An episode of one tick loads or compiles all that the others need.
    short = AntForagingEnv(**dataclasses.asdict(dataclasses.replace(config.env, n_ticks=1)))
    obs, _ = short.reset(seed=0)
    genome = random_genomes(config.brain, 1, np.random.default_rng(0))[0]
    with AntColonyBrain(*decode(genome, config.brain), config.env.n_ants, config.brain) as brain:
        forage(short, brain, obs)

    def evaluate_colony(task: Task, genome: Array) -> Array:
        return run_episode(genome, config, env, task_seeds(config, task, is_held_out=is_held_out)).values

    return evaluate_colony
