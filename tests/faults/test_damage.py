"""Damaged and foreign files, and kills wherever something is committed: F03, F19 to F22; files shown late: F45."""

import contextlib
import shutil
import threading
import time

import numpy as np
import pytest

from experiments import files, process
from experiments.ants import main
from experiments.run_folder import RunFolder
from experiments.storage import SCHEMA
from tests.faults.toy import assert_same_run, counting, results, run_toy, tree
from tests.unit.test_records import FIXTURES


class Killed(BaseException):
    """Ends a run at once, as far as that is possible from within."""


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    assert run_toy(path) == 0
    return path


def newest(run):
    return max((run / "checkpoints").iterdir())


def damaged_at_random(content, n, seed):
    """Copies of a file, each cut, or with one flipped bit, at another random place."""
    rng = np.random.default_rng(seed)
    for position in rng.integers(len(content), size=n).tolist():
        yield content[:position], content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_f19_f20_a_checkpoint_cut_or_flipped_anywhere_is_named_and_the_one_before_is_used(run):
    checkpoints, path = RunFolder(run).checkpoints, newest(run)
    content = path.read_bytes()
    variants = [b"", b"not HDF5"]
    variants += [cut for cut, _ in damaged_at_random(content, 30, seed=1)]
    variants += [flipped for _, flipped in damaged_at_random(content, 200, seed=2)]
    for damaged in variants:
        path.write_bytes(damaged)
        checkpoint, refused = checkpoints.newest()
        assert checkpoint.manifest["generation"] == 2
        assert refused == [f"{path.name} is damaged: its content does not match the hash in its name."]


@pytest.mark.parametrize("n_damaged", [1, 2])
def test_f19_a_run_goes_on_from_the_last_whole_checkpoint_with_the_same_result(run, whole, capsys, n_damaged):
    for path in sorted((run / "checkpoints").iterdir())[-n_damaged:]:
        path.write_bytes(path.read_bytes()[:-10])
    assert run_toy(run, generations=4) == 0
    said = capsys.readouterr().out
    assert said.count("is damaged: its content does not match the hash in its name") == n_damaged
    assert f"continued with generation {3 - n_damaged} from gen_00000{3 - n_damaged}-" in said
    assert_same_run(run, whole(generations=4))


def test_f19_a_run_without_a_whole_checkpoint_ends_with_65_and_evaluates_nothing(run, capsys):
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"")
    function, seen = counting()
    assert run_toy(run, function, generations=4) == 65
    assert "no checkpoint in" in capsys.readouterr().err
    assert seen == []


def test_f03_a_kill_at_any_sync_loses_nothing_and_computes_nothing_twice(tmp_path, whole, monkeypatch):
    small = {"population": 2, "episodes": 1, "generations": 2}
    expected = whole(**small)
    n_tasks, sync = len(results(expected)["episodes/env_seed"]), files.sync
    survived, n_kills = False, 0
    while not survived:
        path, n_syncs = tmp_path / f"killed{n_kills}", 0
        function, seen = counting()

        def killing(name, at=n_kills):
            nonlocal n_syncs
            n_syncs += 1
            if n_syncs > at:
                raise Killed
            sync(name)

        monkeypatch.setattr(files, "sync", killing)
        with contextlib.suppress(Killed):
            survived = run_toy(path, function, **small) == 0
        monkeypatch.setattr(files, "sync", sync)
        if not survived:
            n_kills += 1
            assert run_toy(path, function, **small) == 0
            assert_same_run(path, expected)
            assert len(seen) == n_tasks
    assert n_kills > 15  # of settings, provenance, records, checkpoints, results and the best


def test_f21_a_damaged_journal_stops_the_run_with_65_and_is_left_as_it_is(tmp_path, whole, capsys):
    path = tmp_path / "run"

    def stopping(task, genome):
        if task.generation == 1 and task.individual == 3:
            raise Killed
        return -float(genome @ genome), 1.0

    with pytest.raises(Killed):
        run_toy(path, stopping)
    journal = path / "journal" / "gen_000001.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b"done", b"dome", 1))
    before = tree(path / "journal")
    assert run_toy(path) == 65
    assert "gen_000001.jsonl is damaged at byte " in capsys.readouterr().err
    assert tree(path / "journal") == before
    journal.write_bytes(content[:-1])
    assert run_toy(path) == 0
    assert "gen_000001.jsonl: the last" in capsys.readouterr().out


@pytest.mark.parametrize("schema", FIXTURES)
def test_f22_a_run_of_every_schema_is_continued_and_its_old_rows_stay(schema, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(FIXTURES[schema], run)
    before = RunFolder(run).read_results()
    assert main(["--resume", str(run), "--generations", "5"]) == process.EXIT_DONE
    said = capsys.readouterr().out
    assert "continued with generation 3 from gen_000003-" in said
    assert ("of schema 1, which is brought to this version" in said) == (schema == 1)
    after = RunFolder(run).read_results()
    assert after["generations"]["generation"].tolist() == [0, 1, 2, 3, 4]
    for table, columns in before.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(after[table][column][: len(values)], values, err_msg=f"{table}/{column}")
    assert "config" in RunFolder(run).checkpoints.newest()[0].manifest


def test_f22_a_run_of_a_newer_schema_is_refused_with_both_versions(run, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr("experiments.storage.SCHEMA", SCHEMA + 1)
        patch.setattr("experiments.records.SCHEMA", SCHEMA + 1)
        assert run_toy(run, generations=4) == 0
    before = tree(run / "checkpoints")
    assert run_toy(run, generations=5) == 65
    assert f"has schema {SCHEMA + 1}, this version reads up to {SCHEMA}" in capsys.readouterr().err
    assert tree(run / "checkpoints") == before


@pytest.mark.parametrize("is_merged", [True, False])
def test_f19_a_run_whose_checkpoints_are_gone_is_not_mixed_with_another(run, monkeypatch, capsys, is_merged):
    monkeypatch.setattr("experiments.run._PATIENCE", 0.0)
    if not is_merged:
        for number in range(2):
            shutil.copy(run / "results.h5", run / "generations" / f"gen_{number:06d}.h5")
        (run / "results.h5").unlink()
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    config = run / "config.toml"
    config.write_text(config.read_text().replace("seed = 1", "seed = 2"))
    before = tree(run)
    function, seen = counting()
    assert run_toy(run, function) == 65
    assert "but no checkpoint" in capsys.readouterr().err
    assert seen == []
    assert {name: content for name, content in tree(run).items() if name != ".lock"} == (
        {name: content for name, content in before.items() if name != ".lock"}
    )


@pytest.fixture
def hide(tmp_path):
    """Function that takes files of a run away, and brings them back after some seconds."""
    timers = []

    def hidden(run, pattern, seconds):
        store = tmp_path / "hidden"
        store.mkdir()
        paths = sorted(run.glob(pattern))
        assert paths
        for path in paths:
            path.rename(store / path.name)

        def show():
            for path in paths:
                (store / path.name).rename(path)

        timers.append(threading.Timer(seconds, show))
        timers[-1].start()

    yield hidden
    for timer in timers:
        timer.cancel()
        timer.join()


@pytest.mark.parametrize("pattern", ["results.h5", "generations/gen_000001.h5", "checkpoints/gen_*.h5"])
def test_f45_files_that_another_machine_shows_late_are_waited_for(tmp_path, monkeypatch, whole, hide, capsys, pattern):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        if pattern.startswith("generations"):
            patch.setattr("experiments.records.Records.merge", lambda records: 0)  # as if killed before the end
        assert run_toy(run) == 0
    hide(run, pattern, 0.5)
    assert run_toy(run, generations=5) == 0
    assert capsys.readouterr().out.count("waiting up to 5 s for what a shared file system may show late") == 1
    assert_same_run(run, whole(generations=5))


def test_f45_files_that_never_come_are_missing_after_the_limit_and_nothing_is_computed(run, monkeypatch, capsys):
    monkeypatch.setattr("experiments.run._PATIENCE", 0.3)
    (run / "results.h5").unlink()
    function, seen = counting()
    begin = time.monotonic()
    assert run_toy(run, function, generations=5) == 65
    assert 0.3 < time.monotonic() - begin < 2.0
    assert "no record of generation 0 (3 of 3 missing)" in capsys.readouterr().err
    assert seen == []
