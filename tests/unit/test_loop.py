"""The outer loop of any study: resumption within a generation, reasons to stop, what is said before it starts."""

import dataclasses

import numpy as np
import pytest

from experiments import budget, process, run
from experiments.colony import make_optimizer, make_study
from experiments.config import load_config
from experiments.run_folder import RunFolder
from optim.evaluators import EvaluationStopped, SerialEvaluator
from tests.faults.toy import (
    START,
    assert_same_run,
    counting,
    measure,
    results,
    run_toy,
    toy_config,
    toy_optimizer,
    toy_study,
)


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """What the loop said; no figures."""
    lines = []
    monkeypatch.setattr(run, "plot_fitness", lambda *_: True)
    monkeypatch.setattr(run, "say", lines.append)
    monkeypatch.setattr(process, "_is_stop_requested", False)
    return lines


class Stopping(SerialEvaluator):
    """Asks to stop after so many results."""

    def __init__(self, function, n):
        super().__init__(function)
        self.left = n

    def evaluate(self, *arguments, on_result, **options):
        def count(result):
            on_result(result)
            self.left -= 1

        return super().evaluate(*arguments, on_result=count, **options | {"should_stop": lambda: self.left <= 0})


@pytest.mark.parametrize("n", [1, 8, 11, 16])
def test_a_run_stopped_within_a_generation_goes_on_where_it_was(tmp_path, n):
    function, seen = counting()
    assert run_toy(tmp_path / "parts", evaluator=Stopping(function, n)) == process.EXIT_STOPPED
    assert run_toy(tmp_path / "parts", function) == 0
    assert run_toy(tmp_path / "whole") == 0
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    assert len(seen) == len(set(seen)) == 3 * 4 * 2


def test_a_stop_between_generations_leaves_a_merged_run(tmp_path, monkeypatch, said):
    def stop(task, genome):
        if task == (0, 3, 1):
            monkeypatch.setattr(process, "_is_stop_requested", True)
        return measure(task, genome)

    assert run_toy(tmp_path / "run", stop) == process.EXIT_STOPPED
    assert f"stopped before the end of generation 1; continue with --resume {tmp_path / 'run'}" in said
    assert (tmp_path / "run" / "results.h5").exists()
    assert list((tmp_path / "run" / "generations").iterdir()) == []


def test_an_optimizer_that_stops_ends_the_run_with_0_and_its_reason_every_time(tmp_path, said, monkeypatch):
    def converged(config, n_params=6):
        optimizer = toy_optimizer(config, n_params)
        optimizer.stop = lambda: {"converged": "All are equal."} if optimizer.generation >= 2 else {}
        return optimizer

    monkeypatch.setattr("tests.faults.toy.toy_optimizer", converged)
    for _ in range(2):
        assert run_toy(tmp_path / "run", generations=9) == process.EXIT_DONE
        assert said.count("the optimizer stopped before generation 2: All are equal.") == 1
        said.clear()
    assert results(tmp_path / "run")["generations/generation"].tolist() == [0, 1]


def test_diagnostics_of_the_optimizer_are_on_record(tmp_path, monkeypatch):
    def telling(config, n_params=6):
        optimizer = toy_optimizer(config, n_params)
        optimizer.diagnostics = lambda: {"sigma": 0.5 * optimizer.generation}
        return optimizer

    monkeypatch.setattr("tests.faults.toy.toy_optimizer", telling)
    assert run_toy(tmp_path / "run") == 0
    found = results(tmp_path / "run")
    assert found["diagnostics/generation"].tolist() == [0, 1, 2]
    assert found["diagnostics/sigma"].tolist() == [0.5, 1.0, 1.5]  # after each tell


def test_the_best_genomes_are_kept_with_and_without_those_of_all(tmp_path):
    assert run_toy(tmp_path / "all") == 0
    assert run_toy(tmp_path / "best", record_genomes="best") == 0
    everything, best = results(tmp_path / "all"), results(tmp_path / "best")
    assert everything.keys() - best.keys() == {"individuals/genome"}
    for name, values in best.items():
        np.testing.assert_array_equal(values, everything[name], err_msg=name)
    rows = 4 * everything["best/generation"] + everything["best/individual"]
    np.testing.assert_array_equal(everything["best/genome"], everything["individuals/genome"][rows])
    assert run_toy(tmp_path / "best", record_genomes="all", generations=4) == 0
    genomes = results(tmp_path / "best")["individuals/genome"]
    np.testing.assert_array_equal(np.isnan(genomes).all(axis=1), [True] * 12 + [False] * 4)


def test_wall_times_are_split_and_add_up(tmp_path):
    assert run_toy(tmp_path / "run") == 0
    table = RunFolder(tmp_path / "run").read_results()["generations"]
    np.testing.assert_allclose(table["seconds"], table["seconds_evaluate"] + table["seconds_optimizer"])
    assert np.isnan(table["seconds_storage"]).tolist() == [True, False, False]
    assert (table["seconds_storage"][1:] > 0).all()


def test_the_checkpoint_tells_settings_versions_and_ranks(tmp_path):
    assert run_toy(tmp_path / "run") == 0
    manifest = RunFolder(tmp_path / "run").checkpoints.newest()[0].manifest
    assert manifest["config"]["population"] == 4
    assert (manifest["versions"], manifest["n_ranks"]) == (START["versions"], 1)


def test_a_run_that_will_not_fit_on_the_disk_is_warned_of_before_it_starts(tmp_path, monkeypatch, said):
    monkeypatch.setattr(run, "free_bytes", lambda path: 1000)
    function, seen = counting(lambda task, genome: said.append("evaluation") or measure(task, genome))
    assert run_toy(tmp_path / "run", function) == 0
    warning = next(line for line in said if "GB are free" in line)
    assert warning.startswith("warning: the run may take up to 0.0 GB, but 0.0 GB are free")
    assert said.index(warning) < said.index("evaluation")
    assert seen


@pytest.mark.parametrize(("genomes", "n_params"), [("all", 3000), ("best", 3000), ("all", 10)])
def test_the_expected_size_is_no_less_than_what_a_run_takes_and_no_more_than_four_times_that(
    tmp_path, genomes, n_params
):
    settings = {"generations": 12, "population": 8, "record_genomes": genomes}
    assert run_toy(tmp_path / "run", n_params=n_params, **settings) == 0
    config = toy_config(**settings)
    optimizer = toy_optimizer(config, n_params)
    expected = budget.expected_bytes(toy_study(config), optimizer.ask(), optimizer.state_dict(), 12)
    taken = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*.h5"))
    assert taken <= expected <= 4 * taken + 12 * 2 * 2e4


def ants(**flags):
    return load_config(None, {"record_spikes": True, **flags})


def test_a_large_recording_is_announced_with_its_size():
    study = make_study(ants(**{"env.n_ticks": 2000, "env.n_ants": 15, "brain.n_hidden": 20}))
    each_mb = 15 * 35 * 170 * 40 * 3.0 / 1e6  # neurons, spikes per second, seconds, bytes of a spike
    assert budget.recording_line(study, 1000) == f"spikes about {each_mb:.1f} GB, 1000 generations × {each_mb:.0f} MB"
    assert budget.recording_line(study, 1) == ""
    assert budget.recording_line(make_study(dataclasses.replace(study.config, record_spikes=False)), 1000) == ""


@pytest.mark.parametrize(("generations", "is_announced"), [(1000, True), (10, False)])
def test_the_size_is_said_before_the_first_evaluation(tmp_path, said, generations, is_announced):
    config = ants(generations=generations)

    class Stopped:
        n_ranks = 1

        def evaluate(self, *_, **__):
            said.append("evaluation")
            raise EvaluationStopped

    folder = RunFolder.create(tmp_path / "a", "")
    code = run.evolve(make_study(config), make_optimizer(config), folder, Stopped(), START)
    assert code == process.EXIT_STOPPED
    before = said[: said.index("evaluation")]
    assert any(line.startswith("spikes about") and line.endswith("a/spikes") for line in before) == is_announced


def test_genomes_that_do_not_fit_into_the_memory_are_refused_by_number(monkeypatch):
    assert budget.memory_error(32, 1400) == ""
    assert "population=1000000000: the genomes of one generation, 1400 numbers each, need about 44,800 GB" in (
        budget.memory_error(10**9, 1400)
    )


@pytest.mark.parametrize("size", [1, 3])
def test_a_task_with_another_number_of_values_ends_the_run_and_is_not_kept(tmp_path, capsys, size):
    def other(task, genome):
        if task == (0, 0, 0):
            raise ValueError("a failure before it hides nothing")
        return np.ones(size)

    assert run_toy(tmp_path / "run", other, retries=0) == process.EXIT_INTERNAL
    error = capsys.readouterr().err
    assert f"Task(generation=0, individual=0, episode=1) returned {size} values, but the study expects one for" in error
    assert "each of its measures: fitness, length, in this order." in error
    assert run_toy(tmp_path / "run") == 0  # mended


def test_values_of_another_number_in_an_older_journal_are_computed_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("experiments.generation._fits", lambda *_: True)
        with pytest.raises(ValueError, match=r"inhomogeneous|same"):
            run_toy(tmp_path / "run", lambda task, genome: np.ones(3) if task.individual else measure(task, genome))
    assert run_toy(tmp_path / "run") == 0
    assert run_toy(tmp_path / "whole") == 0
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(
    ("number", "n_ranks", "is_noted"), [(10, 1, True), (10, 4, True), (15, 1, True), (15, 4, False)]
)
def test_a_stop_request_is_noted_unless_it_may_be_a_launcher_after_a_crash(tmp_path, number, n_ranks, is_noted):
    evaluator = SerialEvaluator(lambda task, genome: process._request_stop(number, None) or measure(task, genome))
    evaluator.n_ranks = n_ranks
    assert run_toy(tmp_path / "run", evaluator=evaluator) == process.EXIT_STOPPED
    assert (b'"stopping"' in (tmp_path / "run" / "journal" / "gen_000000.jsonl").read_bytes()) == is_noted
