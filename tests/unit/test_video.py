"""Films: every frame once, all or nothing, one frame in memory at a time."""

import sys
import weakref

import numpy as np
import pytest
from gymnasium.error import DependencyNotInstalled

from envs.foraging import AntForagingEnv
from envs.render import frame_layout
from experiments.video import film_genome, film_policy, main, record_video
from snn import AntBrainConfig, random_genomes

pytest.importorskip("imageio_ffmpeg", reason="films need imageio and imageio-ffmpeg")

# The reader of imageio leaves its pipes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def read(path):
    """All frames of a film, and its frames per second."""
    from imageio.v2 import get_reader

    with get_reader(path) as reader:
        return np.array([*reader.iter_data()]), reader.get_meta_data()["fps"]


def grey(levels, size=(48, 64)):
    for level in levels:
        yield np.full((*size, 3), level, dtype=np.uint8)


def test_a_film_has_the_frames_it_was_given_in_their_order(tmp_path):
    levels = [0, 60, 120, 180, 240, 30]
    assert record_video(grey(levels), tmp_path / "film.mp4", fps=10) == 6
    frames, fps = read(tmp_path / "film.mp4")
    assert frames.shape == (6, 48, 64, 3)
    assert fps == 10
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), levels, atol=3)


def test_frames_are_not_kept(tmp_path):
    alive = []

    def frames():
        for frame in grey(range(20)):
            alive.append(weakref.ref(frame))
            assert sum(reference() is not None for reference in alive) <= 3
            yield frame

    record_video(frames(), tmp_path / "film.mp4", fps=10)


def test_a_film_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def frames():
        yield from grey([0, 1])
        raise RuntimeError("lights out")

    with pytest.raises(RuntimeError, match="lights out"):
        record_video(frames(), path, fps=10)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    record_video(grey([0, 1]), path, fps=10)
    assert len(read(path)[0]) == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("frames", "name", "fps", "message"),
    [
        ([], "film.mp4", 10, "no frames"),
        (grey([0], (48, 63)), "film.mp4", 10, "63 × 48 pixels cannot be filmed"),
        ([*grey([0]), *grey([0], (64, 64))], "film.mp4", 10, r"frame 1 is \(64, 64, 3\)"),
        (grey([0]), "film.avi", 10, "ends with .mp4"),
        (grey([0]), "film.mp4", 0, "fps=0 is not allowed"),
        (grey([0]), "film.mp4", float("inf"), "fps=inf is not allowed"),
    ],
)
def test_what_cannot_be_filmed_is_an_error_without_a_file(tmp_path, frames, name, fps, message):
    with pytest.raises(ValueError, match=message):
        record_video(frames, tmp_path / name, fps)
    assert list(tmp_path.iterdir()) == []


def test_a_film_shows_the_start_every_nth_tick_and_the_end(monkeypatch):
    env = AntForagingEnv(render_mode="rgb_array", n_ticks=11)
    ticks = []
    render = env.render
    monkeypatch.setattr(env, "render", lambda: ticks.append(env.measures()["ticks"]) or render())
    frames = list(film_policy("random", env, seed=0, every=4))
    assert ticks == [0, 4, 8, 11]
    layout = frame_layout(env.config)
    assert {frame.shape for frame in frames} == {(layout.height, layout.width, 3)}


def test_a_film_of_a_genome_shows_its_colony():
    config = AntBrainConfig(n_hidden=3, engine="numba")
    genome = random_genomes(config, 1, np.random.default_rng(0))[0]
    env = AntForagingEnv(render_mode="rgb_array", n_ticks=30)
    frames = list(film_genome(genome, config, env, seed=5, every=30))
    assert len(frames) == 2
    assert env.measures()["ticks"] == 30
    assert not np.array_equal(frames[0], frames[1])


def test_the_command_films_a_policy(tmp_path, capsys):
    out = tmp_path / "maze.mp4"
    flags = ["--policy", "rule", "--preset", "maze", "--ticks", "6", "--every", "2", "--fps", "5", "--out", str(out)]
    assert main(flags) == 0
    frames, fps = read(out)
    assert (len(frames), fps) == (4, 5)
    assert capsys.readouterr().out.startswith(f"film {out}: 4 frames, 6 ticks, ")


def test_the_command_films_a_genome(tmp_path):
    weights, delays = np.split(random_genomes(AntBrainConfig(n_hidden=3), 2, np.random.default_rng(0)), 2, axis=1)
    np.savez(tmp_path / "genomes.npz", weights=weights, delays=delays)
    out = tmp_path / "colony.mp4"
    assert main([str(tmp_path / "genomes.npz"), "--genome", "1", "--ticks", "3", "--out", str(out)]) == 0
    assert len(read(out)[0]) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a file of genomes or --policy"),
        (["x.npz", "--policy", "rule"], "give either a file of genomes or --policy"),
        (["missing.npz"], "missing.npz"),
        (["--policy", "rule", "--every", "0"], "--every must be >= 1"),
        (["--policy", "rule", "--ticks", "0"], "n_ticks=0 is not allowed"),
        (["--policy", "rule", "--fps", "0"], "fps=0.0 is not allowed"),
        (["--policy", "rule", "--out", "film.avi"], "give an .mp4 file in a folder that exists"),
        (["--policy", "rule", "--out", "nowhere/film.mp4"], "give an .mp4 file in a folder that exists"),
    ],
)
def test_bad_arguments_are_an_error_without_a_file(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["imageio_ffmpeg", "imageio.v2"])
def test_without_its_packages_the_error_names_what_to_install(tmp_path, capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyNotInstalled, match=r"pip install -e '.\[video\]'"):
        record_video(grey([0]), tmp_path / "film.mp4", fps=10)
    with pytest.raises(SystemExit):
        main(["--policy", "rule", "--out", str(tmp_path / "film.mp4")])
    assert "pip install -e '.[video]'" in capsys.readouterr().err


def test_ctrl_c_leaves_no_film(tmp_path, capsys, monkeypatch):
    def interrupt(*arguments):
        yield from grey([0])
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.video.film_policy", interrupt)
    assert main(["--policy", "rule", "--out", str(tmp_path / "film.mp4")]) == 130
    assert "no film was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
