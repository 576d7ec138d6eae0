"""The journal: whole records survive any kill, torn ones are cut off, and the task that ends its process is found."""

import errno
import os
import time

import numpy as np
import pytest

from experiments import journal as journals
from experiments.files import DataError
from experiments.journal import Header, Journal, count_results
from experiments.journal_lines import read_records
from optim.tasks import Task, TaskResult

HEADER = Header(7, "genomes", "config")
VALUES = np.array([0.1 + 0.2, -0.0, 1e-320, -1.7976931348623157e308, 3.0])


def task(individual, episode=0):
    return Task(7, individual, episode)


def done(individual):
    return TaskResult(task(individual), VALUES / (individual + 1), 0.25, attempts=2)


def failed(individual, reason="exception"):
    return TaskResult(task(individual), None, 1.5, "Traceback …\nValueError: ü", reason, 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gen_000007.jsonl"


@pytest.fixture
def die():
    """Function that leaves a journal as `kill -9` does: nothing more is written."""
    return lambda journal: os.close(journal._descriptor)


def assert_same_result(ours, expected):
    assert (ours.task, ours.seconds, ours.error, ours.reason, ours.attempts) == (
        expected.task,
        expected.seconds,
        expected.error,
        expected.reason,
        expected.attempts,
    )
    if expected.values is None:
        assert ours.values is None
    else:
        assert ours.values.tobytes() == expected.values.tobytes()


def test_results_of_a_killed_process_read_back_to_the_same_bits(path, die):
    journal = Journal(path, HEADER)
    results = [done(0), failed(1), done(2)]
    for result in results:
        journal.started(result.task)
        journal.finished(result)
    die(journal)
    with Journal(path, HEADER) as again:
        assert again.warnings == []
        assert list(again.known) == [task(0), task(1), task(2)]
        for result in results:
            assert_same_result(again.known[result.task], result)
        assert (again.crashed, again.suspects) == ({}, [])


def test_what_is_reported_is_with_the_operating_system_before_anybody_hears_of_it(path):
    with Journal(path, HEADER) as journal:
        for individual in range(3):
            journal.finished(done(individual))
            records, size = read_records(path.read_bytes(), path)
            assert records[-1]["task"] == [individual, 0]
            assert size == path.stat().st_size


def test_the_tail_torn_at_any_byte_is_cut_off_and_appending_works_afterwards(path, die):
    journal = Journal(path, HEADER)
    journal.finished(done(0))
    before = path.stat().st_size
    journal.finished(done(1))
    die(journal)
    content = path.read_bytes()
    for size in range(before, len(content)):
        path.write_bytes(content[:size])
        with Journal(path, HEADER) as again:
            assert list(again.known) == [task(0)]
            assert (len(again.warnings) == 1) == (size > before)
            again.finished(done(5))
        with Journal(path, HEADER) as last:
            assert last.warnings == []
            assert list(last.known) == [task(0), task(5)]


def test_a_flipped_byte_of_the_last_record_drops_that_record_only(path, die):
    journal = Journal(path, HEADER)
    journal.finished(done(0))
    before = path.stat().st_size
    journal.finished(done(1))
    die(journal)
    content = path.read_bytes()
    for position in range(before, len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        records, size = read_records(path.read_bytes(), path)
        assert (len(records), size) == (2, before)


def test_a_flipped_byte_in_the_middle_is_an_error_with_file_and_offset(path, die):
    journal = Journal(path, HEADER)
    starts = []
    for individual in range(3):
        starts.append(path.stat().st_size)
        journal.finished(done(individual))
    die(journal)
    content = path.read_bytes()
    for position in range(starts[1], starts[2] - 1):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        with pytest.raises(DataError, match=rf"gen_000007.jsonl is damaged at byte {starts[1]}: record 3 is wrong"):
            Journal(path, HEADER)
    assert path.stat().st_size == len(content)  # nothing was cut


@pytest.mark.parametrize("header", [Header(7, "other genomes", "config"), Header(7, "genomes", "other config")])
def test_results_of_other_genomes_or_settings_are_not_used_and_told(path, header):
    with Journal(path, header) as journal:
        journal.finished(done(0))
        journal.finished(failed(1))
    with Journal(path, HEADER) as ours:
        assert ours.known == {}
        assert ours.warnings == ["gen_000007.jsonl: 2 results of other genomes or settings are not used."]
        ours.finished(done(2))
    with Journal(path, HEADER) as again:
        assert list(again.known) == [task(2)]


def test_a_journal_of_a_newer_version_is_refused_with_both_versions(path, monkeypatch):
    monkeypatch.setattr(journals, "_VERSION", 3)
    Journal(path, HEADER).close()
    monkeypatch.undo()
    with pytest.raises(DataError, match="has version 3, this stigmergy reads up to 2"):
        Journal(path, HEADER)


def test_a_stop_that_comes_within_a_record_is_recorded_after_it(path, monkeypatch):
    with Journal(path, HEADER) as journal:
        write = os.write

        def interrupted(descriptor, content):
            monkeypatch.setattr(os, "write", write)
            n = write(descriptor, content[:10])
            journal.stopping()
            return n

        monkeypatch.setattr(os, "write", interrupted)
        journal.finished(done(0))
    records, size = read_records(path.read_bytes(), path)
    assert size == path.stat().st_size
    assert [record["event"] for record in records] == ["opened", "done", "stopping", "closed"]


def test_tasks_of_the_newest_genomes_are_counted_once(path):
    with Journal(path, Header(7, "other genomes", "config")) as journal:
        journal.finished(done(0))
    with Journal(path, HEADER) as journal:
        for result in (failed(1), failed(2), done(2), done(3)):
            journal.finished(result)
    assert count_results(path) == (2, 1)
    path.write_bytes(b"")
    assert count_results(path) == (0, 0)


def test_a_generation_that_is_given_up_tries_again_what_failed(path):
    with Journal(path, HEADER) as journal:
        journal.finished(done(0))
        journal.finished(failed(1))
        journal.retry_failed()
    with Journal(path, HEADER) as journal:
        assert list(journal.known) == [task(0)]
        journal.finished(failed(1))
    with Journal(path, HEADER) as journal:
        assert list(journal.known) == [task(0), task(1)]


@pytest.mark.parametrize("n_written", [0, 1, 40])
def test_a_full_disk_names_the_file_and_leaves_the_earlier_records_whole(path, monkeypatch, n_written):
    journal = Journal(path, HEADER)
    journal.finished(done(0))
    before = path.read_bytes()
    write, answers = os.write, iter([n_written])

    def full(descriptor, content):
        for n in answers:
            if n:
                return write(descriptor, content[:n])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"No space left on device: .*gen_000007.jsonl"):
        journal.finished(done(1))
    with pytest.raises(OSError, match="No space left"):
        journal.close()
    monkeypatch.undo()
    assert path.read_bytes() == before
    with Journal(path, HEADER) as again:
        assert list(again.known) == [task(0)]


def test_an_error_in_the_block_is_not_hidden_by_one_while_closing(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(path, HEADER)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ZeroDivisionError), journal:
        raise ZeroDivisionError


def test_records_are_synced_once_a_second_by_a_clock_that_never_goes_back(path, monkeypatch):
    now, synced = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: -now[0])
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(now[0]))
    with Journal(path, HEADER) as journal:
        for _ in range(10):
            now[0] += 0.25
            journal.started(task(0))
    assert synced == [100.0, 101.0, 102.0, 102.5]  # the name of the new file first; the last when it was closed


def test_a_result_that_took_a_second_is_synced_at_once(path, monkeypatch):
    with Journal(path, HEADER) as journal:
        synced = []
        monkeypatch.setattr(os, "fsync", synced.append)
        journal.finished(done(0))
        assert synced == []
        journal.finished(failed(1))  # 1.5 s
        assert len(synced) == 1


def test_a_link_planted_as_a_journal_is_not_followed(path, tmp_path):
    (tmp_path / "victim").write_bytes(b"")
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        Journal(path, HEADER)
    assert (tmp_path / "victim").read_bytes() == b""
