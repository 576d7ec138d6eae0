"""The outer loop of any study: ask, evaluate, tell, record, until the run is done or told to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments.analysis import plot_fitness
from experiments.budget import disk_warning, expected_bytes, recording_line
from experiments.checkpoints import Checkpoint
from experiments.console import say
from experiments.files import DataError, MissingError, free_bytes
from experiments.generation import (
    Generation,
    GenerationFailedError,
    evaluate_generation,
    generation_tables,
    genomes_digest,
)
from experiments.journal import Header
from experiments.process import EXIT_DONE, EXIT_STOPPED, is_stop_requested, telling_of_stops
from experiments.run_folder import RunFolder
from experiments.settings import config_digest, config_to_dict, config_to_toml, describe, differing_fields
from experiments.storage import Tables
from experiments.study import Study
from optim import Optimizer
from optim.base import Array
from optim.evaluators import EvaluationStopped, Evaluator
from optim.tasks import Task

_PATIENCE = 5.0  # seconds until a file that should be there is missing
_IN_MANIFEST = ("versions", "python", "commit", "n_ranks")  # of the provenance of a start


@dataclass
class Progress:
    """What the loop carries from one generation to the next, besides the optimizer."""

    generation: int = 0  # the next one
    best_fitness: float = -math.inf  # of all individuals so far
    best_generation: int = -1
    best_genome: Array = field(default_factory=lambda: np.empty(0))  # (genome_size,), empty before the first generation

    def notice(self, generation: Generation) -> None:
        """Bring the best up to date and go on to the next generation."""
        best = generation.best
        if generation.evaluations.fitness[best] > self.best_fitness:
            self.best_fitness = float(generation.evaluations.fitness[best])
            self.best_generation = generation.number
            self.best_genome = generation.genomes[best].copy()
        self.generation = generation.number + 1


def evolve(study: Study, optimizer: Optimizer, run: RunFolder, evaluator: Evaluator, start: Mapping[str, Any]) -> int:
    """Start or continue a study in its folder; returns the exit code.

    Parameters
    ----------
    optimizer : at its first generation; its state is taken from the last checkpoint, if there is one
    start : where this start comes from, see `experiments.provenance`

    Raises
    ------
    GenerationFailedError : too many individuals of a generation failed; the checkpoint before it stays.
    experiments.files.StorageError : another process uses the folder.
    experiments.files.DataError : checkpoints, records or journal are damaged, missing, of a newer version or of other
        settings.
    OSError : something cannot be written, e.g. on a full disk; what was committed stays.
    """
    with run.lock() as warning:
        _warn(warning)
        progress = _restore(study, optimizer, run)
        run.write_config(config_to_toml(study.config))
        if changed := run.add_start(start):
            _warn(f"not as at the last start, so results may differ from those of one go: {describe(changed)}")
        _announce(study, optimizer, run, progress)
        manifest = {name: start[name] for name in _IN_MANIFEST if name in start}
        manifest["config"] = config_to_dict(study.config)
        saver = _Saver(study, optimizer, run, progress, manifest)
        try:
            code = _loop(study, optimizer, run, evaluator, progress, saver)
        except GenerationFailedError:
            _finish(study, optimizer, run, progress, saver)
            raise
        _finish(study, optimizer, run, progress, saver)
    if code == EXIT_STOPPED:
        say(f"stopped before the end of generation {progress.generation}; continue with --resume {run.path}")
    return code


def _loop(
    study: Study,
    optimizer: Optimizer,
    run: RunFolder,
    evaluator: Evaluator,
    progress: Progress,
    saver: _Saver,
) -> int:
    """Generation by generation; `progress` tells how far it came."""
    first, begin, seconds_storage = progress.generation, time.monotonic(), math.nan
    while (left := study.config.generations - progress.generation) > 0:
        if reasons := optimizer.stop():
            say(f"the optimizer stopped before generation {progress.generation}: {' '.join(reasons.values())}")
            return EXIT_DONE
        if is_stop_requested():
            return EXIT_STOPPED
        try:
            generation, seconds = _run_generation(study, optimizer, run, evaluator, progress.generation)
        except EvaluationStopped:
            return EXIT_STOPPED
        tables = generation_tables(study, generation, seconds | {"storage": seconds_storage}, optimizer.diagnostics())
        if study.observe is not None:
            tables |= {name: dict(columns) for name, columns in study.observe(optimizer, generation).items()}
        before = time.perf_counter()
        _commit(study, run, progress, generation, tables)
        del generation  # its genomes: the next ones may be as large
        saver.save_if_due()
        seconds_storage = time.perf_counter() - before
        n_done = progress.generation - first
        say(_generation_line(study, tables, eta=(time.monotonic() - begin) / n_done * (left - 1)))
    return EXIT_DONE


def _run_generation(
    study: Study, optimizer: Optimizer, run: RunFolder, evaluator: Evaluator, number: int
) -> tuple[Generation, dict[str, float]]:
    """Ask, evaluate, tell; the generation, and the seconds that its parts took."""
    begin = time.perf_counter()
    genomes = optimizer.ask()
    asked = time.perf_counter()
    header = Header(number, genomes_digest(genomes), config_digest(study.config))
    n_tasks = math.ceil(len(genomes) / study.block) * study.config.episodes

    def stopping(is_surely_wanted: bool) -> None:
        # With several ranks SIGTERM may be how a launcher tells that a rank has crashed: that exonerates no task.
        if is_surely_wanted or evaluator.n_ranks == 1:
            journal.stopping()

    with (
        run.open_journal(header, study.keeps_values) as journal,
        telling_of_stops(stopping),
        tqdm(
            total=n_tasks, initial=len(journal.known), desc=f"gen {number:03d}", leave=False, disable=None, unit="ep"
        ) as bar,
    ):
        for line in journal.warnings:
            _warn(line)
        first = 0 if study.batch is None else study.batch(optimizer)
        generation = evaluate_generation(study, evaluator, journal, number, genomes, lambda _: bar.update(), first)
        if reason := _too_many_failed(study, generation):
            journal.retry_failed()
            raise GenerationFailedError(reason)
    evaluated = time.perf_counter()
    optimizer.tell(genomes, generation.evaluations)
    told = time.perf_counter()
    return generation, {"evaluate": evaluated - asked, "optimizer": asked - begin + told - evaluated}


def _too_many_failed(study: Study, generation: Generation) -> str:
    """Why the run ends, with the first traceback; empty if it goes on."""
    n, n_failed = len(generation.genomes), int(generation.evaluations.failed.sum())
    most = study.config.max_failed_fraction
    if n_failed <= most * n and n - n_failed >= study.min_survivors:
        return ""
    rule = f"more than max_failed_fraction={most:g}" if n - n_failed >= study.min_survivors else "too many to go on"
    first = next((result.error for result in generation.results if result.error), "responses that are not finite")
    return f"{n_failed} of {n} individuals of generation {generation.number} failed, {rule}; the first:\n{first}"


def _commit(study: Study, run: RunFolder, progress: Progress, generation: Generation, tables: Tables) -> None:
    """Record, then spikes; the checkpoint comes last, so that a kill between two of them repeats the later ones."""
    number, best = generation.number, generation.best
    run.records.write(number, tables)
    if study.record_best is not None:
        study.record_best(run, Task(number, best, generation.first_episode), generation.genomes[best])
    progress.notice(generation)


@dataclass
class _Saver:
    """Writes checkpoints, every `checkpoint_s` seconds or after every generation."""

    study: Study
    optimizer: Optimizer
    run: RunFolder
    progress: Progress
    manifest: Mapping[str, Any]

    def __post_init__(self) -> None:
        self._saved, self._time = self.progress.generation, -math.inf  # a run without any could not be continued

    def save_if_due(self) -> None:
        """After a generation."""
        if time.monotonic() - self._time >= self.study.config.checkpoint_s:
            self.save()

    def save(self) -> None:
        """Whatever has happened since the last checkpoint."""
        if self.progress.generation == self._saved:
            return
        state = {"optimizer": self.optimizer.state_dict(), "progress": vars(self.progress)}
        self.run.checkpoints.write(self.progress.generation, state, self.manifest)
        self.run.drop_journals(before=self.progress.generation)
        self._saved, self._time = self.progress.generation, time.monotonic()


def _restore(study: Study, optimizer: Optimizer, run: RunFolder) -> Progress:
    """Load the newest whole checkpoint into the optimizer, and say which."""
    checkpoint, refused = _newest_checkpoint(run)
    for reason in refused:
        _warn(reason)
    if checkpoint is None:
        return Progress()
    name, manifest, state = checkpoint.path.name, checkpoint.manifest, checkpoint.state
    old = " of schema 1, which is brought to this version" if manifest["schema"] == 1 else ""
    if different := differing_fields(manifest.get("config", {}), config_to_dict(study.config)):
        raise DataError(
            f"{name} was written with another configuration than config.toml has ({describe(different)}): "
            "config.toml was changed by hand. Put the settings back, or start a new run for the new ones."
        )
    try:
        optimizer.load_state_dict(state["optimizer"])
        progress = Progress(**state["progress"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name} does not fit this version: {error}") from None
    run.drop_journals(before=progress.generation)
    say(f"continued with generation {progress.generation} from {name}{old}")
    return progress


def _newest_checkpoint(run: RunFolder) -> tuple[Checkpoint | None, list[str]]:
    """See `Checkpoints.newest`; with all records before it, which another machine that wrote them may show late."""
    deadline, is_told = time.monotonic() + _PATIENCE, False
    while True:
        checkpoint, refused = run.checkpoints.newest()
        try:
            if checkpoint is None:
                run.records.check_new()
            else:
                run.records.check(checkpoint.manifest["generation"])
            return checkpoint, refused
        except MissingError as error:
            if time.monotonic() > deadline:
                raise
            if not is_told:
                say(f"waiting up to {_PATIENCE:g} s for what a shared file system may show late: {error}")
            is_told = True
            time.sleep(0.1)


def _announce(study: Study, optimizer: Optimizer, run: RunFolder, progress: Progress) -> None:
    """Say what the run will need on disk, if that is much or more than there is."""
    left = study.config.generations - progress.generation
    if left <= 0 or optimizer.stop():
        return
    if line := recording_line(study, left):
        say(f"{line}: {run.path / 'spikes'}")
    _warn(disk_warning(expected_bytes(study, optimizer.ask(), optimizer.state_dict(), left), free_bytes(run.path)))


def _warn(line: str) -> None:
    if line:
        say(f"warning: {line}")


def _generation_line(study: Study, tables: Tables, eta: float) -> str:
    row = {name: values[0] for name, values in tables["generations"].items()}
    told = "  ".join(f"{name} {row[name]:5.4g} (mean {row[f'mean_{name}']:5.4g})" for name in study.told)
    minutes, seconds = divmod(round(eta), 60)
    return (
        f"gen {row['generation']:03d}  best {row['best']:9.6g}  mean {row['mean']:9.6g} ± {row['sd']:7.4g}  "
        f"{told}  failed {row['n_failed']}  "
        f"{row['seconds']:6.1f} s  eta {minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    )


def _finish(study: Study, optimizer: Optimizer, run: RunFolder, progress: Progress, saver: _Saver) -> None:
    """Write the last checkpoint, merge the records, save what was found, draw the figure and say where all is."""
    if progress.generation == 0:
        return
    saver.save()
    run.records.merge()
    run.index_spikes()
    where = study.save(run, optimizer, progress.best_genome)
    say(f"best   fitness {progress.best_fitness:.6g} in generation {progress.best_generation}: {where}")
    say(f"data   {run.records.results}")
    figure = run.path / "fitness.png"
    if plot_fitness(run.read_results(["generations"])["generations"], figure, study.title):
        say(f"figure {figure}")
    else:
        say("figure not drawn: matplotlib is missing (pip install -e '.[plot]')")
