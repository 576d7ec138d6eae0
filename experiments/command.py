"""What all command lines share: flags from a config, checked paths, errors as one line and an exit code."""

from __future__ import annotations

import argparse
import datetime
import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from experiments import process
from experiments.console import report
from experiments.files import DataError, StorageError, explain
from experiments.run import GenerationFailedError
from experiments.settings import ConfigError, leaves
from snn.nest_kernel import NestUnavailableError

_HELP = {
    "optimizer": "one of docs/optimizers.md; this help shows the settings of the one that is chosen",
    "n_coefficients": "search so many cosine coefficients of each block of genes; 0: the genes",
    "population": "individuals per generation",
    "generations": "generations in all; a resumed run may be given more",
    "episodes": "episodes per individual and generation",
    "seed": "root of all random numbers",
    "record_genomes": "all, or best: only that of the best individual of every generation",
    "retries": "how often a task that failed is tried again",
    "timeout_s": "longest time of one try in seconds, 0 for no limit",
    "checkpoint_s": "seconds between checkpoints, 0: after every generation; more are lost by a kill, none by a stop",
    "max_failed_fraction": "a generation with more failed individuals ends the run",
}


class HelpShown(SystemExit):
    """The command line asked for nothing but its help."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises ConfigError, and HelpShown."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown(status)

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


def add_settings(
    parser: argparse.ArgumentParser, config: Any, texts: Mapping[str, str], hidden: Collection[str] = ()
) -> None:
    """One flag per setting of a config, without a default; sections become groups.

    Parameters
    ----------
    texts : help by name of a setting, beside that of the settings of all studies
    hidden : sections that the help leaves out
    """
    groups = {"": parser.add_argument_group("settings")}
    for name, default in leaves(config):
        section = name.rpartition(".")[0]
        if section not in groups:
            groups[section] = parser.add_argument_group(f"[{section}]")
        flag = name if section else name.replace("_", "-")
        options: dict[str, Any] = {"nargs": "?", "const": True} if isinstance(default, bool) else {}
        text = f"{(_HELP | dict(texts)).get(name, '')} (default {default})".strip().replace("%", "%%")
        if section in hidden:
            text = argparse.SUPPRESS
        groups[section].add_argument(
            f"--{flag}", dest=name, default=argparse.SUPPRESS, metavar="VALUE", help=text, **options
        )


def checked_path(text: str) -> Path:
    """A path from the command line.

    Raises
    ------
    argparse.ArgumentTypeError : it is empty or holds control characters, which would garble every message about it.
    """
    if not text or not all(character.isprintable() for character in text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed: it is empty or has characters that cannot be printed"
        )
    return Path(text)


def run_name(name: str | None, stem: str) -> str:
    """Name of a new run folder: the one that was given, or `stem` and the time in UTC.

    Raises
    ------
    ConfigError : a name that is no plain file name.
    """
    if name is None:
        return f"{stem}-{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise ConfigError(
            f"--name {name!r} is not allowed: use up to 80 letters, digits, '.', '_' and '-', beginning with a letter "
            "or digit. Choose the folder with --runs."
        )
    return name


def guarded(action: Callable[[], int]) -> int:
    """Do what a command does; expected errors become one message and an exit code, see `experiments.process`."""
    process.prepare_output()
    try:
        return action()
    except HelpShown:
        return process.EXIT_DONE
    except SystemExit as error:  # of a task or a library: never a success
        return report(f"the run was ended from within by sys.exit({error.code!r}).", process.EXIT_INTERNAL)
    except ConfigError as error:
        return report(error, process.EXIT_USAGE)
    except NestUnavailableError as error:
        return report(error, process.EXIT_UNAVAILABLE)
    except GenerationFailedError as error:
        return report(error, process.EXIT_INTERNAL)
    except DataError as error:
        return report(error, process.EXIT_BAD_DATA)
    except StorageError as error:
        return report(error, process.EXIT_CANNOT_CREATE)
    except OSError as error:
        return report(explain(error, Path.cwd()), process.EXIT_IO)
