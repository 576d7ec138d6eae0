"""The journal: whole records survive any kill, torn ones are cut off, and the task that ends its process is found."""

import errno
import os
import time

import numpy as np
import pytest

from experiments import journal as journals
from experiments.files import DataError
from experiments.journal import Header, Journal, read_records
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
    monkeypatch.setattr(journals, "_VERSION", 2)
    Journal(path, HEADER).close()
    monkeypatch.undo()
    with pytest.raises(DataError, match="has version 2, this stigmergy reads up to 1"):
        Journal(path, HEADER)


def test_a_task_that_ends_its_process_alone_is_counted_each_time(path, die):
    for n in range(3):
        journal = Journal(path, HEADER)
        assert journal.crashed == ({task(4): n} if n else {})
        assert journal.n_starts(task(4)) == n
        journal.started(task(4))
        die(journal)
    with Journal(path, HEADER) as journal:
        assert (journal.crashed, journal.suspects) == ({task(4): 3}, [task(4)])
        journal.finished(failed(4, "crash"))
        assert (journal.crashed, journal.suspects) == ({}, [])


def test_neighbours_of_a_kill_are_never_counted_and_suspected_only_the_second_time(path, die):
    for n in range(1, 5):
        journal = Journal(path, HEADER)
        for individual in (1, 2, 10 + n):
            journal.started(task(individual))
        die(journal)
        with Journal(path, HEADER) as again:
            assert again.crashed == {}
            assert again.suspects == ([task(1), task(2)] if n > 1 else [])


def test_the_guilty_one_of_a_job_is_found_and_its_neighbours_are_cleared(path, die):
    """Three ranks; task 2 ends the job whenever it runs. As in `evaluate_generation`, until the task is given up."""
    guilty, limit, n_jobs, known = task(2), 2, 0, {}
    while guilty not in known:
        n_jobs += 1
        journal = Journal(path, HEADER)
        for suspect in [t for t, n in journal.crashed.items() if n >= limit]:
            journal.finished(failed(suspect.individual, "crash"))
        for suspect in journal.suspects:
            journal.started(suspect)
            if suspect == guilty:
                die(journal)
                break
            journal.finished(done(suspect.individual))
        else:
            for individual in range(3):
                if task(individual) not in journal.known:
                    journal.started(task(individual))
            die(journal)
        known = {t: r.reason for t, r in Journal(path, HEADER).known.items()}
    assert known == {task(0): "", task(1): "", guilty: "crash"}
    assert n_jobs == 5  # two to be suspected, two alone, one to go on


def test_what_is_running_when_a_journal_is_closed_counts_against_nobody(path):
    for _ in range(4):
        with Journal(path, HEADER) as journal:
            journal.started(task(0))
            assert (journal.crashed, journal.suspects) == ({}, [])


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
    assert synced == [101.0, 102.0, 102.5]  # the last when it was closed


def test_a_link_planted_as_a_journal_is_not_followed(path, tmp_path):
    (tmp_path / "victim").write_bytes(b"")
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        Journal(path, HEADER)
    assert (tmp_path / "victim").read_bytes() == b""
