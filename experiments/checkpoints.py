"""Checkpoints: the state before a generation, committed with one rename and checked by its hash.

A file is named ``gen_000013-<first half of its sha256>.h5``: state before generation 13. It holds ``arrays`` and
``state``, see `experiments.storage.write_state`, and since schema 2 ``manifest``: config, number of ranks, and the
versions that wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.files import DataError, move, temporary_beside
from experiments.storage import (
    check_schema,
    fill,
    read_json,
    read_state,
    reading,
    state_bytes,
    write_json,
    write_state,
)

_KEPT = 3
_ROOM = 2**16  # bytes for plain values and what HDF5 needs


class Checkpoint(NamedTuple):
    """A checkpoint that was read."""

    path: Path
    manifest: dict[str, Any]  # with schema and generation; of schema 1 nothing else
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run.

    Parameters
    ----------
    folder : existing folder
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, generation: int, state: Mapping[str, Any], manifest: Mapping[str, Any]) -> Path:
        """Commit the state before `generation`, then drop all but the last checkpoints.

        Parameters
        ----------
        state : nested dicts of arrays and plain values
        manifest : plain values that tell where it comes from

        Raises
        ------
        OSError : it cannot be written; the earlier ones stay.
        """

        def write(file: Any) -> None:
            write_json(file, "manifest", manifest)
            write_state(file, state)

        stem = f"gen_{generation:06d}"
        with temporary_beside(self.folder / f"{stem}.h5") as temporary:  # large states do not fit into memory twice
            fill(temporary, state_bytes(state) + _ROOM, write)
            path = self.folder / f"{stem}-{_digest(temporary)}.h5"
            move(temporary, path)
        older = [other for other in self.files() if _generation(other) < generation]
        same = [other for other in self.files() if _generation(other) == generation and other != path]
        for other in [*same, *older[_KEPT - 1 :]]:
            other.unlink()
        return path

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and why newer ones were refused.

        Returns
        -------
        checkpoint : None if the run has none yet
        refused : one sentence per damaged file

        Raises
        ------
        DataError : there are checkpoints, but all are damaged, or a newer version wrote the newest whole one.
        """
        refused = []
        for path in self.files():
            if not path.stem.endswith(_digest(path)):
                refused.append(f"{path.name} is damaged: its content does not match the hash in its name.")
                continue
            with reading(path) as file:
                schema = check_schema(file, path)
                manifest = read_json(file, "manifest") if schema > 1 else {}
                state = read_state(file) if schema > 1 else upgrade(read_state(file))
                return Checkpoint(path, manifest | {"schema": schema, "generation": _generation(path)}, state), refused
        if refused:
            raise DataError(f"no checkpoint in {self.folder} can be read. " + " ".join(refused))
        return None, []

    def files(self) -> list[Path]:
        """All of them, newest first."""
        return sorted(self.folder.glob("gen_*-*.h5"), key=lambda path: (_generation(path), path.name), reverse=True)


def upgrade(state: dict[str, Any]) -> dict[str, Any]:
    """A state of schema 1 in the form of this one: the genetic algorithm did not know its best individual yet."""
    optimizer, progress = dict(state["optimizer"]), state["progress"]
    if optimizer.get("algorithm") == "GeneticAlgorithm":
        optimizer.setdefault("best", progress["best_genome"][None])
        optimizer.setdefault("best_fitness", np.array([progress["best_fitness"]]))
    return {**state, "optimizer": optimizer}


def _generation(path: Path) -> int:
    digits = path.name[4:].split("-")[0]
    return int(digits) if digits.isdecimal() else -1


def _digest(path: Path) -> str:
    """First half of the sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while piece := handle.read(2**20):
            digest.update(piece)
    return digest.hexdigest()[:32]
