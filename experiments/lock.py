"""One process per run folder.

The lock is `flock` on a file: the system frees it when its process ends, however that ends, so there is no stale lock
to take over. The file tells people who holds it.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.files import StorageError

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[str]:
    """Hold the lock file at `path` for this process; the block gets a warning, empty where locks work.

    Raises
    ------
    StorageError : another process holds it; says which.
    """
    warning = ""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"{path.parent} is in use by {_told(holder(path))}: wait for it or stop it.") from None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            warning = f"the file system of {path.parent} has no locks: make sure that no other process uses this run."
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        handle.truncate(0)
        json.dump({"pid": os.getpid(), "host": platform.node(), "since_utc": now}, handle)
        handle.flush()
        try:
            yield warning
        finally:
            handle.truncate(0)


def holder(path: Path) -> dict[str, Any]:
    """Who wrote itself into a lock file and has not left it in order; empty if nobody."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("pid", "host", "since_utc")}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _told(found: dict[str, Any]) -> str:
    if not found:
        return "another process"
    return "another process, {pid} on {host} since {since_utc}".format(**found)
