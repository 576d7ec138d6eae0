"""Ensemble Kalman filter: CPU time and memory of one update, or what each variant achieves.

python tests/bench/enkf.py              # ten minutes; beside the published loop and iterative_ensemble_smoother
python tests/bench/enkf.py accuracy     # two minutes; a readout of MNIST (STIGMERGY_DATA)
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import tracemalloc
from collections.abc import Callable

import numpy as np
from timing import DATA, cpu_seconds, medians, row, rows, text, title

from optim.kalman import update, update_published
from optim.localisation import update_corrected
from tests.unit.enkf_cases import accuracy, mnist

try:
    from iterative_ensemble_smoother import ESMDA
    from iterative_ensemble_smoother.esmda_adaptive import AdaptiveESMDA
except ImportError:
    ESMDA = AdaptiveESMDA = None

PEER = "iterative_ensemble_smoother"
GAMMA, LENGTH, N_RESPONSES = 0.01, 10, 640  # 64 images of 10 classes
SIZES = [(100, 18_050, 5), (100, 100_000, 5), (1_000, 18_050, 3), (1_000, 100_000, 1), (5_000, 18_050, 1)]
VARIANTS = {
    "published: image by image, every batch 8 times": {"variant": "published", "n_batches": 8, "repeats": 8},
    "published, a new batch each time": {"variant": "published"},
    "published with selection (repaired)": {"variant": "published", "selection": 0.1, "selection_noise": 0.001},
    "joint, outputs without softmax": {"output": "linear"},
    "… with steps from the misfit": {"output": "linear", "step": "misfit"},
    "… sqrt": {"output": "linear", "variant": "sqrt"},
    "joint": {},
    "joint, cross entropy": {"output": "linear", "loss": "cross_entropy"},
    "joint, shrunk correlations": {"shrinkage": 1.0},
    "joint with inflation": {"inflation": 0.0005},
    "localised": {"is_localised": True},
    "localised, cross entropy": {"is_localised": True, "output": "linear", "loss": "cross_entropy"},
    "localised, inflation, steps from the misfit": {"is_localised": True, "inflation": 0.0005, "step": "misfit"},
    "localised, cross entropy, inflation, 256 images": {
        "is_localised": True, "output": "linear", "loss": "cross_entropy", "inflation": 0.0005, "n_images": 256,
    },
    "localised, categorical, sqrt": {
        "is_localised": True, "output": "linear", "loss": "categorical", "variant": "sqrt", "gamma": 0.1,
    },
    "localised, categorical, sqrt, inflation, 256 images": {
        "is_localised": True, "output": "linear", "loss": "categorical", "variant": "sqrt", "gamma": 0.05,
        "inflation": 0.0005, "n_images": 256,
    },
}  # fmt: skip


def published_loop(ensemble: np.ndarray, responses: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The update of the published program, image by image, as one writes it down."""
    n_members = len(ensemble)
    for start in range(0, len(targets), LENGTH):
        g = responses[:, start : start + LENGTH]
        deviations = g - g.mean(axis=0)
        c_gg = deviations.T @ deviations / n_members + GAMMA * np.eye(LENGTH)
        c_ug = (ensemble - ensemble.mean(axis=0)).T @ deviations / n_members
        ensemble = ensemble + (c_ug @ np.linalg.solve(c_gg, (targets[start : start + LENGTH] - g).T)).T
    return ensemble


def whitened(responses: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    deviation = np.sqrt(GAMMA)
    return (responses - responses.mean(axis=0)) / deviation, (targets - responses) / deviation


def smooth(smoother: type, genes: np.ndarray, responses: np.ndarray, targets: np.ndarray, **options: int) -> None:
    """One pass of the peer, without noise on the targets; its rows are genes."""
    one = smoother(np.full(N_RESPONSES, GAMMA), targets, alpha=1)
    no_noise = np.zeros((N_RESPONSES, genes.shape[1]))
    one.prepare_assimilation(Y=responses.T, truncation=1.0, observation_perturbations=no_noise)
    one.assimilate_batch(X=genes, overwrite=True, **options)


UPDATES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], object]] = {
    "joint": lambda u, g, y: update(u, *whitened(g, y)),
    "sqrt": lambda u, g, y: update(u, *whitened(g, y), form="sqrt"),
    "published, in blocks of genes": lambda u, g, y: update_published(u, *whitened(g, y), LENGTH),
    "published, a loop over images": published_loop,
    PEER: lambda u, g, y: smooth(ESMDA, u, g, y),
    "threshold of the correlations": lambda u, g, y: update_corrected(
        u, *whitened(g, y), significance=3.0, shrinkage=0.0
    ),
    f"{PEER}, threshold": lambda u, g, y: smooth(AdaptiveESMDA, u, g, y, n_jobs=1),
}


class Problem:
    """An ensemble whose responses are sums of ten genes, and noise."""

    def __init__(self, n_members: int, n_params: int) -> None:
        rng = np.random.default_rng(1)
        self.ensemble = rng.standard_normal((n_members, n_params))
        sums = self.ensemble[:, : 10 * N_RESPONSES].reshape(n_members, N_RESPONSES, 10).sum(axis=2)
        self.responses = sums + 0.1 * rng.standard_normal((n_members, N_RESPONSES))
        self.targets = rng.standard_normal(N_RESPONSES)

    def seconds(self, name: str) -> float:
        """CPU time of an update of a copy."""
        copy = np.ascontiguousarray(self.ensemble.T) if name.startswith(PEER) else self.ensemble.copy()
        return cpu_seconds(lambda: UPDATES[name](copy, self.responses, self.targets))

    def peak_mb(self, name: str) -> float:
        """Most memory during an update, besides the ensemble, which is changed."""
        ensemble = np.ascontiguousarray(self.ensemble.T) if name.startswith(PEER) else self.ensemble
        tracemalloc.start()
        UPDATES[name](ensemble, self.responses, self.targets)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 1e6


def compare(n_members: int, n_params: int, n_rounds: int) -> None:
    title(f"{n_members:,} members, {n_params:,} genes, {N_RESPONSES} responses: CPU time of one update")
    problem = Problem(n_members, n_params)
    names = [name for name in installed() if n_members == 100 or "threshold" not in name]
    measured = medians({name: lambda name=name: problem.seconds(name) for name in names}, n_rounds)
    rows(measured, "ms", scale=1e3, reference="joint")


def memory(n_members: int, n_params: int, names: list[str]) -> None:
    title(f"{n_members:,} members, {n_params:,} genes: peak memory beyond the ensemble itself")
    problem = Problem(n_members, n_params)
    row("the ensemble", problem.ensemble.nbytes / 1e6, "MB")
    for name in names:
        row(name, problem.peak_mb(name), "MB")


def installed() -> list[str]:
    """Names of the updates whose program is there."""
    return [name for name in UPDATES if ESMDA is not None or not name.startswith(PEER)]


def show_accuracy() -> None:
    title("MNIST, 7,850 weights, 100 members, 60 generations of 64 images: test images right, mean of two seeds")
    images = mnist(DATA / "mnist")
    for name, settings in VARIANTS.items():
        found: list[float] = []

        def measure(settings=settings, found=found) -> None:
            for seed in range(2):
                found.append(
                    accuracy(images, **{"n_members": 100, "n_images": 64, "output": "softmax", "seed": seed} | settings)
                )

        seconds = cpu_seconds(measure) / 2
        row(name, sum(found) / 2, "%", f"{seconds:5.1f} s CPU")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["speed", "accuracy"], default="speed")
    if parser.parse_args().what == "accuracy":
        show_accuracy()
    else:
        if ESMDA is None:
            text(f"{PEER} is not installed: its rows are left out")
        for size in SIZES:
            compare(*size)
        memory(100, 100_000, installed())
        memory(1_000, 100_000, [name for name in installed() if "threshold" not in name])
        memory(5_000, 100_000, ["joint"])
