"""Spaces of the world for a config, and the checks of what comes in through them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.config import ForagingConfig
from envs.observations import CARRYING, EYES, N_OTHERS, NEST_BEARING
from envs.types import ACTION_PARTS, ACTION_SIZES, FloatArray, ForagingState, IntArray

Observation = Any  # an array, or a dictionary of arrays for egocentric ants


def observation_space(config: ForagingConfig, *, per_ant: bool = False) -> spaces.Space[Any]:
    """Space of what a colony senses, rows are ants; or of what one ant senses."""
    ants = () if per_ant else (config.n_ants,)
    if config.observation == "binary":
        return spaces.MultiBinary((*ants, config.n_sensors))
    if config.observation == "graded":
        return spaces.Box(0.0, 1.0, (*ants, config.n_sensors), np.float32)
    n_points = len(config.smell_points)
    parts: dict[str, spaces.Space[Any]] = {
        "pheromone": spaces.Box(0.0, 1.0, (*ants, n_points), np.float32),
        "ahead": spaces.Box(0.0, 1.0, (*ants, 2), np.float32),
        "nest": spaces.Box(
            np.broadcast_to(np.array([-1.0, -1.0, 0.0], dtype=np.float32), (*ants, 3)),
            np.float32(1.0),
            (*ants, 3),
            np.float32,
        ),
        "contact": spaces.MultiBinary((*ants, 3)),
    }
    if config.has_repellent:
        parts["repellent"] = spaces.Box(0.0, 1.0, (*ants, n_points), np.float32)
    return spaces.Dict(parts)


def observation(state: ForagingState, config: ForagingConfig) -> Observation:
    """Current sensory observation in the space of a colony, or of a batch of colonies; always a copy."""
    if config.observation == "binary":
        return state.obs.copy()
    if config.observation == "graded":
        return state.features.copy()
    n_points = len(config.smell_points)
    first = state.features.shape[-1] - N_OTHERS
    parts = {
        "pheromone": state.features[..., :n_points].copy(),
        "ahead": state.features[..., first + EYES : first + NEST_BEARING].copy(),
        "nest": state.features[..., first + NEST_BEARING : first + CARRYING].copy(),
        "contact": state.features[..., first + CARRYING :].astype(np.int8),
    }
    if config.has_repellent:
        parts["repellent"] = state.features[..., n_points:first].copy()
    return {key: parts[key] for key in sorted(parts)}  # the order of spaces.Dict


def action_space(config: ForagingConfig, *, per_ant: bool = False) -> spaces.Space[Any]:
    """Space of what a colony does, rows are ants; or of what one ant does."""
    n_parts = config.n_action_parts
    shape = (n_parts,) if per_ant else (config.n_ants, n_parts)
    if config.action == "discrete":
        return spaces.MultiDiscrete(np.broadcast_to(np.array(ACTION_SIZES[:n_parts]), shape).copy())
    low = np.zeros(shape, dtype=np.float32)
    low[..., 0] = -1.0
    return spaces.Box(low, np.float32(1.0), shape, np.float32)


def checked_actions(
    action: Any, config: ForagingConfig, n_colonies: int | None = None, is_active: NDArray[np.bool_] | None = None
) -> IntArray | FloatArray:
    """Actions of a colony, or of a batch of them, as the compiled tick takes them.

    Parameters
    ----------
    action : (n_ants, n_parts), or (n_colonies, n_ants, n_parts); integers, or finite numbers if actions are continuous
    is_active : (n_colonies,); the actions of other colonies are not looked at

    Returns
    -------
    int64 or float64, C-contiguous

    Raises
    ------
    ValueError : wrong shape or type, or a value outside the action space; names colony, ant, part and value.
    """
    actions = np.asarray(action)
    shape: tuple[int, ...] = (config.n_ants, config.n_action_parts)
    wanted = f"(n_ants, {config.n_action_parts})"
    if n_colonies is not None:
        shape, wanted = (n_colonies, *shape), f"(num_envs, n_ants, {config.n_action_parts})"
    if actions.shape != shape:
        raise ValueError(f"action has shape {actions.shape}, expected {wanted} = {shape}.")
    is_discrete = config.action == "discrete"
    if actions.dtype.kind not in ("iu" if is_discrete else "iuf"):
        raise ValueError(f"action has dtype {actions.dtype}, expected {_ranges(config)} per ant.")
    low, high = _bounds(config.action, config.n_action_parts)
    is_valid = (actions >= low) & (actions <= high)  # False for NaN
    if is_active is not None:
        is_valid |= ~is_active[:, np.newaxis, np.newaxis]
    if not is_valid.all():
        place = tuple(int(k) for k in np.argwhere(~is_valid)[0])
        colony = f"colony {place[0]}, " if n_colonies is not None else ""
        name, limits = ACTION_PARTS[place[-1]], f"{low[place[-1]]} … {high[place[-1]]}"
        raise ValueError(f"action of {colony}ant {place[-2]}: {name}={actions[place]} is outside {limits}.")
    # Writeable, since Numba would compile another version for arrays that are not.
    if is_discrete:
        return np.require(actions, np.int64, ["C", "W"])
    return np.require(actions, np.float64, ["C", "W"])


@functools.cache
def _bounds(action: str, n_parts: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lowest and highest value of every part of an action."""
    if action == "discrete":
        return np.zeros(n_parts, dtype=np.int64), np.array(ACTION_SIZES[:n_parts]) - 1
    return np.array([-1.0, 0.0, 0.0, 0.0][:n_parts]), np.ones(n_parts)


def _ranges(config: ForagingConfig) -> str:
    """The parts of an action with their ranges, in words."""
    low, high = _bounds(config.action, config.n_action_parts)
    kind = "integers" if config.action == "discrete" else "numbers"
    names = ACTION_PARTS[: config.n_action_parts]
    parts = (f"{name} {least}-{most}" for name, least, most in zip(names, low, high, strict=True))
    return f"{kind}: {', '.join(parts)}"
