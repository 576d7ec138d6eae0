import numpy as np
import pytest
from scipy.linalg import expm

from optim import SNES, XNES, Block, Evaluations, NESConfig, ParameterSpace
from optim.nes import utilities, weighted_axes

N_PARAMS = 5
SPACE = ParameterSpace((Block("x", N_PARAMS, -1.0, 1.0),))  # genomes are unit coordinates
X0 = np.array([0.3, -0.2, 0.1, 0.0, 0.2])


def make(kind, population_size=8, seed=1, **settings):
    settings = {"sigma": 0.01} | settings  # nothing meets a bound
    return kind(SPACE, NESConfig(**settings), x0=X0, population_size=population_size, seed=seed)


def scores(n, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sigma", 0.0), ("sigma", 1.5), ("mean_rate", 0.0), ("sigma_rate", -1.0), ("sigma_rate", np.inf)],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"NESConfig\.{field}="):
        NESConfig(**{field: value})


def test_utilities_match_a_hand_computed_case():
    raw = np.array([np.log(3.0), np.log(3.0 / 2.0), 0.0, 0.0])  # log(4/2 + 1) - log(rank), not below 0
    expected = raw / raw.sum() - 0.25
    np.testing.assert_allclose(utilities(np.array([3.0, 9.0, -1.0, 0.0])), expected[[1, 0, 3, 2]])


def test_utilities_sum_to_zero_and_failures_share_the_last_places():
    fitness = np.array([np.nan, 5.0, np.nan, 7.0, 6.0, np.nan])
    weights = utilities(fitness)
    assert weights.sum() == pytest.approx(0.0, abs=1e-15)
    assert weights[3] > weights[4] > weights[1] > weights[0] == weights[2] == weights[5]
    np.testing.assert_allclose(utilities(np.ones(6)), 0.0, atol=1e-15)


@pytest.mark.parametrize("n", [2, N_PARAMS, 20])
def test_weighted_axes_are_those_of_the_whole_matrix(n):
    weights, noise = scores(n), np.random.default_rng(1).standard_normal((n, N_PARAMS))
    axes, values = weighted_axes(weights, noise)
    assert axes.shape == (N_PARAMS, min(n, N_PARAMS))
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-12)
    np.testing.assert_allclose(
        (axes * values) @ axes.T, sum(w * np.outer(z, z) for w, z in zip(weights, noise, strict=True))
    )


@pytest.mark.parametrize("population_size", [4, 40])  # fewer and more candidates than genes
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_xnes_step_equals_the_published_formulas(population_size, mirrored):
    # Glasmachers et al. 2010, algorithm 1, with size and shape apart, matrix exponentials by scipy.
    search = make(XNES, population_size, mirrored=mirrored)
    rate = 0.6 * (3.0 + np.log(N_PARAMS)) / (N_PARAMS * np.sqrt(N_PARAMS))
    mean, sigma, shape = X0, 0.01, np.eye(N_PARAMS)
    for generation in range(5):
        genomes = search.ask()
        z = (genomes - mean) @ np.linalg.inv(sigma * shape).T
        fitness = scores(population_size, generation)
        search.tell(genomes, Evaluations(fitness))
        rank = np.empty(population_size)
        rank[np.argsort(-fitness)] = np.arange(1, population_size + 1)
        u = np.maximum(0.0, np.log(population_size / 2 + 1) - np.log(rank))
        u = u / u.sum() - 1.0 / population_size
        g_delta = u @ z
        g_m = sum(ui * (np.outer(zi, zi) - np.eye(N_PARAMS)) for ui, zi in zip(u, z, strict=True))
        g_sigma = np.trace(g_m) / N_PARAMS
        mean = mean + sigma * shape @ g_delta
        sigma *= np.exp(0.5 * rate * g_sigma)
        shape = shape @ expm(0.5 * rate * (g_m - g_sigma * np.eye(N_PARAMS)))
        np.testing.assert_allclose(search.mean, mean, rtol=1e-9)
        np.testing.assert_allclose(search.state_dict()["transform"], sigma * shape, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_snes_step_equals_the_published_formulas(mirrored):
    search = make(SNES, mirrored=mirrored, mean_rate=0.5)
    rate = 0.2 * (3.0 + np.log(N_PARAMS)) / np.sqrt(N_PARAMS)
    mean, deviation = X0, np.full(N_PARAMS, 0.01)
    for generation in range(5):
        genomes = search.ask()
        z = (genomes - mean) / deviation
        fitness = scores(8, generation)
        search.tell(genomes, Evaluations(fitness))
        u = utilities(fitness)
        mean = mean + 0.5 * deviation * (u @ z)
        deviation = deviation * np.exp(0.5 * rate * (u @ (z**2 - 1.0)))
        np.testing.assert_allclose(search.mean, mean, rtol=1e-9)
        np.testing.assert_allclose(search.state_dict()["deviation"], deviation, rtol=1e-9)


@pytest.mark.parametrize("kind", [XNES, SNES])
def test_mirrored_candidates_come_in_pairs_around_the_mean(kind):
    first, second = np.split(make(kind, 40, mirrored=True).ask(), 2)
    np.testing.assert_allclose(0.5 * (first + second), np.tile(X0, (20, 1)), atol=1e-15)


@pytest.mark.parametrize("kind", [XNES, SNES])
def test_a_flat_fitness_changes_neither_mean_nor_deviations(kind):
    search = make(kind)
    for _ in range(20):
        search.tell(search.ask(), Evaluations(np.ones(8)))
    np.testing.assert_allclose(search.mean, X0, atol=1e-14)
    assert search.diagnostics()["sigma"] == pytest.approx(0.01, rel=1e-12)


def test_xnes_learns_a_direction_that_snes_cannot():
    def narrow(genomes):  # a ridge along the diagonal of the first two genes
        return -1e4 * (genomes[:, 0] - genomes[:, 1]) ** 2 - (genomes[:, 2:] ** 2).sum(axis=1)

    searches = {kind: make(kind, 20, sigma=0.1) for kind in (XNES, SNES)}
    correlation = {}
    for kind, search in searches.items():
        for _ in range(60):
            genomes = search.ask()
            search.tell(genomes, Evaluations(narrow(genomes)))
        correlation[kind] = np.corrcoef(make_wide(search).T)[0, 1]
    assert correlation[XNES] > 0.9
    assert abs(correlation[SNES]) < 0.2


def make_wide(search):
    """Many candidates of the distribution a search has reached."""
    transform = search.state_dict().get("transform", np.diag(search.state_dict().get("deviation", np.ones(N_PARAMS))))
    return np.random.default_rng(1).standard_normal((5000, N_PARAMS)) @ transform.T


@pytest.mark.parametrize("kind", [XNES, SNES])
def test_a_chosen_rate_takes_the_place_of_the_published_one(kind):
    slow, fast = make(kind, sigma_rate=1e-6), make(kind, sigma_rate=0.5)
    for search in (slow, fast):
        genomes = search.ask()
        search.tell(genomes, Evaluations(-((genomes - X0) ** 2).sum(axis=1)))
    assert slow.diagnostics()["sigma"] == pytest.approx(0.01, rel=1e-5)
    assert fast.diagnostics()["sigma"] < 0.0095
