"""Settings of the ensemble Kalman filter; docs/enkf.md says which to take when."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Variant = Literal["joint", "perturbed", "denkf", "sqrt", "published"]
Loss = Literal["squared", "cross_entropy", "categorical"]
Step = Literal["fixed", "misfit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnKFConfig:
    """Settings of `EnsembleKalmanFilter`; lengths of genes are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range, or two settings exclude each other.
    """

    variant: Variant = "joint"  # form of the update, see docs/enkf.md
    loss: Loss = "squared"  # others: responses are logits, targets the probabilities of their softmax, see docs/enkf.md
    block_length: int = 0  # responses per item, e.g. classes per image, >= 0; 0: all responses are one item
    gamma: float = 0.1  # variance of the noise assumed on the targets, in squared units of the responses, > 0;
    # with loss="categorical" an item counts 1 / gamma times
    step: Step = "fixed"  # "fixed": gamma as it is; "misfit": gamma / dt with dt from the data misfit of the ensemble
    min_step: float = 1e-8  # bounds of dt where it comes from the misfit, 0 < min_step <= max_step
    max_step: float = 1e8
    horizon: float = np.inf  # sum of all dt ("fixed": of ones) at which the search is over, > 0; 1: Bayes' posterior
    prior_sd: float = np.inf  # standard deviation of a Gaussian prior of every gene, > 0; inf: none
    inflation: float = 0.0  # standard deviation of noise added to every gene, >= 0
    spread_inflation: float = 1.0  # factor on the deviations from the mean after every update, >= 1
    inflation_decay: float = 1.0  # factor per generation on `inflation`, `renewal` and `spread_inflation` - 1, (0, 1]
    renewal: float = 0.0  # share of the variance of the deviations that is drawn anew after every update, [0, 1]
    renewal_sd: float = 1.0  # … with so many times the standard deviations of the first ensemble, > 0
    memory: float = 0.0  # share of the past in the running mean that is the result, [0, 1); 0: the last mean
    selection: float = 0.0  # fraction of members, the worst, that become copies of as many best ones, [0, 0.5]
    selection_noise: float = 0.1  # standard deviation of noise added to these copies after the update, >= 0
    momentum: bool = False  # Nesterov's acceleration, with restarts
    significance: float = 0.0  # a gene learns from responses with |correlation| > this / sqrt(J), >= 0; 0: from all
    shrinkage: float = 0.0  # correlations r become r |r|^shrinkage, >= 0; 0: as they are
    tolerance: float = 1e-6  # the ensemble has collapsed when its spread, relative to the first, is below, >= 0

    def __post_init__(self) -> None:
        for name, known in (("variant", Variant), ("loss", Loss), ("step", Step)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"EnKFConfig.{name}={getattr(self, name)!r} is unknown. Choose one of {', '.join(get_args(known))}."
                )
        self._check_ranges()
        self._check_combinations()

    def _check_ranges(self) -> None:
        if not isinstance(self.block_length, int) or self.block_length < 0:
            raise ValueError(
                f"EnKFConfig.block_length={self.block_length} is not an integer >= 0. "
                "Give the number of responses per item, or 0 if all are one item."
            )
        if not 0.0 < self.gamma < np.inf:
            raise ValueError(
                f"EnKFConfig.gamma={self.gamma} is outside (0, inf): the update would not be defined. "
                "Give the squared error you accept in a response, e.g. 0.1."
            )
        for name in ("min_step", "max_step"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"EnKFConfig.{name}={getattr(self, name)} is outside (0, inf). Leave out for default.")
        if self.min_step > self.max_step:
            raise ValueError(f"EnKFConfig.min_step={self.min_step} is above max_step={self.max_step}. Exchange them.")
        for name in ("horizon", "prior_sd"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"EnKFConfig.{name}={getattr(self, name)} is outside (0, inf]. Give inf for none.")
        for name in ("inflation", "selection_noise", "significance", "shrinkage", "tolerance"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"EnKFConfig.{name}={getattr(self, name)} is outside [0, inf). Give 0 for none.")
        if not 1.0 <= self.spread_inflation < np.inf:
            raise ValueError(
                f"EnKFConfig.spread_inflation={self.spread_inflation} is outside [1, inf). Give 1 for none, e.g. 1.02."
            )
        if not 0.0 < self.inflation_decay <= 1.0:
            raise ValueError(
                f"EnKFConfig.inflation_decay={self.inflation_decay} is outside (0, 1]. Give 1 for constant inflation."
            )
        if not 0.0 <= self.renewal <= 1.0:
            raise ValueError(f"EnKFConfig.renewal={self.renewal} is outside [0, 1]. Give 0 for none, e.g. 0.1.")
        if not 0.0 < self.renewal_sd < np.inf:
            raise ValueError(f"EnKFConfig.renewal_sd={self.renewal_sd} is outside (0, inf). Leave it out for 1.")
        if not 0.0 <= self.memory < 1.0:
            raise ValueError(f"EnKFConfig.memory={self.memory} is outside [0, 1). Give 0 for none, e.g. 0.9.")
        if not 0.0 <= self.selection <= 0.5:
            raise ValueError(f"EnKFConfig.selection={self.selection} is outside [0, 0.5]. Give 0 for none.")

    def _check_combinations(self) -> None:
        corrects = self.significance > 0.0 or self.shrinkage > 0.0
        has_prior = self.prior_sd < np.inf
        for is_on, first, second, why in (
            (
                self.loss == "cross_entropy" and self.variant not in ("joint", "published"),
                "loss='cross_entropy'",
                f"variant={self.variant!r}",
                "it splits the residual into mean and deviation, which needs a residual linear in the responses",
            ),
            (
                self.loss == "categorical" and self.variant in ("perturbed", "published"),
                "loss='categorical'",
                f"variant={self.variant!r}",
                "labels have no noise to draw, and the published filter weighs all responses alike",
            ),
            (
                self.loss == "cross_entropy" and self.step == "misfit",
                "loss='cross_entropy'",
                "step='misfit'",
                "the step is derived for squared errors",
            ),
            (
                corrects and self.variant in ("sqrt", "published"),
                "significance or shrinkage",
                f"variant={self.variant!r}",
                "correlations are corrected in the gain of 'joint', 'perturbed' and 'denkf' only",
            ),
            (
                corrects and has_prior,
                "significance or shrinkage",
                "prior_sd",
                "the prior would need the correlations of all pairs of genes",
            ),
            (
                has_prior and self.variant in ("perturbed", "published"),
                "prior_sd",
                f"variant={self.variant!r}",
                "the prior is assimilated with the responses and without noise",
            ),
            (
                self.momentum
                and (self.inflation > 0.0 or self.renewal > 0.0 or self.selection > 0.0 or self.variant == "perturbed"),
                "momentum",
                "inflation, renewal, selection or variant='perturbed'",
                "acceleration amplifies noise",
            ),
        ):
            if is_on:
                raise ValueError(f"EnKFConfig: {first} excludes {second}: {why}. Leave out one of them.")
