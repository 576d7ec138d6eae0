"""A study of several runs as a program: the same command continues it, and it ends with one table and one figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.command import Parser
from experiments.console import say
from experiments.files import write_text
from experiments.process import EXIT_STOPPED
from experiments.program import Program, resume, run_program, start_or_resume
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError
from optim.evaluators import EvaluationStopped, MakeEvaluator


def run_comparison(
    body: Callable[[MakeEvaluator, str], int], make_task: Callable[..., Any], **launch_options: Any
) -> int:
    """As `experiments.program.run_program`; `body` may also be stopped between its runs."""

    def until_stopped(make: MakeEvaluator, commit: str) -> int:
        try:
            return body(make, commit)
        except EvaluationStopped:  # what was done before stays
            say("stopped; the same command goes on")
            return EXIT_STOPPED

    return run_program(until_stopped, make_task, **launch_options)


def parse_comparison(parser: Parser, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Options of a study of several runs.

    Raises
    ------
    ConfigError : as `Parser.parse`, and for --resume.
    """
    options = parser.parse(arguments)
    if options["resume"] is not None:
        raise ConfigError("--resume has no effect: give the same command again, it goes on where it was stopped.")
    return options


def start_or_continue(
    program: Program, path: Path, file: Path | None, flags: Mapping[str, Any], make: MakeEvaluator, commit: str
) -> int:
    """Start the run that belongs in this folder, or continue it; returns the exit code. Raises as `start_or_resume`.

    Parameters
    ----------
    file : with settings, or None
    """
    if path.exists():  # with the settings of this command, not with those that the run happens to have
        return resume(program, RunFolder(path), file, flags, make, commit)
    options = {"resume": None, "config": file, "runs": path.parent, "name": path.name}
    return start_or_resume(program, options, flags, make, commit)


def show_comparison(text: str, table: Path, draw: Callable[[Path], bool], figure: Path) -> None:
    """Write the table, print it, draw the figure, and say where they are.

    Parameters
    ----------
    text : the table, Markdown
    draw : writes the figure; False if it cannot
    """
    write_text(table, text)
    for line in text.splitlines():
        say(line)
    say(f"table  {table}")
    if draw(figure):
        say(f"figure {figure}")
