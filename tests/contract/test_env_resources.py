"""What a tick costs besides time: no memory, no recompilation; and what an import does not load."""

import gc
import tracemalloc

import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys

from envs import PRESETS
from envs.config import tick_constants
from envs.dynamics import begin_tick, colony, step_batch, step_state
from envs.foraging import AntForagingEnv
from envs.vector import AntForagingVectorEnv
from tests.contract.world_cases import INTERFACES, actions_of, every_preset, parts_of, random_actions

EVERYTHING = {"crawl_period": 2, "growth_period": 3, "rot_period": 5, "pheromone_period": 1, "n_ticks": 10**6}


@njit
def many_ticks(state, actions, constants, n_ticks):
    for tick in range(n_ticks):
        step_state(state, actions[tick % actions.shape[0]], constants)


@njit
def many_batches(batch, actions, constants, is_active, n_ticks):
    for tick in range(n_ticks):
        step_batch(batch, actions[tick % actions.shape[0]], constants, is_active)


@pytest.fixture
def allocations():
    """Function that counts what the compiled code allocates in a call, its arguments included."""
    was_on = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()

    def count(call, *arguments):
        before = rtsys.get_allocation_stats()
        call(*arguments)
        after = rtsys.get_allocation_stats()
        assert after.alloc - before.alloc == after.free - before.free  # nothing is left behind
        return after.alloc - before.alloc, after.mi_alloc - before.mi_alloc

    yield count
    if not was_on:
        _nrt_python.memsys_disable_stats()


def test_the_counter_of_allocations_sees_one(allocations):
    @njit
    def allocate(n):
        total = 0.0
        for _ in range(n):
            total += np.ones(50)[n % 50]
        return total

    allocate(1)
    assert allocations(allocate, 7)[0] >= 7


@every_preset
@pytest.mark.parametrize("observation", ["binary", "graded", "egocentric"])
def test_compiled_ticks_allocate_nothing(preset, observation, allocations):
    env = AntForagingEnv(preset, observation=observation, has_repellent=True, **EVERYTHING)
    env.reset(seed=0)
    actions, constants = random_actions(env.config, np.random.default_rng(0), 10), tick_constants(env.config)
    arguments = env.state, actions, constants
    many_ticks(*arguments, 1)
    ticks = env.state.counts[6]
    # The call itself wraps its arguments: the same for one tick and for a thousand.
    assert allocations(many_ticks, *arguments, 1) == allocations(many_ticks, *arguments, 1000)
    assert env.state.counts[6] == ticks + 1001


def test_compiled_ticks_of_many_colonies_allocate_nothing(allocations):
    many = AntForagingVectorEnv(3, has_repellent=True, **EVERYTHING)
    many.reset(seed=1)
    arguments = many.batch, actions_of(many, 10), tick_constants(many.config), np.array([True, False, True])
    many_batches(*arguments, 1)
    assert allocations(many_batches, *arguments, 1) == allocations(many_batches, *arguments, 1000)
    assert many.batch.counts[:, 6].tolist() == [1002, 0, 1002]


def traced(run):
    """Bytes of Python objects that `run` leaves behind, and the most it holds in between: the least of five runs each.

    The least, because free lists are filled with traced objects bit by bit; a leak is there in every run.
    """
    kept, peaks = [], []
    gc.freeze()  # what is there already need not be searched again and again
    tracemalloc.start()
    try:
        for _ in range(5):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            run()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    return min(kept), min(peaks)


def test_the_tracer_sees_a_leak():
    kept = []
    leak, peak = traced(lambda: kept.extend([float(k) for k in range(1000)]))
    assert peak >= leak > 20_000


@pytest.mark.parametrize("observation", ["binary", "egocentric"])
@pytest.mark.parametrize("n_colonies", [None, 4])
def test_a_thousand_ticks_leave_no_memory_behind(n_colonies, observation):
    settings = {"observation": observation, "n_ants": 50, **EVERYTHING}
    env = AntForagingEnv(**settings) if n_colonies is None else AntForagingVectorEnv(n_colonies, **settings)
    obs, _ = env.reset(seed=2)
    more = () if n_colonies is None else (n_colonies,)
    actions = random_actions(env.config, np.random.default_rng(2), 50, *more)

    def thousand_ticks():
        for tick in range(1000):
            env.step(actions[tick % 50])

    kept, peak = traced(thousand_ticks)
    assert kept < 20_000  # not one Python object per tick
    size = sum(part.nbytes for part in parts_of(obs).values()) + actions[0].nbytes
    assert peak < 5 * size + 20_000  # a few copies of what goes in and out


def test_hundred_resets_leave_no_memory_behind():
    env = AntForagingEnv("maze")

    def hundred_resets():
        for seed in range(100):
            env.reset(seed=seed)

    kept, _ = traced(hundred_resets)
    assert kept < 11_000  # not one array per reset


def test_worlds_of_all_kinds_share_the_compiled_code():
    """One version for each kind of action and precision, whatever the preset, the observation or the number of ants."""
    kernels = step_state, step_batch, begin_tick, colony

    def play(preset, bits, observation, action, **settings):
        kind = {"observation": observation, "action": action, "pheromone_bits": bits} | settings
        env, many = AntForagingEnv(preset, **kind), AntForagingVectorEnv(2, preset, **kind)
        env.reset(seed=3)
        env.step(random_actions(env.config, np.random.default_rng(3), 1)[0])
        many.reset(seed=3)
        many.step(actions_of(many, 1)[0])

    play("published_test", 64, "binary", "discrete")
    play("published_test", 64, "binary", "continuous")
    n_versions = [len(kernel.signatures) for kernel in kernels]
    for k, preset in enumerate(PRESETS):
        for observation, action in INTERFACES:
            play(preset, 64, observation, action)
        play(preset, 64, *INTERFACES[k % len(INTERFACES)], n_ants=1, n_scattered=0, smell_points=((0.0, 3.0),))
    assert [len(kernel.signatures) for kernel in kernels] == n_versions


def test_importing_the_package_loads_no_compiler(run_python):
    program = (
        "import sys, envs\n"
        "heavy = {'numba', 'llvmlite', 'scipy', 'pygame', 'matplotlib', 'PIL', 'snn', 'optim', 'experiments'}\n"
        "sys.stdout.write(' '.join(sorted(heavy & set(sys.modules))))"
    )
    child = run_python("-W", "error", "-c", program)
    assert (child.returncode, child.stdout) == (0, ""), child.stderr
