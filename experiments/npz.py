"""Arrays in npz files: written as a whole, and looked at before they are read."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.files import AnyPath, write_bytes

_MAX_BYTES = 2**30  # of all arrays of a file
_MAX_MEMBERS = 1000


def write_genomes(path: AnyPath, weights: NDArray[np.float64], delays: NDArray[np.float64]) -> None:
    """Write genes, each (n, n_synapses), in the form of the published files, as a whole or not at all."""
    content = io.BytesIO()
    np.savez(content, weights=weights, delays=delays)
    write_bytes(path, content.getvalue())


def read_arrays(path: AnyPath) -> dict[str, NDArray[Any]]:
    """Arrays of an npz file that may come from anybody; nothing is unpacked before its size was checked.

    Raises
    ------
    ValueError : it is no npz file of numbers and texts, is damaged, or declares more than 1 GB; names file and reason.
    """
    try:
        with Path(path).open("rb") as handle, zipfile.ZipFile(handle) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if len(members) > _MAX_MEMBERS or total > _MAX_BYTES:
                raise ValueError(f"it declares {len(members)} arrays of {total:,} bytes, more than {_MAX_BYTES:,}")
            if len({member.filename for member in members}) < len(members):
                raise ValueError("it holds two arrays of one name")
            for member in members:
                _check_header(archive, member)
            return {member.filename.removesuffix(".npy"): _read(archive, member) for member in members}
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} cannot be read as an npz file of numbers: {error}.") from None


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array whose shape does not fit the bytes that are there: numpy would reserve memory for it first."""
    with archive.open(member) as content:
        version = np.lib.format.read_magic(content)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"{member.filename} has the npy version {version}")
        shape, _, dtype = read(content)
        if dtype.kind not in "biufU":
            raise ValueError(f"{member.filename} holds values of type {dtype}, not numbers or texts")
        declared, there = math.prod(shape) * dtype.itemsize, member.file_size - content.tell()
        if declared != there:
            raise ValueError(f"{member.filename} declares {declared:,} bytes of values, but has {there:,}")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as content:
        array: NDArray[Any] = np.lib.format.read_array(content, allow_pickle=False)
        if content.read(1):  # up to the end, so that the checksum is compared
            raise ValueError(f"{member.filename} goes on after its values")
        return array
