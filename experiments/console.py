"""What a run says to the people who watch it; only rank 0 does."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from tqdm import tqdm

from experiments.process import prepare_output


def say(line: str) -> None:
    """One line on standard output, if anybody still listens: a closed pipe or a full log does not stop a run."""
    try:
        tqdm.write("".join(c if c.isprintable() else repr(c)[1:-1] for c in line), file=sys.stdout)
        sys.stdout.flush()
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115


def report(error: Exception | str, code: int) -> int:
    """One error on standard error; returns the exit code."""
    prepare_output()
    with contextlib.suppress(OSError):
        sys.stderr.write(f"error: {error}\n")
        sys.stderr.flush()
    return code
