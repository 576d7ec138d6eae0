"""Differential evolution: every individual is challenged by a trial built from differences between others."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.coordinates import Coordinates
from optim.operators import Rng, is_collapsed
from optim.random_bits import Lanes, coin, fill_words, make_lanes, n_words
from optim.search import Search
from optim.space import ParameterSpace

MutationName = Literal["rand/1", "rand/2", "best/1", "best/2", "current-to-best/1", "rand-to-best/2"]
Indices = NDArray[np.int64]

_N_AT_ONCE = 2048  # genes; even; what is in work then stays in the first-level cache

# Mutations: a donor is row 0 + F (row 1 - row 2 + row 3 - row 4 ...) of these. x is the individual itself, best the
# best of all, a to e are others: different individuals and not x; they may be the best.
_X, _BEST, _A, _B, _C, _D, _E = range(7)
MUTATIONS: dict[str, tuple[int, ...]] = {
    "rand/1": (_A, _B, _C),
    "rand/2": (_A, _B, _C, _D, _E),
    "best/1": (_BEST, _A, _B),
    "best/2": (_BEST, _A, _B, _C, _D),
    "current-to-best/1": (_X, _BEST, _X, _A, _B),
    "rand-to-best/2": (_A, _BEST, _A, _B, _C, _D, _E),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DEConfig:
    """Settings of `DifferentialEvolution`.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    mutation: MutationName = "rand/1"  # how donors are built, see `MUTATIONS`
    scale_factor: float = 0.5  # F, on every difference, [0, 2]
    crossover_probability: float = 0.9  # CR, that a gene of the trial is the donor's, [0, 1]
    reevaluate: bool = True  # score an individual again with its trial, on the same worlds; False: keep its fitness

    def __post_init__(self) -> None:
        if self.mutation not in MUTATIONS:
            raise ValueError(f"DEConfig.mutation={self.mutation!r} is unknown. Choose one of {', '.join(MUTATIONS)}.")
        for name, highest in (("scale_factor", 2.0), ("crossover_probability", 1.0)):
            value = getattr(self, name)
            if not 0.0 <= value <= highest:
                raise ValueError(f"DEConfig.{name}={value} is outside [0, {highest:g}]. Leave it out for the default.")


def n_others(mutation: str) -> int:
    """How many others a donor is made of."""
    return max(MUTATIONS[mutation]) - _BEST


def draw_others(n: int, n_others: int, rng: Rng) -> Indices:
    """(n_others, n) int64: in column i different numbers of 0 … n - 1 that are not i, each choice equally likely."""
    taken = np.arange(n)[None]
    for k in range(1, n_others + 1):
        drawn = rng.integers(n - k, size=n)  # which one of those that are left
        for other in np.sort(taken, axis=0):
            drawn += drawn >= other
        taken = np.concatenate([taken, drawn[None]])
    return taken[1:]


@njit(cache=True)
def make_trials(
    population: Array,
    parts: Indices,
    forced: Indices,
    scale_factor: float,
    coin: int,
    low: Array,
    high: Array,
    lanes: Lanes,
    out: Array,
) -> None:
    """Individuals, and below them their trials: donors, binomial crossover and bounds in one pass through memory.

    Parameters
    ----------
    population : (n_rows, n_params) float64
    parts : (n, 1 + n_in_donor) int64, rows of `population`: each individual, and what its donor is made of, in the
        order of `MUTATIONS`
    forced : (n,) int64, the gene of a trial that is the donor's in any case
    scale_factor : F, on every difference
    coin : chance that another gene is the donor's, see `optim.random_bits.coin`; known to 2^-32
    low, high : (n_params,) float64, the box
    lanes : source of random bits; moved on
    out : (2 n, n_params) float64, written
    """
    n, n_params = len(parts), population.shape[1]
    words, differences = np.empty(n_words(32 * _N_AT_ONCE), dtype=np.uint64), np.empty(_N_AT_ONCE)
    bits = words.view(np.int32)
    for i in range(n):
        for start in range(0, n_params, _N_AT_ONCE):
            part = slice(start, min(start + _N_AT_ONCE, n_params))
            x, base = population[parts[i, 0], part], population[parts[i, 1], part]
            individual, trial, least, most = out[i, part], out[n + i, part], low[part], high[part]
            sums = differences[: x.size]
            for k in range(2, parts.shape[1], 2):
                plus, minus = population[parts[i, k], part], population[parts[i, k + 1], part]
                if k == 2:
                    for j in range(x.size):
                        sums[j] = plus[j] - minus[j]
                else:
                    for j in range(x.size):
                        sums[j] += plus[j] - minus[j]
            fill_words(lanes, words[: n_words(32 * x.size)])
            due = forced[i] - start
            for j in range(x.size):
                donor = base[j] + scale_factor * sums[j]
                donor = donor if donor > least[j] else least[j]
                donor = donor if donor < most[j] else most[j]
                trial[j] = donor if (bits[j] < coin) | (j == due) else x[j]
                individual[j] = x[j]


class DifferentialEvolution(Search):
    """Keep of every individual and its trial the better one.

    The first `ask` returns the individuals, the next ones their trials, with `reevaluate` below the individuals
    themselves: both are then scored in the same generation, hence on the same worlds, and luck in an early one does not
    make an individual unbeatable. Where the fitness of a genome never changes, `reevaluate=False` finds the same
    with half the evaluations.

    A trial replaces its individual if it is not worse. A failed trial never does, a failed individual is replaced by
    any trial that did not fail, and is not the best. If all failed, a random one stands in for the best, and new
    trials are drawn. All trials of a generation are built from the individuals of the last one.

    Works on genes, or in unit coordinates if some need more than their bounds, see `Coordinates`, and confines trials
    gene by gene: outside genes are moved to the bound or reflected, as their block says. Whole-number genes are rounded
    for evaluation only.

    Parameters
    ----------
    initial : (population, n_params) float64, first individuals, inside the bounds; more than the others a donor needs
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: Storn and Price 1997, doi:10.1023/A:1008202821328 (rand/1, best/2, binomial crossover). The donors are
    those of SciPy's `differential_evolution`; rand-to-best/2 is its rand-to-best/1 with a second difference.
    """

    _state = ("contestants", "fitness", "replaced")

    def __init__(self, space: ParameterSpace, config: DEConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        least = n_others(config.mutation) + 1
        if len(initial) < least:
            raise ValueError(
                f"initial has {len(initial)} individuals, but needs >= {least}: "
                f"{config.mutation} combines {least - 1} others for each. Give more rows."
            )
        super().__init__(space, seed)
        self._config = config
        self._coordinates = Coordinates(space)
        # (2 population, n_params): the individuals, and below them their trials in the same order, at first copies that
        # nobody asks. A new array in every generation: it may be asked.
        self._contestants = np.tile(self._coordinates.of(initial), (2, 1))
        self._fitness = np.full(len(initial), np.nan)  # of the individuals
        self._replaced = 0.0  # share of individuals that their trial replaced in the last generation

    @property
    def _population(self) -> Array:
        return self._contestants[: len(self._fitness)]

    def _genomes(self) -> Array:
        """The individuals at first; then the trials, below the individuals if those are scored again."""
        n = len(self._fitness)
        if self.generation == 0:
            return self._coordinates.genomes(self._contestants[:n])
        return self._coordinates.genomes(self._contestants[0 if self._config.reevaluate else n :])

    def _learn(self, evaluations: Evaluations) -> None:
        """Replace individuals by better trials and draw the next trials."""
        config, rng, fitness, replaced = self._config, self._rng, evaluations.fitness, self._replaced
        n = len(self._fitness)
        survivors = np.arange(n)  # rows of the contestants
        if self.generation > 0:
            old, new = np.split(fitness, 2) if config.reevaluate else (self._fitness, fitness)
            is_replaced = ~np.isnan(new) & ~(new < old)  # also where the old one failed
            survivors[is_replaced] += n
            replaced = float(is_replaced.mean())
            fitness = np.where(is_replaced, new, old)
        best = int(np.nanargmax(fitness)) if not np.isnan(fitness).all() else int(rng.integers(n))
        others = draw_others(n, n_others(config.mutation), rng)
        candidates = np.concatenate([np.arange(n)[None], np.full((1, n), best), others])
        parts = np.ascontiguousarray(survivors[candidates[[_X, *MUTATIONS[config.mutation]]]].T)
        forced = rng.integers(self._space.n_params, size=n)
        chance, lanes = coin(config.crossover_probability), make_lanes(rng)
        box = (self._coordinates.low, self._coordinates.high)
        contestants = np.empty((2 * n, self._space.n_params))
        make_trials(self._contestants, parts, forced, config.scale_factor, chance, *box, lanes, contestants)
        self._coordinates.confine(contestants[n:])
        self._contestants, self._fitness, self._replaced = contestants, fitness, replaced

    def stop(self) -> dict[str, str]:
        """Converged when all individuals are equal: there are no differences to build trials from."""
        if not is_collapsed(self._population):
            return {}
        return {"converged": "all individuals are equal, so every trial would be a copy."}

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the individuals in unit coordinates; share of them replaced last."""
        population = self._population
        spread = (population - population[0]).std(axis=0) / self._coordinates.half  # 0 for equals
        return {"spread": float(spread.mean()), "replaced": self._replaced}
