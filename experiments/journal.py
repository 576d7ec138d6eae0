"""The journal: what happened within the open generation, so that no result that was reported is lost or computed twice.

One file per generation, written by rank 0 only. A line is one record: the CRC-32 of the rest in 8 hexadecimal digits, a
space, a JSON object. Floats are written so that they read back to the same bits. The records of a process begin with

- ``opened``: generation, digests of the asked genomes and of the config, process id, host, time

and go on with

- ``started``: a task was begun or handed out, for the n-th time
- ``done``: its values and seconds
- ``failed``: its reason, error, attempts and seconds
- ``retry``: the generation is given up; its failed tasks are to be tried again
- ``closed``: the process left the journal in order, whatever was running has been let go

A record reaches the operating system before anybody hears of the result, so it survives ``kill -9``; once a second the
file is synced, so a power cut costs a second.

Which task takes its process down
---------------------------------
A process that ends without ``closed`` was killed from outside, or by one of the tasks that it was running. Two rules
find out:

1. A task has crashed once for every such end at which it alone was running. When several were running, none has.
2. A task that was running at two such ends of its generation, or alone at one, is a suspect. The next process runs the
   suspects first and one at a time, so that rule 1 finds the guilty one.

So one ``kill -9`` of a large job costs nothing but the tasks under way. A task that really crashes is found after two
ends of the job and given up after ``1 + retries`` more; in one process, where every task runs alone, after ``1 +
retries``. An innocent task is given up only if a kill from outside meets it alone so many times.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import time
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.files import DataError, named
from optim.tasks import Task, TaskResult

_VERSION = 1  # of the records
_SYNC_EVERY = 1.0  # seconds
_SUSPICIOUS = 2  # ends of a process that make a task run alone


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

    def end_of_process(self) -> None:
        """What was running when a process ended without a word."""
        self.ends.update(self.running)
        if len(self.running) == 1:
            self.crashes.update(self.running)
        self.running.clear()

    def add(self, generation: int, record: dict[str, Any]) -> None:
        event = record["event"]
        if event == "opened":
            self.end_of_process()
        elif event == "closed":
            self.running.clear()
        elif event == "retry":
            self.known = {task: result for task, result in self.known.items() if not result.reason}
        elif event == "started":
            task = Task(generation, *record["task"])
            self.starts[task] = record["attempt"]
            self.running.add(task)
        else:
            result = _to_result(generation, record)
            self.known[result.task] = result
            self.running.discard(result.task)


class Journal:
    """The open journal of a generation; as a context manager it is closed at the end of the block.

    Parameters
    ----------
    path : the file, which is continued if it exists
    header : what the generation is; results of other genomes or settings are ignored

    Attributes
    ----------
    warnings : list of str, one sentence for everything in the file that was not used

    Raises
    ------
    DataError : a record in the middle of the file is damaged.
    OSError : the file cannot be written, e.g. on a full disk; names it.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.warnings: list[str] = []
        content = path.read_bytes() if path.exists() else b""
        records, self._size = read_records(content, path)
        if self._size < len(content):
            self.warnings.append(
                f"{path.name}: the last {len(content) - self._size} bytes are half a record of a process that was "
                "killed; they are cut off."
            )
        self._story = self._replay(records, header)
        self._generation = header.generation
        self._synced = time.monotonic()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        os.ftruncate(self._descriptor, self._size)
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        origin = {"pid": os.getpid(), "host": platform.node(), "utc": now}
        try:
            self._append("opened", version=_VERSION, **asdict(header), **origin)
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
        """Unfinished tasks that should run alone, in order."""
        suspicious = {task for task, n in self._story.ends.items() if n >= _SUSPICIOUS} | set(self._story.crashes)
        return sorted(suspicious - set(self._story.known))

    def n_starts(self, task: Task) -> int:
        """How often a task was started."""
        return self._story.starts[task]

    def started(self, task: Task) -> None:
        """Record that a task was begun or handed out."""
        self._append("started", task=list(task[1:]), attempt=self.n_starts(task) + 1)

    def finished(self, result: TaskResult) -> None:
        """Record a result; when this returns, it will not be lost."""
        content = {"task": list(result.task[1:]), "attempts": result.attempts, "seconds": result.seconds}
        if result.values is not None:
            self._append("done", **content, values=result.values.tolist())
        else:
            self._append("failed", **content, reason=result.reason, error=result.error)

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

    def _replay(self, records: list[dict[str, Any]], header: Header) -> _Story:
        story, is_ours, n_foreign = _Story(), True, 0
        for record in records:
            if record["event"] == "opened":
                if record["version"] > _VERSION:
                    raise DataError(
                        f"{self.path} has version {record['version']}, this stigmergy reads up to {_VERSION}: use a "
                        "newer one, or remove the file to compute its generation again."
                    )
                is_ours = all(record[name] == value for name, value in asdict(header).items())
            if is_ours:
                story.add(header.generation, record)
            elif record["event"] in ("done", "failed"):
                n_foreign += 1
        story.end_of_process()
        if n_foreign:
            self.warnings.append(f"{self.path.name}: {n_foreign} results of other genomes or settings are not used.")
        return story

    def _append(self, event: str, **content: Any) -> None:
        record = {"event": event, **content}
        line = _to_line(record)
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
        self._size += len(line)
        self._story.add(self._generation, record)


def read_records(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Records of a journal, and the number of bytes up to the end of the last one.

    A bad record is what a killed process left, if only bad ones follow; both are left out.

    Parameters
    ----------
    path : where `content` is from, for the error

    Raises
    ------
    DataError : good records follow a bad one.
    """
    records: list[dict[str, Any]] = []
    bad_from, offset = None, 0
    for line in content.splitlines(keepends=True):
        record = _from_line(line)
        if record is None:
            bad_from = offset if bad_from is None else bad_from
        elif bad_from is None:
            records.append(record)
        else:
            raise DataError(
                f"{path} is damaged at byte {bad_from}: record {len(records) + 1} is wrong, but good ones follow. Put "
                "a copy of the file in its place, or remove it to compute its generation again."
            )
        offset += len(line)
    return records, offset if bad_from is None else bad_from


def _to_line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _from_line(line: bytes) -> dict[str, Any] | None:
    """The record in a line, None if the line is not whole or not what was written."""
    text = line[9:-1]
    if line != b"%08x %s\n" % (zlib.crc32(text), text):
        return None
    record = json.loads(text)
    return record if isinstance(record, dict) and "event" in record else None


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
