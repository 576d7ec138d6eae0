"""Evaluation in one process: order, failures, stopping."""

import numpy as np
import pytest

from optim.evaluators import EvaluationStopped, SerialEvaluator
from optim.tasks import Task

GENOMES = np.arange(6.0).reshape(3, 2)


def sum_of_genome(task, genome):
    return np.array([genome.sum(), 100 * task.generation + 10 * task.individual + task.episode])


def test_results_come_by_individual_then_episode():
    results = SerialEvaluator(sum_of_genome).evaluate(7, GENOMES, 2)
    assert [result.task for result in results] == [Task(7, i, e) for i in range(3) for e in range(2)]
    np.testing.assert_array_equal([result.values[0] for result in results], [1, 1, 5, 5, 9, 9])
    np.testing.assert_array_equal([result.values[1] for result in results], [700, 701, 710, 711, 720, 721])


def test_an_exception_fails_its_task_only_and_keeps_the_traceback():
    def fragile(task, genome):
        if task.individual == 1:
            raise ZeroDivisionError("ant fell off")
        return genome

    results = SerialEvaluator(fragile).evaluate(0, GENOMES, 1)
    assert [result.values is None for result in results] == [False, True, False]
    assert "ZeroDivisionError: ant fell off" in results[1].error
    assert "in fragile" in results[1].error


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_fails_the_task(value):
    results = SerialEvaluator(lambda task, genome: np.array([1.0, value])).evaluate(0, GENOMES[:1], 1)
    assert results[0].values is None
    assert "not finite" in results[0].error
    assert "individual=0" in results[0].error


def test_stopping_abandons_the_generation_after_the_running_task():
    seen = []
    evaluator = SerialEvaluator(sum_of_genome)
    with pytest.raises(EvaluationStopped):
        evaluator.evaluate(0, GENOMES, 1, on_result=seen.append, should_stop=lambda: len(seen) == 2)
    assert len(seen) == 2
