"""Searches for settings beside each other: the best of each, and how fast it was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis import new_axes, save_figure
from experiments.run_folder import RunFolder
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """How one search went."""

    name: str
    accuracy: NDArray[np.float64]  # (n_trainings,) on the images that decide, in the order of the trainings
    test_accuracy: NDArray[np.float64]  # (n_trainings,)
    best: dict[str, Any]  # settings by name
    seconds: float  # wall time

    @classmethod
    def read(cls, name: str, run: RunFolder, space: ParameterSpace) -> Search:
        """What a run folder tells; individuals that are carried over were trained once. Raises as `read_results`."""
        tables = run.read_results(["individuals", "episodes", "best", "generations"])
        individuals, episodes, best = tables["individuals"], tables["episodes"], tables["best"]
        shape = (len(individuals["fitness"]), -1)
        top = int(np.nanargmax(best["fitness"]))
        return cls(
            name=name,
            accuracy=individuals["fitness"],
            test_accuracy=episodes["test_accuracy"].reshape(shape).mean(axis=1),
            best=space.named(best["genome"][top]),
            seconds=float(tables["generations"]["seconds"].sum()),
        )

    @property
    def best_so_far(self) -> NDArray[np.float64]:
        """(n_trainings,) highest accuracy up to each training."""
        return np.maximum.accumulate(np.nan_to_num(self.accuracy))


def table(searches: Sequence[Search]) -> str:
    """Markdown: the best training of each search, its accuracy on the images that decided and on the test images."""
    names = list(searches[0].best)
    lines = [
        f"| search | trainings | accuracy that decided | test images right | {' | '.join(names)} | wall time |",
        "|---" * (len(names) + 5) + "|",
    ]
    for search in searches:
        top = int(np.nanargmax(search.accuracy))
        values = " | ".join(f"{value:.3g}" for value in search.best.values())
        lines.append(
            f"| {search.name} | {len(search.accuracy)} | {search.accuracy[top]:.1%} | {search.test_accuracy[top]:.1%} "
            f"| {values} | {search.seconds:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def draw(searches: Sequence[Search], title: str, path: Path) -> bool:
    """Best accuracy so far over trainings, and all accuracies; False if matplotlib is not installed."""
    figure, axes = new_axes()
    if figure is None:
        return False
    axis = axes[0, 0]
    for place, search in enumerate(searches):
        x = np.arange(1, len(search.accuracy) + 1)
        axis.plot(x, search.best_so_far, color=f"C{place}", drawstyle="steps-post", label=search.name)
        axis.plot(x, search.accuracy, ".", color=f"C{place}", alpha=0.4)
    axis.set(xlabel="trainings", ylabel="accuracy on images\nthat no training sees", title=title)
    axis.legend(frameon=False)
    save_figure(figure, path)
    return True
