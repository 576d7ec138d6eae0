import dataclasses

import numpy as np
import pytest

from optim import Block, Evaluations, GAConfig, GeneticAlgorithm, ParameterSpace
from optim.ga import MU_RHO_LAMBDA, breed, cross
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


def score(genetic, fitness):
    """Tell everyone's fitness and return the next population."""
    assert len(genetic.ask()) == len(fitness)
    genetic.tell(genetic.ask(), Evaluations(np.asarray(fitness, dtype=np.float64)))
    return genetic.state_dict()["population"]


def parents_of(children):
    """Which individuals of a population with the rows i, i, ..., i gave each child its genes, in order of genes."""
    return [list(dict.fromkeys(child.tolist())) for child in children]


def constant_rows(n):
    return np.repeat(np.arange(float(n))[:, None], 6, axis=1)


@pytest.mark.parametrize("crossover", ["uniform", "one_point"])
@pytest.mark.parametrize("n_parents", [2, 3, 4])
def test_swapped_genes_come_from_as_many_parents_as_a_child_has(crossover, n_parents):
    parents = np.stack([constant_rows(200) + 1000.0 * k for k in range(n_parents - 1)])
    config = dataclasses.replace(COPY_ONLY, crossover=crossover, crossover_probability=1.0, n_parents=n_parents)
    found = parents_of(cross(parents, config, rng()))
    mate = np.arange(200) ^ 1
    for child, genes in enumerate(found):
        allowed = {child, mate[child], *(child + 1000 * k for k in range(1, n_parents - 1))}
        assert set(genes) <= allowed
    assert max(map(len, found)) == n_parents


@pytest.mark.parametrize("crossover", ["uniform", "one_point"])
def test_two_siblings_divide_the_genes_of_their_parents_between_them(crossover):
    config = dataclasses.replace(COPY_ONLY, crossover=crossover, crossover_probability=1.0)
    children = cross(constant_rows(100)[None], config, rng())
    np.testing.assert_array_equal(children[::2] + children[1::2], np.add.outer(4.0 * np.arange(50) + 1.0, np.zeros(6)))


def test_one_point_children_are_a_head_and_a_tail():
    config = dataclasses.replace(COPY_ONLY, crossover="one_point", crossover_probability=1.0)
    children = cross(constant_rows(100)[None], config, rng())
    assert ((children[:, 1:] != children[:, :-1]).sum(axis=1) == 1).all()
    np.testing.assert_array_equal(children[:, 0], np.arange(100.0))


@pytest.mark.parametrize("n_parents", [2, 3, 5])
def test_arithmetic_children_lie_between_their_parents_and_the_last_one_counts_half_in_the_mean(n_parents):
    n = 4000
    parents = np.zeros((n_parents - 1, n, n_parents))  # gene k is the share of parent k
    parents[0, ::2, 0] = parents[0, 1::2, 1] = 1.0
    for k in range(1, n_parents - 1):
        parents[k, :, k + 1] = 1.0
    config = dataclasses.replace(COPY_ONLY, crossover="arithmetic", crossover_probability=1.0, n_parents=n_parents)
    shares = cross(parents, config, rng())
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    halvings = [2.0 ** -(n_parents - 1), *(2.0**-k for k in range(n_parents - 1, 0, -1))]
    np.testing.assert_allclose(shares.mean(axis=0), halvings, atol=0.02)


def test_without_crossover_a_child_is_its_first_parent_however_many_it_has():
    parents = SPACE.sample(rng(), 21).reshape(3, 7, 6)
    config = dataclasses.replace(COPY_ONLY, n_parents=4)
    np.testing.assert_array_equal(cross(parents, config, rng()), parents[0])


@pytest.mark.parametrize("n_parents", [2, 4])
def test_an_odd_last_child_is_a_copy(n_parents):
    parents = SPACE.sample(rng(), (n_parents - 1) * 5).reshape(-1, 5, 6)
    config = dataclasses.replace(COPY_ONLY, crossover_probability=1.0, n_parents=n_parents)
    children = cross(parents, config, rng())
    np.testing.assert_array_equal(children[4], parents[0, 4])
    assert (children[:4] != parents[0, :4]).any(axis=1).all()


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
