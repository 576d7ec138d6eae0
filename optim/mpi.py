"""Evaluation over MPI ranks; the one place that imports mpi4py.

Rank 0 has a child process for its own share of the work: it can always answer, and no rank is idle.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
import traceback
from collections.abc import Callable, Sequence
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
from optim.launcher import has_launcher, is_first_rank, n_started
from optim.tasks import MakeTask, Task, TaskFunction, TaskResult, run_task
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

    def tell(self, kind: int, content: Any) -> None:
        _send(self._comm, (kind, content), self._rank)

    def send(self, tasks: list[tuple[Task, Array]]) -> None:
        self._n_pending = len(tasks)
        self.tell(_TASKS, tasks)

    def collect(self) -> list[TaskResult]:
        results: list[TaskResult] = []
        while self._comm.iprobe(source=self._rank):
            results += self._comm.recv(source=self._rank)
        self._n_pending -= len(results)
        return results


def launch(
    main: Callable[[MakeEvaluator], int],
    make_task: Callable[..., TaskFunction],
    *,
    make_inner: MakeTask | None = None,
    group_size: int = 1,
) -> int:
    """Run `main` on rank 0 while all other ranks serve its evaluator; in one process just run `main`.

    With several ranks an exception outside a task is printed and ends all of them at once: without that, the others
    would wait for ever.

    Parameters
    ----------
    main : gets ``make_evaluator(settings, limits=NO_LIMITS, n_workers=0)`` and returns the exit code of all ranks. In
        one process, `n_workers` child processes work, or this one itself (0); under MPI it is not needed.
    make_task : builds the task function from the settings, in every process that works; a function of a module
    make_inner : for tasks that are optimizations themselves: builds the task function of the inner loop. Then it is
        ``make_task(settings, make_evaluator)``, where the second gives the inner loop an evaluator of its own.
    group_size : ranks that share each inner loop, >= 1, of no effect without `make_inner`. The ranks after the first
        are split into such groups; the first hands out outer tasks, and its child works on some of them alone. A
        group cannot be ended, so `timeout_s` holds for what runs alone.

    Returns
    -------
    int, exit code

    Raises
    ------
    MpiUnavailableError : started by a launcher without a working MPI for this Python.
    ValueError : if `group_size` is below 1.
    """
    if group_size < 1:
        raise ValueError(f"group_size={group_size} must be >= 1: a group has somebody to lead it.")
    if n_started() > 1 and is_first_rank():
        start_server()  # before MPI is initialised
    alone = make_task if make_inner is None else functools.partial(_make_nested, make_task, make_inner)
    comm = _communicator()
    if comm is None:
        return main(functools.partial(_evaluator_here, alone))
    try:
        if group_size > 1 and make_inner is not None:
            return _launch_groups(comm, main, make_task, alone, make_inner, group_size)
        if comm.rank > 0:
            return _serve(comm, alone)
        return _run_main(comm, range(1, comm.size), main, alone)
    except BaseException:
        traceback.print_exc()
        _end_all(comm, EXIT_INTERNAL)
        raise


def mpi_library() -> str:
    """Name and version of the MPI library in use, "" in one process."""
    mpi = sys.modules.get("mpi4py.MPI")
    return str(mpi.Get_library_version()).splitlines()[0].strip() if mpi is not None else ""


def _make_nested(make_task: Callable[..., TaskFunction], make_inner: MakeTask, settings: Any) -> TaskFunction:
    """Task function whose inner loop runs in the same process."""
    return make_task(settings, functools.partial(_evaluator_here, make_inner))


def _run_main(comm: Any, others: Sequence[int], main: Callable[[MakeEvaluator], int], make_task: MakeTask) -> int:
    """What rank 0 does: run `main` with these other ranks, then let them go; end them where they are still at work."""
    ranks = [_Rank(comm, rank) for rank in others]
    code = main(functools.partial(_evaluator_over_ranks, ranks, make_task))
    if not all(rank.is_idle for rank in ranks):  # `main` has given up, e.g. on a full disk; nobody waits for results
        _end_all(comm, code)
    for rank in ranks:
        rank.tell(_STOP, code)
    return code


def _launch_groups(
    comm: Any,
    main: Callable[[MakeEvaluator], int],
    make_task: Callable[..., TaskFunction],
    alone: MakeTask,
    make_inner: MakeTask,
    group_size: int,
) -> int:
    """The part of this rank: first of all, first of a group that runs inner loops, or one that serves such a rank."""
    group = comm.Split((comm.rank + group_size - 1) // group_size, comm.rank)  # 0 is the first rank alone
    if comm.rank == 0:
        return _run_main(comm, range(1, comm.size, group_size), main, alone)
    if group.rank > 0:
        return _serve(group, make_inner)
    members = range(1, group.size)

    def serve(make_evaluator: MakeEvaluator) -> int:
        return _serve(comm, lambda settings: make_task(settings, make_evaluator), may_move=False)

    return _run_main(group, members, serve, make_inner)


def _evaluator_here(make_task: MakeTask, settings: Any, limits: Limits = NO_LIMITS, n_workers: int = 0) -> Evaluator:
    if n_workers or limits.timeout_s:
        return pool_evaluator(make_task, settings, max(n_workers, 1), limits)
    return SerialEvaluator(make_task(settings), limits.retries)


def _evaluator_over_ranks(
    ranks: Sequence[_Rank], make_task: MakeTask, settings: Any, limits: Limits = NO_LIMITS, n_workers: int = 0
) -> Evaluator:
    worker = Worker(make_task, settings, limits.timeout_s)
    worker.wait_until_ready()  # first here, then elsewhere: it fills the compiler cache that the others read
    for rank in ranks:
        rank.tell(_SETTINGS, (settings, limits))
    return DistributedEvaluator([worker], ranks, limits.retries)


def _end_all(comm: Any, code: int) -> None:
    """End all ranks at once with this exit code, after what was printed has been passed on."""
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(_SECONDS_TO_FORWARD)
    comm.Abort(code)


def _serve(comm: Any, make_task: MakeTask, *, may_move: bool = True) -> int:
    """Work for rank 0 until it says stop; returns the exit code it sent.

    Parameters
    ----------
    may_move : whether a child process can run the tasks; it cannot hand out an inner loop to a group of ranks
    """
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
            run = _runner(make_task, settings, limits if may_move else NO_LIMITS, stack)


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
            f"mpi4py ({mpi_library()}) do not belong together. Use the mpirun of this environment, "
            f"{Path(sys.prefix) / 'bin' / 'mpirun'}, or srun --mpi=pmi2 with MPICH and --mpi=pmix with Open MPI."
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
