"""Graded and egocentric observations against a slow implementation of what `envs.observations` says."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import ForagingConfig, tick_constants
from envs.dynamics import begin_tick
from envs.types import FOOD, NEST_LEFT, REPELLENT_LEFT, SENSORS, SMELL_LEFT, WALL
from tests.unit.ant_cases import STALE, bare_world, open_config, quiet

N = 31  # a square world of N x N patches, so that it can be turned
POINTS = ((0.0, 0.0), (-45.0, 1.0), (0.0, 1.0), (45.0, 1.0), (170.0, 4.5), (-300.0, 20.0))


def square_config(observation, **more) -> ForagingConfig:
    where = {"width": N, "height": N, "nest_x": (10, 10), "nest_y": (20, 20)}
    body = {"n_ants": 40, "has_repellent": True, "view": 6.0, "smell_points": POINTS}
    return open_config(observation=observation, **(where | body | more))


def crowded_world(config, seed):
    """Ants anywhere with any heading among random walls, food, pheromones and scents."""
    rng = np.random.default_rng(seed)
    state = bare_world(config)
    n_ants, grid = config.n_ants, state.food.shape
    state.x[:], state.y[:] = rng.uniform(-0.4, N - 0.6, n_ants), rng.uniform(-0.4, N - 0.6, n_ants)
    state.heading[:] = rng.uniform(0, 360, n_ants)
    state.objects[:] = rng.choice([0, WALL, FOOD], p=[0.92, 0.04, 0.04], size=grid)
    state.food[:] = np.where(state.objects == FOOD, rng.integers(1, 4, grid), 0)
    state.is_nest[:] = (rng.random(grid) < 0.1) & (state.objects == 0)
    state.nest_scent[:] = np.where(rng.random(grid) < 0.1, 0.0, rng.uniform(150, 160, grid))
    for field in (state.pheromone, state.repellent):
        field[:] = np.where(rng.random(grid) < 0.5, rng.exponential(100.0, grid), 0.0)
    state.is_carrying[:] = rng.random(n_ants) < 0.3
    state.features[:] = 0.0
    return state


def observed(state, config):
    """Features of all ants after their sensing."""
    with quiet():
        begin_tick(state, tick_constants(config))
    return state.features.astype(float)


# A slow implementation on complex numbers: +x is 1, +y is 1j, a heading of h degrees points along `towards(h)`.


def towards(degrees):
    return 1j * cmath.exp(-1j * math.radians(degrees))


def value_at(field, point, outside=0.0):
    column, row = math.floor(point.real + 0.5), math.floor(point.imag + 0.5)
    is_inside = 0 <= row < field.shape[0] and 0 <= column < field.shape[1]
    return float(field[row, column]) if is_inside else outside


def slow_eyes(state, place, heading, config):
    """1 - (distance - ray_step) / ray length of the first object, as (wall, food)."""
    n_points = math.floor(config.view / config.ray_step) + 1
    for k in range(1, n_points + 1):
        distance = k * config.ray_step
        found = value_at(state.objects, place + distance * towards(heading), outside=WALL)
        if found:
            near = 1 - (distance - config.ray_step) / (n_points * config.ray_step)
            return [near * (found == WALL), near * (found == FOOD)]
    return [0.0, 0.0]


def slow_ahead(field, place, heading):
    point = place + towards(heading)
    return [value_at(field, point + towards(heading + angle)) for angle in (-45, 0, 45)]


def slow_features(state, config):
    """All columns but the contacts, from the words of the module."""
    scale, rows = config.smell_scale, []
    for x, y, heading in zip(state.x, state.y, state.heading, strict=True):
        place = complex(x, y)
        eyes = slow_eyes(state, place, heading, config)
        if config.observation == "graded":
            smells = [
                [c / (c + scale) for c in slow_ahead(f, place, heading)] for f in (state.pheromone, state.repellent)
            ]
            here = value_at(state.nest_scent, place)
            nest = [min(max(0.5 + (c - here) / 8, 0), 1) for c in slow_ahead(state.nest_scent, place, heading)]
            rows.append([*eyes, *smells[0], 0, 0, *nest, 0, *smells[1]])
        else:
            points = [place + distance * towards(heading + angle) for angle, distance in config.smell_points]
            smells = [value_at(f, point) for f in (state.pheromone, state.repellent) for point in points]
            to_nest = complex(*state.nest) - place
            turned = to_nest / abs(to_nest) / towards(heading)  # 1 is ahead, -1j to the right
            width, height = config.arena[1] - config.arena[0], config.arena[3] - config.arena[2]
            share = min(abs(to_nest) / math.hypot(width, height), 1.0)
            rows.append([*(c / (c + scale) for c in smells), *eyes, turned.real, -turned.imag, share, 0, 0, 0])
    return np.array(rows)


def contact_columns(config):
    if config.observation == "graded":
        return [SENSORS.index(name) for name in ("nociceptive", "reward", "on_nest")]
    return [-3, -2, -1]


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_ants_observe_equals_a_slow_implementation(observation, seed):
    config = square_config(observation)
    state = crowded_world(config, seed)
    expected = slow_features(state, config)
    patches = np.floor(state.y + 0.5).astype(int), np.floor(state.x + 0.5).astype(int)
    is_on_wall, is_on_nest = (grid[patches].copy() for grid in (state.objects == WALL, state.is_nest))
    was_carrying = state.is_carrying.copy()
    features = observed(state, config)
    has_taken = state.is_carrying & ~was_carrying
    first = is_on_wall if observation == "graded" else state.is_carrying
    expected[:, contact_columns(config)] = np.stack([first, has_taken, is_on_nest], axis=1)
    assert features.shape == expected.shape
    np.testing.assert_allclose(features, expected, atol=1e-6)


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
def test_all_observations_lie_in_their_bounds(observation):
    config = square_config(observation, smell_scale=1e-3, smell_points=POINTS * 3)
    for seed in range(20):
        state = crowded_world(config, seed)
        state.pheromone[:] *= 10.0 ** np.random.default_rng(seed).integers(-100, 100, state.pheromone.shape)
        features = observed(state, config)
        low = np.zeros(features.shape[1])
        if observation == "egocentric":
            low[-6:-4] = -1.0
            np.testing.assert_allclose(np.hypot(features[:, -6], features[:, -5]), 1.0, atol=1e-6)
        assert (features >= low).all()
        assert (features <= 1.0).all()


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), quarters=st.integers(1, 3))
def test_a_turn_of_the_whole_world_changes_nothing(observation, seed, quarters):
    config = square_config(observation)
    one, other = crowded_world(config, seed), crowded_world(config, seed)
    for _ in range(quarters):
        for name in ("objects", "food", "is_nest", "nest_scent", "pheromone", "repellent"):
            grid = getattr(other, name)
            grid[:] = grid.T[::-1].copy()  # (x, y) comes to (y, N - 1 - x)
        other.x[:], other.y[:] = other.y.copy(), N - 1 - other.x
        other.nest[:] = other.nest[1], N - 1 - other.nest[0]
        other.heading[:] += 90.0
    np.testing.assert_allclose(observed(other, config), observed(one, config), atol=1e-6)


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
def test_in_a_mirror_left_and_right_are_exchanged(observation):
    points = ((-50.0, 3.0), (0.0, 2.0), (50.0, 3.0))
    config = square_config(observation, smell_points=points)
    for seed in range(10):
        one, other = crowded_world(config, seed), crowded_world(config, seed)
        for name in ("objects", "food", "is_nest", "nest_scent", "pheromone", "repellent"):
            getattr(other, name)[:] = getattr(one, name)[:, ::-1]
        other.x[:], other.nest[0] = N - 1 - one.x, N - 1 - one.nest[0]
        other.heading[:] = (360.0 - one.heading) % 360.0
        expected, swapped = observed(one, config), np.arange(one.features.shape[1])
        for first in (SMELL_LEFT, NEST_LEFT, REPELLENT_LEFT) if observation == "graded" else (0, 3):
            swapped[[first, first + 2]] = first + 2, first
        expected = expected[:, swapped]
        if observation == "egocentric":
            expected[:, -5] *= -1.0
        np.testing.assert_allclose(observed(other, config), expected, atol=1e-6)


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
def test_a_heading_of_360_degrees_more_is_the_same_heading(observation):
    config = square_config(observation)
    one, other = crowded_world(config, 3), crowded_world(config, 3)
    other.heading[:] += 360.0
    np.testing.assert_allclose(observed(other, config), observed(one, config), atol=1e-6)


def test_graded_and_binary_ants_see_and_smell_the_same_things():
    graded, binary = square_config("graded"), square_config("binary")
    for seed in range(10):
        features = observed(crowded_world(graded, seed), graded)
        state = crowded_world(binary, seed)
        observed(state, binary)
        np.testing.assert_array_equal(features[:, :2] > 0, state.obs[:, :2] == 1)
        contacts = contact_columns(graded)
        np.testing.assert_array_equal(features[:, contacts], state.obs[:, contacts])
        for first in (SMELL_LEFT, REPELLENT_LEFT):
            left, middle, right = features[:, first : first + 3].T
            side = np.where((left > middle) & (left > right), 0, np.where((right > middle) & (right > left), 2, 1))
            np.testing.assert_array_equal(state.obs[:, first : first + 3].argmax(axis=1), side)


# By hand


def lone(observation, heading=0.0, x=20.0, y=10.0, **more):
    config = square_config(observation, n_ants=1, **more)
    state = bare_world(config)
    state.x[:], state.y[:], state.heading[:] = x, y, heading
    return state, config


@pytest.mark.parametrize(
    ("steps", "near"), [(1, 11 / 11), (2, 9 / 11), (3, 7 / 11), (5, 3 / 11), (6, 1 / 11), (7, 0.0)]
)
@pytest.mark.parametrize("kind", [WALL, FOOD])
def test_an_object_is_nearer_the_nearer_it_is(kind, steps, near):
    """The patch n ahead is met by the ray's point 2 n - 1 of 11, at n - 1/2 patches."""
    state, config = lone("graded", view=5.0)
    state.objects[10 + steps, 20] = kind
    features = observed(state, config)[0]
    assert features[:2] == pytest.approx([near, 0.0] if kind == WALL else [0.0, near], abs=1e-6)


def test_pheromone_at_the_smell_scale_reads_one_half():
    for observation, column in (("graded", SMELL_LEFT + 1), ("egocentric", 2)):
        state, config = lone(observation, smell_scale=25.0)
        state.pheromone[:] = 25.0
        assert observed(state, config)[0, column] == 0.5
        state.pheromone[:] = 75.0
        assert observed(state, config)[0, column] == 0.75


@pytest.mark.parametrize(("there", "reading"), [(104.0, 1.0), (102.0, 0.75), (100.0, 0.5), (99.0, 0.375), (96.0, 0.0)])
def test_the_graded_nest_sense_is_half_on_level_ground_and_steeper_by_an_eighth_per_unit(there, reading):
    state, config = lone("graded")
    state.nest_scent[:] = 100.0
    state.nest_scent[12, 19] = there  # the patch compared on the left
    assert observed(state, config)[0, NEST_LEFT : NEST_LEFT + 3].tolist() == [reading, 0.5, 0.5]


@pytest.mark.parametrize(
    ("heading", "cosine", "sine"),
    [(0, 1, 0), (90, 0, -1), (180, -1, 0), (270, 0, 1), (315, 0.5**0.5, 0.5**0.5), (45, 0.5**0.5, -(0.5**0.5))],
)
def test_the_bearing_of_the_nest_is_cosine_ahead_and_sine_to_the_right(heading, cosine, sine):
    state, config = lone("egocentric", heading, x=10.0, y=5.0)  # the nest lies 15 patches north
    assert observed(state, config)[0, -6:-3] == pytest.approx([cosine, sine, 15 / math.hypot(30, 30)], abs=1e-6)


def test_at_the_centre_of_the_nest_it_lies_ahead_at_no_distance():
    state, config = lone("egocentric", heading=77.0, x=10.0, y=20.0)
    assert observed(state, config)[0, -6:-3].tolist() == [1.0, 0.0, 0.0]


def test_a_smell_point_outside_the_world_reads_0():
    state, config = lone(
        "egocentric", x=20.0, y=29.0, smell_points=((0.0, 1.0), (0.0, 2.0), (180.0, 30.0), (90.0, 11.0))
    )
    state.pheromone[:] = state.repellent[:] = 60.0
    assert observed(state, config)[0, :8].tolist() == [0.5, 0.0, 0.0, 0.0] * 2


@pytest.mark.parametrize("observation", ["graded", "egocentric"])
def test_without_the_pheromone_sense_all_smells_are_0_and_nothing_else_changes(observation):
    config, blind = square_config(observation), square_config(observation, has_pheromone_sense=False)
    expected, features = (observed(crowded_world(c, 5), c) for c in (config, blind))
    smells = [2, 3, 4, 11, 12, 13] if observation == "graded" else list(range(12))
    assert (expected[:, smells] > 0).any(axis=0).all()
    expected[:, smells] = 0.0
    np.testing.assert_array_equal(features, expected)


def test_the_sensors_of_another_kind_stay_unwritten():
    for observation in ("graded", "egocentric"):
        config = square_config(observation)
        state = crowded_world(config, 1)
        state.obs[:] = STALE
        observed(state, config)
        contacts = [SENSORS.index(name) for name in ("nociceptive", "reward", "on_nest")]
        assert set(np.delete(state.obs, contacts, axis=1).ravel()) == {STALE}
