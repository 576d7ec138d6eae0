"""This process: stop signals and exit codes. Light, because it runs before the slow imports."""

from __future__ import annotations

import os
import signal
from types import FrameType

# Exit codes, after sysexits.h; 75 asks a scheduler to start the run again with --resume.
EXIT_DONE = 0
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_INTERNAL = 70
EXIT_CANNOT_CREATE = 73
EXIT_IO = 74
EXIT_STOPPED = 75

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

_is_stop_requested = False


def catch_stop_signals() -> None:
    """Turn Ctrl-C, SIGTERM and SIGUSR1 into a request that `is_stop_requested` tells."""
    for number in _SIGNALS:
        signal.signal(number, _request_stop)


def is_stop_requested() -> bool:
    """Whether Ctrl-C, SIGTERM or SIGUSR1 has arrived."""
    return _is_stop_requested


def _request_stop(number: int, frame: FrameType | None) -> None:
    """First signal: remember it, the run stops after the episodes under way. Second: end at once."""
    global _is_stop_requested  # noqa: PLW0603  (a signal handler has nowhere else to write)
    if _is_stop_requested:
        os._exit(EXIT_STOPPED)
    _is_stop_requested = True
