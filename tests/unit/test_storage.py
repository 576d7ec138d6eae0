"""HDF5 and text files: whole or not at all, tables that grow, states that keep their types."""

import ast
import errno
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments import files, storage
from experiments.files import DataError, StorageError, write_text
from experiments.npz import write_genomes
from optim.tasks import readable

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


def read(path, tables=None):
    with storage.reading(path) as file:
        return storage.read_tables(file, tables)


def grown(path, *parts):
    for tables in parts:
        storage.grow(path, 2**20, lambda file, tables=tables: storage.append_tables(file, tables))
    return read(path)


def test_text_is_replaced_as_a_whole(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_paths_may_be_texts_and_missing_folders_are_named(tmp_path):
    writers = {
        "a.txt": lambda path: write_text(path, "one"),
        "a.npz": lambda path: write_genomes(path, np.zeros((1, 2)), np.ones((1, 2))),
        "a.h5": lambda path: storage.commit(path, lambda file: file.create_group("a")),
        "b.h5": lambda path: storage.grow(path, 1000, lambda file: file.create_group("b")),
    }
    for name, write in writers.items():
        write(str(tmp_path / name))
        with pytest.raises(StorageError, match=rf"{name} cannot be written: the folder .*missing does not exist"):
            write(str(tmp_path / "missing" / name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "a.npz", "a.txt", "b.h5"]


def test_a_file_may_begin_with_a_copy_of_another(tmp_path):
    storage.commit(tmp_path / "a.h5", lambda file: file.create_group("a"))
    storage.commit(str(tmp_path / "b.h5"), lambda file: file.create_group("b"), start_from=str(tmp_path / "a.h5"))
    with storage.reading(tmp_path / "b.h5") as file:
        assert list(file) == ["a", "b"]


def test_tables_read_back_with_their_texts_and_shapes(tmp_path):
    tables = {"t": {"n": np.arange(3), "text": np.array(["a", "ü\n", ""]), "matrix": np.ones((3, 2))}, "empty": {}}
    storage.commit(tmp_path / "a.h5", lambda file: storage.write_tables(file, tables))
    found = read(tmp_path / "a.h5")["t"]
    assert found["n"].tolist() == [0, 1, 2]
    assert found["text"].tolist() == ["a", "ü\n", ""]
    assert found["matrix"].shape == (3, 2)
    assert list(read(tmp_path / "a.h5", [])) == []


def test_rows_are_added_to_tables_and_text_tables_may_begin_empty(tmp_path):
    first = {"t": {"n": np.array([1])}, "f": {"text": np.array([], dtype=np.str_)}}
    second = {"t": {"n": np.array([2, 3])}, "f": {"text": np.array(["ü"])}}
    tables = grown(tmp_path / "a.h5", first, second)
    assert tables["t"]["n"].tolist() == [1, 2, 3]
    assert tables["f"]["text"].tolist() == ["ü"]


def test_a_column_of_floats_that_comes_or_goes_is_nan_elsewhere_and_any_other_is_an_error(tmp_path):
    n, x = np.array([1]), np.array([[0.5, 1.5]])
    tables = grown(tmp_path / "a.h5", {"t": {"n": n}}, {"t": {"n": n, "x": x}}, {"t": {"n": n}})
    np.testing.assert_array_equal(tables["t"]["x"], [[np.nan] * 2, [0.5, 1.5], [np.nan] * 2])
    with pytest.raises(DataError, match="column t/n, which the new rows lack"):
        grown(tmp_path / "a.h5", {"t": {"x": x}})
    with pytest.raises(DataError, match="rows of /t without k"):
        grown(tmp_path / "a.h5", {"t": {"n": n, "k": n}})
    assert len(read(tmp_path / "a.h5")["t"]["n"]) == 3


def test_room_that_was_reserved_and_not_needed_is_given_back(tmp_path):
    storage.grow(tmp_path / "a.h5", 10**7, lambda file: storage.append_tables(file, {"t": {"n": np.arange(10)}}))
    assert (tmp_path / "a.h5").stat().st_size < 10**5


def test_an_index_shows_the_content_of_other_files(tmp_path):
    import h5py

    storage.commit(tmp_path / "a.h5", lambda file: file.create_dataset("x", data=[1, 2]))
    storage.write_links(tmp_path / "index.h5", {"first": "a.h5"})
    with h5py.File(tmp_path / "index.h5") as index:
        assert index["first/x"][:].tolist() == [1, 2]


def test_state_survives_the_round_trip_with_types_large_integers_and_more_than_64_kB(tmp_path):
    state = STATE | {"long": {"list": list(range(20_000))}}
    storage.commit(tmp_path / "a.h5", lambda file: storage.write_state(file, state))
    with storage.reading(tmp_path / "a.h5") as file:
        assert_equal_state(storage.read_state(file), state)


@pytest.mark.parametrize(
    ("write", "n"),
    [
        (lambda path: write_text(path, "new"), "a.txt"),
        (lambda path: storage.commit(path, lambda file: None), "a.h5"),
        (lambda path: storage.grow(path, 100, lambda file: None), "b.h5"),
    ],
)
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_half_written(tmp_path, monkeypatch, write, n):
    write(tmp_path / n)
    old = (tmp_path / n).read_bytes()

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / n}'"):
        write(tmp_path / n)
    assert [path.name for path in tmp_path.iterdir()] == [n]
    assert (tmp_path / n).read_bytes() == old


def test_a_full_disk_is_explained_with_the_file_and_the_free_bytes(tmp_path):
    error = files.named(OSError(errno.ENOSPC, "No space left on device"), tmp_path / "a" / "b.h5")
    text = files.explain(error, Path.cwd())
    free = re.search(r"b.h5 cannot be written: No space left on device, ([\d,]+) bytes are free.*--resume", text)
    assert int(free[1].replace(",", "")) == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert files.explain(OSError(errno.EACCES, "Permission denied"), tmp_path) == f"{tmp_path}: Permission denied."


def test_a_missing_file_is_not_called_damaged(tmp_path):
    with pytest.raises(StorageError, match=r"a.h5 does not exist") as caught, storage.reading(tmp_path / "a.h5"):
        pass
    assert not isinstance(caught.value, DataError)


def test_nothing_we_ship_can_run_code_from_a_file():
    root = Path(storage.__file__).parents[1]
    loaders = {"load", "loads", "Unpickler"}
    for source in (
        path for package in ("snn", "envs", "optim", "experiments") for path in (root / package).glob("*.py")
    ):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"}, source
                assert getattr(node, "module", None) != "pickle", source  # only by its full name, see below
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
                assert node.attr not in loaders, source
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                assert [ast.unparse(k.value) for k in node.keywords if k.arg == "allow_pickle"] == ["False"], source
                assert len(node.args) == 1, source
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("eval", "exec"), source


def test_texts_of_any_task_can_be_stored(tmp_path):
    text = "a\0b \udc80 ü"
    tables = {"t": {"text": np.array([text, "ü\n"])}}
    storage.commit(tmp_path / "a.h5", lambda file: storage.write_tables(file, tables))
    assert read(tmp_path / "a.h5")["t"]["text"].tolist() == [r"a\x00b \udc80 ü", "ü\n"]
    assert grown(tmp_path / "b.h5", tables)["t"]["text"].tolist() == [r"a\x00b \udc80 ü", "ü\n"]


def test_of_an_endless_text_the_begin_and_the_end_are_stored():
    stored = readable("begin" + 10**6 * "x" + "end")
    assert (stored[:6], stored[-4:]) == ("beginx", "xend")
    assert "[... 980,008 characters left out ...]" in stored
    assert len(stored) <= 20_100
    assert readable(stored) == stored  # what a task has told is capped again where it is stored
    assert readable(20_000 * "x") == 20_000 * "x"
