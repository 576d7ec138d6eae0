"""Evolution strategy: a search gradient from ranked random perturbations, followed with Adam."""

from dataclasses import dataclass

import numpy as np

from optim.ascent import adam_step
from optim.base import Array, Evaluations, Seed
from optim.fitness import centered_ranks
from optim.search import Search
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


class EvolutionStrategy(Search):
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

    _state = ("mean", "first", "second", "n_updates", "noise")

    def __init__(self, space: ParameterSpace, config: ESConfig, *, x0: Array, population_size: int, seed: Seed) -> None:
        space.check(np.asarray(x0)[None])
        if population_size < 2 or (config.mirrored and population_size % 2):
            raise ValueError(
                f"population_size={population_size} must be >= 2{' and even (mirrored)' if config.mirrored else ''}. "
                "Give e.g. 32."
            )
        super().__init__(space, seed)
        self._config = config
        self._mean = space.to_unit(np.asarray(x0, dtype=np.float64))
        self._first = np.zeros(space.n_params)
        self._second = np.zeros(space.n_params)
        self._n_updates = 0
        n_noise = population_size // 2 if config.mirrored else population_size
        self._noise = self._rng.standard_normal((n_noise, space.n_params))

    @property
    def mean(self) -> Array:
        """(n_params,) float64, the current estimate of the best genome."""
        return self._space.from_unit(self._mean)

    def _genomes(self) -> Array:
        """The mean with every perturbation; if mirrored, row i + n/2 mirrors row i."""
        steps = self._config.sigma * self._noise
        unit = np.concatenate([self._mean + steps, self._mean - steps]) if self._config.mirrored else self._mean + steps
        return self._space.from_unit(unit)

    def _learn(self, evaluations: Evaluations) -> None:
        """Move the mean one Adam step and draw the next perturbations."""
        config = self._config
        if not evaluations.failed.all():
            gradient = search_gradient(evaluations.fitness, self._noise, config.sigma, mirrored=config.mirrored)
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
        self._noise = self._rng.standard_normal(self._noise.shape)
