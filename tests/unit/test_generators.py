"""The initial world against the published layout."""

import math

import numpy as np
import pytest

from envs.generators import initial_state
from envs.types import COUNTS, FOOD, WALL, ForagingConfig, make_config

PUBLISHED = ForagingConfig()
# Columns and rows of the three 5 x 5 piles, from the published heat maps: offsets to the arena corner (60, 1).
PILES = [
    (range(63, 68), range(51, 56)),
    (range(63, 68), range(4, 9)),
    (range(94, 99), range(28, 33)),
]


def make_state(seed=0, **settings):
    return initial_state(ForagingConfig(**settings), np.random.default_rng(seed))


def patches(grid):
    """The set of (x, y) where `grid` is not 0."""
    return {(int(x), int(y)) for y, x in np.argwhere(grid)}


def is_wall(x, y):
    return (x in (60, 100) and 1 <= y <= 60) or (y in (1, 60) and 60 <= x <= 100)


WALLS = {(x, y) for x in range(101) for y in range(61) if is_wall(x, y)}
IN_PILES = {(x, y) for columns, rows in PILES for x in columns for y in rows}


def in_ring(x, y, low=10.0, high=18.0):
    return low**2 < (x - 82) ** 2 + (y - 30) ** 2 < high**2


def test_the_walls_are_the_border_of_the_published_arena():
    state = make_state()
    assert state.objects.shape == (61, 101)
    assert patches(state.objects == WALL) == WALLS
    assert len(WALLS) == 2 * 41 + 2 * 58


@pytest.mark.parametrize(("preset", "units", "total"), [("published_test", 2, 152), ("published_training", 1, 77)])
def test_a_preset_has_three_full_piles_and_its_published_total(preset, units, total):
    config = make_config(preset)
    for seed in range(5):
        state = initial_state(config, np.random.default_rng(seed))
        for columns, rows in PILES:
            pile = state.food[rows.start : rows.stop, columns.start : columns.stop]
            np.testing.assert_array_equal(pile, np.full((5, 5), units))
        assert state.food.sum() == config.total_food == total


@pytest.mark.parametrize("settings", [{}, {"n_scattered": 300}, {"n_scattered": 700, "scatter_range": (10.0, 60.0)}])
def test_scattered_units_lie_alone_in_the_ring_and_never_on_a_pile_or_wall(settings):
    for seed in range(40):
        state = make_state(seed, **settings)
        scattered = patches(state.food) - IN_PILES
        assert len(scattered) == settings.get("n_scattered", 2)
        assert all(state.food[y, x] == 1 for x, y in scattered)
        assert all(in_ring(x, y, *settings.get("scatter_range", (10.0, 18.0))) for x, y in scattered)
        assert not scattered & WALLS


def test_a_full_ring_holds_one_unit_on_each_free_patch_and_one_more_is_refused():
    ring = {(x, y) for x in range(60, 101) for y in range(1, 61) if in_ring(x, y)} - IN_PILES - WALLS
    inside_the_ring = {"nest_x": (82, 82), "nest_y": (30, 30)}
    state = make_state(n_scattered=len(ring), **inside_the_ring)
    assert patches(state.food) == ring | IN_PILES
    with pytest.raises(ValueError, match=rf"n_scattered={len(ring) + 1} .* must be <= {len(ring)}, the free patches"):
        make_state(n_scattered=len(ring) + 1, **inside_the_ring)


def test_a_possible_nest_centre_in_the_ring_is_kept_free():
    ring = {(x, y) for x in range(60, 101) for y in range(1, 61) if in_ring(x, y)} - IN_PILES - WALLS
    on_the_ring = {"nest_x": (70, 70), "nest_y": (30, 30)}
    assert (70, 30) in ring
    state = make_state(n_scattered=len(ring) - 1, **on_the_ring)
    assert patches(state.food) == ring - {(70, 30)} | IN_PILES
    with pytest.raises(ValueError, match=rf"must be <= {len(ring) - 1},"):
        make_state(n_scattered=len(ring), **on_the_ring)


def test_objects_mark_exactly_the_patches_with_food():
    for settings in ({}, {"food_per_patch": 0}, {"food_per_patch": 0, "n_scattered": 0}):
        state = make_state(**settings)
        assert patches(state.objects == FOOD) == patches(state.food)
    assert not state.food.any()


def test_the_ants_start_at_a_nest_centre_drawn_from_the_whole_published_range():
    columns, rows = set(), set()
    for seed in range(400):
        state = make_state(seed)
        assert len(set(state.x)) == len(set(state.y)) == 1
        columns.add(state.x[0])
        rows.add(state.y[0])
    assert columns == set(range(72, 86))
    assert rows == set(range(18, 36))


def test_headings_are_whole_degrees_and_cover_the_circle():
    headings = np.concatenate([make_state(seed, n_ants=100).heading for seed in range(50)])
    assert set(headings) == set(range(360))


@pytest.mark.parametrize("n_scattered", [0, 2, 600])
def test_the_nest_is_25_patches_around_its_centre_minus_those_with_food(n_scattered):
    n_food_in_nest = 0
    for seed in range(30):
        state = make_state(seed, n_scattered=n_scattered)
        x, y = int(state.x[0]), int(state.y[0])
        square = {(x + dx, y + dy) for dx in range(-2, 3) for dy in range(-2, 3)}
        food = patches(state.food)
        assert patches(state.is_nest) == square - food
        n_food_in_nest += len(square & food)
    assert (n_food_in_nest > 0) == (n_scattered > 2)


def test_the_nest_scent_falls_by_1_per_patch_and_is_0_on_walls_and_food():
    for seed in range(5):
        state = make_state(seed)
        silent = WALLS | patches(state.food)
        for x in range(101):
            for y in range(61):
                distance = math.sqrt((x - state.x[0]) ** 2 + (y - state.y[0]) ** 2)
                expected = 0.0 if (x, y) in silent else 200.0 - distance
                assert state.nest_scent[y, x] == pytest.approx(expected, abs=1e-9)


def test_an_episode_begins_without_pheromone_loads_marks_or_counts():
    state = make_state(n_ants=4)
    for name in ("pheromone", "is_carrying", "food_mark", "nest_mark"):
        assert not getattr(state, name).any()
    assert dict(zip(COUNTS, state.counts.tolist(), strict=True)) == dict.fromkeys(COUNTS, 0) | {"finish_tick": -1}
    assert state.order.tolist() == [0, 1, 2, 3]


def test_equal_seeds_make_equal_worlds_and_other_seeds_others():
    for one, other in zip(make_state(3), make_state(3), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    drawn = ("x", "y", "heading", "food", "random")
    one, other = make_state(3), make_state(4)
    assert [name for name in drawn if np.array_equal(getattr(one, name), getattr(other, name))] == []


def test_a_world_depends_on_its_generator_alone():
    expected = make_state(3)
    make_state(4)
    np.testing.assert_array_equal(make_state(3, n_ants=15).food, expected.food)
    rng = np.random.default_rng(3)
    initial_state(PUBLISHED, rng)
    assert not np.array_equal(initial_state(PUBLISHED, rng).heading, expected.heading)  # the next episode differs


def test_no_food_lies_under_the_ants_at_the_start():
    assert [seed for seed in (1579, 2976, 3238) if (s := make_state(seed)).food[int(s.y[0]), int(s.x[0])]] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"piles": ()},
        {"pile_radius": 1.0},
        {"pile_radius": 3.5, "food_per_patch": 3, "n_scattered": 0},
        {"pile_radius": 0.0},
        {"piles": ((70, 20),), "nest_x": (80, 80)},
        {"piles": ((62, 3),)},
        {"piles": ((80, 40), (81, 40))},
    ],
)
def test_the_total_is_the_food_on_the_ground(settings):
    config = ForagingConfig(**settings)
    assert initial_state(config, np.random.default_rng(0)).food.sum() == config.total_food


@pytest.mark.parametrize("pile", [(80, 25), (81, 25), (82, 26), (78, 24)])
def test_a_pile_that_can_cover_the_nest_centre_is_refused(pile):
    with pytest.raises(ValueError, match=r"must be away from all nest centres, x in \(80, 80\) and y in \(25, 25\)"):
        ForagingConfig(nest_x=(80, 80), nest_y=(25, 25), piles=(pile,))
    ForagingConfig(nest_x=(80, 80), nest_y=(25, 25), piles=((83, 25),))
