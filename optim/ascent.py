"""Step rules that follow a gradient upwards; pure."""

import numpy as np

from optim.base import Array


def adam_step(
    gradient: Array,
    first: Array,
    second: Array,
    n_updates: int,
    *,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Ascent step and the two new moments, all (n_params,) float64; `n_updates` counts this one, from 1.

    Source: Kingma and Ba 2015, algorithm 1, arXiv:1412.6980.
    """
    first = beta1 * first + (1.0 - beta1) * gradient
    second = beta2 * second + (1.0 - beta2) * gradient**2
    first_unbiased = first / (1.0 - beta1**n_updates)
    second_unbiased = second / (1.0 - beta2**n_updates)
    return learning_rate * first_unbiased / (np.sqrt(second_unbiased) + epsilon), first, second


def rmsprop_step(
    gradient: Array, second: Array, *, learning_rate: float, beta: float = 0.9, epsilon: float = 1e-8
) -> tuple[Array, Array]:
    """Ascent step and the new mean of squared gradients, both (n_params,) float64.

    Source: Tieleman and Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning.
    """
    second = beta * second + (1.0 - beta) * gradient**2
    return learning_rate * gradient / (np.sqrt(second) + epsilon), second


def clipup_step(gradient: Array, velocity: Array, *, step: float, max_speed: float, momentum: float = 0.9) -> Array:
    """Ascent step, which is also the new velocity, (n_params,) float64; its length is at most `max_speed`.

    Only the direction of the gradient counts; a zero gradient adds nothing.

    Source: Toklu, Liskowski and Srivastava 2020 (ClipUp), algorithm 1, arXiv:2008.02387.
    """
    length = np.linalg.norm(gradient)
    velocity = momentum * velocity + (step / length if length > 0.0 else 0.0) * gradient
    return velocity * min(1.0, max_speed / max(float(np.linalg.norm(velocity)), np.finfo(np.float64).tiny))
