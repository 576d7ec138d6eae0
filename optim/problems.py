"""Problems with known answers, for tests and documentation; all rows at once, fitness maximised."""

import numpy as np

from optim.base import Array


def sphere(genomes: Array) -> Array:
    """Fitness -sum x_i^2 of each row; the maximum is 0 at the origin.

    Parameters
    ----------
    genomes : (n, n_params) float64

    Returns
    -------
    (n,) float64
    """
    return -np.sum(genomes**2, axis=1)


def rosenbrock(genomes: Array) -> Array:
    """Fitness -sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2 of each row; the maximum is 0 at (1, ..., 1).

    Parameters
    ----------
    genomes : (n, n_params) float64, n_params >= 2

    Returns
    -------
    (n,) float64

    Raises
    ------
    ValueError : if there are fewer than 2 parameters.

    Source: Rosenbrock 1960, doi:10.1093/comjnl/3.3.175, summed over neighbouring parameters.
    """
    if genomes.shape[1] < 2:
        raise ValueError(f"rosenbrock got {genomes.shape[1]} parameter(s), but needs >= 2. Use sphere instead.")
    x, x_next = genomes[:, :-1], genomes[:, 1:]
    return -np.sum(100.0 * (x_next - x**2) ** 2 + (1.0 - x) ** 2, axis=1)


def linear_responses(genomes: Array, forward: Array) -> Array:
    """Responses H x of each row, without noise.

    Parameters
    ----------
    genomes : (n, n_params) float64
    forward : (d, n_params) float64, H

    Returns
    -------
    (n, d) float64
    """
    return genomes @ forward.T


def linear_gaussian_posterior_mean(
    forward: Array, prior_mean: Array, prior_covariance: Array, noise_variance: float, targets: Array
) -> Array:
    """Mean of x given y = H x + noise: m + C H^T (H C H^T + gamma I)^-1 (y - H m).

    Parameters
    ----------
    forward : (d, n_params) float64, H
    prior_mean : (n_params,) float64, m
    prior_covariance : (n_params, n_params) float64, C, symmetric positive semi-definite
    noise_variance : float > 0, gamma
    targets : (d,) float64, y

    Returns
    -------
    (n_params,) float64

    Source: Kalman 1960, doi:10.1115/1.3662552.
    """
    cross = prior_covariance @ forward.T
    innovation = forward @ cross + noise_variance * np.eye(len(targets))
    return prior_mean + cross @ np.linalg.solve(innovation, targets - forward @ prior_mean)
