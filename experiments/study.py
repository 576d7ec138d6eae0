"""What the outer loop has to know about an experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from experiments.run_folder import RunFolder
from experiments.settings import RunConfig
from experiments.storage import Tables
from optim import EnsembleKalmanFilter, Optimizer
from optim.base import Array
from optim.gaussian import GaussianSearch
from optim.tasks import Task

if TYPE_CHECKING:
    from experiments.generation import Generation


class Reading(NamedTuple):
    """What the values of a generation mean."""

    measures: Array  # (n, n_measures), NaN for failed individuals
    responses: Array | None = None  # (n, d), for an optimizer that reads responses
    targets: Array | None = None  # (d,), what they should be in this generation, where that changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """An experiment for `experiments.run.evolve`: what its episodes measure, and what of it is kept.

    Parameters
    ----------
    title : of figures, e.g. "ga, seed 1"
    measures : names of the values of a task, in their order
    fitness : the one that is maximised
    told : those of which every generation tells the best individual's and the mean
    seed_of : seed of the world of a task, for the records
    save : writes what the run has found, given the optimizer and the best genome so far, and returns where
    read : number of a generation, or of its batch if there is `batch`, and (n, n_values) means over episodes ->
        Reading; None: the values are the measures
    batch : which mini-batch a generation sees, given the optimizer that has asked for it, where this depends on its
        state. The number travels as `Task.episode`, from which the episodes of the generation are counted on; None: 0
    n_values : numbers that a task gives for an individual; 0: one for each measure
    block : individuals that share a task, which gets their genomes end to end and gives their values so. Its
        `Task.individual` is the number of the block, and what fails, fails for the whole block
    keeps_values : whether values survive an end within a generation; otherwise the generation is computed again
    observe : after every generation that was told: further tables of its record, each with a column "generation"
    min_survivors : individuals that must work, or there is nothing to learn from
    record_best : after every generation: keeps more of its best individual, given by its first task and its genome
    bytes_of_best : what `record_best` takes on disk, about
    """

    title: str
    config: RunConfig
    measures: tuple[str, ...]
    fitness: str
    told: tuple[str, ...]
    seed_of: Callable[[Task], int]
    save: Callable[[RunFolder, Optimizer, Array], str]
    read: Callable[[int, Array], Reading] | None = None
    batch: Callable[[Optimizer], int] | None = None
    n_values: int = 0
    block: int = 1
    keeps_values: bool = True
    observe: Callable[[Optimizer, Generation], Tables] | None = None
    min_survivors: int = 1
    record_best: Callable[[RunFolder, Task, Array], None] | None = None
    bytes_of_best: float = 0.0

    @property
    def fitness_column(self) -> int:
        """Index of the fitness among the measures."""
        return self.measures.index(self.fitness)

    @property
    def n_task_values(self) -> int:
        """Numbers that a task gives."""
        return self.block * (self.n_values or len(self.measures))


def mean_of(optimizer: Optimizer) -> Array | None:
    """(n_params,) the middle of an ensemble or of a normal distribution; None for other searches."""
    return optimizer.mean if isinstance(optimizer, EnsembleKalmanFilter | GaussianSearch) else None


def estimate(optimizer: Optimizer, best: Array) -> Array:
    """(n_params,) what a search has found: its mean where it has one, else the best individual."""
    mean = mean_of(optimizer)
    return best if mean is None else mean
