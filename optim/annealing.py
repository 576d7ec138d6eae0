"""Simulated annealing: chains that step at random and accept a worse genome ever more rarely."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

Schedule = Literal["exponential", "linear", "logarithmic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnealingConfig:
    """Settings of `SimulatedAnnealing`; a step is in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    schedule: Schedule = "exponential"  # how the temperature falls; the step always falls exponentially
    start_temperature: float = 0.1  # in units of `fitness_scale`, > 0
    end_temperature: float = 1e-6  # the same, (0, start_temperature]
    start_step: float = 0.2  # standard deviation of a step per gene, > 0
    end_step: float = 0.002  # the same, (0, start_step]
    n_cooling: int = 200  # generations from start to end, where it stays, >= 1
    fitness_scale: float | None = None  # a typical difference of fitness, > 0; None = measured, see `fitness_scale`

    def __post_init__(self) -> None:
        if self.schedule not in get_args(Schedule):
            raise ValueError(
                f"AnnealingConfig.schedule={self.schedule!r} is unknown. Choose one of {', '.join(get_args(Schedule))}."
            )
        for name in ("temperature", "step"):
            start, end = getattr(self, f"start_{name}"), getattr(self, f"end_{name}")
            if not 0.0 < start < np.inf:
                raise ValueError(f"AnnealingConfig.start_{name}={start} is outside (0, inf). Give e.g. 0.1.")
            if not 0.0 < end <= start:
                raise ValueError(
                    f"AnnealingConfig.end_{name}={end} is outside (0, {start}]. "
                    f"Give start_{name} for one that does not fall."
                )
        if not isinstance(self.n_cooling, int) or self.n_cooling < 1:
            raise ValueError(
                f"AnnealingConfig.n_cooling={self.n_cooling} is not an integer >= 1. "
                "Give the number of generations you can afford, e.g. 200."
            )
        check_scale("AnnealingConfig", self.fitness_scale)


def check_scale(config: str, scale: float | None) -> None:
    """Refuse a fitness scale that is neither None nor in (0, inf)."""
    if scale is not None and not 0.0 < scale < np.inf:
        raise ValueError(
            f"{config}.fitness_scale={scale} is outside (0, inf). "
            "Give the difference of fitness between a good and a middling genome, or None to measure it."
        )


def cooled(start: float, end: float, generation: int, n_cooling: int, schedule: Schedule) -> float:
    """Value of a quantity that falls from `start` to `end` in `n_cooling` generations and then stays.

    With k = `generation` and K = `n_cooling`: exponential start (end / start)^(k / K), linear in k / K, and
    logarithmic start / (1 + b log(1 + k)), with b such that `end` is met at k = K.

    Source: Kirkpatrick, Gelatt and Vecchi 1983 (exponential), doi:10.1126/science.220.4598.671; Geman and Geman 1984
    (logarithmic), doi:10.1109/TPAMI.1984.4767596.
    """
    k = min(generation, n_cooling)
    if schedule == "exponential":
        return float(start * (end / start) ** (k / n_cooling))
    if schedule == "linear":
        return start + (end - start) * k / n_cooling
    return float(start / (1.0 + (start / end - 1.0) * np.log1p(k) / np.log1p(n_cooling)))


def fitness_scale(fitness: Array) -> float:
    """Interquartile range of the fitness of those that did not fail, or if that is 0 the standard deviation.

    Few genomes of enormous misfit do not change it. 0 if fewer than two did not fail or all are equal. Of random
    genomes, it is a temperature at which most steps are accepted.

    Source: White 1984, Concepts of scale in simulated annealing. Deviates: quartiles for the standard deviation.
    """
    succeeded = fitness[np.isfinite(fitness)]
    if succeeded.size < 2 or np.ptp(succeeded) == 0.0:
        return 0.0
    low, high = np.percentile(succeeded, [25.0, 75.0])
    return float(high - low) if high > low else float(succeeded.std())


def is_accepted(fitness: Array, proposed: Array, temperature: Array | float, uniform: Array) -> NDArray[np.bool_]:
    """Metropolis rule: accept with probability min(1, exp((proposed - fitness) / temperature)).

    A failed proposal is never accepted; any other is, in place of a failed genome.

    Parameters
    ----------
    fitness, proposed : (n,) float64, maximised, NaN = failed
    temperature : (n,) or a number >= 0, in units of fitness; at 0 no worse one is accepted
    uniform : (n,) float64, uniform in (0, 1]

    Source: Metropolis et al. 1953, doi:10.1063/1.1699114.
    """
    gain = proposed - np.where(np.isnan(fitness), -np.inf, fitness)
    return temperature * np.log(uniform) <= gain  # false for NaN


class SimulatedAnnealing(Search):
    """Independent chains of random steps, one per row, that share a falling temperature and step.

    Steps are Gaussian in unit coordinates of the space. Each generation asks for one step of every chain. A chain
    keeps the fitness its genome had when it was evaluated: with a noisy fitness, a lucky one is left late.

    A failed step is never accepted. A chain that failed at its first genome searches around it until a step
    succeeds.

    Parameters
    ----------
    initial : (n_chains, n_params) float64, where the chains begin, inside the bounds; at least 2, or 1 with a
        `fitness_scale`
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: Kirkpatrick, Gelatt and Vecchi 1983, doi:10.1126/science.220.4598.671. Deviates: parallel chains, one
    step per temperature.
    """

    _state = ("position", "fitness", "proposal", "scale", "acceptance")

    def __init__(self, space: ParameterSpace, config: AnnealingConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        n_least = 2 if config.fitness_scale is None else 1
        if len(initial) < n_least:
            raise ValueError(
                f"initial has {len(initial)} chains, but needs >= {n_least}: the scale of the fitness is measured "
                "between chains. Give more rows, or AnnealingConfig.fitness_scale."
            )
        super().__init__(space, seed)
        self._config = config
        self._position = space.to_unit(np.asarray(initial, dtype=np.float64))
        self._proposal = self._position.copy()
        self._fitness = np.full(len(initial), np.nan)  # of the positions; NaN = failed, or not evaluated yet
        self._scale = config.fitness_scale or 0.0  # 0 = not known yet
        self._acceptance = 0.0

    @property
    def temperature(self) -> float:
        """At which the asked steps will be judged, in units of fitness; 0 as long as the scale is not known."""
        config = self._config
        relative = cooled(
            config.start_temperature, config.end_temperature, self.generation, config.n_cooling, config.schedule
        )
        return relative * self._scale

    @property
    def step(self) -> float:
        """Standard deviation of the steps drawn at the end of this generation, in unit coordinates."""
        config = self._config
        return cooled(config.start_step, config.end_step, self.generation, config.n_cooling, "exponential")

    def _genomes(self) -> Array:
        """One step of every chain; in the first generation its beginning."""
        return self._space.from_unit(self._proposal)

    def _learn(self, evaluations: Evaluations) -> None:
        """Accept or reject the steps and draw the next ones."""
        if not self._scale:
            self._scale = fitness_scale(np.concatenate([self._fitness, evaluations.fitness]))
        uniform = 1.0 - self._rng.random(len(evaluations))
        accepted = is_accepted(self._fitness, evaluations.fitness, self.temperature, uniform)
        self._position = np.where(accepted[:, None], self._proposal, self._position)
        self._fitness = np.where(accepted, evaluations.fitness, self._fitness)
        self._acceptance = float(accepted.mean())
        steps = self.step * self._rng.standard_normal(self._position.shape)
        self._proposal = self._space.confine(self._position + steps)

    def diagnostics(self) -> dict[str, float]:
        """Temperature in units of fitness, standard deviation of a step, and fraction of the last steps accepted."""
        return {"temperature": self.temperature, "step": self.step, "acceptance": self._acceptance}
