"""Readouts against closed forms, brute force and scikit-learn."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn.readout import LogisticReadout, Readout, RidgeReadout

NO_SKLEARN = "scikit-learn is the second implementation of this test; it is in the extra `liquid`"


def some_data(n_trials=40, n_features=7, n_outputs=3, seed=0):
    """Correlated states of different scale and offset, and noisy linear targets."""
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(n_trials, n_features)) @ rng.normal(size=(n_features, n_features))
    states = states * rng.uniform(0.1, 30, n_features) + rng.normal(scale=50, size=n_features)
    targets = states @ rng.normal(size=(n_features, n_outputs)) + rng.normal(scale=20, size=(n_trials, n_outputs)) + 9
    return states, targets


def some_classes(n_trials=90, n_features=6, seed=0, labels=(2, 5, 7)):
    rng = np.random.default_rng(seed)
    class_idx = rng.integers(0, len(labels), n_trials)
    means = rng.normal(scale=1.5, size=(len(labels), n_features))
    return means[class_idx] + rng.normal(size=(n_trials, n_features)), np.array(labels)[class_idx]


def brute_force(states, targets, alpha, scale_of=None):
    """Ridge of the textbook: augmented least squares with an explicit, free intercept column."""
    scale_of = states if scale_of is None else scale_of
    mean, std = scale_of.mean(axis=0), scale_of.std(axis=0)
    design = np.column_stack([np.ones(len(states)), (states - mean) / std])
    penalty = np.sqrt(alpha) * np.eye(design.shape[1])[1:]
    rows = np.vstack([design, penalty])
    wanted = np.vstack([targets, np.zeros((len(penalty), targets.shape[1]))])
    beta = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return lambda new: np.column_stack([np.ones(len(new)), (new - mean) / std]) @ beta


# --- ridge: values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [1e-6, 0.3, 100.0])
@pytest.mark.parametrize("n_features", [3, 20, 60], ids=["tall", "square", "wide"])
def test_ridge_equals_least_squares_with_penalty_rows_and_a_free_intercept(alpha, n_features):
    states, targets = some_data(20, n_features)
    new = states + np.random.default_rng(1).normal(size=states.shape)
    expected = brute_force(states, targets, alpha)(new)
    found = RidgeReadout(alpha).fit(states, targets).predict(new)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(targets).max())


@pytest.mark.parametrize("n_features", [5, 60])
def test_one_penalty_and_a_list_with_only_that_penalty_repeated_agree(n_features):
    states, targets = some_data(20, n_features)
    by_solve = RidgeReadout(0.7).fit(states, targets).predict(states)
    by_eigenvectors = RidgeReadout([0.7, 0.7]).fit(states, targets).predict(states)
    np.testing.assert_allclose(by_eigenvectors, by_solve, rtol=1e-8)


@pytest.mark.parametrize("n_features", [4, 30])
def test_the_leave_one_out_error_is_that_of_leaving_each_trial_out(n_features):
    states, targets = some_data(12, n_features)
    alphas = [0.01, 1.0, 50.0]
    readout = RidgeReadout(alphas).fit(states, targets)
    for alpha, error in zip(alphas, readout.leave_one_out_error, strict=True):
        residuals = []
        for left_out in range(len(states)):
            others = np.arange(len(states)) != left_out
            predict = brute_force(states[others], targets[others], alpha, scale_of=states)
            residuals.append(targets[left_out] - predict(states[[left_out]])[0])
        assert error == pytest.approx(np.mean(np.square(residuals)), rel=1e-6)
    assert readout.alpha == alphas[np.argmin(readout.leave_one_out_error)]


def test_the_chosen_penalty_is_small_without_noise_and_large_for_pure_noise():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(100, 30))
    alphas = [1e-4, 1.0, 1e4]
    assert RidgeReadout(alphas).fit(states, states @ rng.normal(size=30)).alpha == 1e-4
    assert RidgeReadout(alphas).fit(states, rng.normal(size=100)).alpha == 1e4


def test_a_huge_penalty_leaves_the_mean_and_a_tiny_one_recovers_exact_weights():
    rng = np.random.default_rng(0)
    states, weights = rng.normal(size=(50, 4)) * [1, 10, 0.1, 3], np.array([1.0, -2.0, 30.0, 0.5])
    targets = states @ weights + 7.0
    np.testing.assert_allclose(RidgeReadout(1e12).fit(states, targets).predict(states), targets.mean(), atol=1e-6)
    exact = RidgeReadout(1e-9).fit(states, targets)
    np.testing.assert_allclose(exact.weights[:, 0], weights, rtol=1e-6)
    np.testing.assert_allclose(exact.intercept, [7.0], rtol=1e-6)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([3, 15]), st.sampled_from([0.5, [0.1, 10.0]]))
def test_units_and_offsets_of_the_features_do_not_matter(seed, n_features, alpha):
    states, targets = some_data(10, n_features, seed=seed)
    rng = np.random.default_rng(seed)
    other = states * np.exp(rng.uniform(-3, 3, n_features)) + rng.normal(scale=10, size=n_features)
    first = RidgeReadout(alpha).fit(states, targets).predict(states)
    second = RidgeReadout(alpha).fit(other, targets).predict(other)
    np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-6 * np.abs(targets).max())


@pytest.mark.parametrize("alpha", [1.0, [0.1, 1.0]])
def test_constant_features_are_ignored_even_when_they_change_later(alpha):
    states, targets = some_data(20, 4)
    constant = np.full((20, 2), 0.1 + 0.2)
    with_constant = RidgeReadout(alpha).fit(np.hstack([states, constant]), targets)
    changed = np.hstack([states, constant + 1000.0])
    np.testing.assert_allclose(with_constant.predict(changed), RidgeReadout(alpha).fit(states, targets).predict(states))


def test_values_keep_the_shape_of_the_targets():
    states, targets = some_data()
    assert RidgeReadout().fit(states, targets).predict(states).shape == (40, 3)
    assert RidgeReadout().fit(states, targets[:, 0]).predict(states).shape == (40,)
    assert RidgeReadout().fit(states, targets[:, :1]).predict(states).shape == (40, 1)


def test_the_score_of_values_is_one_minus_residual_over_total_power():
    states, targets = some_data()
    readout = RidgeReadout(1.0).fit(states, targets)
    left = ((targets - readout.predict(states)) ** 2).sum(axis=0)
    total = len(targets) * targets.var(axis=0)
    assert readout.score(states, targets) == pytest.approx(np.mean(1 - left / total))
    assert readout.score(states, np.tile(targets.mean(axis=0), (40, 1))) == 0.0  # constant and not met


# --- ridge: classes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [(2, 5, 7), ("ant", "bee", "wasp"), (False, True)])
@pytest.mark.parametrize("alpha", [1.0, [0.1, 10.0]])
def test_separable_classes_are_all_found_whatever_their_labels(labels, alpha):
    rng = np.random.default_rng(0)
    class_idx = np.arange(60) % len(labels)
    states = 10.0 * np.eye(3)[class_idx] + rng.normal(size=(60, 3))
    targets = np.array(labels)[class_idx]
    readout = RidgeReadout(alpha).fit(states, targets)
    assert readout.score(states, targets) == 1.0
    assert readout.predict(states).dtype == targets.dtype
    np.testing.assert_array_equal(readout.classes, sorted(labels))


def test_a_class_is_the_argmax_of_the_regression_on_one_hot_targets():
    states, targets = some_classes()
    readout = RidgeReadout(2.0).fit(states, targets)
    one_hot = (targets[:, np.newaxis] == np.array([2, 5, 7])).astype(float)
    expected = brute_force(states, one_hot, 2.0)(states)
    np.testing.assert_allclose(readout.outputs(states), expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(readout.predict(states), np.array([2, 5, 7])[expected.argmax(axis=1)])
    np.testing.assert_allclose(readout.outputs(states).sum(axis=1), 1.0)  # one-hot rows sum to one, so must the fits


def test_fitting_again_forgets_the_first_task():
    states, targets = some_classes()
    used = RidgeReadout(1.0).fit(states, targets).fit(states, states[:, 0])
    fresh = RidgeReadout(1.0).fit(states, states[:, 0])
    assert used.classes is None
    np.testing.assert_array_equal(used.predict(states), fresh.predict(states))


# --- second implementation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [5, 60])
def test_ridge_and_its_choice_of_penalty_equal_scikit_learn(n_features):
    linear_model = pytest.importorskip("sklearn.linear_model", reason=NO_SKLEARN)
    states, targets = some_data(30, n_features, n_outputs=1)
    alphas = [0.01, 0.1, 1.0, 10.0, 100.0]
    standardised = (states - states.mean(axis=0)) / states.std(axis=0)
    theirs = linear_model.RidgeCV(alphas=alphas).fit(standardised, targets[:, 0])
    ours = RidgeReadout(alphas).fit(states, targets[:, 0])
    assert ours.alpha == theirs.alpha_
    np.testing.assert_allclose(ours.predict(states), theirs.predict(standardised), rtol=1e-7)
    assert ours.score(states, targets[:, 0]) == pytest.approx(theirs.score(standardised, targets[:, 0]))


def test_ridge_classes_equal_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model", reason=NO_SKLEARN)
    states, targets = some_classes()
    standardised = (states - states.mean(axis=0)) / states.std(axis=0)
    theirs = linear_model.RidgeClassifier(alpha=3.0).fit(standardised, targets).predict(standardised)
    np.testing.assert_array_equal(RidgeReadout(3.0).fit(states, targets).predict(states), theirs)


# --- logistic ----------------------------------------------------------------------------------------------------


def test_logistic_weights_make_the_gradient_of_its_loss_vanish():
    pytest.importorskip("sklearn.linear_model", reason=NO_SKLEARN)
    states, targets = some_classes()
    alpha = 0.5
    readout = LogisticReadout(alpha).fit(states, targets)
    x = (states - states.mean(axis=0)) / states.std(axis=0)
    logits = x @ readout.model.coef_.T + readout.model.intercept_
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    one_hot = targets[:, np.newaxis] == np.array([2, 5, 7])
    gradient = (share - one_hot).T @ x + alpha * readout.model.coef_
    np.testing.assert_allclose(gradient, 0, atol=0.05)  # sums over 90 trials; the solver stops at 1e-4 of the mean
    np.testing.assert_array_equal(readout.predict(states), np.array([2, 5, 7])[share.argmax(axis=1)])
    assert readout.score(states, targets) == np.mean(readout.predict(states) == targets)


def test_logistic_ignores_constant_features():
    pytest.importorskip("sklearn.linear_model", reason=NO_SKLEARN)
    states, targets = some_classes()
    padded = np.column_stack([states, np.full(len(states), 3.0)])
    changed = np.column_stack([states, np.full(len(states), 1e6)])
    readout = LogisticReadout().fit(padded, targets)
    np.testing.assert_array_equal(readout.predict(changed), readout.predict(padded))


def test_logistic_refuses_values_as_targets_and_prediction_before_fit():
    pytest.importorskip("sklearn.linear_model", reason=NO_SKLEARN)
    with pytest.raises(ValueError, match="targets are floats: use RidgeReadout"):
        LogisticReadout().fit(np.eye(3), [0.5, 1.5, 2.5])
    with pytest.raises(ValueError, match="all targets are 1: a classifier needs at least two"):
        LogisticReadout().fit(np.eye(3), np.ones(3, dtype=int))
    with pytest.raises(RuntimeError, match=r"not trained: call fit\(states, targets\) first"):
        LogisticReadout().predict(np.eye(3))


def test_logistic_without_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '.\[liquid\]'"):
        LogisticReadout()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, r"alpha=0\.0 is not allowed"),
        ({"alpha": np.nan}, "alpha=nan is not allowed"),
        ({"n_iterations_max": 0}, "n_iterations_max=0 is not allowed"),
    ],
)
def test_logistic_refuses_settings_that_mean_nothing(settings, message):
    with pytest.raises(ValueError, match=message):
        LogisticReadout(**settings)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, np.inf, [], [1.0, 0.0], [[1.0]]])
def test_ridge_refuses_a_penalty_that_is_not_positive(alpha):
    with pytest.raises(ValueError, match=r"alpha=.* is not allowed: give one penalty > 0"):
        RidgeReadout(alpha)


@pytest.mark.parametrize(
    ("states", "targets", "message"),
    [
        ([[1.0, np.nan], [0.0, 1.0]], [0, 1], r"states\[0, 1\]=nan: every state must be finite"),
        ([[1.0, 0.0], [np.inf, 1.0]], [0, 1], r"states\[1, 0\]=inf"),
        ([1.0, 2.0], [0, 1], r"states have shape \(2,\): give \(n_trials, n_features\)"),
        (np.ones((2, 3, 4)), [0, 1], r"states have shape \(2, 3, 4\)"),
        (np.ones((0, 3)), [], r"states have shape \(0, 3\)"),
        (np.eye(3), [0, 1], "2 targets for 3 states"),
        (np.eye(3), 1, "1 targets for 3 states"),
        (np.eye(3), [0.0, np.nan, 1.0], r"targets of shape \(3,\) must be finite"),
        (np.eye(3), np.zeros((3, 1, 1)), r"targets of shape \(3, 1, 1\) must be finite and one- or two-dim"),
        (np.eye(3), np.eye(3, dtype=int), r"targets have dtype int64 and shape \(3, 3\)"),
        (np.eye(3), [1j, 0, 0], "targets have dtype complex128"),
        (np.eye(3), [4, 4, 4], "all targets are 4: a classifier needs at least two classes"),
        ([[1.0, 2.0]], [1.0], "one trial is not enough"),
    ],
)
def test_fit_refuses_states_and_targets_that_do_not_fit(states, targets, message):
    with pytest.raises(ValueError, match=message):
        RidgeReadout().fit(states, targets)


def test_predict_before_fit_and_states_of_another_liquid_are_refused():
    readout = RidgeReadout()
    with pytest.raises(RuntimeError, match=r"not trained: call fit\(states, targets\) first"):
        readout.predict(np.eye(3))
    readout.fit(np.eye(3), [0, 1, 1])
    with pytest.raises(ValueError, match="states have 4 features, but the readout was trained on 3"):
        readout.predict(np.eye(4))
    with pytest.raises(ValueError, match=r"states\[0, 0\]=nan"):
        readout.predict(np.full((1, 3), np.nan))
    with pytest.raises(ValueError, match="2 targets for 3 states"):
        readout.score(np.eye(3), [0, 1])
    with pytest.raises(ValueError, match=r"targets have shape \(3, 1\), predictions \(3,\)"):
        readout.score(np.eye(3), np.zeros((3, 1)))


def test_both_readouts_can_stand_in_for_each_other():
    readouts: list[type[Readout]] = [RidgeReadout, LogisticReadout]
    assert all(callable(getattr(readout, name)) for readout in readouts for name in ("fit", "predict", "score"))
