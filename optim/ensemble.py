"""Moments of an ensemble and draws from it, over blocks of rows or columns so that copies stay small; pure."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optim.base import Array

Genes: TypeAlias = slice | NDArray[np.intp]

ALL = slice(None)
_BLOCK = 2**20  # numbers in a block: 8 MB


def blocks(n: int, n_each: int) -> Iterator[slice]:
    """Slices that cut `n` rows or columns of `n_each` numbers each into blocks of about 8 MB."""
    width = max(1, _BLOCK // max(1, n_each))
    return (slice(start, min(start + width, n)) for start in range(0, n, width))


def gene_blocks(genes: Genes, n_params: int, n_each: int) -> Iterator[Genes]:
    """Blocks of some of the columns of an ensemble, to index it with."""
    if isinstance(genes, slice):
        every = range(*genes.indices(n_params))
        for part in blocks(len(every), n_each):
            some = every[part]
            yield slice(some.start, some.stop, some.step)
    else:
        for part in blocks(len(genes), n_each):
            yield genes[part]


def in_row_blocks(function: Callable[[Array], Array], ensemble: Array, out: Array | None = None) -> Array:
    """`function` of the rows (J, p), in `out`, which may be the ensemble itself, or in a new array."""
    out = np.empty_like(ensemble) if out is None else out
    for rows in blocks(*ensemble.shape):
        out[rows] = function(ensemble[rows])
    return out


def spread_of(ensemble: Array) -> float:
    """Root of the sum over members and genes of the squared deviation from the mean member (J, p)."""
    total = 0.0
    for columns in gene_blocks(ALL, ensemble.shape[1], len(ensemble)):
        part = ensemble[:, columns]
        total += float(np.square(part - part.mean(axis=0)).sum())
    return float(np.sqrt(total))


def effective_rank(s: Array) -> float:
    """(sum x)^2 / sum x^2 of the eigenvalues x of the covariance of `s` (J, d); 0 if all rows are equal."""
    gram = s.T @ s if s.shape[1] <= len(s) else s @ s.T
    norm = float(np.linalg.norm(gram))
    return float((np.trace(gram) / norm) ** 2) if norm else 0.0


def redraw(survivors: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, p) draws from the Gaussian with mean and covariance (divisor J) of `survivors` (J, p); stays in their span.

    Source: the failure handler of EnsembleKalmanProcesses.jl (sample from the Gaussian of the successful members).
    """
    n_members, n_params = survivors.shape
    z = rng.standard_normal((n, n_members)) / np.sqrt(n_members)
    drawn = np.empty((n, n_params))
    for columns in gene_blocks(ALL, n_params, n_members):
        part = survivors[:, columns]
        mean = part.mean(axis=0)
        drawn[:, columns] = mean + z @ (part - mean)
    return drawn


def fittest(fitness: Array, n: int) -> NDArray[np.intp]:
    """Indices, ascending, of the `n` members with the highest fitness (J,); NaN is the lowest, ties go by index."""
    order = np.argsort(-np.where(np.isnan(fitness), -np.inf, fitness), kind="stable")
    return np.sort(order[:n])


def add_noise(ensemble: Array, deviation: float, rng: np.random.Generator) -> None:
    """Add independent normal numbers with this standard deviation to all genes, in place."""
    for rows in blocks(*ensemble.shape):
        ensemble[rows] += deviation * rng.standard_normal(ensemble[rows].shape)


def stretch(ensemble: Array, factor: float) -> None:
    """Multiply the deviations from the mean member by `factor`, in place."""
    mean = ensemble.mean(axis=0)
    ensemble -= mean
    ensemble *= factor
    ensemble += mean


def renew(ensemble: Array, genes: Genes, share: float, sd: Array, rng: np.random.Generator) -> None:
    """Replace part of the variance of some genes by noise of another direction, in place; the mean stays.

    Deviations become sqrt(1 - share) of themselves plus sqrt(share) times noise, so that the variance of a gene comes
    nearer to that of the noise, and stays if it is the same.

    Parameters
    ----------
    ensemble : (J, p) float64, changed
    sd : (p,) float64, standard deviations of the noise
    """
    n_members, n_params = ensemble.shape
    for columns in gene_blocks(genes, n_params, n_members):
        part = ensemble[:, columns]
        mean = part.mean(axis=0)
        noise = rng.standard_normal(part.shape)
        noise -= noise.mean(axis=0)
        noise *= np.sqrt(share) * sd[columns]
        ensemble[:, columns] = mean + np.sqrt(1.0 - share) * (part - mean) + noise


def nesterov(theta: float) -> tuple[float, float]:
    """Next theta, and the weight beta of the last change; a new start has theta = 1, which gives beta = 0.

    Source: Vernon, Bach and Dunbar 2025, arXiv:2501.08779, with steps of equal length.
    """
    following = 0.5 * (np.sqrt(theta**4 + 4.0 * theta**2) - theta**2)
    return float(following), float(following * (1.0 / theta - 1.0))
