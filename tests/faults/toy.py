"""A study that takes milliseconds: minimise the length of a vector. For faults of storage and of the loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.command import guarded
from experiments.files import write_text
from experiments.npz import write_genomes
from experiments.run import evolve
from experiments.run_folder import RunFolder
from experiments.settings import RunConfig, config_to_toml, fill, read_settings
from experiments.study import Study
from optim import Block, ESConfig, EvolutionStrategy, ParameterSpace
from optim.base import Array
from optim.evaluators import SerialEvaluator
from optim.tasks import Task, TaskFunction

START = {"versions": {"stigmergy": "0"}, "python": "3", "commit": "", "n_ranks": 1}


def measure(task: Task, genome: Array) -> Array:
    """Fitness and length; another fitness in every episode."""
    return np.array([-float(genome @ genome) - 0.01 * task.episode, float(np.sqrt(genome @ genome))])


def toy_config(**settings) -> RunConfig:
    return RunConfig(**({"population": 4, "generations": 3, "episodes": 2} | settings))


def toy_study(config: RunConfig) -> Study:
    return Study(
        title="toy",
        config=config,
        measures=("fitness", "length"),
        fitness="fitness",
        told=("length",),
        seed_of=lambda task: 100 * task.generation + 10 * task.individual + task.episode,
        save=_save_best,
    )


def toy_optimizer(config: RunConfig, n_params: int = 6) -> EvolutionStrategy:
    space = ParameterSpace((Block("genes", n_params, -2.0, 2.0),))
    x0 = np.linspace(-1, 1, n_params)
    return EvolutionStrategy(space, ESConfig(), x0=x0, population_size=config.population, seed=config.seed)


def run_toy(
    path: Path,
    function: TaskFunction = measure,
    n_params: int = 6,
    evaluator: SerialEvaluator | None = None,
    **settings,
) -> int:
    """Start the study in `path`, or continue what is there; errors become exit codes as on the command line."""

    def action() -> int:
        if path.exists():
            run = RunFolder(path)
            config = fill(toy_config(), read_settings(path / "config.toml", settings))
        else:
            config = toy_config(**settings)
            run = RunFolder.create(path, config_to_toml(config))
        study, optimizer = toy_study(config), toy_optimizer(config, n_params)
        return evolve(study, optimizer, run, evaluator or SerialEvaluator(function, config.retries), START)

    return guarded(action)


def fails_at(*individuals: int, error: type[Exception] = ValueError, generation: int = 1) -> TaskFunction:
    """The same task function, but these individuals of a generation raise."""

    def fragile(task: Task, genome: Array) -> Array:
        if task.generation == generation and task.individual in individuals:
            raise error("the vector broke")
        return measure(task, genome)

    return fragile


def counting(function: Callable[[Task, Array], Array] = measure) -> tuple[TaskFunction, list[Task]]:
    """The same task function, and the list of tasks it was called with."""
    seen: list[Task] = []

    def counted(task: Task, genome: Array) -> Array:
        seen.append(task)
        return function(task, genome)

    return counted, seen


def results(path: Path) -> dict[str, np.ndarray]:
    """All recorded values of a run but wall times, by table and column."""
    return {
        f"{table}/{column}": values
        for table, columns in RunFolder(path).read_results().items()
        for column, values in columns.items()
        if not column.startswith("seconds")
    }


def assert_same_run(first: Path, second: Path) -> None:
    ours, theirs = results(first), results(second)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def tree(path: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _save_best(run: RunFolder, optimizer: EvolutionStrategy, genome: Array) -> str:
    write_genomes(run.path / "best.npz", genome[None], genome[None])
    write_text(run.path / "best.txt", repr(genome.tolist()))
    return str(run.path / "best.npz")


if __name__ == "__main__":
    sys.exit(run_toy(Path(sys.argv[1]), generations=int(sys.argv[2]), n_params=int(sys.argv[3])))
