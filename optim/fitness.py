"""From raw scores to what an optimizer uses; pure functions."""

import numpy as np

from optim.base import Array


def centered_ranks(fitness: Array) -> Array:
    """Ranks scaled to [-0.5, 0.5]; they sum to zero and do not change under monotone maps of the fitness.

    Equal fitness gets the mean of the ranks it spans. Failed individuals (NaN or infinite) are equal among
    themselves and rank below every other.

    Parameters
    ----------
    fitness : (n,) float64, maximised

    Returns
    -------
    (n,) float64, dimensionless; 0 for a single individual

    Source: Salimans et al. 2017, section 2.1 (fitness shaping), arXiv:1703.03864. Deviates: ties are averaged.
    """
    if len(fitness) < 2:
        return np.zeros(len(fitness))
    comparable = np.where(np.isfinite(fitness), fitness, -np.inf)
    _, level, counts = np.unique(comparable, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - 0.5 * (counts + 1)
    return mean_rank[level] / (len(fitness) - 1) - 0.5


def mean_over_episodes(values: Array) -> Array:
    """Mean over the episodes of each individual; one failed episode fails the individual.

    Skipping failed episodes instead would favour individuals that fail in the hard worlds.

    Parameters
    ----------
    values : (n, n_episodes, k) float64, k scores per episode; NaN or infinite = failed

    Returns
    -------
    (n, k) float64; all k are NaN for a failed individual

    Raises
    ------
    ValueError : if `values` is not 3-d or has no episode.
    """
    if np.ndim(values) != 3 or np.shape(values)[1] == 0:
        raise ValueError(
            f"values have shape {np.shape(values)}, but must be (n, n_episodes, k) with n_episodes >= 1. "
            "Give a single score per episode as k = 1."
        )
    values = np.asarray(values, dtype=np.float64)
    is_valid = np.isfinite(values).all(axis=(1, 2))
    means = np.full((values.shape[0], values.shape[2]), np.nan)
    means[is_valid] = values[is_valid].mean(axis=1)
    return means
