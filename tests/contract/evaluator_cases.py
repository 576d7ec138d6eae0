"""One script for every evaluator: what it does in some situations, one after the other, as lines that can be compared.

python evaluator_cases.py KIND N SITUATION...     KIND serial, pool or mpi; N child processes of a pool
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

BEGIN = "--- "
COSTLY = ("segfault", "exits", "hangs", "hangs in c")  # a child is started anew for every task that fails
GENOMES = np.arange(14.0).reshape(7, 2)


NOW = Path("situation")  # file that says what happens now: one evaluator goes through many situations


def make_task(settings):
    """The task function of all situations; what happens is chosen by the situation and by the individual."""
    folder = Path(settings["folder"])
    if settings["is_broken"]:
        raise RuntimeError("no task function today")

    def task(identity, genome):
        name = (folder / NOW).read_text()
        marks = folder / name
        with (marks / f"{identity.generation}-{identity.individual}-{identity.episode}").open("a") as file:
            file.write("x")
        if name == "uneven":
            time.sleep(0.01 * (identity.individual % 3))
        if identity.individual == 3 and name in VALUES:
            return VALUES[name]
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


def describe(result):
    """A result without what depends on time."""
    last = result.error.splitlines()[-1] if result.reason == "exception" else result.error.split("\n")[0]
    values = None if result.values is None else result.values.tolist()
    return f"{tuple(result.task)} {values} {result.reason!r} {result.attempts} {last}"


def run(situation, evaluator):
    """The lines of a situation."""
    NOW.write_text(situation)
    Path(situation).mkdir()
    try:
        return run_here(situation, evaluator)
    except ValueError as error:
        return [f"refused: {error}"]


def run_here(situation, evaluator):
    """The lines of a situation that has been prepared."""
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
            # Many: what is under way may be as many quick tasks as take 20 ms.
            evaluator.evaluate(0, GENOMES, 1000, on_result=seen.append, should_stop=lambda: len(seen) > 3)
        except EvaluationStopped:
            early = 3 < len(seen) < 7000
            return [f"stopped early {early}", *map(describe, evaluator.evaluate(1, GENOMES, 1))]
    if situation == "events":
        started, arrived = [], []
        evaluator.evaluate(0, GENOMES, 3, on_start=started.append, on_result=lambda r: arrived.append(r.task))
        return [f"{sorted(started) == sorted(arrived) == sorted(set(started))} {len(started)}"]
    lines = []
    for generation in range(1 if situation in COSTLY else 2):
        lines += map(describe, evaluator.evaluate(generation, GENOMES, 2))
    return lines


def main():
    """Some situations with one evaluator; each begins with a line of its own."""
    kind, n, situations = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    settings = {"is_broken": "broken" in situations, "folder": str(Path.cwd())}
    is_limited = any("hangs" in situation for situation in situations)
    limits = Limits(timeout_s=0.5 if is_limited else 0.0, retries=0 if is_limited else 1)

    def with_evaluator(make_evaluator=None):
        if kind == "serial":
            evaluator = SerialEvaluator(make_task(settings), limits.retries)
        elif kind == "pool":
            evaluator = pool_evaluator(make_task, settings, n, limits)
        else:
            evaluator = make_evaluator(settings, limits)
        for situation in situations:
            sys.stdout.write("\n".join([f"{BEGIN}{situation}", *run(situation, evaluator), ""]))
            sys.stdout.flush()
        return 7

    if kind == "mpi":
        return launch(with_evaluator, make_task)
    return with_evaluator()


if __name__ == "__main__":
    sys.exit(main())
