"""What the world config refuses, and the words it does it with."""

import dataclasses
import math
import re

import pytest

from envs import make_config
from envs.types import PRESETS, ForagingConfig, tick_constants


def test_the_defaults_are_the_published_benchmark():
    published = {
        "n_ants": 15,
        "n_ticks": 2000,
        "width": 101,
        "height": 61,
        "arena": (60, 100, 1, 60),
        "nest_x": (72, 85),
        "nest_y": (18, 35),
        "nest_radius": 3,
        "piles": ((65, 53), (65, 6), (96, 30)),
        "pile_radius": 3,
        "food_per_patch": 2,
        "n_scattered": 2,
        "scatter_centre": (82, 30),
        "scatter_range": (10, 18),
        "speed": 1.0,
        "turn_deg": 6.0,
        "view": 5.0,
        "ray_step": 0.5,
        "deposit": 60.0,
        "diffusion": 0.2,
        "evaporation": 0.01,
        "pheromone_period": 7,
        "has_pheromone_sense": True,
        "has_pheromone_deposit": True,
        "food_gain": 220.0,
        "pick_up_gain": 1.5,
        "move_cost": 0.25,
        "turn_cost": 0.02,
        "deposit_cost": 0.05,
        "tick_cost": 0.5,
        "wall_cost": 5.5,
        "finish_bonus": 30.0,
    }
    config = dataclasses.asdict(ForagingConfig())
    assert {name: config[name] for name in published} == published
    assert make_config() == make_config("published_test") == ForagingConfig()
    assert ForagingConfig().walkable == (62, 98, 3, 58)


def test_the_presets_differ_in_the_food_of_a_pile_patch():
    assert dataclasses.replace(make_config("published_training"), food_per_patch=2) == make_config("published_test")
    assert (make_config("published_test").total_food, make_config("published_training").total_food) == (152, 77)


@pytest.mark.parametrize(
    ("settings", "total"),
    [
        ({"food_per_patch": 0}, 2),
        ({"food_per_patch": 5, "n_scattered": 0}, 375),
        ({"pile_radius": 1.0}, 8),  # the centre alone is closer than 1
        ({"pile_radius": 2.0, "n_scattered": 7}, 3 * 9 * 2 + 7),
        ({"pile_radius": 1.5, "piles": ((65, 53),)}, 9 * 2 + 2),
        ({"piles": ()}, 2),
    ],
)
def test_the_total_food_counts_patches_closer_than_the_radius(settings, total):
    assert ForagingConfig(**settings).total_food == total


@pytest.mark.parametrize(
    ("view", "ray_step", "n_points"),
    [
        (5.0, 0.5, 11),  # 0.5, 1.0, … 5.5
        (5.0, 1.0, 6),
        (0.0, 0.5, 1),
        (14.0, 0.34, 42),
        (32.0, 0.5, 65),
        (0.3, 0.1, 4),
        (1.2, 0.4, 4),
    ],
)
def test_the_ray_is_tested_up_to_one_step_behind_the_view(view, ray_step, n_points):
    assert tick_constants(ForagingConfig(view=view, ray_step=ray_step)).n_ray_points == n_points


SHARE = "in [0, 1] (a share of the field)"
BAD_VALUES = [
    ("n_ants", 0, ">= 1"),
    ("n_ants", -3, ">= 1"),
    ("n_ants", math.nan, "a whole number"),
    ("n_ticks", 0, ">= 1"),
    ("pheromone_period", 0, ">= 1"),
    ("wall_margin", 0, ">= 1"),
    ("food_per_patch", -1, ">= 0"),
    ("n_scattered", -1, ">= 0"),
    ("nest_radius", -0.1, ">= 0"),
    ("pile_radius", -1.0, ">= 0"),
    ("speed", -0.5, ">= 0"),
    ("speed", math.nan, "a finite number"),
    ("turn_deg", -6.0, ">= 0"),
    ("view", -1.0, ">= 0"),
    ("ray_step", 0.0, "> 0"),
    ("ray_step", -0.5, "> 0"),
    ("deposit", -60.0, ">= 0"),
    ("deposit", math.nan, "a finite number"),
    ("diffusion", -0.01, SHARE),
    ("diffusion", 1.01, SHARE),
    ("diffusion", math.nan, "a finite number"),
    ("evaporation", -0.01, SHARE),
    ("evaporation", 1.5, SHARE),
    ("arena", (100, 60, 1, 60), "x_min < x_max < width=101 and y_min < y_max < height=61"),
    ("arena", (60, 101, 1, 60), "x_min < x_max < width=101 and y_min < y_max < height=61"),
    ("arena", (60, 100, 1, 61), "x_min < x_max < width=101 and y_min < y_max < height=61"),
    ("arena", (-1, 100, 1, 60), "x_min < x_max < width=101 and y_min < y_max < height=61"),
    ("arena", (60, 100, -1, 60), "x_min < x_max < width=101 and y_min < y_max < height=61"),
    ("arena", (60, 64, 1, 60), "large enough to leave ground within its walls"),
    ("arena", (60, 100, 1, 5), "large enough to leave ground within its walls"),
    ("nest_x", (61, 85), "an interval within [62, 98], the walkable area"),
    ("nest_x", (72, 99), "an interval within [62, 98], the walkable area"),
    ("nest_x", (85, 72), "an interval within [62, 98], the walkable area"),
    ("nest_y", (2, 35), "an interval within [3, 58], the walkable area"),
    ("nest_y", (18, 59), "an interval within [3, 58], the walkable area"),
    ("nest_y", (35, 18), "an interval within [3, 58], the walkable area"),
    ("piles", ((60, 30),), "inside the arena (60, 100, 1, 60)"),
    ("piles", ((65, 53), (65, 60)), "inside the arena (60, 100, 1, 60)"),
    ("piles", ((20, 30),), "inside the arena (60, 100, 1, 60)"),
]
# A number that is not finite or not whole where it must be; speed=inf would make the kernels leave the grid.
NOT_FINITE_OR_WHOLE = [
    ("speed", math.inf, "finite"),
    ("turn_deg", math.inf, "finite"),
    ("view", math.inf, "finite"),
    ("ray_step", math.inf, "finite"),
    ("deposit", math.inf, "finite"),
    ("food_gain", math.nan, "finite"),
    ("finish_bonus", math.inf, "finite"),
    ("n_ants", 2.5, "whole|integer"),
    ("n_ticks", 10.5, "whole|integer"),
    ("pheromone_period", 2.5, "whole|integer"),
    ("food_per_patch", 1.5, "whole|integer"),
    ("n_ants", "3", "whole"),
    ("n_ants", True, "whole"),
    ("food_gain", "a", "finite"),
    ("has_pheromone_sense", "no", "True or False"),
    ("arena", (1, 2, 3), "4 numbers"),
]


@pytest.mark.parametrize(("name", "value", "rule"), BAD_VALUES)
def test_a_bad_value_is_refused_with_its_name_value_and_rule(name, value, rule):
    message = f"^{re.escape(f'ForagingConfig.{name}={value!r} is not allowed: it must be {rule}.')}$"
    with pytest.raises(ValueError, match=message):
        ForagingConfig(**{name: value})
    with pytest.raises(ValueError, match=message):
        make_config("published_training", **{name: value})


@pytest.mark.parametrize(("name", "value", "rule"), NOT_FINITE_OR_WHOLE)
def test_a_number_that_is_not_finite_or_not_whole_is_refused(name, value, rule):
    with pytest.raises(ValueError, match=rf"ForagingConfig\.{name}={re.escape(repr(value))}.*({rule})"):
        ForagingConfig(**{name: value})


@pytest.mark.parametrize(
    "settings",
    [
        {"n_ants": 1, "n_ticks": 1, "pheromone_period": 1, "wall_margin": 1},
        {"food_per_patch": 0, "n_scattered": 0, "nest_radius": 0, "pile_radius": 0, "speed": 0, "turn_deg": 0},
        {"diffusion": 0.0, "evaporation": 0.0, "deposit": 0.0, "view": 0.0},
        {"diffusion": 1.0, "evaporation": 1.0},
        {"nest_x": (62, 98), "nest_y": (3, 58), "piles": ()},
        {"nest_x": (80, 80), "nest_y": (30, 30)},
        {"piles": ((61, 2), (99, 59))},
        {"arena": (0, 100, 0, 60)},
    ],
)
def test_values_on_the_edge_of_their_range_are_allowed(settings):
    config = ForagingConfig(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ForagingConfig().n_ants = 3
    with pytest.raises(TypeError):
        ForagingConfig(15)


@pytest.mark.parametrize(
    ("preset", "nearest"), [("published_tst", "published_test"), ("publised_training", "published_training")]
)
def test_an_unknown_preset_offers_the_nearest_name(preset, nearest):
    with pytest.raises(ValueError, match=rf"unknown preset '{preset}', did you mean '{nearest}'\?$"):
        make_config(preset)


@pytest.mark.parametrize(
    ("setting", "nearest"), [("n_ant", "n_ants"), ("difusion", "diffusion"), ("nticks", "n_ticks")]
)
def test_an_unknown_setting_offers_the_nearest_name(setting, nearest):
    with pytest.raises(ValueError, match=rf"unknown world setting '{setting}', did you mean '{nearest}'\?$"):
        make_config(**{setting: 1})


def test_a_name_like_no_other_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown preset 'zzzz'\. Known: published_test, published_training\.$"):
        make_config("zzzz")
    with pytest.raises(ValueError, match=r"^unknown world setting 'zzzz'\. Known: n_ants, n_ticks, width, "):
        make_config(zzzz=1)
    assert list(PRESETS) == ["published_test", "published_training"]


def test_lists_become_tuples_so_that_a_config_stays_frozen_and_hashable():
    config = ForagingConfig(nest_x=[80, 80], piles=[[65, 53]])
    assert config == ForagingConfig(nest_x=(80, 80), piles=((65, 53),))
    assert hash(config) == hash(ForagingConfig(nest_x=(80, 80), piles=((65, 53),)))
