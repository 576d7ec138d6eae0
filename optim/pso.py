"""Particle swarm: positions that fly towards the best they and the swarm have seen."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.coordinates import Coordinates
from optim.random_bits import Lanes, fill_words, make_lanes, n_words
from optim.search import Search
from optim.space import ParameterSpace

_N_AT_ONCE = 2048  # genes; their random bits then stay in the first-level cache
_SAME_POINT = 1e-12  # spread in unit coordinates below which all genomes are the same but for rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class PSOConfig:
    """Settings of `ParticleSwarm`; the defaults are the constriction coefficients.

    These are chi = 0.7298 and chi times 2.05 twice (Clerc and Kennedy 2002). Other pairs give the form with an
    inertia weight (Shi and Eberhart 1998): the two differ in their numbers only.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    inertia: float = 0.7298  # part of the velocity that is kept, [0, 1)
    cognitive: float = 1.49618  # largest pull to a particle's own best, >= 0
    social: float = 1.49618  # largest pull to the swarm's best, >= 0
    max_velocity: float = 1.0  # per gene and generation, in units of half the bound range, > 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.inertia < 1.0:
            raise ValueError(
                f"PSOConfig.inertia={self.inertia} is outside [0, 1): the swarm would not come to rest. Give e.g. 0.7."
            )
        for name in ("cognitive", "social"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise ValueError(f"PSOConfig.{name}={value} is outside [0, inf). Give e.g. 1.5, or 0 for none.")
        if not 0.0 < self.max_velocity < np.inf:
            raise ValueError(
                f"PSOConfig.max_velocity={self.max_velocity} is outside (0, inf). Give e.g. 1, half the box."
            )


@njit(cache=True)
def fly(
    position: Array,
    previous: Array,
    best: Array,
    is_best: NDArray[np.bool_],
    leader: Array,
    inertia: float,
    cognitive: float,
    social: float,
    reach: Array,
    low: Array,
    high: Array,
    lanes: Lanes,
    out: Array,
) -> None:
    """Next positions of a swarm, in one pass through memory.

    Parameters
    ----------
    position, previous : (n, n_params) float64, where the particles are and were; the difference is their velocity
    best : (n, n_params) float64, their best positions so far; overwritten by `position` where `is_best` (n,)
    leader : (n_params,) float64, the best position of all
    inertia, cognitive, social : see `PSOConfig`
    reach : (n_params,) float64, largest velocity, > 0
    low, high : (n_params,) float64, the box
    lanes : source of random bits, see `optim.random_bits`, two numbers of 32 bits for each gene; moved on
    out : (n, n_params) float64, written
    """
    n, n_params = position.shape
    words = np.empty(n_words(64 * min(n_params, _N_AT_ONCE)), dtype=np.uint64)
    bits = words.view(np.int32)
    cognitive_step, social_step = cognitive * 2.0**-32, social * 2.0**-32
    for i in range(n):
        for start in range(0, n_params, _N_AT_ONCE):
            part = slice(start, min(start + _N_AT_ONCE, n_params))
            m = part.stop - start
            x, before, own, new = position[i, part], previous[i, part], best[i, part], out[i, part]
            common, fastest, least, most = leader[part], reach[part], low[part], high[part]
            own_bits, common_bits = bits[:m], bits[m : 2 * m]
            fill_words(lanes, words[: n_words(64 * m)])
            if is_best[i]:
                own[:] = x
            for j in range(m):
                own_pull = cognitive_step * own_bits[j] + 0.5 * cognitive  # uniform in [0, cognitive)
                common_pull = social_step * common_bits[j] + 0.5 * social
                velocity = inertia * (x[j] - before[j]) + own_pull * (own[j] - x[j]) + common_pull * (common[j] - x[j])
                velocity = velocity if velocity > -fastest[j] else -fastest[j]
                velocity = velocity if velocity < fastest[j] else fastest[j]
                y = x[j] + velocity
                y = y if y > least[j] else least[j]
                new[j] = y if y < most[j] else most[j]


class ParticleSwarm(Search):
    """Fly a swarm in which every particle knows the best position of all.

    Positions are genes, or unit coordinates of the space if some genes need more than their bounds, see `Coordinates`.
    The velocity is the way of the last generation, so a particle that meets a bound keeps the velocity of the way it
    could go. Velocities begin half-way to a random point of the box, none above `max_velocity`.

    A failed particle flies on, and where it was never becomes a best position. As long as no particle has ever had a
    fitness, the swarm is drawn anew in the box. A best position keeps the fitness it had: with a noisy fitness, a
    lucky one stays.

    Parameters
    ----------
    initial : (n_particles, n_params) float64, first positions, inside the bounds; at least 2
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` has too few rows or leaves the bounds.

    Source: Kennedy and Eberhart 1995, doi:10.1109/ICNN.1995.488968; coefficients of Clerc and Kennedy 2002,
    doi:10.1109/4235.985692; inertia of Shi and Eberhart 1998, doi:10.1109/ICEC.1998.699146. Deviates: bounds and
    failures as above.
    """

    _state = ("position", "previous", "best_position", "best_fitness")

    def __init__(self, space: ParameterSpace, config: PSOConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if len(initial) < 2:
            raise ValueError(f"initial has {len(initial)} particles, but a swarm needs >= 2. Give more rows.")
        super().__init__(space, seed)
        self._config = config
        self._coordinates = Coordinates(space)
        self._reach = config.max_velocity * self._coordinates.half
        self._position = self._coordinates.of(initial)  # a new array in every generation: it may be asked
        halfway = 0.5 * (self._draw() - self._position)
        self._previous = self._position - np.clip(halfway, -self._reach, self._reach)
        self._best_position = self._position.copy()
        self._best_fitness = np.full(len(initial), np.nan)  # NaN = has had none so far

    def _draw(self) -> Array:
        """(n_particles, n_params) random positions in the box."""
        return self._coordinates.of(self._space.sample(self._rng, len(self._position)))

    def _genomes(self) -> Array:
        """Where the particles are."""
        return self._coordinates.genomes(self._position)

    def _learn(self, evaluations: Evaluations) -> None:
        """Remember the best positions and fly on."""
        config, position, best_fitness = self._config, self._position, self._best_fitness
        fitness = evaluations.fitness
        is_best = (fitness > best_fitness) | (np.isnan(best_fitness) & ~np.isnan(fitness))
        best_fitness = np.where(is_best, fitness, best_fitness)
        has_none = np.isnan(best_fitness)
        if has_none.all():
            self._position = self._draw()
            self._previous = self._position - (position - self._previous)  # the velocity stays
            return
        first = int(np.nanargmax(best_fitness))
        leader = (position if is_best[first] else self._best_position)[first].copy()
        is_best |= has_none  # without a best position of its own a particle is not pulled back
        moved, lanes = np.empty_like(position), make_lanes(self._rng)
        pulls = (config.inertia, config.cognitive, config.social)
        box = (self._reach, self._coordinates.low, self._coordinates.high)
        fly(position, self._previous, self._best_position, is_best, leader, *pulls, *box, lanes, moved)
        self._coordinates.confine(moved)
        self._best_fitness = best_fitness
        self._position, self._previous = moved, position

    def stop(self) -> dict[str, str]:
        """Says "converged" when all particles are at one point and at rest."""
        position, smallest = self._position, _SAME_POINT * self._coordinates.half

        def is_none(way: Array) -> bool:
            return bool((np.abs(way) < smallest).all())

        ends = is_none(position[-1] - position[0])  # usually says it all, in one row
        if not (ends and is_none(position - self._previous) and is_none(np.ptp(position, axis=0))):
            return {}
        return {"converged": f"all particles are within {_SAME_POINT} of one point in unit coordinates, and at rest"}

    def diagnostics(self) -> dict[str, float]:
        """Mean over the genes of the standard deviation over the swarm and of the speed, in unit coordinates."""
        half, position = self._coordinates.half, self._position
        spread = (position - position[0]).std(axis=0) / half  # 0 for equals
        speed = np.abs(position - self._previous).mean(axis=0) / half
        return {"spread": float(spread.mean()), "speed": float(speed.mean())}
