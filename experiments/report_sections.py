"""What a report says about the run of any study: sections as HTML, texts escaped, numbers as in the records."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.report_figures import SMALL, Array, Band, Curve, chart
from experiments.report_html import (
    NONE,
    duration,
    esc,
    file_name,
    grid,
    number,
    paragraph,
    section,
    table,
    without_places,
    words,
)
from experiments.settings import as_lists, leaves

_MOST_ROWS = 25  # kinds of failures
_MOST_COLUMNS = 200  # generations, or groups of them, that a distribution shows
_PLACE = ("generation", "individual", "episode", "env_seed")  # columns that say what was measured, not what it was


class RunData(NamedTuple):
    """What is known of a run."""

    name: str
    study: str  # what kind of study it is
    settings: Mapping[str, Any]
    defaults: Mapping[str, Any]  # by dotted name
    compared: str  # what the defaults are those of
    tables: Mapping[str, Mapping[str, NDArray[Any]]]
    individuals: tuple[Array, Array]  # generation, fitness of everyone
    summary: Mapping[str, Any]  # see `experiments.show.summarise`
    starts: Sequence[Mapping[str, Any]]


def best_row(generations: Mapping[str, NDArray[Any]]) -> int:
    """Row of the generation with the fittest individual; NaN never wins."""
    return int(np.argmax(np.nan_to_num(generations["best"], nan=-np.inf)))


def status(data: RunData) -> tuple[str, str]:
    """How the run stands: a word for its class, and one for people."""
    process, done, planned = data.summary["process"], data.summary["done"], data.summary["planned"]
    if process:
        told = {True: ("open", "under way"), False: ("hurt", "was killed"), None: ("open", "under way, or was killed")}
        return told[process["is_running"]]
    if isinstance(planned, int) and done < planned:
        return "hurt", "stopped early"
    return "done", "done"


def headline(data: RunData) -> str:
    """The numbers that matter most."""
    generations = data.tables["generations"]
    best = best_row(generations)
    tiles = [("best fitness", number(generations["best"][best]), f"generation {generations['generation'][best]}")]
    for name in told_measures(generations):
        most = f"generation mean up to {number(_most(generations[f'mean_{name}']), 4)}"
        tiles.append((f"{words(name)} of the best", number(generations[name][best], 4), most))
    if len(tests := data.tables["test"].get("accuracy", np.empty(0))):
        tiles.append(
            ("test accuracy, last", number(tests[-1], 4), f"generation {data.tables['test']['generation'][-1]}")
        )
    tiles.append(("generations", number(data.summary["done"]), f"of {_planned(data)} planned"))
    n_failed = int(np.isnan(data.individuals[1]).sum())
    tiles.append(("individuals evaluated", number(len(data.individuals[1])), f"{number(n_failed)} failed"))
    seconds = data.summary["progress"]["seconds"]["all"]
    tiles.append(("wall time", duration(seconds), f"{duration(seconds / data.summary['done'])} per generation"))
    inner = "".join(
        f"<div><dt>{esc(name)}</dt><dd>{value}<small>{note}</small></dd></div>" for name, value, note in tiles
    )
    return f'<dl class="tiles">{inner}</dl>\n'


def _planned(data: RunData) -> str:
    planned = data.summary["planned"]
    return number(planned) if isinstance(planned, int) else esc(planned)


def told_measures(generations: Mapping[str, NDArray[Any]]) -> list[str]:
    """Measures of which the records hold the best individual's and the mean."""
    means = [name.removeprefix("mean_") for name in generations if name.startswith("mean_")]
    return [name for name in means if name in generations]


def learning(data: RunData) -> str:
    """Fitness and measures over generations."""
    generations = data.tables["generations"]
    x = generations["generation"]
    low, high = generations["mean"] - generations["sd"], generations["mean"] + generations["sd"]
    curves = [Curve("best evaluated", x, generations["best"], "best"), Curve("mean", x, generations["mean"], "mean")]
    figures = [
        chart("Fitness: best, and mean ± standard deviation", curves, [Band("± sd", x, low, high, "wide")]),
        distribution(*data.individuals),
    ]
    for name in told_measures(generations):
        pair = [
            Curve("best evaluated", x, generations[name], "best"),
            Curve("mean", x, generations[f"mean_{name}"], "mean"),
        ]
        figures.append(chart(words(name).capitalize(), pair))
    tests = data.tables["test"]
    for name, values in _columns(tests):
        figures.append(chart(f"Test: {words(name)}", [Curve(name, tests["generation"], values, "best")]))
    return section("Learning", grid([*figures, _best_individual(data)]))


def distribution(generation: Array, fitness: Array) -> str:
    """The fitness of everyone, by generation; where there are many, some share a column."""
    parts = np.array_split(np.unique(generation), min(_MOST_COLUMNS, len(np.unique(generation))))
    edges = np.searchsorted(generation, [part[0] for part in parts[1:]])  # records are in the order of generations
    groups = [group[np.isfinite(group)] for group in np.split(fitness, edges)]
    kept = [(part.mean(), group) for part, group in zip(parts, groups, strict=True) if len(group)]
    if not kept:
        return ""
    x = np.array([place for place, _ in kept])
    least, low, quarter, middle, upper, high, most = np.array(
        [np.quantile(group, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]) for _, group in kept]
    ).T
    bands = [
        Band("all", x, least, most, "wide"),
        Band("80 %", x, low, high, "middle"),
        Band("50 %", x, quarter, upper, "narrow"),
    ]
    return chart("Fitness: distribution over individuals", [Curve("median", x, middle, "best")], bands)


def _best_individual(data: RunData) -> str:
    """The fittest individual that was evaluated, in numbers."""
    generations, best = data.tables["generations"], data.tables["best"]
    generation = int(generations["generation"][best_row(generations)])
    rows = np.flatnonzero(best.get("generation", np.empty(0)) == generation)
    if len(rows) == 0:
        return ""
    individual = int(best["individual"][rows[0]])
    numbers: dict[str, Any] = {"generation": generation, "individual": individual}
    numbers |= {words(name): values[rows[0]] for name, values in _columns(best)}
    episodes = data.tables["episodes"]
    at = (episodes["generation"] == generation) & (episodes["individual"] == individual)
    for name, values in _columns(episodes):
        if at.any() and name != "seconds":
            numbers.setdefault(words(name), float(np.mean(values[at])))
    notes = [f"Mean over {at.sum()} episodes."] if at.sum() > 1 else []
    if "env" in data.settings:
        notes.append("The fittest of many in random worlds is also the luckiest: new worlds tell what it can do.")
    note = paragraph(" ".join(notes)) if notes else ""
    return f"<div><h3>The best individual</h3>{table(['', 'value'], numbers.items())}{note}</div>\n"


def optimizer_curves(data: RunData) -> str:
    """What the optimizer, and the study, tell of every generation."""
    figures = []
    for name in ("diagnostics", "covariance"):
        columns = data.tables[name]
        for column, values in _columns(columns):
            curve = Curve(column, columns["generation"], values, "other")
            title = words(column) if name == "diagnostics" else f"{name}: {words(column)}"
            figures.append(chart(title, [curve], size=SMALL))
    return section("The optimizer", grid(figures, "three"))


def progress(data: RunData) -> str:
    """How far the run is, where the time went, and what failed."""
    generations, summary = data.tables["generations"], data.summary
    _, state = status(data)
    lines = [f"{number(summary['done'])} of {_planned(data)} generations, {state}."]
    if summary["open"]:
        lines.append(
            "Generation {generation} is open: {done:,} episodes done, {failed:,} failed.".format(**summary["open"])
        )
    if summary["checkpoint"]["file"] and state != "done":
        lines.append("Resumed, it would go on at generation {generation}.".format(**summary["checkpoint"]))
    if not len(data.tables["failures"].get("reason", ())):
        lines.append("No episode failed.")
    seconds = {part: summary["progress"]["seconds"][part] for part in ("evaluate", "optimizer", "storage")}
    whole = sum(seconds.values())
    rows = [
        [part, f"{spent:,.1f}", f"{spent / summary['done']:.3g}", f"{100.0 * spent / whole:.1f}"]
        for part, spent in seconds.items()
        if whole
    ]
    head = ["wall time", "all, s", "per generation, s", "share, %"]
    x = generations["generation"]
    times = chart("Wall time of a generation, s", [Curve("all", x, generations["seconds"], "other")])
    spent = table(head, rows, has_numbers=True) if rows else ""
    inner = f'<div class="grid two"><div>{paragraph(" ".join(lines), "")}{spent}</div>{times}</div>\n'
    return section("Progress", inner, failures(data))


def failures(data: RunData) -> str:
    """What failed, by reason and error."""
    columns = data.tables["failures"]
    n_failed = len(columns.get("reason", ()))
    if not n_failed:
        return ""
    hosts = [str(start.get("host", "")) for start in data.starts]
    found: dict[tuple[str, str], list[int]] = {}
    for row, (reason, text) in enumerate(zip(columns["reason"], columns["traceback"], strict=True)):
        lines = str(text).strip().splitlines() or [""]
        found.setdefault((str(reason), without_places(lines[-1], hosts)), []).append(row)
    rows = [
        [reason, len(at), "{}, {}, {}".format(*(number(columns[name][at[0]]) for name in _PLACE[:3])), error]
        for (reason, error), at in sorted(found.items(), key=lambda item: -len(item[1]))
    ]
    more = f" The {len(rows) - _MOST_ROWS:,} rarest errors are left out." if len(rows) > _MOST_ROWS else ""
    text = f"{number(n_failed)} episodes failed, after their repetitions.{more}"
    head = ["reason", "episodes", "first: generation, individual, episode", "error"]
    return f"<h3>Failures</h3>{paragraph(text, '')}{table(head, rows[:_MOST_ROWS])}"


def settings(data: RunData) -> str:
    """What a person chose: first what differs from the defaults, then all."""
    chosen = dict(leaves(data.settings))
    rows = [
        [name, _plain(value), _plain(data.defaults[name]) if name in data.defaults else NONE]
        for name, value in chosen.items()
        if name not in data.defaults or as_lists(data.defaults[name]) != as_lists(value)
    ]
    parts = (
        [table(["setting", "here", data.compared], rows)]
        if rows
        else [paragraph(f"All as in the {data.compared}.", "")]
    )
    everything = table(["setting", "value"], [[name, _plain(value)] for name, value in chosen.items()])
    return section(
        "Settings", *parts, f"<details><summary>All {len(chosen)} settings</summary>{everything}</details>\n"
    )


def provenance(data: RunData) -> str:
    """Every start: when, on how many ranks, of which code and packages; no host, user or folder."""
    if not data.starts:
        return ""
    rows: list[list[Any]] = []
    before: dict[str, str] = {}
    for index, start in enumerate(data.starts):
        versions = _versions(start)
        changed = [f"{name} {versions[name]}" for name in versions if versions[name] != before.get(name)]
        commit, _, changes = str(start.get("commit", "")).partition("+")
        code = (commit[:10] or NONE) + (" and changes" if changes else "")
        command = " ".join(_word(word) for word in start.get("command", []))
        when = str(start.get("started_utc", NONE)).replace("T", " ").removesuffix("+00:00")
        rows.append(
            [str(index + 1), when, start.get("n_ranks", NONE), code, ", ".join(changed) or "as before", command]
        )
        before = versions
    head = ["start", "UTC", "ranks", "commit", "versions", "command"]
    return section("Provenance", f'<div class="starts">{table(head, rows)}</div>\n')


def _versions(start: Mapping[str, Any]) -> dict[str, str]:
    """What a start ran on, by name."""
    given = start.get("versions")
    found = {str(name): str(version) for name, version in given.items()} if isinstance(given, Mapping) else {}
    python = {"Python": str(start["python"])} if "python" in start else {}
    mpi = str(start.get("mpi_library") or "").strip().splitlines()
    return python | found | ({"MPI": without_places(mpi[0])} if mpi else {})


def _word(word: str) -> str:
    """A word of a command without folders."""
    flag, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
    return flag + equals + (file_name(value) if re.search(r"[\\/]", value) or value.startswith("~") else value)


def _columns(columns: Mapping[str, NDArray[Any]]) -> list[tuple[str, NDArray[Any]]]:
    """Numbers, one a row, that were measured."""
    return [(k, v) for k, v in columns.items() if k not in _PLACE and v.ndim == 1 and v.dtype.kind in "fiu"]


def _most(values: Array) -> float:
    return float(np.nanmax(values)) if np.isfinite(values).any() else math.nan


def _plain(value: Any) -> str:
    """A setting as in its file."""
    return str(value).lower() if isinstance(value, bool) else str(as_lists(value))
