"""What the fault tests share."""

import pytest

from experiments import process


@pytest.fixture(autouse=True)
def _quick_and_unstopped(monkeypatch):
    """No figures, which take longer than the toy study, and no stop request from another test."""
    monkeypatch.setattr("experiments.run.plot_fitness", lambda *_: True)
    monkeypatch.setattr(process, "_is_stop_requested", False)


@pytest.fixture
def whole(tmp_path):
    """Function that runs the toy study undisturbed and returns its folder."""
    from tests.faults.toy import run_toy

    def run(**options):
        path = tmp_path / "whole"
        assert run_toy(path, **options) == 0
        return path

    return run
