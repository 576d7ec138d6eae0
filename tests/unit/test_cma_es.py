import numpy as np
import pytest

from optim import CMAES, Block, CMAESConfig, Evaluations, ParameterSpace, SeparableCMAES
from optim.cma_es import MAX_CONDITION, default_rates

N_PARAMS = 4
SPACE = ParameterSpace((Block("x", N_PARAMS, -1.0, 1.0),))  # genomes are unit coordinates
X0 = np.array([0.3, -0.2, 0.1, 0.0])
both = pytest.mark.parametrize("kind", [CMAES, SeparableCMAES])


def make(kind, population_size=8, seed=1, sigma=0.01):
    return kind(SPACE, CMAESConfig(sigma=sigma), x0=X0, population_size=population_size, seed=seed)


def scores(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize("sigma", [0.0, -0.1, 1.5, np.nan])
def test_a_step_size_out_of_range_is_refused(sigma):
    with pytest.raises(ValueError, match=r"CMAESConfig\.sigma="):
        CMAESConfig(sigma=sigma)


@pytest.mark.parametrize(("n_params", "population_size"), [(5, 20), (10, 10), (40, 15), (1440, 32)])
def test_the_default_rates_are_those_of_the_reference_library(n_params, population_size):
    cma = pytest.importorskip("cma")
    options = {"popsize": population_size, "verbose": -9, "seed": np.nan, "randn": lambda *shape: np.zeros(shape)}
    theirs = cma.CMAEvolutionStrategy(np.zeros(n_params), 0.3, options).sp
    ours = default_rates(n_params, population_size)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-12)
    np.testing.assert_allclose(
        [ours.mu_eff, ours.c_c, ours.c_1, ours.c_mu],
        [theirs.weights.mueff, theirs.cc, theirs.c1, theirs.cmu],
        rtol=1e-12,
    )


def test_the_rates_of_the_step_size_match_a_hand_computed_case():
    rates = default_rates(10, 2)  # one parent: mu_eff = 1
    assert rates.mu_eff == pytest.approx(1.0)
    assert rates.c_sigma == pytest.approx(3.0 / 16.0)
    assert rates.d_sigma == pytest.approx(1.0 + 3.0 / 16.0)


@pytest.mark.parametrize("n_params", [1, 2, 30])
@pytest.mark.parametrize("population_size", [2, 3, 10, 1000])
@pytest.mark.parametrize("is_separable", [False, True])
def test_the_rates_leave_the_covariance_matrix_positive_definite(n_params, population_size, is_separable):
    rates = default_rates(n_params, population_size, is_separable=is_separable)
    negative = -np.minimum(rates.weights, 0.0).sum()
    assert rates.weights[rates.weights > 0.0].sum() == pytest.approx(1.0)
    assert 0.0 < rates.c_1 + rates.c_mu <= 1.0
    # The least eigenvalue keeps 1 - c_1 - c_mu (1 - negative) and loses at most n c_mu negative.
    assert 1.0 - rates.c_1 - rates.c_mu * (1.0 - negative) >= n_params * rates.c_mu * negative - 1e-12


def test_steps_equal_the_published_formulas():
    # Hansen 2016, figure 6, written out with inverse roots; the decomposition is as old as the search says.
    population_size, sigma = 8, 0.01
    search = make(CMAES, population_size)
    rates = default_rates(N_PARAMS, population_size)
    chi = np.sqrt(N_PARAMS) * (1 - 1 / (4 * N_PARAMS) + 1 / (21 * N_PARAMS**2))
    mean, c, decomposed = X0, np.eye(N_PARAMS), np.eye(N_PARAMS)
    path_sigma = path_c = np.zeros(N_PARAMS)
    for generation in range(12):
        genomes = search.ask()
        y = (genomes - mean) / sigma
        fitness = scores(population_size, generation)
        search.tell(genomes, Evaluations(fitness))
        values, vectors = np.linalg.eigh(decomposed)
        inverse_root = vectors @ np.diag(values**-0.5) @ vectors.T
        order = np.argsort(-fitness)
        positive = np.maximum(rates.weights, 0.0)
        y_mean = positive @ y[order]
        mean = mean + sigma * y_mean
        path_sigma = (1 - rates.c_sigma) * path_sigma + np.sqrt(
            rates.c_sigma * (2 - rates.c_sigma) * rates.mu_eff
        ) * inverse_root @ y_mean
        norm = np.linalg.norm(path_sigma)
        h = norm / np.sqrt(1 - (1 - rates.c_sigma) ** (2 * (generation + 1))) < (1.4 + 2 / (N_PARAMS + 1)) * chi
        path_c = (1 - rates.c_c) * path_c + h * np.sqrt(rates.c_c * (2 - rates.c_c) * rates.mu_eff) * y_mean
        new = (1 - rates.c_1 - rates.c_mu * rates.weights.sum()) * c + rates.c_1 * (
            np.outer(path_c, path_c) + (1 - h) * rates.c_c * (2 - rates.c_c) * c
        )
        for weight, row in zip(rates.weights, y[order], strict=True):
            if weight < 0.0:
                weight = weight * N_PARAMS / np.linalg.norm(inverse_root @ row) ** 2
            new = new + rates.c_mu * weight * np.outer(row, row)
        c = new
        sigma *= np.exp(rates.c_sigma / rates.d_sigma * (norm / chi - 1))
        state = search.state_dict()
        if state["decomposed_at"] == generation + 1:
            decomposed = c
        np.testing.assert_allclose(search.mean, mean, rtol=1e-8)
        np.testing.assert_allclose(state["sigma"], sigma, rtol=1e-8)
        np.testing.assert_allclose(state["covariance"], c, rtol=1e-7, atol=1e-9)


def test_the_separable_step_learns_the_diagonal_of_the_published_formulas():
    population_size = 8
    search = make(SeparableCMAES, population_size)
    rates = default_rates(N_PARAMS, population_size, is_separable=True)
    assert rates.c_1 == pytest.approx((N_PARAMS + 2) / 3 * default_rates(N_PARAMS, population_size).c_1)
    genomes, fitness = search.ask(), scores(population_size)
    search.tell(genomes, Evaluations(fitness))
    z = (genomes - X0) / 0.01
    weights = np.empty(population_size)
    weights[np.argsort(-fitness)] = rates.weights
    path_c = np.sqrt(rates.c_c * (2 - rates.c_c) * rates.mu_eff) * (np.maximum(weights, 0.0) @ z)
    scaled = np.where(weights < 0.0, weights * N_PARAMS / (z**2).sum(axis=1), weights)
    variance = 1 - rates.c_1 - rates.c_mu * weights.sum() + rates.c_1 * path_c**2 + rates.c_mu * scaled @ z**2
    np.testing.assert_allclose(search.state_dict()["variance"], variance, rtol=1e-9)


def test_the_covariance_matrix_stays_symmetric_and_positive_and_its_root_is_as_young_as_promised():
    search = make(CMAES, 12)
    rates = default_rates(N_PARAMS, 12)
    patience = 1 / (10 * N_PARAMS * (rates.c_1 + rates.c_mu))
    for generation in range(300):
        search.tell(search.ask(), Evaluations(scores(12, generation)))
        state = search.state_dict()
        np.testing.assert_array_equal(state["covariance"], state["covariance"].T)
        assert np.linalg.eigvalsh(state["covariance"]).min() > 0.0
        assert state["n_updates"] - state["decomposed_at"] <= patience
        if state["n_updates"] == state["decomposed_at"]:
            root = state["axes"] * state["lengths"]
            np.testing.assert_allclose(root @ root.T, state["covariance"], rtol=1e-9, atol=1e-12)
    assert search.stop() == {}


def test_a_practically_singular_covariance_matrix_is_a_reason_to_stop():
    search = make(CMAES)
    state = search.state_dict()
    for lengths, reasons in ((1e-6, []), (0.9 / np.sqrt(MAX_CONDITION), ["ill-conditioned"])):
        state["lengths"] = np.array([1.0, 1.0, 1.0, lengths])
        search.load_state_dict(state)
        assert list(search.stop()) == reasons
        assert search.diagnostics()["axis_ratio"] == pytest.approx(1.0 / lengths)


@both
def test_failed_candidates_share_their_weights_whatever_their_place(kind):
    genomes = make(kind).ask()
    fitness = np.array([3.0, np.nan, 1.0, np.nan, 2.0, np.nan, np.nan, np.nan])
    search = make(kind)
    search.tell(search.ask(), Evaluations(fitness))
    weights = np.zeros(8)
    ranked = default_rates(N_PARAMS, 8, is_separable=kind is SeparableCMAES).weights
    weights[[0, 4, 2]] = ranked[:3]
    weights[np.isnan(fitness)] = ranked[3:].mean()
    np.testing.assert_allclose(search.mean, X0 + np.maximum(weights, 0.0) @ (genomes - X0), rtol=1e-9)


@both
def test_a_search_continues_bit_identically_from_every_generation(kind):
    def step(search):
        genomes = search.ask()
        search.tell(genomes, Evaluations(-((genomes - 0.1) ** 2 * [1.0, 10.0, 100.0, 1000.0]).sum(axis=1)))
        return genomes

    straight = make(kind)
    states = []
    trace = []
    for _ in range(30):
        states.append(straight.state_dict())
        trace.append(step(straight))
    for start, state in enumerate(states):
        resumed = make(kind, seed=99)
        resumed.load_state_dict(state)
        for genomes in trace[start:]:
            np.testing.assert_array_equal(step(resumed), genomes)


@both
def test_the_distribution_takes_the_shape_of_an_ellipsoid_and_finds_its_peak(kind):
    scales = np.array([1.0, 10.0, 100.0, 1000.0])
    search = make(kind, sigma=0.3)
    while not search.stop():
        genomes = search.ask()
        search.tell(genomes, Evaluations(-(((genomes - 0.1) * scales) ** 2).sum(axis=1)))
        assert search.generation < 1000
        if search.generation == 150:
            state = search.state_dict()
            variance = state["variance"] if kind is SeparableCMAES else np.diagonal(state["covariance"])
            np.testing.assert_allclose(np.log10(np.sqrt(variance[0] / variance) / scales), 0.0, atol=0.6)
    assert list(search.stop()) == ["converged"]
    np.testing.assert_allclose(search.mean, 0.1, atol=1e-9)
