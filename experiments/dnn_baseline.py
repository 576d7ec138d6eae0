"""Gradient descent from the networks and on the images that the filter begins with: the baseline of a study."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.batches import batch_of
from experiments.dnn_config import DnnConfig, load_images
from experiments.dnn_study import accuracy_of, as_inputs, first_network
from experiments.gradient_training import PUBLISHED, Checkpoint, GradientConfig, train
from experiments.settings import ConfigError, config_to_dict, describe, differing_fields
from experiments.storage import commit, read_json, reading, write_json, write_tables

# Names of baselines. At the published rate of 0.1 a logistic network is often silenced, so there is a slower one, too.
BASELINES: dict[str, GradientConfig] = {**PUBLISHED, "sgd 0.01": GradientConfig(optimizer="sgd", lr=0.01)}
_N_TESTS = 10


def train_baseline(config: DnnConfig, baseline: str, path: Path) -> None:
    """Train once on the images that a run with this config sees, and record it in an HDF5 file.

    Its tables are ``test`` (images seen, accuracy on all test images, seconds of training) and ``layers`` (images,
    layer, activity and gradient statistics, see `experiments.gradient_training`).

    Parameters
    ----------
    baseline : a name in `BASELINES`

    Raises
    ------
    ModuleNotFoundError : without torch.
    ValueError : an activation without a gradient.
    """
    network, images, test = (
        config.make_network(),
        load_images(config.images, "train"),
        load_images(config.images, "test"),
    )
    n_batches = -(-config.generations // config.repetitions)
    seen = np.concatenate(
        [batch_of(number, len(images.labels), config.batch, config.seed) for number in range(n_batches)]
    )
    settings = dataclasses.replace(BASELINES[baseline], seed=config.seed)
    rows: list[dict[str, Any]] = []
    begin = time.perf_counter()

    def keep(point: Checkpoint) -> None:
        nonlocal begin
        seconds = time.perf_counter() - begin
        rows.append(
            {
                "images": min(point.n_batches * settings.batch_size, len(seen)),
                "accuracy": accuracy_of(network, point.genome, test),
                "seconds": seconds + (rows[-1]["seconds"] if rows else 0.0),
                "statistics": point.activities._asdict()
                | {f"gradient_{name}": values for name, values in point.gradients._asdict().items()},
            }
        )
        begin = time.perf_counter()

    every = max(1, len(seen) // settings.batch_size // _N_TESTS)
    train(network, first_network(config), as_inputs(images, seen), images.labels[seen], settings, keep, every)
    layers = list(network.activities(first_network(config), as_inputs(test, slice(1))))

    def write(file: Any) -> None:
        write_json(file, "config", config_to_dict(config))
        write_tables(file, _tables(layers, rows))

    commit(path, write)


def check_baseline(config: DnnConfig, path: Path) -> None:
    """Make sure that a file of `train_baseline` belongs to these settings.

    Raises
    ------
    ConfigError : it was written for others.
    DataError : it is damaged.
    """
    with reading(path) as file:
        saved = read_json(file, "config")
    if different := differing_fields(saved, config):
        raise ConfigError(f"{path} was trained with other settings ({describe(different)}). Remove it, or leave them.")


def _tables(layers: list[str], rows: list[dict[str, Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    test = {name: np.array([row[name] for row in rows]) for name in ("images", "accuracy", "seconds")}
    statistics = {name: np.concatenate([row["statistics"][name] for row in rows]) for name in rows[0]["statistics"]}
    return {
        "test": test,
        "layers": {
            "images": np.repeat(test["images"], len(layers)),
            "layer": np.array(layers * len(rows)),
            **{
                name if name.startswith("gradient") else f"activity_{name}": values
                for name, values in statistics.items()
            },
        },
    }
