"""Fitness of colonies and ants from hand-made counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import ForagingConfig, tick_constants
from envs.dynamics import begin_tick, step_state
from envs.generators import initial_state
from envs.presets import make_config
from envs.rewards import ant_fitness, colony_fitness
from envs.types import COUNTS, EVENTS, N_EVENTS
from tests.unit.ant_cases import quiet

PUBLISHED = ForagingConfig()
# Sums of powers of 2: every fitness is exact.
EXACT = ForagingConfig(
    food_gain=256.0,
    pick_up_gain=1.5,
    move_cost=0.25,
    turn_cost=0.03125,
    deposit_cost=0.125,
    tick_cost=0.5,
    wall_cost=5.5,
    finish_bonus=32.0,
)


def counts_of(**events):
    """Counts of a colony; finish_tick -1 unless it is given."""
    return np.array([({"finish_tick": -1} | events).get(name, 0) for name in COUNTS], dtype=np.int64)


@pytest.mark.parametrize(
    ("events", "fitness"),
    [
        ({}, 0.0),
        ({"food": 3}, 660.0),
        ({"pick_ups": 5}, 7.5),
        ({"moves": 8}, -2.0),
        ({"turns": 50}, -1.0),
        ({"deposits": 40}, -2.0),
        ({"ticks": 7}, -3.5),
        ({"wall_contacts": 2}, -11.0),
        ({"finish_tick": 0, "food_placed": 1}, 60000.0),
        ({"finish_tick": 1400, "food_placed": 152}, 18000.0),
        ({"finish_tick": 2000, "food_placed": 152}, 0.0),
        ({"finish_tick": 0}, 0.0),  # there was nothing to collect
        ({"food_placed": 152, "food_grown": 9, "food_rotted": 4}, 0.0),
        (
            {"food": 152, "pick_ups": 152, "ticks": 1408, "finish_tick": 1407, "food_placed": 152},
            33440 + 228 - 704 + 17790,
        ),
    ],
)
def test_each_event_has_its_published_value(events, fitness):
    assert colony_fitness(counts_of(**events), PUBLISHED) == pytest.approx(fitness, abs=1e-10)


def test_the_settings_are_the_values_of_the_events():
    values = {"food": 256.0, "pick_ups": 1.5, "moves": -0.25, "turns": -0.03125, "deposits": -0.125}
    values |= {"ticks": -0.5, "wall_contacts": -5.5}
    rng = np.random.default_rng(0)
    for _ in range(50):
        events = {name: int(rng.integers(1000)) for name in values}
        expected = sum(values[name] * events[name] for name in values)
        assert colony_fitness(counts_of(**events), EXACT) == expected
        assert colony_fitness(counts_of(**events, finish_tick=999, food_placed=9), EXACT) == expected + 32.0 * 1001


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 10**6), min_size=len(COUNTS), max_size=len(COUNTS)), min_size=1, max_size=6))
def test_stacked_counts_give_the_same_as_single_ones(rows):
    counts = np.array(rows)
    counts[::2, COUNTS.index("finish_tick")] = -1
    stacked = colony_fitness(counts, PUBLISHED)
    assert (stacked.shape, stacked.dtype) == ((len(rows),), np.float64)
    single = [colony_fitness(row, PUBLISHED) for row in counts]
    assert {type(fitness) for fitness in single} == {float}
    np.testing.assert_array_equal(stacked, single)


def test_counts_are_not_changed():
    counts = counts_of(food=3, finish_tick=70)
    before = counts.copy()
    colony_fitness(counts, PUBLISHED)
    np.testing.assert_array_equal(counts, before)


def test_an_ant_gets_what_it_did_and_an_equal_share_of_time_and_bonus():
    events = np.zeros((4, N_EVENTS), dtype=np.int64)
    events[0, EVENTS.index("food")], events[1, EVENTS.index("moves")] = 2, 8
    counts = counts_of(food=2, moves=8, ticks=40, finish_tick=1960, food_placed=2)
    shared = -40 * 0.5 / 4 + 32.0 * 40 / 4
    assert ant_fitness(events, counts, EXACT).tolist() == [512 + shared, -2 + shared, shared, shared]


@settings(deadline=None, max_examples=60)
@given(n_ants=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), has_finished=st.booleans())
def test_the_fitness_of_the_ants_adds_up_to_that_of_the_colony(n_ants, seed, has_finished):
    events = np.random.default_rng(seed).integers(0, 2000, size=(n_ants, N_EVENTS))
    counts = counts_of(ticks=2000, finish_tick=1234 if has_finished else -1, food_placed=7)
    counts[:N_EVENTS] = events.sum(axis=0)
    each = ant_fitness(events, counts, PUBLISHED)
    assert each.shape == (n_ants,)
    assert each.sum() == pytest.approx(colony_fitness(counts, PUBLISHED), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("preset", ["published_test", "open", "two_pheromones", "changing_food"])
def test_in_a_played_world_the_counts_are_the_sums_of_the_events(preset):
    config = make_config(preset, n_ants=20)
    constants, rng = tick_constants(config), np.random.default_rng(1)
    state = initial_state(config, np.random.default_rng(2))
    with quiet():
        begin_tick(state, constants)
    sizes = (3, 2, 2, 2)[: config.n_action_parts]
    for tick in range(60):
        with quiet():
            step_state(state, rng.integers(0, sizes, (20, len(sizes))), constants)
        np.testing.assert_array_equal(state.counts[:N_EVENTS], state.events.sum(axis=0))
        assert state.counts[COUNTS.index("ticks")] == tick + 1
        total = ant_fitness(state.events, state.counts, config).sum()
        assert total == pytest.approx(colony_fitness(state.counts, config), abs=1e-9)
