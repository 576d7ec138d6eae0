"""Compiled kernels of the ant bodies: sense, touch and act.

All kernels loop over ants and write into their last array arguments. Positions are patches, headings degrees
(0 = +y, clockwise), grids ``[y, x]``. Rules: Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6, and its code.
"""

import math

from numba import njit

from envs.types import (
    DEPOSIT,
    DEPOSIT_REPELLENT,
    FOOD,
    FOOD_AHEAD,
    LEFT,
    MOVE,
    N_DEPOSITS,
    N_FOOD,
    N_MOVES,
    N_PICK_UPS,
    N_TURNS,
    N_WALL_CONTACTS,
    NEST_LEFT,
    NOCICEPTIVE,
    ON_NEST,
    REPELLENT_LEFT,
    REWARD,
    RIGHT,
    SMELL_LEFT,
    TURN,
    WALL,
    WALL_AHEAD,
)


@njit(cache=True, forceinline=True)
def patch_of(coordinate):
    """Index of the patch that holds a coordinate: the nearest integer, halves rounded up."""
    return math.floor(coordinate + 0.5)


@njit(cache=True, forceinline=True)
def direction_of(heading):
    """Step (to the east, to the north) of length 1 along a heading."""
    radians = math.radians(heading)
    return math.sin(radians), math.cos(radians)


@njit(cache=True, forceinline=True)
def first_object(x, y, direction, objects, ray_step, n_ray_points):
    """What a ray meets first, and at which of its points.

    Parameters
    ----------
    x, y : float, of one ant; direction : as `direction_of`
    objects : (height, width) int8, 0, WALL or FOOD; what lies outside counts as WALL
    ray_step, n_ray_points : float in patches, int; the ray is tested at ray_step, 2 ray_step, …

    Returns
    -------
    code : 0, WALL or FOOD; point : 1 … n_ray_points
    """
    height, width = objects.shape
    step_x, step_y = ray_step * direction[0], ray_step * direction[1]
    for k in range(1, n_ray_points + 1):
        column, row = patch_of(x + k * step_x), patch_of(y + k * step_y)
        if not (0 <= row < height and 0 <= column < width):
            return WALL, k
        if objects[row, column] != 0:
            return int(objects[row, column]), k
    return 0, n_ray_points


@njit(cache=True, forceinline=True)
def see(ant, x, y, direction, objects, ray_step, n_ray_points, obs):
    """Visual sensors of an ant: whether the first object on a ray ahead is a wall, or food.

    Parameters
    ----------
    ant : int, row of `obs`
    x, y, direction, objects, ray_step, n_ray_points : as `first_object`
    obs : (n_ants, n_sensors) int8, columns WALL_AHEAD and FOOD_AHEAD are written
    """
    seen, _ = first_object(x, y, direction, objects, ray_step, n_ray_points)
    obs[ant, WALL_AHEAD] = seen == WALL
    obs[ant, FOOD_AHEAD] = seen == FOOD


@njit(cache=True, forceinline=True)
def places_ahead(x, y, heading, direction):
    """The patches that an ant smells: one further at -45, 0 and +45 degrees from the point one ahead.

    Returns
    -------
    column, row of the left, the middle and the right patch, which may lie outside the world
    """
    ahead_x, ahead_y = x + direction[0], y + direction[1]
    left, right = direction_of(heading - 45.0), direction_of(heading + 45.0)
    return (
        patch_of(ahead_x + left[0]),
        patch_of(ahead_y + left[1]),
        patch_of(ahead_x + direction[0]),
        patch_of(ahead_y + direction[1]),
        patch_of(ahead_x + right[0]),
        patch_of(ahead_y + right[1]),
    )


@njit(cache=True, inline="always")  # as a call it would make the sensing a fifth slower
def read_ahead(places, field):
    """Left, middle and right content of a field, places as of `places_ahead`; 0 outside the world."""
    height, width = field.shape
    left_x, left_y, middle_x, middle_y, right_x, right_y = places
    left = float(field[left_y, left_x]) if 0 <= left_y < height and 0 <= left_x < width else 0.0
    middle = float(field[middle_y, middle_x]) if 0 <= middle_y < height and 0 <= middle_x < width else 0.0
    right = float(field[right_y, right_x]) if 0 <= right_y < height and 0 <= right_x < width else 0.0
    return left, middle, right


@njit(cache=True, forceinline=True)
def compare_ahead(ant, places, field, first_column, obs):
    """Three-way comparison of a field in front of an ant: exactly one of left, middle, right is set.

    A side wins only if it is strictly larger than both others, else the middle does (all 0 included).

    Parameters
    ----------
    ant : int, row of `obs`
    places : as `places_ahead`
    field : (height, width) float64 or float32
    first_column : int, column of "left" in `obs`; "middle" and "right" follow
    obs : (n_ants, n_sensors) int8
    """
    left, middle, right = read_ahead(places, field)
    is_right = right > middle and right > left
    is_left = not is_right and left > middle and left > right
    obs[ant, first_column] = is_left
    obs[ant, first_column + 1] = not (is_left or is_right)
    obs[ant, first_column + 2] = is_right


@njit(cache=True, forceinline=True)
def sense(state, constants, obs):
    """Binary sensors of all ants but for the contacts.

    Parameters
    ----------
    state : ForagingState; constants : TickConstants
    obs : (n_ants, n_sensors) int8
    """
    c = constants
    # Arrays are taken out of the state once: in the loop that would cost a reference count each time.
    x, y, heading, objects = state.x, state.y, state.heading, state.objects
    pheromone, repellent, nest_scent = state.pheromone, state.repellent, state.nest_scent
    for ant in range(x.shape[0]):
        direction = direction_of(heading[ant])
        see(ant, x[ant], y[ant], direction, objects, c.ray_step, c.n_ray_points, obs)
        places = places_ahead(x[ant], y[ant], heading[ant], direction)
        if c.has_pheromone_sense:
            compare_ahead(ant, places, pheromone, SMELL_LEFT, obs)
            if c.has_repellent:
                compare_ahead(ant, places, repellent, REPELLENT_LEFT, obs)
        compare_ahead(ant, places, nest_scent, NEST_LEFT, obs)


@njit(cache=True, forceinline=True)
def touch(x, y, order, tick, food, objects, is_nest, is_carrying, food_mark, nest_mark, events, obs):
    """Contact reflexes of every ant in the given order: wall pain, drop at the nest, pick up food.

    Parameters
    ----------
    order : (n_ants,) int64, a permutation: who comes first to a patch with a single unit
    tick : int, the tick that begins; marks remember it
    food, objects, is_nest : (height, width); food and objects change at a pick-up
    is_carrying, food_mark, nest_mark : (n_ants,), updated
    events : (n_ants, n_events) int64, wall contacts and pick-ups are added
    obs : (n_ants, n_sensors) int8, columns NOCICEPTIVE, REWARD and ON_NEST are written
    """
    for k in range(order.shape[0]):
        ant = order[k]
        row, column = patch_of(y[ant]), patch_of(x[ant])
        is_on_wall = objects[row, column] == WALL
        obs[ant, NOCICEPTIVE] = is_on_wall
        obs[ant, REWARD] = 0
        obs[ant, ON_NEST] = is_nest[row, column]
        if is_on_wall:
            events[ant, N_WALL_CONTACTS] += 1
        if is_nest[row, column]:
            is_carrying[ant] = False
            nest_mark[ant] = tick
        elif food[row, column] > 0 and not is_carrying[ant]:
            food[row, column] -= 1
            if food[row, column] == 0:
                objects[row, column] = 0
            is_carrying[ant] = True
            food_mark[ant] = tick
            events[ant, N_PICK_UPS] += 1
            obs[ant, REWARD] = 1


@njit(cache=True, forceinline=True)
def motor(actions, ant, part, is_continuous):
    """One part of the action of an ant as a number: turn -1 … 1 (left … right), others 0 … 1.

    Parameters
    ----------
    actions : (n_ants, n_action_parts) int64 codes, or float64 in [-1, 1] and [0, 1]
    """
    value = float(actions[ant, part])
    if part == TURN and not is_continuous:
        return 1.0 if value == RIGHT else (-1.0 if value == LEFT else 0.0)
    return value


@njit(cache=True, forceinline=True)
def act(state, actions, constants, tick):
    """Turn, then walk, then deposit; then credit the food that reached the nest.

    A return counts when the last nest contact is later than the last pick-up and a pick-up is pending
    (its mark is above 0; food taken at tick 0 would not count, which no ant can reach). Ants that have not departed
    yet do nothing.

    Parameters
    ----------
    state : ForagingState; bodies, events and pheromones are updated
    actions : as `motor`
    constants : TickConstants
    """
    c = constants
    # Arrays are taken out of the state once, as in `sense`.
    x, y, heading, events, objects = state.x, state.y, state.heading, state.events, state.objects
    pheromone, repellent, food_mark, nest_mark = state.pheromone, state.repellent, state.food_mark, state.nest_mark
    for ant in range(x.shape[0]):
        if ant * c.departure_interval > tick:
            continue
        turn = motor(actions, ant, TURN, c.is_continuous)
        if turn != 0.0:
            turned = (heading[ant] + turn * c.turn_deg) % 360.0
            heading[ant] = turned if turned < 360.0 else 0.0  # a tiny negative number modulo 360 is 360
            events[ant, N_TURNS] += 1
        move = motor(actions, ant, MOVE, c.is_continuous)
        if move > 0.0:
            direction = direction_of(heading[ant])
            step_x, step_y = move * c.speed * direction[0], move * c.speed * direction[1]
            if c.has_obstacles:
                x[ant], y[ant] = walk(x[ant], y[ant], step_x, step_y, objects, c)
            else:
                x[ant] += step_x
                y[ant] += step_y
            events[ant, N_MOVES] += 1
        if c.has_pheromone_deposit:
            amount = motor(actions, ant, DEPOSIT, c.is_continuous)
            events[ant, N_DEPOSITS] += put(pheromone, x[ant], y[ant], c.deposit, amount)
            if c.has_repellent:
                amount = motor(actions, ant, DEPOSIT_REPELLENT, c.is_continuous)
                events[ant, N_DEPOSITS] += put(repellent, x[ant], y[ant], c.repellent_deposit, amount)
        if nest_mark[ant] > food_mark[ant] > 0:
            events[ant, N_FOOD] += 1
            food_mark[ant] = 0
            nest_mark[ant] = 0


@njit(cache=True, forceinline=True)
def walk(x, y, step_x, step_y, objects, constants):
    """Where a move ends among walls: an ant slides along them, as it does along the edge of the walkable area.

    The move is made in pieces of at most half a patch. A piece that leads into a wall is reduced to its x part, else
    to its y part, else the move ends. Between two walls that touch at a corner only, an ant can slip through.

    Returns
    -------
    x, y : inside the walkable area, never in a wall
    """
    c = constants
    for _ in range(c.n_substeps):
        next_x = min(max(x + step_x / c.n_substeps, c.x_low), c.x_high)
        next_y = min(max(y + step_y / c.n_substeps, c.y_low), c.y_high)
        if objects[patch_of(next_y), patch_of(next_x)] != WALL:
            x, y = next_x, next_y
        elif objects[patch_of(y), patch_of(next_x)] != WALL:
            x = next_x
        elif objects[patch_of(next_y), patch_of(x)] != WALL:
            y = next_y
        else:
            break
    return x, y


@njit(cache=True, forceinline=True)
def put(field, x, y, deposit, amount):
    """Add `amount` deposits to the patch of one ant, if it lies in the world.

    Parameters
    ----------
    field : (height, width)

    Returns
    -------
    int, whether the ant deposited anything
    """
    if amount <= 0.0:
        return 0
    row, column = patch_of(y), patch_of(x)
    if 0 <= row < field.shape[0] and 0 <= column < field.shape[1]:
        # In 64 bits, then rounded: the same with and without compilation.
        field[row, column] = field.dtype.type(float(field[row, column]) + amount * deposit)
    return 1


@njit(cache=True, forceinline=True)
def clamp(x, y, x_low, x_high, y_low, y_high):
    """Keep every ant inside the walkable rectangle; headings stay."""
    for ant in range(x.shape[0]):
        x[ant] = min(max(x[ant], x_low), x_high)
        y[ant] = min(max(y[ant], y_low), y_high)
