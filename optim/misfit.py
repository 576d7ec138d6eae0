"""How far the responses of an ensemble are from their targets: residuals, losses, and the step they allow; pure."""

import numpy as np

from optim.base import Array


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
