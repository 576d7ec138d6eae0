"""The picture of a colony."""

import numpy as np
import pytest

from experiments.picture import main
from snn import AntBrainConfig, random_genomes

pytestmark = pytest.mark.nest


@pytest.fixture
def genomes(tmp_path):
    weights, delays = np.split(random_genomes(AntBrainConfig(n_hidden=3), 2, np.random.default_rng(0)), 2, axis=1)
    path = tmp_path / "genomes.npz"
    np.savez(path, weights=weights, delays=delays)
    return str(path)


def test_a_picture_of_the_arena_is_written(genomes, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    assert main([genomes, "--genome", "1", "--tick", "5", "--out", str(tmp_path / "colony.png")]) == 0
    assert image.imread(tmp_path / "colony.png").shape[:2] == (60 * 12, 41 * 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--genome", "2"], "holds rows 0 … 1"), (["--tick", "x"], "--tick"), (["--tick", "-1"], ">= 0")],
)
def test_bad_arguments_are_an_error_without_a_file(genomes, tmp_path, capsys, arguments, message):
    out = tmp_path / "colony.png"
    with pytest.raises(SystemExit) as error:
        main([genomes, "--out", str(out), *arguments])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
