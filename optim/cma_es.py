"""Evolution strategies with covariance matrix adaptation, CMA-ES: full and separable."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from optim.base import Array, Seed
from optim.gaussian import WIDEST, GaussianSearch, weighted_squares
from optim.operators import best_first
from optim.space import ParameterSpace

MAX_CONDITION = 1e14  # largest ratio of two eigenvalues that double precision can still resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class CMAESConfig:
    """Settings of `CMAES` and `SeparableCMAES`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.3  # first standard deviation of all genes, (0, 1]

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma <= WIDEST:
            raise ValueError(
                f"CMAESConfig.sigma={self.sigma} is outside (0, {WIDEST}]: candidates would lie on the bounds. "
                "Give a standard deviation in units of half the bound range, e.g. 0.3."
            )


class Rates(NamedTuple):
    """Weights by rank and learning rates, named as in the source."""

    weights: Array  # (n,) float64, best first; the positive ones sum to 1
    mu_eff: float  # variance-effective selection mass of the positive weights
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float


def default_rates(n_params: int, population_size: int, *, is_separable: bool = False) -> Rates:
    """The published defaults; a separable search learns its n_params variances (n_params + 2) / 3 times as fast.

    Source: Hansen 2016, table 1, eqs. (49) to (58), arXiv:1604.00772; the factor: Ros and Hansen 2008,
    doi:10.1007/978-3-540-87700-4_30.
    """
    n = n_params
    raw = np.log((population_size + 1) / 2) - np.log(np.arange(1, population_size + 1))
    positive, negative = np.maximum(raw, 0.0), np.minimum(raw, 0.0)
    mu_eff = positive.sum() ** 2 / (positive**2).sum()
    mu_eff_negative = negative.sum() ** 2 / (negative**2).sum()
    c_sigma = (mu_eff + 2) / (n + mu_eff + 5)
    d_sigma = 1 + 2 * max(0.0, np.sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma
    c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n)
    faster = (n + 2) / 3 if is_separable else 1.0
    c_1 = min(1.0, faster * 2 / ((n + 1.3) ** 2 + mu_eff))
    c_mu = min(1 - c_1, faster * 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) ** 2 + mu_eff))
    total = min(1 + c_1 / c_mu, 1 + 2 * mu_eff_negative / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu))
    weights = positive / positive.sum() - total * negative / negative.sum()
    return Rates(weights, float(mu_eff), float(c_sigma), float(d_sigma), float(c_c), float(c_1), float(c_mu))


class _CMA(GaussianSearch):
    """Mean, step size and evolution paths; a subclass adds the covariance matrix C and its root."""

    _state = (*GaussianSearch._state, "sigma", "path_sigma", "path_c", "n_updates")
    _is_separable: ClassVar[bool]

    def __init__(
        self, space: ParameterSpace, config: CMAESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, x0=x0, population_size=population_size, seed=seed)
        n = space.n_params
        self._rates = default_rates(n, population_size, is_separable=self._is_separable)
        self._expected_norm = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        self._sigma = config.sigma
        self._path_sigma = np.zeros(n)
        self._path_c = np.zeros(n)
        self._n_updates = 0

    def _stretched(self, noise: Array) -> Array:
        """C^(1/2) z for every row z: what is distributed as N(0, C)."""
        raise NotImplementedError

    def _whitened(self, noise: Array) -> Array:
        """C^(-1/2) y for the row y that `_stretched` makes of z."""
        raise NotImplementedError

    def _learn_covariance(self, decay: float, weights: Array) -> None:
        """C <- decay C + c_1 p_c p_c^T + c_mu sum_i weights_i y_i y_i^T."""
        raise NotImplementedError

    def _adapt(self, fitness: Array) -> None:
        """Move the mean, then adapt the paths, the step size and C; eqs. (41) to (47)."""
        _, mu_eff, c_sigma, d_sigma, c_c, c_1, c_mu = self._rates
        n = self._space.n_params
        weights = self._weights_of(fitness)
        z_mean = np.maximum(weights, 0.0) @ self._noise
        y_mean = self._stretched(z_mean)
        self._n_updates += 1
        self._mean = self._space.confine(self._mean + self._sigma * y_mean)
        self._path_sigma = (1 - c_sigma) * self._path_sigma + np.sqrt(
            c_sigma * (2 - c_sigma) * mu_eff
        ) * self._whitened(z_mean)
        norm = np.linalg.norm(self._path_sigma)
        unbiased = norm / np.sqrt(1 - (1 - c_sigma) ** (2 * self._n_updates))
        h = float(unbiased < (1.4 + 2 / (n + 1)) * self._expected_norm)  # 0 while the step size is far too small
        self._path_c = (1 - c_c) * self._path_c + h * np.sqrt(c_c * (2 - c_c) * mu_eff) * y_mean
        decay = 1 + (1 - h) * c_1 * c_c * (2 - c_c) - c_1 - c_mu * weights.sum()
        squares = np.einsum("ij,ij->i", self._noise, self._noise)
        self._learn_covariance(decay, np.where(weights < 0.0, weights * n / squares, weights))
        self._sigma *= float(np.exp(c_sigma / d_sigma * (norm / self._expected_norm - 1)))
        self._sigma /= max(1.0, float(self._deviations().max()) / WIDEST)

    def _weights_of(self, fitness: Array) -> Array:
        """(n,) float64, the weight of each candidate; failed ones share theirs, so that none of them leads."""
        weights = np.empty(len(fitness))
        weights[best_first(fitness)] = self._rates.weights
        failed = np.isnan(fitness)
        if failed.any():
            weights[failed] = weights[failed].mean()
        return weights


class CMAES(_CMA):
    """Evolution strategy that learns a full covariance matrix, with negative weights for the worse half.

    The matrix is decomposed once in 1 / (10 n_params (c_1 + c_mu)) generations (appendix B.2 of the source), so that
    on average a generation costs O(n n_params^2); memory is three times n_params^2. For more than a few thousand
    genes take `SeparableCMAES`.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2; the paper takes 4 + floor(3 log n_params)
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Hansen 2016, "The CMA evolution strategy: a tutorial", figure 6, arXiv:1604.00772. Deviates: failed
    candidates share their weights; no gene deviates by more than half its bound range.
    """

    _state = (*_CMA._state, "covariance", "axes", "lengths", "decomposed_at")
    _is_separable = False

    def __init__(
        self, space: ParameterSpace, config: CMAESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, config, x0=x0, population_size=population_size, seed=seed)
        n = space.n_params
        self._covariance = np.eye(n)  # C = B D^2 B^T
        self._axes = np.eye(n)  # B
        self._lengths = np.ones(n)  # diagonal of D
        self._decomposed_at = 0
        self._patience = 1 / (10 * n * (self._rates.c_1 + self._rates.c_mu))

    def stop(self) -> dict[str, str]:
        """ "converged" if all candidates are practically equal, "ill-conditioned" if C is practically singular."""
        reasons = super().stop()
        if self._lengths.max() ** 2 > MAX_CONDITION * self._lengths.min() ** 2:
            reasons["ill-conditioned"] = f"the condition number of the covariance matrix is above {MAX_CONDITION:g}"
        return reasons

    def diagnostics(self) -> dict[str, float]:
        """Standard deviations of the genes in units of half the bound range, and ratio of longest to shortest axis."""
        return super().diagnostics() | {"axis_ratio": float(self._lengths.max() / self._lengths.min())}

    def _deviations(self) -> Array:
        return self._sigma * np.sqrt(np.diagonal(self._covariance))

    def _spread(self) -> Array:
        """m + sigma B D z for every perturbation z; eqs. (38) to (40)."""
        self._steps = self._stretched(self._noise)
        return self._space.from_unit(self._mean + self._sigma * self._steps)

    def _stretched(self, noise: Array) -> Array:
        return (noise * self._lengths) @ self._axes.T

    def _whitened(self, noise: Array) -> Array:
        return noise @ self._axes.T

    def _learn_covariance(self, decay: float, weights: Array) -> None:
        """As products of a matrix with its transpose, which are symmetric to the last bit and cost half."""
        rates = self._rates
        scaled = np.sqrt(rates.c_mu * np.abs(weights))[:, None] * self._steps
        better = np.concatenate([scaled[weights > 0.0], np.sqrt(rates.c_1) * self._path_c[None]])
        worse = scaled[weights < 0.0]
        self._covariance *= decay
        self._covariance += better.T @ better
        self._covariance -= worse.T @ worse
        if self._n_updates - self._decomposed_at > self._patience:
            values, self._axes = np.linalg.eigh(self._covariance)
            self._lengths = np.sqrt(np.maximum(values, values[-1] / (2.0 * MAX_CONDITION)))
            self._decomposed_at = self._n_updates


class SeparableCMAES(_CMA):
    """Evolution strategy that learns a variance per gene; time and memory linear in the genes.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2; the paper takes 4 + floor(3 log n_params)
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Ros and Hansen 2008, doi:10.1007/978-3-540-87700-4_30. Deviates: negative weights and failures as in
    `CMAES`; no gene deviates by more than half its bound range.
    """

    _state = (*_CMA._state, "variance")
    _is_separable = True

    def __init__(
        self, space: ParameterSpace, config: CMAESConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, config, x0=x0, population_size=population_size, seed=seed)
        self._variance = np.ones(space.n_params)  # diagonal of C

    def _deviations(self) -> Array:
        return self._sigma * np.sqrt(self._variance)

    def _stretched(self, noise: Array) -> Array:
        return noise * np.sqrt(self._variance)

    def _whitened(self, noise: Array) -> Array:
        return noise

    def _learn_covariance(self, decay: float, weights: Array) -> None:
        learnt = decay + self._rates.c_mu * weighted_squares(weights, self._noise)
        self._variance = learnt * self._variance + self._rates.c_1 * self._path_c**2
