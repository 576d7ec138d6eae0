"""The web page of a colony in a real browser: what it shows is the recording, and its controls do what they say.

Needs Chromium and the package websocket-client.
"""

import numpy as np
import pytest

from envs.render import ANT as ANT_COLOUR
from envs.render import LOADED_ANT
from experiments import replay
from experiments.colonies import Colony
from experiments.config import load_config
from experiments.recorded_episode import record_episode
from experiments.replay_data import pheromone_levels
from snn import random_genomes
from tests.reference.chromium import CHROMIUM, Browser, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path"),
]

SEEDS = (7, 1)
ANT = 2
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
SETTINGS = {
    "brain.engine": "numba",
    "env.n_ticks": 300,
    "env.nest_x": [78, 78],
    "env.nest_y": [26, 26],
    "env.piles": [[78, 33], [71, 26], [96, 40]],
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def episode():
    config = load_config(None, SETTINGS)
    return record_episode(random_genomes(config.brain, 1, np.random.default_rng(6))[0], config, SEEDS)


def make_page(episode, name):
    colony = Colony(name, np.zeros(0), episode.config)
    return replay.make_page(episode, replay.describe(colony, episode, None, 0, SEEDS[0]))


@pytest.fixture(scope="module")
def page(episode, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "colony.html"
    path.write_text(make_page(episode, "some colony"))
    return path


def test_it_plays_without_a_complaint_or_a_request(browser, page):
    browser.open(page)
    first = browser.state
    assert first["isPlaying"]
    later = wait_for(lambda: state if (state := browser.state)["tick"] > first["tick"] + 5 else None)
    assert later["tick"] < 300
    assert browser.value("document.getElementById('tick').textContent") != "0"
    browser.press(" ", " ")
    stopped = browser.state
    assert not stopped["isPlaying"]
    browser.settle()
    assert browser.state["time"] == stopped["time"]
    assert browser.complaints() == []
    requests = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert [url for url in requests if not url.startswith("data:")] == [page.as_uri()]


def test_the_arrays_in_the_page_are_the_recording(browser, page, episode):
    browser.open(page, "#tick=0")
    for neuron, (name, size, k) in {
        0: ("hidden", 20, 0),
        7: ("hidden", 20, 7),
        20: ("output", 4, 0),
        22: ("output", 4, 2),
    }.items():
        trains = episode.spikes.population(name).trains()
        assert browser.value(f"stigmergy.spikeSteps({ANT}, {neuron})") == trains[ANT * size + k].tolist()
    counts = browser.value(
        "Array.from({length: 15}, (_, a) => Array.from({length: 24}, (_, k) => stigmergy.spikeSteps(a, k).length))"
    )
    hidden, output = (episode.spikes.population(name).counts().reshape(15, -1) for name in ("hidden", "output"))
    np.testing.assert_array_equal(counts, np.hstack([hidden, output]))
    for name in ("x", "y", "heading"):
        ours = np.array(browser.value(f"stigmergy.array('{name}')")).reshape(15, 301)
        assert np.abs(ours - getattr(episode, name).T).max() <= 1 / 128
    obs = browser.value(
        "Array.from({length: 15}, (_, a) => Array.from({length: 11}, (_, k) =>"
        " Array.from({length: 300}, (_, t) => +stigmergy.isSensing(a, k, t))))"
    )
    np.testing.assert_array_equal(obs, episode.obs.transpose(1, 2, 0))
    x_min, x_max, y_min, y_max = episode.config.env.arena
    for tick, index in ((0, 0), (149, 22), (300, -1)):  # updated after ticks 0, 7, ..., 147, so in the state before 148
        field = episode.pheromone[index, y_min : y_max + 1, x_min : x_max + 1]
        assert browser.value(f"stigmergy.field({tick})") == pheromone_levels(field, 60.0).ravel().tolist()
    changes = episode.food_changes
    for tick in (300, changes.tick[0] - 1, changes.tick[0], changes.tick[-1] - 1):
        food, is_past = episode.first_food.copy(), changes.tick <= tick
        for patch, units in zip(changes.patch[is_past], changes.units[is_past], strict=True):
            food.flat[patch] = units
        shown = browser.value(f"stigmergy.food({tick})")
        assert shown == food[y_min : y_max + 1, x_min : x_max + 1].ravel().tolist()
    assert browser.value("stigmergy.array('returned')") == episode.returned.tolist()
    assert browser.value("stigmergy.array('fitness').at(-1)") == pytest.approx(episode.measures["fitness"], abs=0.0051)


def test_slider_curve_and_keys_go_to_a_tick(browser, page):
    browser.open(page, "#tick=0")
    browser.click_on("#slider", across=0.5)
    assert browser.state["tick"] == pytest.approx(150, abs=1)
    browser.click_on("#curve", across=0.25)
    assert browser.state["tick"] == pytest.approx(75, abs=2)
    tick = browser.state["tick"]
    browser.press("ArrowRight")
    browser.press("ArrowRight", modifiers=8)
    assert browser.state["tick"] == tick + 21
    browser.press("ArrowLeft")
    assert browser.state["tick"] == tick + 20
    browser.press("End")
    assert (browser.state["tick"], browser.value("document.getElementById('tick').textContent")) == (300, "300")
    browser.press("Home")
    browser.press("ArrowUp")
    assert (browser.state["tick"], browser.state["speed"]) == (0, 50)
    assert browser.complaints() == []


def test_a_click_on_an_ant_shows_what_it_senses_and_fires(browser, page, episode):
    tick = next(t for t in range(60, 300) if is_alone(episode, t))
    browser.open(page, f"#tick={tick}")
    place = browser.value(f"stigmergy.placeOf({ANT})")
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", x=place["x"], y=place["y"])
    assert browser.value("document.getElementById('tooltip').textContent").startswith(f"ant {ANT}")
    browser.click(**place)
    assert browser.state["selected"] == ANT
    assert browser.value("document.getElementById('ant-view').hidden") is False
    raster = browser.state["raster"]
    assert raster["first"] == pytest.approx(min(tick - 12.5, 300 - 25))
    trains = episode.spikes.population("hidden").trains()[20 * ANT : 20 * ANT + 20]
    trains += episode.spikes.population("output").trains()[4 * ANT : 4 * ANT + 4]
    first, last = 20 * raster["first"], 20 * (raster["first"] + 25)
    assert raster["spikes"] == [train[(train > first) & (train <= last)].tolist() for train in trains]
    assert sum(map(len, raster["spikes"])) > 50
    lit = browser.value("[...document.querySelectorAll('#sensors b')].filter(b => b.className === 'is-active').length")
    assert lit == episode.obs[tick, ANT].sum()
    shown = browser.value("[...document.querySelectorAll('#motors .count')].map(c => Number(c.textContent))")
    assert shown == [int(((train > 20 * tick) & (train <= 20 * tick + 20)).sum()) for train in trains[20:]]
    browser.press("Escape")
    assert browser.state["selected"] == -1


def is_alone(episode, tick):
    distance = np.hypot(episode.x[tick] - episode.x[tick, ANT], episode.y[tick] - episode.y[tick, ANT])
    return np.sort(distance)[1] > 4.0


def test_ants_are_painted_where_they_are(browser, page, episode):
    tick = 120
    browser.open(page, f"#tick={tick}")
    for name in browser.state["layers"]:
        if name != "ants":
            browser.click_on(f"#layer-{name}")
    picture = browser.picture("arena").astype(int)
    height, width = picture.shape[:2]
    scale = min((width - 4) / 41, (height - 4) / 60)
    columns = width / 2 + (episode.x[tick] - 80.0) * scale  # the arena is 60 ... 100 by 1 ... 60
    rows = height / 2 - (episode.y[tick] - 30.5) * scale
    down, right = np.mgrid[:height, :width] + 0.5
    distance = np.hypot(right[..., np.newaxis] - columns, down[..., np.newaxis] - rows) / scale
    for colour, has_it in ((ANT_COLOUR, ~episode.is_carrying[tick]), (LOADED_ANT, episode.is_carrying[tick])):
        is_painted = np.abs(picture[..., :3] - colour).max(axis=2) < 8
        assert (distance[is_painted][:, has_it].min(axis=1, initial=np.inf) < 1.6).all()
        is_alone = np.sort(np.hypot(*(np.subtract.outer(p, p) for p in (columns, rows))), axis=1)[:, 1] > 3 * scale
        assert all((is_painted & (distance[..., ant] < 0.9)).any() for ant in np.flatnonzero(has_it & is_alone))


def test_the_raster_paints_the_spikes_where_they_are(browser, page, episode):
    ratio = 3
    browser.open(page, f"#tick=100&ant={ANT}", ratio=ratio)
    browser.value(
        "(() => { const w = document.getElementById('window'); w.value = '10';"
        "w.dispatchEvent(new Event('change')); return true; })()"
    )
    picture = browser.picture("raster").astype(int)
    state = browser.state
    assert state["raster"]["first"] == 95  # so that the window holds the steps 1901 ... 2100
    is_bright = picture[..., :3].max(axis=2) * picture[..., 3] // 255 > 90
    gutter, edge = 78 * ratio, 6 * ratio
    middles = gutter + (np.arange(200) + 0.5) * (picture.shape[1] - gutter - edge) / 200
    is_beside_line = np.abs(np.arange(200) + 0.5 - 100) > 1.5  # the line of the current tick
    for (top, height), steps in zip(browser.value("stigmergy.rowsOfRaster()"), state["raster"]["spikes"], strict=True):
        is_painted = is_bright[round((top + height / 2) * ratio), middles.astype(int)]
        has_fired = np.isin(np.arange(1901, 2101), steps)
        np.testing.assert_array_equal(is_painted[is_beside_line], has_fired[is_beside_line])


def test_a_click_in_the_raster_goes_there_and_rests(browser, page):
    browser.open(page, f"#tick=150&ant={ANT}")
    browser.press(" ", " ")
    browser.click_on("#raster", across=0.9)
    state = browser.state
    assert not state["isPlaying"]
    assert 155 < state["tick"] < 170


def test_layers_are_switched_off_and_on(browser, page):
    browser.open(page, f"#tick=200&ant={ANT}")
    whole = browser.picture("arena")
    for name in browser.state["layers"]:
        browser.click_on(f"#layer-{name}")
        assert browser.state["layers"][name] is False
        assert browser.value(f"document.getElementById('layer-{name}').getAttribute('aria-checked')") == "false"
        assert name == "deposits" or (browser.picture("arena") != whole).any(), name
        browser.click_on(f"#layer-{name}")
        np.testing.assert_array_equal(browser.picture("arena"), whole)


def test_a_row_of_the_colony_chooses_its_ant(browser, page):
    browser.open(page, "#tick=0")
    browser.click_on("#colony", down=0.01, across=0.5)
    assert browser.state["selected"] == 0
    browser.press("n")
    browser.press("f")
    assert (browser.state["selected"], browser.state["isFollowing"]) == (1, True)


@pytest.mark.parametrize("size", [(1280, 800), (1000, 640), (390, 844)])
def test_nothing_sticks_out_of_a_window(browser, page, size):
    for address in ("#tick=100", f"#tick=100&ant={ANT}"):
        browser.open(page, address, size)
        assert browser.value("document.documentElement.scrollWidth") <= size[0]
        if size[0] > 860:
            assert browser.value("document.documentElement.scrollHeight") <= size[1]


def test_a_hostile_name_is_shown_and_does_not_run(browser, episode, tmp_path):
    path = tmp_path / "colony.html"
    path.write_text(make_page(episode, HOSTILE))
    browser.open(path, "#tick=0")
    assert browser.value("document.getElementById('name').textContent") == HOSTILE
    assert browser.value("window.hacked === undefined && document.images.length === 0") is True
    assert browser.complaints() == []


@pytest.mark.parametrize("part", ["cut off", "changed", "without its header"])
def test_a_damaged_page_says_so(browser, page, tmp_path, part):
    text = page.read_text()
    middle = text.index('id="stream"') + 5000
    text = {
        "cut off": text[:middle],
        "changed": text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :],
        "without its header": text.replace('{"name": ', "", 1),
    }[part]
    path = tmp_path / "damaged.html"
    path.write_text(text)
    browser.open(path)
    problem = browser.value("document.getElementById('problem').textContent")
    assert "damaged" in problem
    assert browser.value("document.getElementById('app').hidden") is True


def test_a_browser_that_cannot_unpack_says_so(browser, page):
    source = "delete window.DecompressionStream"
    added = browser.send("Page.addScriptToEvaluateOnNewDocument", source=source)
    try:
        browser.open(page)
        assert "This browser cannot show" in browser.value("document.getElementById('problem').textContent")
    finally:
        browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
