"""What a liquid fires for images, on disk: every image is simulated once, by any process, and read by all.

A folder per liquid and set of images, in it a file per block of images, ``block_000012.h5``. As a recording follows
from the liquid and the number of its image alone, it does not matter who makes a block, or when: processes that make
the same one write the same, and a file is there as a whole or not at all.

A file holds `steps` and `neurons` of the spikes of its images, one image after the other, `first` (where each begins,
and the end of the last), and `about`: digest, resolution, length, sizes of the populations, and what the digest is of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.datasets import Images
from experiments.files import AnyPath, DataError, MissingError
from experiments.storage import check_schema, commit, read_json, reading, write_json
from snn.liquid import LiquidStateMachine
from snn.spike_trains import SpikeTrains

_CHUNK = 16_384  # spikes that are compressed together
_N_DIGITS = 16  # of the digest, in the name of the folder


class Recordings:
    """Spikes of a liquid for the images of a set, idle time and stimulus, as `SharedReservoir.record` gives them.

    Images are numbered from 0 in their set. Chosen classes of a set (`of_classes`) are a set of their own: to share
    recordings, give the whole set and read the images that are wanted.

    Parameters
    ----------
    folder : where folders of recordings are; made if missing
    liquid : LiquidStateMachine, e.g. ``SharedReservoir.liquid``
    images : Images
    first_index : int, >= 0, number of the first image as a stimulus, on which its noise depends. So that noise is never
        that of the training images, give their number for a test set.
    block_length : int, >= 1, images per file

    Attributes
    ----------
    path : folder of the blocks; its name begins with that of the set and ends with a digest of all of the above
    n_blocks : int

    Raises
    ------
    ValueError : a number outside its range.
    """

    def __init__(
        self,
        folder: AnyPath,
        liquid: LiquidStateMachine,
        images: Images,
        *,
        first_index: int = 0,
        block_length: int = 50,
    ) -> None:
        if first_index < 0 or block_length < 1:
            raise ValueError(
                f"first_index={first_index} must be >= 0, and block_length={block_length} >= 1: give e.g. 0 and 50."
            )
        self._liquid, self._images = liquid, images
        self._first_index, self._block_length = first_index, block_length
        self._of = _what_decides(liquid, images) | {"first_index": first_index, "block_length": block_length}
        self._digest = hashlib.sha256(json.dumps(self._of, sort_keys=True).encode()).hexdigest()
        name = "-".join(part for part in (images.name, images.split, self._digest[:_N_DIGITS]) if part)
        self.path = Path(folder) / name
        self.n_blocks = -(-len(images.pixels) // block_length)

    def blocks_of(self, images: ArrayLike) -> list[int]:
        """Numbers of the blocks that hold some images, ascending; raises ValueError for an image that is none."""
        return np.unique(self._checked(images) // self._block_length).tolist()

    def is_recorded(self, block: int) -> bool:
        """Whether a block is on the disk; what it holds is checked by `read`."""
        return self._file(block).exists()

    def record(self, block: int) -> None:
        """Simulate the images of a block and write them, whether they are there or not.

        Raises
        ------
        ValueError : there is no such block, or the liquid does not take the images.
        OSError : it cannot be written, e.g. on a full disk.
        """
        numbers = self._numbers(block)
        trains = [self._simulated(number) for number in numbers]
        self.path.mkdir(parents=True, exist_ok=True)
        n_spikes = [len(recording.steps) for recording in trains]
        first = np.concatenate([[0], np.cumsum(n_spikes)]).astype(np.int64)
        form = trains[0]
        about = {
            "digest": self._digest,
            "resolution_ms": form.resolution_ms,
            "n_steps": form.n_steps,
            "populations": list(form.populations.items()),
            "of": self._of,
        }
        columns = {
            "steps": _compact(np.concatenate([recording.steps for recording in trains]), form.n_steps),
            "neurons": _compact(np.concatenate([recording.neurons for recording in trains]), form.n_neurons),
        }

        def write(file: Any) -> None:
            write_json(file, "about", about)
            file.create_dataset("first", data=first)
            for name, values in columns.items():
                chunks = (max(1, min(_CHUNK, len(values))),)
                options = {"chunks": chunks, "compression": "gzip", "shuffle": True} if len(values) else {}
                file.create_dataset(name, data=values, **options)

        commit(self._file(block), write)

    def read(self, images: ArrayLike) -> list[SpikeTrains]:
        """Recordings of images, in their order; each block is opened once.

        Parameters
        ----------
        images : (n,) integers, numbers of the images in their set

        Raises
        ------
        ValueError : an image that does not exist.
        MissingError : a block is not on the disk; names it.
        DataError : a block is damaged, or holds other recordings; names it.
        """
        numbers = self._checked(images)
        recordings: dict[int, SpikeTrains] = {}
        for block in self.blocks_of(numbers):
            wanted = np.unique(numbers[numbers // self._block_length == block])
            recordings |= self._read_block(block, wanted.tolist())
        return [recordings[number] for number in numbers.tolist()]

    def _read_block(self, block: int, wanted: list[int]) -> dict[int, SpikeTrains]:
        """Some recordings of a block, by the number of the image."""
        path, numbers = self._file(block), self._numbers(block)
        if not path.exists():
            raise MissingError(
                f"{path} is missing, with images {numbers[0]} to {numbers[-1]} of {self._images.name}: record block "
                f"{block} first."
            )
        with reading(path) as file:
            check_schema(file, path)
            about = read_json(file, "about")
            if about["digest"] != self._digest:
                raise DataError(
                    f"{path} holds recordings of another liquid or set of images, digest {about['digest']}, expected "
                    f"{self._digest}: remove it and record block {block} again."
                )
            first, steps, neurons = file["first"][:], file["steps"], file["neurons"]
            if len(first) != len(numbers) + 1 or not (len(steps) == len(neurons) == first[-1]) or first[0] != 0:
                raise ValueError(
                    f"{len(steps)} steps and {len(neurons)} neurons of {len(first) - 1} recordings, expected "
                    f"{first[-1]} each of {len(numbers)}"
                )
            form = about["resolution_ms"], about["n_steps"], dict(about["populations"])
            parts = {number: slice(*first[number - numbers[0] :][:2].tolist()) for number in wanted}
            return {number: SpikeTrains(steps[part], neurons[part], *form) for number, part in parts.items()}

    def _simulated(self, number: int) -> SpikeTrains:
        stimulus = self._images.pixels[number].ravel() / self._images.max_value
        return self._liquid.spikes(stimulus, self._first_index + number, has_idle=True)

    def _file(self, block: int) -> Path:
        return self.path / f"block_{block:06d}.h5"

    def _numbers(self, block: int) -> range:
        """Images of a block."""
        if not 0 <= block < self.n_blocks:
            raise ValueError(f"there is no block {block}: choose one of 0 … {self.n_blocks - 1}.")
        start = block * self._block_length
        return range(start, min(start + self._block_length, len(self._images.pixels)))

    def _checked(self, images: ArrayLike) -> NDArray[np.int64]:
        """Numbers of images that exist."""
        numbers, n_images = np.asarray(images), len(self._images.pixels)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise ValueError(
                f"images have shape {numbers.shape} and type {numbers.dtype}: give a list of whole numbers."
            )
        is_none = (numbers < 0) | (numbers >= n_images)
        if is_none.any():
            raise ValueError(f"image {numbers[is_none][0]} does not exist: {self._images.name} has 0 … {n_images - 1}.")
        return numbers.astype(np.int64)


def _what_decides(liquid: LiquidStateMachine, images: Images) -> dict[str, Any]:
    """All that recordings follow from, as plain values."""
    pixels = np.ascontiguousarray(images.pixels)
    return {
        "liquid": dataclasses.asdict(liquid.config),
        "reservoir": type(liquid.config.reservoir).__name__,
        "engine": liquid.engine,
        "images": images.name,
        "split": images.split,
        "shape": list(pixels.shape),
        "max_value": images.max_value,
        "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
    }


def _compact(values: NDArray[np.int64], largest: int) -> NDArray[Any]:
    """Numbers of 0 … largest in as few bytes as they need, two or four."""
    return values.astype(np.uint16 if largest < 2**16 else np.uint32)
