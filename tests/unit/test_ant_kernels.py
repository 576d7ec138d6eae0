"""The senses and the touch of the ants on hand-placed situations. Headings are compass degrees, grids are [y, x]."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.ants import compare_ahead, direction_of, patch_of, places_ahead, see, touch
from envs.config import ForagingConfig, tick_constants
from envs.dynamics import begin_tick
from envs.generators import initial_state
from envs.types import (
    FOOD,
    FOOD_AHEAD,
    N_EVENTS,
    N_PICK_UPS,
    N_SENSORS,
    N_WALL_CONTACTS,
    NOCICEPTIVE,
    ON_NEST,
    REPELLENT_LEFT,
    REWARD,
    SMELL_LEFT,
    WALL,
    WALL_AHEAD,
)
from tests.unit.ant_cases import COMPASS, NO_EVENTS, STALE, body_world, counted, open_config, put_food, quiet


def stale_obs(n_ants):
    return np.full((n_ants, N_SENSORS), STALE, dtype=np.int8)


# Patches


@pytest.mark.parametrize(
    ("coordinate", "patch"),
    [(0.0, 0), (0.49, 0), (0.5, 1), (1.49, 1), (1.5, 2), (2.5, 3), (-0.5, 0), (-0.51, -1), (-1.5, -1)],
)
def test_a_coordinate_belongs_to_the_nearest_patch_and_halves_go_up(coordinate, patch):
    assert patch_of(coordinate) == patch


@settings(deadline=None)
@given(eighths=st.integers(-10_000, 10_000))
def test_the_patch_of_a_coordinate_is_an_integer_division(eighths):
    assert patch_of(eighths / 8) == (eighths + 4) // 8


# Eyes


def grid(**objects):
    """A 41 x 41 world without walls; wall=[(x, y)], food=[(x, y)] are placed."""
    world = np.zeros((41, 41), dtype=np.int8)
    for kind, patches in objects.items():
        for x, y in patches:
            world[y, x] = {"wall": WALL, "food": FOOD}[kind]
    return world


def seen(world, heading, x=20.0, y=20.0):
    """What the one ant sees: "wall", "food" or None."""
    obs = stale_obs(1)
    see(0, x, y, direction_of(float(heading)), world, 0.5, 11, obs)
    assert set(np.delete(obs[0], [WALL_AHEAD, FOOD_AHEAD])) == {STALE}, "other sensors were written"
    return {(0, 0): None, (1, 0): "wall", (0, 1): "food"}[obs[0, WALL_AHEAD], obs[0, FOOD_AHEAD]]


def test_an_ant_in_empty_land_sees_nothing():
    assert [seen(grid(), heading) for heading in range(0, 360, 15)] == [None] * 24


@pytest.mark.parametrize("kind", ["wall", "food"])
@pytest.mark.parametrize("direction", COMPASS)
def test_an_object_is_seen_along_the_heading_and_from_no_other_compass_direction(direction, kind):
    dx, dy = COMPASS[direction]
    world = grid(**{kind: [(20 + 3 * dx, 20 + 3 * dy)]})
    assert {heading: seen(world, heading) for heading in COMPASS} == {
        heading: kind if heading == direction else None for heading in COMPASS
    }


@pytest.mark.parametrize(
    ("heading", "last_seen", "start", "start_too_far"),
    [
        # The last point of the ray is 5.5 patches away: from 20 it is 25.5, in patch 26, or 14.5, in patch 15.
        (0, (20, 26), (20.0, 20.0), (20.0, 19.99)),
        (90, (26, 20), (20.0, 20.0), (19.99, 20.0)),
        (180, (20, 15), (20.0, 20.99), (20.0, 21.0)),
        (270, (15, 20), (20.99, 20.0), (21.0, 20.0)),
    ],
)
def test_the_view_ends_5_and_a_half_patches_ahead(heading, last_seen, start, start_too_far):
    world = grid(food=[last_seen])
    assert seen(world, heading, *start) == "food"
    assert seen(world, heading, *start_too_far) is None


@pytest.mark.parametrize("direction", COMPASS)
def test_the_first_object_hides_what_lies_behind_it(direction):
    dx, dy = COMPASS[direction]
    near, far = (20 + 2 * dx, 20 + 2 * dy), (20 + 3 * dx, 20 + 3 * dy)
    assert seen(grid(food=[near], wall=[far]), direction) == "food"
    assert seen(grid(food=[far], wall=[near]), direction) == "wall"
    assert seen(grid(wall=[far]), direction) == "wall"


@pytest.mark.parametrize(("heading", "x", "y"), [(0, 20, 40), (90, 40, 20), (180, 20, 0), (270, 0, 20)])
def test_the_edge_of_the_world_is_seen_as_a_wall(heading, x, y):
    world = np.full((41, 41), FOOD, dtype=np.int8)  # read with a wrapped index, food would be seen
    world[y, x] = 0
    assert seen(world, heading, float(x), float(y)) == "wall"
    assert seen(grid(), heading, float(x), float(y)) == "wall"


@pytest.mark.parametrize(
    ("heading", "last_seen", "too_far"),
    [(0, (20.0, 35.0), (20.0, 34.99)), (90, (35.0, 20.0), (34.99, 20.0)), (180, (20.0, 4.99), (20.0, 5.0))],
)
def test_the_edge_of_the_world_is_seen_from_5_and_a_half_patches(heading, last_seen, too_far):
    assert seen(grid(), heading, *last_seen) == "wall"  # the world ends at -0.5 and 40.5
    assert seen(grid(), heading, *too_far) is None


def test_what_many_ants_see_equals_a_numpy_implementation():
    rng = np.random.default_rng(11)
    world = rng.choice([0, WALL, FOOD], p=[0.94, 0.03, 0.03], size=(30, 40)).astype(np.int8)
    n_ants = 500
    x, y, heading = rng.uniform(-0.4, 39.4, n_ants), rng.uniform(-0.4, 29.4, n_ants), rng.uniform(0, 360, n_ants)
    obs = stale_obs(n_ants)
    for ant in range(n_ants):
        see(ant, x[ant], y[ant], direction_of(heading[ant]), world, 0.5, 11, obs)

    reach = np.arange(1, 12) * 0.5
    columns = np.rint(x[:, None] + np.outer(np.sin(np.radians(heading)), reach)).astype(int)
    rows = np.rint(y[:, None] + np.outer(np.cos(np.radians(heading)), reach)).astype(int)
    padded = np.pad(world, 10, constant_values=WALL)  # what lies outside counts as a wall
    on_ray = padded[rows + 10, columns + 10]
    first = on_ray[np.arange(n_ants), (on_ray != 0).argmax(axis=1)]  # 0 where the ray is empty
    assert set(first) == {0, WALL, FOOD}
    np.testing.assert_array_equal(obs[:, WALL_AHEAD], first == WALL)
    np.testing.assert_array_equal(obs[:, FOOD_AHEAD], first == FOOD)


def test_nest_pheromone_and_other_ants_are_invisible():
    config = ForagingConfig(n_ants=2, food_per_patch=0, n_scattered=0)
    state = initial_state(config, np.random.default_rng(0))
    nest_x, nest_y = state.x[0], state.y[0]
    state.y[0] -= 4.0  # ant 0 looks at the nest, at ant 1 in it and at a trail
    state.heading[:] = 0.0
    state.pheromone[:] = 60.0
    with quiet():
        begin_tick(state, tick_constants(config))
    assert state.is_nest[int(nest_y), int(nest_x)]
    assert state.obs[0, [WALL_AHEAD, FOOD_AHEAD, ON_NEST]].tolist() == [0, 0, 0]
    assert state.obs[1, ON_NEST] == 1


# Smell: the three patches that are compared

# From (20, 20): (x, y) of the left, middle and right patch, on paper.
COMPARED = {
    0: ((19, 22), (20, 22), (21, 22)),
    45: ((21, 22), (21, 21), (22, 21)),
    90: ((22, 21), (22, 20), (22, 19)),
    180: ((21, 18), (20, 18), (19, 18)),
    270: ((18, 19), (18, 20), (18, 21)),
}


def smelled(field, heading, x=20.0, y=20.0):
    """The side that is strongest, as the one ant senses it: "left", "middle" or "right"."""
    obs = stale_obs(1)
    places = places_ahead(x, y, float(heading), direction_of(float(heading)))
    compare_ahead(0, places, field, SMELL_LEFT, obs)
    triple = obs[0, SMELL_LEFT : SMELL_LEFT + 3]
    assert sorted(triple) == [0, 0, 1], "not exactly one side"
    assert set(np.delete(obs[0], [SMELL_LEFT, SMELL_LEFT + 1, SMELL_LEFT + 2])) == {STALE}, "other sensors were written"
    return ("left", "middle", "right")[int(triple.argmax())]


@pytest.mark.parametrize("heading", COMPARED)
def test_the_patches_compared_lie_one_ahead_and_one_further_at_45_degrees(heading):
    for side, (column, row) in zip(("left", "middle", "right"), COMPARED[heading], strict=True):
        field = np.zeros((41, 41))
        for x, y in COMPARED[heading]:
            field[y, x] = 1.0
        field[row, column] = 2.0
        assert smelled(field, heading) == side


@pytest.mark.parametrize("heading", COMPARED)
def test_no_other_patch_matters(heading):
    field = np.random.default_rng(1).uniform(10.0, 20.0, (41, 41))
    for (x, y), value in zip(COMPARED[heading], (0.0, 0.0, 1.0), strict=True):
        field[y, x] = value
    assert smelled(field, heading) == "right"


@pytest.mark.parametrize(
    ("values", "winner"),
    [
        ((0, 0, 0), "middle"),
        ((5, 5, 5), "middle"),
        ((1, 0, 0), "left"),
        ((0, 1, 0), "middle"),
        ((0, 0, 1), "right"),
        ((1, 1, 0), "middle"),
        ((0, 1, 1), "middle"),
        ((3, 1, 3), "middle"),  # equal sides: the ant stays between them, even if the middle smells least
        ((3, 2, 1), "left"),
        ((1, 2, 3), "right"),
        ((3, 1, 2), "left"),
        ((2, 1, 3), "right"),
        ((1, 2, 1), "middle"),
        ((np.nextafter(1, 2), 1, 1), "left"),  # no threshold
        ((1, 1, np.nextafter(1, 2)), "right"),
        ((1e-90, 0, 0), "left"),
    ],
)
def test_a_side_wins_only_if_it_is_strictly_strongest(values, winner):
    field = np.zeros((41, 41))
    for (x, y), value in zip(COMPARED[0], values, strict=True):
        field[y, x] = value
    assert smelled(field, 0) == winner


@pytest.mark.parametrize(
    ("heading", "x", "y", "winner"),
    [
        (0, 0, 20, "left"),  # left patch (-1, 22)
        (0, 40, 20, "right"),  # right patch (41, 22)
        (180, 40, 20, "left"),
        (180, 0, 20, "right"),
        (90, 20, 40, "left"),  # left patch (22, 41)
        (90, 20, 0, "right"),  # right patch (22, -1)
        (0, 20, 39, "middle"),  # all three are outside
        (180, 20, 1, "middle"),
        (90, 39, 20, "middle"),
        (270, 1, 20, "middle"),
    ],
)
def test_patches_outside_the_world_read_0(heading, x, y, winner):
    # In a world of -1 the patches outside are the strongest; a wrapped index would read -1.
    assert smelled(np.full((41, 41), -1.0), heading, float(x), float(y)) == winner


def test_the_repellent_is_compared_by_the_same_rule_in_columns_of_its_own():
    state = body_world([(4, 3)], open_config(has_repellent=True))
    state.repellent[5, 3] = 1.0
    state.pheromone[5, 5] = 1.0
    with quiet():
        begin_tick(state, tick_constants(open_config(has_repellent=True)))
    assert state.obs[0, SMELL_LEFT : SMELL_LEFT + 3].tolist() == [0, 0, 1]
    assert state.obs[0, REPELLENT_LEFT : REPELLENT_LEFT + 3].tolist() == [1, 0, 0]


@settings(deadline=None, max_examples=60)
@given(
    x=st.integers(-4, 164).map(lambda k: k / 4 + 0.01),
    y=st.integers(-4, 124).map(lambda k: k / 4 + 0.01),
    heading=st.integers(0, 359),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_comparison_equals_a_complex_number_implementation(x, y, heading, seed):
    field = np.random.default_rng(seed).integers(0, 3, (31, 41)).astype(float)
    values = {}
    for side, angle in (("left", -45), ("middle", 0), ("right", 45)):
        forward = 1j * np.exp(-1j * np.radians(heading))  # +y is 1j, clockwise is a negative angle
        point = x + 1j * y + forward * (1 + np.exp(-1j * np.radians(angle)))
        column, row = math.floor(point.real + 0.5), math.floor(point.imag + 0.5)
        values[side] = field[row, column] if 0 <= row < 31 and 0 <= column < 41 else 0.0
    strongest = [side for side, value in values.items() if value == max(values.values())]
    assert smelled(field, heading, x, y) == (strongest[0] if len(strongest) == 1 else "middle")


# Touch


def feel(world, tick=9, order=None):
    order = np.arange(world.x.size) if order is None else np.array(order, dtype=np.int64)
    touch(
        world.x,
        world.y,
        order,
        tick,
        world.food,
        world.objects,
        world.is_nest,
        world.is_carrying,
        world.food_mark,
        world.nest_mark,
        world.events,
        world.obs,
    )
    assert set(np.delete(world.obs, [NOCICEPTIVE, REWARD, ON_NEST], axis=1).ravel()) == {STALE}


def contact(world, ant=0):
    return {name: int(world.obs[ant, k]) for name, k in (("pain", NOCICEPTIVE), ("reward", REWARD), ("nest", ON_NEST))}


def test_an_ant_on_bare_ground_feels_nothing():
    world = body_world([(4, 3)])
    feel(world)
    assert contact(world) == {"pain": 0, "reward": 0, "nest": 0}
    assert counted(world) == NO_EVENTS
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (0, 0, False)


def test_a_free_ant_on_food_takes_one_unit_and_remembers_the_tick():
    world = body_world([(4.5, 3.49)])  # belongs to patch (5, 3)
    put_food(world, 5, 3, 2)
    feel(world, tick=31)
    assert contact(world) == {"pain": 0, "reward": 1, "nest": 0}
    assert world.food[3, 5] == 1
    assert world.objects[3, 5] == FOOD
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (31, 0, True)
    assert counted(world) == NO_EVENTS | {"pick_ups": 1}


def test_a_loaded_ant_leaves_food_alone():
    world = body_world([(4, 3)], is_carrying=True, food_mark=5)
    put_food(world, 4, 3, 2)
    feel(world)
    assert contact(world)["reward"] == 0
    assert world.food[3, 4] == 2
    assert (world.food_mark[0], world.is_carrying[0]) == (5, True)
    assert counted(world) == NO_EVENTS


def test_the_reward_is_felt_in_the_tick_of_the_pick_up_only():
    world = body_world([(4, 3)])
    put_food(world, 4, 3, 2)
    rewards = []
    for tick in (9, 10, 11):
        feel(world, tick)
        rewards.append(contact(world)["reward"])
    assert rewards == [1, 0, 0]
    assert world.food_mark[0] == 9


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_first_ant_in_order_gets_the_last_unit_and_the_patch_is_no_food_any_more(order):
    world = body_world([(4, 3)] * 3)
    put_food(world, 4, 3, 1)
    feel(world, order=order)
    assert world.food[3, 4] == 0
    assert world.objects[3, 4] == 0
    assert np.flatnonzero(world.is_carrying).tolist() == [order[0]]
    assert np.flatnonzero(world.obs[:, REWARD]).tolist() == [order[0]]
    assert counted(world) == NO_EVENTS | {"pick_ups": 1}


@pytest.mark.parametrize("is_loaded", [True, False])
def test_an_ant_on_the_nest_drops_its_food_and_remembers_the_tick(is_loaded):
    world = body_world([(4, 3)], is_carrying=is_loaded, food_mark=5 * is_loaded)
    world.is_nest[3, 4] = True
    feel(world, tick=12)
    assert contact(world) == {"pain": 0, "reward": 0, "nest": 1}
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (5 * is_loaded, 12, False)
    assert counted(world) == NO_EVENTS  # a return is credited when the ants act
    assert world.food.sum() == 0


def test_on_a_nest_patch_no_food_is_taken():
    world = body_world([(4, 3)])
    world.is_nest[3, 4] = True
    put_food(world, 4, 3, 2)
    feel(world)
    assert contact(world) == {"pain": 0, "reward": 0, "nest": 1}
    assert (world.food[3, 4], world.is_carrying[0]) == (2, False)


def test_a_wall_hurts_the_ants_on_it():
    world = body_world([(4, 3), (5, 3), (4, 3)])
    world.objects[3, 4] = WALL
    feel(world)
    assert world.obs[:, NOCICEPTIVE].tolist() == [1, 0, 1]
    assert counted(world) == NO_EVENTS | {"wall_contacts": 2}
    assert world.events[:, N_WALL_CONTACTS].tolist() == [1, 0, 1]


def test_pick_ups_and_wall_contacts_are_counted_for_each_ant_and_add_up_over_ticks():
    world = body_world([(4, 3), (5, 3), (6, 3)])
    world.objects[3, 5] = WALL
    for tick in range(3):
        put_food(world, 6, 3, 1)
        world.is_carrying[:] = False
        feel(world, tick=tick + 1)
    expected = np.zeros((3, N_EVENTS), dtype=int)
    expected[1, N_WALL_CONTACTS] = expected[2, N_PICK_UPS] = 3
    np.testing.assert_array_equal(world.events, expected)
