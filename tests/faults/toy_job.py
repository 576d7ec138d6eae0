"""The toy study as a job: python toy_job.py FOLDER, alone or under mpirun; starts or continues."""

import sys
import time
from pathlib import Path

from optim.mpi import launch
from tests.faults.toy import measure, run_toy


def make_task(settings):
    """The toy task, slow enough to be killed in."""

    def task(identity, genome):
        time.sleep(0.02)
        return measure(identity, genome)

    return task


def main(make_evaluator):
    """The study on rank 0."""
    return run_toy(Path(sys.argv[1]), evaluator=make_evaluator(None), generations=12)


if __name__ == "__main__":
    sys.exit(launch(main, make_task))
