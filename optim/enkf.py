"""Ensemble Kalman filter as an optimizer: move an ensemble until its responses meet the targets.

Bit-identical repetition needs the same number of BLAS threads: cap it (OPENBLAS_NUM_THREADS=1), as the studies do.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed
from optim.enkf_config import EnKFConfig
from optim.ensemble import ALL, add_noise, effective_rank, in_row_blocks, nesterov, redraw, renew, spread_of, stretch
from optim.innovation import Innovation, check_targets, innovation_of, of_columns
from optim.kalman import Form, Prior, update, update_published
from optim.localisation import Group, Localisation, make_groups, update_corrected
from optim.search import Search
from optim.space import ParameterSpace

_MEASURES = ("spread", "misfit", "step", "effective_rank")
_SPREAD, _MISFIT, _STEP = 0, 1, 2
_FORMS: dict[str, Form] = {"joint": "joint", "perturbed": "joint", "denkf": "denkf", "sqrt": "sqrt"}
_WIDENED = 2.0  # momentum starts anew rather than widen the ensemble by this factor


class EnsembleKalmanFilter(Search):
    """Kalman-update an ensemble towards the genome whose responses are the targets.

    Responses are whatever the experiment gives, e.g. normalised fitness and food fractions of a colony, and targets
    the values an ideal colony would give; d = 1 with the fitness as the only response is possible. The fitness
    itself is read only by `selection` and to know who failed.

    Members are positions in unit coordinates of the space. They are brought back inside the bounds once, at the end
    of `tell`: the genome that is evaluated is the genome that is updated, but for the rounding of integers. The first
    generation is `initial`, bit for bit. Without noise, localisation, corrected correlations and bounds the
    ensemble stays in the affine span of `initial`.

    Failed members are left out of the update and redrawn from the Gaussian of the updated survivors.

    Parameters
    ----------
    initial : (J, n_params) float64, first ensemble, J >= 2, inside the bounds; kept as it is if it is read-only
    targets : (d,) float64, finite; None if all `Evaluations` bring theirs, which come before these
    seed : int >= 0 or SeedSequence
    localisation : which genes learn from which responses of an item: columns by block name, or pairs of genes (slice
        or indices) and columns; None: all from all
    noise_variance : (block_length,) or (d,) float64 > 0, variance of the noise on each response of an item, in units
        of gamma; None: 1
    prior_mean : (n_params,) float64, a genome inside the bounds, for `prior_sd`; None: the middle of the box
    renewed : names of the blocks for `renewal`; None: all

    Raises
    ------
    ValueError : if an argument is not as above.
    """

    _state: ClassVar[tuple[str, ...]] = (
        "unit",
        "first",
        "previous",
        "theta",
        "elapsed",
        "first_spread",
        "first_deviation",
        "average",
        "measured",
    )
    _resized: ClassVar[tuple[str, ...]] = ("first",)

    def __init__(
        self,
        space: ParameterSpace,
        config: EnKFConfig,
        *,
        initial: Array,
        targets: Array | None = None,
        seed: Seed,
        localisation: Localisation | None = None,
        noise_variance: Array | None = None,
        prior_mean: Array | None = None,
        renewed: Sequence[str] | None = None,
    ) -> None:
        space.check(initial)
        if len(initial) < 2:
            raise ValueError(f"initial has {len(initial)} members, but a covariance needs >= 2. Give more rows.")
        super().__init__(space, seed)
        self._config = config
        self._targets = None if targets is None else _finite_vector("targets", targets)
        self._noise_variance = _finite_vector("noise_variance", [1.0] if noise_variance is None else noise_variance)
        if not (self._noise_variance > 0.0).all():
            raise ValueError(
                f"noise_variance={noise_variance} must be > 0. Give e.g. 1e-6 for responses without noise."
            )
        if config.loss == "categorical" and noise_variance is not None:
            raise ValueError("noise_variance is given, but loss='categorical' has the noise of labels. Leave it out.")
        self._groups: tuple[Group, ...] = ()
        if localisation is not None:
            n_columns = config.block_length or (0 if self._targets is None else len(self._targets))
            self._groups = make_groups(localisation, space, n_columns)
        self._prior_mean = np.zeros(space.n_params)
        if prior_mean is not None:
            space.check(np.asarray(prior_mean)[None])
            self._prior_mean = space.to_unit(np.asarray(prior_mean, dtype=np.float64))
        initial = np.asarray(initial)
        is_ours = initial.dtype == np.float64 and initial.flags.c_contiguous and not initial.flags.writeable
        # Emptied by the first tell.
        self._first = initial if is_ours else np.array(initial, dtype=np.float64, order="C")
        self._unit = in_row_blocks(space.to_unit, self._first)
        self._previous = self._unit.copy() if config.momentum else np.empty((0, space.n_params))
        self._theta = 1.0
        self._elapsed = 0.0  # sum of all dt
        self._first_spread = spread_of(self._unit)
        self._renewed = [ALL] if renewed is None else [space.slices[name] for name in _known(renewed, space)]
        self._first_deviation = self._unit.std(axis=0) if config.renewal else np.empty(0)
        self._average = np.zeros(space.n_params if config.memory else 0)  # of the means so far, weighted
        self._measured = np.array([1.0, np.nan, np.nan, np.nan])  # _MEASURES

    @property
    def mean(self) -> Array:
        """(n_params,) float64, the current estimate of the best genome; a running mean if the config has a memory."""
        memory = self._config.memory
        if memory and self.generation:
            return self._space.from_unit(self._average / (1.0 - memory**self.generation))
        return self._space.from_unit(self._unit.mean(axis=0))

    def stop(self) -> dict[str, str]:
        """Why it makes no sense to go on: "collapsed", the ensemble cannot move any more; "finished", see `horizon`."""
        reasons = {}
        spread = self._measured[_SPREAD]
        if spread < self._config.tolerance:
            reasons["collapsed"] = f"the spread of the ensemble is {spread:.1e} of the first one"
        if self._elapsed >= self._config.horizon:
            reasons["finished"] = f"the steps have added up to the horizon {self._config.horizon:g}"
        return reasons

    def diagnostics(self) -> dict[str, float]:
        """Spread of the ensemble as a fraction of the first; misfit, step dt and effective rank of the last update.

        The misfit is the mean over members and responses of the squared residual in units of the noise variance, so
        that 1 is as good as the noise allows; with "cross_entropy" the mean over members and items of the cross
        entropy in nats. The effective rank is that of the covariance of the responses. NaN before the first `tell`.
        """
        return dict(zip(_MEASURES, self._measured.tolist(), strict=True))

    def _genomes(self) -> Array:
        """All members."""
        return self._first if len(self._first) else in_row_blocks(self._space.from_unit, self._unit)

    def _learn(self, evaluations: Evaluations) -> None:
        """Update the ensemble; after the horizon it stays as it is.

        Raises
        ------
        ValueError : if there are no responses, not one per target, or targets that do not fit the settings.
        RuntimeError : if fewer than two members survived, or the update is not defined; the state is unchanged.
        """
        responses, targets = self._checked(evaluations)
        if self._elapsed >= self._config.horizon:
            self._measured[_STEP] = 0.0
            return
        random_state = self._rng.bit_generator.state
        try:
            rows, is_copy = self._parents(evaluations)
            innovation = innovation_of(
                self._config, self._noise_variance, responses[rows], targets, self._config.horizon - self._elapsed
            )
            # In place where nobody is left out: ensembles are large, and after the checks above nothing is refused.
            is_whole = len(rows) == len(self._unit) and not is_copy.any() and not self._config.momentum
            members = self._unit if is_whole else self._unit[rows]
            self._update(members, innovation)
        except Exception:
            self._rng.bit_generator.state = random_state
            raise
        unit = self._completed(members, is_copy, evaluations.failed)
        self._unit = self._accelerated(unit, innovation.misfit, evaluations.failed) if self._config.momentum else unit
        self._first = np.empty((0, self._space.n_params))
        if memory := self._config.memory:
            self._average = memory * self._average + (1.0 - memory) * self._unit.mean(axis=0)
        is_last = innovation.step >= self._config.horizon - self._elapsed
        self._elapsed = self._config.horizon if is_last else self._elapsed + innovation.step
        spread = spread_of(self._unit) / (self._first_spread or 1.0)
        self._measured = np.array([spread, innovation.misfit, innovation.step, effective_rank(innovation.s)])

    def _checked(self, evaluations: Evaluations) -> tuple[Array, Array]:
        """Responses (J, d) and targets (d,) that belong together."""
        targets = self._targets if evaluations.targets is None else evaluations.targets
        if targets is None:
            raise ValueError("there are no targets. Give Evaluations(fitness, responses, targets).")
        d, responses = len(targets), evaluations.responses
        if responses is None or responses.shape[1] != d:
            given = None if responses is None else responses.shape
            raise ValueError(
                f"evaluations.responses is {given}, but must be ({len(evaluations)}, {d}): "
                "one column per target. Give Evaluations(fitness, responses)."
            )
        check_targets(self._config, targets, len(self._noise_variance))
        return responses, targets

    def _parents(self, evaluations: Evaluations) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Row of the member, or of the better one that replaces it, for each survivor; and which are such copies."""
        rows = np.flatnonzero(~evaluations.failed)
        if len(rows) < 2:
            raise RuntimeError(
                f"{len(rows)} of {len(evaluations)} ensemble members survived, but the update needs >= 2. "
                "Look for the cause in the failed runs, then evaluate the same genomes again."
            )
        is_copy = np.zeros(len(rows), dtype=np.bool_)
        n_copies = int(self._config.selection * len(rows))
        if n_copies:
            order = np.argsort(-evaluations.fitness[rows], kind="stable")
            worst = order[-n_copies:]
            is_copy[worst] = True
            rows[worst] = rows[self._rng.choice(order[:n_copies], n_copies)]
        return rows, is_copy

    def _update(self, members: Array, innovation: Innovation) -> None:
        """Kalman update of the members, in place, group by group."""
        config, length = self._config, self._config.block_length or innovation.s.shape[1]
        if config.variant == "perturbed":
            innovation = innovation._replace(e=innovation.e + self._rng.standard_normal(innovation.e.shape))
        prior = Prior(self._prior_mean, config.prior_sd**2 / innovation.step) if config.prior_sd < np.inf else None
        for genes, columns in self._groups or (Group(ALL, np.arange(length)),):
            ours = of_columns(innovation, columns, length)
            if config.variant == "published":
                update_published(members, *ours, len(columns), genes=genes)
            elif config.significance > 0.0 or config.shrinkage > 0.0:
                update_corrected(
                    members,
                    *ours,
                    significance=config.significance,
                    shrinkage=config.shrinkage,
                    form="denkf" if config.variant == "denkf" else "joint",
                    genes=genes,
                )
            else:
                update(members, *ours, form=_FORMS[config.variant], genes=genes, prior=prior)

    def _completed(self, members: Array, is_copy: NDArray[np.bool_], failed: NDArray[np.bool_]) -> Array:
        """(J, n_params) float64, the next ensemble: updated members, redrawn ones, inflation, inside the bounds."""
        config = self._config
        if is_copy.any():
            noise = config.selection_noise * self._rng.standard_normal((int(is_copy.sum()), members.shape[1]))
            members[is_copy] += noise
        unit = members
        if failed.any():
            unit = np.empty_like(self._unit)
            unit[~failed] = members
            unit[failed] = redraw(members, int(failed.sum()), self._rng)
        decayed = config.inflation_decay**self.generation
        if config.spread_inflation > 1.0:
            stretch(unit, 1.0 + (config.spread_inflation - 1.0) * decayed)
        for genes in self._renewed if config.renewal > 0.0 else ():
            sd = config.renewal_sd * self._first_deviation
            renew(unit, genes, config.renewal * decayed, sd, self._rng)
        if config.inflation > 0.0:
            add_noise(unit, config.inflation * decayed, self._rng)
        return in_row_blocks(self._space.confine, unit, out=unit)

    def _accelerated(self, unit: Array, misfit: float, failed: NDArray[np.bool_]) -> Array:
        """(J, n_params) float64, the updated ensemble moved on by part of its last change.

        Starts anew when the misfit has risen, or when the ensemble would become much wider.
        """
        before = self._measured
        self._theta, beta = nesterov(1.0 if misfit > before[_MISFIT] else self._theta)
        ahead = unit + beta * (unit - self._previous)
        ahead[failed] = unit[failed]  # redrawn: there is no last change
        if spread_of(ahead) > _WIDENED * before[_SPREAD] * self._first_spread:
            self._theta, ahead = 1.0, unit
        self._previous = unit
        return in_row_blocks(self._space.confine, ahead, out=ahead)


def _known(names: Sequence[str], space: ParameterSpace) -> Sequence[str]:
    unknown = [name for name in names if name not in space.slices]
    if unknown:
        raise ValueError(f"renewed names {unknown}, but the blocks are {list(space.names)}. Use their names.")
    return names


def _finite_vector(name: str, values: object) -> Array:
    vector = np.array(values, dtype=np.float64)
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise ValueError(f"{name}={values} must be (d,) finite numbers with d >= 1. Give one number per response.")
    return vector
