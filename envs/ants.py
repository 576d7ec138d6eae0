"""Compiled kernels of the ant bodies: sense, touch and act.

All kernels loop over ants and write into their last array arguments. Positions are patches, headings degrees
(0 = +y, clockwise), grids ``[y, x]``. Rules: Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6, and its code.
"""

import math

from numba import njit, uint64

from envs.types import (
    DEPOSIT,
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
    NOCICEPTIVE,
    ON_NEST,
    REWARD,
    RIGHT,
    TURN,
    WALL,
    WALL_AHEAD,
)


@njit(cache=True)
def patch_of(coordinate):
    """Index of the patch that holds a coordinate: the nearest integer, halves rounded up."""
    return math.floor(coordinate + 0.5)


@njit(cache=True)
def see(x, y, heading, objects, ray_step, n_ray_points, obs):
    """Visual sensors: the first object on a ray along the heading, if it is a wall or food.

    Parameters
    ----------
    x, y, heading : (n_ants,) float64
    objects : (height, width) int8, 0, WALL or FOOD
    ray_step, n_ray_points : float in patches, int; the ray is tested at ray_step, 2 ray_step, …
    obs : (n_ants, n_sensors) int8, columns WALL_AHEAD and FOOD_AHEAD are written
    """
    height, width = objects.shape
    for ant in range(x.shape[0]):
        radians = math.radians(heading[ant])
        step_x, step_y = ray_step * math.sin(radians), ray_step * math.cos(radians)
        seen = 0
        for k in range(1, n_ray_points + 1):
            column, row = patch_of(x[ant] + k * step_x), patch_of(y[ant] + k * step_y)
            if 0 <= row < height and 0 <= column < width:
                seen = objects[row, column]
                if seen != 0:
                    break
        obs[ant, WALL_AHEAD] = seen == WALL
        obs[ant, FOOD_AHEAD] = seen == FOOD


@njit(cache=True)
def compare_ahead(x, y, heading, field, first_column, obs):
    """Three-way comparison of a field in front of each ant: exactly one of left, middle, right is set.

    From the point one patch ahead the patches one further at -45, 0 and +45 degrees are read; patches outside the
    world read 0. A side wins only if it is strictly larger than both others, else the middle does (all 0 included).

    Parameters
    ----------
    field : (height, width) float64
    first_column : int, column of "left" in `obs`; "middle" and "right" follow
    obs : (n_ants, n_sensors) int8
    """
    height, width = field.shape
    for ant in range(x.shape[0]):
        radians = math.radians(heading[ant])
        ahead_x, ahead_y = x[ant] + math.sin(radians), y[ant] + math.cos(radians)
        left = middle = right = 0.0
        for side in range(-1, 2):
            angle = math.radians(heading[ant] + 45.0 * side)
            column, row = patch_of(ahead_x + math.sin(angle)), patch_of(ahead_y + math.cos(angle))
            value = field[row, column] if 0 <= row < height and 0 <= column < width else 0.0
            if side < 0:
                left = value
            elif side == 0:
                middle = value
            else:
                right = value
        is_right = right > middle and right > left
        is_left = not is_right and left > middle and left > right
        obs[ant, first_column] = is_left
        obs[ant, first_column + 1] = not (is_left or is_right)
        obs[ant, first_column + 2] = is_right


@njit(cache=True)
def shuffle(order, random):
    """Fisher-Yates shuffle of `order` with the SplitMix64 generator whose state is ``random[0]``.

    Source: Steele, Lea, Flood 2014, OOPSLA, doi:10.1145/2660193.2660195. The modulo bias is below n_ants / 2**64.
    """
    for i in range(order.shape[0] - 1, 0, -1):
        random[0] += uint64(0x9E3779B97F4A7C15)
        bits = random[0]
        bits = (bits ^ (bits >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> uint64(27))) * uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> uint64(31))
        j = int(bits % uint64(i + 1))
        order[i], order[j] = order[j], order[i]


@njit(cache=True)
def touch(x, y, order, tick, food, objects, is_nest, is_carrying, food_mark, nest_mark, counts, obs):
    """Contact reflexes of every ant in the given order: wall pain, drop at the nest, pick up food.

    Parameters
    ----------
    order : (n_ants,) int64, a permutation: who comes first to a patch with a single unit
    tick : int, the tick that begins; marks remember it
    food, objects, is_nest : (height, width); food and objects change at a pick-up
    is_carrying, food_mark, nest_mark : (n_ants,), updated
    counts : (n_counts,) int64, wall contacts and pick-ups are added
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
            counts[N_WALL_CONTACTS] += 1
        if is_nest[row, column]:
            is_carrying[ant] = False
            nest_mark[ant] = tick
        elif food[row, column] > 0 and not is_carrying[ant]:
            food[row, column] -= 1
            if food[row, column] == 0:
                objects[row, column] = 0
            is_carrying[ant] = True
            food_mark[ant] = tick
            counts[N_PICK_UPS] += 1
            obs[ant, REWARD] = 1


@njit(cache=True)
def act(actions, speed, turn_deg, deposit, has_deposit, x, y, heading, food_mark, nest_mark, pheromone, counts):
    """Turn, then move, then deposit; then credit the food that reached the nest.

    A return counts when the last nest contact is later than the last pick-up and a pick-up is pending
    (its mark is above 0; food taken at tick 0 would not count, which no ant can reach).

    Parameters
    ----------
    actions : (n_ants, 3) int64: turn (STRAIGHT, LEFT, RIGHT), move (0, 1), deposit (0, 1)
    pheromone : (height, width) float64, `deposit` is added on the patch of a depositing ant
    counts : (n_counts,) int64, turns, moves, deposits and returned food are added
    """
    for ant in range(x.shape[0]):
        turn = actions[ant, TURN]
        if turn == LEFT:
            heading[ant] = (heading[ant] - turn_deg) % 360.0
            counts[N_TURNS] += 1
        elif turn == RIGHT:
            heading[ant] = (heading[ant] + turn_deg) % 360.0
            counts[N_TURNS] += 1
        if actions[ant, MOVE] == 1:
            radians = math.radians(heading[ant])
            x[ant] += speed * math.sin(radians)
            y[ant] += speed * math.cos(radians)
            counts[N_MOVES] += 1
        if has_deposit and actions[ant, DEPOSIT] == 1:
            row, column = patch_of(y[ant]), patch_of(x[ant])
            if 0 <= row < pheromone.shape[0] and 0 <= column < pheromone.shape[1]:
                pheromone[row, column] += deposit
            counts[N_DEPOSITS] += 1
        if nest_mark[ant] > food_mark[ant] > 0:
            counts[N_FOOD] += 1
            food_mark[ant] = 0
            nest_mark[ant] = 0


@njit(cache=True)
def clamp(x, y, x_low, x_high, y_low, y_high):
    """Keep every ant inside the walkable rectangle; headings stay."""
    for ant in range(x.shape[0]):
        x[ant] = min(max(x[ant], x_low), x_high)
        y[ant] = min(max(y[ant], y_low), y_high)
