"""CoSyNE: every gene has a population of its own, and genomes are put together anew in each generation."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.operators import Rng, best_first, is_collapsed, share
from optim.search import Search
from optim.space import ParameterSpace

Marking = Literal["all", "rank"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoSyNEConfig:
    """Settings of `CoSyNE`; fractions are of the population, rounded, at least 1.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    child_fraction: float = 0.5  # individuals replaced by children, the worst, (0, 1)
    parent_fraction: float = 0.25  # best individuals that have children, (0, 1]
    mutation_probability: float = 0.1  # per gene of a child, [0, 1]
    mutation_scale: float = 0.05  # half-width of the added Cauchy noise, in units of half the bound range, > 0
    marking: Marking = "rank"  # genes that are permuted: "all", or the more the lower their individual ranks
    n_elite: int = 0  # best individuals that are not permuted, >= 0

    def __post_init__(self) -> None:
        if not 0.0 < self.child_fraction < 1.0:
            raise ValueError(f"CoSyNEConfig.child_fraction={self.child_fraction} is outside (0, 1). Give e.g. 0.5.")
        if not 0.0 < self.parent_fraction <= 1.0:
            raise ValueError(f"CoSyNEConfig.parent_fraction={self.parent_fraction} is outside (0, 1]. Give e.g. 0.25.")
        if not 0.0 <= self.mutation_probability <= 1.0:
            raise ValueError(
                f"CoSyNEConfig.mutation_probability={self.mutation_probability} is outside [0, 1]. "
                "Give a probability, e.g. 0.1; 0 for no mutation."
            )
        if not 0.0 < self.mutation_scale < np.inf:
            raise ValueError(
                f"CoSyNEConfig.mutation_scale={self.mutation_scale} is outside (0, inf). "
                "Give a length in units of half the bound range, e.g. 0.05."
            )
        if self.marking not in get_args(Marking):
            raise ValueError(f"CoSyNEConfig.marking={self.marking!r} is unknown. Choose 'all' or 'rank'.")
        if not isinstance(self.n_elite, int) or self.n_elite < 0:
            raise ValueError(f"CoSyNEConfig.n_elite={self.n_elite} is not an integer >= 0. Give e.g. 0 or 1.")


def make_children(parents: Array, n_children: int, config: CoSyNEConfig, rng: Rng) -> Array:
    """(n_children, n_params) float64: pairs of different parents have two children each, which are then mutated.

    A child has every gene from either parent with equal chance, independently of its sibling. Noise is Cauchy, so a
    few genes are sent far away. Nothing is confined to the bounds.

    Parameters
    ----------
    parents : (n_parents, n_params) float64, unit coordinates; a single parent has mutated copies
    """
    couples = rng.permuted(np.tile(np.arange(len(parents)), ((n_children + 1) // 2, 1)), axis=1)[:, [0, -1]]
    mother, father = couples.T.repeat(2, axis=1)[:, :n_children]
    is_mothers = rng.integers(2, size=(n_children, parents.shape[1]), dtype=np.bool_)
    children = np.where(is_mothers, parents[mother], parents[father])
    hit = np.flatnonzero(rng.random(children.shape) < config.mutation_probability)
    children.reshape(-1)[hit] += config.mutation_scale * rng.standard_cauchy(len(hit))
    return children


def permute_marked(columns: Array, probability: Array, rng: Rng) -> Array:
    """Copy of `columns` in which every column has its marked entries permuted among themselves.

    Parameters
    ----------
    columns : (n, n_params) float64
    probability : (n,) float64, that an entry of this row is marked, for each entry anew
    """
    n, n_params = columns.shape
    marked = np.flatnonzero(rng.random((n_params, n)) < probability)
    column, row = np.divmod(marked, n)  # column by column
    shuffled = row[np.lexsort((rng.random(len(row)), column))]
    permuted = columns.copy()
    permuted[row, column] = columns[shuffled, column]
    return permuted


class CoSyNE(Search):
    """Cooperative synapse neuroevolution: recombine the best, and permute each gene among the other individuals.

    In every generation the best individuals have children, which take the place of the worst. Then the values of
    each gene are permuted among the individuals that are no children, but for the elite. With marking "all" a
    column is shuffled whole, which takes the best individual apart; with "rank" an entry of the individual of
    normalised rank r (1 = best, 0 = worst of them) is marked with probability 1 - r^(1/n_params): about one gene per
    individual, all of the worst, none of the best. A marked entry that is alone in its column stays.

    Works in unit coordinates of the space, which mutated children are confined to.

    A failed individual ranks last, so it is replaced first, and is a parent only where all failed: then individuals
    are put in random order. It is never elite: its genes are permuted until it is replaced. All individuals are
    evaluated in every generation.

    Parameters
    ----------
    initial : (population, n_params) float64, first generation, inside the bounds; at least 2 individuals, more than
        the children, and enough for the elite beside them
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: Gomez, Schmidhuber and Miikkulainen 2008, Journal of Machine Learning Research 9, 937-965. Deviates: marked
    by rank in place of the fitness, as in EvoTorch, so that a monotone map of the fitness changes nothing; children,
    whose fitness is not known yet, are not permuted. Marking "all" without elite is the variant of the study of
    backpropagation against bio-inspired search (github.com/fruttasecca/backprop_vs_bio), but here the children are
    what is mutated and not permuted, there the last rows.
    """

    _state = ("population", "permuted")

    def __init__(self, space: ParameterSpace, config: CoSyNEConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        n = len(initial)
        self._n_children = share(config.child_fraction, n)
        if n < 2 or n < self._n_children + max(1, config.n_elite):
            raise ValueError(
                f"initial has {n} individuals, but needs >= 2, and room for {self._n_children} children "
                f"(child_fraction={config.child_fraction}) beside n_elite={config.n_elite}. Give more rows."
            )
        super().__init__(space, seed)
        self._config = config
        self._population = space.to_unit(np.asarray(initial, dtype=np.float64))  # unit coordinates
        rank = np.linspace(1.0, 0.0, n - self._n_children)
        self._marked = 1.0 - rank ** (1.0 / space.n_params)  # probability for each individual that is kept
        self._permuted = 0.0  # share of all genes that the last permutation moved

    def _genomes(self) -> Array:
        """All individuals."""
        return self._space.from_unit(self._population)

    def _learn(self, evaluations: Evaluations) -> None:
        """Replace the worst by children of the best and permute the genes of the others."""
        config, rng = self._config, self._rng
        n, n_survivors = len(self._population), int((~evaluations.failed).sum())
        order = best_first(evaluations.fitness) if n_survivors else rng.permutation(n)
        ranked = self._population[order]
        n_parents = min(share(config.parent_fraction, n), n_survivors or n)
        children = self._space.confine(make_children(ranked[:n_parents], self._n_children, config, rng))
        n_elite = min(config.n_elite, n_survivors)
        others = ranked[n_elite : n - self._n_children]
        is_shuffled = config.marking == "all"
        permuted = rng.permuted(others, axis=0) if is_shuffled else permute_marked(others, self._marked[n_elite:], rng)
        self._permuted = np.count_nonzero(permuted != others) / self._population.size
        self._population = np.concatenate([ranked[:n_elite], permuted, children])

    def stop(self) -> dict[str, str]:
        """Converged when all individuals are equal and nothing mutates them."""
        if self._config.mutation_probability > 0.0 or not is_collapsed(self._population):
            return {}
        return {"converged": "all individuals are equal, and mutation is switched off."}

    def diagnostics(self) -> dict[str, float]:
        """Mean standard deviation of a gene over the population in unit coordinates; share of genes permuted last."""
        return {"spread": float(self._population.std(axis=0).mean()), "permuted": self._permuted}
