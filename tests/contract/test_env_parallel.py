"""What the colony promises to PettingZoo: one agent per ant, around the same world."""

import copy
import importlib.util
import pickle
import warnings

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled, ResetNeeded

import envs
from envs.foraging import AntForagingEnv
from envs.types import WALL
from tests.contract.world_cases import SMALL, copied, every_world, parts_of, random_actions, same

pettingzoo = pytest.importorskip("pettingzoo", reason="needs PettingZoo: pip install -e '.[multiagent]'")


def rows(action, agents):
    """A colony's action as one action per agent."""
    return {agent: action[k] for k, agent in enumerate(agents)}


def actions_of(env, n_ticks, seed=0):
    return random_actions(env.colony.config, np.random.default_rng(seed), n_ticks)


# PettingZoo's own checks; warnings are errors in the whole suite


@pytest.fixture(scope="module")
def checkers():
    """The module `pettingzoo.test`, whose import loads a game."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("pettingzoo.test", reason="the checkers need pygame", exc_type=ImportError)


@every_world
def test_the_checker_of_pettingzoo_has_no_complaint(world, checkers, capsys):
    for n_cycles in (15, 30):  # shorter than the episode, and longer
        checkers.parallel_api_test(envs.parallel_env(**world, n_ticks=20, n_ants=4), num_cycles=n_cycles)
    assert "Passed" in capsys.readouterr().out


@every_world
def test_the_seed_checker_of_pettingzoo_has_no_complaint(world, checkers):
    checkers.parallel_seed_test(lambda: envs.parallel_env(**world, n_ticks=30, n_ants=3), num_cycles=8)


@pytest.mark.parametrize("n_ticks", [1, 12])
def test_an_episode_is_as_long_as_its_setting(n_ticks):
    env = envs.parallel_env(n_ticks=n_ticks, n_ants=2)
    env.reset(seed=0)
    for tick, action in enumerate(actions_of(env, n_ticks), start=1):
        _, _, terminations, truncations, _ = env.step(rows(action, env.possible_agents))
        assert terminations == {"ant_0": False, "ant_1": False}
        assert truncations == {"ant_0": tick == n_ticks, "ant_1": tick == n_ticks}
    assert env.agents == []


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("AntForaging-v0", "published_test"),
        ("AntForagingTraining-v0", "published_training"),
        ("AntForagingVisual-v0", "published_visual"),
    ],
)
def test_the_environment_is_made_by_its_name(name, preset):
    env = pettingzoo.make("parallel", name, n_ants=3)
    assert env.colony.config == envs.make_config(preset, n_ants=3)
    assert env.possible_agents == ["ant_0", "ant_1", "ant_2"]
    assert env.max_num_agents == 3
    assert str(env) == env.metadata["name"] == "AntForaging-v0"


@pytest.mark.parametrize("kind", [{}, {"observation": "egocentric", "action": "continuous"}])
def test_it_can_be_turned_into_an_environment_of_turns(kind):
    from pettingzoo.utils import parallel_to_aec

    turns = parallel_to_aec(envs.parallel_env(n_ants=3, n_ticks=10, **kind))
    single = AntForagingEnv(n_ants=3, n_ticks=10, **kind)
    turns.reset(seed=1)
    single.reset(seed=1)
    actions = random_actions(single.config, np.random.default_rng(1), 10)
    total, n_turns = 0.0, 0
    for agent in turns.agent_iter():
        obs, reward, is_finished, is_out_of_time, _ = turns.last()
        assert obs in turns.observation_space(agent)
        total += reward
        is_over = is_finished or is_out_of_time
        turns.step(None if is_over else actions[n_turns // 3][int(agent[4:])])
        n_turns += not is_over
    assert n_turns == 30
    assert turns.agents == []
    for action in actions:
        *_, info = single.step(action)
    assert total == pytest.approx(info["fitness"], rel=1e-9)


# The same world as the single environment


@every_world
def test_it_is_the_colony_of_the_single_environment(world):
    world = world | {"n_ticks": 25}
    env, single = envs.parallel_env(**world), AntForagingEnv(**world)
    for seed in (2, None):  # the second episode goes on from the first
        observations, infos = env.reset(seed=seed)
        obs, _ = single.reset(seed=seed)
        agents = env.possible_agents
        assert env.agents == agents == [f"ant_{k}" for k in range(single.config.n_ants)]
        assert set(infos) == set(agents)
        for action in actions_of(env, 25):
            for k, agent in enumerate(agents):
                assert same(parts_of(observations[agent]), {name: part[k] for name, part in parts_of(obs).items()})
                assert observations[agent] in env.observation_space(agent)
            assert same(env.colony.state, single.state)
            assert env.agents == agents
            observations, rewards, terminations, truncations, infos = env.step(rows(action, agents))
            obs, reward, is_finished, is_out_of_time, info = single.step(action)
            assert list(rewards) == agents
            assert {type(value) for value in rewards.values()} == {float}
            assert sum(rewards.values()) == pytest.approx(reward, rel=1e-9, abs=1e-9)
            assert set(terminations.values()) == {is_finished}
            assert set(truncations.values()) == {is_out_of_time}
            assert all(infos[agent] == info for agent in agents)
        assert env.agents == []


def test_rewards_go_to_the_ant_that_earned_them():
    """Ant 0 stays, ant 1 walks, ant 2 turns and deposits; all share the time."""
    env = envs.parallel_env(n_ants=3)
    env.reset(seed=3)
    actions = {"ant_0": [0, 0, 0], "ant_1": [0, 1, 0], "ant_2": [2, 0, 1]}
    rewards = env.step({agent: np.array(action) for agent, action in actions.items()})[1]
    time = -0.5 / 3
    expected = {"ant_0": time, "ant_1": time - 0.25, "ant_2": time - 0.02 - 0.05}
    assert rewards == pytest.approx(expected, abs=1e-12)


def test_the_bonus_for_an_early_end_is_shared():
    env = envs.parallel_env(**SMALL, n_ticks=90)
    for seed in range(20):
        env.reset(seed=seed)
        for action in actions_of(env, 90, seed):
            _, rewards, terminations, truncations, infos = env.step(rows(action, env.possible_agents))
            if not env.agents:
                break
        if terminations["ant_0"]:
            break
    assert set(terminations.values()) == {True}
    assert set(truncations.values()) == {False}
    bonus = 30.0 * (90 - infos["ant_0"]["finish_tick"]) / 30
    assert min(rewards.values()) == pytest.approx(bonus, abs=1.0)


# Spaces and state


@every_world
def test_spaces_stay_the_same_objects_and_fit_the_colony(world):
    env = envs.parallel_env(**world)
    n_ants = env.colony.config.n_ants
    for agent in env.possible_agents:
        assert env.observation_space(agent) is env.observation_space(agent)
        assert env.action_space(agent) is env.action_space(agent)
        assert env.observation_space(agent) == env.observation_space("ant_0")
        assert env.action_space(agent) == env.action_space("ant_0")
        action = env.action_space(agent).sample()
        assert np.stack([action] * n_ants) in env.colony.action_space
    assert len({id(env.action_space(agent)) for agent in env.possible_agents}) == n_ants  # own random numbers each


@every_world
def test_the_global_state_is_in_its_space_and_shows_the_world(world):
    env = envs.parallel_env(**world)
    env.reset(seed=4)
    for action in [None, *actions_of(env, 30)]:
        if action is not None:
            env.step(rows(action, env.possible_agents))
        state, view = env.colony.state, env.state()
        assert view in env.state_space
        assert view.dtype == np.float32
        fields = [state.food, state.objects == WALL, state.pheromone, state.repellent]
        assert len(view) == 4 if env.colony.config.has_repellent else 3
        for layer, field in zip(view, fields, strict=False):
            np.testing.assert_allclose(layer, field, rtol=1e-6, atol=1e-37)
    before = copied(state)
    view[:] = -1.0
    assert same(env.colony.state, before)


def test_a_picture_is_that_of_the_colony():
    env, single = envs.parallel_env(render_mode="rgb_array"), AntForagingEnv(render_mode="rgb_array")
    env.reset(seed=5)
    single.reset(seed=5)
    assert env.render_mode == "rgb_array"
    np.testing.assert_array_equal(env.render(), single.render())
    env.close()


@pytest.mark.parametrize("save", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])  # noqa: S301
def test_a_saved_environment_goes_on_as_the_original(save):
    env = envs.parallel_env(n_ticks=20)
    env.reset(seed=6)
    actions = actions_of(env, 20)
    for action in actions[:10]:
        env.step(rows(action, env.possible_agents))
    saved = save(env)
    for action in actions[10:]:
        results, saved_results = (one.step(rows(action, env.possible_agents)) for one in (env, saved))
        assert same(list(results), list(saved_results))
    assert same(env.colony.state, saved.colony.state)


# Begin, end and refusals


def test_after_the_end_there_are_no_agents_until_the_next_reset():
    env = envs.parallel_env(n_ticks=3, n_ants=2)
    env.reset(seed=7)
    for action in actions_of(env, 3):
        env.step(rows(action, env.possible_agents))
    assert env.agents == []
    assert env.num_agents == 0
    before = copied(env.colony.state)
    assert env.step({}) == ({}, {}, {}, {}, {})
    assert same(env.colony.state, before)
    env.reset()
    assert env.agents == env.possible_agents == ["ant_0", "ant_1"]


def test_nothing_works_before_the_first_reset():
    env = envs.parallel_env(n_ants=2, render_mode="rgb_array")
    for call in (lambda: env.step({}), lambda: env.step(rows(np.zeros((2, 3), int), env.possible_agents))):
        with pytest.raises(ResetNeeded, match="first reset"):
            call()
    for call in (env.state, env.render):
        with pytest.raises(ResetNeeded, match="first reset"):
            call()


STAY = np.zeros(3, dtype=np.int64)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"ant_0": STAY, "ant_1": STAY}, "missing or unknown: .*ant_2"),
        ({}, "missing or unknown: .*ant_0"),
        ({"ant_0": STAY, "ant_1": STAY, "ant_2": STAY, "ant_3": STAY}, "missing or unknown: .*ant_3"),
        ({"ant_0": STAY, "ant_1": STAY, "bee": STAY}, "missing or unknown: .*bee"),
        ({0: STAY, 1: STAY, 2: STAY}, "missing or unknown"),
        ({"ant_0": STAY, "ant_1": STAY + 2, "ant_2": STAY}, "ant 1: move=2 is outside 0 … 1"),
        ({"ant_0": STAY, "ant_1": STAY - 1, "ant_2": STAY}, "ant 1: turn=-1"),
        ({"ant_0": STAY, "ant_1": STAY, "ant_2": STAY * 1.0}, "dtype float64, expected integers"),
        ({"ant_0": STAY[:2], "ant_1": STAY[:2], "ant_2": STAY[:2]}, "shape"),
        ({"ant_0": STAY, "ant_1": STAY[:2], "ant_2": STAY}, "shape"),
        ({"ant_0": STAY, "ant_1": None, "ant_2": STAY}, "shape"),
    ],
)
def test_bad_actions_are_refused_and_change_nothing(actions, message):
    env = envs.parallel_env(n_ants=3)
    env.reset(seed=8)
    before = copied(env.colony.state)
    with pytest.raises(ValueError, match=message):
        env.step(actions)
    assert same(env.colony.state, before)
    assert env.agents == env.possible_agents
    expected = envs.parallel_env(n_ants=3)
    expected.reset(seed=8)
    action = actions_of(env, 1)[0]
    results, wanted = (one.step(rows(action, env.possible_agents)) for one in (env, expected))
    assert same(list(results), list(wanted))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "mase"}, "did you mean 'maze'"),
        ({"n_ant": 3}, "did you mean 'n_ants'"),
        ({"n_ants": 0}, "n_ants=0"),
        ({"render_mode": "html"}, "render_mode='html'"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        envs.parallel_env(**settings)


def test_without_pettingzoo_the_error_says_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pettingzoo" else find_spec(name, *rest)
    )
    with pytest.raises(DependencyNotInstalled, match=r"pip install -e '.\[multiagent\]'"):
        envs.parallel_env()


def test_without_pettingzoo_the_package_still_offers_the_gymnasium_environments(run_python):
    program = (
        "import sys; sys.modules['pettingzoo'] = None; import gymnasium, envs\n"
        "env = gymnasium.make('AntForaging-v0', n_ants=2); env.reset(seed=0)\n"
        "sys.stdout.write(str(env.unwrapped.state.x.size))"
    )
    child = run_python("-W", "error", "-c", program)
    assert (child.returncode, child.stdout) == (0, "2"), child.stderr
