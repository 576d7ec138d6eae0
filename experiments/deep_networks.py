"""Deep networks with many weight vectors at once: what the members of an ensemble answer to a batch of images; pure.

Weights are those of a genome, float64 outside and float32 inside. Layers lie in memory so that every product is one
large matrix product, with the images of the batch side by side in the last axis. Of one network there are also the
activities of all units, layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from numpy.typing import NDArray

from experiments.layers import ACTIVATIONS, Floats, Layer

N_CLASSES = 10
_SIDE = 28  # pixels of an image
_KERNEL = 5
_N_MAPS = (10, 20)  # of the two convolutions
_POOLED = (_SIDE - _KERNEL + 1) // 2  # side of the maps after pooling the first convolution: 12
_LAST = _POOLED - _KERNEL + 1  # side of the maps of the second convolution: 8
_N_FEATURES = _N_MAPS[1] * _LAST**2  # 1280
_N_AT_ONCE = 8  # members that go through a layer together: more no longer fit the caches

Weights = NDArray[np.floating[Any]]


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
        _check_activation(self.activation)

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

    def logits(self, weights: Weights, images: Floats) -> NDArray[np.float64]:
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
        _check_arrays(weights, images, ("n_members", self.n_params))
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

    def activities(self, weights: Weights, images: Floats) -> dict[str, Floats]:
        """Every unit of one network in answer to every image; those of the first convolution before pooling.

        Parameters
        ----------
        weights : (n_params,)
        images : (n_images, 28, 28) float32

        Returns
        -------
        "convolution 1", "convolution 2", "output" : (5760, n_images), (1280, n_images), (10, n_images) float32; the
            output is the logits, other units are in no order that means something

        Raises
        ------
        ValueError : other shapes.
        """
        _check_arrays(weights, images, (self.n_params,))
        n_images, activate = len(images), ACTIVATIONS[self.activation]
        (first,), (second,), (last,) = _by_layer(weights[np.newaxis].astype(np.float32))
        maps = first @ _pooled_patches(images.astype(np.float32, copy=False))
        activate(maps)
        pooled = maps.max(axis=0).reshape(_N_MAPS[0], _POOLED, _POOLED, n_images)
        features = second @ _Rows(n_images).patches_of(pooled)
        activate(features)
        features = features.reshape(_N_FEATURES, n_images)
        return {
            "convolution 1": maps.reshape(-1, n_images),
            "convolution 2": features,
            "output": last @ features,
        }


@dataclass(frozen=True, slots=True)
class MLP:
    """Fully connected layers with bias: 784 pixels -> hidden units -> activation -> ... -> 10 logits.

    The weights of a unit lie together, its bias after them; so do the units of a layer and the weights onto a class.
    79,510 weights with one hidden layer of 100 units.

    Parameters
    ----------
    n_hidden : units of every hidden layer; () is a linear classifier

    Raises
    ------
    ValueError : unknown activation, a layer without units.
    """

    activation: str = "logistic"
    n_hidden: tuple[int, ...] = (100,)

    def __post_init__(self) -> None:
        _check_activation(self.activation)
        if not isinstance(self.n_hidden, tuple) or not all(isinstance(n, int) and n >= 1 for n in self.n_hidden):
            raise ValueError(f"n_hidden={self.n_hidden!r} is not a tuple of integers >= 1. Give e.g. (100,).")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers in genome order; the last one class by class: class 0 … class 9."""
        fan_ins = (_SIDE**2, *self.n_hidden)
        return (
            *(Layer(f"hidden {k}", n * (fan_ins[k - 1] + 1), fan_ins[k - 1]) for k, n in enumerate(self.n_hidden, 1)),
            *(Layer(f"class {k}", fan_ins[-1] + 1, fan_ins[-1]) for k in range(N_CLASSES)),
        )

    @property
    def n_params(self) -> int:
        """Length of a genome."""
        return sum(layer.size for layer in self.layers)

    def logits(self, weights: Weights, images: Floats) -> NDArray[np.float64]:
        """What every member answers to every image; parameters, result and errors as of `PublishedCNN.logits`."""
        _check_arrays(weights, images, ("n_members", self.n_params))
        inputs, parts = _columns(images), range(0, len(weights), _N_AT_ONCE)
        logits = np.empty((len(weights), N_CLASSES, len(images)), np.float32)
        for chosen in (slice(start, start + _N_AT_ONCE) for start in parts):
            *_, logits[chosen] = self._forward(weights[chosen], inputs)
        return logits.transpose(0, 2, 1).astype(np.float64)

    def activities(self, weights: Weights, images: Floats) -> dict[str, Floats]:
        """Every unit of one network in answer to every image.

        Parameters
        ----------
        weights : (n_params,)
        images : (n_images, 28, 28) float32

        Returns
        -------
        "hidden 1", …, "output" : (n_units, n_images) float32; the output is the logits

        Raises
        ------
        ValueError : other shapes.
        """
        _check_arrays(weights, images, (self.n_params,))
        names = [*(f"hidden {k}" for k in range(1, len(self.n_hidden) + 1)), "output"]
        found = self._forward(weights[np.newaxis], _columns(images))
        return {name: own[0] for name, own in zip(names, found, strict=True)}

    def _forward(self, weights: Weights, inputs: Floats) -> Iterator[Floats]:
        """Activities layer after layer, (n_members, n_units, n_images), for inputs (784, n_images)."""
        start, last = 0, len(self.n_hidden)
        for place, n_units in enumerate((*self.n_hidden, N_CLASSES)):
            end = start + n_units * (inputs.shape[-2] + 1)
            own = weights[:, start:end].astype(np.float32).reshape(len(weights), n_units, -1)
            inputs = own[..., :-1] @ inputs
            inputs += own[..., -1:]
            if place < last:
                ACTIVATIONS[self.activation](inputs)
            yield inputs
            start = end


DeepNetwork = PublishedCNN | MLP


def _check_activation(activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} is unknown: choose one of {', '.join(ACTIVATIONS)}.")


def _check_arrays(weights: Weights, images: Floats, expected: tuple[str | int, ...]) -> None:
    """Refuse weights of another shape than `expected`, and images that are not 28 x 28."""
    if weights.ndim != len(expected) or weights.shape[-1] != expected[-1]:
        shape = str(expected).replace("'", "")
        raise ValueError(f"weights have shape {weights.shape}, expected {shape}.")
    if images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(f"images have shape {images.shape}, expected (n_images, {_SIDE}, {_SIDE}).")


def _columns(images: Floats) -> Floats:
    """(784, n_images) float32 in one block of memory."""
    return np.ascontiguousarray(images.reshape(len(images), -1).T, dtype=np.float32)


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
