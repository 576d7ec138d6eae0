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


def rastrigin(genomes: Array) -> Array:
    """Fitness -sum 10 + x_i^2 - 10 cos(2 pi x_i) of each row; maxima near all whole numbers, the highest is 0 at 0.

    Parameters
    ----------
    genomes : (n, n_params) float64

    Returns
    -------
    (n,) float64

    Source: Rastrigin 1974, summed over the parameters as in Mühlenbein et al. 1991, doi:10.1016/S0167-8191(05)80052-3.
    """
    return -np.sum(10.0 + genomes**2 - 10.0 * np.cos(2.0 * np.pi * genomes), axis=1)


def circle_cities(n: int, rng: np.random.Generator) -> Array:
    """(n, 2) cities evenly spaced on the unit circle, in random order; the shortest tour is 2 n sin(pi / n) long."""
    angles = 2.0 * np.pi / n * rng.permutation(n)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def distance_matrix(cities: Array) -> Array:
    """(n, n) straight distances between cities (n, n_axes)."""
    return np.asarray(np.linalg.norm(cities[:, None] - cities, axis=-1), dtype=np.float64)


def tour_lengths(tours: Array, distances: Array) -> Array:
    """Length of every closed tour.

    Parameters
    ----------
    tours : (n_tours, n_cities) city numbers in the order of the visits
    distances : (n_cities, n_cities) float64

    Returns
    -------
    (n_tours,) float64
    """
    here = np.asarray(tours, dtype=np.int64)
    return distances[here, np.roll(here, -1, axis=1)].sum(axis=1)
