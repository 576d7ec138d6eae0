"""The picture of a colony."""

import numpy as np
import pytest

from envs.presets import make_config
from envs.render import FOODS, WALLS, Layers, frame_layout
from experiments import gallery
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
    assert image.imread(tmp_path / "colony.png").shape[:2] == frame_layout(make_config())[:2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--genome", "2"], "holds rows 0 … 1"),
        (["--tick", "x"], "--tick"),
        (["--tick", "-1"], ">= 0"),
        (["--preset", "published_rules"], "it must be 'binary'"),
    ],
)
def test_bad_arguments_are_an_error_without_a_file(genomes, tmp_path, capsys, arguments, message):
    out = tmp_path / "colony.png"
    with pytest.raises(SystemExit) as error:
        main([genomes, "--out", str(out), *arguments])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_the_gallery_shows_its_worlds_side_by_side_and_a_key():
    pytest.importorskip("PIL")
    panels = [gallery.Panel("published_test", 3, 1), gallery.Panel("open", 3, 1)]
    figure = gallery.draw_gallery(panels)
    assert figure.shape[1] == 3 * gallery.WIDTH + 4 * gallery.GAP
    published = frame_layout(make_config(), Layers(hud=False))
    corner = figure[gallery.GAP // 2 + gallery.TITLE + published.top, gallery.GAP + published.left]
    assert tuple(corner) == WALLS
    assert FOODS in {tuple(pixel) for pixel in figure[-220:, gallery.WIDTH + 2 * gallery.GAP :].reshape(-1, 3)}


def test_a_gallery_needs_a_png_in_a_folder_that_exists(tmp_path, capsys):
    with pytest.raises(SystemExit):
        gallery.main(["--out", str(tmp_path / "none" / "a.png")])
    assert "give a .png file in a folder that exists" in capsys.readouterr().err
