"""One script for every evaluator: what it does in each situation, as lines that can be compared.

python evaluator_cases.py SITUATION KIND N     KIND serial, pool or mpi; N child processes of a pool
"""

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

from optim.evaluators import EvaluationStopped, Limits, SerialEvaluator, pool_evaluator
from optim.mpi import launch
from optim.tasks import Task, TaskResult

GENOMES = np.arange(14.0).reshape(7, 2)


def make_task(settings):
    """The task function of all situations; what happens is chosen by the settings and by the individual."""
    marks = Path(settings["marks"])
    if settings["situation"] == "broken":
        raise RuntimeError("no task function today")

    def task(identity, genome):
        name = settings["situation"]
        with (marks / f"{identity.generation}-{identity.individual}-{identity.episode}").open("a") as file:
            file.write("x")
        if name == "uneven":
            time.sleep(0.01 * (identity.individual % 3))
        if identity.individual == 3:
            misbehave(name, marks / "was here")
        if name == "lengths" and identity.individual == 5:
            return genome
        return np.array([genome.sum(), *identity])

    return task


def misbehave(name, first_time):
    """What goes wrong in individual 3."""
    if name == "raises":
        raise ValueError("ant fell off")
    if name == "quits":
        sys.exit(0)
    if name == "odd text":
        raise ValueError("half \udcff and \0" + "x" * 100_000)
    if name == "segfault":
        ctypes.string_at(0)
    if name == "exits":
        os._exit(3)
    if name == "hangs":
        while True:
            pass
    if name == "hangs in c":
        sum(range(10**12))
    if name == "flaky" and not first_time.exists():
        first_time.touch()
        raise OSError("the file system blinked")


VALUES = {
    "nan": np.array([1.0, np.nan]),
    "infinite": np.array([-np.inf]),
    "none": None,
    "text": "1.5",
    "complex": np.array([1j]),
    "scalar": 1.5,
}


def make_value_task(settings):
    """Returns something else than numbers for individual 3."""
    return lambda identity, genome: VALUES[settings["situation"]] if identity.individual == 3 else genome


def describe(result):
    """A result without what depends on time."""
    last = result.error.splitlines()[-1] if result.reason == "exception" else result.error.split("\n")[0]
    values = None if result.values is None else result.values.tolist()
    return f"{tuple(result.task)} {values} {result.reason!r} {result.attempts} {last}"


def run(situation, evaluator):
    """The lines of a situation."""
    if situation == "known":
        known = {Task(0, i, e): TaskResult(Task(0, i, e), np.arange(4.0), 0.0) for i in (0, 3) for e in (0, 1)}
        started, arrived = [], []
        results = evaluator.evaluate(0, GENOMES, 2, known=known, on_start=started.append, on_result=arrived.append)
        everything = {Task(0, i, 0): TaskResult(Task(0, i, 0), np.zeros(1), 0.0) for i in range(7)}
        again = evaluator.evaluate(0, GENOMES, 1, known=everything)
        return [
            *map(describe, results),
            f"started {sorted(map(tuple, started))}",
            f"arrived {sorted(tuple(result.task) for result in arrived)}",
            *map(describe, again),
        ]
    if situation == "stop":
        seen = []
        try:
            evaluator.evaluate(0, GENOMES, 40, on_result=seen.append, should_stop=lambda: len(seen) > 3)
        except EvaluationStopped:
            early = 3 < len(seen) < 280
            return [f"stopped early {early}", *map(describe, evaluator.evaluate(1, GENOMES, 1))]
    if situation == "events":
        started, arrived = [], []
        evaluator.evaluate(0, GENOMES, 3, on_start=started.append, on_result=lambda r: arrived.append(r.task))
        return [f"{sorted(started) == sorted(arrived) == sorted(set(started))} {len(started)}"]
    lines = []
    for generation in range(2):
        lines += map(describe, evaluator.evaluate(generation, GENOMES, 2))
    return lines


def main():
    """One situation with one evaluator."""
    situation, kind, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    settings = {"situation": situation, "marks": str(Path.cwd())}
    make = make_value_task if situation in VALUES else make_task
    limits = Limits(timeout_s=0.5 if "hangs" in situation else 0.0, retries=0 if "hangs" in situation else 1)

    def with_evaluator(make_evaluator=None):
        if kind == "serial":
            evaluator = SerialEvaluator(make(settings), limits.retries)
        elif kind == "pool":
            evaluator = pool_evaluator(make, settings, n, limits)
        else:
            evaluator = make_evaluator(settings, limits)
        try:
            lines = run(situation, evaluator)
        except ValueError as error:
            lines = [f"refused: {error}"]
        sys.stdout.write("\n".join([*lines, ""]))
        return 7

    if kind == "mpi":
        return launch(with_evaluator, make)
    return with_evaluator()


if __name__ == "__main__":
    sys.exit(main())
