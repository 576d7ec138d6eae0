"""Colonies without a brain, with the same call as one: ``policy.act(obs) -> actions``.

`random`, `reactive` (a few rules on the published sensors and motors), `rule` (the ants of the NetLogo Ants model, in a
body that can do what those rules ask for) and `oracle` (knows the world). A policy remembers its episode: make a new
one after each reset.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import numpy as np

from envs.config import ForagingConfig
from envs.oracle import OracleAnts
from envs.presets import nearest_name
from envs.types import (
    ACTION_SIZES,
    DEPOSIT,
    FOOD_AHEAD,
    LEFT,
    MOVE,
    NEST_LEFT,
    ON_NEST,
    REWARD,
    RIGHT,
    SMELL_LEFT,
    STRAIGHT,
    TURN,
    WALL_AHEAD,
    ForagingState,
    IntArray,
)

POLICIES = ("random", "reactive", "rule", "oracle")
# Rules of the NetLogo Ants model (Wilensky 1997), from its description: pheromone that is followed, degrees.
_WEAKEST_SCENT, _STRONGEST_SCENT = 0.05, 2.0
_WIGGLE_DEG, _FOLLOW_DEG = 40, 45.0


class Policy(Protocol):
    """Anything that steers a colony."""

    def act(self, obs: Any) -> Any:
        """Actions of all ants for one tick."""
        ...


def policy_settings(name: str) -> dict[str, Any]:
    """World settings a policy needs on top of a preset; for "rule" its eyes, nose, turns and pheromone.

    The preset "published_rules" has them already: there the rules reproduce the published benchmark of rule-based ants.

    Raises
    ------
    ValueError : unknown policy; the nearest name is offered.
    """
    if name not in POLICIES:
        raise ValueError(f"unknown policy {name!r}{nearest_name(name, POLICIES)}")
    if name == "rule":
        return {"observation": "egocentric", "action": "continuous", "turn_deg": 180.0, "pheromone_period": 1}
    return {}


def make_policy(name: str, env: Any, seed: int = 0) -> Policy:
    """A policy for a world that was just reset.

    Parameters
    ----------
    env : AntForagingEnv, also in wrappers

    Raises
    ------
    ValueError : unknown policy, or a world that does not offer what the policy needs (see `policy_settings`).
    """
    env = env.unwrapped
    if name == "random":
        return RandomAnts(env.config, seed)
    if name == "reactive":
        return ReactiveAnts(env.config, seed)
    if name == "rule":
        return RuleAnts(env.config, seed)
    if name == "oracle":
        return OracleAnts(env)
    raise ValueError(f"unknown policy {name!r}{nearest_name(name, POLICIES)}")


class RandomAnts:
    """Every action of every ant drawn anew, uniform in the action space."""

    def __init__(self, config: ForagingConfig, seed: int = 0) -> None:
        self._shape = (config.n_ants, config.n_action_parts)
        self._is_discrete = config.action == "discrete"
        self._rng = np.random.default_rng(seed)

    def act(self, obs: Any) -> Any:
        """(n_ants, n_parts) codes or numbers; `obs` is not looked at."""
        high = np.array(ACTION_SIZES[: self._shape[1]])
        if self._is_discrete:
            return self._rng.integers(0, high, self._shape)
        actions = self._rng.random(self._shape)
        actions[:, TURN] = 2.0 * actions[:, TURN] - 1.0
        return actions


class ReactiveAnts:
    """A few rules on the 11 published sensors and the published motors; an ant remembers only whether it is loaded.

    Loaded: climb the nest scent, turning on the spot, and deposit. Else: go straight for food in sight, or follow the
    smell in three of ten ticks. An ant that has no reason to turn, turns away from walls and keeps a drift that changes
    at random; a loaded one too, since an ant that walks straight away from the nest smells nothing to turn to.

    Raises
    ------
    ValueError : a world without the published sensors and motors.
    """

    def __init__(self, config: ForagingConfig, seed: int = 0) -> None:
        if config.observation != "binary" or config.action != "discrete":
            raise ValueError(
                f"reactive ants need observation='binary' and action='discrete', not {config.observation!r} and "
                f"{config.action!r}."
            )
        self._rng = np.random.default_rng(seed)
        self._is_loaded = np.zeros(config.n_ants, dtype=np.bool_)
        self._drift = np.zeros(config.n_ants, dtype=np.int64)  # STRAIGHT, LEFT or RIGHT
        self._n_parts = config.n_action_parts

    def act(self, obs: Any) -> IntArray:
        """(n_ants, n_parts) int64 from (n_ants, n_sensors) of 0 and 1."""
        senses = np.asarray(obs, dtype=np.bool_)
        n_ants = len(senses)
        is_loaded = self._is_loaded = (self._is_loaded | senses[:, REWARD]) & ~senses[:, ON_NEST]
        is_hunting = senses[:, FOOD_AHEAD] & ~is_loaded
        is_following = is_loaded | (self._rng.random(n_ants) < 0.3) & ~is_hunting
        left = np.where(is_loaded, NEST_LEFT, SMELL_LEFT)
        ants = np.arange(n_ants)
        is_left, is_right = senses[ants, left] & is_following, senses[ants, left + 2] & is_following
        turn = np.where(senses[:, WALL_AHEAD], RIGHT, np.where(is_hunting, STRAIGHT, self._drifted(n_ants)))
        turn = np.where(is_left, LEFT, np.where(is_right, RIGHT, turn))
        actions = np.zeros((n_ants, self._n_parts), dtype=np.int64)
        actions[:, TURN] = turn
        actions[:, MOVE] = ~(is_loaded & (is_left | is_right))
        actions[:, DEPOSIT] = is_loaded
        return actions

    def _drifted(self, n_ants: int) -> IntArray:
        """Drift of every ant, every tenth of which is drawn anew: straight for one half, else left or right."""
        fresh = self._rng.choice([STRAIGHT, LEFT, RIGHT], n_ants, p=[0.5, 0.25, 0.25])
        self._drift = np.where(self._rng.random(n_ants) < 0.1, fresh, self._drift)
        return self._drift


class RuleAnts:
    """The ants of the NetLogo Ants model (Wilensky 1997).

    An ant without food turns 45 degrees towards the strongest of three smells while the pheromone under it is between
    0.05 and 2; on food it turns round. An ant with food deposits and turns 45 degrees up the nest scent; at the nest it
    turns round. All wiggle by a difference of two whole numbers drawn from 0 … 39 degrees, turn round before a wall or
    the edge of the world, and take a step.

    Raises
    ------
    ValueError : a world without the senses and turns that the rules need.
    """

    def __init__(self, config: ForagingConfig, seed: int = 0) -> None:
        has_nose = config.smell_points[:4] == ((0.0, 0.0), (-45.0, 1.0), (0.0, 1.0), (45.0, 1.0))
        is_fit = config.observation == "egocentric" and config.action == "continuous" and config.turn_deg == 180.0
        if not (is_fit and has_nose):
            raise ValueError(
                "rule-based ants need observation='egocentric', action='continuous', turn_deg=180 and the default "
                "smell_points: AntForagingEnv(preset, **policy_settings('rule'))."
            )
        self._reach = (config.speed + 0.5) / config.ray_step  # points of the ray within a step
        if self._reach >= config.n_ray_points:
            raise ValueError(
                f"rule-based ants need to see farther than a step of speed={config.speed}, not view={config.view}: "
                "raise view, or lower speed."
            )
        self._rng = np.random.default_rng(seed)
        self._config = config
        self._was_loaded = np.zeros(config.n_ants, dtype=np.bool_)

    def act(self, obs: Any) -> Any:
        """(n_ants, n_parts) float64 from an egocentric observation."""
        n_ants = self._config.n_ants
        is_loaded = obs["contact"][:, 0] == 1
        is_at_food, has_dropped = obs["contact"][:, 1] == 1, self._was_loaded & ~is_loaded
        self._was_loaded = is_loaded
        smell = obs["pheromone"][:, :4].astype(np.float64)
        here = self._config.smell_scale * smell[:, 0] / np.maximum(1.0 - smell[:, 0], 1e-9)
        is_on_trail = (here >= _WEAKEST_SCENT) & (here < _STRONGEST_SCENT)
        bearing = np.degrees(np.arctan2(obs["nest"][:, 1], obs["nest"][:, 0]))
        # Beyond 22.5 degrees the scent at 45 degrees is stronger than ahead.
        homewards = np.where(np.abs(bearing) > _FOLLOW_DEG / 2, np.sign(bearing) * _FOLLOW_DEG, 0.0)
        turn = np.where(is_loaded, homewards, np.where(is_on_trail, _uphill(smell[:, 1:4]), 0.0))
        turn = np.where(is_at_food | has_dropped, 180.0, turn)
        turn += self._rng.integers(0, _WIGGLE_DEG, n_ants) - self._rng.integers(0, _WIGGLE_DEG, n_ants)
        turn = np.where(self._is_at_edge(obs["ahead"][:, 0]), 180.0, turn)
        actions = np.zeros((n_ants, self._config.n_action_parts))
        actions[:, TURN] = ((turn + 180.0) % 360.0 - 180.0) / 180.0
        actions[:, MOVE] = 1.0
        actions[:, DEPOSIT] = is_loaded
        return actions

    def _is_at_edge(self, nearness: Any) -> Any:
        """Whether a step straight ahead would touch a wall or the edge of the world."""
        return nearness > 1.0 - self._reach / self._config.n_ray_points


def _uphill(smells: Any) -> Any:
    """Degrees to turn towards the larger of (left, ahead, right), 0 unless a side exceeds ahead."""
    left, ahead, right = smells.T
    return np.where((right > ahead) | (left > ahead), np.where(right > left, _FOLLOW_DEG, -_FOLLOW_DEG), 0.0)


class Limit(NamedTuple):
    """What no colony can exceed."""

    food: int  # units in an episode of `n_ticks`
    ticks: int  # to bring everything home


def food_limit(state: ForagingState | None, config: ForagingConfig) -> Limit:
    """Physical limit of a world: ants that know everything, walk in straight lines and turn at once.

    A unit costs the way from the nest to its patch and back. An ant touches a patch when it is at most sqrt(1/2) from
    the centre, and the nest as far from its outermost patch, so a way is at least the distance of the centres, less
    the nest radius and sqrt(2). The first way of every ant begins at the nest centre, which only adds.

    Parameters
    ----------
    state : of a world that was just reset

    Returns
    -------
    Limit; `ticks` is 0 if ants cannot move, or if there is nothing to bring home

    Raises
    ------
    ValueError : a world before its first reset, or one in which food crawls or grows: it has no such limit.
    """
    if state is None:
        raise ValueError("food_limit needs the state of a world: call env.reset() first.")
    for name in ("crawl_period", "growth_period"):
        if getattr(config, name) > 0:
            raise ValueError(f"{name}={getattr(config, name)}: where food crawls or grows there is no such limit.")
    rows, columns = np.nonzero(state.food)
    ways = np.hypot(columns - state.nest[0], rows - state.nest[1]) - config.nest_radius - math.sqrt(2.0)
    ways = np.repeat(np.maximum(ways, 0.0), state.food[rows, columns])
    # Slower ants than this would not get anywhere in the longest episode.
    if config.speed < 1e-12 or not len(ways):
        return Limit(0, 0)
    trips = np.cumsum(np.sort(2.0 * ways / config.speed))
    food = int(np.searchsorted(trips, config.n_ants * config.n_ticks, side="right"))
    return Limit(food, math.ceil(trips[-1] / config.n_ants))
