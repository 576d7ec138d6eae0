"""The run folder: what a study leaves on disk, and how it goes on from there.

``runs/<name>/`` holds

- ``config.toml, provenance.json``: what was run, and how
- ``generations/gen_000012.h5``: the record of one generation, written once and atomically
- ``results.h5``: the records of many generations, merged from time to time and at the end
- ``checkpoints/gen_000013-<hash>.h5``: state before generation 13; the name carries the first half of its sha256
- ``spikes/gen_000012.h5``: spikes of the best individual in the SONATA layout

Every file is written beside its final name, synced and renamed, so a kill at any moment leaves whole files only.
The tables are described in `experiments.storage`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.sonata import write_sonata
from experiments.storage import (
    StorageError,
    Tables,
    append_tables,
    commit,
    digest,
    move,
    read_state,
    read_tables,
    reading,
    temporary_beside,
    write_hdf5,
    write_state,
    write_text,
)
from snn.spike_trains import SpikeTrains

_FOLDERS = ("generations", "checkpoints", "spikes")
_KEPT_CHECKPOINTS = 3
_MERGE_EVERY = 100  # generations; bounds the number of files of a long run


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path : an existing run folder; see `create`
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        missing = [name for name in ("config.toml", *_FOLDERS) if not (path / name).exists()]
        if missing:
            raise StorageError(
                f"{path} is no run folder: it has no {', no '.join(missing)}. Give the folder of an earlier run."
            )

    @staticmethod
    def check_new(path: Path) -> None:
        """Raise StorageError if there is something at `path` already."""
        if path.exists():
            raise StorageError(f"{path} exists already: continue it with --resume {path}, or choose another --name.")

    @classmethod
    def create(cls, path: Path, config_toml: str) -> RunFolder:
        """Make a new run folder.

        Raises
        ------
        StorageError : the folder exists, or cannot be made.
        """
        cls.check_new(path)
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StorageError(f"{path} cannot be made: {error.strerror}. Choose another folder with --runs.") from None
        for name in _FOLDERS:
            (path / name).mkdir()
        write_text(path / "config.toml", config_toml)
        return cls(path)

    def add_provenance(self, start: Mapping[str, Any]) -> None:
        """Append one start or resumption to ``provenance.json``, a list.

        Raises
        ------
        StorageError : the file was damaged.
        """
        path = self.path / "provenance.json"
        try:
            earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            write_text(path, json.dumps([*list(earlier), start], indent=2) + "\n")
        except ValueError as error:
            raise StorageError(f"{path} is damaged ({error}): move it away to go on without it.") from None

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; the system frees it even after a kill.

        Raises
        ------
        StorageError : another process is running in this folder.
        """
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(f"{self.path} is in use by another process: wait for it or stop it.") from None
            for leftover in self.path.rglob(".*.tmp"):  # of a killed process: this one is alone here now
                leftover.unlink()
            yield

    def write_generation(self, generation: int, tables: Tables) -> None:
        """Record one generation; from time to time the records are merged."""
        commit(self._record_path(generation), lambda file: append_tables(file, tables))
        if (generation + 1) % _MERGE_EVERY == 0:
            self.merge()

    def merge(self) -> None:
        """Move all records of single generations into ``results.h5``."""
        records = self._records()
        results = self.path / "results.h5"

        def write(file: Any) -> None:
            known = set(file["generations/generation"][:].tolist()) if "generations" in file else set()
            for record in records:
                if int(record.stem[4:]) not in known:
                    with reading(record) as source:
                        append_tables(file, read_tables(source))

        if records:
            commit(results, write, start_from=results if results.exists() else None)
            for record in records:
                record.unlink()

    def check_recorded(self, n_generations: int) -> None:
        """Make sure that the first generations are all on record.

        Raises
        ------
        StorageError : one is missing, or a file cannot be read.
        """
        table = self.read_results(["generations"])["generations"]
        recorded = set(table["generation"].tolist()) if table else set()
        missing = sorted(set(range(n_generations)) - recorded)
        if missing:
            raise StorageError(
                f"{self.path} has no record of generation {missing[0]} ({len(missing)} of {n_generations} missing): "
                "results.h5 or files of generations/ were removed. Put them back, or start a new run."
            )

    def read_results(self, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
        """Tables of the run so far, merged or not, ordered by generation; see the schema above.

        Parameters
        ----------
        tables : their names; None reads all, genomes included

        Raises
        ------
        StorageError : a file cannot be read.
        """
        results = self.path / "results.h5"
        merged: dict[str, dict[str, list[NDArray[Any]]]] = {table: {} for table in tables or ()}
        known: set[int] = set()
        for part in [*([results] if results.exists() else []), *self._records()]:
            with reading(part) as file:
                generations = set(file["generations/generation"][:].tolist())
                found = {} if generations & known else read_tables(file, tables)
            known |= generations
            for table, columns in found.items():
                for column, values in columns.items():
                    merged.setdefault(table, {}).setdefault(column, []).append(values)
        return {
            table: {column: np.concatenate(values) for column, values in columns.items()}
            for table, columns in merged.items()
        }

    def write_checkpoint(self, generation: int, state: Mapping[str, Any]) -> None:
        """Commit the state before `generation` and drop all but the last checkpoints.

        Parameters
        ----------
        state : nested dicts of arrays and plain values
        """
        folder = self.path / "checkpoints"
        with temporary_beside(folder / f"gen_{generation:06d}.h5") as temporary:
            write_hdf5(temporary, lambda file: write_state(file, state))
            move(temporary, folder / f"gen_{generation:06d}-{digest(temporary)}.h5")
        for old in self._checkpoints()[_KEPT_CHECKPOINTS:]:
            old.unlink()

    def read_checkpoint(self) -> tuple[dict[str, Any] | None, list[str]]:
        """State of the newest whole checkpoint, and why newer ones were refused.

        Returns
        -------
        state : None if the run has no checkpoint yet
        refused : one sentence per damaged file

        Raises
        ------
        StorageError : there are checkpoints, but all are damaged.
        """
        refused = []
        checkpoints = self._checkpoints()
        for path in checkpoints:
            if not path.stem.endswith(digest(path)):
                refused.append(f"{path.name} is damaged: its content does not match the hash in its name.")
                continue
            with reading(path) as file:
                return read_state(file), refused
        if checkpoints:
            raise StorageError(f"no checkpoint of {self.path} can be read. " + " ".join(refused))
        return None, []

    def write_spikes(self, generation: int, trains: SpikeTrains, attributes: Mapping[str, Any]) -> None:
        """Store spike trains in the SONATA layout that libsonata and BMTK read.

        Parameters
        ----------
        attributes : plain values that tell whose spikes these are
        """
        write_sonata(self.path / "spikes" / f"gen_{generation:06d}.h5", trains, attributes)

    def _record_path(self, generation: int) -> Path:
        return self.path / "generations" / f"gen_{generation:06d}.h5"

    def _records(self) -> list[Path]:
        """Records of single generations, oldest first."""
        return sorted((self.path / "generations").glob("gen_*.h5"))

    def _checkpoints(self) -> list[Path]:
        """Checkpoint files, newest first."""
        return sorted((self.path / "checkpoints").glob("gen_*-*.h5"), reverse=True)
