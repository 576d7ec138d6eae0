"""What recorded episodes tell: correlations, behaviour, trails and paired statistics, each against another way."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
from scipy import stats

from envs.foraging import AntForagingEnv
from envs.types import FOOD_AHEAD, LEFT, N_SENSORS, ON_NEST, REWARD, RIGHT, STRAIGHT
from experiments.colony_analysis import (
    BEHAVIOUR,
    INPUTS,
    PLACES,
    behaviour,
    binned,
    correlations,
    deposits,
    field_ticks,
    mean_correlation,
    mean_interval,
    measure,
    packed,
    paired,
    shapes,
    trail_area,
    unpacked,
)
from experiments.config import load_config
from experiments.recorded_episode import record_episode
from snn import random_genomes
from snn.spike_trains import SpikeTrains

SEEDS = (7, 1)


def record(genome_seed=6, **settings):
    """A short episode of a few ants."""
    small = {"brain.engine": "numba", "brain.n_hidden": 5, "env.n_ants": 4, "env.n_ticks": 30}
    config = load_config(None, small | {f"env.{name}": value for name, value in settings.items()})
    return record_episode(random_genomes(config.brain, 1, np.random.default_rng(genome_seed))[0], config, SEEDS)


@pytest.fixture(scope="module")
def episode():
    return record()


def test_correlations_are_those_of_numpy():
    rng = np.random.default_rng(0)
    inputs, outputs = rng.integers(0, 11, (3, 11, 50)), rng.integers(0, 11, (3, 4, 50))
    ours = correlations(inputs, outputs)
    for ant in range(3):
        both = np.corrcoef(np.concatenate([outputs[ant], inputs[ant]]))
        np.testing.assert_allclose(ours[ant], both[:4, 4:], atol=1e-12)


def test_trains_made_by_hand_correlate_as_they_must():
    train = np.array([0, 0, 10, 10])
    inputs = np.array([[train, 10 - train, [0, 10, 0, 10], [5, 5, 5, 5]]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = correlations(inputs, train[None, None])
    np.testing.assert_allclose(found[0, 0], [1.0, -1.0, 0.0, np.nan], atol=1e-15)
    assert np.isnan(correlations(inputs, np.full((1, 1, 4), 7))).all()


def test_the_spikes_of_a_sensor_in_one_tick_lie_in_one_bin(episode):
    counts = binned(episode.spikes.population("input"), 4, 20.0)
    sensed = episode.obs.copy()
    sensed[0] = 1  # the start-up transient
    assert counts.shape == (4, N_SENSORS, 29)
    np.testing.assert_array_equal(counts, 10 * sensed[:29].transpose(1, 2, 0))


def test_bins_after_the_last_spike_are_counted_where_they_are_asked_for():
    spikes = SpikeTrains(np.array([2, 3, 22, 23, 43]), np.zeros(5, dtype=int), 1.0, 102, {"output": 1})
    assert binned(spikes, 1, 20.0).tolist() == [[[2, 1, 1, 0, 0]]]  # spikes at 2 ms or before are nobody's
    assert binned(spikes, 1, 20.0, n_bins=3).tolist() == [[[2, 1, 1]]]


def test_behaviour_is_counted_over_ants_and_ticks():
    obs, actions = np.zeros((5, 2, N_SENSORS), dtype=np.int8), np.zeros((5, 2, 3), dtype=np.int8)
    obs[1:3, 0, REWARD] = 1
    obs[4, :, ON_NEST] = 1
    obs[0, 1, FOOD_AHEAD] = 1
    actions[0] = [[LEFT, 1, 0], [RIGHT, 1, 1]]
    actions[1:, :, 0] = STRAIGHT
    found = dict(zip(BEHAVIOUR, behaviour(obs, actions), strict=True))
    assert found == {
        "pick_ups": 2, "move": 0.2, "left": 0.1, "right": 0.1, "straight": 0.8, "drop": 0.1, "on_nest": 0.2,
        "sees_wall": 0.0, "sees_food": 0.1,
    }  # fmt: skip


def test_behaviour_agrees_with_what_the_world_counts(episode):
    found = dict(zip(BEHAVIOUR, behaviour(episode.obs, episode.actions), strict=True))
    n_ant_ticks = episode.obs.shape[0] * episode.obs.shape[1]
    assert found["move"] * n_ant_ticks == pytest.approx(episode.measures["moves"])
    assert (found["left"] + found["right"]) * n_ant_ticks == pytest.approx(episode.measures["turns"])
    assert found["drop"] * n_ant_ticks == pytest.approx(episode.measures["deposits"])


def test_deposits_are_counted_in_every_situation_the_ant_is_in():
    obs, actions = np.zeros((3, 2, N_SENSORS), dtype=np.int8), np.zeros((3, 2, 3), dtype=np.int8)
    is_carrying = np.array([[True, False], [False, False], [True, False]])
    obs[0, :, FOOD_AHEAD] = 1
    obs[2, 1, ON_NEST] = 1
    actions[0, 0, 2] = actions[1, 1, 2] = 1
    laid, there = (dict(zip(PLACES, row, strict=True)) for row in deposits(obs, actions, is_carrying))
    common = {"picking_up": 0}
    assert laid == common | {"anywhere": 2, "food_ahead": 1, "carrying": 1, "on_nest": 0, "none_of_these": 1}
    assert there == common | {"anywhere": 6, "food_ahead": 2, "carrying": 2, "on_nest": 1, "none_of_these": 2}


def test_a_trail_is_what_lies_above_one_inside_the_arena():
    fields = np.zeros((2, 5, 6), dtype=np.float32)
    fields[1, 2, 3] = fields[1, 0, 0] = 2.0  # the second one lies outside
    fields[1, 2, 4] = 1.0
    assert trail_area(fields, (2, 5, 1, 4)).tolist() == [0.0, 1 / 16]


@pytest.mark.parametrize("n_ticks", [1, 7, 8, 15, 30])
def test_fields_are_expected_when_they_are_recorded(n_ticks):
    episode = record(n_ticks=n_ticks, n_ants=1)
    np.testing.assert_array_equal(field_ticks(episode.config.env), episode.pheromone_ticks)


def test_an_episode_passes_through_one_vector_unchanged(episode):
    measures, world = measure(episode), episode.config.env
    assert {name: values.shape for name, values in measures.items()} == shapes(world)
    assert list(measures) == list(shapes(world))
    rows = np.stack([packed(measures), packed(measures) + 1.0])
    for name, values in unpacked(rows, world).items():
        np.testing.assert_array_equal(values[0], measures[name])
        np.testing.assert_array_equal(values[1], measures[name] + 1.0)
    assert np.isfinite(rows).all()


def test_an_episode_that_ends_at_once_has_no_correlations_and_a_full_length_course():
    episode = record(piles=[], n_scattered=0)
    assert episode.n_ticks == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measures = measure(episode)
    assert not measures["correlation_n"].any()
    assert (measures["ticks"], measures["first_return"]) == (1, -1)
    assert measures["area"].shape == (len(field_ticks(episode.config.env)),)
    assert np.isnan(mean_correlation(measures["correlation_sum"][None], measures["correlation_n"][None])).all()


def test_correlations_are_averaged_over_the_ants_that_have_one(episode):
    measures = measure(episode)
    counts = [binned(episode.spikes.population(name), 4, 20.0) for name in ("input", "output")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.nanmean(correlations(*counts), axis=0)
    found = mean_correlation(measures["correlation_sum"][None], measures["correlation_n"][None])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    failed = np.full((1, *found.shape), np.nan)  # an episode that failed counts for nothing
    doubled = (np.concatenate([measures[f"correlation_{part}"][None], failed]) for part in ("sum", "n"))
    np.testing.assert_allclose(mean_correlation(*doubled), expected, atol=1e-12)
    assert len(INPUTS) == found.shape[1]


def test_paired_statistics_are_those_of_scipy():
    rng = np.random.default_rng(1)
    intact, variant = rng.normal(120.0, 10.0, 25), rng.normal(115.0, 12.0, 25)
    found = paired(intact, variant)
    test = stats.ttest_rel(intact, variant)
    low, high = test.confidence_interval(0.95)
    assert (found.drop, found.low, found.high) == pytest.approx((np.mean(intact - variant), low, high))
    assert found.d == pytest.approx(test.statistic / math.sqrt(25))
    assert (found.n, found.better) == (25, (intact > variant).mean())


def test_a_failed_episode_takes_its_world_out_of_the_comparison():
    intact, variant = np.array([5.0, np.nan, 7.0, 9.0]), np.array([4.0, 1.0, np.nan, 6.0])
    assert paired(intact, variant)[:2] == (2, 2.0)
    nothing = paired(intact, np.full(4, np.nan))
    assert nothing.n == 0
    assert np.isnan(nothing[1:]).all()


def test_what_one_world_or_equal_differences_do_not_tell_is_nan():
    one = paired(np.array([5.0]), np.array([3.0]))
    assert (one.n, one.drop, one.better) == (1, 2.0, 1.0)
    assert np.isnan([one.low, one.high, one.d]).all()
    equal = paired(np.array([5.0, 6.0]), np.array([3.0, 4.0]))
    assert equal[:4] == (2, 2.0, 2.0, 2.0)
    assert math.isnan(equal.d)


def test_the_interval_of_a_mean_is_that_of_student():
    values = np.array([1.0, 2.0, 4.0, 9.0])
    low, high = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert mean_interval(np.append(values, np.nan)) == pytest.approx((4, 4.0, low, high))


def test_an_ant_that_is_home_returned_at_that_tick():
    near = {"nest_x": [78, 78], "nest_y": [26, 26], "piles": [[78, 32]], "n_ants": 60, "n_ticks": 120}
    episode = record(genome_seed=2, **near)
    first = measure(episode)["first_return"]
    expected = np.flatnonzero(episode.returned)
    assert first == (expected[0] if len(expected) else -1)
    env = AntForagingEnv(**dataclasses.asdict(episode.config.env))
    assert env.config.total_food > 0
