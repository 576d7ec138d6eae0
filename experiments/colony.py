"""The ant study for the outer loop: its optimizer, what it tells it, and what it keeps of the best colonies."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from experiments.config import AntsConfig
from experiments.generation import Generation
from experiments.npz import write_genomes
from experiments.rollout import MEASURES, run_episode, task_seeds
from experiments.run_folder import RunFolder
from experiments.search_config import make_search
from experiments.seeds import initial_rng, optimizer_seed
from experiments.sonata import recording_bytes
from experiments.storage import Tables
from experiments.study import Reading, Study, mean_of
from optim import Block, Optimizer, ParameterSpace
from optim.base import Array
from optim.methods import Start
from optim.tasks import Task
from snn import gene_blocks, random_genomes

FITNESS, FOOD = MEASURES.index("fitness"), MEASURES.index("food")
PICK_UPS = MEASURES.index("pick_ups")

_SPIKE_RATE_HZ = 170.0  # per neuron, with the sensors: a published colony has 1,780 spikes a tick, random ones 2,200


def make_study(config: AntsConfig) -> Study:
    """The ant study with these settings."""

    return Study(
        title=f"{config.optimizer}, seed {config.seed}",
        config=config,
        measures=MEASURES,
        fitness="fitness",
        told=("food",),
        seed_of=lambda task: task_seeds(config, task)[0],
        read=lambda generation, values: Reading(values, colony_responses(values, config.env)),
        min_survivors=config.min_survivors,
        save=_save_best,
        observe=_mean_of_search,
        record_best=functools.partial(_record_spikes, config) if config.record_spikes else None,
        bytes_of_best=_spike_bytes(config) if config.record_spikes else 0.0,
    )


def make_optimizer(config: AntsConfig) -> Optimizer:
    """The configured optimizer at its first generation; all start from the same random genomes.

    Raises
    ------
    ConfigError : its settings do not fit the population or the genome.
    """
    space = ParameterSpace(tuple(Block(*block) for block in gene_blocks(config.brain)))
    initial = random_genomes(config.brain, config.population, initial_rng(config.seed))
    return make_search(config, Start(space, initial, optimizer_seed(config.seed), targets=np.ones(3)))


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


def _mean_of_search(optimizer: Optimizer, generation: Generation) -> Tables:
    """Where the search stands, which is often better than the best of a few lucky episodes; see champion.py."""
    mean = mean_of(optimizer)
    return {} if mean is None else {"mean": {"generation": np.array([generation.number]), "genome": mean[None]}}


def _spike_bytes(config: AntsConfig) -> float:
    """Expected size of the spikes of one episode."""
    brain = config.brain
    n_neurons = config.env.n_ants * (brain.n_inputs + brain.n_hidden + brain.n_outputs)
    return recording_bytes(n_neurons, _SPIKE_RATE_HZ, config.env.n_ticks * brain.tick_ms)


def _record_spikes(config: AntsConfig, run: RunFolder, task: Task, genome: Array) -> None:
    """Repeat an episode with all spikes recorded."""
    seeds = task_seeds(config, task)
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    episode = run_episode(genome, config, env, seeds, has_recording=True)
    attributes = {"individual": task.individual, "env_seed": seeds[0], "nest_seed": seeds[1]}
    assert episode.spikes is not None  # it was asked for
    attributes |= {"generation": task.generation, "fitness": episode.values[FITNESS]}
    run.write_spikes(task.generation, episode.spikes, attributes)


def _save_best(run: RunFolder, optimizer: Optimizer, genome: Array) -> str:
    """In the published form, which `--evaluate` reads."""
    weights, delays = np.split(genome[None], 2, axis=1)
    write_genomes(run.path / "best.npz", weights, delays)
    return str(run.path / "best.npz")
