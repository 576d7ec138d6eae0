"""Worlds by name, and what an unknown name offers."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from envs.config import ForagingConfig
from envs.generators import initial_state
from envs.presets import PRESETS, make_config, nearest_name


def test_the_published_presets_differ_in_the_food_of_a_pile_patch():
    assert dataclasses.replace(make_config("published_training"), food_per_patch=2) == make_config("published_test")
    assert (make_config("published_test").total_food, make_config("published_training").total_food) == (152, 77)


@pytest.mark.parametrize(
    ("preset", "nearest"),
    [
        ("published_tst", "published_test"),
        ("publised_training", "published_training"),
        ("mazes", "maze"),
        ("random_pile", "random_piles"),
        ("2_pheromones", "two_pheromones"),
    ],
)
def test_an_unknown_preset_offers_the_nearest_name(preset, nearest):
    with pytest.raises(ValueError, match=rf"unknown preset '{preset}', did you mean '{nearest}'\?$"):
        make_config(preset)


@pytest.mark.parametrize(
    ("setting", "nearest"),
    [
        ("n_ant", "n_ants"),
        ("difusion", "diffusion"),
        ("nticks", "n_ticks"),
        ("obstacle", "obstacles"),
        ("has_repelent", "has_repellent"),
    ],
)
def test_an_unknown_setting_offers_the_nearest_name(setting, nearest):
    with pytest.raises(ValueError, match=rf"unknown world setting '{setting}', did you mean '{nearest}'\?$"):
        make_config(**{setting: 1})


def test_a_name_like_no_other_lists_the_known_ones():
    with pytest.raises(ValueError, match=rf"^unknown preset 'zzzz'\. Known: {', '.join(PRESETS)}\.$"):
        make_config("zzzz")
    with pytest.raises(
        ValueError, match=r"^unknown world setting 'zzzz'\. Known: observation, action, n_ants, n_ticks, "
    ):
        make_config(zzzz=1)
    assert nearest_name("zzzz", ["one", "two"]) == ". Known: one, two."
    assert nearest_name("tow", ["one", "two"]) == ", did you mean 'two'?"


def test_the_worlds_of_the_publication_come_first():
    assert list(PRESETS)[:3] == ["published_test", "published_training", "published_visual"]
    others = {"open", "obstacles", "maze", "random_piles", "moving_food", "changing_food", "two_pheromones"}
    assert others <= set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_config_of_its_own_that_makes_a_world(preset):
    config = make_config(preset)
    assert [name for name in PRESETS if PRESETS[name] == config] == [preset]
    state = initial_state(config, np.random.default_rng(0))
    assert state.food.sum() >= config.total_food > 0


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_json_and_pickle(preset):
    config = make_config(preset)
    loaded = ForagingConfig(**json.loads(json.dumps(dataclasses.asdict(config))))  # tuples come back as lists
    assert loaded == config == pickle.loads(pickle.dumps(config))  # noqa: S301
    assert hash(loaded) == hash(config)
    assert repr(loaded) == repr(config)
