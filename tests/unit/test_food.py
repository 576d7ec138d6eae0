"""Food that crawls, grows and rots, on hand-placed situations and in whole worlds."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import tick_constants
from envs.dynamics import begin_tick, step_state
from envs.food import crawl, grow, rot
from envs.generators import initial_state
from envs.presets import make_config
from envs.types import COUNTS, FOOD, WALL
from tests.unit.ant_cases import generator, quiet

SHAPE = (9, 11)
EVERYWHERE = (0, 10, 0, 8)


def objects_of(food, walls=()):
    objects = np.where(food > 0, FOOD, 0).astype(np.int8)
    for x, y in walls:
        objects[y, x] = WALL
    return objects


def make_crawl(food, objects, is_nest, walkable=EVERYWHERE, seed=1):
    random = generator(seed)
    with quiet():
        crawl(food, objects, is_nest, walkable, np.zeros(food.size, dtype=np.int64), random)
    return random


def random_world(seed, density=0.3):
    """Food units that tell the patches apart, objects and nest."""
    rng = np.random.default_rng(seed)
    kind = rng.random(SHAPE)
    food = np.where(kind < density, 1 + np.arange(kind.size).reshape(SHAPE), 0)
    objects = objects_of(food)
    objects[(kind > 0.8) & (kind < 0.9)] = WALL
    return food, objects, kind >= 0.9


# Crawling


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 0.8),
    walkable=st.sampled_from([EVERYWHERE, (2, 8, 2, 6), (0, 10, 3, 3)]),
)
def test_crawling_food_moves_one_step_onto_free_walkable_ground_and_no_unit_is_lost(seed, density, walkable):
    food, objects, is_nest = random_world(seed, density)
    old_food, old_objects = food.copy(), objects.copy()
    make_crawl(food, objects, is_nest, walkable, seed)
    assert sorted(food[food > 0]) == sorted(old_food[old_food > 0])  # every patch as a whole
    np.testing.assert_array_equal(food > 0, objects == FOOD)
    np.testing.assert_array_equal(objects == WALL, old_objects == WALL)
    x_low, x_high, y_low, y_high = walkable
    for units in old_food[old_food > 0]:
        (old_row, old_column), (row, column) = np.argwhere(old_food == units)[0], np.argwhere(food == units)[0]
        assert max(abs(row - old_row), abs(column - old_column)) <= 1  # each patch at most once
        if (row, column) != (old_row, old_column):
            assert not is_nest[row, column]
            assert old_objects[row, column] != WALL
            assert x_low <= column <= x_high
            assert y_low <= row <= y_high


def test_crawling_follows_a_slow_second_implementation():
    """Row by row, each draws one of its eight neighbours, which are numbered row by row, too."""
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    mask = 2**64 - 1
    for seed in range(30):
        food, objects, is_nest = random_world(seed)
        expected = {(int(r), int(c)): int(food[r, c]) for r, c in np.argwhere(food)}
        state = seed
        for row, column in sorted(expected):
            state = (state + 0x9E3779B97F4A7C15) & mask
            bits = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
            bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
            dy, dx = steps[(bits ^ (bits >> 31)) % 8]
            place = (row + dy, column + dx)
            is_inside = 0 <= place[0] < SHAPE[0] and 0 <= place[1] < SHAPE[1]
            if is_inside and place not in expected and objects[place] != WALL and not is_nest[place]:
                expected[place] = expected.pop((row, column))
        random = make_crawl(food, objects, is_nest, seed=seed)
        assert {(int(r), int(c)): int(food[r, c]) for r, c in np.argwhere(food)} == expected
        assert int(random[0]) == state


def test_all_eight_directions_are_equally_frequent():
    random, counts = generator(7), Counter()
    sites = np.zeros(99, dtype=np.int64)
    for _ in range(4000):
        food = np.zeros(SHAPE, dtype=np.int64)
        food[4, 5] = 3
        objects = objects_of(food)
        with quiet():
            crawl(food, objects, np.zeros(SHAPE, dtype=np.bool_), EVERYWHERE, sites, random)
        counts[tuple(np.argwhere(food)[0])] += 1
    assert set(counts) == {(4 + a, 5 + b) for a in (-1, 0, 1) for b in (-1, 0, 1)} - {(4, 5)}
    # 500 expected each; chi-square with 7 degrees: 24.3 has p = 0.001.
    assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 24.3


def test_food_that_is_walled_in_stays():
    food = np.zeros(SHAPE, dtype=np.int64)
    food[4, 5] = 3
    walls = [(5 + a, 4 + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    for seed in range(50):
        make_crawl(food, objects_of(food, walls), np.zeros(SHAPE, dtype=np.bool_), seed=seed)
        assert food[4, 5] == 3


# Growing and rotting


def make_grow(food, objects, capacity, sites, random):
    with quiet():
        return grow(food, objects, capacity, np.array(sites, dtype=np.int64), random)


def make_rot(food, objects, random):
    with quiet():
        return rot(food, objects, random)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), capacity=st.integers(0, 5), n_sites=st.integers(0, 20))
def test_growth_adds_one_unit_to_a_site_that_is_not_full_and_tells_so(seed, capacity, n_sites):
    rng = np.random.default_rng(seed)
    sites = rng.choice(99, size=n_sites, replace=False)
    food = np.zeros(SHAPE, dtype=np.int64)
    food.flat[sites] = rng.integers(0, 6, n_sites)
    objects, random = objects_of(food), generator(seed)
    for _ in range(30):
        before = food.copy()
        n_grown = make_grow(food, objects, capacity, sites, random)
        assert food.sum() == before.sum() + n_grown
        np.testing.assert_array_equal(food > 0, objects == FOOD)
        changed = np.flatnonzero(food.ravel() != before.ravel())
        assert len(changed) == n_grown <= 1
        assert set(changed) <= set(sites)
        assert (food <= np.maximum(before, capacity)).all()


def test_growth_fills_all_sites_and_then_stops():
    food, sites, random = np.zeros(SHAPE, dtype=np.int64), [3, 17, 50], generator(4)
    objects = objects_of(food)
    assert sum(make_grow(food, objects, 2, sites, random) for _ in range(200)) == 6
    assert food.ravel()[sites].tolist() == [2, 2, 2]
    assert food.sum() == 6


def test_all_sites_grow_equally_often():
    food, random = np.zeros(SHAPE, dtype=np.int64), generator(5)
    objects, sites = objects_of(food), list(range(0, 80, 8))
    for _ in range(3000):
        make_grow(food, objects, 10**6, sites, random)
    # 300 expected each; chi-square with 9 degrees: 27.9 has p = 0.001.
    assert ((food.ravel()[sites] - 300) ** 2 / 300).sum() < 27.9


def test_rotting_takes_one_unit_at_a_time_until_none_is_left():
    food, objects, _ = random_world(3)
    food = np.minimum(food, 3)
    random = generator(6)
    for left in range(int(food.sum()) - 1, -1, -1):
        before = food.copy()
        assert make_rot(food, objects, random) == 1
        assert food.sum() == left
        assert (before - food).max() == 1
        np.testing.assert_array_equal(food > 0, objects == FOOD)
    assert make_rot(food, objects, random) == 0
    assert (objects == WALL).any()  # walls do not rot


def test_all_patches_of_food_rot_equally_often_whatever_lies_on_them():
    random, lost = generator(8), np.zeros(6)
    for _ in range(3000):
        food = np.zeros(SHAPE, dtype=np.int64)
        food.flat[[0, 12, 13, 40, 77, 98]] = before = np.array([1, 5, 1, 2, 9, 1])
        make_rot(food, objects_of(food), random)
        lost += before - food.ravel()[[0, 12, 13, 40, 77, 98]]
    # 500 expected each; chi-square with 5 degrees: 20.5 has p = 0.001.
    assert ((lost - 500) ** 2 / 500).sum() < 20.5


# In the world


SMALL = {"width": 30, "height": 24, "arena": (0, 29, 0, 23), "nest_x": (14, 14), "nest_y": (12, 12), "n_ants": 30}
PILES = {"piles": (), "n_random_piles": 3, "random_pile_distance": 4.0, "pile_radius": 2.0, "n_scattered": 0}
WORLDS = [
    SMALL | PILES | {"crawl_period": 2},
    SMALL | PILES | {"growth_period": 3, "rot_period": 4, "food_surplus": 2},
    SMALL | PILES | {"growth_period": 1, "rot_period": 0},
    SMALL | PILES | {"crawl_period": 1, "growth_period": 2, "rot_period": 1, "obstacles": ((20, 20, 3, 18),)},
    SMALL | PILES | {"crawl_period": 1, "growth_period": 1, "maze": (4, 3)},
]


@pytest.mark.parametrize("world", WORLDS, ids=[str({k: w[k] for k in w if "period" in k}) for w in WORLDS])
def test_food_is_kept_account_of_and_the_periods_are_kept(world):
    config = make_config(**world)
    constants, rng = tick_constants(config), np.random.default_rng(9)
    for seed in range(3):
        state = initial_state(config, np.random.default_rng(seed))
        with quiet():
            begin_tick(state, constants)
            for tick in range(80):
                before = state.food.copy()
                step_state(state, rng.integers(0, (3, 2, 1), size=(30, 3)) | [0, 1, 0], constants)
                counts = dict(zip(COUNTS, state.counts.tolist(), strict=True))
                is_pending = (state.nest_mark > state.food_mark) & (state.food_mark > 0)
                here = state.food.sum() + state.is_carrying.sum() + is_pending.sum()
                placed = counts["food_placed"] + counts["food_grown"]
                assert here + counts["food"] + counts["food_rotted"] == placed
                assert state.food.min() >= 0
                np.testing.assert_array_equal(state.food > 0, state.objects == FOOD)
                for name, period in (("food_grown", config.growth_period), ("food_rotted", config.rot_period)):
                    assert counts[name] <= ((tick + 1) // period if period else 0)
                if config.growth_period == 0 and config.crawl_period and (tick + 1) % config.crawl_period:
                    assert (state.food <= before).all()  # food lies still between its steps
        assert counts["pick_ups"] > 0
        assert (counts["food_grown"] > 0) == (config.growth_period > 0)
        assert (counts["food_rotted"] > 0) == (config.rot_period > 0)


def test_a_world_whose_food_changes_does_not_end_when_nothing_is_left():
    for name, is_over in (("growth_period", False), ("rot_period", False), ("crawl_period", True)):
        config = make_config(**SMALL, **PILES, food_per_patch=0, **{name: 10**6})
        state = initial_state(config, np.random.default_rng(0))
        with quiet():
            assert step_state(state, np.zeros((30, 3), dtype=np.int64), tick_constants(config)) == is_over
        assert (state.counts[COUNTS.index("finish_tick")] == 0) == is_over


def test_crawling_food_spreads_like_a_random_walk():
    """Variance 3/4 per axis and step: two of eight directions leave a coordinate unchanged."""
    config = make_config("published_test", piles=((80, 45),), pile_radius=1.0, n_scattered=0, crawl_period=1, n_ants=1)
    ends = []
    for seed in range(300):
        state = initial_state(config, np.random.default_rng(seed))
        for _ in range(9):
            walkable = (62, 98, 3, 58)
            with quiet():
                crawl(state.food, state.objects, state.is_nest, walkable, state.sites, state.random)
        ends.append(np.argwhere(state.food)[0] - (45, 80))
    assert np.abs(np.mean(ends, axis=0)).max() < 4 * math.sqrt(6.75 / 300)
    np.testing.assert_allclose(np.var(ends, axis=0), 6.75, rtol=0.35)
