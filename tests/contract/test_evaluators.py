"""What every evaluator promises: one process, children, MPI ranks; whatever tasks do, and however many work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

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


def run(folder, situation, kind, n, timeout=40):
    """(exit code, lines, errors) of the script."""
    launcher = [str(MPIRUN), "-n", str(n)] if kind == "mpi" else []
    done = subprocess.run(
        [*launcher, sys.executable, str(SCRIPT), situation, kind, str(n)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def marks(folder):
    """How often each task was tried, by "generation-individual-episode"."""
    return {path.name: len(path.read_text()) for path in folder.glob("*-*-*")}


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
def test_results_come_by_individual_then_episode_and_each_task_runs_once(tmp_path, situation, kind, n):
    code, lines, error = run(tmp_path, situation, kind, n)
    assert (code, lines) == (7, ALL), error
    assert set(marks(tmp_path).values()) == {1}
    assert len(marks(tmp_path)) == len(ALL)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_an_exception_fails_its_task_only_and_keeps_type_and_text(tmp_path, kind, n):
    code, lines, error = run(tmp_path, "raises", kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert failed == [f"({g}, 3, {e}) None 'exception' 2 ValueError: ant fell off" for g in (0, 1) for e in (0, 1)]
    assert marks(tmp_path)["0-3-0"] == 2  # tried again


@pytest.mark.parametrize(("kind", "n"), [SERIAL, ISOLATED[1], ISOLATED[2]])
@pytest.mark.parametrize(("situation", "text"), [("quits", "SystemExit: 0"), ("odd text", "xxxx")])
def test_a_task_can_neither_end_the_run_nor_leave_a_text_that_no_file_holds(tmp_path, situation, text, kind, n):
    code, lines, error = run(tmp_path, situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert len(failed) == 4
    assert all("None 'exception' 2 " in line and line.endswith(text) and "\0" not in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, ISOLATED[0]])
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
def test_anything_but_finite_numbers_fails_its_task_only(tmp_path, situation, reason, kind, n):
    code, lines, error = run(tmp_path, situation, kind, n)
    rest, failed = split(lines)
    assert code == 7, error
    assert all(" '' 1 " in line for line in rest)
    assert len(failed) == 4
    assert all(f"None '{reason}' 2 " in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_a_failure_that_does_not_come_back_changes_no_result(tmp_path, kind, n):
    code, lines, error = run(tmp_path, "flaky", kind, n)
    assert code == 7, error
    assert [line.replace("'' 2 ", "'' 1 ") for line in lines] == ALL
    assert sum("'' 2 " in line for line in lines) == 1


@pytest.mark.parametrize(("kind", "n"), ISOLATED[:2])
@pytest.mark.parametrize(
    ("situation", "why"), [("segfault", "signal 11 (Segmentation fault)"), ("exits", "exit code 3")]
)
def test_a_crash_fails_its_task_only_and_says_how_the_process_ended(tmp_path, situation, why, kind, n):
    code, lines, error = run(tmp_path, situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert len(failed) == 4
    assert all("None 'crash' 2 " in line and why in line for line in failed)


@pytest.mark.parametrize(
    ("kind", "n", "situation"),
    [pytest.param("pool", 2, "hangs", id="pool2")]
    + [pytest.param(*case.values, "hangs in c", id=f"{case.id}_in_c", marks=case.marks) for case in ISOLATED],
)
def test_a_task_that_hangs_is_ended_at_its_limit_and_the_others_go_on(tmp_path, situation, kind, n):
    code, lines, error = run(tmp_path, situation, kind, n)
    rest, failed = split(lines)
    assert (code, rest) == (7, split(ALL)[0]), error
    assert len(failed) == 4
    assert all("None 'timeout' 1 " in line and "did not end within 0.5 s" in line for line in failed)


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_known_results_are_returned_and_not_evaluated_again(tmp_path, kind, n):
    code, lines, error = run(tmp_path, "known", kind, n)
    assert code == 7, error
    rest, _ = split([line for line in lines[:14] if not line.startswith("(0, 0, ")])
    assert rest == [line for line in split(ALL[:14])[0] if not line.startswith("(0, 0, ")]
    new = [(0, i, e) for i in (1, 2, 4, 5, 6) for e in (0, 1)]
    assert lines[14:16] == [f"started {new}", f"arrived {new}"]
    assert lines[16:] == [f"(0, {i}, 0) [0.0] '' 1 " for i in range(7)]
    assert sorted(marks(tmp_path)) == [f"0-{i}-{e}" for _, i, e in new]


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_every_task_is_announced_and_reported_exactly_once(tmp_path, kind, n):
    assert run(tmp_path, "events", kind, n)[:2] == (7, ["True 21"])


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED, CROWD])
def test_stopping_abandons_the_generation_and_leaves_the_evaluator_usable(tmp_path, kind, n):
    code, lines, error = run(tmp_path, "stop", kind, n)
    assert (code, lines) == (7, ["stopped early True", *(good(1, i, 0) for i in range(7))]), error


@pytest.mark.parametrize(("kind", "n"), [SERIAL, ISOLATED[2]])
def test_different_numbers_of_values_are_refused_with_both_tasks(tmp_path, kind, n):
    code, lines, error = run(tmp_path, "lengths", kind, n)
    assert code == 7, error
    first, other = "Task(generation=0, individual=0, episode=0)", "Task(generation=0, individual=5, episode=0)"
    assert lines == [f"refused: {other} returned 2 values, but {first} 4. Every episode must measure the same."]


@pytest.mark.parametrize(("kind", "n"), [SERIAL, *ISOLATED])
def test_a_task_function_that_cannot_be_made_ends_everything_with_its_traceback(tmp_path, kind, n):
    code, _, error = run(tmp_path, "broken", kind, n, timeout=10)
    assert code != 0
    assert "RuntimeError: no task function today" in error
    assert "in make_task" in error
