"""Every optimizer with its default settings on the same problems: the measured columns of docs/optimizers.md.

python tests/bench/methods.py [--methods ga es ...] [--seeds 5]

For each problem the median number of evaluations until the error is a small part of that of the first individual, or,
in brackets, which part of it is left after the last one. The part is 1e-4, and 1e-2 for the noisy problem, where the
error counts without its noise. All start from the same random individuals in [-5, 5]^n, and nothing is tuned. The last
columns: CPU time of ask and tell per genome, and memory of the state, with 32 × 1,000 genes.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from timing import Stopwatch

from optim import Block, Evaluations, ParameterSpace
from optim.base import Array
from optim.methods import METHODS, Start, make_optimizer
from optim.minimize import default_population
from optim.problems import rastrigin, rosenbrock, sphere

BUDGET = {"optuna": 400}  # evaluations; a model of the function costs seconds per generation
DEFAULT_BUDGET = 20_000
N_TIMED = 8  # generations
LARGE = {"optuna", "cma_es", "pycma", "xnes"}  # not with 1,000 genes: too slow to be of use


class Problem(NamedTuple):
    """Something to maximise, 0 at best."""

    n_params: int
    fitness: Callable[[Array], Array]
    noise: float = 0.0  # standard deviation of the noise on the fitness that is told
    goal: float = 1e-4  # part of the first error


def _ellipsoid(genomes: Array) -> Array:
    scales = 1e6 ** np.linspace(0.0, 1.0, genomes.shape[1])
    return -np.sum(scales * (genomes - 1.0) ** 2, axis=1)


PROBLEMS: Mapping[str, Problem] = {
    "sphere, 10": Problem(10, lambda x: sphere(x - 1.0)),
    "ellipsoid 10⁶, 10": Problem(10, _ellipsoid),
    "Rosenbrock, 10": Problem(10, rosenbrock),
    "Rastrigin, 10": Problem(10, lambda x: rastrigin(x - 1.0)),
    "noisy sphere, 10": Problem(10, lambda x: sphere(x - 1.0), noise=10.0, goal=1e-2),
    "sphere, 1,000": Problem(1000, lambda x: sphere(x - 1.0)),
}


def _start(method: str, n_params: int, seed: int) -> Start:
    space = ParameterSpace((Block("x", n_params, -5.0, 5.0),))
    initial = space.sample(np.random.default_rng(seed), default_population(method, n_params))
    return Start(space, initial, seed, np.zeros(1))


def run(method: str, problem: Problem, seed: int) -> tuple[float, float]:
    """(evaluations until the goal, inf if never; part of the error that is left at the end)."""
    start = _start(method, problem.n_params, seed)
    optimizer = make_optimizer(method, start)
    first = -float(problem.fitness(start.initial[:1])[0])
    noise = np.random.default_rng([seed, 1])
    best, used, budget = first, 0, BUDGET.get(method, DEFAULT_BUDGET)
    while used < budget and not optimizer.stop():
        genomes = optimizer.ask()
        error = -problem.fitness(genomes)
        reached = np.flatnonzero(error <= problem.goal * first)
        if reached.size:
            return used + int(reached[0]) + 1, problem.goal
        best, used = min(best, float(error.min())), used + len(genomes)
        told = -error + problem.noise * noise.standard_normal(len(genomes))
        optimizer.tell(genomes, Evaluations(told, told[:, None]))
    return np.inf, best / first


def cell(method: str, name: str, n_seeds: int) -> str:
    """Median over seeds, as text."""
    problem = PROBLEMS[name]
    if problem.n_params > 10 and method in LARGE | {"grid"}:
        return "–"
    runs = [run(method, problem, seed) for seed in range(n_seeds)]
    median = statistics.median(evaluations for evaluations, _ in runs)
    return f"{median:,.0f}" if np.isfinite(median) else f"({statistics.median(left for _, left in runs):.2g})"


def cost(method: str) -> tuple[str, str]:
    """(µs of CPU time per genome for ask and tell, MB of state) with 32 individuals of 1,000 genes."""
    if method in LARGE | {"grid"}:
        return "–", "–"
    space = ParameterSpace((Block("x", 1000, -5.0, 5.0),))
    initial = space.sample(np.random.default_rng(1), 32)
    optimizer = make_optimizer(method, Start(space, initial, 1, np.zeros(1)))
    seconds = []
    for _ in range(N_TIMED):
        watch = Stopwatch()
        with watch.running():
            genomes = optimizer.ask()
        fitness = sphere(genomes)
        with watch.running():
            optimizer.tell(genomes, Evaluations(fitness, fitness[:, None]))
        seconds.append(watch.seconds / len(genomes))
    state = sum(np.asarray(value).nbytes for value in optimizer.state_dict().values() if isinstance(value, np.ndarray))
    return f"{1e6 * statistics.median(seconds[1:]):,.1f}", f"{state / 1e6:.2f}"


def line(method: str, n_seeds: int) -> str:
    """One row of the table."""
    return " | ".join([f"| `{method}`", *(cell(method, name, n_seeds) for name in PROBLEMS), *cost(method)]) + " |"


def main() -> None:
    """Print the table in Markdown, row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=sorted(METHODS), metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5, metavar="N")
    options = parser.parse_args()
    names = ["method", *PROBLEMS, "µs per genome", "state, MB"]
    sys.stdout.write(f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n")
    with ProcessPoolExecutor(2) as pool:
        for row in pool.map(functools.partial(line, n_seeds=options.seeds), options.methods):
            sys.stdout.write(row + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
