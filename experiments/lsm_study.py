"""The reservoir study for the outer loop: first readouts, what a task answers, what is learnt and kept of it.

Images are simulated once, before the first generation, and their spikes are kept on disk (`experiments.recordings`). A
task replays those of the generation's images into the output neurons of a block of members.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.generation import Generation
from experiments.lsm_config import LsmConfig
from experiments.lsm_images import ImageSet
from experiments.lsm_records import analysis_tables
from experiments.run_folder import RunFolder
from experiments.search_config import make_search
from experiments.seeds import members_rng, optimizer_seed
from experiments.storage import Tables, commit, read_tables, reading, write_tables
from experiments.study import Reading, Study, estimate
from optim import Block, Optimizer, ParameterSpace
from optim.base import Array
from optim.methods import Start
from optim.misfit import cross_entropy_misfit, softmax
from snn.published_reservoir import make_published_reservoir
from snn.reservoirs import LIQUID
from snn.shared_reservoir import SharedReservoir

MEASURES = ("fitness", "accuracy", "published_fitness")
_READOUT = "readout.h5"  # in the run folder
N_PRIOR = 1000  # training images whose activity shapes the first members


class Readouts:
    """Output neurons of any number of members, driven by the recorded spikes of images.

    Parameters
    ----------
    folder : of the recordings
    """

    def __init__(self, config: LsmConfig, folder: Path) -> None:
        self.train, self.test = (ImageSet(config, split, folder) for split in ("train", "test"))
        self._shared = SharedReservoir(config.liquid, 1, config.engine)

    def rates_hz(self, weights_pA: Array, images: ImageSet, chosen: NDArray[np.intp]) -> Array:
        """(n_members, n_images, n_classes) mean rates of the clusters of each member."""
        self._shared.set_weights(weights_pA)
        recordings = images.recordings.read(chosen)
        return self._shared.rates_of(recordings, images.numbers[chosen]).transpose(1, 0, 2)


def make_study(config: LsmConfig, folder: Path) -> Study:
    """The study with these settings; its images have been recorded."""
    readouts, n_classes = Readouts(config, folder), len(config.classes)

    def read(generation: int, values: Array) -> Reading:
        labels = readouts.train.labels[readouts.train.batch(generation)]
        one_hot = np.eye(n_classes)[labels]
        logits = values / config.tau_hz
        _, misfits = cross_entropy_misfit(logits, one_hot.ravel(), n_classes)
        predicted = values.reshape(len(values), -1, n_classes).argmax(axis=2)
        accuracy = np.where(np.isfinite(misfits), (predicted == labels).mean(axis=1), np.nan)
        published = 1.0 - 2.0 / n_classes * (1.0 - accuracy)
        is_squared = config.optimizer == "enkf" and config.enkf.loss == "squared"
        responses = softmax(logits.reshape(len(values), -1, n_classes)).reshape(values.shape) if is_squared else logits
        measures = np.stack([-misfits / len(labels), accuracy, published], axis=1)
        return Reading(measures, responses, one_hot.ravel())

    def observe(optimizer: Optimizer, generation: Generation) -> Tables:
        number = generation.number
        if number and (number + 1) % config.test_every and number + 1 < config.generations:
            return {}
        weights = estimate(optimizer, generation.genomes[generation.best])
        some = readouts.test.some
        rates_hz = readouts.rates_hz(weights[None], readouts.test, some)[0]
        accuracy = float((rates_hz.argmax(axis=1) == readouts.test.labels[some]).mean())
        test = {"generation": np.array([number]), "accuracy": np.array([accuracy])}
        return {"test": test, **analysis_tables(config, generation, weights)}

    return Study(
        title=f"{config.optimizer}, {n_classes} classes of {config.images}, seed {config.seed}",
        config=config,
        measures=MEASURES,
        fitness="fitness",
        told=("accuracy",),
        seed_of=lambda task: config.seed,
        save=functools.partial(_save, config),
        read=read,
        n_values=config.n_per_class * n_classes**2,
        block=config.block,
        keeps_values=False,
        observe=observe,
        min_survivors=config.min_survivors,
    )


def make_optimizer(config: LsmConfig, folder: Path) -> Optimizer:
    """The configured optimizer at its first generation.

    Raises
    ------
    ConfigError : its settings do not fit the population or the readout.
    """
    n_classes = len(config.classes)
    blocks = tuple(
        Block(f"cluster {k}", n_weights(config) // n_classes, -config.bound_pA, config.bound_pA)
        for k in range(n_classes)
    )
    space = ParameterSpace(blocks)
    initial = space.clip(first_weights(config, folder))
    initial.flags.writeable = False  # so that the filter need not copy it
    start = Start(
        space,
        initial,
        optimizer_seed(config.seed),
        localisation={block.name: [k] for k, block in enumerate(blocks)} if config.is_localised else None,
    )
    return make_search(config, start)


def first_weights(config: LsmConfig, folder: Path) -> Array:
    """Readout weights of the first members.

    With prior "independent" every weight of every member is drawn by itself, as published. With "activity" the
    weights from one neuron of the liquid are equal in a cluster, up to their mean, and over neurons they follow the
    square root of the covariance of the spike counts that images cause, which need no labels: members differ in the
    directions in which images do.

    Returns
    -------
    (J, n_weights) float64, pA
    """
    rng, (source, is_excitatory) = members_rng(config.seed), trained_sources(config)
    centre = np.where(is_excitatory, config.centre_pA, -config.centre_pA)
    if config.prior == "independent":
        return np.asarray(centre + config.spread_pA * rng.standard_normal((config.population, len(centre))))
    images, n_classes = ImageSet(config, "train", folder), len(config.classes)
    chosen = np.arange(min(N_PRIOR, len(images.labels)))
    half = _half_covariance(images.counts(chosen))
    drawn = rng.standard_normal((config.population, n_classes, len(half)))
    drawn -= drawn.mean(axis=0)
    members = np.empty((config.population, len(centre)))
    for cluster, own in enumerate(np.split(np.arange(len(centre)), n_classes)):
        members[:, own] = centre[own] + config.spread_pA * (drawn[:, cluster] @ half)[:, source[own]]
    return members


def n_weights(config: LsmConfig) -> int:
    """Trained weights: from the liquid onto all neurons of all clusters."""
    reservoir: Any = config.liquid.reservoir
    n_outputs = reservoir.n_cluster_excitatory + reservoir.n_cluster_inhibitory
    return int(reservoir.n_clusters * n_outputs * (reservoir.readout_indegree_e + reservoir.readout_indegree_i))


def trained_sources(config: LsmConfig) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Neuron of the liquid from which each trained weight comes, and whether it is excitatory; each (n_weights,)."""
    liquid: Any = config.liquid
    published = make_published_reservoir(liquid.reservoir, np.random.default_rng(liquid.seed), liquid.encoder)
    first = published.topology.nodes(LIQUID[0])[0]
    source = published.topology.connections.source[published.trained.of_clusters().ravel()] - first
    return source, source < liquid.reservoir.n_excitatory


def read_readout(run: RunFolder) -> tuple[Array, Array]:
    """Readout of a finished run, and members that vote; (n_weights,), (n_votes, n_weights) in pA.

    Raises
    ------
    StorageError, DataError : see `experiments.storage.reading`.
    """
    with reading(run.path / _READOUT) as file:
        table = read_tables(file)["readout"]
    return table["weights_pA"][0], table["weights_pA"][1:]


def _save(config: LsmConfig, run: RunFolder, optimizer: Optimizer, best: Array) -> str:
    """The readout that was found, and below it members of the last ensemble, for a vote."""
    path, votes = run.path / _READOUT, optimizer.ask()[: config.n_votes]
    table = {"readout": {"weights_pA": np.concatenate([estimate(optimizer, best)[None], votes])}}
    commit(path, lambda file: write_tables(file, table))
    return str(path)


def _half_covariance(counts: Array) -> Array:
    """(m, n_neurons) matrix whose rows, weighted by normal numbers and added, have the square root of the covariance.

    Scaled so that the mean variance over neurons is 1.
    """
    deviations = (counts - counts.mean(axis=0)) / np.sqrt(len(counts))
    _, singular, directions = np.linalg.svd(deviations, full_matrices=False)
    half = np.sqrt(singular)[:, None] * directions
    return np.asarray(half / np.sqrt(np.square(half).sum(axis=0).mean()))
