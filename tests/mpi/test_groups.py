"""Optimizations as tasks: the inner loop runs alone or over a group of ranks, with the same result."""

import pytest

from tests.conftest import ROOT
from tests.mpi.conftest import assert_equal_runs

NESTED = """
import sys
import numpy as np
from optim import Block, Evaluations, GAConfig, GeneticAlgorithm, ParameterSpace
from optim.mpi import launch
from optim.problems import sphere
from optim.tasks import Task

def make_inner(settings):
    def task(identity, genome):
        if settings == "fragile" and genome[0] > 0.9:
            raise ValueError("too far out")
        return np.append(sphere(genome[None]), identity.generation)
    return task

def make_task(settings, make_evaluator):
    evaluator = make_evaluator(settings)
    def optimize(identity, genome):
        space = ParameterSpace((Block("x", 3, -1.0, 1.0),))
        start = space.sample(np.random.default_rng(identity.individual), 8)
        search = GeneticAlgorithm(space, GAConfig(mutation_sigma=genome[0]), initial=start, seed=identity.individual)
        for generation in range(5):
            results = evaluator.evaluate(generation, search.ask(), 1)
            fitness = [np.nan if r.values is None else r.values[0] for r in results]
            search.tell(search.ask(), Evaluations(fitness))
        return np.array([np.nanmax(fitness), len(fitness)])
    return optimize

def main(make_evaluator):
    evaluator = make_evaluator(sys.argv[1])
    for result in evaluator.evaluate(0, np.linspace(0.1, 1.0, 6)[:, None], 1):
        print(result.task, result.values.tolist())
    print(evaluator.n_ranks, file=sys.stderr)
    return 3

if __name__ == "__main__":
    sys.exit(launch(main, make_task, make_inner=make_inner, group_size=int(sys.argv[2])))
"""


@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        pytest.param("plain", ((5, 2, 3), (3, 1, 3), (3, 8, 2)), marks=pytest.mark.slow),
        ("fragile", ((5, 2, 3),)),
        pytest.param("fragile", ((3, 8, 2),), marks=pytest.mark.slow),
    ],
)
def test_inner_loops_over_groups_of_ranks_give_the_result_of_one_process(start, tmp_path, settings, jobs):
    (tmp_path / "nested.py").write_text(NESTED)
    code, expected, error = start(None, "nested.py", settings, "1").wait(timeout=30)
    assert code == 3, error
    assert len(expected.splitlines()) == 6
    for n_ranks, group_size, n_lanes in jobs:
        code, out, error = start(n_ranks, "nested.py", settings, str(group_size)).wait(timeout=30)
        assert (code, out, error) == (3, expected, f"{n_lanes}\n"), (n_ranks, group_size)


@pytest.mark.slow
def test_the_nested_study_is_bit_identical_in_one_process_and_over_groups(start, tmp_path):
    script = str(ROOT / "experiments" / "nested.py")
    small = ["--population", "5", "--generations", "2", "--episodes", "1", "--budget", "300"]
    for n_ranks, group_size in ((None, "1"), (4, "2")):
        job = start(n_ranks, script, *small, "--group-size", group_size, "--name", f"on{n_ranks}")
        code, out, error = job.wait()
        assert (code, error) == (0, ""), out
    assert_equal_runs(tmp_path / "runs" / "onNone", tmp_path / "runs" / "on4")
