"""HDF5 and other files, written as a whole or not at all; the one place that imports h5py.

Schema 1 of a record and of ``results.h5``: one group per table, one dataset per column, all columns of a table of
equal length: ``individuals`` (generation, individual, fitness, genome), ``episodes`` (generation, individual, episode,
env_seed, seconds and the measures), ``failures`` (generation, individual, episode, traceback), ``generations``
(generation, best, mean, sd, food of the best, mean_food, n_failed, seconds). Individuals are those evaluated in a
generation, numbered as asked: what an optimizer carries over unchanged is not repeated. A failed one has fitness NaN.
Spikes have files of their own, see `experiments.sonata`.
"""

from __future__ import annotations

import contextlib
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

SCHEMA = 1
Tables = Mapping[str, Mapping[str, NDArray[Any]]]

# How a SONATA file says in which order its spikes stand.
SORTING = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")


AnyPath = str | os.PathLike[str]


class StorageError(RuntimeError):
    """A file or folder is missing, cannot be created, or holds nothing that can be read."""


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file as a whole or not at all."""
    with temporary_beside(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        move(temporary, path)


def write_genomes(path: AnyPath, weights: NDArray[np.float64], delays: NDArray[np.float64]) -> None:
    """Write genes, each (n, n_synapses), in the form of the published files, as a whole or not at all."""
    with temporary_beside(path) as temporary:
        with temporary.open("wb") as handle:
            np.savez(handle, weights=weights, delays=delays)
        move(temporary, path)


@contextlib.contextmanager
def temporary_beside(path: AnyPath) -> Iterator[Path]:
    """A name beside `path` to write to; what is left there at the end of the block is removed.

    Raises
    ------
    StorageError : the folder of `path` does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StorageError(f"{path} cannot be written: the folder {path.parent} does not exist. Make it first.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def move(temporary: AnyPath, path: AnyPath) -> None:
    """Let a finished file take its place, safe against a power cut."""
    temporary, path = Path(temporary), Path(path)
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


def commit(path: AnyPath, write: Callable[[h5py.File], None], start_from: AnyPath | None = None) -> None:
    """Write an HDF5 file atomically, beginning with a copy of `start_from` or with nothing."""
    with temporary_beside(path) as temporary:
        if start_from is not None:
            shutil.copyfile(start_from, temporary)
        write_hdf5(temporary, write)
        move(temporary, path)


def write_hdf5(path: AnyPath, write: Callable[[h5py.File], None]) -> None:
    """Let `write` fill a new HDF5 file of ours, or add to an existing one."""
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = SCHEMA
        write(file)


@contextlib.contextmanager
def reading(path: AnyPath) -> Iterator[h5py.File]:
    """An HDF5 file; StorageError if it is missing, damaged, or lacks what the block reads."""
    path = Path(path)
    if not path.exists():
        raise StorageError(f"{path} does not exist: check the path.")
    if not path.is_file():
        raise StorageError(f"{path} is a folder: give the path of a file in it.")
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


def digest(path: AnyPath) -> str:
    """First half of the sha256 of a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:32]


def append_tables(file: h5py.File, tables: Tables) -> None:
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


def read_tables(file: h5py.File, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
    """Named tables of a file, by default all."""
    return {
        table: {
            column: data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]
            for column, data in group.items()
        }
        for table, group in file.items()
        if tables is None or table in tables
    }


def write_state(file: h5py.File, state: Mapping[str, Any]) -> None:
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


def read_state(file: h5py.File) -> dict[str, Any]:
    """What `write_state` wrote."""
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
