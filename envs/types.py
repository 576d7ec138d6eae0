"""Frozen configuration, state arrays and constants of the ant world.

Grids are indexed ``[y, x]`` and have shape ``(height, width)``. Positions are continuous; the patch of a point is the
nearest integer, halves rounded up. Headings are compass degrees: 0 = +y, clockwise positive.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Codes in `ForagingState.objects`; 0 is free ground.
WALL, FOOD = 1, 2

# Columns of the sensory observation, in the order of the published genome.
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
)
N_SENSORS = len(SENSORS)
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
) = range(N_SENSORS)

# Columns of an action and their values.
TURN, MOVE, DEPOSIT = range(3)
N_ACTIONS = 3
STRAIGHT, LEFT, RIGHT = range(3)
ACTION_SIZES = (3, 2, 2)

# Entries of `ForagingState.counts`.
COUNTS = ("food", "pick_ups", "moves", "turns", "deposits", "wall_contacts", "ticks", "finish_tick")
N_FOOD, N_PICK_UPS, N_MOVES, N_TURNS, N_DEPOSITS, N_WALL_CONTACTS, N_TICKS, FINISH_TICK = range(len(COUNTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ForagingConfig:
    """The published single-colony world; every default is the value of the published benchmark.

    Source: Jimenez-Romero et al. 2024, Swarm Intelligence 18:1-28, doi:10.1007/s11721-023-00231-6, and its data.
    """

    # Colony and episode
    n_ants: int = 15  # >= 1
    n_ticks: int = 2000  # episode length, >= 1 (the published program acts once more, at tick 2,000)
    # World, in patches
    width: int = 101  # grid columns x = 0 … width-1
    height: int = 61  # grid rows y = 0 … height-1
    arena: tuple[int, int, int, int] = (60, 100, 1, 60)  # x_min, x_max, y_min, y_max of the wall, inclusive
    wall_margin: int = 2  # ants are clamped this many patches inside the outer edge of the wall, >= 1: never on it
    nest_x: tuple[int, int] = (72, 85)  # nest centre, drawn per episode, inclusive
    nest_y: tuple[int, int] = (18, 35)
    nest_radius: float = 3.0  # patches closer than this to the centre are nest
    piles: tuple[tuple[int, int], ...] = ((65, 53), (65, 6), (96, 30))  # centres (x, y)
    pile_radius: float = 3.0
    food_per_patch: int = 2  # food units on each pile patch, >= 0
    n_scattered: int = 2  # single-unit patches between the piles
    scatter_centre: tuple[int, int] = (82, 30)
    scatter_range: tuple[float, float] = (10.0, 18.0)  # distance to `scatter_centre`, exclusive
    # Body
    speed: float = 1.0  # patches per move
    turn_deg: float = 6.0  # degrees per turn
    view: float = 5.0  # visual range in patches; the ray ends `ray_step` behind it
    ray_step: float = 0.5
    # Pheromone
    deposit: float = 60.0  # added to the patch per deposit
    diffusion: float = 0.2  # share given to the neighbours per update, [0, 1]
    evaporation: float = 0.01  # share lost per update inside the arena, [0, 1]
    pheromone_period: int = 7  # ticks between updates
    has_pheromone_sense: bool = True  # False: all three smell sensors stay silent (the visual-only study)
    has_pheromone_deposit: bool = True  # False: the deposit action has no effect and no cost
    # Fitness, per event
    food_gain: float = 220.0
    pick_up_gain: float = 1.5
    move_cost: float = 0.25
    turn_cost: float = 0.02
    deposit_cost: float = 0.05
    tick_cost: float = 0.5  # per colony and tick
    wall_cost: float = 5.5
    finish_bonus: float = 30.0  # per tick left when everything is collected

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _checked_type(entry.name, getattr(self, entry.name), entry.default))
        for name in ("n_ants", "n_ticks", "pheromone_period", "wall_margin"):
            _require(getattr(self, name) >= 1, self, name, ">= 1")
        for name in ("food_per_patch", "n_scattered", "nest_radius", "pile_radius", "speed", "turn_deg", "view"):
            _require(getattr(self, name) >= 0, self, name, ">= 0")
        _require(self.deposit >= 0, self, "deposit", ">= 0")
        _require(self.ray_step > 0, self, "ray_step", "> 0")
        # Bounds that no study needs to cross, so that a slip of the keyboard does not fill the memory.
        for name, high in (("n_ants", 10**6), ("n_ticks", 10**9), ("width", 10**4), ("height", 10**4), ("view", 10**4)):
            _require(getattr(self, name) <= high, self, name, f"<= {high}")
        _require(self.view / self.ray_step <= 10**6, self, "ray_step", "at least a millionth of view")
        for name in ("diffusion", "evaporation"):
            _require(0.0 <= getattr(self, name) <= 1.0, self, name, "in [0, 1] (a share of the field)")
        self._check_geometry()

    def _check_geometry(self) -> None:
        x_min, x_max, y_min, y_max = self.arena
        inside = 0 <= x_min < x_max < self.width and 0 <= y_min < y_max < self.height
        _require(inside, self, "arena", f"x_min < x_max < width={self.width} and y_min < y_max < height={self.height}")
        x_low, x_high, y_low, y_high = self.walkable
        _require(x_low < x_high and y_low < y_high, self, "arena", "large enough to leave ground within its walls")
        for name, low, high in (("nest_x", x_low, x_high), ("nest_y", y_low, y_high)):
            first, last = getattr(self, name)
            _require(low <= first <= last <= high, self, name, f"an interval within [{low}, {high}], the walkable area")
        for x, y in self.piles:
            _require(x_min < x < x_max and y_min < y < y_max, self, "piles", f"inside the arena {self.arena}")
            nest_x, nest_y = (min(max(c, low), high) for c, (low, high) in ((x, self.nest_x), (y, self.nest_y)))
            is_apart = math.hypot(x - nest_x, y - nest_y) >= self.pile_radius
            _require(is_apart, self, "piles", f"away from all nest centres, x in {self.nest_x} and y in {self.nest_y}")
        n_free = self._n_free_in_ring()
        rule = f"<= {n_free}, the free patches at a distance within {self.scatter_range} from {self.scatter_centre}"
        _require(self.n_scattered <= n_free, self, "n_scattered", rule)

    def _n_free_in_ring(self) -> int:
        """Patches that can hold scattered food whatever the nest: in the ring, no wall, no pile, no nest centre."""
        x_min, x_max, y_min, y_max = self.arena
        columns, rows = np.meshgrid(np.arange(x_min + 1, x_max), np.arange(y_min + 1, y_max))
        distance = np.hypot(columns - self.scatter_centre[0], rows - self.scatter_centre[1])
        is_ring = (self.scatter_range[0] < distance) & (distance < self.scatter_range[1])
        for x, y in self.pile_patches():
            is_ring[y - y_min - 1, x - x_min - 1] = False
        nest_rows = slice(self.nest_y[0] - y_min - 1, self.nest_y[1] - y_min)
        nest_columns = slice(self.nest_x[0] - x_min - 1, self.nest_x[1] - x_min)
        return int(is_ring.sum()) - bool(is_ring[nest_rows, nest_columns].any())

    @property
    def walkable(self) -> tuple[int, int, int, int]:
        """x_low, x_high, y_low, y_high to which ants are clamped after every tick; patches."""
        x_min, x_max, y_min, y_max = self.arena
        margin = self.wall_margin
        return x_min + margin, x_max - margin, y_min + margin, y_max - margin

    @property
    def total_food(self) -> int:
        """Food units in the world at reset (152 in the published test)."""
        return len(self.pile_patches()) * self.food_per_patch + self.n_scattered

    def pile_patches(self) -> set[tuple[int, int]]:
        """Patches (x, y) of all piles, without the walls."""
        x_min, x_max, y_min, y_max = self.arena
        reach = math.ceil(self.pile_radius)
        return {
            (x, y)
            for pile_x, pile_y in self.piles
            for x in range(max(pile_x - reach, x_min + 1), min(pile_x + reach + 1, x_max))
            for y in range(max(pile_y - reach, y_min + 1), min(pile_y + reach + 1, y_max))
            if math.hypot(x - pile_x, y - pile_y) < self.pile_radius
        }


def _require(is_valid: bool, config: ForagingConfig, name: str, rule: str) -> None:
    if not is_valid:
        raise ValueError(f"ForagingConfig.{name}={getattr(config, name)!r} is not allowed: it must be {rule}.")


def _checked_type(name: str, value: Any, default: Any) -> Any:
    """A setting in the type of its default: finite number, whole number, bool, or nested tuple of numbers.

    Raises
    ------
    ValueError : another type; names the field and the value.
    """
    if isinstance(default, bool):
        is_valid, rule = isinstance(value, bool | np.bool_), "True or False"
    elif isinstance(default, int):
        is_valid, rule = isinstance(value, numbers.Integral) and not isinstance(value, bool), "a whole number"
    elif isinstance(default, float):
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        is_valid, rule = is_number and math.isfinite(value), "a finite number"
    elif isinstance(default[0], tuple):  # piles: any number of them
        is_valid, rule = isinstance(value, Sequence) and not isinstance(value, str), "a list of (x, y) centres"
        if is_valid:
            return tuple(_checked_type(name, centre, (0, 0)) for centre in value)
    else:
        rule = f"{len(default)} numbers"
        is_valid = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == len(default)
        if is_valid:
            return tuple(_checked_type(name, item, like) for item, like in zip(value, default, strict=True))
    if not is_valid:
        raise ValueError(f"ForagingConfig.{name}={value!r} is not allowed: it must be {rule}.")
    return type(default)(value)


PRESETS = {
    "published_test": ForagingConfig(),
    "published_training": ForagingConfig(food_per_patch=1),
}


def make_config(preset: str = "published_test", **overrides: Any) -> ForagingConfig:
    """Config of a preset with single fields replaced.

    Raises
    ------
    ValueError : unknown preset or field (the nearest name is offered), or a value outside its range.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}{nearest_name(preset, PRESETS)}")
    known = [field.name for field in fields(ForagingConfig)]
    for name in overrides:
        if name not in known:
            raise ValueError(f"unknown world setting {name!r}{nearest_name(name, known)}")
    return dataclasses.replace(PRESETS[preset], **overrides)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """How an error about an unknown name goes on: the nearest known one, or all of them."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {match[0]!r}?" if match else f". Known: {', '.join(known)}."


class ForagingState(NamedTuple):
    """Everything that changes in an episode, as arrays the kernels write in place."""

    x: FloatArray  # (n_ants,) patches
    y: FloatArray  # (n_ants,) patches
    heading: FloatArray  # (n_ants,) degrees, [0, 360)
    is_carrying: NDArray[np.bool_]  # (n_ants,)
    food_mark: IntArray  # (n_ants,) tick of the last pick-up, 0 = none pending
    nest_mark: IntArray  # (n_ants,) tick of the last nest contact
    food: IntArray  # (height, width) units on the ground
    objects: NDArray[np.int8]  # (height, width) 0, WALL or FOOD
    is_nest: NDArray[np.bool_]  # (height, width)
    nest_scent: FloatArray  # (height, width), constant in an episode
    pheromone: FloatArray  # (height, width)
    diffused: FloatArray  # (height, width) scratch of the pheromone update
    obs: NDArray[np.int8]  # (n_ants, N_SENSORS) current sensory observation
    counts: IntArray  # (len(COUNTS),) events since reset; finish_tick is -1 until everything is collected
    order: IntArray  # (n_ants,) scratch: order of the ants at the food
    random: NDArray[np.uint64]  # (1,) state of the generator that shuffles `order`


class TickConstants(NamedTuple):
    """The numbers of `ForagingConfig` that the compiled tick needs."""

    speed: float
    turn_deg: float
    n_ray_points: int
    ray_step: float
    deposit: float
    diffusion: float
    evaporation: float
    pheromone_period: int
    has_pheromone_sense: bool
    has_pheromone_deposit: bool
    x_min: int
    x_max: int
    y_min: int
    y_max: int
    x_low: float
    x_high: float
    y_low: float
    y_high: float


def tick_constants(config: ForagingConfig) -> TickConstants:
    """Constants of the compiled tick from a config."""
    x_low, x_high, y_low, y_high = (float(edge) for edge in config.walkable)
    x_min, x_max, y_min, y_max = config.arena
    return TickConstants(
        speed=config.speed,
        turn_deg=config.turn_deg,
        n_ray_points=math.floor(config.view / config.ray_step + 1e-9) + 1,  # 0.3 / 0.1 is 2.9999…
        ray_step=config.ray_step,
        deposit=config.deposit,
        diffusion=config.diffusion,
        evaporation=config.evaporation,
        pheromone_period=config.pheromone_period,
        has_pheromone_sense=config.has_pheromone_sense,
        has_pheromone_deposit=config.has_pheromone_deposit,
        x_min=x_min,
        x_max=x_max,
        y_min=y_min,
        y_max=y_max,
        x_low=x_low,
        x_high=x_high,
        y_low=y_low,
        y_high=y_high,
    )
