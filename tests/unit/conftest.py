"""Fixtures that several unit tests share."""

import pytest

from tests.unit.picture_cases import world


@pytest.fixture
def painted():
    """The published world with its nest at (75, 20); the ants, which start there, are out of the way at (90, 50)."""
    env = world(n_scattered=0, nest_x=(75, 75), nest_y=(20, 20))
    env.state.x[:], env.state.y[:] = 90.0, 50.0
    return env


@pytest.fixture
def journal_path(tmp_path):
    """Where the journal of `tests.unit.journal_cases` is."""
    return tmp_path / "gen_000007.jsonl"
