"""Images with labels from files: MNIST, Fashion-MNIST, EMNIST letters, CIFAR-10, and the small digits of scikit-learn.

Nothing here uses the network: `stigmergy fetch-data` does, see docs/data.md.
"""

from __future__ import annotations

import dataclasses
import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from experiments.data_files import DATA_SETS, SPLITS, chosen_files, data_folder, read_known
from experiments.files import AnyPath, DataError
from experiments.idx import read_array

NAMES = ("digits", *DATA_SETS)

_DIGITS = tuple(string.digits)
_CLASSES = {
    "mnist": _DIGITS,
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "emnist_letters": tuple(string.ascii_uppercase),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip
_EVERY = 5  # of images without a split, one of so many is for testing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """A part of a data set; the arrays are read-only, copy them to change them."""

    name: str  # of the data set
    split: str  # train, test; empty for files of one's own
    pixels: NDArray[np.uint8]  # (n_images, height, width), or (n_images, height, width, 3): red, green, blue
    labels: NDArray[np.int64]  # (n_images,), 0-based: index into `class_names`
    class_names: tuple[str, ...]
    max_value: int = 255  # of a pixel
    sha256: Mapping[str, str]  # where they are from: checksum by file, of its content or as in `data_files`


def load(name: str, split: str, folder: AnyPath | None = None) -> Images:
    """Images of a known data set, checked against its published checksums.

    Parameters
    ----------
    name : one of `NAMES`. EMNIST letters are given upright, from class 0. CIFAR-10 is the whole of it, or, where only
        that is there, the part in cifar10-subset/ (see `sha256`). The digits need no files: 8 × 8 pixels of 0 … 16,
        every fifth image of each class for testing.
    split : "train" or "test"
    folder : data folder; default the environment variable STIGMERGY_DATA, then ../shared/data

    Raises
    ------
    ValueError : unknown name or split.
    StorageError : a file is missing.
    DataError : a file is damaged or another one; names it, what was expected and what was found.
    ModuleNotFoundError : the digits, without scikit-learn.
    """
    if name not in NAMES:
        raise ValueError(f"data set {name!r} is not known: choose one of {', '.join(NAMES)}.")
    if split not in SPLITS:
        raise ValueError(f"split {split!r} of {name} does not exist: choose one of {', '.join(SPLITS)}.")
    if name == "digits":
        return _small_digits(split)
    root = data_folder(folder)
    parts = [read_known(name, file, root) for file in chosen_files(name, split, root)]
    arrays = [values for values, _, _ in parts]
    paths = [path for _, path, _ in parts]
    if name == "cifar10":
        records = np.concatenate(arrays)
        pixels = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels, labels_path = records[:, 0], paths[0]
    else:
        (pixels, labels), labels_path = arrays, paths[1]
    if name == "emnist_letters":
        pixels = pixels.transpose(0, 2, 1)
    return Images(
        name=name,
        split=split,
        pixels=_fixed(np.ascontiguousarray(pixels)),
        labels=_zero_based(labels, labels_path, len(_CLASSES[name]), 1 if name == "emnist_letters" else 0),
        class_names=_CLASSES[name],
        sha256={path.relative_to(root).as_posix(): sha256 for _, path, sha256 in parts},
    )


def load_idx(
    images: AnyPath, labels: AnyPath, class_names: Sequence[str], first_label: int = 0, name: str = "own"
) -> Images:
    """Images of one's own from two IDX files, plain or gzipped.

    Parameters
    ----------
    images, labels : files of (n_images, height, width) and (n_images,) unsigned bytes
    first_label : the label of class 0 in the file

    Raises
    ------
    DataError : a file is damaged, dimensions or counts do not fit, a label has no class; names file, expected, found.
    OSError : a file cannot be opened.
    """
    pixels, pixels_sha256 = read_array(images)
    if pixels.ndim != 3:
        raise DataError(f"{images}: expected images with 3 dimensions, found the shape {pixels.shape}.")
    values, labels_sha256 = read_array(labels)
    if values.shape != pixels.shape[:1]:
        raise DataError(
            f"{labels}: expected {len(pixels)} labels for the images in {images}, found the shape {values.shape}."
        )
    return Images(
        name=name,
        split="",
        pixels=pixels,
        labels=_zero_based(values, Path(labels), len(class_names), first_label),
        class_names=tuple(class_names),
        sha256={str(images): pixels_sha256, str(labels): labels_sha256},
    )


def of_classes(images: Images, classes: Sequence[int]) -> Images:
    """The images of some classes, in their order; labels count the chosen classes from 0.

    Raises
    ------
    ValueError : no class, one twice, or one that does not exist.
    """
    n_classes, chosen = len(images.class_names), [int(label) for label in classes]
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(n_classes)):
        raise ValueError(f"classes {chosen} are not allowed: give different ones of 0 … {n_classes - 1}.")
    new_label = np.full(n_classes, -1, np.int64)
    new_label[chosen] = np.arange(len(chosen))
    labels = new_label[images.labels]
    return dataclasses.replace(
        images,
        pixels=_fixed(images.pixels[labels >= 0]),
        labels=_fixed(labels[labels >= 0]),
        class_names=tuple(images.class_names[label] for label in chosen),
    )


def every_fifth(images: Images, split: str) -> Images:
    """A part of images that come without one, split without random numbers: every fifth of each class is for testing.

    Parameters
    ----------
    split : "train" or "test"
    """
    labels = images.labels
    place = np.empty(len(labels), np.int64)  # of an image among those of its class
    for label in range(len(images.class_names)):
        place[labels == label] = np.arange(np.count_nonzero(labels == label))
    is_chosen = (place % _EVERY == _EVERY - 1) == (split == "test")
    pixels, labels = _fixed(images.pixels[is_chosen]), _fixed(labels[is_chosen])
    return dataclasses.replace(images, split=split, pixels=pixels, labels=labels)


def vectors(images: Images, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Pixels as vectors between 0 and 1.

    Parameters
    ----------
    dtype : float32 or float64

    Returns
    -------
    (n_images, n_values) of `dtype`, rows of an image one after the other, colours of a pixel side by side

    Raises
    ------
    ValueError : another dtype.
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype {np.dtype(dtype)} is not allowed: choose float32 or float64.")
    values = images.pixels.reshape(len(images.pixels), -1).astype(dtype)
    values /= images.max_value
    return values


def _small_digits(split: str) -> Images:
    """The 1,797 digits of scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the digits need scikit-learn: pip install -e '.[liquid]'.") from error
    data = load_digits()
    pixels, labels = data.images.astype(np.uint8), data.target.astype(np.int64)
    digits = Images(
        name="digits",
        split="",
        pixels=pixels,
        labels=labels,
        class_names=_DIGITS,
        max_value=16,
        sha256={"sklearn.datasets.load_digits": hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()},
    )
    return every_fifth(digits, split)


def _zero_based(labels: NDArray[np.uint8], path: Path, n_classes: int, first_label: int) -> NDArray[np.int64]:
    """Labels from 0; refuses one that has no class."""
    zero_based = labels.astype(np.int64) - first_label
    is_wrong = (zero_based < 0) | (zero_based >= n_classes)
    if is_wrong.any():
        place = int(is_wrong.argmax())
        raise DataError(
            f"{path} is damaged: expected labels of {first_label} … {first_label + n_classes - 1}, found "
            f"{labels[place]} at place {place}."
        )
    return _fixed(zero_based)


def _fixed(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
