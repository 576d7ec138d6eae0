"""Evolution strategy: a search gradient from ranked random perturbations, followed with Adam."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from optim.base import Array, Evaluations, Seed, check_state, check_tell, make_rng, restore_rng
from optim.fitness import centered_ranks
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class ESConfig:
    """Settings of `EvolutionStrategy`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.1  # standard deviation of the perturbations, > 0
    learning_rate: float = 0.05  # about the largest change of a gene per generation, > 0
    mirrored: bool = True  # evaluate every perturbation with both signs
    adam_beta1: float = 0.9  # memory of the mean gradient, [0, 1)
    adam_beta2: float = 0.999  # memory of the squared gradient, [0, 1)
    adam_epsilon: float = 1e-8  # added to the root of the squared gradient, > 0
    weight_decay: float = 0.0  # pull to the middle of the box: this times the mean is taken off the gradient, >= 0

    def __post_init__(self) -> None:
        for name in ("sigma", "learning_rate", "adam_epsilon"):
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise ValueError(f"ESConfig.{name}={value} is outside (0, inf). Leave it out for the default.")
        for name in ("adam_beta1", "adam_beta2"):
            value = getattr(self, name)
            if not 0.0 <= value < 1.0:
                raise ValueError(f"ESConfig.{name}={value} is outside [0, 1). Leave it out for the default.")
        if not 0.0 <= self.weight_decay < np.inf:
            raise ValueError(f"ESConfig.weight_decay={self.weight_decay} is outside [0, inf). Give 0 for none.")


def search_gradient(fitness: Array, perturbations: Array, sigma: float) -> Array:
    """Ascent direction of the rank-shaped fitness.

    Parameters
    ----------
    fitness : (n,) float64, maximised, NaN = failed, which ranks last
    perturbations : (n, n_params) float64, standard normal, as drawn (before clipping)

    Returns
    -------
    (n_params,) float64, sum_i rank_i perturbation_i / (n sigma)

    Source: Salimans et al. 2017, algorithm 1, arXiv:1703.03864.
    """
    return centered_ranks(fitness) @ perturbations / (len(fitness) * sigma)


def adam_step(
    gradient: Array, first: Array, second: Array, n_updates: int, config: ESConfig
) -> tuple[Array, Array, Array]:
    """Ascent step and the two new moments, all (n_params,) float64; `n_updates` counts this one, from 1.

    Source: Kingma and Ba 2015, algorithm 1, arXiv:1412.6980.
    """
    first = config.adam_beta1 * first + (1.0 - config.adam_beta1) * gradient
    second = config.adam_beta2 * second + (1.0 - config.adam_beta2) * gradient**2
    first_unbiased = first / (1.0 - config.adam_beta1**n_updates)
    second_unbiased = second / (1.0 - config.adam_beta2**n_updates)
    step = config.learning_rate * first_unbiased / (np.sqrt(second_unbiased) + config.adam_epsilon)
    return step, first, second


class EvolutionStrategy:
    """Follow the gradient of the expected fitness around a mean, which is never evaluated itself.

    Works in unit coordinates of the space. Candidates are clipped to the bounds; the gradient keeps the unclipped
    perturbations, so it is the slope of fitness(clip(x)). The mean is clipped after every step.

    A failed candidate ranks below all others, so the mean moves away from genomes that fail. Leaving failures and
    their mirror images out was tried: the mean walks into a region where all fail and cannot return. Failures
    by chance only add noise. If all failed, no step is made and new perturbations are drawn.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2, even if mirrored
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Salimans et al. 2017, arXiv:1703.03864. Deviates: ties share a rank, and bounds and failures as above.
    """

    def __init__(self, space: ParameterSpace, config: ESConfig, *, x0: Array, population_size: int, seed: Seed) -> None:
        space.check(np.asarray(x0)[None])
        if population_size < 2 or (config.mirrored and population_size % 2):
            raise ValueError(
                f"population_size={population_size} must be >= 2{' and even (mirrored)' if config.mirrored else ''}. "
                "Give e.g. 32."
            )
        self._space = space
        self._config = config
        self._mean = space.to_unit(np.asarray(x0, dtype=np.float64))
        self._first = np.zeros(space.n_params)
        self._second = np.zeros(space.n_params)
        self._n_updates = 0
        self._rng = make_rng(seed)
        n_noise = population_size // 2 if config.mirrored else population_size
        self._noise = self._rng.standard_normal((n_noise, space.n_params))
        self._is_asked = False
        self.generation = 0

    @property
    def mean(self) -> Array:
        """(n_params,) float64, the current estimate of the best genome."""
        return self._space.clip(self._space.from_unit(self._mean))

    def _perturbations(self) -> Array:
        return np.concatenate([self._noise, -self._noise]) if self._config.mirrored else self._noise

    def _candidates(self) -> Array:
        unit = self._mean + self._config.sigma * self._perturbations()
        return self._space.clip(self._space.from_unit(unit))

    def ask(self) -> Array:
        """(population_size, n_params) float64; if mirrored, row i + n/2 mirrors row i. See `Optimizer`."""
        self._is_asked = True
        return self._candidates()

    def tell(self, genomes: Array, evaluations: Evaluations) -> None:
        """Move the mean one Adam step and draw the next perturbations; see `Optimizer`."""
        check_tell(self._candidates() if self._is_asked else None, genomes, evaluations)
        if not evaluations.failed.all():
            gradient = search_gradient(evaluations.fitness, self._perturbations(), self._config.sigma)
            gradient -= self._config.weight_decay * self._mean
            self._n_updates += 1
            step, self._first, self._second = adam_step(
                gradient, self._first, self._second, self._n_updates, self._config
            )
            self._mean = np.clip(self._mean + step, -1.0, 1.0)
        self._noise = self._rng.standard_normal(self._noise.shape)
        self._is_asked = False
        self.generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Mean (unit coordinates), Adam moments, open perturbations, random state; see `Optimizer`."""
        return {
            "algorithm": "EvolutionStrategy",
            "generation": self.generation,
            "is_asked": self._is_asked,
            "mean": self._mean.copy(),
            "first": self._first.copy(),
            "second": self._second.copy(),
            "n_updates": self._n_updates,
            "noise": self._noise.copy(),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; see `Optimizer`."""
        check_state(state, self.state_dict())
        self._rng = restore_rng(state["rng"])
        self._mean = np.array(state["mean"], dtype=np.float64)
        self._first = np.array(state["first"], dtype=np.float64)
        self._second = np.array(state["second"], dtype=np.float64)
        self._noise = np.array(state["noise"], dtype=np.float64)
        self._n_updates = int(state["n_updates"])
        self._is_asked = bool(state["is_asked"])
        self.generation = int(state["generation"])
