"""The optimizers by name: one table for studies, `optim.minimize` and the contract tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from optim.aco import ACOConfig, ContinuousAntColony
from optim.adaptive import AdaptiveConfig, AdaptiveFilter
from optim.annealing import AnnealingConfig, SimulatedAnnealing
from optim.base import Array, Optimizer, Seed
from optim.cma_es import CMAES, CMAESConfig, SeparableCMAES
from optim.cosyne import CoSyNE, CoSyNEConfig
from optim.cross_entropy import FACE, CrossEntropy, CrossEntropyConfig, FACEConfig
from optim.de import DEConfig, DifferentialEvolution
from optim.encoding import Dct, Encoded
from optim.enkf import EnKFConfig, EnsembleKalmanFilter
from optim.es import ESConfig, EvolutionStrategy
from optim.finite_difference import FiniteDifferenceAscent, FiniteDifferenceConfig
from optim.ga import GAConfig, GeneticAlgorithm
from optim.localisation import Localisation
from optim.nes import SNES, XNES, NESConfig
from optim.optuna_search import OptunaConfig, OptunaSearch
from optim.pgpe import PGPE, PGPEConfig
from optim.pso import ParticleSwarm, PSOConfig
from optim.pycma import PyCMA, PyCMAConfig
from optim.sampling import GridConfig, GridSearch, RandomConfig, RandomSearch
from optim.space import ParameterSpace
from optim.tempering import ParallelTempering, TemperingConfig


class Start(NamedTuple):
    """What any optimizer may begin with; each takes what it needs."""

    space: ParameterSpace
    initial: Array  # (n, n_params), the first individuals; a search around one point begins at the first row
    seed: Seed
    targets: Array | None = (
        None  # (d,), what the responses should be, for the ensemble Kalman filter, unless its evaluations say it
    )
    localisation: Localisation | None = None  # for the ensemble Kalman filter, as the next one
    renewed: tuple[str, ...] | None = None


class Method(NamedTuple):
    """An optimizer under its name in settings."""

    config: Callable[[], Any]  # the class of its settings; without arguments the defaults
    build: Callable[[Start, Any], Optimizer]


def _from_population(kind: Callable[..., Optimizer]) -> Callable[[Start, Any], Optimizer]:
    """Optimizers whose first generation is `initial`."""
    return lambda start, config: kind(start.space, config, initial=start.initial, seed=start.seed)


def _from_point(kind: Callable[..., Optimizer]) -> Callable[[Start, Any], Optimizer]:
    """Optimizers that begin around one point."""
    return lambda start, config: kind(
        start.space, config, x0=start.initial[0], population_size=len(start.initial), seed=start.seed
    )


def _from_space(kind: Callable[..., Optimizer]) -> Callable[[Start, Any], Optimizer]:
    """Optimizers that know where to begin."""
    return lambda start, config: kind(start.space, config, population_size=len(start.initial), seed=start.seed)


def _filter(kind: Callable[..., Optimizer]) -> Callable[[Start, Any], Optimizer]:
    """Ensemble Kalman filters, which read responses."""
    return lambda start, config: kind(
        start.space,
        config,
        initial=start.initial,
        targets=start.targets,
        seed=start.seed,
        localisation=start.localisation,
        renewed=start.renewed,
    )


METHODS: dict[str, Method] = {
    "aco": Method(ACOConfig, _from_population(ContinuousAntColony)),
    "adaptive_enkf": Method(AdaptiveConfig, _filter(AdaptiveFilter)),
    "annealing": Method(AnnealingConfig, _from_population(SimulatedAnnealing)),
    "cma_es": Method(CMAESConfig, _from_point(CMAES)),
    "cosyne": Method(CoSyNEConfig, _from_population(CoSyNE)),
    "cross_entropy": Method(CrossEntropyConfig, _from_point(CrossEntropy)),
    "de": Method(DEConfig, _from_population(DifferentialEvolution)),
    "enkf": Method(EnKFConfig, _filter(EnsembleKalmanFilter)),
    "es": Method(ESConfig, _from_point(EvolutionStrategy)),
    "face": Method(FACEConfig, _from_point(FACE)),
    "finite_difference": Method(FiniteDifferenceConfig, _from_point(FiniteDifferenceAscent)),
    "ga": Method(GAConfig, _from_population(GeneticAlgorithm)),
    "grid": Method(GridConfig, _from_space(GridSearch)),
    "optuna": Method(OptunaConfig, _from_population(OptunaSearch)),
    "pgpe": Method(PGPEConfig, _from_point(PGPE)),
    "pso": Method(PSOConfig, _from_population(ParticleSwarm)),
    "pycma": Method(PyCMAConfig, _from_point(PyCMA)),
    "random": Method(RandomConfig, _from_space(RandomSearch)),
    "sep_cma_es": Method(CMAESConfig, _from_point(SeparableCMAES)),
    "snes": Method(NESConfig, _from_point(SNES)),
    "tempering": Method(TemperingConfig, _from_population(ParallelTempering)),
    "xnes": Method(NESConfig, _from_point(XNES)),
}


FILTERS = frozenset({"enkf", "adaptive_enkf"})  # these read responses, and need two members that did not fail


def make_optimizer(method: str, start: Start, config: Any = None, encoding: Dct | None = None) -> Optimizer:
    """The optimizer of this name at its first generation.

    Parameters
    ----------
    config : settings of its config class, see `METHODS`; None for the defaults
    encoding : search the coefficients of genomes instead of their genes, see `Encoded`

    Raises
    ------
    ValueError : if the method is unknown, or the start or the config do not fit it.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown. Choose one of {', '.join(sorted(METHODS))}.")
    if encoding is not None:
        return Encoded(
            start.space,
            encoding,
            lambda space, initial: make_optimizer(method, start._replace(space=space, initial=initial), config),
            initial=start.initial,
        )
    chosen = METHODS[method]
    return chosen.build(start, chosen.config() if config is None else config)
