"""Deep networks with many weight vectors at once: what the members of an ensemble answer to a batch of images; pure.

Weights are those of a genome, float64 outside and float32 inside. Layers lie in memory so that every product is one
large matrix product, with the images of the batch side by side in the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

N_CLASSES = 10
_SIDE = 28  # pixels of an image
_KERNEL = 5
_N_MAPS = (10, 20)  # of the two convolutions
_POOLED = (_SIDE - _KERNEL + 1) // 2  # side of the maps after pooling the first convolution: 12
_LAST = _POOLED - _KERNEL + 1  # side of the maps of the second convolution: 8
_N_FEATURES = _N_MAPS[1] * _LAST**2  # 1280
_N_AT_ONCE = 8  # members whose first layer is one product


class Layer(NamedTuple):
    """Weights with a common role, consecutive in the genome."""

    name: str
    size: int
    fan_in: int  # inputs of a unit


def _logistic(x: Floats) -> None:
    np.negative(x, out=x)
    with np.errstate(over="ignore"):  # 1 / inf is the right answer
        np.exp(x, out=x)
    x += 1.0
    np.reciprocal(x, out=x)


def _tanh(x: Floats) -> None:
    np.tanh(x, out=x)


def _relu(x: Floats) -> None:
    np.maximum(x, 0.0, out=x)


def _step(x: Floats) -> None:
    np.greater(x, 0.0, out=x)


# In place. None decreases, so the largest of four activities is the activity of the largest input.
ACTIVATIONS: dict[str, Callable[[Floats], None]] = {
    "logistic": _logistic,
    "tanh": _tanh,
    "relu": _relu,
    "step": _step,
}


@dataclass(frozen=True, slots=True)
class PublishedCNN:
    """The published network: two convolutions, pooling after the first, and a linear layer, all without bias.

    1 x 28 x 28 -> 10 maps 5 x 5 -> activation -> maximum of 2 x 2 -> 20 maps 5 x 5 -> activation -> 1280 -> 10 logits.
    18,050 weights; those onto a class lie together, in the order map, row, column.

    Raises
    ------
    ValueError : unknown activation.

    Source: Yegenoglu et al. 2020, doi:10.1007/978-3-030-64580-9_7, and its public code.
    """

    activation: str = "logistic"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation={self.activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}.")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers in genome order; the last one class by class: class 0 … class 9."""
        area = _KERNEL**2
        return (
            Layer("convolution 1", _N_MAPS[0] * area, area),
            Layer("convolution 2", _N_MAPS[1] * _N_MAPS[0] * area, _N_MAPS[0] * area),
            *(Layer(f"class {k}", _N_FEATURES, _N_FEATURES) for k in range(N_CLASSES)),
        )

    @property
    def n_params(self) -> int:
        """Length of a genome: 18,050."""
        return sum(layer.size for layer in self.layers)

    def logits(self, weights: NDArray[np.floating[Any]], images: Floats) -> NDArray[np.float64]:
        """What every member answers to every image.

        Parameters
        ----------
        weights : (n_members, n_params)
        images : (n_images, 28, 28) float32

        Returns
        -------
        (n_members, n_images, 10) float64

        Raises
        ------
        ValueError : other shapes.
        """
        if weights.ndim != 2 or weights.shape[1] != self.n_params:
            raise ValueError(f"weights have shape {weights.shape}, expected (n_members, {self.n_params}).")
        if images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
            raise ValueError(f"images have shape {images.shape}, expected (n_images, {_SIDE}, {_SIDE}).")
        n_members, n_images, activate = len(weights), len(images), ACTIVATIONS[self.activation]
        first, second, last = _by_layer(weights.astype(np.float32))
        patches = _pooled_patches(images.astype(np.float32, copy=False))
        rows = _Rows(n_images)
        features = np.empty((_LAST, _LAST, _N_MAPS[1], n_images), np.float32)
        logits = np.empty((n_members, N_CLASSES, n_images), np.float32)
        for start in range(0, n_members, _N_AT_ONCE):
            maps = _first_layer(first[start : start + _N_AT_ONCE], patches)
            activate(maps)
            for member, own in enumerate(maps, start):
                np.matmul(second[member], rows.patches_of(own), out=features)
                activate(features)
                np.matmul(last[member], features.reshape(_N_FEATURES, n_images), out=logits[member])
        return logits.transpose(0, 2, 1).astype(np.float64)


def _by_layer(weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights of the layers in the order in which their inputs lie in memory.

    Returns
    -------
    (n, 10, 25); (n, 20, 250), inputs by column, row, map; (n, 10, 1280), inputs by row, column, map
    """
    n, area = len(weights), _KERNEL**2
    ends = np.cumsum([_N_MAPS[0] * area, _N_MAPS[1] * _N_MAPS[0] * area])
    first, second, last = np.split(weights, ends, axis=1)
    second = second.reshape(n, _N_MAPS[1], _N_MAPS[0], _KERNEL, _KERNEL).transpose(0, 1, 4, 3, 2)
    last = last.reshape(n, N_CLASSES, _N_MAPS[1], _LAST, _LAST).transpose(0, 1, 3, 4, 2)
    return (
        first.reshape(n, _N_MAPS[0], area),
        np.ascontiguousarray(second).reshape(n, _N_MAPS[1], -1),
        np.ascontiguousarray(last).reshape(n, N_CLASSES, -1),
    )


def _pooled_patches(images: Floats) -> Floats:
    """(4, 25, 144 n_images): the inputs of the first convolution at the four places that are pooled into one."""
    n = len(images)
    windows = sliding_window_view(images, (_KERNEL, _KERNEL), axis=(1, 2))  # (n, 24, 24, 5, 5)
    places = windows.reshape(n, _POOLED, 2, _POOLED, 2, _KERNEL**2).transpose(2, 4, 5, 1, 3, 0)
    return np.ascontiguousarray(places).reshape(4, _KERNEL**2, _POOLED**2 * n)


def _first_layer(weights: Floats, patches: Floats) -> Floats:
    """Pooled inputs of the units of the first layer: (n, 10, 12, 12, n_images) for weights (n, 10, 25)."""
    n, flat = len(weights), weights.reshape(-1, _KERNEL**2)
    largest = flat @ patches[0]
    other = np.empty_like(largest)
    for place in patches[1:]:
        np.matmul(flat, place, out=other)
        np.maximum(largest, other, out=largest)
    return largest.reshape(n, _N_MAPS[0], _POOLED, _POOLED, -1)


class _Rows:
    """Maps of the first layer, every row with the four below it, so that a patch is one block of memory.

    That takes a third of the copies that writing out all patches would.
    """

    def __init__(self, n_images: int) -> None:
        self._rows = np.empty((_LAST, _POOLED, _KERNEL, _N_MAPS[0], n_images), np.float32)
        by_row, by_column, _, by_map, by_image = self._rows.strides
        shape = (_LAST, _LAST, _N_MAPS[0] * _KERNEL**2, n_images)
        self._patches = as_strided(self._rows, shape, (by_row, by_column, by_map, by_image), writeable=False)

    def patches_of(self, maps: Floats) -> Floats:
        """(8, 8, 250, n_images), inputs of the second convolution by column, row, map; a view that the next call fills.

        Parameters
        ----------
        maps : (10, 12, 12, n_images)
        """
        by_place = maps.transpose(1, 2, 0, 3)
        for row in range(_KERNEL):
            self._rows[:, :, row] = by_place[row : row + _LAST]
        return self._patches
