"""What holds in every world, of every kind, whatever the ants do."""

import copy
import json
import math
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from envs import PRESETS
from envs.foraging import AntForagingEnv
from envs.types import FOOD, WALL
from tests.contract.world_cases import (
    DEPOSIT,
    DEPOSIT_REPELLENT,
    MIRRORS,
    PATTERNS,
    TURN,
    copied,
    deposited,
    diffused,
    digest_of_world,
    episode_digest,
    every_preset,
    every_world,
    fitness_of,
    make_actor,
    mirrored_action,
    mirrored_state,
    mirrored_world,
    parts_of,
    random_actions,
    same,
    senses,
    units,
    world_settings,
)

few = settings(deadline=None, derandomize=True, max_examples=12, phases=[Phase.generate])  # shrinking takes minutes
patterns, seeds = st.sampled_from(PATTERNS), st.integers(0, 2**31)


# Checks after a tick


def check_food(state, old, info):
    assert units(state, info) == info["food_placed"] + info["food_grown"]
    assert state.food.min() >= 0
    np.testing.assert_array_equal(state.objects == FOOD, state.food > 0)
    np.testing.assert_array_equal(state.objects == WALL, old.objects == WALL)
    # Each ant for itself: taken = brought home + carried or just laid down, one unit at most.
    in_hand = state.events[:, 1] - state.events[:, 0]
    is_pending = (state.nest_mark > state.food_mark) & (state.food_mark > 0)
    np.testing.assert_array_equal(in_hand, state.is_carrying.astype(int) + is_pending)
    assert set(np.unique(in_hand)) <= {0, 1}


def check_fields(state, old, action, config, is_finished):
    tick = int(old.counts[6])
    is_update = tick % config.pheromone_period == 0 and not is_finished
    x_min, x_max, y_min, y_max = config.arena
    arena = np.s_[y_min : y_max + 1, x_min : x_max + 1]
    kinds = [("pheromone", DEPOSIT, config.deposit, config.diffusion, config.evaporation)]
    if config.has_repellent:
        shares = config.repellent_diffusion, config.repellent_evaporation
        kinds.append(("repellent", DEPOSIT_REPELLENT, config.repellent_deposit, *shares))
    for name, part, amount, share, fraction in kinds:
        field, expected = getattr(state, name), getattr(old, name).astype(np.float64)
        if config.has_pheromone_deposit:
            expected = deposited(expected, state, old, action, config, part, amount, tick)
        if is_update:
            mass = expected.sum()
            expected = diffused(expected, share)
            assert expected.sum() == pytest.approx(mass, rel=1e-12)
            inside = expected[arena].sum()
            expected[arena] *= 1.0 - fraction
            # Mass: what lies outside the arena stays, inside the fraction is lost.
            assert abs(field.sum() - (mass - fraction * inside)) <= 1e-12 * mass
            assert fraction < 1.0 or not field[arena].any()
        assert np.isfinite(field).all()
        assert field.min() >= 0.0
        np.testing.assert_allclose(field, expected, rtol=1e-11, atol=1e-80)


def check_bodies(state, old, config):
    x_low, x_high, y_low, y_high = config.walkable
    assert ((x_low <= state.x) & (state.x <= x_high) & (y_low <= state.y) & (state.y <= y_high)).all()
    patches = np.floor(state.y + 0.5).astype(int), np.floor(state.x + 0.5).astype(int)
    assert not (state.objects[patches] == WALL).any()
    assert (np.hypot(state.x - old.x, state.y - old.y) <= config.speed + 1e-9).all()
    assert ((state.heading >= 0.0) & (state.heading < 360.0)).all()
    assert state.x.shape == state.y.shape == state.heading.shape == state.is_carrying.shape == (config.n_ants,)
    has_left = np.arange(config.n_ants) * config.departure_interval <= old.counts[6]
    assert not np.stack([state.x - old.x, state.y - old.y, state.heading - old.heading])[:, ~has_left].any()


def check_results(env, obs, reward, info, keys):
    space, parts = env.observation_space, parts_of(obs)
    assert obs in space
    for name, expected in parts_of(space.spaces if isinstance(obs, dict) else space).items():
        assert (parts[name].shape, parts[name].dtype) == (expected.shape, expected.dtype)
    assert type(reward) is float
    assert math.isfinite(reward)
    assert list(info) == keys
    assert json.loads(json.dumps(info)) == info
    assert {type(value) for value in info.values()} == {int, float}
    assert info["fitness"] == pytest.approx(fitness_of(info, env.config), rel=1e-12, abs=1e-9)
    assert env.ant_fitness().sum() == pytest.approx(info["fitness"], rel=1e-9, abs=1e-9)


@every_preset
@few
@given(overrides=world_settings(), pattern=patterns, seed=seeds)
def test_food_pheromone_bodies_and_rewards_keep_their_laws(preset, overrides, pattern, seed):
    env = AntForagingEnv(preset, n_ticks=100, **overrides)
    obs, info = env.reset(seed=seed)
    act = make_actor(pattern, env, np.random.default_rng(seed))
    keys, total, is_over = list(info), 0.0, False
    assert info["food_placed"] == env.state.food.sum() + env.state.is_carrying.sum()
    assert info["fitness"] == 0.0
    check_results(env, obs, 0.0, info, keys)
    while not is_over:
        old = copied(env.state)
        action = act()
        obs, reward, is_finished, is_out_of_time, info = env.step(action)
        total += reward
        check_food(env.state, old, info)
        check_fields(env.state, old, action, env.config, is_finished)
        check_bodies(env.state, old, env.config)
        check_results(env, obs, reward, info, keys)
        assert (type(is_finished), type(is_out_of_time)) == (bool, bool)
        is_over = is_finished or is_out_of_time
    assert total == pytest.approx(info["fitness"], rel=1e-9, abs=1e-7)
    assert info["ticks"] == 100 or is_finished


def test_foraging_ants_close_the_account_with_food_brought_home():
    """The laws above would also hold where no food ever moves."""
    for preset in PRESETS:
        env = AntForagingEnv(preset, n_ticks=500)
        _, info = env.reset(seed=0)
        act = make_actor("forage", env, None)
        while info["ticks"] < 500 and info["finish_tick"] < 0:
            _, _, _, _, info = env.step(act())
        assert info["pick_ups"] >= info["food"] >= 3, preset
        assert units(env.state, info) == info["food_placed"] + info["food_grown"]
        assert (info["food_grown"] > 0, info["food_rotted"] > 0) == (preset == "changing_food",) * 2


@every_preset
@pytest.mark.parametrize("bits", [64, 32])
def test_diffusion_alone_conserves_and_never_raises_the_maximum(preset, bits):
    error = {64: 1e-12, 32: 1e-4}[bits]
    alone = {"evaporation": 0.0, "repellent_evaporation": 0.0, "has_repellent": True, "pheromone_bits": bits}
    env = AntForagingEnv(preset, **alone, diffusion=1.0, repellent_diffusion=0.37, n_ticks=60)
    env.reset(seed=1)
    rng = np.random.default_rng(1)
    fields = env.state.pheromone, env.state.repellent
    for field in fields:
        field[:] = rng.exponential(60.0, size=field.shape) ** 2
    stay = make_actor("still", env, rng)()
    masses = [field.astype(np.float64).sum() for field in fields]
    for _ in range(60):
        before = [(field.min(), field.max()) for field in fields]
        env.step(stay)
        for field, (low, high), mass in zip(fields, before, masses, strict=True):
            assert field.max() <= high * (1.0 + error)
            assert field.min() >= low * (1.0 - error)
            assert field.astype(np.float64).sum() == pytest.approx(mass, rel=error)


@every_preset
@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_evaporation_takes_nothing_or_everything_inside_the_arena(preset, fraction):
    env = AntForagingEnv(preset, evaporation=fraction, diffusion=0.0, pheromone_period=1)
    env.reset(seed=2)
    env.state.pheromone[:] = np.random.default_rng(2).uniform(0.0, 60.0, env.state.pheromone.shape)
    expected = env.state.pheromone.copy()
    x_min, x_max, y_min, y_max = env.config.arena
    expected[y_min : y_max + 1, x_min : x_max + 1] *= 1.0 - fraction
    stay = make_actor("still", env, None)()
    for _ in range(3):
        env.step(stay)
        np.testing.assert_allclose(env.state.pheromone, expected, rtol=1e-15)


@pytest.mark.parametrize("turn", [-1e-3, -1e-18, -1e-40])
def test_headings_stay_below_360_degrees_after_the_smallest_turn(turn):
    env = AntForagingEnv(n_ants=1, action="continuous")
    env.reset(seed=0)
    env.state.heading[:] = 0.0
    action = np.array([[turn, 0.0, 0.0]], dtype=np.float32)
    assert action in env.action_space
    env.step(action)
    assert 0.0 <= env.state.heading[0] < 360.0


@every_preset
def test_single_precision_follows_double_precision(preset):
    both = [AntForagingEnv(preset, pheromone_bits=bits, action="discrete", turn_deg=20.0) for bits in (64, 32)]
    for env in both:
        env.reset(seed=3)
    for action in random_actions(both[0].config, np.random.default_rng(3), 150):
        infos = [env.step(action)[-1] for env in both]
        assert infos[0] == infos[1]
    double, single = (env.state.pheromone for env in both)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-25)
    assert double.sum() > 0.0


# The same seed gives the same episode


@every_world
def test_a_used_environment_plays_the_episode_of_a_fresh_one(world):
    fresh = digest_of_world(world, seed=3)
    used = AntForagingEnv(**world)
    assert episode_digest(used, seed=4) != fresh
    assert episode_digest(used, seed=3) == fresh


def test_processes_with_other_hash_seeds_play_the_same_episodes(run_python):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests.contract.world_cases import digest_of_world\n"
        "import envs; sys.stdout.write(' '.join(digest_of_world({'preset': p}, 5) for p in envs.PRESETS))"
    )
    expected = [digest_of_world({"preset": preset}, seed=5) for preset in PRESETS]
    here = os.environ.get("PYTHONHASHSEED")
    child = run_python(
        "-c", program, str(Path(__file__).parents[2]), env={"PYTHONHASHSEED": "1" if here != "1" else "12345"}
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.split() == expected
    assert len(set(expected)) == len(PRESETS)


def test_environments_that_take_turns_do_not_disturb_each_other():
    worlds = [{"preset": preset, "n_ants": 5 + k} for k, preset in enumerate(PRESETS)]
    environments = [AntForagingEnv(**world) for world in worlds]
    for env in environments:
        env.reset(seed=6)
    actions = [random_actions(env.config, np.random.default_rng(6), 40) for env in environments]
    for tick in range(40):
        for env, action in zip(environments, actions, strict=True):
            env.step(action[tick])
    for world, env in zip(worlds, environments, strict=True):
        alone = AntForagingEnv(**world)
        episode_digest(alone, seed=6)
        assert same(alone.state, env.state)
        assert alone.measures() == env.measures()


@every_world
def test_the_global_generators_are_neither_used_nor_changed(world):
    digests = set()
    for seed in (0, 1):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()  # noqa: NPY002
        digests.add(digest_of_world(world, seed=7))
        np.testing.assert_equal((random.getstate(), np.random.get_state()), before)  # noqa: NPY002
    assert len(digests) == 1


@every_world
@pytest.mark.parametrize("save", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])  # noqa: S301
def test_a_saved_environment_goes_on_as_the_original(world, save):
    env = AntForagingEnv(**world)
    episode_digest(env, seed=8, n_ticks=25)
    saved = save(env)
    assert not any(np.shares_memory(a, b) for a, b in zip(env.state, saved.state, strict=True))
    for action in random_actions(env.config, np.random.default_rng(8), 30):
        assert same(env.step(action), saved.step(action))
    assert same(env.state, saved.state)
    assert same(env.reset()[0], saved.reset()[0])  # the generators go on as well
    assert same(env.state, saved.state)


# Symmetries

PER_ANT = ("x", "y", "heading", "is_carrying", "food_mark", "nest_mark", "events", "obs", "features")
SCRATCH = ("order", "sites", "rows", "random")


@every_preset
@pytest.mark.parametrize("observation", ["binary", "graded", "egocentric"])
def test_renaming_ants_renames_the_results(preset, observation):
    """No patch runs empty and all leave at once, so it does not matter whose turn it is."""
    plenty = {"food_per_patch": 1000, "n_scattered": 0, "departure_interval": 0, "n_ants": 9, "speed": 2.0}
    env, other = (AntForagingEnv(preset, observation=observation, **plenty) for _ in range(2))
    env.reset(seed=9)
    other.reset(seed=9)
    rng = np.random.default_rng(9)
    names = rng.permutation(9)
    for name in PER_ANT:
        getattr(other.state, name)[:] = getattr(env.state, name)[names]
    act = make_actor("forage", env, rng)
    for _ in range(150):
        action = act()
        reward, other_reward = env.step(action)[1], other.step(action[names])[1]
        assert reward == other_reward
    for name in set(env.state._fields) - set(SCRATCH):
        expected = getattr(env.state, name)
        np.testing.assert_array_equal(getattr(other.state, name), expected[names] if name in PER_ANT else expected)
    np.testing.assert_array_equal(other.ant_fitness(), env.ant_fitness()[names])
    assert env.measures()["pick_ups"] > 0
    assert not (names == np.arange(9)).all()


@every_world
@pytest.mark.parametrize("mirror", MIRRORS)
@pytest.mark.parametrize("pattern", ["random", "forage"])
def test_the_world_in_a_mirror_takes_the_mirrored_course(world, mirror, pattern):
    """With headings that hit no border of a patch exactly, and food that draws no random numbers."""
    calm = {"n_scattered": 0, "crawl_period": 0, "rot_period": 0, "food_per_patch": 1000, "speed": 1.7, "n_ants": 8}
    env = AntForagingEnv(**world, **calm)
    if mirror == "diagonal" and env.config.has_walls_inside:
        pytest.skip("an ant at a corner of a wall slides along x rather than y")
    env.reset(seed=10)
    rng = np.random.default_rng(10)
    env.state.heading[:] = rng.uniform(0.0, 360.0, 8)
    other = mirrored_world(env, mirror)
    act = make_actor(pattern, env, rng)
    for _ in range(120):
        action = act()
        if env.config.action == "continuous":
            action[:, TURN] = np.clip(action[:, TURN] + rng.uniform(-0.01, 0.01, 8), -1.0, 1.0)
        obs, other_obs = env.step(action)[0], other.step(mirrored_action(action, env.config))[0]
        expected = senses(obs, env.config, is_mirrored=True)
        for name, part in senses(other_obs, env.config).items():
            np.testing.assert_allclose(part, expected[name], atol=1e-5)
        expected = mirrored_state(env.state, mirror)
        for name, array in expected.items():
            np.testing.assert_allclose(getattr(other.state, name), array, rtol=1e-10, atol=1e-10, err_msg=name)
    assert other.measures() == env.measures()
    assert env.state.pheromone.sum() > 0.0


# What is far away does not matter. The ants below walk at most 8 patches from the nest and see 5.5 patches ahead.

SLOW = {"speed": 0.2, "n_ticks": 40}
FAR = SLOW | {"nest_x": (75, 75), "nest_y": (28, 28), "n_scattered": 0}
GRIDS = ("food", "objects", "is_nest", "nest_scent", "pheromone", "repellent")


def assert_near_equal(env, other, near=np.s_[14:43, 61:90], is_exact=True):
    """From now on, two worlds with the same ants and surroundings of the nest give the same episode there."""
    for action in random_actions(env.config, np.random.default_rng(0), 40):
        (obs, reward, *_), (other_obs, other_reward, *_) = env.step(action), other.step(action)
        assert reward == other_reward
        assert not is_exact or same(obs, other_obs)
        for name in GRIDS:
            grid, other_grid = getattr(env.state, name), getattr(other.state, name)
            assert grid.size == 0 or np.array_equal(grid[near], other_grid[near])
        for name in ("x", "y", "heading", "events"):
            error = 0.0 if is_exact else 1e-12
            np.testing.assert_allclose(getattr(env.state, name), getattr(other.state, name), rtol=error, atol=error)


@every_world
def test_food_that_nobody_visits_changes_nothing_but_the_account(world):
    still = SLOW | {"crawl_period": 0, "rot_period": 0}  # their random numbers depend on the number of patches
    env, other = AntForagingEnv(**world, **still), AntForagingEnv(**world, **still)
    info, _ = env.reset(seed=11)[1], other.reset(seed=11)
    x_low, x_high, y_low, y_high = env.config.walkable
    walkable = env.state.objects[y_low : y_high + 1, x_low : x_high + 1]
    rows, columns = np.nonzero(walkable == 0)
    distance = np.hypot(columns + x_low - env.state.nest[0], rows + y_low - env.state.nest[1])
    assert distance.max() > 20.0
    patch = rows[distance.argmax()] + y_low, columns[distance.argmax()] + x_low
    other.state.food[patch], other.state.objects[patch] = 7, FOOD
    other.state.counts[list(info).index("food_placed")] += 7
    elsewhere = np.ones(env.state.food.shape, dtype=bool)
    elsewhere[patch] = False
    assert_near_equal(env, other, near=elsewhere)
    assert other.state.food[patch] == 7
    assert other.measures() == env.measures() | {"food_placed": info["food_placed"] + 7}


@pytest.mark.parametrize("kind", [{}, {"observation": "graded"}, {"action": "continuous", "has_repellent": True}])
def test_walls_out_of_reach_change_nothing(kind):
    one, more = ((62, 75, 47, 48),), ((62, 75, 47, 48), (94, 95, 10, 40), (66, 84, 9, 9))
    worlds = [AntForagingEnv(**FAR, **kind, piles=((80, 54),), obstacles=walls) for walls in ((), one, more)]
    for env in worlds:
        env.reset(seed=12)
    assert_near_equal(worlds[1], worlds[2])
    worlds[1].reset(seed=12)
    assert_near_equal(worlds[0], worlds[1], is_exact=False)  # a move among walls is made in pieces


@pytest.mark.parametrize("kind", [{}, {"observation": "egocentric"}, {"action": "continuous"}])
def test_a_larger_world_around_the_arena_changes_nothing(kind):
    worlds = [AntForagingEnv(**FAR, **kind, width=width, height=height) for width, height in ((101, 61), (140, 90))]
    for env in worlds:
        env.reset(seed=13)
    assert_near_equal(*worlds)
