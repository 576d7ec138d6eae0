"""Parallel tempering: chains at different temperatures that exchange their genomes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optim.annealing import check_scale, fitness_scale, is_accepted
from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperingConfig:
    """Settings of `ParallelTempering`; a step is in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    cold_temperature: float = 1e-4  # of the first row, in units of `fitness_scale`, > 0
    hot_temperature: float = 1.0  # of the last row, the same, > cold_temperature
    cold_step: float = 0.01  # standard deviation of a step per gene in the first row, > 0
    hot_step: float = 0.5  # the same in the last row, >= cold_step
    fitness_scale: float | None = None  # a typical difference of fitness, > 0; None = measured in the first generation

    def __post_init__(self) -> None:
        for name in ("temperature", "step"):
            cold = getattr(self, f"cold_{name}")
            if not 0.0 < cold < np.inf:
                raise ValueError(f"TemperingConfig.cold_{name}={cold} is outside (0, inf). Give e.g. 0.001.")
        if not self.cold_temperature < self.hot_temperature < np.inf:
            raise ValueError(
                f"TemperingConfig.hot_temperature={self.hot_temperature} is outside ({self.cold_temperature}, inf): "
                "the ladder needs two ends. Give e.g. 1."
            )
        if not self.cold_step <= self.hot_step < np.inf:
            raise ValueError(
                f"TemperingConfig.hot_step={self.hot_step} is outside [{self.cold_step}, inf). Give e.g. 0.5."
            )
        check_scale("TemperingConfig", self.fitness_scale)


def is_swapped(fitness: Array, temperature: Array, uniform: Array, first: int) -> NDArray[np.bool_]:
    """Which neighbours on the ladder exchange their genomes.

    The pairs are (first, first + 1), (first + 2, first + 3), ... Genomes with fitness f_i and f_j at temperatures
    T_i and T_j are exchanged with probability min(1, exp((1 / T_i - 1 / T_j) (f_j - f_i))). A failed genome
    always goes to the hotter side.

    Parameters
    ----------
    fitness : (n,) float64, maximised, NaN = failed
    temperature : (n,) float64, rising, > 0, in units of fitness
    uniform : (n,) float64, uniform in (0, 1]; those at the first of each pair are used
    first : 0 or 1

    Returns
    -------
    (n,) bool, true at the first of a pair that is exchanged

    Source: Hukushima and Nemoto 1996, doi:10.1143/JPSJ.65.1604.
    """
    swapped = np.zeros(len(fitness), dtype=np.bool_)
    cold = np.arange(first, len(fitness) - 1, 2)
    comparable = np.where(np.isnan(fitness), -np.inf, fitness)
    beta = 1.0 / temperature
    with np.errstate(invalid="ignore"):  # both failed: NaN, not exchanged
        gain = (beta[cold] - beta[cold + 1]) * (comparable[cold + 1] - comparable[cold])
    swapped[cold] = np.log(uniform[cold]) <= gain
    return swapped


class ParallelTempering(Search):
    """Chains of random steps on a ladder of constant temperatures; neighbours exchange their genomes.

    Row i of the population is the chain at temperature i, the first is the coldest. Temperatures and steps grow by a
    constant factor from row to row. A generation is one Metropolis step of every chain, then exchanges between
    the pairs that begin with an even row, and after the next generation with an odd one.

    The chain at temperature T samples the Boltzmann distribution, density ~ exp(fitness / T), over the unit coordinates
    of the space. That holds for genes that are "reflect"ed at their bounds, for any kind of gene. "clip" piles up on
    a bound what would lie beyond, and a "sigmoid" gene has no bounds that would keep it. With
    `fitness_scale=None`, temperatures are fixed from the first generation on in which two genomes differ in fitness.

    A failed step is never accepted. A chain that failed at its first genome searches around it, or hands it to its
    hotter neighbour.

    Parameters
    ----------
    initial : (n_chains, n_params) float64, where the chains begin, coldest first, inside the bounds; at least 2
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: Hukushima and Nemoto 1996, doi:10.1143/JPSJ.65.1604; review by Earl and Deem 2005, doi:10.1039/b509983h.
    Deviates: steps differ between temperatures, which keeps each chain's distribution.
    """

    _state = ("position", "fitness", "proposal", "scale", "acceptance", "exchange")

    def __init__(self, space: ParameterSpace, config: TemperingConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if len(initial) < 2:
            raise ValueError(f"initial has {len(initial)} chains, but an exchange needs >= 2. Give more rows.")
        super().__init__(space, seed)
        n = len(initial)
        self._ladder = np.geomspace(config.cold_temperature, config.hot_temperature, n)
        self._steps = np.geomspace(config.cold_step, config.hot_step, n)[:, None]
        self._position = space.to_unit(np.asarray(initial, dtype=np.float64))
        self._proposal = self._position.copy()
        self._fitness = np.full(n, np.nan)  # of the positions; NaN = failed, or not evaluated yet
        self._scale = config.fitness_scale or 0.0  # 0 = not known yet
        self._acceptance = 0.0
        self._exchange = 0.0

    def _genomes(self) -> Array:
        """One step of every chain; in the first generation its beginning."""
        return self._space.from_unit(self._proposal)

    def _learn(self, evaluations: Evaluations) -> None:
        """Accept or reject the steps, exchange neighbours and draw the next steps."""
        if not self._scale:
            self._scale = fitness_scale(np.concatenate([self._fitness, evaluations.fitness]))
        # Without a scale no two genomes differ in fitness, and any temperature gives the same.
        temperature = self._ladder * (self._scale or 1.0)
        n = len(evaluations)
        accepted = is_accepted(self._fitness, evaluations.fitness, temperature, 1.0 - self._rng.random(n))
        position = np.where(accepted[:, None], self._proposal, self._position)
        fitness = np.where(accepted, evaluations.fitness, self._fitness)

        swapped = is_swapped(fitness, temperature, 1.0 - self._rng.random(n), self.generation % 2)
        cold = np.flatnonzero(swapped)
        order = np.arange(n)
        order[cold], order[cold + 1] = cold + 1, cold
        self._position, self._fitness = position[order], fitness[order]

        self._acceptance = float(accepted.mean())
        self._exchange = float(len(cold) / max(1, (n - self.generation % 2) // 2))
        steps = self._steps * self._rng.standard_normal(self._position.shape)
        self._proposal = self._space.confine(self._position + steps)

    def diagnostics(self) -> dict[str, float]:
        """Fraction of the last steps accepted, and of the last pairs exchanged."""
        return {"acceptance": self._acceptance, "exchange": self._exchange}
