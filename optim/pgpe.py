"""Policy gradients with parameter-based exploration: gradients in the mean and in the deviation of every gene."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from optim.ascent import adam_step, clipup_step
from optim.base import Array, Seed
from optim.fitness import centered_ranks
from optim.gaussian import WIDEST, GaussianSearch, weighted_squares
from optim.space import ParameterSpace

Ascent = Literal["clipup", "adam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PGPEConfig:
    """Settings of `PGPE`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.1  # first standard deviation of the perturbations, (0, 1]
    ascent: Ascent = "clipup"  # how the mean follows its gradient
    max_speed: float = 0.15  # clipup: longest step of the mean, as a fraction of sigma sqrt(n_params), > 0
    momentum: float = 0.9  # clipup: memory of the velocity, [0, 1)
    learning_rate: float = 0.05  # adam: about the largest change of a gene per generation, > 0
    sigma_rate: float = 0.2  # learning rate of the deviations, >= 0; 0 keeps them as they are
    max_sigma_change: float = 0.2  # largest relative change of a deviation per generation, (0, 1)

    def __post_init__(self) -> None:
        if self.ascent not in get_args(Ascent):
            raise ValueError(
                f"PGPEConfig.ascent={self.ascent!r} is unknown. Choose one of {', '.join(get_args(Ascent))}."
            )
        for name, is_valid, allowed in (
            ("sigma", 0.0 < self.sigma <= WIDEST, f"(0, {WIDEST:g}]"),
            ("max_speed", 0.0 < self.max_speed < np.inf, "(0, inf)"),
            ("momentum", 0.0 <= self.momentum < 1.0, "[0, 1)"),
            ("learning_rate", 0.0 < self.learning_rate < np.inf, "(0, inf)"),
            ("sigma_rate", 0.0 <= self.sigma_rate < np.inf, "[0, inf)"),
            ("max_sigma_change", 0.0 < self.max_sigma_change < 1.0, "(0, 1)"),
        ):
            if not is_valid:
                raise ValueError(
                    f"PGPEConfig.{name}={getattr(self, name)} is outside {allowed}. Leave it out for the default."
                )


class PGPE(GaussianSearch):
    """Follow the gradient of the expected fitness in the mean and the standard deviation of every gene.

    Every perturbation is evaluated with both signs: their difference tells the slope, their sum whether it pays to
    be far from the mean. Fitness counts by rank, so its scale and outliers do not matter.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2 and even
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Sehnke et al. 2010, with symmetric sampling, doi:10.1016/j.neunet.2009.12.004; step sizes proportional to
    the variance as there. Deviates: ranks from -1/2 to 1/2 take the place of rewards, whose baseline is then 0; Adam
    or ClipUp moves the mean; deviations change by a limited fraction, as in Toklu et al. 2020, arXiv:2008.02387, and
    stay below half the bound range.
    """

    _state = (*GaussianSearch._state, "deviation", "first", "second", "n_updates")

    def __init__(
        self, space: ParameterSpace, config: PGPEConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, x0=x0, population_size=population_size, is_mirrored=True, seed=seed)
        self._config = config
        self._deviation = np.full(space.n_params, config.sigma)
        self._first = np.zeros(space.n_params)  # clipup: the velocity
        self._second = np.zeros(space.n_params)
        self._n_updates = 0

    def _deviations(self) -> Array:
        return self._deviation

    def _adapt(self, fitness: Array) -> None:
        """Steps along sum (r+ - r-)/2 s z for the mean and sum (r+ + r-)/2 s (z^2 - 1) for the deviations s."""
        config = self._config
        plus, minus = np.split(centered_ranks(fitness), 2)
        slopes, curvatures = 0.5 * (plus - minus) / len(plus), 0.5 * (plus + minus) / len(plus)
        step = self._climb(self._deviation * (slopes @ self._noise))
        change = config.sigma_rate * (weighted_squares(curvatures, self._noise) - curvatures.sum())
        change = np.clip(change, -config.max_sigma_change, config.max_sigma_change)
        self._deviation = np.minimum(self._deviation * (1.0 + change), WIDEST)
        self._mean = self._space.confine(self._mean + step)

    def _climb(self, gradient: Array) -> Array:
        """(n_params,) float64, the step of the mean."""
        config = self._config
        self._n_updates += 1
        if config.ascent == "adam":
            step, self._first, self._second = adam_step(
                gradient, self._first, self._second, self._n_updates, learning_rate=config.learning_rate
            )
            return step
        max_speed = config.max_speed * config.sigma * np.sqrt(len(gradient))
        self._first = clipup_step(
            gradient, self._first, step=0.5 * max_speed, max_speed=max_speed, momentum=config.momentum
        )
        return self._first
