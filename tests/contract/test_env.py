"""What every environment promises. A new one is added to CASES; nothing else is needed.

The second half holds the published rules of the ant world: order within a tick, credit, end, picture.
"""

import hashlib
import json
import os
import pickle
import random
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import envs  # noqa: F401  (registers the environments)
from envs.foraging import AntForagingEnv
from envs.render import ANT, FOODS, GROUND, LOADED_ANT, NEST, TRAIL_HIGH, WALLS


@dataclass(frozen=True)
class Case:
    """An environment under test: what `gymnasium.make` is called with."""

    name: str
    id: str
    settings: dict[str, Any] = field(default_factory=dict)

    def make(self, **settings):
        return gymnasium.make(self.id, **(self.settings | settings))

    def bare(self, **settings):
        """The environment without Gymnasium's wrappers."""
        return self.make(**settings).unwrapped


CASES = [
    Case("published_test", "AntForaging-v0"),
    Case("published_training", "AntForaging-v0", {"preset": "published_training"}),
    Case("few_ants_without_smell", "AntForaging-v0", {"n_ants": 4, "has_pheromone_sense": False}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])

TURN, MOVE, DEPOSIT = range(3)
STRAIGHT, LEFT, RIGHT = range(3)
SMELL, PICKED_UP, NEST_SCENT, ON_NEST = slice(2, 5), 6, slice(7, 10), 10


def actions_of(env, seed, n):
    """Random actions that differ from ant to ant and tick to tick, from a generator of their own."""
    shape = env.action_space.shape
    return np.random.default_rng(seed).integers(0, env.action_space.nvec, size=(n, *shape))


def play(env, seed, n=40):
    """All that `n` random ticks of an episode return, as one value that can be compared."""
    obs, info = env.reset(seed=seed)
    return [(obs.tobytes(), info)] + [step_record(env, action) for action in actions_of(env, seed, n)]


def step_record(env, action):
    obs, *rest = env.step(action)
    return (obs.tobytes(), *rest)


def state_hash(env):
    """Digest of all arrays of the world and of the generator."""
    digest = hashlib.sha256(repr(env.np_random.bit_generator.state).encode())
    for values in env.state:
        digest.update(values.tobytes())
    return digest.hexdigest()


def stay(env):
    return np.zeros(env.action_space.shape, dtype=np.int64)


def forage(env):
    """A scripted colony that knows the map: free ants walk to the nearest food, loaded ants to the nest."""
    state, actions = env.state, stay(env)
    food, nest = (np.argwhere(grid)[:, ::-1].astype(float) for grid in (state.food > 0, state.is_nest))
    for ant, here in enumerate(np.stack([state.x, state.y], axis=1)):
        goals = nest if state.is_carrying[ant] else food
        if goals.size == 0:
            continue
        dx, dy = goals[((goals - here) ** 2).sum(axis=1).argmin()] - here
        error = (np.degrees(np.arctan2(dx, dy)) - state.heading[ant] + 180.0) % 360.0 - 180.0
        actions[ant] = (RIGHT if error > 3 else LEFT if error < -3 else STRAIGHT, abs(error) < 12, 1)
    return actions


def published_fitness(info, n_ticks):
    """The fitness formula of the paper, from the events the environment reports."""
    fitness = 220 * info["food"] + 1.5 * info["pick_ups"] - 0.25 * info["moves"] - 0.02 * info["turns"]
    fitness -= 0.05 * info["deposits"] + 0.5 * info["ticks"] + 5.5 * info["wall_contacts"]
    return fitness + (30 * (n_ticks - info["finish_tick"]) if info["finish_tick"] >= 0 else 0)


def food_units(env, info):
    """Units on the ground, carried, laid down in the nest but not yet credited, and credited."""
    state = env.state
    is_pending = (state.nest_mark > state.food_mark) & (state.food_mark > 0)
    return state.food.sum() + state.is_carrying.sum() + is_pending.sum() + info["food"]


# Gymnasium


@each_case
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_the_checker_of_gymnasium_has_no_complaint(case, render_mode):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(case.bare(render_mode=render_mode))


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
        assert (obs.shape, obs.dtype) == (space.shape, space.dtype)
        assert set(np.unique(obs)) <= {0, 1}
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
    copies = [observations[0].copy()]
    for action in actions_of(env, 4, 30):
        observations.append(env.step(action)[0])
        copies.append(observations[-1].copy())
    np.testing.assert_array_equal(observations, copies)
    assert len({obs.tobytes() for obs in observations}) > 1


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
        first = env.state.heading.copy(), env.state.food.copy()
        env.reset()
        episodes.append((env.state.heading.copy(), env.state.food.copy()))
        assert not np.array_equal(first[0], episodes[-1][0])
        assert not np.array_equal(first[1], episodes[-1][1])
    np.testing.assert_equal(episodes[0], episodes[1])


@each_case
def test_interleaved_environments_do_not_disturb_each_other(case):
    alone = [play(case.bare(), seed=seed) for seed in (8, 9)]
    pair = [case.bare(), case.bare()]
    starts = [env.reset(seed=seed) for env, seed in zip(pair, (8, 9), strict=True)]
    records = [[(obs.tobytes(), info)] for obs, info in starts]
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
        "import sys; sys.path.insert(0, sys.argv[1]); import test_env as t; env = t.CASES[0].bare();"
        "t.play(env, seed=11); sys.stdout.write(t.state_hash(env))"
    )
    env = CASES[0].bare()
    play(env, seed=11)
    child = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
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


@each_case
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_every_integer_type_means_the_same_action(case, dtype):
    expected, env = play(case.bare(), seed=13), case.bare()
    env.reset(seed=13)
    assert [step_record(env, action.astype(dtype)) for action in actions_of(env, 13, 40)] == expected[1:]


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


def with_value(value, part, dtype=np.int64):
    """Maker of an action whose last ant has one wrong entry."""

    def make(shape):
        action = np.zeros(shape, dtype=dtype)
        action[-1, part] = value
        return action

    return make


BAD_ACTIONS = {
    "one ant too few": (lambda shape: np.zeros((shape[0] - 1, 3), dtype=int), "action has shape"),
    "one ant too many": (lambda shape: np.zeros((shape[0] + 1, 3), dtype=int), "action has shape"),
    "two parts": (lambda shape: np.zeros((shape[0], 2), dtype=int), "action has shape"),
    "transposed": (lambda shape: np.zeros(shape[::-1], dtype=int), "action has shape"),
    "flat": (lambda shape: np.zeros(shape[0] * 3, dtype=int), r"action has shape .* expected \(n_ants, 3\)"),
    "extra axis": (lambda shape: np.zeros((1, *shape), dtype=int), "action has shape"),
    "a number": (lambda shape: 0, r"action has shape \(\)"),
    "nothing": (lambda shape: None, r"action has shape \(\)"),
    "float": (np.zeros, "action has dtype float64, expected integers"),
    "not a number": (lambda shape: np.full(shape, np.nan), "action has dtype float64, expected integers"),
    "bool": (lambda shape: np.zeros(shape, dtype=bool), "action has dtype bool, expected integers"),
    "object": (lambda shape: np.zeros(shape, dtype=object), "action has dtype object, expected integers"),
    "text": (lambda shape: np.full(shape, "0"), "action has dtype <U1, expected integers"),
    "complex": (lambda shape: np.zeros(shape, dtype=complex), "action has dtype complex128, expected integers"),
    "negative turn": (with_value(-1, TURN), r"turn=-1 is outside 0 … 2"),
    "large turn": (with_value(3, TURN), r"turn=3 is outside 0 … 2"),
    "negative move": (with_value(-1, MOVE), r"move=-1 is outside 0 … 1"),
    "large move": (with_value(2, MOVE), r"move=2 is outside 0 … 1"),
    "negative deposit": (with_value(-128, DEPOSIT, np.int8), r"deposit=-128 is outside 0 … 1"),
    "large deposit": (with_value(2, DEPOSIT, np.uint8), r"deposit=2 is outside 0 … 1"),
    "huge unsigned": (with_value(2**64 - 1, MOVE, np.uint64), r"move=18446744073709551615 is outside 0 … 1"),
    "2 to the 32": (with_value(2**32, MOVE), r"move=4294967296 is outside 0 … 1"),
}


@each_case
@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_a_bad_action_is_refused_and_changes_nothing(case, name):
    make_action, message = BAD_ACTIONS[name]
    env = case.bare()
    expected = play(env, seed=14, n=10)
    env.reset(seed=14)
    for tick, action in enumerate(actions_of(env, 14, 10), start=1):
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


# Invariants


@each_case
@pytest.mark.parametrize("policy", ["random", "forage"])
def test_the_rewards_add_up_to_the_published_fitness(case, policy):
    env = case.bare(n_ticks=400)
    _, info = env.reset(seed=18)
    assert info["fitness"] == 0.0
    total, actions = 0.0, actions_of(env, 18, 400)
    for tick in range(400):
        _, reward, _, _, info = env.step(forage(env) if policy == "forage" else actions[tick])
        total += reward
        assert info["fitness"] == pytest.approx(published_fitness(info, 400), rel=1e-12, abs=1e-9)
        assert total == pytest.approx(info["fitness"], rel=1e-9, abs=1e-7)
    assert info["ticks"] == 400
    if policy == "forage":
        assert info["pick_ups"] >= info["food"] >= 4  # else the largest terms were not tested
    assert info["turns"] * info["moves"] * info["deposits"] > 0


@each_case
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), weights=st.tuples(*[st.floats(0.05, 0.95)] * 3), is_foraging=st.booleans())
def test_food_and_pheromone_are_kept_account_of_under_any_actions(case, seed, weights, is_foraging):
    env = case.bare()
    _, info = env.reset(seed=seed)
    config, state, rng = env.config, env.state, np.random.default_rng(seed)
    x_low, x_high, y_low, y_high = 62, 98, 3, 58
    for tick in range(150):
        if is_foraging:
            action = forage(env)
        else:
            action = (rng.random(env.action_space.shape) < weights).astype(int)
            action[:, TURN] *= rng.integers(1, 3)
        mass, n_deposits = state.pheromone.sum(), info["deposits"]
        x, y = state.x.copy(), state.y.copy()
        obs, _, _, _, info = env.step(action)

        assert food_units(env, info) == config.total_food
        assert state.food.min() >= 0
        assert info["food"] <= info["pick_ups"] <= config.total_food

        assert np.isfinite(state.pheromone).all()
        assert state.pheromone.min() >= 0
        mass += 60 * (info["deposits"] - n_deposits)
        # Every 7th tick diffusion, which conserves, then inside the arena 1 % is lost.
        inside = state.pheromone[1:61, 60:101].sum()
        outside = state.pheromone.sum() - inside
        assert inside / (0.99 if tick % 7 == 0 else 1.0) + outside == pytest.approx(mass, rel=1e-12)

        assert ((x_low <= state.x) & (state.x <= x_high) & (y_low <= state.y) & (state.y <= y_high)).all()
        assert (np.hypot(state.x - x, state.y - y) <= 1 + 1e-12).all()
        assert ((state.heading >= 0) & (state.heading < 360)).all()
        assert (obs[:, NEST_SCENT].sum(axis=1) == 1).all()
        assert (obs[:, SMELL].sum(axis=1) == int(config.has_pheromone_sense)).all()
        assert info["wall_contacts"] == 0


@each_case
def test_the_pheromone_field_follows_a_numpy_implementation(case):
    """Deposits after the move and before the clamp; diffusion and evaporation at ticks 0, 7, 14, …"""
    env = case.bare()
    env.reset(seed=19)
    expected, state = np.zeros((61, 101)), env.state
    for tick, action in enumerate(actions_of(env, 19, 120)):
        action[:, MOVE] = 1  # reach the walls, where the clamp matters
        turn = np.array([0, -6, 6])[action[:, TURN]]
        radians = np.radians(state.heading + turn)
        columns = np.floor(state.x + np.sin(radians) + 0.5).astype(int)
        rows = np.floor(state.y + np.cos(radians) + 0.5).astype(int)
        np.add.at(expected, (rows, columns), 60.0 * action[:, DEPOSIT])
        if tick % 7 == 0:
            received, n_given = np.zeros_like(expected), np.zeros_like(expected)
            padded, world = np.pad(expected, 1), np.pad(np.ones_like(expected), 1)
            for dy in range(3):
                for dx in range(3):
                    if (dy, dx) != (1, 1):
                        received += padded[dy : dy + 61, dx : dx + 101]
                        n_given += world[dy : dy + 61, dx : dx + 101]
            expected = expected * (1 - 0.2 * n_given / 8) + 0.2 / 8 * received
            expected[1:61, 60:101] *= 0.99
        env.step(action)
        np.testing.assert_allclose(state.pheromone, expected, rtol=1e-11, atol=1e-90)
    assert state.pheromone.sum() > 1000


@each_case
def test_ants_that_walk_straight_on_end_at_the_edge_of_the_walkable_area(case):
    env = case.bare()
    env.reset(seed=20)
    headings, action = env.state.heading.copy(), stay(env)
    action[:, MOVE] = 1
    for _ in range(100):
        _, _, _, _, info = env.step(action)
    on_edge = np.isin(env.state.x, (62, 98)) | np.isin(env.state.y, (3, 58))
    assert on_edge.all()
    assert ((env.state.x >= 62) & (env.state.x <= 98) & (env.state.y >= 3) & (env.state.y <= 58)).all()
    np.testing.assert_array_equal(env.state.heading, headings)
    assert info["wall_contacts"] == 0


# The ant world: order within a tick

LONE = {"n_ants": 1, "n_scattered": 0, "nest_x": (72, 72), "nest_y": (30, 30)}


def lone_forager(**settings):
    """One ant whose nest is at (72, 30); the only food is one unit at (80, 30)."""
    pile = {"piles": ((80, 30),), "pile_radius": 1.0, "food_per_patch": 1}
    env = AntForagingEnv(**(LONE | pile | settings))
    env.reset(seed=0)
    return env


def test_pheromone_is_updated_at_ticks_0_7_and_14():
    env = AntForagingEnv(n_ants=1)
    env.reset(seed=0)
    x, y = int(env.state.x[0]), int(env.state.y[0])
    action = stay(env)
    action[0, DEPOSIT] = 1
    env.step(action)
    assert env.state.pheromone[y, x] == pytest.approx(47.52, abs=1e-9)  # tick 0: deposit, then update
    assert env.state.pheromone[y + 1, x - 1] == pytest.approx(1.485, abs=1e-9)
    updates = []
    for tick in range(1, 22):
        before = env.state.pheromone.copy()
        env.step(stay(env))
        if not np.array_equal(env.state.pheromone, before):
            updates.append(tick)
    assert updates == [7, 14, 21]


def test_the_pick_up_is_felt_in_its_own_tick_only_and_loads_the_ant():
    env = lone_forager(food_per_patch=2)
    obs = env.state.obs
    while not obs[0, PICKED_UP]:
        assert not env.state.is_carrying[0]
        obs, reward, _, _, info = env.step(forage(env))
        assert obs[0, PICKED_UP] == info["pick_ups"]
    assert env.state.is_carrying[0]
    assert env.state.food_mark[0] == info["ticks"]
    assert reward == pytest.approx(1.5 - 0.5 - 0.25 - 0.05, abs=0.03)  # a move, a deposit and perhaps a turn
    obs, reward, _, _, info = env.step(stay(env))  # it stands on the second unit, loaded
    assert env.state.food[30, 80] == 1
    assert (obs[0, PICKED_UP], info["pick_ups"]) == (0, 1)
    assert reward == pytest.approx(-0.5, abs=1e-9)


def test_a_return_is_credited_in_the_tick_in_which_the_nest_is_touched():
    env = lone_forager()
    while not env.state.is_carrying[0]:
        env.step(forage(env))
    obs = env.state.obs
    while not obs[0, ON_NEST]:
        assert env.state.is_carrying[0]
        obs, _, is_terminated, _, info = env.step(forage(env))
        assert (is_terminated, info["food"]) == (False, 0)
    assert not env.state.is_carrying[0]  # this tick has sensed the nest; now it acts
    _, reward, is_terminated, _, info = env.step(stay(env))
    bonus = 30 * (2000 - info["finish_tick"]) if is_terminated else 0
    assert reward == pytest.approx(220 - 0.5 + bonus, abs=1e-9)
    assert info["food"] == 1


def test_the_world_ends_at_the_first_check_after_the_last_unit_came_home():
    env = lone_forager()
    returned_at, total = None, 0.0
    for tick in range(300):
        _, reward, is_terminated, is_truncated, info = env.step(forage(env))
        total += reward
        if returned_at is None and info["food"] == 1:
            returned_at = tick
        if is_terminated:
            break
    assert returned_at is not None
    finish = -(-returned_at // 7) * 7  # the next multiple of 7
    assert (is_terminated, is_truncated) == (True, False)
    assert (info["finish_tick"], info["ticks"], info["pick_ups"]) == (finish, finish + 1, 1)
    assert reward > 30 * (2000 - finish) - 15
    assert info["fitness"] == pytest.approx(published_fitness(info, 2000), abs=1e-9)
    assert total == pytest.approx(info["fitness"], abs=1e-7)
    with pytest.raises(ResetNeeded, match="after the end of the episode"):
        env.step(stay(env))


def test_a_carried_unit_keeps_the_world_going():
    env = lone_forager()
    while not env.state.is_carrying[0]:
        env.step(forage(env))
    assert env.state.food.sum() == 0
    assert not any(env.step(stay(env))[2] for _ in range(15))  # at least two checks


@pytest.mark.parametrize("n_ticks", [1, 2, 2000])
def test_a_world_without_food_finishes_in_its_first_tick_even_if_it_is_the_last(n_ticks):
    env = AntForagingEnv(food_per_patch=0, n_scattered=0, n_ticks=n_ticks)
    env.reset(seed=0)
    _, reward, is_terminated, is_truncated, info = env.step(stay(env))
    assert (is_terminated, is_truncated, info["finish_tick"]) == (True, False, 0)
    assert reward == info["fitness"] == 30 * n_ticks - 0.5


def test_a_colony_brings_home_every_unit_it_can_reach():
    env = AntForagingEnv("published_training", n_scattered=0, piles=((80, 40),), n_ticks=1500)
    env.reset(seed=1)
    is_terminated = is_truncated = False
    while not (is_terminated or is_truncated):
        _, _, is_terminated, is_truncated, info = env.step(forage(env))
    assert is_terminated
    assert info["food"] == info["pick_ups"] == env.config.total_food == 25


def test_food_on_the_nest_centre_is_not_lost():
    env = AntForagingEnv()
    env.reset(seed=1579)
    action = stay(env)
    action[:, MOVE] = 1
    records = [env.step(action) for _ in range(5)]
    assert food_units(env, records[-1][-1]) == 152
    assert sum(record[1] for record in records) == pytest.approx(records[-1][-1]["fitness"])


def test_smell_reads_the_pheromone_and_the_nest_sense_the_nest_scent():
    env = AntForagingEnv(**LONE)
    env.reset(seed=0)
    env.state.x[:], env.state.y[:], env.state.heading[:] = 78.0, 30.0, 0.0  # the nest lies to the left, at (72, 30)
    env.state.pheromone[32, 79] = 60.0  # the patch compared on the right
    obs = env.step(stay(env))[0]
    assert obs[0, NEST_SCENT].tolist() == [1, 0, 0]
    assert obs[0, SMELL].tolist() == [0, 0, 1]


def test_a_contested_unit_goes_to_either_ant_from_seed_to_seed_and_from_tick_to_tick():
    env = AntForagingEnv(n_ants=2, n_scattered=0)
    winners = []
    for seed in range(60):
        env.reset(seed=seed)
        state, episode = env.state, []
        state.x[:], state.y[:] = 80.0, 45.0
        for _ in range(5):
            state.food[45, 80], state.is_carrying[:] = 1, False
            env.step(stay(env))
            assert state.is_carrying.sum() == 1
            episode.append(int(state.is_carrying[1]))
        winners.append(tuple(episode))
    # 60 fair draws per tick: 30 wins, standard deviation 3.9.
    assert np.all(np.abs(np.sum(winners, axis=0) - 30) < 4 * 3.9)
    assert len(set(winners)) > 20  # of 32 sequences


# The switches of the studies


def test_without_the_pheromone_sense_a_trail_changes_no_observation():
    env = AntForagingEnv(has_pheromone_sense=False)
    env.reset(seed=21)
    env.state.pheromone[:] = np.random.default_rng(0).uniform(0, 60, (61, 101))
    for action in actions_of(env, 21, 20):
        obs = env.step(action)[0]
        assert not obs[:, SMELL].any()
    sensing = AntForagingEnv()
    sensing.reset(seed=21)
    sensing.state.pheromone[:] = np.random.default_rng(0).uniform(0, 60, (61, 101))
    assert sensing.step(actions_of(env, 21, 1)[0])[0][:, SMELL].any(axis=0).all()


def test_without_deposits_no_pheromone_appears_and_nothing_is_charged():
    env = AntForagingEnv(has_pheromone_deposit=False)
    env.reset(seed=22)
    action = stay(env)
    action[:, DEPOSIT] = 1
    _, reward, _, _, info = env.step(action)
    assert (reward, info["deposits"], env.state.pheromone.sum()) == (-0.5, 0, 0.0)


# Picture


def pixel(frame, x, y):
    """Colour in the middle of patch (x, y); the frame has 12 pixels per patch, +y up, and its corner is the arena's."""
    return frame[(60 - y) * 12 + 6, (x - 60) * 12 + 6].astype(int)


@pytest.fixture
def painted():
    env = AntForagingEnv(render_mode="rgb_array", n_scattered=0, nest_x=(75, 75), nest_y=(20, 20))
    env.reset(seed=0)
    return env


@each_case
def test_a_frame_is_an_rgb_picture_of_the_arena(case):
    env = case.bare(render_mode="rgb_array")
    env.reset(seed=23)
    before = state_hash(env)
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((60 * 12, 41 * 12, 3), np.uint8)
    assert state_hash(env) == before
    np.testing.assert_array_equal(env.render(), frame)
    env.step(actions_of(env, 23, 1)[0])
    assert not np.array_equal(env.render(), frame)


def test_walls_food_nest_and_ground_have_their_colours_at_their_places(painted):
    frame = painted.render()
    for x, y in [(60, 1), (60, 60), (100, 1), (100, 60), (60, 30), (100, 30), (80, 1), (80, 60)]:
        np.testing.assert_array_equal(pixel(frame, x, y), WALLS)
    for x, y in [(65, 53), (65, 6), (96, 30), (63, 51), (67, 8), (98, 28)]:
        np.testing.assert_array_equal(pixel(frame, x, y), FOODS)
    for x, y in [(61, 2), (99, 59), (80, 40), (68, 53), (96, 33), (75, 23)]:
        np.testing.assert_array_equal(pixel(frame, x, y), GROUND)
    for x, y in [(73, 18), (77, 22), (73, 22), (77, 20)]:
        np.testing.assert_allclose(pixel(frame, x, y), 0.35 * GROUND + 0.65 * NEST, atol=1)
    # The words of the documentation: grey walls, violet nest, blue food.
    assert np.ptp(WALLS) < 20
    assert NEST.argmax() == FOODS.argmax() == 2
    assert NEST.argmin() == 1


def test_a_patch_with_one_of_two_units_is_paler_and_an_empty_one_is_ground(painted):
    painted.state.food[53, 65] = 1
    painted.state.food[53, 66] = 0
    painted.state.objects[53, 66] = 0
    frame = painted.render()
    np.testing.assert_allclose(pixel(frame, 65, 53), FOODS * 0.775, atol=1)
    np.testing.assert_array_equal(pixel(frame, 66, 53), GROUND)


def test_pheromone_is_shown_from_1_and_brightest_from_100(painted):
    for x, content in ((80, 0.9), (81, 10.0), (82, 100.0), (83, 5000.0)):
        painted.state.pheromone[40, x] = content
    frame = painted.render()
    np.testing.assert_array_equal(pixel(frame, 80, 40), GROUND)
    assert pixel(frame, 81, 40).argmax() == 1  # green
    assert GROUND.sum() < pixel(frame, 81, 40).sum() < TRAIL_HIGH.sum()
    np.testing.assert_array_equal(pixel(frame, 82, 40), TRAIL_HIGH)
    np.testing.assert_array_equal(pixel(frame, 83, 40), TRAIL_HIGH)


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize(("heading", "dx", "dy"), [(0, 0, 1), (90, 1, 0), (180, 0, -1), (270, -1, 0)])
def test_an_ant_is_drawn_where_it_stands_with_its_tip_ahead(painted, heading, dx, dy, is_loaded):
    state, colour = painted.state, LOADED_ANT if is_loaded else ANT
    state.x[:], state.y[:], state.heading[:], state.is_carrying[:] = 80.0, 40.0, heading, is_loaded
    frame = painted.render()
    np.testing.assert_array_equal(pixel(frame, 80, 40), colour)
    rows, columns = np.nonzero((frame == colour).all(axis=2))
    x, y = (columns + 0.5) / 12 - 0.5 + 60, 60.5 - (rows + 0.5) / 12  # patch coordinates of the ant's pixels
    ahead = (x - 80) * dx + (y - 40) * dy
    assert ahead.max() > -ahead.min() + 0.1  # the tip reaches farther than the tail
    assert np.hypot(x - 80, y - 40).max() < 1.5


def test_ants_at_the_edge_of_the_walkable_area_can_be_drawn(painted):
    state = painted.state
    state.x[:] = np.resize([62.0, 98.0], 15)
    state.y[:] = np.resize([3.0, 58.0, 30.0], 15)
    frame = painted.render()
    np.testing.assert_array_equal(pixel(frame, 62, 3), ANT)
    np.testing.assert_array_equal(pixel(frame, 98, 58), ANT)


def test_render_needs_a_reset_and_a_mode():
    with pytest.raises(ResetNeeded, match="render was called before the first reset"):
        AntForagingEnv(render_mode="rgb_array").render()
    env = AntForagingEnv()
    env.reset(seed=0)
    assert env.render() is None
    with pytest.raises(ValueError, match="render_mode='human' is unknown"):
        AntForagingEnv(render_mode="human")
