"""Where a population moves: the genes themselves where that is possible, else unit coordinates."""

import numpy as np

from optim.base import Array
from optim.space import ParameterSpace


class Coordinates:
    """Coordinates of a search that moves whole populations, chosen so that large ones are copied as rarely as possible.

    If every gene is a number that is moved to its bound, they are the genes: rows that were formed can be asked as
    they are. Else they are unit coordinates, and rows are decoded for every generation.

    Attributes
    ----------
    low, high : (n_params,) float64, bounds to which new rows are moved; infinite where `confine` has to do it
    half : (n_params,) float64, half the bound range
    """

    def __init__(self, space: ParameterSpace) -> None:
        self._space = space
        ones = np.ones(space.n_params)
        if space.is_plain:
            self.low, self.high, self.half = space.low.copy(), space.high.copy(), 0.5 * (space.high - space.low)
        else:
            self.low, self.high, self.half = -np.inf * ones, np.inf * ones, ones

    def of(self, genomes: Array) -> Array:
        """Coordinates of `genomes` (n, n_params), a new array."""
        genomes = np.array(genomes, dtype=np.float64, order="C")
        return genomes if self._space.is_plain else self._space.to_unit(genomes)

    def genomes(self, rows: Array) -> Array:
        """Genomes of `rows` (n, n_params) inside the bounds: a view of `rows` if they are the genes."""
        return rows[:] if self._space.is_plain else self._space.from_unit(rows)

    def confine(self, rows: Array) -> None:
        """Bring `rows` (n, n_params), already between `low` and `high`, back as their blocks say, in place."""
        if not self._space.is_plain:
            rows[:] = self._space.confine(rows)
