"""F10, F35, F36, F43, F44: memory, signals at any time, threads, and who starts processes."""

import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from optim.evaluators import NO_LIMITS, Limits, pool_evaluator
from optim.tasks import Task
from optim.workers import Worker
from tests.conftest import ROOT
from tests.faults.toy import run_toy
from tests.mpi.conftest import ANTS, Job, assert_equal_runs

JOB = str(ROOT / "tests" / "faults" / "toy_job.py")
TINY = ["--population", "4", "--generations", "2", "--env.n_ticks", "20", "--brain.n_hidden", "4"]


def make_greedy_task(settings):
    """A task that wants more memory than its process may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
    return lambda task, genome: np.array([float(np.ones(2**33)[0] if task.individual == 1 else genome.sum())])


def make_threads_task(settings):
    """The process that forked this one, and the threads its libraries may use."""
    return lambda task, genome: np.array([os.getppid(), float(os.environ["OMP_NUM_THREADS"])])


def test_f10_a_task_that_exhausts_its_memory_fails_alone():
    evaluator = pool_evaluator(make_greedy_task, None, 1, Limits(retries=0))
    results = evaluator.evaluate(0, np.ones((3, 2)), 1)
    assert [result.values is None for result in results] == [False, True, False]
    assert results[1].reason == "exception"
    assert "MemoryError" in results[1].error
    evaluator.close()


@pytest.mark.parametrize(
    ("number", "moment"), [(signal.SIGINT, 0.05), (signal.SIGTERM, 0.4), (signal.SIGUSR1, 1.0), (signal.SIGTERM, 2.5)]
)
def test_f35_f36_a_stop_signal_at_any_time_leaves_nothing_or_a_run_that_continues(
    tmp_path, monkeypatch, number, moment
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = tmp_path / "runs" / "stopped"
    settings = ["--brain.engine", "numba", *TINY, "--env.n_ticks", "2000", "--generations", "40", "--population", "8"]
    job = Job(tmp_path, None, [ANTS, *settings, "--name", "stopped"])
    time.sleep(moment)
    job.process.send_signal(number)
    code, out, error = job.wait(timeout=20)
    assert code != 0, out
    if run.exists():
        assert code == 75, (out, error)
        resumed = Job(tmp_path, None, [ANTS, "--resume", str(run), "--generations", "1"])
        assert resumed.wait()[0] == 0
    else:
        assert list((tmp_path / "runs").glob("*")) == []


def test_f35_a_second_signal_ends_at_once_and_the_run_still_continues(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = tmp_path / "twice"
    job = Job(tmp_path, None, [JOB, str(run)])
    job.wait_for(run / "checkpoints", "gen_000001-*.h5")
    for _ in range(2):
        job.process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    assert job.wait(timeout=5)[0] in (75, -signal.SIGTERM)
    assert Job(tmp_path, None, [JOB, str(run)]).wait()[0] == 0
    assert run_toy(tmp_path / "whole", generations=12) == 0
    assert_equal_runs(tmp_path / "whole", run)


def test_f43_more_threads_than_cores_change_no_result(tmp_path):
    for threads in ("1", "64"):
        variables = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), threads)
        job = Job(tmp_path, None, [ANTS, *TINY, "--brain.engine", "numba", "--name", f"on{threads}"], env=variables)
        code, out, error = job.wait()
        assert code == 0, (out, error)
    assert_equal_runs(tmp_path / "runs" / "on1", tmp_path / "runs" / "on64")


def test_f44_children_are_forked_by_a_server_that_has_loaded_nothing():
    worker = Worker(make_threads_task, None)
    worker.wait_until_ready()
    worker.send([(Task(0, 0, 0), np.zeros(1))])
    while not (results := worker.collect()):
        time.sleep(0.01)
    server, threads = results[0].values
    assert server != os.getpid()
    assert "multiprocessing.forkserver" in Path(f"/proc/{server:.0f}/cmdline").read_text()
    assert threads == 1.0  # what importing `experiments` has set here holds there
    worker.close()


def test_working_children_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    evaluator = pool_evaluator(make_threads_task, None, 2, NO_LIMITS)
    evaluator.evaluate(0, np.ones((4, 1)), 1)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("stigmergy-")] == []
    evaluator.close()
