"""Episodes: the same outcome on both engines, compiled or tick by tick."""

import dataclasses

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from experiments.compiled import _episode, run_compiled
from experiments.config import load_config
from experiments.rollout import MEASURES, make_colony_task, run_episode, run_ticks, task_seeds
from experiments.settings import config_to_dict
from optim.tasks import Task
from snn import AntColonyBrain, decode, random_genomes

pytestmark = pytest.mark.nest


def make_config(engine, **flags):
    return load_config(None, {"brain.engine": engine, "env.n_ticks": 120, **flags})


def make_env(config):
    return AntForagingEnv(**dataclasses.asdict(config.env))


def genome_of(config, seed=1):
    return random_genomes(config.brain, 1, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("flags", [{}, {"env.n_ants": 1}, {"env.n_ants": 37}, {"brain.resolution_ms": 0.5}])
def test_both_engines_give_the_same_episode(flags):
    outcomes = []
    for engine in ("nest", "numba"):
        config = make_config(engine, **flags)
        outcomes.append([run_episode(genome_of(config, s), config, make_env(config), (s, 1)).values for s in (1, 2)])
    np.testing.assert_array_equal(outcomes[0], outcomes[1])
    assert outcomes[0][0][MEASURES.index("moves")] > 0


def test_a_rank_has_compiled_everything_before_work_is_handed_out():
    config = make_config("numba")
    evaluate = make_colony_task({"config": config_to_dict(config), "is_held_out": False})
    n_compiled = len(_episode.signatures)
    expected = run_episode(genome_of(config), config, make_env(config), task_seeds(config, Task(0, 0, 0))).values
    np.testing.assert_array_equal(evaluate(Task(0, 0, 0), genome_of(config)), expected)
    assert len(_episode.signatures) == n_compiled == 1


def test_recorded_spikes_are_the_same_on_both_engines():
    trains = []
    for engine in ("nest", "numba"):
        config = make_config(engine, **{"env.n_ticks": 20})
        trains.append(run_episode(genome_of(config), config, make_env(config), (3, 1), has_recording=True).spikes)
    assert trains[0].equals(trains[1])
    assert list(trains[0].populations) == ["input", "hidden", "output"]
    assert len(trains[0].population("output").steps) > 0


def test_a_compiled_episode_equals_one_tick_by_tick():
    config = make_config("numba", preset="published_test")
    states = []
    for run in (run_compiled, lambda env, brain: run_ticks(env, brain, env.state.obs.copy())):
        env = make_env(config)
        env.reset(seed=5)
        with AntColonyBrain(*decode(genome_of(config), config.brain), config.env.n_ants, config.brain) as brain:
            run(env, brain)
        states.append((env.state, env.measures()))
    for name, compiled, stepped in zip(states[0][0]._fields, states[0][0], states[1][0], strict=True):
        np.testing.assert_array_equal(compiled, stepped, err_msg=name)
    assert states[0][1] == states[1][1]
    assert states[0][1]["ticks"] == 120


def test_a_compiled_episode_ends_when_everything_is_collected():
    config = make_config("numba")
    env = make_env(config)
    env.reset(seed=0)
    env.state.food[:] = 0
    env.state.objects[env.state.objects == 2] = 0
    with AntColonyBrain(*decode(genome_of(config), config.brain), config.env.n_ants, config.brain) as brain:
        run_compiled(env, brain)
    assert env.measures()["finish_tick"] == 0
    assert env.measures()["ticks"] == 1


@pytest.mark.parametrize("flaw", ["engine", "recording", "second run", "no reset"])
def test_only_a_fresh_pair_can_run_compiled(flaw):
    config = make_config("nest" if flaw == "engine" else "numba")
    env = make_env(config)
    if flaw != "no reset":
        env.reset(seed=0)
    brain = AntColonyBrain(
        *decode(genome_of(config), config.brain), config.env.n_ants, config.brain, has_recording=flaw == "recording"
    )
    if flaw == "second run":
        brain.act(env.state.obs)
    with brain, pytest.raises(ValueError, match="needs a reset world and a new brain on the engine 'numba'"):
        run_compiled(env, brain)


@pytest.mark.parametrize(
    "convert", [np.ndarray.tolist, lambda obs: obs.astype(bool), lambda obs: 0.5 * obs, np.asfortranarray]
)
def test_observations_of_any_kind_of_number_act_alike(convert):
    config = make_config("numba")
    obs = (np.random.default_rng(0).random((20, config.env.n_ants, 11)) < 0.3).astype(np.int8)
    actions = []
    for kind in (np.asarray, convert):
        with AntColonyBrain(*decode(genome_of(config), config.brain), config.env.n_ants, config.brain) as brain:
            actions.append([brain.act(kind(row)) for row in obs])
    np.testing.assert_array_equal(actions[0], actions[1])


def test_a_brain_that_was_reset_repeats_its_actions():
    config = make_config("numba")
    obs = (np.random.default_rng(0).random((30, config.env.n_ants, 11)) < 0.3).astype(np.int8)
    with AntColonyBrain(*decode(genome_of(config), config.brain), config.env.n_ants, config.brain) as brain:
        first = [brain.act(row) for row in obs]
        brain.reset()
        np.testing.assert_array_equal(first, [brain.act(row) for row in obs])
