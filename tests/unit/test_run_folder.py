"""Run folders: made whole, used by one process, checkpoints that fall back, provenance that tells what changed."""

import errno
import fcntl
import os

import numpy as np
import pytest

from experiments import checkpoints, files, lock
from experiments.files import DataError, StorageError
from experiments.run_folder import RunFolder
from experiments.sonata import read_sonata
from experiments.storage import SCHEMA, reading
from snn.spike_trains import SpikeTrains
from tests.unit.test_storage import STATE, assert_equal_state

MANIFEST = {"config": {"seed": 1}, "n_ranks": 2, "commit": "abc"}


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "a", "seed = 1\n")


def test_a_run_folder_that_exists_is_refused_and_untouched(run):
    before = sorted(run.path.rglob("*"))
    with pytest.raises(StorageError, match=r"exists already: continue it with --resume .* --name"):
        RunFolder.create(run.path, "seed = 2\n")
    assert sorted(run.path.rglob("*")) == before
    assert (run.path / "config.toml").read_text() == "seed = 1\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be made \(.*file: File exists\).*--runs"):
        RunFolder.create(tmp_path / "file" / "run", "")


def test_a_folder_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(StorageError, match=r"cannot be made .*No space left"):
        RunFolder.create(tmp_path / "runs" / "a", "seed = 1\n")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_link_to_another_place_is_no_new_run(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="exists already"):
        RunFolder.create(tmp_path / "a", "")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no run folder: it has no config.toml"):
        RunFolder(tmp_path)


def test_a_run_without_its_checkpoints_is_refused(run):
    (run.path / "checkpoints").rmdir()
    with pytest.raises(StorageError, match="it has no checkpoints"):
        RunFolder(run.path)


def test_empty_folders_that_a_copy_has_lost_are_made_again_by_the_process_that_uses_it(run):
    names = ["generations", "journal", "spikes"]
    for name in names:
        (run.path / name).rmdir()
    copy = RunFolder(run.path)
    assert copy.read_results(["generations"]) == {"generations": {}}  # a reader changes nothing
    with copy.lock():
        assert all((run.path / name).is_dir() for name in names)


def test_a_folder_with_the_name_of_a_leftover_breaks_nothing(run):
    (run.path / ".x.tmp").mkdir()
    with run.lock():
        assert (run.path / ".x.tmp").is_dir()


def test_two_processes_cannot_use_one_run_and_the_second_is_told_who_does(run):
    with run.lock() as warning:
        assert warning == ""
        told = rf"in use by another process, {os.getpid()} on .+ since \d{{4}}-.*\+00:00: wait for it"
        with pytest.raises(StorageError, match=told), run.lock():
            pass
    assert lock.holder(run.path / ".lock") == {}
    with run.lock():
        pass


def test_the_name_of_a_killed_process_in_the_lock_file_keeps_nobody_out(run):
    (run.path / ".lock").write_text('{"pid": 1, "host": "elsewhere", "since_utc": "2026"}')
    assert lock.holder(run.path / ".lock")["pid"] == 1
    with run.lock():
        assert lock.holder(run.path / ".lock")["pid"] == os.getpid()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_a_warning(run, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with run.lock() as warning:
        assert "has no locks: make sure that no other process uses this run" in warning


def test_a_link_planted_as_the_lock_file_is_not_followed(run, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (run.path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"), run.lock():
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_leftovers_of_a_killed_process_are_removed_by_the_next(run):
    leftover = run.path / "generations" / ".gen_000000.h5.123.tmp"
    leftover.write_bytes(b"half")
    with run.lock():
        assert not leftover.exists()


def test_a_checkpoint_keeps_the_state_and_where_it_comes_from(run):
    path = run.checkpoints.write(4, STATE, MANIFEST)
    checkpoint, refused = run.checkpoints.newest()
    assert refused == []
    assert checkpoint.path == path
    assert checkpoint.manifest == MANIFEST | {"schema": SCHEMA, "generation": 4}
    assert_equal_state(checkpoint.state, STATE)


def test_a_run_without_checkpoint_starts_afresh(run):
    assert run.checkpoints.newest() == (None, [])


def test_the_last_three_checkpoints_are_kept_whatever_their_number_of_digits(run):
    for generation in (1, 2, 3, 999_999, 1_000_000):
        run.checkpoints.write(generation, {"generation": generation}, {})
    assert [path.name.split("-")[0] for path in run.checkpoints.files()] == ["gen_1000000", "gen_999999", "gen_000003"]
    assert run.checkpoints.newest()[0].state == {"generation": 1_000_000}


def test_a_checkpoint_of_the_same_generation_takes_the_place_of_the_other(run):
    run.checkpoints.write(1, {"a": 1}, {"n_ranks": 1})
    run.checkpoints.write(1, {"a": 1}, {"n_ranks": 2})
    assert len(run.checkpoints.files()) == 1
    assert run.checkpoints.newest()[0].manifest["n_ranks"] == 2


def test_only_damaged_checkpoints_are_an_error_with_their_names(run):
    path = run.checkpoints.write(1, STATE, {})
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"no checkpoint in .* can be read. {path.name} is damaged"):
        run.checkpoints.newest()


def test_a_checkpoint_of_a_newer_schema_is_refused_with_both_versions(run, monkeypatch):
    run.checkpoints.write(1, STATE, {})
    monkeypatch.setattr("experiments.storage.SCHEMA", SCHEMA + 1)
    run.checkpoints.write(2, STATE, {})
    monkeypatch.undo()
    with pytest.raises(DataError, match=rf"has schema {SCHEMA + 1}, this version reads up to {SCHEMA}"):
        run.checkpoints.newest()


def test_a_kill_between_write_and_rename_of_a_checkpoint_leaves_the_run_resumable(run, monkeypatch):
    def killed(temporary, path):
        temporary.rename(path.parent / f".{path.name}.1.tmp")  # a kill cannot tidy up
        raise KeyboardInterrupt

    run.checkpoints.write(1, {"a": 1}, {})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            run.checkpoints.write(2, STATE, {})
    assert run.checkpoints.newest()[0].state == {"a": 1}


def test_spikes_of_a_generation_are_read_back_equal_and_the_index_shows_all(run):
    import h5py

    trains = SpikeTrains(np.array([2, 5]), np.array([0, 3]), 1.0, 40, {"input": 2, "hidden": 3})
    run.index_spikes()
    assert list((run.path / "spikes").iterdir()) == []  # nothing to show
    for generation in (3, 4):
        run.write_spikes(generation, trains, {"generation": generation, "fitness": 1.5})
    run.index_spikes()
    path = run.path / "spikes" / "gen_000003.h5"
    assert read_sonata(path).equals(trains)
    with reading(path) as file:
        assert (file.attrs["generation"], file.attrs["fitness"]) == (3, 1.5)
    with h5py.File(run.path / "spikes" / "index.h5") as index:
        assert list(index) == ["gen_000003", "gen_000004"]
        np.testing.assert_array_equal(index["gen_000004/spikes/hidden/timestamps"][:], [5.0])


def test_a_start_with_other_versions_tells_each_difference_and_records_it(run):
    first = {"versions": {"numpy": "1", "h5py": "3"}, "python": "3.11", "commit": "a", "host": "x"}
    assert run.add_start(first) == {}
    assert run.add_start(first | {"host": "y"}) == {}
    assert run.add_start(first | {"versions": {"numpy": "2", "h5py": "3"}, "commit": "b"}) == {
        "commit": ("a", "b"),
        "numpy": ("1", "2"),
    }
    assert run.starts()[-1]["changed"] == {"commit": ["a", "b"], "numpy": ["1", "2"]}
    assert [start["host"] for start in run.starts()] == ["x", "y", "x"]


@pytest.mark.parametrize(
    "content", ["[{", "3", '["a"]', '{"a": 1}', '["ab"]', '[{"command": 3}]', '[{"command": [1]}]', 100_000 * "["]
)
def test_damaged_provenance_is_named(run, content):
    (run.path / "provenance.json").write_text(content)
    with pytest.raises(DataError, match=r"provenance.json is damaged"):
        run.add_start({"seed": 1})
