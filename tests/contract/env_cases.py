"""Helpers of the environment tests: actions, scripted ants, and records of episodes that can be compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

import envs  # noqa: F401  (registers the environments)
from envs.presets import make_config

TURN, MOVE, DEPOSIT = range(3)
STRAIGHT, LEFT, RIGHT = range(3)
SMELL, PICKED_UP, NEST_SCENT, ON_NEST = slice(2, 5), 6, slice(7, 10), 10


@dataclass(frozen=True)
class Case:
    """An environment under test: what `gymnasium.make` is called with."""

    name: str
    id: str
    settings: dict[str, Any] = field(default_factory=dict)

    def make(self, **settings):
        return gymnasium.make(self.id, **(self.settings | settings))

    def bare(self, **settings):
        """The environment without Gymnasium's wrappers."""
        return self.make(**settings).unwrapped

    @property
    def is_continuous(self):
        return make_config(**self.settings).action == "continuous"


def actions_of(env, seed, n):
    """Random actions that differ from ant to ant and tick to tick, from a generator of their own."""
    space, rng = env.action_space, np.random.default_rng(seed)
    if not isinstance(space, gymnasium.spaces.Box):
        return rng.integers(0, space.nvec, size=(n, *space.shape))
    low, high = np.where(space.low < 0, -1.2, -0.2), space.high  # a share of all values is exactly 0 or the lowest
    return np.clip(rng.uniform(low, high, size=(n, *space.shape)), space.low, high).astype(space.dtype)


def whole_actions_of(env, seed, n):
    """The same without fractions."""
    return np.rint(actions_of(env, seed, n)).astype(env.action_space.dtype)


def play(env, seed, n=40, actions_of=actions_of):
    """All that `n` random ticks of an episode return, as one value that can be compared."""
    obs, info = env.reset(seed=seed)
    return [(bytes_of(obs), info)] + [step_record(env, action) for action in actions_of(env, seed, n)]


def step_record(env, action):
    obs, *rest = env.step(action)
    return (bytes_of(obs), *rest)


def parts_of(obs):
    return obs if isinstance(obs, dict) else {"": obs}


def bytes_of(obs):
    return b"".join(values.tobytes() for values in parts_of(obs).values())


def state_hash(env):
    """Digest of all arrays of the world and of the generator."""
    digest = hashlib.sha256(repr(env.np_random.bit_generator.state).encode())
    for values in env.state:
        digest.update(values.tobytes())
    return digest.hexdigest()


def stay(env):
    return np.zeros(env.action_space.shape, dtype=np.int64)


def forage(env):
    """A scripted colony that knows the map: free ants walk to the nearest food, loaded ants to the nest."""
    state, actions = env.state, stay(env)
    right, left = (1, -1) if env.config.action == "continuous" else (RIGHT, LEFT)
    food, nest = (np.argwhere(grid)[:, ::-1].astype(float) for grid in (state.food > 0, state.is_nest))
    for ant, here in enumerate(np.stack([state.x, state.y], axis=1)):
        goals = nest if state.is_carrying[ant] else food
        if goals.size == 0:
            continue
        dx, dy = goals[((goals - here) ** 2).sum(axis=1).argmin()] - here
        error = (np.degrees(np.arctan2(dx, dy)) - state.heading[ant] + 180.0) % 360.0 - 180.0
        actions[ant, :3] = (right if error > 3 else left if error < -3 else STRAIGHT, abs(error) < 12, 1)
    return actions


def published_fitness(info, n_ticks):
    """The fitness formula of the paper, from the events the environment reports."""
    fitness = 220 * info["food"] + 1.5 * info["pick_ups"] - 0.25 * info["moves"] - 0.02 * info["turns"]
    fitness -= 0.05 * info["deposits"] + 0.5 * info["ticks"] + 5.5 * info["wall_contacts"]
    return fitness + (30 * (n_ticks - info["finish_tick"]) if info["finish_tick"] >= 0 else 0)


def food_units(env, info):
    """Units on the ground, carried, laid down in the nest but not yet credited, and credited."""
    state = env.state
    is_pending = (state.nest_mark > state.food_mark) & (state.food_mark > 0)
    return state.food.sum() + state.is_carrying.sum() + is_pending.sum() + info["food"]


# Actions that must be refused: maker from the shape of the action space, and the message


def with_value(value, part, dtype=np.int64):
    """Maker of an action whose last ant has one wrong entry."""

    def make(shape):
        action = np.zeros(shape, dtype=dtype)
        action[-1, part] = value
        return action

    return make


BAD_SHAPES = {
    "one ant too few": (lambda shape: np.zeros((shape[0] - 1, shape[1]), dtype=int), "action has shape"),
    "one ant too many": (lambda shape: np.zeros((shape[0] + 1, shape[1]), dtype=int), "action has shape"),
    "two parts": (lambda shape: np.zeros((shape[0], 2), dtype=int), "action has shape"),
    "transposed": (lambda shape: np.zeros(shape[::-1], dtype=int), "action has shape"),
    "flat": (lambda shape: np.zeros(shape[0] * shape[1], dtype=int), r"action has shape .* expected \(n_ants, [34]\)"),
    "extra axis": (lambda shape: np.zeros((1, *shape), dtype=int), "action has shape"),
    "a number": (lambda shape: 0, r"action has shape \(\)"),
    "nothing": (lambda shape: None, r"action has shape \(\)"),
}
BAD_TYPES = {
    "bool": (lambda shape: np.zeros(shape, dtype=bool), "action has dtype bool, expected (integers|numbers)"),
    "object": (lambda shape: np.zeros(shape, dtype=object), "action has dtype object, expected"),
    "text": (lambda shape: np.full(shape, "0"), "action has dtype <U1, expected"),
    "complex": (lambda shape: np.zeros(shape, dtype=complex), "action has dtype complex128, expected"),
}
NOT_DISCRETE = {
    "float": (np.zeros, "action has dtype float64, expected integers"),
    "not a number": (lambda shape: np.full(shape, np.nan), "action has dtype float64, expected integers"),
    "negative turn": (with_value(-1, TURN), r"turn=-1 is outside 0 … 2"),
    "large turn": (with_value(3, TURN), r"turn=3 is outside 0 … 2"),
    "negative move": (with_value(-1, MOVE), r"move=-1 is outside 0 … 1"),
    "large move": (with_value(2, MOVE), r"move=2 is outside 0 … 1"),
    "negative deposit": (with_value(-128, DEPOSIT, np.int8), r"deposit=-128 is outside 0 … 1"),
    "large deposit": (with_value(2, DEPOSIT, np.uint8), r"deposit=2 is outside 0 … 1"),
    "huge unsigned": (with_value(2**64 - 1, MOVE, np.uint64), r"move=18446744073709551615 is outside 0 … 1"),
    "2 to the 32": (with_value(2**32, MOVE), r"move=4294967296 is outside 0 … 1"),
}
NOT_CONTINUOUS = {
    "not a number": (with_value(np.nan, DEPOSIT, float), r"deposit=nan is outside 0.0 … 1.0"),
    "infinite": (with_value(-np.inf, TURN, float), r"turn=-inf is outside -1.0 … 1.0"),
    "large turn": (with_value(1.5, TURN, np.float32), r"turn=1.5 is outside -1.0 … 1.0"),
    "negative move": (with_value(-0.25, MOVE, float), r"move=-0.25 is outside 0.0 … 1.0"),
    "large code": (with_value(2, TURN), r"turn=2 is outside -1.0 … 1.0"),
}


def bad_actions(case):
    return BAD_SHAPES | BAD_TYPES | (NOT_CONTINUOUS if case.is_continuous else NOT_DISCRETE)
