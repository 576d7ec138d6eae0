"""HDF5: tables, states and links, and what is looked at before a file is read. The one place that imports h5py.

HDF5 ends the process with a segmentation fault when a disk is full (h5py 3.16, HDF5 2.0: its cache cannot be written
back when the file is closed). So every file is formed in memory and written by `experiments.files`; only what grows
without bound, `grow`, is written by HDF5 itself, into space that is reserved first.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from experiments.files import AnyPath, DataError, StorageError, move, temporary_beside, write_bytes
from optim.tasks import readable

SCHEMA = 2  # of records, results and checkpoints; see `experiments.records` and `experiments.checkpoints`
Tables = Mapping[str, Mapping[str, NDArray[Any]]]

# How a SONATA file says in which order its spikes stand.
SORTING = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1")

# What a file may declare: an absurd size, or a filter that loads foreign code, is refused before anything is read.
_MAX_OBJECTS = 100_000
_SMALL = 2**26  # bytes that a data set may declare however little it stores
_MAX_COMPRESSION = 4000  # deflate reaches 1032, scaleoffset of equal values 3100
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT, h5py.h5z.FILTER_SCALEOFFSET, h5py.h5z.FILTER_LZF,
}  # fmt: skip


def commit(path: AnyPath, write: Callable[[h5py.File], None], start_from: AnyPath | None = None) -> None:
    """Write an HDF5 file of ours atomically, beginning with the content of `start_from` or with nothing.

    Raises
    ------
    StorageError : the folder of `path` does not exist.
    OSError : it cannot be written, e.g. on a full disk.
    """
    write_bytes(path, to_bytes(write, b"" if start_from is None else Path(start_from).read_bytes()))


def to_bytes(write: Callable[[h5py.File], None], start_from: bytes = b"") -> bytes:
    """Content of an HDF5 file of ours, formed in memory."""
    content = io.BytesIO(start_from)
    with h5py.File(content, "r+" if start_from else "w") as file:
        file.attrs["schema"] = SCHEMA
        write(file)
    return content.getvalue()


def grow(path: AnyPath, n_bytes: int, write: Callable[[h5py.File], None]) -> None:
    """Add to a file of ours, which is made if there is none; it grows in a copy that takes its place.

    Parameters
    ----------
    n_bytes : how much is added, uncompressed; so much room is reserved, that HDF5 never meets a full disk

    Raises
    ------
    OSError : there is not enough room.
    """
    with temporary_beside(path) as temporary:
        if Path(path).exists():
            shutil.copyfile(path, temporary)
        fill(temporary, n_bytes, write)
        move(temporary, path)


def fill(path: Path, n_bytes: int, write: Callable[[h5py.File], None]) -> None:
    """Add to a file of ours in place, or to a new one, with nothing of it in memory; arguments and errors as `grow`."""
    if not path.exists():
        path.write_bytes(to_bytes(lambda file: None))
    with path.open("rb+") as handle:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(handle.fileno(), path.stat().st_size, n_bytes)
    with h5py.File(path, "r+", locking="best-effort") as file:
        write(file)


def write_links(path: AnyPath, files: Mapping[str, str]) -> None:
    """An index that shows the content of other files in the same folder as groups of one file.

    Parameters
    ----------
    files : name of a group to name of a file
    """

    def write(index: h5py.File) -> None:
        for name, file in files.items():
            index[name] = h5py.ExternalLink(file, "/")

    commit(path, write)


@contextlib.contextmanager
def reading(path: AnyPath) -> Iterator[h5py.File]:
    """An HDF5 file that may come from anybody: what could reach other files or fill the memory is refused.

    Raises
    ------
    StorageError : it is missing.
    DataError : it is damaged, lacks what the block reads, or holds links, virtual or external data, references,
        unknown filters or absurd sizes.
    """
    path = Path(path)
    if not path.exists():
        raise StorageError(f"{path} does not exist: check the path.")
    if not path.is_file():
        raise StorageError(f"{path} is a folder: give the path of a file in it.")
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            _check_harmless(file, path)
            yield file
    except StorageError:
        raise
    except (FileNotFoundError, PermissionError) as error:  # gone since we looked: a running process moved its content
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from None
    except (OSError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:  # what damage leads to
        raise DataError(f"{path} is damaged ({error}): put a copy in its place, or start a new run.") from None


def check_schema(file: h5py.File, path: Path) -> int:
    """Schema version of a file of ours.

    Raises
    ------
    DataError : it was not written by stigmergy, or by a newer version than this one.
    """
    schema = file.attrs.get("schema")
    if not isinstance(schema, int | np.integer) or schema < 1:
        raise DataError(f"{path} states no schema version: it was not written by stigmergy.")
    if schema > SCHEMA:
        raise DataError(f"{path} has schema {schema}, this version reads up to {SCHEMA}: use a newer stigmergy for it.")
    return int(schema)


def _check_harmless(file: h5py.File, path: Path) -> None:
    """Look at every object without reading data; groups that contain each other are visited once."""
    waiting, seen, n_objects = [file["/"]], {h5py.h5o.get_info(file["/"].id).addr}, 0
    while waiting:
        group = waiting.pop()
        for name in group:
            n_objects += 1
            if n_objects > _MAX_OBJECTS:
                raise DataError(f"{path} is refused: it has more than {_MAX_OBJECTS:,} objects.")
            where = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{path} is refused: {where} is a link to another place.")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                if reason := _danger(item):
                    raise DataError(f"{path} is refused: {where} {reason}.")
            elif isinstance(item, h5py.Group) and (address := h5py.h5o.get_info(item.id).addr) not in seen:
                seen.add(address)
                waiting.append(item)


def _danger(data: h5py.Dataset) -> str:
    """Why a data set is not read; empty if it is."""
    form = data.id.get_create_plist()
    if form.get_layout() == h5py.h5d.VIRTUAL or form.get_external_count():  # before its shape: that opens the others
        return "takes its values from other files"
    filters = {form.get_filter(index)[0] for index in range(form.get_nfilters())}
    if filters - _FILTERS:
        return f"needs the filter {min(filters - _FILTERS)}, which may load foreign code"
    if data.dtype.kind not in "biufS" and h5py.check_string_dtype(data.dtype) is None:
        return f"holds values of type {data.dtype}; only numbers and texts are read"
    if data.shape is None:
        return "has no values"
    declared = data.dtype.itemsize * max(math.prod(data.shape), math.prod(data.chunks or (0,)))
    if declared > max(_SMALL, _MAX_COMPRESSION * data.id.get_storage_size()):
        return f"declares {declared:,} bytes, but stores {data.id.get_storage_size():,}"
    return ""


def write_tables(file: h5py.File, tables: Tables) -> None:
    """Tables of a file that is written once: small, without room to grow."""
    for table, columns in tables.items():
        for column, values in columns.items():
            kind = h5py.string_dtype() if values.dtype.kind in "UO" else None
            file.create_dataset(f"{table}/{column}", data=_storable(values), dtype=kind)


def append_tables(file: h5py.File, tables: Tables) -> None:
    """Add rows to the tables of a file, which are made at their first rows.

    A column of floats that the file or the rows lack is filled with NaN.

    Raises
    ------
    DataError : another column is missing.
    """
    for table, columns in tables.items():
        if not columns:
            continue
        group = file.require_group(table)
        n_before = len(next(iter(group.values()))) if len(group) else 0
        n_after = n_before + len(next(iter(columns.values())))
        for column in sorted({*group, *columns}):
            if column not in group:
                _create_column(group, column, columns[column], n_before)
            data = group[column]
            if column not in columns and data.dtype.kind != "f" and n_after > n_before:
                raise DataError(f"{file.filename} has a column {table}/{column}, which the new rows lack.")
            data.resize(n_after, axis=0)
            values = columns.get(column, np.array(np.nan))
            data[n_before:] = _storable(values)


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    """A column as HDF5 takes it: texts may come from any task."""
    return np.array([readable(text) for text in values], dtype=object) if values.dtype.kind in "UO" else values


def _create_column(group: h5py.Group, column: str, values: NDArray[Any], n_rows: int) -> None:
    """A column that can grow; rows before its first value are NaN."""
    kind = h5py.string_dtype() if values.dtype.kind in "UO" else values.dtype
    if n_rows and values.dtype.kind != "f":
        raise DataError(f"{group.file.filename} has rows of {group.name} without {column}.")
    shape = (n_rows, *values.shape[1:])
    options = {"maxshape": (None, *values.shape[1:]), "chunks": True, "compression": "gzip", "shuffle": True}
    data = group.create_dataset(column, shape, kind, **options)
    if n_rows:
        data[:] = np.nan


def read_tables(file: h5py.File, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
    """Named tables of a file, by default all; texts as str."""
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

    write_json(file, "state", strip(state, ""))


def state_bytes(state: Mapping[str, Any]) -> int:
    """Room that the arrays of a state take in a file, each with its header."""
    parts = (
        state_bytes(value) if isinstance(value, Mapping) else getattr(value, "nbytes", 0) for value in state.values()
    )
    return sum(parts) + 1024 * len(state)


def read_state(file: h5py.File) -> dict[str, Any]:
    """What `write_state` wrote, in this version or in schema 1."""
    state: dict[str, Any] = read_json(file, "state") if "state" in file else json.loads(file.attrs["state"])

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


def write_json(file: h5py.File, name: str, value: Mapping[str, Any]) -> None:
    """Plain values as a data set: attributes end at 64 kB."""
    file.create_dataset(name, data=np.frombuffer(json.dumps(value).encode(), dtype=np.uint8))


def read_json(file: h5py.File, name: str) -> dict[str, Any]:
    """What `write_json` wrote."""
    return dict(json.loads(file[name][:].tobytes()))
