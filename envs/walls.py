"""Where ants can go: border, obstacles, mazes, and what can be reached from the nest. Pure."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.types import IntArray

if TYPE_CHECKING:
    from envs.config import ForagingConfig

BoolGrid = NDArray[np.bool_]
OUT_OF_REACH = np.iinfo(np.int64).max  # steps to a place without a way
MIN_CORRIDOR = 3  # patches between the walls of a maze, at least


@functools.lru_cache(maxsize=64)
def disc(radius: float) -> tuple[tuple[int, int], ...]:
    """Offsets (dx, dy) of the patches closer than `radius` to a centre."""
    reach = math.ceil(radius)
    offsets = range(-reach, reach + 1)
    return tuple((dx, dy) for dx in offsets for dy in offsets if math.hypot(dx, dy) < radius)


@functools.lru_cache(maxsize=32)
def fixed_walls(config: ForagingConfig) -> BoolGrid:
    """(height, width) border and obstacles, the same in every episode; read-only."""
    is_wall = np.zeros((config.height, config.width), dtype=np.bool_)
    x_min, x_max, y_min, y_max = config.arena
    if config.has_border:
        is_wall[y_min : y_max + 1, x_min : x_max + 1] = True
        is_wall[y_min + 1 : y_max, x_min + 1 : x_max] = False
    for left, right, low, high in config.obstacles:
        is_wall[low : high + 1, left : right + 1] = True
    is_wall.flags.writeable = False
    return is_wall


@functools.lru_cache(maxsize=32)
def ground(config: ForagingConfig) -> BoolGrid:
    """(height, width) patches where something can lie; read-only.

    Walkable and no fixed wall; with obstacles also connected with the nest by steps along the grid.
    """
    is_ground = np.zeros((config.height, config.width), dtype=np.bool_)
    x_min, x_max, y_min, y_max = config.walkable
    is_ground[y_min : y_max + 1, x_min : x_max + 1] = True
    is_ground &= ~fixed_walls(config)
    if config.obstacles:
        is_ground = _connected(is_ground, (config.nest_y[0], config.nest_x[0]))
    is_ground.flags.writeable = False
    return is_ground


def _connected(is_free: BoolGrid, start: tuple[int, int]) -> BoolGrid:
    """Free patches that steps up, down, left and right reach from `start` (row, column)."""
    reached: BoolGrid = steps_to(start, is_free)[1:-1, 1:-1] < OUT_OF_REACH
    return reached


def steps_to(goal: tuple[int, int], is_free: BoolGrid) -> IntArray:
    """Steps up, down, left and right over free patches to a patch, which may itself be none.

    Parameters
    ----------
    goal : row, column
    is_free : (height, width)

    Returns
    -------
    (height + 2, width + 2) int64: the grid with a rim; `OUT_OF_REACH` where there is no way, and on the rim
    """
    padded = np.pad(is_free, 1)
    is_open = padded.ravel()  # a view: patches leave it when they are reached
    steps = np.full(is_open.shape, OUT_OF_REACH)
    width = padded.shape[1]
    front = np.array([(goal[0] + 1) * width + goal[1] + 1])
    n_steps = 0
    while len(front):
        is_open[front] = False
        steps[front] = n_steps
        near = np.concatenate([front + step for step in (1, -1, width, -width)])
        front = np.unique(near[is_open[near]])
        n_steps += 1
    return steps.reshape(padded.shape)


def blocked_pile(config: ForagingConfig) -> tuple[int, int] | None:
    """The first pile whose centre is on a wall, if any."""
    is_wall = fixed_walls(config)
    return next(((x, y) for x, y in config.piles if is_wall[y, x]), None)


def cut_off_food(config: ForagingConfig) -> tuple[int, int] | None:
    """The first patch (x, y) of a pile that no ant can reach, if any."""
    is_ground = ground(config)
    return next(((x, y) for x, y in sorted(config.pile_patches()) if not is_ground[y, x]), None)


@functools.lru_cache(maxsize=32)
def ring_patches(config: ForagingConfig) -> BoolGrid:
    """(height, width) arena without walls at a distance within `scatter_range` from `scatter_centre`; read-only."""
    columns, rows = np.meshgrid(np.arange(config.width), np.arange(config.height))
    distance = np.hypot(columns - config.scatter_centre[0], rows - config.scatter_centre[1])
    low, high = config.scatter_range
    is_ring = (low < distance) & (distance < high) & ~fixed_walls(config)
    x_min, x_max, y_min, y_max = config.arena
    is_arena = np.zeros_like(is_ring)
    is_arena[y_min : y_max + 1, x_min : x_max + 1] = True
    is_ring &= is_arena
    is_ring.flags.writeable = False
    return is_ring


@functools.lru_cache(maxsize=32)
def pile_candidates(config: ForagingConfig) -> BoolGrid:
    """(height, width) centres of piles that lie on walkable ground as a whole, wherever the nest is; read-only."""
    x_low, x_high, y_low, y_high = config.walkable
    is_free = np.zeros((config.height, config.width), dtype=np.bool_)
    is_free[y_low : y_high + 1, x_low : x_high + 1] = ground(config)[y_low : y_high + 1, x_low : x_high + 1]
    reach = max((max(abs(dx), abs(dy)) for dx, dy in disc(config.pile_radius)), default=0)
    padded = np.pad(is_free, reach)
    is_candidate = is_free.copy()
    for dx, dy in disc(config.pile_radius):
        top, left = reach + dy, reach + dx
        is_candidate &= padded[top : top + config.height, left : left + config.width]
    is_candidate.flags.writeable = False
    return is_candidate


def maze_walls(config: ForagingConfig, rng: np.random.Generator) -> BoolGrid:
    """(height, width) inner walls of a random maze: exactly one way between any two of its cells.

    Walls are one patch thick. Depth-first search opens a random unvisited neighbour of the newest cell, and goes back
    where there is none.
    """
    n_columns, n_rows = config.maze
    x_min, x_max, y_min, y_max = config.arena
    x_lines = [round(x) for x in np.linspace(x_min, x_max, n_columns + 1)]
    y_lines = [round(y) for y in np.linspace(y_min, y_max, n_rows + 1)]
    is_wall = np.zeros((config.height, config.width), dtype=np.bool_)
    for x in x_lines[1:-1]:
        is_wall[y_min : y_max + 1, x] = True
    for y in y_lines[1:-1]:
        is_wall[y, x_min : x_max + 1] = True
    path = [(int(rng.integers(n_columns)), int(rng.integers(n_rows)))]
    visited = set(path)
    while path:
        column, row = path[-1]
        near = [(column + dx, row + dy) for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))]
        near = [(c, r) for c, r in near if 0 <= c < n_columns and 0 <= r < n_rows and (c, r) not in visited]
        if not near:
            path.pop()
            continue
        c, r = near[int(rng.integers(len(near)))]
        if c != column:
            is_wall[y_lines[row] + 1 : y_lines[row + 1], x_lines[max(c, column)]] = False
        else:
            is_wall[y_lines[max(r, row)], x_lines[column] + 1 : x_lines[column + 1]] = False
        visited.add((c, r))
        path.append((c, r))
    return is_wall
