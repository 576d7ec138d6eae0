"""The command `stigmergy` hands over to the studies and tools."""

import importlib
import signal
import sys

import pytest

from experiments import process
from experiments.cli import COMMANDS, main
from experiments.command import Parser, guarded


def test_without_a_command_all_of_them_are_listed(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name, capsys):
    assert callable(importlib.import_module(COMMANDS[name][0]).main)
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = stop.code
    assert code in (0, None)
    assert "usage" in capsys.readouterr().out


def test_a_misspelt_command_offers_the_nearest_one(capsys):
    assert main(["vidoe"]) == 64
    assert "unknown command 'vidoe', did you mean 'video'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "merge", "plot"])
def test_a_folder_that_is_no_run_and_a_missing_argument_are_one_clear_line(command, tmp_path, capsys):
    assert main([command, str(tmp_path)]) == 73
    assert f"error: {tmp_path} is no run folder: it has no config.toml" in capsys.readouterr().err
    assert main([command]) == 64
    assert capsys.readouterr().err == "error: the following arguments are required: RUN. See --help.\n"
    assert main([command, str(tmp_path), "--jsn"]) == 64
    assert "unknown flag --jsn" in capsys.readouterr().err


def test_the_module_is_the_command(run_python):
    done = run_python("-m", "experiments.cli", "vidoe")
    assert (done.returncode, "unknown command" in done.stderr) == (64, True)


@pytest.mark.parametrize(("command", "is_caught"), [("ants", True), ("nested", True), ("show", False)])
def test_a_study_catches_stop_signals_before_its_slow_imports(monkeypatch, command, is_caught):
    seen = []
    monkeypatch.setattr(signal, "signal", lambda number, handler: seen.append(number))
    monkeypatch.setattr(importlib, "import_module", lambda name: (_ for _ in ()).throw(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        main([command])
    assert (seen == list(process._SIGNALS)) == is_caught


@pytest.mark.parametrize("code", [0, None, 3, "a text"])
def test_an_exit_from_within_is_never_a_success(code, capsys):
    assert guarded(lambda: sys.exit(code)) == process.EXIT_INTERNAL
    assert f"ended from within by sys.exit({code!r})" in capsys.readouterr().err


def test_help_is_a_success(capsys):
    assert guarded(lambda: len(Parser(prog="x").parse(["--help"]))) == 0
    assert capsys.readouterr().out.startswith("usage: x")
