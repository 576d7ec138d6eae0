"""Hand-placed ant worlds that several kernel tests share. Headings are compass degrees, grids are indexed [y, x]."""

from __future__ import annotations

import numpy as np

from envs.config import ForagingConfig
from envs.generators import initial_state
from envs.types import EVENTS, FOOD, ForagingState

# Unit steps (dx, dy) on the grid towards 0, 45, … degrees: 0 is +y, clockwise.
COMPASS = {0: (0, 1), 45: (1, 1), 90: (1, 0), 135: (1, -1), 180: (0, -1), 225: (-1, -1), 270: (-1, 0), 315: (-1, 1)}
NO_EVENTS = dict.fromkeys(EVENTS, 0)
STALE = 7  # a value no kernel would write, to see what is overwritten


def open_config(**settings) -> ForagingConfig:
    """Settings of a world of 12 x 10 patches without walls and food."""
    defaults = {
        "n_ants": 1,
        "width": 12,
        "height": 10,
        "has_border": False,
        "wall_margin": 0,
        "nest_x": (5, 5),
        "nest_y": (5, 5),
        "piles": (),
        "n_scattered": 0,
    }
    merged = defaults | settings
    arena = (0, merged["width"] - 1, 0, merged["height"] - 1)
    return ForagingConfig(**({"arena": arena} | merged))


def bare_world(config: ForagingConfig, seed: int = 0) -> ForagingState:
    """The initial state of a config, all ants looking north, without nest, scent and objects."""
    state = initial_state(config, np.random.default_rng(seed))
    for grid in (state.heading, state.is_nest, state.nest_scent, state.objects, state.food):
        grid[:] = 0
    return state


def body_world(positions, config: ForagingConfig | None = None, **arrays) -> ForagingState:
    """Ants at (x, y) in a world of 12 x 10 patches without nest and objects; `arrays` replace any array."""
    state = bare_world(config or open_config(n_ants=len(positions)))
    state.x[:], state.y[:] = np.array(positions, dtype=float).T
    state.obs[:] = STALE
    for name, values in arrays.items():
        getattr(state, name)[:] = values
    return state


def put_food(world: ForagingState, x: int, y: int, units: int) -> None:
    world.food[y, x] = units
    world.objects[y, x] = FOOD


def counted(world: ForagingState) -> dict[str, int]:
    """Events of all ants together."""
    return dict(zip(EVENTS, world.events.sum(axis=0).tolist(), strict=True))


def generator(state: int) -> np.ndarray:
    """State of a SplitMix64 generator."""
    return np.array([state], dtype=np.uint64)


def quiet():
    """Uncompiled, the 64-bit products of SplitMix64 wrap with a warning."""
    return np.errstate(over="ignore")
