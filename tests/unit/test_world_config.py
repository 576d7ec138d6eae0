"""What the world config refuses, and the words it does it with."""

import dataclasses
import math
import re
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from envs.config import ForagingConfig, tick_constants
from envs.presets import make_config


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


@pytest.mark.parametrize(
    ("settings", "total"),
    [
        ({"food_per_patch": 0}, 2),
        ({"food_per_patch": 5, "n_scattered": 0}, 375),
        ({"pile_radius": 1.0}, 8),  # the centre alone is closer than 1
        ({"pile_radius": 2.0, "n_scattered": 7}, 3 * 9 * 2 + 7),
        ({"pile_radius": 1.5, "piles": ((65, 53),)}, 9 * 2 + 2),
        ({"piles": ()}, 2),
        ({"n_random_piles": 4, "piles": (), "n_scattered": 0}, 4 * 25 * 2),
        ({"n_random_piles": 1, "food_surplus": 3}, 4 * 25 * 2 + 2),  # the surplus is drawn per episode
        ({"piles": ((61, 30),), "n_scattered": 0}, 2 * 5 * 2),  # ants can walk on two of its five columns
        ({"obstacles": ((66, 66, 51, 53),), "n_scattered": 0}, (3 * 25 - 3) * 2),
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
POLAR = "a list of (degrees, patches) with degrees in [-360, 360] and patches >= 0"
RECTANGLES = "rectangles x_min <= x_max, y_min <= y_max inside the arena (60, 100, 1, 60)"
BAD_VALUES = [
    ("n_ants", 0, ">= 1"),
    ("n_ants", -3, ">= 1"),
    ("n_ants", math.nan, "a whole number"),
    ("n_ticks", 0, ">= 1"),
    ("pheromone_period", 0, ">= 1"),
    ("wall_margin", 0, ">= 1 with a border"),
    ("food_per_patch", -1, ">= 0"),
    ("n_scattered", -1, ">= 0"),
    ("nest_radius", -0.1, "> 0"),
    ("nest_radius", 0.0, "> 0"),
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
    ("observation", "grey", "'binary' or 'graded' or 'egocentric'"),
    ("action", "analog", "'discrete' or 'continuous'"),
    ("departure_interval", -1, ">= 0"),
    ("n_random_piles", -1, ">= 0"),
    ("food_surplus", -1, ">= 0"),
    ("crawl_period", -1, ">= 0"),
    ("growth_period", -7, ">= 0"),
    ("rot_period", -1, ">= 0"),
    ("repellent_deposit", -0.5, ">= 0"),
    ("smell_scale", 0.0, "> 0"),
    ("smell_scale", -60.0, "> 0"),
    ("repellent_diffusion", -0.01, SHARE),
    ("repellent_diffusion", 1.01, SHARE),
    ("repellent_diffusion", math.nan, "a finite number"),
    ("repellent_evaporation", -0.01, SHARE),
    ("repellent_evaporation", 2.0, SHARE),
    ("repellent_evaporation", math.nan, "a finite number"),
    ("pheromone_bits", 16, "32 or 64"),
    ("pheromone_bits", 0, "32 or 64"),
    ("ray_step", 1e-9, "at least a millionth of view"),
    ("smell_points", ((361.0, 1.0),), POLAR),
    ("smell_points", ((0.0, 0.0), (0.0, -1.0)), POLAR),
    ("smell_points", ((0.0, 1e300),), POLAR),
    ("smell_points", ((0.0, 1.0),) * 1001, "at most 1000 points"),
    ("obstacles", ((70, 69, 40, 41),), RECTANGLES),
    ("obstacles", ((70, 71, 41, 40),), RECTANGLES),
    ("obstacles", ((59, 71, 40, 41),), RECTANGLES),
    ("obstacles", ((90, 101, 40, 41),), RECTANGLES),
    ("obstacles", ((90, 91, 40, 61),), RECTANGLES),
    ("obstacles", ((90, 91, 0, 2),), RECTANGLES),
    ("obstacles", ((85, 90, 35, 40),), "off all nest centres, x in (72, 85) and y in (18, 35)"),  # a corner of them
    ("obstacles", ((78, 78, 20, 20),), "off all nest centres, x in (72, 85) and y in (18, 35)"),
    ("maze", (4, 0), "(0, 0), or two numbers >= 1"),
    ("maze", (0, 6), "(0, 0), or two numbers >= 1"),
    ("maze", (-1, -1), "(0, 0), or two numbers >= 1"),
    ("maze", (11, 6), "at most (10, 14) cells, so that corridors have 3 patches"),
    ("maze", (4, 15), "at most (10, 14) cells, so that corridors have 3 patches"),
]
# Bounds against slips of the keyboard: nothing of that size is ever allocated.
TOO_LARGE = [
    ("n_ants", 10**9, 10**6),
    ("n_ticks", 10**9 + 1, 10**9),
    ("departure_interval", 10**9 + 1, 10**9),
    ("width", 10**9, 10**4),
    ("height", 10**9, 10**4),
    ("nest_radius", 1e5, 10**4),
    ("turn_deg", 1e9, 10**4),
    ("ray_step", 1e300, 10**4),
    ("pile_radius", 1e4, 10**3),
    ("n_random_piles", 10**5, 10**3),
    ("food_per_patch", 10**7, 10**6),
    ("food_surplus", 10**7, 10**6),
    ("speed", 1e5, 10**4),
    ("view", 1e5, 10**4),
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
    ("has_repellent", 1, "True or False"),
    ("has_border", None, "True or False"),
    ("arena", (1, 2, 3), "4 numbers"),
    ("maze", (2, 2, 2), "2 numbers"),
    ("maze", 4, "2 numbers"),
    ("obstacles", "walls", "a list of items of 4 numbers each"),
    ("obstacles", 5, "a list of items of 4 numbers each"),
    ("piles", None, "a list of items of 2 numbers each"),
    ("smell_points", {0.0: 1.0}, "a list of items of 2 numbers each"),
    ("observation", 1, "text"),
    ("action", None, "text"),
]
# The item that is wrong is named instead of the whole list.
BAD_ITEMS = [
    ("arena", (60, 100.5, 1, 60), "100.5", "a whole number"),
    ("maze", (2.0, 2), "2.0", "a whole number"),
    ("scatter_range", (math.nan, 18.0), "nan", "a finite number"),
    ("piles", ((65, 53), (65,)), "(65,)", "2 numbers"),
    ("piles", ((65, 53.5),), "53.5", "a whole number"),
    ("piles", (65, 53), "(65, 53)", "a list of items of 2 numbers each"),
    ("obstacles", ((61, 79, 43),), "(61, 79, 43)", "4 numbers"),
    ("obstacles", ((61, 79, 43, "44"),), "'44'", "a whole number"),
    ("smell_points", ((0.0,),), "(0.0,)", "2 numbers"),
    ("smell_points", ((math.nan, 1.0),), "nan", "a finite number"),
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


@pytest.mark.parametrize(("name", "value", "item", "rule"), BAD_ITEMS)
def test_a_wrong_item_of_a_list_is_named(name, value, item, rule):
    with pytest.raises(ValueError, match=rf"ForagingConfig\.{name}={re.escape(item)} is not .* must be {rule}\.$"):
        ForagingConfig(**{name: value})


@pytest.mark.parametrize(("name", "value", "most"), TOO_LARGE)
def test_a_value_that_would_fill_the_memory_is_refused_before_anything_is_allocated(name, value, most):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"ForagingConfig\.{name}=.* it must be <= {most}\.$"):
            ForagingConfig(**{name: value})
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


# Numbers that no machine type holds.
TOO_LARGE_FOR_A_MACHINE = [
    {"food_gain": 10**400},
    {"speed": Fraction(10**400)},
    {"smell_points": ((0, 10**400),)},
    {"scatter_centre": (2**63, 0)},
    {"scatter_centre": (0, -(10**400))},
    {"pheromone_period": 2**63},
    {"crawl_period": 2**63},
    {"growth_period": 2**63},
    {"rot_period": 2**63},
    {"deposit": 1e308},
    {"deposit": 1e39, "pheromone_bits": 32},
    {"repellent_deposit": 1e308, "has_repellent": True},
    {"piles": (), "n_random_piles": 1, "random_pile_distance": 1e300},
]


@pytest.mark.parametrize("settings", TOO_LARGE_FOR_A_MACHINE, ids=lambda settings: str(settings)[:40])
def test_a_number_that_no_kernel_could_take_is_refused_by_the_config(settings):
    with pytest.raises(ValueError, match=r"^ForagingConfig\.\w+=.* is not allowed: it must be "):
        ForagingConfig(**settings)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(ForagingConfig)])
def test_every_setting_refuses_nothing_and_objects_with_its_name(name):
    for value in (None, object(), {}, b"1"):
        with pytest.raises(ValueError, match=rf"^ForagingConfig\.{name}=.* is not allowed: it must be "):
            ForagingConfig(**{name: value})


# Settings that do not go together: (settings, the field that is blamed, the rule)
CONFLICTS = [
    ({"observation": "egocentric", "smell_points": ()}, "smell_points", "at least one point for egocentric ants"),
    ({"has_border": False, "wall_margin": -1}, "wall_margin", ">= 0"),
    ({"maze": (4, 6)}, "n_scattered", "0 in a maze, whose walls are drawn per episode"),
    ({"maze": (4, 6), "n_scattered": 0, "has_border": False}, "maze", "(0, 0) in a world without border or with obs"),
    ({"maze": (4, 6), "n_scattered": 0, "obstacles": ((61, 61, 2, 2),)}, "maze", "(0, 0) in a world without border or"),
    ({"width": 1, "height": 1, "arena": (0, 0, 0, 0)}, "arena", "x_min < x_max < width=1 and y_min < y_max < height=1"),
    ({"n_random_piles": 1, "random_pile_distance": 2.9}, "random_pile_distance", ">= pile_radius=3.0"),
    ({"n_random_piles": 1, "random_pile_distance": 40.0}, "random_pile_distance", "so small that a pile of radius 3.0"),
    ({"n_random_piles": 1, "pile_radius": 25.0, "piles": ()}, "random_pile_distance", ">= pile_radius=25.0"),
    (
        {"n_random_piles": 1, "pile_radius": 19.0, "piles": (), "random_pile_distance": 19.0},
        "random_pile_distance",
        "so small that a pile of radius 19.0 has a place in the arena wherever the nest is",
    ),
    ({"scatter_range": (18.0, 10.0)}, "scatter_range", "two distances, the smaller one first"),
    (
        {"pile_radius": 0.0},
        "piles",
        "where ants can walk, within (62, 98, 3, 58): no patch of (65, 53) with pile_radius=0.0",
    ),
    ({"wall_margin": 10}, "piles", "where ants can walk, within (70, 90, 11, 50): no patch of (65, 53)"),
    ({"piles": (), "growth_period": 5}, "growth_period", "0 in a world without piles"),
    ({"nest_radius": 102.0}, "nest_radius", "<= 101, the size of the world"),
    ({"width": 10**4, "height": 10**4}, "width", "at most 20000000 / height=10000"),
    ({"scatter_centre": (-500, 30)}, "n_scattered", "<= 0, the free patches at a distance within"),
]


@pytest.mark.parametrize(("settings", "name", "rule"), CONFLICTS, ids=[str(case[0]) for case in CONFLICTS])
def test_settings_that_do_not_go_together_are_refused(settings, name, rule):
    with pytest.raises(ValueError, match=rf"^ForagingConfig\.{name}=.* must be {re.escape(rule)}"):
        ForagingConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"n_ants": 1, "n_ticks": 1, "pheromone_period": 1, "wall_margin": 1},
        {"food_per_patch": 0, "n_scattered": 0, "nest_radius": 0.1, "pile_radius": 0.1, "speed": 0, "turn_deg": 0},
        {"diffusion": 0.0, "evaporation": 0.0, "deposit": 0.0, "view": 0.0},
        {"diffusion": 1.0, "evaporation": 1.0},
        {"nest_x": (62, 98), "nest_y": (3, 58), "piles": ()},
        {"nest_x": (80, 80), "nest_y": (30, 30)},
        {"piles": ((61, 2), (99, 59))},
        {"arena": (0, 100, 0, 60)},
        {"smell_points": ()},
        {"smell_points": ((-360.0, 0.0), (360.0, 1e4)), "observation": "egocentric"},
        {"smell_points": ((0.0, 0.0),) * 1000},
        {"repellent_diffusion": 1.0, "repellent_evaporation": 0.0, "repellent_deposit": 0.0, "has_repellent": True},
        {"piles": ((60, 1), (100, 60)), "has_border": False, "wall_margin": 0},
        {"maze": (10, 14), "n_scattered": 0},
        {"maze": (1, 1), "n_scattered": 0},
        {"obstacles": ((71, 71, 18, 35), (86, 86, 18, 35))},  # beside all nest centres
        {"n_ants": 10**6, "n_ticks": 10**9},
        {"pheromone_bits": 32},
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


def test_lists_become_tuples_so_that_a_config_stays_frozen_and_hashable():
    config = ForagingConfig(nest_x=[80, 80], piles=[[65, 53]], obstacles=[[61, 61, 2, 2]], smell_points=[[0, 1]])
    assert config == ForagingConfig(
        nest_x=(80, 80), piles=((65, 53),), obstacles=((61, 61, 2, 2),), smell_points=((0.0, 1.0),)
    )
    assert hash(config) == hash(dataclasses.replace(config))
    assert (config.piles, config.obstacles, config.smell_points) == (((65, 53),), ((61, 61, 2, 2),), ((0.0, 1.0),))


def test_numbers_get_the_type_of_the_setting():
    config = ForagingConfig(n_ants=np.int64(3), speed=Fraction(1, 2), view=np.float32(4.0), has_border=np.bool_(True))
    assert (config.n_ants, config.speed, config.view, config.has_border) == (3, 0.5, 4.0, True)
    assert [type(v) for v in (config.n_ants, config.speed, config.view, config.has_border)] == [int, float, float, bool]
    assert type(ForagingConfig(food_gain=220).food_gain) is float


def test_arrays_are_as_good_as_lists():
    config = ForagingConfig(
        arena=np.array([60, 100, 1, 60]), piles=np.array([[65, 53], [65, 6]]), maze=np.array([0, 0])
    )
    assert config == ForagingConfig(piles=((65, 53), (65, 6)))
