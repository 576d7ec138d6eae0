"""The unit of work of an outer loop: one episode of one individual, and what became of it. Pure."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from optim.base import Array


class Task(NamedTuple):
    """Identity of one episode of one individual; seeds derive from it and from nothing else."""

    generation: int
    individual: int
    episode: int


# What a study gives: the measured values of one task, (n_values,) finite floats.
TaskFunction = Callable[[Task, Array], Array]
# Builds that function in every process that works, from plain settings.
MakeTask = Callable[[Any], TaskFunction]

# Characters of a text that is stored: hundreds of lines of a traceback, and room to say how much is left out.
_KEPT, _ROOM = 20_000, 100

# Why a task failed: it raised, gave values that are not finite, took too long, or took its process down.
Reason = Literal["", "exception", "not finite", "timeout", "crash"]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """Outcome of one task."""

    task: Task
    values: Array | None  # (n_values,), None if the task failed
    seconds: float  # wall time of the last attempt
    error: str = ""  # traceback or explanation of a failed task
    reason: Reason = ""  # "" unless failed
    attempts: int = 1  # how often it was tried


def run_task(function: TaskFunction, task: Task, genome: Array) -> TaskResult:
    """Run one task in this process; an exception or values that are no finite numbers make a failed result."""
    start = time.perf_counter()
    try:
        values = _checked(function(task, genome))
    except (Exception, SystemExit):
        return TaskResult(task, None, time.perf_counter() - start, readable(traceback.format_exc()), "exception")
    seconds = time.perf_counter() - start
    if not np.isfinite(values).all():
        error = f"{task} returned values that are not finite: {values.tolist()}"
        return TaskResult(task, None, seconds, error, "not finite")
    return TaskResult(task, values, seconds)


def readable(text: str) -> str:
    r"""A text that any file can hold: NUL and half characters as ``\x00`` and ``\udc80``, no endless ones.

    Of a text that is too long, its begin and its end stay, where a traceback says what was called and what went wrong.
    Done twice, it changes nothing more.
    """
    text = text.replace("\0", r"\x00").encode(errors="backslashreplace").decode()
    if len(text) <= _KEPT + _ROOM:
        return text
    cut = f"\n[... {len(text) - _KEPT:,} characters left out ...]\n"
    return f"{text[: _KEPT // 2]}{cut}{text[-_KEPT // 2 :]}"


def _checked(values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.ndim != 1:
        raise TypeError(
            f"a task returned {values!r}, but must return real numbers of shape (n_values,). "
            "Give e.g. np.array([fitness]); let it raise, or return NaN, to fail."
        )
    return array.astype(np.float64)


def tasks_of(generation: int, genomes: Array, n_episodes: int, first_episode: int = 0) -> list[tuple[Task, Array]]:
    """Every (individual, episode) of a generation with its genome, ordered by individual, then episode.

    Parameters
    ----------
    genomes : (n_individuals, n_params) of real numbers in any layout; every task gets a contiguous float64 row, since
        sums over other ones may round differently
    first_episode : number of the first of their episodes

    Raises
    ------
    ValueError : if `genomes` have another shape or type.
    """
    rows = np.asarray(genomes)
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise ValueError(
            f"genomes have shape {rows.shape} and type {rows.dtype}, but must be (n, n_params) real numbers: "
            "rows are individuals. Give a single one as genome[None]."
        )
    return [
        (Task(generation, individual, episode), genome)
        for individual, genome in enumerate(np.ascontiguousarray(rows, dtype=np.float64))
        for episode in range(first_episode, first_episode + n_episodes)
    ]


def ordered(tasks: list[tuple[Task, Array]], done: Mapping[Task, TaskResult]) -> list[TaskResult]:
    """The results in the order of the tasks.

    Raises
    ------
    ValueError : if two tasks gave different numbers of values.
    """
    results = [done[task] for task, _ in tasks]
    sizes = [(result.task, result.values.size) for result in results if result.values is not None]
    for task, size in sizes:
        if size != sizes[0][1]:
            raise ValueError(
                f"{task} returned {size} values, but {sizes[0][0]} {sizes[0][1]}. Every episode must measure the same."
            )
    return results
