"""Whether this machine, container or job can run the studies: the first thing to start on a new one.

stigmergy doctor
mpirun -n 4 stigmergy doctor
"""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import process
from experiments.checks import (
    FAILED,
    OK,
    WARNING,
    Check,
    Finding,
    check_cache,
    check_engines,
    check_hdf5,
    check_locking,
    check_mpi,
    check_nest,
    check_run_folder,
    check_shared_memory,
    check_threads,
    check_versions,
    spikes_digest,
)

if TYPE_CHECKING:
    from optim.base import Array
    from optim.evaluators import MakeEvaluator
    from optim.tasks import Task, TaskFunction


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per check; returns 0, or 69 if one failed. Under mpirun all ranks are checked."""
    cache = check_cache()
    if cache.state == FAILED:  # then nothing that is compiled can be imported
        _report("cache", cache)
        return process.EXIT_UNAVAILABLE
    from optim.launcher import is_first_rank
    from optim.mpi import MpiUnavailableError, launch

    try:
        return launch(lambda make_evaluator: _main(arguments, make_evaluator), make_rank_check)
    except MpiUnavailableError as error:  # every process is alone: one of them speaks
        if is_first_rank():
            _report("ranks", Finding(FAILED, str(error)))
        return process.EXIT_UNAVAILABLE


def _main(arguments: Sequence[str] | None, make_evaluator: MakeEvaluator) -> int:
    parser = argparse.ArgumentParser(
        prog="stigmergy doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of run folders: runs")
    try:
        runs = parser.parse_args(arguments).runs
    except SystemExit as stop:  # --help or a wrong flag: the other ranks have to hear of it
        return process.EXIT_USAGE if stop.code else process.EXIT_DONE
    hosts = Counter([_host()])  # number of ranks by node; `check_ranks` fills it
    checks: dict[str, Check] = {
        "versions": check_versions,
        "MPI": check_mpi,
        "cache": check_cache,
        "run folder": lambda: check_run_folder(runs),
        "file locking": lambda: check_locking(runs),
        "HDF5": lambda: check_hdf5(runs),
        "NEST": check_nest,
        "engines": check_engines,
        "ranks": lambda: check_ranks(make_evaluator, hosts),
        "shared memory": lambda: check_shared_memory(hosts[_host()]),
        "threads": lambda: check_threads(hosts[_host()]),
    }
    states = [_report(name, _run(check)) for name, check in checks.items()]
    return process.EXIT_UNAVAILABLE if FAILED in states else process.EXIT_DONE


def _run(check: Check) -> Finding:
    """A check; whatever it raises is its finding."""
    try:
        return check()
    except Exception as error:
        return Finding(FAILED, f"{type(error).__name__}: {error}")


def _report(name: str, finding: Finding) -> str:
    """Print a line at once, so that a crash in the next check shows where it was; returns the state."""
    sys.stdout.write(f"{finding.state:8s} {name:14s} {' '.join(finding.text.split())}\n")
    sys.stdout.flush()
    return finding.state


def make_rank_check(settings: None) -> TaskFunction:
    """What every rank does: the checks that may come out differently there. Returns its node and its spikes."""

    def check_rank(task: Task, genome: Array) -> Array:
        for check in (check_cache, check_nest, check_engines):
            finding = check()
            if finding.state == FAILED:
                raise RuntimeError(f"on {os.uname().nodename}: {finding.text}")
        return np.array([_host(), spikes_digest("nest")])

    return check_rank


def check_ranks(make_evaluator: MakeEvaluator, hosts: Counter[int]) -> Finding:
    """Whether all ranks answer and compute the same; puts the number of ranks of every node into `hosts`."""
    evaluator = make_evaluator(None)
    if evaluator.n_ranks == 1:
        return Finding(OK, "one process; `mpirun -n N stigmergy doctor` checks more")
    # As many tasks as ranks: each gets one.
    results = evaluator.evaluate(0, np.zeros((evaluator.n_ranks, 1)), 1)
    errors = [result.error for result in results if result.values is None]
    if errors:
        return Finding(FAILED, f"{len(errors)} of {evaluator.n_ranks} ranks: {errors[0].strip().splitlines()[-1]}")
    answers: Any = np.array([result.values for result in results]).astype(int)
    hosts.clear()
    hosts.update(answers[:, 0].tolist())
    text = f"{evaluator.n_ranks} on {len(hosts)} {'node' if len(hosts) == 1 else 'nodes'}"
    if len(set(answers[:, 1].tolist())) > 1:
        return Finding(WARNING, f"{text} give different spikes: use nodes with one type of processor and one software.")
    return Finding(OK, f"{text}, all give the same spikes")


def _host() -> int:
    """This node, as a number that fits into a result."""
    return zlib.crc32(os.uname().nodename.encode())
