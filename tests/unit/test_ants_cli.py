"""The command line of the ant study, in one process, on a world of a few ticks."""

import csv
import json
import signal
from pathlib import Path

import numpy as np
import pytest

from envs.presets import make_config
from experiments import process
from experiments.analysis import plot_fitness
from experiments.ants import main
from experiments.colony import colony_responses, make_optimizer
from experiments.run_folder import RunFolder
from snn import AntBrainConfig, random_genomes

pytestmark = pytest.mark.nest

TINY = ["--population", "4", "--env.n_ticks", "12", "--env.n_ants", "2", "--brain.n_hidden", "3"]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path, monkeypatch):
    """Work in an empty folder, without figures; give the signal handlers and the stop flag back afterwards."""
    monkeypatch.setattr("experiments.run.plot_fitness", lambda *_: True)  # it takes longer than the runs
    handlers = {number: signal.getsignal(number) for number in process._SIGNALS}
    monkeypatch.setattr(process, "_is_stop_requested", False)
    monkeypatch.chdir(tmp_path)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def results(name):
    return RunFolder(name).read_results()


def assert_equal_results(first, second):
    """All tables equal bit for bit, except for wall times."""
    for table, columns in first.items():
        for column, values in columns.items():
            if not column.startswith("seconds"):
                np.testing.assert_array_equal(values, second[table][column], err_msg=f"{table}/{column}")


@pytest.mark.parametrize("optimizer", ["ga", "es", "enkf"])
def test_a_run_leaves_everything_it_promises(optimizer, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("experiments.run.plot_fitness", plot_fitness)
    arguments = ["--optimizer", optimizer, "--generations", "3", "--episodes", "2", "--name", "a", "--record-spikes"]
    assert main([*TINY, *arguments]) == process.EXIT_DONE
    run = tmp_path / "runs" / "a"
    files = {path.name for path in run.iterdir()}
    assert files >= {"config.toml", "provenance.json", "results.h5", "best.npz", "fitness.png"}
    assert len(list((run / "checkpoints").iterdir())) == 3
    assert sorted(path.name for path in (run / "spikes").iterdir()) == [
        *(f"gen_00000{n}.h5" for n in range(3)),
        "index.h5",
    ]
    assert list((run / "journal").iterdir()) == []
    tables = results(run)
    assert tables["generations"]["generation"].tolist() == [0, 1, 2]
    assert len(tables["episodes"]["food"]) == 2 * len(tables["individuals"]["fitness"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gen ")]
    assert len(lines) == 3
    assert all(word in lines[0] for word in ("best", "mean", "±", "food", "failed", " s ", "eta"))


def test_individual_fitness_is_the_mean_of_its_episodes():
    main([*TINY, "--generations", "2", "--episodes", "3", "--name", "a"])
    tables = results(_path("a"))
    episodes = tables["episodes"]
    for generation, individual, fitness in zip(
        *(tables["individuals"][name] for name in ("generation", "individual", "fitness")), strict=True
    ):
        mine = (episodes["generation"] == generation) & (episodes["individual"] == individual)
        assert fitness == pytest.approx(episodes["fitness"][mine].mean(), abs=1e-9)
        assert episodes["episode"][mine].tolist() == [0, 1, 2]


def _path(name):
    return Path("runs") / name


@pytest.mark.parametrize("optimizer", ["ga", "es", "enkf"])
def test_three_plus_three_generations_equal_six(optimizer):
    start = [*TINY, "--optimizer", optimizer]
    main([*start, "--generations", "6", "--name", "whole"])
    main([*start, "--generations", "3", "--name", "parts"])
    assert main(["--resume", "runs/parts", "--generations", "6"]) == process.EXIT_DONE
    assert_equal_results(results(_path("whole")), results(_path("parts")))
    whole, parts = (np.load(_path(name) / "best.npz") for name in ("whole", "parts"))
    np.testing.assert_array_equal(whole["weights"], parts["weights"])


def test_a_limit_that_is_not_reached_changes_nothing():
    arguments = [*TINY, "--generations", "2", "--brain.engine", "numba"]
    assert main([*arguments, "--name", "free"]) == process.EXIT_DONE
    assert main([*arguments, "--name", "limited", "--timeout-s", "60", "--retries", "0"]) == process.EXIT_DONE
    assert_equal_results(results(_path("free")), results(_path("limited")))


def test_both_engines_evolve_the_same_run_and_a_run_may_change_engines():
    for engine in ("nest", "numba"):
        main([*TINY, "--generations", "4", "--name", engine, "--brain.engine", engine])
    main([*TINY, "--generations", "2", "--name", "both", "--brain.engine", "numba"])
    assert main(["--resume", "runs/both", "--generations", "4", "--brain.engine", "nest"]) == process.EXIT_DONE
    for name in ("numba", "both"):
        assert_equal_results(results(_path("nest")), results(_path(name)))


def test_an_unknown_engine_is_refused_before_anything_runs(capsys):
    assert main([*TINY, "--brain.engine", "nset"]) == process.EXIT_USAGE
    assert "engine='nset' is unknown: choose one of nest, numba" in capsys.readouterr().err


def test_the_same_seed_repeats_and_another_does_not():
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        main([*TINY, "--generations", "2", "--name", name, "--seed", seed])
    assert_equal_results(results(_path("a")), results(_path("b")))
    first, other = results(_path("a")), results(_path("c"))
    assert not np.array_equal(first["individuals"]["genome"][0], other["individuals"]["genome"][0])


@pytest.mark.parametrize(("worlds", "n_worlds"), [("individual", 16), ("generation", 4), ("run", 2)])
def test_worlds_are_shared_within_a_generation_or_the_run(worlds, n_worlds):
    main([*TINY, "--generations", "2", "--episodes", "2", "--name", "a", "--worlds", worlds, "--ga.reevaluate", "all"])
    assert len(set(results(_path("a"))["episodes"]["env_seed"])) == n_worlds


def test_evaluating_the_best_genome_writes_one_row_per_episode(capsys):
    main([*TINY, "--generations", "1", "--name", "a"])
    genomes = random_genomes(AntBrainConfig(), 3, np.random.default_rng(0))
    weights, delays = np.split(genomes, 2, axis=1)
    np.savez("genomes.npz", weights=weights, delays=delays, fitness=np.array([3.0, 1.0, 2.0]))
    arguments = ["--evaluate", "genomes.npz", "--episodes", "2", "--out", "out.csv", "--env.n_ticks", "30"]
    assert main(arguments) == process.EXIT_DONE
    rows = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert ",".join(rows[0]) == "genome,episode,seed,food,fitness,ticks,pick_ups,moves,turns,deposits"
    assert [(row["genome"], row["episode"]) for row in rows] == [(str(g), str(e)) for g in range(3) for e in range(2)]
    assert len({row["seed"] for row in rows}) == 2  # all genomes meet the same worlds
    for row in rows:
        costs = 0.25 * int(row["moves"]) + 0.02 * int(row["turns"]) + 0.05 * int(row["deposits"]) + 0.5 * 30
        assert float(row["fitness"]) == pytest.approx(220 * int(row["food"]) + 1.5 * int(row["pick_ups"]) - costs)
    assert "Spearman" in capsys.readouterr().out
    assert main(arguments) == process.EXIT_CANNOT_CREATE
    assert main([*arguments[:-3], "one.csv", "--genome", "2", "--env.n_ticks", "30"]) == process.EXIT_DONE
    assert len(Path("one.csv").read_text().splitlines()) == 3
    assert main(["--evaluate", "genomes.npz", "--genome", "3"]) == process.EXIT_USAGE
    assert "genomes.npz holds rows 0 … 2" in capsys.readouterr().err
    assert main(["--evaluate", "runs/a/best.npz", "--episodes", "1", "--env.n_ticks", "30"]) == process.EXIT_DONE


def test_a_damaged_checkpoint_falls_back_with_a_warning_and_the_same_result(capsys):
    main([*TINY, "--generations", "4", "--name", "whole"])
    main([*TINY, "--generations", "3", "--name", "hurt"])
    newest = max((_path("hurt") / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-10])
    assert main(["--resume", "runs/hurt", "--generations", "4"]) == process.EXIT_DONE
    assert f"warning: {newest.name} is damaged" in capsys.readouterr().out
    assert_equal_results(results(_path("whole")), results(_path("hurt")))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--optimizer", "gaa"], 64, "optimizer='gaa' is unknown, did you mean 'ga'"),
        (["--populaton", "4"], 64, "unknown flag --populaton, did you mean --population?"),
        (["--pop", "4"], 64, "unknown flag --pop"),
        (["--resume", "runs/a", "--name", "b"], 64, "not allowed with argument"),
        (["--worlds", "held_out"], 64, "worlds='held_out' is unknown"),
        (["--env.n_scattered", "100000"], 64, "n_scattered=100000"),
        (["--env.view", "1e12"], 64, "view"),
        (["--brain.max_delay_gene", "inf"], 64, "max_delay_gene=inf"),
        (["--evaluate", "x.npz", "--out", "none/s.csv"], 73, "none is no folder"),
        (["--evaluate", "x.npz", "--out", "s.png"], 64, "s.png"),
        (["--population", "1"], 64, "population=1 is too small"),
        (["--population", "x"], 64, "population='x' is not a whole number"),
        (["--config", "none.toml"], 64, "none.toml cannot be read"),
        (["--name", "../a"], 64, r"--name '../a' is not allowed"),
        (["--brain.max_delay_gene", "0.5"], 64, "delay genes"),
        (["--evaluate", "none.npz"], 64, "none.npz cannot be read"),
        (["--resume", "runs/none"], 73, "no run folder"),
        (["--retries", "-1"], 64, "retries=-1 is not an integer >= 0"),
        (["--timeout-s", "inf"], 64, "timeout_s=inf is outside [0, inf)"),
        (["--max-failed-fraction", "1.5"], 64, "max_failed_fraction=1.5 is outside [0, 1]"),
        (["--record-genomes", "bset"], 64, "record_genomes='bset' is unknown, did you mean 'best'"),
        (["--runs", "a\nb"], 64, r"argument --runs: 'a\nb' is not allowed: it is empty or has characters that"),
        (["--resume", ""], 64, "argument --resume: '' is not allowed: it is empty"),
        (["--population", "1000000000"], 64, "population=1000000000: the genomes of one generation, 1400 numbers each"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_nothing(arguments, code, message, tmp_path, capsys):
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_refused_before_anything_runs(capsys):
    main([*TINY, "--generations", "1", "--name", "a"])
    before = (_path("a") / "config.toml").stat().st_mtime_ns
    assert main([*TINY, "--generations", "1", "--name", "a"]) == process.EXIT_CANNOT_CREATE
    assert "--resume runs/a" in capsys.readouterr().err
    assert (_path("a") / "config.toml").stat().st_mtime_ns == before


def test_resuming_with_another_configuration_lists_what_differs(capsys):
    main([*TINY, "--generations", "1", "--name", "a"])
    assert main(["--resume", "runs/a", "--seed", "5", "--population", "6"]) == process.EXIT_USAGE
    error = capsys.readouterr().err
    assert "population: 4 -> 6" in error
    assert "seed: 1 -> 5" in error


def test_a_genome_that_fails_is_recorded_and_the_run_goes_on(monkeypatch):
    from experiments import rollout

    original = rollout.run_episode

    def fragile(genome, config, env, seeds, **options):
        if abs(genome[0]) > 10:
            raise RuntimeError("the ant fell asleep")
        return original(genome, config, env, seeds, **options)

    monkeypatch.setattr(rollout, "run_episode", fragile)
    arguments = ["--population", "12", "--generations", "2", "--max-failed-fraction", "1", "--name", "a"]
    assert main([*TINY, *arguments]) == process.EXIT_DONE
    tables = results(_path("a"))
    failed = np.isnan(tables["individuals"]["fitness"])
    np.testing.assert_array_equal(failed, np.abs(tables["individuals"]["genome"][:, 0]) > 10)
    assert 0 < failed.sum() < len(failed)
    assert all("the ant fell asleep" in text for text in tables["failures"]["traceback"])
    assert set(tables["failures"]["reason"]) == {"exception"}
    assert set(tables["failures"]["attempts"]) == {2}  # one retry
    assert set(tables["failures"]["env_seed"]) < set(tables["episodes"]["env_seed"])
    assert tables["generations"]["n_failed"].sum() == failed.sum()


def test_a_generation_without_survivors_stops_with_the_first_reason(monkeypatch, capsys):
    from experiments import rollout

    def broken(*_, **__):
        raise RuntimeError("no ant survived")

    monkeypatch.setattr(rollout, "run_episode", broken)
    assert main([*TINY, "--generations", "2", "--name", "a"]) == process.EXIT_INTERNAL
    error = capsys.readouterr().err
    assert "4 of 4 individuals of generation 0 failed" in error
    assert "no ant survived" in error


def test_an_ensemble_with_one_survivor_stops_with_the_first_reason(monkeypatch, capsys):
    from experiments import rollout

    original = rollout.run_episode
    survivors = iter([True])

    def fragile(*arguments, **options):
        if next(survivors, False):
            return original(*arguments, **options)
        raise RuntimeError("no ant survived")

    monkeypatch.setattr(rollout, "run_episode", fragile)
    assert main([*TINY, "--optimizer", "enkf", "--generations", "2", "--name", "a"]) == process.EXIT_INTERNAL
    assert "3 of 4 individuals of generation 0 failed" in capsys.readouterr().err


def test_a_resumed_run_remembers_its_new_length():
    main([*TINY, "--generations", "1", "--name", "a"])
    main(["--resume", "runs/a", "--generations", "3"])
    (_path("a") / "best.npz").unlink()
    newest = max((_path("a") / "checkpoints").iterdir())
    newest.unlink()  # as if killed before the last checkpoint
    assert main(["--resume", "runs/a"]) == process.EXIT_DONE
    assert results(_path("a"))["generations"]["generation"].tolist() == [0, 1, 2]
    assert (_path("a") / "best.npz").exists()


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_a_run_whose_results_are_gone_is_refused_before_anything_runs(monkeypatch, capsys, damage):
    monkeypatch.setattr("experiments.run._PATIENCE", 0.0)
    main([*TINY, "--generations", "2", "--name", "a"])
    file = _path("a") / "results.h5"
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:500])
    assert main(["--resume", "runs/a", "--generations", "3"]) == process.EXIT_BAD_DATA
    assert {"remove": "no record of generation 0 (2 of 2 missing)", "cut": "results.h5 is damaged"}[damage] in (
        capsys.readouterr().err
    )


def test_evaluating_genomes_that_all_fail_is_an_error(monkeypatch):
    from experiments import rollout

    def broken(*_, **__):
        raise RuntimeError("no ant survived")

    monkeypatch.setattr(rollout, "run_episode", broken)
    main_arguments = ["--evaluate", "genomes.npz", "--episodes", "1"]
    weights, delays = np.split(random_genomes(AntBrainConfig(), 1, np.random.default_rng(0)), 2, axis=1)
    np.savez("genomes.npz", weights=weights, delays=delays)
    assert main(main_arguments) == process.EXIT_INTERNAL


def test_evaluation_meets_worlds_that_no_run_has_seen():
    main([*TINY, "--generations", "1", "--episodes", "2", "--worlds", "run", "--name", "a"])
    trained = set(results(_path("a"))["episodes"]["env_seed"].tolist())
    main(["--evaluate", "runs/a/best.npz", "--episodes", "2", "--out", "s.csv", "--env.n_ticks", "5"])
    held_out = {int(row["seed"]) for row in csv.DictReader(Path("s.csv").read_text().splitlines())}
    assert len(trained) == len(held_out) == 2
    assert not trained & held_out


def test_a_reader_that_leaves_does_not_stop_the_run(run_python, tmp_path):
    code = (
        "import os, sys; from experiments.ants import main; reader, writer = os.pipe(); os.close(reader); "
        f"os.dup2(writer, 1); sys.exit(main({[*TINY, '--generations', '3', '--name', 'a']!r}))"
    )
    assert run_python("-c", code).returncode == process.EXIT_DONE
    assert results(tmp_path / "runs" / "a")["generations"]["generation"].tolist() == [0, 1, 2]


def test_every_start_of_a_run_is_in_its_provenance():
    main([*TINY, "--generations", "1", "--name", "a"])
    main(["--resume", "runs/a", "--generations", "2"])
    starts = json.loads((_path("a") / "provenance.json").read_text())
    assert len(starts) == 2
    assert all(start["versions"]["nest-simulator"].startswith("3.") for start in starts)


def test_a_missing_simulator_is_told_before_anything_is_written(run_python, tmp_path):
    code = "import sys; sys.modules['nest'] = None; from experiments.ants import main; sys.exit(main(['--name', 'a']))"
    done = run_python("-c", code)
    assert done.returncode == process.EXIT_UNAVAILABLE
    assert done.stderr.startswith("error: NEST cannot be imported")
    assert "pip install 'nest-simulator" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_section(capsys):
    assert main(["--help"]) == process.EXIT_DONE
    text = capsys.readouterr().out
    assert all(word in text for word in ("--optimizer", "--resume", "[env]", "--env.n_ants", "[ga]", "[brain.neuron]"))


def test_all_optimizers_start_from_the_same_random_genomes():
    from experiments.config import load_config

    ga, enkf, es = (make_optimizer(load_config(None, {"optimizer": name})).ask() for name in ("ga", "enkf", "es"))
    np.testing.assert_array_equal(ga, enkf)
    # mirrored pairs around the first genome, but for the clipping at the bounds
    inside = (np.abs(ga[0]) < 4)[:700]
    np.testing.assert_allclose((es[:16] + es[16:])[:, :700][:, inside] / 2, np.tile(ga[0, :700][inside], (16, 1)))


def test_responses_of_an_ideal_colony_are_the_targets():
    world = make_config("published_test")
    ideal = np.zeros((1, 7))
    ideal[0, [0, 1, 3]] = 152, 152 * 221.5, 152  # food, fitness, pick-ups, without any cost
    np.testing.assert_allclose(colony_responses(ideal, world), 1.0)


@pytest.mark.parametrize("arguments", [["--genome", "0"], ["--out", "scores.csv"], ["--resume", "a", "--genome", "1"]])
def test_flags_of_an_evaluation_without_one_are_refused(arguments, tmp_path, capsys):
    assert main(arguments) == process.EXIT_USAGE
    assert "has no effect: it needs --evaluate" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
