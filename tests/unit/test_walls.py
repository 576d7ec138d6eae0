"""Border, obstacles, mazes and what can be reached, against plain searches over patches."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import ForagingConfig
from envs.generators import initial_state
from envs.presets import make_config
from envs.types import FOOD, WALL
from envs.walls import (
    MIN_CORRIDOR,
    _connected,
    blocked_pile,
    cut_off_food,
    disc,
    fixed_walls,
    ground,
    maze_walls,
    pile_candidates,
    ring_patches,
)

OBSTACLES = make_config("obstacles")


def flood(is_free, start):
    """Patches (row, column) that steps up, down, left and right reach, by a plain search."""
    found, front = {start}, [start]
    while front:
        row, column = front.pop()
        for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            is_inside = 0 <= near[0] < is_free.shape[0] and 0 <= near[1] < is_free.shape[1]
            if is_inside and is_free[near] and near not in found:
                found.add(near)
                front.append(near)
    return found


def as_set(grid):
    return {(int(row), int(column)) for row, column in np.argwhere(grid)}


# Fixed walls and ground


@pytest.mark.parametrize(("radius", "n"), [(0.0, 0), (0.5, 1), (1.0, 1), (1.5, 9), (2.0, 9), (3.0, 25), (5.0, 69)])
def test_a_disc_has_the_patches_closer_than_its_radius(radius, n):
    offsets = {(dx, dy) for dx in range(-9, 10) for dy in range(-9, 10) if dx**2 + dy**2 < radius**2}
    assert set(disc(radius)) == offsets
    assert len(disc(radius)) == n


def test_fixed_walls_are_the_border_and_the_obstacles():
    is_wall = fixed_walls(OBSTACLES)
    for y in range(61):
        for x in range(101):
            is_border = 60 <= x <= 100 and 1 <= y <= 60 and (x in (60, 100) or y in (1, 60))
            in_obstacle = any(a <= x <= b and c <= y <= d for a, b, c, d in OBSTACLES.obstacles)
            assert is_wall[y, x] == (is_border or in_obstacle)


def test_without_a_border_only_obstacles_are_walls():
    config = make_config("open", obstacles=((3, 5, 20, 20),))
    assert as_set(fixed_walls(config)) == {(20, 3), (20, 4), (20, 5)}
    assert not fixed_walls(make_config("open")).any()


@pytest.mark.parametrize("make", [fixed_walls, ground, pile_candidates])
def test_what_is_remembered_for_a_config_cannot_be_written(make):
    grid = make(OBSTACLES)
    with pytest.raises(ValueError, match="read-only"):
        grid[0, 0] = True
    assert make(dataclasses.replace(OBSTACLES)) is grid


@settings(deadline=None, max_examples=100)
@given(
    n_rows=st.integers(1, 12),
    n_columns=st.integers(1, 12),
    density=st.floats(0, 0.7),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_connected_equals_a_plain_search(n_rows, n_columns, density, seed):
    rng = np.random.default_rng(seed)
    is_free = rng.random((n_rows, n_columns)) >= density
    start = int(rng.integers(n_rows)), int(rng.integers(n_columns))
    is_free[start] = True
    before = is_free.copy()
    assert as_set(_connected(is_free, start)) == flood(is_free, start)
    np.testing.assert_array_equal(is_free, before)


def test_ground_is_where_ants_can_walk():
    inside = {(y, x) for x in range(62, 99) for y in range(3, 59)}
    assert as_set(ground(ForagingConfig())) == inside
    assert ground(make_config("open")).all()


def test_with_obstacles_ground_is_what_ants_reach():
    # Two walls that meet in a corner cut off the lower left of the arena.
    config = make_config("obstacles", obstacles=((60, 66, 12, 12), (66, 66, 1, 12)), piles=((96, 30),))
    is_free = np.zeros((61, 101), dtype=bool)
    is_free[3:59, 62:99] = True  # two patches inside the edge
    is_free &= ~fixed_walls(config)
    reached = flood(is_free, (18, 72))
    assert as_set(ground(config)) == reached
    assert (5, 63) not in reached
    assert is_free[5, 63]


# Food that cannot be reached


def test_a_pile_on_an_obstacle_is_refused_and_named():
    with pytest.raises(ValueError, match=r"piles=.* must be off the obstacles, but \(65, 6\) is on one"):
        make_config("obstacles", obstacles=((64, 66, 6, 6),))
    assert blocked_pile(OBSTACLES) is None


RING = ((69, 88, 15, 15), (69, 88, 38, 38), (69, 69, 15, 38), (88, 88, 15, 38))  # round all nest centres


def test_walls_that_close_the_nest_in_are_refused():
    with pytest.raises(ValueError, match=r"obstacles=.* must be walls that leave a way from every nest to all food"):
        make_config("obstacles", obstacles=RING)
    with pytest.raises(ValueError, match=r"n_scattered=2 .* must be <= 0, the free patches"):
        ForagingConfig(obstacles=RING, piles=(), scatter_range=(25.0, 60.0))
    with pytest.raises(ValueError, match=r"random_pile_distance=12.0 .* must be so small that a pile"):
        make_config("random_piles", obstacles=RING)


@pytest.mark.parametrize("gap", range(16, 38))
def test_a_gap_of_one_patch_in_such_a_ring_is_enough(gap):
    left = ((69, 69, 15, gap - 1), (69, 69, gap + 1, 38))
    config = make_config("obstacles", obstacles=(*RING[:2], RING[3], *left))
    assert cut_off_food(config) is None


@settings(deadline=None, max_examples=80)
@given(
    obstacles=st.lists(
        st.tuples(st.integers(61, 99), st.integers(0, 25), st.integers(2, 59), st.integers(0, 25)),
        min_size=1,
        max_size=5,
    )
)
def test_a_config_is_refused_exactly_if_a_plain_search_does_not_reach_its_food(obstacles):
    boxes = tuple((x, min(x + dx, 99), y, min(y + dy, 59)) for x, dx, y, dy in obstacles)
    is_free = np.zeros((61, 101), dtype=bool)
    is_free[3:59, 62:99] = True
    for left, right, low, high in boxes:
        is_free[low : high + 1, left : right + 1] = False
    is_nest_blocked = not is_free[18:36, 72:86].all()
    reached = flood(is_free, (18, 72))
    piles = [(65, 53), (65, 6), (96, 30)]
    is_pile_blocked = not all(is_free[y, x] for x, y in piles)
    food = {(y + dy, x + dx) for x, y in piles for dx in range(-2, 3) for dy in range(-2, 3)}
    is_cut_off = any(is_free[patch] and patch not in reached for patch in food)
    if not (is_nest_blocked or is_pile_blocked or is_cut_off):
        ForagingConfig(obstacles=boxes, n_scattered=0)
        return
    expected = "nest centres" if is_nest_blocked else "is on one" if is_pile_blocked else "there is none to"
    with pytest.raises(ValueError, match=expected):
        ForagingConfig(obstacles=boxes, n_scattered=0)


# Places of food


def test_the_ring_has_the_arena_without_walls_at_its_distances():
    config = make_config("obstacles", scatter_range=(5.0, 30.0))
    is_wall = fixed_walls(config)
    expected = {
        (y, x)
        for y in range(1, 61)
        for x in range(60, 101)
        if 25 < (x - 82) ** 2 + (y - 30) ** 2 < 900 and not is_wall[y, x]
    }
    assert as_set(ring_patches(config)) == expected


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("preset", ["published_test", "obstacles", "open", "random_piles"])
def test_a_pile_may_lie_where_all_its_patches_are_walkable_ground(preset, radius):
    config = make_config(preset, pile_radius=radius)
    x_low, x_high, y_low, y_high = config.walkable
    is_free = ground(config)
    expected = set()
    for y in range(y_low, y_high + 1):
        for x in range(x_low, x_high + 1):
            pile = [(x, y), *((x + dx, y + dy) for dx, dy in disc(radius))]
            if all(x_low <= a <= x_high and y_low <= b <= y_high and is_free[b, a] for a, b in pile):
                expected.add((y, x))
    assert as_set(pile_candidates(config)) == expected
    assert expected


# Mazes


def lines(low, high, n):
    """Columns or rows on which the walls of a maze lie, border included."""
    return [round(low + k * (high - low) / n) for k in range(n + 1)]


def cells_and_openings(config, is_wall):
    """Graph of a maze: (column, row) of its cells, and the pairs of cells between which no wall stands."""
    x_min, x_max, y_min, y_max = config.arena
    n_columns, n_rows = config.maze
    xs, ys = lines(x_min, x_max, n_columns), lines(y_min, y_max, n_rows)
    openings = []
    for c in range(n_columns):
        for r in range(n_rows):
            assert not is_wall[ys[r] + 1 : ys[r + 1], xs[c] + 1 : xs[c + 1]].any()  # cells are empty
            if c + 1 < n_columns:
                side = is_wall[ys[r] + 1 : ys[r + 1], xs[c + 1]]
                assert side.all() or not side.any()
                openings += [((c, r), (c + 1, r))] * (not side.any())
            if r + 1 < n_rows:
                side = is_wall[ys[r + 1], xs[c] + 1 : xs[c + 1]]
                assert side.all() or not side.any()
                openings += [((c, r), (c, r + 1))] * (not side.any())
    return [(c, r) for c in range(n_columns) for r in range(n_rows)], openings


SHAPES = [(1, 1), (1, 6), (5, 1), (2, 2), (4, 6), (7, 9), (10, 14)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_maze_has_exactly_one_way_between_any_two_cells(shape):
    config = make_config("maze", maze=shape)
    for seed in range(20):
        cells, openings = cells_and_openings(config, maze_walls(config, np.random.default_rng(seed)))
        assert len(openings) == len(cells) - 1  # with connectedness: a spanning tree
        groups = {cell: {cell} for cell in cells}
        for one, other in openings:
            joined = groups[one] | groups[other]
            for cell in joined:
                groups[cell] = joined
        assert len(groups[cells[0]]) == len(cells)


@settings(deadline=None, max_examples=60)
@given(width=st.integers(8, 70), height=st.integers(8, 70), seed=st.integers(0, 1000), data=st.data())
def test_corridors_are_wide_enough_in_any_arena_that_is_accepted(width, height, seed, data):
    most = ((width - 1) // (MIN_CORRIDOR + 1), (height - 1) // (MIN_CORRIDOR + 1))
    shape = (data.draw(st.integers(1, most[0])), data.draw(st.integers(1, most[1])))
    config = ForagingConfig(
        width=width,
        height=height,
        arena=(0, width - 1, 0, height - 1),
        wall_margin=1,
        nest_x=(3, 3),
        nest_y=(3, 3),
        piles=(),
        n_scattered=0,
        maze=shape,
    )
    xs, ys = lines(0, width - 1, shape[0]), lines(0, height - 1, shape[1])
    assert min(np.diff(xs).min(), np.diff(ys).min()) > MIN_CORRIDOR
    cells, openings = cells_and_openings(config, maze_walls(config, np.random.default_rng(seed)))
    assert len(openings) == len(cells) - 1
    with pytest.raises(ValueError, match="so that corridors have 3 patches"):
        dataclasses.replace(config, maze=(most[0] + 1, shape[1]))


def test_mazes_differ_from_seed_to_seed_and_every_inner_wall_can_be_open():
    config = make_config("maze", maze=(3, 3))
    mazes = [frozenset(cells_and_openings(config, maze_walls(config, np.random.default_rng(s)))[1]) for s in range(100)]
    assert len(set(mazes)) > 50  # of 192 spanning trees
    assert len(set().union(*mazes)) == 12


def walkable_ground(config, state):
    x_low, x_high, y_low, y_high = config.walkable
    is_free = np.zeros(state.objects.shape, dtype=bool)
    is_free[y_low : y_high + 1, x_low : x_high + 1] = True
    return is_free & (state.objects != WALL)


MAZES = [
    {},
    {"maze": (10, 14)},
    {"maze": (10, 14), "pile_radius": 1.0, "nest_radius": 0.5},
    {"maze": (10, 14), "piles": (), "n_random_piles": 6, "pile_radius": 1.5},
    {
        "maze": (7, 3),
        "nest_x": (62, 98),
        "nest_y": (5, 58),
        "piles": ((80, 3),),
        "pile_radius": 0.5,
    },
    {"maze": (10, 14), "wall_margin": 1},
    {"maze": (10, 14), "wall_margin": 3},
    {"maze": (4, 6), "wall_margin": 5},
]


@pytest.mark.parametrize("settings", MAZES, ids=str)
def test_in_every_maze_all_walkable_ground_with_nest_and_food_is_one_piece(settings):
    config = make_config("maze", **settings)
    for seed in range(25):
        state = initial_state(config, np.random.default_rng(seed))
        is_free = walkable_ground(config, state)
        nest = int(state.nest[1]), int(state.nest[0])
        assert is_free[nest]
        assert flood(is_free, nest) == as_set(is_free)
        assert state.food.sum() == config.total_food
        assert (state.objects[state.food > 0] == FOOD).all()  # none under a wall


@pytest.mark.parametrize(("maze", "margin"), [((10, 14), 4), ((10, 14), 5), ((10, 14), 6), ((4, 6), 12)])
def test_a_maze_whose_outer_corridors_no_ant_can_walk_is_refused(maze, margin):
    """The walkable area would fall apart: cells whose only way leads through the outermost corridor."""
    with pytest.raises(ValueError, match=r"ForagingConfig\.(maze|wall_margin)="):
        make_config("maze", maze=maze, wall_margin=margin)


def test_the_clearings_round_nest_and_piles_are_free_of_walls():
    config = make_config("maze", maze=(10, 14))
    for seed in range(20):
        state = initial_state(config, np.random.default_rng(seed))
        nest = (int(state.nest[0]), int(state.nest[1]))
        for x, y in [nest, *config.piles]:
            for dx, dy in disc(3.0):
                assert state.objects[y + dy, x + dx] != WALL
        assert (state.objects == WALL).sum() > fixed_walls(config).sum() + 100


def test_a_maze_is_drawn_anew_for_every_episode_and_equal_for_equal_seeds():
    config = make_config("maze")
    first, again, other = (initial_state(config, np.random.default_rng(seed)).objects for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).sum() > math.sqrt(first.size)
