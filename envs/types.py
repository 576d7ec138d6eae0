"""Codes, state arrays and constants of the ant world.

Grids are indexed ``[y, x]`` and have shape ``(height, width)``. Positions are continuous; the patch of a point is the
nearest integer, halves rounded up. Headings are compass degrees: 0 = +y, clockwise positive.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Codes in `ForagingState.objects`; 0 is free ground.
WALL, FOOD = 1, 2

# Columns of the binary and the graded observation; the first 11 in the order of the published genome.
SENSORS = (
    "wall_ahead",
    "food_ahead",
    "smell_left",
    "smell_middle",
    "smell_right",
    "nociceptive",
    "reward",
    "nest_left",
    "nest_middle",
    "nest_right",
    "on_nest",
    "repellent_left",  # the last three in worlds with a repellent only
    "repellent_middle",
    "repellent_right",
)
(
    WALL_AHEAD,
    FOOD_AHEAD,
    SMELL_LEFT,
    SMELL_MIDDLE,
    SMELL_RIGHT,
    NOCICEPTIVE,
    REWARD,
    NEST_LEFT,
    NEST_MIDDLE,
    NEST_RIGHT,
    ON_NEST,
    REPELLENT_LEFT,
    REPELLENT_MIDDLE,
    REPELLENT_RIGHT,
) = range(len(SENSORS))
N_SENSORS = 11  # without a repellent

# Kinds of observations and actions.
OBSERVATIONS = ("binary", "graded", "egocentric")
BINARY, GRADED, EGOCENTRIC = range(len(OBSERVATIONS))
ACTIONS = ("discrete", "continuous")

# Columns of an action and the values of a discrete turn. The last column exists in worlds with a repellent only.
ACTION_PARTS = ("turn", "move", "deposit", "deposit_repellent")
TURN, MOVE, DEPOSIT, DEPOSIT_REPELLENT = range(len(ACTION_PARTS))
N_ACTIONS = 3  # without a repellent
STRAIGHT, LEFT, RIGHT = range(3)
ACTION_SIZES = (3, 2, 2, 2)

# Columns of `ForagingState.events`, the first entries of `ForagingState.counts`.
EVENTS = ("food", "pick_ups", "moves", "turns", "deposits", "wall_contacts")
N_EVENTS = len(EVENTS)
# Entries of `ForagingState.counts`.
COUNTS = (*EVENTS, "ticks", "finish_tick", "food_placed", "food_grown", "food_rotted")
(
    N_FOOD,
    N_PICK_UPS,
    N_MOVES,
    N_TURNS,
    N_DEPOSITS,
    N_WALL_CONTACTS,
    N_TICKS,
    FINISH_TICK,
    FOOD_PLACED,
    FOOD_GROWN,
    FOOD_ROTTED,
) = range(len(COUNTS))


class ForagingState(NamedTuple):
    """Everything that changes in an episode, as arrays the kernels write in place.

    A batch of colonies is the same tuple with one more axis in front of every array.
    """

    x: FloatArray  # (n_ants,) patches
    y: FloatArray  # (n_ants,) patches
    heading: FloatArray  # (n_ants,) degrees, [0, 360)
    is_carrying: BoolArray  # (n_ants,)
    food_mark: IntArray  # (n_ants,) tick of the last pick-up, 0 = none pending
    nest_mark: IntArray  # (n_ants,) tick of the last nest contact
    events: IntArray  # (n_ants, N_EVENTS) what each ant did since reset
    counts: IntArray  # (len(COUNTS),) of the colony since reset; finish_tick is -1 until everything is collected
    food: IntArray  # (height, width) units on the ground
    pile_sites: IntArray  # (n_sites,) flat indices of the patches where food may grow
    objects: NDArray[np.int8]  # (height, width) 0, WALL or FOOD
    nest: FloatArray  # (2,) x, y of the nest centre
    is_nest: BoolArray  # (height, width)
    nest_scent: FloatArray  # (height, width), constant in an episode
    pheromone: FloatArray  # (height, width)
    repellent: FloatArray  # (height, width), (0, 0) in a world without
    obs: NDArray[np.int8]  # (n_ants, n_sensors) current binary observation; of another kind, its contact columns only
    features: NDArray[np.float32]  # (n_ants, n_features) current graded or egocentric observation
    order: IntArray  # (n_ants,) scratch: order of the ants at the food
    sites: IntArray  # scratch of crawling food: (height * width,), or (0,) in a world without
    rows: FloatArray  # (n_rows, width) scratch of the pheromone update
    random: NDArray[np.uint64]  # (1,) state of the generator of the compiled tick


class TickConstants(NamedTuple):
    """The numbers of a `ForagingConfig` that the compiled tick needs."""

    observation: int
    is_continuous: bool
    departure_interval: int
    speed: float
    n_substeps: int
    turn_deg: float
    n_ray_points: int
    ray_step: float
    smell_angles: FloatArray  # (n_points,) degrees
    smell_distances: FloatArray  # (n_points,) patches
    smell_scale: float
    diagonal: float
    has_obstacles: bool
    has_pheromone_sense: bool
    has_pheromone_deposit: bool
    pheromone_period: int
    deposit: float
    diffusion: float
    evaporation: float
    has_repellent: bool
    repellent_deposit: float
    repellent_diffusion: float
    repellent_evaporation: float
    crawl_period: int
    growth_period: int
    rot_period: int
    pile_capacity: int
    x_min: int
    x_max: int
    y_min: int
    y_max: int
    x_low: float
    x_high: float
    y_low: float
    y_high: float
