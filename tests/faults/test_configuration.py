"""Settings that are wrong, have changed, or come from odd places: F23, F25 to F28, F40, F41."""

import json
import os
import subprocess
import sys

import pytest

from experiments import process, program
from experiments.ants import main
from experiments.config import load_config
from tests.conftest import ROOT
from tests.faults.toy import counting, run_toy, tree

TINY = [
    "--population", "4", "--generations", "1", "--brain.engine", "numba", "--brain.n_hidden", "2",
    "--env.n_ticks", "3", "--env.n_ants", "2",
]  # fmt: skip

# Another value for a setting, and how the difference is told.
CHANGES = {
    "population": ("6", "population: 4 -> 6"),
    "seed": ("5", "seed: 1 -> 5"),
    "episodes": ("2", "episodes: 1 -> 2"),
    "optimizer": ("enkf", "optimizer: 'ga' -> 'enkf'"),
    "worlds": ("run", "worlds: 'individual' -> 'run'"),
    "brain.n_hidden": ("3", "brain.n_hidden: 2 -> 3"),
    "env.n_ants": ("3", "env.n_ants: 2 -> 3"),
    "env.width": ("102", "env.width: 101 -> 102"),
    "ga.n_elite": ("1", "ga.n_elite: 0 -> 1"),
    "ga.crossover": ("uniform", "ga.crossover: 'blend' -> 'uniform'"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--name", "a"]) == process.EXIT_DONE
    return tmp_path / "runs" / "a"


def flags(*names):
    return [text for name in names for text in (f"--{name}", CHANGES[name][0])]


@pytest.mark.parametrize(
    "names", [(name,) for name in CHANGES] + [tuple(name for name in CHANGES if name != "optimizer")], ids="+".join
)
def test_f23_another_setting_is_refused_with_each_difference_and_nothing_changes(run, capsys, names):
    before = tree(run)
    assert main(["--resume", str(run), *flags(*names)]) == process.EXIT_USAGE
    error = capsys.readouterr().err
    assert "was started with another configuration" in error
    assert [CHANGES[name][1] in error for name in names] == [True] * len(names)
    assert error.count(" -> ") == len(names)
    assert tree(run) == before


def test_f23_settings_that_cannot_change_results_may_differ(run):
    harmless = ["--generations", "2", "--retries", "0", "--max-failed-fraction", "1", "--record-genomes", "best"]
    assert main(["--resume", str(run), *harmless]) == process.EXIT_DONE


def test_f23_settings_changed_by_hand_in_the_run_folder_are_noticed_by_the_checkpoint(run, capsys):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("seed = 1", "seed = 2").replace("n_ants = 2", "n_ants = 3"))
    assert main(["--resume", str(run)]) == process.EXIT_BAD_DATA
    error = capsys.readouterr().err
    assert "was written with another configuration than config.toml has (seed: 1 -> 2; env.n_ants: 2 -> 3)" in error


def test_f23_settings_that_this_version_does_not_know_are_bad_data(run, capsys):
    config = run / "config.toml"
    config.write_text("from_the_future = 1\n" + config.read_text())
    assert main(["--resume", str(run)]) == process.EXIT_BAD_DATA
    assert "damaged or of another version: unknown setting from_the_future" in capsys.readouterr().err


def test_f25_other_versions_of_code_and_packages_are_told_and_recorded(run, monkeypatch, capsys):
    collect = program.collect_provenance

    def newer(*arguments):
        start = collect(*arguments)
        return start | {"versions": start["versions"] | {"nest-simulator": "9.9"}, "commit": "another"}

    old = collect(1, 1, "", "")["versions"]["nest-simulator"]
    monkeypatch.setattr(program, "collect_provenance", newer)
    assert main(["--resume", str(run), "--generations", "2"]) == process.EXIT_DONE
    said = capsys.readouterr().out
    assert f"nest-simulator: '{old}' -> '9.9'" in said
    assert "warning: not as at the last start, so results may differ from those of one go: commit: " in said
    starts = json.loads((run / "provenance.json").read_text())
    assert starts[1]["changed"]["nest-simulator"] == [old, "9.9"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 010", "not valid TOML"),
        ("popsize = 4", "unknown setting popsize"),
        ("[env]\nn_ant = 1", "did you mean 'n_ants'"),
        ("worlds = no", "not valid TOML"),
        ("worlds = false", "worlds=False has the wrong type: it must be a text"),
        ("population = 4\npopulation = 5", "not valid TOML"),
        ('population = "four"', "population='four' is not a whole number"),
        ("population = 12:30:00", "population=datetime.time(12, 30) has the wrong type"),  # not 45000
    ],
)
def test_f26_f27_misspelt_keys_and_wrong_types_end_with_64_and_nothing_made(
    tmp_path, monkeypatch, capsys, text, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(text)
    assert main(["--config", "config.toml", *TINY[2:], "--name", "a"]) == process.EXIT_USAGE
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


def test_f27_numbers_are_numbers(tmp_path):
    (tmp_path / "config.toml").write_text("seed = 0o10\n[ga]\nmutation_sigma = 1e-3")
    config = load_config(tmp_path / "config.toml", {})
    assert (config.seed, config.ga.mutation_sigma) == (8, 0.001)


REFUSED = [
    (["--env.evaporation", "-0.1"], "evaporation=-0.1"),
    (["--env.evaporation", "1.5"], "evaporation=1.5"),
    (["--ga.mutation_sigma", "-1"], "mutation_sigma=-1"),
    (["--population", "0"], "population=0 is too small"),
    (["--population", "1"], "population=1 is too small"),
    (["--population", "1000000000"], "and this machine has"),
    (["--env.n_ants", "0"], "n_ants=0"),
    (["--env.n_ants", "1000000000"], "n_ants=1000000000"),
    (["--env.n_ticks", "0"], "n_ticks=0"),
    (["--env.width", "1", "--env.height", "1"], "env.width=1"),
    (["--generations", "0"], "generations=0"),
    (["--episodes", "0"], "episodes=0"),
    (["--brain.n_hidden", "0"], "n_hidden=0"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=lambda value: " ".join(value)[:40])
def test_f28_numbers_out_of_range_end_with_64_and_the_range_before_anything_is_made(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, *arguments, "--name", "a"]) == process.EXIT_USAGE
    error = capsys.readouterr().err
    assert message in error or message.removeprefix("env.") in error
    assert list(tmp_path.iterdir()) == []


def test_f28_a_world_without_food_runs_and_scores_only_costs(tmp_path, monkeypatch):
    from experiments.run_folder import RunFolder

    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--env.piles", "[]", "--env.n_scattered", "0", "--name", "a"]) == process.EXIT_DONE
    generations = RunFolder(tmp_path / "runs" / "a").read_results(["generations"])["generations"]
    assert generations["food"].tolist() == [0.0]
    assert generations["best"][0] <= 0.0


ODD = ["with space", "ü", "{7*6}", "'quote\"", "-leading", "$HOME", "%s", "a;b"]


@pytest.mark.parametrize("name", ODD)
def test_f40_runs_work_in_folders_of_any_printable_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, f"--runs={name}", "--name", "a"]) == process.EXIT_DONE
    assert main([f"--resume={tmp_path / name / 'a'}", "--generations", "2"]) == process.EXIT_DONE
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "a" / "results.h5").exists()


def test_f40_a_plain_locale_changes_nothing(tmp_path):
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    environment |= {name: os.environ[name] for name in ("NUMBA_CACHE_DIR", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "tests.faults.toy", str(tmp_path / "rün"), "2", "3"]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "±".encode() in done.stdout


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\x00b", "\u202eb"])
def test_f40_names_that_cannot_be_printed_are_refused_and_shown_escaped(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    for flag in ("--runs", "--resume", "--out", "--config"):
        assert main([flag, name]) == process.EXIT_USAGE
        error = capsys.readouterr().err
        assert f"argument {flag}: {name!r} is not allowed" in error
        assert error.rstrip("\n").isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "", "a" * 300, "a\x00b", ".", "..", "-x", "a/b", ".hidden", "a\n"])
def test_f41_names_of_runs_that_are_no_plain_file_names_are_refused(tmp_path, monkeypatch, capsys, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert main([*TINY, f"--name={name}"]) == process.EXIT_USAGE
    assert f"--name {name!r} is not allowed" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["inner"]


def test_f41_a_link_out_of_the_folder_of_runs_is_no_new_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(tmp_path / "outside")
    assert main([*TINY, "--name", "a"]) == process.EXIT_CANNOT_CREATE
    assert "runs/a exists already" in capsys.readouterr().err
    assert not (tmp_path / "outside").exists()


def test_f23_toy_studies_refuse_a_checkpoint_of_other_settings_too(tmp_path):
    run = tmp_path / "run"
    assert run_toy(run) == 0
    before = tree(run)
    function, seen = counting()
    assert run_toy(run, function, seed=2, generations=4) == process.EXIT_BAD_DATA
    assert seen == []
    assert tree(run) == before
