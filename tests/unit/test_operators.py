from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from optim.operators import POOLS, best_first, is_collapsed, is_duplicate, mating_pool, share, spin, tournament

every_pool = pytest.mark.parametrize("selection", sorted(POOLS))


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
    assert not is_collapsed(rows[:4])


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (8, 2), elements=st.sampled_from([0.0, -0.0, 1.0, -1.0])))
def test_a_duplicate_is_every_later_copy_of_a_row_whatever_the_sign_of_zero(rows):
    pairwise = [any((row == earlier).all() for earlier in rows[:i]) for i, row in enumerate(rows)]
    np.testing.assert_array_equal(is_duplicate(rows), pairwise)


@pytest.mark.parametrize("gene", range(100))
def test_rows_that_differ_in_any_one_gene_are_no_duplicates(gene):
    rows = np.tile(rng().random(100), (4, 1))
    rows[2, gene] += 1.0
    np.testing.assert_array_equal(is_duplicate(rows), [False, True, False, True])


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
