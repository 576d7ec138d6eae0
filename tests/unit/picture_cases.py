"""Worlds whose pictures are tested, and ways to read a picture."""

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.presets import PRESETS
from envs.render import Layers

each_preset = pytest.mark.parametrize("preset", PRESETS)
NOTHING = Layers(pheromone=False, nest=False, food=False, ants=False, hud=False)


def world(preset="published_test", **settings):
    env = AntForagingEnv(preset, render_mode="rgb_array", **settings)
    env.reset(seed=0)
    return env


def square(size, **settings):
    """An empty world of `size` by `size` patches."""
    middle = size // 2
    return world(
        "open",
        **{
            "width": size,
            "height": size,
            "arena": (0, size - 1, 0, size - 1),
            "nest_x": (middle, middle),
            "nest_y": (middle, middle),
            "nest_radius": 1.0,
            "piles": (),
            "n_ants": 2,
            **settings,
        },
    )


def pixel(frame, x, y):
    """Colour in the middle of patch (x, y) of the published world: 12 pixels per patch, a margin of 12, +y up."""
    return frame[12 + (60 - y) * 12 + 6, 12 + (x - 60) * 12 + 6].astype(int)


def pixels_of(frame, colour):
    """Patch coordinates x, y of all pixels of a colour in the published world."""
    rows, columns = np.nonzero((frame == colour).all(axis=2))
    return (columns - 12 + 0.5) / 12 + 60 - 0.5, 60.5 - (rows - 12 + 0.5) / 12
