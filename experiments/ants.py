"""Evolve spiking ant colonies, or evaluate given genomes, on one process or under mpirun.

python experiments/ants.py --config experiments/configs/quick.toml
mpirun -n 64 python experiments/ants.py --optimizer es --population 128 --seed 2
python experiments/ants.py --resume runs/NAME
python experiments/ants.py --evaluate FILE.npz --episodes 5 --out scores.csv
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
import os
from collections.abc import Sequence
from typing import Any

from experiments.colony import make_optimizer, make_study
from experiments.command import Parser, checked_path
from experiments.config import AntsConfig, load_config
from experiments.evaluate import evaluate_file, read_genomes
from experiments.files import StorageError
from experiments.program import Program, make_evaluator, make_parser, run_program, start_or_resume
from experiments.rollout import make_colony_task
from experiments.search_config import other_sections
from experiments.settings import ConfigError, config_to_dict, leaves
from optim.evaluators import MakeEvaluator
from snn import genome_size

_HELP = {
    "worlds": "new worlds for every individual, every generation, or one set for the whole run",
    "record_spikes": "keep the spikes of the best individual of every generation",
    "preset": "world, see docs/world.md; published_training unless given",
}


def ants_parser(arguments: Sequence[str] | None = None) -> Parser:
    """Command line: one flag per setting, from the dataclasses of the config."""
    parser, what = make_parser("ants.py", __doc__, AntsConfig(), _HELP, other_sections(arguments))
    what.add_argument("--evaluate", type=checked_path, metavar="FILE", help="npz file with weights, delays: (n, S)")
    parser.add_argument("--genome", type=int, metavar="ROW", help="row of the file to --evaluate; default all")
    parser.add_argument("--out", type=checked_path, metavar="FILE", help="scores of --evaluate: scores.csv")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    return run_program(lambda make, commit: _main(arguments, make, commit), make_colony_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator, commit: str) -> int:
    """What rank 0 does."""
    options = ants_parser(arguments).parse(arguments)
    flags = {name: options[name] for name, _ in leaves(AntsConfig()) if name in options}
    if options["evaluate"] is not None:
        return _evaluate(options, flags, make)
    for name in ("genome", "out"):
        if options[name] is not None:
            raise ConfigError(f"--{name} has no effect: it needs --evaluate. Leave one out, or add the other.")
    return start_or_resume(PROGRAM, options, flags, make, commit)


def _task_settings(config: AntsConfig, *, is_held_out: bool = False) -> dict[str, Any]:
    return {"config": config_to_dict(config), "is_held_out": is_held_out}


def _headline(config: AntsConfig) -> str:
    return (
        f"{config.optimizer}, {config.population} individuals × {config.episodes} episodes of {config.env.n_ticks} "
        f"ticks, {config.generations} generations, engine {config.brain.engine}"
    )


PROGRAM = Program(
    load_config=load_config,
    make_optimizer=make_optimizer,
    make_study=make_study,
    task_settings=_task_settings,
    n_params=lambda config: genome_size(config.brain),
    label=lambda config: f"{config.optimizer}-seed{config.seed}",
    headline=_headline,
)


def _evaluate(options: dict[str, Any], flags: dict[str, Any], make: MakeEvaluator) -> int:
    out = options["out"] or Path("scores.csv")
    if not (out.parent.is_dir() and os.access(out.parent, os.W_OK)):
        raise StorageError(f"--out {out}: {out.parent} is no folder that can be written to. Make it first.")
    if out.suffix == ".png":
        raise ConfigError(f"--out {out}: the scores are a table, and the figure beside it is the .png. Use e.g. .csv.")
    for path in (out, out.with_suffix(".png")):
        if path.exists():
            raise StorageError(f"{path} exists already: remove it or choose another --out.")
    config = load_config(options["config"], flags)
    genomes, n_hidden, published = read_genomes(options["evaluate"], options["genome"])
    config = dataclasses.replace(config, brain=dataclasses.replace(config.brain, n_hidden=n_hidden))
    # All genomes meet the same worlds, which no run with this seed has seen.
    evaluator = make_evaluator(config, _task_settings(config, is_held_out=True), make)
    return evaluate_file(config, genomes, published, evaluator, out)


if __name__ == "__main__":
    sys.exit(main())
