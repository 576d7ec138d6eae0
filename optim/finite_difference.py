"""Gradient ascent on finite differences of the fitness."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from optim.ascent import adam_step, rmsprop_step
from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

Probes = Literal["central", "forward"]
Directions = Literal["random", "coordinates"]
Rule = Literal["sgd", "rmsprop", "adam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiniteDifferenceConfig:
    """Settings of `FiniteDifferenceAscent`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    probes: Probes = "central"  # both ends of every direction, or one end and the middle once
    directions: Directions = "random"  # as many as the population allows, or every gene by itself
    probe_step: float = 0.01  # distance of a probe from the middle, > 0
    rule: Rule = "adam"  # how the gradient becomes a step
    learning_rate: float = 0.02  # for sgd times the gradient; else about the largest change of a gene, > 0

    def __post_init__(self) -> None:
        for name, known in (("probes", Probes), ("directions", Directions), ("rule", Rule)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise ValueError(
                    f"FiniteDifferenceConfig.{name}={value!r} is unknown. Choose one of {', '.join(get_args(known))}."
                )
        for name in ("probe_step", "learning_rate"):
            value = getattr(self, name)
            if not 0.0 < value < np.inf:
                raise ValueError(f"FiniteDifferenceConfig.{name}={value} is outside (0, inf). Give e.g. 0.01.")


def random_directions(n: int, n_params: int, rng: np.random.Generator) -> Array:
    """(n, n_params) unit vectors, orthogonal in groups of n_params.

    Source: Choromanski et al. 2018 (orthogonal exploration), arXiv:1804.02395.
    """
    groups = []
    for start in range(0, n, n_params):
        size = min(n_params, n - start)
        groups.append(np.linalg.qr(rng.standard_normal((n_params, size)))[0].T)
    return np.concatenate(groups)


def slope(offsets: Array, differences: Array) -> Array:
    """Gradient g with the smallest length among those that fit `offsets` g = `differences` best.

    Exact for a linear function and offsets that span all genes; with fewer, its projection on those they span.

    Parameters
    ----------
    offsets : (n, n_params) float64, from one end of each probe to the other
    differences : (n,) float64, of the function between these ends

    Returns
    -------
    (n_params,) float64
    """
    return np.asarray(np.linalg.lstsq(offsets, differences, rcond=None)[0], dtype=np.float64)


class FiniteDifferenceAscent(Search):
    """Probe the fitness around a point and follow the slope.

    Works in unit coordinates of the space. The slope is that between the genomes which were evaluated: probes cut
    off at a bound or rounded to a whole number count with the distance they really have. A whole-number gene
    is moved only by probes that reach the next number.

    A failed probe counts as far below the worst of its generation as the best is above, so the search moves away from
    genomes that fail. Where the others are equal, as a single one is, it moves to their mean. If all failed, it
    goes half-way back to the last middle with a probe that did not, and the rule forgets what it has learnt.

    Parameters
    ----------
    x0 : (n_params,) float64, where the search begins, inside the bounds
    population_size : probes per generation, >= 2 and, if central, even; with `directions="coordinates"` it is not
        used, there are 2 n_params probes, or n_params + 1 if forward
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `x0` leaves the bounds or `population_size` is not possible.

    Source: Kiefer and Wolfowitz 1952, doi:10.1214/aoms/1177729392 (coordinates); with few random directions in the
    place of Spall 1992, doi:10.1109/9.119632, whose single one is a random sign per gene.
    """

    _state = ("middle", "refuge", "first", "second", "n_updates", "directions", "length")

    def __init__(
        self, space: ParameterSpace, config: FiniteDifferenceConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        space.check(np.asarray(x0)[None])
        is_central = config.probes == "central"
        if config.directions == "random" and (population_size < 2 or (is_central and population_size % 2)):
            raise ValueError(
                f"population_size={population_size} must be >= 2{' and even (central)' if is_central else ''}. "
                "Give e.g. 32."
            )
        super().__init__(space, seed)
        self._config = config
        self._middle = space.to_unit(np.asarray(x0, dtype=np.float64))
        self._refuge = self._middle.copy()  # the last middle with a probe that did not fail
        self._forget()
        self._length = 0.0  # of the last gradient
        self._n_directions = population_size // 2 if is_central else population_size - 1
        self._directions = self._draw()

    @property
    def middle(self) -> Array:
        """(n_params,) float64, the genome the search has come to."""
        return self._space.from_unit(self._middle)

    def _draw(self) -> Array:
        """(n_directions, n_params) for the next generation; none for coordinates, which are always the same."""
        n_params = self._space.n_params
        if self._config.directions == "coordinates":
            return np.empty((0, n_params))
        return random_directions(self._n_directions, n_params, self._rng)

    def _genomes(self) -> Array:
        """Central: the upper, then the lower end of every direction. Forward: the middle, then the upper ends.

        A coordinate is probed towards the middle of the box, where a probe has room at any bound.
        """
        config = self._config
        inwards = np.where(self._middle > 0.0, -1.0, 1.0)
        steps = config.probe_step * (np.diag(inwards) if config.directions == "coordinates" else self._directions)
        first, last = (steps, -steps) if config.probes == "central" else (np.zeros((1, len(inwards))), steps)
        return self._space.from_unit(self._middle + np.concatenate([first, last]))

    def _gradient(self, evaluations: Evaluations) -> Array:
        """(n_params,) float64, slope of the fitness in unit coordinates; not all have failed."""
        best, worst = np.nanmax(evaluations.fitness), np.nanmin(evaluations.fitness)
        fitness = np.where(evaluations.failed, worst - (best - worst), evaluations.fitness)
        unit = self._space.to_unit(self._genomes())
        if self._config.probes == "central":
            (upper, lower), (above, below) = np.split(unit, 2), np.split(fitness, 2)
        else:
            upper, lower, above, below = unit[1:], unit[0], fitness[1:], fitness[0]
        if self._config.directions == "random":
            return slope(upper - lower, above - below)
        offsets = np.diagonal(upper - lower)
        return np.divide(above - below, offsets, out=np.zeros(len(offsets)), where=offsets != 0.0)

    def _learn(self, evaluations: Evaluations) -> None:
        """Step along the gradient and draw the next directions."""
        failed = evaluations.failed
        if failed.all():
            self._middle = 0.5 * (self._middle + self._refuge)
            self._forget()
        else:
            self._refuge = self._middle
            if failed.any() and np.ptp(evaluations.fitness[~failed]) == 0.0:
                self._middle = self._space.to_unit(self._genomes()[~failed]).mean(axis=0)
            else:
                gradient = self._gradient(evaluations)
                self._length = float(np.linalg.norm(gradient))
                self._middle = self._space.confine(self._middle + self._step(gradient))
        self._directions = self._draw()

    def _forget(self) -> None:
        """Set the memory of the rule to that of the first generation."""
        self._first = np.zeros(self._space.n_params)
        self._second = np.zeros(self._space.n_params)
        self._n_updates = 0

    def _step(self, gradient: Array) -> Array:
        """(n_params,) float64, what the rule makes of a gradient; updates its memory."""
        rate = self._config.learning_rate
        self._n_updates += 1
        if self._config.rule == "sgd":
            return rate * gradient
        if self._config.rule == "rmsprop":
            step, self._second = rmsprop_step(gradient, self._second, learning_rate=rate)
            return step
        step, self._first, self._second = adam_step(
            gradient, self._first, self._second, self._n_updates, learning_rate=rate
        )
        return step

    def diagnostics(self) -> dict[str, float]:
        """Length of the last gradient, in fitness per unit coordinate; 0 before the first."""
        return {"gradient": self._length}
