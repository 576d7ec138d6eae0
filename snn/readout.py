"""Linear readouts trained on liquid states; pure (scikit-learn is imported inside `LogisticReadout` only)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn.spike_trains import FloatArray, IntArray


class Readout(Protocol):
    """A trained map from liquid states to classes or values."""

    def fit(self, states: ArrayLike, targets: ArrayLike) -> Readout:
        """Train on (n_trials, n_features) states and their targets."""

    def predict(self, states: ArrayLike) -> NDArray[Any]:
        """Classes or values, one row per state."""

    def score(self, states: ArrayLike, targets: ArrayLike) -> float:
        """Accuracy of classes, or R² of values; 1 is perfect."""


class RidgeReadout:
    """Linear readout with an L2 penalty in closed form; classes by the largest of the one-hot regressions.

    Features are standardised inside; those that are constant in training are ignored. The intercept is not penalised.
    The smaller of the normal equations is solved, (n_features, n_features) or (n_trials, n_trials).

    Parameters
    ----------
    alpha : penalty on the squared weights of standardised features, > 0. Of several, `fit` takes the one with the
        smallest squared error when each trial is left out in turn (exact for the scaling of all trials, from one
        decomposition).

    Attributes
    ----------
    alpha : the penalty of the last `fit`; before, of the constructor
    classes : (n_classes,) sorted labels, or None when the targets were values
    weights : (n_features, n_outputs) float64 for states as given, not standardised
    intercept : (n_outputs,) float64
    leave_one_out_error : (n_alphas,) mean squared error per penalty; None with a single one

    Source: Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634; leaving one out: Golub, Heath & Wahba 1979,
    doi:10.1080/00401706.1979.10489751, with the intercept as in centred regression.
    """

    def __init__(self, alpha: float | Sequence[float] = 1.0) -> None:
        self.alphas = np.atleast_1d(np.asarray(alpha, dtype=np.float64))
        is_allowed = (self.alphas > 0) & np.isfinite(self.alphas)
        if self.alphas.ndim != 1 or self.alphas.size == 0 or not is_allowed.all():
            raise ValueError(f"alpha={alpha} is not allowed: give one penalty > 0 or a list of them, e.g. 1.0.")
        self.alpha: float | Sequence[float] = alpha
        self.classes: NDArray[Any] | None = None
        self.weights: FloatArray | None = None
        self.intercept: FloatArray | None = None
        self.leave_one_out_error: FloatArray | None = None
        self._is_flat = False

    def fit(self, states: ArrayLike, targets: ArrayLike) -> RidgeReadout:
        """Train the weights; integer, boolean and text targets are classes, floats are values.

        Parameters
        ----------
        states : (n_trials, n_features), finite, at least two trials
        targets : (n_trials,) classes, or (n_trials,) or (n_trials, n_outputs) float values

        Raises
        ------
        ValueError : NaN or infinite entries, unequal lengths, wrong shapes, one class only.
        """
        x = check_states(states)
        labels = _check_targets(targets, len(x))
        if len(x) < 2:
            raise ValueError("one trial is not enough to fit a readout: give at least two.")
        if labels.dtype.kind == "f":
            classes, y = None, labels.reshape(len(x), -1)
        else:
            classes, class_idx = _classes(labels)
            y = (class_idx[:, np.newaxis] == np.arange(len(classes))).astype(np.float64)
        mean, scale = _moments(x)
        standardised, centred = (x - mean) / scale, y - y.mean(axis=0)
        if len(self.alphas) == 1:
            self.alpha, self.leave_one_out_error = float(self.alphas[0]), None
            weights = _solve(standardised, centred, self.alpha)
        else:
            weights, self.leave_one_out_error = _solve_best(standardised, centred, self.alphas)
            self.alpha = float(self.alphas[np.argmin(self.leave_one_out_error)])
        self.classes, self._is_flat = classes, labels.ndim == 1
        self.weights = weights / scale[:, np.newaxis]
        self.intercept = y.mean(axis=0) - mean @ self.weights
        return self

    def outputs(self, states: ArrayLike) -> FloatArray:
        """(n_trials, n_outputs) linear outputs; of a classifier one per class.

        Raises
        ------
        RuntimeError : before `fit`.
        ValueError : states that are not finite or have another number of features than in training.
        """
        if self.weights is None or self.intercept is None:
            raise RuntimeError("the readout is not trained: call fit(states, targets) first.")
        return check_states(states, len(self.weights)) @ self.weights + self.intercept

    def predict(self, states: ArrayLike) -> NDArray[Any]:
        """(n_trials,) classes, or values in the shape of the training targets; raises like `outputs`."""
        outputs = self.outputs(states)
        if self.classes is not None:
            return self.classes[outputs.argmax(axis=1)]
        return outputs[:, 0] if self._is_flat else outputs

    def score(self, states: ArrayLike, targets: ArrayLike) -> float:
        """Accuracy of classes; for values R², the mean over outputs.

        Raises
        ------
        ValueError, RuntimeError : like `outputs`, and if the targets do not have the shape of the predictions.
        """
        predicted = self.predict(states)
        wanted = _matching(targets, predicted)
        if self.classes is not None:
            return float(np.mean(predicted == wanted))
        left = np.square(wanted - predicted).sum(axis=0)
        total = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
        has_spread = np.ptp(wanted, axis=0) > 0  # constant targets: 1 if they are met, else 0
        r_squared = np.where(has_spread, 1.0 - left / np.where(has_spread, total, 1.0), left == 0)
        return float(r_squared.mean())


class LogisticReadout:
    """Multinomial logistic regression of scikit-learn on standardised features.

    Parameters
    ----------
    alpha : penalty: the sum of log losses plus alpha/2 times the squared weights is minimised, > 0
    n_iterations_max : int, > 0, of the solver

    Raises
    ------
    ValueError : a penalty or number of iterations that is not positive.
    ModuleNotFoundError : scikit-learn is not installed.
    """

    def __init__(self, alpha: float = 1.0, n_iterations_max: int = 1000) -> None:
        if not 0 < alpha < np.inf:
            raise ValueError(f"alpha={alpha} is not allowed: the penalty must be > 0, e.g. 1.0.")
        if n_iterations_max < 1:
            raise ValueError(f"n_iterations_max={n_iterations_max} is not allowed: it must be >= 1.")
        try:
            linear_model = importlib.import_module("sklearn.linear_model")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "LogisticReadout needs scikit-learn: pip install -e '.[liquid]', or use RidgeReadout."
            ) from error
        self.model = linear_model.LogisticRegression(C=1.0 / alpha, max_iter=n_iterations_max)
        self._mean: FloatArray | None = None
        self._scale: FloatArray | None = None

    def fit(self, states: ArrayLike, targets: ArrayLike) -> LogisticReadout:
        """Train on (n_trials, n_features) states and (n_trials,) classes.

        Raises
        ------
        ValueError : NaN or infinite states, unequal lengths, float targets, one class only.
        """
        x = check_states(states)
        labels = _check_targets(targets, len(x))
        if labels.dtype.kind == "f":
            raise ValueError("LogisticReadout needs classes, but targets are floats: use RidgeReadout for values.")
        _classes(labels)
        self._mean, self._scale = _moments(x)
        self.model.fit((x - self._mean) / self._scale, labels)
        return self

    def predict(self, states: ArrayLike) -> NDArray[Any]:
        """(n_trials,) classes.

        Raises
        ------
        RuntimeError : before `fit`.
        ValueError : states that are not finite or have another number of features than in training.
        """
        if self._mean is None or self._scale is None:
            raise RuntimeError("the readout is not trained: call fit(states, targets) first.")
        return np.asarray(self.model.predict((check_states(states, len(self._mean)) - self._mean) / self._scale))

    def score(self, states: ArrayLike, targets: ArrayLike) -> float:
        """Accuracy; raises like `predict`, and if there is not one target per state."""
        predicted = self.predict(states)
        return float(np.mean(predicted == _matching(targets, predicted)))


def check_states(states: ArrayLike, n_features: int | None = None) -> FloatArray:
    """Liquid states as a float array (n_trials, n_features).

    Raises
    ------
    ValueError : not two-dimensional, empty, NaN or infinite, or not the expected number of features.
    """
    array = np.asarray(states, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"states have shape {array.shape}: give (n_trials, n_features), e.g. states.reshape(n_trials, -1)."
        )
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(f"states have {array.shape[1]} features, but the readout was trained on {n_features}.")
    if not np.isfinite(array).all():
        trial, feature = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"states[{trial}, {feature}]={array[trial, feature]}: every state must be finite.")
    return array


def _check_targets(targets: ArrayLike, n_trials: int) -> NDArray[Any]:
    """Targets as an array: one-dimensional classes, or finite float64 values."""
    array = np.asarray(targets)
    if array.ndim == 0 or len(array) != n_trials:
        n_targets = array.size if array.ndim == 0 else len(array)
        raise ValueError(f"{n_targets} targets for {n_trials} states: give one target per trial.")
    if array.dtype.kind == "f":
        if array.ndim > 2 or not np.isfinite(array).all():
            raise ValueError(f"targets of shape {array.shape} must be finite and one- or two-dimensional.")
        return array.astype(np.float64)
    if array.dtype.kind not in "iubUS" or array.ndim != 1:
        raise ValueError(
            f"targets have dtype {array.dtype} and shape {array.shape}: give (n_trials,) integer or text classes, or "
            "float values."
        )
    return array


def _matching(targets: ArrayLike, predicted: NDArray[Any]) -> NDArray[Any]:
    """Targets in the shape of the predictions."""
    wanted = _check_targets(targets, len(predicted))
    if wanted.shape != predicted.shape:
        raise ValueError(f"targets have shape {wanted.shape}, predictions {predicted.shape}: they must agree.")
    return wanted


def _classes(labels: NDArray[Any]) -> tuple[NDArray[Any], IntArray]:
    """Sorted distinct labels and the index of each label in them."""
    classes, class_idx = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"all targets are {classes[0]}: a classifier needs at least two classes.")
    return classes, class_idx


def _moments(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and scale of each feature; an infinite scale removes a constant one."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    is_constant = std <= 16 * np.finfo(np.float64).eps * np.abs(x).max(axis=0)
    std[is_constant] = np.inf
    return mean, std


def _solve(x: FloatArray, y: FloatArray, alpha: float) -> FloatArray:
    """Ridge weights of centred features and targets, by the smaller normal equations."""
    n_trials, n_features = x.shape
    is_primal = n_features <= n_trials
    gram = x.T @ x if is_primal else x @ x.T
    gram[np.diag_indices_from(gram)] += alpha
    if is_primal:
        return np.asarray(np.linalg.solve(gram, x.T @ y), dtype=np.float64)
    return x.T @ np.linalg.solve(gram, y)


def _solve_best(x: FloatArray, y: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ridge weights for the best penalty, and the leave-one-out error of every penalty."""
    n_trials, n_features = x.shape
    is_primal = n_features <= n_trials
    power, basis = np.linalg.eigh(x.T @ x if is_primal else x @ x.T)
    power = np.maximum(power, 0.0)
    scores = x @ basis if is_primal else basis * np.sqrt(power)  # principal components of the trials
    projection = scores.T @ y
    errors = np.empty(len(alphas))
    for k, alpha in enumerate(alphas):
        own_weight = 1.0 / n_trials + np.square(scores) @ (1.0 / (power + alpha))  # diagonal of the hat matrix
        residual = y - scores @ (projection / (power + alpha)[:, np.newaxis])
        left_out = residual / np.maximum(1.0 - own_weight, np.finfo(np.float64).eps)[:, np.newaxis]
        errors[k] = np.mean(np.square(left_out))
    shrunk = (power + alphas[np.argmin(errors)])[:, np.newaxis]
    weights = basis @ (projection / shrunk) if is_primal else x.T @ (basis @ ((basis.T @ y) / shrunk))
    return weights, errors
