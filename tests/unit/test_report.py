"""`stigmergy report`: a page whose numbers are those of the records, and which runs nothing and asks for nothing."""

import base64
import dataclasses
import hashlib
import json
import platform
import re
import shutil
import zlib
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest

from envs.foraging import AntForagingEnv
from envs.render import Layers, render_frame
from experiments import ants, nested, report
from experiments.cli import main
from experiments.config import load_config
from experiments.recorded_episode import record_episode
from experiments.report_colony import behaviour, frame_at, shown_ticks
from experiments.report_figures import Band, Curve, chart, thin, to_png
from experiments.report_html import duration, file_name, markdown, number, without_places
from experiments.report_sections import distribution
from experiments.run_folder import RunFolder
from experiments.storage import append_tables, commit
from snn import random_genomes
from tests.faults.toy import fails_at, run_toy, tree
from tests.unit.test_champion import TINY
from tests.unit.test_records import FIXTURES

VOID = {"meta", "link", "img"}
HOSTILE = "</style></title><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>{{style}}\" ' &"


class Page(HTMLParser):
    """Elements of a page: its tables as texts, what it refers to, whether everything that is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.references, self.attributes = text, [], [], set()
        self.tables, self.shown, self.style, self._open = [], [], "", []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}
        self.references += [value for name, value in attributes if name in ("src", "href", "action", "data", "srcset")]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            self.style += data
            return
        self.shown.append(data)
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data

    def table(self, *head):
        """Rows of the table with this head."""
        (found,) = (rows[1:] for rows in self.tables if rows[0] == list(head))
        return found


def make(run, tmp_path):
    out = tmp_path / "page.html"
    assert main(["report", str(run), "-o", str(out)]) == 0
    return Page(out.read_text())


def value(text):
    return float(text.replace(",", ""))


@pytest.fixture(scope="module", autouse=True)
def _without_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.run.plot_fitness", lambda *_: True)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two ants."""
    folder = tmp_path_factory.mktemp("runs")
    assert ants.main([*TINY, "--runs", str(folder), "--name", "tiny"]) == 0
    return folder / "tiny"


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    return make(run, tmp_path_factory.mktemp("page"))


def test_the_numbers_are_those_of_the_records(run, page):
    tables = RunFolder(run).read_results()
    generations = tables["generations"]
    best = int(np.argmax(generations["best"]))
    told = {name: value(text) for name, text in page.table("", "value")}
    assert (told["generation"], told["individual"]) == (best, tables["best"]["individual"][best])
    assert told["fitness"] == pytest.approx(generations["best"][best], rel=1e-5)
    episodes = tables["episodes"]
    row = (episodes["generation"] == best) & (episodes["individual"] == tables["best"]["individual"][best])
    for name in ("food", "moves", "turns", "deposits"):
        assert told[name] == pytest.approx(episodes[name][row].mean(), rel=1e-5)
    spent = {row[0]: row[1:] for row in page.table("wall time", "all, s", "per generation, s", "share, %")}
    total = np.nansum(generations["seconds_evaluate"])
    assert value(spent["evaluate"][0]) == pytest.approx(total, abs=0.051)
    assert value(spent["evaluate"][1]) == pytest.approx(total / 3, rel=0.005)
    shown = " ".join(page.shown)
    assert "3 of 3 generations, done. No episode failed." in shown
    assert f"best fitness {number(generations['best'][best])} generation {best} " in shown


def test_settings_that_differ_come_first_and_all_are_there(run, page):
    differing = {row[0]: row[1:] for row in page.table("setting", "here", "defaults")}
    assert differing == {
        "population": ["4", "32"], "generations": ["3", "100"], "env.n_ticks": ["20", "2000"],
        "env.n_ants": ["2", "15"], "brain.n_hidden": ["2", "20"], "brain.engine": ["numba", "nest"],
    }  # fmt: skip
    everything = dict(page.table("setting", "value"))
    assert everything["env.n_ticks"] == "20"
    assert everything["seed"] == "1"
    assert not {name.split(".")[0] for name in everything} & {"es", "enkf"}


def test_the_page_is_whole_asks_for_nothing_and_its_policy_knows_its_style(page):
    assert "script" not in page.tags
    assert {"style", "onload", "onclick"} & page.attributes == set()
    assert [r for r in page.references if not r.startswith("data:image/")] == []
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'" in page.text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\bnan\b|\binf|None|\{\{", page.text)
    assert {"svg", "img", "table", "details"} <= set(page.tags)
    assert len(page.text) < 400_000


def test_no_host_user_or_folder_is_named(run, page, tmp_path):
    starts = RunFolder(run).starts()
    for private in (str(run.parent), str(tmp_path.parent), starts[0]["platform"]):
        assert private not in page.text
    assert not re.search(rf"(?<!\w){re.escape(platform.node())}(?!\w)", " ".join(page.shown))
    ((_, when, ranks, _, versions, command),) = page.table("start", "UTC", "ranks", "commit", "versions", "command")
    assert when.replace(" ", "T") + "+00:00" == starts[0]["started_utc"]
    assert (ranks, f"numpy {np.__version__}" in versions) == ("1", True)
    assert "--runs" not in command or "--runs …" in command


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot open '/home/a user/x y/data.h5'", "cannot open data.h5"),
        ("in /home/alice: no space", "in …: no space"),
        (r"at C:\Users\alice\run.toml", "at run.toml"),
        ("~alice/secret/", "…"),
        ("1/2 of food/patch at 3 m/s", "1/2 of food/patch at 3 m/s"),
        ("node7 was lost, not node77", "… was lost, not node77"),
    ],
)
def test_errors_lose_folders_and_hosts_only(text, expected):
    assert without_places(text, ["node7", ""]) == expected


def test_a_file_keeps_its_name_and_a_folder_does_not():
    assert [file_name(path) for path in ("/a/b.toml", "c/ants.py", "/home/alice", "runs/")] == [
        "b.toml", "ants.py", "…", "…",
    ]  # fmt: skip


def test_numbers_that_are_missing_are_dashes():
    assert [number(x) for x in (np.nan, np.inf, -np.inf, 3, np.int64(4000), 0.25, -1234.5)] == [
        "–", "–", "–", "3", "4,000", "0.25", "-1,234.5",
    ]  # fmt: skip
    assert [duration(s) for s in (0.5, 61, 3600, 200_000, np.nan)] == [
        "0.5 s",
        "1 min 1 s",
        "1 h 0 min",
        "2 d 7 h",
        "–",
    ]


def test_a_hostile_name_and_hostile_settings_stay_texts(tmp_path):
    path = tmp_path / "<script>alert(1)<&script> {{style}}"
    assert run_toy(path) == 0
    with (path / "config.toml").open("a") as file:
        file.write(f"{json.dumps(HOSTILE)} = 1\nother = {json.dumps(HOSTILE)}\noptimizer = {json.dumps(HOSTILE)}\n")
    start = {"command": [HOSTILE, "\ud800"], "commit": HOSTILE, "n_ranks": HOSTILE, "versions": {HOSTILE: "\ud800\0"}}
    (path / "provenance.json").write_text(json.dumps([start]))
    (path / "analysis").mkdir()
    (path / "analysis" / "tables.md").write_text(f"# {HOSTILE}\n\n| {HOSTILE} | a |\n| --- | --- |\n| {HOSTILE} |\n")
    (path / "best.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    page = make(path, tmp_path)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "onerror" not in page.attributes
    assert page.style == resources.files("experiments").joinpath("templates", "report.css").read_text()
    assert dict(page.table("setting", "value"))["other"] == HOSTILE
    assert "<script>alert(1)<&script> {{style}}" in " ".join(page.shown)


def test_failures_are_listed_with_reasons_and_counts(tmp_path):
    path = tmp_path / "run"
    assert run_toy(path, fails_at(3)) == 0
    page = make(path, tmp_path)
    failures = RunFolder(path).read_results(["failures"])["failures"]
    first = ", ".join(str(failures[name][0]) for name in ("generation", "individual", "episode"))
    rows = page.table("reason", "episodes", "first: generation, individual, episode", "error")
    assert rows == [["exception", str(len(failures["reason"])), first, "ValueError: the vector broke"]]
    n_failed = int(np.isnan(RunFolder(path).read_results(["individuals"])["individuals"]["fitness"]).sum())
    assert f"{n_failed} failed" in " ".join(page.shown)
    assert "No episode failed" not in page.text


def test_a_run_that_was_stopped_says_so_and_is_not_changed(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_toy(path, fails_at(2, error=KeyboardInterrupt))
    before = tree(path)
    shown = " ".join(make(path, tmp_path).shown)
    assert "stopped early" in shown
    assert "1 of 3 generations, stopped early. Generation 1 is open: 4 episodes done, 0 failed." in shown
    assert tree(path) == before


@pytest.mark.parametrize("schema", FIXTURES)
def test_runs_of_every_schema_have_a_page_also_without_times(schema, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(FIXTURES[schema], run)
    page = make(run, tmp_path)
    assert "RuntimeError: the ant fell asleep" in " ".join(page.shown)
    assert not re.search(r"\bnan\b", page.text)


def test_other_studies_have_a_page(tmp_path):
    flags = ["--population", "2", "--generations", "2", "--episodes", "1", "--budget", "200"]
    assert nested.main([*flags, "--runs", str(tmp_path), "--name", "inner"]) == 0
    page = make(tmp_path / "inner", tmp_path)
    found = json.loads((tmp_path / "inner" / "best.json").read_text())
    shown = [rows[1:] for rows in page.tables if ["gamma", number(found["gamma"])] in rows]
    assert len(shown) == 1
    assert "settings of the filter that trains a network" in page.text
    assert {row[0] for row in page.table("setting", "here", "defaults")} == {
        "population", "generations", "episodes", "budget",
    }  # fmt: skip


def test_a_table_of_tests_is_drawn_and_told(tmp_path):
    path = tmp_path / "run"
    assert run_toy(path) == 0
    results = RunFolder(path)
    results.records.merge()
    test = {"test": {"generation": np.array([0, 2]), "accuracy": np.array([0.25, 0.8125])}}
    commit(results.records.results, lambda file: append_tables(file, test), start_from=results.records.results)
    shown = " ".join(make(path, tmp_path).shown)
    assert "test accuracy, last 0.8125 generation 2" in shown
    assert "Test: accuracy" in shown


def test_what_cannot_be_made_is_an_error_before_any_work(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "make_page", lambda *_: pytest.fail("worked"))

    def refusal(*arguments):
        return main(["report", *map(str, arguments)]), capsys.readouterr().err

    assert refusal(run, "-o", tmp_path / "a.pdf")[0] == 64
    code, message = refusal(run, "-o", tmp_path / "none" / "a.html")
    assert (code, "none does not exist" in message) == (73, True)
    assert refusal(tmp_path)[0] == 73
    RunFolder.create(tmp_path / "new", "generations = 9\n")
    code, message = refusal(tmp_path / "new")
    assert (code, "no generation on record yet" in message) == (73, True)
    shutil.copytree(run, tmp_path / "hurt")
    (tmp_path / "hurt" / "results.h5").write_bytes(b"no HDF5")
    assert refusal(tmp_path / "hurt")[0] == 65
    assert list(tmp_path.rglob("*.html")) == []


@pytest.fixture(scope="module")
def episode():
    near = {"env.nest_x": [78, 78], "env.nest_y": [26, 26], "env.piles": [[78, 33], [71, 26]]}
    config = load_config(None, {"env.n_ticks": 45, "env.n_ants": 12, "brain.engine": "numba", **near})
    return record_episode(random_genomes(config.brain, 1, np.random.default_rng(6))[0], config, (7, 1))


def test_pictures_are_those_of_the_world_at_their_ticks(episode):
    ticks = shown_ticks(episode)
    assert ticks[-1] == episode.n_ticks == 45
    env = AntForagingEnv(**dataclasses.asdict(episode.config.env))
    env.reset(seed=7)
    for tick, action in enumerate(episode.actions, start=1):
        env.step(action.astype(np.int64))
        if tick in ticks:
            expected = render_frame(env.state, env.config, Layers(hud=False))
            difference = np.abs(frame_at(episode, 7, tick).astype(int) - expected)
            assert difference.max() <= 1  # pheromone is recorded in single precision


def test_behaviour_counts_what_the_ants_did(episode):
    told = {name: amount for name, amount, _ in behaviour(episode)}
    n_ant_ticks = episode.n_ticks * 12
    assert told["moves"] == round(100 * episode.measures["moves"] / n_ant_ticks, 1)
    assert told["leaves pheromone"] == round(100 * episode.measures["deposits"] / n_ant_ticks, 1)
    assert told["turns left"] + told["turns right"] == pytest.approx(
        100 * episode.measures["turns"] / n_ant_ticks, abs=0.11
    )
    hidden = episode.spikes.population("hidden")
    seconds = episode.n_ticks * episode.config.brain.tick_ms / 1000
    assert told["hidden neurons"] == pytest.approx(len(hidden.steps) / hidden.n_neurons / seconds, abs=0.051)


def test_a_png_holds_the_image():
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    content = to_png(image)
    size = int.from_bytes(content[33:37], "big")
    assert content[37:41] == b"IDAT"
    rows = np.frombuffer(zlib.decompress(content[41 : 41 + size]), np.uint8).reshape(5, 22)
    assert (rows[:, 0] == 2).all()
    np.testing.assert_array_equal(rows[:, 1:].cumsum(axis=0, dtype=np.uint8), image.reshape(5, 21))


def test_long_curves_keep_their_extremes_and_short_ones_all_points():
    x = np.arange(5000.0)
    y = np.sin(x)
    y[1234], y[4321], y[2000:2100] = 9.0, -9.0, np.nan
    thin_x, thin_y = thin(x, y)
    assert len(thin_x) <= 602
    assert {(1234.0, 9.0), (4321.0, -9.0)} <= set(zip(thin_x, thin_y, strict=True))
    assert np.isnan(thin_y).any()
    np.testing.assert_array_equal(thin(x[:600], y[:600])[1], y[:600])


@pytest.mark.parametrize(
    "y", [[np.nan, np.inf], [1e308, -1e308], [5.0, 5.0], [0.0, 1e-310], [np.nan, 2.0], [1e299, -1e299], [0.1]]
)
def test_any_values_give_a_chart_of_numbers_or_none(y):
    y = np.array(y)
    x = np.arange(len(y))
    drawn = chart("a < b", [Curve("a", x, y, "best")], [Band("b", x, y, y, "wide")])
    assert bool(drawn) == (np.isfinite(y) & (np.abs(y) < 1e300)).any()
    assert not re.search(r"\bnan\b|\binf\b|a < b", drawn)


def test_a_distribution_of_very_many_generations_stays_small_and_says_nothing_of_failed_ones():
    rng = np.random.default_rng(1)
    generation = np.repeat(np.arange(1000), 64)
    fitness = rng.normal(size=64_000)
    fitness[generation < 10] = np.nan
    assert 1000 < len(distribution(generation, fitness)) < 40_000
    assert distribution(generation, np.full(64_000, np.nan)) == ""


def test_markdown_tables_have_as_many_cells_as_their_head():
    page = Page(markdown("# T <b>\n\nsome\ntext\n\n| a | b |\n| --- | --- |\n| 1 | 2 | 3 |\n| 4 |\n"))
    assert page.tables == [[["a", "b"], ["1", "2"], ["4", ""]]]
    assert "T <b>" in page.shown
    assert "some text" in page.shown
