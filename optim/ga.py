"""Genetic algorithm with tournament selection, blend crossover and Gaussian mutation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class GAConfig:
    """Settings of `GeneticAlgorithm`; the defaults are those of the published ant colony.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    tournament_size: int = 4  # individuals drawn, with replacement, per parent, >= 1
    crossover_probability: float = 0.7  # per pair of offspring, [0, 1]
    blend_alpha: float = 0.5  # children lie up to this fraction beyond their parents, >= 0
    mutation_probability: float = 0.7  # per offspring, [0, 1]
    mutation_sigma: float = 1.0  # standard deviation of the added noise, in scaled units, > 0
    gene_probability: float = 0.45  # per gene of a mutated offspring, [0, 1]
    duplicate_mutation_probability: float = 0.8  # per offspring equal to an earlier one, [0, 1]
    n_elite: int = 0  # best individuals carried over unchanged, >= 0
    reevaluate: Literal["changed", "all"] = "changed"  # who is asked again

    def __post_init__(self) -> None:
        for name in ("crossover", "mutation", "gene", "duplicate_mutation"):
            probability = getattr(self, f"{name}_probability")
            if not 0.0 <= probability <= 1.0:
                raise ValueError(
                    f"GAConfig.{name}_probability={probability} is outside [0, 1]. Give a probability, e.g. 0.7."
                )
        if not isinstance(self.tournament_size, int) or self.tournament_size < 1:
            raise ValueError(
                f"GAConfig.tournament_size={self.tournament_size} is not an integer >= 1. "
                "Give the number of rivals, e.g. 4; 1 switches selection off."
            )
        if not (0.0 <= self.blend_alpha < np.inf):
            raise ValueError(f"GAConfig.blend_alpha={self.blend_alpha} is outside [0, inf). Give e.g. 0.5.")
        if not (0.0 < self.mutation_sigma < np.inf):
            raise ValueError(
                f"GAConfig.mutation_sigma={self.mutation_sigma} is outside (0, inf). "
                "Give a step in scaled units of the genes, e.g. 1.0; set mutation_probability=0 for no mutation."
            )
        if not isinstance(self.n_elite, int) or self.n_elite < 0:
            raise ValueError(f"GAConfig.n_elite={self.n_elite} is not an integer >= 0. Give e.g. 0 or 1.")
        if self.reevaluate not in ("changed", "all"):
            raise ValueError(f"GAConfig.reevaluate={self.reevaluate!r} is unknown. Choose 'changed' or 'all'.")


def tournament(fitness: Array, draws: NDArray[np.int64]) -> NDArray[np.int64]:
    """Winner of each tournament; the first drawn wins a tie, a failed individual loses to any other.

    Parameters
    ----------
    fitness : (n,) float64, NaN = failed
    draws : (n_tournaments, tournament_size) int64, indices into `fitness`

    Returns
    -------
    (n_tournaments,) int64, indices into `fitness`
    """
    comparable = np.where(np.isnan(fitness), -np.inf, fitness)
    winners = np.argmax(comparable[draws], axis=1)
    return draws[np.arange(len(draws)), winners]


def blend(first: Array, second: Array, g: Array) -> tuple[Array, Array]:
    """Children (1 - g) x + g y and g x + (1 - g) y, gene by gene.

    Written as x + g (y - x), which keeps equal parents bit-equal.

    Parameters
    ----------
    first, second, g : (n_pairs, n_params) float64; g in [-alpha, 1 + alpha]

    Source: Eshelman and Schaffer 1993 (BLX-alpha), doi:10.1016/B978-0-08-094832-4.50018-0.
    """
    return first + g * (second - first), second + g * (first - second)


def mutate(scaled: Array, chosen: NDArray[np.bool_], config: GAConfig, rng: np.random.Generator) -> Array:
    """Copy of `scaled` coordinates (n, n_params) with noise on some genes of the `chosen` (n,) rows; not clipped."""
    is_hit = chosen[:, None] & (rng.random(scaled.shape) < config.gene_probability)
    return np.where(is_hit, scaled + rng.normal(0.0, config.mutation_sigma, scaled.shape), scaled)


def is_duplicate(genomes: Array) -> NDArray[np.bool_]:
    """(n,) bool, true for every row of `genomes` (n, n_params) equal to an earlier one."""
    duplicate = np.ones(len(genomes), dtype=np.bool_)
    duplicate[np.unique(genomes, axis=0, return_index=True)[1]] = False
    return duplicate


def breed(
    population: Array, fitness: Array, space: ParameterSpace, config: GAConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Next generation and the fitness it inherits.

    Parameters
    ----------
    population : (n, n_params) float64
    fitness : (n,) float64, maximised, NaN = failed

    Returns
    -------
    (n, n_params) float64, the elite first; (n,) float64, NaN where the genome must be evaluated
    """
    elite = np.argsort(-fitness, kind="stable")[: config.n_elite]  # NaN sorts last
    elite = elite[~np.isnan(fitness[elite])]
    n_children = len(population) - len(elite)
    parents = tournament(fitness, rng.integers(len(population), size=(n_children, config.tournament_size)))
    children = space.scale(population)[parents]

    first, second = children[: n_children - n_children % 2 : 2], children[1::2]
    g = (1.0 + 2.0 * config.blend_alpha) * rng.random(first.shape) - config.blend_alpha
    is_crossed = rng.random((len(first), 1)) < config.crossover_probability
    blended = blend(first, second, np.where(is_crossed, g, 0.0))
    first[:], second[:] = blended
    children = space.unscale(children)

    is_mutated = rng.random(n_children) < config.mutation_probability
    children = space.unscale(mutate(space.scale(children), is_mutated, config, rng))

    is_copy = is_duplicate(np.concatenate([population[elite], children]))[len(elite) :]
    is_mutated = is_copy & (rng.random(n_children) < config.duplicate_mutation_probability)
    children = space.unscale(mutate(space.scale(children), is_mutated, config, rng))

    is_unchanged = (children == population[parents]).all(axis=1)
    inherited = np.concatenate([fitness[elite], np.where(is_unchanged, fitness[parents], np.nan)])
    if config.reevaluate == "all" or not np.isnan(inherited).any():
        inherited[:] = np.nan
    return np.concatenate([population[elite], children]), inherited


class GeneticAlgorithm(Search):
    """Evolve a population that its offspring replace entirely, but for the elite.

    With `reevaluate="changed"` an offspring equal to its parent keeps the parent's fitness and is not asked again,
    so from the second generation on `ask` may return fewer rows than the population has. A failed individual has no
    fitness to keep and is asked again if it survives. Where nothing changed, all are asked.

    A failed individual loses every tournament against one that has a fitness, and is never elite. If all failed,
    parents are drawn at random and the search goes on.

    Parameters
    ----------
    initial : (population, n_params) float64, first generation, inside the bounds;
        at least 2 individuals and more than `n_elite`
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: the optimizer of the L2L framework (github.com/Meta-optimization/L2L) with the settings of the ant
    colony study. Deviates: equal offspring are mutated in one pass, so a third copy has one chance and not two;
    crossing two equal parents leaves them unchanged and costs no evaluation; the generator is its own.
    """

    _state = ("population", "fitness")

    def __init__(self, space: ParameterSpace, config: GAConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if len(initial) < max(2, config.n_elite + 1):
            raise ValueError(
                f"initial has {len(initial)} individuals, but needs >= {max(2, config.n_elite + 1)}: "
                f"2 parents, and more than n_elite={config.n_elite}. Give more rows."
            )
        super().__init__(space, seed)
        self._config = config
        self._population = np.array(initial, dtype=np.float64)
        self._fitness = np.full(len(initial), np.nan)  # NaN = to be evaluated

    def _genomes(self) -> Array:
        """The individuals without a fitness."""
        return self._population[np.isnan(self._fitness)]

    def _learn(self, evaluations: Evaluations) -> None:
        """Score the asked individuals and breed the next generation."""
        fitness = self._fitness.copy()
        fitness[np.isnan(fitness)] = evaluations.fitness
        self._population, self._fitness = breed(self._population, fitness, self._space, self._config, self._rng)

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the population, in unit coordinates."""
        return {"spread": float(self._space.to_unit(self._population).std(axis=0).mean())}
