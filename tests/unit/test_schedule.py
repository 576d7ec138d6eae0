"""The order of work: longest first, what is unknown before, short tasks together."""

import numpy as np

from optim.schedule import Schedule
from optim.tasks import Task, TaskResult


def tasks(n_individuals, n_episodes=1):
    return [(Task(0, i, e), np.array([float(i)])) for i in range(n_individuals) for e in range(n_episodes)]


def individuals(chunk):
    return [task.individual for task, _ in chunk]


def drain(schedule):
    taken = []
    while chunk := schedule.take(1):
        taken.append(individuals(chunk))
    return taken


def test_the_longest_expected_goes_first_with_its_own_genome():
    schedule = Schedule(tasks(3), {0: 1.0, 1: 3.0, 2: 2.0})
    taken = [schedule.take(1)[0] for _ in range(3)]
    assert [task.individual for task, _ in taken] == [1, 2, 0]
    assert [genome.tolist() for _, genome in taken] == [[1.0], [2.0], [0.0]]
    assert schedule.take(1) == []


def test_when_nothing_is_known_one_episode_of_each_goes_before_the_second():
    schedule = Schedule(tasks(3, n_episodes=2), {})
    order = [schedule.take(1)[0][0] for _ in range(6)]
    assert [(t.individual, t.episode) for t in order] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]


def test_an_individual_without_a_past_is_expected_to_take_as_long_as_the_longest():
    assert drain(Schedule(tasks(3), {0: 1.0, 1: 3.0})) == [[1], [2], [0]]


def test_a_measured_episode_moves_the_others_of_its_individual():
    schedule = Schedule(tasks(2, n_episodes=2), {0: 1.0, 1: 2.0})
    (first, _), *rest = schedule.take(1)
    assert (first, rest) == (Task(0, 1, 0), [])
    schedule.learn(TaskResult(first, np.zeros(1), 0.5))
    assert [schedule.take(1)[0][0] for _ in range(3)] == [Task(0, 0, 0), Task(0, 0, 1), Task(0, 1, 1)]


def test_an_individual_is_expected_to_need_the_mean_of_its_episodes():
    schedule = Schedule(tasks(1, n_episodes=2), {0: 9.0})
    for episode, seconds in ((0, 1.0), (1, 2.0)):
        schedule.learn(TaskResult(Task(0, 0, episode), None, seconds))
    assert schedule.expected == {0: 1.5}


def test_every_task_is_taken_exactly_once_whatever_is_learnt_in_between():
    rng = np.random.default_rng(1)
    schedule = Schedule(tasks(40, n_episodes=3), {i: float(rng.random()) for i in range(0, 40, 2)})
    seen = []
    while chunk := schedule.take(1):
        seen += [task for task, _ in chunk]
        for task, _ in chunk:
            schedule.learn(TaskResult(task, None, float(rng.exponential())))
    assert sorted(seen) == [task for task, _ in tasks(40, n_episodes=3)]
    assert len(schedule) == 0


def test_a_task_that_is_put_back_waits_again():
    schedule = Schedule(tasks(2), {0: 2.0, 1: 1.0})
    task, _ = schedule.take(1)[0]
    schedule.put_back(task)
    assert drain(schedule) == [[0], [1]]


def test_short_tasks_are_handed_out_together_for_a_fiftieth_of_a_second():
    def sizes(seconds):
        return [len(chunk) for chunk in drain(Schedule(tasks(100), dict.fromkeys(range(100), seconds)))]

    assert sizes(1e-6) == [100]
    assert sizes(0.0009) == [23, 23, 23, 23, 8]
    assert sizes(0.025) == [1] * 100


def test_what_is_expected_to_be_short_is_still_shared_among_the_workers():
    schedule = Schedule(tasks(100), dict.fromkeys(range(100), 1e-6))
    sizes = []
    while chunk := schedule.take(8):
        sizes.append(len(chunk))
    assert sizes[:4] == [25, 19, 14, 11]
    assert sum(sizes) == 100
    assert len(Schedule(tasks(100), dict.fromkeys(range(100), 1e-6)).take(2)) == 50


def test_tasks_of_unknown_length_are_handed_out_one_by_one():
    assert [len(chunk) for chunk in drain(Schedule(tasks(50), {}))] == [1] * 50
