"""Optimizers of other libraries, one generation at a time; run by `optimizers.py` in any Python that has some of them.

Reads requests {"peer", "n", "n_params", "n_generations"} from standard input, a JSON per line, and answers each with
{"seconds"} per generation or {"error"}. The first line out lists the peers that can be imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np

Generation = Callable[[np.ndarray], object]  # (n,) fitness, maximised -> nothing
N_WARM_UP = 2  # generations that compile and fill caches
MAX_SECONDS = 5.0  # of one measurement
SIGMA = 0.3


def _cma(n: int, n_params: int, **options: object) -> Generation:
    import cma

    strategy = cma.CMAEvolutionStrategy(np.zeros(n_params), SIGMA, {"popsize": n, "verbose": -9, "seed": 1, **options})
    return lambda fitness: strategy.tell(strategy.ask(), -fitness)


def _cmaes_separable(n: int, n_params: int) -> Generation:
    import cmaes

    strategy = cmaes.SepCMA(mean=np.zeros(n_params), sigma=SIGMA, population_size=n, seed=1)
    return lambda fitness: strategy.tell([(strategy.ask(), -score) for score in fitness])


def _deap(n: int, n_params: int) -> Generation:
    from deap import base, cma, creator

    if not hasattr(creator, "Row"):
        creator.create("Best", base.Fitness, weights=(1.0,))
        creator.create("Row", list, fitness=creator.Best)
    strategy = cma.Strategy(centroid=[0.0] * n_params, sigma=SIGMA, lambda_=n)

    def generation(fitness: np.ndarray) -> None:
        rows = strategy.generate(creator.Row)
        for row, score in zip(rows, fitness, strict=True):
            row.fitness.values = (score,)
        strategy.update(rows)

    return generation


def _nevergrad(name: str, n: int, n_params: int) -> Generation:
    import nevergrad

    space = nevergrad.p.Array(init=np.zeros(n_params)).set_mutation(sigma=SIGMA)
    space.random_state.seed(1)
    strategy = nevergrad.optimizers.registry[name](parametrization=space, budget=10**9, num_workers=n)

    def generation(fitness: np.ndarray) -> None:
        for candidate, score in zip([strategy.ask() for _ in fitness], fitness, strict=True):
            strategy.tell(candidate, -score)

    return generation


def _evosax(name: str, n: int, n_params: int) -> Generation:
    import evosax.algorithms
    import jax
    import optax

    settings = {"optimizer": optax.adam(0.05)} if name == "Open_ES" else {}
    strategy = getattr(evosax.algorithms, name)(population_size=n, solution=jax.numpy.zeros(n_params), **settings)
    settings_of_search, key = strategy.default_params, jax.random.key(1)
    is_around_mean = hasattr(strategy, "get_mean")
    if is_around_mean:
        state = strategy.init(key, jax.numpy.zeros(n_params), settings_of_search)
    else:
        first = jax.random.normal(key, (n, n_params))
        state = strategy.init(key, first, jax.random.normal(key, (n,)), settings_of_search)

    def generation(fitness: np.ndarray) -> None:
        nonlocal state, key
        key, ask, tell = jax.random.split(key, 3)
        population, state = strategy.ask(ask, state, settings_of_search)
        rows = np.asarray(population)  # where a simulator can read them
        state, _ = strategy.tell(tell, rows, jax.numpy.asarray(-fitness), state, settings_of_search)
        jax.block_until_ready(state)

    return generation


def _evotorch_functional(name: str, n: int, n_params: int) -> Generation:
    import evotorch.algorithms.functional as functional
    import torch

    torch.set_num_threads(1)
    rates = {"center_learning_rate": 0.05, "stdev_learning_rate": 0.1} if name == "pgpe" else {"parenthood_ratio": 0.25}
    make, ask, tell = (getattr(functional, name + part) for part in ("", "_ask", "_tell"))
    state = make(center_init=torch.zeros(n_params), stdev_init=SIGMA, objective_sense="max", **rates)

    def generation(fitness: np.ndarray) -> None:
        nonlocal state
        population = ask(state, popsize=n)
        population.numpy()  # where a simulator can read them
        state = tell(state, population, torch.as_tensor(fitness, dtype=torch.float32))

    return generation


def _evotorch(name: str, n: int, n_params: int, **settings: object) -> Generation:
    import logging

    import evotorch.algorithms
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    scores = torch.zeros(n)
    problem = evotorch.Problem(
        "max", lambda rows: scores, solution_length=n_params, initial_bounds=(-1, 1), vectorized=True, seed=1
    )
    strategy = getattr(evotorch.algorithms, name)(problem, popsize=n, stdev_init=SIGMA, **settings)

    def generation(fitness: np.ndarray) -> None:
        scores[:] = torch.as_tensor(fitness)
        strategy.step()

    return generation


PEERS: dict[str, tuple[str, Callable[[int, int], Generation]]] = {
    "cma": ("cma", _cma),
    "cma, diagonal": ("cma", lambda n, p: _cma(n, p, CMA_diagonal=True)),
    "cmaes SepCMA": ("cmaes", _cmaes_separable),
    "DEAP cma.Strategy": ("deap", _deap),
    "Nevergrad DE": ("nevergrad", lambda n, p: _nevergrad("DE", n, p)),
    "Nevergrad PSO": ("nevergrad", lambda n, p: _nevergrad("PSO", n, p)),
    "evosax CMA_ES": ("evosax", lambda n, p: _evosax("CMA_ES", n, p)),
    "evosax Sep_CMA_ES": ("evosax", lambda n, p: _evosax("Sep_CMA_ES", n, p)),
    "evosax xNES": ("evosax", lambda n, p: _evosax("xNES", n, p)),
    "evosax SNES": ("evosax", lambda n, p: _evosax("SNES", n, p)),
    "evosax PGPE": ("evosax", lambda n, p: _evosax("PGPE", n, p)),
    "evosax Open_ES": ("evosax", lambda n, p: _evosax("Open_ES", n, p)),
    "evosax DifferentialEvolution": ("evosax", lambda n, p: _evosax("DifferentialEvolution", n, p)),
    "evosax PSO": ("evosax", lambda n, p: _evosax("PSO", n, p)),
    "evosax SimpleGA": ("evosax", lambda n, p: _evosax("SimpleGA", n, p)),
    "EvoTorch CMAES": ("evotorch", lambda n, p: _evotorch("CMAES", n, p)),
    "EvoTorch CMAES, separable": ("evotorch", lambda n, p: _evotorch("CMAES", n, p, separable=True)),
    "EvoTorch XNES": ("evotorch", lambda n, p: _evotorch("XNES", n, p)),
    "EvoTorch SNES": ("evotorch", lambda n, p: _evotorch("SNES", n, p)),
    "EvoTorch PGPE": ("evotorch", lambda n, p: _evotorch_functional("pgpe", n, p)),
    "EvoTorch CEM": ("evotorch", lambda n, p: _evotorch_functional("cem", n, p)),
}


def seconds_per_generation(generation: Generation, n: int, n_generations: int) -> float:
    """CPU time of the process per generation, fitness being random numbers; fewer generations if they are slow."""
    scores = np.random.default_rng(1).standard_normal((N_WARM_UP + n_generations, n))
    for fitness in scores[:N_WARM_UP]:
        generation(fitness)
    n_done, start = 0, time.process_time()
    while n_done < n_generations and time.process_time() - start < MAX_SECONDS:
        generation(scores[N_WARM_UP + n_done])
        n_done += 1
    return (time.process_time() - start) / n_done


def main() -> None:
    """Answer requests until the input ends."""
    warnings.filterwarnings("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries print
    found = [name for name, (module, _) in PEERS.items() if find_spec(module)]
    print(json.dumps(found), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            generation = PEERS[request["peer"]][1](request["n"], request["n_params"])
            answer = {"seconds": seconds_per_generation(generation, request["n"], request["n_generations"])}
        except Exception as error:  # the table goes on without this peer
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
