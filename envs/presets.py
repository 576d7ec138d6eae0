"""Worlds by name: settings of `ForagingConfig`, not subclasses."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from envs.config import ForagingConfig

_PUBLISHED = ForagingConfig()
# The NetLogo Ants model (Wilensky 1997): square without walls, ants leave one after the other, piles of 1 or 2 units.
_OPEN = ForagingConfig(
    n_ants=125,
    departure_interval=1,
    width=71,
    height=71,
    arena=(0, 70, 0, 70),
    has_border=False,
    wall_margin=0,
    nest_x=(35, 35),
    nest_y=(35, 35),
    nest_radius=5.0,
    piles=((56, 35), (14, 14), (7, 63)),
    pile_radius=5.0,
    food_per_patch=1,
    food_surplus=1,
    n_scattered=0,
    diffusion=0.5,
    evaporation=0.1,
    pheromone_period=1,
)
# Our reconstruction of the published rule-based colony, whose program is not published: the NetLogo ants in a world of
# 41 x 61 patches without walls, the nest in its middle, the published piles.
_RULES = ForagingConfig(
    observation="egocentric",
    action="continuous",
    departure_interval=1,
    width=41,
    height=61,
    arena=(0, 40, 0, 60),
    has_border=False,
    wall_margin=0,
    nest_x=(20, 20),
    nest_y=(30, 30),
    piles=((5, 53), (5, 6), (36, 30)),
    n_scattered=0,
    turn_deg=180.0,
    pheromone_period=1,
)
_RANDOM_PILES = dataclasses.replace(_PUBLISHED, piles=(), n_random_piles=5, n_scattered=0)

PRESETS = {
    "published_test": _PUBLISHED,
    "published_training": dataclasses.replace(_PUBLISHED, food_per_patch=1),
    "published_visual": dataclasses.replace(_PUBLISHED, has_pheromone_sense=False),
    "published_rules": _RULES,
    "open": _OPEN,
    "obstacles": dataclasses.replace(
        _PUBLISHED, obstacles=((61, 79, 43, 44), (89, 90, 20, 42), (70, 71, 5, 12)), n_scattered=0
    ),
    "maze": dataclasses.replace(_PUBLISHED, maze=(4, 6), n_scattered=0),
    "random_piles": _RANDOM_PILES,
    "moving_food": dataclasses.replace(_PUBLISHED, crawl_period=20),
    "changing_food": dataclasses.replace(_RANDOM_PILES, growth_period=10, rot_period=20),
    "two_pheromones": dataclasses.replace(_PUBLISHED, has_repellent=True),
}


def make_config(preset: str | ForagingConfig = "published_test", **overrides: Any) -> ForagingConfig:
    """Config of a preset, or a given one, with single fields replaced.

    Raises
    ------
    ValueError : unknown preset or field (the nearest name is offered), or a value outside its range.
    """
    if not isinstance(preset, ForagingConfig) and not (isinstance(preset, str) and preset in PRESETS):
        raise ValueError(f"unknown preset {preset!r}{nearest_name(str(preset), PRESETS)}")
    known = [field.name for field in dataclasses.fields(ForagingConfig)]
    for name in overrides:
        if name not in known:
            raise ValueError(f"unknown world setting {name!r}{nearest_name(name, known)}")
    return dataclasses.replace(PRESETS[preset] if isinstance(preset, str) else preset, **overrides)


def nearest_name(name: str, known: Iterable[str]) -> str:
    """How an error about an unknown name goes on: the nearest known one, or all of them."""
    match = difflib.get_close_matches(str(name), list(known), n=1)
    return f", did you mean {match[0]!r}?" if match else f". Known: {', '.join(known)}."
