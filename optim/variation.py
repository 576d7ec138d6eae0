"""Crossover and mutation of the genetic algorithm: compiled, a few thousand genes at a time, which stay in the cache.

Random numbers are made of 32 bits: a weight or a chance is met to 2^-32, a normal number to 1e-8.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optim.base import Array
from optim.normals import box_muller
from optim.random_bits import Lanes, Words, fill_words, n_words

Bits = NDArray[np.int32]
Flags = NDArray[np.bool_]

N_AT_ONCE = 2048  # genes; a multiple of 2 N_LANES
_N_WORDS = N_AT_ONCE // 2  # 32 bits for each

# How much of the second parent is in a child, gene by gene. The place of a name is its number in the kernels.
CROSSOVERS = ("blend", "uniform", "one_point", "arithmetic")


def draw_points(crossover: str, shape: tuple[int, int], n_params: int, rng: np.random.Generator) -> Array:
    """`shape` float64, the number that a crossover draws once for a whole child.

    One-point: the cut, the first gene of the second parent, between any two genes alike. Arithmetic: the share of the
    second parent, uniform in [0, 1). The others draw none.
    """
    if crossover == "one_point":
        return rng.integers(1, max(n_params, 2), size=shape).astype(np.float64)
    return rng.random(shape) if crossover == "arithmetic" else np.zeros(shape)


@njit(cache=True)
def fill_weights(crossover: int, alpha: float, point: float, start: int, bits: Bits, g: Array) -> None:
    """Fill `g` with the shares of the second parent in the genes `start`, `start` + 1, ... of a child.

    Parameters
    ----------
    crossover : place in CROSSOVERS. Blend: uniform in [-alpha, 1 + alpha) for every gene, on the line through both
        parents, also beyond them. Uniform: 0 or 1 with equal chance for every gene. One-point: 0 up to a cut and 1
        behind it. Arithmetic: the same for all genes
    point : see `draw_points`
    bits : (>= m,) int32, random
    g : (m,) float64, written

    Source: blend, Eshelman and Schaffer 1993 (BLX-alpha), doi:10.1016/B978-0-08-094832-4.50018-0; uniform, Syswerda
    1989, "Uniform crossover in genetic algorithms".
    """
    if crossover == 0:
        slope, middle = (1.0 + 2.0 * alpha) * 2.0**-32, (1.0 + 2.0 * alpha) * 0.5 - alpha
        for j in range(g.size):
            g[j] = slope * bits[j] + middle
    elif crossover == 1:
        for j in range(g.size):
            g[j] = 1.0 if bits[j] < 0 else 0.0
    elif crossover == 2:
        for j in range(g.size):
            g[j] = 1.0 if start + j >= point else 0.0
    else:
        g[:] = point


@njit(cache=True)
def combine(first: Array, second: Array, g: Array, out: Array) -> None:
    """Children (1 - g) x + g y, gene by gene; bit-equal to x where g = 0 or both are equal, and to y where g = 1.

    Parameters
    ----------
    first, second, g, out : (m,) float64, x, y, the weights and where to write, which may be `first`
    """
    for j in range(g.size):
        child = first[j] + g[j] * (second[j] - first[j])
        out[j] = second[j] if g[j] == 1.0 else child


@njit(cache=True)
def settle(genes: Array, low: Array, high: Array, is_whole: Flags) -> None:
    """Move `genes` (m,) to the nearest point of the box, in place; `is_whole` (m,), or (0,) for none, are rounded."""
    for j in range(genes.size):
        x = genes[j]
        x = x if x > low[j] else low[j]
        genes[j] = x if x < high[j] else high[j]
    for j in range(is_whole.size):
        if is_whole[j]:
            genes[j] = np.rint(genes[j])


@njit(cache=True)
def add_noise(genes: Array, coin: int, sigma: float, coin_bits: Bits, normal: Array) -> None:
    """Add `sigma` times `normal` to the `genes` whose bits are below `coin`, in place; all (m,), or longer."""
    for j in range(genes.size):
        x = genes[j]
        genes[j] = x + sigma * normal[j] if coin_bits[j] < coin else x


@njit(cache=True)
def _mutate(genes: Array, coin: int, sigma: float, lanes: Lanes, words: Words, scratch: Array) -> None:
    """Mutate (m,) genes; `words` (_N_WORDS,) and `scratch` (4, N_AT_ONCE / 2) are overwritten."""
    bits = words.view(np.int32)
    m = (genes.size + 1) // 2
    used = words[: n_words(64 * m)]
    fill_words(lanes, used)
    normal = scratch[:2].reshape(-1)
    box_muller(bits, normal[:m], normal[m : 2 * m], scratch[2, :m], scratch[3, :m])
    fill_words(lanes, used)
    add_noise(genes, coin, sigma, bits, normal)


@njit(cache=True)
def _cross(
    population: Array,
    parents: NDArray[np.int64],
    points: Array,
    crossover: int,
    alpha: float,
    i: int,
    start: int,
    lanes: Lanes,
    words: Words,
    g: Array,
    out: Array,
) -> None:
    """Cross children i and i + 1 in as many genes from `start` on as the scratch `g` (m,) has."""
    bits = words.view(np.int32)
    used = words[: n_words(32 * g.size)]
    part = slice(start, start + g.size)
    first, second = population[parents[0, i], part], population[parents[0, i + 1], part]
    fill_words(lanes, used)
    fill_weights(crossover, alpha, points[0, i], start, bits, g)
    combine(first, second, g, out[i, part])
    combine(second, first, g, out[i + 1, part])
    for k in range(1, len(parents)):
        for child in range(i, i + 2):
            fill_words(lanes, used)
            fill_weights(crossover, alpha, points[k, child], start, bits, g)
            combine(out[child, part], population[parents[k, child], part], g, out[child, part])


@njit(cache=True)
def _differ(first: Array, second: Array) -> bool:
    j = 0
    while j < first.size and first[j] == second[j]:
        j += 1
    return j < first.size


@njit(cache=True)
def vary(
    population: Array,
    parents: NDArray[np.int64],
    points: Array,
    is_crossed: Flags,
    is_mutated: Flags,
    crossover: int,
    alpha: float,
    coin: int,
    sigma: float,
    low: Array,
    high: Array,
    is_whole: Flags,
    lanes: Lanes,
    out: Array,
    is_changed: Flags,
) -> None:
    """Children of a population, in its coordinates, moved into the box after crossover and again after mutation.

    Parameters
    ----------
    population : (n_individuals, n_params) float64
    parents : (n_parents - 1, n) int64, rows of the first parent of each child and of its further ones
    points : (n_parents - 1, n) float64, see `draw_points`; a pair divides by that of its first child
    is_crossed, is_mutated : (n,) bool; of the first, those of children 0, 2, 4, ... are read, for pairs
    crossover, alpha : see `fill_weights`
    coin, sigma : chance that a gene of a mutated child changes, see `random_bits.coin`; standard deviation of the noise
    low, high : (n_params,) float64, the box; whole numbers where the genes are
    is_whole : (n_params,) bool, genes that are rounded; (0,) for none
    lanes : source of random bits; moved on
    out : (n, n_params) float64, written
    is_changed : (n,) bool, written: whether a child differs from its first parent
    """
    n, n_params = out.shape
    words, scratch, weights = np.empty(_N_WORDS, np.uint64), np.empty((4, N_AT_ONCE // 2)), np.empty(N_AT_ONCE)
    is_changed[:] = False
    for i in range(0, n, 2):
        has_crossed = i + 1 < n and is_crossed[i]  # an odd last child has nobody to divide genes with
        for start in range(0, n_params, N_AT_ONCE):
            part = slice(start, min(start + N_AT_ONCE, n_params))
            if has_crossed:
                g = weights[: part.stop - start]
                _cross(population, parents, points, crossover, alpha, i, start, lanes, words, g, out)
            for child in range(i, min(i + 2, n)):
                genes, parent = out[child, part], population[parents[0, child], part]
                if has_crossed:
                    settle(genes, low[part], high[part], is_whole[part])
                else:
                    genes[:] = parent
                if is_mutated[child]:
                    _mutate(genes, coin, sigma, lanes, words, scratch)
                    settle(genes, low[part], high[part], is_whole[part])
                if not is_changed[child]:
                    is_changed[child] = (has_crossed or is_mutated[child]) and _differ(genes, parent)
