"""World and ranks; `make bench` runs this, then `networks.py`: together about six minutes on two idle cores."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pheromone import bench_pheromone
from timing import ROOT, row, text, title
from world import bench_world

from experiments.run_folder import RunFolder

MPIRUN = Path(sys.executable).parent / "mpirun"
ANTS = str(ROOT / "experiments" / "ants.py")


def bench_ranks() -> None:
    """Generations of the study on NEST; wall time, since it is what several processes share."""
    title("Study on the NEST engine, 32 colonies, 300 ticks; wall time, median of 3 generations")
    if not MPIRUN.exists():
        text("mpirun is missing: no figures for several ranks (pip install -e '.[mpi]')")
        return
    with tempfile.TemporaryDirectory() as folder:
        study = ["--population", "32", "--env.n_ticks", "300", "--generations", "4", "--runs", folder]
        seconds = {}
        for name, launcher in (("serial", []), ("two", [str(MPIRUN), "-n", "2"])):
            command = [*launcher, sys.executable, ANTS, *study, "--name", name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            generations = RunFolder(Path(folder) / name).read_results()["generations"]
            seconds[name] = statistics.median(generations["seconds"][1:].tolist())
        row("a generation, one process", seconds["serial"], "s")
        row("a generation, mpirun -n 2", seconds["two"], "s", f"{seconds['serial'] / seconds['two']:.2f} times as fast")
        _bench_many_ranks(folder)


def _bench_many_ranks(folder: str) -> None:
    """Whether 64 ranks fit into this machine."""
    quick = ["--config", str(ROOT / "experiments/configs/quick.toml"), "--generations", "2", "--runs", folder]
    start = time.perf_counter()
    job = subprocess.Popen(
        [str(MPIRUN), "-n", "64", sys.executable, ANTS, *quick, "--name", "many"], stdout=subprocess.DEVNULL
    )
    largest = total = 0.0
    while job.poll() is None:
        shares = _memory_of_ranks_mb("many")
        largest, total = max([largest, *(rss for rss, _ in shares)]), max(total, sum(pss for _, pss in shares))
        time.sleep(1.0)
    row("64 ranks, two quick generations", time.perf_counter() - start, "s", f"exit code {job.returncode}")
    row("  memory of the largest rank, resident", largest, "MB")
    row("  memory of all ranks", total / 1000, "GB")


def _memory_of_ranks_mb(name: str) -> list[tuple[float, float]]:
    """(resident, proportional) memory of every Python rank of the job."""
    shares = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"python" in command[0] and name.encode() in command:
                rollup = dict(line.split()[:2] for line in (process / "smaps_rollup").read_text().splitlines()[1:])
                shares.append((int(rollup["Rss:"]) / 1000, int(rollup["Pss:"]) / 1000))
        except (OSError, KeyError):
            continue
    return shares


if __name__ == "__main__":
    bench_world()
    bench_pheromone()
    bench_ranks()
