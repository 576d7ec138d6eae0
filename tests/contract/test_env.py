"""What every environment promises. A new one is added to CASES; nothing else is needed."""

import importlib.util
import json
import os
import pickle
import random
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.presets import PRESETS
from envs.types import FOOD
from tests.conftest import ROOT
from tests.contract.env_cases import (
    TURN,
    Case,
    actions_of,
    bad_actions,
    bytes_of,
    food_units,
    forage,
    parts_of,
    play,
    published_fitness,
    state_hash,
    stay,
    step_record,
    whole_actions_of,
)

KINDS = {
    "few_ants_without_smell": {"n_ants": 4, "has_pheromone_sense": False},
    "graded": {"observation": "graded"},
    "egocentric": {"observation": "egocentric"},
    "continuous": {"action": "continuous"},
    "all_kinds": {
        "preset": "two_pheromones",
        "observation": "egocentric",
        "action": "continuous",
        "pheromone_bits": 32,
        "crawl_period": 5,
        "n_ants": 7,
    },
}
CASES = [
    *(Case(preset, "AntForaging-v0", {"preset": preset}) for preset in PRESETS),
    *(Case(name, "AntForaging-v0", settings) for name, settings in KINDS.items()),
]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


# Gymnasium


@each_case
@pytest.mark.parametrize("render_mode", [None, "rgb_array", "ansi"])
def test_the_checker_of_gymnasium_has_no_complaint(case, render_mode, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # the checker opens a window, too
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(case.bare(render_mode=render_mode), skip_render_check=importlib.util.find_spec("pygame") is None)


@each_case
def test_a_wrapped_episode_raises_no_warning(case):
    env = case.make(render_mode="rgb_array", n_ticks=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.reset(seed=0)
        results = [env.step(action) for action in actions_of(env, 0, 20)]
        env.render()
    assert [truncated for *_, truncated, _ in results] == [False] * 19 + [True]


@each_case
def test_an_environment_is_made_by_its_name_with_and_without_the_module(case):
    for name in (case.id, f"envs:{case.id}"):
        env = gymnasium.make(name, **case.settings)
        assert play(env, seed=1) == play(case.bare(), seed=1)


@pytest.mark.parametrize("kind", ["", "Training", "Visual"])
def test_the_worlds_of_the_publication_have_names_of_their_own(kind):
    named = gymnasium.make(f"AntForaging{kind}-v0").unwrapped
    preset = gymnasium.make("AntForaging-v0", preset=f"published_{kind.lower() or 'test'}").unwrapped
    assert play(named, seed=1) == play(preset, seed=1)


@each_case
def test_the_spec_survives_json(case):
    env = case.make(n_ticks=30)
    spec = EnvSpec.from_json(env.spec.to_json())
    assert spec == env.spec
    assert play(gymnasium.make(spec), seed=2, n=30) == play(env, seed=2, n=30)


@each_case
def test_observations_rewards_and_infos_keep_their_types_all_episode_long(case):
    env = case.bare(n_ticks=150)
    env.action_space.seed(3)
    obs, info = env.reset(seed=3)
    space, keys, rewards = env.observation_space, set(info), []
    is_over = False
    while not is_over:
        assert obs in space
        sample = parts_of(space.sample())
        assert list(parts_of(obs)) == list(sample)
        for key, values in parts_of(obs).items():
            assert (values.shape, values.dtype) == (sample[key].shape, sample[key].dtype)
        assert set(info) == keys
        assert json.loads(json.dumps(info)) == info
        obs, reward, is_terminated, is_truncated, info = env.step(env.action_space.sample())
        assert (type(reward), type(is_terminated), type(is_truncated)) == (float, bool, bool)
        assert np.isfinite(reward)
        rewards.append(reward)
        is_over = is_terminated or is_truncated
    assert obs in space
    assert len(rewards) == 150


@each_case
def test_returned_observations_are_not_overwritten_by_later_ticks(case):
    env = case.bare()
    observations = [env.reset(seed=4)[0]]
    copies = [bytes_of(observations[0])]
    for action in actions_of(env, 4, 30):
        observations.append(env.step(action)[0])
        copies.append(bytes_of(observations[-1]))
    assert [bytes_of(obs) for obs in observations] == copies
    assert len(set(copies)) > 1


# Same seed, same episode


@each_case
def test_a_seed_gives_one_episode_in_fresh_and_reused_environments(case):
    expected = play(case.bare(), seed=5)
    assert play(case.bare(), seed=5) == expected
    reused = case.bare()
    assert play(reused, seed=6) != expected
    assert play(reused, seed=5) == expected


@each_case
def test_without_a_seed_the_next_episode_is_another_but_follows_from_the_first_seed(case):
    episodes = []
    for _ in range(2):
        env = case.bare()
        env.reset(seed=7)
        first = env.state.heading.copy(), env.state.random.copy()
        env.reset()
        episodes.append((env.state.heading.copy(), env.state.food.copy(), env.state.random.copy()))
        assert not np.array_equal(first[0], episodes[-1][0])
        assert first[1] != episodes[-1][2]
    np.testing.assert_equal(episodes[0], episodes[1])


@each_case
def test_interleaved_environments_do_not_disturb_each_other(case):
    alone = [play(case.bare(), seed=seed) for seed in (8, 9)]
    pair = [case.bare(), case.bare()]
    starts = [env.reset(seed=seed) for env, seed in zip(pair, (8, 9), strict=True)]
    records = [[(bytes_of(obs), info)] for obs, info in starts]
    for both in zip(*(actions_of(env, seed, 40) for env, seed in zip(pair, (8, 9), strict=True)), strict=True):
        for env, record, action in zip(pair, records, both, strict=True):
            record.append(step_record(env, action))
    assert records == alone


@each_case
def test_global_generators_are_neither_used_nor_changed(case):
    episodes = []
    for seed in (0, 1):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()  # noqa: NPY002
        episodes.append(play(case.bare(), seed=10))
        np.testing.assert_equal((random.getstate(), np.random.get_state()), before)  # noqa: NPY002
    assert episodes[0] == episodes[1]


def test_another_process_with_another_hash_seed_plays_the_same_episode():
    program = (
        "import sys, experiments; from tests.contract import test_env as t; env = t.CASES[0].bare();"
        "t.play(env, seed=11); sys.stdout.write(t.state_hash(env))"
    )
    env = CASES[0].bare()
    play(env, seed=11)
    child = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert child.stdout == state_hash(env)


@each_case
def test_a_pickled_environment_continues_the_episode(case):
    env = case.bare()
    expected = play(env, seed=12, n=60)
    env = case.bare()
    play(env, seed=12, n=25)
    copy = pickle.loads(pickle.dumps(env))  # noqa: S301
    env.reset(seed=99)  # the copy owns its state
    actions = actions_of(copy, 12, 60)
    assert [step_record(copy, action) for action in actions[25:]] == expected[26:]


# Actions


INTEGERS = [np.int8, np.uint8, np.int32, np.uint64]
NUMBERS = [np.int8, np.float16, np.float32, np.float64]


@each_case
@pytest.mark.parametrize("k", range(4))
def test_every_type_of_number_means_the_same_action(case, k):
    dtype = (NUMBERS if case.is_continuous else INTEGERS)[k]
    expected, env = play(case.bare(), seed=13, actions_of=whole_actions_of), case.bare()
    env.reset(seed=13)
    assert [step_record(env, action.astype(dtype)) for action in whole_actions_of(env, 13, 40)] == expected[1:]


@each_case
def test_lists_and_strided_arrays_are_actions_and_stay_unchanged(case):
    expected, env = play(case.bare(), seed=13), case.bare()
    env.reset(seed=13)
    records = []
    for action in actions_of(env, 13, 40):
        given = action.tolist() if len(records) % 2 else np.asfortranarray(action)
        records.append(step_record(env, given))
        np.testing.assert_array_equal(given, action)
    assert records == expected[1:]


@pytest.mark.parametrize(
    ("case", "name"),
    [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in bad_actions(case)],
)
def test_a_bad_action_is_refused_and_changes_nothing(case, name):
    make_action, message = bad_actions(case)[name]
    env = case.bare()
    expected = play(env, seed=14, n=6)
    env.reset(seed=14)
    for tick, action in enumerate(actions_of(env, 14, 6), start=1):
        if tick == 4:
            before = state_hash(env)
            with pytest.raises(ValueError, match=message):
                env.step(make_action(env.action_space.shape))
            assert state_hash(env) == before
        assert step_record(env, action) == expected[tick]


@each_case
def test_the_first_wrong_ant_is_named(case):
    env = case.bare()
    env.reset(seed=0)
    action = stay(env)
    action[2:, TURN] = 7
    with pytest.raises(ValueError, match="action of ant 2: turn=7"):
        env.step(action)


# Begin and end


@each_case
def test_a_step_before_the_first_reset_is_refused(case):
    env = case.bare()
    with pytest.raises(ResetNeeded, match=r"before the first reset. Call env.reset\(\)"):
        env.step(stay(env))


@each_case
def test_the_episode_is_truncated_exactly_after_n_ticks_and_then_needs_a_reset(case):
    env = case.bare(n_ticks=25)
    records = play(env, seed=15, n=25)
    assert [(is_terminated, is_truncated) for _, _, is_terminated, is_truncated, _ in records[1:]] == [
        (False, k == 25) for k in range(1, 26)
    ]
    assert records[-1][-1]["ticks"] == 25
    before = state_hash(env)
    with pytest.raises(ResetNeeded, match="after the end of the episode"):
        env.step(stay(env))
    assert state_hash(env) == before
    assert play(env, seed=15, n=25) == records


@each_case
def test_an_episode_lasts_2000_ticks_by_default(case):
    env = case.bare()
    env.reset(seed=16)
    ends = [env.step(action)[3] for action in actions_of(env, 16, 2000)]
    assert ends == [False] * 1999 + [True]


@each_case
def test_two_resets_in_a_row_are_fine(case):
    env = case.bare()
    env.reset(seed=17)
    first = state_hash(env)
    env.reset(seed=17)
    assert state_hash(env) == first
    obs, info = env.reset()
    assert obs in env.observation_space
    assert info["ticks"] == 0


@each_case
def test_a_picture_needs_a_reset_and_a_known_render_mode(case):
    with pytest.raises(ResetNeeded, match="render was called before the first reset"):
        case.bare(render_mode="rgb_array").render()
    env = case.bare()
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(
        ValueError, match=r"render_mode='film' is not supported: use None or one of 'human', 'rgb_array'"
    ):
        type(env)(render_mode="film")


# Invariants


@each_case
@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 1000), share=st.floats(0.1, 1.0), is_foraging=st.booleans())
def test_food_places_and_rewards_are_kept_account_of_under_any_actions(case, seed, share, is_foraging):
    env = case.bare()
    obs, info = env.reset(seed=seed)
    config, state, rng = env.config, env.state, np.random.default_rng(seed)
    x_low, x_high, y_low, y_high = config.walkable
    assert info["fitness"] == 0.0
    total = 0.0
    for action in actions_of(env, seed, 60):
        action = forage(env) if is_foraging else np.where(rng.random(action.shape) < share, action, 0)
        obs, reward, _, _, info = env.step(action)
        total += reward

        assert obs in env.observation_space
        assert food_units(env, info) + info["food_rotted"] == info["food_placed"] + info["food_grown"]
        assert state.food.min() >= 0
        np.testing.assert_array_equal(state.food > 0, state.objects == FOOD)
        assert info["food"] <= info["pick_ups"]

        assert ((x_low <= state.x) & (state.x <= x_high) & (y_low <= state.y) & (state.y <= y_high)).all()
        assert ((state.heading >= 0) & (state.heading < 360)).all()
        assert info["wall_contacts"] == 0
        for field in (state.pheromone, state.repellent):
            assert np.isfinite(field).all()
            assert (field >= 0).all()

        assert info["fitness"] == pytest.approx(published_fitness(info, config.n_ticks), rel=1e-12, abs=1e-9)
        assert total == pytest.approx(info["fitness"], rel=1e-9, abs=1e-7)
        assert env.ant_fitness().sum() == pytest.approx(info["fitness"], rel=1e-9, abs=1e-9)
