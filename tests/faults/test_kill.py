"""F01, F02, F04, F24: jobs killed at any moment, again and again, end with the results of an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from experiments.run_folder import RunFolder
from tests.conftest import ROOT
from tests.faults.toy import run_toy
from tests.mpi.conftest import MPIRUN, Job, assert_equal_runs

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(not MPIRUN.exists(), reason=f"no mpirun in {MPIRUN.parent}: pip install -e '.[mpi]'"),
]
JOB = str(ROOT / "tests" / "faults" / "toy_job.py")


def next_generation(path):
    """The generation that a run would go on with, -1 before there is a folder."""
    if not path.exists():
        return -1
    newest = RunFolder(path).checkpoints.newest()[0]
    return 0 if newest is None else newest.state["progress"]["generation"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
def test_f01_f02_f04_a_run_killed_at_random_moments_ends_like_an_undisturbed_one(tmp_path, monkeypatch, seed):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    rng = random.Random(seed)
    run, progress = tmp_path / "killed", -1
    for _ in range(12):
        n_ranks = rng.choice([None, 2, 3])
        job = Job(tmp_path, n_ranks, [JOB, str(run)])
        kill_job_after(job, rng.uniform(0.3, 3.5), rng)
        code, out, error = job.wait(timeout=30)
        job.wait_for_no_process()
        now = next_generation(run)
        assert now >= progress, (out, error)
        progress = now
        if code == 0:
            break
    else:
        code, out, error = Job(tmp_path, 2, [JOB, str(run)]).wait()
        assert code == 0, (out, error)
    assert run_toy(tmp_path / "whole", generations=12) == 0
    assert_equal_runs(tmp_path / "whole", run)


def kill_job_after(job, seconds, rng):
    """Signal 9 to one rank or to all of them; nothing if the job ends before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and job.process.poll() is None:
        time.sleep(0.02)
    ranks = job.ranks()
    if rng.random() < 0.5 or not ranks:
        job.kill()
    else:
        os.kill(rng.choice(ranks), signal.SIGKILL)


@pytest.mark.parametrize(
    ("n_ranks", "rank"), [(2, 0), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(2, 1), (3, 0), (3, 2)])]
)
def test_f01_f02_whichever_rank_is_killed_all_end_and_another_job_goes_on_to_the_same_result(
    tmp_path, monkeypatch, n_ranks, rank
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = tmp_path / "killed"
    job = Job(tmp_path, n_ranks, [JOB, str(run)])
    job.wait_for(run / "checkpoints", "gen_000003-*.h5")
    os.kill(job.process_of(rank), signal.SIGKILL)
    code, _, _ = job.wait(timeout=5)
    assert code != 0
    job.wait_for_no_process()
    assert 3 <= next_generation(run) < 12
    code, out, error = Job(tmp_path, n_ranks, [JOB, str(run)]).wait()
    assert (code, error) == (0, ""), out
    assert run_toy(tmp_path / "whole", generations=12) == 0
    assert_equal_runs(tmp_path / "whole", run)


@pytest.mark.slow
def test_f24_a_run_on_64_ranks_killed_and_resumed_on_three_equals_a_serial_one():
    script = str(ROOT / "tests" / "faults" / "kill_and_resume.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "columns equal, bit for bit" in done.stdout
