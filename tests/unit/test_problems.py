import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import rosen

from optim.problems import (
    circle_cities,
    distance_matrix,
    linear_gaussian_posterior_mean,
    linear_responses,
    rastrigin,
    rosenbrock,
    sphere,
    tour_lengths,
)

genomes_strategy = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(2, 6)), elements=st.floats(-10, 10))


def test_known_optima_have_fitness_zero():
    assert sphere(np.zeros((1, 5))) == 0.0
    assert rosenbrock(np.ones((1, 5))) == 0.0


@settings(derandomize=True, deadline=None)
@given(genomes_strategy)
def test_rows_are_evaluated_alone_and_equal_the_reference(genomes):
    np.testing.assert_allclose(sphere(genomes), [-(row @ row) for row in genomes], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(rosenbrock(genomes), [-rosen(row) for row in genomes], rtol=1e-12)


def test_rosenbrock_needs_two_parameters():
    with pytest.raises(ValueError, match="needs >= 2"):
        rosenbrock(np.ones((3, 1)))


def test_linear_responses_match_hand_computed_values():
    forward = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]])
    np.testing.assert_array_equal(
        linear_responses(np.array([[1.0, 1.0], [2.0, 0.0]]), forward), [[3, -1, 3], [2, 0, 6]]
    )


def test_posterior_mean_of_one_parameter_is_the_precision_weighted_mean():
    mean = linear_gaussian_posterior_mean(np.eye(1), np.array([2.0]), np.array([[4.0]]), 1.0, np.array([7.0]))
    np.testing.assert_allclose(mean, [(2.0 / 4.0 + 7.0 / 1.0) / (1.0 / 4.0 + 1.0 / 1.0)])


def test_posterior_mean_minimises_the_regularised_squared_error():
    rng = np.random.default_rng(1)
    forward, mean, targets = rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal(3)
    root = rng.standard_normal((4, 4))
    covariance = root @ root.T + np.eye(4)
    x = linear_gaussian_posterior_mean(forward, mean, covariance, 0.3, targets)
    gradient = forward.T @ (forward @ x - targets) / 0.3 + np.linalg.inv(covariance) @ (x - mean)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-10)


def test_rastrigin_has_its_maximum_at_zero_and_others_at_whole_numbers():
    assert rastrigin(np.zeros((1, 4))) == 0.0
    np.testing.assert_allclose(rastrigin(np.array([[1.0, -2.0], [0.5, 0.0]])), [-5.0, -20.25])
    nearby = 0.995 + 0.01 * np.random.default_rng(1).random((100, 2))
    assert rastrigin(nearby).max() > rastrigin(np.array([[0.9, 0.9], [1.1, 1.1]])).max()


def test_no_tour_of_the_circle_is_shorter_than_its_known_optimum():
    distances = distance_matrix(circle_cities(7, np.random.default_rng(3)))
    tours = np.array([(0, *rest) for rest in itertools.permutations(range(1, 7))], dtype=np.float64)
    assert tour_lengths(tours, distances).min() == pytest.approx(14 * np.sin(np.pi / 7), rel=1e-12)


def test_distances_and_tour_lengths_are_those_of_a_square():
    distances = distance_matrix(np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, 0.0]]))
    np.testing.assert_allclose(distances[0], [0.0, 2.0, np.sqrt(8.0), 2.0])
    np.testing.assert_allclose(
        tour_lengths(np.array([[0, 1, 2, 3], [0, 2, 1, 3]]), distances), [8.0, 4.0 + 2.0 * np.sqrt(8.0)]
    )
