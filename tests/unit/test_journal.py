"""The journal: whole records survive any kill, torn ones are cut off, and the task that ends its process is found."""

import errno
import os
import time

import pytest

from experiments import journal as journals
from experiments.files import DataError
from experiments.journal import Header, Journal, count_results
from experiments.journal_lines import read_records
from tests.unit.journal_cases import HEADER, die, done, failed, task


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


def test_results_of_a_killed_process_read_back_to_the_same_bits(journal_path):
    journal = Journal(journal_path, HEADER)
    results = [done(0), failed(1), done(2)]
    for result in results:
        journal.started(result.task)
        journal.finished(result)
    die(journal)
    with Journal(journal_path, HEADER) as again:
        assert again.warnings == []
        assert list(again.known) == [task(0), task(1), task(2)]
        for result in results:
            assert_same_result(again.known[result.task], result)
        assert (again.crashed, again.suspects) == ({}, [])


def test_what_is_reported_is_with_the_operating_system_before_anybody_hears_of_it(journal_path):
    with Journal(journal_path, HEADER) as journal:
        for individual in range(3):
            journal.finished(done(individual))
            records, size = read_records(journal_path.read_bytes(), journal_path)
            assert records[-1]["task"] == [individual, 0]
            assert size == journal_path.stat().st_size


def test_the_tail_torn_at_any_byte_is_cut_off_and_appending_works_afterwards(journal_path):
    journal = Journal(journal_path, HEADER)
    journal.finished(done(0))
    before = journal_path.stat().st_size
    journal.finished(done(1))
    die(journal)
    content = journal_path.read_bytes()
    for size in range(before, len(content)):
        journal_path.write_bytes(content[:size])
        with Journal(journal_path, HEADER) as again:
            assert list(again.known) == [task(0)]
            assert (len(again.warnings) == 1) == (size > before)
            again.finished(done(5))
        with Journal(journal_path, HEADER) as last:
            assert last.warnings == []
            assert list(last.known) == [task(0), task(5)]


def test_a_flipped_byte_of_the_last_record_drops_that_record_only(journal_path):
    journal = Journal(journal_path, HEADER)
    journal.finished(done(0))
    before = journal_path.stat().st_size
    journal.finished(done(1))
    die(journal)
    content = journal_path.read_bytes()
    for position in range(before, len(content)):
        journal_path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        records, size = read_records(journal_path.read_bytes(), journal_path)
        assert (len(records), size) == (2, before)


def test_a_flipped_byte_in_the_middle_is_an_error_with_file_and_offset(journal_path):
    journal = Journal(journal_path, HEADER)
    starts = []
    for individual in range(3):
        starts.append(journal_path.stat().st_size)
        journal.finished(done(individual))
    die(journal)
    content = journal_path.read_bytes()
    for position in range(starts[1], starts[2] - 1):
        journal_path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        with pytest.raises(DataError, match=rf"gen_000007.jsonl is damaged at byte {starts[1]}: record 3 is wrong"):
            Journal(journal_path, HEADER)
    assert journal_path.stat().st_size == len(content)  # nothing was cut


@pytest.mark.parametrize("header", [Header(7, "other genomes", "config"), Header(7, "genomes", "other config")])
def test_results_of_other_genomes_or_settings_are_not_used_and_told(journal_path, header):
    with Journal(journal_path, header) as journal:
        journal.finished(done(0))
        journal.finished(failed(1))
    with Journal(journal_path, HEADER) as ours:
        assert ours.known == {}
        assert ours.warnings == ["gen_000007.jsonl: 2 results of other genomes or settings are not used."]
        ours.finished(done(2))
    with Journal(journal_path, HEADER) as again:
        assert list(again.known) == [task(2)]


def test_a_journal_of_a_newer_version_is_refused_with_both_versions(journal_path, monkeypatch):
    monkeypatch.setattr(journals, "_VERSION", 4)
    Journal(journal_path, HEADER).close()
    monkeypatch.undo()
    with pytest.raises(DataError, match="has version 4, this stigmergy reads up to 3"):
        Journal(journal_path, HEADER)


def test_a_stop_that_comes_within_a_record_is_recorded_after_it(journal_path, monkeypatch):
    with Journal(journal_path, HEADER) as journal:
        write = os.write

        def interrupted(descriptor, content):
            monkeypatch.setattr(os, "write", write)
            n = write(descriptor, content[:10])
            journal.stopping()
            return n

        monkeypatch.setattr(os, "write", interrupted)
        journal.finished(done(0))
    records, size = read_records(journal_path.read_bytes(), journal_path)
    assert size == journal_path.stat().st_size
    assert [record["event"] for record in records] == ["opened", "done", "stopping", "closed"]


def test_tasks_of_the_newest_genomes_are_counted_once(journal_path):
    with Journal(journal_path, Header(7, "other genomes", "config")) as journal:
        journal.finished(done(0))
    with Journal(journal_path, HEADER) as journal:
        for result in (failed(1), failed(2), done(2), done(3)):
            journal.finished(result)
    assert count_results(journal_path) == (2, 1)
    journal_path.write_bytes(b"")
    assert count_results(journal_path) == (0, 0)


def test_a_generation_that_is_given_up_tries_again_what_failed(journal_path):
    with Journal(journal_path, HEADER) as journal:
        journal.finished(done(0))
        journal.finished(failed(1))
        journal.retry_failed()
    with Journal(journal_path, HEADER) as journal:
        assert list(journal.known) == [task(0)]
        journal.finished(failed(1))
    with Journal(journal_path, HEADER) as journal:
        assert list(journal.known) == [task(0), task(1)]


@pytest.mark.parametrize("n_written", [0, 1, 40])
def test_a_full_disk_names_the_file_and_leaves_the_earlier_records_whole(journal_path, monkeypatch, n_written):
    journal = Journal(journal_path, HEADER)
    journal.finished(done(0))
    before = journal_path.read_bytes()
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
    assert journal_path.read_bytes() == before
    with Journal(journal_path, HEADER) as again:
        assert list(again.known) == [task(0)]


def test_an_error_in_the_block_is_not_hidden_by_one_while_closing(journal_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(journal_path, HEADER)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ZeroDivisionError), journal:
        raise ZeroDivisionError


def test_records_are_synced_once_a_second_by_a_clock_that_never_goes_back(journal_path, monkeypatch):
    now, synced = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "time", lambda: -now[0])
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(now[0]))
    with Journal(journal_path, HEADER) as journal:
        for _ in range(10):
            now[0] += 0.25
            journal.started(task(0))
    assert synced == [100.0, 101.0, 102.0, 102.5]  # the name of the new file first; the last when it was closed


def test_a_result_that_took_a_second_is_synced_at_once(journal_path, monkeypatch):
    with Journal(journal_path, HEADER) as journal:
        synced = []
        monkeypatch.setattr(os, "fsync", synced.append)
        journal.finished(done(0))
        assert synced == []
        journal.finished(failed(1))  # 1.5 s
        assert len(synced) == 1


def test_a_link_planted_as_a_journal_is_not_followed(journal_path, tmp_path):
    (tmp_path / "victim").write_bytes(b"")
    journal_path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        Journal(journal_path, HEADER)
    assert (tmp_path / "victim").read_bytes() == b""
