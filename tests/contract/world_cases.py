"""Worlds, actions and records that the tests of all kinds of environments share."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from envs import PRESETS
from envs.foraging import AntForagingEnv
from envs.oracle import OracleAnts
from envs.types import ACTIONS, OBSERVATIONS

TURN, MOVE, DEPOSIT, DEPOSIT_REPELLENT = range(4)
STRAIGHT, LEFT, RIGHT = range(3)
INTERFACES = [(observation, action) for observation in OBSERVATIONS for action in ACTIONS]
PATTERNS = ("random", "straight", "deposit", "turn", "still", "forage")

every_preset = pytest.mark.parametrize("preset", PRESETS)
# Every preset once, the kinds of observations and actions in turn.
every_world = pytest.mark.parametrize(
    "world",
    [
        pytest.param(
            {"preset": preset, "observation": observation, "action": action}, id=f"{preset}-{observation}-{action}"
        )
        for preset, (observation, action) in zip(PRESETS, INTERFACES * len(PRESETS), strict=False)
    ],
)
# One nest, one unit of food next to it: ants that wander about end the episode.
SMALL = {
    "nest_x": (75, 75),
    "nest_y": (30, 30),
    "nest_radius": 4.5,
    "piles": ((80, 30),),
    "pile_radius": 1.0,
    "food_per_patch": 1,
    "n_scattered": 0,
    "n_ants": 30,
    "turn_deg": 60.0,
    "pheromone_period": 1,
}


@st.composite
def world_settings(draw) -> dict[str, Any]:
    """Settings that change any preset anywhere but in its map."""
    observation, action = draw(st.sampled_from(INTERFACES))
    settings: dict[str, Any] = {"observation": observation, "action": action}
    choices = {
        "n_ants": st.sampled_from([1, 4, 30]),
        "departure_interval": st.sampled_from([0, 1, 7]),
        "speed": st.sampled_from([0.0, 0.3, 2.0, 7.5]),
        "turn_deg": st.sampled_from([0.0, 33.0, 180.0, 400.0]),
        "view": st.sampled_from([0.0, 1.7, 30.0]),
        "nest_radius": st.sampled_from([0.5, 1.0, 4.5]),
        "food_per_patch": st.integers(0, 3),
        "food_surplus": st.integers(0, 2),
        "crawl_period": st.sampled_from([0, 1, 5]),
        "growth_period": st.sampled_from([0, 1, 4]),
        "rot_period": st.sampled_from([0, 1, 6]),
        "diffusion": st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0.0, 1.0),
        "evaporation": st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0),
        "pheromone_period": st.sampled_from([1, 2]),
        "has_pheromone_sense": st.booleans(),
        "has_pheromone_deposit": st.booleans(),
        "has_repellent": st.booleans(),
        "smell_scale": st.floats(1e-3, 1e6),
        "smell_points": st.sampled_from([((0.0, 0.0),), ((180.0, 30.0), (-90.0, 2.5))]),
    }
    for name in draw(st.sets(st.sampled_from(sorted(choices)), max_size=6)):
        settings[name] = draw(choices[name])
    return settings


# Actions


def random_actions(config, rng, n_ticks: int, *more: int):
    """(n_ticks, …, n_ants, n_parts) actions anywhere in the action space."""
    shape = (n_ticks, *more, config.n_ants, config.n_action_parts)
    if config.action == "discrete":
        return rng.integers(0, np.array([3, 2, 2, 2])[: shape[-1]], size=shape)
    actions = rng.uniform(0.0, 1.0, size=shape)
    actions[..., TURN] = 2.0 * actions[..., TURN] - 1.0
    return actions.astype(np.float32)


def in_words(codes, config):
    """Discrete codes as actions of the world's kind."""
    if config.action == "discrete":
        return codes
    actions = codes.astype(np.float32)
    actions[..., TURN] = np.array([0.0, -1.0, 1.0])[codes[..., TURN]]
    return actions


def make_actor(pattern: str, env, rng):
    """Function () -> actions of a colony that follows one of PATTERNS, for the episode that `env` is in."""
    config = env.config
    oracle = OracleAnts(env)

    def act():
        if pattern == "random":
            return random_actions(config, rng, 1)[0]
        if pattern == "forage":  # as well as one can, and depositing all the time
            action = oracle.act(None)
            action[:, DEPOSIT:] = 1
            return action
        codes = np.zeros((config.n_ants, config.n_action_parts), dtype=np.int64)
        if pattern == "straight":
            codes[:, MOVE:] = 1
        elif pattern == "deposit":
            codes[:, DEPOSIT:] = 1
        elif pattern == "turn":
            codes[:, TURN] = rng.integers(LEFT, RIGHT + 1)
            codes[:, DEPOSIT:] = rng.integers(0, 2)
        return in_words(codes, config)

    return act


# Records


def parts_of(obs) -> dict[str, Any]:
    """An observation of any kind as named arrays."""
    return obs if isinstance(obs, dict) else {"all": obs}


def same(a, b) -> bool:
    """Whether two results or states are equal to the last bit, types and order of keys included."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    a, b = np.asarray(a), np.asarray(b)
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def copied(state):
    """A state that later ticks leave alone."""
    return type(state)(*(array.copy() for array in state))


class Digest:
    """A hash of everything that an episode has returned and of the state behind it."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def add(self, env, obs, info, *results) -> None:
        for array in (*parts_of(obs).values(), *env.state):
            self.hash.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
        self.hash.update(f"{json.dumps(info)} {results}".encode())

    def __str__(self) -> str:
        return self.hash.hexdigest()


def episode_digest(env, seed: int, n_ticks: int = 40) -> str:
    """Hash of an episode of random actions; leaves `env` in it."""
    digest, rng = Digest(), np.random.default_rng(seed)
    digest.add(env, *env.reset(seed=seed))
    for action in random_actions(env.config, rng, n_ticks):
        obs, *results, info = env.step(action)
        digest.add(env, obs, info, *results)
    return str(digest)


def digest_of_world(world: dict[str, Any], seed: int) -> str:
    """Hash of an episode in a fresh environment."""
    return episode_digest(AntForagingEnv(**world), seed)


# Second implementations, in NumPy and plain Python


def diffused(field, share):
    """Every patch gives an eighth of `share` to each neighbour in the world."""
    height, width = field.shape
    received, n_near = np.zeros((height, width)), np.zeros((height, width))
    padded, world = np.pad(field, 1), np.pad(np.ones((height, width)), 1)
    for dy, dx in [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]:
        received += padded[dy : dy + height, dx : dx + width]
        n_near += world[dy : dy + height, dx : dx + width]
    return field * (1 - share * n_near / 8) + share / 8 * received


def deposited(field, state, old, action, config, part, amount, tick):
    """A field with the deposits of a tick: after turn and move, before the clamp; what falls off the world is lost."""
    field, height, width = field.astype(np.float64), *field.shape
    is_discrete = config.action == "discrete"
    for ant in range(config.n_ants):
        if ant * config.departure_interval > tick or action[ant, part] <= 0:
            continue
        x, y = state.x[ant], state.y[ant]
        if not config.has_walls_inside:  # among walls, a move stays inside the walkable area by itself
            turn = (0, -1, 1)[action[ant, TURN]] if is_discrete else float(action[ant, TURN])
            heading = (old.heading[ant] + turn * config.turn_deg) % 360.0
            step = float(action[ant, MOVE]) * config.speed
            x = old.x[ant] + step * math.sin(math.radians(heading))
            y = old.y[ant] + step * math.cos(math.radians(heading))
        column, row = math.floor(x + 0.5), math.floor(y + 0.5)
        if 0 <= row < height and 0 <= column < width:
            field[row, column] += amount * float(action[ant, part])
    return field


def units(state, info) -> int:
    """Food on the ground, carried, laid down in the nest but credited only by the next tick, credited, and rotted."""
    is_pending = (state.nest_mark > state.food_mark) & (state.food_mark > 0)
    return int(state.food.sum() + state.is_carrying.sum() + is_pending.sum()) + info["food"] + info["food_rotted"]


def fitness_of(info, config):
    """The published formula, from the events that the environment reports."""
    fitness = config.food_gain * info["food"] + config.pick_up_gain * info["pick_ups"]
    fitness -= config.move_cost * info["moves"] + config.turn_cost * info["turns"] + config.tick_cost * info["ticks"]
    fitness -= config.deposit_cost * info["deposits"] + config.wall_cost * info["wall_contacts"]
    has_earned = info["finish_tick"] >= 0 and info["food_placed"] > 0
    return fitness + (config.finish_bonus * (config.n_ticks - info["finish_tick"]) if has_earned else 0)


# Many colonies


def actions_of(many, n_ticks: int, seed: int = 0):
    """(n_ticks, n_colonies, n_ants, n_parts) random actions."""
    return random_actions(many.unwrapped.config, np.random.default_rng(seed), n_ticks, many.num_envs)


def colony(results, k: int):
    """Observation, remaining arrays and info of colony `k`, as the single environment returns them."""
    obs, *arrays, infos = results
    info = {name: values[k] for name, values in infos.items() if not name.startswith("_")}
    return {name: part[k] for name, part in parts_of(obs).items()}, [array[k] for array in arrays], info


def assert_colony(results, k: int, expected) -> None:
    obs, arrays, info = colony(results, k)
    assert same(obs, parts_of(expected[0]))
    assert [value.item() for value in arrays] == list(expected[1:-1])
    assert {name: value.item() for name, value in info.items()} == expected[-1]
    assert all(type(info[name].item()) is type(value) for name, value in expected[-1].items())
    assert all(results[-1][f"_{name}"][k] for name in info)


def assert_equal_to_singles(many, world, seed: int, n_ticks: int):
    """Bit for bit, also after the ends of episodes; returns how many were terminated and truncated."""
    singles = [AntForagingEnv(**world) for _ in range(many.num_envs)]
    results = many.reset(seed=seed)
    for k, env in enumerate(singles):
        assert_colony(results, k, env.reset(seed=seed + k))
        assert same(many.unwrapped.state(k), env.state)
    has_ended, n_ends = np.zeros(many.num_envs, dtype=bool), np.zeros(2, dtype=int)
    for action in actions_of(many, n_ticks, seed):
        results = many.step(action)
        assert [array.dtype for array in results[1:4]] == [np.float64, np.bool_, np.bool_]
        assert results[0] in many.observation_space
        for k, env in enumerate(singles):
            if has_ended[k]:
                obs, info = env.reset()
                expected = obs, 0.0, False, False, info
            else:
                expected = env.step(action[k])
            assert_colony(results, k, expected)
            assert same(many.unwrapped.state(k), env.state)
        has_ended = results[2] | results[3]
        n_ends += [results[2].sum(), results[3].sum()]
    return n_ends


# Worlds in a mirror, which exchanges left and right ("x"), up and down ("y"), or x and y ("diagonal")

MIRRORS = ("x", "y", "diagonal")


def reflected(x, y, mirror: str, width: int, height: int):
    """A point in the mirror of a world."""
    return {"x": (width - 1 - x, y), "y": (x, height - 1 - y), "diagonal": (y, x)}[mirror]


def mirrored_world(env, mirror: str) -> AntForagingEnv:
    """An environment in the state of another one seen in a mirror."""
    config = env.config
    size = config.width, config.height

    def flip(left, right, low, high):
        corners = reflected(left, low, mirror, *size), reflected(right, high, mirror, *size)
        (left, right), (low, high) = (sorted(pair) for pair in zip(*corners, strict=True))
        return left, right, low, high

    nest = flip(*config.nest_x, *config.nest_y)
    settings = dataclasses.asdict(config) | {
        "width": size[mirror == "diagonal"],
        "height": size[mirror != "diagonal"],
        "arena": flip(*config.arena),
        "obstacles": tuple(flip(*wall) for wall in config.obstacles),
        "piles": tuple(reflected(x, y, mirror, *size) for x, y in config.piles),
        "nest_x": nest[:2],
        "nest_y": nest[2:],
    }
    other = AntForagingEnv(**settings)
    other.reset(seed=0)
    others = {name: getattr(env.state, name) for name in ("obs", "features", "order", "random")}
    for name, array in (others | mirrored_state(env.state, mirror)).items():
        getattr(other.state, name)[:] = array
    return other


def mirrored_state(state, mirror: str) -> dict[str, Any]:
    """The arrays that a mirror changes, and those that it must not; without scratch and what is sensed."""
    height, width = state.food.shape
    rows, columns = np.divmod(state.pile_sites, width)
    columns, rows = reflected(columns, rows, mirror, width, height)
    x, y = reflected(state.x, state.y, mirror, width, height)
    same_arrays = {name: getattr(state, name) for name in ("is_carrying", "food_mark", "nest_mark", "events", "counts")}
    names = ("food", "objects", "is_nest", "nest_scent", "pheromone", "repellent")
    view = {"x": np.s_[:, ::-1], "y": np.s_[::-1], "diagonal": np.s_[:]}[mirror]
    grids = {name: getattr(state, name)[view] for name in names}
    if mirror == "diagonal":
        grids = {name: grid.T for name, grid in grids.items()}
    bodies = {"x": x, "y": y, "heading": ({"x": 0.0, "y": 180.0, "diagonal": 90.0}[mirror] - state.heading) % 360.0}
    nest = {"nest": np.array(reflected(*state.nest, mirror, width, height))}
    return same_arrays | grids | bodies | nest | {"pile_sites": rows * len(grids["food"][0]) + columns}


def mirrored_action(action, config):
    """Left for right."""
    action = action.copy()
    action[:, TURN] = -action[:, TURN] if config.action == "continuous" else np.array([0, 2, 1])[action[:, TURN]]
    return action


def senses(obs, config, is_mirrored: bool = False) -> dict[str, Any]:
    """What a colony, or a mirrored one, senses; without binary smells, where the last bit of a field decides a draw."""
    parts = parts_of(obs)
    if config.observation == "binary":
        parts = {"all": np.delete(obs, [2, 3, 4, *range(11, config.n_sensors)], axis=1)}
    if not is_mirrored:
        return parts
    if config.observation == "egocentric":
        smells = {name: obs[name][:, [0, 3, 2, 1]] for name in ("pheromone", "repellent") if name in obs}
        return parts | smells | {"nest": obs["nest"] * np.float32([1, -1, 1])}
    columns = [0, 1, 4, 3, 2, 5, 6, 9, 8, 7, 10, 13, 12, 11][: config.n_sensors]
    return {"all": parts["all"][:, columns if config.observation == "graded" else [0, 1, 2, 3, 6, 5, 4, 7]]}
