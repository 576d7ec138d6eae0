"""The published world in plain NumPy, all ants at once, written from its rules and not from the kernels.

A peer for the benchmark, and a second implementation for the tests. Grids have a margin, so that no index needs a
check; sine and cosine come from tables of the C library, since NumPy's own may differ in the last digit, and ants often
look exactly at the edge between two patches.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.config import ForagingConfig
from envs.types import ACTIONS, OBSERVATIONS, WALL, FloatArray, ForagingState, IntArray

# The settings that are more than numbers: as published.
_FIXED = {
    "observation": OBSERVATIONS[0],
    "action": ACTIONS[0],
    "departure_interval": 0,
    "has_border": True,
    "wall_margin": 2,
    "obstacles": (),
    "maze": (0, 0),
    "crawl_period": 0,
    "growth_period": 0,
    "rot_period": 0,
    "speed": 1.0,
    "has_pheromone_sense": True,
    "has_pheromone_deposit": True,
    "has_repellent": False,
    "pheromone_bits": 64,
}
# Whole degrees from -45 to 404: a heading, and 45 to either side of it.
_FIRST_DEGREE = -45
_SINES = np.array([math.sin(math.radians(degrees)) for degrees in range(_FIRST_DEGREE, 405)])
_COSINES = np.array([math.cos(math.radians(degrees)) for degrees in range(_FIRST_DEGREE, 405)])
_SIDES = np.array([[-45], [0], [45]]) - _FIRST_DEGREE  # left, middle, right, as indices beside a heading
_TINY = 1e-100  # pheromone that is not above it becomes 0
_MASK = 2**64 - 1


class NumpyWorld:
    """One colony in the published world; the rules are those of `envs.foraging.AntForagingEnv`.

    Parameters
    ----------
    state : fresh, from `envs.generators.initial_state`; it is copied
    config : the published world with other numbers, e.g. of ants and food

    Raises
    ------
    ValueError : settings that widen the published world, or turns that are no whole degrees.
    """

    def __init__(self, state: ForagingState, config: ForagingConfig) -> None:
        odd = [name for name, value in _FIXED.items() if getattr(config, name) != value]
        if odd or config.turn_deg % 1.0:
            raise ValueError(f"NumpyWorld knows the published world only, but {odd or ['turn_deg']} differ from it.")
        self.config = config
        self.n_ants = config.n_ants
        self.x, self.y = state.x.copy(), state.y.copy()
        self.heading = state.heading.astype(np.int64)
        self._turns = np.array([0, -int(config.turn_deg), int(config.turn_deg)])
        self._is_carrying = np.zeros(self.n_ants, dtype=np.bool_)
        self._food_mark, self._nest_mark = np.zeros((2, self.n_ants), dtype=np.int64)
        self._order = list(range(self.n_ants))
        self._random = int(state.random[0])

        self._ray = np.arange(1, math.floor(config.view / config.ray_step + 1e-9) + 2)[:, np.newaxis]
        self._margin = math.ceil(config.ray_step * len(self._ray)) + 1
        self._n_columns = config.width + 2 * self._margin
        self._objects = self._with_margin(state.objects, WALL)
        self._food = self._with_margin(state.food, 0)
        self._is_nest = self._with_margin(state.is_nest, False)
        self._scent = self._with_margin(state.nest_scent, 0.0)
        self._smell = self._with_margin(state.pheromone, 0.0)
        self._prepare_diffusion()

        self.ticks, self.finish_tick = 0, -1
        self._returns = self._pick_ups = self._moves = self._n_turns = self._deposits = self._wall_contacts = 0
        self.obs = np.zeros((self.n_ants, 11), dtype=np.int8)
        self._sense()
        self._touch()
        self._fitness = self.fitness()

    @property
    def food(self) -> IntArray:
        """(height, width) units on the ground, a view."""
        return self._inner(self._food)

    @property
    def pheromone(self) -> FloatArray:
        """(height, width), a view."""
        return self._inner(self._smell)

    def step(self, actions: IntArray) -> tuple[NDArray[np.int8], float, bool, bool]:
        """Advance the world by one tick.

        Parameters
        ----------
        actions : (n_ants, 3) turn, move, deposit; not checked

        Returns
        -------
        obs, reward, terminated, truncated
        """
        self._act(actions)
        if self.ticks % self.config.pheromone_period == 0:
            if not self._is_carrying.any() and not self._food.any():
                self.finish_tick = self.ticks
            else:
                self._diffuse_and_evaporate()
        x_low, x_high, y_low, y_high = self.config.walkable
        np.clip(self.x, x_low, x_high, out=self.x)
        np.clip(self.y, y_low, y_high, out=self.y)
        self.ticks += 1
        self._sense()
        self._touch()
        previous, self._fitness = self._fitness, self.fitness()
        is_finished = self.finish_tick >= 0
        is_out_of_time = not is_finished and self.ticks >= self.config.n_ticks
        return self.obs.copy(), self._fitness - previous, is_finished, is_out_of_time

    def fitness(self) -> float:
        """Of the colony, since the start."""
        c = self.config
        gains = c.food_gain * self._returns + c.pick_up_gain * self._pick_ups
        costs = c.move_cost * self._moves + c.turn_cost * self._n_turns + c.deposit_cost * self._deposits
        costs += c.tick_cost * self.ticks + c.wall_cost * self._wall_contacts
        bonus = c.finish_bonus * (c.n_ticks - self.finish_tick) if self.finish_tick >= 0 else 0.0
        return gains - costs + bonus

    def measures(self) -> dict[str, Any]:
        """What the episode has come to, under the names of the environment's `info`."""
        return {
            "food": self._returns,
            "pick_ups": self._pick_ups,
            "moves": self._moves,
            "turns": self._n_turns,
            "deposits": self._deposits,
            "wall_contacts": self._wall_contacts,
            "ticks": self.ticks,
            "finish_tick": self.finish_tick,
            "fitness": self.fitness(),
        }

    def _act(self, actions: IntArray) -> None:
        """Turn, walk, deposit; then credit the food that reached the nest."""
        turn, is_moving, is_depositing = actions[:, 0], actions[:, 1] > 0, actions[:, 2] > 0
        self.heading += self._turns[turn]
        self.heading %= 360
        self.x += is_moving * _SINES[self.heading - _FIRST_DEGREE]
        self.y += is_moving * _COSINES[self.heading - _FIRST_DEGREE]
        patches = self._patch(self.x[is_depositing], self.y[is_depositing])
        np.add.at(self._smell.ravel(), patches, self.config.deposit)  # several ants may share a patch
        is_back = (self._nest_mark > self._food_mark) & (self._food_mark > 0)
        self._food_mark[is_back] = self._nest_mark[is_back] = 0
        self._n_turns += int(np.count_nonzero(turn))
        self._moves += int(np.count_nonzero(is_moving))
        self._deposits += len(patches)
        self._returns += int(np.count_nonzero(is_back))

    def _sense(self) -> None:
        """Sensors at a distance: what the ray meets, and three-way comparisons of smell and scent."""
        directions = self.heading + _SIDES
        sines, cosines = _SINES[directions], _COSINES[directions]
        ray = self._ray
        step = self.config.ray_step
        on_ray = self._patch(self.x + ray * (step * sines[1]), self.y + ray * (step * cosines[1]))
        met = self._objects.ravel()[on_ray]
        seen = met[(met != 0).argmax(axis=0), np.arange(self.n_ants)]
        self.obs[:, 0] = seen == WALL
        self.obs[:, 1] = seen > WALL
        ahead = self._patch(self.x + sines[1] + sines, self.y + cosines[1] + cosines)
        for field, first in ((self._smell, 2), (self._scent, 7)):
            left, middle, right = field.ravel()[ahead]
            is_left, is_right = (left > middle) & (left > right), (right > middle) & (right > left)
            self.obs[:, first] = is_left
            self.obs[:, first + 1] = ~(is_left | is_right)
            self.obs[:, first + 2] = is_right

    def _touch(self) -> None:
        """Reflexes: pain on a wall, drop at the nest, pick up food in the order of the shuffled ants."""
        self._shuffle()
        patches = self._patch(self.x, self.y)
        is_on_wall, is_home = self._objects.ravel()[patches] == WALL, self._is_nest.ravel()[patches]
        self.obs[:, 5] = is_on_wall
        self.obs[:, 6] = 0
        self.obs[:, 10] = is_home
        self._wall_contacts += int(np.count_nonzero(is_on_wall))
        self._is_carrying &= ~is_home
        self._nest_mark[is_home] = self.ticks
        food = self._food.ravel()
        can_take = (food[patches] > 0) & ~is_home & ~self._is_carrying
        if not can_take.any():
            return
        for ant in self._order:
            patch = patches[ant]
            if can_take[ant] and food[patch] > 0:
                food[patch] -= 1
                if food[patch] == 0:
                    self._objects.ravel()[patch] = 0
                self._is_carrying[ant] = True
                self._food_mark[ant] = self.ticks
                self.obs[ant, 6] = 1
                self._pick_ups += 1

    def _shuffle(self) -> None:
        """Fisher-Yates with SplitMix64, whose n-th number is a function of seed + n × constant: drawn all at once."""
        sizes = np.arange(self.n_ants, 1, -1, dtype=np.uint64)
        step = 0x9E3779B97F4A7C15
        bits = np.uint64(self._random) + np.arange(1, self.n_ants, dtype=np.uint64) * np.uint64(step)
        self._random = (self._random + step * (self.n_ants - 1)) & _MASK
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
        order = self._order
        for i, j in zip(range(self.n_ants - 1, 0, -1), (bits % sizes).tolist(), strict=True):
            order[i], order[j] = order[j], order[i]

    def _prepare_diffusion(self) -> None:
        """Constant coefficients and buffers: what a patch keeps, and what it gets of each neighbour's content."""
        c = self.config
        columns, rows = (
            np.minimum(1, np.arange(n)) + np.minimum(1, np.arange(n)[::-1]) + 1 for n in (c.width, c.height)
        )
        n_neighbours = np.outer(rows, columns) - 1
        x_min, x_max, y_min, y_max = c.arena
        stays = np.ones((c.height, c.width))
        stays[y_min : y_max + 1, x_min : x_max + 1] = 1.0 - c.evaporation
        self._keep, self._get = stays * (1.0 - c.diffusion / 8.0 * n_neighbours), stays * (c.diffusion / 8.0)
        self._pair, self._column = np.empty((2, c.height, c.width + 2))
        self._near, self._is_kept = np.empty((c.height, c.width)), np.empty((c.height, c.width), dtype=np.bool_)

    def _diffuse_and_evaporate(self) -> None:
        """Every patch gives a share to its eight neighbours, what has none stays; then the arena loses a part."""
        edge = self._margin - 1
        field, here = self._smell[edge:-edge, edge:-edge], self.pheromone
        pair, column, near = self._pair, self._column, self._near
        np.add(field[:-2], field[2:], out=pair)
        np.add(pair, field[1:-1], out=column)
        np.add(column[:, :-2], column[:, 2:], out=near)
        near += pair[:, 1:-1]
        near *= self._get
        here *= self._keep
        here += near
        np.greater(here, _TINY, out=self._is_kept)
        here *= self._is_kept

    def _patch(self, x: FloatArray, y: FloatArray) -> IntArray:
        """Flat index of the nearest patch in a grid with margin."""
        columns, rows = np.floor(x + 0.5).astype(np.int64), np.floor(y + 0.5).astype(np.int64)
        return (rows + self._margin) * self._n_columns + (columns + self._margin)

    def _with_margin(self, grid: NDArray[Any], outside: Any) -> NDArray[Any]:
        return np.pad(grid, self._margin, constant_values=outside)

    def _inner(self, grid: NDArray[Any]) -> NDArray[Any]:
        margin = self._margin
        return grid[margin:-margin, margin:-margin]
