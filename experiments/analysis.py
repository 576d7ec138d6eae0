"""Figures and statistics of runs; matplotlib is optional."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.files import write_bytes
from optim.base import Array
from optim.fitness import centered_ranks


def spearman(first: Array, second: Array) -> float:
    """Spearman rank correlation of two samples (n,), ties with mean ranks."""
    return float(np.corrcoef(centered_ranks(first), centered_ranks(second))[0, 1])


def new_axes(rows: int = 1, columns: int = 1) -> Any:
    """Figure and axes without a display, or (None, None) without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return None, None
    matplotlib.use("agg")
    from matplotlib import pyplot

    size = (max(7.0, 3.2 * columns), 3.2 * rows)
    return pyplot.subplots(rows, columns, figsize=size, sharex=columns == 1, squeeze=False, layout="constrained")


def plot_fitness(generations: Mapping[str, NDArray[Any]], path: Path, title: str) -> bool:
    """Draw fitness, and every measure that has a mean beside the value of the best, over generations.

    Parameters
    ----------
    generations : the table of that name of a run, see `experiments.records`

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    told = [name.removeprefix("mean_") for name in generations if name.startswith("mean_")]
    figure, axes = new_axes(rows=1 + len(told))
    if figure is None:
        return False
    x = generations["generation"]
    top = axes[0, 0]
    top.plot(x, generations["best"], color="C1", label="best evaluated")
    top.plot(x, generations["mean"], color="C0", label="mean ± sd")
    low, high = generations["mean"] - generations["sd"], generations["mean"] + generations["sd"]
    top.fill_between(x, low, high, color="C0", alpha=0.2, linewidth=0)
    top.set(ylabel="fitness", title=title)
    top.legend(frameon=False)
    for axis, name in zip(axes[1:, 0], told, strict=True):
        axis.plot(x, generations[name], color="C1", label="best evaluated")
        axis.plot(x, generations[f"mean_{name}"], color="C0", label="mean")
        axis.set(ylabel=name.replace("_", " "))
    bottom = axes[-1, 0]
    bottom.set(xlabel="generation")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)
    return True


def plot_correlation(published: Array, ours: Array, path: Path) -> bool:
    """Scatter plot of our mean fitness against the published one; False if matplotlib is not installed."""
    figure, axes = new_axes()
    if figure is None:
        return False
    ax = axes[0, 0]
    limits = [min(published.min(), ours.min()), max(published.max(), ours.max())]
    ax.plot(limits, limits, color="0.7", linewidth=1, label="equal")
    ax.scatter(published, ours, s=18, color="C0")
    ax.set(xlabel="published fitness (one episode)", ylabel="mean fitness here")
    ax.set_title(f"{len(ours)} genomes, Spearman correlation {spearman(published, ours):.2f}")
    ax.legend(frameon=False)
    save_figure(figure, path)
    return True


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format of its ending, and close it."""
    from matplotlib import pyplot

    content = io.BytesIO()
    figure.savefig(content, dpi=150, format=path.suffix[1:] or None)
    pyplot.close(figure)
    write_bytes(path, content.getvalue())
