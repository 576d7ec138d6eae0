"""Download a data set of images: `stigmergy fetch-data NAME [--data FOLDER] [--url BASE] [--force]`.

A file gets its name only when its checksum is right. Nothing else in this project downloads anything.
"""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from experiments.command import Parser, checked_path, guarded
from experiments.console import report, say
from experiments.data_files import DATA_SETS, KnownFile, check_known, data_folder, find
from experiments.download import DownloadError, download, is_allowed
from experiments.files import DataError, StorageError, move, temporary_beside
from experiments.process import EXIT_DONE, EXIT_UNAVAILABLE
from experiments.settings import ConfigError

_SLACK = 2**20  # bytes that a gzip file may be longer than its content
_PIECE = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Archive:
    """One file that holds all files of a data set, among others."""

    name: str
    n_bytes: int
    sha256: str
    folder: str  # of the wanted files in it


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set is."""

    bases: tuple[str, ...]  # mirrors, tried in this order
    archive: Archive | None = None  # None: file by file
    suffix: str = ".gz"  # of the files there, and then here


SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    ),
    "fashion_mnist": Source(("https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",)),
    "emnist_letters": Source(
        ("https://biometrics.nist.gov/cs_links/EMNIST/",),
        Archive("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", "gzip"),
    ),
    "cifar10": Source(
        ("https://www.cs.toronto.edu/~kriz/",),
        Archive(
            "cifar-10-binary.tar.gz", 170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", "cifar-10-batches-bin",
        ),
        suffix="",
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy fetch-data", description=__doc__)
    parser.add_argument("name", choices=SOURCES, metavar="NAME", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument(
        "--data", type=checked_path, metavar="FOLDER", help="default: STIGMERGY_DATA, else ../shared/data if it exists"
    )
    parser.add_argument("--url", metavar="BASE", help="another mirror; the same files are expected there")
    parser.add_argument("--force", action="store_true", help="replace files that are damaged")
    try:
        return guarded(lambda: _fetch(parser.parse(arguments)))
    except DownloadError as error:
        return report(error, EXIT_UNAVAILABLE)


def _fetch(options: dict[str, Any]) -> int:
    name, base, folder = options["name"], options["url"], data_folder(options["data"])
    if base is not None and not is_allowed(base):
        raise ConfigError(f"--url {base} is not allowed: expected an address that begins with https://.")
    if not (options["data"] or folder.is_dir()):
        raise StorageError(f"the data folder {folder} does not exist: make it, or choose another one with --data.")
    files = {file.name: file for part in DATA_SETS[name][0].values() for file in part}
    missing = [file for file in files.values() if not _is_there(file, folder, options["force"])]
    if not missing:
        say(f"{name} is already there, whole, in {folder}")
        return EXIT_DONE
    source = SOURCES[name]
    bases = source.bases if base is None else (base,)
    for number, mirror in enumerate(bases, 1):
        try:
            _fetch_from(f"{mirror.rstrip('/')}/", source, missing, folder)
            break
        except (DownloadError, DataError) as error:
            if number == len(bases):
                raise
            say(f"{error} Trying the next mirror.")
    say(f"{name} is in {folder}")
    return EXIT_DONE


def _is_there(file: KnownFile, folder: Path, is_replaced: bool) -> bool:
    """Whether a file is there and whole; a damaged one is an error, unless it is to be replaced."""
    path = find(file, folder)
    if path is None:
        return False
    try:
        check_known(file, path)
    except DataError as error:
        if not is_replaced:
            raise DataError(f"{error} With --force it is downloaded again and replaced.") from None
        return False
    return True


def _fetch_from(base: str, source: Source, files: Sequence[KnownFile], folder: Path) -> None:
    """Download files that are missing or damaged, from one mirror."""
    for file in files:
        (folder / file.name).parent.mkdir(parents=True, exist_ok=True)
    if source.archive is None:
        for file in files:
            url = f"{base}{Path(file.name).name}{source.suffix}"
            with _new_file(file, folder, source.suffix, url) as temporary:
                download(url, temporary, file.n_bytes + _SLACK)
        return
    url = f"{base}{source.archive.name}"
    with temporary_beside((folder / files[0].name).with_name(source.archive.name)) as packed:
        sha256 = download(url, packed, source.archive.n_bytes)
        if sha256 != source.archive.sha256:
            raise DataError(f"{url} is another file: expected the sha256 {source.archive.sha256}, found {sha256}.")
        wanted = {f"{source.archive.folder}/{Path(file.name).name}{source.suffix}": file for file in files}
        for name, stream in _members(packed, source.archive.name.endswith(".zip"), wanted):
            file = wanted.pop(name)
            with _new_file(file, folder, source.suffix, f"{url}, {name}") as temporary, temporary.open("xb") as out:
                _copy(stream, out, file.n_bytes + _SLACK, f"{url}, {name}")
    if wanted:
        raise DataError(f"{url} is another file: expected {', '.join(wanted)} in it, found none of that name.")


@contextlib.contextmanager
def _new_file(file: KnownFile, folder: Path, suffix: str, origin: str) -> Iterator[Path]:
    """A name to write to; what is there at the end of the block takes its place if its checksum is right."""
    old, path = find(file, folder), folder / f"{file.name}{suffix}"
    with temporary_beside(path) as temporary:
        yield temporary
        try:
            check_known(file, temporary)
        except DataError as error:
            raise DataError(str(error).replace(str(temporary), origin)) from None
        move(temporary, path)
    if old is not None and old != path:
        old.unlink()


def _copy(stream: IO[bytes], out: IO[bytes], max_bytes: int, origin: str) -> None:
    n_read = 0
    while piece := stream.read(_PIECE):
        n_read += len(piece)
        if n_read > max_bytes:
            raise DataError(f"{origin} is too long: expected at most {max_bytes:,} bytes, found more.")
        out.write(piece)


def _members(packed: Path, is_zip: bool, wanted: Mapping[str, KnownFile]) -> Iterator[tuple[str, IO[bytes]]]:
    """Files in an archive that are still wanted, by name; nothing is written, so no other name in it matters."""
    if is_zip:
        with zipfile.ZipFile(packed) as archive:
            for name in sorted(wanted.keys() & set(archive.namelist())):
                with archive.open(name) as content:
                    yield name, content
        return
    with tarfile.open(packed, "r|gz") as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.name in wanted and member.isreg() else None
            if stream is not None:
                yield member.name, stream
