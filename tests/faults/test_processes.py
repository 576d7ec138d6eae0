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
from optim.workers import Worker, WorkerError
from tests.conftest import ROOT
from tests.faults.toy import run_toy
from tests.mpi.conftest import ANTS, MPIRUN, Job, assert_equal_runs

JOB = str(ROOT / "tests" / "faults" / "toy_job.py")
TINY = ["--population", "4", "--generations", "2", "--env.n_ticks", "20", "--brain.n_hidden", "4"]


def make_greedy_task(settings):
    """A task that wants more memory than its process may have."""
    resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
    return lambda task, genome: np.array([float(np.ones(2**33)[0] if task.individual == 1 else genome.sum())])


def make_threads_task(settings):
    """The process that forked this one, and the threads its libraries may use."""
    return lambda task, genome: np.array([os.getppid(), float(os.environ["OMP_NUM_THREADS"])])


class TwoArguments(Exception):
    """An exception that its own arguments do not rebuild."""

    def __init__(self, what, number):
        super().__init__(f"{what} {number}")


def make_broken_task(settings):
    """Cannot be made."""
    raise TwoArguments("licence server", 5)


# A process with children that work for a long time, or that forgets to close them.
CHILDREN = """
import sys, time
import numpy as np
from optim.evaluators import NO_LIMITS, pool_evaluator

def make_task(seconds):
    def task(identity, genome):
        time.sleep(seconds)
        return genome
    return task

if __name__ == "__main__":
    evaluator = pool_evaluator(make_task, float(sys.argv[1]), 2, NO_LIMITS)
    print("ready", flush=True)
    evaluator.evaluate(0, np.ones((4, 1)), 1)
"""


@pytest.fixture
def children(tmp_path, monkeypatch):
    """Function that starts a process whose two children work for so many seconds per task."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "children.py").write_text(CHILDREN)

    def start(seconds):
        job = Job(tmp_path, None, ["children.py", str(seconds)])
        assert job.process.stdout.readline() == "ready\n"
        return job

    return start


def test_children_end_with_a_process_that_is_killed_in_the_middle_of_a_long_task(children):
    job = children(60.0)
    time.sleep(0.3)
    assert len(job.children()) >= 3
    os.kill(job.process.pid, signal.SIGKILL)
    job.process.communicate()
    job.wait_for_no_process(timeout=3)


def test_an_evaluator_that_nobody_closes_does_not_keep_the_process_from_ending(children):
    job = children(0.0)
    assert job.wait(timeout=10)[0] == 0
    job.wait_for_no_process(timeout=3)


def test_what_stops_a_whole_job_stops_neither_children_nor_their_server(children):
    job = children(0.5)
    for pid in job.children():
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGUSR1)
    code, _, error = job.wait(timeout=20)
    assert (code, error) == (0, "")


def test_an_error_that_cannot_be_rebuilt_keeps_its_text():
    with pytest.raises(WorkerError, match="TwoArguments: licence server 5"):
        Worker(make_broken_task, None).wait_until_ready()


@pytest.mark.mpi
@pytest.mark.skipif(not MPIRUN.exists(), reason="no mpirun: pip install -e '.[mpi]'")
def test_a_job_that_gives_up_with_results_under_way_ends_at_once_with_its_exit_code(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "full.py").write_text(
        "import sys, time\nimport numpy as np\nfrom optim.mpi import launch\n"
        "def make_task(size):\n    def task(identity, genome):\n        time.sleep(0.5 * identity.individual)\n"
        "        return np.zeros(size)\n    return task\n"
        "def full(result):\n    raise OSError(28, 'No space left on device')\n"
        "def main(make):\n    try:\n        make(10**6).evaluate(0, np.zeros((4, 1)), 1, on_result=full)\n"
        "    except OSError:\n        return 74\n"
        "if __name__ == '__main__':\n    sys.exit(launch(main, make_task))\n"
    )
    assert Job(tmp_path, 2, ["full.py"]).wait(timeout=15)[0] == 74


def test_f10_a_task_that_exhausts_its_memory_fails_alone():
    evaluator = pool_evaluator(make_greedy_task, None, 1, Limits(retries=0))
    results = evaluator.evaluate(0, np.ones((3, 2)), 1)
    assert [result.values is None for result in results] == [False, True, False]
    assert results[1].reason == "exception"
    assert "MemoryError" in results[1].error
    evaluator.close()


@pytest.mark.parametrize(
    ("number", "moment"),
    [(signal.SIGINT, 0.05), (signal.SIGTERM, 0.4)]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in [(signal.SIGUSR1, 1.0), (signal.SIGTERM, 2.5)]],
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
