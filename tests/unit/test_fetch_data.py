"""`stigmergy fetch-data`: what a server gives gets its name only when it is right. The servers run on this machine."""

import contextlib
import gzip

import numpy as np
import pytest

from experiments.cli import main
from experiments.data_files import DATA_SETS
from experiments.datasets import load
from experiments.download import is_allowed
from experiments.fetch_data import SOURCES, Source
from tests.conftest import ROOT
from tests.unit.idx_cases import IMAGES, idx, put, small_mnist
from tests.unit.web_cases import fetching, names, serving

ENDLESS = 10**9


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path, capsys):
    return fetching(server, tmp_path, capsys)


@pytest.fixture
def mnist(server, monkeypatch):
    """The small data set, all of which the server has."""
    contents = small_mnist(monkeypatch)
    server.give(contents)
    return contents


def test_a_data_set_is_downloaded_checked_and_then_left_alone(server, mnist, fetch, tmp_path):
    code, out, err = fetch()
    assert (code, out, err) == (0, f"mnist is in {tmp_path}\n", "")
    assert names(tmp_path) == [f"{name}.gz" for name in sorted(mnist)]
    np.testing.assert_array_equal(load("mnist", "train", tmp_path).pixels, IMAGES)
    server.asked.clear()
    assert fetch() == (0, f"mnist is already there, whole, in {tmp_path}\n", "")
    assert server.asked == []


def test_only_what_is_missing_is_downloaded(server, mnist, fetch, tmp_path):
    put(tmp_path, {"mnist/a-x": mnist["mnist/a-x"]})
    assert fetch()[0] == 0
    assert sorted(server.asked) == ["a-y.gz", "b-x.gz", "b-y.gz"]


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_damaged_file_is_refused_and_with_force_replaced(server, mnist, fetch, tmp_path, is_packed):
    put(tmp_path, mnist, is_packed=True)
    (tmp_path / "mnist" / "a-x.gz").unlink()
    put(tmp_path, {"mnist/a-x": idx(IMAGES + 1)}, is_packed)
    before = names(tmp_path)
    code, _, err = fetch()
    assert code == 65
    assert "is not the known mnist/a-x: expected the sha256" in err
    assert "With --force it is downloaded again and replaced." in err
    assert (names(tmp_path), server.asked) == (before, [])
    assert fetch("--force")[0] == 0
    assert server.asked == ["a-x.gz"]
    assert names(tmp_path) == [f"{name}.gz" for name in sorted(mnist)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(IMAGES + 1)), "a-x.gz is not the known mnist/a-x: expected the sha256"),
        (gzip.compress(idx(IMAGES))[:-4], "a-x.gz is damaged: expected a whole gzip file"),
        (b"<html>Sign in</html>", "a-x.gz is no IDX file"),
    ],
    ids=["another file", "cut", "a page"],
)
def test_a_wrong_file_gets_no_name_and_leaves_nothing(server, mnist, fetch, tmp_path, content, message):
    server.answers["a-x.gz"] = content
    code, _, err = fetch()
    assert code == 65
    assert f"error: {server.url}{message}" in err
    assert names(tmp_path) == []


def announcing_too_much(handler):
    handler.answer(200, b"", Content_Length=ENDLESS)


def without_end(handler):
    handler.answer(200, b"")
    with contextlib.suppress(OSError):
        while handler.server.n_sent < 2**28:
            handler.server.n_sent += handler.wfile.write(bytes(2**16))


def ending_early(handler):
    handler.answer(200, b"some", Content_Length=50)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (announcing_too_much, r"is too long: expected at most 1,048,652 bytes, found 1,000,000,000"),
        (without_end, r"is too long: expected at most 1,048,652 bytes, found 1,"),
        (ending_early, "ended early: expected 50 bytes, found 4"),
        (404, "cannot be downloaded: 404 Not Found"),
        (
            "http://example.com/a-x.gz",
            "leads to http://example.com/a-x.gz, expected an address that begins with https://",
        ),
        (
            "file:///etc/passwd",
            "cannot be downloaded: 302 Found - Redirection to url 'file:///etc/passwd' is not allowed.",
        ),
        (
            "/a-x.gz",
            "cannot be downloaded: 302 The HTTP server returned a redirect error that would lead to an infinite",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_server_cannot_or_must_not_give_ends_with_its_address(server, mnist, fetch, tmp_path, answer, message):
    server.answers["a-x.gz"] = answer
    code, _, err = fetch()
    assert code == 69
    assert f"error: {server.url}a-x.gz {message}" in err
    assert names(tmp_path) == []
    assert server.n_sent < 2**26


def test_a_redirection_on_this_machine_is_followed(server, mnist, fetch):
    server.answers["other"] = server.answers["a-x.gz"]
    server.answers["a-x.gz"] = f"{server.url}other"
    assert fetch()[0] == 0


def test_a_server_that_does_not_answer_is_named(mnist, fetch, tmp_path):
    code, _, err = fetch("--url", "http://localhost:1")
    assert code == 69
    assert "error: http://localhost:1/a-x.gz cannot be downloaded: " in err


def test_the_next_mirror_is_tried(server, mnist, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SOURCES, "mnist", Source((f"{server.url}none/", server.url)))
    assert main(["fetch-data", "mnist", "--data", str(tmp_path)]) == 0
    assert "none/a-x.gz cannot be downloaded: 404 Not Found. Trying the next mirror.\n" in capsys.readouterr().out
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://localhost/", "file:///data", "localhost", "", "https://", "https://[", "//a/b"],
)
def test_addresses_other_than_https_and_this_machine_are_refused(fetch, url):
    assert not is_allowed(url)
    code, _, err = fetch("--url", url)
    assert code == 64
    assert f"--url {url} is not allowed: expected an address that begins with https://" in err


def test_all_mirrors_are_https():
    assert SOURCES.keys() == DATA_SETS.keys()
    for source in SOURCES.values():
        assert all(is_allowed(base, is_local_allowed=False) for base in source.bases)


def test_an_unknown_name_and_no_folder_are_one_clear_line(tmp_path, monkeypatch, capsys):
    assert main(["fetch-data", "svhn"]) == 64
    assert "invalid choice: 'svhn'" in capsys.readouterr().err
    monkeypatch.setenv("STIGMERGY_DATA", str(tmp_path / "none"))
    assert main(["fetch-data", "mnist"]) == 73
    assert f"the data folder {tmp_path / 'none'} does not exist: make it, or choose" in capsys.readouterr().err


def test_one_file_only_can_download():
    able = [
        path.relative_to(ROOT).as_posix()
        for package in ("snn", "envs", "optim", "experiments")
        for path in (ROOT / package).rglob("*.py")
        if any(word in path.read_text() for word in ("urllib", "http.client", "requests"))
    ]
    assert able == ["experiments/download.py"]
