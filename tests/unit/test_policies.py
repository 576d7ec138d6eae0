"""Colonies without a brain: what they can do, what they need, and what nobody can exceed."""

import numpy as np
import pytest

from envs.config import ForagingConfig
from envs.foraging import AntForagingEnv
from envs.policies import POLICIES, food_limit, make_policy, policy_settings
from envs.presets import PRESETS


def make_world(name, preset="published_test", **settings):
    return AntForagingEnv(preset, **{**policy_settings(name), **settings})


def play(name, seed, env):
    """Info at the end of an episode."""
    obs, info = env.reset(seed=seed)
    policy = make_policy(name, env, seed)
    has_ended = False
    while not has_ended:
        obs, _, terminated, truncated, info = env.step(policy.act(obs))
        has_ended = terminated or truncated
    return info


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_acts_in_every_world_it_can_be_asked_for(name, preset):
    settings = {} if name != "reactive" else {"observation": "binary", "action": "discrete"}
    info = play(name, 0, make_world(name, preset, n_ticks=30, n_ants=4, **settings))
    assert info["ticks"] == 30 or info["finish_tick"] >= 0


@pytest.mark.parametrize("action", ["discrete", "continuous"])
def test_random_actions_lie_in_the_action_space_and_reach_all_of_it(action):
    env = make_world("random", "two_pheromones", action=action)
    env.reset(seed=0)
    policy = make_policy("random", env)
    actions = np.array([policy.act(None) for _ in range(200)])
    for part in range(4):
        values = actions[..., part]
        if action == "discrete":
            assert set(np.unique(values)) == set(range(3 if part == 0 else 2))
        else:
            low = -1.0 if part == 0 else 0.0
            assert low <= values.min() < low + 0.01
            assert 0.99 < values.max() <= 1.0


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_with_the_same_seed_plays_the_same_episode(name):
    env = make_world(name, n_ticks=200)
    assert play(name, 3, env) == play(name, 3, env)


def test_the_rules_bring_home_what_the_published_rule_based_colony_did():
    env = make_world("rule", "published_rules")
    food = [play("rule", seed, env)["food"] for seed in range(30)]
    assert policy_settings("rule").items() <= {(name, getattr(env.config, name)) for name in policy_settings("rule")}
    # Published, 100 seeds: 124.45 +- 19.55, between 100 and 150.
    assert abs(np.mean(food) - 124.45) < 3 * 19.55 * np.sqrt(1 / 30 + 1 / 100)
    assert 12 < np.std(food) < 28


def test_the_rules_follow_the_pheromone():
    settings = {"n_ticks": 1000}
    with_trails, without = (
        np.mean([play("rule", s, make_world("rule", "published_rules", **settings, **extra))["food"] for s in range(8)])
        for extra in ({}, {"has_pheromone_deposit": False})
    )
    assert with_trails > 1.3 * without


def test_reactive_ants_bring_home_more_than_random_ones_and_less_than_the_oracle():
    reactive, random, oracle = (
        np.mean([play(name, seed, make_world(name, n_ticks=700))["food"] for seed in range(4)])
        for name in ("reactive", "random", "oracle")
    )
    assert random < 2
    assert 8 < reactive < oracle


@pytest.mark.parametrize("preset", ["published_test", "open", "random_piles", "obstacles"])
def test_the_oracle_brings_everything_home_and_not_before_the_physical_limit(preset):
    env = make_world("oracle", preset)
    info = play("oracle", 0, env)
    env.reset(seed=0)
    limit = food_limit(env.state, env.config)
    assert info["food"] == info["food_placed"] == limit.food
    assert limit.ticks < info["finish_tick"]


def test_the_limit_of_one_pile_is_the_way_there_and_back():
    settings = {"piles": ((70, 50),), "pile_radius": 1.0, "n_scattered": 0, "food_per_patch": 3, "n_ants": 1}
    config = ForagingConfig(nest_x=(70, 70), nest_y=(20, 20), n_ticks=100, **settings)
    env = AntForagingEnv(nest_x=(70, 70), nest_y=(20, 20), n_ticks=100, **settings)
    env.reset(seed=0)
    trip = 2 * (30 - 3 - np.sqrt(2))  # 51.2 ticks for each of 3 units
    assert food_limit(env.state, config) == (int(100 // trip), int(np.ceil(3 * trip)))


@pytest.mark.parametrize(("nest_x", "pile"), [(0, 38), (40, 2)])
def test_the_oracle_finds_its_way_along_the_edge_of_a_world_without_border(nest_x, pile):
    env = AntForagingEnv(
        width=41, height=61, arena=(0, 40, 0, 60), has_border=False, wall_margin=0, nest_x=(nest_x, nest_x),
        nest_y=(30, 30), piles=((pile, 30),), n_scattered=0, obstacles=((10, 12, 50, 51),),
    )  # fmt: skip
    assert play("oracle", 0, env)["food"] == 50


@pytest.mark.parametrize("name", ["crawl_period", "growth_period"])
def test_a_world_whose_food_moves_or_grows_has_no_limit(name):
    env = AntForagingEnv(**{name: 5})
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"{name}=5: .*there is no such limit"):
        food_limit(env.state, env.config)
    with pytest.raises(ValueError, match=r"call env\.reset"):
        food_limit(None, env.config)


def test_a_wrapped_world_has_policies_too():
    import gymnasium

    env = gymnasium.make("envs:AntForaging-v0", n_ticks=5)
    obs, _ = env.reset(seed=0)
    assert make_policy("reactive", env).act(obs).shape == (15, 3)


def test_a_world_without_food_has_a_limit_of_nothing():
    env = AntForagingEnv(piles=(), n_scattered=0)
    env.reset(seed=0)
    assert food_limit(env.state, env.config) == (0, 0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("reactive", {"observation": "graded"}, "need observation='binary' and action='discrete', not 'graded'"),
        ("rule", {}, r"policy_settings\('rule'\)"),
        ("rule", {"observation": "egocentric", "action": "continuous"}, "turn_deg=180"),
        ("rule", {**policy_settings("rule"), "view": 1.0}, "see farther than a step of speed=1.0, not view=1.0"),
        ("orakel", {}, "unknown policy 'orakel', did you mean 'oracle'"),
    ],
)
def test_a_policy_that_does_not_fit_the_world_says_what_it_needs(name, settings, message):
    env = AntForagingEnv(**settings)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        make_policy(name, env)


def test_settings_of_an_unknown_policy_are_refused():
    with pytest.raises(ValueError, match="did you mean 'rule'"):
        policy_settings("rules")
