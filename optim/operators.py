"""Selection, crossover and mutation of the evolutionary optimizers: pure functions of arrays and a generator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optim.base import Array

Indices = NDArray[np.intp]
Rng = np.random.Generator


def share(fraction: float, n: int) -> int:
    """Number of individuals nearest to `fraction` of `n`, at least 1."""
    return max(1, round(fraction * n))


def best_first(fitness: Array) -> Indices:
    """(n,) indices from the highest fitness to the lowest, failed (NaN) last; equals keep their order."""
    return np.argsort(-fitness, kind="stable")


def is_collapsed(population: Array) -> bool:
    """Whether all rows of (n, n_params) are equal, so that recombining them gives nothing new."""
    return bool((population == population[0]).all())


def is_duplicate(genomes: Array) -> NDArray[np.bool_]:
    """(n,) bool, true for every row of `genomes` (n, n_params) equal to an earlier one."""
    seen: set[bytes] = set()
    duplicate = np.empty(len(genomes), dtype=np.bool_)
    for i, row in enumerate(genomes + 0.0):  # makes the bytes of -0.0 those of 0.0
        duplicate[i] = row.tobytes() in seen
        seen.add(row.tobytes())
    return duplicate


# Selection: indices of parents.


def tournament(fitness: Array, draws: NDArray[np.int64]) -> NDArray[np.int64]:
    """Winner of each tournament; the first drawn wins a tie, a failed individual loses to any other.

    Parameters
    ----------
    fitness : (n,) float64, NaN = failed
    draws : (n_tournaments, tournament_size) int64, indices into `fitness`

    Returns
    -------
    (n_tournaments,) int64, indices into `fitness`
    """
    comparable = np.where(np.isnan(fitness), -np.inf, fitness)
    winners = np.argmax(comparable[draws], axis=1)
    return draws[np.arange(len(draws)), winners]


def spin(weights: Array, n: int, rng: Rng) -> Indices:
    """`n` different indices from a wheel with slices in proportion to `weights`, each winner taken off before the next.

    The smallest of exponential variates with rates w_i is i with probability w_i / sum(w), and what is left has the
    same property. An index of weight 0 is drawn when no other is left, in order; if all are 0, all are equal.

    Parameters
    ----------
    weights : (n_weights,) float64, >= 0
    n : 1 … n_weights

    Returns
    -------
    (n,) int64, in the order drawn

    Source: Efraimidis and Spirakis 2006, doi:10.1016/j.ipl.2005.11.003.
    """
    if not weights.any():
        weights = np.ones_like(weights)
    with np.errstate(divide="ignore", over="ignore"):
        keys = rng.standard_exponential(len(weights)) / weights
    return np.argsort(keys, kind="stable")[:n]


def truncation(fitness: Array, n: int, rng: Rng) -> Indices:
    """The `n` best; no random numbers."""
    return best_first(fitness)[:n]


def roulette(fitness: Array, n: int, rng: Rng) -> Indices:
    """`n` drawn in proportion to how far their fitness lies above the lowest.

    The shift makes the choice independent of the zero of the fitness and gives negative fitness a meaning.
    """
    return spin(0.5 * fitness - 0.5 * fitness.min(), n, rng)  # halves: the difference cannot overflow


def linear_rank(fitness: Array, n: int, rng: Rng) -> Indices:
    """`n` drawn in proportion to their rank: 1 for the worst up to n for the best; equals share the mean rank.

    Source: Baker 1985, "Adaptive selection methods for genetic algorithms" (linear ranking), with the steepest slope.
    """
    _, level, counts = np.unique(fitness, return_inverse=True, return_counts=True)
    return spin((np.cumsum(counts) - 0.5 * (counts - 1))[level], n, rng)


# (fitness (n,) without failed ones, how many of them, generator) -> indices of different individuals.
POOLS: dict[str, Callable[[Array, int, Rng], Indices]] = {
    "truncation": truncation,
    "roulette": roulette,
    "rank": linear_rank,
}


def mating_pool(selection: str, fitness: Array, n: int, rng: Rng) -> Indices:
    """Up to `n` different individuals that may become parents, chosen as `POOLS[selection]` says.

    A failed individual is not among them: with fewer than `n` survivors the pool is smaller. If all failed, it is
    `n` at random.

    Parameters
    ----------
    fitness : (n_individuals,) float64, NaN = failed
    n : 1 … n_individuals

    Returns
    -------
    (<= n,) int64, indices into `fitness`
    """
    survivors = np.flatnonzero(~np.isnan(fitness))
    if not survivors.size:
        return rng.permutation(len(fitness))[:n]
    return survivors[POOLS[selection](fitness[survivors], min(n, len(survivors)), rng)]


# Crossover: how much of the second parent is in a child, gene by gene. All have the signature
# (shape of the parents (n, n_params), alpha, generator) -> (n, n_params) or (n, 1); only "blend" reads alpha.


def blend_weights(shape: tuple[int, int], alpha: float, rng: Rng) -> Array:
    """Uniform in [-alpha, 1 + alpha] for every gene: on the line through both parents, also beyond them.

    Source: Eshelman and Schaffer 1993 (BLX-alpha), doi:10.1016/B978-0-08-094832-4.50018-0.
    """
    return (1.0 + 2.0 * alpha) * rng.random(shape) - alpha


def uniform_weights(shape: tuple[int, int], alpha: float, rng: Rng) -> Array:
    """0 or 1 with equal chance for every gene.

    Source: Syswerda 1989, "Uniform crossover in genetic algorithms".
    """
    return rng.integers(2, size=shape).astype(np.float64)


def one_point_weights(shape: tuple[int, int], alpha: float, rng: Rng) -> Array:
    """0 up to a cut and 1 behind it; the cut lies between two genes, all places equally likely."""
    n, n_params = shape
    cut = rng.integers(1, max(n_params, 2), size=(n, 1))
    return (np.arange(n_params) >= cut).astype(np.float64)


def arithmetic_weights(shape: tuple[int, int], alpha: float, rng: Rng) -> Array:
    """Uniform in [0, 1], one for all genes of a child: on the segment between its parents."""
    return rng.random((shape[0], 1))


CROSSOVERS: dict[str, Callable[[tuple[int, int], float, Rng], Array]] = {
    "blend": blend_weights,
    "uniform": uniform_weights,
    "one_point": one_point_weights,
    "arithmetic": arithmetic_weights,
}


def combine(first: Array, second: Array, g: Array) -> Array:
    """Children (1 - g) x + g y, gene by gene; bit-equal to x where g = 0 or both are equal, and to y where g = 1.

    Parameters
    ----------
    first, second : (n, n_params) float64, x and y
    g : float64, broadcast to them
    """
    return np.where(g == 1.0, second, first + g * (second - first))


def mutate(scaled: Array, chosen: NDArray[np.bool_], gene_probability: float, sigma: float, rng: Rng) -> Array:
    """Copy of `scaled` (n, n_params) with Gaussian noise on some genes of the `chosen` (n,) rows; not clipped."""
    is_hit = chosen[:, None] & (rng.random(scaled.shape) < gene_probability)
    return np.where(is_hit, scaled + rng.normal(0.0, sigma, scaled.shape), scaled)
