"""Kill a run on many ranks with signal 9 in the middle, resume it on three, compare with an undisturbed serial run.

python tests/faults/kill_and_resume.py [--ranks 64] [--engine numba]     # exit code 0: the same results, bit for bit
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.mpi.conftest import ANTS, Job, results

# Small enough for a minute, long enough to be killed in the middle.
N_GENERATIONS = 6
STUDY = [
    "--population",
    "24",
    "--episodes",
    "2",
    "--generations",
    str(N_GENERATIONS),
    "--env.n_ticks",
    "300",
    "--brain.n_hidden",
    "10",
]


def main() -> int:
    """Run the three runs in a temporary folder and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=64, metavar="N")
    parser.add_argument("--engine", default="numba", choices=("nest", "numba"))
    options = parser.parse_args()
    study = [ANTS, *STUDY, "--brain.engine", options.engine]
    folder = Path(tempfile.mkdtemp(prefix="kill-and-resume-"))
    try:
        _finished(Job(folder, None, [*study, "--name", "serial"]), "one process, undisturbed")
        run = folder / "runs" / "killed"
        job = Job(folder, options.ranks, [*study, "--name", "killed"])
        job.wait_for(run / "checkpoints", "gen_000002-*.h5", timeout=300)
        time.sleep(0.05)  # into the next generation
        job.kill()
        job.wait()
        job.wait_for_no_process(timeout=30)
        kept = sorted(path.name.split("-")[0] for path in (run / "checkpoints").glob("gen_*.h5"))
        if any(name.startswith(f"gen_{N_GENERATIONS:06d}") for name in kept):
            sys.stdout.write("the run was over before it was killed, so nothing was tried: give it more to do\n")
            return 1
        sys.stdout.write(f"{options.ranks} ranks: killed with signal 9; checkpoints {', '.join(kept)}\n")
        _finished(Job(folder, 3, [ANTS, "--resume", str(run)]), "three ranks: resumed")
        return _compare(results(folder / "runs" / "serial"), results(run))
    finally:
        shutil.rmtree(folder)


def _finished(job: Job, what: str) -> None:
    code, out, error = job.wait(timeout=600)
    if code:
        raise SystemExit(f"{what}: exit code {code}\n{out}\n{error}")
    sys.stdout.write(f"{what}: {out.strip().splitlines()[-3]}\n")


def _compare(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> int:
    different = sorted(name for name in expected if not np.array_equal(expected[name], found[name]))
    if different or expected.keys() != found.keys():
        sys.stdout.write(f"DIFFERENT: {', '.join(different or expected.keys() ^ found.keys())}\n")
        return 1
    final = expected["best/genome"][-1]
    sys.stdout.write(f"all {len(expected)} columns equal, bit for bit; the last best genome begins {final[:3]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
