"""The updates against the Kalman filter written out, against each other and against a second implementation."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optim import ensemble as optim_ensemble
from optim.kalman import Prior, in_ensemble_space, in_observation_space, update, update_published
from optim.localisation import update_corrected

FORMS = ["joint", "denkf", "sqrt"]
SIZES = [(9, 4, 3), (5, 12, 3), (6, 4, 10), (30, 200, 4)]  # J, p, d: both spaces, thin and square factors


def problem(n_members, n_params, n_responses, seed=1):
    """Ensemble, linear responses H u, H, targets, and a variance per response."""
    rng = np.random.default_rng(seed)
    ensemble = rng.standard_normal((n_members, n_params))
    forward = rng.standard_normal((n_responses, n_params))
    return ensemble, ensemble @ forward.T, forward, rng.standard_normal(n_responses), rng.uniform(0.1, 2.0, n_responses)


def whitened(responses, targets, variances):
    deviation = np.sqrt(variances)
    return (responses - responses.mean(axis=0)) / deviation, (targets - responses) / deviation


def assimilated(ensemble, responses, targets, variances, function=update, **options):
    result = ensemble.copy()
    function(result, *whitened(responses, targets, variances), **options)
    return result


def covariance(ensemble):
    return np.atleast_2d(np.cov(ensemble.T, bias=True))


def kalman(ensemble, forward, targets, variances):
    """Mean and covariance after the Kalman filter, for the mean and covariance of the ensemble."""
    mean, c = ensemble.mean(axis=0), covariance(ensemble)
    gain = c @ forward.T @ np.linalg.inv(forward @ c @ forward.T + np.diag(variances))
    return mean + gain @ (targets - forward @ mean), c - gain @ forward @ c, gain


@settings(derandomize=True, deadline=None)
@given(st.integers(2, 9), st.integers(1, 12), st.booleans(), st.integers(0, 100))
def test_observation_space_and_ensemble_space_give_the_same_update(n_members, n_responses, has_root, seed):
    rng = np.random.default_rng(seed)
    s = rng.standard_normal((n_members, n_responses)) * rng.choice([0.1, 1.0, 30.0], n_responses)
    s -= s.mean(axis=0)
    e = rng.standard_normal((1 if has_root else n_members, n_responses))
    first = in_observation_space(s, e, has_root=has_root) @ s.T
    second = in_ensemble_space(s @ s.T / n_members, e @ s.T / n_members, has_root=has_root)
    np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("form", "share"), [("joint", 1.0), ("denkf", 0.5)])
def test_the_update_equals_the_formula_written_out_member_by_member(sizes, form, share):
    ensemble, responses, _, targets, variances = problem(*sizes)
    responses = np.sin(responses)
    n_members, mean, mean_response = len(ensemble), ensemble.mean(axis=0), responses.mean(axis=0)
    c_ug = sum(np.outer(u - mean, g - mean_response) for u, g in zip(ensemble, responses, strict=True)) / n_members
    c_gg = sum(np.outer(g - mean_response, g - mean_response) for g in responses) / n_members
    gain = c_ug @ np.linalg.inv(c_gg + np.diag(variances))
    expected = [
        u + gain @ (targets - mean_response) - share * gain @ (g - mean_response)
        for u, g in zip(ensemble, responses, strict=True)
    ]
    np.testing.assert_allclose(assimilated(ensemble, responses, targets, variances, form=form), expected, rtol=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_square_root_has_mean_and_covariance_of_the_kalman_filter_exactly(sizes):
    ensemble, responses, forward, targets, variances = problem(*sizes)
    mean, posterior, _ = kalman(ensemble, forward, targets, variances)
    moved = assimilated(ensemble, responses, targets, variances, form="sqrt")
    np.testing.assert_allclose(moved.mean(axis=0), mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(covariance(moved), posterior, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize(("form", "share"), [("joint", 1.0), ("denkf", 0.5)])
def test_the_other_forms_have_the_kalman_mean_and_a_covariance_that_errs_in_a_known_direction(form, share):
    ensemble, responses, forward, targets, variances = problem(9, 4, 3)
    mean, posterior, gain = kalman(ensemble, forward, targets, variances)
    moved = assimilated(ensemble, responses, targets, variances, form=form)
    shrunk = np.eye(4) - share * gain @ forward
    np.testing.assert_allclose(moved.mean(axis=0), mean, rtol=1e-9)
    np.testing.assert_allclose(covariance(moved), shrunk @ covariance(ensemble) @ shrunk.T, rtol=1e-9)
    error = np.linalg.eigvalsh(covariance(moved) - posterior)
    assert error.max() < 1e-12 if form == "joint" else error.min() > -1e-12  # too small; never too small


@pytest.mark.parametrize("sizes", [(9, 4, 3), (5, 12, 3), (6, 4, 10)])
def test_the_prior_equals_observations_of_the_genes_appended_to_the_responses(sizes):
    ensemble, responses, _, targets, variances = problem(*sizes)
    prior = Prior(np.linspace(-1.0, 1.0, sizes[1]), 0.3)
    for form in FORMS:
        moved = assimilated(ensemble, responses, targets, variances, form=form, prior=prior)
        appended = assimilated(
            ensemble,
            np.hstack([responses, ensemble]),
            np.concatenate([targets, prior.mean]),
            np.concatenate([variances, np.full(sizes[1], prior.variance)]),
            form=form,
        )
        np.testing.assert_allclose(moved, appended, rtol=1e-8, atol=1e-10)


def test_responses_with_independent_noise_one_after_the_other_equal_all_at_once_for_the_square_root_only():
    """Mean and covariance, not the members: the product of two symmetric roots is not symmetric."""
    ensemble, responses, forward, targets, variances = problem(9, 4, 6)
    for form in FORMS:
        together = assimilated(ensemble, responses, targets, variances, form=form)
        one_by_one = ensemble
        for i in range(6):  # every response is evaluated anew
            one_by_one = assimilated(one_by_one, one_by_one @ forward[[i]].T, targets[[i]], variances[[i]], form=form)
        is_equal = np.allclose(covariance(one_by_one), covariance(together), rtol=1e-8)
        is_equal &= np.allclose(one_by_one.mean(axis=0), together.mean(axis=0), rtol=1e-8)
        assert is_equal == (form == "sqrt")


def test_the_published_update_equals_its_loop_over_images_written_out():
    ensemble, responses, _, targets, variances = problem(7, 5, 12)
    u = ensemble.copy()
    for image in range(4):
        own = slice(3 * image, 3 * image + 3)
        g = responses[:, own] - responses[:, own].mean(axis=0)
        c_ug = (u - u.mean(axis=0)).T @ g / 7  # of the genes as they are now, and the responses as they were
        gain = c_ug @ np.linalg.inv(g.T @ g / 7 + np.diag(variances[own]))
        u = u + (targets[own] - responses[:, own]) @ gain.T
    moved = assimilated(ensemble, responses, targets, variances, update_published, block_length=3)
    np.testing.assert_allclose(moved, u, rtol=1e-9)


def test_the_published_update_equals_the_joint_one_if_images_are_uncorrelated_or_there_is_one():
    ensemble, _, _, targets, variances = problem(20, 5, 6)
    rng = np.random.default_rng(2)
    responses = np.linalg.qr(np.hstack([np.ones((20, 1)), rng.standard_normal((20, 6))]))[0][:, 1:]
    mixed = responses @ rng.standard_normal((6, 6))
    for each, length, is_equal in ((responses, 2, True), (mixed, 6, True), (mixed, 2, False)):
        joint = assimilated(ensemble, each, targets, variances)
        published = assimilated(ensemble, each, targets, variances, update_published, block_length=length)
        assert np.allclose(joint, published, rtol=1e-9) == is_equal


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_an_affine_map_of_the_genes_maps_the_update(sizes, form):
    ensemble, responses, _, targets, variances = problem(*sizes)
    rng = np.random.default_rng(3)
    matrix, shift = rng.standard_normal((sizes[1], sizes[1])), rng.standard_normal(sizes[1])
    mapped = assimilated(ensemble @ matrix + shift, responses, targets, variances, form=form)
    expected = assimilated(ensemble, responses, targets, variances, form=form) @ matrix + shift
    np.testing.assert_allclose(mapped, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_members_in_another_order_move_as_before(sizes, form):
    ensemble, responses, _, targets, variances = problem(*sizes)
    order = np.random.default_rng(4).permutation(sizes[0])
    permuted = assimilated(ensemble[order], responses[order], targets, variances, form=form)
    expected = assimilated(ensemble, responses, targets, variances, form=form)[order]
    np.testing.assert_allclose(permuted, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_without_noise_the_mean_meets_the_targets_and_with_it_all_members_but_those_of_the_half_gain(form):
    ensemble, responses, forward, targets, _ = problem(20, 6, 2)
    moved = assimilated(ensemble, responses, targets, np.full(2, 1e-10), form=form) @ forward.T
    np.testing.assert_allclose(moved.mean(axis=0), targets, atol=1e-6)
    expected = targets + 0.5 * (responses - responses.mean(axis=0)) if form == "denkf" else np.tile(targets, (20, 1))
    np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.mark.parametrize("n_members", [6, 40])
def test_the_square_root_stays_finite_where_rounding_makes_eigenvalues_negative(n_members):
    rng = np.random.default_rng(7)
    ensemble, one = rng.standard_normal((n_members, 4)), rng.standard_normal((n_members, 1))
    responses = one * rng.standard_normal(20)  # rank one
    moved = assimilated(ensemble, responses, np.ones(20), np.full(20, 1e-15), form="sqrt")
    assert np.isfinite(moved).all()
    assert covariance(moved).trace() <= covariance(ensemble).trace()


@pytest.mark.parametrize("genes", [slice(0, 4), slice(1, None, 3), np.array([5, 0, 7])], ids=str)
@pytest.mark.parametrize("width", [1, 3, 10_000])
def test_some_genes_move_as_in_the_update_of_all_and_the_others_stay(genes, width, monkeypatch):
    ensemble, responses, _, targets, variances = problem(6, 9, 3)
    expected = ensemble.copy()
    expected[:, genes] = assimilated(ensemble, responses, targets, variances)[:, genes]
    monkeypatch.setattr(optim_ensemble, "_BLOCK", 6 * width)
    moved = assimilated(ensemble, responses, targets, variances, genes=genes)
    np.testing.assert_allclose(moved, expected, rtol=1e-12)
    np.testing.assert_array_equal(np.delete(moved, genes, axis=1), np.delete(ensemble, genes, axis=1))


@pytest.mark.parametrize("function", [update, update_published, update_corrected])
def test_no_matrix_of_genes_by_responses_or_by_genes_is_ever_stored(function, monkeypatch):
    n_members, n_params, n_responses = 40, 20_000, 200
    monkeypatch.setattr(optim_ensemble, "_BLOCK", 2**17)
    options = {
        update: {"prior": Prior(np.zeros(n_params), 1.0)},
        update_published: {"block_length": 10},
        update_corrected: {"significance": 0.0, "shrinkage": 2.0},
    }[function]
    rng = np.random.default_rng(5)
    ensemble = rng.standard_normal((n_members, n_params))
    s, e = rng.standard_normal((2, n_members, n_responses))
    s -= s.mean(axis=0)
    tracemalloc.start()
    function(ensemble, s, e, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * 8 * n_params * n_responses
    assert peak < 2.5 * ensemble.nbytes


def test_a_pass_of_the_smoother_of_another_program_gives_the_same_ensemble():
    smoother = pytest.importorskip("iterative_ensemble_smoother", reason="the peer, of the extra `test`")
    ensemble, responses, _, targets, variances = problem(30, 8, 5)
    noise = np.sqrt(variances) * np.random.default_rng(6).standard_normal((30, 5))
    peer = smoother.ESMDA(covariance=variances, observations=targets, alpha=1)
    peer.prepare_assimilation(Y=responses.T, truncation=1.0, observation_perturbations=noise.T)
    expected = peer.assimilate_batch(X=ensemble.T).T
    unbiased = variances * 29 / 30  # its covariances have the divisor J - 1
    s, e = whitened(responses, targets, unbiased)
    moved = ensemble.copy()
    update(moved, s, e + noise / np.sqrt(unbiased))
    np.testing.assert_allclose(moved, expected, rtol=1e-9)
