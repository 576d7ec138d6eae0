"""Inputs from places: every neuron sees some pixels of a square patch of an image; pure."""

from __future__ import annotations

import math

import numpy as np

from snn.spike_trains import IntArray
from snn.wiring import Pairs


def fixed_indegree_from_patches(
    pixels: IntArray, target: IntArray, side: int, indegree: int, rng: np.random.Generator
) -> Pairs:
    """Equally many sources onto each target, drawn from a square patch at a random place; target-major.

    Every place of the patch inside the image is equally likely, and so is every set of pixels in it.

    Parameters
    ----------
    pixels : (n_pixels,) nodes of a square image, row by row
    target : (n_targets,) nodes
    side : pixels of a side of the patch, 1 … side of the image
    indegree : 0 … side²

    Raises
    ------
    ValueError : an image that is no square, a patch that does not fit, or more sources than it has pixels.
    """
    width = math.isqrt(len(pixels))
    if width**2 != len(pixels):
        raise ValueError(f"{len(pixels)} pixels are no square image: give e.g. 784, or an encoding without patches.")
    if not 1 <= side <= width:
        raise ValueError(f"a patch of {side} × {side} pixels is not allowed: the image has {width} × {width}.")
    if not 0 <= indegree <= side**2:
        raise ValueError(f"an in-degree of {indegree} is not allowed: a patch has {side**2} pixels.")
    row, column = rng.integers(width - side + 1, size=(2, len(target), 1))
    place = np.argsort(rng.random((len(target), side**2)), axis=1)[:, :indegree]
    source = pixels[(row + place // side) * width + column + place % side]
    return source.ravel(), np.repeat(target, indegree)
