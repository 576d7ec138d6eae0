"""The run folder: durable records, checkpoints and spikes in HDF5; the one place that imports h5py.

``runs/<name>/`` holds

- ``config.toml, provenance.json``: what was run, and how
- ``generations/gen_000012.h5``: the record of one generation, written once and atomically
- ``results.h5``: the records of many generations, merged from time to time and at the end (schema below)
- ``checkpoints/gen_000013-<hash>.h5``: state before generation 13; the name carries the first half of its sha256
- ``spikes/gen_000012.h5``: spikes of the best individual in the SONATA layout

Every file is written beside its final name, synced and renamed, so a kill at any moment leaves whole files only.

Schema 1 of a record and of ``results.h5``: one group per table, one dataset per column, all columns of a table of
equal length: ``individuals`` (generation, individual, fitness, genome), ``episodes`` (generation, individual, episode,
env_seed, seconds and the measures), ``failures`` (generation, individual, episode, traceback), ``generations``
(generation, best, mean, sd, food of the best, mean_food, n_failed, seconds). Individuals are those evaluated in a
generation, numbered as asked: what an optimizer carries over unchanged is not repeated. A failed one has fitness NaN.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from snn.nest_network import Spikes

SCHEMA = 1
Tables = Mapping[str, Mapping[str, NDArray[Any]]]

_FOLDERS = ("generations", "checkpoints", "spikes")
_KEPT_CHECKPOINTS = 3
_MERGE_EVERY = 100  # generations; bounds the number of files of a long run
_SPIKE_CHUNK = 16384
_SORTING = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")


class StorageError(RuntimeError):
    """A run folder cannot be created, or holds nothing that can be read."""


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

    @classmethod
    def create(cls, path: Path, config_toml: str) -> RunFolder:
        """Make a new run folder.

        Raises
        ------
        StorageError : the folder exists, or cannot be made.
        """
        if path.exists():
            raise StorageError(f"{path} exists already: continue it with --resume {path}, or choose another --name.")
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
        _commit(self._record_path(generation), lambda file: _append_tables(file, tables))
        if (generation + 1) % _MERGE_EVERY == 0:
            self.merge()

    def merge(self) -> None:
        """Move all records of single generations into ``results.h5``."""
        records = self._records()
        results = self.path / "results.h5"

        def write(file: h5py.File) -> None:
            known = set(file["generations/generation"][:].tolist()) if "generations" in file else set()
            for record in records:
                if int(record.stem[4:]) not in known:
                    with _reading(record) as source:
                        _append_tables(file, _read_tables(source))

        if records:
            _commit(results, write, start_from=results if results.exists() else None)
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
            with _reading(part) as file:
                generations = set(file["generations/generation"][:].tolist())
                found = {} if generations & known else _read_tables(file, tables)
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
        with _temporary(folder / f"gen_{generation:06d}.h5") as temporary:
            with h5py.File(temporary, "w") as file:
                file.attrs["schema"] = SCHEMA
                _write_state(file, state)
            _move(temporary, folder / f"gen_{generation:06d}-{_digest(temporary)}.h5")
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
            if not path.stem.endswith(_digest(path)):
                refused.append(f"{path.name} is damaged: its content does not match the hash in its name.")
                continue
            with h5py.File(path, "r") as file:
                return _read_state(file), refused
        if checkpoints:
            raise StorageError(f"no checkpoint of {self.path} can be read. " + " ".join(refused))
        return None, []

    def write_spikes(self, generation: int, populations: Mapping[str, Spikes], attributes: Mapping[str, Any]) -> None:
        """Store spike trains in the SONATA layout that libsonata and BMTK read.

        Parameters
        ----------
        populations : name to spikes sorted by time; `Spikes.neurons` become the node ids
        attributes : plain values that tell whose spikes these are
        """

        def write(file: h5py.File) -> None:
            file.attrs["magic"] = np.uint32(0x0A7A)
            file.attrs["version"] = np.array([0, 1], dtype=np.uint32)
            for name, value in attributes.items():
                file.attrs[name] = value
            for population, spikes in populations.items():
                _write_spike_trains(file.create_group(f"spikes/{population}"), spikes)

        _commit(self.path / "spikes" / f"gen_{generation:06d}.h5", write)

    def _record_path(self, generation: int) -> Path:
        return self.path / "generations" / f"gen_{generation:06d}.h5"

    def _records(self) -> list[Path]:
        """Records of single generations, oldest first."""
        return sorted((self.path / "generations").glob("gen_*.h5"))

    def _checkpoints(self) -> list[Path]:
        """Checkpoint files, newest first."""
        return sorted((self.path / "checkpoints").glob("gen_*-*.h5"), reverse=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all."""
    with _temporary(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        _move(temporary, path)


def write_genomes(path: Path, weights: NDArray[np.float64], delays: NDArray[np.float64]) -> None:
    """Write genes, each (n, n_synapses), in the form of the published files, as a whole or not at all."""
    with _temporary(path) as temporary:
        with temporary.open("wb") as handle:
            np.savez(handle, weights=weights, delays=delays)
        _move(temporary, path)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is left there at the end of the block is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _move(temporary: Path, path: Path) -> None:
    """Let a finished file take its place, safe against a power cut."""
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def _commit(path: Path, write: Callable[[h5py.File], None], start_from: Path | None = None) -> None:
    """Write an HDF5 file atomically, beginning with a copy of `start_from` or with nothing."""
    with _temporary(path) as temporary:
        if start_from is not None:
            shutil.copyfile(start_from, temporary)
        with h5py.File(temporary, "a") as file:
            file.attrs["schema"] = SCHEMA
            write(file)
        _move(temporary, path)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file of ours, or StorageError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError) as error:
        raise StorageError(f"{path} is damaged ({error}): put a copy in its place, or start a new run.") from None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def _append_tables(file: h5py.File, tables: Tables) -> None:
    """Add rows to the tables of a file, which are made at their first rows."""
    for table, columns in tables.items():
        for column, values in columns.items():
            name = f"{table}/{column}"
            if name not in file:
                kind = h5py.string_dtype() if values.dtype.kind in "UO" else values.dtype
                shape = (None, *values.shape[1:])
                file.create_dataset(
                    name, (0, *values.shape[1:]), kind, maxshape=shape, chunks=True, compression="gzip", shuffle=True
                )
            data = file[name]
            n_rows = len(data)
            data.resize(n_rows + len(values), axis=0)
            data[n_rows:] = values.astype(object) if values.dtype.kind == "U" else values


def _read_tables(file: h5py.File, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
    """Named tables of a file, by default all."""
    return {
        table: {
            column: data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]
            for column, data in group.items()
        }
        for table, group in file.items()
        if tables is None or table in tables
    }


def _write_state(file: h5py.File, state: Mapping[str, Any]) -> None:
    """Nested dicts of arrays (as datasets) and plain values (as one JSON text)."""

    def strip(node: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        plain = {}
        for key, value in node.items():
            if isinstance(value, np.ndarray):
                file.create_dataset(f"arrays/{prefix}{key}", data=value)
            else:
                plain[key] = strip(value, f"{prefix}{key}/") if isinstance(value, Mapping) else value
        return plain

    file.attrs["state"] = json.dumps(strip(state, ""))


def _read_state(file: h5py.File) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(file.attrs["state"])

    def restore(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            *parents, key = name.split("/")
            node = state
            for parent in parents:
                node = node.setdefault(parent, {})
            node[key] = item[()]

    if "arrays" in file:
        file["arrays"].visititems(restore)
    return state


def _write_spike_trains(group: h5py.Group, spikes: Spikes) -> None:
    """One population; scaleoffset, because the gzip filter is missing in libsonata's wheel."""
    group.attrs.create("sorting", 2, dtype=_SORTING)
    options = {"maxshape": (None,), "chunks": (_SPIKE_CHUNK,)}
    # Decimals that write every multiple of the resolution exactly.
    decimals = next(n for n in range(1, 10) if (spikes.resolution_ms * 10**n).is_integer())
    times_ms = spikes.steps * spikes.resolution_ms
    times = group.create_dataset("timestamps", data=times_ms, scaleoffset=decimals, **options)
    times.attrs["units"] = "ms"
    group.create_dataset("node_ids", data=spikes.neurons.astype(np.uint32), scaleoffset=0, **options)
