"""An ensemble Kalman filter that chooses how many members it has and how often it sees a mini-batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from optim.base import Array, Evaluations, Seed
from optim.enkf import EnsembleKalmanFilter
from optim.enkf_config import EnKFConfig
from optim.ensemble import fittest, in_row_blocks, redraw
from optim.localisation import Localisation
from optim.misfit import squared_misfit
from optim.space import ParameterSpace

_MEASURES = ("members", "repetitions", "score")
_SCORE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveConfig(EnKFConfig):
    """Settings of `AdaptiveFilter`: those of the filter, and those of the rule that follows its score.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    smallest: int = 100  # fewest members the rule goes down to, 2 … largest; a smaller first ensemble may stay so
    largest: int = 1000  # most members the rule goes up to; a larger first ensemble may stay so
    factor: float = 1.25  # by which the number of members changes at once, > 1
    repetitions: int = 1  # generations that see the first mini-batch, 1 … max_repetitions
    max_repetitions: int = 4  # most generations that see the same mini-batch, >= 1; 1: a new one in every generation
    every: int = 10  # mini-batches between two looks at the score, >= 1
    threshold: float = 0.01  # change of the score between two looks that counts as large, >= 0
    errors: float = 2.0  # a change of up to so many of its standard errors counts as none, >= 0; 0: as published
    begin: float = 0.9  # the rule acts while the score is above this, < 1

    def __post_init__(self) -> None:
        EnKFConfig.__post_init__(self)
        for name, lowest in (("smallest", 2), ("max_repetitions", 1), ("every", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"AdaptiveConfig.{name}={value} is not an integer >= {lowest}. Leave out for default.")
        if not isinstance(self.largest, int) or self.largest < self.smallest:
            raise ValueError(
                f"AdaptiveConfig.largest={self.largest} is not an integer >= smallest={self.smallest}. "
                "Give the most members that can be evaluated."
            )
        if not isinstance(self.repetitions, int) or not 1 <= self.repetitions <= self.max_repetitions:
            raise ValueError(
                f"AdaptiveConfig.repetitions={self.repetitions} is not an integer from 1 to "
                f"max_repetitions={self.max_repetitions}. Give 1 for a new mini-batch in every generation."
            )
        if not 1.0 < self.factor < np.inf:
            raise ValueError(
                f"AdaptiveConfig.factor={self.factor} is outside (1, inf): the number of members would not change. "
                "Give e.g. 1.25."
            )
        for name in ("threshold", "errors"):
            if not 0.0 <= getattr(self, name) < np.inf:
                raise ValueError(f"AdaptiveConfig.{name}={getattr(self, name)} is outside [0, inf). Give 0 for none.")
        if not self.begin < 1.0:
            raise ValueError(
                f"AdaptiveConfig.begin={self.begin} is not below 1, the highest score: the rule would never act. "
                "Give e.g. 0.9, or -inf to act from the beginning."
            )


class Size(NamedTuple):
    """What a generation costs, and how many generations a mini-batch."""

    members: int
    repetitions: int  # generations that see the same mini-batch


class Look(NamedTuple):
    """The score of some mini-batches."""

    mean: float  # at most 1; NaN before there is one
    variance: float = 0.0  # of the mean: the square of its standard error


def next_size(size: Size, before: Look, now: Look, config: AdaptiveConfig) -> Size:
    """What the rule makes of two successive looks at the score; see `AdaptiveFilter`."""
    if np.isnan(before.mean) or not now.mean > config.begin:
        return size
    gain, (members, repetitions) = now.mean - before.mean, size
    if abs(gain) <= config.errors * np.sqrt(before.variance + now.variance):
        gain = 0.0
    if gain >= 0.0:
        if gain <= config.threshold:
            members = max(round(members / config.factor), min(members, config.smallest))
        return Size(members, max(repetitions - 1, 1))
    if gain < -config.threshold:
        members = min(round(members * config.factor), max(members, config.largest))
    return Size(members, min(repetitions + 1, config.max_repetitions))


class AdaptiveFilter(EnsembleKalmanFilter):
    """`EnsembleKalmanFilter` whose ensemble shrinks while it does well and grows, and repeats, when it gets worse.

    The score of a mini-batch is how good the mean response of the members is on it before they learn from it, so it
    is a test on new data that costs nothing: with the losses of classes the share of items whose largest mean response
    is that of the right class; with squared errors the share of the misfit of the first mini-batch that is gone. Both
    are 1 at best. Repetitions of a mini-batch are no test and do not count.

    After every `every` mini-batches the mean of their scores is compared with that of the mini-batches before:

    - better or equal: one repetition fewer; and if by no more than `threshold`, fewer members
    - worse: one repetition more; and if by more than `threshold`, more members

    but nothing changes at the first look and while the score is not above `begin`. Scores of few items are noisy, so
    equal is what differs by no more than `errors` standard errors, as the scores of the mini-batches vary: a search
    that has come to rest shrinks, and does not answer to chance.

    When the ensemble shrinks, the members with the lowest fitness in this generation go; failed ones have the lowest,
    of equal ones the last go. When it grows, the new members are drawn from the Gaussian of the ensemble, so that its
    mean and covariance stay in expectation and its span stays. Momentum then starts anew.

    `batch` says which mini-batch the next generation is to see; responses must be computed anew for its repetitions.
    Without mini-batches, that is with the same targets in all generations, give ``max_repetitions=1``.

    Parameters
    ----------
    config : AdaptiveConfig
    all others : as for `EnsembleKalmanFilter`; `initial` has the first number of members

    Source: Yegenoglu et al. 2020, doi:10.1007/978-3-030-64580-9_7, and Yegenoglu's thesis, section 4.4.4 (there every
    500 updates, 1,000 to 9,000 members by steps of 1,000, 0 to 8 repetitions, one point of accuracy, above 90 %).
    Deviates: the score is that of the mini-batches and not of the test images, which must not decide on the training;
    looks are counted in mini-batches, so that each has as many tests; the error of the score counts, which is larger
    than that of all test images; members change by a factor, which suits 100 as well as 1,000 of them; and they really
    come and go, while the published program only changes a divisor.
    """

    _state = ("told", "looked", "first_misfit", "scores", "batch", "shown", "repetitions", *EnsembleKalmanFilter._state)
    _resized = ("scores", "unit", "previous", *EnsembleKalmanFilter._resized)

    def __init__(
        self,
        space: ParameterSpace,
        config: AdaptiveConfig,
        *,
        initial: Array,
        targets: Array | None = None,
        seed: Seed,
        localisation: Localisation | None = None,
        noise_variance: Array | None = None,
        prior_mean: Array | None = None,
        renewed: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            space,
            config,
            initial=initial,
            targets=targets,
            seed=seed,
            localisation=localisation,
            noise_variance=noise_variance,
            prior_mean=prior_mean,
            renewed=renewed,
        )
        self._rule = config
        self._batch = 0
        self._shown = 0  # generations that have seen it
        self._repetitions = config.repetitions
        self._scores = np.empty(0)  # of the mini-batches since the last look
        self._looked = np.array([np.nan, np.nan])  # Look
        self._first_misfit = np.array([np.nan])
        self._told = np.array([len(initial), config.repetitions, np.nan])  # _MEASURES

    @property
    def batch(self) -> int:
        """Number of the mini-batch that the next generation is to see, from 0."""
        return self._batch

    def diagnostics(self) -> dict[str, float]:
        """Those of the filter; members and repetitions of the last update, and the score of its mini-batch."""
        return super().diagnostics() | dict(zip(_MEASURES, self._told.tolist(), strict=True))

    def _learn(self, evaluations: Evaluations) -> None:
        """Update the ensemble, then follow the rule; raises as the filter does."""
        is_over = self._elapsed >= self._rule.horizon
        super()._learn(evaluations)
        if is_over:
            return
        score = self._told[_SCORE] if self._shown else self._score(evaluations)
        self._told = np.array([len(self._unit), self._repetitions, score])
        if not self._shown:
            self._scores = np.append(self._scores, score)
        self._shown += 1
        if self._shown < self._repetitions:
            return
        self._shown = 0
        self._batch += 1
        if len(self._scores) == self._rule.every:
            self._look(evaluations.fitness)

    def _look(self, fitness: Array) -> None:
        n_scores = len(self._scores)
        now = Look(self._scores.mean(), self._scores.var(ddof=1) / n_scores if n_scores > 1 else 0.0)
        n, self._repetitions = next_size(Size(len(self._unit), self._repetitions), Look(*self._looked), now, self._rule)
        self._looked = np.array(now)
        self._scores = np.empty(0)
        self._resize(n, fitness)

    def _score(self, evaluations: Evaluations) -> float:
        """Of the mean response of the members that did not fail, see the class; at most 1."""
        responses, targets = self._checked(evaluations)
        response = responses[~evaluations.failed].mean(axis=0)
        if self._rule.loss != "squared":
            length = self._rule.block_length or len(targets)
            chosen, right = (values.reshape(-1, length).argmax(axis=1) for values in (response, targets))
            return float((chosen == right).mean())
        variances = np.resize(self._noise_variance, len(targets))
        misfit = float(squared_misfit(response[None], targets, variances)[1][0]) / len(targets)
        if np.isnan(self._first_misfit[0]):
            self._first_misfit = np.array([misfit])
        return 1.0 - misfit / (float(self._first_misfit[0]) or 1.0)

    def _resize(self, n: int, fitness: Array) -> None:
        """Go on with the `n` members of the highest `fitness` (J,), or with new ones beside all."""
        before = len(self._unit)
        if n == before:
            return
        if n < before:
            self._unit = self._unit[fittest(fitness, n)]
        else:
            new = redraw(self._unit, n - before, self._rng)
            self._unit = np.concatenate([self._unit, in_row_blocks(self._space.confine, new, out=new)])
        self._first_spread *= float(np.sqrt(n / before))  # it is a sum over members
        if self._rule.momentum:
            self._theta, self._previous = 1.0, self._unit.copy()
