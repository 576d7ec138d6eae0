"""Generations of individuals that take no time: prints wall and CPU seconds of rank 0 for one, and the slowest."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import numpy as np

from optim import Block, Evaluations, ParameterSpace
from optim.evaluators import MakeEvaluator
from optim.methods import Start, make_optimizer
from optim.mpi import launch
from optim.tasks import TaskFunction

N_INDIVIDUALS, N_GENES, N_GENERATIONS = 256, 1440, 30


def make_task(settings: Any) -> TaskFunction:
    """The sum of the genes."""
    return lambda task, genome: np.array([genome.sum()])


def main(make_evaluator: MakeEvaluator) -> int:
    """Run the generations; the first two are left out, since their times are not known yet."""
    evaluator = make_evaluator(None)
    space = ParameterSpace((Block("weight", N_GENES, -1.0, 1.0),))
    start = Start(space, space.sample(np.random.default_rng(1), N_INDIVIDUALS), 1)
    optimizer = make_optimizer("random", start)
    wall, cpu = [], []
    for generation in range(N_GENERATIONS):
        began, began_cpu = time.perf_counter(), time.process_time()
        genomes = optimizer.ask()
        results = evaluator.evaluate(generation, genomes, 1)
        optimizer.tell(genomes, Evaluations(np.array([result.values[0] for result in results])))
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - began_cpu)
    sys.stdout.write(f"{statistics.median(wall[2:])} {statistics.median(cpu[2:])} {max(wall[2:])}\n")
    return 0


if __name__ == "__main__":
    sys.exit(launch(main, make_task))
