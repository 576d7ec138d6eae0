"""Compiled kernels of food that changes by itself: it crawls, grows and rots.

Sites are flat indices into the grids, which are C-contiguous ``(height, width)`` arrays.
"""

from numba import njit

from envs.randomness import draw
from envs.types import FOOD


@njit(cache=True, forceinline=True)
def crawl(food, objects, is_nest, walkable, sites, random):
    """Every patch of food takes a step to one of its eight neighbours, drawn at random, if there is free ground.

    Free is walkable, no wall, no food and no nest. Patches move one after the other, row by row, each once.

    Parameters
    ----------
    food, objects : changed; is_nest
    walkable : x_low, x_high, y_low, y_high, inclusive
    sites : (height * width,) int64, scratch
    random : (1,) uint64, see `envs.randomness`
    """
    width = food.shape[1]
    n_sites = 0
    for site in range(food.size):
        if food.flat[site] > 0:
            sites[n_sites] = site
            n_sites += 1
    x_low, x_high, y_low, y_high = walkable
    for k in range(n_sites):
        row, column = sites[k] // width, sites[k] % width
        direction = draw(8, random)
        direction += direction >= 4  # 4 would be the patch itself
        next_row, next_column = row + direction // 3 - 1, column + direction % 3 - 1
        is_inside = y_low <= next_row <= y_high and x_low <= next_column <= x_high
        if is_inside and objects[next_row, next_column] == 0 and not is_nest[next_row, next_column]:
            food[next_row, next_column] = food[row, column]
            objects[next_row, next_column] = FOOD
            food[row, column] = 0
            objects[row, column] = 0


@njit(cache=True, forceinline=True)
def grow(food, objects, capacity, pile_sites, random):
    """Add a unit to a pile patch drawn at random, unless it is full.

    Parameters
    ----------
    capacity : int, units on a full patch
    pile_sites : (n_sites,) int64, flat indices

    Returns
    -------
    int, units added: 0 or 1
    """
    if pile_sites.shape[0] == 0:
        return 0
    site = pile_sites[draw(pile_sites.shape[0], random)]
    if food.flat[site] >= capacity:
        return 0
    food.flat[site] += 1
    objects.flat[site] = FOOD
    return 1


@njit(cache=True, forceinline=True)
def rot(food, objects, random):
    """Take a unit from a patch of food drawn at random.

    Returns
    -------
    int, units lost: 0 or 1
    """
    n_sites = 0
    for site in range(food.size):
        n_sites += food.flat[site] > 0
    if n_sites == 0:
        return 0
    skip = draw(n_sites, random)
    for site in range(food.size):
        if food.flat[site] > 0:
            if skip == 0:
                food.flat[site] -= 1
                if food.flat[site] == 0:
                    objects.flat[site] = 0
                return 1
            skip -= 1
    return 0
