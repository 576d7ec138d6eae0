"""Natural evolution strategies: follow the natural gradient of the expected utility in mean, size and shape."""

from dataclasses import dataclass

import numpy as np

from optim.base import Array, Seed
from optim.gaussian import WIDEST, GaussianSearch, weighted_squares
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class NESConfig:
    """Settings of `XNES` and `SNES`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.3  # first standard deviation of the perturbations, (0, 1]
    mirrored: bool = False  # evaluate every perturbation with both signs
    mean_rate: float = 1.0  # learning rate of the mean, > 0
    sigma_rate: float | None = None  # learning rate of size and shape, > 0; None for that of the paper

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma <= WIDEST:
            raise ValueError(
                f"NESConfig.sigma={self.sigma} is outside (0, {WIDEST}]: candidates would lie on the bounds. "
                "Give a standard deviation in units of half the bound range, e.g. 0.3."
            )
        for name, value in (("mean_rate", self.mean_rate), ("sigma_rate", self.sigma_rate)):
            if value is not None and not 0.0 < value < np.inf:
                raise ValueError(f"NESConfig.{name}={value} is outside (0, inf). Leave it out for the default.")


def utilities(fitness: Array) -> Array:
    """Weights of the candidates by rank; they sum to zero.

    Equal fitness gets the mean of the weights it spans. Failed individuals are equal among themselves and rank below
    every other.

    Parameters
    ----------
    fitness : (n,) float64, maximised, NaN = failed; n >= 2

    Returns
    -------
    (n,) float64, dimensionless

    Source: Wierstra et al. 2014, section 3.1, arXiv:1106.4487. Deviates: ties are averaged.
    """
    n = len(fitness)
    by_rank = np.maximum(0.0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    by_rank = by_rank / by_rank.sum() - 1.0 / n
    cost = np.where(np.isnan(fitness), np.inf, -fitness)
    _, level, counts = np.unique(cost, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means = np.add.reduceat(by_rank, ends - counts) / counts
    return means[level]


def weighted_axes(weights: Array, noise: Array) -> tuple[Array, Array]:
    """Eigenvectors and eigenvalues of sum_i weights_i noise_i noise_i^T; those that are zero anyway are left out.

    Parameters
    ----------
    weights : (n,) float64
    noise : (n, n_params) float64

    Returns
    -------
    (n_params, k) float64, orthonormal columns; (k,) float64; k = min(n, n_params)
    """
    n, n_params = noise.shape
    if n >= n_params:
        values, vectors = np.linalg.eigh((noise.T * weights) @ noise)
        return vectors, values
    basis, coordinates = np.linalg.qr(noise.T)  # the sum acts within the span of the noise only
    values, vectors = np.linalg.eigh((coordinates * weights) @ coordinates.T)
    return basis @ vectors, values


class _NES(GaussianSearch):
    """What both strategies share: the settings, and the weights of perturbations."""

    def __init__(
        self, space: ParameterSpace, config: NESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, x0=x0, population_size=population_size, is_mirrored=config.mirrored, seed=seed)
        self._config = config

    def _weights(self, fitness: Array) -> tuple[Array, Array]:
        """Weights of the perturbations and of their squares, each (n,) float64; squares of mirror images are equal."""
        weights = utilities(fitness)
        if not self._is_mirrored:
            return weights, weights
        plus, minus = np.split(weights, 2)
        return plus - minus, plus + minus


class XNES(_NES):
    """Exponential natural evolution strategy: a full covariance matrix, learnt alike in all directions.

    The covariance is A A^T and A is multiplied by a matrix exponential, so it stays invertible without a
    decomposition. With n candidates the exponent has rank n, and an update costs O(n n_params^2); memory is
    n_params^2. For more than a few thousand genes take `SNES`.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2, even if mirrored; the paper takes 4 + floor(3 log n_params)
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Glasmachers et al. 2010, algorithm 1 (xNES), doi:10.1145/1830483.1830557. Deviates: size and shape are one
    matrix, which is the same as long as they have the same learning rate, as in the paper; no gene deviates by
    more than half its bound range; ties share their weights.
    """

    _state = (*GaussianSearch._state, "transform")

    def __init__(
        self, space: ParameterSpace, config: NESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, config, x0=x0, population_size=population_size, seed=seed)
        n = space.n_params
        self._rate = config.sigma_rate or 0.6 * (3.0 + np.log(n)) / (n * np.sqrt(n))
        self._transform = config.sigma * np.eye(n)  # A

    def _spread(self) -> Array:
        """m + A z for every perturbation z; if mirrored, row i + n/2 is m - A z."""
        steps = self._noise @ self._transform.T
        unit = np.concatenate([self._mean + steps, self._mean - steps]) if self._is_mirrored else self._mean + steps
        return self._space.from_unit(unit)

    def _adapt(self, fitness: Array) -> None:
        """Move the mean by A sum_i u_i z_i, and multiply A by exp(rate/2 sum_i u_i (z_i z_i^T - I)), sum_i u_i = 0."""
        weights, square_weights = self._weights(fitness)
        step = self._transform @ (weights @ self._noise)
        axes, values = weighted_axes(square_weights, self._noise)
        grown = self._transform @ axes
        self._transform = self._transform + (grown * np.expm1(0.5 * self._rate * values)) @ axes.T
        self._transform /= max(1.0, self._deviations().max() / WIDEST)
        self._mean = self._space.confine(self._mean + self._config.mean_rate * step)

    def _deviations(self) -> Array:
        """(n_params,) float64, standard deviation of each gene, in unit coordinates."""
        return np.sqrt(np.einsum("ij,ij->i", self._transform, self._transform))


class SNES(_NES):
    """Separable natural evolution strategy: a standard deviation per gene; time and memory linear in the genes.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2, even if mirrored; the paper takes 4 + floor(3 log n_params)
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Schaul, Glasmachers and Schmidhuber 2011 (SNES), doi:10.1145/2001576.2001692. Deviates: no gene deviates by
    more than half its bound range; ties share their weights.
    """

    _state = (*GaussianSearch._state, "deviation")

    def __init__(
        self, space: ParameterSpace, config: NESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, config, x0=x0, population_size=population_size, seed=seed)
        n = space.n_params
        self._rate = config.sigma_rate or 0.2 * (3.0 + np.log(n)) / np.sqrt(n)
        self._deviation = np.full(n, config.sigma)

    def _deviations(self) -> Array:
        return self._deviation

    def _adapt(self, fitness: Array) -> None:
        """Move the mean by s sum_i u_i z_i, and multiply s by exp(rate/2 sum_i u_i (z_i^2 - 1)), sum_i u_i = 0."""
        weights, square_weights = self._weights(fitness)
        step = self._deviation * (weights @ self._noise)
        growth = np.exp(0.5 * self._rate * weighted_squares(square_weights, self._noise))
        self._deviation = np.minimum(self._deviation * growth, WIDEST)
        self._mean = self._space.confine(self._mean + self._config.mean_rate * step)
