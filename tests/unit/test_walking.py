"""What ants do: turn, walk, deposit, be credited, and where they end among walls."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs import make_config
from envs.ants import act, clamp, walk
from envs.config import tick_constants
from envs.dynamics import begin_tick, step_state
from envs.generators import initial_state
from envs.types import EVENTS, FOOD, LEFT, RIGHT, STRAIGHT, WALL
from tests.unit.ant_cases import COMPASS, NO_EVENTS, body_world, counted, open_config, quiet


def perform(world, actions, tick=0, dtype=np.int64, **settings):
    """Let the ants of a world act; `settings` of their bodies."""
    act(world, np.array(actions, dtype=dtype), tick_constants(open_config(n_ants=len(world.x), **settings)), tick)


def test_an_ant_turns_then_moves_then_deposits():
    world = body_world([(4, 3.45)])
    perform(world, [(RIGHT, 1, 1)])
    radians = 6 * math.pi / 180
    assert world.heading[0] == 6.0
    assert world.x[0] == pytest.approx(4 + math.sin(radians), abs=1e-12)  # moved along the new heading
    assert world.y[0] == pytest.approx(3.45 + math.cos(radians), abs=1e-12)
    assert np.argwhere(world.pheromone).tolist() == [[4, 4]]  # [y, x] after the move
    assert world.pheromone[4, 4] == 60.0
    assert counted(world) == NO_EVENTS | {"turns": 1, "moves": 1, "deposits": 1}


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
    assert counted(world) == NO_EVENTS | {"turns": int(turn != STRAIGHT), "moves": move, "deposits": deposit}


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
    assert counted(world) == NO_EVENTS | {"turns": 2, "moves": 1, "deposits": 2}


def test_a_switched_off_deposit_neither_adds_nor_counts():
    world = body_world([(4, 3)])
    perform(world, [(LEFT, 1, 1)], has_pheromone_deposit=False)
    assert not world.pheromone.any()
    assert counted(world) == NO_EVENTS | {"turns": 1, "moves": 1}


@pytest.mark.parametrize(("heading", "x", "y"), [(0, 4, 9), (180, 4, 0), (90, 11, 3), (270, 0, 3)])
def test_a_deposit_outside_the_world_is_lost_and_counted(heading, x, y):
    world = body_world([(x, y)])
    world.heading[:] = heading
    perform(world, [(STRAIGHT, 1, 1)])
    assert not world.pheromone.any()
    assert counted(world) == NO_EVENTS | {"moves": 1, "deposits": 1}


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
    assert counted(world) == NO_EVENTS | {"food": int(is_credited)}
    marks = (world.food_mark[0], world.nest_mark[0])
    assert marks == ((0, 0) if is_credited else (food_mark, nest_mark))
    perform(world, [(STRAIGHT, 0, 0)])
    assert counted(world) == NO_EVENTS | {"food": int(is_credited)}


def test_the_events_of_each_ant_are_its_own():
    world = body_world([(4, 3), (4, 3), (8, 6)], food_mark=[2, 0, 0], nest_mark=[5, 0, 0])
    perform(world, [(STRAIGHT, 0, 1), (LEFT, 1, 1), (RIGHT, 1, 0)])
    events = [dict(zip(EVENTS, row, strict=True)) for row in world.events.tolist()]
    assert events == [
        NO_EVENTS | {"food": 1, "deposits": 1},
        NO_EVENTS | {"turns": 1, "moves": 1, "deposits": 1},
        NO_EVENTS | {"turns": 1, "moves": 1},
    ]


@pytest.mark.parametrize(("parts", "n_deposits"), [((0, 0), 0), ((1, 0), 1), ((0, 1), 1), ((1, 1), 2)])
def test_each_pheromone_goes_into_its_own_field_and_every_deposit_counts(parts, n_deposits):
    settings = {"has_repellent": True, "deposit": 60.0, "repellent_deposit": 7.0}
    world = body_world([(4, 3)], open_config(**settings))
    perform(world, [(STRAIGHT, 0, *parts)], **settings)
    assert (world.pheromone[3, 4], world.repellent[3, 4]) == (60.0 * parts[0], 7.0 * parts[1])
    assert (world.pheromone.sum(), world.repellent.sum()) == (60.0 * parts[0], 7.0 * parts[1])
    assert counted(world) == NO_EVENTS | {"deposits": n_deposits}


def test_ants_do_nothing_and_cost_nothing_before_their_departure():
    settings = {"departure_interval": 3, "speed": 0.1}
    world = body_world([(4, 3)] * 4, open_config(n_ants=4, **settings))
    for tick in range(11):
        world.x[:] = 4.0
        perform(world, [(RIGHT, 1, 1)] * 4, tick=tick, **settings)
        n_acts = np.array([max(0, tick - 3 * ant + 1) for ant in range(4)])
        for name in ("moves", "turns", "deposits"):
            np.testing.assert_array_equal(world.events[:, EVENTS.index(name)], n_acts)
        np.testing.assert_array_equal(world.heading, 6.0 * n_acts)
        np.testing.assert_array_equal(world.y == 3.0, n_acts == 0)
        assert world.pheromone.sum() == 60.0 * n_acts.sum()


# Continuous actions


def test_whole_values_of_continuous_actions_give_bit_for_bit_what_the_discrete_codes_give():
    config = make_config("two_pheromones", n_ants=6)
    other = make_config("two_pheromones", n_ants=6, action="continuous")
    worlds = [initial_state(config, np.random.default_rng(4)) for _ in range(2)]
    rng = np.random.default_rng(5)
    with quiet():
        for world in worlds:
            begin_tick(world, tick_constants(config))
        for _ in range(15):
            codes = rng.integers(0, (3, 2, 2, 2), size=(6, 4))
            values = codes.astype(float)
            values[:, 0] = np.array([0.0, -1.0, 1.0])[codes[:, 0]]
            step_state(worlds[0], codes, tick_constants(config))
            step_state(worlds[1], values, tick_constants(other))
    assert worlds[0].repellent.sum() * worlds[0].pheromone.sum() > 0
    for name, one, two in zip(worlds[0]._fields, *worlds, strict=True):
        assert one.tobytes() == two.tobytes(), name


@settings(deadline=None, max_examples=60)
@given(turn=st.floats(-1, 1), move=st.floats(0, 1), deposit=st.floats(0, 1), heading=st.integers(0, 359))
def test_fractions_scale_turn_speed_and_deposit_and_count_as_whole_events(turn, move, deposit, heading):
    bodies = {"action": "continuous", "speed": 2.0, "turn_deg": 20.0, "deposit": 8.0}
    world = body_world([(5, 4)], open_config(**bodies), heading=heading)
    perform(world, [(turn, move, deposit)], dtype=float, **bodies)
    new = math.radians(heading + 20.0 * turn)
    assert math.sin(math.radians(world.heading[0])) == pytest.approx(math.sin(new), abs=1e-12)
    assert math.cos(math.radians(world.heading[0])) == pytest.approx(math.cos(new), abs=1e-12)
    place = (5 + 2.0 * move * math.sin(new), 4 + 2.0 * move * math.cos(new))
    assert (world.x[0], world.y[0]) == pytest.approx(place, abs=1e-11)
    assert world.pheromone.sum() == 8.0 * deposit
    assert counted(world) == NO_EVENTS | {"turns": int(turn != 0), "moves": int(move > 0), "deposits": int(deposit > 0)}


# Walls


def made_walk(objects, x, y, heading, speed=1.0, config=None):
    """Where a step of length `speed` from (x, y) ends."""
    height, width = objects.shape
    config = config or open_config(width=width, height=height, nest_x=(1, 1), nest_y=(1, 1), speed=speed)
    radians = math.radians(heading)
    return walk(x, y, speed * math.sin(radians), speed * math.cos(radians), objects, tick_constants(config))


def patch(x, y):
    return int(np.floor(y + 0.5)), int(np.floor(x + 0.5))


def connected(is_free, start):
    """Free patches reached by king's moves, by a plain search."""
    found, front = {start}, [start]
    while front:
        row, column = front.pop()
        for near in [(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
            is_inside = 0 <= near[0] < is_free.shape[0] and 0 <= near[1] < is_free.shape[1]
            if is_inside and is_free[near] and near not in found:
                found.add(near)
                front.append(near)
    return found


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0.0, 0.7),
    heading=st.floats(0, 360),
    speed=st.floats(0.05, 5.0),
    margin=st.integers(0, 2),
)
def test_a_walk_ends_on_free_ground_inside_the_walkable_area_and_jumps_over_no_wall(
    seed, density, heading, speed, margin
):
    rng = np.random.default_rng(seed)
    config = open_config(n_ants=1, speed=speed, wall_margin=margin, nest_x=(4, 4), nest_y=(4, 4))
    x_low, x_high, y_low, y_high = config.walkable
    x, y = rng.uniform(x_low, x_high), rng.uniform(y_low, y_high)
    objects = rng.choice([0, WALL, FOOD], p=[0.9 - density, density, 0.1], size=(10, 12)).astype(np.int8)
    objects[patch(x, y)] = 0
    end_x, end_y = made_walk(objects, x, y, heading, speed, config)
    assert x_low <= end_x <= x_high
    assert y_low <= end_y <= y_high
    assert objects[patch(end_x, end_y)] != WALL
    assert patch(end_x, end_y) in connected(objects != WALL, patch(x, y))
    # Never backwards, never further than the step in x or in y.
    for moved, step in ((end_x - x, math.sin(math.radians(heading))), (end_y - y, math.cos(math.radians(heading)))):
        assert -1e-9 <= moved * np.sign(step) <= speed * abs(step) + 1e-9


@settings(deadline=None, max_examples=60)
@given(x=st.floats(5, 6), y=st.floats(4, 5), heading=st.floats(0, 360), speed=st.floats(0, 4))
def test_on_free_ground_a_walk_is_a_plain_addition(x, y, heading, speed):
    radians = math.radians(heading)
    objects = np.where(np.random.default_rng(0).random((10, 12)) < 0.5, FOOD, 0).astype(np.int8)  # food stops nobody
    expected = (x + speed * math.sin(radians), y + speed * math.cos(radians))
    assert made_walk(objects, x, y, heading, speed) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("is_upright", [True, False])
@pytest.mark.parametrize("speed", [0.3, 1.0, 2.0, 3.7, 5.0])
@pytest.mark.parametrize("angle", [20, 45, 70, 90, 110, 160])
def test_a_wall_of_one_patch_is_not_jumped_over_and_ants_slide_along_it(angle, speed, is_upright):
    objects = np.zeros((41, 41), dtype=np.int8)
    objects[:, 20] = WALL
    along, across = speed * math.cos(math.radians(angle)), speed * math.sin(math.radians(angle))
    for x in np.arange(17.0, 19.5, 0.1):
        if is_upright:
            end_x, end_y = made_walk(objects, x, 20.0, angle, speed)
        else:  # the same with x and y exchanged
            end_y, end_x = made_walk(objects.T.copy(), 20.0, x, 90 - angle, speed)
        assert end_y == pytest.approx(20.0 + along, abs=1e-12)  # as far along the wall as without it
        if x + across < 19.5 - 1e-9:
            assert end_x == pytest.approx(x + across, abs=1e-12)
        else:
            assert 19.5 - across / math.ceil(2 * speed) - 1e-9 <= end_x < 19.5


def test_at_a_free_standing_corner_an_ant_goes_on_along_x():
    objects = np.zeros((10, 12), dtype=np.int8)
    objects[5, 6] = WALL
    assert made_walk(objects, 5.4, 4.4, 45, 0.5) == pytest.approx((5.4 + 0.5**1.5, 4.4), abs=1e-12)


def test_an_ant_in_a_corner_stays_there():
    objects = np.zeros((10, 12), dtype=np.int8)
    objects[5, :] = objects[:, 6] = WALL
    assert made_walk(objects, 5.4, 4.4, 45, 0.5) == (5.4, 4.4)
    assert made_walk(objects, 5.4, 4.4, 225, 0.5) == pytest.approx((5.4 - 0.5**1.5, 4.4 - 0.5**1.5), abs=1e-12)


@pytest.mark.parametrize("policy", ["random", "into the walls"])
@pytest.mark.parametrize("speed", [1.0, 5.0])
@pytest.mark.parametrize(
    "settings", [{"preset": "obstacles"}, {"preset": "maze"}, {"preset": "maze", "maze": (10, 14)}]
)
def test_no_ant_is_ever_in_a_wall_among_obstacles_and_in_mazes(settings, speed, policy):
    config = make_config(n_ants=40, speed=speed, has_pheromone_deposit=False, **settings)
    constants, rng = tick_constants(config), np.random.default_rng(6)
    x_low, x_high, y_low, y_high = config.walkable
    for seed in range(3):
        state = initial_state(config, np.random.default_rng(seed))
        n_slides = 0
        for tick in range(60):
            actions = rng.integers(0, (3, 2, 1), size=(40, 3))
            if policy == "into the walls":
                actions[:] = (STRAIGHT, 1, 0)
                state.heading[rng.integers(40, size=2)] = rng.uniform(0, 360, 2)
            x, y = state.x.copy(), state.y.copy()
            act(state, actions, constants, tick)
            rows, columns = np.floor(state.y + 0.5).astype(int), np.floor(state.x + 0.5).astype(int)
            assert (state.objects[rows, columns] != WALL).all()
            assert ((x_low <= state.x) & (state.x <= x_high) & (y_low <= state.y) & (state.y <= y_high)).all()
            n_slides += (np.hypot(state.x - x, state.y - y) < speed * actions[:, 1] - 1e-9).sum()
        assert n_slides > 0  # else no wall was met


# Clamp


def test_ants_outside_the_rectangle_are_set_on_its_edge_and_others_stay():
    x, y = np.array([1.9, 8.1, 4.0, 5.5, 2.0, -9.0]), np.array([5.0, 5.5, 2.9, 7.2, 7.0, 99.0])
    clamp(x, y, 2.0, 8.0, 3.0, 7.0)
    assert x.tolist() == [2.0, 8.0, 4.0, 5.5, 2.0, 2.0]
    assert y.tolist() == [5.0, 5.5, 3.0, 7.0, 7.0, 7.0]
