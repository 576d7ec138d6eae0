import pickle

import numpy as np
import pytest

from optim.evaluators import SerialEvaluator
from optim.functions import FunctionRecord, task_of
from optim.tasks import Task

TASK = Task(0, 0, 0)
GENOMES = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])


def residuals(x):
    return x - [1.0, 1.0]


def record_of(fun):
    return FunctionRecord(SerialEvaluator(task_of(fun)))


@pytest.mark.parametrize("number", [7, 7.0, np.float32(7.0), np.array(7)])
def test_a_number_is_the_value_without_responses(number):
    np.testing.assert_array_equal(task_of(lambda x: number)(TASK, GENOMES[0]), [7.0])


@pytest.mark.parametrize("make", [list, tuple, np.array])
def test_residuals_are_the_responses_and_their_squares_the_value(make):
    np.testing.assert_array_equal(task_of(lambda x: make([2.0, -3.0]))(TASK, GENOMES[0]), [13.0, 2.0, -3.0])
    np.testing.assert_array_equal(task_of(lambda x: make([-3.0]))(TASK, GENOMES[0]), [9.0, -3.0])


@pytest.mark.parametrize("returned", [np.ones((2, 2)), []])
def test_an_array_with_other_axes_or_without_numbers_is_refused(returned):
    with pytest.raises(ValueError, match="Give a number, or a vector"):
        task_of(lambda x: returned)(TASK, GENOMES[0])


def test_the_task_of_a_function_of_a_module_can_be_sent_to_other_processes():
    task = pickle.loads(pickle.dumps(task_of(residuals)))  # noqa: S301
    np.testing.assert_array_equal(task(TASK, GENOMES[0]), [13.0, 2.0, 3.0])


def test_a_function_cannot_change_the_genomes():
    def overwriting(x):
        x[:] = 1e9
        return 0.0

    genomes = GENOMES.copy()
    genomes.setflags(write=False)
    assert not record_of(overwriting).evaluate(1, genomes).failed.any()


def test_the_fitness_is_minus_the_value_and_responses_are_the_residuals_or_the_value():
    record = record_of(residuals)
    record.begin(GENOMES)
    evaluations = record.evaluate(1, GENOMES)
    np.testing.assert_array_equal(evaluations.fitness, [-13.0, -1.0, -2.0])
    np.testing.assert_array_equal(evaluations.responses, GENOMES - 1.0)
    record = record_of(np.sum)
    record.begin(GENOMES)
    evaluations = record.evaluate(1, GENOMES)
    np.testing.assert_array_equal(evaluations.fitness, [-7.0, -1.0, -2.0])
    np.testing.assert_array_equal(evaluations.responses, [[7.0], [1.0], [2.0]])


def test_the_first_of_the_best_is_kept_and_everything_is_counted():
    record = record_of(lambda x: np.nan if x[0] == 3.0 else 5.0)
    record.begin(GENOMES)  # the first row fails, so the others are asked too
    evaluations = record.evaluate(1, GENOMES)
    assert evaluations.failed.tolist() == [True, False, False]
    assert (record.nfev, record.n_failed, record.fun, record.history) == (6, 2, 5.0, [5.0])
    np.testing.assert_array_equal(record.x, GENOMES[1])


def test_residuals_of_another_length_are_an_error():
    calls = []

    def shrinking(x):
        calls.append(x)
        return np.ones(4 if len(calls) == 1 else 2)

    record = record_of(shrinking)
    record.begin(GENOMES)
    with pytest.raises(ValueError, match="fun returned 2 residuals, but 4 before"):
        record.evaluate(1, GENOMES)
