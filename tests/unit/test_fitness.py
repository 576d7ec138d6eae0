import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from optim import Evaluations
from optim.fitness import centered_ranks, mean_over_episodes

fitnesses = arrays(np.float64, st.integers(2, 30), elements=st.integers(-5, 5).map(float) | st.just(np.nan))


def test_ranks_match_a_hand_computed_case():
    np.testing.assert_allclose(centered_ranks(np.array([3.0, -1.0, 10.0, 3.0, 4.0])), [-0.125, -0.5, 0.5, -0.125, 0.25])


@settings(derandomize=True, deadline=None)
@given(fitnesses)
def test_ranks_equal_the_mean_ranks_of_scipy_with_failures_lowest(fitness):
    comparable = np.where(np.isnan(fitness), -1e9, fitness)
    expected = (rankdata(comparable, method="average") - 1) / (len(fitness) - 1) - 0.5
    np.testing.assert_allclose(centered_ranks(fitness), expected, atol=1e-15)
    assert abs(centered_ranks(fitness).sum()) < 1e-12


@settings(derandomize=True, deadline=None)
@given(fitnesses)
def test_ranks_are_bit_equal_under_monotone_maps(fitness):
    for mapped in (np.exp(fitness), fitness**3, 2.0 * fitness + 7.0):
        np.testing.assert_array_equal(centered_ranks(mapped), centered_ranks(fitness))


def test_infinite_fitness_ranks_with_the_failed():
    np.testing.assert_array_equal(
        centered_ranks(np.array([np.inf, 1.0, np.nan, 2.0, -np.inf])), [-0.25, 0.25, -0.25, 0.5, -0.25]
    )


@pytest.mark.parametrize("n", [0, 1])
def test_nobody_to_compare_with_gives_rank_zero(n):
    np.testing.assert_array_equal(centered_ranks(np.ones(n)), np.zeros(n))


def test_mean_over_episodes_matches_hand_computed_values():
    values = np.array([[[1.0, 10.0], [3.0, 30.0]], [[0.0, 0.0], [-2.0, 5.0]]])
    np.testing.assert_array_equal(mean_over_episodes(values), [[2.0, 20.0], [-1.0, 2.5]])


@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf])
def test_one_failed_episode_fails_the_individual_and_no_other(failure):
    values = np.ones((3, 4, 2))
    values[1, 2, 0] = failure
    np.testing.assert_array_equal(mean_over_episodes(values), [[1, 1], [np.nan, np.nan], [1, 1]])


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (6, 12, 3), elements=st.floats(-1e3, 1e3)))
def test_the_mean_of_an_individual_does_not_depend_on_the_batch_it_is_in(values):
    alone = np.concatenate([mean_over_episodes(values[i : i + 1]) for i in range(len(values))])
    np.testing.assert_array_equal(mean_over_episodes(values), alone)


@pytest.mark.parametrize("shape", [(3, 4), (3, 0, 1)])
def test_values_without_an_episode_axis_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be \(n, n_episodes, k\)"):
        mean_over_episodes(np.ones(shape))


def test_evaluations_mark_a_row_failed_by_its_fitness_or_any_response():
    evaluations = Evaluations(
        np.array([1.0, np.inf, 3.0, np.nan]), np.array([[0.0, 1.0], [0.0, 1.0], [0.0, -np.inf], [0.0, 1.0]])
    )
    np.testing.assert_array_equal(evaluations.fitness, [1.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(evaluations.failed, [False, True, True, True])
    np.testing.assert_array_equal(evaluations.responses, [[0.0, 1.0]] + [[np.nan, np.nan]] * 3)
    assert len(evaluations) == 4


def test_evaluations_are_read_only_copies():
    fitness, responses = np.array([1.0, np.inf]), np.ones((2, 1))
    evaluations = Evaluations(fitness, responses)
    np.testing.assert_array_equal(fitness, [1.0, np.inf])
    np.testing.assert_array_equal(responses, np.ones((2, 1)))
    for array in (evaluations.fitness, evaluations.responses):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5.0


@pytest.mark.parametrize(
    ("fitness", "responses", "message"),
    [
        (np.ones((2, 1)), None, r"shape \(2, 1\), but must be \(n,\)"),
        (1.0, None, r"must be \(n,\)"),
        (np.ones(3), np.ones(3), r"must be \(3, d\)"),
        (np.ones(3), np.ones((2, 4)), r"shape \(2, 4\), but must be \(3, d\)"),
    ],
)
def test_evaluations_of_another_shape_are_refused(fitness, responses, message):
    with pytest.raises(ValueError, match=message):
        Evaluations(fitness, responses)
