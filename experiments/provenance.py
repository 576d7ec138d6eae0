"""Where a result comes from: versions, commit, host, command."""

from __future__ import annotations

import datetime
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("stigmergy", "nest-simulator", "numpy", "numba", "scipy", "gymnasium", "h5py", "mpi4py")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def collect_provenance(seed: int, n_ranks: int, mpi_library: str, commit: str) -> dict[str, Any]:
    """Plain values that tell how to repeat a start of a run."""
    return {
        "command": sys.argv,
        "started_utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "seed": seed,
        "n_ranks": n_ranks,
        "mpi_library": mpi_library,
        "commit": commit,
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "processor": _processor(),
        "threads": {name: os.environ[name] for name in _THREADS if name in os.environ},
        "slurm": {name: value for name, value in sorted(os.environ.items()) if name.startswith("SLURM_JOB_")},
    }


@functools.cache
def git_commit() -> str:
    """Commit of this checkout, with "+changes-" and a hash of them where it differs; "" outside of git.

    That of the first call, since what is loaded does not change. Starts a process: call it before MPI is initialised,
    which forbids that on some networks.
    """
    root = Path(__file__).resolve().parents[1]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    try:
        commit = _git_output(git, root, "rev-parse", "HEAD").strip()
        status = _git_output(git, root, "status", "--porcelain")
        if not status.strip():
            return commit
        changes = status + _git_output(git, root, "diff", "HEAD")
        return f"{commit}+changes-{hashlib.sha256(changes.encode()).hexdigest()[:12]}"
    except (OSError, subprocess.SubprocessError):
        return ""


def _git_output(git: str, root: Path, *arguments: str) -> str:
    command = [git, "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=10)
    return done.stdout


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """Model of the CPU: another one may round linear algebra differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
