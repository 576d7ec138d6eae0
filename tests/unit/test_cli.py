"""The command `stigmergy` hands over to the studies and tools."""

import importlib

import pytest

from experiments.cli import COMMANDS, main


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
