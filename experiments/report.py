"""A run as one web page: `stigmergy report RUN [-o FILE.html]`. Reads only; the run may be under way.

The page needs nothing else, no network either, and runs no script. It names no host, user or folder.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.command import Parser, checked_path, guarded
from experiments.config import AntsConfig, config_from_dict
from experiments.console import say
from experiments.files import DataError, StorageError, write_text
from experiments.pages import fill, policy, template
from experiments.process import EXIT_DONE
from experiments.replay import check_output
from experiments.report_colony import colony_section
from experiments.report_figures import Array
from experiments.report_html import esc, markdown, paragraph, section, table
from experiments.report_sections import (
    RunData,
    headline,
    learning,
    optimizer_curves,
    progress,
    provenance,
    settings,
    status,
)
from experiments.run_folder import RunFolder
from experiments.settings import differing_fields, leaves, read_settings
from experiments.show import summarise
from experiments.storage import check_schema, reading

_TABLES = ("generations", "best", "episodes", "failures", "diagnostics", "test", "covariance")
_INTERRUPTED = 130
_MOST_BYTES = 200_000  # of a text beside the records
# Studies by a setting that only they and those above them have: module and class of the config, and what it is about.
_STUDIES = {
    "env": ("experiments.config", "AntsConfig", "ant colonies"),
    "liquid": ("experiments.lsm_config", "LsmConfig", "readout of a spiking reservoir"),
    "network": ("experiments.dnn_config", "DnnConfig", "image network"),
    "n_train": ("experiments.hpo", "HpoConfig", "settings of the filter that trains a readout"),
    "budget": ("experiments.nested", "NestedConfig", "settings of the filter that trains a network"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy report", description=__doc__)
    parser.add_argument("run", type=checked_path, metavar="RUN", help="a run folder")
    parser.add_argument("-o", "--out", type=checked_path, metavar="FILE", help="the page; default RUN/report.html")
    return guarded(lambda: _report(parser.parse(arguments)))


def _report(options: dict[str, Any]) -> int:
    run = RunFolder(options["run"])
    out: Path = options["out"] or run.path / "report.html"
    check_output(out)
    data = read_run(run)
    try:
        page = make_page(run, data)
    except KeyboardInterrupt:
        sys.stderr.write("stopped: no page was written\n")
        return _INTERRUPTED
    write_text(out, page)
    say(f"report {out}: {data.summary['done']:,} generations, {len(page.encode()) / 1e6:.2f} MB")
    return EXIT_DONE


def read_run(run: RunFolder) -> RunData:
    """What the page is made of.

    Raises
    ------
    StorageError : no generation is on record.
    experiments.files.DataError : records or provenance are damaged or of a newer version.
    experiments.settings.ConfigError : the settings are damaged.
    """
    chosen = read_settings(run.path / "config.toml", {})
    while True:
        summary, tables = summarise(run), run.read_results(_TABLES)
        n_done = len(tables["generations"].get("generation", ()))
        if summary["done"] == n_done:  # no generation was recorded meanwhile
            break
    if not n_done:
        raise StorageError(f"{run.path} has no generation on record yet: there is nothing to report.")
    study, defaults, compared = _defaults(chosen)
    return RunData(
        name=run.path.resolve().name,
        study=study,
        settings=chosen,
        defaults=defaults,
        compared=compared,
        tables=tables,
        individuals=_individuals(run, tables["generations"]["generation"]),
        summary=summary,
        starts=run.starts(),
    )


def make_page(run: RunFolder, data: RunData) -> str:
    """The whole page as text; nothing in it runs or asks the network, whatever the texts hold.

    Raises
    ------
    experiments.settings.ConfigError : the file of the best colony is damaged.
    """
    kind, state = status(data)
    about = [data.study, f"optimizer {data.settings.get('optimizer', '–')}", f"seed {data.settings.get('seed', '–')}"]
    sections = [
        learning(data),
        colony_section(run.path, data),
        _found(run.path),
        _champion(run.path),
        progress(data),
        optimizer_curves(data),
        settings(data),
        provenance(data),
        _analysis(run.path),
    ]
    style = template("report.css")
    parts = {
        "policy": policy(style),
        "style": style,
        "title": esc(data.name),
        "about": esc(" · ".join(about)),
        "state": f'<span class="state {kind}">{esc(state)}</span>',
        "headline": headline(data),
        "sections": "".join(sections),
    }
    return fill("report.html", parts)


def _defaults(chosen: Mapping[str, Any]) -> tuple[str, dict[str, Any], str]:
    """What kind of study has such settings, its defaults by dotted name, and what these are called."""
    known = next((_STUDIES[name] for name in _STUDIES if name in chosen), None)
    if known is None:
        return "run", {}, "defaults"
    module, name, about = known
    if "env" in chosen:
        usual = AntsConfig().preset
        return about, _leaves(config_from_dict({"preset": chosen.get("preset", usual)})) | {"preset": usual}, "defaults"
    default, compared = getattr(importlib.import_module(module), name)(), "defaults"
    if "liquid" in chosen:  # compared with the preset that is nearest
        presets = importlib.import_module(module).PRESETS
        nearest = min(presets, key=lambda preset: len(differing_fields(presets[preset], chosen)))
        default, compared = presets[nearest], f"preset {nearest}"
    return about, _leaves(default), compared


def _leaves(config: Any) -> dict[str, Any]:
    """Settings by dotted name, those of every optimizer among them."""
    return dict(leaves(dataclasses.asdict(config)))


def _individuals(run: RunFolder, generations: Array) -> tuple[Array, Array]:
    """Generation and fitness (n,) of everyone on record in these generations, without reading their genomes."""
    while True:
        files = [path for path in (run.records.results, *run.records.files()) if path.exists()]
        try:
            parts = [_columns(path) for path in files]
            break
        except DataError:
            raise
        except StorageError:  # another process has merged records meanwhile
            if all(path.exists() for path in files):
                raise
    known: set[int] = set()
    kept = []
    for generation, fitness in parts:
        is_new = np.isin(generation, generations) & ~np.isin(generation, list(known))
        kept.append((generation[is_new], fitness[is_new]))
        known |= set(generation.tolist())
    return np.concatenate([part[0] for part in kept]), np.concatenate([part[1] for part in kept])


def _columns(path: Path) -> tuple[Array, Array]:
    with reading(path) as file:
        check_schema(file, path)
        return file["individuals/generation"][:], file["individuals/fitness"][:]


def _found(run: Path) -> str:
    """Values of the best individual by name, of studies that search settings."""
    path = run / "best.json"
    if not path.is_file():
        return ""
    try:
        found = json.loads(path.read_bytes()[:_MOST_BYTES])
        if not isinstance(found, dict):
            raise ValueError("it holds no values by name")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged ({error}): move it away to go on without it.") from None
    note = "The best when the run ended or was stopped last."
    return section("What was found", table(["", "value"], found.items()), paragraph(note))


def _champion(run: Path) -> str:
    if not (run / "champion.npz").exists():
        return ""
    text = (
        "champion.npz holds the winner of a race of all candidates in worlds of their own (stigmergy champion). Its "
        "score is that of: python experiments/ants.py --evaluate RUN/champion.npz"
    )
    return section("The champion", paragraph(text, ""))


def _analysis(run: Path) -> str:
    """The tables of `stigmergy analyse`."""
    path = run / "analysis" / "tables.md"
    if not path.is_file():
        return ""
    if path.stat().st_size > _MOST_BYTES:
        return section("Analysis", paragraph("analysis/tables.md is too long for this page.", ""))
    return section("Analysis", markdown(path.read_text(encoding="utf-8", errors="replace")))
