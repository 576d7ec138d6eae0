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
