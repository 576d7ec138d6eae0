from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from optim.operators import (
    CROSSOVERS,
    POOLS,
    best_first,
    combine,
    is_collapsed,
    is_duplicate,
    mating_pool,
    mutate,
    share,
    spin,
    tournament,
)

every_pool = pytest.mark.parametrize("selection", sorted(POOLS))
every_crossover = pytest.mark.parametrize("crossover", sorted(CROSSOVERS))
genes = arrays(np.float64, (2, 3), elements=st.floats(-20, 20))


def rng(seed=1):
    return np.random.default_rng(seed)


def test_a_share_is_the_nearest_count_and_never_nothing():
    assert [share(f, n) for f, n in ((12 / 19, 19), (0.25, 20), (0.25, 11), (0.1, 3), (1.0, 7))] == [12, 5, 3, 1, 7]


def test_the_best_come_first_the_failed_last_and_equals_in_order():
    np.testing.assert_array_equal(best_first(np.array([1.0, np.nan, 3.0, -np.pi, 3.0])), [2, 4, 0, 3, 1])


def test_a_population_is_collapsed_only_if_every_gene_of_every_row_is_equal():
    rows = np.tile([1.0, 2.0], (5, 1))
    assert is_collapsed(rows)
    rows[3, 1] = np.nextafter(2.0, 3.0)
    assert not is_collapsed(rows)


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (8, 2), elements=st.sampled_from([0.0, -0.0, 1.0, -1.0])))
def test_a_duplicate_is_every_later_copy_of_a_row_whatever_the_sign_of_zero(rows):
    pairwise = [any((row == earlier).all() for earlier in rows[:i]) for i, row in enumerate(rows)]
    np.testing.assert_array_equal(is_duplicate(rows), pairwise)


def test_tournament_picks_the_fittest_drawn_and_the_first_of_equals():
    fitness = np.array([1.0, 5.0, np.nan, 5.0, -2.0])
    draws = np.array([[0, 4, 2], [3, 1, 0], [1, 3, 0], [2, 4, 2], [2, 2, 2]])
    np.testing.assert_array_equal(tournament(fitness, draws), [0, 3, 1, 4, 2])


def test_a_spun_wheel_draws_every_sequence_with_its_closed_form_probability():
    weights = np.array([1.0, 2.0, 5.0])
    generator = rng()
    n = 8000
    seen = Counter(tuple(spin(weights, 2, generator).tolist()) for _ in range(n))
    expected = {
        (i, j): n * weights[i] / 8.0 * weights[j] / (8.0 - weights[i]) for i in range(3) for j in range(3) if i != j
    }
    assert seen.keys() == expected.keys()
    assert chisquare([seen[key] for key in expected], list(expected.values())).pvalue > 0.01


def test_a_weight_of_zero_is_drawn_only_when_no_other_is_left():
    for seed in range(20):
        drawn = spin(np.array([0.0, 3.0, 0.0, 1.0]), 4, rng(seed))
        assert set(drawn[:2]) == {1, 3}
        np.testing.assert_array_equal(drawn[2:], [0, 2])


def test_weights_that_are_all_zero_are_equal():
    first = Counter(int(spin(np.zeros(4), 1, generator)[0]) for generator in [rng()] for _ in range(4000))
    assert chisquare([first[i] for i in range(4)]).pvalue > 0.01


def test_truncation_takes_exactly_the_best():
    fitness = np.array([0.0, 4.0, np.nan, 1.0, 9.0, 4.0])
    np.testing.assert_array_equal(mating_pool("truncation", fitness, 3, rng()), [4, 1, 5])


def test_roulette_draws_in_proportion_to_the_height_above_the_lowest():
    fitness = np.array([7.0, 4.0, 10.0, 5.0])  # heights 3, 0, 6, 1
    generator = rng()
    first = Counter(int(mating_pool("roulette", fitness, 1, generator)[0]) for _ in range(5000))
    assert first[1] == 0
    assert chisquare([first[0], first[2], first[3]], [1500, 3000, 500]).pvalue > 0.01


def test_roulette_does_not_depend_on_the_zero_or_the_unit_of_the_fitness():
    fitness = np.array([3.0, -1.0, 8.0, 0.5, 2.0])
    drawn = mating_pool("roulette", fitness, 3, rng(5))
    for mapped in (fitness - 1024.0, 4.0 * fitness, 2.0**1000 * fitness):
        np.testing.assert_array_equal(mating_pool("roulette", mapped, 3, rng(5)), drawn)


def test_roulette_bears_the_largest_and_the_smallest_numbers():
    for fitness in ([-1.7e308, 1.7e308, 0.0], [0.0, 5e-324, 1e-323]):
        assert sorted(mating_pool("roulette", np.array(fitness), 3, rng()).tolist()) == [0, 1, 2]


def test_rank_draws_in_proportion_to_the_rank_and_equals_alike():
    fitness = np.array([50.0, -3.0, 2.0, 2.0])  # ranks 4, 1, 2.5, 2.5
    generator = rng()
    first = Counter(int(mating_pool("rank", fitness, 1, generator)[0]) for _ in range(5000))
    assert chisquare([first[i] for i in range(4)], [2000, 500, 1250, 1250]).pvalue > 0.01


@every_pool
@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, 7, elements=st.sampled_from([np.nan, -1.0, 0.0, 2.5, 1e9])), st.integers(1, 7))
def test_a_mating_pool_holds_different_individuals_that_did_not_fail_unless_all_did(selection, fitness, n):
    pool = mating_pool(selection, fitness, n, rng())
    n_survivors = int((~np.isnan(fitness)).sum())
    assert len(pool) == len(set(pool.tolist())) == (min(n, n_survivors) or n)
    assert n_survivors == 0 or not np.isnan(fitness[pool]).any()


@every_pool
def test_if_all_failed_every_individual_is_as_likely_in_the_pool(selection):
    generator = rng()
    counts = np.zeros(5)
    for _ in range(2000):
        counts[mating_pool(selection, np.full(5, np.nan), 2, generator)] += 1
    assert (abs(counts - 800) < 4 * np.sqrt(2000 * 0.4 * 0.6)).all()


@settings(derandomize=True, deadline=None)
@given(genes, genes, arrays(np.float64, (2, 3), elements=st.floats(-0.5, 1.5)))
def test_combined_siblings_keep_the_midpoint_of_their_parents(x, y, g):
    first, second = combine(x, y, g), combine(y, x, g)
    np.testing.assert_allclose(first + second, x + y, atol=1e-12)
    np.testing.assert_allclose(first, (1 - g) * x + g * y, atol=1e-12)


@settings(derandomize=True, deadline=None)
@given(genes, genes, arrays(np.float64, (2, 3), elements=st.sampled_from([0.0, 1.0])))
def test_a_gene_that_is_taken_whole_is_bit_equal_to_that_of_its_parent(x, y, g):
    np.testing.assert_array_equal(combine(x, y, g), np.where(g == 1.0, y, x))
    np.testing.assert_array_equal(combine(x, x, g - 0.3), x)


def test_blend_matches_the_published_formula_by_hand():
    x, y = np.array([[0.0, 10.0, -4.0]]), np.array([[10.0, 20.0, 4.0]])
    u = np.array([[0.0, 0.5, 1.0]])
    g = 2.0 * u - 0.5  # -0.5, 0.5, 1.5
    np.testing.assert_allclose(combine(x, y, g), [[-5.0, 15.0, 8.0]])
    np.testing.assert_allclose(combine(y, x, g), [[15.0, 15.0, -8.0]])


def test_blend_weights_are_uniform_between_minus_alpha_and_one_plus_alpha():
    g = CROSSOVERS["blend"]((400, 50), 0.25, rng())
    assert -0.25 <= g.min() < -0.24
    assert 1.24 < g.max() <= 1.25
    assert abs(g.mean() - 0.5) < 0.01
    assert abs(g.var() - 1.5**2 / 12) < 0.01


def test_uniform_weights_are_independent_fair_coins():
    g = CROSSOVERS["uniform"]((400, 50), 0.5, rng())
    assert set(g.ravel()) == {0.0, 1.0}
    assert abs(g.mean() - 0.5) < 0.015
    correlation = np.corrcoef(g.T)[~np.eye(50, dtype=bool)]
    assert np.abs(correlation).max() < 5.0 / np.sqrt(400)


def test_one_point_weights_cut_between_any_two_genes_alike():
    g = CROSSOVERS["one_point"]((5000, 6), 0.5, rng())
    assert (np.diff(g, axis=1) >= 0.0).all()
    counts = np.bincount(g.sum(axis=1).astype(int), minlength=7)
    assert counts[0] == counts[6] == 0  # a gene of each parent at least
    assert chisquare(counts[1:6]).pvalue > 0.01


def test_arithmetic_weights_are_one_per_child():
    g = CROSSOVERS["arithmetic"]((2000, 6), 0.5, rng())
    assert g.shape == (2000, 1)
    assert abs(g.mean() - 0.5) < 0.03
    assert 0.0 <= g.min() < 0.01 < 0.99 < g.max() <= 1.0


@every_crossover
def test_a_genome_of_one_gene_can_be_crossed(crossover):
    g = CROSSOVERS[crossover]((4, 1), 0.5, rng())
    assert combine(np.zeros((4, 1)), np.ones((4, 1)), g).shape == (4, 1)


def test_mutation_hits_the_chosen_rows_at_the_gene_rate_with_the_given_spread():
    genomes = np.zeros((400, 200))
    chosen = np.arange(400) < 200
    change = mutate(genomes, chosen, 0.45, 2.0, rng())
    assert not change[200:].any()
    hit = change[:200][change[:200] != 0.0]
    assert abs(hit.size / 40_000 - 0.45) < 0.01
    assert abs(hit.std() - 2.0) < 0.05
    assert abs(hit.mean()) < 0.06
