"""How far the responses of an ensemble are from their targets: residuals, losses, and the step they allow; pure."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optim.base import Array

Columns: TypeAlias = NDArray[np.intp]

_NO_CHANCE = 1e-12  # a probability below counts as this one


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis, from logits (…, K)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def squared_misfit(responses: Array, targets: Array, variances: Array) -> tuple[Array, Array]:
    """Residuals y - g_j and half their squares in units of the noise.

    Parameters
    ----------
    responses : (J, d) float64, g_j
    targets : (d,) float64, y
    variances : (d,) float64 > 0, of the noise on the targets

    Returns
    -------
    residuals : (J, d) float64
    misfits : (J,) float64, sum_i (y_i - g_ji)^2 / (2 variance_i)
    """
    residuals = targets - responses
    return residuals, 0.5 * (residuals**2 / variances).sum(axis=1)


def cross_entropy_misfit(logits: Array, targets: Array, block_length: int) -> tuple[Array, Array]:
    """Residuals y - softmax(z_j), block by block, and the cross entropies -sum y log softmax(z_j).

    The residual is minus the slope of the cross entropy in the logits; it takes the place of y - g_j, which is minus
    the slope of half the squared error in the responses.

    Parameters
    ----------
    logits : (J, d) float64, d a multiple of `block_length`
    targets : (d,) float64, probabilities that sum to 1 in every block
    block_length : K, number of classes

    Returns
    -------
    residuals : (J, d) float64
    misfits : (J,) float64, in nats, summed over the blocks

    Source: Kovachki and Stuart 2019, doi:10.1088/1361-6420/ab1c3a (general loss functions).
    """
    z = logits.reshape(len(logits), -1, block_length)
    y = targets.reshape(-1, block_length)
    shifted = z - z.max(axis=2, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=2))
    misfits = (log_sum * y.sum(axis=1) - (shifted * y).sum(axis=2)).sum(axis=1)
    return (y - softmax(z)).reshape(logits.shape), misfits


def whitened_logits(deviations: Array, residuals: Array, probabilities: Array, columns: Columns) -> tuple[Array, Array]:
    """What labelled items tell about some of their logits, in the form of responses with noise of variance 1.

    Near the mean logits z, the log likelihood of the label y is (y - p)^T x - x^T H x / 2 for logits z + x, with
    p = softmax(z) and H = diag(p) - p p^T. With s the deviations and r = y - p, the results have
    s~ s~^T = s H s^T and s~ e~ = s r: they are responses of the same likelihood. The logits that are not among the
    columns are taken not to vary.

    Parameters
    ----------
    deviations : (J, n, K) float64, s, of the logits of n items from their mean
    residuals : (n, K) float64, r, each summing to 0
    probabilities : (n, K) float64, p
    columns : (m,) int64, classes

    Returns
    -------
    deviations : (J, n (m + 1)) float64, s~; (J, n) for one class, (J, n K) for all
    residuals : (n (m + 1),) float64, e~: Pearson's residuals

    Source: McCullagh and Nelder 1989, "Generalized linear models" (information and Pearson residuals of a multinomial);
    own in the place of the observation of a Kalman update, as an iterated extended filter would have it at its mean.
    """
    n_members, _, n_classes = deviations.shape
    s, r, p = deviations[:, :, columns], residuals[:, columns], np.maximum(probabilities[:, columns], _NO_CHANCE)
    if len(columns) == 1:
        root = np.sqrt(p * np.maximum(1.0 - p, _NO_CHANCE))
        return (s * root).reshape(n_members, -1), (r / root).ravel()
    mean, root = np.einsum("jnk,nk->jn", s, p)[:, :, None], np.sqrt(p)
    s, e = root * (s - mean), r / root
    if len(columns) < n_classes:  # all other classes as one
        rest = np.sqrt(np.maximum(1.0 - p.sum(axis=1, keepdims=True), _NO_CHANCE))
        s, e = (
            np.concatenate([s, -rest * mean], axis=2),
            np.concatenate([e, -r.sum(axis=1, keepdims=True) / rest], axis=1),
        )
    return s.reshape(n_members, -1), e.ravel()


def misfit_step(misfits: Array, n_responses: int) -> float:
    """Step dt for which the update with noise Gamma / dt stays within what the ensemble can resolve.

    max(d / (2 mean Phi), sqrt(d / (2 var Phi))) with Phi the misfits; inf when all responses are on target.

    Parameters
    ----------
    misfits : (J,) float64, as `squared_misfit` gives them
    n_responses : d

    Source: Iglesias and Yang 2021, doi:10.1088/1361-6420/abd29b (data misfit controller, its alpha is 1 / dt).
    """
    with np.errstate(divide="ignore"):
        return float(np.maximum(n_responses / (2.0 * misfits.mean()), np.sqrt(n_responses / (2.0 * misfits.var()))))
