"""The run folder: what a study leaves on disk, and how it goes on from there.

``runs/<name>/`` holds

- ``config.toml, provenance.json``: what was run, and how
- ``results.h5``: the records of many generations, merged from time to time and at the end
- ``generations/gen_000012.h5``: the record of one generation, not yet merged, see `experiments.records`
- ``checkpoints/gen_000013-<hash>.h5``: state before generation 13, see `experiments.checkpoints`
- ``journal/gen_000013.jsonl``: what has happened in the open generation, see `experiments.journal`
- ``spikes/gen_000012.h5``: spikes of the best individual in the SONATA layout; ``spikes/index.h5``: all as one file

Every file but the journal is written beside its final name, synced and renamed, so a kill at any moment or a full disk
leaves whole files only. The journal is appended to, and half a record at its end is cut off.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from experiments.checkpoints import Checkpoints
from experiments.files import DataError, StorageError, sync, temporary_beside, write_text
from experiments.journal import Header, Journal
from experiments.lock import lock
from experiments.records import Records
from experiments.sonata import write_sonata
from experiments.storage import write_links
from snn.spike_trains import SpikeTrains

_FOLDERS = ("generations", "checkpoints", "spikes", "journal")
_COMPARED = ("versions", "python", "commit")


class RunFolder:
    """One run on disk.

    Parameters
    ----------
    path : an existing run folder; see `create`

    Attributes
    ----------
    records : Records
    checkpoints : Checkpoints

    Raises
    ------
    StorageError : `path` is no run folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        missing = [name for name in ("config.toml", "checkpoints") if not (path / name).exists()]
        if missing:
            raise StorageError(
                f"{path} is no run folder: it has no {', no '.join(missing)}. Give the folder of an earlier run."
            )
        self.records = Records(path)
        self.checkpoints = Checkpoints(path / "checkpoints")

    @staticmethod
    def check_new(path: Path) -> None:
        """Raise StorageError if there is something at `path` already."""
        if path.exists() or path.is_symlink():
            raise StorageError(f"{path} exists already: continue it with --resume {path}, or choose another --name.")

    @classmethod
    def create(cls, path: Path, config_toml: str) -> RunFolder:
        """Make a new run folder, whole or not at all.

        Raises
        ------
        StorageError : the folder exists, or cannot be made.
        """
        cls.check_new(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary_beside(path) as temporary:
                try:
                    for name in _FOLDERS:
                        (temporary / name).mkdir(parents=True)
                    write_text(temporary / "config.toml", config_toml)
                    temporary.rename(path)  # fails if another process was quicker
                    sync(path.parent)
                except BaseException:
                    shutil.rmtree(temporary, ignore_errors=True)
                    raise
        except OSError as error:
            cls.check_new(path)
            raise StorageError(
                f"{path} cannot be made ({error.filename}: {error.strerror}). Choose another folder with --runs."
            ) from None
        return cls(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[str]:
        """Hold the folder for this process; the block gets a warning, empty where locks work.

        Raises
        ------
        StorageError : another process is running in this folder.
        """
        with lock(self.path / ".lock") as warning:
            for name in _FOLDERS:  # some ways to copy a run leave empty folders out
                (self.path / name).mkdir(exist_ok=True)
            for leftover in self.path.rglob(".*.tmp"):  # of a killed process: this one is alone here now
                if leftover.is_symlink() or not leftover.is_dir():  # no folder of that name is ours
                    leftover.unlink()
            yield warning

    def write_config(self, config_toml: str) -> None:
        """Replace the settings: a resumed run may have more generations, or another engine."""
        write_text(self.path / "config.toml", config_toml)

    def starts(self) -> list[dict[str, Any]]:
        """Provenance of every start of this run, oldest first.

        Raises
        ------
        DataError : ``provenance.json`` is damaged.
        """
        path = self.path / "provenance.json"
        try:
            starts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            if not isinstance(starts, list) or not all(_is_start(start) for start in starts):
                raise ValueError("it is no list of starts")
            return starts
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} is damaged ({error}): move it away to go on without it.") from None

    def add_start(self, start: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Append the provenance of a start to ``provenance.json``.

        Returns
        -------
        dict, what differs from the start before: name to (old, new), e.g. versions of packages; recorded there, too

        Raises
        ------
        DataError : ``provenance.json`` is damaged.
        """
        earlier = self.starts()
        changed = {}
        if earlier:
            old, new = (_flat({name: one.get(name) for name in _COMPARED}) for one in (earlier[-1], start))
            changed = {name: (old[name], new[name]) for name in old.keys() & new.keys() if old[name] != new[name]}
        starts = [*earlier, {**start, "changed": changed} if changed else dict(start)]
        write_text(self.path / "provenance.json", json.dumps(starts, indent=2) + "\n")
        return dict(sorted(changed.items()))

    def open_journal(self, header: Header, keeps_values: bool = True) -> Journal:
        """The journal of the open generation.

        Raises
        ------
        DataError, OSError : see `Journal`.
        """
        return Journal(self.path / "journal" / f"gen_{header.generation:06d}.jsonl", header, keeps_values)

    def drop_journals(self, before: int) -> None:
        """Remove the journals of generations before `before`: their records and the checkpoint after them are there."""
        for path in (self.path / "journal").glob("gen_*.jsonl"):
            if path.stem[4:].isdecimal() and int(path.stem[4:]) < before:
                path.unlink()

    def read_results(self, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
        """Tables of the run so far, merged or not, ordered by generation; see `experiments.records`.

        Parameters
        ----------
        tables : their names; None reads all, genomes included

        Raises
        ------
        DataError : a file is damaged or of a newer version.
        """
        return self.records.read(tables)

    def write_spikes(self, generation: int, trains: SpikeTrains, attributes: Mapping[str, Any]) -> None:
        """Store spike trains in the SONATA layout that libsonata and BMTK read.

        Parameters
        ----------
        attributes : plain values that tell whose spikes these are
        """
        write_sonata(self.path / "spikes" / f"gen_{generation:06d}.h5", trains, attributes)

    def index_spikes(self) -> None:
        """Write ``spikes/index.h5``, with a group of the content of every spike file; nothing without any."""
        names = sorted(path.name for path in (self.path / "spikes").glob("gen_*.h5"))
        if names:
            write_links(self.path / "spikes" / "index.h5", {name.removesuffix(".h5"): name for name in names})


def _is_start(value: Any) -> bool:
    """Whether a value is the provenance of a start, as far as anybody relies on it."""
    if not isinstance(value, dict):
        return False
    command = value.get("command", [])
    return isinstance(command, list) and all(isinstance(word, str) for word in command)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values, those of dicts with their own names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return flat
