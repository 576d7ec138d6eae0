"""What deep networks are made of: layers of weights, activation functions, statistics of what units do; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


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
# Activities at which a unit no longer answers to small changes of its input, and how far from them it counts as such.
_LIMITS = {
    "logistic": ((0.0, 1.0), 0.01),
    "tanh": ((-1.0, 1.0), 0.01),
    "relu": ((0.0,), 0.0),
    "step": ((0.0,), 0.0),
}


class ActivityStatistics(NamedTuple):
    """Over all units of a layer and all images; the last layer is the output."""

    mean: NDArray[np.float64]  # (n_layers,)
    sd: NDArray[np.float64]  # (n_layers,)
    saturated: NDArray[np.float64]  # (n_layers,) share, NaN for the output, which has no activation function


def activity_statistics(activities: Mapping[str, Floats], activation: str) -> ActivityStatistics:
    """Mean, standard deviation and share of saturated units of every layer.

    Saturated is an activity within 0.01 of 0 or 1 (logistic), of -1 or 1 (tanh), or equal to 0 (relu, step: such units
    are silent). Every unit counts once per image.

    Parameters
    ----------
    activities : as a network's `activities` gives them, layers in order, each (n_units, n_images) float32
    activation : one of `ACTIVATIONS`

    Source: Glorot & Bengio 2010, proceedings of AISTATS 9, section 3 (activities by layer, and their saturation).
    """
    values, (limits, distance) = list(activities.values()), _LIMITS[activation]
    saturated = [np.mean(np.any([np.abs(own - at) <= distance for at in limits], axis=0)) for own in values[:-1]]
    return ActivityStatistics(
        np.array([own.mean(dtype=np.float64) for own in values]),
        np.array([own.std(dtype=np.float64) for own in values]),
        np.array([*saturated, np.nan]),
    )
