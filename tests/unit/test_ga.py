import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optim import Block, Evaluations, GAConfig, GeneticAlgorithm, ParameterSpace
from optim.ga import blend, breed, is_duplicate, mutate, tournament

SPACE = ParameterSpace((Block("weight_pA", 6, -20.0, 20.0),))
COPY_ONLY = GAConfig(crossover_probability=0.0, mutation_probability=0.0, duplicate_mutation_probability=0.0)


def rng(seed=1):
    return np.random.default_rng(seed)


def test_defaults_are_the_published_settings():
    assert dataclasses.astuple(GAConfig()) == (4, 0.7, 0.5, 0.7, 1.0, 0.45, 0.8, 0, "changed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crossover_probability", 1.1),
        ("mutation_probability", -0.1),
        ("gene_probability", np.nan),
        ("duplicate_mutation_probability", 2.0),
        ("tournament_size", 0),
        ("tournament_size", 2.5),
        ("blend_alpha", -0.1),
        ("mutation_sigma", 0.0),
        ("mutation_sigma", np.inf),
        ("n_elite", -1),
        ("reevaluate", "some"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"GAConfig\.{field}="):
        GAConfig(**{field: value})


@pytest.mark.parametrize(("n", "n_elite"), [(1, 0), (3, 3)])
def test_too_small_a_population_is_refused(n, n_elite):
    with pytest.raises(ValueError, match=f"initial has {n} individuals, but needs >= {n + 1}"):
        GeneticAlgorithm(SPACE, GAConfig(n_elite=n_elite), initial=np.zeros((n, 6)), seed=1)


def test_tournament_picks_the_fittest_drawn_and_the_first_of_equals():
    fitness = np.array([1.0, 5.0, np.nan, 5.0, -2.0])
    draws = np.array([[0, 4, 2], [3, 1, 0], [1, 3, 0], [2, 4, 2], [2, 2, 2]])
    np.testing.assert_array_equal(tournament(fitness, draws), [0, 3, 1, 4, 2])


def test_blend_matches_the_published_formula_by_hand():
    x, y = np.array([[0.0, 10.0, -4.0]]), np.array([[10.0, 20.0, 4.0]])
    u = np.array([[0.0, 0.5, 1.0]])
    first, second = blend(x, y, 2.0 * u - 0.5)  # g = -0.5, 0.5, 1.5
    np.testing.assert_allclose(first, [[-5.0, 15.0, 8.0]])
    np.testing.assert_allclose(second, [[15.0, 15.0, -8.0]])


@settings(derandomize=True, deadline=None)
@given(*[arrays(np.float64, (2, 3), elements=st.floats(lo, hi)) for lo, hi in ((-20, 20), (-20, 20), (-0.5, 1.5))])
def test_blend_keeps_the_midpoint_of_the_parents_and_equal_parents(x, y, g):
    first, second = blend(x, y, g)
    np.testing.assert_allclose(first + second, x + y, atol=1e-12)
    np.testing.assert_allclose(first, (1 - g) * x + g * y, atol=1e-12)
    np.testing.assert_array_equal(blend(x, x, g), (x, x))


def test_mutation_hits_the_chosen_rows_at_the_gene_rate_with_the_given_spread():
    genomes = np.zeros((400, 200))
    chosen = np.arange(400) < 200
    change = mutate(genomes, chosen, GAConfig(mutation_sigma=2.0), rng())
    assert not change[200:].any()
    hit = change[:200][change[:200] != 0.0]
    assert abs(hit.size / 40_000 - 0.45) < 0.01
    assert abs(hit.std() - 2.0) < 0.05
    assert abs(hit.mean()) < 0.06


def test_a_duplicate_is_every_later_copy_of_a_row():
    rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [2.0, 1.0], [1.0, 2.0]])
    np.testing.assert_array_equal(is_duplicate(rows), [False, False, True, False, True])


def test_without_variation_every_offspring_is_a_parent_with_its_fitness():
    population = SPACE.sample(rng(), 12)
    fitness = np.arange(12.0)
    initial = dict(zip(map(bytes, population), fitness, strict=True))
    children, inherited = breed(population, fitness, SPACE, COPY_ONLY, rng(2))
    assert all(row.tobytes() in initial for row in children)
    assert np.isnan(inherited).all()  # nothing changed, so everything is asked again
    winners = np.array([initial[row.tobytes()] for row in children])
    assert winners.mean() > fitness.mean() + 2.0  # expected best of 4 of 0 … 11 is 8.5


def test_a_large_tournament_fills_the_population_with_the_best():
    population = SPACE.sample(rng(), 6)
    config = dataclasses.replace(COPY_ONLY, tournament_size=200)
    children, _ = breed(population, np.array([0, 1, np.nan, 9, 3, 4.0]), SPACE, config, rng())
    np.testing.assert_array_equal(children, np.tile(population[3], (6, 1)))


@pytest.mark.parametrize("n_elite", [0, 1])
def test_duplicates_are_mutated_and_the_first_copy_or_the_elite_is_not(n_elite):
    population = SPACE.sample(rng(), 6)
    config = dataclasses.replace(
        COPY_ONLY, tournament_size=200, duplicate_mutation_probability=1.0, gene_probability=1.0, n_elite=n_elite
    )
    children, inherited = breed(population, np.arange(6.0), SPACE, config, rng())
    np.testing.assert_array_equal(children[0], population[5])
    assert not is_duplicate(children).any()
    np.testing.assert_array_equal(inherited, [5.0] + [np.nan] * 5)


def test_half_of_the_crossed_genes_lie_beyond_the_parents_at_alpha_one_half():
    population = np.tile([[0.0], [10.0]], (200, 6))
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, tournament_size=1)
    children, _ = breed(population, np.zeros(400), SPACE, config, rng())
    crossed = children[(children != 0.0) & (children != 10.0)]
    assert crossed.min() > -5.0
    assert crossed.max() < 15.0
    assert abs(((crossed < 0.0) | (crossed > 10.0)).mean() - 0.5) < 0.05


def test_mutation_starts_from_the_clipped_offspring_of_the_crossover():
    population = np.tile([[-20.0], [20.0]], (200, 6))
    config = GAConfig(
        tournament_size=1,
        crossover_probability=1.0,
        mutation_probability=1.0,
        mutation_sigma=1e-6,
        gene_probability=1.0,
    )
    children, _ = breed(population, np.zeros(400), SPACE, config, rng())
    # on a bound: noise outwards (1/2) of equal parents (1/2), or of genes blended beyond (1/2) of unequal ones (1/2)
    assert abs((np.abs(children) == 20.0).mean() - 0.375) < 0.04


def test_about_nine_percent_of_the_offspring_keep_their_fitness_as_published():
    population = SPACE.sample(rng(), 6000)
    config = GAConfig(tournament_size=1, duplicate_mutation_probability=0.0)
    children, inherited = breed(population, np.arange(6000.0), SPACE, config, rng(2))
    kept = np.flatnonzero(~np.isnan(inherited))
    # neither crossed nor mutated: 0.3 · 0.3; mutated in no gene: 0.3 · 0.7 · 0.55^6 = 0.006
    assert abs(len(kept) / 6000 - 0.096) < 0.012
    np.testing.assert_array_equal(children[kept], population[inherited[kept].astype(int)])


def test_offspring_are_clipped_to_the_bounds():
    population = np.where(rng().random((40, 6)) < 0.5, -20.0, 20.0)
    children, _ = breed(population, np.arange(40.0), SPACE, GAConfig(mutation_sigma=30.0), rng(2))
    SPACE.check(children)
    assert (np.abs(children) == 20.0).any()


def test_an_odd_last_offspring_is_not_crossed():
    population = SPACE.sample(rng(), 5)
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, tournament_size=1)
    children, _ = breed(population, np.arange(5.0), SPACE, config, rng(3))
    assert (population == children[4]).all(axis=1).any()


@pytest.mark.parametrize("reevaluate", ["changed", "all"])
def test_the_elite_is_carried_over_and_asked_again_only_on_demand(reevaluate):
    population = SPACE.sample(rng(), 8)
    fitness = np.array([3.0, np.nan, 9.0, 1.0, 7.0, 0.0, 2.0, 5.0])
    config = GAConfig(n_elite=3, reevaluate=reevaluate)
    children, inherited = breed(population, fitness, SPACE, config, rng())
    np.testing.assert_array_equal(children[:3], population[[2, 4, 7]])
    np.testing.assert_array_equal(inherited[:3], [9, 7, 5] if reevaluate == "changed" else [np.nan] * 3)


def test_a_failed_individual_is_never_elite():
    population = SPACE.sample(rng(), 5)
    fitness = np.array([np.nan, 1.0, np.nan, np.nan, np.nan])
    config = GAConfig(n_elite=3, mutation_probability=1.0, gene_probability=1.0)
    children, _ = breed(population, fitness, SPACE, config, rng())
    assert children.shape == population.shape
    np.testing.assert_array_equal(children[0], population[1])
    np.testing.assert_array_equal((children[:, None] == population).all(axis=2).sum(), 1)


def test_ask_returns_only_the_changed_and_tell_scores_them_in_place():
    genetic = GeneticAlgorithm(SPACE, GAConfig(n_elite=2), initial=SPACE.sample(rng(), 10), seed=3)
    fitness = np.arange(10.0)
    genetic.tell(genetic.ask(), Evaluations(fitness))
    state = genetic.state_dict()
    is_due = np.isnan(state["fitness"])
    assert not is_due[:2].any()
    assert 0 < is_due.sum() < 10
    np.testing.assert_array_equal(genetic.ask(), state["population"][is_due])


def test_failed_survivors_are_asked_again():
    genetic = GeneticAlgorithm(SPACE, COPY_ONLY, initial=SPACE.sample(rng(), 4), seed=3)
    genetic.tell(genetic.ask(), Evaluations(np.full(4, np.nan)))
    assert len(genetic.ask()) == 4
