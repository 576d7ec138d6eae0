"""Small IDX files and data sets for tests."""

import gzip
import hashlib
import struct

import numpy as np

from experiments.data_files import DATA_SETS, KnownFile

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0], dtype=np.uint8)


def header(*shape, kind=0x08):
    """The bytes in front of the values."""
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx(array):
    """Content of an IDX file."""
    return header(*array.shape) + array.tobytes()


def known(name, array, content=None, **options):
    """An entry of the catalogue for a small file; `content` only if it is no IDX file, or packed."""
    sha256 = hashlib.sha256(idx(array) if content is None else content).hexdigest()
    return KnownFile(name, array.shape, sha256, **options)


def small_mnist(monkeypatch):
    """Let "mnist" be five images; returns the contents of its files by name."""
    files = {f"mnist/{split}-{kind}": array for split in ("a", "b") for kind, array in (("x", IMAGES), ("y", LABELS))}
    variant = {
        split: tuple(known(name, array) for name, array in files.items() if name.startswith(f"mnist/{first}"))
        for split, first in (("train", "a"), ("test", "b"))
    }
    monkeypatch.setitem(DATA_SETS, "mnist", (variant,))
    return {name: idx(array) for name, array in files.items()}


def put(folder, contents, is_packed=False):
    """Write files by name; as .gz if packed."""
    for name, content in contents.items():
        path = folder / (f"{name}.gz" if is_packed else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if is_packed else content)
    return folder
