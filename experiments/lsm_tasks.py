"""Work of the reservoir study that is spread over ranks: recording images, training readouts, testing them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.console import say
from experiments.generation import GenerationFailedError
from experiments.lsm_config import LsmConfig
from experiments.lsm_images import ImageSet
from experiments.lsm_study import N_PRIOR, Readouts, n_weights
from experiments.process import is_stop_requested
from experiments.settings import config_to_dict, fill
from optim.base import Array
from optim.evaluators import Evaluator, MakeEvaluator
from optim.tasks import Task, TaskFunction

_N_TESTED = 100  # test images of a task


def make_lsm_task(settings: Any) -> TaskFunction:
    """Task function of one of the roles "record", "train" and "test"."""
    config, folder = fill(LsmConfig(), settings["config"]), Path(settings["folder"])
    return {"record": _recorder, "train": _trainer, "test": _tester}[settings["role"]](config, folder, settings)


def _recorder(config: LsmConfig, folder: Path, settings: Any) -> TaskFunction:
    """A task records a block of images, whose number is its genome."""
    images = ImageSet(config, settings["split"], folder)

    def record(task: Task, genome: Array) -> Array:
        images.recordings.record(int(genome[0]))
        return np.ones(1)

    return record


def _trainer(config: LsmConfig, folder: Path, settings: Any) -> TaskFunction:
    """A task gives the rates of the clusters of a block of members for the images of the generation."""
    readouts = Readouts(config, folder)

    def respond(task: Task, genomes: Array) -> Array:
        weights = genomes.reshape(-1, n_weights(config))
        return readouts.rates_hz(weights, readouts.train, readouts.train.batch(task.generation)).ravel()

    return respond


def _tester(config: LsmConfig, folder: Path, settings: Any) -> TaskFunction:
    """A task gives the rates of all tested readouts for a block of test images, whose number is its genome."""
    readouts, weights = Readouts(config, folder), np.asarray(settings["weights_pA"])
    n_images, n_values = len(readouts.test.labels), _N_TESTED * len(weights) * len(config.classes)

    def test(task: Task, genome: Array) -> Array:
        first = int(genome[0]) * _N_TESTED
        chosen = np.arange(first, min(first + _N_TESTED, n_images))
        rates_hz = readouts.rates_hz(weights, readouts.test, chosen).transpose(1, 0, 2).ravel()
        return np.append(rates_hz, np.zeros(n_values - rates_hz.size))  # all tasks give as many values

    return test


def record_missing(
    config: LsmConfig, folder: Path, make: MakeEvaluator, splits: Sequence[str] = ("train", "test")
) -> None:
    """Simulate the images that are not recorded yet.

    Parameters
    ----------
    splits : see `ImageSet`; of the training images only those that a run with this config sees

    Raises
    ------
    EvaluationStopped : a stop was requested; what has been recorded stays.
    GenerationFailedError : an image cannot be simulated, or written.
    """
    for split in splits:
        images = ImageSet(config, split, folder)
        missing = [block for block in blocks_of(images, split, config) if not images.recordings.is_recorded(block)]
        if not missing:
            continue
        say(f"recording what the liquid fires for {split} images, {len(missing)} files: {images.recordings.path}")
        settings = {"role": "record", "split": split, "config": config_to_dict(config), "folder": str(folder)}
        _values_of(make(settings), np.array(missing, dtype=np.float64)[:, None])


def blocks_of(images: ImageSet, split: str, config: LsmConfig) -> list[int]:
    """Files of recordings that a run reads: all, but of the training images those that it sees."""
    if split != "train":
        return list(range(images.recordings.n_blocks))
    seen = [images.batch(generation) for generation in range(config.generations)]
    return images.recordings.blocks_of(np.concatenate([np.arange(min(N_PRIOR, len(images.labels))), *seen]))


def test_rates(config: LsmConfig, folder: Path, weights_pA: Array, make: MakeEvaluator) -> Array:
    """(n_readouts, n_test_images, n_classes) mean rates of the clusters in Hz.

    Parameters
    ----------
    weights_pA : (n_readouts, n_weights)

    Raises
    ------
    EvaluationStopped : a stop was requested.
    """
    n_images, n_classes = len(ImageSet(config, "test", folder).labels), len(config.classes)
    settings = {"role": "test", "config": config_to_dict(config), "folder": str(folder), "weights_pA": weights_pA}
    blocks = np.arange(-(-n_images // _N_TESTED), dtype=np.float64)[:, None]
    values = np.concatenate(_values_of(make(settings), blocks))
    rates = values.reshape(-1, len(weights_pA), n_classes)[:n_images]
    return rates.transpose(1, 0, 2)


def _values_of(evaluator: Evaluator, rows: NDArray[np.float64]) -> list[Array]:
    """Values of a task for each row; one that failed is an error in the program or on the disk, not an individual's."""
    with contextlib.closing(evaluator):
        results = evaluator.evaluate(0, rows, 1, should_stop=is_stop_requested)
    for result in results:
        if result.values is None:
            raise GenerationFailedError(f"images could not be simulated:\n{result.error}")
    return [result.values for result in results if result.values is not None]
