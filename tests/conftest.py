"""Fixtures and helpers that several test folders share."""

from __future__ import annotations

import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("STIGMERGY_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk():
    """Nothing that is written in this process need survive a power cut; those who test what is synced see to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def published_ants() -> Path:
    """Folder of the published genomes and recordings."""
    folder = DATA / "published_ants"
    if not folder.is_dir():
        pytest.skip(f"no published data in {folder}; set STIGMERGY_DATA to the folder that holds published_ants/")
    return folder


@pytest.fixture(scope="session")
def published_genome(published_ants):
    """Function (generation, individual) -> (genome, AntBrainConfig) of a published colony with pheromone."""
    from snn import AntBrainConfig, load_published_genomes

    path = published_ants / "fitness_full_genomes.npz"
    genomes, n_hidden = load_published_genomes(path)
    with np.load(path) as data:
        names = list(zip(data["generation"].tolist(), data["individual"].tolist(), strict=True))
    return lambda generation, individual: (
        genomes[names.index((generation, individual))],
        AntBrainConfig(n_hidden=n_hidden),
    )


@pytest.fixture
def run_python(tmp_path):
    """Function that runs Python code or arguments in a fresh process, in an empty folder."""

    def run(*arguments: str, env: dict[str, str] | None = None, timeout: float = 120):
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
        )

    return run
