"""Records of generations: the same before and after merging, of any schema, with all or the best genomes."""

import shutil

import numpy as np
import pytest

from experiments import records
from experiments.files import DataError
from experiments.records import Records, concatenate, read_part
from experiments.storage import SCHEMA, commit, reading, write_tables
from tests.conftest import ROOT

FIXTURES = {1: ROOT / "tests/data/run_schema_1", 2: ROOT / "tests/data/run_schema_2"}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "generations").mkdir()
    return Records(tmp_path)


def record(generation, n=3):
    failures = np.array(["Traceback …\nValueError: ü"] if generation == 1 else [], dtype=np.str_)
    return {
        "individuals": {"fitness": np.arange(n) + 0.5 * generation, "genome": np.full((n, 4), float(generation))},
        "failures": {"traceback": failures},
        "generations": {"generation": np.array([generation])},
        "diagnostics": {"generation": np.array([generation]), "sigma": np.array([0.1 * generation])},
    }


def assert_equal_tables(first, second):
    assert {table: set(columns) for table, columns in first.items()} == {t: set(c) for t, c in second.items()}
    for table, columns in first.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(second[table][column], values, err_msg=f"{table}/{column}")


def test_records_read_the_same_before_and_after_merging(run):
    for generation in range(3):
        run.write(generation, record(generation))
    before = run.read()
    assert run.merge() == 3
    assert run.files() == []
    np.testing.assert_array_equal(before["individuals"]["fitness"], [0, 1, 2, 0.5, 1.5, 2.5, 1, 2, 3])
    assert before["failures"]["traceback"].tolist() == ["Traceback …\nValueError: ü"]
    assert_equal_tables(run.read(), before)
    assert run.merge() == 0


def test_merging_in_many_small_batches_changes_nothing(run, monkeypatch):
    for generation in range(5):
        run.write(generation, record(generation))
    before = run.read()
    monkeypatch.setattr(records, "_BATCH", 1)
    run.merge()
    assert_equal_tables(run.read(), before)


def test_a_generation_that_is_repeated_after_a_kill_is_stored_once(run):
    run.write(0, record(0))
    run.merge()
    run.write(0, record(0))
    run.write(1, record(1))
    assert run.read()["generations"]["generation"].tolist() == [0, 1]
    run.merge()
    assert run.read()["generations"]["generation"].tolist() == [0, 1]


def test_long_runs_merge_on_the_way_so_that_files_stay_few(run, monkeypatch):
    monkeypatch.setattr(records, "_MERGE_EVERY", 5)
    for generation in range(12):
        run.write(generation, record(generation))
        assert len(run.files()) < 5
    assert run.read()["generations"]["generation"].tolist() == list(range(12))


def test_single_tables_can_be_read_and_a_run_without_any_has_no_columns(run):
    assert run.read(["generations"]) == {"generations": {}}
    assert run.read() == {}
    run.write(0, record(0))
    assert list(run.read(["generations"])) == ["generations"]


def test_what_another_process_merges_meanwhile_is_still_read(run, monkeypatch):
    for generation in range(2):
        run.write(generation, record(generation))
    expected, listed = run.read(), run.files()
    run.merge()
    answers = iter([listed, []])
    monkeypatch.setattr(run, "files", lambda: next(answers))
    assert_equal_tables(run.read(), expected)


def test_a_missing_generation_is_named(run):
    for generation in (0, 2):
        run.write(generation, record(generation))
    run.check(1)
    with pytest.raises(DataError, match=r"no record of generation 1 \(1 of 3 missing\)"):
        run.check(3)


def test_columns_of_floats_that_some_parts_lack_are_nan_there_and_others_are_an_error():
    n = np.array([1, 2])
    merged = concatenate([{"t": {"n": n}}, {"t": {"n": n, "x": n * 0.5}}, {"t": {"n": n[:0]}}])
    np.testing.assert_array_equal(merged["t"]["x"], [np.nan, np.nan, 0.5, 1.0])
    with pytest.raises(DataError, match="column k is missing in some"):
        concatenate([{"t": {"n": n}}, {"t": {"n": n, "k": n}}])


def test_columns_of_different_lengths_are_damage(run):
    commit(run.path / "a.h5", lambda file: write_tables(file, {"t": {"a": np.arange(2), "b": np.arange(3)}}))
    with pytest.raises(DataError, match="the columns of t have different lengths"):
        read_part(run.path / "a.h5")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (SCHEMA + 1, rf"a.h5 has schema {SCHEMA + 1}, this version reads up to {SCHEMA}"),
        (0, "states no schema version"),
        ("2", "states no schema version"),
    ],
)
def test_a_file_of_a_newer_or_no_schema_is_refused(tmp_path, schema, message):
    commit(tmp_path / "a.h5", lambda file: file.attrs.create("schema", schema))
    with pytest.raises(DataError, match=message):
        read_part(tmp_path / "a.h5")


@pytest.mark.parametrize("schema", FIXTURES)
def test_runs_of_every_schema_open_with_the_tables_of_this_one(schema):
    tables = Records(FIXTURES[schema]).read()
    assert set(tables) >= {"individuals", "episodes", "failures", "generations", "best"}
    assert tables["generations"]["generation"].tolist() == [0, 1, 2]
    assert set(tables["generations"]) >= {"best", "mean", "sd", "food", "n_failed", "seconds", "seconds_evaluate"}
    assert tables["generations"]["n_failed"].tolist() == [0, 1, 0]
    failures = tables["failures"]
    assert failures["reason"].tolist() == ["exception"]
    assert "the ant fell asleep" in failures["traceback"][0]
    # individual 0 of generation 1, its second episode
    identity = [failures[name].tolist() for name in ("generation", "individual", "episode")]
    assert identity == [[1], [0], [1]]
    assert failures["env_seed"][0] == tables["episodes"]["env_seed"][5]
    best = tables["best"]
    np.testing.assert_array_equal(best["fitness"], tables["generations"]["best"])
    for row, (generation, individual) in enumerate(zip(best["generation"], best["individual"], strict=True)):
        mine = (tables["individuals"]["generation"] == generation) & (tables["individuals"]["individual"] == individual)
        np.testing.assert_array_equal(best["genome"][row], tables["individuals"]["genome"][mine][0])


def test_merging_into_results_of_schema_1_brings_them_to_this_one(tmp_path):
    shutil.copytree(FIXTURES[1], tmp_path / "run")
    run = Records(tmp_path / "run")
    before = run.read()
    run.merge()
    with reading(run.results) as file:
        assert file.attrs["schema"] == SCHEMA
    assert_equal_tables(run.read(), before)


def test_records_that_are_merged_while_they_are_listed_are_read_whenever_that_happens(run, monkeypatch):
    for generation in range(4):
        run.write(generation, record(generation))
    expected, listed = run.read(), run.files()
    run.merge()
    answers = iter([listed, listed[1:], listed[3:], []])  # as the merging process removes one after the other
    monkeypatch.setattr(run, "files", lambda: next(answers))
    assert_equal_tables(run.read(), expected)


def test_records_without_a_checkpoint_are_refused_but_that_of_a_first_generation(run):
    run.check_new()
    run.write(0, record(0))
    run.check_new()
    run.write(1, record(1))
    with pytest.raises(DataError, match=r"has records \(gen_000000.h5\), but no checkpoint"):
        run.check_new()
    run.merge()
    with pytest.raises(DataError, match=r"has records \(results.h5\), but no checkpoint"):
        run.check_new()


def test_a_record_without_its_generations_is_damage(run):
    commit(run.path / "generations" / "gen_000000.h5", lambda file: write_tables(file, {"t": {"a": np.arange(2)}}))
    with pytest.raises(DataError, match="does not tell which generations it holds"):
        run.read()
