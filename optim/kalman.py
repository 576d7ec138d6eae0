"""Kalman updates of an ensemble, as functions of arrays.

Papers write U for the ensemble (J, p), A for its deviations from the mean, G for the responses, y for the targets and
Gamma for the covariance of their noise; Gamma is diagonal here. Responses and residuals are passed *whitened*, divided
by the standard deviation of the noise, which makes Gamma the unit matrix:

    s (J, d) : deviations of the responses from their mean;    e (J, d) : residuals y - g_j

All updates have the form U + left (right^T A). They never form a matrix of p x d or p x p numbers, and go over the
genes in blocks of columns. Covariances have the divisor J.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from optim.base import Array
from optim.ensemble import ALL, Genes, gene_blocks

Form = Literal["joint", "denkf", "sqrt"]
Factors: TypeAlias = tuple[Array, Array | None]  # left (J, r) and right (J, r); (J, J) and None: left A

_OWN_RESIDUAL = {"joint": 1.0, "denkf": 0.5, "sqrt": 0.0}  # share of the own deviation that a member corrects


class Prior(NamedTuple):
    """Gaussian prior of the genes, in the coordinates of the ensemble."""

    mean: Array  # (p,)
    variance: float  # of every gene, > 0; divided by dt, as the noise of the responses


def in_observation_space(s: Array, e: Array, *, has_root: bool = False) -> Array:
    """Left factor F of the update U + F s^T A, through (d, d) matrices; cheap when d <= J.

    F = e (s^T s / J + I)^-1 / J, since C_ug = A^T s / J.

    Parameters
    ----------
    s : (J, d) float64, deviations of the whitened responses
    e : (J, d) float64, whitened residuals; with `has_root` (1, d), those of the mean
    has_root : add the symmetric square root, which turns the deviations A into (I + s s^T / J)^-1/2 A

    Returns
    -------
    (J, d) float64

    Source: Iglesias, Law and Stuart 2013, doi:10.1088/0266-5611/29/4/045001; the root as in
    `in_ensemble_space`, with (I + s s^T / J)^-1/2 - I = s h(s^T s / J) s^T / J and h(x) = ((1 + x)^-1/2 - 1) / x.
    """
    n_members, n_responses = s.shape
    gram = s.T @ s / n_members
    if not has_root:
        gram.flat[:: n_responses + 1] += 1.0
        return np.asarray(np.linalg.solve(gram, e.T).T / n_members)
    values, vectors = np.linalg.eigh(gram)
    root = np.sqrt(1.0 + np.maximum(values, 0.0))
    return (e @ vectors / root**2 - s @ vectors / (root * (1.0 + root))) @ vectors.T / n_members


def in_ensemble_space(gram: Array, overlap: Array, *, has_root: bool = False) -> Array:
    """Factor W of the update U + W A, through (J, J) matrices; cheap when d > J.

    W = overlap (gram + I)^-1: the same update, because (s^T s / J + I)^-1 s^T = s^T (s s^T / J + I)^-1.

    Parameters
    ----------
    gram : (J, J) float64, s s^T / J
    overlap : (J, J) float64, e s^T / J
    has_root : as in `in_observation_space`

    Returns
    -------
    (J, J) float64

    Source: Hunt, Kostelich and Szunyogh 2007, doi:10.1016/j.physd.2006.11.008, for the symmetric square root of the
    ensemble transform Kalman filter of Bishop, Etherton and Majumdar 2001. Deviates: divisor J.
    """
    if not has_root:
        return np.asarray(np.linalg.solve(gram + np.eye(len(gram)), overlap.T).T)
    values, vectors = np.linalg.eigh(gram)
    root = np.sqrt(1.0 + np.maximum(values, 0.0))
    return (overlap @ vectors / root**2 + vectors * (1.0 / root - 1.0)) @ vectors.T


def prior_terms(ensemble: Array, genes: Genes, prior: Prior) -> tuple[Array, Array]:
    """What the genes add as observations of themselves, whose targets are the prior mean.

    Returns
    -------
    gram : (J, J) float64, A A^T / (J variance)
    pull : (J,) float64, (prior mean - ensemble mean) A^T / (J variance); row j of the overlap is pull - gram[j]

    Source: Chada, Stuart and Tong 2020, doi:10.1137/19M1242331 (Tikhonov ensemble Kalman inversion).
    """
    n_members, n_params = ensemble.shape
    gram = np.zeros((n_members, n_members))
    pull = np.zeros(n_members)
    for columns in gene_blocks(genes, n_params, n_members):
        part = ensemble[:, columns]
        mean = part.mean(axis=0)
        deviations = part - mean
        gram += deviations @ deviations.T
        pull += deviations @ (prior.mean[columns] - mean)
    scale = n_members * prior.variance
    return gram / scale, pull / scale


def move(ensemble: Array, genes: Genes, steps: Sequence[Factors]) -> None:
    """Add left (right^T A) to some genes of the ensemble, in place, for one pair of factors after the other.

    A is taken anew for every pair. Columns of `right` sum to zero, so that the mean need not be.
    """
    n_members, n_params = ensemble.shape
    for columns in gene_blocks(genes, n_params, n_members):
        part = ensemble[:, columns]
        mean = part.mean(axis=0)
        deviations = part - mean
        for left, right in steps:
            deviations += left @ (deviations if right is None else right.T @ deviations)
        deviations += mean
        ensemble[:, columns] = deviations


def followed(e: Array, form: Form) -> Array:
    """Residuals that members follow: that of the mean, and a share of their deviation from it; "sqrt" has (1, d)."""
    mean = e.mean(axis=0)
    return mean[None] if form == "sqrt" else mean + _OWN_RESIDUAL[form] * (e - mean)


def update(
    ensemble: Array, s: Array, e: Array, *, form: Form = "joint", genes: Genes = ALL, prior: Prior | None = None
) -> None:
    """Assimilate all responses at once, in place.

    Works through matrices of d x d or J x J numbers, whichever is cheaper.

    Parameters
    ----------
    ensemble : (J, p) float64, changed
    s, e : (J, d) float64, whitened deviations and residuals
    form : "joint": every member follows its own residual; "denkf": its deviation from the mean follows half of it;
        "sqrt": it follows none of it, the deviations are transformed to the covariance of the Kalman filter
    genes : which genes to change
    prior : appended to the responses as an observation of these genes

    Source: "denkf" Sakov and Oke 2008, doi:10.1111/j.1600-0870.2007.00299.x; others as in the functions above.
    """
    n_members, n_responses = s.shape
    has_root = form == "sqrt"
    e = followed(e, form)
    if prior is not None or n_responses > n_members:
        gram, overlap = s @ s.T / n_members, e @ s.T / n_members
        if prior is not None:
            prior_gram, pull = prior_terms(ensemble, genes, prior)
            gram += prior_gram
            overlap = overlap + pull - _OWN_RESIDUAL[form] * prior_gram
        factors: Factors = in_ensemble_space(gram, overlap, has_root=has_root), None
    else:
        left = in_observation_space(s, e, has_root=has_root)
        n_genes = len(genes) if not isinstance(genes, slice) else len(range(*genes.indices(ensemble.shape[1])))
        is_thin = 2 * n_responses * n_genes <= n_members * (n_responses + n_genes)
        factors = (left, s) if is_thin else (left @ s.T, None)
    move(ensemble, genes, [factors])


def update_published(ensemble: Array, s: Array, e: Array, block_length: int, *, genes: Genes = ALL) -> None:
    """Assimilate one item (image) after the other, in place; the responses are not evaluated again in between.

    Every item takes the covariance with the genes as moved so far, but deviations and residuals of the responses from
    before the first. Equals `update` if the responses of different items are uncorrelated in the ensemble.

    Parameters
    ----------
    ensemble : (J, p) float64, changed
    s, e : (J, d) float64, whitened deviations and residuals, d a multiple of `block_length`

    Source: Yegenoglu et al. 2020, doi:10.1007/978-3-030-64580-9_7, and its public code.
    """
    items = [slice(start, start + block_length) for start in range(0, s.shape[1], block_length)]
    move(ensemble, genes, [(in_observation_space(s[:, item], e[:, item]), s[:, item]) for item in items])
