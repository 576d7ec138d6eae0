"""The web page of a colony: what is in it is the recording, in little room; nothing else runs or asks the network."""

import base64
import dataclasses
import hashlib
import json
import platform
import re
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.types import DEPOSIT, LEFT, MOVE, RIGHT, TURN, WALL
from experiments import replay, replay_data
from experiments.cli import main
from experiments.colonies import Colony, read_colony
from experiments.config import load_config
from experiments.npz import write_genomes
from experiments.recorded_episode import record_episode
from experiments.replay_data import pack_episode, pheromone_levels, unpack_episode
from experiments.rollout import task_seeds
from optim.tasks import Task
from snn import random_genomes

SEEDS = (7, 1)
NEAR = {"env.nest_x": [78, 78], "env.nest_y": [26, 26], "env.piles": [[78, 33], [71, 26]]}
SETTINGS = {"brain.engine": "numba", "env.n_ticks": 45, "env.n_ants": 12, "brain.n_hidden": 10} | NEAR
HOSTILE = "</script><script>alert(1)</script><!-- \" ' & \u2028 \udcff {{stream}}"
TEMPLATES = ("replay.html", "replay.css", *replay._SCRIPTS)


def record(genome=None, **settings):
    config = load_config(None, SETTINGS | {name.replace("__", "."): value for name, value in settings.items()})
    if genome is None:
        genome = random_genomes(config.brain, 1, np.random.default_rng(6))[0]
    return record_episode(genome, config, SEEDS)


@pytest.fixture(scope="module")
def episode():
    return record()


@pytest.fixture(scope="module")
def arrays(episode):
    return unpack_episode(*pack_episode(episode))


def page_of(episode, name="some.npz"):
    colony = Colony(name, np.zeros(0), episode.config)
    return replay.make_page(episode, replay.describe(colony, episode, 3, 0, SEEDS[0]))


class Elements(HTMLParser):
    """Texts of the elements of a page that have an end, by name; and what they refer to."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.references, self.policy, self._open = {}, [], "", None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.references += [attributes[key] for key in ("src", "href", "action", "data") if key in attributes]
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        if tag in ("script", "style", "title"):
            self._open = attributes.get("id", tag)
            assert self._open not in self.texts
            self.texts[self._open] = ""

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.texts[self._open] += data


def test_bodies_come_back_to_half_a_quantum(episode, arrays):
    for name, unit in (("x", 1 / 64), ("y", 1 / 64), ("heading", 1 / 64)):
        assert np.abs(arrays[name] - getattr(episode, name).T).max() <= unit / 2
    np.testing.assert_array_equal(arrays["is_carrying"], episode.is_carrying.T)


def test_what_ants_sense_and_do_comes_back_exactly(episode, arrays):
    np.testing.assert_array_equal(arrays["obs"], episode.obs.transpose(1, 2, 0).astype(bool))
    left, right, move, deposit = arrays["actions"].transpose(1, 2, 0)
    np.testing.assert_array_equal(LEFT * left + RIGHT * right, episode.actions[..., TURN])
    np.testing.assert_array_equal(move, episode.actions[..., MOVE])
    np.testing.assert_array_equal(deposit, episode.actions[..., DEPOSIT])


def test_every_hidden_and_output_spike_comes_back(episode, arrays):
    n_spikes = 0
    for name, first, size in (("hidden", 0, 10), ("output", 10, 4)):
        for index, times_ms in enumerate(episode.spikes.population(name).trains()):
            ant, neuron = divmod(index, size)
            np.testing.assert_array_equal(np.flatnonzero(arrays["spikes"][ant, first + neuron]) + 1, times_ms)
            n_spikes += len(times_ms)
    assert n_spikes == arrays["spikes"].sum() > 1000


def test_food_fitness_walls_and_nest_are_those_of_the_world_at_every_tick(episode, arrays):
    env = AntForagingEnv(**dataclasses.asdict(episode.config.env))
    env.reset(seed=SEEDS[0])
    x_min, x_max, y_min, y_max = episode.config.env.arena
    arena = np.s_[y_min : y_max + 1, x_min : x_max + 1]
    np.testing.assert_array_equal(arrays["walls"], env.state.objects[arena] == WALL)
    np.testing.assert_array_equal(arrays["nest"], env.state.is_nest[arena])
    food, columns = arrays["food"].copy(), [arrays[f"food_{name}"] for name in ("tick", "patch", "units")]
    changes = list(zip(*columns, strict=True))
    assert len(changes) > 5
    for tick in range(episode.n_ticks + 1):
        while changes and changes[0][0] <= tick:
            _, patch, units = changes.pop(0)
            food.flat[patch] = units
        np.testing.assert_array_equal(food, env.state.food[arena])
        measures = env.measures()
        assert arrays["returned"][tick] == measures["food"]
        assert arrays["fitness"][tick] == pytest.approx(measures["fitness"], abs=0.0051)
        if tick < episode.n_ticks:
            env.step(episode.actions[tick].astype(np.int64))


def test_pheromone_levels_are_logarithmic_from_the_least_shown_to_a_thousand_times_it(episode, arrays):
    field = np.array([0.0, 0.99, 1.0, 10.0, 100.0, 1000.0, 1e9])
    np.testing.assert_array_equal(pheromone_levels(field, 60.0), [0, 0, 1, 86, 170, 255, 255])
    np.testing.assert_array_equal(pheromone_levels(10 * field, 600.0), pheromone_levels(field, 60.0))
    x_min, x_max, y_min, y_max = episode.config.env.arena
    cut = episode.pheromone[:, y_min : y_max + 1, x_min : x_max + 1].reshape(len(episode.pheromone), -1).T
    np.testing.assert_array_equal(arrays["pheromone"], pheromone_levels(cut, 60.0))
    np.testing.assert_array_equal(arrays["pheromone_tick"], episode.pheromone_ticks)
    assert arrays["pheromone"].max() > 100


def test_numbers_of_any_size_and_sign_come_back_to_half_a_unit():
    values = np.array([[0.0, -3.0, 2**29, -(2**29)], [1e-3, 5.4, 5.6, 0.0]])
    for most in (1.0, 1e12):
        entry, content = replay_data._pack_numbers("some", values * most, 0.01)
        back = replay_data._unpack(entry, np.frombuffer(content, np.uint8))
        assert np.abs(back - values * most).max() <= 0.5 * entry["unit"] * 1.001
        assert entry["unit"] == max(0.01, most * 2**29 / 2**30)


@pytest.mark.parametrize(
    ("settings", "n_ticks"),
    [({"env__food_per_patch": 0, "env__n_scattered": 0}, 1), ({"env__n_ants": 1}, 45), ({"env__n_ticks": 1}, 1)],
    ids=["over at once", "one ant", "one tick"],
)
def test_small_episodes_have_a_page(settings, n_ticks):
    episode = record(**settings)
    assert episode.n_ticks == n_ticks
    header = json.loads(Elements(page_of(episode)).texts["header"])
    arrays = unpack_episode(*pack_episode(episode))
    assert (header["world"]["n_ticks"], header["arrays"]) == (n_ticks, pack_episode(episode).arrays)
    np.testing.assert_allclose(arrays["x"], episode.x.T, atol=1 / 128)
    assert arrays["spikes"].shape == (episode.config.env.n_ants, 14, 20 * n_ticks)


def test_a_colony_that_never_fires_has_a_page():
    weights, delays = np.zeros(250), np.ones(250)
    arrays = unpack_episode(*pack_episode(record(np.concatenate([weights, delays]))))
    assert (arrays["spikes"].sum(), arrays["actions"].sum(), len(arrays["food_tick"])) == (0, 0, 0)
    assert (arrays["x"] == 78).all()


def test_a_damaged_stream_is_told_from_a_whole_one(episode):
    packed = pack_episode(episode)
    broken = bytearray(packed.stream)
    broken[len(broken) // 2] ^= 255
    for stream in (bytes(broken), packed.stream[:-9], b""):
        with pytest.raises(ValueError, match="damaged"):
            unpack_episode(packed.arrays, stream)
    with pytest.raises(ValueError, match="ends before pheromone"):
        unpack_episode([*packed.arrays, packed.arrays[-1]], packed.stream)
    with pytest.raises(ValueError, match="goes on for"):
        unpack_episode(packed.arrays[:-1], packed.stream)


def test_the_page_holds_the_stream_and_asks_for_nothing(episode):
    page = page_of(episode)
    elements = Elements(page)
    assert base64.b64decode(elements.texts["stream"], validate=True) == pack_episode(episode).stream
    assert [r for r in elements.references if not r.startswith("data:image/svg+xml,")] == []
    assert "default-src 'none'" in elements.policy
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(elements.texts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in elements.policy
    assert re.findall(r"\{\{\w+\}\}", page) == []


def test_a_hostile_name_stays_a_text(episode):
    tame, hostile = Elements(page_of(episode)).texts, Elements(page_of(episode, HOSTILE)).texts
    shown = HOSTILE.replace("\udcff", "?") + ", genome 3"
    assert json.loads(hostile["header"])["name"] == shown
    assert hostile["title"].startswith(shown)
    assert hostile.keys() == tame.keys() == {"title", "style", "header", "script", "stream"}
    assert [hostile[name] for name in ("script", "style", "stream")] == [
        tame[name] for name in ("script", "style", "stream")
    ]
    assert not re.search("[<\u2028]", hostile["header"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_part_of_the_package(name):
    text = resources.files("experiments").joinpath("templates", name).read_text(encoding="utf-8")
    assert len(text) > 1000
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|\beval\b|innerHTML|\r", text)
    if name.endswith(".js"):
        assert not re.search(r"</script|<!--|\bfetch\b|XMLHttpRequest|WebSocket", text)


@pytest.fixture
def run_folder(tmp_path):
    """A run that has saved its best colony."""
    folder = tmp_path / "my-run"
    folder.mkdir()
    (folder / "config.toml").write_text(
        'seed = 5\n[env]\nn_ticks = 10\nn_ants = 3\n[brain]\nn_hidden = 10\nengine = "nest"\n'
    )
    genome = random_genomes(load_config(folder / "config.toml", {}).brain, 1, np.random.default_rng(1))
    write_genomes(folder / "best.npz", *np.split(genome, 2, axis=1))
    return folder


def test_the_command_replays_the_best_colony_of_a_run_in_a_world_it_has_not_met(run_folder, tmp_path, capsys):
    out = tmp_path / "colony.html"
    assert main(["replay", str(run_folder), "--episode", "2", "-o", str(out)]) == 0
    page, said = out.read_text(), capsys.readouterr().out
    assert said.startswith(f"page {out}: 10 ticks, ")
    texts = Elements(page).texts
    header = json.loads(texts["header"])
    colony = read_colony(run_folder, None, {"brain.engine": "numba"})
    seeds = task_seeds(colony.config, Task(0, 0, 2), is_held_out=True)
    assert header["summary"].startswith(f"world seed {seeds[0]} · ")
    assert (header["name"], header["world"]["n_ants"]) == ("my-run", 3)
    assert "seed 5, episode 2 · engine numba" in header["source"]
    arrays = unpack_episode(header["arrays"], base64.b64decode(texts["stream"]))
    np.testing.assert_array_equal(arrays["obs"].transpose(2, 0, 1), record_episode(*colony[1:], seeds).obs != 0)
    for private in (str(tmp_path), str(run_folder.parent), platform.node()):
        assert private not in page


def test_what_cannot_be_written_or_is_too_large_is_said_before_any_simulation(
    run_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(replay, "record_episode", lambda *_: pytest.fail("simulated"))
    some = ["replay", str(run_folder)]

    def refusal(arguments, config=""):
        (run_folder / "config.toml").write_text(f"[brain]\nn_hidden = 10\n{config}")
        return main(arguments), capsys.readouterr().err

    assert refusal([*some, "-o", str(tmp_path / "a.htm")]) == (64, f"error: --out {tmp_path}/a.htm: a page is an .html "
                                                               "file. Choose this ending.\n")  # fmt: skip
    code, message = refusal([*some, "-o", str(tmp_path / "none" / "a.html")])
    assert (code, "none does not exist" in message) == (73, True)
    code, message = refusal([*some, "--episode", "-1"])
    assert (code, "--episode -1" in message) == (64, True)
    code, message = refusal([*some, "--genome", "0"])
    assert (code, "--genome 0 has no effect" in message) == (64, True)
    code, message = refusal(some, "[env]\nn_ants = 1000\n")
    assert (code, "1,000 ants × 25 neurons × 40,000 steps" in message, "200,000,000" in message) == (64, True, True)
    large = "[env]\nwidth = 1000\nheight = 1000\narena = [0, 999, 0, 999]\n"
    code, message = refusal(some, large)
    assert (code, "288 pheromone fields × 1,000 × 1,000" in message, "60,000,000" in message) == (64, True, True)
    assert list(tmp_path.glob("*.html")) == []


def test_a_page_that_is_stopped_leaves_no_file(run_folder, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "record_episode", stop)
    assert main(["replay", str(run_folder), "-o", str(tmp_path / "a.html")]) == 130
    assert "no page was written" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()


@pytest.mark.slow
@pytest.mark.data
def test_a_full_published_episode_is_below_a_megabyte(published_ants, tmp_path):
    out = tmp_path / "colony.html"
    file = published_ants / "fitness_full_genomes.npz"
    assert main(["replay", str(file), "--genome", "60", "-o", str(out)]) == 0
    assert out.stat().st_size < 1_000_000
    header = json.loads(Elements(out.read_text()).texts["header"])
    assert {tuple(entry["shape"]) for entry in header["arrays"]} > {(15, 24, 40000), (15, 2001), (2460, 288)}
