"""The unit of work of an outer loop: one episode of one individual, and what became of it. Pure."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
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
    """Run one task in this process; an exception or a value that is not finite becomes a failed result."""
    start = time.perf_counter()
    try:
        values = np.asarray(function(task, genome), dtype=np.float64)
    except Exception:
        return TaskResult(task, None, time.perf_counter() - start, traceback.format_exc(), "exception")
    seconds = time.perf_counter() - start
    if not np.isfinite(values).all():
        error = f"{task} returned values that are not finite: {values.tolist()}"
        return TaskResult(task, None, seconds, error, "not finite")
    return TaskResult(task, values, seconds)


def tasks_of(generation: int, genomes: Array, n_episodes: int) -> list[tuple[Task, Array]]:
    """Every (individual, episode) of a generation with its genome, ordered by individual, then episode."""
    return [
        (Task(generation, individual, episode), genome)
        for individual, genome in enumerate(genomes)
        for episode in range(n_episodes)
    ]
