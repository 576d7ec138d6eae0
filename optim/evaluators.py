"""Genomes to measurements, in one process or over MPI ranks; the one place that imports mpi4py.

The unit of work is one episode of one individual. Rank 0 runs the optimizer and hands out tasks; what a task computes
depends on its identity only, and results are ordered by identity, so any number of ranks gives the same answer.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from optim.base import Array
from optim.tasks import MakeTask, Task, TaskFunction, TaskResult, run_task, tasks_of

_NOTHING: Mapping[Task, TaskResult] = MappingProxyType({})

EXIT_INTERNAL = 70
_SECONDS_TO_FORWARD = 0.3  # what a launcher gets to pass a traceback on: some drop it when the job is aborted
# Environment variables that tell how many processes a launcher started, the number of this one, and prefixes that tell
# there is a launcher.
_SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
_LAUNCHER_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "MPI_LOCAL", "PALS_", "SLURM_STEP", "FLUX_")


class EvaluationStopped(Exception):
    """The caller asked to stop in the middle of a generation; its results are dropped."""


class MpiUnavailableError(RuntimeError):
    """Started by an MPI launcher, but MPI does not work in this Python."""


class Evaluator(Protocol):
    """Evaluates all episodes of a generation."""

    n_ranks: int

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        known: Mapping[Task, TaskResult] = ...,
        on_start: Callable[[Task], object] = ...,
        on_result: Callable[[TaskResult], object] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> list[TaskResult]:
        """Results of every (individual, episode), ordered by individual, then episode.

        Parameters
        ----------
        genomes : (n_individuals, n_params)
        known : results that are there already, e.g. from before an interruption; not evaluated again
        on_start : called when a task begins, or is handed to another process
        on_result : called once per new result, in order of arrival
        should_stop : asked between tasks; True abandons the generation

        Raises
        ------
        EvaluationStopped : `should_stop` returned True.
        """
        ...


def _ignore(event: Task | TaskResult) -> None:
    """Default of `on_start` and `on_result`."""


def _never() -> bool:
    """Default of `should_stop`."""
    return False


class SerialEvaluator:
    """Runs every task in this process.

    Parameters
    ----------
    function : TaskFunction
    """

    n_ranks = 1

    def __init__(self, function: TaskFunction) -> None:
        self._function = function

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        known: Mapping[Task, TaskResult] = _NOTHING,
        on_start: Callable[[Task], object] = _ignore,
        on_result: Callable[[TaskResult], object] = _ignore,
        should_stop: Callable[[], bool] = _never,
    ) -> list[TaskResult]:
        """See `Evaluator.evaluate`."""
        results = []
        for task, genome in tasks_of(generation, genomes, n_episodes):
            if task in known:
                results.append(known[task])
                continue
            if should_stop():
                raise EvaluationStopped
            on_start(task)
            results.append(run_task(self._function, task, genome))
            on_result(results[-1])
        return results


# Kinds of messages from rank 0.
_SETTINGS, _TASKS, _STOP = range(3)


class MPIEvaluator:
    """Spreads tasks over the ranks of a communicator; used on rank 0, while the others are in `launch`.

    With two ranks both work on half of the tasks. From three on, rank 0 only hands out one task at a time, so that
    uneven episodes balance out.

    Parameters
    ----------
    comm : mpi4py communicator with at least two ranks
    make_task, settings : build the task function on every rank
    """

    def __init__(self, comm: Any, make_task: MakeTask, settings: Any) -> None:
        self.n_ranks: int = comm.size
        self._comm = comm
        # First here, then elsewhere: rank 0 fills the compiler cache that the others read.
        self._function = make_task(settings)
        for rank in range(1, comm.size):
            _send(comm, (_SETTINGS, settings), rank)

    def evaluate(
        self,
        generation: int,
        genomes: Array,
        n_episodes: int,
        *,
        known: Mapping[Task, TaskResult] = _NOTHING,
        on_start: Callable[[Task], object] = _ignore,
        on_result: Callable[[TaskResult], object] = _ignore,
        should_stop: Callable[[], bool] = _never,
    ) -> list[TaskResult]:
        """See `Evaluator.evaluate`."""
        everything = tasks_of(generation, genomes, n_episodes)
        tasks = [(task, genome) for task, genome in everything if task not in known]
        by_task: dict[Task, TaskResult] = {}
        for task, _ in tasks:
            on_start(task)
        share = self._evaluate_in_halves if self.n_ranks == 2 else self._evaluate_from_queue
        for result in share(tasks, should_stop):
            by_task[result.task] = result
            on_result(result)
        if len(by_task) < len(tasks):
            raise EvaluationStopped
        return [known[task] if task in known else by_task[task] for task, _ in everything]

    def _evaluate_in_halves(
        self, tasks: list[tuple[Task, Array]], should_stop: Callable[[], bool]
    ) -> Iterator[TaskResult]:
        """Both ranks work; the other one sends its results at the end."""
        if len(tasks) > 1:
            _send(self._comm, (_TASKS, tasks[1::2]), 1)
        for task, genome in tasks[0::2]:
            if should_stop():
                break
            yield run_task(self._function, task, genome)
        if len(tasks) > 1:
            if should_stop():
                _send(self._comm, (_TASKS, []), 1)  # any message ends the batch; this one asks for nothing
            yield from _receive(self._comm, 1)

    def _evaluate_from_queue(
        self, tasks: list[tuple[Task, Array]], should_stop: Callable[[], bool]
    ) -> Iterator[TaskResult]:
        """Rank 0 hands out tasks one by one to whoever is free."""
        waiting = list(reversed(tasks))
        free = list(range(self.n_ranks - 1, 0, -1))
        busy: set[int] = set()
        while (waiting and not should_stop()) or busy:
            while waiting and free and not should_stop():
                rank = free.pop()
                _send(self._comm, (_TASKS, [waiting.pop()]), rank)
                busy.add(rank)
            _wait(lambda: any(self._comm.iprobe(source=rank) for rank in busy), longest=0.002)
            for rank in [rank for rank in busy if self._comm.iprobe(source=rank)]:
                yield from self._comm.recv(source=rank)
                busy.remove(rank)
                free.append(rank)


def launch(main: Callable[[Callable[[Any], Evaluator]], int], make_task: MakeTask) -> int:
    """Run `main` on rank 0 while all other ranks serve its evaluator; in one process just run `main`.

    With several ranks an exception outside a task is printed and ends all of them at once: without that, the others
    would wait for ever.

    Parameters
    ----------
    main : gets ``make_evaluator(settings)`` and returns the exit code of all ranks
    make_task : builds the task function from the settings, on every rank

    Returns
    -------
    int, exit code

    Raises
    ------
    MpiUnavailableError : started by a launcher without a working MPI for this Python.
    """
    comm = _communicator()
    if comm is None:
        return main(lambda settings: SerialEvaluator(make_task(settings)))
    try:
        if comm.rank > 0:
            return _serve(comm, make_task)
        code = main(lambda settings: MPIEvaluator(comm, make_task, settings))
        for rank in range(1, comm.size):
            _send(comm, (_STOP, code), rank)
        return code
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        time.sleep(_SECONDS_TO_FORWARD)
        comm.Abort(EXIT_INTERNAL)
        raise


def is_first_rank() -> bool:
    """Whether the launcher, if any, calls this process rank 0; known before MPI is initialised."""
    return all(os.environ.get(name, "0") == "0" for name in _RANK_VARIABLES)


def mpi_library() -> str:
    """Name and version of the MPI library in use, "" in one process."""
    mpi = sys.modules.get("mpi4py.MPI")
    return str(mpi.Get_library_version()).splitlines()[0].strip() if mpi is not None else ""


def _serve(comm: Any, make_task: MakeTask) -> int:
    """Work for rank 0 until it says stop; returns the exit code it sent."""
    function: TaskFunction | None = None
    while True:
        kind, content = _receive(comm, 0)
        if kind == _STOP:
            return int(content)
        if kind == _SETTINGS:
            function = make_task(content)
            continue
        assert function is not None
        results: list[TaskResult] = []
        for task, genome in content:
            if results and comm.iprobe(source=0):  # rank 0 has changed its mind
                break
            results.append(run_task(function, task, genome))
        if content:
            _send(comm, results, 0)


def _communicator() -> Any:
    """COMM_WORLD of a parallel start, None in one process."""
    if not any(name.startswith(_LAUNCHER_PREFIXES) for name in os.environ):
        return None
    n_started = max(int(os.environ.get(name, "1")) for name in _SIZE_VARIABLES)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if n_started == 1:
            return None
        raise MpiUnavailableError(
            f"{n_started} processes were started together, but MPI does not work here ({error}). "
            "Install it: pip install -e '.[mpi]', and use the mpirun of that environment."
        ) from None
    comm = MPI.COMM_WORLD
    if n_started > 1 and comm.size == 1:
        raise MpiUnavailableError(
            f"{n_started} processes were started together, but each sees itself alone: mpirun and the MPI library of "
            f"mpi4py ({mpi_library()}) do not belong together. Use the mpirun of this environment: "
            f"{Path(sys.prefix) / 'bin' / 'mpirun'}."
        )
    return comm if comm.size > 1 else None


def _wait(is_ready: Callable[[], bool], longest: float = 0.01) -> None:
    """Sleep until ready, in growing steps up to `longest` seconds: blocking MPI calls would burn whole cores."""
    pause = 1e-4
    while not is_ready():
        time.sleep(pause)
        pause = min(1.5 * pause, longest)


def _send(comm: Any, message: Any, rank: int) -> None:
    request = comm.isend(message, dest=rank)
    _wait(lambda: bool(request.test()[0]))


def _receive(comm: Any, rank: int) -> Any:
    _wait(lambda: bool(comm.iprobe(source=rank)))
    return comm.recv(source=rank)
