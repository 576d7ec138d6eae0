import tracemalloc

import numpy as np
import pytest

from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, ParameterSpace
from optim.ensemble import effective_rank, redraw
from optim.problems import linear_gaussian_posterior_mean, linear_responses
from tests.unit.enkf_cases import advance, make, problem, space


def outside_span(points, basis_points):
    """Largest distance of `points` from the affine span of `basis_points`."""
    origin = basis_points.mean(axis=0)
    _, singular, rows = np.linalg.svd(basis_points - origin, full_matrices=False)
    rows = rows[singular > 1e-10 * singular[0]]
    offset = points - origin
    return np.abs(offset - offset @ rows.T @ rows).max()


def assert_unchanged(kalman, before):
    for key, value in kalman.state_dict().items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("variant", "joined"),
        ("loss", "hinge"),
        ("step", "dmc"),
        ("renewal_sd", 0.0),
        ("block_length", -1),
        ("block_length", 2.5),
        ("gamma", 0.0),
        ("gamma", np.nan),
        ("min_step", 0.0),
        ("max_step", np.inf),
        ("min_step", 1e9),
        ("horizon", 0.0),
        ("prior_sd", np.nan),
        ("inflation", -0.1),
        ("spread_inflation", 0.9),
        ("inflation_decay", 0.0),
        ("renewal", 1.1),
        ("memory", 1.0),
        ("selection", 0.6),
        ("selection_noise", -1.0),
        ("significance", np.inf),
        ("shrinkage", -1.0),
        ("tolerance", np.nan),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"EnKFConfig\.{field}="):
        EnKFConfig(**{field: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "cross_entropy", "variant": "sqrt"}, "loss='cross_entropy' excludes variant='sqrt'"),
        ({"loss": "cross_entropy", "variant": "perturbed"}, "excludes variant='perturbed'"),
        ({"loss": "cross_entropy", "step": "misfit"}, "excludes step='misfit'"),
        ({"loss": "categorical", "variant": "perturbed"}, "loss='categorical' excludes variant='perturbed'"),
        ({"loss": "categorical", "variant": "published"}, "loss='categorical' excludes variant='published'"),
        ({"significance": 3.0, "variant": "published"}, "significance or shrinkage excludes variant='published'"),
        ({"shrinkage": 2.0, "prior_sd": 1.0}, "significance or shrinkage excludes prior_sd"),
        ({"prior_sd": 1.0, "variant": "perturbed"}, "prior_sd excludes variant='perturbed'"),
        ({"momentum": True, "inflation": 0.1}, "momentum excludes inflation"),
        ({"momentum": True, "renewal": 0.1}, "momentum excludes inflation, renewal"),
        ({"momentum": True, "selection": 0.1}, "momentum excludes inflation, renewal, selection"),
        (
            {"momentum": True, "variant": "perturbed"},
            "momentum excludes inflation, renewal, selection or variant='perturbed'",
        ),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EnKFConfig(**settings)


@pytest.mark.parametrize("targets", [1.0, [], [np.nan], [[1.0]]])
def test_targets_that_are_no_finite_vector_are_refused(targets):
    with pytest.raises(ValueError, match="must be \\(d,\\) finite numbers"):
        make(np.zeros((3, 2)), targets)


def test_one_member_is_refused():
    with pytest.raises(ValueError, match="initial has 1 members"):
        make(np.zeros((1, 2)), [1.0])


def test_the_first_generation_is_the_initial_ensemble_bit_for_bit():
    ensemble, _, targets = problem(7, 5, 2)
    np.testing.assert_array_equal(make(ensemble, targets).ask(), ensemble)


def test_the_mean_equals_the_posterior_of_the_sample_prior_exactly():
    ensemble, forward, targets = problem(9, 4, 3)
    kalman = make(ensemble, targets, gamma=0.2)
    advance(kalman, forward)
    covariance = np.cov(ensemble.T, bias=True)
    expected = linear_gaussian_posterior_mean(forward, ensemble.mean(axis=0), covariance, 0.2, targets)
    np.testing.assert_allclose(kalman.mean, expected, rtol=1e-8)


@pytest.mark.parametrize("variant", ["joint", "perturbed", "denkf", "sqrt"])
def test_mean_and_spread_reach_the_linear_gaussian_posterior_within_monte_carlo_error(variant):
    n_members = 20_000
    ensemble, forward, targets = problem(n_members, 4, 3)
    kalman = make(ensemble, targets, gamma=0.5, variant=variant)
    advance(kalman, forward)
    expected = linear_gaussian_posterior_mean(forward, np.zeros(4), np.eye(4), 0.5, targets)
    np.testing.assert_allclose(kalman.mean, expected, atol=5.0 / np.sqrt(n_members))
    posterior = np.linalg.inv(np.eye(4) + forward.T @ forward / 0.5)
    error = np.abs(np.cov(kalman.ask().T) - posterior).max()
    assert (error < 5.0 / np.sqrt(n_members)) == (variant in ("perturbed", "sqrt"))


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
@pytest.mark.parametrize("variant", ["joint", "denkf", "sqrt", "perturbed", "published"])
def test_the_ensemble_stays_in_its_initial_span_unless_inflated(n_targets, variant):
    ensemble, forward, targets = problem(5, 12, n_targets)
    settings = {"variant": variant, "block_length": 3}
    plain, inflated = make(ensemble, targets, **settings), make(ensemble, targets, inflation=0.01, **settings)
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


@pytest.mark.parametrize("responses", [None, np.ones((4, 3))])
def test_missing_or_too_many_responses_are_refused(responses):
    kalman = make(np.zeros((4, 2)), [1.0, 2.0])
    with pytest.raises(ValueError, match=r"must be \(4, 2\)"):
        kalman.tell(kalman.ask(), Evaluations(np.ones(4), responses))


@pytest.mark.parametrize(("size", "gamma", "target"), [(1e300, 0.1, 0.0), (1e3, 1e-300, 0.0), (1.0, 0.1, 1e200)])
def test_responses_out_of_proportion_to_gamma_are_refused_with_the_state_unchanged(size, gamma, target):
    ensemble, _, _ = problem(4, 2, 2)
    kalman = make(ensemble, [target, target], gamma=gamma, selection=0.5)  # draws random numbers before it fails
    responses = size * np.outer([1.0, -1.0, 2.0, 0.3], [1.0, 1.0])
    genomes, before = kalman.ask(), kalman.state_dict()
    with pytest.raises(RuntimeError, match=f"gamma={gamma} is out of proportion"):
        kalman.tell(genomes, Evaluations(np.ones(4), responses))
    assert_unchanged(kalman, before)


def test_targets_out_of_reach_leave_the_members_on_the_bounds():
    ensemble, forward, _ = problem(10, 2, 2)
    kalman = make(ensemble, [1e4, 1e4], gamma=1e-3)
    advance(kalman, forward)
    assert (np.abs(kalman.ask()) == 100.0).any()
    space(2).check(kalman.ask())


def test_whole_numbers_are_rounded_when_asked_but_steps_of_less_than_one_half_add_up():
    whole = ParameterSpace((Block("n_hidden", 3, 0, 20, kind="integer"),))
    initial = np.random.default_rng(1).integers(2, 6, (10, 3)).astype(float)
    kalman = EnsembleKalmanFilter(
        whole, EnKFConfig(gamma=400.0, variant="sqrt"), initial=initial, targets=np.full(3, 15.0), seed=1
    )
    for _ in range(200):  # by less than 0.1 each
        genomes = kalman.ask()
        whole.check(genomes)
        kalman.tell(genomes, Evaluations(np.zeros(10), genomes))
    assert (kalman.ask().mean(axis=0) > initial.mean(axis=0) + 1.0).all()


def test_a_collapsed_ensemble_stops_the_search_and_says_why():
    ensemble, forward, targets = problem(8, 3, 3)
    kalman = make(ensemble, targets, gamma=1e-8, tolerance=1e-3)
    assert kalman.stop() == {}
    while not kalman.stop():
        advance(kalman, forward)
    assert kalman.generation < 10
    assert kalman.diagnostics()["spread"] < 1e-3
    assert "spread of the ensemble is" in kalman.stop()["collapsed"]


def test_diagnostics_have_the_same_keys_in_every_generation_and_say_how_the_ensemble_is():
    ensemble, forward, targets = problem(200, 3, 2)
    kalman = make(ensemble, targets, gamma=0.25)
    first = kalman.diagnostics()
    assert first["spread"] == 1.0
    residuals = targets - linear_responses(ensemble, forward)
    advance(kalman, forward)
    last = kalman.diagnostics()
    assert last.keys() == first.keys()
    moved = kalman.ask()
    np.testing.assert_allclose(
        last["spread"], np.linalg.norm(moved - moved.mean(axis=0)) / np.linalg.norm(ensemble - ensemble.mean(axis=0))
    )
    np.testing.assert_allclose(last["misfit"], (residuals**2).mean() / 0.25)
    assert last["step"] == 1.0


def test_the_effective_rank_counts_independent_responses():
    s = np.linalg.qr(np.random.default_rng(1).standard_normal((30, 5)))[0]
    np.testing.assert_allclose(effective_rank(s), 5.0)
    np.testing.assert_allclose(effective_rank((s * [1.0, 1.0, 1e-6, 0.0, 0.0]).T), 2.0, rtol=1e-6)
    assert effective_rank(np.zeros((4, 3))) == 0.0


def test_a_read_only_first_ensemble_is_not_copied_and_another_one_is():
    ensemble, _, targets = problem(10, 3, 2)
    for is_writeable in (True, False):
        ensemble.flags.writeable = is_writeable
        kalman = make(ensemble, targets)
        assert np.shares_memory(kalman.ask(), ensemble) == (not is_writeable)


def test_an_ensemble_is_updated_without_a_copy_of_it():
    ensemble = np.random.default_rng(1).standard_normal((100, 60_000))
    ensemble.flags.writeable = False
    kalman = EnsembleKalmanFilter(space(60_000), EnKFConfig(variant="sqrt"), initial=ensemble, targets=[0.0], seed=1)
    genomes = kalman.ask()
    evaluations = Evaluations(np.zeros(100), genomes[:, :1])
    tracemalloc.start()
    kalman.tell(genomes, evaluations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * ensemble.nbytes
