"""A study as a program: start it, resume it, on one process or under mpirun."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments import process
from experiments.budget import memory_error
from experiments.command import Parser, add_settings, checked_path, guarded, run_name
from experiments.console import report, say
from experiments.files import DataError
from experiments.provenance import collect_provenance, git_commit
from experiments.run import evolve
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError, config_to_toml, describe, differing_fields
from experiments.study import Study
from optim import Optimizer
from optim.evaluators import Evaluator, Limits, MakeEvaluator
from optim.launcher import is_first_rank
from optim.mpi import MpiUnavailableError, launch, mpi_library


class Program(NamedTuple):
    """What makes a study of a config.

    Parameters
    ----------
    load_config : from a TOML file, or None, and flags by dotted name; raises ConfigError
    make_optimizer, make_study : for the outer loop
    task_settings : what `make_task` of the study gets in every process: plain values
    n_params : length of a genome
    label : of a run without a name
    headline : what is about to be done
    """

    load_config: Callable[[Path | None, Mapping[str, Any]], Any]
    make_optimizer: Callable[[Any], Optimizer]
    make_study: Callable[[Any], Study]
    task_settings: Callable[[Any], Any]
    n_params: Callable[[Any], int]
    label: Callable[[Any], str]
    headline: Callable[[Any], str]


def make_parser(
    prog: str, description: str | None, config: Any, texts: Mapping[str, str], hidden: Collection[str] = ()
) -> tuple[Parser, Any]:
    """Command line of a study: run folders, and one flag per setting.

    Parameters
    ----------
    config : the default config
    texts : help of settings that not every study has, by dotted name
    hidden : sections that the help leaves out

    Returns
    -------
    parser
    what : its group of flags of which only one can be given: --name, --resume, and what a study adds
    """
    parser = Parser(prog=prog, description=description, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", type=checked_path, metavar="FILE", help="TOML file; flags override its settings")
    parser.add_argument(
        "--runs", type=checked_path, default=Path("runs"), metavar="DIR", help="folder of run folders: runs"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--name", metavar="NAME", help="name of the run folder; default: optimizer, seed, time")
    what.add_argument("--resume", type=checked_path, metavar="RUN", help="continue the run in this folder")
    add_settings(parser, config, texts, hidden)
    return parser, what


def run_program(body: Callable[[MakeEvaluator, str], int], make_task: Callable[..., Any], **launch_options: Any) -> int:
    """Run a study on all ranks; returns the exit code (see `experiments.process`).

    Parameters
    ----------
    body : what rank 0 does with a way to make evaluators and the commit of this checkout; errors become exit codes
    make_task, launch_options : see `optim.mpi.launch`
    """
    process.catch_stop_signals()
    try:
        commit = git_commit() if is_first_rank() else ""  # before MPI: it starts a process
        # Rank 0 alone reads the command line, so that help and errors appear once.
        return launch(lambda make: guarded(lambda: body(make, commit)), make_task, **launch_options)
    except MpiUnavailableError as error:
        return report(error, process.EXIT_UNAVAILABLE)
    except Exception:  # one process; with several ranks `launch` has ended them all
        traceback.print_exc()
        return process.EXIT_INTERNAL


def start_or_resume(
    program: Program, options: Mapping[str, Any], flags: Mapping[str, Any], make: MakeEvaluator, commit: str
) -> int:
    """Start a new run, or continue the one of --resume; returns the exit code.

    Parameters
    ----------
    options : of the parser, see `make_parser`
    flags : settings among them, by dotted name

    Raises
    ------
    ConfigError, StorageError, DataError, GenerationFailedError, OSError : see `experiments.command.guarded`
    """
    if options["resume"] is not None:
        run = RunFolder(options["resume"])
        return resume(program, run, options["config"] or run.path / "config.toml", flags, make, commit)
    config = program.load_config(options["config"], flags)
    path = options["runs"] / run_name(options["name"], program.label(config))
    RunFolder.check_new(path)  # before any work
    if error := memory_error(config.population, program.n_params(config)):
        raise ConfigError(error)
    optimizer, study = program.make_optimizer(config), program.make_study(config)
    evaluator = make_evaluator(config, program.task_settings(config), make)
    run = RunFolder.create(path, config_to_toml(config))
    return _evolve(program, study, optimizer, run, evaluator, commit)


def group_size(arguments: Sequence[str] | None) -> int:
    """The --group-size of a command line, which every rank has to know; 1 if it is none, see `add_group_size`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--group-size", nargs="?", default="1")
    given = parser.parse_known_args(arguments)[0].group_size or ""
    return int(given) if given.isdecimal() and int(given) > 0 else 1


def check_group_size(options: Mapping[str, Any]) -> None:
    """Refuse a --group-size that `group_size` did not understand.

    Raises
    ------
    ConfigError : it is no whole number >= 1.
    """
    if not (options["group_size"].isdecimal() and int(options["group_size"]) > 0):
        raise ConfigError(f"--group-size {options['group_size']} is not a whole number >= 1.")


def make_evaluator(config: Any, task_settings: Any, make: MakeEvaluator) -> Evaluator:
    """The evaluator of a job; the one place that gives it the limits of a task."""
    return make(task_settings, Limits(timeout_s=config.timeout_s, retries=config.retries))


def resume(
    program: Program, run: RunFolder, file: Path | None, flags: Mapping[str, Any], make: MakeEvaluator, commit: str
) -> int:
    """Continue a run; returns the exit code. Raises as `start_or_resume`.

    Parameters
    ----------
    file : settings that must be those of the run, as far as `flags` do not override them; None: the defaults
    """
    try:
        saved = program.load_config(run.path / "config.toml", {})
    except ConfigError as error:
        raise DataError(f"the settings of {run.path} are damaged or of another version: {error}") from None
    config = program.load_config(file, flags)
    if different := differing_fields(saved, config):
        raise ConfigError(
            f"{run.path} was started with another configuration ({describe(different)}). Start a new run for it."
        )
    optimizer, study = program.make_optimizer(config), program.make_study(config)
    evaluator = make_evaluator(config, program.task_settings(config), make)
    return _evolve(program, study, optimizer, run, evaluator, commit)


def _evolve(
    program: Program, study: Study, optimizer: Optimizer, run: RunFolder, evaluator: Evaluator, commit: str
) -> int:
    say(f"{program.headline(study.config)}, {evaluator.n_ranks} ranks: {run.path}")
    start = collect_provenance(study.config.seed, evaluator.n_ranks, mpi_library(), commit)
    try:
        return evolve(study, optimizer, run, evaluator, start)
    finally:
        evaluator.close()
