"""Spaces of every kind of world, observations as copies in them, and what is refused as an action."""

import re

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.config import tick_constants
from envs.dynamics import begin_tick, step_state
from envs.generators import initial_state
from envs.presets import make_config
from envs.spaces import action_space, checked_actions, observation, observation_space
from envs.types import ForagingState
from tests.unit.ant_cases import quiet

DISCRETE = make_config(n_ants=4)
CONTINUOUS = make_config(n_ants=4, action="continuous")
WORLDS = {
    "binary": {},
    "binary, two pheromones": {"has_repellent": True},
    "graded": {"observation": "graded"},
    "graded, two pheromones": {"observation": "graded", "has_repellent": True},
    "egocentric": {"observation": "egocentric"},
    "egocentric, two pheromones": {"observation": "egocentric", "has_repellent": True},
    "egocentric, one point": {"observation": "egocentric", "smell_points": ((10.0, 3.0),)},
}
each_world = pytest.mark.parametrize("name", WORLDS)


def config_of(name):
    return make_config(n_ants=4, **WORLDS[name])


def moved_state(config, seed=0):
    """A world after ten ticks in which the ants have walked and dropped pheromone."""
    state, rng = initial_state(config, np.random.default_rng(seed)), np.random.default_rng(seed)
    n_parts = config.n_action_parts
    with quiet():
        begin_tick(state, tick_constants(config))
        for _ in range(10):
            actions = rng.integers(0, (3, 2, 2, 2)[:n_parts], size=(config.n_ants, n_parts))
            step_state(state, actions, tick_constants(config))
    return state


def parts_of(obs):
    return obs if isinstance(obs, dict) else {"": obs}


# Observations


def test_the_space_of_binary_ants_is_one_bit_per_sensor():
    assert observation_space(DISCRETE) == spaces.MultiBinary((4, 11))
    assert observation_space(make_config(n_ants=4, has_repellent=True)) == spaces.MultiBinary((4, 14))
    assert observation_space(DISCRETE, per_ant=True) == spaces.MultiBinary((11,))


def test_the_space_of_graded_ants_is_the_unit_box():
    config = make_config(n_ants=4, observation="graded")
    assert observation_space(config) == spaces.Box(0.0, 1.0, (4, 11), np.float32)
    assert observation_space(config, per_ant=True) == spaces.Box(0.0, 1.0, (11,), np.float32)


@pytest.mark.parametrize("has_repellent", [False, True])
def test_the_space_of_egocentric_ants_has_named_parts(has_repellent):
    config = make_config(n_ants=4, observation="egocentric", has_repellent=has_repellent)
    for ants, per_ant in (((4,), False), ((), True)):
        space = observation_space(config, per_ant=per_ant)
        assert list(space) == ["ahead", "contact", "nest", "pheromone"] + ["repellent"] * has_repellent
        assert space["pheromone"] == spaces.Box(0.0, 1.0, (*ants, 4), np.float32)
        assert space["ahead"] == spaces.Box(0.0, 1.0, (*ants, 2), np.float32)
        assert space["contact"] == spaces.MultiBinary((*ants, 3))
        assert space["nest"].shape == (*ants, 3)
        np.testing.assert_array_equal(space["nest"].low, np.broadcast_to([-1.0, -1.0, 0.0], (*ants, 3)))
        np.testing.assert_array_equal(space["nest"].high, 1.0)
        if has_repellent:
            assert space["repellent"] == space["pheromone"]


@each_world
def test_an_observation_lies_in_its_space_and_its_rows_in_the_space_of_an_ant(name):
    config = config_of(name)
    space, per_ant = observation_space(config), observation_space(config, per_ant=True)
    for seed in range(5):
        obs = observation(moved_state(config, seed), config)
        assert obs in space
        sample = parts_of(space.sample())
        assert list(parts_of(obs)) == list(sample)
        for key, values in parts_of(obs).items():
            assert (values.shape, values.dtype) == (sample[key].shape, sample[key].dtype)
        for ant in range(4):
            row = {key: values[ant] for key, values in parts_of(obs).items()}
            assert (row if isinstance(obs, dict) else row[""]) in per_ant


@each_world
def test_an_observation_is_a_copy(name):
    config = config_of(name)
    state = moved_state(config)
    obs = parts_of(observation(state, config))
    before = {key: values.copy() for key, values in obs.items()}
    for values in obs.values():
        assert not any(np.shares_memory(values, array) for array in state)
        assert values.flags.owndata or values.base.flags.owndata
    state.obs[:], state.features[:] = 1 - state.obs, 1 - state.features
    for key, values in obs.items():
        np.testing.assert_array_equal(values, before[key])


@each_world
def test_the_parts_of_an_observation_are_those_of_the_state(name):
    config = config_of(name)
    state = moved_state(config)
    parts = parts_of(observation(state, config))
    if config.observation == "egocentric":
        order = ["pheromone"] + ["repellent"] * config.has_repellent + ["ahead", "nest", "contact"]
        np.testing.assert_array_equal(np.concatenate([parts[key] for key in order], axis=1), state.features)
    else:
        expected = state.obs if config.observation == "binary" else state.features
        np.testing.assert_array_equal(parts[""], expected)


@each_world
def test_the_observation_of_a_batch_has_an_axis_of_colonies_in_front(name):
    config = config_of(name)
    states = [moved_state(config, seed) for seed in range(3)]
    batch = ForagingState(*(np.stack(arrays) for arrays in zip(*states, strict=True)))
    obs = observation(batch, config)
    assert obs in batch_space(observation_space(config), 3)
    for k, state in enumerate(states):
        for key, values in parts_of(observation(state, config)).items():
            np.testing.assert_array_equal(parts_of(obs)[key][k], values)


# Actions


@pytest.mark.parametrize(("has_repellent", "sizes"), [(False, [3, 2, 2]), (True, [3, 2, 2, 2])])
def test_the_spaces_of_actions(has_repellent, sizes):
    discrete = make_config(n_ants=4, has_repellent=has_repellent)
    assert action_space(discrete) == spaces.MultiDiscrete(np.array([sizes] * 4))
    assert action_space(discrete, per_ant=True) == spaces.MultiDiscrete(sizes)
    continuous = make_config(n_ants=4, has_repellent=has_repellent, action="continuous")
    low = np.float32([-1.0, *[0.0] * (len(sizes) - 1)])
    assert action_space(continuous, per_ant=True) == spaces.Box(low, np.float32(1.0), dtype=np.float32)
    assert action_space(continuous) == spaces.Box(np.tile(low, (4, 1)), np.float32(1.0), dtype=np.float32)


@pytest.mark.parametrize("has_repellent", [False, True])
@pytest.mark.parametrize(("kind", "dtype"), [("discrete", np.int64), ("continuous", np.float64)])
def test_samples_of_the_space_pass_as_contiguous_actions(kind, dtype, has_repellent):
    config = make_config(n_ants=4, action=kind, has_repellent=has_repellent)
    single, batch = action_space(config), batch_space(action_space(config), 3)
    single.seed(0)
    batch.seed(0)
    for _ in range(20):
        for sample, n_colonies in ((single.sample(), None), (batch.sample(), 3)):
            for given_ in (sample, sample.tolist(), np.asfortranarray(sample)):
                actions = checked_actions(given_, config, n_colonies)
                np.testing.assert_array_equal(actions, sample)
                assert actions.dtype == dtype
                assert actions.flags.c_contiguous


@pytest.mark.parametrize(
    ("config", "dtypes"),
    [
        (DISCRETE, [np.int8, np.uint8, np.int32, np.uint64]),
        (CONTINUOUS, [np.int8, np.uint16, np.float16, np.float32, np.longdouble]),
    ],
    ids=["discrete", "continuous"],
)
def test_every_type_of_number_means_the_same_action(config, dtypes):
    whole = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    for dtype in dtypes:
        np.testing.assert_array_equal(checked_actions(whole.astype(dtype), config), whole)


WRONG_SHAPES = [(3, 3), (5, 3), (4, 2), (4, 4), (3, 4), (12,), (1, 4, 3), ()]


@pytest.mark.parametrize("config", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
@pytest.mark.parametrize("shape", WRONG_SHAPES)
def test_a_wrong_shape_is_refused_with_the_expected_one(config, shape):
    with pytest.raises(ValueError, match=r"^action has shape .* expected \(n_ants, 3\) = \(4, 3\)\.$"):
        checked_actions(np.zeros(shape, dtype=int), config)
    with pytest.raises(ValueError, match=r"^action has shape .* expected \(num_envs, n_ants, 3\) = \(2, 4, 3\)\.$"):
        checked_actions(np.zeros(shape, dtype=int), config, 2)


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        (DISCRETE, float, "integers: turn 0-2, move 0-1, deposit 0-1"),
        (DISCRETE, bool, "integers: turn 0-2, move 0-1, deposit 0-1"),
        (DISCRETE, complex, "integers"),
        (DISCRETE, object, "integers"),
        (DISCRETE, "U1", "integers"),
        (CONTINUOUS, bool, "numbers: turn -1.0-1.0, move 0.0-1.0, deposit 0.0-1.0"),
        (CONTINUOUS, complex, "numbers"),
        (CONTINUOUS, object, "numbers"),
        (CONTINUOUS, "U1", "numbers"),
        (CONTINUOUS, "M8[s]", "numbers"),
    ],
)
def test_a_wrong_type_is_refused_with_the_ranges(config, dtype, expected):
    for n_colonies in (None, 2):
        actions = np.zeros((4, 3) if n_colonies is None else (2, 4, 3), dtype=int).astype(dtype)
        name = re.escape(str(actions.dtype))
        with pytest.raises(ValueError, match=rf"^action has dtype {name}, expected {re.escape(expected)}.* per ant\.$"):
            checked_actions(actions, config, n_colonies)


BAD_VALUES = [
    (DISCRETE, 0, -1, "turn=-1 is outside 0 … 2"),
    (DISCRETE, 0, 3, "turn=3 is outside 0 … 2"),
    (DISCRETE, 1, 2, "move=2 is outside 0 … 1"),
    (DISCRETE, 2, -128, "deposit=-128 is outside 0 … 1"),
    (CONTINUOUS, 0, -1.5, "turn=-1.5 is outside -1.0 … 1.0"),
    (CONTINUOUS, 0, 1.0000001, "turn=1.0000001 is outside -1.0 … 1.0"),
    (CONTINUOUS, 0, np.nan, "turn=nan is outside -1.0 … 1.0"),
    (CONTINUOUS, 1, np.nan, "move=nan is outside 0.0 … 1.0"),
    (CONTINUOUS, 1, np.inf, "move=inf is outside 0.0 … 1.0"),
    (CONTINUOUS, 2, -np.inf, "deposit=-inf is outside 0.0 … 1.0"),
    (CONTINUOUS, 2, -1e-9, "deposit=-1e-09 is outside 0.0 … 1.0"),
]


@pytest.mark.parametrize(("config", "part", "value", "message"), BAD_VALUES)
def test_a_wrong_value_is_refused_with_colony_ant_part_and_range(config, part, value, message):
    single, batch = np.zeros((4, 3), dtype=type(value)), np.zeros((5, 4, 3), dtype=type(value))
    single[2:, part] = batch[3:, 1:, part] = value
    with pytest.raises(ValueError, match=f"^action of ant 2: {message}\\.$"):
        checked_actions(single, config)
    with pytest.raises(ValueError, match=f"^action of colony 3, ant 1: {message}\\.$"):
        checked_actions(batch, config, 5)


def test_the_second_deposit_has_a_name_of_its_own():
    config = make_config(n_ants=4, has_repellent=True)
    actions = np.zeros((4, 4), dtype=int)
    actions[1, 3] = 2
    with pytest.raises(ValueError, match=r"ant 1: deposit_repellent=2 is outside 0 … 1"):
        checked_actions(actions, config)


@pytest.mark.parametrize("config", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_the_actions_of_inactive_colonies_are_not_looked_at(config):
    actions = np.zeros((3, 4, 3), dtype=int if config is DISCRETE else float)
    actions[1] = 99 if config is DISCRETE else np.nan
    is_active = np.array([True, False, True])
    np.testing.assert_array_equal(checked_actions(actions, config, 3, is_active)[[0, 2]], 0)
    with pytest.raises(ValueError, match="colony 1, ant 0: turn="):
        checked_actions(actions, config, 3, ~is_active)
    with pytest.raises(ValueError, match="colony 1, ant 0: turn="):
        checked_actions(actions, config, 3)


@settings(deadline=None, max_examples=100)
@given(values=st.lists(st.integers(-3, 3), min_size=12, max_size=12), is_continuous=st.booleans())
def test_an_action_is_accepted_exactly_if_the_space_contains_it(values, is_continuous):
    config = CONTINUOUS if is_continuous else DISCRETE
    actions = np.array(values).reshape(4, 3)
    space = action_space(config)
    if actions.astype(space.dtype) in space:
        np.testing.assert_array_equal(checked_actions(actions, config), actions)
    else:
        with pytest.raises(ValueError, match="is outside"):
            checked_actions(actions, config)
