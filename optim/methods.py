"""The optimizers by name: one table for studies, `optim.minimize` and the contract tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from optim.aco import ACOConfig, ContinuousAntColony
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
from optim.nes import SNES, XNES, NESConfig
from optim.optuna_search import OptunaConfig, OptunaSearch
from optim.pgpe import PGPE, PGPEConfig
from optim.pso import ParticleSwarm, PSOConfig
from optim.sampling import GridConfig, GridSearch, RandomConfig, RandomSearch
from optim.space import ParameterSpace
from optim.tempering import ParallelTempering, TemperingConfig


class Start(NamedTuple):
    """What any optimizer may begin with; each takes what it needs."""

    space: ParameterSpace
    initial: Array  # (n, n_params), the first individuals; a search around one point begins at the first row
    seed: Seed
    targets: Array | None = None  # (d,), what the responses should be; read by the ensemble Kalman filter only


class Method(NamedTuple):
    """An optimizer under its name in settings."""

    config: Callable[[], Any]  # the class of its settings; without arguments the defaults
    build: Callable[[Start, Any], Optimizer]


def _enkf(start: Start, config: EnKFConfig) -> Optimizer:
    if start.targets is None:
        raise ValueError("method 'enkf' needs targets: what the responses of an ideal individual would be.")
    return EnsembleKalmanFilter(start.space, config, initial=start.initial, targets=start.targets, seed=start.seed)


METHODS: dict[str, Method] = {
    "aco": Method(ACOConfig, lambda s, c: ContinuousAntColony(s.space, c, initial=s.initial, seed=s.seed)),
    "annealing": Method(AnnealingConfig, lambda s, c: SimulatedAnnealing(s.space, c, initial=s.initial, seed=s.seed)),
    "cma_es": Method(
        CMAESConfig,
        lambda s, c: CMAES(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "cosyne": Method(CoSyNEConfig, lambda s, c: CoSyNE(s.space, c, initial=s.initial, seed=s.seed)),
    "cross_entropy": Method(
        CrossEntropyConfig,
        lambda s, c: CrossEntropy(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "de": Method(DEConfig, lambda s, c: DifferentialEvolution(s.space, c, initial=s.initial, seed=s.seed)),
    "enkf": Method(EnKFConfig, _enkf),
    "es": Method(
        ESConfig,
        lambda s, c: EvolutionStrategy(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "face": Method(
        FACEConfig,
        lambda s, c: FACE(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "finite_difference": Method(
        FiniteDifferenceConfig,
        lambda s, c: FiniteDifferenceAscent(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "ga": Method(GAConfig, lambda s, c: GeneticAlgorithm(s.space, c, initial=s.initial, seed=s.seed)),
    "grid": Method(GridConfig, lambda s, c: GridSearch(s.space, c, population_size=len(s.initial), seed=s.seed)),
    "optuna": Method(OptunaConfig, lambda s, c: OptunaSearch(s.space, c, initial=s.initial, seed=s.seed)),
    "pgpe": Method(
        PGPEConfig,
        lambda s, c: PGPE(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "pso": Method(PSOConfig, lambda s, c: ParticleSwarm(s.space, c, initial=s.initial, seed=s.seed)),
    "random": Method(RandomConfig, lambda s, c: RandomSearch(s.space, c, population_size=len(s.initial), seed=s.seed)),
    "sep_cma_es": Method(
        CMAESConfig,
        lambda s, c: SeparableCMAES(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "snes": Method(
        NESConfig,
        lambda s, c: SNES(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "tempering": Method(TemperingConfig, lambda s, c: ParallelTempering(s.space, c, initial=s.initial, seed=s.seed)),
    "xnes": Method(
        NESConfig,
        lambda s, c: XNES(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
}


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
