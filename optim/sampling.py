"""Searches that never learn: a grid, random points, quasi-random points. What any other search should beat."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

MAX_GRID_POINTS = 1_000_000
_MAX_SOBOL_PARAMS = 21201  # the direction numbers of Joe and Kuo that SciPy has

Sequence = Literal["uniform", "sobol"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """Settings of `GridSearch`.

    Raises
    ------
    ValueError : if a number of levels is below 1.
    """

    levels: int | Mapping[str, int] = 3  # values per gene, >= 1; for all blocks, or for each by its name

    def __post_init__(self) -> None:
        named = self.levels if isinstance(self.levels, Mapping) else {"": self.levels}
        for name, levels in named.items():
            if not isinstance(levels, int | np.integer) or levels < 1:
                raise ValueError(
                    f"GridConfig.levels{f'[{name!r}]' if name else ''}={levels} is not an integer >= 1. "
                    "Give the number of values of a gene, e.g. 5; with 1 it stays in the middle."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomConfig:
    """Settings of `RandomSearch`.

    Raises
    ------
    ValueError : if the sequence is unknown.
    """

    sequence: Sequence = "uniform"  # independent points, or the scrambled Sobol sequence, which leaves smaller gaps

    def __post_init__(self) -> None:
        if self.sequence not in get_args(Sequence):
            raise ValueError(
                f"RandomConfig.sequence={self.sequence!r} is unknown. Choose one of {', '.join(get_args(Sequence))}."
            )


def grid_levels(space: ParameterSpace, levels: int | Mapping[str, int]) -> list[Array]:
    """Values of every gene on a grid, rising: bounds included, evenly spaced in scaled coordinates.

    One level is the middle. A whole-number gene has no more levels than values.

    Parameters
    ----------
    levels : number of values per gene, for all blocks or by block name

    Returns
    -------
    n_params arrays (n_levels,) float64

    Raises
    ------
    ValueError : if `levels` names other blocks than the space.
    """
    if isinstance(levels, Mapping) and set(levels) != set(space.names):
        raise ValueError(
            f"GridConfig.levels names {sorted(levels)}, but the blocks are {sorted(space.names)}. Give every block."
        )
    values = []
    for block in space.blocks:
        n = int(levels[block.name] if isinstance(levels, Mapping) else levels)
        if block.kind == "integer":
            n = min(n, round(block.high - block.low) + 1)
        spaced = np.geomspace if block.kind == "log" else np.linspace
        genes = spaced(block.low, block.high, n) if n > 1 else spaced(block.low, block.high, 3)[1:2]
        values += [np.round(genes) if block.kind == "integer" else genes] * block.size
    return values


class GridSearch(Search):
    """Every point of a grid, once, in random order: stopped early, it has still looked everywhere.

    The fitness changes nothing. When all points were evaluated, `stop` says "exhausted" and `ask` raises RuntimeError.

    Parameters
    ----------
    population_size : points per generation, >= 1; the last may have fewer
    seed : int >= 0 or SeedSequence, of the order

    Raises
    ------
    ValueError : if the grid has more than `MAX_GRID_POINTS` points, `config` names other blocks than the space, or
        `population_size` is not possible.
    """

    _state = ("order", "n_done")

    def __init__(self, space: ParameterSpace, config: GridConfig, *, population_size: int, seed: Seed) -> None:
        _check_size(population_size)
        self._levels = grid_levels(space, config.levels)
        n_points = prod(len(levels) for levels in self._levels)
        if n_points > MAX_GRID_POINTS:
            raise ValueError(
                f"GridConfig.levels={config.levels} for {space.n_params} genes are {n_points:,} grid points, more than "
                f"{MAX_GRID_POINTS:,}. Give fewer levels or genes, or take random search."
            )
        super().__init__(space, seed)
        self._population_size = population_size
        self._order: NDArray[np.int64] = self._rng.permutation(n_points)
        self._n_done = 0

    def _genomes(self) -> Array:
        """The next grid points.

        Raises
        ------
        RuntimeError : if all were evaluated.
        """
        if self.stop():
            raise RuntimeError(
                f"all {len(self._order)} grid points were evaluated: nothing is left to ask. End the loop when stop() "
                "says so."
            )
        points = self._order[self._n_done : self._n_done + self._population_size]
        numbers = np.unravel_index(points, [len(levels) for levels in self._levels])
        return np.stack([levels[number] for levels, number in zip(self._levels, numbers, strict=True)], axis=1)

    def _learn(self, evaluations: Evaluations) -> None:
        """Go on to the next points."""
        self._n_done += len(evaluations)

    def stop(self) -> dict[str, str]:
        """Says "exhausted" when all points were evaluated."""
        if self._n_done < len(self._order):
            return {}
        return {"exhausted": f"all {len(self._order)} grid points were evaluated"}

    def diagnostics(self) -> dict[str, float]:
        """Fraction of the grid that was evaluated."""
        return {"done": self._n_done / len(self._order)}


class RandomSearch(Search):
    """New points in every generation, uniform in the scaled coordinates of the box; the fitness changes nothing.

    Parameters
    ----------
    population_size : points per generation, >= 1; a Sobol sequence is balanced after 2^k points
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `population_size` is not possible, or there are more genes than the Sobol sequence is known for.

    Source: Bergstra and Bengio 2012, jmlr.org/papers/v13/bergstra12a.html (random search); Owen 1998 (scrambling),
    doi:10.1006/jcom.1998.0487, in the form SciPy has: a random linear matrix and a shift.
    """

    _state = ("population", "scramble", "n_drawn")

    def __init__(self, space: ParameterSpace, config: RandomConfig, *, population_size: int, seed: Seed) -> None:
        _check_size(population_size)
        if config.sequence == "sobol" and space.n_params > _MAX_SOBOL_PARAMS:
            raise ValueError(
                f"a Sobol sequence is known for up to {_MAX_SOBOL_PARAMS} genes, but there are {space.n_params}. "
                "Give RandomConfig(sequence='uniform')."
            )
        super().__init__(space, seed)
        self._config = config
        self._scramble = int(self._rng.integers(2**63))  # seed of the Sobol sequence
        self._n_drawn = 0
        self._population = self._draw(population_size)

    def _genomes(self) -> Array:
        """The points drawn last."""
        return self._population

    def _learn(self, evaluations: Evaluations) -> None:
        """Draw the next points."""
        self._population = self._draw(len(evaluations))

    def _draw(self, n: int) -> Array:
        """The next (n, n_params) points."""
        space = self._space
        if self._config.sequence == "uniform":
            return space.sample(self._rng, n)
        share = sobol_points(self._scramble, self._n_drawn, n, space.n_params)
        self._n_drawn += n
        return space.unscale((1.0 - share) * space.scaled_low + share * space.scaled_high)


def sobol_points(scramble: int, start: int, n: int, n_params: int) -> Array:
    """Points `start` to `start + n` of the scrambled Sobol sequence with seed `scramble`, (n, n_params) in [0, 1)."""
    from scipy.stats import qmc  # here, as it takes longer to import than everything else

    sequence = qmc.Sobol(n_params, scramble=True, seed=np.random.default_rng(scramble))
    if start:
        return np.asarray(sequence.fast_forward(start).random(n), dtype=np.float64)
    # The first point alone: SciPy warns of a first draw that is no power of 2.
    return np.concatenate([sequence.random(1), sequence.random(n - 1)])


def _check_size(population_size: int) -> None:
    if not isinstance(population_size, int | np.integer) or population_size < 1:
        raise ValueError(f"population_size={population_size} is not an integer >= 1. Give e.g. 32.")
