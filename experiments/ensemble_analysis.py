"""What an ensemble of the Kalman filter knows: spectra and blocks of its covariances, weights by type; pure.

Covariances of many genes are never formed: a product of two ensembles says as much about their norms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = slice | NDArray[np.intp]


def covariance_spectrum(sample: Array) -> Array:
    """Eigenvalues of the covariance of an ensemble, the largest first.

    Parameters
    ----------
    sample : (J, d) float64, responses or genes of J members

    Returns
    -------
    (min(J, d),) float64 >= 0, divisor J; those beyond are 0
    """
    deviations = sample - sample.mean(axis=0)
    values = np.linalg.svd(deviations, compute_uv=False)
    return np.asarray(values**2 / len(sample))


def effective_rank(spectrum: Array) -> float:
    """(sum x)² / sum x² of eigenvalues x: as many equal ones would be as unequal; 0 if all are 0."""
    squares = float(np.square(spectrum).sum())
    return float(spectrum.sum()) ** 2 / squares if squares else 0.0


def cross_covariance_norms(
    genomes: Array, responses: Array, genes: Mapping[str, Columns], columns: Mapping[str, Columns]
) -> Array:
    """Squared Frobenius norms of the blocks of C_ug = A^T B / J.

    With own blocks on the diagonal, ``np.trace(norms) / norms.sum()`` is the share of what genes know about their own
    responses.

    Parameters
    ----------
    genomes : (J, p) float64, u
    responses : (J, d) float64, g
    genes, columns : blocks of genes and of responses by name

    Returns
    -------
    (n_gene_blocks, n_response_blocks) float64

    Source: own; |A^T B|² = sum of the elements of (A A^T) * (B B^T), which are (J, J) each.
    """
    ours, theirs = (
        [_gram(sample[:, block]) for block in blocks.values()]
        for sample, blocks in ((genomes, genes), (responses, columns))
    )
    return np.array([[float(np.vdot(a, b)) for b in theirs] for a in ours]) / len(genomes) ** 2


def spreads(genomes: Array, genes: Mapping[str, Columns]) -> Array:
    """(n_blocks,) root mean square deviation of the genes of each block from their mean over the members."""
    return np.array([float(np.sqrt(genomes[:, block].var(axis=0).mean())) for block in genes.values()])


def _gram(sample: NDArray[Any]) -> Array:
    deviations = sample - sample.mean(axis=0)
    return np.asarray(deviations @ deviations.T)
