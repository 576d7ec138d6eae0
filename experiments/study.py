"""What the outer loop has to know about an experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.run_folder import RunFolder
from experiments.settings import RunConfig
from optim.base import Array
from optim.tasks import Task


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
    responses : (n, n_measures) means over episodes -> (n, d), for an optimizer that reads responses
    min_survivors : individuals that must work, or there is nothing to learn from
    save_best : writes the best genome of the run so far and returns where
    record_best : after every generation: keeps more of its best individual, given by its first task and its genome
    bytes_of_best : what `record_best` takes on disk, about
    """

    title: str
    config: RunConfig
    measures: tuple[str, ...]
    fitness: str
    told: tuple[str, ...]
    seed_of: Callable[[Task], int]
    save_best: Callable[[RunFolder, Array], str]
    responses: Callable[[Array], Array] | None = None
    min_survivors: int = 1
    record_best: Callable[[RunFolder, Task, Array], None] | None = None
    bytes_of_best: float = 0.0

    @property
    def fitness_column(self) -> int:
        """Index of the fitness among the measures."""
        return self.measures.index(self.fitness)
