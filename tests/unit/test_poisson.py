"""Poisson numbers from tables: exact arithmetic, the distribution of draws, independence, how draws are split."""

import hashlib
import os
import sys
from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from snn.poisson import MAX_TABLE_MEAN, PoissonDraws, look_up, make_tables
from tests.conftest import ROOT

MEANS = [1e-9, 0.003, 0.8, 1.0, 8.0, 10.0, 36.6, 700.5, MAX_TABLE_MEAN]


def generators(seed=1):
    return np.random.default_rng(seed).spawn(2)


def draw(mean, n_steps, seed=1):
    return PoissonDraws(np.array(mean, dtype=np.float64)).draw(n_steps, *generators(seed))


def exact_distribution(mean, n):
    """(n,) P(number <= k) with 60 digits, by the recurrence from k = 0."""
    with localcontext() as context:
        context.prec = 60
        mean, total, values = Decimal(mean), Decimal(0), []
        chance = (-mean).exp()
        for k in range(n):
            total += chance
            values.append(total)
            chance = chance * mean / (k + 1)
        return values


@pytest.mark.parametrize("mean", MEANS)
def test_a_table_is_the_distribution_function_to_the_last_bits_of_a_double(mean):
    tables = make_tables(np.array([mean]))
    with localcontext() as context:
        context.prec = 60
        exact = exact_distribution(mean, int(tables.offset[0]) + tables.threshold.size)
        errors = [
            abs(Decimal(int(threshold)) / 2**63 - value)
            for threshold, value in zip(tables.threshold, exact[int(tables.offset[0]) :], strict=True)
        ]
        assert max(errors) < 2.0**-52
        for threshold, value in zip(tables.threshold, exact[int(tables.offset[0]) :], strict=True):
            tail, exact_tail = Decimal(2**63 - int(threshold)) / 2**63, 1 - value
            assert abs(tail - exact_tail) <= Decimal(2.0**-63) + Decimal("1e-13") * exact_tail
        assert tables.offset[0] == 0 or exact[int(tables.offset[0]) - 1] < 2.0**-63  # what the table leaves out
    assert tables.threshold[-1] == 2**63


@pytest.mark.parametrize("mean", [0.0, *MEANS])
def test_the_smallest_and_the_largest_word_give_the_ends_of_the_distribution(mean):
    tables = make_tables(np.array([5.0, mean]))
    words = np.array([[[0], [2**64 - 1]]], dtype=np.uint64)
    numbers = np.empty(words.shape, dtype=np.int64)
    look_up(words, np.array([[1]]), tables, numbers)
    smallest, largest = numbers.ravel()
    assert poisson(mean).cdf(smallest - 1) < 2.0**-62
    assert poisson(mean).sf(largest) < 2.0**-62
    assert poisson(mean).cdf(smallest) > 2.0**-64
    assert largest == 0 or poisson(mean).sf(largest - 1) > 2.0**-64


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="a million draws")
@pytest.mark.parametrize("mean", [0.003, 0.1, 0.8, 1.0, 8.0, 10.0, 36.6, 700.5, MAX_TABLE_MEAN, 5_000.0])
def test_draws_follow_the_distribution(mean):
    n = 1_000_000
    numbers = draw([[mean, 2.0]], n)[0, :, 0]
    law = poisson(mean)
    low, high = int(law.ppf(1e-4)), int(law.ppf(1 - 1e-4))
    edges = np.unique(np.linspace(low, high, 60).astype(np.int64))
    observed = np.diff([0, *(np.searchsorted(np.sort(numbers), edges, side="right")), n])
    expected = n * np.diff([0.0, *law.cdf(edges), 1.0])
    is_kept = expected > 0
    assert observed[~is_kept].sum() == 0
    assert chisquare(observed[is_kept], expected[is_kept]).pvalue > 1e-6
    assert abs(numbers.mean() - mean) < 5 * np.sqrt(mean / n)


def test_sources_of_mean_zero_are_silent_among_others():
    numbers = draw([[0.0, 3.0, 0.0, 2_000.0]], 1000)
    assert not numbers[0, :, [0, 2]].any()
    assert numbers[0, :, 1].any()
    assert numbers[0, :, 3].min() > 1500


def test_every_source_has_its_own_mean():
    mean = np.array([[0.5, 20.0, 0.5, 3_000.0], [4.0, 0.0, 900.0, 1.0]])
    numbers = draw(mean, 4000)
    assert numbers.shape == (2, 4000, 4)
    np.testing.assert_array_less(np.abs(numbers.mean(axis=1) - mean), 5 * np.sqrt(mean / 4000) + 1e-12)


def test_sources_and_steps_are_independent():
    numbers = draw(np.full((2, 30), 2.0), 2000).swapaxes(0, 1).reshape(2000, 60)
    across = np.corrcoef(numbers.T)[~np.eye(60, dtype=bool)]
    assert np.abs(across).max() < 6 / np.sqrt(2000)
    along = np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]
    assert abs(along) < 5 / np.sqrt(numbers.size)


def test_the_seed_decides():
    mean = [[1.0, 8.0, 2_000.0]]
    np.testing.assert_array_equal(draw(mean, 50, seed=3), draw(mean, 50, seed=3))
    assert (draw(mean, 50, seed=3) != draw(mean, 50, seed=4)).any(axis=1).all()


def test_numbers_do_not_depend_on_how_steps_are_split_over_calls():
    mean = [[1.0, 8.0, 2_000.0, 0.0, 1_500.0]]
    draws, rngs = PoissonDraws(np.array(mean)), generators()
    parts = [draws.draw(n_steps, *rngs) for n_steps in (1, 7, 2)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), draw(mean, 10))


def test_there_may_be_no_source_at_all():
    assert draw(np.empty((2, 0)), 5).shape == (2, 5, 0)


def digest():
    """Fingerprint of some draws."""
    return hashlib.sha256(draw([[0.0, 0.8, 8.0, 300.0, 2_000.0]], 100).tobytes()).hexdigest()


def test_the_kernels_do_the_same_without_compilation(run_python):
    lines = ("import experiments", "from tests.unit.test_poisson import digest", "print(digest())")
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    done = run_python("-c", "\n".join(lines), env={"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()
