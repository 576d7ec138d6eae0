"""Cost of an optimizer beside the evaluations: ``python tests/bench/optimizers.py [--peers PYTHON …] [--only NAME …]``.

CPU time of one ask and one tell with random fitness, in the mean over some generations, median of three rounds in which
ours and its peers take turns on one core with one thread each. Peers are libraries that this Python has, or those given
with --peers. evosax and EvoTorch work in float32, ours is float64. Nevergrad's CMA is the library cma.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install cma cmaes deap nevergrad evosax evotorch
    python tests/bench/optimizers.py --peers /tmp/peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import timing

# isort: split
import experiments  # noqa: F401  (before numpy: it sets threads and the compiler cache)

# isort: split
import numpy as np
from optimizer_peers import Generation, seconds_per_generation

from optim import Block, Evaluations, ParameterSpace
from optim.methods import FILTERS, METHODS, Start, make_optimizer

SHAPES = ((32, 1440), (256, 1440), (98, 28800), (1000, 28800))  # individuals, genes
FULL_COVARIANCE = ("cma_es", "xnes")
LEFT_OUT = {"grid", "optuna", "pycma"}  # a grid over 1440 genes has no end; the others are other libraries
N_RESPONSES = 3
PEERS_OF = {
    "cma_es": ("cma", "DEAP cma.Strategy", "evosax CMA_ES", "EvoTorch CMAES"),
    "cross_entropy": ("EvoTorch CEM",),
    "de": ("evosax DifferentialEvolution", "Nevergrad DE"),
    "es": ("evosax Open_ES",),
    "ga": ("evosax SimpleGA",),
    "pgpe": ("evosax PGPE", "EvoTorch PGPE"),
    "pso": ("evosax PSO", "Nevergrad PSO"),
    "sep_cma_es": ("cma, diagonal", "cmaes SepCMA", "evosax Sep_CMA_ES", "EvoTorch CMAES, separable"),
    "snes": ("evosax SNES", "EvoTorch SNES"),
    "xnes": ("evosax xNES", "EvoTorch XNES"),
}


class Worker:
    """Another Python that measures the peers it has."""

    def __init__(self, python: str) -> None:
        command = [python, str(Path(__file__).with_name("optimizer_peers.py"))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.peers = self._answer()

    def seconds(self, peer: str, n: int, n_params: int, n_generations: int) -> float:
        """CPU time per generation; NaN if the peer cannot do it."""
        request = {"peer": peer, "n": n, "n_params": n_params, "n_generations": n_generations}
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer()
        if "error" in answer:
            timing.text(f"{peer}: {answer['error']}")
        return answer.get("seconds", np.nan)

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peers ended early, with exit code {self._process.wait()}: {self._process.args}")
        return json.loads(line)


def our_generation(method: str, n: int, n_params: int) -> Generation:
    """One ask and tell of the optimizer with its default settings."""
    space = ParameterSpace(
        (Block("weight_pA", n_params - n_params // 10, -20.0, 20.0), Block("delay_ms", n_params // 10, 1.0, 7.0))
    )
    initial = space.sample(np.random.default_rng(1), n)
    optimizer = make_optimizer(method, Start(space, initial, 1, np.zeros(N_RESPONSES)))

    def generation(fitness: np.ndarray) -> None:
        genomes = optimizer.ask()
        scores = np.resize(fitness, len(genomes))  # some ask for more than their population
        responses = np.outer(scores, np.arange(1.0, N_RESPONSES + 1)) if method in FILTERS else None
        optimizer.tell(genomes, Evaluations(scores, responses))

    return generation


def bench(method: str, n: int, n_params: int, workers: list[Worker]) -> None:
    """The rows of one optimizer and its peers."""
    n_generations = 40 if method in FULL_COVARIANCE and n < 100 else 10 if n * n_params < 1e7 else 3
    measurements = {
        f"ours: {method}": lambda: seconds_per_generation(our_generation(method, n, n_params), n, n_generations)
    }
    for peer in PEERS_OF.get(method, ()):
        worker = next((worker for worker in workers if peer in worker.peers), None)
        if worker is not None:
            measurements[f"  {peer}"] = lambda peer=peer, worker=worker: worker.seconds(
                peer, n, n_params, n_generations
            )
    timing.rows(timing.medians(measurements, 3), "ms", scale=1e3, reference=f"ours: {method}")


def main() -> None:
    """Run all shapes and optimizers, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", default=[], metavar="PYTHON", help="of environments with other libraries")
    names = sorted(METHODS.keys() - LEFT_OUT)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="METHOD")
    parser.add_argument("--shapes", nargs="+", type=int, choices=range(len(SHAPES)), default=range(len(SHAPES)))
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    workers = [Worker(python) for python in (sys.executable, *arguments.peers)]
    for n, n_params in (SHAPES[i] for i in arguments.shapes):
        timing.title(f"ask + tell, {n} individuals with {n_params} genes; CPU time of a generation")
        for method in arguments.only:
            if method in FULL_COVARIANCE and n_params > 2000:
                continue
            bench(method, n, n_params, workers)


if __name__ == "__main__":
    main()
