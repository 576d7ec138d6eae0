"""Evaluation over MPI ranks; the one place that imports mpi4py.

Rank 0 has a child process for its own share of the work: it can always answer, and no rank is idle.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from optim.base import Array
from optim.evaluators import (
    NO_LIMITS,
    DistributedEvaluator,
    Evaluator,
    Limits,
    MakeEvaluator,
    SerialEvaluator,
    pool_evaluator,
)
from optim.launcher import has_launcher, n_started
from optim.tasks import MakeTask, Task, TaskResult, run_task
from optim.workers import Worker, start_server

EXIT_INTERNAL = 70
_SECONDS_TO_FORWARD = 0.3  # what a launcher gets to pass a traceback on: some drop it when the job is aborted


class MpiUnavailableError(RuntimeError):
    """Started by an MPI launcher, but MPI does not work in this Python."""


# Kinds of messages from rank 0.
_SETTINGS, _TASKS, _STOP = range(3)


class _Rank:
    """Another rank, which is in `_serve`, as seen from rank 0."""

    def __init__(self, comm: Any, rank: int) -> None:
        self._comm = comm
        self._rank = rank
        self._n_pending = 0

    @property
    def is_idle(self) -> bool:
        return self._n_pending == 0

    def send(self, tasks: list[tuple[Task, Array]]) -> None:
        self._n_pending = len(tasks)
        _send(self._comm, (_TASKS, tasks), self._rank)

    def collect(self) -> list[TaskResult]:
        results: list[TaskResult] = []
        while self._comm.iprobe(source=self._rank):
            results += self._comm.recv(source=self._rank)
        self._n_pending -= len(results)
        return results


def launch(main: Callable[[MakeEvaluator], int], make_task: MakeTask) -> int:
    """Run `main` on rank 0 while all other ranks serve its evaluator; in one process just run `main`.

    With several ranks an exception outside a task is printed and ends all of them at once: without that, the others
    would wait for ever.

    Parameters
    ----------
    main : gets ``make_evaluator(settings, limits=NO_LIMITS, n_workers=0)`` and returns the exit code of all ranks. In
        one process, `n_workers` child processes work, or this one itself (0); under MPI it is not needed.
    make_task : builds the task function from the settings, in every process that works; a function of a module

    Returns
    -------
    int, exit code

    Raises
    ------
    MpiUnavailableError : started by a launcher without a working MPI for this Python.
    """
    if has_launcher() and n_started() > 1:
        start_server()  # before MPI is initialised
    comm = _communicator()
    if comm is None:
        return main(lambda *args, **options: _evaluator_here(make_task, *args, **options))
    try:
        if comm.rank > 0:
            return _serve(comm, make_task)
        code = main(lambda *args, **options: _evaluator_over_ranks(comm, make_task, *args, **options))
        for rank in range(1, comm.size):
            _send(comm, (_STOP, code), rank)
        return code
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        time.sleep(_SECONDS_TO_FORWARD)
        comm.Abort(EXIT_INTERNAL)
        raise


def mpi_library() -> str:
    """Name and version of the MPI library in use, "" in one process."""
    mpi = sys.modules.get("mpi4py.MPI")
    return str(mpi.Get_library_version()).splitlines()[0].strip() if mpi is not None else ""


def _evaluator_here(make_task: MakeTask, settings: Any, limits: Limits = NO_LIMITS, n_workers: int = 0) -> Evaluator:
    if n_workers or limits.timeout_s:
        return pool_evaluator(make_task, settings, max(n_workers, 1), limits)
    return SerialEvaluator(make_task(settings), limits.retries)


def _evaluator_over_ranks(
    comm: Any, make_task: MakeTask, settings: Any, limits: Limits = NO_LIMITS, n_workers: int = 0
) -> Evaluator:
    worker = Worker(make_task, settings, limits.timeout_s)
    worker.wait_until_ready()  # first here, then elsewhere: it fills the compiler cache that the others read
    for rank in range(1, comm.size):
        _send(comm, (_SETTINGS, (settings, limits)), rank)
    return DistributedEvaluator([worker], [_Rank(comm, rank) for rank in range(1, comm.size)], limits.retries)


def _serve(comm: Any, make_task: MakeTask) -> int:
    """Work for rank 0 until it says stop; returns the exit code it sent."""
    run: Callable[[list[tuple[Task, Array]]], list[TaskResult]] | None = None
    with contextlib.ExitStack() as stack:
        while True:
            kind, content = _receive(comm, 0)
            if kind == _STOP:
                return int(content)
            if kind == _TASKS:
                assert run is not None  # rank 0 sends settings first
                _send(comm, run(content), 0)
                continue
            settings, limits = content
            stack.close()
            run = _runner(make_task, settings, limits, stack)


def _runner(
    make_task: MakeTask, settings: Any, limits: Limits, stack: contextlib.ExitStack
) -> Callable[[list[tuple[Task, Array]]], list[TaskResult]]:
    """What runs the tasks of a rank: this process, or a child of it that can be ended when it takes too long."""
    if not limits.timeout_s:
        function = make_task(settings)
        return lambda tasks: [run_task(function, task, genome) for task, genome in tasks]
    worker = Worker(make_task, settings, limits.timeout_s)
    stack.callback(worker.close)
    worker.wait_until_ready()

    def run_outside(tasks: list[tuple[Task, Array]]) -> list[TaskResult]:
        worker.send(tasks)
        results: list[TaskResult] = []
        while not worker.is_idle:
            wait([worker.connection], timeout=0.1)
            results += worker.collect()
        return results

    return run_outside


def _communicator() -> Any:
    """COMM_WORLD of a parallel start, None in one process."""
    if not has_launcher():
        return None
    n_processes = n_started()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if n_processes == 1:
            return None
        raise MpiUnavailableError(
            f"{n_processes} processes were started together, but MPI does not work here ({error}). "
            "Install it: pip install -e '.[mpi]', and use the mpirun of that environment."
        ) from None
    comm = MPI.COMM_WORLD
    if n_processes > 1 and comm.size == 1:
        raise MpiUnavailableError(
            f"{n_processes} processes were started together, but each sees itself alone: mpirun and the MPI library of "
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
