"""What all searches around a mean have in common, and the functions they share."""

import numpy as np
import pytest

from optim import Block, Evaluations, ParameterSpace
from optim.gaussian import NARROWEST, spread_independently, weighted_squares
from optim.methods import METHODS, Start, make_optimizer

SPACE = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
X0 = np.array([0.0, 10.0, 4.0])
ADAPTIVE = ("cma_es", "cross_entropy", "face", "pgpe", "sep_cma_es", "snes", "xnes")
every_search = pytest.mark.parametrize("method", [*ADAPTIVE, "es"])
every_adaptive = pytest.mark.parametrize("method", ADAPTIVE)


def make(method, n=12, x0=X0, space=SPACE, **settings):
    return make_optimizer(method, Start(space, np.tile(x0, (n, 1)), 1), METHODS[method].config(**settings))


@every_search
@pytest.mark.parametrize("population_size", [0, 1])
def test_an_impossible_population_size_is_refused(method, population_size):
    with pytest.raises(ValueError, match=f"population_size={population_size} must be an integer >= 2"):
        type(make(method))(SPACE, METHODS[method].config(), x0=X0, population_size=population_size, seed=1)


@every_search
def test_a_fractional_population_size_is_refused(method):
    with pytest.raises(ValueError, match=r"population_size=8\.5 must be an integer >= 2"):
        type(make(method))(SPACE, METHODS[method].config(), x0=X0, population_size=8.5, seed=1)


@pytest.mark.parametrize("method", ["pgpe", "es"])
def test_mirrored_candidates_need_an_even_population(method):
    with pytest.raises(ValueError, match=r"population_size=7 must be an integer >= 2 and even \(mirrored\)"):
        make(method, n=7)


@every_search
def test_a_start_outside_the_bounds_is_refused(method):
    with pytest.raises(ValueError, match="delay_ms"):
        make(method, x0=np.array([0.0, 0.0, 8.0]))
    with pytest.raises(ValueError, match="shape"):
        make(method, x0=np.zeros(2))


@every_search
def test_first_candidates_are_normal_around_the_start(method):
    search = make(method, n=4000, sigma=0.1)
    np.testing.assert_allclose(search.mean, X0)
    candidates = search.ask()
    np.testing.assert_allclose(candidates.mean(axis=0), X0, atol=0.1)
    np.testing.assert_allclose(candidates.std(axis=0), 0.1 * np.array([20.0, 20.0, 3.0]), rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(candidates.T), np.eye(3), atol=0.07)


@every_search
def test_with_all_failed_nothing_changes_but_the_candidates(method):
    search = make(method)
    before, state = search.ask(), search.state_dict()
    search.tell(before, Evaluations(np.full(12, np.nan)))
    for key, value in search.state_dict().items():
        if key not in ("generation", "noise_seed", "rng", "is_asked"):
            np.testing.assert_array_equal(value, state[key], err_msg=key)
    assert not np.array_equal(search.ask(), before)


@every_search
def test_the_mean_leaves_a_region_where_candidates_fail(method):
    search = make(method, n=20, x0=np.array([0.5, 10.0, 4.0]))
    for _ in range(40):
        genomes = search.ask()
        search.tell(genomes, Evaluations(np.where(genomes[:, 0] > 0.0, np.nan, -(genomes[:, 1] ** 2))))
    assert search.mean[0] < 0.0


@every_search
def test_the_state_grows_with_the_genes_and_not_with_the_population(method):
    sizes = [
        sum(np.size(value) for value in make(method, n=n).state_dict().values() if isinstance(value, np.ndarray))
        for n in (12, 1200)
    ]
    assert sizes[0] == sizes[1]


@every_adaptive
def test_an_optimum_beyond_the_bounds_leaves_mean_and_deviations_inside(method):
    search = make(method, n=20)
    for _ in range(120):
        genomes = search.ask()
        SPACE.check(genomes)
        search.tell(genomes, Evaluations(genomes.sum(axis=1)))
        assert search.diagnostics()["sigma_max"] <= 1.0 + 1e-12
    SPACE.check(search.mean[None])
    assert SPACE.to_unit(search.mean).min() > 0.8


@every_adaptive
def test_converged_is_told_when_no_gene_deviates_any_more_and_not_before(method):
    assert make(method, sigma=2 * NARROWEST).stop() == {}
    reasons = make(method, sigma=0.5 * NARROWEST).stop()
    assert list(reasons) == ["converged"]
    assert "1e-12" in reasons["converged"]


@every_adaptive
def test_diagnostics_begin_with_the_chosen_deviation_and_keep_their_keys(method):
    search = make(method, sigma=0.2)
    first = search.diagnostics()
    assert [first["sigma"], first["sigma_min"], first["sigma_max"]] == pytest.approx([0.2] * 3)
    for _ in range(3):
        genomes = search.ask()
        search.tell(genomes, Evaluations(-(genomes**2).sum(axis=1)))
    last = search.diagnostics()
    assert last.keys() == first.keys()
    assert all(isinstance(value, float) and np.isfinite(value) for value in last.values())
    assert last["sigma_min"] <= last["sigma"] <= last["sigma_max"]


@every_search
def test_a_search_with_a_single_gene_and_the_smallest_population_runs(method):
    space = ParameterSpace((Block("gain", 1, 0.1, 10.0, kind="log"),))
    search = make(method, n=2, x0=np.array([1.0]), space=space)
    for _ in range(20):
        genomes = search.ask()
        space.check(genomes)
        search.tell(genomes, Evaluations(-np.abs(genomes[:, 0] - 3.0)))


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("n_params", [3, 40_000])
def test_spreading_equals_mean_plus_deviation_times_noise(is_mirrored, n_params):
    space = ParameterSpace((Block("weight_pA", n_params - 1, -20.0, 20.0), Block("rate_hz", 1, 0.1, 10.0, kind="log")))
    rng = np.random.default_rng(1)
    mean, deviation, noise = rng.uniform(-1, 1, n_params), rng.uniform(0, 1, n_params), rng.normal(size=(7, n_params))
    steps = np.concatenate([noise, -noise]) if is_mirrored else noise
    np.testing.assert_array_equal(
        spread_independently(space, mean, deviation, noise, is_mirrored=is_mirrored),
        space.from_unit(mean + deviation * steps),
    )


@pytest.mark.parametrize("shape", [(1, 1), (50, 7), (5, 40_000)])
def test_weighted_squares_equal_their_definition(shape):
    weights, noise = np.random.default_rng(1).normal(size=shape[0]), np.random.default_rng(2).normal(size=shape)
    np.testing.assert_allclose(
        weighted_squares(weights, noise), np.einsum("i,ij,ij->j", weights, noise, noise), atol=1e-12
    )
