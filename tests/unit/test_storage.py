"""Run folders: atomic files, checkpoints that fall back, records that merge, spikes that others can read."""

import ast
import errno
from pathlib import Path

import numpy as np
import pytest

from experiments import run_folder, storage
from experiments.run_folder import RunFolder
from experiments.sonata import read_sonata
from experiments.storage import StorageError, write_text
from snn.spike_trains import SpikeTrains


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "a", "seed = 1\n")


def record(generation, n=3):
    failures = np.array(["Traceback …\nValueError: ü"] if generation == 1 else [], dtype=np.str_)
    return {
        "individuals": {"fitness": np.arange(n) + 0.5 * generation, "genome": np.full((n, 4), float(generation))},
        "failures": {"traceback": failures},
        "generations": {"generation": np.array([generation])},
    }


STATE = {
    "optimizer": {
        "population": np.arange(6.0).reshape(2, 3),
        "rng": {"state": {"state": 2**127 + 1, "inc": 3}, "bit_generator": "PCG64"},
        "is_asked": False,
    },
    "progress": {"generation": 4, "best_fitness": -np.inf, "best_genome": np.empty(0)},
}


def assert_equal_state(ours, expected):
    assert ours.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            assert_equal_state(ours[key], value)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(ours[key], value)
            assert ours[key].dtype == value.dtype
        else:
            assert ours[key] == value
            assert type(ours[key]) is type(value)


def test_a_run_folder_that_exists_is_refused_and_untouched(run):
    before = sorted(run.path.rglob("*"))
    with pytest.raises(StorageError, match=r"exists already: continue it with --resume .* --name"):
        RunFolder.create(run.path, "seed = 2\n")
    assert sorted(run.path.rglob("*")) == before
    assert (run.path / "config.toml").read_text() == "seed = 1\n"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be made: .*--runs"):
        RunFolder.create(tmp_path / "file" / "run", "")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no run folder: it has no config.toml"):
        RunFolder(tmp_path)


def test_two_processes_cannot_use_one_run(run):
    with run.lock(), pytest.raises(StorageError, match="in use by another process"), run.lock():
        pass
    with run.lock():
        pass


def test_state_survives_the_round_trip_with_types_and_large_integers(run):
    run.write_checkpoint(4, STATE)
    state, refused = run.read_checkpoint()
    assert refused == []
    assert_equal_state(state, STATE)


def test_a_run_without_checkpoint_starts_afresh(run):
    assert run.read_checkpoint() == (None, [])


def test_the_last_three_checkpoints_are_kept(run):
    for generation in range(1, 7):
        run.write_checkpoint(generation, {"generation": generation})
    assert [int(path.name[4:10]) for path in sorted((run.path / "checkpoints").iterdir())] == [4, 5, 6]
    assert run.read_checkpoint()[0] == {"generation": 6}


@pytest.mark.parametrize("damage", ["empty", "cut", "flip", "text"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(run, damage):
    run.write_checkpoint(1, STATE)
    run.write_checkpoint(2, {"generation": 2})
    newest = max((run.path / "checkpoints").iterdir())
    content = bytearray(newest.read_bytes())
    for position in np.random.default_rng(0).integers(len(content), size=20).tolist():
        damaged = {
            "empty": b"",
            "cut": bytes(content[:position]),
            "flip": bytes(content[:position]) + bytes([content[position] ^ 1]) + bytes(content[position + 1 :]),
            "text": b"not HDF5",
        }[damage]
        newest.write_bytes(damaged)
        state, refused = run.read_checkpoint()
        assert_equal_state(state, STATE)
        assert len(refused) == 1
        assert newest.name in refused[0]


def test_only_damaged_checkpoints_are_an_error_with_their_names(run):
    run.write_checkpoint(1, STATE)
    path = next((run.path / "checkpoints").iterdir())
    path.write_bytes(b"")
    with pytest.raises(StorageError, match=f"no checkpoint of .* can be read. {path.name} is damaged"):
        run.read_checkpoint()


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_half_written(run, monkeypatch):
    run.write_checkpoint(1, STATE)
    before = sorted(run.path.rglob("*"))

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "_sync", full)
    with pytest.raises(OSError, match="No space left"):
        run.write_checkpoint(2, STATE)
    with pytest.raises(OSError, match="No space left"):
        run.write_generation(0, record(0))
    assert sorted(run.path.rglob("*")) == before
    assert_equal_state(run.read_checkpoint()[0], STATE)


def test_records_read_the_same_before_and_after_merging(run):
    for generation in range(3):
        run.write_generation(generation, record(generation))
    before = run.read_results()
    run.merge()
    after = run.read_results()
    assert list((run.path / "generations").iterdir()) == []
    np.testing.assert_array_equal(before["individuals"]["fitness"], [0, 1, 2, 0.5, 1.5, 2.5, 1, 2, 3])
    assert before["failures"]["traceback"].tolist() == ["Traceback …\nValueError: ü"]
    for table, columns in before.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(after[table][column], values)


def test_a_generation_that_is_repeated_after_a_kill_is_stored_once(run):
    run.write_generation(0, record(0))
    run.merge()
    run.write_generation(0, record(0))
    run.write_generation(1, record(1))
    assert run.read_results()["generations"]["generation"].tolist() == [0, 1]
    run.merge()
    assert run.read_results()["generations"]["generation"].tolist() == [0, 1]


def test_long_runs_merge_on_the_way_so_that_files_stay_few(run, monkeypatch):
    monkeypatch.setattr(run_folder, "_MERGE_EVERY", 5)
    for generation in range(12):
        run.write_generation(generation, record(generation))
        assert len(list((run.path / "generations").iterdir())) < 5
    assert run.read_results()["generations"]["generation"].tolist() == list(range(12))


def test_text_is_replaced_as_a_whole(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_paths_may_be_texts_and_missing_folders_are_named(tmp_path):
    writers = {
        "a.txt": lambda path: write_text(path, "one"),
        "a.npz": lambda path: storage.write_genomes(path, np.zeros((1, 2)), np.ones((1, 2))),
        "a.h5": lambda path: storage.commit(path, lambda file: file.create_group("a")),
    }
    for name, write in writers.items():
        write(str(tmp_path / name))
        with pytest.raises(StorageError, match=rf"{name} cannot be written: the folder .*missing does not exist"):
            write(str(tmp_path / "missing" / name))
    storage.commit(str(tmp_path / "b.h5"), lambda file: None, start_from=str(tmp_path / "a.h5"))
    with storage.reading(str(tmp_path / "b.h5")) as file:
        assert list(file) == ["a"]
    assert storage.digest(str(tmp_path / "a.txt")) == storage.digest(tmp_path / "a.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "a.npz", "a.txt", "b.h5"]


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(StorageError, match=r"a.h5 does not exist"), storage.reading(tmp_path / "a.h5"):
        pass


def test_a_kill_between_write_and_rename_of_a_checkpoint_leaves_the_run_resumable(run, monkeypatch):
    def killed(temporary, path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            run.write_checkpoint(1, STATE)
    assert run.read_checkpoint() == (None, [])


def test_spikes_of_a_generation_are_read_back_equal_with_their_origin(run):
    trains = SpikeTrains(np.array([2, 5]), np.array([0, 3]), 1.0, 40, {"input": 2, "hidden": 3})
    run.write_spikes(3, trains, {"generation": 3, "fitness": 1.5})
    path = run.path / "spikes" / "gen_000003.h5"
    assert read_sonata(path).equals(trains)
    with storage.reading(path) as file:
        assert (file.attrs["generation"], file.attrs["fitness"]) == (3, 1.5)
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_leftovers_of_a_killed_process_are_removed_by_the_next(run):
    leftover = run.path / "generations" / ".gen_000000.h5.123.tmp"
    leftover.write_bytes(b"half")
    with run.lock():
        assert not leftover.exists()


def test_damaged_provenance_is_named(run):
    (run.path / "provenance.json").write_text("[{")
    with pytest.raises(StorageError, match=r"provenance.json is damaged"):
        run.add_provenance({"seed": 1})


@pytest.mark.parametrize("folder", ["generations", "checkpoints", "spikes"])
def test_a_run_with_a_folder_missing_is_refused(run, folder):
    (run.path / folder).rmdir()
    with pytest.raises(StorageError, match=f"it has no {folder}"):
        RunFolder(run.path)


def test_single_tables_can_be_read(run):
    run.write_generation(0, record(0))
    assert list(run.read_results(["generations"])) == ["generations"]


def test_nothing_we_ship_can_run_code_from_a_file():
    root = Path(storage.__file__).parents[1]
    for source in (
        path for package in ("snn", "envs", "optim", "experiments") for path in (root / package).glob("*.py")
    ):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "shelve", "marshal"}, source
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert [ast.unparse(k.value) for k in node.keywords if k.arg == "allow_pickle"] == ["False"], source
                assert len(node.args) == 1, source
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec"), source
