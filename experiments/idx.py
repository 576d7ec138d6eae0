"""Arrays of bytes in IDX files, plain or gzipped, from anybody: a header is checked before its promise is believed.

The format: two zero bytes, the type of the values (0x08: unsigned bytes), the number of dimensions, each dimension as a
big-endian number of four bytes, then the values, last dimension fastest.
Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section on file formats.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from experiments.files import AnyPath, DataError

MAX_BYTES = 2**30  # of values in a file

_UNSIGNED_BYTE = 0x08
_MAX_DIMENSIONS = 8
_PIECE = 2**20  # bytes that are read, or unpacked, at once
_GZIP = b"\x1f\x8b"


def read_idx(path: AnyPath) -> NDArray[np.uint8]:
    """Array of an IDX file of unsigned bytes; whether it is gzipped is seen from its content, not from its name.

    At most one piece of 1 MB beyond what the header promises, and never more than `MAX_BYTES`, gets into memory.

    Returns
    -------
    (...) uint8, read-only, 1 to 8 dimensions

    Raises
    ------
    DataError : no IDX file of unsigned bytes, values missing or too many, damaged gzip; names file, expected and found.
    OSError : it cannot be opened.
    """
    return read_array(path)[0]


def read_array(
    path: AnyPath, shape: tuple[int, ...] | None = None, has_header: bool = True
) -> tuple[NDArray[np.uint8], str]:
    """Array of bytes in a file, and the sha256 of its content, unpacked.

    Parameters
    ----------
    shape : what it must have; None for what the header says
    has_header : False for a file of values only, which needs a `shape`

    Returns
    -------
    (...) uint8, read-only ; str of 64 hexadecimal digits

    Raises
    ------
    DataError, OSError : see `read_idx`; another shape, too.
    """
    path = Path(path)
    content = bytearray()
    with opened(path) as (stream, n_stored):
        found = _read_shape(stream, content, path) if has_header or shape is None else shape
        if shape not in (None, found):
            raise DataError(
                f"{path}: expected the shape {shape}, found {found}. Get it again; a file of your own keeps another "
                "name and is read with experiments.idx.read_idx."
            )
        n_values, n_header = math.prod(found), len(content)
        _check_size(found, n_values, path)
        if n_stored is not None and n_stored - n_header != n_values:
            raise _wrong_size(path, found, f"{n_stored - n_header:,}")
        _take(stream, n_header + n_values, content)
        if len(content) < n_header + n_values:
            raise _wrong_size(path, found, f"{len(content) - n_header:,}")
        if stream.read(1):  # at the end of a gzip stream this compares its checksum
            raise _wrong_size(path, found, "more")
    values = np.frombuffer(content, np.uint8)[n_header:].reshape(found)
    values.flags.writeable = False
    return values, hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file to read from, unpacked if it is gzipped, and its size in bytes, None if that is not known beforehand.

    Raises
    ------
    DataError : the gzip stream turns out to be damaged while the block reads; names the file.
    OSError : it cannot be opened.
    """
    with path.open("rb") as raw:
        begin = raw.read(len(_GZIP))
        raw.seek(0)
        if begin != _GZIP:
            yield raw, os.fstat(raw.fileno()).st_size
            return
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream, None  # type: ignore[misc]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            reason = str(error).rstrip(".")
            raise DataError(f"{path} is damaged: expected a whole gzip file, found: {reason}. Get it again.") from None


def _take(stream: BinaryIO, n_bytes: int, content: bytearray) -> None:
    """Read piece by piece until `content` has so many bytes, or the stream ends."""
    while len(content) < n_bytes and (piece := stream.read(min(_PIECE, n_bytes - len(content)))):
        content += piece


def _read_shape(stream: BinaryIO, content: bytearray, path: Path) -> tuple[int, ...]:
    """Dimensions of an IDX file; its header is added to `content`."""
    _take(stream, 4, content)
    magic = bytes(content)
    if len(magic) < 4 or magic[:3] != bytes([0, 0, _UNSIGNED_BYTE]) or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{path} is no IDX file of unsigned bytes: expected the magic number 0x00000801 … "
            f"0x0000080{_MAX_DIMENSIONS}, found {f'0x{magic.hex()}' if magic else 'nothing'}."
        )
    n_header = 4 + 4 * magic[3]
    _take(stream, n_header, content)
    if len(content) < n_header:
        raise DataError(
            f"{path} is damaged: expected a header of {n_header} bytes, found {len(content)}. Get it again."
        )
    return tuple(np.frombuffer(content, ">u4", offset=4).tolist())


def _check_size(shape: tuple[int, ...], n_values: int, path: Path) -> None:
    if math.prod(max(n, 1) for n in shape) > MAX_BYTES:
        raise DataError(
            f"{path} is refused: its header promises {n_values:,} bytes for the shape {shape}, "
            f"expected at most {MAX_BYTES:,}."
        )


def _wrong_size(path: Path, shape: tuple[int, ...], found: str) -> DataError:
    expected = f"expected {math.prod(shape):,} bytes of values for the shape {shape}"
    return DataError(f"{path} is damaged: {expected}, found {found}. Get it again.")
