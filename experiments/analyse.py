"""What a colony has learnt: `stigmergy analyse RUN|FILE.npz [--genome ROW] [--episodes N] [--seed S] [--out FOLDER]`.

mpirun -n 8 python experiments/analyse.py runs/NAME

In worlds that no run with this seed has met: what it loses with every sensor, with its pheromone, with its wiring; how
it fares in other worlds; how its motor neurons follow its sensors; what the ants do, and where and when trails form.
Everything is computed once, into analysis.h5; the same command again draws tables and figures from it.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.prepare_output()
    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.ablations import Variant, make_variants
from experiments.analysis_figures import draw_all
from experiments.analysis_tables import Analysis, tables_text
from experiments.analysis_tasks import compute, make_analysis_task
from experiments.colonies import read_colony
from experiments.command import Parser, checked_path
from experiments.config import AntsConfig
from experiments.console import say
from experiments.files import StorageError, write_text
from experiments.process import EXIT_DONE, EXIT_STOPPED
from experiments.program import run_program
from experiments.recorded_episode import MAX_NEURON_STEPS, neuron_steps
from experiments.settings import ConfigError, config_to_dict, describe, differing_fields
from experiments.storage import Tables, check_schema, commit, read_json, read_tables, reading, write_json, write_tables
from optim.evaluators import EvaluationStopped, MakeEvaluator
from snn.params import ENGINES

_TABLES = ("variants", "episodes", "recorded", "fields", "snapshots", "arena")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""
    return run_program(lambda make, _: _main(arguments, make), make_analysis_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator) -> int:
    """What rank 0 does."""
    parser = Parser(prog="stigmergy analyse", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("colony", type=checked_path, metavar="RUN|FILE.npz", help="a run folder, or a file of genomes")
    parser.add_argument("--genome", type=int, metavar="ROW", help="row of the file; default the first")
    parser.add_argument("--episodes", type=int, default=40, metavar="N", help="worlds, the same for all; default 40")
    parser.add_argument("--seed", type=int, metavar="S", help="root of the worlds; default that of the run, or 1")
    parser.add_argument("--engine", choices=ENGINES, default="numba", help="both give the same; default numba")
    parser.add_argument("--out", type=checked_path, metavar="FOLDER", help="default RUN/analysis, or analysis-NAME")
    options = parser.parse(arguments)
    flags = {"episodes": options["episodes"], "brain.engine": options["engine"], "timeout_s": 0.0}
    if options["seed"] is not None:
        flags["seed"] = options["seed"]
    colony = read_colony(options["colony"], options["genome"], flags)
    out = options["out"] or _default_folder(options["colony"], options["genome"])
    variants = make_variants(colony.genome, colony.config)
    name = colony.name if options["genome"] is None else f"{colony.name}, genome {options['genome']}"
    settings = _settings(name, colony.config, variants)
    path = out / "analysis.h5"
    if path.exists():
        _check_same(path, settings)
    else:
        _check_size(colony.config)
        out.mkdir(parents=True, exist_ok=True)  # before any work
        try:
            tables = compute(colony, variants, make)
        except EvaluationStopped:
            say("stopped: nothing was written")
            return EXIT_STOPPED
        _write(path, settings, tables)
    return _report(path, out)


def _default_folder(colony: Path, row: int | None) -> Path:
    if colony.is_dir():
        return colony / "analysis"
    return Path(f"analysis-{colony.stem}" + ("" if row is None else f"-{row}"))


def _settings(name: str, config: AntsConfig, variants: list[Variant]) -> dict[str, Any]:
    """What decides the results, as plain values."""
    digest = hashlib.sha256(np.stack([variant.genome for variant in variants]).tobytes()).hexdigest()
    changed = [dataclasses.asdict(variant.world) for variant in variants]
    settings = {"name": name, "genomes": digest, "variants": changed, **config_to_dict(config)}
    return dict(json.loads(json.dumps(settings)))  # as they are read back


def _check_same(path: Path, settings: dict[str, Any]) -> None:
    """Refuse to draw other results than those that were asked for; a run folder may have been renamed."""
    with reading(path) as file:
        check_schema(file, path)
        found = read_json(file, "settings")
    if different := differing_fields(found, settings | {"name": found["name"]}):
        shown = {name: values for name, values in different.items() if name not in ("variants", "genomes")}
        what = describe(shown) if shown else f"other {' and '.join(different)}"
        raise StorageError(f"{path} has another analysis ({what}): remove it, or choose another --out.")


def _write(path: Path, settings: Mapping[str, Any], tables: Tables) -> None:
    def write(file: Any) -> None:
        write_tables(file, tables)
        write_json(file, "settings", settings)

    commit(path, write)


def _check_size(config: AntsConfig) -> None:
    n_steps = neuron_steps(config)
    if n_steps > MAX_NEURON_STEPS:
        raise ConfigError(
            f"env.n_ants={config.env.n_ants} ants × env.n_ticks={config.env.n_ticks} ticks are {n_steps:,} steps of "
            f"neurons, more than the {MAX_NEURON_STEPS:,} that can be recorded. Analyse a smaller or shorter colony."
        )


def _report(path: Path, out: Path) -> int:
    """Tables and figures from the file."""
    with reading(path) as file:
        analysis = Analysis(read_json(file, "settings"), **read_tables(file, _TABLES))
    text = tables_text(analysis)
    write_text(out / "tables.md", text)
    for line in text.splitlines():
        say(line)
    say(f"data   {path}")
    say(f"tables {out / 'tables.md'}")
    figures = draw_all(analysis, out)
    for figure in figures:
        say(f"figure {figure}")
    if not figures:
        say("no figures: matplotlib is missing: pip install -e '.[plot]'")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
