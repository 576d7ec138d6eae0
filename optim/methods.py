"""The optimizers by name: one table for studies, `optim.minimize` and the contract tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from optim.base import Array, Optimizer, Seed
from optim.enkf import EnKFConfig, EnsembleKalmanFilter
from optim.es import ESConfig, EvolutionStrategy
from optim.ga import GAConfig, GeneticAlgorithm
from optim.space import ParameterSpace


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
    "enkf": Method(EnKFConfig, _enkf),
    "es": Method(
        ESConfig,
        lambda s, c: EvolutionStrategy(s.space, c, x0=s.initial[0], population_size=len(s.initial), seed=s.seed),
    ),
    "ga": Method(GAConfig, lambda s, c: GeneticAlgorithm(s.space, c, initial=s.initial, seed=s.seed)),
}


def make_optimizer(method: str, start: Start, config: Any = None) -> Optimizer:
    """The optimizer of this name at its first generation.

    Parameters
    ----------
    config : settings of its config class, see `METHODS`; None for the defaults

    Raises
    ------
    ValueError : if the method is unknown, or the start or the config do not fit it.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown. Choose one of {', '.join(sorted(METHODS))}.")
    chosen = METHODS[method]
    return chosen.build(start, chosen.config() if config is None else config)
