"""Tell digits apart with a spiking reservoir whose spiking readout is trained without gradients.

python experiments/lsm.py --preset quick                   # digits of scikit-learn, from nothing: minutes
mpirun -n 16 python experiments/lsm.py --preset published  # MNIST 0, 1, 2 with the published encoding, repaired
mpirun -n 16 python experiments/lsm.py --preset improved   # MNIST, ten digits
python experiments/lsm.py --preset quick --seeds 5         # an interval over seeds
python experiments/lsm.py --preset quick --only filter     # not the trainings it is compared with

Every training is a run folder in a common one, and images are simulated once; the same command goes on where it was
stopped. At the end: a table with baselines, confusion matrices, learning curves. Images: docs/data.md, --data FOLDER.
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
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.command import checked_path
from experiments.comparison import parse_comparison, run_comparison, show_comparison, start_or_continue
from experiments.console import say
from experiments.data_files import use_data_folder
from experiments.lsm_config import PRESETS, LsmConfig, load_config
from experiments.lsm_images import ImageSet
from experiments.lsm_report import Score, baselines, confusion, draw_confusions, table
from experiments.lsm_study import make_optimizer, make_study, n_weights, read_readout
from experiments.lsm_tasks import make_lsm_task, record_missing, test_rates
from experiments.process import EXIT_DONE
from experiments.program import Program, make_parser
from experiments.run_folder import RunFolder
from experiments.search_config import other_sections
from experiments.settings import ConfigError, config_to_dict, leaves
from optim.evaluators import MakeEvaluator

# What the trained readout is compared with, on the same reservoir and the same images; settings beside the preset's.
_PUBLISHED_START = {"prior": "independent", "centre_pA": 100.0, "spread_pA": 50.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "filter": {},
    "published filter": _PUBLISHED_START
    | {
        "is_localised": False, "tau_hz": 1.0, "enkf.variant": "published", "enkf.loss": "squared", "enkf.step": "fixed",
        "enkf.gamma": 0.5, "enkf.selection": 0.11, "enkf.selection_noise": 0.03,
    },
    "selection of noise": _PUBLISHED_START
    | {
        "optimizer": "ga", "ga.selection": "truncation", "ga.parent_fraction": 0.1, "ga.crossover_probability": 0.0,
        "ga.mutation_probability": 1.0, "ga.gene_probability": 1.0, "ga.duplicate_mutation_probability": 0.0,
        "ga.mutation_sigma": 30.0, "ga.keep_best_ever": False, "ga.reevaluate": "all",
    },
}  # fmt: skip

_HELP = {
    "images": "mnist or digits",
    "classes": "labels that are told apart, e.g. [0, 1, 2]",
    "n_train": "images of each class to learn from, 0: all",
    "n_per_class": "images of each class per generation",
    "tau_hz": "logits are the mean rates of the clusters divided by this",
    "centre_pA": "mean weight from excitatory neurons, minus that from inhibitory ones, of the first members",
    "spread_pA": "standard deviation of the first members from their mean",
    "prior": "independent, or activity: members differ in the directions in which images differ",
    "is_localised": "weights onto a cluster learn from its response only",
    "bound_pA": "largest weight",
    "n_votes": "members that vote in the last test",
    "engine": "numba or nest",
    "block": "members that are simulated side by side",
    "test_every": "generations between looks at some test images",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    use_data_folder(arguments)
    return run_comparison(lambda make, commit: _main(arguments, make, commit), make_lsm_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator, commit: str) -> int:
    """What rank 0 does."""
    options = parse_comparison(_parser(arguments), arguments)
    n_seeds = int(options["seeds"]) if options["seeds"].isdecimal() else 0
    if n_seeds < 1:
        raise ConfigError(f"--seeds {options['seeds']} is not a whole number >= 1.")
    flags = {name: options[name] for name, _ in leaves(LsmConfig()) if name in options}
    config = load_config(options["config"], flags, options["preset"])
    recordings = options["runs"] / "recordings"
    folder = options["runs"] / (options["name"] or f"lsm-{options['preset']}")
    scores = []
    for variant in [options["only"]] if options["only"] else VARIANTS:
        found = []
        for seed in range(config.seed, config.seed + n_seeds):
            settings = VARIANTS[variant] | flags | {"seed": seed}
            ours = load_config(options["config"], settings, options["preset"])
            program = _program(recordings, options["preset"], settings)
            path = folder / f"{variant.replace(' ', '-')}-seed{seed}"
            record_missing(ours, recordings, make)  # another seed may see other images
            say(f"{variant}, seed {seed}")
            code = start_or_continue(program, path, options["config"], settings, make, commit)
            if code != EXIT_DONE:
                return code
            found.append(_score(variant, ours, RunFolder(path), recordings, make))
        scores += [_joined(scores_of_seeds) for scores_of_seeds in zip(*found, strict=True)]
    _report(config, folder, recordings, scores)
    return EXIT_DONE


def _parser(arguments: Sequence[str] | None) -> Any:
    parser, _ = make_parser("lsm.py", __doc__, LsmConfig(), _HELP, other_sections(arguments))
    parser.add_argument("--preset", choices=PRESETS, default="quick", help="settings to begin with (default quick)")
    parser.add_argument("--seeds", default="1", metavar="N", help="trainings with this seed and the next ones")
    parser.add_argument("--only", choices=VARIANTS, help="this training only")
    parser.add_argument("--data", type=checked_path, metavar="FOLDER", help="of the images, see docs/data.md")
    return parser


def _program(recordings: Path, preset: str, settings: Mapping[str, Any]) -> Program:
    return Program(
        load_config=lambda path, flags: load_config(path, flags, preset),
        make_optimizer=lambda config: make_optimizer(config, recordings),
        make_study=lambda config: make_study(config, recordings),
        task_settings=lambda config: {"role": "train", "config": config_to_dict(config), "folder": str(recordings)},
        n_params=n_weights,
        label=lambda config: "lsm",
        headline=lambda config: (
            f"{config.optimizer} trains a readout of {n_weights(config):,} weights, {config.population} members, "
            f"{config.generations} generations of {config.n_per_class * len(config.classes)} images"
        ),
    )


def _score(name: str, config: LsmConfig, run: RunFolder, recordings: Path, make: MakeEvaluator) -> tuple[Score, ...]:
    """Of the mean readout and of the vote of some members, on all test images."""
    images = ImageSet(config, "test", recordings)
    mean, votes = read_readout(run)
    rates_hz = test_rates(config, recordings, np.concatenate([mean[None], votes]), make)
    table = run.read_results(["generations"])["generations"]
    n_images = config.generations * config.n_per_class * len(config.classes)
    seconds = float(table["seconds"].sum())
    given = {name: rates_hz[0]} | (
        {f"{name}, {len(votes)} members vote": rates_hz[1:].mean(axis=0)} if len(votes) else {}
    )
    return tuple(
        Score(
            name=each,
            confusions=confusion(images.labels, rates.argmax(axis=1), len(config.classes))[None],
            n_images=n_images,
            seconds=seconds,
        )
        for each, rates in given.items()
    )


def _joined(scores: Sequence[Score]) -> Score:
    """One score of several seeds."""
    return dataclasses.replace(
        scores[0],
        confusions=np.concatenate([score.confusions for score in scores]),
        seconds=float(np.mean([score.seconds for score in scores])),
    )


def _report(config: LsmConfig, folder: Path, recordings: Path, scores: list[Score]) -> None:
    """Baselines on the images that were shown, the table, and the figure."""
    train, test = ImageSet(config, "train", recordings), ImageSet(config, "test", recordings)
    shown = np.unique(np.concatenate([train.batch(generation) for generation in range(config.generations)]))
    everything = np.arange(len(test.labels))
    labels = train.labels[shown], test.labels
    for name, features in {
        "pixels": (train.pixels[shown], test.pixels),
        "reservoir": (train.counts(shown), test.counts(everything)),
    }.items():
        scores += baselines(name, features[0], labels[0], features[1], labels[1])
    names = [str(label) for label in config.classes]
    draw = functools.partial(draw_confusions, scores, names)
    show_comparison(table(scores), folder / "table.md", draw, folder / "confusion.png")


if __name__ == "__main__":
    sys.exit(main())
