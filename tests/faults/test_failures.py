"""Individuals that fail, and tasks that take their process down: F05 to F07, F11."""

import dataclasses
import os
import signal

import numpy as np
import pytest

from experiments.run_folder import RunFolder
from tests.faults.toy import assert_same_run, counting, fails_at, measure, results, run_toy


def test_f05_one_failure_is_recorded_with_its_traceback_and_changes_nothing_but_its_own_rows(tmp_path):
    run = tmp_path / "run"
    assert run_toy(run, fails_at(3), generations=2) == 0
    found, whole = results(run), tmp_path / "whole"
    assert found["failures/reason"].tolist() == ["exception", "exception"]  # both episodes
    assert found["failures/attempts"].tolist() == [2, 2]
    assert found["failures/env_seed"].tolist() == [130, 131]
    assert all("ValueError: the vector broke" in text for text in found["failures/traceback"])
    assert found["generations/n_failed"].tolist() == [0, 1]
    run_toy(whole, generations=2)
    expected = results(whole)
    others = found["individuals/individual"] + 10 * found["individuals/generation"] != 13
    np.testing.assert_array_equal(found["individuals/fitness"][others], expected["individuals/fitness"][others])
    assert np.isnan(found["individuals/fitness"][~others]).all()


def test_f06_a_generation_that_fails_ends_with_70_and_the_first_traceback_and_tries_again_when_resumed(
    tmp_path, whole, capsys
):
    run = tmp_path / "run"
    for _ in range(2):
        assert run_toy(run, fails_at(0, 1, 2, 3)) == 70
        error = capsys.readouterr().err
        assert error.startswith("error: 4 of 4 individuals of generation 1 failed, too many to go on; the first:\n")
        assert error.count("ValueError: the vector broke") == 1
        assert (run / "best.npz").exists()  # of the generation before
    assert run_toy(run) == 0  # what was wrong has been mended
    assert_same_run(run, whole())


@pytest.mark.parametrize(
    ("individuals", "most", "code"), [((0, 1), 0.5, 0), ((0, 1, 2), 0.5, 70), ((0, 1, 2), 1.0, 0), ((0,), 0.0, 70)]
)
def test_f06_more_than_the_allowed_fraction_of_failures_ends_the_run(tmp_path, capsys, individuals, most, code):
    assert run_toy(tmp_path / "run", fails_at(*individuals), max_failed_fraction=most) == code
    told = f"{len(individuals)} of 4 individuals of generation 1 failed, more than max_failed_fraction={most:g}"
    assert (told in capsys.readouterr().err) == (code == 70)


def test_f06_what_worked_in_a_generation_that_was_given_up_is_not_computed_again(tmp_path):
    run = tmp_path / "run"
    assert run_toy(run, fails_at(1, 2, 3), generations=2) == 70
    function, seen = counting()
    assert run_toy(run, function) == 0
    assert {task.individual for task in seen if task.generation == 1} == {1, 2, 3}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_f11_values_that_are_not_finite_are_counted_and_never_best(tmp_path, value):
    def broken(task, genome):
        return (value, 1.0) if task.individual == 2 else measure(task, genome)

    run = tmp_path / "run"
    assert run_toy(run, broken) == 0
    found = results(run)
    assert set(found["failures/reason"]) == {"not finite"}
    assert found["generations/n_failed"].tolist() == [1, 1, 1]
    assert np.isfinite(found["generations/best"]).all()
    assert 2 not in found["best/individual"]


CRASH = """
import os, sys
from pathlib import Path
from tests.faults.toy import measure, run_toy

def crash(task, genome):
    if task == (1, 2, 1):
        os.kill(os.getpid(), {number})
    return measure(task, genome)

sys.exit(run_toy(Path("run"), crash, retries={retries}))
"""


@pytest.mark.parametrize(("number", "retries"), [(signal.SIGSEGV, 1), (signal.SIGKILL, 0)])
def test_f07_a_task_that_takes_its_process_down_is_given_up_after_its_retries(run_python, tmp_path, number, retries):
    code = CRASH.format(number=int(number), retries=retries)
    codes = [run_python("-c", code).returncode for _ in range(retries + 2)]
    assert codes == [-number] * (retries + 1) + [0]
    found = results(tmp_path / "run")
    assert found["failures/reason"].tolist() == ["crash"]
    assert found["failures/attempts"].tolist() == [retries + 1]
    assert "was running alone" in found["failures/traceback"][0]
    individuals = found["individuals/individual"] + 10 * found["individuals/generation"]
    assert individuals[np.isnan(found["individuals/fitness"])].tolist() == [12]


def test_f07_suspects_run_alone_before_all_others(tmp_path):
    """Two processes ended while tasks (1, 0, 1) and (1, 2, 0) were under way."""
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_toy(run, fails_at(0, error=KeyboardInterrupt))
    journal_of_kills(run, [(0, 1), (2, 0)], n_kills=2)
    function, seen = counting()
    assert run_toy(run, function) == 0
    order = [tuple(task[1:]) for task in seen if task.generation == 1]
    assert order[:2] == [(0, 1), (2, 0)]
    assert sorted(order) == [(individual, episode) for individual in range(4) for episode in range(2)]


def journal_of_kills(run, tasks, n_kills):
    """Make the open journal of generation 1 look as if so many processes had been killed while these tasks ran."""
    from experiments.generation import genomes_digest
    from experiments.journal import Header, Journal
    from experiments.settings import config_digest
    from optim.tasks import Task
    from tests.faults.toy import toy_config, toy_optimizer

    config = toy_config()
    optimizer = toy_optimizer(config)
    optimizer.load_state_dict(RunFolder(run).checkpoints.newest()[0].state["optimizer"])
    header = Header(1, genomes_digest(optimizer.ask()), config_digest(config))
    for _ in range(n_kills):
        journal = Journal(run / "journal" / "gen_000001.jsonl", header)
        for individual, episode in tasks:
            journal.started(Task(1, individual, episode))
        os.close(journal._descriptor)


@pytest.mark.parametrize("text", ["a\0b", "a\udc80b", "x" * 10**6])
def test_f05_a_traceback_with_any_text_is_recorded_also_from_an_older_journal(tmp_path, monkeypatch, text):
    from experiments import run as loop
    from experiments.journal import Journal

    finished = Journal.finished

    def as_it_came(journal, result):
        finished(journal, dataclasses.replace(result, error=text) if result.error else result)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:  # the journal has all, nothing is committed
        patch.setattr(Journal, "finished", as_it_came)
        patch.setattr(loop, "_commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_toy(run, fails_at(2, generation=0), generations=1)
    assert run_toy(run, generations=1) == 0
    assert len(results(run)["failures/traceback"]) == 2
    for traceback in results(run)["failures/traceback"]:
        assert traceback.isprintable() or len(text) > 100
        assert len(traceback) < 21_000


def test_f06_a_crash_in_a_generation_that_was_given_up_is_tried_again(run_python, tmp_path):
    strict = CRASH.format(number=int(signal.SIGKILL), retries="0, max_failed_fraction=0.0")
    assert [run_python("-c", strict).returncode for _ in range(2)] == [-signal.SIGKILL, 70]
    run = tmp_path / "run"
    assert run_toy(run) == 0  # mended
    assert len(results(run)["failures/reason"]) == 0


STOPPED = """
import os, signal, sys
from pathlib import Path
from experiments import process
from tests.faults.toy import measure, run_toy

process.catch_stop_signals()

def stopped(task, genome):
    if task == (1, 2, 1):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), {second})
    return measure(task, genome)

sys.exit(run_toy(Path("run"), stopped, retries=0))
"""


@pytest.mark.parametrize(("second", "code"), [(signal.SIGTERM, 75), (signal.SIGKILL, -signal.SIGKILL)])
def test_f07_a_task_under_way_when_its_process_is_stopped_is_not_blamed(run_python, tmp_path, second, code):
    for _ in range(3):
        assert run_python("-c", STOPPED.format(second=int(second))).returncode == code
    assert run_toy(tmp_path / "run") == 0
    assert len(results(tmp_path / "run")["failures/reason"]) == 0
