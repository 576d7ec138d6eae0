"""This process: stop signals, exit codes, missing packages. Light, because it runs before the slow imports."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

# Exit codes, after sysexits.h; 75 asks a scheduler to start the run again with --resume.
EXIT_DONE = 0
EXIT_USAGE = 64
EXIT_BAD_DATA = 65
EXIT_UNAVAILABLE = 69
EXIT_INTERNAL = 70
EXIT_CANNOT_CREATE = 73
EXIT_IO = 74
EXIT_STOPPED = 75

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
_REQUIRED = ("gymnasium", "h5py", "numba", "numpy", "scipy", "tomli_w", "tqdm")  # NEST and MPI tell for themselves

_is_stop_requested = False
_listeners: list[Callable[[bool], None]] = []


def catch_stop_signals() -> None:
    """Turn Ctrl-C, SIGTERM and SIGUSR1 into a request that `is_stop_requested` tells."""
    for number in _SIGNALS:
        signal.signal(number, _request_stop)


def is_stop_requested() -> bool:
    """Whether Ctrl-C, SIGTERM or SIGUSR1 has arrived."""
    return _is_stop_requested


@contextlib.contextmanager
def telling_of_stops(listener: Callable[[bool], None]) -> Iterator[None]:
    """Call `listener` at every stop signal within the block, before a second one ends the process.

    Parameters
    ----------
    listener : called within the signal handler; told whether somebody surely wants this end: the second signal, or one
        that is not SIGTERM, which launchers also send when another rank has crashed
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def prepare_output() -> None:
    """Make standard output and error usable, whoever started the process.

    What is closed goes nowhere, and its file number is taken, so that no file of ours gets it. What an encoding does
    not have is escaped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
                pass
            setattr(sys, name, open(descriptor, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  (for good)
        elif hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError, ValueError):  # a full disk or a closed pipe: what is written fails, too
                stream.reconfigure(errors="backslashreplace")


def missing_packages() -> str:
    """One line that names the required packages which are not installed; empty if all are there."""
    missing = [name for name in _REQUIRED if importlib.util.find_spec(name) is None]
    if not missing:
        return ""
    return f"error: not installed: {', '.join(missing)}. Install stigmergy with all it needs: pip install -e .\n"


def require_packages() -> None:
    """End the process with a sentence instead of a traceback if a required package is missing."""
    if line := missing_packages():
        sys.stderr.write(line)
        sys.exit(EXIT_UNAVAILABLE)


def _request_stop(number: int, frame: FrameType | None) -> None:
    """First signal: remember it, the run stops after the episodes under way. Second: end at once."""
    global _is_stop_requested
    is_second, _is_stop_requested = _is_stop_requested, True
    for listener in _listeners:
        listener(is_second or number != signal.SIGTERM)
    if is_second:
        os._exit(EXIT_STOPPED)
