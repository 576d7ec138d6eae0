"""Search over vectors: optimizers that ask for genomes and are told their fitness."""

from optim.base import Evaluations, Optimizer
from optim.enkf import EnKFConfig, EnsembleKalmanFilter
from optim.es import ESConfig, EvolutionStrategy
from optim.ga import GAConfig, GeneticAlgorithm
from optim.space import Block, ParameterSpace

__all__ = [
    "Block",
    "ESConfig",
    "EnKFConfig",
    "EnsembleKalmanFilter",
    "Evaluations",
    "EvolutionStrategy",
    "GAConfig",
    "GeneticAlgorithm",
    "Optimizer",
    "ParameterSpace",
]
