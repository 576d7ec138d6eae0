"""Searches against published and measured figures: evaluations to a target, invariances, drift without selection."""

from __future__ import annotations

import numpy as np
import pytest

from optim import CMAES, SNES, XNES, Block, CMAESConfig, Evaluations, NESConfig, ParameterSpace, SeparableCMAES
from optim.problems import rosenbrock, sphere

N_PARAMS = 10
HALF_WIDTH = 100.0  # so wide that no candidate meets a bound: the search is that of the unbounded problem
SPACE = ParameterSpace((Block("x", N_PARAMS, -HALF_WIDTH, HALF_WIDTH),))
SEEDS = range(11)
AXES = 1e6 ** (np.arange(N_PARAMS) / (N_PARAMS - 1))
ROTATION = np.linalg.qr(np.random.default_rng(5).standard_normal((N_PARAMS, N_PARAMS)))[0]


def ellipsoid(genomes):
    return -(genomes**2) @ AXES


def rotated_ellipsoid(genomes):
    return ellipsoid(genomes @ ROTATION.T)


def make(kind, x0, sigma, seed, population_size=10, **settings):
    """A search with a step size in units of the genes; 10 is the published population for 10 genes."""
    config = (NESConfig if issubclass(kind, SNES | XNES) else CMAESConfig)(sigma=sigma / HALF_WIDTH, **settings)
    return kind(SPACE, config, x0=x0, population_size=population_size, seed=seed)


def evaluations_to(target, search, fitness, budget=30_000):
    """Evaluations until the first fitness of at least `target`; inf if the budget does not do."""
    used = 0
    while used < budget and not search.stop():
        genomes = search.ask()
        scores = fitness(genomes)
        reached = np.flatnonzero(scores >= target)
        if reached.size:
            return used + int(reached[0]) + 1
        used += len(genomes)
        search.tell(genomes, Evaluations(scores))
    return np.inf


# Name, fitness, start, first step size, target, median evaluations of the library cma 4.5.0 over 15 seeds.
PROBLEMS = {
    "sphere": (sphere, np.ones(N_PARAMS), 0.5, -1e-9, 1490),
    "rosenbrock": (rosenbrock, np.zeros(N_PARAMS), 0.3, -1e-8, 4920),
    "ellipsoid": (ellipsoid, np.ones(N_PARAMS), 0.5, -1e-9, 4080),
    "rotated_ellipsoid": (rotated_ellipsoid, ROTATION.T @ np.ones(N_PARAMS), 0.5, -1e-9, 4140),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_cma_es_needs_no_more_evaluations_than_the_reference_library(problem):
    fitness, x0, sigma, target, reference = PROBLEMS[problem]
    used = [evaluations_to(target, make(CMAES, x0, sigma, seed), fitness) for seed in SEEDS]
    assert np.isfinite(used).all()
    assert np.median(used) <= 1.25 * reference


def test_cma_es_brings_the_mean_near_the_optimum_of_a_noisy_sphere_as_fast_as_the_reference_library():
    used = []
    for seed in SEEDS:
        noise = np.random.default_rng(1000 + seed)
        search = make(CMAES, np.ones(N_PARAMS), 0.5, seed)
        while (search.mean**2).sum() >= 0.05:
            genomes = search.ask()
            search.tell(genomes, Evaluations(sphere(genomes) + noise.normal(0.0, 0.1, len(genomes))))
            assert search.generation < 500
        used.append(10 * search.generation)
    assert np.median(used) <= 1.25 * 340


# Own medians when measured; the natural evolution strategies have no path that speeds the step size up.
FROZEN = {
    (SeparableCMAES, "sphere"): 1221,
    (SeparableCMAES, "ellipsoid"): 2080,
    (SNES, "sphere"): 1980,
    (SNES, "ellipsoid"): 2798,
    (XNES, "sphere"): 6383,
    (XNES, "rosenbrock"): 9451,
    (XNES, "ellipsoid"): 9146,
    (XNES, "rotated_ellipsoid"): 9222,
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "problem"), FROZEN, ids=lambda value: getattr(value, "__name__", value))
def test_the_other_searches_need_no_more_evaluations_than_when_measured(kind, problem):
    fitness, x0, sigma, target, _ = PROBLEMS[problem]
    used = [evaluations_to(target, make(kind, x0, sigma, seed), fitness) for seed in SEEDS]
    assert np.isfinite(used).all()
    assert np.median(used) <= 1.25 * FROZEN[kind, problem]


@pytest.mark.slow
@pytest.mark.parametrize("n_params", [5, 20])
@pytest.mark.parametrize("kind", [CMAES, SeparableCMAES])
def test_side_by_side_with_the_reference_library(kind, n_params):
    cma = pytest.importorskip("cma")
    space = ParameterSpace((Block("x", n_params, -HALF_WIDTH, HALF_WIDTH),))
    scales = 1e6 ** (np.arange(n_params) / (n_params - 1))
    population_size = 4 + int(3 * np.log(n_params))
    ours, theirs = [], []
    for seed in range(21):
        config = CMAESConfig(sigma=0.5 / HALF_WIDTH)
        search = kind(space, config, x0=np.ones(n_params), population_size=population_size, seed=seed)
        ours.append(evaluations_to(-1e-9, search, lambda genomes: -(genomes**2) @ scales, budget=200_000))
        rng = np.random.default_rng(seed)
        options = {
            "CMA_diagonal": kind is SeparableCMAES,
            "popsize": population_size,
            "randn": lambda *shape, rng=rng: rng.standard_normal(shape),
            "seed": np.nan,
            "verbose": -9,
        }
        strategy = cma.CMAEvolutionStrategy(np.ones(n_params), 0.5, options)
        while not (strategy.result.fbest <= 1e-9):
            rows = strategy.ask()
            strategy.tell(rows, [float(row**2 @ scales) for row in rows])
        theirs.append(strategy.result.evals_best)
    ratios = np.random.default_rng(1).choice(ours, (1000, 21)), np.random.default_rng(2).choice(theirs, (1000, 21))
    low = np.quantile(np.median(ratios[0], axis=1) / np.median(ratios[1], axis=1), 0.025)
    assert np.median(ours) <= 1.25 * np.median(theirs)
    assert low <= 1.1


every_adaptive = pytest.mark.parametrize("kind", [CMAES, SeparableCMAES, XNES, SNES])


def trace(search, fitness, n=60):
    """(n, population, n_params) float64, the genomes asked in n generations."""
    rows = []
    for _ in range(n):
        genomes = search.ask()
        search.tell(genomes, Evaluations(fitness(genomes)))
        rows.append(genomes)
    return np.array(rows)


@every_adaptive
@pytest.mark.parametrize("transform", [lambda f: -np.log(1.0 - f), lambda f: f**3, lambda f: 3.0 * f - 7.0])
def test_a_monotone_map_of_the_fitness_changes_no_bit(kind, transform):
    x0 = np.ones(N_PARAMS)
    np.testing.assert_array_equal(
        trace(make(kind, x0, 0.5, 1), lambda genomes: transform(ellipsoid(genomes))),
        trace(make(kind, x0, 0.5, 1), ellipsoid),
    )


@every_adaptive
def test_a_shifted_problem_is_searched_by_the_shifted_search(kind):
    x0, shift = np.ones(N_PARAMS), np.linspace(-20.0, 20.0, N_PARAMS)
    shifted = trace(make(kind, x0 + shift, 0.5, 1), lambda genomes: sphere(genomes - shift))
    np.testing.assert_allclose(shifted - shift, trace(make(kind, x0, 0.5, 1), sphere), atol=1e-9)


@every_adaptive
def test_a_stretched_problem_is_searched_by_the_stretched_search(kind):
    x0, factor = np.ones(N_PARAMS), 7.0
    stretched = trace(make(kind, factor * x0, factor * 0.5, 1), lambda genomes: ellipsoid(genomes / factor))
    np.testing.assert_allclose(stretched / factor, trace(make(kind, x0, 0.5, 1), ellipsoid), atol=1e-9)


class RotatedXNES(XNES):
    """Draws what `XNES` draws, rotated."""

    def _fill(self, noise):
        super()._fill(noise)
        noise[:] = noise @ ROTATION


def test_a_rotated_problem_is_searched_by_the_rotated_search():
    x0 = np.linspace(0.5, 1.5, N_PARAMS)
    rotated = trace(make(RotatedXNES, ROTATION.T @ x0, 0.5, 1), rotated_ellipsoid, n=50)
    np.testing.assert_allclose(rotated @ ROTATION.T, trace(make(XNES, x0, 0.5, 1), ellipsoid, n=50), atol=1e-9)


def log_size(search):
    """Logarithm of the step size: what selection alone may change."""
    state = search.state_dict()
    if "sigma" in state:
        return np.log(state["sigma"])
    root = state["transform"] if "transform" in state else np.diag(state["deviation"])
    return np.linalg.slogdet(root)[1] / N_PARAMS


@every_adaptive
def test_without_selection_the_mean_stays_where_it_is_and_the_step_size_has_no_trend(kind):
    n_runs, n_burn_in, n_generations = 200, 20, 30  # the path of CMA-ES begins at 0, shorter than it will be
    displacement, growth = np.empty((n_runs, N_PARAMS)), np.empty((n_runs, 1))
    for run in range(n_runs):
        search, rng = make(kind, np.zeros(N_PARAMS), 0.5, run), np.random.default_rng(10_000 + run)
        trace(search, lambda genomes, rng=rng: rng.standard_normal(len(genomes)), n_burn_in)
        before = log_size(search)
        trace(search, lambda genomes, rng=rng: rng.standard_normal(len(genomes)), n_generations)
        displacement[run], growth[run] = search.mean, log_size(search) - before
    for values in (displacement, growth):
        assert (np.abs(values.mean(axis=0)) < 4.0 * values.std(axis=0) / np.sqrt(n_runs)).all()
