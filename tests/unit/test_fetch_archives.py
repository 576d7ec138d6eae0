"""`stigmergy fetch-data` from archives: checked before they are opened, and only what is wanted comes out."""

import gzip
import hashlib
import io
import tarfile
import zipfile

import numpy as np
import pytest

from experiments import fetch_data
from experiments.data_files import DATA_SETS
from experiments.datasets import load
from experiments.fetch_data import SOURCES, Archive, Source
from tests.unit.idx_cases import IMAGES, LABELS, idx, known
from tests.unit.web_cases import fetching, names, serving


def zip_of(members, extra):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, value)
        if extra:
            for name in ("../evil", "/tmp/evil", "in/../../evil"):
                archive.writestr(name, b"evil")
    return content.getvalue()


def tar_of(members, extra):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        if extra:
            for name in ("../evil", "/tmp/evil"):
                archive.addfile(tarfile.TarInfo(name))
            for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "x"), (tarfile.CHRTYPE, "")):
                link = tarfile.TarInfo("in/a-x")
                link.type, link.linkname = kind, target
                archive.addfile(link)
        for name, value in members.items():
            for copy in (value, b"a second one of that name"):
                entry = tarfile.TarInfo(name)
                entry.size = len(copy)
                archive.addfile(entry, io.BytesIO(copy))
    return content.getvalue()


ARCHIVES = {"all.zip": (zip_of, ".gz"), "all.tar.gz": (tar_of, "")}


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def fetch(server, tmp_path, capsys):
    return fetching(server, tmp_path, capsys)


@pytest.fixture(params=ARCHIVES)
def archive(request, server, monkeypatch):
    """Function that lets a server give members in an archive of which the checksum is right."""
    make, suffix = ARCHIVES[request.param]

    def serve(contents, extra=True):
        members = {f"in/{name}{suffix}": gzip.compress(value) if suffix else value for name, value in contents.items()}
        packed = make(members, extra)
        sha256 = hashlib.sha256(packed).hexdigest()
        listed = Archive(request.param, len(packed), sha256, "in")
        monkeypatch.setitem(SOURCES, "mnist", Source((), listed, suffix))
        server.answers[request.param] = packed
        return suffix

    files = tuple(known(f"mnist/{name}", array) for name, array in (("a-x", IMAGES), ("a-y", LABELS)))
    monkeypatch.setitem(DATA_SETS, "mnist", ({"train": files, "test": files},))
    return serve


def test_only_the_wanted_files_come_out_of_an_archive(server, archive, fetch, tmp_path):
    (tmp_path / "data").mkdir()
    suffix = archive({"a-x": idx(IMAGES), "a-y": idx(LABELS), "other": b"unwanted"})
    assert fetch("--data", str(tmp_path / "data"))[0] == 0
    assert names(tmp_path) == [f"data/mnist/a-x{suffix}", f"data/mnist/a-y{suffix}"]
    np.testing.assert_array_equal(load("mnist", "test", tmp_path / "data").labels, LABELS)


def test_another_archive_is_not_even_opened(server, archive, fetch, tmp_path, monkeypatch):
    archive({"a-x": idx(IMAGES), "a-y": idx(LABELS)})
    for name in server.answers:
        server.answers[name] = server.answers[name][:-1] + b"!"
    monkeypatch.setattr(fetch_data, "_members", None)
    code, _, err = fetch()
    assert code == 65
    assert "is another file: expected the sha256 " in err
    assert names(tmp_path) == []


def test_an_archive_without_a_wanted_file_or_with_a_wrong_one_is_refused(archive, fetch, tmp_path):
    suffix = archive({"a-y": idx(LABELS)}, extra=False)
    code, _, err = fetch()
    assert code == 65
    assert f"expected in/a-x{suffix} in it, found none of that name" in err
    archive({"a-x": idx(IMAGES + 1), "a-y": idx(LABELS)})
    code, _, err = fetch()
    assert code == 65
    assert f", in/a-x{suffix} is not the known mnist/a-x: expected the sha256" in err


def test_a_bomb_in_an_archive_is_not_written_out(archive, fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_data, "_PIECE", 1000)
    monkeypatch.setattr(fetch_data, "_SLACK", 2000)
    archive({"a-x": np.random.default_rng(0).bytes(10**6), "a-y": idx(LABELS)})
    code, _, err = fetch()
    assert code == 65
    assert "is too long: expected at most 2,076 bytes, found more" in err
    assert [name for name in names(tmp_path) if "a-x" in name] == []
