"""Speed of the world: ``python tests/bench/world.py [--mesa PYTHON] [--figure ants_scaling.png]``, about a minute.

CPU time of the one thread, unless a row says otherwise. Ants follow the rules of `envs.policies.ReactiveAnts`; their
actions are recorded first, so that only the world is measured and all that is compared replays the same episode.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import N_ROUNDS, Stopwatch, medians, row, rows, text, title

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import gymnasium
import numpy as np
from gymnasium.utils.performance import benchmark_step, benchmark_vector_step
from numpy_world import NumpyWorld
from scaling import ENDLESS, Actions, bench_large_world, bench_scaling, record

import envs
from envs.foraging import AntForagingEnv
from envs.generators import initial_state
from envs.policies import ReactiveAnts

_N_TICKS, _N_TICKS_OF_MANY = 1000, 300
_N_COLONIES = (1, 4, 16, 64)
_ID = "AntForaging-v0"
_HOW_MESA = "python -m venv /tmp/mesa && /tmp/mesa/bin/pip install 'mesa==3.3.*'"


def bench_world(mesa: str | None = None, figure: Path | None = None) -> None:
    """All tables; `mesa` is the Python of an environment with it, `figure` where the scaling is drawn."""
    bench_one_colony(mesa)
    bench_many_ants_in_numpy()
    bench_many_colonies()
    bench_as_gymnasium_does()
    bench_scaling(figure)
    bench_large_world()


def bench_one_colony(mesa: str | None) -> None:
    """The published world through its interfaces, beside the same world by other means."""
    env = AntForagingEnv()
    n_ants = env.config.n_ants
    actions = record(env, _N_TICKS)
    title(f"A tick of one colony, published world, {n_ants} ants; CPU time")
    ours = "AntForagingEnv.step"
    measurements: dict[str, Callable[[], float]] = {
        ours: functools.partial(_seconds_of_env, env, actions),
        "gymnasium.make, with its wrappers": functools.partial(_seconds_of_env, gymnasium.make(_ID), actions),
        "envs.parallel_env, dictionaries by ant": functools.partial(_seconds_of_ants, actions),
        "the same world in NumPy": functools.partial(_seconds_of_numpy, env, actions),
    }
    with tempfile.TemporaryDirectory() as folder:
        if mesa is not None:
            write_case(Path(folder) / "case.npz", env, actions)
            measurements["the same world in Mesa"] = lambda: _answer_of_mesa(mesa, Path(folder))["seconds_per_tick"]
        for measure in measurements.values():
            measure()  # compile
        times = medians(measurements)
        rows(times, "µs", scale=1e6, reference=ours)
        row(f"  {ours}", 1.0 / times[ours], "ticks/s", f"{n_ants / times[ours]:,.0f} ant-ticks/s")
        _check_numpy(env, actions)
        if mesa is None:
            text("Mesa is left out. To include it:")
            text(_HOW_MESA)
            text("python tests/bench/world.py --mesa /tmp/mesa/bin/python")
        else:
            _check_mesa(mesa, Path(folder), env, actions)


def bench_many_ants_in_numpy() -> None:
    """Where NumPy's calls no longer dominate."""
    env = AntForagingEnv(n_ants=1000, **ENDLESS)
    actions = record(env, 100)
    title("A tick of one colony, published arena, 1,000 ants; CPU time")
    ours = "AntForagingEnv.step"
    measurements = {
        ours: functools.partial(_seconds_of_env, env, actions),
        "the same world in NumPy": functools.partial(_seconds_of_numpy, env, actions),
    }
    rows(medians(measurements), "µs", scale=1e6, reference=ours)
    _check_numpy(env, actions)


def bench_many_colonies() -> None:
    """One compiled loop over colonies, and Gymnasium's loop over single environments."""
    title("Many colonies of the published world; CPU time per colony and tick")
    for n_colonies in _N_COLONIES:
        native = gymnasium.make_vec(_ID, num_envs=n_colonies)
        single = gymnasium.vector.SyncVectorEnv([AntForagingEnv] * n_colonies)
        actions = _record_many(native, _N_TICKS_OF_MANY)
        times = medians(
            {
                "make_vec": functools.partial(_seconds_of_colonies, native, actions),
                "SyncVectorEnv": functools.partial(_seconds_of_colonies, single, actions),
            }
        )
        for name, seconds in times.items():
            note = f"{1.0 / seconds:,.0f} colony-ticks/s"
            if name != "make_vec":
                note += f", × {seconds / times['make_vec']:.2f}"
            row(f"{n_colonies} {'colony' if n_colonies == 1 else 'colonies'}, {name}", seconds * 1e6, "µs", note)


def bench_as_gymnasium_does() -> None:
    """What Gymnasium's own functions report."""
    env = gymnasium.make(_ID)
    many = gymnasium.make_vec(_ID, num_envs=64)
    title(f"gymnasium.utils.performance, random actions; wall time, sampling the actions included; best of {N_ROUNDS}")
    speeds = [(benchmark_step(env, 1, seed=1), benchmark_vector_step(many, 1, seed=1)) for _ in range(N_ROUNDS)]
    row("benchmark_step(make(…))", max(one for one, _ in speeds), "ticks/s")
    row("benchmark_vector_step(make_vec(…, num_envs=64))", max(each for _, each in speeds), "colony-ticks/s")
    for name, space, n_colonies in (("one colony", env.action_space, 1), ("64 colonies", many.action_space, 64)):
        watch = Stopwatch()
        with watch.running():
            for _ in range(200):
                space.sample()
        row(f"  of this action_space.sample(), {name}", watch.seconds / 200 / n_colonies * 1e6, "µs", "per colony")


def write_case(path: Path, env: AntForagingEnv, actions: Actions) -> None:
    """All that the peer in Mesa needs to know."""
    env.reset(seed=1)
    state, config = initial_state(env.config, _generator(1)), env.config
    names = ("x", "y", "heading", "food", "objects", "is_nest", "nest_scent")
    np.savez(
        path,
        **{name: getattr(state, name) for name in names},
        actions=actions,
        walkable=np.array(config.walkable, dtype=np.float64),
        arena=config.arena,
        n_ray_points=math.floor(config.view / config.ray_step + 1e-9) + 1,
        diffusion=config.diffusion,
        evaporation=config.evaporation,
    )


def _generator(seed: int) -> np.random.Generator:
    """The generator of a world that is reset with a seed."""
    return gymnasium.utils.seeding.np_random(seed)[0]


def _seconds_of_env(env: Any, actions: Actions) -> float:
    """Seconds per tick of a replay."""
    env.reset(seed=1)
    watch = Stopwatch()
    with watch.running():
        for action in actions:
            env.step(action)
    return watch.seconds / len(actions)


def _seconds_of_ants(actions: Actions) -> float:
    """The same, one agent per ant."""
    env = envs.parallel_env()
    env.reset(seed=1)
    all_actions = [dict(zip(env.agents, each, strict=True)) for each in actions]
    watch = Stopwatch()
    with watch.running():
        for each in all_actions:
            env.step(each)
    return watch.seconds / len(actions)


def _numpy_world(env: AntForagingEnv) -> NumpyWorld:
    return NumpyWorld(initial_state(env.config, _generator(1)), env.config)


def _seconds_of_numpy(env: AntForagingEnv, actions: Actions) -> float:
    """The same, in NumPy."""
    world, watch = _numpy_world(env), Stopwatch()
    with watch.running():
        for action in actions:
            world.step(action)
    return watch.seconds / len(actions)


def _replay(env: AntForagingEnv, actions: Actions) -> dict[str, Any]:
    """Measures at the end of a replay."""
    env.reset(seed=1)
    for action in actions:
        info = env.step(action)[-1]
    return info


def _check_numpy(env: AntForagingEnv, actions: Actions) -> None:
    """Both worlds end in the same state."""
    world, info = _numpy_world(env), _replay(env, actions)
    for action in actions:
        world.step(action)
    assert env.state is not None
    np.testing.assert_allclose(world.pheromone, env.state.pheromone, rtol=1e-9, err_msg="NumPy: another pheromone")
    assert np.array_equal(world.food, env.state.food), "NumPy: other food"
    text(f"NumPy {np.__version__}; all hold the same food and pheromone in the end: {info['food']} units in the nest")


def _answer_of_mesa(python: str, folder: Path) -> dict[str, Any]:
    command = [python, str(Path(__file__).with_name("mesa_peer.py")), folder / "case.npz", folder / "end.npz"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{python} could not run the peer:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def _check_mesa(python: str, folder: Path, env: AntForagingEnv, actions: Actions) -> None:
    """The peer's ants went the same ways and left the same trails."""
    answer, info = _answer_of_mesa(python, folder), _replay(env, actions)
    assert env.state is not None
    with np.load(folder / "end.npz") as end:
        for name in ("x", "y", "pheromone"):
            np.testing.assert_allclose(end[name], getattr(env.state, name), rtol=1e-9, err_msg=f"Mesa: another {name}")
    food = f"{answer['counts']['food']} units in the nest, {info['food']} in ours"
    text(f"Mesa {answer['mesa']}; the same ways and pheromone; {food} (the order of the ants at the food is random)")


def _record_many(worlds: Any, n_ticks: int) -> Actions:
    """(n_ticks, n_colonies, n_ants, 3) actions of reactive ants."""
    config = worlds.unwrapped.config
    colonies = [ReactiveAnts(config, seed) for seed in range(worlds.num_envs)]
    obs, _ = worlds.reset(seed=1)
    actions = []
    for _ in range(n_ticks):
        actions.append(np.array([ants.act(each) for ants, each in zip(colonies, obs, strict=True)]))
        obs = worlds.step(actions[-1])[0]
    return np.array(actions)


def _seconds_of_colonies(worlds: Any, actions: Actions) -> float:
    """Seconds per colony and tick of a replay."""
    return _seconds_of_env(worlds, actions) / worlds.num_envs


def main() -> None:
    """All tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mesa", metavar="PYTHON", help="of an environment with mesa 3")
    parser.add_argument("--figure", metavar="PNG", type=Path, help="draw the scaling")
    arguments = parser.parse_args()
    bench_world(arguments.mesa, arguments.figure)


if __name__ == "__main__":
    main()
