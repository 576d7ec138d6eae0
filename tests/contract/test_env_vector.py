"""What many colonies in one call promise: nothing but speed differs from as many single environments."""

import copy
import json
import pickle
import re

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers

import envs  # noqa: F401  (registers the environments)
from envs.foraging import AntForagingEnv
from envs.types import ForagingState
from envs.vector import AntForagingVectorEnv
from tests.contract.world_cases import (
    DEPOSIT,
    MOVE,
    SMALL,
    TURN,
    actions_of,
    assert_equal_to_singles,
    copied,
    every_world,
    same,
)

N = 3
# Worlds whose episodes end by themselves, at different ticks.
ENDING = {
    "discrete": SMALL | {"n_ticks": 60},
    "continuous": SMALL | {"n_ticks": 60, "action": "continuous", "observation": "egocentric", "has_repellent": True},
    "no_food": {"food_per_patch": 0, "n_scattered": 0, "n_ticks": 9, "observation": "graded"},
    "one_tick": {"n_ticks": 1},
}
every_ending = pytest.mark.parametrize("world", ENDING.values(), ids=ENDING)


def make(world, n=N, **settings):
    return gymnasium.make_vec("AntForaging-v0", num_envs=n, **world, **settings)


def make_generic(world, mode, n=N, **vector_kwargs):
    return gymnasium.make_vec("AntForaging-v0", n, vectorization_mode=mode, vector_kwargs=vector_kwargs, **world)


# The same numbers as single environments


@every_world
def test_colonies_are_those_of_single_environments(world):
    world = world | {"n_ticks": 13}
    many = make(world)
    assert type(many) is AntForagingVectorEnv
    assert many.num_envs == N
    n_terminated, n_truncated = assert_equal_to_singles(many, world, seed=1, n_ticks=40)
    assert n_terminated + n_truncated >= 2 * N


@every_ending
def test_colonies_that_end_at_different_ticks_are_those_of_single_environments(world):
    many = make(world, n=5)
    n_terminated, n_truncated = assert_equal_to_singles(many, world, seed=2, n_ticks=130)
    assert n_terminated >= 3 or world["n_ticks"] == 1
    assert n_truncated >= 3 or world["food_per_patch"] == 0


@every_world
def test_a_batch_of_one_is_a_part_of_a_larger_batch(world):
    one, many = make(world, n=1), make(world, n=4)
    one.reset(seed=5)
    many.reset(seed=3)
    for action in actions_of(many, 25):
        many.step(action)
        one.step(action[2:3])
    assert same(one.state(0), many.state(2))


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
@every_ending
def test_the_generic_vector_environment_gives_the_same(world, mode):
    many, generic = make(world, autoreset_mode=mode), make_generic(world, "sync", autoreset_mode=mode)
    assert (many.observation_space, many.action_space) == (generic.observation_space, generic.action_space)
    assert many.metadata["autoreset_mode"] is generic.metadata["autoreset_mode"]

    def check(results, expected):
        assert same(results[:-1], expected[:-1])
        infos, wanted = results[-1], expected[-1]
        assert set(infos) == set(wanted)
        for name in (name for name in infos if not name.startswith("_")):
            is_new = wanted[f"_{name}"]
            assert same(infos[f"_{name}"], is_new)
            assert same(infos[name][is_new], wanted[name][is_new])

    check(many.reset(seed=4), generic.reset(seed=4))
    n_ends = 0
    for action in actions_of(many, 70):
        results = many.step(action)
        check(results, generic.step(action))
        has_ended = results[2] | results[3]
        n_ends += has_ended.sum()
        if mode == "Disabled" and has_ended.any():
            check(
                many.reset(options={"reset_mask": has_ended}), generic.reset(options={"reset_mask": has_ended.copy()})
            )
    assert n_ends >= 3
    generic.close()


def test_workers_of_their_own_give_the_same():
    world = SMALL | {"n_ticks": 12, "observation": "egocentric"}
    many = make(world, n=2)
    generic = make_generic(world, "async", n=2, context="spawn")
    try:
        assert same(many.reset(seed=6)[0], generic.reset(seed=6)[0])
        for action in actions_of(many, 30):
            assert same(many.step(action)[:4], generic.step(action)[:4])
    finally:
        generic.close()


# Ends


def test_with_autoreset_disabled_a_step_after_an_end_is_refused_and_changes_nothing():
    many = make(SMALL | {"n_ticks": 400}, autoreset_mode=AutoresetMode.DISABLED)
    assert many.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    many.reset(seed=7)
    has_ended = np.zeros(N, dtype=bool)
    actions = iter(actions_of(many, 400))
    while not has_ended.any():
        _, _, is_finished, is_out_of_time, _ = many.step(next(actions))
        has_ended = is_finished | is_out_of_time
    assert not has_ended.all()
    before, action, ended = copied(many.batch), next(actions), np.flatnonzero(has_ended)
    for _ in range(2):
        with pytest.raises(ResetNeeded, match=re.escape(f"after the end of the episodes of colonies {ended}")):
            many.step(action)
        assert same(many.batch, before)
    _, infos = many.reset(options={"reset_mask": has_ended})
    assert infos["_fitness"].tolist() == has_ended.tolist()
    for k in range(N):
        assert same(many.state(k), ForagingState(*(array[k] for array in before))) == (not has_ended[k])
    _, rewards, *_, infos = many.step(action)
    assert (infos["ticks"] == 1).tolist() == has_ended.tolist()
    assert rewards[has_ended] == pytest.approx(infos["fitness"][has_ended])


def test_actions_of_colonies_that_are_reset_are_not_looked_at():
    world = {"n_ticks": 1, "action": "continuous"}
    many, same_many = make(world), make(world)
    for environments in (many, same_many):
        environments.reset(seed=8)
        environments.step(actions_of(many, 1)[0])
    _, rewards, *_ = results = many.step(np.full((N, 15, 3), np.nan))
    assert rewards.tolist() == [0.0] * N
    assert same(results[0], same_many.step(actions_of(many, 1)[0])[0])


# Seeds


def test_seeds_may_be_one_number_or_one_for_each_or_none():
    states = {}
    for name, seed in {"int": 9, "numpy": np.int64(9), "list": [9, 10, 11], "tuple": (9, 10, 11)}.items():
        many = make({})
        many.reset(seed=seed)
        states[name] = many.batch
    assert all(same(state, states["int"]) for state in states.values())
    # None: the generator of that colony goes on, as in a single environment.
    singles = [AntForagingEnv() for _ in range(N)]
    for k, env in enumerate(singles):
        env.reset(seed=9 + k)
    for seeds in ([None, 77, None], [None] * N):
        many.reset(seed=None if seeds == [None] * N else seeds)
        for k, env in enumerate(singles):
            env.reset(seed=seeds[k])
            assert same(many.state(k), env.state)


def test_without_any_seed_colonies_differ_from_each_other_and_from_run_to_run():
    headings = []
    for _ in range(2):
        many = make({}, n=2)
        many.reset()
        headings += [many.state(k).heading.tobytes() for k in range(2)]
    assert len(set(headings)) == 4


@pytest.mark.parametrize("seed", [[1, 2], [1, 2, 3, 4], [], [1, 2, -1], [1, 2, "3"], [1, 2.5, 3], -2])
def test_bad_seeds_are_refused_and_change_nothing(seed):
    many, fresh = make({}), make({})
    many.reset(seed=10)
    before = copied(many.batch)
    with pytest.raises((ValueError, gymnasium.error.Error), match=r"[Ss]eed"):
        many.reset(seed=seed)
    assert same(many.batch, before)
    with pytest.raises((ValueError, gymnasium.error.Error), match=r"[Ss]eed"):
        fresh.reset(seed=seed)
    with pytest.raises(ResetNeeded):
        fresh.step(actions_of(fresh, 1)[0])


# Refusals


@pytest.mark.parametrize(
    "mask",
    [np.ones(2, bool), np.ones((N, 1), bool), np.zeros(N, bool), np.ones(N, int), np.ones(N), None, "all", True],
    ids=repr,
)
def test_bad_masks_are_refused_and_change_nothing(mask):
    many = make({})
    many.reset(seed=11)
    before = copied(many.batch)
    with pytest.raises(ValueError, match=r"reset_mask.* must be \(3,\) bool"):
        many.reset(options={"reset_mask": mask})
    assert same(many.batch, before)


def test_nothing_works_before_the_first_full_reset():
    many = make({}, render_mode="rgb_array")
    mask = {"reset_mask": np.array([True, False, False])}
    step, reset = lambda: many.step(actions_of(many, 1)[0]), lambda: many.reset(options=mask)
    for call in (step, reset, many.render, lambda: many.state(0)):
        with pytest.raises(ResetNeeded, match="first reset"):
            call()
        assert many.batch is None


@pytest.mark.parametrize("n", [0, -1, 2.5, "3", None])
def test_a_bad_number_of_colonies_is_refused_by_name(n):
    with pytest.raises(ValueError, match="num_envs"):
        AntForagingVectorEnv(n)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"render_mode": "human"}, "render_mode='human' is not supported"),
        ({"autoreset_mode": "SameStep"}, "autoreset_mode='SameStep' is not supported: use one of NextStep, Disabled"),
        ({"autoreset_mode": AutoresetMode.SAME_STEP}, "is not supported"),
        ({"preset": "mase"}, "did you mean 'maze'"),
        ({"n_ant": 3}, "did you mean 'n_ants'"),
    ],
)
def test_bad_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        make(settings)


def changed(part, value):
    """Function that gives the last ant of the second colony a wrong action."""

    def change(actions):
        actions[1, -1, part] = value
        return actions

    return change


BAD_ACTIONS = {
    "turn": ("discrete", changed(TURN, 3), r"colony 1, ant 3: turn=3 is outside 0 … 2"),
    "move": ("discrete", changed(MOVE, -1), r"colony 1, ant 3: move=-1"),
    "deposit": ("discrete", changed(DEPOSIT, 2), r"colony 1, ant 3: deposit=2"),
    "numbers": ("discrete", lambda a: a.astype(float), "dtype float64, expected integers"),
    "not_a_number": ("continuous", changed(MOVE, np.nan), r"colony 1, ant 3: move=nan is outside 0.0 … 1.0"),
    "infinite": ("continuous", changed(TURN, -np.inf), r"colony 1, ant 3: turn=-inf is outside -1.0 … 1.0"),
    "slightly_above": ("continuous", changed(DEPOSIT, np.nextafter(np.float32(1), 2)), r"ant 3: deposit=1.0000001"),
    "text": ("continuous", lambda a: a.astype(str), "dtype <U32, expected numbers"),
    "one_colony": ("discrete", lambda a: a[0], r"shape \(4, 3\), expected \(num_envs, n_ants, 3\)"),
    "one_ant_less": ("discrete", lambda a: a[:, :-1], r"shape \(3, 3, 3\)"),
    "nothing": ("discrete", lambda a: None, r"shape \(\)"),
}


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_bad_actions_are_refused_and_change_nothing(name):
    kind, make_bad, message = BAD_ACTIONS[name]
    many = make({"action": kind, "n_ants": 4})
    many.reset(seed=12)
    actions = actions_of(many, 3)
    many.step(actions[0])
    before = copied(many.batch)
    with pytest.raises(ValueError, match=message):
        many.step(make_bad(actions[1].copy()))
    assert same(many.batch, before)
    expected = make({"action": kind, "n_ants": 4})
    expected.reset(seed=12)
    expected.step(actions[0])
    assert same(expected.step(actions[1])[:4], many.step(actions[1])[:4])


# What is returned belongs to the caller


@every_world
def test_what_is_returned_is_not_overwritten_by_later_ticks(world):
    many = make(world | {"n_ticks": 7})
    results = [many.reset(seed=13)] + [many.step(action) for action in actions_of(many, 20)]
    again = make(world | {"n_ticks": 7})
    copies = [copy.deepcopy(again.reset(seed=13))]
    copies += [copy.deepcopy(again.step(action)) for action in actions_of(again, 20)]
    assert same(results, copies)


def test_changing_what_was_given_or_returned_changes_no_world():
    many, untouched = make({}), make({})
    mask, actions = np.array([True, False, True]), actions_of(many, 5)
    for environments in (many, untouched):
        environments.reset(seed=14)
    obs, infos = many.reset(options={"reset_mask": mask})
    untouched.reset(options={"reset_mask": mask.copy()})
    for array in (obs, *infos.values()):
        array[:] = 1
    assert mask.tolist() == [True, False, True]
    for action in actions:
        obs, *arrays, infos = many.step(action)
        expected = untouched.step(action)
        assert same(arrays, list(expected[1:4]))
        for array in (obs, *arrays, *infos.values()):
            array[:] = 1
    assert same(many.batch, untouched.batch)


# Gymnasium's other machinery


def test_wrappers_for_vector_environments_work():
    world = SMALL | {"n_ticks": 60, "observation": "egocentric"}
    bare = make(world)
    many = wrappers.RecordEpisodeStatistics(make(world))
    many = wrappers.DictInfoToList(wrappers.TransformReward(wrappers.FlattenObservation(many), lambda r: 2.0 * r))
    bare.reset(seed=15)
    obs, infos = many.reset(seed=15)
    assert obs.shape == (N, *many.single_observation_space.shape)
    assert [info["ticks"] for info in infos] == [0] * N
    episodes = []
    for action in actions_of(bare, 130):
        obs, rewards, is_finished, is_out_of_time, infos = many.step(action)
        assert obs in many.observation_space
        np.testing.assert_array_equal(rewards, 2.0 * bare.step(action)[1])
        for k in np.flatnonzero(is_finished | is_out_of_time):
            episode = infos[k]["episode"]
            assert episode["r"] == pytest.approx(infos[k]["fitness"], rel=1e-5)
            assert episode["l"] == infos[k]["ticks"]
            episodes.append(episode)
    assert len(episodes) >= 2 * N


def test_statistics_survive_the_reset_of_some_colonies():
    many = wrappers.RecordEpisodeStatistics(make({}, autoreset_mode="Disabled"))
    many.reset(seed=16)
    actions = actions_of(many, 8)
    for action in actions[:5]:
        many.step(action)
    many.reset(options={"reset_mask": np.array([False, True, False])})
    for action in actions[5:]:
        *_, infos = many.step(action)
    assert many.episode_lengths.tolist() == infos["ticks"].tolist() == [8, 3, 8]
    np.testing.assert_allclose(many.episode_returns, infos["fitness"])


def test_every_colony_has_a_frame_of_its_own():
    many, single = make({}, render_mode="rgb_array"), AntForagingEnv(render_mode="rgb_array")
    many.reset(seed=17)
    frames = many.render()
    assert len(frames) == N
    for k, frame in enumerate(frames):
        single.reset(seed=17 + k)
        np.testing.assert_array_equal(frame, single.render())
    assert make({}).render() is None


def test_the_spec_makes_the_same_environments_again():
    piles = {"piles": ((65, 53), (70, 50)), "observation": "graded", "autoreset_mode": "Disabled"}
    many = make(piles, preset="two_pheromones", n_ticks=20)
    for spec in (many.spec, EnvSpec.from_json(many.spec.to_json())):
        other = gymnasium.make_vec(spec)
        assert type(other) is AntForagingVectorEnv
        assert (other.config, other.num_envs, other.metadata) == (many.config, N, many.metadata)
        assert json.loads(other.spec.to_json()) == json.loads(many.spec.to_json())
    assert gymnasium.make("AntForaging-v0").spec.kwargs == {"preset": "published_test"}  # not changed by the above


@pytest.mark.parametrize("save", [copy.deepcopy, lambda many: pickle.loads(pickle.dumps(many))])  # noqa: S301
def test_saved_colonies_go_on_as_the_originals(save):
    many = make(SMALL | {"n_ticks": 20})
    many.reset(seed=18)
    actions = actions_of(many, 60)
    for action in actions[:30]:
        many.step(action)
    saved = save(many)
    for action in actions[30:]:
        assert same(many.step(action)[0], saved.step(action)[0])
    assert same(many.batch, saved.batch)
