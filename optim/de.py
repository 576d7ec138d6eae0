"""Differential evolution: every individual is challenged by a trial built from differences between others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.operators import Rng, is_collapsed
from optim.search import Search
from optim.space import ParameterSpace

MutationName = Literal["rand/1", "rand/2", "best/1", "best/2", "current-to-best/1", "rand-to-best/2"]

# Mutations: (individuals x (n, n_params), the best of them (n_params,), other individuals (k, n, n_params), F) ->
# donors (n, n_params). The k others of a row are different individuals and not the row itself; they may be the best.


def rand_1(x: Array, best: Array, others: Array, f: float) -> Array:
    """a + F (b - c)."""
    a, b, c = others
    return a + f * (b - c)


def rand_2(x: Array, best: Array, others: Array, f: float) -> Array:
    """a + F (b - c + d - e)."""
    a, b, c, d, e = others
    return a + f * (b - c + d - e)


def best_1(x: Array, best: Array, others: Array, f: float) -> Array:
    """best + F (a - b)."""
    a, b = others
    return best + f * (a - b)


def best_2(x: Array, best: Array, others: Array, f: float) -> Array:
    """best + F (a - b + c - d)."""
    a, b, c, d = others
    return best + f * (a - b + c - d)


def current_to_best_1(x: Array, best: Array, others: Array, f: float) -> Array:
    """x + F (best - x) + F (a - b)."""
    a, b = others
    return x + f * (best - x + a - b)


def rand_to_best_2(x: Array, best: Array, others: Array, f: float) -> Array:
    """a + F (best - a) + F (b - c + d - e)."""
    a, b, c, d, e = others
    return a + f * (best - a + b - c + d - e)


class Mutation(NamedTuple):
    """A way to build donors, and how many other individuals a donor needs."""

    donors: Callable[[Array, Array, Array, float], Array]
    n_others: int


MUTATIONS: dict[str, Mutation] = {
    "rand/1": Mutation(rand_1, 3),
    "rand/2": Mutation(rand_2, 5),
    "best/1": Mutation(best_1, 2),
    "best/2": Mutation(best_2, 4),
    "current-to-best/1": Mutation(current_to_best_1, 2),
    "rand-to-best/2": Mutation(rand_to_best_2, 5),
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


def draw_others(n: int, n_others: int, rng: Rng) -> NDArray[np.int64]:
    """(n_others, n) int64: in column i different numbers of 0 … n - 1 that are not i, each choice equally likely."""
    drawn = rng.permuted(np.tile(np.arange(n - 1), (n, 1)), axis=1)[:, :n_others].T
    return drawn + (drawn >= np.arange(n))


def crossed(x: Array, donors: Array, probability: float, rng: Rng) -> Array:
    """Binomial crossover: `donors` (n, n_params) where a coin falls so and in one gene of each row, `x` elsewhere."""
    n, n_params = x.shape
    is_donors = rng.random(x.shape) < probability
    is_donors[np.arange(n), rng.integers(n_params, size=n)] = True
    return np.where(is_donors, donors, x)


class DifferentialEvolution(Search):
    """Keep of every individual and its trial the better one.

    The first `ask` returns the individuals, the next ones their trials, with `reevaluate` below the individuals
    themselves: both are then scored in the same generation, hence on the same worlds, and luck in an early one does not
    make an individual unbeatable. Where the fitness of a genome never changes, `reevaluate=False` finds the same
    with half the evaluations.

    A trial replaces its individual if it is not worse. A failed trial never does, a failed individual is replaced by
    any trial that did not fail, and is not the best. If all failed, a random one stands in for the best, and new
    trials are drawn. All trials of a generation are built from the individuals of the last one.

    Works in unit coordinates of the space, and confines trials to it gene by gene: outside genes are moved to the bound
    or reflected, as their block says. Whole-number genes are rounded for evaluation only.

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

    _state = ("population", "fitness", "trials", "replaced")
    _resized = ("trials",)

    def __init__(self, space: ParameterSpace, config: DEConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        n_others = MUTATIONS[config.mutation].n_others
        if len(initial) < n_others + 1:
            raise ValueError(
                f"initial has {len(initial)} individuals, but needs >= {n_others + 1}: "
                f"{config.mutation} combines {n_others} others for each. Give more rows."
            )
        super().__init__(space, seed)
        self._config = config
        self._population = space.to_unit(np.asarray(initial, dtype=np.float64))  # unit coordinates
        self._fitness = np.full(len(initial), np.nan)
        self._trials = np.empty((0, space.n_params))  # row i challenges individual i; none in the first generation
        self._replaced = 0.0  # share of individuals that their trial replaced in the last generation

    def _genomes(self) -> Array:
        """The individuals at first; then the trials, below the individuals if those are scored again."""
        if not len(self._trials):
            rows = self._population
        elif self._config.reevaluate:
            rows = np.concatenate([self._population, self._trials])
        else:
            rows = self._trials
        return self._space.from_unit(rows)

    def _learn(self, evaluations: Evaluations) -> None:
        """Replace individuals by better trials and draw the next trials."""
        config, rng, fitness = self._config, self._rng, evaluations.fitness
        if len(self._trials):
            old, new = np.split(fitness, 2) if config.reevaluate else (self._fitness, fitness)
            is_replaced = ~np.isnan(new) & ~(new < old)  # also where the old one failed
            self._population = np.where(is_replaced[:, None], self._trials, self._population)
            self._replaced = float(is_replaced.mean())
            fitness = np.where(is_replaced, new, old)
        self._fitness = fitness
        n = len(fitness)
        best = int(np.nanargmax(fitness)) if not np.isnan(fitness).all() else int(rng.integers(n))
        donors, n_others = MUTATIONS[config.mutation]
        others = self._population[draw_others(n, n_others, rng)]
        proposed = donors(self._population, self._population[best], others, config.scale_factor)
        self._trials = self._space.confine(crossed(self._population, proposed, config.crossover_probability, rng))

    def stop(self) -> dict[str, str]:
        """Converged when all individuals are equal: there are no differences to build trials from."""
        if not is_collapsed(self._population):
            return {}
        return {"converged": "all individuals are equal, so every trial would be a copy."}

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the individuals in unit coordinates; share of them replaced last."""
        return {"spread": float(self._population.std(axis=0).mean()), "replaced": self._replaced}
