"""Full disks, folders that cannot be written, two runs in one folder, what long runs leave: F13 to F18, F46, F48."""

import contextlib
import gc
import json
import re
import resource
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.files import StorageError
from experiments.run_folder import RunFolder
from tests.conftest import ROOT
from tests.faults.toy import assert_same_run, counting, run_toy, tree

# The file that grows too large: population, parameters, genomes, allowed bytes.
LIMITS = {
    "journal": (300, 2, "best", 60_000),
    "record": (4, 20_000, "all", 400_000),
    "checkpoint": (4, 20_000, "best", 400_000),
    "results": (4, 500, "all", 200_000),
}


@contextlib.contextmanager
def file_size_limit(n_bytes):
    """No file of this process may become larger; the kernel refuses the write, as with a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("file", LIMITS)
def test_f13_f14_f15_a_file_that_may_not_grow_ends_the_run_with_74_and_all_that_was_committed(
    tmp_path, whole, capsys, file
):
    population, n_params, genomes, most = LIMITS[file]
    settings = {"population": population, "n_params": n_params, "record_genomes": genomes}
    n = 30 if file == "results" else 3  # many generations, merged at the end
    path = tmp_path / "limited"
    assert run_toy(path, generations=1, **settings) == 0
    before = tree(path)
    with file_size_limit(most):
        assert run_toy(path, generations=n, **settings) == 74
    error = capsys.readouterr().err
    told = re.fullmatch(r"error: (\S+) cannot be written: File too large, [\d,]+ bytes are free\..*\n", error)
    assert {"record": "generations", "checkpoint": "checkpoints"}.get(file, file) in told[1].removeprefix(str(path))
    assert not list(path.rglob("*.tmp"))
    kept = [name for name in before if "checkpoints" in name and file != "results"]  # 30 generations replace them
    assert all(tree(path)[name] == before[name] for name in kept)
    assert run_toy(path, generations=n, **settings) == 0
    assert_same_run(path, whole(generations=n, **settings))


FULL_DISK = """
import json, sys
from pathlib import Path
from tests.faults.toy import run_toy, tree

disk = Path(sys.argv[1])
settings = {"n_params": 2000, "record_genomes": "best"}
ballast = disk / "ballast"
ballast.write_bytes(bytes(int(sys.argv[2])))
full = run_toy(disk / "run", generations=40, **settings)
left = [str(path) for path in disk.rglob("*.tmp")]
n_checkpoints = len(list((disk / "run/checkpoints").glob("*.h5")))
ballast.unlink()
resumed = run_toy(disk / "run", generations=40, **settings)
(Path(sys.argv[3]) / "best.txt").write_bytes((disk / "run/best.txt").read_bytes())
print(json.dumps([full, left, n_checkpoints, resumed]))
"""


def test_f14_a_run_on_a_full_disk_continues_when_there_is_room_again(tmp_path, whole):
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs a file system of its own: user namespaces are off")
    disk, size, room = tmp_path / "disk", 8_000_000, 700_000
    disk.mkdir()
    script = f'mount -t tmpfs -o size={size} none "$1" && exec "$2" -c "$3" "$1" {size - room} "$4"'
    command = ["unshare", "-Urm", "sh", "-c", script, "sh", str(disk), sys.executable, FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    full, left, n_checkpoints, resumed = json.loads(done.stdout.splitlines()[-1])
    assert full == 74, done.stderr
    assert re.search(r"error: \S+ cannot be written: No space left on device, [\d,]+ bytes are free", done.stderr)
    assert left == []
    assert n_checkpoints > 0
    assert resumed == 0
    path = whole(generations=40, n_params=2000, record_genomes="best")
    assert (tmp_path / "best.txt").read_text() == (path / "best.txt").read_text()


def test_f16_a_folder_that_cannot_be_made_fails_with_73_before_the_first_evaluation(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    function, seen = counting()
    assert run_toy(tmp_path / "file" / "run", function) == 73
    assert f"cannot be made ({tmp_path / 'file'}: File exists)" in capsys.readouterr().err
    assert seen == []


def test_f17_a_folder_that_is_used_is_refused_and_nothing_in_it_changes(tmp_path):
    run_toy(tmp_path / "run", generations=1)
    before = tree(tmp_path)
    with pytest.raises(StorageError, match="exists already"):
        RunFolder.create(tmp_path / "run", "seed = 2\n")
    assert tree(tmp_path) == before


def test_f18_of_two_that_start_at_once_in_one_folder_exactly_one_wins(tmp_path):
    for repeat in range(20):
        outcomes, barrier = [], threading.Barrier(2)

        def start(repeat=repeat, outcomes=outcomes, barrier=barrier):
            barrier.wait()
            try:
                run = RunFolder.create(tmp_path / f"run{repeat}", "seed = 1\n")
            except StorageError:
                run = None
            barrier.wait()
            try:
                with RunFolder(tmp_path / f"run{repeat}").lock():
                    barrier.wait(5)
                    outcomes.append((run is not None, True))
            except StorageError:
                barrier.wait(5)
                outcomes.append((run is not None, False))

        threads = [threading.Thread(target=start) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(created for created, _ in outcomes) == [False, True]
        assert sorted(locked for _, locked in outcomes) == [False, True]
    assert not list(tmp_path.glob(".*"))


def test_f46_a_long_run_leaves_a_bounded_number_of_files(tmp_path, monkeypatch):
    monkeypatch.setattr("experiments.records._MERGE_EVERY", 20)
    counts = []

    def count(task, genome):
        counts.append(len(tree(tmp_path)))
        return 0.0, 1.0

    assert run_toy(tmp_path / "run", count, generations=100, episodes=1) == 0
    # three checkpoints and the next one, 20 records, the journal, results, settings, provenance, lock
    assert max(counts) <= 3 + 1 + 20 + 1 + 4
    assert len(tree(tmp_path)) <= 10


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_f48_200_generations_leak_no_memory_no_files_and_no_bytes_of_checkpoints(tmp_path):
    def resident_mb():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    seen = {}

    def watch(task, genome):
        if task.individual == 0 and task.generation in (60, 199):
            seen[task.generation] = (resident_mb(), len(list(Path("/proc/self/fd").iterdir())))
        return -float(genome @ genome), 1.0

    run = tmp_path / "run"
    assert run_toy(run, watch, generations=60, episodes=1) == 0
    early = max(path.stat().st_size for path in (run / "checkpoints").iterdir())
    assert run_toy(run, watch, generations=200, episodes=1) == 0
    late = max(path.stat().st_size for path in (run / "checkpoints").iterdir())
    assert seen[199][0] - seen[60][0] < 5.0
    assert seen[199][1] == seen[60][1]
    assert abs(late - early) < 100
