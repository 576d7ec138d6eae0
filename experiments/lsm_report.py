"""How well readouts tell digits apart: accuracies with intervals, confusion matrices, baselines; table and figures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from experiments.analysis import new_axes, save_figure
from snn.readout import LogisticReadout, Readout, RidgeReadout

_RIDGE_PENALTIES = tuple(np.logspace(0, 5, 11).tolist())  # chosen on the training images, each left out in turn
_LOGISTIC_PENALTY = 100.0
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """What one way of telling digits apart got right of all test images, once or for several seeds."""

    name: str
    confusions: NDArray[np.int64]  # (n_seeds, n_classes, n_classes): true class, given class
    n_images: int  # shown in training
    seconds: float  # of training, mean over seeds

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(n_seeds,) share of the test images that are right."""
        return np.trace(self.confusions, axis1=1, axis2=2) / self.confusions.sum(axis=(1, 2))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy: of the mean over seeds (Student), or for one seed over images (Wilson)."""
        accuracies = self.accuracies
        if len(accuracies) > 1:
            half = stats.t.ppf(0.5 + _CONFIDENCE / 2, len(accuracies) - 1) * stats.sem(accuracies)
            return float(accuracies.mean() - half), float(accuracies.mean() + half)
        n_right, n = int(np.trace(self.confusions[0])), int(self.confusions[0].sum())
        low, high = stats.binomtest(n_right, n).proportion_ci(_CONFIDENCE, "wilson")
        return float(low), float(high)


def confusion(labels: NDArray[np.int64], given: NDArray[np.int64], n_classes: int) -> NDArray[np.int64]:
    """(n_classes, n_classes) how many images of a true class (row) were given which class (column)."""
    return np.bincount(labels * n_classes + given, minlength=n_classes**2).reshape(n_classes, n_classes)


def baselines(
    name: str,
    train: NDArray[np.float64],
    labels: NDArray[np.int64],
    test: NDArray[np.float64],
    test_labels: NDArray[np.int64],
) -> list[Score]:
    """Closed-form and logistic readouts of features (n_images, n_features) with their labels.

    The logistic one needs scikit-learn, and is left out without it.
    """
    fits: dict[str, Callable[[], Readout]] = {
        "ridge": lambda: RidgeReadout(_RIDGE_PENALTIES),
        "softmax": lambda: LogisticReadout(_LOGISTIC_PENALTY, 200),
    }
    scores, n_classes = [], int(labels.max()) + 1
    for kind, make in fits.items():
        start = time.perf_counter()
        try:
            readout = make().fit(train, labels)
        except ModuleNotFoundError:
            continue
        found = confusion(test_labels, np.asarray(readout.predict(test)), n_classes)
        seconds = time.perf_counter() - start
        scores.append(Score(name=f"{name} + {kind}", confusions=found[None], n_images=len(train), seconds=seconds))
    return scores


def table(scores: Sequence[Score]) -> str:
    """Markdown, one row per score; 1 - MSE is the published fitness, of which chance reaches 1 - 2 (K - 1) / K²."""
    lines = [
        "| what | test images right | 95 % interval | 1 - MSE | images shown | wall time |",
        "|---|---|---|---|---|---|",
    ]
    for score in scores:
        low, high = score.interval
        accuracy, n_classes = float(score.accuracies.mean()), score.confusions.shape[1]
        seeds = f" ({len(score.accuracies)} seeds)" if len(score.accuracies) > 1 else ""
        fitness = 1.0 - 2.0 / n_classes * (1.0 - accuracy)
        lines.append(
            f"| {score.name} | {accuracy:.2%}{seeds} | {low:.1%} … {high:.1%} | {fitness:.3f} | {score.n_images:,} "
            f"| {score.seconds:.0f} s |"
        )
    return "\n".join(lines) + "\n"


def draw_confusions(scores: Sequence[Score], class_names: Sequence[str], path: Path) -> bool:
    """Confusion matrices side by side: which wrong classes the images of a true class were given.

    Right ones are left out, so that errors can be seen.

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    n_columns = min(4, len(scores))
    figure, axes = new_axes(rows=math.ceil(len(scores) / n_columns), columns=n_columns)
    if figure is None:
        return False
    errors = [_errors(score) for score in scores]
    largest = max(float(np.nanmax(shares)) for shares in errors)
    for axis, score, shares in zip(axes.ravel(), scores, errors, strict=False):
        image = axis.imshow(shares, vmin=0.0, vmax=largest or 1.0, cmap="Reds")
        axis.set(xticks=range(len(class_names)), yticks=range(len(class_names)), xlabel="given", ylabel="true")
        axis.set_xticklabels(class_names)
        axis.set_yticklabels(class_names)
        axis.set_title(f"{score.name}\n{score.accuracies.mean():.1%} right", fontsize="small")
    for axis in axes.ravel()[len(scores) :]:
        axis.set_axis_off()
    figure.colorbar(image, ax=axes, label="share of a true class")
    save_figure(figure, path)
    return True


def _errors(score: Score) -> NDArray[np.float64]:
    """(n_classes, n_classes) shares of each true class given a wrong one; NaN on the diagonal."""
    counts = score.confusions.sum(axis=0)
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.fill_diagonal(shares, np.nan)
    return np.asarray(shares)
