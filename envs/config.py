"""What a person can choose about the ant world: `ForagingConfig`, every setting with its unit and range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from envs.checks import checked_type, require
from envs.types import ACTIONS, BINARY, EGOCENTRIC, GRADED, N_ACTIONS, N_SENSORS, OBSERVATIONS, SENSORS, TickConstants
from envs.walls import (
    MIN_CORRIDOR,
    blocked_pile,
    cut_off_food,
    disc,
    fixed_walls,
    ground,
    pile_candidates,
    ring_patches,
)

# What an item of a list looks like; the lists may have any length.
_POINT, _RECTANGLE, _POLAR = (0, 0), (0, 0, 0, 0), (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForagingConfig:
    """The published single-colony world; every default is the value of the published benchmark.

    Source: Jimenez-Romero et al. 2024, Swarm Intelligence 18:1-28, doi:10.1007/s11721-023-00231-6, and its data.
    Settings that are off by default widen the world and are not part of the publication.

    Raises
    ------
    ValueError : a value of another type or outside its range, or settings that do not go together; names the field,
        the value and what is allowed.
    """

    # Interface
    observation: str = "binary"  # "binary", "graded" or "egocentric", see `envs.observations`
    action: str = "discrete"  # "discrete" or "continuous", see `envs.spaces`
    # Colony and episode
    n_ants: int = 15  # >= 1
    n_ticks: int = 2000  # episode length, >= 1 (the published program acts once more, at tick 2,000)
    departure_interval: int = 0  # ticks between departures: ant i acts from tick i * departure_interval on, >= 0
    # World, in patches
    width: int = 101  # grid columns x = 0 … width-1
    height: int = 61  # grid rows y = 0 … height-1
    arena: tuple[int, int, int, int] = (60, 100, 1, 60)  # x_min, x_max, y_min, y_max, inclusive
    has_border: bool = True  # the outermost patches of the arena are walls
    wall_margin: int = 2  # ants are clamped this many patches inside the edge of the arena, >= 1 with a border, else 0
    obstacles: tuple[tuple[int, int, int, int], ...] = field(default=(), metadata={"item": _RECTANGLE})  # walls
    maze: tuple[int, int] = (0, 0)  # columns and rows of a random maze in the arena, drawn per episode; (0, 0): none
    nest_x: tuple[int, int] = (72, 85)  # nest centre, drawn per episode, inclusive
    nest_y: tuple[int, int] = (18, 35)  # the same for y
    nest_radius: float = 3.0  # patches closer than this to the centre are nest, > 0
    # Food
    piles: tuple[tuple[int, int], ...] = field(default=((65, 53), (65, 6), (96, 30)), metadata={"item": _POINT})
    n_random_piles: int = 0  # piles at places drawn per episode, apart from each other where there is room, >= 0
    random_pile_distance: float = 12.0  # patches between the nest centre and a random pile centre, at least
    pile_radius: float = 3.0  # patches closer than this to a pile centre have food
    food_per_patch: int = 2  # food units on each pile patch, >= 0
    food_surplus: int = 0  # up to this many more on each pile patch, drawn per episode, >= 0
    n_scattered: int = 2  # single-unit patches between the piles, >= 0, where ants can walk
    scatter_centre: tuple[int, int] = (82, 30)  # x, y
    scatter_range: tuple[float, float] = (10.0, 18.0)  # distance to `scatter_centre`, exclusive
    crawl_period: int = 0  # ticks between random steps of every food patch; 0: food lies still
    growth_period: int = 0  # ticks until a unit grows on a random pile patch, if it is not full; 0: never
    rot_period: int = 0  # ticks until a unit of a random patch of food is lost; 0: never
    # Body
    speed: float = 1.0  # patches per move
    turn_deg: float = 6.0  # degrees per turn, the largest one of a continuous action
    view: float = 5.0  # visual range in patches; the ray ends `ray_step` behind it
    ray_step: float = 0.5  # patches between the points of the ray that are looked at, > 0
    smell_points: tuple[tuple[float, float], ...] = field(  # where an egocentric ant smells: (degrees, patches)
        default=((0.0, 0.0), (-45.0, 1.0), (0.0, 1.0), (45.0, 1.0)), metadata={"item": _POLAR}
    )
    smell_scale: float = 60.0  # pheromone that reads 0.5 in a graded or egocentric observation, > 0
    # Pheromone
    deposit: float = 60.0  # added to the patch per deposit
    diffusion: float = 0.2  # share given to the neighbours per update, [0, 1]
    evaporation: float = 0.01  # share lost per update inside the arena, [0, 1]
    pheromone_period: int = 7  # ticks between updates
    has_pheromone_sense: bool = True  # False: all smell sensors stay silent (the visual-only study)
    has_pheromone_deposit: bool = True  # False: depositing has no effect and no cost
    has_repellent: bool = False  # a second pheromone, with three more sensors and one more action
    repellent_deposit: float = 60.0  # as `deposit`, of the repellent
    repellent_diffusion: float = 0.2  # as `diffusion`
    repellent_evaporation: float = 0.1  # as `evaporation`
    pheromone_bits: int = 64  # 64 or 32: precision of the pheromone fields; 32 is faster in large worlds
    # Fitness, per event
    food_gain: float = 220.0  # per unit brought to the nest
    pick_up_gain: float = 1.5  # per unit picked up
    move_cost: float = 0.25  # per ant and tick with a move
    turn_cost: float = 0.02  # per ant and tick with a turn
    deposit_cost: float = 0.05  # per deposit
    tick_cost: float = 0.5  # per colony and tick
    wall_cost: float = 5.5  # per ant and tick on a wall patch
    finish_bonus: float = 30.0  # per tick left when everything is collected

    def __post_init__(self) -> None:
        for entry in fields(self):
            item = entry.metadata.get("item")
            value = checked_type(entry.name, getattr(self, entry.name), entry.default, item)
            object.__setattr__(self, entry.name, value)
        self._check_ranges()
        self._check_arena()
        self._check_walls()
        self._check_food()

    def _check_ranges(self) -> None:
        for name, known in (("observation", OBSERVATIONS), ("action", ACTIONS)):
            require(getattr(self, name) in known, self, name, " or ".join(repr(k) for k in known))
        for name in ("n_ants", "n_ticks", "pheromone_period"):
            require(getattr(self, name) >= 1, self, name, ">= 1")
        for name in _NOT_NEGATIVE:
            require(getattr(self, name) >= 0, self, name, ">= 0")
        for name in ("ray_step", "smell_scale", "nest_radius"):
            require(getattr(self, name) > 0, self, name, "> 0")
        # Bounds that no study needs to cross, so that a slip of the keyboard does not fill the memory.
        for name, high in _HIGHEST:
            require(getattr(self, name) <= high, self, name, f"<= {high}")
        for name in _REWARDS:
            require(abs(getattr(self, name)) <= 10**12, self, name, f"in [-{10**12}, {10**12}]")
        require(self.view / self.ray_step <= 10**6, self, "ray_step", "at least a millionth of view")
        for name in ("diffusion", "evaporation", "repellent_diffusion", "repellent_evaporation"):
            require(0.0 <= getattr(self, name) <= 1.0, self, name, "in [0, 1] (a share of the field)")
        require(self.pheromone_bits in (32, 64), self, "pheromone_bits", "32 or 64")
        is_near = all(abs(c) <= 10**6 for c in self.scatter_centre)
        require(is_near, self, "scatter_centre", "within a million patches")
        is_polar = all(abs(angle) <= 360.0 and 0.0 <= distance <= 1e4 for angle, distance in self.smell_points)
        require(
            is_polar, self, "smell_points", "a list of (degrees, patches) with degrees in [-360, 360] and patches >= 0"
        )
        require(len(self.smell_points) <= 1000, self, "smell_points", "at most 1000 points")
        if self.observation == "egocentric":
            require(len(self.smell_points) > 0, self, "smell_points", "at least one point for egocentric ants")

    def _check_arena(self) -> None:
        most = 2 * 10**7  # patches; a world of these takes about 1 GB
        require(self.width * self.height <= most, self, "width", f"at most {most} / height={self.height}")
        x_min, x_max, y_min, y_max = self.arena
        inside = 0 <= x_min < x_max < self.width and 0 <= y_min < y_max < self.height
        require(inside, self, "arena", f"x_min < x_max < width={self.width} and y_min < y_max < height={self.height}")
        low = 1 if self.has_border else 0
        require(self.wall_margin >= low, self, "wall_margin", f">= {low}" + " with a border" * low)
        x_low, x_high, y_low, y_high = self.walkable
        require(x_low < x_high and y_low < y_high, self, "arena", "large enough to leave ground within its walls")
        reach = max(self.width, self.height)
        require(self.nest_radius <= reach, self, "nest_radius", f"<= {reach}, the size of the world")
        for name, low, high in (("nest_x", x_low, x_high), ("nest_y", y_low, y_high)):
            first, last = getattr(self, name)
            require(low <= first <= last <= high, self, name, f"an interval within [{low}, {high}], the walkable area")

    def _check_walls(self) -> None:
        x_min, x_max, y_min, y_max = self.arena
        for left, right, low, high in self.obstacles:
            is_inside = x_min <= left <= right <= x_max and y_min <= low <= high <= y_max
            rule = f"rectangles x_min <= x_max, y_min <= y_max inside the arena {self.arena}"
            require(is_inside, self, "obstacles", rule)
            is_beside_nest = right < self.nest_x[0] or left > self.nest_x[1]
            is_off_nest = is_beside_nest or high < self.nest_y[0] or low > self.nest_y[1]
            rule = f"off all nest centres, x in {self.nest_x} and y in {self.nest_y}"
            require(is_off_nest, self, "obstacles", rule)
        columns, rows = self.maze
        require((columns > 0) == (rows > 0) and min(self.maze) >= 0, self, "maze", "(0, 0), or two numbers >= 1")
        if columns > 0:
            most = tuple((high - low) // (MIN_CORRIDOR + 1) for low, high in ((x_min, x_max), (y_min, y_max)))
            is_wide = columns <= most[0] and rows <= most[1]
            require(is_wide, self, "maze", f"at most {most} cells, so that corridors have {MIN_CORRIDOR} patches")
            # Else the outermost corridors, and what is reached through them alone, would be out of bounds.
            spacing = min((x_max - x_min) // columns, (y_max - y_min) // rows)
            require(
                self.wall_margin < spacing,
                self,
                "wall_margin",
                f"< {spacing}, so that ants can walk the outermost corridors",
            )
            is_alone = self.has_border and not self.obstacles
            require(is_alone, self, "maze", "(0, 0) in a world without border or with obstacles")

    def _check_food(self) -> None:
        x_min, x_max, y_min, y_max = self.arena
        edge = 1 if self.has_border else 0
        for x, y in self.piles:
            is_inside = x_min + edge <= x <= x_max - edge and y_min + edge <= y <= y_max - edge
            require(is_inside, self, "piles", f"inside the arena {self.arena}")
            nest_x, nest_y = (min(max(c, low), high) for c, (low, high) in ((x, self.nest_x), (y, self.nest_y)))
            is_apart = math.hypot(x - nest_x, y - nest_y) >= self.pile_radius
            require(is_apart, self, "piles", f"away from all nest centres, x in {self.nest_x} and y in {self.nest_y}")
        low, high = self.scatter_range
        require(0.0 <= low <= high, self, "scatter_range", "two distances, the smaller one first")
        has_sites = bool(self.piles) or self.n_random_piles > 0
        require(self.growth_period == 0 or has_sites, self, "growth_period", "0 in a world without piles")
        if self.obstacles:
            pile = blocked_pile(self)
            require(pile is None, self, "piles", f"off the obstacles, but {pile} is on one")
            cut_off = cut_off_food(self)
            rule = f"walls that leave a way from every nest to all food, but there is none to {cut_off}"
            require(cut_off is None, self, "obstacles", rule)
        empty = next((pile for pile in self.piles if not self.pile_patches([pile])), None)
        rule = (
            f"where ants can walk, within {self.walkable}: no patch of {empty} with pile_radius={self.pile_radius} is"
        )
        require(empty is None, self, "piles", rule)
        if self.n_random_piles:
            is_far = self.random_pile_distance >= self.pile_radius
            require(is_far, self, "random_pile_distance", f">= pile_radius={self.pile_radius}")
            n_places, n_near = pile_candidates(self).sum(), math.pi * (self.random_pile_distance + 1.0) ** 2
            rule = f"so small that a pile of radius {self.pile_radius} has a place in the arena wherever the nest is"
            require(bool(n_places > n_near), self, "random_pile_distance", rule)
        if self.maze != (0, 0):
            require(self.n_scattered == 0, self, "n_scattered", "0 in a maze, whose walls are drawn per episode")
        if self.n_scattered == 0:
            return
        n_free = self._n_free_in_ring()
        rule = f"<= {n_free}, the free patches at a distance within {self.scatter_range} from {self.scatter_centre}"
        require(self.n_scattered <= n_free, self, "n_scattered", rule)

    def _n_free_in_ring(self) -> int:
        """Patches that can hold scattered food whatever the nest: in the ring, reachable, no pile, no nest centre."""
        is_ring = ring_patches(self) & ground(self)
        for x, y in self.pile_patches():
            is_ring[y, x] = False
        nest = np.s_[self.nest_y[0] : self.nest_y[1] + 1, self.nest_x[0] : self.nest_x[1] + 1]
        n_random = self.n_random_piles * len(disc(self.pile_radius))
        return max(0, int(is_ring.sum()) - n_random - bool(is_ring[nest].any()))

    @property
    def walkable(self) -> tuple[int, int, int, int]:
        """x_low, x_high, y_low, y_high to which ants are clamped after every tick; patches."""
        x_min, x_max, y_min, y_max = self.arena
        margin = self.wall_margin
        return x_min + margin, x_max - margin, y_min + margin, y_max - margin

    @property
    def has_walls_inside(self) -> bool:
        """Whether ants can meet walls within the walkable area."""
        return bool(self.obstacles) or self.maze != (0, 0)

    @property
    def n_ray_points(self) -> int:
        """Points of the visual ray, `ray_step` apart."""
        return math.floor(self.view / self.ray_step + 1e-9) + 1  # 0.3 / 0.1 is 2.9999…

    @property
    def n_sensors(self) -> int:
        """Columns of a binary or graded observation."""
        return len(SENSORS) if self.has_repellent else N_SENSORS

    @property
    def n_action_parts(self) -> int:
        """Columns of an action."""
        return N_ACTIONS + self.has_repellent

    @property
    def total_food(self) -> int:
        """Food units in the world at reset, without the random surplus (152 in the published test)."""
        return self.n_pile_patches * self.food_per_patch + self.n_scattered

    @property
    def n_pile_patches(self) -> int:
        """Patches of all piles, counted twice where random ones overlap."""
        return len(self.pile_patches()) + self.n_random_piles * len(disc(self.pile_radius))

    def pile_patches(self, piles: Sequence[tuple[int, int]] | None = None) -> set[tuple[int, int]]:
        """Patches (x, y) of some, or of all, piles at fixed places, as far as ants can walk there."""
        is_wall = fixed_walls(self)
        x_low, x_high, y_low, y_high = self.walkable
        return {
            (pile_x + dx, pile_y + dy)
            for pile_x, pile_y in (self.piles if piles is None else piles)
            for dx, dy in disc(self.pile_radius)
            if x_low <= pile_x + dx <= x_high
            and y_low <= pile_y + dy <= y_high
            and not is_wall[pile_y + dy, pile_x + dx]
        }


_NOT_NEGATIVE = (
    "departure_interval",
    "n_random_piles",
    "pile_radius",
    "food_per_patch",
    "food_surplus",
    "n_scattered",
    "crawl_period",
    "growth_period",
    "rot_period",
    "speed",
    "turn_deg",
    "view",
    "deposit",
    "repellent_deposit",
)
_REWARDS = (
    "food_gain",
    "pick_up_gain",
    "move_cost",
    "turn_cost",
    "deposit_cost",
    "tick_cost",
    "wall_cost",
    "finish_bonus",
)
_HIGHEST = (
    ("n_ants", 10**6),
    ("n_ticks", 10**9),
    ("departure_interval", 10**9),
    ("pheromone_period", 10**9),
    ("crawl_period", 10**9),
    ("growth_period", 10**9),
    ("rot_period", 10**9),
    ("random_pile_distance", 10**5),
    ("deposit", 10**12),
    ("repellent_deposit", 10**12),
    ("width", 10**4),
    ("height", 10**4),
    ("nest_radius", 10**4),
    ("pile_radius", 10**3),
    ("n_random_piles", 10**3),
    ("food_per_patch", 10**6),
    ("food_surplus", 10**6),
    ("speed", 10**4),
    ("turn_deg", 10**4),
    ("view", 10**4),
    ("ray_step", 10**4),
)


def tick_constants(config: ForagingConfig) -> TickConstants:
    """Constants of the compiled tick from a config."""
    x_low, x_high, y_low, y_high = (float(edge) for edge in config.walkable)
    x_min, x_max, y_min, y_max = config.arena
    points = np.array(config.smell_points, dtype=np.float64).reshape(-1, 2)
    return TickConstants(
        observation={"binary": BINARY, "graded": GRADED, "egocentric": EGOCENTRIC}[config.observation],
        is_continuous=config.action == "continuous",
        departure_interval=config.departure_interval,
        speed=config.speed,
        n_substeps=max(1, math.ceil(2.0 * config.speed)),  # at most half a patch each: no wall is jumped over
        turn_deg=config.turn_deg,
        n_ray_points=config.n_ray_points,
        ray_step=config.ray_step,
        smell_angles=np.ascontiguousarray(points[:, 0]),
        smell_distances=np.ascontiguousarray(points[:, 1]),
        smell_scale=config.smell_scale,
        diagonal=math.hypot(x_max - x_min, y_max - y_min),
        has_obstacles=config.has_walls_inside,
        has_pheromone_sense=config.has_pheromone_sense,
        has_pheromone_deposit=config.has_pheromone_deposit,
        pheromone_period=config.pheromone_period,
        deposit=config.deposit,
        diffusion=config.diffusion,
        evaporation=config.evaporation,
        has_repellent=config.has_repellent,
        repellent_deposit=config.repellent_deposit,
        repellent_diffusion=config.repellent_diffusion,
        repellent_evaporation=config.repellent_evaporation,
        crawl_period=config.crawl_period,
        growth_period=config.growth_period,
        rot_period=config.rot_period,
        pile_capacity=config.food_per_patch + config.food_surplus,
        x_min=x_min,
        x_max=x_max,
        y_min=y_min,
        y_max=y_max,
        x_low=x_low,
        x_high=x_high,
        y_low=y_low,
        y_high=y_high,
    )
