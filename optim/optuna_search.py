"""Bayesian optimisation by the samplers of Optuna: tree-structured Parzen estimator and Gaussian process.

Sole importer of optuna, which is an extra: pip install 'stigmergy[tpe]'. The Gaussian process also needs torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

Sampler = Literal["tpe", "gp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptunaConfig:
    """Settings of `OptunaSearch`.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sampler: Sampler = "tpe"  # milliseconds per genome; "gp" takes about a second, for few and costly evaluations
    n_startup: int = 10  # evaluations without failure before the sampler takes over from random points, >= 1

    def __post_init__(self) -> None:
        if self.sampler not in get_args(Sampler):
            raise ValueError(
                f"OptunaConfig.sampler={self.sampler!r} is unknown. Choose one of {', '.join(get_args(Sampler))}."
            )
        if not isinstance(self.n_startup, int) or self.n_startup < 1:
            raise ValueError(f"OptunaConfig.n_startup={self.n_startup} is not an integer >= 1. Give e.g. 10.")


class OptunaSearch(Search):
    """Model the fitness of all evaluations so far and ask where the model expects an improvement.

    For tens of genes and up to about a thousand evaluations: the time per genome grows with both. The rows of a
    generation are proposed one after the other, each knowing that those before it are being evaluated.

    Optuna's samplers cannot hand out their random state. In every generation a new study is filled with all
    evaluations and gets a new sampler, whose seed comes from this search's own generator. So a search that was
    stored continues with the same genomes, given the same versions of Optuna and NumPy. Kinds of genes are told
    to Optuna; it stays inside the bounds, however a block says it should come back.

    Failed evaluations are told as failed, which the samplers ignore. If all failed, the next points are random.

    Parameters
    ----------
    initial : (n, n_params) float64, the first generation, inside the bounds; at least 1
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ModuleNotFoundError : if optuna, or torch for the sampler "gp", is not installed.
    ValueError : if `initial` has no row or leaves the bounds.

    Source: Bergstra et al. 2011 (TPE), proceedings of NIPS 24; Akiba et al. 2019 (Optuna), doi:10.1145/3292500.3330701.
    """

    _state = ("population", "genomes_told", "fitness_told")
    _resized = ("genomes_told", "fitness_told")

    def __init__(self, space: ParameterSpace, config: OptunaConfig, *, initial: Array, seed: Seed) -> None:
        for package in ("optuna", "torch") if config.sampler == "gp" else ("optuna",):
            if find_spec(package) is None:
                raise ModuleNotFoundError(
                    f"the sampler {config.sampler!r} needs {package}, which is not installed. "
                    f"Install it: pip install {package}"
                )
        space.check(initial)
        if not len(initial):
            raise ValueError("initial has no rows. Give one or more.")
        super().__init__(space, seed)
        self._config = config
        self._population = np.array(initial, dtype=np.float64)
        self._genomes_told = np.empty((0, space.n_params))  # all so far, in the order they were asked
        self._fitness_told = np.empty(0)
        self._distributions = _distributions(space)

    def _genomes(self) -> Array:
        """The rows proposed last."""
        return self._population

    def _learn(self, evaluations: Evaluations) -> None:
        """Remember the evaluations and propose the next rows."""
        self._genomes_told = np.concatenate([self._genomes_told, self._population])
        self._fitness_told = np.concatenate([self._fitness_told, evaluations.fitness])
        seed = int(self._rng.integers(2**32))
        with _quiet():
            study = self._study(seed)
            trials = [study.ask(self._distributions) for _ in evaluations.fitness]
        proposed = np.array([[trial.params[name] for name in self._distributions] for trial in trials])
        self._population = self._space.clip(proposed)

    def _study(self, seed: int) -> Any:
        """An Optuna study that knows all evaluations so far."""
        import optuna

        n_startup = self._config.n_startup
        sampler = (
            optuna.samplers.TPESampler(seed=seed, n_startup_trials=n_startup, multivariate=True, constant_liar=True)
            if self._config.sampler == "tpe"
            else optuna.samplers.GPSampler(seed=seed, n_startup_trials=n_startup)
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.FAIL if np.isnan(fitness) else optuna.trial.TrialState.COMPLETE,
                value=None if np.isnan(fitness) else float(fitness),
                params=self._parameters(genome),
                distributions=self._distributions,
            )
            for genome, fitness in zip(self._genomes_told, self._fitness_told, strict=True)
        )
        return study

    def _parameters(self, genome: Array) -> dict[str, float]:
        """Genes by their names in the study."""
        return dict(zip(self._distributions, genome.tolist(), strict=True))

    def diagnostics(self) -> dict[str, float]:
        """Number of evaluations without failure, which the model knows."""
        return {"known": float(np.count_nonzero(~np.isnan(self._fitness_told)))}


def _distributions(space: ParameterSpace) -> dict[str, Any]:
    """What Optuna needs to know of every gene, by a name of its own."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        f"{block.name}[{gene}]": IntDistribution(int(block.low), int(block.high))
        if block.kind == "integer"
        else FloatDistribution(block.low, block.high, log=block.kind == "log")
        for block in space.blocks
        for gene in range(block.size)
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's messages and its warnings that an option is experimental."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
