"""Published colonies here and there: `stigmergy validate [--engine numba|nest|both] [--episodes N] [--quick]`.

mpirun -n 2 python experiments/validate_published.py

Food and fitness of published genomes against the published benchmark, fitness over evolution, recorded spikes replayed.
Ends with 1 if a mean is three standard errors from the published one, a spike is wrong, or the engines differ.
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
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

from experiments.analysis import new_axes, save_figure, spearman
from experiments.colony import FITNESS, FOOD
from experiments.command import Parser, checked_path
from experiments.comparison import run_comparison, show_comparison
from experiments.config import load_config
from experiments.data_files import data_folder
from experiments.evaluate import read_genomes
from experiments.files import StorageError
from experiments.npz import read_arrays
from experiments.process import EXIT_DONE, is_stop_requested
from experiments.program import make_evaluator
from experiments.published_data import BENCHMARKS, N_TICKS, read_recording, replay
from experiments.rollout import make_colony_task
from experiments.run import GenerationFailedError
from experiments.settings import ConfigError, config_to_dict
from optim.base import Array
from optim.evaluators import MakeEvaluator
from snn import AntBrainConfig
from snn.params import ENGINES

EXIT_DIFFERS = 1
MAX_STANDARD_ERRORS = 3.0
_EVOLUTION_WORLDS = 5


class Colonies(NamedTuple):
    """The published genomes."""

    genomes: Array  # (n, genome_size)
    brain: AntBrainConfig
    names: list[tuple[int, int]]  # generation, individual
    fitness: Array  # (n,) as published, of one episode each

    def row(self, name: tuple[int, int]) -> int:
        """Where a genome is; raises ConfigError if it is not there."""
        if name not in self.names:
            raise ConfigError(f"fitness_full_genomes.npz has no genome {name[0]}/{name[1]}: give the published file.")
        return self.names.index(name)


class Comparison(NamedTuple):
    """A measure of a colony, here and published."""

    name: tuple[int, int]
    engine: str
    measure: str
    published: Array  # (n,)
    ours: Array  # (n_worlds,)

    @property
    def standard_errors(self) -> float:
        """Difference of the means in standard errors of that difference; 0 for equal samples without spread."""
        samples = (self.ours, self.published)
        error = math.sqrt(sum(sample.var(ddof=1) / len(sample) for sample in samples))
        difference = float(self.ours.mean() - self.published.mean())
        return difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0

    @property
    def p_value(self) -> float:
        """Of the two-sample Kolmogorov-Smirnov test."""
        return float(stats.ks_2samp(self.ours, self.published).pvalue)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`), 1 if something differs."""
    return run_comparison(lambda make, _: _main(arguments, make), make_colony_task)


def _main(arguments: Sequence[str] | None, make: MakeEvaluator) -> int:
    """What rank 0 does."""
    parser = Parser(prog="stigmergy validate", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=checked_path, metavar="FOLDER", help="default published_ants in the data folder")
    parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both", help="default both, which must agree")
    parser.add_argument("--episodes", type=int, metavar="N", help="worlds of each genome; default 100, or 20 if quick")
    parser.add_argument("--quick", action="store_true", help="one genome, fewer worlds, 200 ticks of two recordings")
    parser.add_argument("--out", type=checked_path, default=Path("validation"), metavar="FOLDER", help="validation")
    options = parser.parse(arguments)
    is_quick, n_worlds = options["quick"], options["episodes"] or (20 if options["quick"] else 100)
    if n_worlds < 2:
        raise ConfigError(f"--episodes {n_worlds}: a standard error needs at least 2.")
    folder = options["data"] or data_folder() / "published_ants"
    colonies = read_colonies(folder)
    engines = ENGINES[::-1] if options["engine"] == "both" else (options["engine"],)
    names = list(BENCHMARKS)[: 1 if is_quick else None]
    scores = benchmark_scores(colonies, names, engines, n_worlds, make)
    comparisons = compare(names, scores)
    rows = np.arange(0, len(colonies.genomes), 12 if is_quick else 1)
    evolution = evolution_fitness(colonies, rows, engines[0], min(_EVOLUTION_WORLDS, n_worlds), make)
    replays = replay_all(colonies, folder, engines, is_quick)
    are_equal = all(np.array_equal(values, scores[engines[0]]) for values in scores.values())
    text = tables_text(comparisons, scores, colonies.fitness[rows], evolution, replays)
    options["out"].mkdir(parents=True, exist_ok=True)
    show_comparison(
        text,
        options["out"] / "validation.md",
        lambda path: draw(comparisons, colonies.fitness[rows], evolution, path),
        options["out"] / "validation.png",
    )
    is_near = all(abs(comparison.standard_errors) <= MAX_STANDARD_ERRORS for comparison in comparisons)
    is_right = all(n_wrong == 0 for *_, n_wrong in replays)
    return EXIT_DONE if is_near and is_right and are_equal else EXIT_DIFFERS


def read_colonies(folder: Path) -> Colonies:
    """The genomes of the study with pheromone; raises ConfigError for files that are missing or of another kind."""
    path = folder / "fitness_full_genomes.npz"
    genomes, n_hidden, fitness = read_genomes(path, None)
    arrays = read_arrays(path)
    if fitness is None or not {"generation", "individual"} <= arrays.keys():
        raise ConfigError(f"{path} lacks generation, individual or fitness: give the folder of the published data.")
    names = list(zip(arrays["generation"].tolist(), arrays["individual"].tolist(), strict=True))
    return Colonies(genomes, AntBrainConfig(n_hidden=n_hidden), names, fitness)


def benchmark_scores(
    colonies: Colonies, names: Sequence[tuple[int, int]], engines: Sequence[str], n_worlds: int, make: MakeEvaluator
) -> dict[str, Array]:
    """Measures of these genomes in the published test world, by engine: (n_genomes, n_worlds, n_measures)."""
    genomes = colonies.genomes[[colonies.row(name) for name in names]]
    return {engine: _evaluate(colonies, genomes, engine, "published_test", n_worlds, make) for engine in engines}


def evolution_fitness(
    colonies: Colonies, rows: NDArray[np.int64], engine: str, n_worlds: int, make: MakeEvaluator
) -> Array:
    """Mean fitness of these genomes in the published training world, all in the same worlds, (n_rows,)."""
    values = _evaluate(colonies, colonies.genomes[rows], engine, "published_training", n_worlds, make)
    return np.asarray(values[..., FITNESS].mean(axis=1))


def _evaluate(
    colonies: Colonies, genomes: Array, engine: str, preset: str, n_worlds: int, make: MakeEvaluator
) -> Array:
    flags = {"preset": preset, "episodes": n_worlds, "brain.n_hidden": colonies.brain.n_hidden, "brain.engine": engine}
    config = load_config(None, flags)
    evaluator = make_evaluator(config, {"config": config_to_dict(config), "is_held_out": True}, make)
    try:
        with tqdm(total=len(genomes) * n_worlds, desc=f"{preset}, {engine}", disable=None, unit="ep") as bar:
            results = evaluator.evaluate(
                0, genomes, n_worlds, on_result=lambda _: bar.update(), should_stop=is_stop_requested
            )
    finally:
        evaluator.close()
    if failed := next((result for result in results if result.values is None), None):
        raise GenerationFailedError(
            f"{failed.task} failed on {engine}, so there is no mean to compare:\n{failed.error}"
        )
    return np.array([result.values for result in results]).reshape(len(genomes), n_worlds, -1)


def compare(names: Sequence[tuple[int, int]], scores: dict[str, Array]) -> list[Comparison]:
    """Food and fitness of every genome on every engine against the benchmark."""
    columns = {"food": FOOD, "fitness": FITNESS}
    return [
        Comparison(name, engine, measure, getattr(BENCHMARKS[name], measure), values[index, :, column])
        for index, name in enumerate(names)
        for engine, values in scores.items()
        for measure, column in columns.items()
    ]


def replay_all(
    colonies: Colonies, folder: Path, engines: Sequence[str], is_quick: bool
) -> list[tuple[str, str, int, int]]:
    """Name, engine, recorded spikes and wrong ones of every recording in a folder, or of two of them in part."""
    paths = sorted(folder.glob("spikes_[0-9]*_[0-9]*_ant[0-9]*.npz"))
    if not paths:
        raise StorageError(f"{folder} has no recordings spikes_GENERATION_INDIVIDUAL_antN.npz to replay.")
    found = []
    for path in paths[:: max(1, len(paths) // 2)] if is_quick else paths:
        _, generation, individual, ant = path.stem.split("_")
        genome = colonies.genomes[colonies.row((int(generation), int(individual)))]
        recording = read_recording(path, 200 if is_quick else N_TICKS)
        for engine in engines:
            brain = dataclasses.replace(colonies.brain, engine=engine)
            found.append((f"{generation}/{individual}, {ant}", engine, *replay(genome, brain, recording)))
    return found


def tables_text(
    comparisons: Sequence[Comparison],
    scores: dict[str, Array],
    published: Array,
    evolution: Array,
    replays: Sequence[tuple[str, str, int, int]],
) -> str:
    """Markdown: scores, evolution, spikes."""
    lines = [
        "| genome | engine | measure | published | here | worlds | difference in standard errors | KS test, p |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for c in comparisons:
        digits = 1 if c.measure == "food" else 0
        cells = [f"{s.mean():,.{digits}f} ± {s.std(ddof=1):,.{digits}f}" for s in (c.published, c.ours)]
        verdict = "" if abs(c.standard_errors) <= MAX_STANDARD_ERRORS else " **too far**"
        lines.append(
            f"| {c.name[0]}/{c.name[1]} | {c.engine} | {c.measure} | {cells[0]} | {cells[1]} | {len(c.ours)} "
            f"| {c.standard_errors:+.2f}{verdict} | {c.p_value:.2f} |"
        )
    if len(scores) > 1:
        first, *others = scores.values()
        n_equal = sum(int((values == first).sum()) for values in others)
        lines += ["", f"Engines {' and '.join(scores)}: {n_equal} of {first.size} measures of all episodes are equal."]
    low, high = _spearman_interval(published, evolution)
    lines += [
        "",
        f"Fitness of {len(evolution)} genomes over evolution, published (one episode) and here: Spearman correlation "
        f"{spearman(published, evolution):.3f}, 95 % interval {low:.2f} … {high:.2f}.",
        "",
        "| recording | engine | hidden and motor spikes | wrong here |",
        "|---|---|---|---|",
    ]
    lines += [f"| {name} | {engine} | {n_spikes:,} | {n_wrong} |" for name, engine, n_spikes, n_wrong in replays]
    return "\n".join(lines) + "\n"


def _spearman_interval(first: Array, second: Array) -> tuple[float, float]:
    """Percentile interval of 2,000 bootstrap samples of the genomes."""
    rng = np.random.default_rng(0)
    samples = rng.integers(0, len(first), (2000, len(first)))
    found = [spearman(first[sample], second[sample]) for sample in samples if np.ptp(first[sample]) > 0]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def draw(comparisons: Sequence[Comparison], published: Array, evolution: Array, path: Path) -> bool:
    """Distributions of food, ours beside the published ones, and fitness over evolution; False without matplotlib."""
    food = [c for c in comparisons if c.measure == "food" and c.engine == comparisons[0].engine]
    figure, axes = new_axes(columns=len(food) + 1)
    if figure is None:
        return False
    for axis, c in zip(axes[0], food, strict=False):
        for sample, label, color in ((c.published, "published", "0.5"), (c.ours, "here", "C0")):
            text = f"{label}: {sample.mean():.1f} ± {sample.std(ddof=1):.1f}"
            axis.ecdf(sample, color=color, label=text, linewidth=2.0)
        axis.set(xlabel="food", ylabel="share of worlds with at most this", title=f"genome {c.name[0]}/{c.name[1]}")
        axis.legend(frameon=False, fontsize="small", loc="upper left")
    axis = axes[0, -1]
    axis.scatter(published / 1000.0, evolution / 1000.0, s=14, color="C0")
    limits = np.array([min(published.min(), evolution.min()), max(published.max(), evolution.max())]) / 1000.0
    axis.plot(limits, limits, color="0.7", linewidth=1.0)
    axis.set(xlabel="published fitness / 1000, one episode", ylabel="fitness here / 1000")
    axis.set_title(f"{len(evolution)} genomes, Spearman {spearman(published, evolution):.2f}")
    save_figure(figure, path)
    return True


if __name__ == "__main__":
    sys.exit(main())
