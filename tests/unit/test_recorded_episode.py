"""Recorded episodes: the episode that was not recorded, and tables that agree with each other."""

import dataclasses

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.types import DEPOSIT, MOVE, REWARD, TURN
from experiments.colonies import read_colony
from experiments.config import load_config
from experiments.files import StorageError
from experiments.npz import write_genomes
from experiments.recorded_episode import record_episode
from experiments.rollout import MEASURES, run_episode
from experiments.settings import ConfigError
from snn import random_genomes

SEEDS = (7, 1)


@pytest.fixture(scope="module")
def config():
    near = {"env.nest_x": [78, 78], "env.nest_y": [26, 26], "env.piles": [[78, 33], [71, 26]]}
    return load_config(
        None, {"brain.engine": "numba", "env.n_ticks": 60, "env.n_ants": 40, "brain.n_hidden": 10} | near
    )


@pytest.fixture(scope="module")
def genome(config):
    return random_genomes(config.brain, 1, np.random.default_rng(6))[0]


@pytest.fixture(scope="module")
def episode(config, genome):
    return record_episode(genome, config, SEEDS)


def test_recording_does_not_change_the_episode(episode, config, genome):
    env = AntForagingEnv(**dataclasses.asdict(config.env))
    plain = run_episode(genome, config, env, SEEDS, has_recording=True)
    assert [episode.measures[name] for name in MEASURES] == plain.values.tolist()
    assert episode.spikes.equals(plain.spikes)
    assert episode.n_ticks == config.env.n_ticks


def test_actions_moved_the_bodies(episode, config):
    turned = (np.diff(episode.heading, axis=0) + 180.0) % 360.0 - 180.0
    expected = np.choose(episode.actions[..., TURN], [0.0, -config.env.turn_deg, config.env.turn_deg])
    np.testing.assert_allclose(turned, expected, atol=1e-9)
    way = np.hypot(np.diff(episode.x, axis=0), np.diff(episode.y, axis=0))
    assert (way[episode.actions[..., MOVE] == 0] == 0.0).all()
    assert way.max() == pytest.approx(config.env.speed)
    assert episode.actions[..., DEPOSIT].sum() == episode.measures["deposits"] > 0


def test_food_that_changes_is_food_that_is_picked_up(episode):
    food, picked = episode.first_food.copy(), 0
    for _, patch, units in zip(*episode.food_changes, strict=True):
        picked += food.flat[patch] - units
        food.flat[patch] = units
    assert picked + episode.first_food.sum() - episode.measures["food_placed"] == episode.measures["pick_ups"] > 0
    assert episode.obs[..., REWARD].sum() == episode.measures["pick_ups"]
    assert (np.diff(episode.food_changes.tick) >= 0).all()
    np.testing.assert_array_equal(episode.food_at(0), episode.first_food)
    np.testing.assert_array_equal(episode.food_at(episode.n_ticks), food)


def test_pheromone_is_kept_whenever_it_was_updated(episode, config):
    period, n_ticks = config.env.pheromone_period, config.env.n_ticks
    updates = [tick + 1 for tick in range(n_ticks) if tick % period == 0]
    np.testing.assert_array_equal(episode.pheromone_ticks, [0, *updates, n_ticks])
    assert episode.pheromone[0].max() == 0.0 < episode.pheromone[-1].max()


def test_a_file_of_genomes_is_taken_to_the_published_test_world(tmp_path, config, genome):
    weights, delays = np.split(np.stack([genome, genome[::-1]]), 2, axis=1)
    write_genomes(tmp_path / "some.npz", np.clip(weights, -20, 20), np.clip(delays, 1, 7))
    colony = read_colony(tmp_path / "some.npz", 0, {"brain.engine": "numba"})
    assert (colony.config.preset, colony.config.brain.n_hidden, colony.name) == ("published_test", 10, "some.npz")
    np.testing.assert_array_equal(colony.genome, genome)
    with pytest.raises(ConfigError, match=r"rows 0 … 1"):
        read_colony(tmp_path / "some.npz", 2, {})


def test_a_run_that_has_not_saved_a_colony_says_so(tmp_path):
    (tmp_path / "config.toml").write_text("seed = 3\n")
    with pytest.raises(StorageError, match=r"no best\.npz yet"):
        read_colony(tmp_path, None, {})
    with pytest.raises(ConfigError, match="--genome 0 has no effect"):
        read_colony(tmp_path, 0, {})
