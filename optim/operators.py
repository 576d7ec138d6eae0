"""Selection in evolutionary optimizers, and what they ask of a population: pure functions of arrays and a generator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optim.base import Array

Indices = NDArray[np.intp]
Rng = np.random.Generator

_N_COMPARED = 16  # genes that tell most rows apart


def share(fraction: float, n: int) -> int:
    """Number of individuals nearest to `fraction` of `n`, at least 1."""
    return max(1, round(fraction * n))


def best_first(fitness: Array) -> Indices:
    """(n,) indices from the highest fitness to the lowest, failed (NaN) last; equals keep their order."""
    return np.argsort(-fitness, kind="stable")


def is_collapsed(population: Array) -> bool:
    """Whether all rows of (n, n_params) are equal, so that recombining them gives nothing new."""
    ends_are_equal = bool((population[-1] == population[0]).all())  # usually says it all, in one row
    return ends_are_equal and bool((population == population[0]).all())


def is_duplicate(genomes: Array) -> NDArray[np.bool_]:
    """(n,) bool, true for every row of `genomes` (n, n_params) equal to an earlier one."""
    some = genomes[:, :: max(1, genomes.shape[1] // _N_COMPARED)] + 0.0  # makes the bytes of -0.0 those of 0.0
    rows_of: dict[bytes, list[int]] = {}  # those with the same genes among these
    for i, row in enumerate(some):
        rows_of.setdefault(row.tobytes(), []).append(i)
    duplicate = np.zeros(len(genomes), dtype=np.bool_)
    for rows in rows_of.values():
        seen: set[bytes] = set()
        for i in rows if len(rows) > 1 else ():
            key = (genomes[i] + 0.0).tobytes()
            duplicate[i] = key in seen
            seen.add(key)
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
