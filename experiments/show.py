"""What a run is and how far it came: `stigmergy show RUN [--json]`. Reads only; the run may be under way."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from experiments.command import Parser, checked_path, guarded
from experiments.console import say
from experiments.files import DataError
from experiments.journal import count_results
from experiments.lock import holder
from experiments.process import EXIT_DONE
from experiments.run_folder import RunFolder
from experiments.settings import read_settings

_Found = TypeVar("_Found")
_START = ("started_utc", "host", "n_ranks", "commit", "command", "changed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code (see `experiments.process`)."""
    parser = Parser(prog="stigmergy show", description=__doc__)
    parser.add_argument("run", type=checked_path, metavar="RUN", help="a run folder")
    parser.add_argument("--json", action="store_true", help="everything as one JSON object")
    return guarded(lambda: _show(parser.parse(arguments)))


def _show(options: dict[str, Any]) -> int:
    summary = summarise(RunFolder(options["run"]))
    for line in [json.dumps(summary)] if options["json"] else to_lines(summary):
        say(line)
    return EXIT_DONE


def summarise(run: RunFolder) -> dict[str, Any]:
    """All there is to say about a run, as plain values.

    Raises
    ------
    experiments.files.DataError : records or provenance are damaged or of a newer version.
    experiments.settings.ConfigError : the settings are damaged.
    """
    settings = read_settings(run.path / "config.toml", {})
    tables = run.read_results(["generations", "failures"])
    generations = tables["generations"]
    return {
        "path": str(run.path),
        "settings": {name: value for name, value in settings.items() if not isinstance(value, dict)},
        "planned": settings.get("generations"),
        "done": len(generations.get("generation", ())),
        "progress": _progress(generations),
        "open": _steadily(lambda: _open_generation(run)),
        "failures": _failures(tables["failures"]),
        "starts": [{name: start[name] for name in _START if name in start} for start in run.starts()],
        "checkpoint": _steadily(lambda: _checkpoint(run)),
        "bytes": {name: _size(run.path / name) for name in sorted(path.name for path in run.path.iterdir())},
        "process": _process(holder(run.path / ".lock")),
    }


def to_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The summary for people."""
    yield summary["path"]
    yield "settings    " + ", ".join(f"{name} {value}" for name, value in summary["settings"].items())
    yield f"progress    {summary['done']} of {summary['planned']} generations{_told_process(summary['process'])}"
    if summary["open"]:
        yield "open        generation {generation}: {done} episodes done, {failed} failed".format(**summary["open"])
    if progress := summary["progress"]:
        yield "best        fitness {best:.6g} in generation {best_generation}".format(**progress)
        yield "last        best {last_best:.6g}, mean {last_mean:.6g} ± {last_sd:.6g}".format(**progress)
        seconds = ", ".join(f"{name} {value:.3g} s" for name, value in progress["seconds"].items())
        yield f"wall time   {seconds}; {progress['seconds']['all'] / summary['done']:.3g} s per generation"
    for reason, failed in summary["failures"].items():
        yield f"failed      {failed['n']} × {reason}, first {failed['first']}: {failed['error']}"
    for start in summary["starts"]:
        yield "started     " + ", ".join(
            f"{name} {' '.join(value) if name == 'command' else value}" for name, value in start.items() if value
        )
    if summary["checkpoint"]["file"]:
        yield "checkpoint  {file}, generation {generation}, schema {schema}".format(**summary["checkpoint"])
    for line in summary["checkpoint"]["refused"]:
        yield f"            {line}"
    sizes = ", ".join(f"{name} {value / 1e6:.3g}" for name, value in summary["bytes"].items() if value)
    yield f"disk        {sum(summary['bytes'].values()) / 1e6:.3g} MB: {sizes}"


def _progress(generations: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if not generations:
        return {}
    best = int(np.argmax(generations["best"]))
    parts = {"all": "seconds", "evaluate": "seconds_evaluate", "optimizer": "seconds_optimizer"}
    seconds = {name: float(np.nansum(generations[column])) for name, column in parts.items()}
    return {
        "best": float(generations["best"][best]),
        "best_generation": int(generations["generation"][best]),
        **{f"last_{name}": float(generations[name][-1]) for name in ("best", "mean", "sd")},
        "seconds": seconds | {"storage": float(np.nansum(generations["seconds_storage"]))},
    }


def _steadily(look: Callable[[], _Found]) -> _Found:
    """What a look at files of a running process found, repeated when one of them went away meanwhile."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return look()


def _open_generation(run: RunFolder) -> dict[str, int]:
    """How far the newest journal is; empty without one."""
    journals = sorted((run.path / "journal").glob("gen_*.jsonl"))
    if not journals:
        return {}
    n_done, n_failed = count_results(journals[-1])
    return {"generation": int(journals[-1].stem[4:]), "done": n_done, "failed": n_failed}


def _failures(failures: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    """By reason: how many, the first task, and the line of its traceback that tells most, the last."""
    found: dict[str, dict[str, Any]] = {}
    reasons = failures.get("reason", np.empty(0, np.str_))
    for reason in dict.fromkeys(reasons.tolist()):
        rows = np.flatnonzero(reasons == reason)
        task = {name: int(failures[name][rows[0]]) for name in ("generation", "individual", "episode")}
        lines = str(failures["traceback"][rows[0]]).strip().splitlines()
        first = ", ".join(f"{name} {value}" for name, value in task.items())
        found[reason] = {"n": len(rows), "first": first, "error": lines[-1] if lines else ""}
    return found


def _checkpoint(run: RunFolder) -> dict[str, Any]:
    """The one that a resumed run would use, and why newer ones would be refused."""
    try:
        checkpoint, refused = run.checkpoints.newest()
    except DataError as error:
        return {"file": "", "refused": [str(error)]}
    if checkpoint is None:
        return {"file": "", "refused": []}
    manifest = checkpoint.manifest
    return {
        "file": checkpoint.path.name,
        "generation": manifest["generation"],
        "schema": manifest["schema"],
        "refused": refused,
    }


def _size(path: Path) -> int:
    """Bytes of a file or of everything in a folder; 0 for what a running process has removed meanwhile."""
    if path.is_dir() and not path.is_symlink():
        return sum(_size(inner) for inner in path.iterdir())
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _process(found: dict[str, Any]) -> dict[str, Any]:
    """Who uses the run, and whether that process is still there, as far as this host can know."""
    if not found:
        return {}
    return found | {"is_running": _is_running(found["pid"]) if found["host"] == platform.node() else None}


def _is_running(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def _told_process(process: Mapping[str, Any]) -> str:
    if not process:
        return ""
    state = {True: "running in", False: "killed while in", None: "running or killed in"}[process["is_running"]]
    return f", {state} process {process['pid']} on {process['host']} since {process['since_utc']}"
