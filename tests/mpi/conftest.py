"""Starting jobs under mpirun, and reading what they leave."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.run_folder import RunFolder
from tests.conftest import ROOT

MPIRUN = Path(sys.executable).parent / "mpirun"
WITHOUT = ROOT / "tests" / "mpi" / "without"  # packages that jobs do not find
ANTS = str(ROOT / "experiments" / "ants.py")
# Half a second per generation on two cores: long enough to be interrupted, short enough to repeat.
SMALL = ["--population", "6", "--env.n_ticks", "60", "--generations", "5", "--brain.n_hidden", "10"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/mpi" in str(item.path):
            item.add_marker(pytest.mark.mpi)
            if not MPIRUN.exists():
                item.add_marker(pytest.mark.skip(reason=f"no mpirun in {MPIRUN.parent}: pip install -e '.[mpi]'"))


class Job:
    """A started job with all its ranks in one process group; it draws no figures."""

    def __init__(self, folder, n_ranks, arguments, env=None, launcher=None):
        self.folder = folder
        if launcher is None:
            launcher = [str(MPIRUN), "-n", str(n_ranks)] if n_ranks else []
        # No coverage of a launcher that started pytest itself.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PMI_", "OMPI_", "MPI_"))}
        paths = [str(WITHOUT), *filter(None, [inherited.get("PYTHONPATH")])]
        inherited["PYTHONPATH"] = os.pathsep.join(paths)
        self.process = subprocess.Popen(
            [*launcher, sys.executable, *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=inherited | (env or {}),
            start_new_session=True,
        )

    def wait(self, timeout=90):
        """(exit code, stdout, stderr); fails the test if the job does not end."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.process.communicate()
            pytest.fail(f"the job did not end within {timeout} s\n{out}\n{err}")
        return self.process.returncode, out, err

    def kill(self):
        """Signal 9 to every process of the job at once."""
        for pid in [self.process.pid, *self.ranks()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def ranks(self):
        """Process ids of the Python ranks: launchers put them in sessions of their own."""
        return [pid for pid, command in self.processes() if b"multiprocessing" not in command]

    def process_of(self, rank):
        """Process id of a rank."""
        for pid in self.ranks():
            with contextlib.suppress(OSError):
                if f"PMI_RANK={rank}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return pid
        return pytest.fail(f"rank {rank} has no process: {self.processes()}")

    def children(self):
        """Process ids of what ranks have started: children that work, and the servers that fork them."""
        return [pid for pid, command in self.processes() if b"multiprocessing" in command]

    def processes(self):
        """Process id and command line of every Python process of this job."""
        found = []
        for status in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (status / "cmdline").read_bytes()
                if b"python" in command.split(b"\0")[0] and (status / "cwd").resolve() == self.folder:
                    found.append((int(status.name), command))
        return found

    def wait_for_no_process(self, timeout=5):
        """Fail the test unless everything the job has started ends by itself."""
        deadline = time.monotonic() + timeout
        while self.processes():
            if time.monotonic() > deadline:
                pytest.fail(f"still there after {timeout} s: {self.processes()}")
            time.sleep(0.05)

    def wait_for(self, folder, pattern, timeout=60):
        """Block until a file in `folder` matches, while the job is alive."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self.process.poll() is None:
            if list(folder.glob(pattern)):
                return
            time.sleep(0.01)
        pytest.fail(f"{folder / pattern} did not appear: {self.wait(1)}")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Run folder of the small study, undisturbed in one process."""
    folder = tmp_path_factory.mktemp("whole")
    code, _, error = Job(folder, None, [ANTS, *SMALL, "--name", "whole"]).wait()
    assert (code, error) == (0, "")
    return folder / "runs" / "whole"


@pytest.fixture
def start(tmp_path):
    """Function that starts a job in an empty folder; whatever still runs at the end is killed."""
    jobs = []

    def run(n_ranks, *arguments, env=None):
        jobs.append(Job(tmp_path, n_ranks, arguments, env))
        return jobs[-1]

    yield run
    for job in jobs:
        if job.process.poll() is None:
            job.kill()
        job.process.wait()
        for stream in (job.process.stdout, job.process.stderr):
            stream.close()


def results(folder):
    """All recorded values of a run but wall times, by table and column."""
    tables = RunFolder(folder).read_results()
    return {
        f"{table}/{column}": values
        for table, columns in tables.items()
        for column, values in columns.items()
        if not column.startswith("seconds")
    }


def assert_equal_runs(first, second):
    ours, theirs = results(first), results(second)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)
