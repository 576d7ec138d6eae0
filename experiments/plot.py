"""Draw the learning curve of a run: `stigmergy plot RUN [-o FILE]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.analysis import plot_fitness
from experiments.command import Parser, checked_path, guarded
from experiments.console import report, say
from experiments.files import StorageError
from experiments.process import EXIT_DONE, EXIT_UNAVAILABLE
from experiments.run_folder import RunFolder
from experiments.settings import ConfigError

_FORMATS = (".png", ".pdf", ".svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy plot", description=__doc__)
    parser.add_argument("run", type=checked_path, metavar="RUN", help="a run folder")
    parser.add_argument("-o", "--out", type=checked_path, metavar="FILE", help="the figure; default RUN/fitness.png")
    return guarded(lambda: _plot(parser.parse(arguments)))


def _plot(options: dict[str, Any]) -> int:
    run = RunFolder(options["run"])
    out: Path = options["out"] or run.path / "fitness.png"
    if out.suffix not in _FORMATS:
        raise ConfigError(f"--out {out}: figures are {', '.join(_FORMATS)}. Choose one of these endings.")
    generations = run.read_results(["generations"])["generations"]
    if not generations:
        raise StorageError(f"{run.path} has no generation on record yet: there is nothing to draw.")
    if not plot_fitness(generations, out, run.path.resolve().name):
        return report("matplotlib is missing: pip install -e '.[plot]'", EXIT_UNAVAILABLE)
    say(f"figure {out}")
    return EXIT_DONE
