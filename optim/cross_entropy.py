"""Cross-entropy method: fit a normal distribution to the best candidates; with a fixed or a growing population."""

from dataclasses import dataclass

import numpy as np

from optim.base import Array, Seed
from optim.gaussian import WIDEST, GaussianSearch, weighted_squares
from optim.operators import best_first
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropyConfig:
    """Settings of `CrossEntropy`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.5  # first standard deviation of all genes, (0, 1]
    elite_fraction: float = 0.25  # part of the population that the distribution is fitted to, (0, 1); 2 or more
    mean_rate: float = 0.7  # weight of the elite's mean against the old one, (0, 1]
    sigma_rate: float = 0.3  # weight of the elite's standard deviation; large ones end the search too early, (0, 1]
    noise: float = 0.0  # standard deviation that is added to the elite's at first, so that it shrinks later, [0, 1]
    noise_updates: int = 50  # updates after which the added variance has fallen to 0, on a straight line, >= 1

    def __post_init__(self) -> None:
        for name, is_valid, allowed in (
            ("sigma", 0.0 < self.sigma <= WIDEST, f"(0, {WIDEST:g}]"),
            ("elite_fraction", 0.0 < self.elite_fraction < 1.0, "(0, 1)"),
            ("mean_rate", 0.0 < self.mean_rate <= 1.0, "(0, 1]"),
            ("sigma_rate", 0.0 < self.sigma_rate <= 1.0, "(0, 1]"),
            ("noise", 0.0 <= self.noise <= WIDEST, f"[0, {WIDEST:g}]"),
        ):
            if not is_valid:
                raise ValueError(
                    f"{type(self).__name__}.{name}={getattr(self, name)} is outside {allowed}. "
                    "Leave it out for the default."
                )
        _check_count(self, "noise_updates")


@dataclass(frozen=True, slots=True, kw_only=True)
class FACEConfig(CrossEntropyConfig):
    """Settings of `FACE`: those of `CrossEntropy`, where `elite_fraction` is of the smallest population.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    max_rounds: int = 5  # the population grows to this multiple of its smallest size, >= 1
    max_stalls: int = 5  # updates in a row without better candidates from the largest population, then stop, >= 1

    def __post_init__(self) -> None:
        CrossEntropyConfig.__post_init__(self)
        for name in ("max_rounds", "max_stalls"):
            _check_count(self, name)


def _check_count(config: CrossEntropyConfig, name: str) -> None:
    value = getattr(config, name)
    if not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{type(config).__name__}.{name}={value} is not an integer >= 1. Give e.g. 5.")


class _CrossEntropy(GaussianSearch):
    """A deviation per gene, and its update from the moments of an elite."""

    _state = (*GaussianSearch._state, "deviation", "n_updates")

    def __init__(
        self, space: ParameterSpace, config: CrossEntropyConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, x0=x0, population_size=population_size, seed=seed)
        self._config = config
        self._n_elite = max(2, round(config.elite_fraction * population_size))
        self._deviation = np.full(space.n_params, config.sigma)
        self._n_updates = 0

    def _deviations(self) -> Array:
        return self._deviation

    def _fit(self, n_elite: int, z_mean: Array, z_mean_square: Array) -> None:
        """Go towards mean and deviation of the elite, given the moments of its perturbations, (n_params,) float64."""
        config = self._config
        self._mean = self._space.confine(self._mean + config.mean_rate * self._deviation * z_mean)
        if n_elite > 1:
            z_variance = np.maximum(z_mean_square - z_mean**2, 0.0) * (n_elite / (n_elite - 1))
            added = config.noise**2 * max(0.0, 1.0 - self._n_updates / config.noise_updates)
            deviation = np.sqrt(self._deviation**2 * z_variance + added)
            self._deviation = np.minimum(self._deviation + config.sigma_rate * (deviation - self._deviation), WIDEST)
        self._n_updates += 1


class CrossEntropy(_CrossEntropy):
    """Fit mean and standard deviation of every gene to the best candidates of a generation.

    Failed candidates are never elite. A lone survivor moves the mean only.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: de Boer et al. 2005, doi:10.1007/s10479-005-5724-z, with normal distributions; added variance that falls
    linearly: Szita and Lorincz 2006, doi:10.1162/neco.2006.18.12.2936. Deviates: variances of k candidates have the
    divisor k - 1, or small elites would shrink the deviations by themselves; no gene deviates by more than half its
    bound range.
    """

    def _adapt(self, fitness: Array) -> None:
        """Fit to the elite."""
        n_elite = min(self._n_elite, int(np.isfinite(fitness).sum()))
        weights = np.zeros(len(fitness))
        weights[best_first(fitness)[:n_elite]] = 1.0 / n_elite
        self._fit(n_elite, weights @ self._noise, weighted_squares(weights, self._noise))


class FACE(_CrossEntropy):
    """Cross-entropy method that evaluates as many candidates as an improvement needs ("fully adaptive").

    A generation asks for `population_size` candidates. If neither their best nor the worst of their elite is better
    than in the update before, the distribution stays, and the next generation draws as many again from it; the elite
    is then taken from all of them. After `max_rounds` generations the distribution is updated in any case.

    Failed candidates are never elite, and a round in which all fail counts for nothing.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation and smallest number per update, >= 2
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Rubinstein and Kroese 2004, The Cross-Entropy Method, section 5.3 (FACE), doi:10.1007/978-1-4757-4321-0.
    Deviates: the sample grows by whole generations, so that all ranks have work; updates as in `CrossEntropy`.
    """

    _state = (*_CrossEntropy._state, "elite", "elite_fitness", "level", "n_rounds", "n_stalls")
    _resized = ("elite", "elite_fitness")
    _config: FACEConfig

    def __init__(
        self, space: ParameterSpace, config: FACEConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        super().__init__(space, config, x0=x0, population_size=population_size, seed=seed)
        self._level = np.full(2, -np.inf)  # best and worst fitness of the elite at the last update
        self._n_stalls = 0
        self._elite, self._elite_fitness, self._n_rounds = self._nothing_yet()

    def stop(self) -> dict[str, str]:
        """ "converged" if all candidates are practically equal, "stalled" if even the largest population is no use."""
        reasons = super().stop()
        if self._n_stalls >= self._config.max_stalls:
            n = self._config.max_rounds * self._population_size
            reasons["stalled"] = f"{self._n_stalls} updates in a row found nothing better among {n} candidates"
        return reasons

    def diagnostics(self) -> dict[str, float]:
        """Standard deviations of the genes in units of half the bound range; rounds since the last update."""
        return super().diagnostics() | {"rounds": float(self._n_rounds)}

    def _adapt(self, fitness: Array) -> None:
        """Add the generation to the elite; fit to it if it is better than the last one, or large enough."""
        self._collect(fitness)
        level = self._elite_fitness[[0, -1]]
        is_better = len(self._elite) == self._n_elite and bool((level > self._level).any())
        if not is_better and self._n_rounds < self._config.max_rounds:
            return
        self._n_stalls = 0 if is_better else self._n_stalls + 1
        self._level = level
        n_elite = len(self._elite)
        weights = np.full(n_elite, 1.0 / n_elite)
        self._fit(n_elite, weights @ self._elite, weighted_squares(weights, self._elite))
        self._elite, self._elite_fitness, self._n_rounds = self._nothing_yet()

    def _collect(self, fitness: Array) -> None:
        """Keep the perturbations of the best candidates since the last update."""
        best = best_first(fitness)[: min(self._n_elite, int(np.isfinite(fitness).sum()))]
        perturbations = np.concatenate([self._elite, self._noise[best]])
        scores = np.concatenate([self._elite_fitness, fitness[best]])
        kept = best_first(scores)[: self._n_elite]
        self._elite, self._elite_fitness = perturbations[kept], scores[kept]
        self._n_rounds += 1

    def _nothing_yet(self) -> tuple[Array, Array, int]:
        """Perturbations and fitness of the elite, and number of rounds, of a new sample."""
        return np.empty((0, self._space.n_params)), np.empty(0), 0
