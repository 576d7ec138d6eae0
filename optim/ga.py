"""Genetic algorithm: selection, crossover and Gaussian mutation from tables, with the published ant settings."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.operators import Rng, best_first, is_collapsed, is_duplicate, mating_pool, share, tournament
from optim.random_bits import coin, make_lanes
from optim.search import Search
from optim.space import ParameterSpace
from optim.variation import CROSSOVERS, Flags, draw_points, vary

Selection = Literal["tournament", "truncation", "roulette", "rank"]
Crossover = Literal["blend", "uniform", "one_point", "arithmetic"]
Reevaluate = Literal["changed", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GAConfig:
    """Settings of `GeneticAlgorithm`; the defaults are those of the published ant colony.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    selection: Selection = "tournament"  # how parents are chosen; all but tournaments draw them from a mating pool
    tournament_size: int = 4  # individuals drawn, with replacement, per parent, >= 1
    parent_fraction: float = 0.3  # mating pool / population (mu / lambda), (0, 1]
    n_parents: int = 2  # parents of a crossed child (rho), >= 2
    crossover: Crossover = "blend"
    crossover_probability: float = 0.7  # per pair of offspring, [0, 1]
    blend_alpha: float = 0.5  # blended children lie up to this fraction beyond their parents, >= 0
    mutation_probability: float = 0.7  # per offspring, [0, 1]
    mutation_sigma: float = 1.0  # standard deviation of the added noise, in scaled units, > 0
    gene_probability: float = 0.45  # per gene of a mutated offspring, [0, 1]; 1 mutates whole children
    duplicate_mutation_probability: float = 0.8  # per offspring equal to an earlier one, [0, 1]
    n_elite: int = 0  # best individuals of the generation carried over unchanged, >= 0
    keep_best_ever: bool = False  # the best of all generations is carried over unchanged, too
    reevaluate: Reevaluate = "changed"  # who is asked again

    def __post_init__(self) -> None:
        for name in ("crossover", "mutation", "gene", "duplicate_mutation"):
            probability = getattr(self, f"{name}_probability")
            if not 0.0 <= probability <= 1.0:
                raise ValueError(
                    f"GAConfig.{name}_probability={probability} is outside [0, 1]. Give a probability, e.g. 0.7."
                )
        for name, least, hint in (
            ("tournament_size", 1, "Give the number of rivals, e.g. 4; 1 switches selection off."),
            ("n_parents", 2, "Give e.g. 2; crossover_probability=0 gives every child one parent."),
            ("n_elite", 0, "Give e.g. 0 or 1."),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"GAConfig.{name}={value} is not an integer >= {least}. {hint}")
        if not (0.0 < self.parent_fraction <= 1.0):
            raise ValueError(f"GAConfig.parent_fraction={self.parent_fraction} is outside (0, 1]. Give e.g. 0.3.")
        if not (0.0 <= self.blend_alpha < np.inf):
            raise ValueError(f"GAConfig.blend_alpha={self.blend_alpha} is outside [0, inf). Give e.g. 0.5.")
        if not (0.0 < self.mutation_sigma < np.inf):
            raise ValueError(
                f"GAConfig.mutation_sigma={self.mutation_sigma} is outside (0, inf). "
                "Give a step in scaled units of the genes, e.g. 1.0; set mutation_probability=0 for no mutation."
            )
        for name, known in (("selection", Selection), ("crossover", Crossover), ("reevaluate", Reevaluate)):
            if getattr(self, name) not in get_args(known):
                names = ", ".join(map(repr, get_args(known)))
                raise ValueError(f"GAConfig.{name}={getattr(self, name)!r} is unknown. Choose one of {names}.")

    @property
    def min_population(self) -> int:
        """Smallest population: two individuals, and one offspring beside those carried over."""
        return max(2, self.n_elite + self.keep_best_ever + 1)


# A (mu/rho, lambda) evolution strategy: mu = 0.3 lambda parents survive selection, rho = 4 of them are folded into a
# child by one-point crossover, whole children are mutated, and no parent outlives its generation but the best of all.
# Settings of the study of backpropagation against bio-inspired search (github.com/fruttasecca/backprop_vs_bio) for
# its 8-dimensional auto-encoder. Deviates: its program mutates with one minus the stated probability of 0.2, hence
# 0.8 here, and mutates its elite; roulette and rank there favour the worst, here the best.
# Beyer and Schwefel 2002, doi:10.1023/A:1015059928466, name such strategies.
MU_RHO_LAMBDA = GAConfig(
    selection="truncation",
    parent_fraction=0.3,
    n_parents=4,
    crossover="one_point",
    crossover_probability=1.0,
    mutation_probability=0.8,
    mutation_sigma=0.1,
    gene_probability=1.0,
    duplicate_mutation_probability=0.0,
    keep_best_ever=True,
    reevaluate="all",
)


def select(fitness: Array, n: int, config: GAConfig, rng: Rng) -> NDArray[np.int64]:
    """(n,) int64, parents as indices into `fitness` (n_individuals,); those of a mating pool are equally likely."""
    if config.selection == "tournament":
        return tournament(fitness, rng.integers(len(fitness), size=(n, config.tournament_size)))
    pool = mating_pool(config.selection, fitness, share(config.parent_fraction, len(fitness)), rng)
    return pool[rng.integers(len(pool), size=n)]


def offspring(
    population: Array,
    parents: NDArray[np.int64],
    is_crossed: Flags,
    is_mutated: Flags,
    space: ParameterSpace,
    config: GAConfig,
    rng: Rng,
    out: Array,
) -> Flags:
    """Crossed and mutated children of `parents`, inside the bounds.

    Children 2k and 2k + 1 are a pair: if it is crossed, they divide the genes of their first parents between them. Each
    of the two is then crossed with its further parents, one after the other, so the last of them counts most. The
    children of other pairs, and an odd last one, are copies of their first parent.

    Parameters
    ----------
    population : (n_individuals, n_params) float64
    parents : (n_parents - 1, n) int64, rows of the first parent of each child and of its further ones
    is_crossed, is_mutated : (n,) bool; of the first, children 0, 2, 4, ... speak for their pair
    out : (n, n_params) float64, C-contiguous, written

    Returns
    -------
    (n,) bool, whether a child differs from its first parent
    """
    points = draw_points(config.crossover, parents.shape, space.n_params, rng)
    is_changed = np.empty(len(out), dtype=np.bool_)
    crossing = (CROSSOVERS.index(config.crossover), config.blend_alpha)
    noise = (coin(config.gene_probability), config.mutation_sigma, *space.scaled_box, make_lanes(rng))
    scaled = space.scale(population)
    vary(scaled, parents, points, is_crossed, is_mutated, *crossing, *noise, out, is_changed)
    if scaled is not population:
        first = population[parents[0]]
        out[:] = np.where(is_changed[:, None], space.unscale(out), first)
        is_changed = (out != first).any(axis=1)
    return is_changed


def mutants(genomes: Array, space: ParameterSpace, config: GAConfig, rng: Rng) -> Array:
    """(n, n_params) float64, `genomes` with noise on some of their genes, inside the bounds."""
    out, all_of_them = np.empty_like(genomes), np.ones(len(genomes), dtype=np.bool_)
    offspring(genomes, np.arange(len(genomes))[None], ~all_of_them, all_of_them, space, config, rng, out)
    return out


def unknown_last(population: Array, fitness: Array) -> None:
    """Exchange rows of both, in place, so that those without a fitness (NaN) come last and need no copy to be asked."""
    is_unknown = np.isnan(fitness)
    n_known = len(fitness) - int(is_unknown.sum())
    late = n_known + np.flatnonzero(~is_unknown[n_known:])
    early = np.flatnonzero(is_unknown[:n_known])
    for values in (population, fitness):
        values[np.concatenate([early, late])] = values[np.concatenate([late, early])]


def breed(
    population: Array,
    fitness: Array,
    space: ParameterSpace,
    config: GAConfig,
    rng: Rng,
    best_ever: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Next generation and the fitness it inherits.

    Parameters
    ----------
    population : (n, n_params) float64
    fitness : (n,) float64, maximised, NaN = failed
    best_ever : (1, n_params) and (1,) float64, an individual to carry over in front of the elite, and its fitness

    Returns
    -------
    (n, n_params) float64 and (n,) float64: those carried over, others that keep their fitness, and those that must be
    evaluated, whose fitness is NaN
    """
    elite = best_first(fitness)[: config.n_elite]
    elite = elite[~np.isnan(fitness[elite])]
    carried, inherited = population[elite], fitness[elite]
    if best_ever is not None:
        is_other = (carried != best_ever[0]).any(axis=1)
        carried = np.concatenate([best_ever[0], carried[is_other]])
        inherited = np.concatenate([best_ever[1], inherited[is_other]])

    n_children = len(population) - len(carried)
    parents = select(fitness, (config.n_parents - 1) * n_children, config, rng).reshape(-1, n_children)
    bred = np.empty_like(population)
    bred[: len(carried)], children = carried, bred[len(carried) :]
    chances = (config.crossover_probability, config.mutation_probability, config.duplicate_mutation_probability)
    is_crossed, is_mutated, is_mutated_if_copy = rng.random((3, n_children)) < np.array(chances)[:, None]
    is_changed = offspring(population, parents, is_crossed, is_mutated, space, config, rng, children)

    again = np.flatnonzero(is_duplicate(bred)[len(carried) :] & is_mutated_if_copy)
    children[again] = mutants(children[again], space, config, rng)
    is_changed[again] = (children[again] != population[parents[0, again]]).any(axis=1)

    inherited = np.concatenate([inherited, np.where(is_changed, np.nan, fitness[parents[0]])])
    if config.reevaluate == "all" or not np.isnan(inherited).any():
        inherited[:] = np.nan
    unknown_last(bred, inherited)
    return bred, inherited


class GeneticAlgorithm(Search):
    """Evolve a population that its offspring replace entirely, but for the elite.

    With `reevaluate="changed"` an offspring equal to its first parent keeps the parent's fitness and is not asked
    again, so from the second generation on `ask` may return fewer rows than the population has. A failed individual
    has no fitness to keep and is asked again if it survives. Where nothing changed, all are asked.

    A failed individual loses every tournament against one that has a fitness, is in no mating pool, and is never
    elite. If all failed, parents are drawn at random and the search goes on.

    The best ever is the individual of the highest single score. Where scores are noisy or worlds change between
    generations that is a lucky one, however it does when it is asked again.

    Parameters
    ----------
    initial : (population, n_params) float64, first generation, inside the bounds;
        at least `config.min_population` individuals
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: the optimizer of the L2L framework (github.com/Meta-optimization/L2L) with the settings of the ant
    colony study. Deviates: equal offspring are mutated in one pass, so a third copy has one chance and not two;
    crossing two equal parents leaves them unchanged and costs no evaluation; the generator is its own. What the
    other settings do, with sources, stands in `optim.operators` and `optim.variation`.
    """

    _state = ("population", "fitness", "best", "best_fitness")

    def __init__(self, space: ParameterSpace, config: GAConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if len(initial) < config.min_population:
            raise ValueError(
                f"initial has {len(initial)} individuals, but needs >= {config.min_population}: 2 parents, and more "
                f"than n_elite={config.n_elite} (+ 1 with keep_best_ever). Give more rows."
            )
        super().__init__(space, seed)
        self._config = config
        self._population = np.array(initial, dtype=np.float64, order="C")
        self._fitness = np.full(len(initial), np.nan)  # NaN = to be evaluated
        self._best = self._population[:1]  # (1, n_params), the best ever
        self._best_fitness = np.full(1, np.nan)  # NaN = none succeeded yet

    def _genomes(self) -> Array:
        """The individuals without a fitness: the last ones, but for a saved state of an earlier version."""
        is_asked = np.isnan(self._fitness)
        first = int(np.argmax(is_asked))
        return self._population[first:] if is_asked[first:].all() else self._population[is_asked]

    def _learn(self, evaluations: Evaluations) -> None:
        """Score the asked individuals and breed the next generation."""
        fitness = self._fitness.copy()
        fitness[np.isnan(fitness)] = evaluations.fitness
        leader = best_first(fitness)[:1]
        if not (fitness[leader] <= self._best_fitness or np.isnan(fitness[leader])):
            self._best, self._best_fitness = self._population[leader], fitness[leader]
        has_best = self._config.keep_best_ever and not np.isnan(self._best_fitness)
        self._population, self._fitness = breed(
            self._population,
            fitness,
            self._space,
            self._config,
            self._rng,
            (self._best, self._best_fitness) if has_best else None,
        )

    def stop(self) -> dict[str, str]:
        """Converged when all individuals are equal and nothing mutates them."""
        config = self._config
        rate = max(config.mutation_probability, config.duplicate_mutation_probability) * config.gene_probability
        if rate > 0.0 or not is_collapsed(self._population):
            return {}
        return {"converged": "all individuals are equal, and mutation is switched off."}

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the population in unit coordinates; share of individuals to ask."""
        return {
            "spread": float(self._space.to_unit(self._population).std(axis=0).mean()),
            "asked": float(np.isnan(self._fitness).mean()),
        }
