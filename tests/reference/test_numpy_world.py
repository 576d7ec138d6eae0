"""The compiled world against a second one in NumPy, written from the same rules: `tests/bench/numpy_world.py`."""

import numpy as np
import pytest
from gymnasium.utils import seeding

from envs.config import tick_constants
from envs.dynamics import begin_tick
from envs.foraging import AntForagingEnv
from envs.generators import initial_state
from envs.policies import make_policy
from envs.types import N_PICK_UPS
from tests.bench.numpy_world import NumpyWorld

ARRAYS = ("x", "y", "heading", "food", "pheromone")


def two_worlds(preset, seed, **settings):
    """The environment after its reset, and the same world in NumPy."""
    env = AntForagingEnv(preset, **settings)
    env.reset(seed=seed)
    return env, NumpyWorld(initial_state(env.config, seeding.np_random(seed)[0]), env.config)


def assert_equal_episodes(env, world, policy, n_ticks):
    """Both worlds sense, give and hold the same in every tick."""
    obs = env.state.obs.copy()
    np.testing.assert_array_equal(world.obs, obs)
    for _ in range(n_ticks):
        actions = policy.act(obs)
        obs, reward, *has_ended, info = env.step(actions)
        our_obs, our_reward, *has_ours_ended = world.step(actions)
        np.testing.assert_array_equal(our_obs, obs, err_msg=f"tick {world.ticks}")
        assert our_reward == pytest.approx(reward, abs=1e-9)
        assert has_ours_ended == has_ended
        for name in ARRAYS:
            np.testing.assert_allclose(getattr(world, name), getattr(env.state, name), rtol=1e-9, atol=1e-9)
        measures = world.measures()
        assert measures == {name: pytest.approx(info[name], abs=1e-6) for name in measures}
        if any(has_ended):
            break
    return info


@pytest.mark.parametrize(
    ("preset", "seed"), [("published_test", 0), ("published_training", 1), ("published_training", 2)]
)
def test_the_world_is_the_one_of_a_second_implementation(preset, seed):
    env, world = two_worlds(preset, seed)
    info = assert_equal_episodes(env, world, make_policy("reactive", env, seed), n_ticks=400)
    assert min(info["food"], info["turns"], info["moves"], info["deposits"]) > 0


def test_a_collected_world_ends_with_the_same_bonus():
    env, world = two_worlds("published_training", 3, n_ants=40, turn_deg=30.0)
    info = assert_equal_episodes(env, world, make_policy("oracle", env), n_ticks=1000)
    assert info["finish_tick"] > 0


@pytest.mark.parametrize("seed", range(10))
def test_the_same_ant_gets_the_last_unit_of_a_patch(seed):
    config = AntForagingEnv("published_training").config
    state = initial_state(config, np.random.default_rng(seed))
    state.x[:], state.y[:] = config.piles[0]
    world = NumpyWorld(state, config)
    begin_tick(state, tick_constants(config))
    np.testing.assert_array_equal(world.obs, state.obs)
    assert state.events[:, N_PICK_UPS].sum() == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("preset", ["published_test", "published_training"])
def test_whole_episodes_are_those_of_the_second_implementation(preset, seed):
    env, world = two_worlds(preset, seed)
    info = assert_equal_episodes(env, world, make_policy("reactive", env, seed), n_ticks=2000)
    assert info["ticks"] == 2000
