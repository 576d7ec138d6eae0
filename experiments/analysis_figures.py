"""The results of an analysis as figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis import new_axes, save_figure
from experiments.analysis_tables import ABLATIONS, WORLDS, Analysis, Scores, scores, share_interval, world_scores
from experiments.colony_analysis import INPUTS, MOTORS, PLACES, TRAIL, mean_correlation, mean_interval
from optim.base import Array

_LIMIT = 0.6  # of correlations, as in the published figure


def draw_all(analysis: Analysis, folder: Path) -> list[Path]:
    """Write all figures into a folder; returns their paths, none without matplotlib."""
    figure, _ = new_axes()
    if figure is None:
        return []
    from matplotlib import pyplot

    pyplot.close(figure)
    drawn = []
    for draw in (_correlations, _ablations, _worlds, _pheromone, _trails):
        path = folder / f"{draw.__name__[1:]}.png"
        save_figure(draw(analysis), path)
        drawn.append(path)
    return drawn


def _words(name: str) -> str:
    return name.replace("_", " ")


def _correlations(analysis: Analysis) -> Any:
    """Motor neurons x sensors; a pair of which a train never changes stays empty: grey."""
    mean = mean_correlation(analysis.recorded["correlation_sum"], analysis.recorded["correlation_n"])
    figure, axes = new_axes()
    figure.set_size_inches(9.6, 3.6)
    axis = axes[0, 0]
    axis.set_facecolor("0.8")
    image = axis.imshow(mean, cmap="RdBu_r", vmin=-_LIMIT, vmax=_LIMIT, aspect="auto")
    axis.set_xticks(range(len(INPUTS)), [_words(name) for name in INPUTS], rotation=45, ha="right")
    axis.set_yticks(range(len(MOTORS)), MOTORS)
    for (row, column), value in np.ndenumerate(mean):
        if np.isfinite(value):
            color = "white" if abs(value) > 0.6 * _LIMIT else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize="small", color=color)
    figure.colorbar(image, ax=axis, label="correlation of spike counts")
    axis.set_title(f"{analysis.settings['name']}: motor neurons and sensors, bins of one tick", fontsize="medium")
    return figure


def _bar(axis: Any, y: float, values: tuple[int, float, float, float], color: str) -> None:
    """A horizontal bar (n, mean, low, high) with its interval."""
    _, mean, low, high = values
    axis.barh(y, mean, color=color, height=0.7)
    axis.plot([low, high], [y, y], color="black", linewidth=1.2)


def _ablations(analysis: Analysis) -> Any:
    intact = mean_interval(scores(analysis, "intact")[0].food)
    entries = [(group, entry) for group in ABLATIONS for entry in scores(analysis, group)]
    figure, axes = new_axes()
    figure.set_size_inches(8.4, 1.2 + 0.28 * len(entries))
    axis = axes[0, 0]
    axis.axvline(intact[1], color="0.4", linewidth=1.0)
    axis.axvspan(intact[2], intact[3], color="0.4", alpha=0.2, linewidth=0)
    colors = {group: f"C{index}" for index, group in enumerate(ABLATIONS)}
    for y, (group, entry) in enumerate(entries):
        _bar(axis, y, mean_interval(entry.food), colors[group])
    axis.set_yticks(range(len(entries)), [_words(entry.name) for _, entry in entries])
    axis.invert_yaxis()
    axis.set(xlabel="food home, mean and 95 % interval; line: intact", title="What is taken from the colony")
    labels = {"sensor": "sensor silenced", "pheromone": "pheromone changed", "brain": "weights and delays permuted"}
    handles = [axis.barh(0, 0, color=colors[group], label=labels[group]) for group in ABLATIONS]
    figure.legend(handles=handles, frameon=False, fontsize="small", loc="outside lower center", ncols=len(handles))
    return figure


def _worlds(analysis: Analysis) -> Any:
    figure, axes = new_axes(columns=3)
    for axis, (group, title) in zip(axes[0], WORLDS.items(), strict=True):
        entries = world_scores(analysis, group)
        if group == "layout":
            for y, entry in enumerate(entries):
                _bar(axis, y, share_interval(entry), "C0")
            axis.set_yticks(range(len(entries)), [_words(entry.name) for entry in entries])
            axis.invert_yaxis()
            axis.set(xlabel="share of the food home", xlim=(0, 1.02))
        else:
            _curve(axis, entries)
            axis.set(xlabel="ants" if group == "ants" else "share of the pheromone lost per update")
            axis.set(ylabel="share of the food home", ylim=(0, 1.05))
        axis.set_title(title)
    return figure


def _curve(axis: Any, entries: list[Scores]) -> None:
    """Means with intervals over numbers, which stand at equal distances."""
    names = [entry.name.split()[0] for entry in entries]
    _, mean, low, high = np.array([share_interval(entry) for entry in entries]).T
    axis.plot(names, mean, color="C0", marker="o", markersize=4)
    axis.vlines(names, low, high, color="black", linewidth=1.2)
    own = next(index for index, entry in enumerate(entries) if "own" in entry.name)
    axis.plot([names[own]], [mean[own]], color="C1", marker="o", markersize=8, zorder=0, label="its own world")
    axis.tick_params(axis="x", labelsize="small")
    axis.legend(frameon=False, fontsize="small", loc="lower left")


def _pheromone(analysis: Analysis) -> Any:
    """The arena at some ticks of one episode."""
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Circle

    snapshots, arena, radius = analysis.snapshots, analysis.arena, analysis.settings["env"]["nest_radius"]
    x_min, x_max, y_min, y_max = arena["bounds"]
    nest_x, nest_y = arena["nest"]
    inside = np.s_[y_min : y_max + 1, x_min : x_max + 1]
    extent = (x_min - 0.5, x_max + 0.5, y_min - 0.5, y_max + 0.5)
    n = len(snapshots["tick"])
    columns = min(3, n)
    figure, axes = new_axes(rows=-(-n // columns), columns=columns)
    figure.set_size_inches(3.2 * columns, 4.2 * -(-n // columns))
    highest = max(float(snapshots["pheromone"].max()), 10.0 * TRAIL)
    for axis, index in zip(axes.ravel(), range(n), strict=False):
        field = snapshots["pheromone"][index][inside]
        shown = np.where(field > TRAIL, field, np.nan)
        image = axis.imshow(
            shown,
            origin="lower",
            extent=extent,
            cmap="viridis_r",
            norm=LogNorm(TRAIL, highest),
            interpolation="nearest",
        )
        wall = np.where(arena["is_wall"][inside], 1.0, np.nan)
        axis.imshow(wall, origin="lower", extent=extent, cmap="Greys", vmin=0.0, vmax=2.0)
        y, x = np.nonzero(snapshots["food"][index])
        axis.scatter(x, y, s=5, marker="s", color="C1", label="food")
        axis.add_patch(Circle((nest_x, nest_y), radius, fill=False, color="C3", linewidth=1.5, label="nest"))
        axis.scatter(snapshots["x"][index], snapshots["y"][index], s=9, color="black", label="ants")
        home = int(snapshots["returned"][index])
        axis.set(xticks=[], yticks=[], xlim=extent[:2], ylim=extent[2:])
        share = float((field > TRAIL).mean())
        axis.set_title(f"tick {snapshots['tick'][index]}: {home} home, trail on {share:.0%}", fontsize="small")
    for axis in axes.ravel()[n:]:
        axis.set_axis_off()
    axes[0, 0].legend(fontsize="x-small", loc="lower left")
    figure.colorbar(image, ax=axes, label=f"pheromone above {TRAIL:g}", shrink=0.6)
    return figure


def _trails(analysis: Analysis) -> Any:
    figure, axes = new_axes(columns=3)
    figure.set_size_inches(11.0, 3.4)
    ticks, recorded = analysis.fields["tick"], analysis.recorded
    for axis, name, label in zip(
        axes[0], ("area", "returned"), ("share of the arena with trail", "food home"), strict=False
    ):
        mean, low, high = np.array([mean_interval(values)[1:] for values in recorded[name].T]).T
        axis.plot(ticks, mean, color="C0")
        axis.fill_between(ticks, low, high, color="C0", alpha=0.3, linewidth=0)
        axis.set(xlabel="tick", ylabel=label)
        axis.set_ylim(bottom=0.0)
    _places(axes[0, 2], recorded["deposits"])
    return figure


def _places(axis: Any, deposits: Array) -> None:
    """Shares of deposits beside shares of ant-ticks in each situation."""
    names = PLACES[1:]
    for offset, row, label, color in ((-0.2, 0, "of deposits", "C1"), (0.2, 1, "of ant-ticks", "0.6")):
        with np.errstate(divide="ignore", invalid="ignore"):  # a colony that lays nothing
            shares = deposits[:, row, 1:] / deposits[:, row, :1]
        found = [mean_interval(values) for values in shares.T]
        y = np.arange(len(names)) + offset
        axis.barh(y, [mean for _, mean, _, _ in found], height=0.36, color=color, label=label)
        axis.hlines(y, [low for *_, low, _ in found], [high for *_, high in found], color="black", linewidth=1.2)
    axis.set_yticks(range(len(names)), [_words(name) for name in names])
    axis.invert_yaxis()
    axis.set(xlabel="share")
    axis.legend(frameon=False, fontsize="small")
