"""Learning to learn to learn: an optimizer chooses the settings of an ensemble Kalman filter that trains a network.

python experiments/nested.py                                      # a genetic algorithm over three settings
mpirun -n 5 python experiments/nested.py --group-size 2           # each inner loop on two ranks; the same result
python experiments/nested.py --optimizer random --name baseline   # any optimizer outside
python experiments/nested.py --resume runs/NAME --generations 20

The inner task: a network of 4-8-1 tanh units (49 weights) learns a teacher of the same kind from mini-batches of 16
noisy examples. All candidates may evaluate equally many networks; a large ensemble and many repetitions of a batch
therefore mean few batches. Fitness is -log10 of the mean squared error of the mean network on unseen examples.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # this checkout, wherever it is started from
    from experiments import process

    process.catch_stop_signals()  # before the slow imports: a signal must not find the process unprepared
    process.require_packages()

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from experiments.files import write_text
from experiments.program import Program, check_group_size, group_size, make_parser, run_program, start_or_resume
from experiments.run_folder import RunFolder
from experiments.search_config import SearchConfig, make_search, other_sections
from experiments.seeds import initial_rng, optimizer_seed
from experiments.settings import ConfigError, check_flags, fill, leaves, read_settings
from experiments.study import Study
from optim import Block, EnKFConfig, EnsembleKalmanFilter, Evaluations, GAConfig, Optimizer, ParameterSpace
from optim.base import Array
from optim.evaluators import MakeEvaluator
from optim.methods import Start
from optim.tasks import Task, TaskFunction

N_INPUTS, N_HIDDEN, N_EXAMPLES, N_TEST = 4, 8, 16, 500
N_WEIGHTS = (N_INPUTS + 1) * N_HIDDEN + N_HIDDEN + 1
NOISE = 0.05  # standard deviation of the noise on the examples; outputs are about 1
MEASURES = ("fitness", "test_error", "updates")

# What the outer loop searches: the settings of the filter.
SETTINGS = ParameterSpace(
    (
        Block("gamma", 1, 1e-4, 10.0, kind="log"),
        Block("ensemble_size", 1, 4, 100, kind="integer"),
        Block("repetitions", 1, 1, 10, kind="integer"),
    )
)
WEIGHTS = ParameterSpace((Block("weight", N_WEIGHTS, -5.0, 5.0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedConfig(SearchConfig):
    """Everything that decides the result of a run of `experiments/nested.py`; episodes are different teachers."""

    population: int = 12
    generations: int = 8
    episodes: int = 2
    ga: GAConfig = field(default_factory=lambda: GAConfig(mutation_sigma=3.0, n_elite=1))
    budget: int = 3000  # networks evaluated by an inner loop, >= 200

    def __post_init__(self) -> None:
        SearchConfig.__post_init__(self)
        if self.budget < 2 * SETTINGS.high[1]:
            raise ConfigError(
                f"budget={self.budget} is too small: the largest ensemble needs two updates, give >= 200."
            )


class Teacher(NamedTuple):
    """A network that is to be learnt, drawn from the seed of the run and the number of the episode."""

    weights: Array  # (N_WEIGHTS,)
    seed: int
    episode: int

    def examples(self, batch: int, n: int = N_EXAMPLES) -> tuple[Array, Array]:
        """Inputs (n, N_INPUTS) and outputs (n,) of a batch, the outputs with noise."""
        rng = _rng(self.seed, self.episode, _BATCH, batch)
        inputs = rng.standard_normal((n, N_INPUTS))
        return inputs, network(self.weights, inputs) + NOISE * rng.standard_normal(n)

    def test_error(self, weights: Array) -> float:
        """Mean squared difference between a network and this one on inputs that no batch has."""
        inputs = _rng(self.seed, self.episode, _TEST).standard_normal((N_TEST, N_INPUTS))
        return float(np.mean((network(weights, inputs) - network(self.weights, inputs)) ** 2))


def make_teacher(seed: int, episode: int) -> Teacher:
    """Teacher of an episode: the same for all individuals and generations of a run."""
    return Teacher(_rng(seed, episode, _TEACHER).standard_normal(N_WEIGHTS), seed, episode)


# What random numbers of an episode are for.
_TEACHER, _TEST, _BATCH, _STUDENTS = range(4)


def _rng(seed: int, episode: int, *purpose: int) -> np.random.Generator:
    """Generator for one purpose; beside those of `experiments.seeds`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, episode, *purpose)))


def network(weights: Array, inputs: Array) -> Array:
    """Outputs (n,) of a network with one layer of tanh units for inputs (n, N_INPUTS); weights are (N_WEIGHTS,)."""
    into, out = np.split(weights, [(N_INPUTS + 1) * N_HIDDEN])
    into = into.reshape(N_HIDDEN, N_INPUTS + 1)
    return np.tanh(inputs @ into[:, :-1].T + into[:, -1]) @ out[:-1] + out[-1]


def make_network_task(settings: Any) -> TaskFunction:
    """Task function of the inner loop: the outputs of one network on one batch, both named by the generation."""

    def respond(task: Task, weights: Array) -> Array:
        episode, batch = divmod(task.generation, settings["budget"])
        inputs, _ = make_teacher(settings["seed"], episode).examples(batch)
        return network(weights, inputs)

    return respond


def make_filter_task(settings: Any, make_evaluator: MakeEvaluator) -> TaskFunction:
    """Task function of the outer loop: train a network with some settings of the filter, and test it."""
    evaluator = make_evaluator(settings)
    budget = settings["budget"]

    def train(task: Task, genome: Array) -> Array:
        chosen = SETTINGS.named(genome)
        teacher = make_teacher(settings["seed"], task.episode)
        rng = _rng(settings["seed"], task.episode, _STUDENTS)
        ensemble = WEIGHTS.clip(rng.standard_normal((chosen["ensemble_size"], N_WEIGHTS)))
        student = EnsembleKalmanFilter(
            WEIGHTS, EnKFConfig(gamma=chosen["gamma"]), initial=ensemble, targets=np.zeros(N_EXAMPLES), seed=0
        )
        for update in range(budget // chosen["ensemble_size"]):
            if student.stop():
                break
            batch = update // chosen["repetitions"]
            _, targets = teacher.examples(batch)
            networks = student.ask()
            results = evaluator.evaluate(task.episode * budget + batch, networks, 1)
            failed = np.full(N_EXAMPLES, np.nan)
            responses = np.array([failed if result.values is None else result.values for result in results])
            fitness = -np.mean((responses - targets) ** 2, axis=1)
            student.tell(networks, Evaluations(fitness, responses, targets))
        error = teacher.test_error(student.mean)
        return np.array([-np.log10(error), error, student.generation])

    return train


def make_study(config: NestedConfig) -> Study:
    """The outer loop's view of the study."""
    return Study(
        title=f"{config.optimizer} over settings of an ensemble Kalman filter, seed {config.seed}",
        config=config,
        measures=MEASURES,
        fitness="fitness",
        told=("test_error",),
        seed_of=lambda task: config.seed,
        save=_save_best,
    )


def make_optimizer(config: NestedConfig) -> Optimizer:
    """The outer optimizer at its first generation."""
    initial = SETTINGS.sample(initial_rng(config.seed), config.population)
    return make_search(config, Start(SETTINGS, initial, optimizer_seed(config.seed), targets=np.array([4.0])))


def load_config(path: Path | None, flags: Mapping[str, Any]) -> NestedConfig:
    """Config from defaults, then the file, then flags; see `experiments.config.load_config`."""
    config: NestedConfig = fill(NestedConfig(), read_settings(path, flags))
    check_flags(config, flags)
    return config


def _save_best(run: RunFolder, optimizer: Optimizer, genome: Array) -> str:
    path = run.path / "best.json"
    write_text(path, json.dumps(SETTINGS.named(genome), indent=2) + "\n")
    return f"{path} {SETTINGS.named(genome)}"


PROGRAM = Program(
    load_config=load_config,
    make_optimizer=make_optimizer,
    make_study=make_study,
    task_settings=lambda config: {"seed": config.seed, "budget": config.budget},
    n_params=lambda config: SETTINGS.n_params,
    label=lambda config: f"nested-{config.optimizer}-seed{config.seed}",
    headline=lambda config: (
        f"{config.optimizer} over the settings of a filter, {config.population} individuals × {config.episodes} "
        f"teachers × {config.budget} networks, {config.generations} generations"
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of every rank; returns the exit code (see `experiments.process`)."""

    def body(make: MakeEvaluator, commit: str) -> int:
        parser, _ = make_parser("nested.py", __doc__, NestedConfig(), _HELP, other_sections(arguments))
        parser.add_argument("--group-size", default="1", metavar="N", help="MPI ranks per inner loop (default 1)")
        options = parser.parse(arguments)
        check_group_size(options)
        flags = {name: options[name] for name, _ in leaves(NestedConfig()) if name in options}
        return start_or_resume(PROGRAM, options, flags, make, commit)

    return run_program(body, make_filter_task, make_inner=make_network_task, group_size=group_size(arguments))


_HELP = {"budget": "networks that an inner loop may evaluate"}

if __name__ == "__main__":
    sys.exit(main())
