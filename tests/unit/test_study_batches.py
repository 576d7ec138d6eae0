"""Studies whose mini-batch depends on the optimizer: its number reaches tasks, the reader and the records."""

import dataclasses

import numpy as np
import pytest

from experiments import process, run
from experiments.run import evolve
from experiments.run_folder import RunFolder
from experiments.settings import config_to_toml
from experiments.study import Reading
from optim import AdaptiveConfig, AdaptiveFilter, Block, ParameterSpace
from optim.evaluators import Limits, SerialEvaluator, pool_evaluator
from optim.tasks import Task
from tests.faults.toy import START, assert_same_run, results, toy_config, toy_study

TRUTH = np.array([1.0, -2.0, 0.5])
# Shrinks, grows and repeats within a few generations: nothing is too small to count.
RULE = AdaptiveConfig(
    begin=-np.inf, every=1, threshold=0.2, factor=1.5, smallest=4, largest=12, max_repetitions=3, inflation=0.003,
    repetitions=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(run, "plot_fitness", lambda *_: True)
    monkeypatch.setattr(process, "_is_stop_requested", False)


def batch(number):
    """Inputs of a mini-batch (4, 3)."""
    return np.random.default_rng(number).standard_normal((4, 3))


def respond(task, genome):
    return batch(task.episode) @ genome


def make_task(settings):
    return respond


def read(number, values):
    targets = batch(number) @ TRUTH
    misfit = np.square(values - targets).sum(axis=1)
    return Reading(np.stack([-misfit, misfit], axis=1), values, targets)


def start(path, evaluator=None, generations=12, optimizer=None, reader=read):
    """Start the study, or continue it."""
    config = toy_config(population=6, generations=generations, episodes=1)
    space = ParameterSpace((Block("x", 3, -100.0, 100.0),))
    initial = np.random.default_rng(1).standard_normal((6, 3))
    study = dataclasses.replace(
        toy_study(config),
        read=reader,
        batch=lambda search: search.batch,
        n_values=4,
        keeps_values=False,
        min_survivors=2,
    )
    return evolve(
        study,
        optimizer or AdaptiveFilter(space, RULE, initial=initial, seed=0),
        RunFolder(path) if path.exists() else RunFolder.create(path, config_to_toml(config)),
        evaluator or SerialEvaluator(respond),
        START,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of the run in one go."""
    path = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "plot_fitness", lambda *_: True)
        start(path)
    return path


def test_the_number_of_the_mini_batch_reaches_tasks_reader_and_records(tmp_path):
    seen, read_of = set(), []

    def watched(task, genome):
        seen.add((task.generation, task.episode))
        return respond(task, genome)

    def reader(number, values):
        read_of.append(number)
        return read(number, values)

    start(tmp_path / "run", SerialEvaluator(watched), reader=reader)
    found = results(tmp_path / "run")
    repetitions, shown = found["diagnostics/repetitions"].astype(int), []
    while len(shown) < 12:  # as the recorded repetitions say
        shown += [shown[-1] + 1 if shown else 0] * repetitions[len(shown)]
    assert sorted(seen) == list(enumerate(shown[:12]))
    assert read_of == shown[:12]
    recorded = set(zip(found["episodes/generation"].tolist(), found["episodes/episode"].tolist(), strict=True))
    assert recorded == seen
    members = np.bincount(found["individuals/generation"])
    np.testing.assert_array_equal(members, found["diagnostics/members"])
    assert members.min() < 6 < members.max()
    assert set(repetitions.tolist()) == {1, 2, 3}


@pytest.mark.parametrize("n", [3, 4, 9])  # generations until it ends
def test_a_run_that_ended_in_the_middle_of_repetitions_or_before_a_change_of_size_goes_on_to_the_same(
    tmp_path, whole, n
):
    start(tmp_path / "parts", generations=n)
    start(tmp_path / "parts")
    assert_same_run(tmp_path / "parts", whole)


def test_a_run_that_was_killed_within_a_repetition_evaluates_the_same_mini_batch_again(tmp_path, whole):
    seen = []

    def once_broken(task, genome):
        seen.append(task)
        if task == (3, 2, 1) and seen.count(task) == 1:  # mini-batch 1 is shown in generations 2 and 3
            raise KeyboardInterrupt
        return respond(task, genome)

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "parts", SerialEvaluator(once_broken))
    start(tmp_path / "parts", SerialEvaluator(once_broken))
    assert seen.count(Task(3, 2, 1)) == 2
    assert_same_run(tmp_path / "parts", whole)


def test_two_processes_give_what_one_gives(tmp_path, whole):
    evaluator = pool_evaluator(make_task, None, 2, Limits())
    try:
        start(tmp_path / "two", evaluator)
    finally:
        evaluator.close()
    assert_same_run(whole, tmp_path / "two")


def test_episodes_of_a_mini_batch_are_counted_from_its_number():
    def identity(task, genome):
        return np.array([float(task.episode)])

    found = SerialEvaluator(identity).evaluate(2, np.zeros((2, 1)), 3, first_episode=5)
    assert [result.task for result in found] == [Task(2, k, episode) for k in range(2) for episode in (5, 6, 7)]
    assert [result.values[0] for result in found] == [5.0, 6.0, 7.0] * 2
