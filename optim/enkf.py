"""Ensemble Kalman filter as an optimizer: move an ensemble until its responses meet the targets.

Bit-identical repetition needs the same number of BLAS threads: cap it (OPENBLAS_NUM_THREADS=1), as the studies do.
"""

from dataclasses import dataclass

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.search import Search
from optim.space import ParameterSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class EnKFConfig:
    """Settings of `EnsembleKalmanFilter`.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    gamma: float = 0.1  # variance of the noise assumed on the targets, in squared units of the responses, > 0
    inflation: float = 0.0  # standard deviation of noise added to every gene, in units of half the bound range, >= 0
    inflation_decay: float = 1.0  # factor on the inflation per generation, (0, 1]

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma < np.inf:
            raise ValueError(
                f"EnKFConfig.gamma={self.gamma} is outside (0, inf): the update would not be defined. "
                "Give the squared error you accept in a response, e.g. 0.1."
            )
        if not 0.0 <= self.inflation < np.inf:
            raise ValueError(
                f"EnKFConfig.inflation={self.inflation} is outside [0, inf). Give e.g. 0.01, or 0 for none."
            )
        if not 0.0 < self.inflation_decay <= 1.0:
            raise ValueError(
                f"EnKFConfig.inflation_decay={self.inflation_decay} is outside (0, 1]. Give 1 for constant inflation."
            )


def solve_definite(matrix: Array, rhs: Array) -> Array:
    """X of `matrix` X = `rhs`, (n, m) float64; NaN if `matrix` is not positive definite in double precision."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(rhs, np.nan)
    return np.asarray(np.linalg.solve(matrix, rhs), dtype=np.float64)


def update_in_observation_space(ensemble: Array, responses: Array, targets: Array, gamma: float) -> Array:
    """u_j + C_ug (C_gg + gamma I)^-1 (y - g_j) for every member j; cheap when d <= J.

    Parameters
    ----------
    ensemble : (J, p) float64, members u_j
    responses : (J, d) float64, their responses g_j
    targets : (d,) float64, y
    gamma : float > 0, variance of the noise on the targets

    Returns
    -------
    (J, p) float64

    Source: Iglesias, Law and Stuart 2013, doi:10.1088/0266-5611/29/4/045001; covariances with divisor J and
    unperturbed targets as in Yegenoglu et al. 2020, doi:10.1007/978-3-030-64580-9_7.
    """
    n_members, n_responses = responses.shape
    a = ensemble - ensemble.mean(axis=0)
    b = responses - responses.mean(axis=0)
    c_gu = b.T @ a / n_members
    c_gg = b.T @ b / n_members
    scaled = solve_definite(c_gg + gamma * np.eye(n_responses), (targets - responses).T)
    return ensemble + scaled.T @ c_gu


def update_in_ensemble_space(ensemble: Array, responses: Array, targets: Array, gamma: float) -> Array:
    """The same update through (J, J) matrices, cheap when d > J: nothing of size p x d or d x d is formed.

    U + R B^T (B B^T / J + gamma I)^-1 A / J, with A and B the deviations of members and responses from their
    means and R = y - G; equal because (B^T B / J + gamma I)^-1 B^T = B^T (B B^T / J + gamma I)^-1.
    Parameters and result as in `update_in_observation_space`.
    """
    n_members = len(ensemble)
    a = ensemble - ensemble.mean(axis=0)
    b = responses - responses.mean(axis=0)
    gram = b @ b.T / n_members
    overlap = b @ (targets - responses).T / n_members
    weights = solve_definite(gram + gamma * np.eye(n_members), overlap)
    return ensemble + weights.T @ a


def redraw(survivors: Array, n: int, rng: np.random.Generator) -> Array:
    """(n, p) draws from the Gaussian with mean and covariance (divisor J) of `survivors` (J, p); stays in their span.

    Source: the failure handler of EnsembleKalmanProcesses.jl (sample from the Gaussian of the successful members).
    """
    mean = survivors.mean(axis=0)
    z = rng.standard_normal((n, len(survivors)))
    return mean + z @ (survivors - mean) / np.sqrt(len(survivors))


class EnsembleKalmanFilter(Search):
    """Kalman-update an ensemble towards the genome whose responses are the targets.

    Responses are whatever the experiment gives, e.g. normalised fitness and food fractions of a colony, and targets
    the values an ideal colony would give; d = 1 with the fitness as the only response is possible. The fitness
    itself is read only to know who failed.

    Updates are made in unit coordinates of the space, so `inflation` means the same for every gene. Members are
    clipped to the bounds once, at the end of `tell`: the genome that is evaluated is the genome that is updated.
    Without inflation and clipping the ensemble stays in the affine span of `initial`.

    Failed members are left out of the update and redrawn from the Gaussian of the updated survivors.

    Parameters
    ----------
    initial : (J, n_params) float64, first ensemble, J >= 2, inside the bounds
    targets : (d,) float64, finite
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ValueError : if `initial` or `targets` are not as above.
    """

    _state = ("ensemble",)

    def __init__(
        self, space: ParameterSpace, config: EnKFConfig, *, initial: Array, targets: Array, seed: Seed
    ) -> None:
        space.check(initial)
        if len(initial) < 2:
            raise ValueError(f"initial has {len(initial)} members, but a covariance needs >= 2. Give more rows.")
        targets = np.array(targets, dtype=np.float64)
        if targets.ndim != 1 or not targets.size or not np.isfinite(targets).all():
            raise ValueError(
                f"targets={targets} must be (d,) finite numbers with d >= 1. Give one number per response."
            )
        super().__init__(space, seed)
        self._config = config
        self._targets = targets
        self._ensemble = np.array(initial, dtype=np.float64)

    @property
    def mean(self) -> Array:
        """(n_params,) float64, the current estimate of the best genome."""
        return self._ensemble.mean(axis=0)

    def _genomes(self) -> Array:
        """All members."""
        return self._ensemble

    def _learn(self, evaluations: Evaluations) -> None:
        """Update the ensemble.

        Raises
        ------
        ValueError : if there are no responses, or not d per member.
        RuntimeError : if fewer than two members survived, or the update is not finite; the state is unchanged.
        """
        failed = evaluations.failed
        updated = self._update_survivors(evaluations)
        unit = np.empty_like(self._ensemble)
        unit[~failed] = updated
        if failed.any():
            unit[failed] = redraw(updated, int(failed.sum()), self._rng)
        if self._config.inflation > 0.0:
            scale = self._config.inflation * self._config.inflation_decay**self.generation
            unit += scale * self._rng.standard_normal(unit.shape)
        self._ensemble = self._space.from_unit(unit)

    def _update_survivors(self, evaluations: Evaluations) -> Array:
        """(J_s, n_params) float64, the updated survivors in unit coordinates."""
        n_targets = len(self._targets)
        if evaluations.responses is None or evaluations.responses.shape[1] != n_targets:
            given = None if evaluations.responses is None else evaluations.responses.shape
            raise ValueError(
                f"evaluations.responses is {given}, but must be ({len(evaluations)}, {n_targets}): "
                "one column per target. Give Evaluations(fitness, responses)."
            )
        survived = ~evaluations.failed
        n_survivors = int(survived.sum())
        if n_survivors < 2:
            raise RuntimeError(
                f"{n_survivors} of {len(evaluations)} ensemble members survived, but the update needs >= 2. "
                "Look for the cause in the failed runs, then evaluate the same genomes again."
            )
        update = update_in_observation_space if n_targets <= n_survivors else update_in_ensemble_space
        unit = self._space.to_unit(self._ensemble[survived])
        with np.errstate(over="ignore", invalid="ignore"):  # told below, as an error
            updated = update(unit, evaluations.responses[survived], self._targets, self._config.gamma)
        if not np.isfinite(updated).all():
            largest = np.abs(evaluations.responses[survived]).max()
            raise RuntimeError(
                f"the Kalman update is not finite: gamma={self._config.gamma} is out of proportion to responses as "
                f"large as {largest:.3g}. Scale responses and targets to about 1, or report such members as failed."
            )
        return updated
