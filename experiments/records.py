"""Records of generations, and ``results.h5``, into which they are merged.

Schema 2: one group per table, one data set per column, all columns of a table of equal length.

- ``individuals`` (generation, individual, fitness, genome): those evaluated in a generation, numbered as asked; what an
  optimizer carries over unchanged is not repeated. A failed one has fitness NaN. Genomes only with ``record_genomes =
  "all"``; rows without are NaN where other rows have them.
- ``episodes`` (generation, individual, episode, env_seed, seconds, and the measures of the study). Where a task is of
  several individuals, it stands under the first of them; where measures follow from other values, they are in
  ``individuals``
- ``failures`` (generation, individual, episode, env_seed, reason, attempts, traceback); reasons: `optim.tasks.Reason`
- ``generations`` (generation; best, mean, sd of the fitness; of some measures the best individual's and the mean, e.g.
  food, mean_food; n_failed; wall times: seconds in all, seconds_evaluate, seconds_optimizer for ask and tell, and
  seconds_storage of the writing before, NaN in the first generation of a process)
- ``best`` (generation, individual, fitness, genome): the fittest of every generation
- ``diagnostics`` (generation, and one column per scalar that the optimizer tells)
- further ones of some studies, each with a column ``generation``

Schema 1 had no ``best`` and no ``diagnostics``, no reason, attempts and env_seed of failures, and one wall time; it is
read as if it were schema 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.files import DataError, MissingError, StorageError
from experiments.storage import (
    SCHEMA,
    Tables,
    append_tables,
    check_schema,
    commit,
    grow,
    read_tables,
    reading,
    write_tables,
)

_MERGE_EVERY = 100  # generations; bounds the number of files of a long run
_BATCH = 2**26  # bytes of records in memory while they are merged
_OVERHEAD = 2**22  # bytes that HDF5 may need beside the rows it adds


class Records:
    """What is recorded of a run: ``generations/gen_000012.h5``, each written once, and ``results.h5``.

    Parameters
    ----------
    path : the run folder
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / "results.h5"

    def write(self, generation: int, tables: Tables) -> None:
        """Record one generation; from time to time the records are merged."""
        commit(self._record(generation), lambda file: write_tables(file, tables))
        if (generation + 1) % _MERGE_EVERY == 0:
            self.merge()

    def merge(self) -> int:
        """Move all records of single generations into ``results.h5``; returns how many there were.

        Raises
        ------
        DataError : a file is damaged or of a newer version.
        OSError : there is not enough room; everything stays as it was.
        """
        records = self.files()
        if not records:
            return 0
        if self.results.exists() and _schema(self.results) < SCHEMA:
            self._rewrite_results()
        known = _generations(self.results) if self.results.exists() else set()
        new = [record for record in records if not _generations(record) & known]
        room = sum(record.stat().st_size for record in new) + _OVERHEAD

        def write(file: Any) -> None:
            for batch in _batches(new):
                append_tables(file, concatenate([read_part(record) for record in batch]))

        grow(self.results, room, write)
        for record in records:
            record.unlink()
        return len(records)

    def read(self, tables: Iterable[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
        """Tables of the run so far, merged or not, in the order they were recorded.

        Parameters
        ----------
        tables : their names; None reads all, genomes included

        Raises
        ------
        DataError : a file is damaged or of a newer version.
        """
        names = None if tables is None else list(tables)
        files = self.files()
        while True:
            try:
                return self._read(names, files)
            except DataError:
                raise
            except StorageError:  # another process has merged records meanwhile: now they are in results.h5
                before, files = files, self.files()
                if files == before:
                    raise

    def _read(self, names: list[str] | None, files: Sequence[Path]) -> dict[str, dict[str, NDArray[Any]]]:
        """Tables of ``results.h5`` and of `files`, which were listed before: what was merged since is in both."""
        parts: list[Tables] = []
        known: set[int] = set()
        for path in [*([self.results] if self.results.exists() else []), *files]:
            part = read_part(path, None if names is None else [*names, "generations"])
            if "generation" not in part.get("generations", {}):
                raise DataError(f"{path} is damaged: it does not tell which generations it holds.")
            generations = set(part["generations"]["generation"].tolist())
            if not generations & known:
                parts.append({name: columns for name, columns in part.items() if names is None or name in names})
            known |= generations
        return {name: {} for name in names or ()} | concatenate(parts)

    def check_new(self) -> None:
        """Make sure that a run without a checkpoint has only begun: a kill may leave the record of generation 0.

        Raises
        ------
        MissingError : there are later records, or merged ones.
        """
        found = [path.name for path in (self.results, *self.files()) if path.exists()]
        if set(found) - {self._record(0).name}:
            raise MissingError(
                f"{self.path} has records ({found[0]}), but no checkpoint: its checkpoints were removed, and starting "
                "again would mix two runs. Put them back, or start a new run."
            )

    def check(self, n_generations: int) -> None:
        """Make sure that the first generations are all on record.

        Raises
        ------
        MissingError : one is missing.
        DataError : a file cannot be read.
        """
        recorded = set(self.read(["generations"])["generations"].get("generation", np.empty(0)).tolist())
        missing = sorted(set(range(n_generations)) - recorded)
        if missing:
            raise MissingError(
                f"{self.path} has no record of generation {missing[0]} ({len(missing)} of {n_generations} missing): "
                "results.h5 or files of generations/ were removed. Put them back, or start a new run."
            )

    def files(self) -> list[Path]:
        """Records of single generations, oldest first."""
        return sorted((self.path / "generations").glob("gen_*.h5"), key=lambda path: (len(path.name), path.name))

    def _record(self, generation: int) -> Path:
        return self.path / "generations" / f"gen_{generation:06d}.h5"

    def _rewrite_results(self) -> None:
        """Bring results of an older schema to this one."""
        tables = read_part(self.results)
        commit(self.results, lambda file: append_tables(file, tables))


def read_part(path: Path, tables: Sequence[str] | None = None) -> dict[str, dict[str, NDArray[Any]]]:
    """Tables of one file of any schema, in the form of this one.

    Raises
    ------
    DataError : it is damaged, or of a newer version.
    """
    with reading(path) as file:
        is_old = check_schema(file, path) < SCHEMA
        found = read_tables(file, None if is_old else tables)
    for table, columns in found.items():
        if len({len(values) for values in columns.values()}) > 1:
            raise DataError(f"{path} is damaged: the columns of {table} have different lengths.")
    if is_old:
        try:
            found = upgrade(found)
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}): it is not complete for schema 1.") from None
    return {name: columns for name, columns in found.items() if tables is None or name in tables}


def upgrade(tables: Tables) -> dict[str, dict[str, NDArray[Any]]]:
    """Tables of schema 1 in the form of schema 2; what was not recorded is NaN."""
    upgraded = {name: dict(columns) for name, columns in tables.items()}
    episodes, failures = upgraded["episodes"], upgraded["failures"]
    identity = ("generation", "individual", "episode")
    ran = zip(*(episodes[name].tolist() for name in identity), strict=True)
    seeds = dict(zip(ran, episodes["env_seed"].tolist(), strict=True))
    failed = list(zip(*(failures[name].tolist() for name in identity), strict=True))
    not_finite = ["returned values that are not finite" in text for text in failures["traceback"]]
    failures["env_seed"] = np.array([seeds[task] for task in failed], dtype=np.int64)
    failures["reason"] = np.where(not_finite, "not finite", "exception") if failed else np.empty(0, np.str_)
    failures["attempts"] = np.ones(len(failed), dtype=np.int64)
    individuals, generations = upgraded["individuals"], upgraded["generations"]
    best = []
    for generation in generations["generation"]:
        rows = np.flatnonzero(individuals["generation"] == generation)
        best.append(rows[np.nanargmax(individuals["fitness"][rows])])
    upgraded["best"] = {name: values[np.array(best, dtype=np.intp)] for name, values in individuals.items()}
    for name in ("seconds_evaluate", "seconds_optimizer", "seconds_storage"):
        generations[name] = np.full(len(generations["generation"]), np.nan)
    return upgraded


def concatenate(parts: Sequence[Tables]) -> dict[str, dict[str, NDArray[Any]]]:
    """All rows of several files; a column of floats that some lack is NaN there.

    Raises
    ------
    DataError : another column is missing in some.
    """
    merged: dict[str, dict[str, NDArray[Any]]] = {}
    for table in dict.fromkeys(name for part in parts for name in part):
        pieces = [part[table] for part in parts if part.get(table)]
        names = dict.fromkeys(name for piece in pieces for name in piece)
        merged[table] = {name: np.concatenate([_column(piece, name, pieces) for piece in pieces]) for name in names}
    return merged


def _column(piece: Mapping[str, NDArray[Any]], name: str, pieces: Sequence[Mapping[str, NDArray[Any]]]) -> NDArray[Any]:
    if name in piece:
        return piece[name]
    n_rows = len(next(iter(piece.values())))
    like = next(other[name] for other in pieces if name in other)
    if n_rows and like.dtype.kind != "f":
        raise DataError(f"the column {name} is missing in some records: they were changed after they were written.")
    return np.full((n_rows, *like.shape[1:]), np.nan).astype(like.dtype)


def _batches(records: Sequence[Path]) -> Iterable[list[Path]]:
    batch: list[Path] = []
    n_bytes = 0
    for record in records:
        batch.append(record)
        n_bytes += record.stat().st_size
        if n_bytes > _BATCH:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _schema(path: Path) -> int:
    with reading(path) as file:
        return check_schema(file, path)


def _generations(path: Path) -> set[int]:
    """Numbers of the generations in a file."""
    with reading(path) as file:
        check_schema(file, path)
        return set(file["generations/generation"][:].tolist())
