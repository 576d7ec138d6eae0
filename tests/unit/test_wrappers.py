"""Actions in one row."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FlattenObservation

from envs.foraging import AntForagingEnv
from envs.wrappers import FlatActions


@pytest.mark.parametrize("action", ["discrete", "continuous"])
def test_a_flat_action_is_the_action_ant_by_ant(action):
    plain, flat = AntForagingEnv(action=action), FlatActions(AntForagingEnv(action=action))
    assert flat.action_space.shape == (45,)
    plain.action_space.seed(3)
    plain.reset(seed=1)
    flat.reset(seed=1)
    for _ in range(20):
        actions = plain.action_space.sample()
        assert flat.action_space.contains(actions.ravel())
        obs, reward, *_ = plain.step(actions)
        flat_obs, flat_reward, *_ = flat.step(actions.ravel())
        assert reward == flat_reward
        np.testing.assert_array_equal(obs, flat_obs)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
def test_both_spaces_can_be_flat_and_pass_the_checker():
    env = FlattenObservation(FlatActions(AntForagingEnv(observation="egocentric", action="continuous", n_ticks=50)))
    assert (len(env.observation_space.shape), len(env.action_space.shape)) == (1, 1)
    check_env(env, skip_render_check=True)


def test_other_action_spaces_are_refused():
    class Odd(gymnasium.Env):
        action_space = gymnasium.spaces.Text(3)
        observation_space = gymnasium.spaces.Discrete(2)

    with pytest.raises(ValueError, match="not Text"):
        FlatActions(Odd())
