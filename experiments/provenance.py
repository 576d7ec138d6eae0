"""Where a result comes from: versions, commit, host, command."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("stigmergy", "nest-simulator", "numpy", "numba", "gymnasium", "h5py", "mpi4py")


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
        "slurm": {name: value for name, value in sorted(os.environ.items()) if name.startswith("SLURM_JOB_")},
    }


def git_commit() -> str:
    """Commit of this checkout, with "+changes" where it differs; "" outside of git.

    Starts a process: call it before MPI is initialised, which forbids that on some networks.
    """
    root = Path(__file__).resolve().parents[1]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    try:
        commit = _git_output(git, root, "rev-parse", "HEAD").strip()
        return f"{commit}+changes" if _git_output(git, root, "status", "--porcelain").strip() else commit
    except (OSError, subprocess.SubprocessError):
        return ""


def _git_output(git: str, root: Path, *arguments: str) -> str:
    command = [git, "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
