"""Genomes to measurements, in this process or in others.

The unit of work is one episode of one individual. The first process runs the optimizer and hands out tasks; what a task
computes depends on its identity only, and results are ordered by identity, so any number of processes gives the same
answer. MPI ranks are started in `optim.mpi`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from types import MappingProxyType
from typing import Any, Protocol

from optim.base import Array
from optim.schedule import Schedule
from optim.tasks import MakeTask, Task, TaskFunction, TaskResult, ordered, run_task, tasks_of
from optim.workers import Worker

_NOTHING: Mapping[Task, TaskResult] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a task may cost before it is recorded as failed: at most (1 + retries) × timeout_s.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    timeout_s: float = 0.0  # wall time of one attempt; 0 = no limit, tasks run in the process of their rank
    retries: int = 1  # further attempts after a failure of any kind, >= 0: a child may have been killed from outside

    def __post_init__(self) -> None:
        if not 0.0 <= self.timeout_s < float("inf"):
            raise ValueError(f"timeout_s={self.timeout_s} is outside [0, inf). Give seconds, or 0 for no limit.")
        if not isinstance(self.retries, int) or self.retries < 0:
            raise ValueError(f"retries={self.retries} is not an integer >= 0. Give e.g. 1, or 0 for none.")


NO_LIMITS = Limits()


class EvaluationStopped(Exception):
    """The caller asked to stop in the middle of a generation; what had arrived was passed to `on_result`."""


def _ignore(event: Task | TaskResult) -> None:
    """Default of `on_start` and `on_result`."""


def _never() -> bool:
    """Default of `should_stop`."""
    return False


class Evaluator(Protocol):
    """Evaluates all episodes of a generation."""

    n_ranks: int

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        first_episode: int = 0,
        known: Mapping[Task, TaskResult] = ...,
        on_start: Callable[[Task], object] = ...,
        on_result: Callable[[TaskResult], object] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> list[TaskResult]:
        """Results of every (individual, episode), ordered by individual, then episode.

        Parameters
        ----------
        genomes : (n_individuals, n_params)
        first_episode : number of the first episode, from which the others are counted on
        known : results that are there already, e.g. from before an interruption; not evaluated again
        on_start : called when a task begins, or is handed to another process; again for every further attempt
        on_result : called once per new result, in order of arrival
        should_stop : asked between tasks; True abandons the generation after the tasks under way

        Raises
        ------
        EvaluationStopped : `should_stop` returned True.
        ValueError : tasks returned different numbers of values.
        """
        ...

    def close(self) -> None:
        """End the processes that it has started."""
        ...


# Builds the evaluator of a job from the settings of its tasks.
MakeEvaluator = Callable[..., Evaluator]


class SerialEvaluator:
    """Runs every task in this process.

    Parameters
    ----------
    function : TaskFunction
    retries : further attempts after a failure, >= 0
    """

    n_ranks = 1

    def __init__(self, function: TaskFunction, retries: int = 0) -> None:
        self._function = function
        self._retries = retries

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        first_episode: int = 0,
        known: Mapping[Task, TaskResult] = _NOTHING,
        on_start: Callable[[Task], object] = _ignore,
        on_result: Callable[[TaskResult], object] = _ignore,
        should_stop: Callable[[], bool] = _never,
    ) -> list[TaskResult]:
        """See `Evaluator.evaluate`."""
        tasks = tasks_of(generation, genomes, n_episodes, first_episode)
        done = dict(known)
        for task, genome in tasks:
            if task in known:
                continue
            if should_stop():
                raise EvaluationStopped
            done[task] = self._run(task, genome, on_start)
            on_result(done[task])
        return ordered(tasks, done)

    def close(self) -> None:
        """Nothing to end."""

    def _run(self, task: Task, genome: Array, on_start: Callable[[Task], object]) -> TaskResult:
        attempts = 0
        while True:
            on_start(task)
            result = run_task(self._function, task, genome)
            attempts += 1
            if result.values is not None or attempts > self._retries:
                return dataclasses.replace(result, attempts=attempts)


class Lane(Protocol):
    """Somebody who works through tasks: a child process or another rank."""

    def send(self, tasks: list[tuple[Task, Array]]) -> None: ...

    def collect(self) -> list[TaskResult]: ...

    @property
    def is_idle(self) -> bool: ...


class DistributedEvaluator:
    """Hands tasks to child processes and MPI ranks, the longest first, a new one to whoever is free.

    Parameters
    ----------
    workers : child processes of this one
    ranks : other ranks
    retries : further attempts after a failure, >= 0
    """

    def __init__(self, workers: Sequence[Worker], ranks: Sequence[Lane], retries: int) -> None:
        self.n_ranks = len(workers) + len(ranks)
        self._workers = workers
        self._lanes: list[Lane] = [*workers, *ranks]  # near ones first: short work does not travel
        self._retries = retries
        self._expected: dict[int, float] = {}  # seconds of an episode, by row of the last generation

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        first_episode: int = 0,
        known: Mapping[Task, TaskResult] = _NOTHING,
        on_start: Callable[[Task], object] = _ignore,
        on_result: Callable[[TaskResult], object] = _ignore,
        should_stop: Callable[[], bool] = _never,
    ) -> list[TaskResult]:
        """See `Evaluator.evaluate`."""
        tasks = tasks_of(generation, genomes, n_episodes, first_episode)
        schedule = Schedule([pair for pair in tasks if pair[0] not in known], self._expected)
        done = dict(known)
        attempts: dict[Task, int] = {}
        for result in self._work_off(schedule, on_start, should_stop):
            attempt = attempts[result.task] = attempts.get(result.task, 0) + 1
            if result.values is not None:  # how long a failure took says nothing about the next episode
                schedule.learn(result)
            if result.values is None and attempt <= self._retries:
                schedule.put_back(result.task)
                continue
            done[result.task] = dataclasses.replace(result, attempts=attempt)
            on_result(done[result.task])
        self._expected = schedule.expected
        if len(done) < len(tasks):
            raise EvaluationStopped
        return ordered(tasks, done)

    def close(self) -> None:
        """End the child processes; without it they end with this process."""
        for worker in self._workers:
            worker.close()

    def _work_off(
        self, schedule: Schedule, on_start: Callable[[Task], object], should_stop: Callable[[], bool]
    ) -> Iterator[TaskResult]:
        """Results in order of arrival, until nothing waits or is under way, or the stop is asked for."""
        while True:
            for lane in self._lanes:
                if lane.is_idle and len(schedule) and not should_stop():
                    chunk = schedule.take(self.n_ranks)
                    for task, _ in chunk:
                        on_start(task)
                    lane.send(chunk)
            if all(lane.is_idle for lane in self._lanes):
                return
            yield from self._next_results()

    def _next_results(self) -> list[TaskResult]:
        """Wait for the next results, politely: a blocking MPI call would burn a whole core."""
        pause = 1e-4
        while True:
            results = [result for lane in self._lanes if not lane.is_idle for result in lane.collect()]
            if results:
                return results
            connections = [worker.connection for worker in self._workers]
            wait(connections, timeout=pause)
            pause = min(1.5 * pause, 2e-3 if len(self._lanes) > len(connections) else 0.1)


def pool_evaluator(make_task: MakeTask, settings: Any, n_workers: int, limits: Limits) -> DistributedEvaluator:
    """Evaluator with child processes of this one.

    Raises
    ------
    ValueError : if `n_workers` is below 1.
    Exception : what `make_task` raised.
    """
    if n_workers < 1:
        raise ValueError(f"n_workers={n_workers} must be >= 1: somebody has to work.")
    first = Worker(make_task, settings, limits.timeout_s)
    first.wait_until_ready()  # fills the compiler cache that the others read
    others = [Worker(make_task, settings, limits.timeout_s) for _ in range(n_workers - 1)]
    return DistributedEvaluator([first, *others], [], limits.retries)
