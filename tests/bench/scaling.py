"""Cost of a step against the number of ants, and of large worlds; `world.py` runs it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from timing import Stopwatch, medians, row, text, title

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import numpy as np
from numpy.typing import NDArray

from envs import make_config
from envs.foraging import AntForagingEnv
from envs.policies import ReactiveAnts

_N_ANTS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
_N_WARM_UP = 100  # ticks in which ants leave the nest
ENDLESS = {"n_ticks": 10**6, "food_per_patch": 1000}

Actions = NDArray[np.int64]


class Line(NamedTuple):
    """A straight line through times, by least squares of the relative deviations."""

    fixed: float  # seconds
    per_ant: float  # seconds
    r_squared: float  # of the times themselves
    largest_deviation: float  # relative


def bench_scaling(figure: Path | None) -> None:
    """Cost of a step against the number of ants: published arena, and open worlds that grow with the colony."""
    worlds: dict[str, Callable[[int], dict[str, Any]]] = {
        "published arena": lambda n_ants: {"preset": "published_test"},
        "open world that grows with them": open_world,
    }
    measurements = {}
    for name, settings in worlds.items():
        for n_ants in _N_ANTS:
            measurements[name, n_ants] = _warm_step(n_ants, **settings(n_ants))
    times = medians(measurements)
    curves = {}
    for name, settings in worlds.items():
        seconds = np.array([times[name, n_ants] for n_ants in _N_ANTS])
        line = fitted_line(np.array(_N_ANTS), seconds)
        curves[name] = seconds, line
        title(f"A step against the number of ants, {name}; CPU time")
        for n_ants, value in zip(_N_ANTS, seconds, strict=True):
            side = settings(n_ants).get("width")
            size = f", {side} × {side} patches" if side else ""
            on_line = line.fixed + n_ants * line.per_ant
            note = f"{value / n_ants * 1e9:,.0f} ns per ant; on the line {on_line * 1e6:,.1f} µs"
            row(f"{n_ants:,} {'ant' if n_ants == 1 else 'ants'}{size}", value * 1e6, "µs", note)
        note = f"+ {line.fixed * 1e6:.1f} µs; R² = {line.r_squared:.5f}, largest deviation {line.largest_deviation:.0%}"
        row("straight line, per ant", line.per_ant * 1e9, "ns", note)
    if figure is not None:
        draw_scaling(curves, figure)
        text(f"drawn: {figure}")


def bench_large_world() -> None:
    """A whole step of ten thousand ants on 512 × 512 patches."""
    title("A step of 10,000 ants, open world of 512 × 512 patches; CPU time")
    measurements = {
        (period, bits): _warm_step(
            10_000, **(open_world(10_000, side=512) | {"pheromone_period": period, "pheromone_bits": bits})
        )
        for period in (1, 7)
        for bits in (64, 32)
    }
    for (period, bits), seconds in medians(measurements).items():
        often = "every tick" if period == 1 else f"every {period} ticks"
        row(f"float{bits}, pheromone update {often}", seconds * 1e3, "ms")


def open_world(n_ants: int, side: int | None = None) -> dict[str, Any]:
    """Settings of the preset "open", enlarged so that an ant has the room it has there; all ants leave at once."""
    side = side or max(71, round(71 * math.sqrt(n_ants / 125)))
    middle = side // 2
    return {
        "preset": "open",
        "width": side,
        "height": side,
        "arena": (0, side - 1, 0, side - 1),
        "nest_x": (middle, middle),
        "nest_y": (middle, middle),
        "piles": tuple((x * side // 71, y * side // 71) for x, y in make_config("open").piles),
        "departure_interval": 0,
    }


def record(env: AntForagingEnv, n_ticks: int) -> Actions:
    """(n_ticks, n_ants, 3) actions of reactive ants from a reset on."""
    ants = ReactiveAnts(env.config, seed=1)
    obs, _ = env.reset(seed=1)
    actions = []
    for _ in range(n_ticks):
        actions.append(ants.act(obs))
        obs = env.step(actions[-1])[0]
    return np.array(actions)


def fitted_line(n_ants: NDArray[np.int64], seconds: NDArray[np.float64]) -> Line:
    """Line through (number, time); relative deviations count, since the times span orders of magnitude."""
    terms = np.column_stack([np.ones(len(n_ants)), n_ants])
    (fixed, per_ant), *_ = np.linalg.lstsq(terms / seconds[:, np.newaxis], np.ones(len(seconds)), rcond=None)
    deviations = seconds - (fixed + per_ant * n_ants)
    r_squared = 1.0 - (deviations**2).sum() / ((seconds - seconds.mean()) ** 2).sum()
    return Line(fixed, per_ant, r_squared, np.abs(deviations / seconds).max())


def draw_scaling(curves: dict[str, tuple[NDArray[np.float64], Line]], path: Path) -> None:
    """Measured times and the fitted lines, both axes logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    pyplot.rcParams["font.size"] = 13
    picture, axes = pyplot.subplots(figsize=(6.0, 4.4), layout="constrained")
    n_ants = np.geomspace(_N_ANTS[0], _N_ANTS[-1], 200)
    for (name, (seconds, line)), colour, marker in zip(curves.items(), ("#1f5fa8", "#c2571a"), "os", strict=True):
        axes.plot(n_ants, (line.fixed + line.per_ant * n_ants) * 1e6, color=colour, linewidth=1.5)
        label = f"{name}\n{line.fixed * 1e6:.0f} µs + {line.per_ant * 1e9:.0f} ns per ant, R² = {line.r_squared:.4f}"
        axes.plot(_N_ANTS, seconds * 1e6, marker, color=colour, markersize=7, label=label)
    axes.set(xscale="log", yscale="log", xlabel="ants", ylabel="CPU time of a step (µs)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    axes.grid(which="major", color="0.9")
    axes.legend(fontsize=11, loc="upper left", framealpha=1.0, edgecolor="white")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(path, dpi=175)
    pyplot.close(picture)


def _warm_step(n_ants: int, **settings: Any) -> Callable[[], float]:
    """Measurement of a step whose ants are on their ways: seconds per step, from the same state at every call."""
    env = AntForagingEnv(n_ants=n_ants, **(settings | ENDLESS))
    n_ticks = min(max(30_000 // n_ants, 20), 1000)
    actions = record(env, _N_WARM_UP + n_ticks)
    env.reset(seed=1)
    for action in actions[:_N_WARM_UP]:
        env.step(action)
    assert env.state is not None
    start, measured = [array.copy() for array in env.state], actions[_N_WARM_UP:].copy()

    def measure() -> float:
        state: Any = env.state
        for array, content in zip(state, start, strict=True):
            array[:] = content
        watch = Stopwatch()
        with watch.running():
            for action in measured:
                env.step(action)
        return watch.seconds / n_ticks

    return measure
