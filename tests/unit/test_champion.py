"""Champions: the race finds the best of many noisy candidates, in worlds that nobody else meets."""

import numpy as np
import pytest

from experiments import ants, process
from experiments.champion import _FIRST_WORLD, main, race, read_candidates
from experiments.colony import FITNESS, FOOD
from experiments.evaluate import read_genomes
from experiments.generation import GenerationFailedError
from experiments.rollout import MEASURES
from experiments.run_folder import RunFolder
from optim.evaluators import SerialEvaluator

TINY = [
    "--env.n_ticks", "20", "--env.n_ants", "2", "--brain.n_hidden", "2", "--brain.engine", "numba", "--population", "4",
    "--generations", "3",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _not_stopped(monkeypatch):
    monkeypatch.setattr(process, "_is_stop_requested", False)


class Worlds:
    """A task whose fitness is the genome plus the luck of the world, and which remembers the tasks it was given."""

    def __init__(self, sd):
        self.tasks, self.sd = [], sd

    def __call__(self, task, genome):
        self.tasks.append(task)
        values = np.zeros(len(MEASURES))
        values[FITNESS] = (
            genome[0] + self.sd * np.random.default_rng([task.episode, abs(int(genome[0]))]).standard_normal()
        )
        values[FOOD] = task.episode
        if genome[0] == 7.0:
            raise RuntimeError("this one fails")
        return values


def test_the_best_wins_though_luck_is_larger_than_what_tells_candidates_apart():
    worlds = Worlds(sd=6.0)
    genomes = np.random.default_rng(3).permutation(np.arange(40.0))[:, None]
    rounds = race(genomes, SerialEvaluator(worlds), 4, 4)
    assert [each.fitness.shape for each in rounds] == [(40, 4), (10, 16), (4, 256)]
    assert genomes[rounds[-1].candidates[0], 0] == 39.0
    assert 7.0 not in genomes[rounds[1].candidates, 0]
    means = rounds[-1].fitness.mean(axis=1)
    assert (np.diff(means) <= 0.0).all()


def test_every_round_has_worlds_of_its_own_which_all_candidates_meet():
    worlds = Worlds(sd=0.0)
    race(np.arange(20.0)[:, None], SerialEvaluator(worlds), 2, 3)
    episodes = [sorted({task.episode for task in worlds.tasks if task.individual == k}) for k in (0, 19)]
    assert episodes[1] == [_FIRST_WORLD, _FIRST_WORLD + 1, _FIRST_WORLD + 2]
    assert episodes[0] == list(range(_FIRST_WORLD, _FIRST_WORLD + 15))


def test_a_candidate_that_fails_is_last_even_if_others_have_a_large_negative_fitness():
    rounds = race(np.array([[-1e9], [7.0], [-1e8]]), SerialEvaluator(Worlds(sd=0.0)), 1, 2)
    assert rounds[0].candidates.tolist() == [2, 0, 1]


def test_a_race_in_which_all_fail_has_no_winner():
    with pytest.raises(GenerationFailedError, match=r"(?s)all 2 candidates failed; the first.*this one fails"):
        race(np.array([[7.0], [7.0]]), SerialEvaluator(Worlds(sd=0.0)), 1, 2)


@pytest.mark.parametrize(("optimizer", "kinds"), [("ga", {"best"}), ("es", {"best", "mean"})])
def test_a_champion_is_chosen_from_a_run_and_can_be_evaluated(optimizer, kinds, tmp_path, capsys):
    run = tmp_path / "run"
    assert ants.main([*TINY, "--optimizer", optimizer, "--runs", str(tmp_path), "--name", "run"]) == 0
    candidates = read_candidates(RunFolder(run))
    assert {candidate.kind for candidate in candidates} == kinds
    assert len({candidate.genome.tobytes() for candidate in candidates}) == len(candidates)
    assert main([str(run), "--rounds", "1", "--worlds", "2"]) == 0
    assert f"champion {run / 'champion.npz'}" in capsys.readouterr().out
    genomes, n_hidden, _ = read_genomes(run / "champion.npz", None)
    assert n_hidden == 2
    assert any((genomes[0] == candidate.genome).all() for candidate in candidates)


def test_a_run_without_generations_and_bad_numbers_are_refused(tmp_path, capsys):
    (tmp_path / "config.toml").write_text("seed = 3\n")
    (tmp_path / "checkpoints").mkdir()
    assert main([str(tmp_path)]) == process.EXIT_CANNOT_CREATE
    assert "has no generation on record yet" in capsys.readouterr().err
    assert main([str(tmp_path), "--worlds", "1"]) == process.EXIT_USAGE
    assert "'1' is no whole number from 2 to 1000" in capsys.readouterr().err
