"""Which genes learn from which responses: groups known beforehand, or correlations that stand out; pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optim.base import Array
from optim.ensemble import ALL, Genes, blocks, gene_blocks
from optim.kalman import followed
from optim.space import ParameterSpace

Localisation: TypeAlias = Mapping[str, Any] | Sequence[tuple[Any, Any]]


class Group(NamedTuple):
    """Genes that learn from the same responses."""

    genes: Genes
    columns: NDArray[np.intp]  # of the responses of one item


def make_groups(localisation: Localisation, space: ParameterSpace, n_columns: int) -> tuple[Group, ...]:
    """Groups of genes from what a user gives; genes with the same responses form one group.

    Parameters
    ----------
    localisation : response columns by block name, or pairs of genes (slice or indices) and response columns;
        every gene belongs to exactly one pair
    n_columns : number of responses of an item, 0 if not known

    Raises
    ------
    ValueError : if a block is unknown, a gene belongs to none or two, or a column does not exist.
    """
    if n_columns == 0:
        raise ValueError("localisation needs the number of responses. Give EnKFConfig.block_length or targets.")
    if isinstance(localisation, Mapping):
        unknown = [name for name in localisation if name not in space.slices]
        if unknown:
            raise ValueError(f"localisation names {unknown}, but the blocks are {list(space.names)}. Use their names.")
        localisation = [(space.slices[name], columns) for name, columns in localisation.items()]
    members: dict[tuple[int, ...], list[NDArray[np.intp]]] = {}
    for genes, columns in localisation:
        key = tuple(sorted({int(column) for column in np.atleast_1d(columns)}))
        if not key or key[0] < 0 or key[-1] >= n_columns:
            raise ValueError(
                f"localisation has response columns {key}, but must have one or more of 0 … {n_columns - 1}. "
                "Count the responses of one item."
            )
        members.setdefault(key, []).append(np.arange(space.n_params)[genes].ravel())
    groups = [(np.sort(np.concatenate(genes)), np.array(key)) for key, genes in members.items()]
    counts = np.zeros(space.n_params, dtype=np.intp)
    for genes, _ in groups:
        np.add.at(counts, genes, 1)
    wrong = np.flatnonzero(counts != 1)
    if wrong.size:
        raise ValueError(
            f"localisation has gene {wrong[0]} {counts[wrong[0]]} times ({wrong.size} genes are not there once): it "
            "would never be updated, or twice. Give every gene once."
        )
    return tuple(Group(_as_slice(genes), columns) for genes, columns in groups)


def _as_slice(genes: NDArray[np.intp]) -> Genes:
    """Sorted indices as a slice where they have no gaps."""
    first, last = int(genes[0]), int(genes[-1])
    return slice(first, last + 1) if last - first + 1 == len(genes) else genes


def correlations(covariances: Array, first: Array, second: Array) -> Array:
    """(q, d) correlations of covariances (q, d), with the variances of rows and columns; 0 where one is 0."""
    scale = np.sqrt(first)[:, None] * np.sqrt(second)
    return np.divide(covariances, scale, out=np.zeros_like(covariances), where=scale > 0.0)


def update_corrected(
    ensemble: Array,
    s: Array,
    e: Array,
    *,
    significance: float,
    shrinkage: float,
    form: Literal["joint", "denkf"] = "joint",
    genes: Genes = ALL,
) -> None:
    """Assimilate all responses with sample correlations corrected for the size of the ensemble, in place.

    Correlations r of genes with responses, and of responses among each other, become r |r|^shrinkage. A gene is then
    updated from those responses alone with which |r| > significance / sqrt(J), by a gain of its own. Genes are
    taken in blocks: the covariance of all genes with all responses is never there at once. Costs n^3 for each gene
    with n responses.

    Parameters
    ----------
    ensemble : (J, p) float64, changed
    s, e : (J, d) float64, whitened deviations of the responses, and whitened residuals
    significance, shrinkage : float >= 0
    form, genes : as in `kalman.update`

    Raises
    ------
    RuntimeError : if the corrected covariance of the responses is not positive definite; the ensemble is unchanged.

    Source: Lee 2021, arXiv:2105.11341 (r |r|^alpha); the threshold, with 3 for `significance`, as in the adaptive
    localisation of iterative_ensemble_smoother.
    """
    n_members, n_responses = s.shape
    gram = s.T @ s / n_members
    variances = gram.diagonal().copy()
    gram *= np.abs(correlations(gram, variances, variances)) ** shrinkage
    gram.flat[:: n_responses + 1] += 1.0
    try:
        np.linalg.cholesky(gram)
    except np.linalg.LinAlgError:
        raise RuntimeError(
            f"the covariance of the responses, shrunk with shrinkage={shrinkage}, is not positive definite. "
            "Give an even number, with which it always is, or a larger gamma."
        ) from None
    e = followed(e, form)
    left = np.linalg.solve(gram, e.T).T if significance == 0.0 else e
    for columns in gene_blocks(genes, ensemble.shape[1], max(s.shape)):
        part = ensemble[:, columns]
        deviations = part - part.mean(axis=0)
        cross = deviations.T @ s / n_members
        r = np.abs(correlations(cross, (deviations**2).mean(axis=0), variances))
        cross *= r**shrinkage
        if significance > 0.0:
            cross = solve_selected(gram, cross, r > significance / np.sqrt(n_members))
        ensemble[:, columns] = part + left @ cross.T


def solve_selected(gram: Array, cross: Array, selected: NDArray[np.bool_]) -> Array:
    """Gain of every gene from its selected responses only; 0 elsewhere.

    Parameters
    ----------
    gram : (d, d) float64, positive definite
    cross : (q, d) float64, covariance of gene and response
    selected : (q, d) bool

    Returns
    -------
    (q, d) float64, row i solves gram[n, n] x = cross[i, n] for its selected responses n
    """
    gain = np.zeros_like(cross)
    counts = selected.sum(axis=1)
    for n in np.unique(counts[counts > 0]).tolist():
        rows = np.flatnonzero(counts == n)
        for part in blocks(len(rows), n * n):
            some = rows[part]
            columns = np.nonzero(selected[some])[1].reshape(-1, n)
            matrices = gram[columns[:, :, None], columns[:, None, :]]
            right = np.take_along_axis(cross[some], columns, axis=1)
            gain[some[:, None], columns] = np.linalg.solve(matrices, right[:, :, None])[:, :, 0]
    return gain
