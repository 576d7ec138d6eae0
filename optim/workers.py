"""Child processes that run tasks and may hang or crash alone; the one place that starts processes.

Children are forked by a server process that has loaded nothing, never by this one: forking a process that uses MPI,
NEST or threads is undefined. The server ends with this process, however that ends, and takes the children along.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import faulthandler
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import multiprocessing.util
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections import deque
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NamedTuple

from optim.base import Array
from optim.launcher import forget_launcher
from optim.tasks import MakeTask, Reason, Task, TaskResult, readable, run_task

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_STARTS = 3  # of a child that takes the place of one that worked
_FIRST_AT_EXIT = 100  # among what multiprocessing does when this process ends
_PR_SET_PDEATHSIG = 1  # Linux: the signal a process gets when its parent dies


class WorkerError(RuntimeError):
    """A child process could not be prepared; the message is what it reported."""


class _Ready(NamedTuple):
    """The child has built its task function."""


class _Broken(NamedTuple):
    """The child could not build its task function."""

    error: Exception
    traceback: str


def start_server() -> None:
    """Start the process that forks the children; to be called before MPI is initialised, where that is known.

    It must survive what is sent to a whole job to stop it, as this process decides what then happens to the children.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        multiprocessing.resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)  # that has unblocked some of them
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


class Worker:
    """One child process that works through tasks in order, and is replaced when it hangs or crashes.

    Parameters
    ----------
    make_task, settings : build the task function in the child; sent there, so `make_task` is a function of a module
    timeout_s : seconds after which a task is given up, 0 = never

    Raises
    ------
    ValueError : if `make_task` or `settings` cannot be sent to another process.
    """

    def __init__(self, make_task: MakeTask, settings: Any, timeout_s: float = 0.0) -> None:
        self._order = (make_task, settings, timeout_s)
        self._pending: deque[tuple[Task, Array]] = deque()
        self._starts_left = 1  # attempts to get a child that is ready
        self._start()

    @property
    def connection(self) -> Connection:
        """Becomes readable when there is something to `collect`; another one after the child was replaced."""
        return self._connection

    @property
    def is_idle(self) -> bool:
        """Whether it waits for tasks."""
        return not self._pending

    def wait_until_ready(self) -> None:
        """Return when the child has built its task function.

        Raises
        ------
        Exception : what `make_task` raised there.
        WorkerError : the child ended before it could say.
        """
        while not self._is_ready:
            self._connection.poll(None)
            self.collect()

    def send(self, tasks: list[tuple[Task, Array]]) -> None:
        """Hand over tasks; only to an idle worker."""
        self._pending.extend(tasks)
        if self._is_ready:
            self._forward()

    def collect(self) -> list[TaskResult]:
        """Results that have arrived, failures by crash and timeout among them; does not wait.

        Raises
        ------
        Exception, WorkerError : as `wait_until_ready`; a child that was replaced has several attempts to get ready.
        """
        results: list[TaskResult] = []
        try:
            while self._connection.poll():
                message = self._connection.recv()
                if isinstance(message, TaskResult):
                    self._pending.popleft()
                    self._restart_clock()
                    results.append(message)
                elif isinstance(message, _Ready):
                    self._is_ready, self._starts_left = True, _STARTS
                    Path(self._report.name).unlink()  # both have it open
                    self._forward()
                else:
                    self.close()
                    raise message.error from WorkerError(message.traceback)
        except (EOFError, ConnectionError):
            results += self._replace("crash")
        if self._is_ready and self._pending and time.monotonic() > self._deadline:
            results += self._replace("timeout")
        return results

    def close(self) -> None:
        """End the child, whatever it is doing."""
        self._end()
        self._connection.close()
        self._report.close()

    def _start(self) -> None:
        start_server()
        context = multiprocessing.get_context("forkserver")
        self._connection, theirs = context.Pipe()
        # Where the child writes its traceback when Python can no longer tell us.
        self._report = tempfile.NamedTemporaryFile("r", prefix="stigmergy-", errors="replace", delete=False)  # noqa: SIM115
        self._is_ready = False
        self._process = context.Process(target=_work, args=(theirs, self._report.name, *self._order), daemon=True)
        try:
            self._process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            for end in (self._connection, theirs, self._report):
                end.close()
            Path(self._report.name).unlink()
            raise ValueError(
                f"{self._order[0]!r} and its settings cannot be sent to another process ({error}). "
                "Use a function of a module, and settings of plain values."
            ) from None
        theirs.close()
        # Runs at the latest when this process ends, before multiprocessing waits for its children.
        self._end = multiprocessing.util.Finalize(
            self, _end_child, (self._process, self._report.name), exitpriority=_FIRST_AT_EXIT
        )

    def _forward(self) -> None:
        """Send all pending tasks to the child."""
        self._restart_clock()
        if self._pending:
            with contextlib.suppress(ConnectionError):  # it has crashed: `collect` will notice
                self._connection.send(list(self._pending))

    def _restart_clock(self) -> None:
        self._since = time.monotonic()
        timeout_s = self._order[2]
        self._deadline = self._since + timeout_s if timeout_s > 0.0 else float("inf")

    def _replace(self, reason: Reason) -> list[TaskResult]:
        """Start another child for what is left; returns the failure of the task that ended this one, if any."""
        self._process.kill()
        self._process.join()
        was_ready, ended, report = self._is_ready, _named(self._process.exitcode), self._report.read()
        self.close()
        if not was_ready:
            self._starts_left -= 1
            if not self._starts_left:
                raise WorkerError(f"a worker could not be prepared, its process ended: {ended}\n{report}")
        self._start()
        if not (was_ready and self._pending):
            return []
        task, _ = self._pending.popleft()
        what = f"did not end within {self._order[2]:g} s" if reason == "timeout" else f"ended its process, {ended}"
        seconds = time.monotonic() - self._since
        return [TaskResult(task, None, seconds, readable(f"{task} {what}\n{report}".rstrip()), reason)]


def _end_child(process: Any, report: str) -> None:
    """Kill a child and remove its report."""
    process.kill()
    process.join()
    Path(report).unlink(missing_ok=True)


def _named(code: int | None) -> str:
    """An exit code in words."""
    if code is not None and code < 0:
        return f"signal {-code} ({signal.strsignal(-code)})"
    return f"exit code {code}"


def _work(connection: Connection, report: str, make_task: MakeTask, settings: Any, timeout_s: float) -> None:
    """What a child does: build the task function, then run tasks until the other end of the connection is closed."""
    for number in _STOP_SIGNALS:  # the parent decides
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_server()
    forget_launcher()
    with open(report, "w") as file, contextlib.suppress(EOFError, ConnectionError):  # noqa: PTH123
        faulthandler.enable(file)
        try:
            function = make_task(settings)
        except Exception as error:
            connection.send(_Broken(_sendable(error), traceback.format_exc()))
            return
        connection.send(_Ready())
        while True:
            for task, genome in connection.recv():
                if timeout_s > 0.0:  # a little earlier, so that the report is complete when the process is killed
                    faulthandler.dump_traceback_later(0.95 * timeout_s, file=file)
                result = run_task(function, task, genome)
                faulthandler.cancel_dump_traceback_later()
                connection.send(result)


def _sendable(error: Exception) -> Exception:
    """The same error, or its text where another process could not rebuild it."""
    try:
        copy.copy(error)  # rebuilds it from its arguments, as the other process would
        ForkingPickler.dumps(error)
    except Exception:
        return WorkerError("".join(traceback.format_exception_only(error)).strip())
    return error


def _die_with_the_server() -> None:
    """End when the server ends, which ends with the process that wants the results, however that ends.

    The server waits for the last owner of a pipe to go, and children get that pipe too, to use the server themselves.
    """
    with contextlib.suppress(AttributeError, OSError):
        os.close(multiprocessing.forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
