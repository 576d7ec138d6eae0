"""The files of public image data sets: where they are looked for, their shapes, their checksums.

Checksums are those of the content, unpacked: mirrors pack the same bytes differently. Those of MNIST, Fashion-MNIST and
EMNIST letters (test) were computed from files whose packed form has the md5 that torchvision or Deeplearning4j gives,
those of the parts of CIFAR-10 from the files at hand. Those of EMNIST letters (training; only known packed) and of the
batches of CIFAR-10 are as published by others (EMNIST: two lists that agree; CIFAR-10: torchvision for Ruby), untried.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.files import AnyPath, DataError, StorageError
from experiments.idx import read_array

SPLITS = ("train", "test")
CIFAR_RECORD = 1 + 3 * 32 * 32  # bytes: label, then the red, green and blue pixels


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that is the same for everybody."""

    name: str  # below the data folder, without .gz
    shape: tuple[int, ...]  # of its values, bytes
    sha256: str  # of its content
    is_packed: bool = False  # the checksum is that of the gzip file, the only one that is published
    has_header: bool = True  # an IDX file; otherwise values only

    @property
    def n_bytes(self) -> int:
        """Length of its content."""
        return math.prod(self.shape) + (4 + 4 * len(self.shape)) * self.has_header


Variant = dict[str, tuple[KnownFile, ...]]  # files by split


def _idx_pair(images: str, labels: str, n: int, sha256: tuple[str, str], **options: bool) -> tuple[KnownFile, ...]:
    return (
        KnownFile(f"{images}-idx3-ubyte", (n, 28, 28), sha256[0], **options),
        KnownFile(f"{labels}-idx1-ubyte", (n,), sha256[1], **options),
    )


def _records(name: str, n: int, sha256: str) -> KnownFile:
    return KnownFile(name, (n, CIFAR_RECORD), sha256, has_header=False)


_MNIST: Variant = {
    "train": _idx_pair("mnist/train-images", "mnist/train-labels", 60_000, (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    )),
    "test": _idx_pair("mnist/t10k-images", "mnist/t10k-labels", 10_000, (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )),
}  # fmt: skip
_FASHION: Variant = {
    "train": _idx_pair("fashion/train-images", "fashion/train-labels", 60_000, (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    )),
    "test": _idx_pair("fashion/t10k-images", "fashion/t10k-labels", 10_000, (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    )),
}  # fmt: skip
_LETTERS = "emnist-letters/emnist-letters-"
_EMNIST: Variant = {
    "train": _idx_pair(f"{_LETTERS}train-images", f"{_LETTERS}train-labels", 124_800, (
        "6288f418a917e007bf5fddb823a2dc7a5c6a35031401b93292a539cb12bd881f",
        "9759af91ea6bccdf07a6040fd085861f2ec88e37f7c3f5760f6feb57106fbe5c",
    ), is_packed=True),
    "test": _idx_pair(f"{_LETTERS}test-images", f"{_LETTERS}test-labels", 20_800, (
        "d5895e82d14765b22a84342337bc5c25f1affd61cc97d3821d4e65504bbf8dbc",
        "22dbcde0a929a7f166bdac863b9195b2994d840a1e082f8f6daaeac5606376a6",
    )),
}  # fmt: skip
_BATCHES = (
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
)
_TEST_BATCH = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"
_FIRST_4000 = "0993cf8b8e43bc207603aef9787006995746513f5e3fa5a52e06d1b069926330"
_FIRST_1000 = "8314c96d7cd65618193bab23acdd5d4c4af15bf6dd00a1781d55beedf3be1ef5"
_CIFAR: Variant = {
    "train": tuple(
        _records(f"cifar-10-batches-bin/data_batch_{number}.bin", 10_000, sha256)
        for number, sha256 in enumerate(_BATCHES, 1)
    ),
    "test": (_records("cifar-10-batches-bin/test_batch.bin", 10_000, _TEST_BATCH),),
}
_CIFAR_PART: Variant = {
    "train": (_records("cifar10-subset/data_batch_1.first4000.bin", 4_000, _FIRST_4000),),
    "test": (_records("cifar10-subset/test_batch.first1000.bin", 1_000, _FIRST_1000),),
}

# The first variant of which any file exists is read, whole; the first one is what is downloaded.
DATA_SETS: dict[str, tuple[Variant, ...]] = {
    "mnist": (_MNIST,),
    "fashion_mnist": (_FASHION,),
    "emnist_letters": (_EMNIST,),
    "cifar10": (_CIFAR, _CIFAR_PART),
}


def data_folder(folder: AnyPath | None = None) -> Path:
    """The folder of all data sets: `folder`, else the environment variable STIGMERGY_DATA, else ../shared/data."""
    root = Path(__file__).resolve().parents[1]
    return Path(folder or os.environ.get("STIGMERGY_DATA") or root.parent / "shared" / "data")


def use_data_folder(arguments: Sequence[str] | None) -> None:
    """Let the --data of a command line choose the folder of all data sets, in this process and those it starts.

    Every rank calls it before it reads images; the parser of rank 0 tells what is wrong with the rest of the line.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data", nargs="?")
    if folder := parser.parse_known_args(arguments)[0].data:
        os.environ["STIGMERGY_DATA"] = folder


def find(file: KnownFile, folder: Path) -> Path | None:
    """Path of a known file, packed or not; None if there is neither."""
    plain = folder / file.name
    packed = plain.with_name(f"{plain.name}.gz")
    return next((path for path in (packed, plain) if path.exists()), None)


def chosen_files(name: str, split: str, folder: Path) -> tuple[KnownFile, ...]:
    """Files of a part of a data set: those of the first variant of which any file exists."""
    variants = DATA_SETS[name]
    there = (v for v in variants if any(find(file, folder) for part in v.values() for file in part))
    return next(there, variants[0])[split]


def read_known(name: str, file: KnownFile, folder: Path) -> tuple[NDArray[np.uint8], Path, str]:
    """Values of a file of the data set `name`, read-only, its path, and its checksum (see `KnownFile`).

    Raises
    ------
    StorageError : it is missing; says where it was looked for and how to get it.
    DataError : it is damaged or another file; names it, what was expected and what was found.
    """
    path = find(file, folder)
    if path is None:
        raise StorageError(
            f"{folder / file.name} is missing, and so is {Path(file.name).name}.gz. The data folder is {folder}: set "
            f"another with STIGMERGY_DATA or --data, or download what is missing: stigmergy fetch-data {name}"
        )
    values, sha256 = check_known(file, path)
    return values, path, sha256


def check_known(file: KnownFile, path: Path) -> tuple[NDArray[np.uint8], str]:
    """Values of a known file that lies at `path`, and its checksum.

    Raises
    ------
    DataError : it is damaged or another file; names it, what was expected and what was found.
    """
    values, sha256 = read_array(path, file.shape, file.has_header)
    if file.is_packed:
        with path.open("rb") as handle:
            sha256 = hashlib.sha256(handle.read(values.nbytes + 2**20)).hexdigest()
    if sha256 != file.sha256:
        what = "as it is distributed, gzipped" if file.is_packed else "of the content, unpacked"
        raise DataError(
            f"{path} is not the known {file.name}: expected the sha256 {file.sha256} ({what}), found {sha256}. "
            "Get it again; a file of your own keeps another name and is read with experiments.idx.read_idx."
        )
    return values, sha256
