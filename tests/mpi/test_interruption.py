"""Kills, signals and resumption of real runs."""

import os
import signal
import time

import pytest

from tests.mpi.conftest import ANTS, SMALL, assert_equal_runs

pytestmark = pytest.mark.nest


def resume(start, n_ranks, run):
    code, out, error = start(n_ranks, ANTS, "--resume", str(run)).wait()
    assert (code, error) == (0, ""), out


@pytest.mark.parametrize(
    ("first", "then"), [(2, 3), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(None, 2), (3, None)])]
)
def test_a_run_killed_with_signal_9_resumes_to_the_same_result(start, tmp_path, whole, first, then):
    run = tmp_path / "runs" / "killed"
    job = start(first, ANTS, *SMALL, "--name", "killed")
    job.wait_for(run / "checkpoints", "gen_000002-*.h5")
    time.sleep(0.1)  # into the next generation
    job.kill()
    job.wait()
    job.wait_for_no_process()
    resume(start, then, run)
    assert_equal_runs(whole, run)


@pytest.mark.slow  # tests/faults/test_kill.py kills one rank of a study that takes less time
def test_a_job_whose_rank_is_killed_ends_and_resumes(start, tmp_path, whole):
    run = tmp_path / "runs" / "killed"
    job = start(3, ANTS, *SMALL, "--name", "killed")
    job.wait_for(run / "checkpoints", "gen_000001-*.h5")
    os.kill(max(job.ranks()), signal.SIGKILL)
    code, _, _ = job.wait(timeout=20)
    assert code != 0
    job.wait_for_no_process()
    resume(start, 2, run)
    assert_equal_runs(whole, run)


def test_a_child_that_is_killed_is_replaced_and_changes_nothing(start, tmp_path, whole):
    run = tmp_path / "runs" / "survived"
    job = start(2, ANTS, *SMALL, "--name", "survived")
    job.wait_for(run / "checkpoints", "gen_000001-*.h5")
    os.kill(max(job.children()), signal.SIGKILL)
    code, out, error = job.wait()
    assert (code, error) == (0, ""), out
    assert_equal_runs(whole, run)


@pytest.mark.parametrize(
    ("n_ranks", "number"),
    [
        (2, signal.SIGUSR1),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [(None, 2), (None, 15), (2, 15), (3, 2)]),
    ],
)
def test_a_stop_signal_checkpoints_exits_75_and_resumes_to_the_same_result(start, tmp_path, whole, number, n_ranks):
    run = tmp_path / "runs" / "stopped"
    job = start(n_ranks, ANTS, *SMALL, "--name", "stopped")
    job.wait_for(run / "checkpoints", "gen_000001-*.h5")
    job.process.send_signal(number)
    code, out, error = job.wait(timeout=20)
    assert code == 75, (out, error)
    assert "continue with --resume" in out
    assert (run / "results.h5").exists()
    resume(start, None, run)
    assert_equal_runs(whole, run)


def test_a_second_process_in_a_running_folder_is_refused(start, tmp_path):
    run = tmp_path / "runs" / "busy"
    job = start(None, ANTS, *SMALL, "--name", "busy", "--generations", "1000")  # still there when the other one looks
    job.wait_for(run / "checkpoints", "gen_000001-*.h5")
    code, _, error = start(None, ANTS, "--resume", str(run)).wait()
    assert code == 73
    assert "in use by another process" in error
