"""Searching settings of the filter: trainings as individuals, equal budgets, images that decide."""

import json

import numpy as np
import pytest

from experiments import process
from experiments.hpo import SEARCHES, SETTINGS, HpoConfig, load_config, main, make_training_task
from experiments.hpo_report import Search, table
from experiments.lsm_config import PRESETS
from experiments.lsm_images import ImageSet
from experiments.lsm_tasks import make_lsm_task, record_missing
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError, config_to_dict
from optim.evaluators import SerialEvaluator
from optim.tasks import Task
from tests.unit.lsm_cases import small_config

pytest.importorskip("sklearn", reason="the digits are scikit-learn's: pip install -e '.[liquid]'")

SMALL = ["--population", "3", "--generations", "2", "--budget", "2000", "--n-train", "12"]
GENOME = np.array([0.25, 40.0, 2.0, 1e-5])


@pytest.fixture(autouse=True)
def _small_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "_is_stop_requested", False)
    monkeypatch.setitem(PRESETS, "quick", small_config())


def serial(settings):
    return SerialEvaluator(make_lsm_task(settings))


@pytest.fixture
def recorded(tmp_path):
    """The config, and the folder of its recordings."""
    config = HpoConfig(budget=2000, n_train=12)
    record_missing(config.training, tmp_path, serial, ("train", "validation", "test"))
    return config, tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"preset": "quickly"}, "preset='quickly' is unknown: choose one of quick"),
        ({"budget": "1599"}, "budget=1599 is too small: the largest ensemble needs two updates, >= 1600"),
        ({"n_train": "0"}, "n_train=0 is not allowed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(flags, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, flags)


def test_images_that_decide_are_those_that_no_training_sees(recorded):
    config, folder = recorded
    train, validation = (ImageSet(config.training, split, folder) for split in ("train", "validation"))
    seen = {picture.tobytes() for picture in train.pixels}
    assert len(train.labels) == 24
    assert len(validation.labels) > 200
    assert not seen & {picture.tobytes() for picture in validation.pixels}
    assert not set(train.numbers.tolist()) & set(validation.numbers.tolist())


def test_a_training_stays_within_its_budget_and_repeats_by_its_seed(recorded):
    config, folder = recorded
    settings = {"config": config_to_dict(config), "folder": str(folder)}
    batches = []

    def make(inner):
        evaluate = serial(inner).evaluate

        class Counting(SerialEvaluator):
            def evaluate(self, generation, genomes, n_episodes, **options):
                batches.append((generation, genomes.size))
                return evaluate(generation, genomes, n_episodes, **options)

        return Counting(lambda task, genome: genome)

    train = make_training_task(settings, make)
    values = train(Task(0, 0, 0), GENOME)
    assert values[2] == len(batches) == 2000 // (40 * 4)
    assert [batch for batch, _ in batches] == [update // 2 for update in range(12)]
    np.testing.assert_array_equal(train(Task(5, 3, 0), GENOME), values)  # of the episode, not of who trains when
    assert not np.array_equal(train(Task(0, 0, 1), GENOME), values)


@pytest.mark.slow
def test_all_searches_have_the_same_budget_and_the_report_tells_the_best(tmp_path, capsys):
    assert main(SMALL) == 0
    folder = tmp_path / "runs" / "hpo-quick-seed1"
    rows = (folder / "table.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {name}" for name in SEARCHES]
    starts = []
    for name in SEARCHES:
        run = RunFolder(folder / name)
        search = Search.read(name, run, SETTINGS)
        assert search.best_so_far[-1] == search.accuracy.max()
        assert json.loads((run.path / "best.json").read_text()) == search.best
        starts.append(search.accuracy[:3])
    np.testing.assert_array_equal(starts[0], starts[1])  # they begin with the same settings
    assert main(SMALL) == 0
    assert (folder / "table.md").read_text().splitlines()[2:] == rows
    assert "gen 00" in capsys.readouterr().out


def test_the_table_shows_the_best_training_by_the_images_that_decide():
    best = {"gamma": 0.1, "ensemble_size": 64}
    search = Search(
        name="ga", accuracy=np.array([0.5, 0.9, 0.8]), test_accuracy=np.array([0.9, 0.6, 0.7]), best=best, seconds=3.0
    )
    assert table([search]).splitlines()[2] == "| ga | 3 | 90.0% | 60.0% | 0.1 | 64 | 3 s |"
    np.testing.assert_array_equal(search.best_so_far, [0.5, 0.9, 0.9])


def test_another_optimizer_than_the_searches_is_refused(capsys):
    assert main([*SMALL, "--optimizer", "es"]) == process.EXIT_USAGE
    assert "--optimizer has no effect: give --only, one of ga, optuna, random" in capsys.readouterr().err
