"""A plain function as the work of an evaluator, and a record of what it gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optim.base import Array, Evaluations
from optim.evaluators import Evaluator
from optim.tasks import Task, TaskFunction

Function = Callable[[Array], "float | Array"]


@dataclass(frozen=True, slots=True)
class FunctionTask:
    """What `task_of` returns: a class and no closure, so that it can be sent to other processes if `fun` can."""

    fun: Function

    def __call__(self, task: Task, genome: Array) -> Array:
        returned = np.asarray(self.fun(np.array(genome)), dtype=np.float64)
        if returned.ndim == 0:
            return returned[None]
        if returned.ndim > 1 or not returned.size:
            raise ValueError(
                f"fun returned an array of shape {returned.shape}. Give a number, or a vector (d,) of residuals."
            )
        return np.concatenate([[returned @ returned], returned])


def task_of(fun: Function) -> TaskFunction:
    """The task function of `fun`, for an evaluator of one's own: (1 + d,) float64, its value, then its responses.

    A number is the value, without responses. A vector is residuals: they are the responses, and the value is
    the sum of their squares.
    """
    return FunctionTask(fun)


class FunctionRecord:
    """Evaluates genomes and counts; `x` is the best so far, with the value `fun`."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._first_error = ""
        self._n_values = 0  # per evaluation, 0 = not known yet
        self.x: Array = np.empty(0)
        self.fun = np.inf
        self.nfev = 0
        self.n_failed = 0
        self.history: list[float] = []

    @property
    def n_responses(self) -> int:
        """Residuals per evaluation, 0 if it gives a number."""
        return self._n_values - 1

    def begin(self, initial: Array) -> None:
        """Evaluate x0, the first row; if it fails the other rows too: something must say what `fun` returns.

        Raises
        ------
        RuntimeError : if all failed.
        """
        for genomes in (initial[:1], initial[1:]):
            if np.isfinite(self._values(0, genomes)).any():
                return
        raise RuntimeError(
            f"fun failed for x0 and all other individuals of the first population, {self.nfev} in all. The first "
            f"failure: {self._first_error}"
        )

    def evaluate(self, generation: int, genomes: Array) -> Evaluations:
        """What the optimizer is told; here a value becomes a fitness, which is maximised."""
        values = self._values(generation, genomes)
        self.history.append(float(np.fmin.reduce(values[:, 0])))
        return Evaluations(-values[:, 0], values[:, 1:] if self.n_responses else values)

    def _values(self, generation: int, genomes: Array) -> Array:
        """(n, n_values) float64, a row of NaN for those that failed."""
        results = self._evaluator.evaluate(generation, genomes, 1)
        known = {row: result.values for row, result in enumerate(results) if result.values is not None}
        for size in {len(values) for values in known.values()}:
            self._n_values = self._n_values or size
            if size != self._n_values:
                raise ValueError(
                    f"fun returned {size - 1} residuals, but {self.n_responses} before. Return as many for every x."
                )
        values = np.full((len(results), max(1, self._n_values)), np.nan)
        for row, found in known.items():
            values[row] = found
            if found[0] < self.fun:
                self.x, self.fun = np.array(genomes[row]), float(found[0])
        errors = [result.error for result in results if result.values is None]
        self._first_error = self._first_error or next(iter(errors), "")
        self.nfev += len(results)
        self.n_failed += len(errors)
        return values
