"""What the benchmarks share: CPU time of the thread, repetitions in turn, tables.

CPU time, not wall time: other jobs on the machine then cost a few per cent, not a factor. Ratios come from one run in
which all that is compared takes turns.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DATA = Path(os.environ.get("STIGMERGY_DATA", ROOT.parent / "shared" / "data"))
N_ROUNDS = 5
_NAME_WIDTH = 66


class Stopwatch:
    """CPU seconds of the calling thread inside `running`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the CPU time of the block."""
        start = time.thread_time()
        yield
        self.seconds += time.thread_time() - start


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    watch = Stopwatch()
    with watch.running():
        call()
    return watch.seconds


def medians(measurements: Mapping[str, Callable[[], float]], n_rounds: int = N_ROUNDS) -> dict[str, float]:
    """Median of each measurement; all take turns, `n_rounds` times.

    A measurement builds what it needs, since NEST holds one network at a time, and returns what it counted.
    """
    samples: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(n_rounds):
        for name, measure in measurements.items():
            samples[name].append(measure())
    return {name: statistics.median(values) for name, values in samples.items()}


def title(text: str) -> None:
    """Heading of a table."""
    print(f"\n{text}")


def row(name: str, value: float, unit: str, note: str = "") -> None:
    """One line: what it is, a number with three digits or more, its unit, a remark."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    print(f"  {name:{_NAME_WIDTH}s} {value:10,.{digits}f} {unit:14s} {note}".rstrip(), flush=True)


def rows(values: Mapping[str, float], unit: str, *, scale: float = 1.0, reference: str) -> None:
    """Times with their ratio to one of them."""
    for name, value in values.items():
        ratio = value / values[reference]
        row(
            name, value * scale, unit, "" if name == reference else f"× {ratio:.2f}" if ratio < 10 else f"× {ratio:.0f}"
        )


def text(line: str) -> None:
    """A line that is no number."""
    print(f"  {line}", flush=True)
