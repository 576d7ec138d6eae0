"""Trainings of deep networks beside each other: what was recorded of them, as a table and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analysis import new_axes, save_figure
from experiments.dnn_config import DnnConfig
from experiments.run_folder import RunFolder
from experiments.storage import read_tables, reading

_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """How one training went."""

    label: str
    images: NDArray[np.int64]  # (n_tests,) shown before each test
    accuracy: NDArray[np.float64]  # (n_tests,) on all test images
    seconds: float  # wall time of training in all
    layers: dict[str, NDArray[Any]]  # table: images, layer, activity_mean, activity_sd, activity_saturated, …
    spread: NDArray[np.float64] = field(
        default_factory=lambda: _NOTHING
    )  # (n_generations,) of the ensemble, of the first


def read_run(label: str, run: RunFolder, config: DnnConfig) -> Training:
    """A run of `experiments/enkf_dnn.py`; raises as `RunFolder.read_results`."""
    tables = run.read_results(["test", "layers", "generations", "diagnostics"])
    test, layers = tables["test"], tables["layers"]

    def shown(generation: NDArray[Any]) -> NDArray[np.int64]:
        return (generation + 1) * config.batch

    return Training(
        label=label,
        images=shown(test["generation"]),
        accuracy=test["accuracy"],
        seconds=float(tables["generations"]["seconds"].sum()),
        layers={**layers, "images": shown(layers["generation"])},
        spread=tables["diagnostics"].get("spread", _NOTHING),
    )


def read_baseline(label: str, path: Path) -> Training:
    """A file of `experiments.dnn_baseline.train_baseline`; raises as `experiments.storage.reading`."""
    with reading(path) as file:
        tables = read_tables(file)
    test = tables["test"]
    return Training(
        label=label,
        images=test["images"],
        accuracy=test["accuracy"],
        seconds=float(test["seconds"][-1]),
        layers=tables["layers"],
    )


def table(trainings: Sequence[Training]) -> str:
    """Markdown: what each reached, how many images and how long it took, and the layers at the end."""
    lines = [
        "| training | test images right | images shown | wall time | spread | saturated units, layer by layer |",
        "|---|---|---|---|---|---|",
    ]
    for training in trainings:
        last = training.layers["images"] == training.layers["images"][-1]
        saturated = training.layers["activity_saturated"][last]
        shares = ", ".join(f"{share:.0%}" for share in saturated[np.isfinite(saturated)])
        spread = f"{training.spread[-1]:.2f}" if training.spread.size else "–"
        lines.append(
            f"| {training.label} | {training.accuracy[-1]:.2%} | {training.images[-1]:,} | {training.seconds:.0f} s "
            f"| {spread} | {shares} |"
        )
    return "\n".join(lines) + "\n"


def draw(trainings: Sequence[Training], title: str, path: Path) -> bool:
    """Test errors over images shown, spread of the ensembles, and saturation of the last hidden layer.

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    figure, axes = new_axes(rows=3)
    if figure is None:
        return False
    error, spread, saturation = axes[:, 0]
    for training in trainings:
        style = {"label": training.label, "linestyle": "-" if training.spread.size else "--"}
        error.plot(training.images, 1.0 - training.accuracy, **style)
        if training.spread.size:
            spread.plot(np.linspace(0, training.images[-1], len(training.spread) + 1)[1:], training.spread)
        else:
            spread.plot([], [])  # the next colour
        layers = training.layers
        hidden = layers["layer"] == layers["layer"][np.isfinite(layers["activity_saturated"])][-1]
        saturation.plot(layers["images"][hidden], layers["activity_saturated"][hidden], **style)
    error.set(yscale="log", ylabel="test error", title=title)
    error.legend(frameon=False, fontsize="small")
    spread.set(ylabel="spread, of the first")
    saturation.set(ylabel="saturated units,\nlast hidden layer", xlabel="images shown")
    save_figure(figure, path)
    return True
