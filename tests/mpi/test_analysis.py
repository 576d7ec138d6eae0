"""An analysis spread over ranks is that of one process."""

import numpy as np
import pytest

from experiments.analyse import _TABLES
from experiments.config import load_config
from experiments.npz import write_genomes
from experiments.settings import config_to_toml
from experiments.storage import read_tables, reading
from snn import random_genomes
from tests.conftest import ROOT

ANALYSE = str(ROOT / "experiments" / "analyse.py")


@pytest.fixture
def run(tmp_path):
    """A run folder with a colony of few ants and ticks."""
    config = load_config(None, {"brain.n_hidden": 5, "env.n_ants": 4, "env.n_ticks": 22})
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "config.toml").write_text(config_to_toml(config))
    genomes = random_genomes(config.brain, 1, np.random.default_rng(3))
    write_genomes(folder / "best.npz", *np.split(genomes, 2, axis=1))
    return folder


@pytest.mark.slow
def test_an_analysis_is_bit_identical_on_1_and_2_ranks(start, run, tmp_path):
    found = []
    for n_ranks in (None, 2):
        out = tmp_path / f"on{n_ranks}"
        code, shown, error = start(n_ranks, ANALYSE, str(run), "--episodes", "2", "--out", str(out)).wait()
        assert (code, error) == (0, ""), shown
        with reading(out / "analysis.h5") as file:
            found.append((read_tables(file, _TABLES), (out / "tables.md").read_text()))
    (ours, text), (theirs, other_text) = found
    assert text == other_text
    for table, columns in ours.items():
        for name, values in columns.items():
            np.testing.assert_array_equal(values, theirs[table][name], err_msg=f"{table}/{name}")
