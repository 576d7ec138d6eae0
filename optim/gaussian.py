"""What searches share that draw candidates from a normal distribution around a mean."""

from typing import ClassVar

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.normals import fill_standard_normal
from optim.search import Search
from optim.space import ParameterSpace

WIDEST = 1.0  # no gene deviates by more than half its bound range: beyond, candidates only crowd on the bounds
NARROWEST = 1e-12  # a search whose genes deviate by less has converged
_N_VALUES_AT_ONCE = 65536  # what is in work then fits into the second-level cache


class GaussianSearch(Search):
    """Base class of these searches; positions and deviations are in unit coordinates of the space.

    A subclass says

    - in `_deviations`, the standard deviation of each gene;
    - in `_spread`, where the perturbations in `_noise`, one row per candidate or mirrored pair, put the candidates,
      if the genes are not independent;
    - in `_adapt`, how the fitness of the candidates changes the distribution.

    The candidates are brought back into the box as their blocks say. The perturbations are kept as drawn, so the
    search follows the fitness of inside(x), x unbounded. The state holds the seed of the perturbations instead of
    themselves, which are as large as the population.

    A failed candidate ranks below all others. If all failed, the distribution stays and new candidates are drawn.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2, even if mirrored
    is_mirrored : every perturbation is used with both signs: row i + n/2 mirrors row i
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.
    """

    _state: ClassVar[tuple[str, ...]] = ("mean", "noise_seed")

    def __init__(
        self, space: ParameterSpace, *, x0: Array, population_size: int, is_mirrored: bool = False, seed: Seed
    ) -> None:
        space.check(np.asarray(x0)[None])
        is_integer = isinstance(population_size, int | np.integer)
        if not is_integer or population_size < 2 or (is_mirrored and population_size % 2):
            raise ValueError(
                f"population_size={population_size} must be an integer >= 2{' and even (mirrored)' * is_mirrored}. "
                "Give e.g. 32."
            )
        super().__init__(space, seed)
        self._population_size = int(population_size)
        self._is_mirrored = is_mirrored
        self._mean = space.to_unit(np.asarray(x0, dtype=np.float64))
        n = self._population_size // 2 if is_mirrored else self._population_size
        self._noise = np.empty((n, space.n_params))  # filled for every generation; new arrays would cost as much again
        self._draw()

    @property
    def mean(self) -> Array:
        """(n_params,) float64, the current estimate of the best genome."""
        return self._space.from_unit(self._mean)

    def stop(self) -> dict[str, str]:
        """ "converged" if all candidates are practically equal."""
        if self._deviations().max() >= NARROWEST:
            return {}
        return {"converged": f"no gene deviates by more than {NARROWEST} of half its bound range"}

    def diagnostics(self) -> dict[str, float]:
        """Standard deviations of the genes in units of half the bound range: geometric mean, least and largest."""
        deviations = np.maximum(self._deviations(), np.finfo(np.float64).tiny)
        return {
            "sigma": float(np.exp(np.log(deviations).mean())),
            "sigma_min": float(deviations.min()),
            "sigma_max": float(deviations.max()),
        }

    def _deviations(self) -> Array:
        """(n_params,) float64, standard deviation of each gene, in unit coordinates."""
        raise NotImplementedError

    def _spread(self) -> Array:
        """(n, n_params) float64, the genomes that `_noise` stands for."""
        return spread_independently(
            self._space, self._mean, self._deviations(), self._noise, is_mirrored=self._is_mirrored
        )

    def _adapt(self, fitness: Array) -> None:
        """Change the distribution; `fitness` (n,) has NaN for the failed, but not only."""
        raise NotImplementedError

    def _genomes(self) -> Array:
        """The mean with every perturbation."""
        self._fill(self._noise)
        return self._spread()

    def _learn(self, evaluations: Evaluations) -> None:
        """Adapt the distribution and choose the next perturbations."""
        if not evaluations.failed.all():
            self._adapt(evaluations.fitness)
        self._draw()

    def _draw(self) -> None:
        """Choose the next perturbations."""
        self._noise_seed = int(self._rng.integers(2**63))

    def _fill(self, noise: Array) -> None:
        """Write the perturbations of this generation, standard normal numbers, into (n, n_params) float64."""
        fill_standard_normal(self._noise_seed, noise)


def spread_independently(
    space: ParameterSpace, mean: Array, deviation: Array, noise: Array, *, is_mirrored: bool
) -> Array:
    """Genomes at mean + deviation noise in unit coordinates, each gene with a deviation of its own.

    Parameters
    ----------
    mean, deviation : (n_params,) float64, unit coordinates
    noise : (n, n_params) float64

    Returns
    -------
    (n, n_params) float64, or (2 n, n_params) with the mirror images mean - deviation noise in the second half
    """
    n, n_params = noise.shape
    halves = (1.0, -1.0) if is_mirrored else (1.0,)
    genomes = np.empty((len(halves) * n, n_params))
    n_at_once = min(n, max(1, _N_VALUES_AT_ONCE // n_params))
    unit = np.empty((n_at_once, n_params))
    for start in range(0, n, n_at_once):
        rows = slice(start, min(start + n_at_once, n))
        block = unit[: rows.stop - start]
        for half, sign in enumerate(halves):
            np.multiply(noise[rows], sign * deviation, out=block)
            block += mean
            space.from_unit(block, out=genomes[half * n + start : half * n + rows.stop])
    return genomes


def weighted_squares(weights: Array, noise: Array) -> Array:
    """(n_params,) float64, sum_i weights_i noise_i^2, for weights (n,) and noise (n, n_params)."""
    n, n_params = noise.shape
    total = np.zeros(n_params)
    n_at_once = max(1, _N_VALUES_AT_ONCE // n_params)
    for start in range(0, n, n_at_once):
        block = noise[start : start + n_at_once]
        total += weights[start : start + n_at_once] @ (block * block)
    return total
