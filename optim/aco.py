"""Ant colony optimisation for real numbers: sample around the solutions of a ranked archive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

_SAME_POINT = 1e-12  # width in unit coordinates below which all solutions are the same but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class ACOConfig:
    """Settings of `ContinuousAntColony`.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    archive_size: int = 50  # solutions kept, k, >= 2
    q: float = 0.1  # preference of the best: standard deviation of the chosen rank is q k, > 0
    xi: float = 0.85  # width of the samples, in units of the mean distance to the other solutions, > 0

    def __post_init__(self) -> None:
        if not isinstance(self.archive_size, int) or self.archive_size < 2:
            raise ValueError(
                f"ACOConfig.archive_size={self.archive_size} is not an integer >= 2: a width needs two solutions. "
                "Give e.g. 50."
            )
        for name in ("q", "xi"):
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise ValueError(f"ACOConfig.{name}={value} is outside (0, inf). Leave it out for the default.")


def rank_weights(n: int, width: float) -> Array:
    """(n,) probabilities of the ranks 0 to n - 1, best first: half a Gaussian with standard deviation `width`.

    Source: Socha and Dorigo 2008, the weights omega_l with width q k, doi:10.1016/j.ejor.2006.06.046.
    """
    weights = np.exp(-0.5 * (np.arange(n) / width) ** 2)
    return weights / weights.sum()


def mean_distances(archive: Array, chosen: NDArray[np.int64]) -> Array:
    """Mean distance, gene by gene, of each chosen row to the other rows of the archive.

    Parameters
    ----------
    archive : (k, n_params) float64, k >= 2
    chosen : (n,) int64, row numbers

    Returns
    -------
    (n, n_params) float64

    Source: Socha and Dorigo 2008, sigma without xi, doi:10.1016/j.ejor.2006.06.046.
    """
    rows, where = np.unique(chosen, return_inverse=True)
    distances = [np.abs(archive - archive[row]).sum(axis=0) for row in rows]
    return np.stack(distances)[where] / (len(archive) - 1)


class ContinuousAntColony(Search):
    """Keep the best solutions of all generations and sample around them, mostly around the best.

    Every ant chooses one solution of the archive by its rank and draws all genes from Gaussians around it, whose
    widths are `xi` times the mean distance of that solution to the others. Works in unit coordinates of the space.

    The archive begins with the first generation and fills up to `archive_size`. A failed ant never enters it. As
    long as it has fewer than two solutions, ants are drawn in the box. A solution keeps the fitness it had: with
    a noisy fitness, a lucky one stays.

    Parameters
    ----------
    initial : (n_ants, n_params) float64, the first generation, inside the bounds; at least 1
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has no row or leaves the bounds.

    Source: Socha and Dorigo 2008 (ACO_R), doi:10.1016/j.ejor.2006.06.046. Deviates: any number of ants, an archive
    that begins with them, bounds and failures.
    """

    _state = ("archive", "archive_fitness", "population")

    def __init__(self, space: ParameterSpace, config: ACOConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if not len(initial):
            raise ValueError("initial has no ants. Give one row or more.")
        super().__init__(space, seed)
        self._config = config
        self._population = space.to_unit(np.asarray(initial, dtype=np.float64))
        self._archive = np.zeros((config.archive_size, space.n_params))  # unit coordinates, best first
        self._archive_fitness = np.full(config.archive_size, np.nan)  # NaN = empty

    def _solutions(self) -> Array:
        """(k, n_params) unit coordinates, the filled part of the archive."""
        return self._archive[~np.isnan(self._archive_fitness)]

    def _genomes(self) -> Array:
        """The ants."""
        return self._space.from_unit(self._population)

    def _learn(self, evaluations: Evaluations) -> None:
        """Put the best of archive and ants into the archive, the older first among equals; sample new ants."""
        config = self._config
        candidates = np.concatenate([self._archive, self._population])
        fitness = np.concatenate([self._archive_fitness, evaluations.fitness])
        best = np.argsort(-fitness, kind="stable")[: config.archive_size]  # NaN sorts last
        self._archive, self._archive_fitness = candidates[best], fitness[best]

        solutions = self._solutions()
        n = len(evaluations)
        if len(solutions) < 2:
            self._population = self._space.to_unit(self._space.sample(self._rng, n))
            return
        weights = rank_weights(len(solutions), config.q * config.archive_size)
        chosen = self._rng.choice(len(solutions), size=n, p=weights)
        width = config.xi * mean_distances(solutions, chosen)
        noise = self._rng.standard_normal(self._population.shape)
        self._population = self._space.confine(solutions[chosen] + width * noise)

    def stop(self) -> dict[str, str]:
        """Says "converged" when two or more solutions are there and all are the same."""
        solutions = self._solutions()
        if len(solutions) < 2 or np.ptp(solutions, axis=0).max() >= _SAME_POINT:
            return {}
        return {"converged": f"all solutions of the archive are within {_SAME_POINT} of one point in unit coordinates"}

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the archive, in unit coordinates; 0 while it is empty."""
        solutions = self._solutions()
        return {"spread": float(solutions.std(axis=0).mean()) if len(solutions) else 0.0}
