"""Ants that know where the food and the nest are: what a perfect memory would be worth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from envs.foraging import AntForagingEnv
from envs.types import LEFT, MOVE, RIGHT, TURN, WALL, FloatArray, ForagingState, IntArray
from envs.walls import OUT_OF_REACH, steps_to

_MOST_WAYS = 200


class OracleAnts:
    """Each ant walks to the nearest unit that no other ant is on its way to, and back; round walls on shortest ways.

    It reads the state of the world, not the observation, and deposits nothing.

    Parameters
    ----------
    env : reset
    """

    def __init__(self, env: AntForagingEnv) -> None:
        self._env = env
        self._target = np.full(env.config.n_ants, -1, dtype=np.int64)  # flat index of a patch, -1 = none
        self._ways: dict[int, IntArray] = {}  # steps to a patch from everywhere, in worlds with walls inside

    def act(self, obs: Any) -> Any:
        """(n_ants, n_parts) codes or numbers; `obs` is not looked at."""
        state = self._env.state
        if state is None:
            raise ResetNeeded("the oracle was asked before the first reset. Call env.reset() first.")
        self._choose_targets(state)
        goal_x, goal_y = self._goals(state)
        config = self._env.config
        bearing = np.degrees(np.arctan2(goal_x - state.x, goal_y - state.y)) - state.heading
        bearing = (bearing + 180.0) % 360.0 - 180.0
        has_goal = state.is_carrying | (self._target >= 0)
        turn = np.clip(bearing / max(config.turn_deg, 1e-9), -1.0, 1.0)
        actions = np.zeros((config.n_ants, config.n_action_parts))
        # Walking in a wide circle would miss the goal: turn on the spot until it is nearly ahead.
        left_over = np.abs(bearing) - np.abs(turn) * config.turn_deg
        actions[:, MOVE] = has_goal & (left_over < 30.0)
        if config.action == "continuous":
            actions[:, TURN] = turn * has_goal
            return actions
        actions[:, TURN] = np.where(np.abs(turn) > 0.5, np.where(turn > 0, RIGHT, LEFT), 0) * has_goal
        return actions.astype(np.int64)

    def _choose_targets(self, state: ForagingState) -> None:
        """Give every empty-handed ant without a target the nearest unclaimed unit."""
        units = state.food.ravel().copy()
        has_target = self._target >= 0
        has_target &= ~state.is_carrying
        has_target[has_target] = units[self._target[has_target]] > 0
        self._target[~has_target] = -1
        np.subtract.at(units, self._target[has_target], 1)
        sites = np.flatnonzero(units > 0)
        rows, columns = np.divmod(sites, state.food.shape[1])
        for ant in np.flatnonzero(~has_target & ~state.is_carrying):
            is_left = units[sites] > 0
            if not is_left.any():
                return
            distance = np.where(is_left, np.hypot(columns - state.x[ant], rows - state.y[ant]), np.inf)
            nearest = int(np.argmin(distance))
            self._target[ant] = sites[nearest]
            units[sites[nearest]] -= 1

    def _goals(self, state: ForagingState) -> tuple[FloatArray, FloatArray]:
        """Point (x, y) that each ant walks to now."""
        width = state.food.shape[1]
        nest = int(state.nest[1]) * width + int(state.nest[0])
        goals = np.where(state.is_carrying, nest, self._target)
        if not self._env.config.has_walls_inside:
            goal_y, goal_x = np.divmod(goals, width)
            return goal_x.astype(np.float64), goal_y.astype(np.float64)
        goal_x, goal_y = state.x.copy(), state.y.copy()
        for ant in np.flatnonzero(goals >= 0):
            goal_x[ant], goal_y[ant] = self._next_place(state, int(goals[ant]), state.x[ant], state.y[ant])
        return goal_x, goal_y

    def _next_place(self, state: ForagingState, goal: int, x: float, y: float) -> tuple[float, float]:
        """The next patch on a shortest way to a patch."""
        if goal not in self._ways:
            if len(self._ways) >= _MOST_WAYS:  # food that crawls has ever new places
                self._ways.clear()
            x_low, x_high, y_low, y_high = self._env.config.walkable
            is_free = np.zeros(state.objects.shape, dtype=np.bool_)
            is_free[y_low : y_high + 1, x_low : x_high + 1] = True
            self._ways[goal] = steps_to(divmod(goal, state.food.shape[1]), is_free & (state.objects != WALL))
        steps = self._ways[goal]
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        near = [(row + dy, column + dx) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        # Indices are those of the padded grid, whose rim is out of reach; not across corners.
        near = [
            (r, c) for r, c in near if steps[r + 1, c + 1] < OUT_OF_REACH and steps[r + 1, column + 1] < OUT_OF_REACH
        ]

        def rank(place: tuple[int, int]) -> tuple[int, float]:
            return int(steps[place[0] + 1, place[1] + 1]), math.hypot(place[0] - y, place[1] - x)

        best = min(near, key=rank, default=(row, column))
        return float(best[1]), float(best[0])
