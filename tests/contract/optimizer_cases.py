"""The optimizers under contract. A new one is a line in `optim.methods.METHODS` and one in CASES; nothing else.

python tests/contract/optimizer_cases.py     # measures the frozen figures of CASES anew
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from optim import Block, Dct, Evaluations, ParameterSpace
from optim.ga import MU_RHO_LAMBDA
from optim.methods import METHODS, Start, make_optimizer
from optim.problems import sphere

SPACE = ParameterSpace((Block("weight_pA", 4, -20.0, 20.0), Block("delay_ms", 2, 1.0, 7.0)))
OPTIMUM = np.array([5.0, -3.0, 0.0, 8.0, 2.0, 4.5])
# Every kind of gene and every way to stay inside.
MIXED = ParameterSpace(
    (
        Block("weight_pA", 1, -20.0, 20.0),
        Block("rate_hz", 1, 1e-3, 1e3, kind="log"),
        Block("n_hidden", 1, 3, 9, kind="integer"),
        Block("delay_ms", 1, 1.0, 7.0, bounds="reflect"),
        Block("gain", 1, 0.1, 10.0, kind="log", bounds="sigmoid"),
        Block("n_levels", 1, -5, 5, kind="integer", bounds="reflect"),
    )
)
N = 20
GATE = 1e-3  # error of the sphere, as a fraction of that of the middle of the box
SEEDS = range(5)


@dataclass(frozen=True)
class Case:
    """An optimizer under test with some of its settings."""

    name: str
    method: str
    evaluations: float  # frozen median to reach GATE from a corner of the box; inf: never, or too slow to measure
    settings: Mapping[str, Any] = field(default_factory=dict)
    rank_based: bool = True  # sees the order of the fitness only
    survives_all_failed: bool = True  # else tell raises RuntimeError
    learns: bool = True  # else the fitness changes nothing
    n: int = N  # rows of `initial`
    encoding: Dct | None = None  # it searches coefficients of the genomes

    def initial(self, seed=1, space=SPACE):
        """The first individuals."""
        return space.sample(np.random.default_rng(seed), self.n)

    def make(self, initial, seed, space=SPACE):
        """The optimizer at its first generation."""
        config = METHODS[self.method].config(**self.settings)
        return make_optimizer(self.method, Start(space, initial, seed, np.zeros(space.n_params)), config, self.encoding)


CASES = [
    Case("aco", "aco", 482),
    Case("annealing", "annealing", 1611, rank_based=False),
    Case("annealing_logarithmic", "annealing", 1121, {"schedule": "logarithmic", "n_cooling": 100}, rank_based=False),
    Case("annealing_linear", "annealing", 6641, {"schedule": "linear", "n_cooling": 100}, rank_based=False),
    Case("finite_difference", "finite_difference", 1794, rank_based=False),
    Case("finite_difference_forward", "finite_difference", 1789, {"probes": "forward"}, rank_based=False),
    Case("finite_difference_sgd", "finite_difference", 81, {"rule": "sgd", "learning_rate": 0.3}, rank_based=False),
    Case("grid", "grid", np.inf, learns=False),
    Case("optuna", "optuna", np.inf, rank_based=False, n=4),
    Case("pso", "pso", 444),
    Case("pycma", "pycma", 531),
    Case("pycma_diagonal", "pycma", 362, {"covariance": "diagonal"}),
    Case("random", "random", np.inf, learns=False),
    Case("random_sobol", "random", np.inf, {"sequence": "sobol"}, learns=False),
    Case("tempering", "tempering", 1844, rank_based=False),
    Case("ga", "ga", 490),
    Case("ga_elite_all", "ga", 451, {"n_elite": 2, "reevaluate": "all"}),
    Case("ga_mu_rho_lambda", "ga", 1127, asdict(MU_RHO_LAMBDA)),
    Case("ga_roulette", "ga", 2570, {"selection": "roulette", "n_elite": 1, "crossover": "uniform"}, rank_based=False),
    Case("ga_rank", "ga", 1055, {"selection": "rank", "crossover": "arithmetic", "keep_best_ever": True}),
    Case("cosyne", "cosyne", 578),
    Case("cosyne_all", "cosyne", 517, {"marking": "all", "n_elite": 1}),
    Case("cosyne_encoded", "cosyne", 677, encoding=Dct(n_coefficients=4, blocks=(4, 2))),
    Case("de", "de", 1124),
    Case("de_best", "de", 435, {"mutation": "best/2", "reevaluate": False}),
    Case("de_encoded", "de", 571, {"mutation": "current-to-best/1"}, encoding=Dct(n_coefficients=6)),
    Case("es", "es", 1962),
    Case("es_one_sided", "es", 2546, {"mirrored": False}),
    Case("cma_es", "cma_es", 483),
    Case("sep_cma_es", "sep_cma_es", 424),
    Case("xnes", "xnes", 779),
    Case("xnes_mirrored", "xnes", 781, {"mirrored": True}),
    Case("snes", "snes", 470),
    Case("snes_mirrored", "snes", 427, {"mirrored": True}),
    Case("pgpe", "pgpe", 1187),
    Case("pgpe_adam", "pgpe", 1016, {"ascent": "adam"}),
    Case("cross_entropy", "cross_entropy", 431),
    Case("cross_entropy_noisy", "cross_entropy", 1128, {"noise": 0.2}),
    Case("face", "face", 483),
    Case("enkf", "enkf", 26, {"gamma": 0.01}, rank_based=False, survives_all_failed=False),
    Case(
        "enkf_encoded",
        "enkf",
        26,
        {"gamma": 0.01},
        rank_based=False,
        survives_all_failed=False,
        encoding=Dct(n_coefficients=6),
    ),
    Case(
        "enkf_inflated",
        "enkf",
        1176,
        {"inflation": 0.02, "inflation_decay": 0.9},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case(
        "enkf_published",
        "enkf",
        48,
        {"variant": "published", "block_length": 2, "gamma": 0.01},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case(
        "enkf_perturbed",
        "enkf",
        114,
        {"variant": "perturbed", "gamma": 0.01},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case("enkf_sqrt", "enkf", 145, {"variant": "sqrt", "step": "misfit"}, rank_based=False, survives_all_failed=False),
    Case(
        "enkf_denkf",
        "enkf",
        327,
        {"variant": "denkf", "gamma": 0.01, "prior_sd": 10.0, "spread_inflation": 1.02},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case(
        "enkf_renewed",
        "enkf",
        517,
        {"renewal": 0.1, "memory": 0.5, "inflation_decay": 0.9, "variant": "sqrt", "step": "misfit"},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case("enkf_momentum", "enkf", 263, {"momentum": True}, rank_based=False, survives_all_failed=False),
    Case(
        "enkf_selection",
        "enkf",
        1016,
        {"selection": 0.2, "inflation": 0.01, "inflation_decay": 0.9},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case(
        "enkf_corrected",
        "enkf",
        23,
        {"significance": 1.0, "shrinkage": 2.0, "gamma": 0.01},
        rank_based=False,
        survives_all_failed=False,
    ),
    Case("adaptive_enkf", "adaptive_enkf", 26, {"gamma": 0.01}, rank_based=False, survives_all_failed=False),
    Case(
        "adaptive_enkf_resized",  # up or down nearly every generation: noise makes the score rise and fall
        "adaptive_enkf",
        519,
        {
            "gamma": 0.01,
            "inflation": 0.2,
            "inflation_decay": 0.95,
            "every": 1,
            "begin": -np.inf,
            "threshold": 0.02,
            "factor": 1.5,
            "smallest": 10,
            "largest": 40,
        },
        rank_based=False,
        survives_all_failed=False,
    ),
    Case(
        "adaptive_enkf_momentum",
        "adaptive_enkf",
        366,
        {"momentum": True, "every": 2, "begin": -np.inf, "threshold": 0.5, "factor": 1.2, "smallest": 12},
        rank_based=False,
        survives_all_failed=False,
    ),
]


def evaluate(genomes, space=SPACE, optimum=OPTIMUM):
    """A sphere in unit coordinates: responses are the distances to the optimum per gene, their targets zero."""
    offset = space.to_unit(genomes) - space.to_unit(optimum)
    return Evaluations(sphere(offset), offset)


def advance(optimizer, n, evaluate=evaluate):
    """The genomes asked in up to `n` generations."""
    trace = []
    for _ in range(n):
        if optimizer.stop():
            break
        genomes = optimizer.ask()
        optimizer.tell(genomes, evaluate(genomes))
        trace.append(genomes)
    return trace


def evaluations_to_gate(case, seed, budget=20_000):
    """How many evaluations until the best error is GATE of the first one; inf if not within the budget."""
    start = case.initial(seed)
    optimizer = case.make(start, seed)
    goal = GATE * np.median(-evaluate(start).fitness)
    used = 0
    while used < budget and not optimizer.stop():
        genomes = optimizer.ask()
        evaluations = evaluate(genomes)
        reached = np.flatnonzero(-evaluations.fitness <= goal)
        if reached.size:
            return used + int(reached[0]) + 1
        used += len(genomes)
        optimizer.tell(genomes, evaluations)
    return np.inf


def median_to_gate(case):
    """Median over SEEDS of the evaluations to the gate."""
    return float(np.median([evaluations_to_gate(case, seed) for seed in SEEDS]))


if __name__ == "__main__":
    import sys

    for case in CASES:
        sys.stdout.write(f"{case.name:24s} {median_to_gate(case):8.0f}  (frozen {case.evaluations})\n")
