"""Particle swarm: positions that fly towards the best they and the swarm have seen."""

from dataclasses import dataclass

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace

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


class ParticleSwarm(Search):
    """Fly a swarm in which every particle knows the best position of all.

    Positions and velocities are in unit coordinates of the space. A particle that meets a bound keeps the velocity of
    the way it could go. Velocities begin half-way to a random point of the box, none above `max_velocity`.

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

    _state = ("position", "velocity", "best_position", "best_fitness")

    def __init__(self, space: ParameterSpace, config: PSOConfig, *, initial: Array, seed: Seed) -> None:
        space.check(initial)
        if len(initial) < 2:
            raise ValueError(f"initial has {len(initial)} particles, but a swarm needs >= 2. Give more rows.")
        super().__init__(space, seed)
        self._config = config
        self._position = space.to_unit(np.asarray(initial, dtype=np.float64))
        halfway = 0.5 * (self._draw() - self._position)
        self._velocity = np.clip(halfway, -config.max_velocity, config.max_velocity)
        self._best_position = self._position.copy()
        self._best_fitness = np.full(len(initial), np.nan)  # NaN = has had none so far

    def _draw(self) -> Array:
        """(n_particles, n_params) random points of the box in unit coordinates."""
        return self._space.to_unit(self._space.sample(self._rng, len(self._position)))

    def _genomes(self) -> Array:
        """Where the particles are."""
        return self._space.from_unit(self._position)

    def _learn(self, evaluations: Evaluations) -> None:
        """Remember the best positions and fly on."""
        config = self._config
        fitness = evaluations.fitness
        is_best = (fitness > self._best_fitness) | (np.isnan(self._best_fitness) & ~np.isnan(fitness))
        self._best_fitness = np.where(is_best, fitness, self._best_fitness)
        has_none = np.isnan(self._best_fitness)
        # Without a best position of its own a particle is not pulled back.
        self._best_position = np.where((is_best | has_none)[:, None], self._position, self._best_position)
        if has_none.all():
            self._position = self._draw()
            return
        leader = self._best_position[np.nanargmax(self._best_fitness)]
        own, common = self._rng.random((2, *self._position.shape))
        velocity = (
            config.inertia * self._velocity
            + config.cognitive * own * (self._best_position - self._position)
            + config.social * common * (leader - self._position)
        )
        velocity = np.clip(velocity, -config.max_velocity, config.max_velocity)
        position = self._space.confine(self._position + velocity)
        self._velocity = position - self._position
        self._position = position

    def stop(self) -> dict[str, str]:
        """Says "converged" when all particles are at one point and at rest."""
        at_rest = np.abs(self._velocity).max() < _SAME_POINT
        if not at_rest or np.ptp(self._position, axis=0).max() >= _SAME_POINT:
            return {}
        return {"converged": f"all particles are within {_SAME_POINT} of one point in unit coordinates, and at rest"}

    def diagnostics(self) -> dict[str, float]:
        """Mean over the genes of the standard deviation over the swarm and of the speed, in unit coordinates."""
        spread = float(self._position.std(axis=0).mean())
        return {"spread": spread, "speed": float(np.abs(self._velocity).mean())}
