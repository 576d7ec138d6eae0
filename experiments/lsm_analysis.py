"""Draw what a run of experiments/lsm.py has learnt: weights by type and cluster, and the ensemble's covariances.

python experiments/lsm_analysis.py runs/lsm-quick/filter-seed1

Writes ``weights.png`` and ``covariance.png`` into the run folder. See `experiments.lsm_records` for the tables.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.require_packages()

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis import new_axes, save_figure
from experiments.command import Parser, checked_path, guarded
from experiments.console import report, say
from experiments.files import StorageError
from experiments.lsm_records import KINDS, N_BINS
from experiments.process import EXIT_DONE, EXIT_UNAVAILABLE
from experiments.run_folder import RunFolder
from experiments.settings import read_settings

Table = Mapping[str, NDArray[Any]]


def draw_weights(weights: Table, bound_pA: float, path: Path) -> bool:
    """Histograms of the weights of each kind at the first and the last record, and means of the clusters in between.

    Parameters
    ----------
    weights : the table of that name
    bound_pA : largest weight, where the histograms end

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    figure, axes = new_axes(rows=2, columns=len(KINDS))
    if figure is None:
        return False
    edges = np.linspace(-bound_pA, bound_pA, N_BINS + 1)
    generations = np.unique(weights["generation"])
    for (top, bottom), kind in zip(axes.T, KINDS, strict=True):
        own = weights["kind"] == kind
        for generation in generations[[0, -1]]:
            at = own & (weights["generation"] == generation)
            top.stairs(weights["histogram"][at].sum(axis=0), edges, label=f"generation {generation}")
        shown = weights["histogram"][own].sum(axis=0) > 0
        top.set(title=f"{kind}: from {_NAMES[kind[0]]}\nonto {_NAMES[kind[1]]}", xlim=_around(edges, shown))
        top.set(xlabel="pA", yscale="log")
        for cluster in np.unique(weights["cluster"]):
            at = own & (weights["cluster"] == cluster)
            bottom.plot(weights["generation"][at], weights["mean_pA"][at], label=str(cluster))
        bottom.set(xlabel="generation")
    axes[0, 0].set(ylabel="weights")
    axes[1, 0].set(ylabel="mean weight of a cluster, pA")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save_figure(figure, path)
    return True


def draw_covariances(tables: Mapping[str, Table], path: Path) -> bool:
    """Spectrum of C_gg over generations, its effective rank, the own share of C_ug, and how the members draw together.

    Parameters
    ----------
    tables : spectrum, covariance and weights

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    figure, axes = new_axes(rows=2, columns=2)
    if figure is None:
        return False
    spectrum, covariance, weights = (tables[name] for name in ("spectrum", "covariance", "weights"))
    generations = np.unique(spectrum["generation"])
    for generation in generations[np.unique(np.linspace(0, len(generations) - 1, 4).round().astype(int))]:
        at = spectrum["generation"] == generation
        axes[0, 0].plot(spectrum["place"][at] + 1, spectrum["eigenvalue"][at], label=f"generation {generation}")
    axes[0, 0].set(xscale="log", yscale="log", xlabel="place", ylabel="eigenvalue of C_gg")
    axes[0, 0].legend(frameon=False, fontsize="small")
    axes[0, 1].plot(covariance["generation"], covariance["effective_rank"])
    axes[0, 1].set(ylabel="effective rank of C_gg", xlabel="generation")
    axes[1, 0].plot(covariance["generation"], covariance["own_share"])
    axes[1, 0].set(ylabel="share of |C_ug|²\nwith the own cluster", xlabel="generation", ylim=(0.0, 1.0))
    for kind in KINDS:
        own = weights["kind"] == kind
        spread = np.array([weights["spread_pA"][own & (weights["generation"] == g)].mean() for g in generations])
        axes[1, 1].plot(generations, spread / spread[0], label=kind)
    axes[1, 1].set(ylabel="spread, of the first", xlabel="generation")
    axes[1, 1].legend(frameon=False, fontsize="small")
    save_figure(figure, path)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="lsm_analysis.py", description=__doc__)
    parser.add_argument("run", type=checked_path, metavar="RUN", help="a run folder of experiments/lsm.py")
    return guarded(lambda: _draw(parser.parse(arguments)["run"]))


def _draw(path: Path) -> int:
    run = RunFolder(path)
    tables = run.read_results(["weights", "spectrum", "covariance"])
    if not all(tables.values()):
        raise StorageError(f"{path} has no record of weights and covariances: give a run of experiments/lsm.py.")
    bound_pA = float(read_settings(run.path / "config.toml", {})["bound_pA"])
    figures = [run.path / name for name in ("weights.png", "covariance.png")]
    if not (draw_weights(tables["weights"], bound_pA, figures[0]) and draw_covariances(tables, figures[1])):
        return report("matplotlib is missing: pip install -e '.[plot]'", EXIT_UNAVAILABLE)
    for figure in figures:
        say(f"figure {figure}")
    return EXIT_DONE


def _around(edges: NDArray[np.float64], shown: NDArray[np.bool_]) -> tuple[float, float]:
    """Limits of an axis with all bins that hold something."""
    places = np.flatnonzero(shown)
    return float(edges[places[0]]), float(edges[places[-1] + 1])


_NAMES = {"e": "excitatory", "i": "inhibitory"}

if __name__ == "__main__":
    sys.exit(main())
