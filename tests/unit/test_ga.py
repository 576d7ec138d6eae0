import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optim import Block, Evaluations, GAConfig, GeneticAlgorithm, ParameterSpace
from optim.ga import MU_RHO_LAMBDA, breed, unknown_last
from optim.operators import is_duplicate

SPACE = ParameterSpace((Block("weight_pA", 6, -20.0, 20.0),))
COPY_ONLY = GAConfig(crossover_probability=0.0, mutation_probability=0.0, duplicate_mutation_probability=0.0)


def rng(seed=1):
    return np.random.default_rng(seed)


def test_defaults_are_the_published_settings():
    assert dataclasses.asdict(GAConfig()) == {
        "selection": "tournament",
        "tournament_size": 4,
        "parent_fraction": 0.3,  # not read by tournaments
        "n_parents": 2,
        "crossover": "blend",
        "crossover_probability": 0.7,
        "blend_alpha": 0.5,
        "mutation_probability": 0.7,
        "mutation_sigma": 1.0,
        "gene_probability": 0.45,
        "duplicate_mutation_probability": 0.8,
        "n_elite": 0,
        "keep_best_ever": False,
        "reevaluate": "changed",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crossover_probability", 1.1),
        ("mutation_probability", -0.1),
        ("gene_probability", np.nan),
        ("duplicate_mutation_probability", 2.0),
        ("tournament_size", 0),
        ("tournament_size", 2.5),
        ("parent_fraction", 0.0),
        ("parent_fraction", 1.1),
        ("n_parents", 1),
        ("n_parents", 2.0),
        ("selection", "best"),
        ("crossover", "two_point"),
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


@pytest.mark.parametrize(("n", "n_elite", "keep_best_ever"), [(1, 0, False), (1, 0, True), (3, 3, False), (3, 2, True)])
def test_too_small_a_population_is_refused(n, n_elite, keep_best_ever):
    config = GAConfig(n_elite=n_elite, keep_best_ever=keep_best_ever)
    with pytest.raises(ValueError, match=f"initial has {n} individuals, but needs >= {n + 1}"):
        GeneticAlgorithm(SPACE, config, initial=np.zeros((n, 6)), seed=1)


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


def test_about_nine_percent_of_the_offspring_keep_their_fitness_as_published():
    population = SPACE.sample(rng(), 6000)
    config = GAConfig(tournament_size=1, duplicate_mutation_probability=0.0)
    children, inherited = breed(population, np.arange(6000.0), SPACE, config, rng(2))
    kept = np.flatnonzero(~np.isnan(inherited))
    # neither crossed nor mutated: 0.3 · 0.3; mutated in no gene: 0.3 · 0.7 · 0.55^6 = 0.006
    assert abs(len(kept) / 6000 - 0.096) < 0.012
    np.testing.assert_array_equal(children[kept], population[inherited[kept].astype(int)])


@given(arrays(np.float64, 9, elements=st.sampled_from([np.nan, 1.0, 2.0])))
@settings(derandomize=True, deadline=None)
def test_those_without_a_fitness_come_last_and_rows_stay_with_theirs(fitness):
    known, rows = fitness.copy(), np.stack([np.arange(9.0), np.nan_to_num(fitness)], axis=1)
    unknown_last(rows, known)
    n_known = int((~np.isnan(fitness)).sum())
    assert not np.isnan(known[:n_known]).any()
    assert np.isnan(known[n_known:]).all()
    np.testing.assert_array_equal(np.nan_to_num(known), rows[:, 1])
    assert sorted(rows[:, 0]) == list(range(9))
    stay = np.flatnonzero(~np.isnan(fitness[:n_known]))
    np.testing.assert_array_equal(rows[stay, 0], stay)


def test_a_saved_generation_in_any_order_is_asked_in_its_order():
    genetic = GeneticAlgorithm(SPACE, GAConfig(), initial=SPACE.sample(rng(), 10), seed=3)
    state = genetic.state_dict()
    state["fitness"] = np.where(np.arange(10) % 3 == 0, 1.0, np.nan)
    genetic.load_state_dict(state)
    np.testing.assert_array_equal(genetic.ask(), state["population"][np.arange(10) % 3 != 0])


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


def score(genetic, fitness):
    """Tell everyone's fitness and return the next population."""
    assert len(genetic.ask()) == len(fitness)
    genetic.tell(genetic.ask(), Evaluations(np.asarray(fitness, dtype=np.float64)))
    return genetic.state_dict()["population"]


def constant_rows(n):
    return np.repeat(np.arange(float(n))[:, None], 6, axis=1)


@pytest.mark.parametrize(("selection", "parents"), [("truncation", {9, 8, 7}), ("rank", set(range(10)))])
def test_only_the_mating_pool_has_children(selection, parents):
    config = dataclasses.replace(COPY_ONLY, selection=selection, parent_fraction=0.3)
    used = set()
    for seed in range(60):
        children, _ = breed(constant_rows(10), np.arange(10.0), SPACE, config, rng(seed))
        generation = set(children[:, 0].tolist())
        assert len(generation) <= 3
        used |= generation
    assert used == parents


@pytest.mark.parametrize("selection", ["truncation", "roulette", "rank"])
def test_a_failed_individual_has_no_children_while_another_lives(selection):
    config = dataclasses.replace(COPY_ONLY, selection=selection, parent_fraction=1.0)
    fitness = np.array([np.nan, 1.0, np.nan, 0.0, 5.0, np.nan])
    for seed in range(20):
        children, _ = breed(constant_rows(6), fitness, SPACE, config, rng(seed))
        assert set(children[:, 0]) <= {1.0, 3.0, 4.0}


@pytest.mark.parametrize("selection", ["tournament", "truncation", "roulette", "rank"])
def test_if_all_failed_anyone_may_have_children(selection):
    config = dataclasses.replace(COPY_ONLY, selection=selection)
    used = {
        child
        for seed in range(60)
        for child in breed(constant_rows(8), np.full(8, np.nan), SPACE, config, rng(seed))[0][:, 0]
    }
    assert used == set(range(8))


@pytest.mark.parametrize("reevaluate", ["changed", "all"])
def test_the_best_ever_outlives_worse_generations_unchanged(reevaluate):
    initial = SPACE.sample(rng(), 8)
    config = GAConfig(keep_best_ever=True, mutation_probability=1.0, gene_probability=1.0, reevaluate=reevaluate)
    genetic = GeneticAlgorithm(SPACE, config, initial=initial, seed=3)
    score(genetic, [0.0, 1.0, 9.0, 3.0, np.nan, 5.0, 6.0, 7.0])
    for level in (8.0, np.nan, -5.0):
        np.testing.assert_array_equal(genetic.state_dict()["population"][0], initial[2])
        genetic.tell(genetic.ask(), Evaluations(np.full(len(genetic.ask()), level)))
    np.testing.assert_array_equal(genetic.state_dict()["population"][0], initial[2])
    assert genetic.state_dict()["best_fitness"] == 9.0
    better = genetic.ask()[5].copy()
    genetic.tell(genetic.ask(), Evaluations(np.where(np.arange(len(genetic.ask())) == 5, 9.5, 0.0)))
    np.testing.assert_array_equal(genetic.state_dict()["population"][0], better)


def test_the_best_ever_and_the_elite_are_carried_over_once_each():
    population = constant_rows(6)
    config = GAConfig(n_elite=2, keep_best_ever=True, mutation_probability=1.0, gene_probability=1.0)
    best = (population[3:4], np.array([50.0]))
    children, inherited = breed(population, np.array([0, 5, 1, 7, 2, 3.0]), SPACE, config, rng(), best)
    np.testing.assert_array_equal(children[:2, 0], [3, 1])  # 3 leads the elite, too
    np.testing.assert_array_equal(inherited[:2], [50.0, 5.0])
    children, inherited = breed(population, np.array([0, 5, 1, -7, 2, 3.0]), SPACE, config, rng(), best)
    np.testing.assert_array_equal(children[:3, 0], [3, 1, 5])
    np.testing.assert_array_equal(inherited[:3], [50.0, 5.0, 3.0])


def test_before_anyone_succeeded_there_is_no_best_ever():
    config = dataclasses.replace(COPY_ONLY, keep_best_ever=True)
    used = set()
    for seed in range(30):
        genetic = GeneticAlgorithm(SPACE, config, initial=constant_rows(5), seed=seed)
        used.add(score(genetic, np.full(5, np.nan))[0, 0])
    assert used == set(range(5))


def test_mu_rho_lambda_mutates_whole_children_of_the_best_third_and_keeps_the_best_ever():
    initial = np.repeat(np.linspace(-9.0, 9.0, 10)[:, None], 6, axis=1)  # 2 apart, noise of 0.1
    n_children = n_mutated = 0
    for seed in range(60):
        genetic = GeneticAlgorithm(SPACE, MU_RHO_LAMBDA, initial=initial, seed=seed)
        population = score(genetic, np.arange(10.0))
        np.testing.assert_array_equal(population[0], initial[9])
        assert set(np.round((population + 9.0) / 2.0).ravel()) <= {7.0, 8.0, 9.0}
        is_changed = (population[1:, :, None] != np.linspace(-9.0, 9.0, 10)).all(axis=2)
        assert (is_changed.all(axis=1) | ~is_changed.any(axis=1)).all()
        n_mutated += int(is_changed.all(axis=1).sum())
        n_children += len(is_changed)
        assert len(genetic.ask()) == 10  # all are scored in their own generation
    assert abs(n_mutated / n_children - 0.8) < 0.05


@pytest.mark.parametrize(
    "off", [{"mutation_probability": 0.0, "duplicate_mutation_probability": 0.0}, {"gene_probability": 0.0}]
)
def test_equal_individuals_without_mutation_have_converged(off):
    rows = np.tile(SPACE.sample(rng(), 1), (6, 1))
    assert not GeneticAlgorithm(SPACE, GAConfig(), initial=rows, seed=1).stop()
    assert not GeneticAlgorithm(SPACE, GAConfig(**off), initial=SPACE.sample(rng(), 6), seed=1).stop()
    genetic = GeneticAlgorithm(SPACE, GAConfig(**off), initial=rows, seed=1)
    assert genetic.stop().keys() == {"converged"}
    np.testing.assert_array_equal(score(genetic, np.arange(6.0)), rows)


def test_selection_alone_ends_with_copies_of_one_individual():
    genetic = GeneticAlgorithm(
        SPACE, dataclasses.replace(COPY_ONLY, reevaluate="all"), initial=constant_rows(12), seed=1
    )
    for _ in range(100):
        if genetic.stop():
            break
        score(genetic, genetic.ask()[:, 0])
    assert genetic.stop()
    assert genetic.generation < 20


def test_the_diagnostics_are_the_spread_in_units_of_the_box_and_the_share_to_be_asked():
    genetic = GeneticAlgorithm(SPACE, COPY_ONLY, initial=np.repeat([[-10.0], [10.0]], 6, axis=1), seed=1)
    assert genetic.diagnostics() == {"spread": 0.5, "asked": 1.0}
