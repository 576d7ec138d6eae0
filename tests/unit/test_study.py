"""Studies whose tasks are blocks of individuals, whose values are read, kept or not, and looked at."""

import dataclasses

import numpy as np
import pytest

from experiments import process, run
from experiments.run import evolve
from experiments.run_folder import RunFolder
from experiments.settings import config_to_toml
from experiments.study import Reading
from optim.evaluators import SerialEvaluator
from optim.tasks import Task
from tests.faults.toy import START, assert_same_run, measure, results, toy_config, toy_optimizer, toy_study

N_PARAMS = 6


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(run, "plot_fitness", lambda *_: True)
    monkeypatch.setattr(process, "_is_stop_requested", False)


def in_blocks(block, function=measure):
    """The task function of blocks: what every individual of the block would give, end to end."""

    def of_block(task, genomes):
        first = block * task.individual
        rows = genomes.reshape(block, -1)
        return np.concatenate([function(task._replace(individual=first + k), row) for k, row in enumerate(rows)])

    return of_block


def start(path, function, *, config=None, optimizer=None, **changes):
    """Run the toy study with these changes in a folder, which may exist."""
    config = config or toy_config()
    folder = RunFolder(path) if path.exists() else RunFolder.create(path, config_to_toml(config))
    study = dataclasses.replace(toy_study(config), **changes)
    return evolve(study, optimizer or toy_optimizer(config), folder, SerialEvaluator(function), START)


def read_values(generation, values):
    """Half the values are measures; responses are the others, targets the number of the generation."""
    return Reading(values[:, :2], values[:, 2:], np.full(2, float(generation)))


def four_values(task, genome):
    return np.concatenate([measure(task, genome), genome[:2]])


@pytest.mark.parametrize("block", [2, 3, 4, 8])
def test_blocks_of_individuals_give_the_fitness_of_single_ones(tmp_path, block):
    start(tmp_path / "single", measure)
    start(tmp_path / "blocks", in_blocks(block), block=block)
    single, blocks = results(tmp_path / "single"), results(tmp_path / "blocks")
    for name in ("individuals/fitness", "individuals/genome", "generations/best", "best/individual"):
        np.testing.assert_array_equal(blocks[name], single[name])
    assert set(blocks["episodes/individual"].tolist()) == set(range(0, 4, block))


def test_a_block_fails_as_a_whole(tmp_path):
    def fragile(task, genome):
        if task == (1, 3, 0):
            raise ValueError("it broke")
        return measure(task, genome)

    start(tmp_path / "run", in_blocks(2, fragile), block=2)
    found = results(tmp_path / "run")
    assert np.isnan(found["individuals/fitness"]).nonzero()[0].tolist() == [6, 7]  # of generation 1
    assert found["failures/individual"].tolist() == [2]
    assert found["generations/n_failed"].tolist() == [0, 2, 0]


def test_values_are_read_into_measures_responses_and_targets(tmp_path):
    told = []
    config = toy_config()
    optimizer = toy_optimizer(config)
    learn = optimizer.tell
    optimizer.tell = lambda genomes, evaluations: (told.append((genomes, evaluations)), learn(genomes, evaluations))
    start(tmp_path / "run", four_values, optimizer=optimizer, n_values=4, read=read_values)
    assert len(told) == 3
    for generation, (genomes, evaluations) in enumerate(told):
        np.testing.assert_array_equal(evaluations.responses, genomes[:, :2])
        np.testing.assert_array_equal(evaluations.targets, np.full(2, generation))
    found = results(tmp_path / "run")
    lengths = np.sqrt((found["individuals/genome"] ** 2).sum(axis=1))
    np.testing.assert_allclose(found["individuals/length"], lengths, rtol=1e-12)
    assert "episodes/length" not in found


def test_a_task_with_too_few_values_for_its_block_ends_the_run(tmp_path):
    with pytest.raises(run.GenerationFailedError, match="returned 2 values, but the study expects 4 for each of 2"):
        start(tmp_path / "run", measure, block=2, n_values=4, read=read_values)


def test_what_is_not_kept_is_computed_again_and_nothing_else_differs(tmp_path):
    seen = []

    def once_broken(task, genome):
        seen.append(task)
        if len(seen) == 12:  # in the middle of generation 1
            raise KeyboardInterrupt
        return measure(task, genome)

    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run", once_broken, keeps_values=False)
    journal = (tmp_path / "run" / "journal" / "gen_000001.jsonl").read_text()
    assert '"done"' in journal
    assert '"values"' not in journal
    start(tmp_path / "run", once_broken, keeps_values=False)
    assert seen.count(Task(1, 0, 0)) == 2
    start(tmp_path / "whole", measure)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_further_tables_are_recorded_and_see_the_optimizer_after_it_was_told(tmp_path):
    def observe(optimizer, generation):
        number = generation.number
        return {"inside": {"generation": np.array([number]), "told": np.array([optimizer.generation])}}

    start(tmp_path / "run", measure, observe=observe)
    found = results(tmp_path / "run")
    np.testing.assert_array_equal(found["inside/told"], found["inside/generation"] + 1)


def test_rare_checkpoints_lose_nothing_when_a_run_is_stopped_and_little_when_it_is_killed(tmp_path, monkeypatch):
    config = toy_config(generations=5, checkpoint_s=1e6)

    def broken_at(generation, error):
        def function(task, genome):
            if task.generation == generation:
                if error is not None:
                    raise error
                monkeypatch.setattr(process, "_is_stop_requested", True)
            return measure(task, genome)

        return function

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):  # as a kill: nothing is written on the way out
        start(path, broken_at(3, KeyboardInterrupt), config=config)
    assert [file.name[:10] for file in RunFolder(path).checkpoints.files()] == ["gen_000001"]
    assert start(path, broken_at(3, None), config=config) == process.EXIT_STOPPED
    assert RunFolder(path).checkpoints.files()[0].name.startswith("gen_000003")
    monkeypatch.setattr(process, "_is_stop_requested", False)
    assert start(path, measure, config=config) == 0
    start(tmp_path / "whole", measure, config=dataclasses.replace(config, checkpoint_s=0.0))
    assert_same_run(path, tmp_path / "whole")
