"""The deep-network study for the outer loop: first ensemble, what a task answers, what is learnt and kept of it."""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.batches import batch_of
from experiments.datasets import Images
from experiments.deep_networks import N_CLASSES, DeepNetwork
from experiments.dnn_config import DnnConfig, load_images
from experiments.generation import Generation
from experiments.layers import activity_statistics
from experiments.run_folder import RunFolder
from experiments.search_config import make_search
from experiments.seeds import initial_rng, members_rng, optimizer_seed
from experiments.settings import fill
from experiments.storage import Tables, commit, read_tables, reading, write_tables
from experiments.study import Reading, Study, estimate
from optim import AdaptiveFilter, Block, Optimizer, ParameterSpace
from optim.base import Array
from optim.methods import Start
from optim.misfit import cross_entropy_misfit
from optim.tasks import Task, TaskFunction

MEASURES = ("fitness", "accuracy")  # of a member on the batch: minus the cross entropy in nats, share of images right
_HALF_RANGE = 250.0  # bounds of a weight, in standard deviations of the members: they are never met
_NETWORK = "network.h5"  # in the run folder
_N_STATISTICS = 1000  # test images for the activities of the layers


class ImageBatches:
    """The training images of a study, batch by batch."""

    def __init__(self, config: DnnConfig) -> None:
        self._config = config
        self._images = load_images(config.images, "train")
        self._number, self._batch = -1, (np.empty(0, np.float32), np.empty(0, np.int64))

    def of_task(self, task: Task) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `shown`."""
        return self.shown(task.episode if self._config.is_adaptive else task.generation)

    def shown(self, generation: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Pixels (batch, height, width) in [0, 1] and labels (batch,) of a generation.

        Parameters
        ----------
        generation : its number; if the optimizer is adaptive, that of its batch
        """
        config, number = self._config, generation
        if not config.is_adaptive:
            number //= config.repetitions
        if number != self._number:
            chosen = batch_of(number, len(self._images.labels), config.batch, config.seed)
            self._batch = as_inputs(self._images, chosen), self._images.labels[chosen]
            self._number = number
        return self._batch


def as_inputs(images: Images, chosen: Any = slice(None)) -> NDArray[np.float32]:
    """(n, height, width) float32 in [0, 1], some of the images."""
    pixels = images.pixels[chosen].astype(np.float32)
    pixels /= images.max_value
    return pixels


def make_network_task(settings: Any) -> TaskFunction:
    """Task function of a block of members: their logits for the batch of the generation."""
    config = fill(DnnConfig(), settings)
    network, batches = config.make_network(), ImageBatches(config)

    def respond(task: Task, genomes: Array) -> Array:
        images, _ = batches.of_task(task)
        return network.logits(genomes.reshape(-1, network.n_params), images).ravel() / config.temperature

    return respond


def make_study(config: DnnConfig) -> Study:
    """The study with these settings; raises as `experiments.datasets.load`."""
    network, batches, test = config.make_network(), ImageBatches(config), load_images(config.images, "test")

    def read(generation: int, values: Array) -> Reading:
        labels = batches.shown(generation)[1]
        targets = np.eye(N_CLASSES)[labels].ravel()
        _, misfits = cross_entropy_misfit(values, targets, N_CLASSES)
        is_right = values.reshape(len(values), -1, N_CLASSES).argmax(axis=2) == labels
        accuracy = np.where(np.isfinite(misfits), is_right.mean(axis=1), np.nan)
        return Reading(np.stack([-misfits / len(labels), accuracy], axis=1), values, targets)

    def observe(optimizer: Optimizer, generation: Generation) -> Tables:
        number = generation.number
        if (number + 1) % config.test_every and number + 1 < config.generations:
            return {}
        weights = estimate(optimizer, generation.genomes[generation.best])
        return {
            "test": {"generation": np.array([number]), "accuracy": np.array([accuracy_of(network, weights, test)])},
            "layers": _layer_table(network, config.activation, number, weights, as_inputs(test, slice(_N_STATISTICS))),
        }

    return Study(
        title=f"{config.network} on {config.images}, {config.optimizer}, seed {config.seed}",
        config=config,
        measures=MEASURES,
        fitness="fitness",
        told=("accuracy",),
        seed_of=lambda task: config.seed,
        save=functools.partial(_save, config),
        read=read,
        batch=_batch_of if config.is_adaptive else None,
        n_values=config.batch * N_CLASSES,
        block=config.block,
        keeps_values=False,
        observe=observe,
        min_survivors=config.min_survivors,
    )


def _batch_of(optimizer: Optimizer) -> int:
    """Number of the batch that the next generation sees."""
    return typing.cast(AdaptiveFilter, optimizer).batch


def make_optimizer(config: DnnConfig) -> Optimizer:
    """The configured optimizer at its first generation: one random network, and members around it.

    Raises
    ------
    ConfigError : its settings do not fit the population or the network.
    """
    network = config.make_network()
    layers = network.layers
    is_output = [layer.name.startswith("class") for layer in layers]
    spread = [config.output_spread if last else config.hidden_spread for last in is_output]
    deviations = members_rng(config.seed).standard_normal((config.population, network.n_params))
    initial = first_network(config) + np.repeat(spread, [layer.size for layer in layers]) * deviations
    space = ParameterSpace(
        tuple(
            Block(layer.name, layer.size, -_HALF_RANGE * sd, _HALF_RANGE * sd)
            for layer, sd in zip(layers, spread, strict=True)
        )
    )
    every_class = list(range(N_CLASSES))
    initial = space.clip(initial)
    initial.flags.writeable = False  # so that the filter need not copy it
    start = Start(
        space,
        initial,
        optimizer_seed(config.seed),
        localisation={
            layer.name: [int(layer.name.split()[1])] if last else every_class
            for layer, last in zip(layers, is_output, strict=True)
        },
        renewed=tuple(layer.name for layer, last in zip(layers, is_output, strict=True) if not last),
    )
    return make_search(config, start)


def first_network(config: DnnConfig) -> Array:
    """(n_params,) the random network around which the first members lie, and where gradient descent begins."""
    layers = config.make_network().layers
    deviations = [
        config.sigma or (0.0 if layer.name.startswith("class") else config.gain / np.sqrt(layer.fan_in))
        for layer in layers
    ]
    sizes = [layer.size for layer in layers]
    return np.repeat(deviations, sizes) * initial_rng(config.seed).standard_normal(sum(sizes))


def accuracy_of(network: DeepNetwork, weights: Array, images: Images) -> float:
    """Share of the images that one network gets right."""
    return float((predictions(network, weights, images) == images.labels).mean())


def predictions(network: DeepNetwork, weights: Array, images: Images) -> NDArray[np.int64]:
    """(n_images,) the class that one network gives to each image."""
    parts = np.array_split(np.arange(len(images.labels)), max(1, len(images.labels) // 1000))
    return np.concatenate([network.logits(weights[None], as_inputs(images, part))[0].argmax(axis=1) for part in parts])


def _layer_table(
    network: DeepNetwork, activation: str, generation: int, weights: Array, images: NDArray[np.float32]
) -> Mapping[str, NDArray[Any]]:
    activities = network.activities(weights, images)
    statistics = activity_statistics(activities, activation)
    return {
        "generation": np.full(len(activities), generation),
        "layer": np.array(list(activities)),
        **{f"activity_{name}": values for name, values in statistics._asdict().items()},
    }


def _save(config: DnnConfig, run: RunFolder, optimizer: Optimizer, best: Array) -> str:
    path = run.path / _NETWORK
    tables = {"network": {"weights": estimate(optimizer, best)}}
    commit(path, lambda file: write_tables(file, tables))
    return str(path)


def read_network(run: RunFolder) -> Array:
    """(n_params,) the network that a finished run has found; raises as `experiments.storage.reading`."""
    with reading(run.path / _NETWORK) as file:
        return read_tables(file)["network"]["weights"]
