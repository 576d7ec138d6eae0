import dataclasses
import doctest
import importlib.util
import sys

import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import rosen

from optim import Block, ESConfig, ParameterSpace
from optim.evaluators import Limits, SerialEvaluator, pool_evaluator
from optim.methods import METHODS
from optim.minimize import MAX_GENERATIONS, MinimizeResult, default_population, minimize, task_of

BOX = [(-3.0, 5.0), (-4.0, 4.0), (-2.0, 6.0)]
START = [2.0, 2.0, 2.0]
OPTIMUM = np.array([1.0, -1.0, 0.5])
FORWARD = np.array([[1.0, 0.5, 0.0], [0.0, 2.0, -1.0], [1.0, 1.0, 1.0], [0.5, 0.0, 3.0]])


def bowl(x):
    return float(((x - OPTIMUM) ** 2).sum())


def residuals(x):
    return FORWARD @ (x - OPTIMUM)


class Recorder:
    """A function that keeps what it was called with."""

    def __init__(self, fun):
        self.fun = fun
        self.calls = []

    def __call__(self, x):
        self.calls.append(x.copy())
        return self.fun(x)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_minimises_with_its_defaults(method):
    if method == "optuna" and importlib.util.find_spec("optuna") is None:
        pytest.skip("optuna is not installed")
    fun = Recorder(bowl)
    result = minimize(fun, START, method, bounds=BOX, max_evaluations=400 if method == "optuna" else 1000, seed=3)
    values = [bowl(x) for x in fun.calls]
    assert result.fun == min(values) == bowl(result.x)
    assert result.fun < 0.3 * bowl(np.array(START))
    assert result.nfev == len(fun.calls)
    assert result.n_failed == 0
    assert len(result.history) == result.nit > 0
    assert min(result.history.min(), bowl(np.array(START))) == result.fun
    assert all((x >= low).all() and (x <= high).all() for low, high in [np.array(BOX).T] for x in fun.calls)


def test_the_example_is_true():
    assert doctest.testmod(sys.modules["optim.minimize"]) == doctest.TestResults(failed=0, attempted=2)


def test_the_names_of_the_result_are_those_of_scipy():
    ours = {field.name for field in dataclasses.fields(MinimizeResult)}
    theirs = set(optimize.minimize(bowl, START))
    assert {"x", "fun", "nit", "nfev", "success", "message"} <= ours & theirs


def test_residuals_are_minimised_by_their_squares_and_solve_a_linear_problem():
    targets = np.array([1.0, -2.0, 0.0, 4.0])
    result = minimize(lambda x: FORWARD @ x - targets, [0.0, 0.0, 0.0], max_generations=60)
    solution, squares, _, _ = np.linalg.lstsq(FORWARD, targets, rcond=None)
    np.testing.assert_allclose(result.x, solution, atol=0.05)
    assert result.fun == pytest.approx(squares[0], rel=0.05)


def test_the_filter_takes_a_number_for_its_only_response_and_target_for_what_it_should_be():
    result = minimize(lambda x: float(x.sum()) ** 2 + 3.0, START, bounds=BOX, target=3.0 + 1e-6, max_generations=100)
    assert result.fun == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("method", ["ga", "pso"])
def test_methods_without_responses_minimise_the_squares_of_residuals(method):
    result = minimize(residuals, START, method, bounds=BOX, max_generations=50)
    assert result.fun == pytest.approx(residuals(result.x) @ residuals(result.x))
    assert result.fun < 0.1


def test_it_ends_with_success_when_the_target_is_reached():
    result = minimize(bowl, START, "pso", bounds=BOX, target=0.01)
    assert result.success
    assert result.message == "target=0.01 was reached"
    assert result.fun <= 0.01 < result.history[:-1].min()


def test_a_start_at_the_target_needs_one_evaluation():
    result = minimize(bowl, OPTIMUM, "ga", bounds=BOX, target=0.0)
    assert (result.nfev, result.nit, result.fun, result.success) == (1, 0, 0.0, True)
    np.testing.assert_array_equal(result.x, OPTIMUM)


def test_the_result_is_never_worse_than_the_start():
    assert minimize(bowl, OPTIMUM, "random", bounds=BOX, max_generations=1).fun == 0.0


@pytest.mark.parametrize(("most", "n_generations"), [(1, 0), (10, 0), (11, 1), (35, 3), (41, 4)])
def test_the_number_of_evaluations_is_never_exceeded(most, n_generations):
    fun = Recorder(bowl)
    result = minimize(fun, START, "random", bounds=BOX, population_size=10, max_evaluations=most)
    assert result.nit == n_generations
    assert result.nfev == len(fun.calls) == 1 + 10 * n_generations <= most
    assert not result.success
    assert result.message == f"max_evaluations={most} leave no room for another generation of 10"


def test_the_number_of_generations_is_met_and_has_a_default():
    assert minimize(bowl, START, "random", max_generations=7).nit == 7
    result = minimize(bowl, START, "random", population_size=1)
    assert result.nit == MAX_GENERATIONS
    assert result.message.startswith(f"max_generations={MAX_GENERATIONS} are done")


def test_a_method_that_is_done_ends_with_success():
    result = minimize(bowl, START, "grid", bounds=BOX)
    assert result.success
    assert result.message == "exhausted: all 27 grid points were evaluated"


def test_the_same_seed_repeats_the_result_and_another_does_not():
    first, again, other = (minimize(bowl, START, "ga", max_generations=3, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.history, again.history)
    assert not np.array_equal(first.history, other.history)


def test_the_first_population_holds_the_start_and_points_all_over_the_box():
    fun = Recorder(bowl)
    minimize(fun, START, "ga", bounds=BOX, population_size=500, max_generations=1)
    np.testing.assert_array_equal(fun.calls[0], START)
    np.testing.assert_array_equal(fun.calls[1], START)
    low, high = np.array(BOX).T
    np.testing.assert_allclose(np.std(fun.calls[1:], axis=0), (high - low) / np.sqrt(12.0), rtol=0.1)


def fragile(x):
    if x[0] > 1.5:
        raise ZeroDivisionError("ant fell off")
    return np.nan if x[1] > 1.5 else bowl(x)


def test_calls_that_raise_or_give_no_number_are_counted_and_the_search_goes_on():
    fun = Recorder(fragile)
    result = minimize(fun, START, "pso", bounds=BOX, max_generations=30)
    assert result.n_failed == sum(x[0] > 1.5 or x[1] > 1.5 for x in fun.calls) > 1
    assert result.nfev == len(fun.calls)
    assert result.fun == bowl(result.x) < 0.1


@pytest.mark.parametrize("fun", [lambda x: np.ones((2, 2)), lambda x: [], lambda x: "far", lambda x: None])
def test_if_all_fail_the_first_failure_is_shown(fun):
    with pytest.raises(RuntimeError, match="fun failed for x0 and all other individuals of the first population, 8 in"):
        minimize(fun, START, "ga", population_size=8)


def test_the_traceback_of_the_first_failure_is_shown():
    with pytest.raises(RuntimeError, match="ZeroDivisionError: ant fell off"):
        minimize(fragile, START, "ga", bounds=[(2.0, 3.0)] * 3, population_size=8)


def test_when_too_few_survive_for_the_filter_the_best_so_far_is_returned():
    calls = []

    def dying(x):
        calls.append(x)
        return residuals(x) if len(calls) < 42 else np.full(4, np.nan)

    result = minimize(dying, START, "enkf", bounds=BOX, population_size=20)
    assert not result.success
    assert "0 of 20 ensemble members survived" in result.message
    assert result.nit == 3
    assert np.isnan(result.history[2])
    assert result.fun == pytest.approx(residuals(result.x) @ residuals(result.x))


def test_an_interrupt_is_not_caught():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(interrupted, START)


def test_a_callback_gets_the_result_so_far_and_can_end_the_search():
    seen = []

    def callback(result):
        seen.append(result)
        return len(seen) == 5

    result = minimize(bowl, START, "ga", bounds=BOX, callback=callback)
    assert [one.nit for one in seen] == [1, 2, 3, 4, 5]
    assert (np.diff([one.fun for one in seen]) <= 0.0).all()
    assert (result.nit, result.fun, result.success) == (5, seen[-1].fun, False)
    assert result.message == "the callback asked to stop"


def test_whole_numbers_and_logarithms_are_searched_in_a_parameter_space():
    space = ParameterSpace((Block("n", 1, 0, 40, kind="integer"), Block("rate_hz", 1, 1e-4, 1e4, kind="log")))
    result = minimize(
        lambda x: (x[0] - 7.0) ** 2 + np.log10(x[1] / 0.01) ** 2, [20, 1.0], "pso", bounds=space, max_generations=80
    )
    assert result.x[0] == 7.0
    assert result.x[1] == pytest.approx(0.01, rel=0.05)


def test_the_default_box_is_five_times_the_start_around_it_and_its_edge_is_reported():
    fun = Recorder(lambda x: x.sum())
    minimize(fun, [0.1, -20.0], "random", population_size=500, max_generations=1)
    np.testing.assert_allclose(np.min(fun.calls, axis=0), [-4.9, -120.0], atol=1.0)
    np.testing.assert_allclose(np.max(fun.calls, axis=0), [5.1, 80.0], atol=1.0)
    result = minimize(fun, [0.1, -20.0], "pso", max_generations=40)
    np.testing.assert_allclose(result.x, [0.1 - 5.0, -20.0 - 5.0 * 20.0])
    assert "x lies on the edge of the default box around x0: give bounds" in result.message
    inside = minimize(bowl, START, "pso", max_generations=40)
    assert "edge" not in inside.message


def test_settings_reach_the_method():
    still = minimize(bowl, START, "es", bounds=BOX, config=ESConfig(sigma=1e-9, learning_rate=1e-9), max_generations=5)
    np.testing.assert_allclose(still.x, START, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "n_params", "n"),
    [("enkf", 3, 20), ("enkf", 40, 80), ("enkf", 5000, 200), ("optuna", 3, 4), ("ga", 3, 32)],
)
def test_population_sizes_have_defaults(method, n_params, n):
    assert default_population(method, n_params) == n


def test_another_evaluator_gives_the_same_result():
    here = minimize(rosen, [-1.2, 1.0], "ga", max_generations=3)
    evaluator = pool_evaluator(task_of, rosen, 2, Limits())
    there = minimize(None, [-1.2, 1.0], "ga", max_generations=3, evaluator=evaluator)
    np.testing.assert_array_equal(there.history, here.history)
    np.testing.assert_array_equal(there.x, here.x)


def test_an_evaluator_may_give_responses_of_its_own_beside_the_value():
    def task(identity, genome):
        return np.array([bowl(genome), *residuals(genome)])

    result = minimize(None, START, "enkf", bounds=BOX, evaluator=SerialEvaluator(task), max_generations=40)
    assert result.fun == bowl(result.x) < 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x0": []}, "x0=.* must be a vector of finite numbers"),
        ({"x0": [[1.0]]}, "x0=.* must be a vector"),
        ({"x0": [np.nan, 0.0, 0.0]}, "x0=.* must be a vector of finite numbers"),
        ({"x0": [9.0, 0.0, 0.0]}, r"x0\[0\]=9.0 is outside its bounds \[-3.0, 5.0\]"),
        ({"bounds": BOX[:2]}, r"bounds have shape \(2, 2\), but x0 has 3"),
        ({"bounds": [(1.0, -1.0)] * 3}, "0 < high - low"),
        ({"bounds": ParameterSpace((Block("x", 2, -3.0, 3.0),))}, "x0 has 3 elements, but bounds 2"),
        ({"bounds": ParameterSpace((Block("x", 3, -3, 3, "integer"),)), "x0": [0.5, 0, 0]}, "no whole number"),
        ({"method": "newton"}, "method='newton' is unknown"),
        ({"config": ESConfig()}, "does not fit method='ga'. Give a GAConfig"),
        ({"population_size": 0}, "population_size=0 is not"),
        ({"population_size": 2.5}, "population_size=2.5 is not"),
        ({"target": np.nan}, "target=nan"),
        ({"max_generations": 0}, "max_generations=0 is not"),
        ({"max_evaluations": 10.0}, "max_evaluations=10.0 is not"),
        ({"seed": None}, "seed=None is not"),
        ({"seed": -1}, "seed=-1 is not"),
        ({"fun": None}, "either fun or an evaluator"),
        ({"evaluator": SerialEvaluator(task_of(bowl))}, "either fun or an evaluator"),
    ],
)
def test_an_argument_out_of_range_is_refused_before_anything_is_evaluated(arguments, message):
    fun = Recorder(bowl)
    with pytest.raises(ValueError, match=message):
        minimize(**({"fun": fun, "x0": START, "method": "ga", "bounds": BOX} | arguments))
    assert not fun.calls
