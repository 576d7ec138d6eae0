"""Search the settings of the ensemble Kalman filter: every individual is a whole training of a reservoir's readout.

python experiments/hpo.py                                  # a genetic algorithm, Optuna's TPE and random search
mpirun -n 9 python experiments/hpo.py --group-size 2       # every training on two ranks; the same result
python experiments/hpo.py --only ga --population 20 --generations 15
python experiments/hpo.py --preset published --budget 500000

All trainings may simulate equally many members for equally many images; a large ensemble and many repetitions of a
batch therefore mean few batches. Fitness is the accuracy of the mean readout on images that no training sees; that on
the test images is recorded, and decides nothing. The same command goes on where it was stopped.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.prepare_output()
    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from experiments.command import checked_path
from experiments.comparison import parse_comparison, run_comparison, show_comparison, start_or_continue
from experiments.console import say
from experiments.data_files import use_data_folder
from experiments.files import write_text
from experiments.generation import in_blocks
from experiments.hpo_report import Search, draw, table
from experiments.lsm_config import PRESETS, LsmConfig
from experiments.lsm_images import ImageSet
from experiments.lsm_study import Readouts, n_weights
from experiments.lsm_study import make_optimizer as make_filter
from experiments.lsm_study import make_study as make_training
from experiments.lsm_tasks import make_lsm_task, record_missing
from experiments.process import EXIT_DONE
from experiments.program import Program, check_group_size, group_size, make_parser
from experiments.run_folder import RunFolder
from experiments.search_config import SearchConfig, make_search, other_sections
from experiments.seeds import initial_rng, optimizer_seed
from experiments.settings import ConfigError, check_flags, config_to_dict, fill, leaves, read_settings
from experiments.study import Study, estimate
from optim import Block, Evaluations, GAConfig, Optimizer, ParameterSpace
from optim.base import Array
from optim.evaluators import MakeEvaluator
from optim.methods import Start
from optim.tasks import Task, TaskFunction

MEASURES = ("accuracy", "test_accuracy", "updates")
SETTINGS = ParameterSpace(
    (
        Block("gamma", 1, 1e-3, 10.0, kind="log"),
        Block("ensemble_size", 1, 10, 200, kind="integer"),
        Block("repetitions", 1, 1, 8, kind="integer"),
        Block("inflation", 1, 1e-6, 1e-2, kind="log"),  # of half the bound range
    )
)
SEARCHES = ("ga", "optuna", "random")


@dataclass(frozen=True, slots=True, kw_only=True)
class HpoConfig(SearchConfig):
    """Everything that decides the result of a run of `experiments/hpo.py`; episodes are other first ensembles."""

    population: int = 8
    generations: int = 6
    ga: GAConfig = field(default_factory=lambda: GAConfig(mutation_sigma=3.0, n_elite=1))
    preset: str = "quick"  # of experiments/lsm.py: images, reservoir, and the filter whose settings are searched
    budget: int = 60_000  # members × images that a training may simulate
    n_train: int = 100  # images of each class to learn from; the others decide

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        if self.preset not in PRESETS:
            raise ConfigError(f"preset={self.preset!r} is unknown: choose one of {', '.join(PRESETS)}.")
        if self.n_train < 1:
            raise ConfigError(f"n_train={self.n_train} is not allowed: it must be >= 1.")
        inner = self.training
        least = 2 * int(SETTINGS.high[1]) * inner.n_per_class * len(inner.classes)
        if self.budget < least:
            raise ConfigError(f"budget={self.budget} is too small: the largest ensemble needs two updates, >= {least}.")

    @property
    def training(self) -> LsmConfig:
        """The training of an individual, but for what is searched."""
        return dataclasses.replace(PRESETS[self.preset], n_train=self.n_train, seed=self.seed)


def make_training_task(settings: Any, make_evaluator: MakeEvaluator) -> TaskFunction:
    """Task function of the outer loop: train a readout with some settings of the filter, and test it."""
    config, folder = fill(HpoConfig(), settings["config"]), Path(settings["folder"])
    inner = config.training
    evaluator = make_evaluator({"role": "train", "config": config_to_dict(inner), "folder": str(folder)})
    training, readouts = make_training(inner, folder), Readouts(inner, folder)
    validation, read = ImageSet(inner, "validation", folder), training.read
    assert read is not None  # a batch of images is read

    def train(task: Task, genome: Array) -> Array:
        chosen = SETTINGS.named(genome)
        size, repetitions = chosen["ensemble_size"], chosen["repetitions"]
        enkf = dataclasses.replace(inner.enkf, gamma=chosen["gamma"], inflation=chosen["inflation"])
        start = dataclasses.replace(inner, population=size, seed=inner.seed + task.episode, enkf=enkf)
        kalman = make_filter(start, folder)
        n_updates = config.budget // (size * inner.n_per_class * len(inner.classes))
        for update in range(n_updates):
            if kalman.stop():
                break
            batch, members = update // repetitions, kalman.ask()
            results = evaluator.evaluate(batch, in_blocks(members, inner.block), 1)
            failed = np.full(inner.block * training.n_values, np.nan)
            values = np.concatenate([failed if result.values is None else result.values for result in results])
            reading = read(batch, values.reshape(-1, training.n_values)[:size])
            kalman.tell(members, Evaluations(reading.measures[:, 0], reading.responses, reading.targets))
        weights = estimate(kalman, members[0])[None]
        accuracies = [_accuracy(readouts, weights, images) for images in (validation, readouts.test)]
        return np.array([*accuracies, kalman.generation])

    return train


def _accuracy(readouts: Readouts, weights: Array, images: ImageSet) -> float:
    rates_hz = readouts.rates_hz(weights, images, np.arange(len(images.labels)))[0]
    return float((rates_hz.argmax(axis=1) == images.labels).mean())


def make_study(config: HpoConfig) -> Study:
    """The outer loop's view of the study."""
    return Study(
        title=f"{config.optimizer} over settings of the filter, seed {config.seed}",
        config=config,
        measures=MEASURES,
        fitness="accuracy",
        told=("test_accuracy",),
        seed_of=lambda task: config.seed + task.episode,
        save=_save,
    )


def make_optimizer(config: HpoConfig) -> Optimizer:
    """The outer optimizer at its first generation; those that take a first generation begin with the same."""
    initial = SETTINGS.sample(initial_rng(config.seed), config.population)
    return make_search(config, Start(SETTINGS, initial, optimizer_seed(config.seed), targets=np.ones(1)))


def load_config(path: Path | None, flags: Mapping[str, Any]) -> HpoConfig:
    """Config from defaults, then the file, then flags; see `experiments.config.load_config`."""
    config = typing.cast(HpoConfig, fill(HpoConfig(), read_settings(path, flags)))
    check_flags(config, flags)
    return config


def _save(run: RunFolder, optimizer: Optimizer, best: Array) -> str:
    path = run.path / "best.json"
    write_text(path, json.dumps(SETTINGS.named(best), indent=2) + "\n")
    return str(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    use_data_folder(arguments)
    body = functools.partial(_main, arguments)
    return run_comparison(body, make_any_task, make_inner=make_lsm_task, group_size=group_size(arguments))


def make_any_task(settings: Any, make_evaluator: MakeEvaluator) -> TaskFunction:
    """Task function of the outer loop, or one that records images."""
    return make_lsm_task(settings) if "role" in settings else make_training_task(settings, make_evaluator)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator, commit: str) -> int:
    """What rank 0 does."""
    parser, _ = make_parser("hpo.py", __doc__, HpoConfig(), _HELP, other_sections(arguments))
    parser.add_argument("--only", choices=SEARCHES, help="this search only")
    parser.add_argument("--group-size", default="1", metavar="N", help="MPI ranks per training (default 1)")
    parser.add_argument("--data", type=checked_path, metavar="FOLDER", help="of the images, see docs/data.md")
    options = parse_comparison(parser, arguments)
    check_group_size(options)
    flags = {name: options[name] for name, _ in leaves(HpoConfig()) if name in options}
    if "optimizer" in flags:
        raise ConfigError(f"--optimizer has no effect: give --only, one of {', '.join(SEARCHES)}.")
    config, recordings = load_config(options["config"], flags), options["runs"] / "recordings"
    folder = options["runs"] / (options["name"] or f"hpo-{config.preset}-seed{config.seed}")
    everything = dataclasses.replace(config.training, generations=config.n_train)  # all training images
    record_missing(everything, recordings, make, ("train", "validation", "test"))
    program = Program(
        load_config=load_config,
        make_optimizer=make_optimizer,
        make_study=make_study,
        task_settings=lambda own: {"config": config_to_dict(own), "folder": str(recordings)},
        n_params=lambda own: SETTINGS.n_params,
        label=lambda own: "hpo",
        headline=lambda own: f"{own.optimizer} over settings of the filter, {own.population} trainings per generation",
    )
    searches = []
    for name in [options["only"]] if options["only"] else SEARCHES:
        own = {"optimizer": name} | {key: value for key, value in flags.items() if _is_for(key, name)}
        say(f"{name}, seed {config.seed}")
        code = start_or_continue(program, folder / name, options["config"], own, make, commit)
        if code != EXIT_DONE:
            return code
        searches.append(Search.read(name, RunFolder(folder / name), SETTINGS))
    _report(searches, config, folder)
    return EXIT_DONE


def _is_for(setting: str, search: str) -> bool:
    """Whether a setting counts for a search: sections are those of one optimizer."""
    return "." not in setting or setting.startswith(f"{search}.")


def _report(searches: Sequence[Search], config: HpoConfig, folder: Path) -> None:
    title = f"{n_weights(config.training):,} weights, {config.budget:,} members × images per training"
    draw_search = functools.partial(draw, searches, title)
    show_comparison(table(searches), folder / "table.md", draw_search, folder / "search.png")


_HELP = {
    "preset": "of experiments/lsm.py: images, reservoir and filter",
    "budget": "members × images that a training may simulate",
    "n_train": "images of each class to learn from; the others decide",
}

if __name__ == "__main__":
    sys.exit(main())
