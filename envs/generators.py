"""Initial state of an episode: walls, food, nest, ants. Pure, from (config, rng)."""

from __future__ import annotations

import numpy as np

from envs.config import ForagingConfig
from envs.observations import N_OTHERS
from envs.pheromone import N_SCRATCH_ROWS
from envs.types import (
    COUNTS,
    FINISH_TICK,
    FOOD,
    FOOD_PLACED,
    N_EVENTS,
    WALL,
    BoolArray,
    FloatArray,
    ForagingState,
    IntArray,
)
from envs.walls import disc, fixed_walls, ground, maze_walls, pile_candidates, ring_patches


def initial_state(config: ForagingConfig, rng: np.random.Generator) -> ForagingState:
    """Fresh world with all ants at the nest centre, before the first sensing.

    Drawn from `rng`, in this order: the nest centre, random piles, a maze, the surplus of the piles, the scattered
    food, the headings (whole degrees) and the seed of the generator of the compiled tick.
    """
    shape = (config.height, config.width)
    columns, rows = np.meshgrid(np.arange(config.width), np.arange(config.height))
    nest_column = int(rng.integers(config.nest_x[0], config.nest_x[1] + 1))
    nest_row = int(rng.integers(config.nest_y[0], config.nest_y[1] + 1))
    distance = np.hypot(columns - nest_column, rows - nest_row)
    strongest_scent = max(200.0, np.hypot(config.width, config.height))  # 200 is the published number

    random_piles = _draw_piles(config, rng, distance)
    objects = np.where(_draw_walls(config, rng, [(nest_column, nest_row), *random_piles]), WALL, 0).astype(np.int8)
    food, pile_sites = _place_food(config, rng, objects == 0, random_piles, start=(nest_row, nest_column))
    objects[food > 0] = FOOD

    # Published quirk: patches that start as food or wall carry no nest scent and are never nest.
    is_ground = objects == 0
    is_site = np.zeros(shape, dtype=np.bool_)
    is_site.flat[pile_sites] = True  # food that grows on the nest would stay there
    n_ants = config.n_ants
    counts = np.zeros(len(COUNTS), dtype=np.int64)
    counts[FINISH_TICK], counts[FOOD_PLACED] = -1, food.sum()
    heading = rng.integers(0, 360, size=n_ants).astype(np.float64)
    number = np.float64 if config.pheromone_bits == 64 else np.float32
    return ForagingState(
        x=np.full(n_ants, float(nest_column)),
        y=np.full(n_ants, float(nest_row)),
        heading=heading,
        is_carrying=np.zeros(n_ants, dtype=np.bool_),
        food_mark=np.zeros(n_ants, dtype=np.int64),
        nest_mark=np.zeros(n_ants, dtype=np.int64),
        events=np.zeros((n_ants, N_EVENTS), dtype=np.int64),
        counts=counts,
        food=food,
        pile_sites=pile_sites,
        objects=objects,
        nest=np.array([nest_column, nest_row], dtype=np.float64),
        is_nest=is_ground & ~is_site & (distance < config.nest_radius),
        nest_scent=np.where(is_ground, strongest_scent - distance, 0.0),
        pheromone=np.zeros(shape, dtype=number),
        repellent=np.zeros(shape if config.has_repellent else (0, 0), dtype=number),
        obs=np.zeros((n_ants, config.n_sensors), dtype=np.int8),
        features=np.zeros((n_ants, n_features(config)), dtype=np.float32),
        order=np.arange(n_ants, dtype=np.int64),
        sites=np.zeros(config.width * config.height if config.crawl_period else 0, dtype=np.int64),
        rows=np.zeros((N_SCRATCH_ROWS, config.width), dtype=number),
        random=rng.integers(0, 2**64, size=1, dtype=np.uint64),
    )


def n_features(config: ForagingConfig) -> int:
    """Numbers that an ant of a graded or egocentric world senses; 0 in a binary one."""
    if config.observation == "binary":
        return 0
    if config.observation == "graded":
        return config.n_sensors
    return len(config.smell_points) * (2 if config.has_repellent else 1) + N_OTHERS


def _draw_piles(config: ForagingConfig, rng: np.random.Generator, nest_distance: FloatArray) -> list[tuple[int, int]]:
    """Centres (x, y) of the random piles: far from the nest, and apart from all other piles where there is room."""
    if config.n_random_piles == 0:
        return []
    candidates = rng.permutation(
        np.flatnonzero(pile_candidates(config) & (nest_distance >= config.random_pile_distance))
    )
    is_apart = np.ones(nest_distance.shape, dtype=np.bool_)
    for x, y in config.piles:
        _mark_near(is_apart, x, y, config.pile_radius)
    centres: list[tuple[int, int]] = []
    upcoming = iter(candidates.tolist())
    for _ in range(config.n_random_piles):
        patch = next((patch for patch in upcoming if is_apart.flat[patch]), None)
        if patch is None:  # no room is left: piles overlap
            patch = int(rng.choice(candidates))
        y, x = divmod(patch, config.width)
        _mark_near(is_apart, x, y, config.pile_radius)
        centres.append((x, y))
    return centres


def _mark_near(is_apart: BoolArray, x: int, y: int, radius: float) -> None:
    """Take out the centres whose piles would overlap with the one at (x, y)."""
    for dx, dy in disc(2.0 * radius):
        if 0 <= y + dy < is_apart.shape[0] and 0 <= x + dx < is_apart.shape[1]:
            is_apart[y + dy, x + dx] = False


def _draw_walls(config: ForagingConfig, rng: np.random.Generator, places: list[tuple[int, int]]) -> BoolArray:
    """Fixed walls and, if there is one, a maze, with a clearing round the nest (the first of the places) and piles."""
    is_fixed = fixed_walls(config)
    if config.maze == (0, 0):
        return is_fixed
    is_inner = maze_walls(config, rng)
    columns, rows = np.meshgrid(np.arange(config.width), np.arange(config.height))
    for k, (x, y) in enumerate([*places, *config.piles]):
        # A clearing of less than two patches could be closed in by the walls it stands in.
        radius = max(config.pile_radius if k else config.nest_radius, 2.0)
        is_inner &= np.hypot(columns - x, rows - y) >= radius
    return is_fixed | is_inner


def _place_food(
    config: ForagingConfig,
    rng: np.random.Generator,
    is_free: BoolArray,
    random_piles: list[tuple[int, int]],
    start: tuple[int, int],
) -> tuple[IntArray, IntArray]:
    """Food units per patch, and the flat indices of the pile patches.

    The piles, and single units at random free patches of the scatter ring. None at `start` (row, column), where all
    ants begin: food taken at tick 0 would never be credited.
    """
    patches = sorted(config.pile_patches())
    patches += [(x + dx, y + dy) for x, y in random_piles for dx, dy in disc(config.pile_radius)]
    pile_sites = np.array([y * config.width + x for x, y in patches], dtype=np.int64)
    units = np.full(len(patches), config.food_per_patch, dtype=np.int64)
    if config.food_surplus:
        units += rng.integers(0, config.food_surplus + 1, size=len(patches))
    food = np.zeros(is_free.shape, dtype=np.int64)
    np.add.at(food.ravel(), pile_sites, units)  # piles may overlap
    if config.n_scattered:
        is_candidate = ring_patches(config) & is_free & (food == 0)
        is_candidate[start] = False
        chosen = rng.choice(np.flatnonzero(is_candidate), size=config.n_scattered, replace=False)
        food.flat[_within_reach(chosen, is_candidate & ground(config), rng)] = 1
    return food, pile_sites


def _within_reach(chosen: IntArray, is_reachable: BoolArray, rng: np.random.Generator) -> IntArray:
    """Flat indices with those that ants cannot reach replaced by free ones that they can.

    Drawn first as published, where 3 worlds of 100 have a unit beyond the walkable area.
    """
    is_kept = is_reachable.ravel()[chosen]
    if is_kept.all():
        return chosen
    free = np.setdiff1d(np.flatnonzero(is_reachable), chosen)
    return np.concatenate([chosen[is_kept], rng.choice(free, size=np.count_nonzero(~is_kept), replace=False)])
