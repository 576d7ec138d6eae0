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
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6.0, 1.0, 1.0, 1.0, 1.0, 1.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Training:
    """How one training went."""

    label: str
    images: NDArray[np.int64]  # (n_tests,) shown before each test
    accuracy: NDArray[np.float64]  # (n_tests,) on all test images
    seconds: float  # wall time of training in all
    layers: dict[str, NDArray[Any]]  # table: images, layer, activity_mean, activity_sd, activity_saturated, …
    # Of the filter, generation by generation: members, and the spread of the ensemble, of the first
    spread: NDArray[np.float64] = field(default_factory=lambda: _NOTHING)
    members: NDArray[np.float64] = field(default_factory=lambda: _NOTHING)

    @property
    def has_members_that_change(self) -> bool:
        """Whether the ensemble was resized."""
        return np.unique(self.members).size > 1


def read_run(label: str, run: RunFolder, config: DnnConfig) -> Training:
    """A run of `experiments/enkf_dnn.py`; raises as `RunFolder.read_results`."""
    tables = run.read_results(["test", "layers", "generations", "diagnostics"])
    test, layers = tables["test"], tables["layers"]

    def shown(generation: NDArray[Any]) -> NDArray[np.int64]:
        return (generation + 1) * config.batch

    spread = tables["diagnostics"].get("spread", _NOTHING)
    return Training(
        label=label,
        images=shown(test["generation"]),
        accuracy=test["accuracy"],
        seconds=float(tables["generations"]["seconds"].sum()),
        layers={**layers, "images": shown(layers["generation"])},
        spread=spread,
        members=tables["diagnostics"].get("members", np.full(len(spread), float(config.population))),
    )


def read_baseline(label: str, path: Path) -> Training:
    """A file of `experiments.dnn_baseline.train_baseline`; raises as `experiments.storage.reading`."""
    with reading(path) as file:
        tables = read_tables(file, ["test", "layers"])
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
        "| training | test images right | images shown | wall time | spread | saturated units, layer by layer "
        "| members | networks × images |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for training in trainings:
        last = training.layers["images"] == training.layers["images"][-1]
        saturated = training.layers["activity_saturated"][last]
        shares = ", ".join(f"{share:.0%}" for share in saturated[np.isfinite(saturated)])
        spread, members, work = "–", "–", "–"
        if training.spread.size:
            spread = f"{training.spread[-1]:.2f}"
            members = f"{training.members[0]:.0f}"
            work = f"{training.members.mean() * training.images[-1]:,.0f}"
        if training.has_members_that_change:
            members += f" → {training.members[-1]:.0f}"
        lines.append(
            f"| {training.label} | {training.accuracy[-1]:.2%} | {training.images[-1]:,} | {training.seconds:.0f} s "
            f"| {spread} | {shares} | {members} | {work} |"
        )
    return "\n".join(lines) + "\n"


def draw(trainings: Sequence[Training], title: str, path: Path) -> bool:
    """Test errors over images shown, spread of the ensembles, members if these change, saturated units, gradients.

    Trainings whose labels begin alike, up to a comma, have one colour.

    Returns
    -------
    bool, False if matplotlib is not installed
    """
    changes = any(training.has_members_that_change for training in trainings)
    descends = any("gradient_norm" in training.layers for training in trainings)
    figure, axes = new_axes(rows=3 + changes + descends)
    if figure is None:
        return False
    error, spread, *more = axes[: 2 + changes, 0]
    saturation, *gradients = axes[2 + changes :, 0]
    families: dict[str, list[str]] = {}
    for training in trainings:
        family = families.setdefault(training.label.split(",")[0], [])
        color = f"C{list(families).index(training.label.split(',')[0])}"
        style = {"label": training.label, "color": color, "linestyle": _LINES[len(family) % len(_LINES)]}
        family.append(training.label)
        error.plot(training.images, 1.0 - training.accuracy, **style)
        shown = np.linspace(0, training.images[-1], len(training.spread) + 1)[1:]  # nothing of gradient descent
        spread.plot(shown, training.spread, **style)
        for members in more:
            members.step(shown, training.members, where="pre", **style)
        layers = training.layers
        hidden = layers["layer"] == layers["layer"][np.isfinite(layers["activity_saturated"])][-1]
        saturation.plot(layers["images"][hidden], layers["activity_saturated"][hidden], **style)
        for gradient in gradients if "gradient_norm" in layers else ():
            first = layers["layer"] == layers["layer"][0]
            gradient.plot(layers["images"][first], layers["gradient_norm"][first], **style)
    error.set(yscale="log", ylabel="test error", title=title)
    error.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    spread.set(ylabel="spread, of the first")
    for members in more:
        members.set(ylabel="members")
        members.set_ylim(bottom=0)
    saturation.set(ylabel="saturated units,\nlast hidden layer")
    for gradient in gradients:
        gradient.set(yscale="log", ylabel="norm of the gradient,\nfirst layer")
    axes[-1, 0].set(xlabel="images shown")
    save_figure(figure, path)
    return True
