"""Poisson numbers by inversion: 64 random bits looked up in a table, ten times as fast as NumPy draws them.

A table holds the distribution function in units of 2^-63; a number is the first k whose value is above 63 random bits.
A guide, indexed by the first of these bits, tells where to begin to look, so that one comparison is mostly enough.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from snn.spike_trains import FloatArray, IntArray

MAX_TABLE_MEAN = 1000.0  # a table grows with the root of its mean; NumPy draws numbers of larger means
_GUIDE_BITS = 9
_GUIDE_SIZE = 2**_GUIDE_BITS


class PoissonTables(NamedTuple):
    """Tables of some means, one after the other."""

    threshold: NDArray[np.uint64]  # (n_thresholds,) 2^63 P(number <= k) for k, k + 1, …; the last of a mean is 2^63
    offset: IntArray  # (n_means,) number minus place of its threshold
    guide: NDArray[np.int32]  # (n_means, _GUIDE_SIZE) place of the first threshold that can be the one


class PoissonDraws:
    """Independent Poisson numbers of sources with means of their own; those of equal means share a table.

    The numbers have the Poisson distribution but for the rounding of the tables: each P(number <= k) is within 2^-52 of
    the exact one, its tails within 2^-63 + 1e-13 of their own size. Means above `MAX_TABLE_MEAN` are left to NumPy.

    Parameters
    ----------
    mean : (n_networks, n_sources) float64, >= 0
    """

    def __init__(self, mean: FloatArray) -> None:
        self._mean, self._is_large = mean, mean > MAX_TABLE_MEAN
        means, table = np.unique(np.where(self._is_large, 0.0, mean), return_inverse=True)
        self._table: IntArray = table.reshape(mean.shape)
        self._tables = make_tables(means)

    def draw(self, n_steps: int, rng: np.random.Generator, large_rng: np.random.Generator) -> IntArray:
        """Numbers for some steps; of a single network the same ones, however its steps are split over calls.

        Parameters
        ----------
        rng, large_rng : independent generators, the second for means above `MAX_TABLE_MEAN`

        Returns
        -------
        (n_networks, n_steps, n_sources) int64
        """
        n_networks, n_sources = self._mean.shape
        words = rng.integers(2**64, size=(n_networks, n_steps, n_sources), dtype=np.uint64)
        numbers = words.view(np.int64)  # in place: half the memory to go through
        look_up(words, self._table, self._tables, numbers)
        for network in np.flatnonzero(self._is_large.any(axis=1)):
            large = np.flatnonzero(self._is_large[network])
            numbers[network][:, large] = large_rng.poisson(self._mean[network, large], (n_steps, large.size))
        return numbers


def make_tables(means: FloatArray) -> PoissonTables:
    """Tables of (n_means,) means from 0 to `MAX_TABLE_MEAN`."""
    # By Chernoff's bound less than 2^-65 lies outside on either side.
    spread = 10.0 * np.sqrt(means)
    smallest = np.maximum(means - spread, 0.0).astype(np.int64)
    size = (means + spread).astype(np.int64) + 32 - smallest
    first = np.cumsum(size) - size
    tables = PoissonTables(
        threshold=np.empty(size.sum(), dtype=np.uint64),
        offset=smallest - first,
        guide=np.empty((means.size, _GUIDE_SIZE), dtype=np.int32),
    )
    fill_tables(means, first, size, tables)
    return tables


@njit(cache=True, nogil=True)
def fill_tables(means: FloatArray, first: IntArray, size: IntArray, tables: PoissonTables) -> None:
    """Fill the tables of all means; first, size : (n_means,) place and number of their thresholds."""
    for i in range(means.size):
        mean, begin, n, smallest = means[i], first[i], size[i], tables.offset[i] + first[i]
        chance = np.zeros(n)  # in proportion to the probabilities, from the largest of them outwards
        mode = math.floor(mean) - smallest
        chance[mode] = 1.0
        for k in range(mode + 1, n):
            chance[k] = chance[k - 1] * mean / (smallest + k)
        for k in range(mode - 1, -1, -1):
            chance[k] = chance[k + 1] * (smallest + k + 1) / mean
        below = np.cumsum(chance)
        above = np.zeros(n)  # added from the end, so that small tails are exact
        for k in range(n - 2, -1, -1):
            above[k] = above[k + 1] + chance[k + 1]
        for k in range(n):
            total = below[k] + above[k]
            if below[k] < above[k]:
                tables.threshold[begin + k] = np.uint64(round(below[k] / total * 2.0**63))
            else:
                tables.threshold[begin + k] = np.uint64(2**63) - np.uint64(round(above[k] / total * 2.0**63))
        at = begin
        for cell in range(_GUIDE_SIZE):
            while tables.threshold[at] <= np.uint64(cell) << np.uint64(63 - _GUIDE_BITS):
                at += 1
            tables.guide[i, cell] = at


@njit(cache=True, nogil=True)
def look_up(words: NDArray[np.uint64], table: IntArray, tables: PoissonTables, numbers: IntArray) -> None:
    """Turn random words into Poisson numbers.

    Parameters
    ----------
    words : (n_networks, n_steps, n_sources) uint64, of which 63 bits are taken
    table : (n_networks, n_sources) int64, row of each source in the tables
    numbers : (n_networks, n_steps, n_sources) int64, written; may lie where the words do
    """
    threshold, offset, guide = tables.threshold, tables.offset, tables.guide
    for network in range(words.shape[0]):
        for step in range(words.shape[1]):
            for source in range(words.shape[2]):
                bits = words[network, step, source] >> np.uint64(1)
                row = table[network, source]
                at = guide[row, bits >> np.uint64(63 - _GUIDE_BITS)]
                while threshold[at] <= bits:
                    at += 1
                numbers[network, step, source] = at + offset[row]
