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

    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared

import argparse
import dataclasses
import datetime
import difflib
import os
import re
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from experiments import process
from experiments.config import (
    AntsConfig,
    ConfigError,
    config_to_dict,
    config_to_toml,
    differing_fields,
    leaves,
    load_config,
)
from experiments.evaluate import evaluate_file, read_genomes
from experiments.provenance import collect_provenance, git_commit
from experiments.rollout import make_colony_task
from experiments.run import GenerationFailedError, evolve, make_optimizer, say
from experiments.run_folder import RunFolder
from experiments.storage import StorageError, write_text
from optim import Optimizer
from optim.evaluators import Evaluator
from optim.launcher import is_first_rank
from optim.mpi import MpiUnavailableError, launch, mpi_library
from snn.nest_kernel import NestUnavailableError

MakeEvaluator = Callable[[Any], Evaluator]

_HELP = {
    "optimizer": "ga, es or enkf",
    "population": "individuals per generation",
    "generations": "generations in all; a resumed run may be given more",
    "episodes": "episodes per individual and generation",
    "seed": "root of all random numbers",
    "worlds": "new worlds for every individual, every generation, or one set for the whole run",
    "record_spikes": "keep the spikes of the best individual of every generation",
    "preset": "world, see docs/world.md; published_training unless given",
}


class _Parser(argparse.ArgumentParser):
    def parse(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Values by name; an unknown flag is an error that offers the nearest known one."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            flag = unknown[0].split("=")[0]
            nearest = difflib.get_close_matches(flag, self._option_string_actions, n=1)
            raise ConfigError(f"unknown flag {flag}{f', did you mean {nearest[0]}?' if nearest else '.'} See --help.")
        return vars(options)

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. See --help.")


def make_parser() -> _Parser:
    """Command line: one flag per setting, from the dataclasses of the config."""
    parser = _Parser(prog="ants.py", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings; flags override it")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of run folders: runs")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--name", metavar="NAME", help="name of the run folder; default: optimizer, seed, time")
    what.add_argument("--resume", type=Path, metavar="RUN", help="continue the run in this folder")
    what.add_argument("--evaluate", type=Path, metavar="FILE", help="npz file with weights and delays, each (n, S)")
    parser.add_argument("--genome", type=int, metavar="ROW", help="row of the file to --evaluate; default all")
    parser.add_argument("--out", type=Path, default=Path("scores.csv"), metavar="FILE", help="scores of --evaluate")
    groups = {"": parser.add_argument_group("settings")}
    for name, default in leaves(AntsConfig()):
        section = name.rpartition(".")[0]
        if section not in groups:
            groups[section] = parser.add_argument_group(f"[{section}]")
        flag = name if section else name.replace("_", "-")
        options: dict[str, Any] = {"nargs": "?", "const": True} if isinstance(default, bool) else {}
        text = f"{_HELP.get(name, '')} (default {default})".strip().replace("%", "%%")
        groups[section].add_argument(
            f"--{flag}", dest=name, default=argparse.SUPPRESS, metavar="VALUE", help=text, **options
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    process.catch_stop_signals()
    try:
        commit = git_commit() if is_first_rank() else ""  # before MPI: it starts a process
        # Rank 0 alone reads the command line, so that help and errors appear once.
        return launch(lambda make_evaluator: _main(arguments, make_evaluator, commit), make_colony_task)
    except MpiUnavailableError as error:
        return _report(error, process.EXIT_UNAVAILABLE)
    except Exception:  # one process; with several ranks `launch` has ended them all
        traceback.print_exc()
        return process.EXIT_INTERNAL


def _main(arguments: Sequence[str] | None, make_evaluator: MakeEvaluator, commit: str) -> int:
    """What rank 0 does; expected errors become one message and an exit code."""
    try:
        options = make_parser().parse(arguments)
        flags = {name: options[name] for name, _ in leaves(AntsConfig()) if name in options}
        if options["evaluate"] is not None:
            return _evaluate(options, flags, make_evaluator)
        if options["resume"] is not None:
            return _resume(options, flags, make_evaluator, commit)
        return _start(options, flags, make_evaluator, commit)
    except SystemExit as error:  # --help
        return int(error.code or 0)
    except ConfigError as error:
        return _report(error, process.EXIT_USAGE)
    except NestUnavailableError as error:
        return _report(error, process.EXIT_UNAVAILABLE)
    except GenerationFailedError as error:
        return _report(error, process.EXIT_INTERNAL)
    except StorageError as error:
        return _report(error, process.EXIT_CANNOT_CREATE)
    except OSError as error:
        return _report(error, process.EXIT_IO)


def _start(options: dict[str, Any], flags: dict[str, Any], make_evaluator: MakeEvaluator, commit: str) -> int:
    config = load_config(options["config"], flags)
    path = options["runs"] / _run_name(options["name"], config)
    RunFolder.check_new(path)  # before any work
    optimizer = make_optimizer(config)
    evaluator = make_evaluator({"config": config_to_dict(config), "is_held_out": False})
    return _evolve(config, optimizer, RunFolder.create(path, config_to_toml(config)), evaluator, commit)


def _resume(options: dict[str, Any], flags: dict[str, Any], make_evaluator: MakeEvaluator, commit: str) -> int:
    run = RunFolder(options["resume"])
    saved = load_config(run.path / "config.toml", {})
    config = load_config(options["config"] or run.path / "config.toml", flags)
    different = differing_fields(saved, config)
    if different:
        listed = "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in different.items())
        raise ConfigError(f"{run.path} was started with another configuration ({listed}). Start a new run for it.")
    evaluator = make_evaluator({"config": config_to_dict(config), "is_held_out": False})
    return _evolve(config, make_optimizer(config), run, evaluator, commit)


def _evolve(config: AntsConfig, optimizer: Optimizer, run: RunFolder, evaluator: Evaluator, commit: str) -> int:
    say(
        f"{config.optimizer}, {config.population} individuals × {config.episodes} episodes of {config.env.n_ticks} "
        f"ticks, {config.generations} generations, engine {config.brain.engine}, {evaluator.n_ranks} ranks: {run.path}"
    )
    with run.lock():
        write_text(run.path / "config.toml", config_to_toml(config))  # more generations, or another engine
        run.add_provenance(collect_provenance(config.seed, evaluator.n_ranks, mpi_library(), commit))
        return evolve(config, optimizer, run, evaluator)


def _evaluate(options: dict[str, Any], flags: dict[str, Any], make_evaluator: MakeEvaluator) -> int:
    out = options["out"]
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
    evaluator = make_evaluator({"config": config_to_dict(config), "is_held_out": True})
    return evaluate_file(config, genomes, published, evaluator, out)


def _run_name(name: str | None, config: AntsConfig) -> str:
    if name is None:
        now = datetime.datetime.now(datetime.timezone.utc)
        return f"{config.optimizer}-seed{config.seed}-{now:%Y%m%d-%H%M%S}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ConfigError(
            f"--name {name!r} is not allowed: use up to 80 letters, digits, '.', '_' and '-', beginning with a letter "
            "or digit. Choose the folder with --runs."
        )
    return name


def _report(error: Exception, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
