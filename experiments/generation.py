"""One generation: evaluated under its journal, and as rows of tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.journal import Journal
from experiments.process import is_stop_requested
from experiments.study import Reading, Study
from optim.base import Array, Evaluations
from optim.evaluators import Evaluator
from optim.fitness import mean_over_episodes
from optim.tasks import Task, TaskResult, tasks_of


class GenerationFailedError(RuntimeError):
    """Too many individuals of a generation failed, or its tasks measured something else: nothing to learn from."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A generation that was evaluated."""

    number: int
    genomes: Array  # (n, n_params)
    results: list[TaskResult]  # by individual, or block of them, then episode
    measures: Array  # (n, n_measures), means over episodes, NaN for failed individuals
    evaluations: Evaluations
    first_episode: int = 0  # of all individuals, see `Study.batch`

    @property
    def best(self) -> int:
        """The fittest individual."""
        return int(np.nanargmax(self.evaluations.fitness))


def genomes_digest(genomes: Array) -> str:
    """sha256 of shape and values, in hexadecimal."""
    content = hashlib.sha256(repr(genomes.shape).encode())
    content.update(np.ascontiguousarray(genomes, dtype="<f8").tobytes())
    return content.hexdigest()


def evaluate_generation(
    study: Study,
    evaluator: Evaluator,
    journal: Journal,
    number: int,
    genomes: Array,
    on_result: Callable[[TaskResult], object],
    first_episode: int = 0,
) -> Generation:
    """Evaluate what the journal does not know yet.

    A task that was alone when its process ended, ``1 + retries`` times, is recorded as failed; suspects run first, with
    nobody else. The rules are in `experiments.journal`. For the number of the first episode see `Study.batch`.

    Raises
    ------
    GenerationFailedError : a task measured another number of values than the study has names; not in the journal.
    optim.evaluators.EvaluationStopped : a stop was requested; what had arrived is in the journal.
    OSError : the journal cannot be written.
    """

    rows = in_blocks(genomes, study.block)

    def finished(result: TaskResult) -> None:
        if not _fits(study, result):
            raise GenerationFailedError(
                f"{result.task} returned {_n_values(result)} values, but the study expects {_expected(study)}, in this "
                "order."
            )
        journal.finished(result)
        on_result(result)

    def evaluate(known: dict[Task, TaskResult]) -> list[TaskResult]:
        return evaluator.evaluate(
            number,
            rows,
            study.config.episodes,
            first_episode=first_episode,
            known=known,
            on_start=journal.started,
            on_result=finished,
            should_stop=is_stop_requested,
        )

    for task, n_crashes in journal.crashed.items():
        if n_crashes > study.config.retries:
            finished(_crash(task, n_crashes, journal.n_starts(task)))
    everything = [task for task, _ in tasks_of(number, rows, study.config.episodes, first_episode)]
    while suspects := set(journal.suspects):
        evaluate({task: TaskResult(task, None, 0.0) for task in everything if task not in suspects})
    results = evaluate({task: result for task, result in journal.known.items() if _fits(study, result)})
    values = mean_over_episodes(_of_tasks(study, results).reshape(len(rows), study.config.episodes, -1))
    reading = _read(study, number, first_episode, values.reshape(len(rows) * study.block, -1)[: len(genomes)])
    fitness = reading.measures[:, study.fitness_column]
    evaluations = Evaluations(fitness, reading.responses, reading.targets)
    return Generation(number, genomes, results, reading.measures, evaluations, first_episode)


def _read(study: Study, number: int, first_episode: int, values: Array) -> Reading:
    """What the means over episodes (n, n_values) of a generation mean."""
    if study.read is None:
        return Reading(values)
    return study.read(number if study.batch is None else first_episode, values)


def generation_tables(
    study: Study, generation: Generation, seconds: Mapping[str, float], diagnostics: Mapping[str, float]
) -> dict[str, dict[str, NDArray[Any]]]:
    """Rows of one generation, see `experiments.records`.

    Parameters
    ----------
    seconds : wall times "evaluate" and "optimizer", and "storage" of the writing before, NaN if unknown
    """
    fitness = generation.evaluations.fitness
    failures = [result for result in generation.results if result.values is None]
    individuals = {
        "generation": np.full(len(fitness), generation.number),
        "individual": np.arange(len(fitness)),
        "fitness": fitness,
    }
    measured: dict[str, NDArray[Any]] = {}
    if study.n_values:  # what is measured of an individual follows from its values
        individuals |= {name: generation.measures[:, column] for column, name in enumerate(study.measures)}
    else:
        values = _of_tasks(study, generation.results)
        measured = {name: values[:, column] for column, name in enumerate(study.measures)}
    if study.config.record_genomes == "all":
        individuals["genome"] = generation.genomes
    return {
        "individuals": individuals,
        "episodes": {
            **_identity(study, generation.results),
            "seconds": np.array([result.seconds for result in generation.results]),
            **measured,
        },
        "failures": {
            **_identity(study, failures),
            "reason": np.array([failure.reason for failure in failures], dtype=np.str_),
            "attempts": np.array([failure.attempts for failure in failures], dtype=np.int64),
            "traceback": np.array([failure.error for failure in failures], dtype=np.str_),
        },
        "generations": _summary(study, generation, seconds),
        "best": {
            name: values[[generation.best]] for name, values in (individuals | {"genome": generation.genomes}).items()
        },
        "diagnostics": {
            "generation": np.array([generation.number]),
            **{name: np.array([value], dtype=np.float64) for name, value in diagnostics.items()},
        },
    }


def _summary(study: Study, generation: Generation, seconds: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    fitness, best = generation.evaluations.fitness, generation.best
    row: dict[str, Any] = {
        "generation": generation.number,
        "best": fitness[best],
        "mean": np.nanmean(fitness),
        "sd": np.nanstd(fitness),
    }
    for name in study.told:
        column = generation.measures[:, study.measures.index(name)]
        row |= {name: column[best], f"mean_{name}": np.nanmean(column)}
    row |= {
        "n_failed": int(generation.evaluations.failed.sum()),
        "seconds": seconds["evaluate"] + seconds["optimizer"],
        **{f"seconds_{part}": value for part, value in seconds.items()},
    }
    return {name: np.array([value]) for name, value in row.items()}


def _identity(study: Study, results: list[TaskResult]) -> dict[str, NDArray[Any]]:
    """Columns that tell which tasks the results are of."""
    columns = {name: [getattr(result.task, name) for result in results] for name in Task._fields}
    columns["individual"] = [study.block * block for block in columns["individual"]]
    seeds = {"env_seed": [study.seed_of(result.task) for result in results]}
    return {name: np.array(column, dtype=np.int64) for name, column in (columns | seeds).items()}


def in_blocks(genomes: Array, block: int) -> Array:
    """(n_blocks, block * n_params), the genomes of tasks; the last block is filled up with its last genome."""
    n_missing = -len(genomes) % block
    if n_missing:
        genomes = np.concatenate([genomes, np.repeat(genomes[-1:], n_missing, axis=0)])
    return genomes.reshape(len(genomes) // block, -1)


def _of_tasks(study: Study, results: list[TaskResult]) -> Array:
    """(n_tasks, n_task_values), NaN where a task failed."""
    nothing = np.full(study.n_task_values, np.nan)
    return np.array([nothing if result.values is None else result.values for result in results])


def _fits(study: Study, result: TaskResult) -> bool:
    """Whether a task failed or measured what the study says; a journal may be older than the study."""
    return result.values is None or _n_values(result) == study.n_task_values


def _expected(study: Study) -> str:
    if study.n_values:
        return f"{study.n_values} for each of {study.block} individuals"
    return f"one for each of its measures: {', '.join(study.measures)}"


def _n_values(result: TaskResult) -> int:
    return 0 if result.values is None else int(result.values.size)


def _crash(task: Task, n_crashes: int, n_starts: int) -> TaskResult:
    error = (
        f"{task} was running alone {n_crashes} times when its process ended without a word: killed, out of memory, or "
        "by a fault in compiled code. It is given up."
    )
    return TaskResult(task, None, 0.0, error, "crash", n_starts)
