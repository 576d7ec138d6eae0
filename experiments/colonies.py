"""Colonies to look at: the best one of a run, or one of a file of genomes, with the world it lives in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.config import AntsConfig, load_config
from experiments.evaluate import read_genomes
from experiments.files import StorageError
from experiments.settings import ConfigError
from optim.base import Array


class Colony(NamedTuple):
    """A genome and its settings."""

    name: str  # of the run or the file
    genome: Array  # (genome_size,)
    config: AntsConfig


def read_colony(path: Path, row: int | None, flags: Mapping[str, Any]) -> Colony:
    """The best colony of a run folder in the world of the run, or one of an npz file in the published test world.

    Parameters
    ----------
    path : run folder of the ant study, or npz file with weights and delays
    row : which genome of a file; None: the first
    flags : settings by dotted name that override those of the run, see `experiments.config.load_config`

    Raises
    ------
    ConfigError : the file or the settings cannot be used, or `row` is given for a run.
    StorageError : the run has not saved its best colony yet.
    """
    if path.is_dir():
        if row is not None:
            raise ConfigError(f"--genome {row} has no effect: {path} is a run folder, whose best colony is taken.")
        config = load_config(path / "config.toml", flags)
        if not (path / "best.npz").exists():
            raise StorageError(f"{path} has no best.npz yet: it is written when the run ends or is stopped.")
        genomes, n_hidden, _ = read_genomes(path / "best.npz", 0)
    else:
        genomes, n_hidden, _ = read_genomes(path, row or 0)
        config = load_config(None, {"preset": "published_test", "brain.n_hidden": n_hidden} | dict(flags))
    brain = dataclasses.replace(config.brain, n_hidden=n_hidden)
    return Colony(path.resolve().name, genomes[0], dataclasses.replace(config, brain=brain))
