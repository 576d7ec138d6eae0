"""What every evaluator promises: one process, children, MPI ranks; whatever tasks do, and however many work."""

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT
from tests.contract.evaluator_cases import BEGIN, VALUES

SCRIPT = ROOT / "tests" / "contract" / "evaluator_cases.py"
MPIRUN = Path(sys.executable).parent / "mpirun"
needs_mpi = pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun in {MPIRUN.parent}: pip install -e '.[mpi]'")

SERIAL = pytest.param("serial", 0, id="serial")
ISOLATED = [
    pytest.param("pool", 1, id="pool1", marks=pytest.mark.slow),
    pytest.param("pool", 3, id="pool3"),
    pytest.param("mpi", 2, id="mpi2", marks=[needs_mpi, pytest.mark.mpi]),
    pytest.param("mpi", 3, id="mpi3", marks=[needs_mpi, pytest.mark.mpi, pytest.mark.slow]),
]
# More ranks than individuals.
CROWD = pytest.param("mpi", 9, id="mpi9", marks=[needs_mpi, pytest.mark.mpi, pytest.mark.slow])


# What one process goes through with one evaluator; a limit of time, or the end of everything, needs one of its own.
LIMITED, BROKEN = ["hangs", "hangs in c"], ["broken"]
EVERYWHERE = ["plain", "uneven", "raises", "quits", "odd text", *VALUES, "flaky", "known", "events", "lengths", "stop"]
CRASHES = ["segfault", "exits"]


class Outcome(NamedTuple):
    """What became of a situation."""

    code: int  # exit code of the process
    lines: list[str]
    marks: dict[str, int]  # how often each task was tried, by "generation-individual-episode"
    error: str  # standard error of the process


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function that gives the outcome of a situation; the first call runs it with others in one go."""

    @functools.cache
    def batch(kind, n, situations):
        folder = tmp_path_factory.mktemp("evaluator")
        launcher = [str(MPIRUN), "-n", str(n)] if kind == "mpi" else []
        done = subprocess.run(
            [*launcher, sys.executable, str(SCRIPT), kind, str(n), *situations],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=10 if situations == ("broken",) else 60,
        )
        found, lines = {}, []
        for line in done.stdout.splitlines():
            if line.startswith(BEGIN):
                lines = found[line.removeprefix(BEGIN)] = []
            else:
                lines.append(line)
        return folder, done, found

    def outcome(situation, kind, n):
        own = next((group for group in (LIMITED, BROKEN) if situation in group), None)
        situations = own or [*(CRASHES if kind == "pool" else []), *EVERYWHERE]
        folder, done, found = batch(kind, n, tuple(situations))
        marks = {path.name: len(path.read_text()) for path in (folder / situation).glob("*-*-*")}
        return Outcome(done.returncode, found.get(situation, []), marks, done.stderr)

    return outcome


def good(generation, individual, episode):
    """The line of a task that went well."""
    total = 4.0 * individual + 1.0
    values = [total, float(generation), float(individual), float(episode)]
    return f"({generation}, {individual}, {episode}) {values} '' 1 "


ALL = [good(g, i, e) for g in range(2) for i in range(7) for e in range(2)]


def split(lines):
    """Lines of the well-behaved individuals, and those of individual 3."""
    return [line for line in lines if ", 3, " not in line], [line for line in lines if ", 3, " in line]


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED, CROWD])
@pytest.mark.parametrize("situation", ["plain", "uneven"])
def test_results_come_by_individual_then_episode_and_each_task_runs_once(run, situation, kind, n):
    code, lines, marks, error = run(situation, kind, n)
    assert (code, lines) == (7, ALL), error
    assert set(marks.values()) == {1}
    assert len(marks) == len(ALL)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_an_exception_fails_its_task_only_and_keeps_type_and_text(run, kind, n):
    code, lines, marks, error = run("raises", kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert failed == [f"({g}, 3, {e}) None 'exception' 2 ValueError: ant fell off" for g in (0, 1) for e in (0, 1)]
    assert marks["0-3-0"] == 2  # tried again


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
@pytest.mark.parametrize(("situation", "text"), [("quits", "SystemExit: 0"), ("odd text", "xxxx")])
def test_a_task_can_neither_end_the_run_nor_leave_a_text_that_no_file_holds(run, situation, text, kind, n):
    code, lines, _, error = run(situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert len(failed) == 4
    assert all("None 'exception' 2 " in line and line.endswith(text) and "\0" not in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ("nan", "not finite"),
        ("infinite", "not finite"),
        ("none", "exception"),
        ("text", "exception"),
        ("complex", "exception"),
        ("scalar", "exception"),
    ],
)
def test_anything_but_finite_numbers_fails_its_task_only(run, situation, reason, kind, n):
    code, lines, _, error = run(situation, kind, n)
    rest, failed = split(lines)
    assert code == 7, error
    assert all(" '' 1 " in line for line in rest)
    assert len(failed) == 4
    assert all(f"None '{reason}' 2 " in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_a_failure_that_does_not_come_back_changes_no_result(run, kind, n):
    code, lines, _, error = run("flaky", kind, n)
    assert code == 7, error
    assert [line.replace("'' 2 ", "'' 1 ") for line in lines] == ALL
    assert sum("'' 2 " in line for line in lines) == 1


@pytest.mark.parametrize(("kind", "n"), ISOLATED[:2])
@pytest.mark.parametrize(
    ("situation", "why"), [("segfault", "signal 11 (Segmentation fault)"), ("exits", "exit code 3")]
)
def test_a_crash_fails_its_task_only_and_says_how_the_process_ended(run, situation, why, kind, n):
    code, lines, _, error = run(situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL[:14])[0]), error
    assert len(failed) == 2
    assert all("None 'crash' 2 " in line and why in line for line in failed)


@pytest.mark.parametrize(
    ("kind", "n", "situation"),
    [
        pytest.param(*case.values, situation, id=f"{case.id}_{situation.replace(' ', '_')}", marks=case.marks)
        for case in ISOLATED
        for situation in LIMITED
    ],
)
def test_a_task_that_hangs_is_ended_at_its_limit_and_the_others_go_on(run, situation, kind, n):
    code, lines, _, error = run(situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL[:14])[0]), error
    assert len(failed) == 2
    assert all("None 'timeout' 1 " in line and "did not end within 0.5 s" in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_known_results_are_returned_and_not_evaluated_again(run, kind, n):
    code, lines, marks, error = run("known", kind, n)
    assert code == 7, error
    rest, _ = split([line for line in lines[:14] if not line.startswith("(0, 0, ")])
    assert rest == [line for line in split(ALL[:14])[0] if not line.startswith("(0, 0, ")]
    new = [(0, i, e) for i in (1, 2, 4, 5, 6) for e in (0, 1)]
    assert lines[14:16] == [f"started {new}", f"arrived {new}"]
    assert lines[16:] == [f"(0, {i}, 0) [0.0] '' 1 " for i in range(7)]
    assert sorted(marks) == [f"0-{i}-{e}" for _, i, e in new]


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_every_task_is_announced_and_reported_exactly_once(run, kind, n):
    assert run("events", kind, n)[:2] == (7, ["True 21"])


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED, CROWD])
def test_stopping_abandons_the_generation_and_leaves_the_evaluator_usable(run, kind, n):
    code, lines, _, error = run("stop", kind, n)
    assert (code, lines) == (7, ["stopped early True", *(good(1, i, 0) for i in range(7))]), error


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_different_numbers_of_values_are_refused_with_both_tasks(run, kind, n):
    code, lines, _, error = run("lengths", kind, n)
    assert code == 7, error
    first, other = "Task(generation=0, individual=0, episode=0)", "Task(generation=0, individual=5, episode=0)"
    assert lines == [f"refused: {other} returned 2 values, but {first} 4. Every episode must measure the same."]


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_a_task_function_that_cannot_be_made_ends_everything_with_its_traceback(run, kind, n):
    code, _, _, error = run("broken", kind, n)
    assert code != 0
    assert "RuntimeError: no task function today" in error
    assert "in make_task" in error
