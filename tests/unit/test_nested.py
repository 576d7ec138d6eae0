"""Learning to learn to learn: the inner network, the filter that trains it, the command."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import process
from experiments.nested import (
    N_WEIGHTS,
    NOISE,
    SETTINGS,
    NestedConfig,
    main,
    make_filter_task,
    make_network_task,
    make_teacher,
    network,
)
from optim.evaluators import SerialEvaluator
from optim.tasks import Task

SMALL = ["--population", "3", "--generations", "2", "--episodes", "1", "--budget", "200", "--ga.n_elite", "0"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "_is_stop_requested", False)


def test_the_network_is_the_formula_unit_by_unit():
    rng = np.random.default_rng(1)
    weights, inputs = rng.standard_normal(N_WEIGHTS), rng.standard_normal((3, 4))
    by_hand = weights[-1] * np.ones(3)
    for unit in range(8):
        into = weights[5 * unit : 5 * unit + 5]
        by_hand += weights[40 + unit] * np.tanh(inputs @ into[:4] + into[4])
    np.testing.assert_allclose(network(weights, inputs), by_hand, rtol=1e-12)


def test_a_teacher_makes_no_error_on_itself_and_gives_examples_with_noise():
    teacher = make_teacher(1, 0)
    assert teacher.test_error(teacher.weights) == 0.0
    inputs, outputs = teacher.examples(3, 20_000)
    residual = outputs - network(teacher.weights, inputs)
    np.testing.assert_allclose([residual.mean(), residual.std()], [0.0, NOISE], atol=1e-3)


def test_teachers_and_batches_differ_and_repeat():
    first, again, other = make_teacher(1, 0), make_teacher(1, 0), make_teacher(1, 1)
    np.testing.assert_array_equal(first.examples(0)[0], again.examples(0)[0])
    assert not np.array_equal(first.weights, other.weights)
    assert not np.array_equal(first.examples(0)[0], first.examples(1)[0])


def test_no_two_streams_of_random_numbers_coincide():
    teacher = make_teacher(1, 0)
    first = [teacher.weights, *(teacher.examples(batch)[0].ravel() for batch in range(3)), make_teacher(1, 1).weights]
    assert len({values[0] for values in first}) == len(first)


def test_the_inner_task_answers_for_the_teacher_and_batch_of_its_generation():
    respond = make_network_task({"seed": 1, "budget": 200})
    weights = np.linspace(-1.0, 1.0, N_WEIGHTS)
    inputs, _ = make_teacher(1, 2).examples(7)
    np.testing.assert_array_equal(respond(Task(2 * 200 + 7, 0, 0), weights), network(weights, inputs))


def test_a_fair_filter_learns_and_one_with_too_few_members_does_not():
    settings = {"seed": 1, "budget": 3000}
    train = make_filter_task(settings, lambda given: SerialEvaluator(make_network_task(given)))
    good, _, n_updates = train(Task(0, 0, 0), np.array([1e-3, 60.0, 2.0]))
    poor, *_ = train(Task(0, 1, 0), np.array([1e-3, 4.0, 2.0]))
    assert n_updates == 50
    assert good > 1.0
    assert good > poor + 0.5


def test_the_command_runs_resumes_and_names_the_best_settings(capsys):
    assert main([*SMALL, "--generations", "1", "--name", "a"]) == process.EXIT_DONE
    assert main(["--resume", "runs/a", "--generations", "2"]) == process.EXIT_DONE
    assert "gen 001" in capsys.readouterr().out
    best = json.loads(Path("runs/a/best.json").read_text())
    assert best.keys() == set(SETTINGS.names)
    assert isinstance(best["ensemble_size"], int)


def test_wrong_settings_are_told(capsys):
    assert main(["--budget", "10"]) == process.EXIT_USAGE
    assert "budget=10 is too small" in capsys.readouterr().err
    assert main(["--es.sigma", "0.1"]) == process.EXIT_USAGE
    assert "--es.sigma has no effect" in capsys.readouterr().err
    for size in ("0", "-1", "abc", "1.5"):
        assert main(["--group-size", size]) == process.EXIT_USAGE
        assert f"--group-size {size} is not a whole number >= 1" in capsys.readouterr().err
    assert NestedConfig().ga.n_elite == 1
