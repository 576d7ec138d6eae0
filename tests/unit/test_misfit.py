import numpy as np
import pytest

from optim.misfit import cross_entropy_misfit, misfit_step, softmax, squared_misfit, whitened_logits


def test_the_squared_misfit_weighs_residuals_by_the_noise():
    residuals, misfits = squared_misfit(np.array([[1.0, 2.0]]), np.array([3.0, 1.0]), np.array([2.0, 0.5]))
    np.testing.assert_allclose(residuals, [[2.0, -1.0]])
    np.testing.assert_allclose(misfits, [0.5 * (4.0 / 2.0 + 1.0 / 0.5)])


def test_the_residual_of_a_cross_entropy_is_minus_its_slope_in_the_logits():
    rng = np.random.default_rng(1)
    logits = 3.0 * rng.standard_normal((1, 6))
    targets = np.array([0.0, 1.0, 0.0, 0.2, 0.3, 0.5])
    residuals, misfits = cross_entropy_misfit(logits, targets, 3)
    by_hand = -sum(targets[3 * i : 3 * i + 3] @ np.log(softmax(logits[0, 3 * i : 3 * i + 3])) for i in range(2))
    np.testing.assert_allclose(misfits, by_hand)
    for i in range(6):
        ahead = logits + 1e-6 * np.eye(6)[i]
        slope = (cross_entropy_misfit(ahead, targets, 3)[1] - misfits) / 1e-6
        np.testing.assert_allclose(residuals[0, i], -slope, atol=1e-5)


def test_large_logits_give_finite_losses():
    residuals, misfits = cross_entropy_misfit(np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([1.0, 0.0]), 2)
    np.testing.assert_allclose(misfits, [0.0, 2e4])
    np.testing.assert_allclose(residuals, [[0.0, 0.0], [1.0, -1.0]])


@pytest.mark.parametrize("columns", [[0], [3], [0, 2], [1, 2, 3], [0, 1, 2, 3]])
def test_whitened_logits_have_the_information_of_labels(columns):
    """Against the second derivative of the log likelihood, item by item, with other logits held fixed."""
    rng = np.random.default_rng(1)
    deviations, labels = rng.standard_normal((6, 5, 4)), np.eye(4)[rng.integers(4, size=5)]
    probabilities = softmax(2.0 * rng.standard_normal((5, 4)))
    residuals = labels - probabilities
    s, e = whitened_logits(deviations, residuals, probabilities, np.array(columns))
    information, score = np.zeros((6, 6)), np.zeros(6)
    for item, p in enumerate(probabilities):
        curvature = (np.diag(p) - np.outer(p, p))[np.ix_(columns, columns)]
        ours = deviations[:, item, columns]
        information += ours @ curvature @ ours.T
        score += ours @ residuals[item, columns]
    np.testing.assert_allclose(s @ s.T, information, atol=1e-12)
    np.testing.assert_allclose(s @ e, score, atol=1e-12)


@pytest.mark.parametrize("columns", [[0], [0, 1], [0, 1, 2]])
def test_labels_that_were_certain_tell_nothing_and_surprises_a_finite_amount(columns):
    deviations = np.random.default_rng(1).standard_normal((6, 2, 3))
    labels, probabilities = np.eye(3)[[0, 1]], np.eye(3)[[0, 0]]  # as foretold, and foretold to be impossible
    s, e = whitened_logits(deviations, labels - probabilities, probabilities, np.array(columns))
    assert np.isfinite(s).all()
    np.testing.assert_allclose(s @ e, (deviations * (labels - probabilities))[:, 1, columns].sum(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    ("misfits", "step"),
    [([8.0, 12.0], np.sqrt(6 / (2 * 4.0))), ([10.0, 10.2], np.sqrt(6 / (2 * 0.01))), ([0.3, 900.0], 3 / 450.15)],
)
def test_the_step_is_the_larger_of_the_two_of_the_misfit_controller(misfits, step):
    np.testing.assert_allclose(misfit_step(np.array(misfits), 6), step)


def test_responses_on_target_allow_any_step():
    assert misfit_step(np.zeros(3), 2) == np.inf
