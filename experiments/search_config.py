"""Settings of studies that may use any optimizer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field

from envs.presets import nearest_name
from experiments.settings import ConfigError, RunConfig
from optim import (
    ACOConfig,
    AdaptiveConfig,
    AnnealingConfig,
    CMAESConfig,
    CoSyNEConfig,
    CrossEntropyConfig,
    Dct,
    DEConfig,
    EnKFConfig,
    ESConfig,
    FACEConfig,
    FiniteDifferenceConfig,
    GAConfig,
    GridConfig,
    NESConfig,
    Optimizer,
    OptunaConfig,
    PGPEConfig,
    PSOConfig,
    PyCMAConfig,
    RandomConfig,
    TemperingConfig,
)
from optim.methods import FILTERS, METHODS, Start, make_optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig(RunConfig):
    """An optimizer by its name in `optim.methods.METHODS`, and a section for each, of which that one's counts."""

    optimizer: str = "ga"
    n_coefficients: int = 0  # > 0: search so many cosine coefficients of each block of genes, see optim.Dct
    aco: ACOConfig = field(default_factory=ACOConfig)
    adaptive_enkf: AdaptiveConfig = field(default_factory=AdaptiveConfig)
    annealing: AnnealingConfig = field(default_factory=AnnealingConfig)
    cma_es: CMAESConfig = field(default_factory=CMAESConfig)
    cosyne: CoSyNEConfig = field(default_factory=CoSyNEConfig)
    cross_entropy: CrossEntropyConfig = field(default_factory=CrossEntropyConfig)
    de: DEConfig = field(default_factory=DEConfig)
    enkf: EnKFConfig = field(default_factory=EnKFConfig)
    es: ESConfig = field(default_factory=ESConfig)
    face: FACEConfig = field(default_factory=FACEConfig)
    finite_difference: FiniteDifferenceConfig = field(default_factory=FiniteDifferenceConfig)
    ga: GAConfig = field(default_factory=GAConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    optuna: OptunaConfig = field(default_factory=OptunaConfig)
    pgpe: PGPEConfig = field(default_factory=PGPEConfig)
    pso: PSOConfig = field(default_factory=PSOConfig)
    pycma: PyCMAConfig = field(default_factory=PyCMAConfig)
    random: RandomConfig = field(default_factory=RandomConfig)
    sep_cma_es: CMAESConfig = field(default_factory=CMAESConfig)
    snes: NESConfig = field(default_factory=NESConfig)
    tempering: TemperingConfig = field(default_factory=TemperingConfig)
    xnes: NESConfig = field(default_factory=NESConfig)

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        if self.optimizer not in METHODS:
            raise ConfigError(f"optimizer={self.optimizer!r} is unknown{nearest_name(self.optimizer, METHODS)}")
        if self.n_coefficients < 0:
            raise ConfigError(f"n_coefficients={self.n_coefficients} is not allowed: give 0 for none, or e.g. 50.")

    @property
    def min_survivors(self) -> int:
        """Individuals of a generation that must not fail: a filter needs a covariance."""
        return 2 if self.optimizer in FILTERS else 1

    def unused(self) -> frozenset[str]:
        """The sections of the other optimizers."""
        return frozenset(METHODS) - {self.optimizer}


def make_search(config: SearchConfig, start: Start) -> Optimizer:
    """The configured optimizer at its first generation.

    Raises
    ------
    ConfigError : its settings do not fit the population or the genome, or it is not installed.
    """
    encoding = None
    if config.n_coefficients:
        blocks = tuple(block.size for block in start.space.blocks)
        encoding = Dct(n_coefficients=config.n_coefficients, blocks=blocks)
    try:
        return make_optimizer(config.optimizer, start, getattr(config, config.optimizer), encoding)
    except (ValueError, ModuleNotFoundError) as error:
        raise ConfigError(f"optimizer={config.optimizer!r}, population={config.population}: {error}") from None


def other_sections(arguments: Sequence[str] | None) -> frozenset[str]:
    """The optimizers that a command line does not choose, whose settings its help leaves out."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--optimizer", nargs="?", default=SearchConfig().optimizer)
    return frozenset(METHODS) - {parser.parse_known_args(arguments)[0].optimizer}
