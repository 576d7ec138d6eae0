"""Files that are written as a whole or not at all, and what to say when a disk is full."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

AnyPath = str | os.PathLike[str]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StorageError(RuntimeError):
    """A file or folder is missing, in use, or cannot be created."""


class DataError(StorageError):
    """A file is damaged, or of a kind or version that cannot be read here."""


class MissingError(DataError):
    """A file is not there, though another one tells of it."""


def write_text(path: AnyPath, text: str) -> None:
    """Write a text file as a whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: AnyPath, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises
    ------
    StorageError : the folder of `path` does not exist.
    OSError : it cannot be written, e.g. on a full disk; names the file.
    """
    with temporary_beside(path) as temporary:
        with temporary.open("xb") as handle:
            handle.write(content)
        move(temporary, path)


@contextlib.contextmanager
def temporary_beside(path: AnyPath) -> Iterator[Path]:
    """A name beside `path` to write to; what is left there at the end of the block is removed.

    Raises
    ------
    StorageError : the folder of `path` does not exist.
    OSError : as the block raised it, with the name of the file.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StorageError(f"{path} cannot be written: the folder {path.parent} does not exist. Make it first.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # nobody can have planted a link there
    try:
        yield temporary
    except OSError as error:
        raise named(error, path) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def move(temporary: AnyPath, path: AnyPath) -> None:
    """Let a finished file take its place, safe against a power cut."""
    temporary, path = Path(temporary), Path(path)
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def named(error: OSError, path: AnyPath) -> OSError:
    """The same error with the name of the file: what `write` raises has none, and temporary names tell nobody much."""
    return OSError(error.errno, error.strerror or str(error), os.fspath(path))


def explain(error: OSError, folder: Path) -> str:
    """What went wrong with which file; on a full disk also how many bytes are free.

    Parameters
    ----------
    folder : where the program writes, if the error names no file
    """
    path = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder
    reason = error.strerror or str(error)
    if error.errno not in _NO_SPACE:
        return f"{path}: {reason}."
    return (
        f"{path} cannot be written: {reason}, {free_bytes(path):,} bytes are free. What was committed before is whole: "
        "make room, then continue with --resume."
    )


def free_bytes(path: Path) -> int:
    """Bytes that may still be written where `path` is, or will be."""
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.is_dir())
    return shutil.disk_usage(existing).free
