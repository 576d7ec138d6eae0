"""Which task takes its process down: rules of the journal, until the guilty one is found and its neighbours cleared."""

import pytest

from experiments.journal import Journal
from experiments.journal_lines import read_records
from tests.unit.journal_cases import HEADER, die, done, failed, task


def test_a_task_that_ends_its_process_alone_is_counted_each_time(journal_path):
    for n in range(3):
        journal = Journal(journal_path, HEADER)
        assert journal.crashed == ({task(4): n} if n else {})
        assert journal.n_starts(task(4)) == n
        journal.started(task(4))
        die(journal)
    with Journal(journal_path, HEADER) as journal:
        assert (journal.crashed, journal.suspects) == ({task(4): 3}, [task(4)])
        journal.finished(failed(4, "crash"))
        assert (journal.crashed, journal.suspects) == ({}, [])


def test_neighbours_of_a_kill_are_never_counted_and_suspected_only_the_second_time(journal_path):
    for n in range(1, 5):
        journal = Journal(journal_path, HEADER)
        for individual in (1, 2, 10 + n):
            journal.started(task(individual))
        die(journal)
        with Journal(journal_path, HEADER) as again:
            assert again.crashed == {}
            assert again.suspects == ([task(1)] if n > 1 else [])
            if n > 1:
                again.finished(done(1))
                assert again.suspects == [task(2)]
                again.retry_failed()
                return


def test_the_guilty_one_of_a_job_is_found_and_its_neighbours_are_cleared(journal_path):
    """Three ranks; task 2 ends the job whenever it runs. As in `evaluate_generation`, until the task is given up."""
    guilty, limit, n_jobs, known = task(2), 2, 0, {}
    while guilty not in known:
        n_jobs += 1
        journal = Journal(journal_path, HEADER)
        for suspect in [t for t, n in journal.crashed.items() if n >= limit]:
            journal.finished(failed(suspect.individual, "crash"))
        while suspects := journal.suspects:
            journal.started(suspects[0])
            if suspects == [guilty]:
                die(journal)
                break
            journal.finished(done(suspects[0].individual))
        else:
            for individual in range(3):
                if task(individual) not in journal.known:
                    journal.started(task(individual))
            die(journal)
        known = {t: r.reason for t, r in Journal(journal_path, HEADER).known.items()}
    assert known == {task(0): "", task(1): "", guilty: "crash"}
    assert n_jobs == 5  # two to be suspected, two alone, one to go on


@pytest.mark.parametrize("guilty", [0, 31, 63])
def test_many_suspects_are_halved_until_the_guilty_one_is_alone(journal_path, guilty):
    """64 ranks; a batch with the guilty task ends the job, any other is done. As in `evaluate_generation`."""
    n_jobs, n_rounds = 0, 0
    while task(guilty) not in (journal := Journal(journal_path, HEADER)).crashed:
        n_jobs += 1
        while batch := journal.suspects or [task(i) for i in range(64) if task(i) not in journal.known]:
            n_rounds += 1
            for member in batch:
                journal.started(member)
            if task(guilty) in batch:
                break
            for member in batch:
                journal.finished(done(member.individual))
        die(journal)
    die(journal)
    assert n_jobs <= 2 + 6  # to be suspected, and log2(64)
    assert n_rounds <= 2 + 2 * 6


def test_two_kills_of_a_large_job_cost_its_suspects_few_rounds(journal_path):
    for _ in range(2):
        journal = Journal(journal_path, HEADER)
        for individual in range(64):
            journal.started(task(individual))
        die(journal)
    with Journal(journal_path, HEADER) as journal:
        sizes = []
        while batch := journal.suspects:
            sizes.append(len(batch))
            for member in batch:
                journal.finished(done(member.individual))
    assert sizes == [32, 16, 8, 4, 2, 1, 1]


def test_an_end_that_was_asked_for_counts_against_nobody_until_the_next_process(journal_path):
    for _ in range(3):
        journal = Journal(journal_path, HEADER)
        journal.started(task(0))
        journal.stopping()
        journal.stopping()  # the second signal
        die(journal)
    records, _ = read_records(journal_path.read_bytes(), journal_path)
    assert [record["event"] for record in records] == 3 * ["opened", "started", "stopping"]
    journal = Journal(journal_path, HEADER)
    assert (journal.crashed, journal.suspects) == ({}, [])
    journal.started(task(0))
    die(journal)
    with Journal(journal_path, HEADER) as journal:
        assert journal.crashed == {task(0): 1}


def test_what_is_running_when_a_journal_is_closed_counts_against_nobody(journal_path):
    for _ in range(4):
        with Journal(journal_path, HEADER) as journal:
            journal.started(task(0))
            assert (journal.crashed, journal.suspects) == ({}, [])


def test_a_generation_that_is_given_up_forgets_crashes_and_suspicions(journal_path):
    for individuals in ([1], [1], [2, 3], [2, 3]):
        journal = Journal(journal_path, HEADER)
        for individual in individuals:
            journal.started(task(individual))
        die(journal)
    with Journal(journal_path, HEADER) as journal:
        journal.finished(failed(1, "crash"))
        journal.retry_failed()
    with Journal(journal_path, HEADER) as journal:
        assert (journal.known, journal.crashed, journal.suspects, journal.n_starts(task(1))) == ({}, {}, [], 0)
