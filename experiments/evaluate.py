"""Scores of given genomes: many episodes each, in the same worlds, as a table."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from experiments.analysis import plot_correlation, spearman
from experiments.colony import FITNESS, FOOD
from experiments.config import AntsConfig
from experiments.console import say
from experiments.files import write_text
from experiments.npz import read_arrays
from experiments.process import EXIT_DONE, EXIT_INTERNAL, EXIT_STOPPED, is_stop_requested
from experiments.rollout import MEASURES, task_seeds
from experiments.settings import ConfigError
from optim.base import Array
from optim.evaluators import EvaluationStopped, Evaluator
from optim.tasks import TaskResult
from snn import load_published_genomes

COLUMNS = ("genome", "episode", "seed", *MEASURES)


def read_genomes(path: Path, row: int | None) -> tuple[Array, int, Array | None]:
    """Genomes of an npz file, their hidden layer size, and the fitness the file says they had.

    Parameters
    ----------
    row : the only genome to return, or None for all

    Raises
    ------
    ConfigError : the file cannot be read, holds no genomes, or not that one.
    """
    try:
        published = read_arrays(path).get("fitness")  # also makes sure that the file may be loaded
        genomes, n_hidden = load_published_genomes(path)
        if published is not None and (published.shape != (len(genomes),) or published.dtype.kind not in "fiu"):
            raise ValueError(
                f"fitness has shape {published.shape} and type {published.dtype}, not one number per genome."
            )
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from None
    if row is not None:
        if not 0 <= row < len(genomes):
            raise ConfigError(f"--genome {row}: {path} holds rows 0 … {len(genomes) - 1}.")
        genomes, published = genomes[row : row + 1], None
    return genomes, n_hidden, published


def evaluate_file(config: AntsConfig, genomes: Array, published: Array | None, evaluator: Evaluator, out: Path) -> int:
    """Run every genome for ``config.episodes`` episodes and write one row per genome and episode.

    A failed episode leaves its measures empty and its reason on the terminal. With two or more published fitness values
    their rank correlation with ours is printed and drawn beside `out`.

    Returns
    -------
    int, exit code
    """
    try:
        with tqdm(total=len(genomes) * config.episodes, disable=None, unit="ep") as bar:
            results = evaluator.evaluate(
                0,
                genomes,
                config.episodes,
                on_result=lambda _: bar.update(),
                should_stop=is_stop_requested,
            )
    except EvaluationStopped:
        say("stopped: no scores were written")
        return EXIT_STOPPED
    write_text(out, _to_csv(config, results))
    for result in results:
        if result.error:
            sys.stderr.write(f"failed: {result.task}\n{result.error}\n")
    values = np.array([result.values for result in results if result.values is not None])
    say(f"scores {out}: {len(genomes)} genomes × {config.episodes} episodes, {len(results) - len(values)} failed")
    if len(values) == 0:
        return EXIT_INTERNAL
    for name, column in (("food", FOOD), ("fitness", FITNESS)):
        say(f"{name:7s} {values[:, column].mean():.1f} ± {values[:, column].std(ddof=min(1, len(values) - 1)):.1f}")
    if published is not None and len(genomes) > 1 and len(values) == len(results) and np.isfinite(published).all():
        ours = values[:, FITNESS].reshape(len(genomes), -1).mean(axis=1)
        say(f"Spearman correlation with the fitness in the file: {spearman(published, ours):.3f}")
        if plot_correlation(published, ours, out.with_suffix(".png")):
            say(f"figure {out.with_suffix('.png')}")
    return EXIT_DONE


def _to_csv(config: AntsConfig, results: list[TaskResult]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for result in results:
        if result.values is None:
            measured: dict[str, object] = dict.fromkeys(MEASURES, "")
        else:
            measured = {name: f"{value:.10g}" for name, value in zip(MEASURES, result.values, strict=True)}
        measured |= {"genome": result.task.individual, "episode": result.task.episode}
        measured["seed"] = task_seeds(config, result.task, is_held_out=True)[0]
        table.writerow([measured[name] for name in COLUMNS])
    return text.getvalue()
