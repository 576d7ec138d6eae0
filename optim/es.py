"""Evolution strategy: a search gradient from ranked random perturbations, followed with Adam."""

from dataclasses import dataclass

import numpy as np

from optim.ascent import adam_step
from optim.base import Array, Seed
from optim.fitness import centered_ranks
from optim.gaussian import GaussianSearch
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


def search_gradient(fitness: Array, noise: Array, sigma: float, *, mirrored: bool) -> Array:
    """Ascent direction of the rank-shaped fitness.

    Parameters
    ----------
    fitness : (n,) float64, maximised, NaN = failed, which ranks last
    noise : (n, n_params) float64, standard normal, as drawn (before clipping); if mirrored (n/2, n_params), and row i
        of the fitness belongs to +noise[i], row i + n/2 to -noise[i]

    Returns
    -------
    (n_params,) float64, sum_i rank_i perturbation_i / (n sigma)

    Source: Salimans et al. 2017, algorithm 1, arXiv:1703.03864.
    """
    weights = centered_ranks(fitness)
    if mirrored:
        plus, minus = np.split(weights, 2)
        weights = plus - minus
    return weights @ noise / (len(fitness) * sigma)


class EvolutionStrategy(GaussianSearch):
    """Follow the gradient of the expected fitness around a mean, which is never evaluated itself.

    Works in unit coordinates of the space, with perturbations of a constant size. The gradient is the slope of
    fitness(inside(x)) in x, which may be outside the bounds; the mean is brought inside after every step.

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

    _state = (*GaussianSearch._state, "first", "second", "n_updates")

    def __init__(self, space: ParameterSpace, config: ESConfig, *, x0: Array, population_size: int, seed: Seed) -> None:
        super().__init__(space, x0=x0, population_size=population_size, is_mirrored=config.mirrored, seed=seed)
        self._config = config
        self._sigma = np.full(space.n_params, config.sigma)
        self._first = np.zeros(space.n_params)
        self._second = np.zeros(space.n_params)
        self._n_updates = 0

    def _deviations(self) -> Array:
        return self._sigma

    def _adapt(self, fitness: Array) -> None:
        """Move the mean one Adam step."""
        config = self._config
        gradient = search_gradient(fitness, self._noise, config.sigma, mirrored=config.mirrored)
        gradient -= config.weight_decay * self._mean
        self._n_updates += 1
        step, self._first, self._second = adam_step(
            gradient,
            self._first,
            self._second,
            self._n_updates,
            learning_rate=config.learning_rate,
            beta1=config.adam_beta1,
            beta2=config.adam_beta2,
            epsilon=config.adam_epsilon,
        )
        self._mean = self._space.confine(self._mean + step)

    def diagnostics(self) -> dict[str, float]:
        """Length of the averaged gradient, and how far the mean is from the middle of the box, both per gene."""
        n_params = self._space.n_params
        return {
            "gradient": float(np.linalg.norm(self._first) / np.sqrt(n_params)),
            "mean": float(np.linalg.norm(self._mean) / np.sqrt(n_params)),
        }
