"""The journal: what happened within the open generation, so that no result that was reported is lost or computed twice.

One file per generation, written by rank 0 only, one record per line, see `experiments.journal_lines`. Floats are
written so that they read back to the same bits. The records of a process begin with

- ``opened``: generation, digests of the asked genomes and of the config, process id, host, time

and go on with

- ``started``: a task was begun or handed out, for the n-th time
- ``done``: its values and seconds; without values, which a study may ask for, the task is run again by the next process
- ``failed``: its reason, error, attempts and seconds
- ``retry``: the generation is given up; its failed tasks are to be tried again, as if they had never run
- ``stopping``: somebody wants this process to end, so its end, however it comes, is the fault of no task
- ``closed``: the process left the journal in order, whatever was running has been let go

A record reaches the operating system before anybody hears of the result, so it survives ``kill -9``. The file is synced
after every result that took a second or more, and with the first record that comes a second after the last time; so a
power cut costs short tasks only, those since then.

Which task takes its process down
---------------------------------
A process that ends without ``closed`` or ``stopping`` was killed from outside, or by one of the tasks that it was
running. Two rules find out:

1. A task has crashed once for every such end at which it alone was running. When several were running, none has.
2. A task that was running at two such ends of its generation, or alone at one, is suspicious. Before all others, the
   next process runs half of those that were running at the most ends, with nobody beside them, then half of the rest,
   and so on; a single one runs alone. If the process ends, its half is the more suspicious one from then on.

So one ``kill -9`` of a large job costs nothing but the tasks under way, and two cost n suspects about log2(n) times the
duration of a task, not n times. A task that really crashes is alone after log2(n) more ends of the job, and given up
after ``1 + retries`` further ones; in one process, where every task runs alone, after ``1 + retries``. An innocent task
is given up only if a kill from outside meets it alone so many times.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import platform
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.files import DataError, named, sync
from experiments.journal_lines import read_records, to_line
from optim.tasks import Task, TaskResult

_VERSION = 3  # of the records; 1 had no ``stopping``, 2 always values
_SYNC_EVERY = 1.0  # seconds
_SUSPICIOUS = 2  # ends of a process that make a task run before the others


@dataclass(frozen=True, slots=True)
class Header:
    """What the records of a journal belong to."""

    generation: int
    genomes: str  # digest of the asked genomes
    config: str  # digest of the settings that decide results


@dataclass(slots=True)
class _Story:
    """What the records of one generation tell, up to some record."""

    known: dict[Task, TaskResult] = field(default_factory=dict)
    starts: Counter[Task] = field(default_factory=Counter)
    crashes: Counter[Task] = field(default_factory=Counter)  # rule 1
    ends: Counter[Task] = field(default_factory=Counter)  # rule 2
    running: set[Task] = field(default_factory=set)
    is_stopping: bool = False

    def end_of_process(self) -> None:
        """What was running when a process ended without a word; nobody is blamed for an end that was asked for."""
        if not self.is_stopping:
            self.ends.update(self.running)
            if len(self.running) == 1:
                self.crashes.update(self.running)
        self.running.clear()
        self.is_stopping = False

    def add(self, generation: int, record: dict[str, Any]) -> None:
        event = record["event"]
        if event == "opened":
            self.end_of_process()
        elif event == "closed":
            self.running.clear()
        elif event == "stopping":
            self.is_stopping = True
        elif event == "retry":
            self.known = {task: result for task, result in self.known.items() if not result.reason}
            for counter in (self.starts, self.crashes, self.ends):
                counter.clear()
        elif event == "started":
            task = Task(generation, *record["task"])
            self.starts[task] = record["attempt"]
            self.running.add(task)
        else:
            self.running.discard(Task(generation, *record["task"]))
            if event == "failed" or "values" in record:
                result = _to_result(generation, record)
                self.known[result.task] = result


class Journal:
    """The open journal of a generation; as a context manager it is closed at the end of the block.

    Parameters
    ----------
    path : the file, which is continued if it exists
    header : what the generation is; results of other genomes or settings are ignored
    keeps_values : whether the values of tasks are recorded

    Attributes
    ----------
    warnings : list of str, one sentence for everything in the file that was not used

    Raises
    ------
    DataError : a record in the middle of the file is damaged.
    OSError : the file cannot be written, e.g. on a full disk; names it.
    """

    def __init__(self, path: Path, header: Header, keeps_values: bool = True) -> None:
        self.path = path
        self._keeps_values = keeps_values
        self.warnings: list[str] = []
        content = path.read_bytes() if path.exists() else b""
        records, self._size = read_records(content, path)
        if self._size < len(content):
            self.warnings.append(
                f"{path.name}: the last {len(content) - self._size} bytes are half a record of a process that was "
                "killed; they are cut off."
            )
        self._story, n_foreign = _replay(records, header, path)
        if n_foreign:
            self.warnings.append(f"{path.name}: {n_foreign} results of other genomes or settings are not used.")
        self._is_appending = self._is_stop_pending = False
        self._generation = header.generation
        self._synced = time.monotonic()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        os.ftruncate(self._descriptor, self._size)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        origin = {"pid": os.getpid(), "host": platform.node(), "utc": now}
        try:
            self._append("opened", version=_VERSION, **asdict(header), **origin)
            if not content:
                sync(path.parent)
        except OSError:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with contextlib.suppress(OSError) if error is not None else contextlib.nullcontext():
            self.close()

    @property
    def known(self) -> dict[Task, TaskResult]:
        """Results so far, of this process and of earlier ones; a copy."""
        return dict(self._story.known)

    @property
    def crashed(self) -> dict[Task, int]:
        """Unfinished tasks that were running alone when a process ended, with how often."""
        return {task: n for task, n in sorted(self._story.crashes.items()) if task not in self._story.known}

    @property
    def suspects(self) -> list[Task]:
        """Unfinished tasks that should run now, with nobody beside them: half of the most suspicious, in order."""
        known, crashes = self._story.known, self._story.crashes
        ends = {
            task: n
            for task, n in sorted(self._story.ends.items())
            if task not in known and (n >= _SUSPICIOUS or task in crashes)
        }
        most = [task for task, n in ends.items() if n == max(ends.values())]
        return most[: max(1, len(most) // 2)]

    def n_starts(self, task: Task) -> int:
        """How often a task was started."""
        return self._story.starts[task]

    def started(self, task: Task) -> None:
        """Record that a task was begun or handed out."""
        self._append("started", task=list(task[1:]), attempt=self.n_starts(task) + 1)

    def finished(self, result: TaskResult) -> None:
        """Record a result; when this returns, it will not be lost, unless it is without its values."""
        if result.seconds >= _SYNC_EVERY:  # not to be computed again after a power cut
            self._synced = -math.inf
        content = {"task": list(result.task[1:]), "attempts": result.attempts, "seconds": result.seconds}
        if result.values is None:
            self._append("failed", **content, reason=result.reason, error=result.error)
        else:
            self._append("done", **content, **({"values": result.values.tolist()} if self._keeps_values else {}))

    def stopping(self) -> None:
        """Record that somebody wants this process to end; for signal handlers, at any moment and more than once."""
        if self._is_appending:  # the handler has interrupted a record, which comes first
            self._is_stop_pending = True
        elif not self._story.is_stopping:
            with contextlib.suppress(OSError):  # whatever is wrong will be told by the next record
                self._append("stopping")

    def retry_failed(self) -> None:
        """Let the next process try again what failed in this generation."""
        self._append("retry")

    def close(self) -> None:
        """Leave the journal in order: what is running now counts against nobody."""
        try:
            self._append("closed")
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _append(self, event: str, **content: Any) -> None:
        record = {"event": event, **content}
        line = to_line(record)
        self._is_appending = True
        try:
            self._write(line)
            self._size += len(line)
            self._story.add(self._generation, record)
        finally:
            self._is_appending = False
        if self._is_stop_pending:
            self._is_stop_pending = False
            self.stopping()

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            if time.monotonic() - self._synced >= _SYNC_EVERY:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):  # half a record must not stay: more may be appended
                os.ftruncate(self._descriptor, self._size)
            raise named(error, self.path) from None


def count_results(path: Path) -> tuple[int, int]:
    """How many tasks of the newest genomes in a journal are done, and how many have failed; it is only read.

    Raises
    ------
    DataError : it is damaged or of a newer version.
    """
    records, _ = read_records(path.read_bytes(), path)
    opened = [record for record in records if record["event"] == "opened"]
    if not opened:
        return 0, 0
    header = Header(*(opened[-1][name] for name in Header.__slots__))
    results = _replay(records, header, path)[0].known.values()
    n_done = sum(result.values is not None for result in results)
    return n_done, len(results) - n_done


def _replay(records: list[dict[str, Any]], header: Header, path: Path) -> tuple[_Story, int]:
    """What the records tell about this generation, and how many results are of other genomes or settings."""
    story, is_ours, n_foreign = _Story(), True, 0
    for record in records:
        if record["event"] == "opened":
            if record["version"] > _VERSION:
                raise DataError(
                    f"{path} has version {record['version']}, this stigmergy reads up to {_VERSION}: use a newer one, "
                    "or remove the file to compute its generation again."
                )
            is_ours = all(record[name] == value for name, value in asdict(header).items())
        if is_ours:
            story.add(header.generation, record)
        elif record["event"] in ("done", "failed"):
            n_foreign += 1
    story.end_of_process()
    return story, n_foreign


def _to_result(generation: int, record: dict[str, Any]) -> TaskResult:
    values = np.array(record["values"], dtype=np.float64) if record["event"] == "done" else None
    return TaskResult(
        Task(generation, *record["task"]),
        values,
        record["seconds"],
        error=record.get("error", ""),
        reason=record.get("reason", ""),
        attempts=record["attempts"],
    )
