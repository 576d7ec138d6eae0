"""Search over vectors: optimizers that ask for genomes and are told their fitness."""

from optim.aco import ACOConfig, ContinuousAntColony
from optim.adaptive import AdaptiveConfig, AdaptiveFilter
from optim.annealing import AnnealingConfig, SimulatedAnnealing
from optim.ant_system import AntSystemConfig, MaxMinAntSystem
from optim.base import Evaluations, Optimizer
from optim.cma_es import CMAES, CMAESConfig, SeparableCMAES
from optim.cosyne import CoSyNE, CoSyNEConfig
from optim.cross_entropy import FACE, CrossEntropy, CrossEntropyConfig, FACEConfig
from optim.de import DEConfig, DifferentialEvolution
from optim.encoding import Dct, Encoded
from optim.enkf import EnKFConfig, EnsembleKalmanFilter
from optim.es import ESConfig, EvolutionStrategy
from optim.finite_difference import FiniteDifferenceAscent, FiniteDifferenceConfig
from optim.functions import task_of
from optim.ga import GAConfig, GeneticAlgorithm
from optim.minimize import MinimizeResult, minimize
from optim.nes import SNES, XNES, NESConfig
from optim.optuna_search import OptunaConfig, OptunaSearch
from optim.pgpe import PGPE, PGPEConfig
from optim.pso import ParticleSwarm, PSOConfig
from optim.pycma import PyCMA, PyCMAConfig
from optim.sampling import GridConfig, GridSearch, RandomConfig, RandomSearch
from optim.space import Block, ParameterSpace
from optim.tempering import ParallelTempering, TemperingConfig

__all__ = [
    "CMAES",
    "FACE",
    "PGPE",
    "SNES",
    "XNES",
    "ACOConfig",
    "AdaptiveConfig",
    "AdaptiveFilter",
    "AnnealingConfig",
    "AntSystemConfig",
    "Block",
    "CMAESConfig",
    "CoSyNE",
    "CoSyNEConfig",
    "ContinuousAntColony",
    "CrossEntropy",
    "CrossEntropyConfig",
    "DEConfig",
    "Dct",
    "DifferentialEvolution",
    "ESConfig",
    "EnKFConfig",
    "Encoded",
    "EnsembleKalmanFilter",
    "Evaluations",
    "EvolutionStrategy",
    "FACEConfig",
    "FiniteDifferenceAscent",
    "FiniteDifferenceConfig",
    "GAConfig",
    "GeneticAlgorithm",
    "GridConfig",
    "GridSearch",
    "MaxMinAntSystem",
    "MinimizeResult",
    "NESConfig",
    "Optimizer",
    "OptunaConfig",
    "OptunaSearch",
    "PGPEConfig",
    "PSOConfig",
    "ParallelTempering",
    "ParameterSpace",
    "ParticleSwarm",
    "PyCMA",
    "PyCMAConfig",
    "RandomConfig",
    "RandomSearch",
    "SeparableCMAES",
    "SimulatedAnnealing",
    "TemperingConfig",
    "minimize",
    "task_of",
]
