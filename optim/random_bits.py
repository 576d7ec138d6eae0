"""Random bits for compiled kernels: many generators side by side, five times as fast as one of NumPy.

The generators are lanes of one array, so that the compiler turns their steps into vector instructions.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Lanes = NDArray[np.uint64]  # (4, N_LANES)
Words = NDArray[np.uint64]

N_LANES = 128  # a multiple of every vector length; fewer wait for one another
_N_DISCARDED = 12  # steps of a new lane until its words have mixed, as in NumPy


def make_lanes(rng: np.random.Generator) -> Lanes:
    """(4, N_LANES) uint64, generators SFC64 in rows a, b, c and counter, seeded with 192 bits of `rng` each.

    Each gives the words of `numpy.random.SFC64` in the same state. The counter, alike in all, is part of the state and
    a step can be undone: lanes that were seeded differently do not meet within 2^64 words.

    Source: Doty-Humphrey, PractRand 0.93 (sfc64), with the seeding of `numpy.random.SFC64`.
    """
    lanes = np.empty((4, N_LANES), dtype=np.uint64)
    lanes[:3] = rng.integers(2**64, size=(3, N_LANES), dtype=np.uint64)
    lanes[3] = 1
    fill_words(lanes, np.empty(_N_DISCARDED * N_LANES, dtype=np.uint64))
    return lanes


@njit(cache=True)
def n_words(n_bits: int) -> int:
    """Smallest number of words that holds `n_bits` and that `fill_words` can fill."""
    return -(-n_bits // (64 * N_LANES)) * N_LANES


def coin(probability: float) -> int:
    """Number that 32 random bits, read as an integer with sign, are below with this chance, to 2^-32."""
    return round(probability * 2.0**32) - 2**31


@njit(cache=True)
def fill_words(lanes: Lanes, out: Words) -> None:
    """Fill `out` with random words: word i is the next one of lane i modulo N_LANES.

    Parameters
    ----------
    lanes : (4, N_LANES) uint64, of `make_lanes`, all with the same counter; moved on
    out : (m,) uint64, m a multiple of N_LANES
    """
    a, b, c = lanes[0], lanes[1], lanes[2]
    counter = lanes[3, 0]
    n = a.size
    for start in range(0, out.size, n):
        words = out[start : start + n]
        for k in range(n):
            word = a[k] + b[k] + counter
            words[k] = word
            a[k] = b[k] ^ (b[k] >> np.uint64(11))
            b[k] = c[k] + (c[k] << np.uint64(3))
            c[k] = ((c[k] << np.uint64(24)) | (c[k] >> np.uint64(40))) + word
        counter += np.uint64(1)
    lanes[3] = counter
