"""What the responses of an ensemble say about its members: deviations and residuals in units of the noise; pure."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.base import Array
from optim.enkf_config import EnKFConfig
from optim.misfit import cross_entropy_misfit, misfit_step, softmax, squared_misfit, whitened_logits

_LARGEST_RATIO = 1.0 / np.finfo(np.float64).eps  # variance of the responses over gamma; beyond, gamma is rounded away


class Innovation(NamedTuple):
    """What the responses say about the members that are updated."""

    s: Array  # (J, d), deviations of the responses in units of the noise
    e: Array  # (J, d), residuals in units of the noise
    misfit: float  # see `EnsembleKalmanFilter.diagnostics`
    step: float  # dt
    probabilities: Array | None = None  # (n_items, K), of the mean logits, for loss="categorical"; then `e` is (1, d)


def check_targets(config: EnKFConfig, targets: Array, n_variances: int) -> None:
    """Refuse targets (d,) that do not fit the settings, or the number of variances of the noise.

    Raises
    ------
    ValueError : if they are no whole items, or for classes no probabilities.
    """
    d = len(targets)
    length = config.block_length or d
    if d % length:
        raise ValueError(f"{d} targets are no multiple of EnKFConfig.block_length={length}. Give whole items.")
    if n_variances not in (1, length):
        raise ValueError(f"noise_variance has {n_variances} numbers for items of {length} responses. Give as many.")
    if config.loss != "squared":
        sums = targets.reshape(-1, length).sum(axis=1)
        if length < 2 or (targets < 0.0).any() or not np.allclose(sums, 1.0):
            raise ValueError(
                f"targets of items of {length} responses are not probabilities: their sums are {sums}. "
                "Give one-hot vectors, and the number of classes as EnKFConfig.block_length."
            )


def innovation_of(
    config: EnKFConfig, noise_variance: Array, responses: Array, targets: Array, left: float
) -> Innovation:
    """Deviations, residuals and the step that they allow.

    Parameters
    ----------
    noise_variance : (block_length,), (d,) or (1,) float64 > 0, in units of gamma
    responses, targets : (J, d) and (d,) float64, which fit the config
    left : the longest step, > 0

    Raises
    ------
    RuntimeError : if the update is not defined.
    """
    d = len(targets)
    length = config.block_length or d
    variances = config.gamma * np.resize(noise_variance, d)
    with np.errstate(over="ignore", invalid="ignore"):  # told below, as an error
        probabilities = None
        if config.loss != "squared":
            residuals, misfits = cross_entropy_misfit(responses, targets, length)
            misfit = float(misfits.mean()) * length / d
            if config.loss == "categorical":
                probabilities = softmax(responses.mean(axis=0).reshape(-1, length))
                residuals = targets[None] - probabilities.ravel()
        else:
            residuals, misfits = squared_misfit(responses, targets, variances)
            misfit = float(misfits.mean()) * 2.0 / d
        step = 1.0
        if config.step == "misfit":
            n = d if probabilities is None else len(probabilities)  # of labels the misfit is in nats
            step = min(max(misfit_step(misfits, n), config.min_step), config.max_step)
        step = min(step, left)
        deviation = np.sqrt(variances / step)
        s, e = (responses - responses.mean(axis=0)) / deviation, residuals / deviation
        is_defined = np.vdot(s, s) < _LARGEST_RATIO * len(s) and np.isfinite(np.vdot(e, e))
    if not is_defined:
        raise RuntimeError(
            f"the Kalman update is not defined: gamma={config.gamma} is out of proportion to responses as large "
            f"as {np.abs(responses).max():.3g}. Scale responses and targets to about 1, or report such members "
            "as failed."
        )
    return Innovation(s, e, misfit, step, probabilities)


def of_columns(innovation: Innovation, columns: NDArray[np.intp], length: int) -> tuple[Array, Array]:
    """Deviations and residuals (J, d) of some responses of every item, in units of the noise."""
    s, e, probabilities = innovation.s, innovation.e, innovation.probabilities
    if probabilities is None:
        items = (columns + np.arange(0, s.shape[1], length)[:, None]).ravel()
        return s[:, items], e[:, items]
    s, of_mean = whitened_logits(s.reshape(len(s), -1, length), e.reshape(-1, length), probabilities, columns)
    return s, of_mean - s  # linear, as the likelihood is quadratic now
