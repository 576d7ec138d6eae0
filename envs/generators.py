"""Initial state of an episode: walls, food, nest, ants. Pure, from (config, rng)."""

from __future__ import annotations

import numpy as np

from envs.types import COUNTS, FOOD, N_SENSORS, WALL, ForagingConfig, ForagingState, IntArray


def initial_state(config: ForagingConfig, rng: np.random.Generator) -> ForagingState:
    """Fresh world with all ants at the nest centre, before the first sensing.

    The nest centre, the scattered food, the headings (whole degrees) and the seed of the in-episode shuffles are drawn
    from `rng`, in this order.
    """
    shape = (config.height, config.width)
    columns, rows = np.meshgrid(np.arange(config.width), np.arange(config.height))
    nest_column = int(rng.integers(config.nest_x[0], config.nest_x[1] + 1))
    nest_row = int(rng.integers(config.nest_y[0], config.nest_y[1] + 1))

    objects = np.zeros(shape, dtype=np.int8)
    x_min, x_max, y_min, y_max = config.arena
    objects[y_min : y_max + 1, x_min : x_max + 1] = WALL
    objects[y_min + 1 : y_max, x_min + 1 : x_max] = 0

    food = _place_food(config, rng, columns, rows, is_free=objects == 0, start=(nest_row, nest_column))
    objects[food > 0] = FOOD

    distance = np.hypot(columns - nest_column, rows - nest_row)
    # Published quirk: patches that start as food or wall carry no nest scent and are never nest.
    is_ground = objects == 0
    n_ants = config.n_ants
    counts = np.zeros(len(COUNTS), dtype=np.int64)
    counts[COUNTS.index("finish_tick")] = -1
    return ForagingState(
        x=np.full(n_ants, float(nest_column)),
        y=np.full(n_ants, float(nest_row)),
        heading=rng.integers(0, 360, size=n_ants).astype(np.float64),
        is_carrying=np.zeros(n_ants, dtype=np.bool_),
        food_mark=np.zeros(n_ants, dtype=np.int64),
        nest_mark=np.zeros(n_ants, dtype=np.int64),
        food=food,
        objects=objects,
        is_nest=is_ground & (distance < config.nest_radius),
        nest_scent=np.where(is_ground, 200.0 - distance, 0.0),
        pheromone=np.zeros(shape),
        diffused=np.zeros(shape),
        obs=np.zeros((n_ants, N_SENSORS), dtype=np.int8),
        counts=counts,
        order=np.arange(n_ants, dtype=np.int64),
        random=rng.integers(0, 2**64, size=1, dtype=np.uint64),
    )


def _place_food(
    config: ForagingConfig,
    rng: np.random.Generator,
    columns: IntArray,
    rows: IntArray,
    is_free: np.ndarray,
    start: tuple[int, int],
) -> IntArray:
    """Food units per patch: the piles, and single units at random free patches of the scatter ring.

    None at `start` (row, column), where all ants begin: food taken at tick 0 would never be credited.
    """
    food = np.zeros(columns.shape, dtype=np.int64)
    for x, y in config.pile_patches():
        food[y, x] = config.food_per_patch
    if config.n_scattered:
        distance = np.hypot(columns - config.scatter_centre[0], rows - config.scatter_centre[1])
        low, high = config.scatter_range
        is_candidate = (low < distance) & (distance < high) & is_free & (food == 0)
        is_candidate[start] = False
        candidates = np.flatnonzero(is_candidate)
        food.flat[rng.choice(candidates, size=config.n_scattered, replace=False)] = 1
    return food
