"""MAX-MIN Ant System: ants that build tours along pheromone trails, for the travelling salesman.

>>> from optim.problems import circle_cities, distance_matrix, tour_lengths
>>> distances = distance_matrix(circle_cities(12, np.random.default_rng(1)))
>>> ants = MaxMinAntSystem(distances, AntSystemConfig(evaporation=0.1), n_ants=12, seed=1)
>>> for _ in range(50):
...     tours = ants.ask()
...     ants.tell(tours, Evaluations(-tour_lengths(tours, distances)))
>>> shortest = 24 * np.sin(np.pi / 12)  # once around the circle
>>> bool(np.isclose(tour_lengths(ants.best_tour[None], distances)[0], shortest))
True
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import Block, ParameterSpace

Deposit = Literal["generation_best", "best_so_far"]

_BRANCHING = 0.05  # part of a city's range of trails that counts as a branch


@dataclass(frozen=True, slots=True, kw_only=True)
class AntSystemConfig:
    """Settings of `MaxMinAntSystem`; the defaults are those of its authors for tours without local search.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    evaporation: float = 0.02  # part of a trail lost per generation, (0, 1]
    trail_weight: float = 1.0  # exponent alpha of the trail in the choice of the next city, >= 0
    distance_weight: float = 2.0  # exponent beta of 1 / distance, >= 0
    p_best: float = 0.05  # probability of building the best tour when trails have converged, sets tau_min, (0, 1)
    deposit: Deposit = "generation_best"  # which tour gets a trail

    def __post_init__(self) -> None:
        if not 0.0 < self.evaporation <= 1.0:
            raise ValueError(
                f"AntSystemConfig.evaporation={self.evaporation} is outside (0, 1]. "
                "Give the part of a trail lost per generation, e.g. 0.02."
            )
        for name in ("trail_weight", "distance_weight"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise ValueError(f"AntSystemConfig.{name}={value} is outside [0, inf). Give e.g. 1, or 0 to ignore it.")
        if not 0.0 < self.p_best < 1.0:
            raise ValueError(f"AntSystemConfig.p_best={self.p_best} is outside (0, 1). Give e.g. 0.05.")
        if self.deposit not in get_args(Deposit):
            raise ValueError(
                f"AntSystemConfig.deposit={self.deposit!r} is unknown. Choose one of {', '.join(get_args(Deposit))}."
            )


def build_tours(attraction: Array, n_tours: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Tours that begin anywhere and go on to unvisited cities with probabilities proportional to the attraction.

    Parameters
    ----------
    attraction : (n_cities, n_cities) float64 >= 0, from row to column; > 0 off the diagonal

    Returns
    -------
    (n_tours, n_cities) int64, every row a permutation of the cities

    Source: Dorigo, Maniezzo and Colorni 1996, the random proportional rule, doi:10.1109/3477.484436.
    """
    n_cities = len(attraction)
    ants = np.arange(n_tours)
    tours = np.empty((n_tours, n_cities), dtype=np.int64)
    tours[:, 0] = rng.integers(n_cities, size=n_tours)
    is_open = np.ones((n_tours, n_cities), dtype=np.bool_)
    for step in range(1, n_cities):
        here = tours[:, step - 1]
        is_open[ants, here] = False
        reached = np.cumsum(np.where(is_open, attraction[here], 0.0), axis=1)
        drawn = rng.random(n_tours) * reached[:, -1]
        # The first city beyond the drawn share; visited ones add nothing, so they are never the first.
        tours[:, step] = np.argmax(reached > drawn[:, None], axis=1)
    return tours


def trail_limits(length: float, n_cities: int, evaporation: float, p_best: float) -> tuple[float, float]:
    """Smallest and largest trail, tau_min and tau_max, when the best tour so far has this `length`.

    tau_max = 1 / (evaporation length) is what a trail tends to that gets 1 / length in every generation. At tau_min on
    all other edges, an ant with no other guide builds the best tour with probability `p_best`:
    tau_min = tau_max (1 - p) / ((n / 2 - 1) p), p = p_best^(1 / n); never above tau_max.

    Source: Stützle and Hoos 2000, sections on the trail limits, doi:10.1016/S0167-739X(00)00043-1.
    """
    largest = 1.0 / (evaporation * length)
    p = p_best ** (1.0 / n_cities)
    return min(largest, largest * (1.0 - p) / ((n_cities / 2.0 - 1.0) * p)), largest


class MaxMinAntSystem(Search):
    """Ants build tours along trails that only the best ant renews, within limits.

    A genome is a tour: a row of city numbers in the order of the visits, as float64; `space` is its ParameterSpace.
    It is not in `optim.methods.METHODS`, as its first individuals are permutations and no points of a box.

    The fitness must be minus the length of the tour: trails are set in units of 1 / length. Failed ants lay no
    trail; if all failed, trails stay and new tours are built.

    Parameters
    ----------
    distances : (n_cities, n_cities) float64, symmetric, > 0 off the diagonal, n_cities >= 3
    n_ants : tours per generation, >= 1; the authors take as many as there are cities
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `distances` or `n_ants` are not as above.

    Source: Stützle and Hoos 2000, doi:10.1016/S0167-739X(00)00043-1. Deviates: no candidate lists, local search or
    smoothing of trails; lengths are those told, not computed.
    """

    _state = ("trails", "tours", "best_tour", "best_fitness")

    def __init__(self, distances: Array, config: AntSystemConfig, *, n_ants: int, seed: Seed) -> None:
        distances = _checked_distances(distances)
        if not isinstance(n_ants, int | np.integer) or n_ants < 1:
            raise ValueError(f"n_ants={n_ants} is not an integer >= 1. Give e.g. the number of cities.")
        n_cities = len(distances)
        super().__init__(ParameterSpace((Block("city", n_cities, 0, n_cities - 1, kind="integer"),)), seed)
        self._config = config
        nearness = distances.min(where=~np.eye(n_cities, dtype=np.bool_), initial=np.inf) / distances
        self._nearness = nearness**config.distance_weight
        self._trails = np.ones((n_cities, n_cities))
        self._best_tour = np.full(n_cities, np.nan)
        self._best_fitness: float | None = None
        self._tours = self._build(n_ants)

    @property
    def space(self) -> ParameterSpace:
        """The box of city numbers that tours are in."""
        return self._space

    @property
    def best_tour(self) -> Array:
        """(n_cities,) float64, the shortest tour so far; NaN before there is one."""
        return self._best_tour.copy()

    def _build(self, n_ants: int) -> Array:
        """(n_ants, n_cities) float64, new tours along the trails."""
        # Only ratios count; no city is ever out of reach, however large the exponents.
        attraction = (self._trails / self._trails.max()) ** self._config.trail_weight * self._nearness
        return build_tours(np.maximum(attraction, np.finfo(np.float64).tiny), n_ants, self._rng).astype(np.float64)

    def _genomes(self) -> Array:
        """The tours."""
        return self._tours

    def _learn(self, evaluations: Evaluations) -> None:
        """Renew the trails of the best ant and build new tours.

        Raises
        ------
        ValueError : if a fitness is not below 0; the state is unchanged.
        """
        config = self._config
        fitness = evaluations.fitness
        if (fitness >= 0.0).any():
            raise ValueError(
                f"fitness {np.nanmax(fitness)} of a tour is not below 0. Give minus the length of the tour."
            )
        if not evaluations.failed.all():
            best = np.nanargmax(fitness)
            is_first = self._best_fitness is None
            if self._best_fitness is None or fitness[best] > self._best_fitness:
                self._best_tour, self._best_fitness = self._tours[best].copy(), float(fitness[best])
            n_cities = len(self._best_tour)
            limits = trail_limits(-self._best_fitness, n_cities, config.evaporation, config.p_best)
            if is_first:
                self._trails[:] = limits[1]
            else:
                is_own = config.deposit == "generation_best"
                tour = self._tours[best] if is_own else self._best_tour
                length = -fitness[best] if is_own else -self._best_fitness
                self._renew(tour.astype(np.int64), float(length), limits)
        self._tours = self._build(len(evaluations))

    def _renew(self, tour: NDArray[np.int64], length: float, limits: tuple[float, float]) -> None:
        """Let all trails evaporate, then add 1 / length to both directions of the edges of a tour."""
        self._trails *= 1.0 - self._config.evaporation
        after = np.roll(tour, -1)
        self._trails[tour, after] += 1.0 / length
        self._trails[after, tour] += 1.0 / length
        self._trails = np.clip(self._trails, *limits)

    def diagnostics(self) -> dict[str, float]:
        """Mean number of trails per city that are above its weakest by 5 % of its range; 2 when converged on a tour.

        Source: Gambardella and Dorigo 1995, the lambda-branching factor.
        """
        n_cities = len(self._trails)
        trails = self._trails[~np.eye(n_cities, dtype=np.bool_)].reshape(n_cities, n_cities - 1)
        weakest, strongest = trails.min(axis=1, keepdims=True), trails.max(axis=1, keepdims=True)
        is_branch = trails >= weakest + _BRANCHING * (strongest - weakest)
        return {"branching": float(is_branch.sum(axis=1).mean())}


def _checked_distances(distances: Array) -> Array:
    """A copy of `distances` with infinities on the diagonal: nobody stays.

    Raises
    ------
    ValueError : if the matrix is not square, symmetric and above 0 off the diagonal.
    """
    matrix = np.array(distances, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 3:
        raise ValueError(
            f"distances have shape {matrix.shape}, but must be (n_cities, n_cities) with n_cities >= 3. "
            "See optim.problems.distance_matrix."
        )
    np.fill_diagonal(matrix, np.inf)
    wrong = np.argwhere(~(matrix > 0.0) | (np.isinf(matrix) & ~np.eye(len(matrix), dtype=np.bool_)))
    if wrong.size:
        a, b = wrong[0].tolist()
        raise ValueError(
            f"distances[{a}, {b}] = {matrix[a, b]} is outside (0, inf). Make cities at one place a single city."
        )
    if not np.array_equal(matrix, matrix.T):
        raise ValueError("distances are not symmetric, but trails are. Give the same distance for both ways.")
    return matrix
