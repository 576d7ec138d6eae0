"""Images of the reservoir study: their classes, the batch of a generation, and what the liquid fires for them."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.batches import batch_of
from experiments.datasets import Images, load, of_classes, vectors
from experiments.lsm_config import LsmConfig
from experiments.recordings import Recordings
from experiments.settings import ConfigError
from snn.liquid import LiquidStateMachine
from snn.liquid_config import LiquidConfig
from snn.reservoirs import LIQUID

_N_SOME = 300
_FIRST = {"train": 0, "validation": 500_000, "test": 1_000_000}  # number of the first image: noise is never shared


class ImageSet:
    """Images with the recorded spikes of the liquid.

    Parameters
    ----------
    split : "train", "test", or "validation": those of the training images that `LsmConfig.n_train` leaves out
    folder : where recordings are kept

    Attributes
    ----------
    labels : (n,) int64, places in the classes of the config
    pixels : (n, n_pixels) float64 in [0, 1]
    numbers : (n,) int64, on which the noise of an image depends
    recordings : of all of them
    """

    def __init__(self, config: LsmConfig, split: str, folder: Path) -> None:
        images = _chosen(config.images, split, config.classes, config.n_train)
        self._config, first = config, _FIRST[split]
        self.labels, self.pixels = images.labels, vectors(images)
        self.numbers = first + np.arange(len(self.labels))
        self.recordings = Recordings(folder, _liquid(config.liquid, config.engine), images, first_index=first)
        self._of_class = [np.flatnonzero(self.labels == label) for label in range(len(config.classes))]

    def batch(self, generation: int) -> NDArray[np.intp]:
        """Images of a generation: as many of every class, walking through all of them."""
        config = self._config
        return np.concatenate(
            [own[batch_of(generation, len(own), config.n_per_class, config.seed)] for own in self._of_class]
        )

    @property
    def some(self) -> NDArray[np.intp]:
        """A few images to look at during training."""
        return np.arange(min(_N_SOME, len(self.labels)))

    def counts(self, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        """(n_chosen, n_neurons) spikes of the neurons of the liquid during the images, excitatory ones first."""
        liquid = self._config.liquid
        n_idle = round((liquid.warm_up_ms + liquid.cool_down_ms) / liquid.resolution_ms)
        counts = []
        for recording in self.recordings.read(chosen):
            parts = [recording.population(name) for name in LIQUID]
            counts.append(
                np.concatenate([np.bincount(p.neurons[p.steps > n_idle], minlength=p.n_neurons) for p in parts])
            )
        return np.array(counts, dtype=np.float64)


@functools.lru_cache(maxsize=1)
def _liquid(config: LiquidConfig, engine: str) -> LiquidStateMachine:
    try:
        return LiquidStateMachine(config, engine)
    except ValueError as error:  # degrees that are larger than what there is
        raise ConfigError(f"[liquid] cannot be built: {error}") from None


@functools.lru_cache(maxsize=3)
def _chosen(name: str, split: str, classes: tuple[int, ...], n_per_class: int) -> Images:
    """Images of the chosen classes; for training the first `n_per_class` of each, unless that is 0."""
    images = of_classes(load(name, "test" if split == "test" else "train"), classes)
    if split == "test" or not n_per_class:
        return images
    place = np.empty(len(images.labels), np.int64)
    for label in range(len(classes)):
        own = images.labels == label
        place[own] = np.arange(np.count_nonzero(own))
    is_kept = (place < n_per_class) == (split == "train")
    return dataclasses.replace(images, pixels=images.pixels[is_kept], labels=images.labels[is_kept])
