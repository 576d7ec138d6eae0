"""The results of an analysis as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.colony_analysis import (
    BEHAVIOUR,
    INPUTS,
    MOTORS,
    PLACES,
    TRAIL,
    mean_correlation,
    mean_interval,
    paired,
)
from optim.base import Array

Table = dict[str, NDArray[Any]]
ABLATIONS = ("sensor", "pheromone", "brain")
WORLDS = {"ants": "ants", "evaporation": "evaporation", "layout": "layout"}


class Analysis(NamedTuple):
    """What is in an analysis file, see `experiments.analysis_tasks.compute`."""

    settings: dict[str, Any]
    variants: Table
    episodes: Table
    recorded: Table
    fields: Table
    snapshots: Table
    arena: Table


class Scores(NamedTuple):
    """The episodes of a variant, or of several of one kind."""

    name: str
    food: Array  # (n_episodes,) units in the nest, NaN where an episode failed
    available: Array  # (n_episodes,) units that there were
    has_finished: Array  # (n_episodes,) 1 where everything was collected, else 0


def scores(analysis: Analysis, group: str) -> list[Scores]:
    """The variants of a group; permutations of the brain as one, averaged in every world."""
    rows = np.flatnonzero(analysis.variants["group"] == group)
    food, available, ticks = (analysis.episodes[name][rows] for name in ("food", "available", "ticks"))
    has_finished = np.where(np.isfinite(ticks), ticks < analysis.settings["env"]["n_ticks"], np.nan)
    if group == "brain":
        name = f"brain shuffled, mean of {len(rows)}"
        return [Scores(name, food.mean(axis=0), available.mean(axis=0), has_finished.mean(axis=0))]
    names = analysis.variants["name"][rows]
    return [Scores(*values) for values in zip(names, food, available, has_finished, strict=True)]


def world_scores(analysis: Analysis, group: str) -> list[Scores]:
    """The worlds of a group with that of the colony itself among them; numbers in order, else its own first."""
    settings = analysis.settings
    own = {
        "ants": f"{settings['env']['n_ants']}",
        "evaporation": f"{settings['env']['evaporation']:g}",
        "layout": settings["preset"],
    }[group]
    others = scores(analysis, group)
    if own in [entry.name for entry in others]:
        own += ", changed"  # a preset that the colony has refined
    found = [scores(analysis, "intact")[0]._replace(name=f"{own} (its own)"), *others]
    return found if group == "layout" else sorted(found, key=lambda entry: float(entry.name.split()[0]))


def share_interval(entry: Scores) -> tuple[int, float, float, float]:
    """Number of episodes, mean share of the food that came home, and its interval, cut to [0, 1]."""
    n, share, low, high = mean_interval(entry.food / entry.available)
    return n, share, max(low, 0.0), min(high, 1.0)


def tables_text(analysis: Analysis) -> str:
    """All tables, Markdown."""
    parts = [
        _headline(analysis),
        "## What it loses",
        "Paired differences in the same worlds; d: their mean / their standard deviation.",
        _ablation_table(analysis),
        "## Other worlds",
        _world_table(analysis),
        "## Behaviour",
        _behaviour_table(analysis),
        "## Pheromone",
        *_pheromone_tables(analysis),
        "## Correlation of spike counts, motor neurons with sensors",
        _correlation_table(analysis),
    ]
    return "\n\n".join(parts) + "\n"


def _headline(analysis: Analysis) -> str:
    settings = analysis.settings
    n, mean, low, high = mean_interval(scores(analysis, "intact")[0].food)
    return (
        f"# {settings['name']}\n\n{n} worlds that no run with seed {settings['seed']} has met; "
        f"food {mean:.1f}, 95 % interval {_interval(low, high)}; fitness "
        f"{mean_interval(analysis.episodes['fitness'][0])[1]:,.0f}."
    )


def _ablation_table(analysis: Analysis) -> str:
    intact = scores(analysis, "intact")[0]
    rows = []
    for group in ABLATIONS:
        for entry in scores(analysis, group):
            what = f"sensor {entry.name}" if group == "sensor" else entry.name
            p = paired(intact.food, entry.food)
            cells = [what, _spread(entry.food), _number(p.drop), _interval(p.low, p.high)]
            rows.append([*cells, _number(p.d, 2), _share(p.better), p.n])
    head = ["what is taken", "food ± sd", "lost", "95 % interval", "d", "intact better in", "worlds"]
    n_intact = int(np.isfinite(intact.food).sum())
    return _table(head, [["nothing", _spread(intact.food), *["–"] * 4, n_intact], *rows])


def _world_table(analysis: Analysis) -> str:
    rows = []
    for group, title in WORLDS.items():
        for entry in world_scores(analysis, group):
            n, share, low, high = share_interval(entry)
            there = mean_interval(entry.available)[1]
            cells = [f"{title}: {entry.name}", _spread(entry.food), _number(there, 0), _number(share, 3)]
            rows.append([*cells, _interval(low, high, 3), _share(mean_interval(entry.has_finished)[1]), n])
    return _table(["world", "food ± sd", "of", "share", "95 % interval", "everything home in", "worlds"], rows)


def _behaviour_table(analysis: Analysis) -> str:
    rows = []
    for index, name in enumerate(BEHAVIOUR):
        _, mean, low, high = mean_interval(analysis.recorded["behaviour"][:, index])
        digits = 1 if name == "pick_ups" else 3
        rows.append([name, _number(mean, digits), _interval(low, high, digits)])
    return _table(["pick-ups of the colony; else share of ant-ticks", "mean", "95 % interval"], rows)


def _pheromone_tables(analysis: Analysis) -> Iterator[str]:
    laid, there = np.moveaxis(analysis.recorded["deposits"], 1, 0)  # (n_episodes, n_places)
    with np.errstate(divide="ignore", invalid="ignore"):  # a colony that lays nothing, or is never there
        shares, times, rates = laid / laid[:, :1], there / there[:, :1], laid / there
    rows = []
    for index, name in enumerate(PLACES):
        cells: list[Any] = [name]
        for values in (shares, times, rates):
            _, mean, low, high = mean_interval(values[:, index])
            cells += [_number(mean, 3), _interval(low, high, 3)]
        rows.append(cells)
    head = ["where", "share of deposits", "95 % interval", "share of ant-ticks", "95 % interval"]
    yield _table([*head, "deposits per ant-tick there", "95 % interval"], rows)
    first = analysis.recorded["first_return"]
    n, mean, low, high = mean_interval(np.where(first > 0, first, np.nan))
    if n:
        yield f"First food home after {mean:.0f} ticks, 95 % interval {_interval(low, high, 0)}, in {n} worlds."
    else:
        yield "No food came home."
    ticks = analysis.fields["tick"]
    chosen = np.unique(np.abs(ticks[:, None] - np.linspace(0.1, 1.0, 10) * ticks[-1]).argmin(axis=0))
    rows = []
    for index in chosen:
        area, home = (mean_interval(analysis.recorded[name][:, index]) for name in ("area", "returned"))
        rows.append(
            [ticks[index], _number(area[1], 3), _interval(*area[2:], 3), _number(home[1]), _interval(*home[2:])]
        )
    yield _table(["tick", f"arena with pheromone > {TRAIL:g}", "95 % interval", "food home", "95 % interval"], rows)


def _correlation_table(analysis: Analysis) -> str:
    mean = mean_correlation(analysis.recorded["correlation_sum"], analysis.recorded["correlation_n"])
    return _table(
        ["", *INPUTS], [[name, *(_number(r, 3) for r in row)] for name, row in zip(MOTORS, mean, strict=True)]
    )


def _table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _number(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def _spread(values: Array) -> str:
    """Mean ± standard deviation of those that are finite."""
    n, mean, _, _ = mean_interval(values)
    return f"{_number(mean)} ± {np.nanstd(values, ddof=1):.1f}" if n > 1 else _number(mean)


def _share(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"


def _interval(low: float, high: float, digits: int = 1) -> str:
    return f"{_number(low, digits)} … {_number(high, digits)}" if math.isfinite(low) else "–"
