"""The ant bodies on hand-placed situations. Headings are compass degrees, grids are indexed [y, x]."""

import math
from collections import Counter
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.ants import act, clamp, compare_ahead, patch_of, see, shuffle, touch
from envs.dynamics import begin_tick
from envs.generators import initial_state
from envs.types import (
    COUNTS,
    FOOD,
    FOOD_AHEAD,
    LEFT,
    N_SENSORS,
    NOCICEPTIVE,
    ON_NEST,
    REWARD,
    RIGHT,
    SMELL_LEFT,
    STRAIGHT,
    WALL,
    WALL_AHEAD,
    ForagingConfig,
    tick_constants,
)

# Unit steps (dx, dy) on the grid towards 0, 45, … degrees: 0 is +y, clockwise.
COMPASS = {0: (0, 1), 45: (1, 1), 90: (1, 0), 135: (1, -1), 180: (0, -1), 225: (-1, -1), 270: (-1, 0), 315: (-1, 1)}
NO_COUNTS = dict.fromkeys(COUNTS, 0)


def stale_obs(n_ants):
    """An observation no kernel would write, to see what is overwritten."""
    return np.full((n_ants, N_SENSORS), 7, dtype=np.int8)


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
    see(np.array([x]), np.array([y]), np.array([float(heading)]), world, 0.5, 11, obs)
    assert set(np.delete(obs[0], [WALL_AHEAD, FOOD_AHEAD])) == {7}, "other sensors were written"
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
def test_a_ray_that_leaves_the_world_sees_nothing(heading, x, y):
    world = np.full((41, 41), WALL, dtype=np.int8)  # read with a wrapped index, the far side would be seen
    world[y, x] = 0
    assert seen(world, heading, float(x), float(y)) is None


def test_what_many_ants_see_equals_a_numpy_implementation():
    rng = np.random.default_rng(11)
    world = rng.choice([0, WALL, FOOD], p=[0.94, 0.03, 0.03], size=(30, 40)).astype(np.int8)
    n_ants = 500
    x, y, heading = rng.uniform(-0.4, 39.4, n_ants), rng.uniform(-0.4, 29.4, n_ants), rng.uniform(0, 360, n_ants)
    obs = stale_obs(n_ants)
    see(x, y, heading, world, 0.5, 11, obs)

    reach = np.arange(1, 12) * 0.5
    columns = np.rint(x[:, None] + np.outer(np.sin(np.radians(heading)), reach)).astype(int)
    rows = np.rint(y[:, None] + np.outer(np.cos(np.radians(heading)), reach)).astype(int)
    padded = np.pad(world, 10)  # free ground around the world
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
    with np.errstate(over="ignore"):  # uncompiled, the shuffle wraps with a warning
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
    compare_ahead(np.array([x]), np.array([y]), np.array([float(heading)]), field, SMELL_LEFT, obs)
    triple = obs[0, SMELL_LEFT : SMELL_LEFT + 3]
    assert sorted(triple) == [0, 0, 1], "not exactly one side"
    assert set(np.delete(obs[0], [SMELL_LEFT, SMELL_LEFT + 1, SMELL_LEFT + 2])) == {7}, "other sensors were written"
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


# Shuffle

GAMMA, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def splitmix64(state):
    """SplitMix64 on Python's integers: the next state and output."""
    state = (state + GAMMA) & MASK
    bits = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return state, bits ^ (bits >> 31)


def shuffled(n, random):
    order = np.arange(n, dtype=np.int64)
    with np.errstate(over="ignore"):  # uncompiled, the 64-bit products wrap with a warning
        shuffle(order, random)
    return order.tolist()


def generator(state):
    return np.array([state], dtype=np.uint64)


def test_the_python_splitmix64_gives_the_known_first_numbers_of_seed_1234567():
    state, outputs = 1234567, []
    for _ in range(3):
        state, bits = splitmix64(state)
        outputs.append(bits)
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 40), state=st.integers(0, MASK))
def test_a_shuffle_equals_fisher_yates_with_the_python_splitmix64(n, state):
    expected, expected_state = list(range(n)), state
    for i in range(n - 1, 0, -1):
        expected_state, bits = splitmix64(expected_state)
        j = bits % (i + 1)
        expected[i], expected[j] = expected[j], expected[i]
    random = generator(state)
    assert shuffled(n, random) == expected
    assert int(random[0]) == expected_state


@settings(deadline=None, max_examples=40)
@given(order=st.permutations(range(12)), state=st.integers(0, MASK))
def test_a_shuffle_of_any_order_is_a_permutation(order, state):
    array = np.array(order, dtype=np.int64)
    with np.errstate(over="ignore"):
        shuffle(array, generator(state))
    assert sorted(array.tolist()) == list(range(12))


def test_all_orders_of_three_ants_are_equally_frequent():
    random = generator(2024)
    counts = Counter(tuple(shuffled(3, random)) for _ in range(6000))
    assert set(counts) == set(permutations(range(3)))
    # 1,000 expected each, standard deviation 29; the sum of squares is chi-square with 5 degrees: 20.5 has p = 0.001.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 20.5


def test_the_state_advances_by_one_increment_per_drawn_number():
    random = generator(5)
    first = shuffled(15, random)
    assert int(random[0]) == (5 + 14 * GAMMA) & MASK
    assert shuffled(15, random) != first


def test_two_colonies_with_equal_state_shuffle_equally():
    one, other = generator(77), generator(77)
    assert [shuffled(15, one) for _ in range(5)] == [shuffled(15, other) for _ in range(5)]
    assert shuffled(15, generator(78)) != shuffled(15, generator(77))


# Touch


def body_world(positions, **settings):
    """Ants at (x, y) in a 12 x 10 world without objects; `settings` replace any array."""
    n_ants = len(positions)
    world = SimpleNamespace(
        x=np.array([float(x) for x, _ in positions]),
        y=np.array([float(y) for _, y in positions]),
        heading=np.zeros(n_ants),
        food=np.zeros((10, 12), dtype=np.int64),
        objects=np.zeros((10, 12), dtype=np.int8),
        is_nest=np.zeros((10, 12), dtype=np.bool_),
        is_carrying=np.zeros(n_ants, dtype=np.bool_),
        food_mark=np.zeros(n_ants, dtype=np.int64),
        nest_mark=np.zeros(n_ants, dtype=np.int64),
        pheromone=np.zeros((10, 12)),
        counts=np.zeros(len(COUNTS), dtype=np.int64),
        obs=stale_obs(n_ants),
    )
    for name, values in settings.items():
        getattr(world, name)[:] = values
    return world


def put_food(world, x, y, units):
    world.food[y, x] = units
    world.objects[y, x] = FOOD


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
        world.counts,
        world.obs,
    )
    assert set(np.delete(world.obs, [NOCICEPTIVE, REWARD, ON_NEST], axis=1).ravel()) == {7}


def contact(world, ant=0):
    return {name: int(world.obs[ant, k]) for name, k in (("pain", NOCICEPTIVE), ("reward", REWARD), ("nest", ON_NEST))}


def counted(world):
    return dict(zip(COUNTS, world.counts.tolist(), strict=True))


def test_an_ant_on_bare_ground_feels_nothing():
    world = body_world([(4, 3)])
    feel(world)
    assert contact(world) == {"pain": 0, "reward": 0, "nest": 0}
    assert counted(world) == NO_COUNTS
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (0, 0, False)


def test_a_free_ant_on_food_takes_one_unit_and_remembers_the_tick():
    world = body_world([(4.5, 3.49)])  # belongs to patch (5, 3)
    put_food(world, 5, 3, 2)
    feel(world, tick=31)
    assert contact(world) == {"pain": 0, "reward": 1, "nest": 0}
    assert world.food[3, 5] == 1
    assert world.objects[3, 5] == FOOD
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (31, 0, True)
    assert counted(world) == NO_COUNTS | {"pick_ups": 1}


def test_a_loaded_ant_leaves_food_alone():
    world = body_world([(4, 3)], is_carrying=True, food_mark=5)
    put_food(world, 4, 3, 2)
    feel(world)
    assert contact(world)["reward"] == 0
    assert world.food[3, 4] == 2
    assert (world.food_mark[0], world.is_carrying[0]) == (5, True)
    assert counted(world) == NO_COUNTS


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
    assert counted(world) == NO_COUNTS | {"pick_ups": 1}


@pytest.mark.parametrize("is_loaded", [True, False])
def test_an_ant_on_the_nest_drops_its_food_and_remembers_the_tick(is_loaded):
    world = body_world([(4, 3)], is_carrying=is_loaded, food_mark=5 * is_loaded)
    world.is_nest[3, 4] = True
    feel(world, tick=12)
    assert contact(world) == {"pain": 0, "reward": 0, "nest": 1}
    assert (world.food_mark[0], world.nest_mark[0], world.is_carrying[0]) == (5 * is_loaded, 12, False)
    assert counted(world) == NO_COUNTS  # a return is credited when the ants act
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
    assert counted(world) == NO_COUNTS | {"wall_contacts": 2}


# Act


def perform(world, actions, speed=1.0, deposit=60.0, has_deposit=True):
    act(
        np.array(actions, dtype=np.int64),
        speed,
        6.0,
        deposit,
        has_deposit,
        world.x,
        world.y,
        world.heading,
        world.food_mark,
        world.nest_mark,
        world.pheromone,
        world.counts,
    )


def test_an_ant_turns_then_moves_then_deposits():
    world = body_world([(4, 3.45)])
    perform(world, [(RIGHT, 1, 1)])
    radians = 6 * math.pi / 180
    assert world.heading[0] == 6.0
    assert world.x[0] == pytest.approx(4 + math.sin(radians), abs=1e-12)  # moved along the new heading
    assert world.y[0] == pytest.approx(3.45 + math.cos(radians), abs=1e-12)
    assert np.argwhere(world.pheromone).tolist() == [[4, 4]]  # [y, x] after the move
    assert world.pheromone[4, 4] == 60.0
    assert counted(world) == NO_COUNTS | {"turns": 1, "moves": 1, "deposits": 1}


@pytest.mark.parametrize("turn", [STRAIGHT, LEFT, RIGHT])
@pytest.mark.parametrize("move", [0, 1])
@pytest.mark.parametrize("deposit", [0, 1])
def test_every_action_is_done_alone_and_counted(turn, move, deposit):
    world = body_world([(4, 3)])
    world.heading[:] = 90.0
    perform(world, [(turn, move, deposit)])
    assert world.heading[0] == {STRAIGHT: 90.0, LEFT: 84.0, RIGHT: 96.0}[turn]
    assert math.hypot(world.x[0] - 4, world.y[0] - 3) == pytest.approx(move, abs=1e-12)
    assert world.pheromone.sum() == 60.0 * deposit
    assert counted(world) == NO_COUNTS | {"turns": int(turn != STRAIGHT), "moves": move, "deposits": deposit}


@pytest.mark.parametrize(("heading", "turn", "new"), [(3, LEFT, 357), (357, RIGHT, 3), (0, LEFT, 354), (354, RIGHT, 0)])
def test_headings_wrap_at_north(heading, turn, new):
    world = body_world([(4, 3)])
    world.heading[:] = heading
    perform(world, [(turn, 0, 0)])
    assert world.heading[0] == new


@pytest.mark.parametrize("turn", [LEFT, RIGHT])
def test_sixty_turns_are_a_full_circle(turn):
    world = body_world([(4, 3)])
    world.heading[:] = 17.0
    headings = set()
    for _ in range(60):
        perform(world, [(turn, 0, 0)])
        headings.add(world.heading[0])
    assert headings == {17 % 6 + 6 * k for k in range(60)}
    assert world.heading[0] == 17.0


@pytest.mark.parametrize("direction", COMPASS)
def test_a_move_goes_one_speed_along_the_heading(direction):
    world = body_world([(5, 4)])
    world.heading[:] = direction
    perform(world, [(STRAIGHT, 1, 0)], speed=0.6)
    dx, dy = COMPASS[direction]
    step = 0.6 / math.hypot(dx, dy)
    assert (world.x[0], world.y[0]) == pytest.approx((5 + dx * step, 4 + dy * step), abs=1e-12)


def test_ants_act_independently_and_deposits_on_one_patch_add_up():
    world = body_world([(4, 3), (4, 3), (8, 6)])
    perform(world, [(STRAIGHT, 0, 1), (LEFT, 0, 1), (RIGHT, 1, 0)], deposit=2.5)
    assert world.heading.tolist() == [0.0, 354.0, 6.0]
    assert np.argwhere(world.pheromone).tolist() == [[3, 4]]
    assert world.pheromone[3, 4] == 5.0
    assert counted(world) == NO_COUNTS | {"turns": 2, "moves": 1, "deposits": 2}


def test_a_switched_off_deposit_neither_adds_nor_counts():
    world = body_world([(4, 3)])
    perform(world, [(LEFT, 1, 1)], has_deposit=False)
    assert not world.pheromone.any()
    assert counted(world) == NO_COUNTS | {"turns": 1, "moves": 1}


@pytest.mark.parametrize(("heading", "x", "y"), [(0, 4, 9), (180, 4, 0), (90, 11, 3), (270, 0, 3)])
def test_a_deposit_outside_the_world_is_lost_and_counted(heading, x, y):
    world = body_world([(x, y)])
    world.heading[:] = heading
    perform(world, [(STRAIGHT, 1, 1)])
    assert not world.pheromone.any()
    assert counted(world) == NO_COUNTS | {"moves": 1, "deposits": 1}


@pytest.mark.parametrize(
    ("food_mark", "nest_mark", "is_credited"),
    [
        (3, 5, True),
        (1, 2, True),
        (5, 3, False),  # took food after its last visit
        (5, 5, False),
        (0, 5, False),  # nothing pending: 0 means none, so food of tick 0 is never credited
        (0, 0, False),
        (7, 0, False),
    ],
)
def test_a_return_is_credited_once_if_the_nest_came_after_the_food(food_mark, nest_mark, is_credited):
    world = body_world([(4, 3)], food_mark=food_mark, nest_mark=nest_mark)
    perform(world, [(STRAIGHT, 0, 0)])
    assert counted(world) == NO_COUNTS | {"food": int(is_credited)}
    marks = (world.food_mark[0], world.nest_mark[0])
    assert marks == ((0, 0) if is_credited else (food_mark, nest_mark))
    perform(world, [(STRAIGHT, 0, 0)])
    assert counted(world) == NO_COUNTS | {"food": int(is_credited)}


# Clamp


def test_ants_outside_the_rectangle_are_set_on_its_edge_and_others_stay():
    x, y = np.array([1.9, 8.1, 4.0, 5.5, 2.0, -9.0]), np.array([5.0, 5.5, 2.9, 7.2, 7.0, 99.0])
    clamp(x, y, 2.0, 8.0, 3.0, 7.0)
    assert x.tolist() == [2.0, 8.0, 4.0, 5.5, 2.0, 2.0]
    assert y.tolist() == [5.0, 5.5, 3.0, 7.0, 7.0, 7.0]
