import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.enkf import redraw, solve_definite, update_in_ensemble_space, update_in_observation_space
from optim.problems import linear_gaussian_posterior_mean, linear_responses

UPDATES = [update_in_observation_space, update_in_ensemble_space]


def space(n_params, width=100.0):
    return ParameterSpace((Block("x", n_params, -width, width),))


def problem(n_members, n_params, n_targets, seed=1):
    rng = np.random.default_rng(seed)
    ensemble = rng.standard_normal((n_members, n_params))
    forward = rng.standard_normal((n_targets, n_params))
    return ensemble, forward, rng.standard_normal(n_targets)


def make(ensemble, targets, seed=1, **config):
    return EnsembleKalmanFilter(
        space(ensemble.shape[1]), EnKFConfig(**config), initial=ensemble, targets=targets, seed=seed
    )


def advance(kalman, forward, failed=()):
    genomes = kalman.ask()
    responses = linear_responses(genomes, forward)
    responses[list(failed)] = np.nan
    kalman.tell(genomes, Evaluations(-np.abs(responses).sum(axis=1), responses))


def outside_span(points, basis_points):
    """Largest distance of `points` from the affine span of `basis_points`."""
    origin = basis_points.mean(axis=0)
    _, singular, rows = np.linalg.svd(basis_points - origin, full_matrices=False)
    rows = rows[singular > 1e-10 * singular[0]]
    offset = points - origin
    return np.abs(offset - offset @ rows.T @ rows).max()


@pytest.mark.parametrize(
    ("field", "value"), [("gamma", 0.0), ("gamma", np.nan), ("inflation", -0.1), ("inflation_decay", 0.0)]
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"EnKFConfig\.{field}="):
        EnKFConfig(**{field: value})


@pytest.mark.parametrize("targets", [1.0, [], [np.nan], [[1.0]]])
def test_targets_that_are_no_finite_vector_are_refused(targets):
    with pytest.raises(ValueError, match="must be \\(d,\\) finite numbers"):
        make(np.zeros((3, 2)), targets)


def test_one_member_is_refused():
    with pytest.raises(ValueError, match="initial has 1 members"):
        make(np.zeros((1, 2)), [1.0])


def test_an_indefinite_matrix_gives_nan_and_no_solution():
    assert np.isnan(solve_definite(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones((2, 1)))).all()


@settings(derandomize=True, deadline=None)
@given(st.integers(2, 9), st.integers(1, 9), st.integers(1, 12), st.floats(0.01, 10.0), st.integers(0, 100))
def test_observation_space_and_ensemble_space_give_the_same_update(n_members, n_params, n_targets, gamma, seed):
    ensemble, forward, targets = problem(n_members, n_params, n_targets, seed)
    responses = np.tanh(linear_responses(ensemble, forward))
    first, second = (update(ensemble, responses, targets, gamma) for update in UPDATES)
    np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("update", UPDATES)
def test_the_update_equals_the_published_formula_written_out_member_by_member(update):
    ensemble, forward, targets = problem(7, 4, 3)
    responses = np.sin(linear_responses(ensemble, forward))
    c_ug, c_gg = np.zeros((4, 3)), np.zeros((3, 3))
    for u, g in zip(ensemble, responses, strict=True):
        c_ug += np.outer(u - ensemble.mean(axis=0), g - responses.mean(axis=0)) / 7
        c_gg += np.outer(g - responses.mean(axis=0), g - responses.mean(axis=0)) / 7
    gain = c_ug @ np.linalg.inv(c_gg + 0.3 * np.eye(3))
    expected = [u + gain @ (targets - g) for u, g in zip(ensemble, responses, strict=True)]
    np.testing.assert_allclose(update(ensemble, responses, targets, 0.3), expected, rtol=1e-10)


def test_the_mean_equals_the_posterior_of_the_sample_prior_exactly():
    ensemble, forward, targets = problem(9, 4, 3)
    kalman = make(ensemble, targets, gamma=0.2)
    advance(kalman, forward)
    covariance = np.cov(ensemble.T, bias=True)
    expected = linear_gaussian_posterior_mean(forward, ensemble.mean(axis=0), covariance, 0.2, targets)
    np.testing.assert_allclose(kalman.mean, expected, rtol=1e-9)


def test_the_mean_reaches_the_linear_gaussian_posterior_within_monte_carlo_error():
    n_members = 20_000
    ensemble, forward, targets = problem(n_members, 4, 3)
    kalman = make(ensemble, targets, gamma=0.5)
    advance(kalman, forward)
    expected = linear_gaussian_posterior_mean(forward, np.zeros(4), np.eye(4), 0.5, targets)
    np.testing.assert_allclose(kalman.mean, expected, atol=5.0 / np.sqrt(n_members))


def test_without_target_noise_every_member_meets_the_targets():
    ensemble, forward, targets = problem(20, 6, 2)
    kalman = make(ensemble, targets, gamma=1e-9)
    advance(kalman, forward)
    np.testing.assert_allclose(linear_responses(kalman.ask(), forward), np.tile(targets, (20, 1)), atol=1e-6)


def test_scaling_a_gene_and_its_bounds_scales_the_search():
    ensemble, forward, targets = problem(8, 3, 2)
    scale = np.array([1.0, 7.0, 0.01])
    blocks = tuple(Block(f"x{i}", 1, -10.0 * s, 10.0 * s) for i, s in enumerate(scale))
    scaled = EnsembleKalmanFilter(
        ParameterSpace(blocks), EnKFConfig(inflation=0.01), initial=ensemble * scale, targets=targets, seed=1
    )
    plain = EnsembleKalmanFilter(space(3, 10.0), EnKFConfig(inflation=0.01), initial=ensemble, targets=targets, seed=1)
    for _ in range(3):
        advance(plain, forward)
        advance(scaled, forward / scale)
    np.testing.assert_allclose(scaled.ask(), plain.ask() * scale, rtol=1e-9)


@pytest.mark.parametrize("n_targets", [3, 9])
def test_the_ensemble_stays_in_its_initial_span_unless_inflated(n_targets):
    ensemble, forward, targets = problem(5, 12, n_targets)
    plain, inflated = make(ensemble, targets), make(ensemble, targets, inflation=0.01)
    for _ in range(5):
        advance(plain, forward, failed=[2])
        advance(inflated, forward)
    assert outside_span(plain.ask(), ensemble) < 1e-10
    assert outside_span(inflated.ask(), ensemble) > 0.1


@pytest.mark.parametrize("n_targets", [2, 8])
def test_survivors_move_as_if_the_failed_had_never_been_there(n_targets):
    ensemble, forward, targets = problem(6, 4, n_targets)
    with_failed, without = make(ensemble, targets), make(ensemble[[0, 2, 3, 5]], targets)
    advance(with_failed, forward, failed=[1, 4])
    advance(without, forward)
    np.testing.assert_array_equal(with_failed.ask()[[0, 2, 3, 5]], without.ask())
    assert outside_span(with_failed.ask()[[1, 4]], without.ask()) < 1e-10


def test_redrawn_members_have_mean_and_covariance_of_the_survivors():
    survivors = np.random.default_rng(1).normal(3.0, [1.0, 2.0], size=(10, 2))
    drawn = redraw(survivors, 40_000, np.random.default_rng(2))
    np.testing.assert_allclose(drawn.mean(axis=0), survivors.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T, bias=True), np.cov(survivors.T, bias=True), atol=0.15)


@pytest.mark.parametrize("n_survivors", [0, 1])
def test_fewer_than_two_survivors_stop_the_search_with_the_state_unchanged(n_survivors):
    ensemble, forward, targets = problem(4, 3, 2)
    kalman = make(ensemble, targets)
    with pytest.raises(RuntimeError, match=f"{n_survivors} of 4 ensemble members survived"):
        advance(kalman, forward, failed=range(n_survivors, 4))
    np.testing.assert_array_equal(kalman.ask(), ensemble)
    advance(kalman, forward)
    assert kalman.generation == 1


def test_inflation_adds_noise_of_the_stated_spread_that_decays():
    kalman = make(np.zeros((2000, 2)), [0.0], inflation=0.02, inflation_decay=0.5)
    spreads = []
    for _ in range(2):
        before = kalman.ask()
        kalman.tell(before, Evaluations(np.zeros(2000), np.zeros((2000, 1))))  # equal responses: no Kalman update
        spreads.append((kalman.ask() - before).std())
    np.testing.assert_allclose(spreads, [2.0, 1.0], rtol=0.05)


def test_targets_out_of_reach_leave_the_members_on_the_bounds():
    ensemble, forward, _ = problem(10, 2, 2)
    kalman = make(ensemble, [1e4, 1e4], gamma=1e-3)
    advance(kalman, forward)
    assert (np.abs(kalman.ask()) == 100.0).any()
    space(2).check(kalman.ask())


@pytest.mark.parametrize("responses", [None, np.ones((4, 3))])
def test_missing_or_too_many_responses_are_refused(responses):
    kalman = make(np.zeros((4, 2)), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"must be \(4, 2\)"):
        kalman.tell(kalman.ask(), Evaluations(np.ones(4), responses))


@pytest.mark.parametrize(("size", "gamma"), [(1e300, 0.1), (1e3, 1e-300)])
def test_responses_out_of_proportion_to_gamma_are_refused_with_the_state_unchanged(size, gamma):
    ensemble, _, _ = problem(4, 2, 2)
    kalman = make(ensemble, [0.0, 0.0], gamma=gamma)
    responses = size * np.outer([1.0, -1.0, 2.0, 0.3], [1.0, 1.0])
    with pytest.raises(RuntimeError, match=f"gamma={gamma} is out of proportion"):
        kalman.tell(kalman.ask(), Evaluations(np.ones(4), responses))
    np.testing.assert_array_equal(kalman.ask(), ensemble)
