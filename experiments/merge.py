"""Bring the records of a run together: `stigmergy merge RUN` makes or completes its results.h5 and its index of spikes.

A run does so itself from time to time and at its end; this is for one that was killed, or whose results.h5 was moved.
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.command import Parser, checked_path, guarded
from experiments.console import say
from experiments.process import EXIT_DONE
from experiments.run_folder import RunFolder


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy merge", description=__doc__)
    parser.add_argument("run", type=checked_path, metavar="RUN", help="a run folder that no process uses")
    return guarded(lambda: _merge(RunFolder(parser.parse(arguments)["run"])))


def _merge(run: RunFolder) -> int:
    with run.lock() as warning:
        if warning:
            say(f"warning: {warning}")
        n_merged = run.records.merge()
        run.index_spikes()
    recorded = run.read_results(["generations"])["generations"].get("generation", ())
    say(f"merged {n_merged} records; {run.records.results} holds {len(recorded)} generations")
    return EXIT_DONE
