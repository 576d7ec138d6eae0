"""Minimise a function in one call, with any of the optimizers: for those who need no study around it.

>>> result = minimize(lambda x: (x[0] - 3) ** 2 + abs(x[1] - 1), [-1.2, 0.5], "pso")
>>> result.x.round(3).tolist(), round(result.fun, 6), result.nit
([3.0, 1.0], 0.0, 200)

The same in four processes, and on the ranks of mpirun; there `fun` must be a function of a module:

    minimize(None, x0, "pso", evaluator=pool_evaluator(task_of, fun, 4, NO_LIMITS))
    launch(lambda make_evaluator: report(minimize(None, x0, "pso", evaluator=make_evaluator(fun))), task_of)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optim.base import Array, Optimizer
from optim.evaluators import Evaluator, SerialEvaluator
from optim.functions import Function, FunctionRecord, task_of
from optim.methods import FILTERS, METHODS, Start, make_optimizer
from optim.space import Block, ParameterSpace

MAX_GENERATIONS = 200  # where no other end is given
_HALF_WIDTH = 5.0  # of the box around x0, in units of max(1, |x0|)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimizeResult:
    """What `minimize` found; the names are those of SciPy's results."""

    x: Array  # (n_params,) float64, the best vector evaluated
    fun: float  # its value
    nit: int  # generations
    nfev: int  # evaluations, with those that failed
    n_failed: int  # evaluations that raised or gave no finite number
    success: bool  # the target was reached, or the optimizer says that it is done
    message: str  # why it ended
    history: Array = field(repr=False)  # (nit,) float64, the best value of each generation, NaN where all failed


def default_population(method: str, n_params: int) -> int:
    """Individuals per generation where none are given.

    An ensemble Kalman filter moves in the span of its members, so it has two per parameter, within [20, 200]. A
    model of the function ("optuna") learns from every evaluation, so it proposes few at once: 4. Others have 32.
    """
    if method in FILTERS:
        return min(max(20, 2 * n_params), 200)
    return 4 if method == "optuna" else 32


def minimize(
    fun: Function | None,
    x0: Sequence[float] | Array,
    method: str = "enkf",
    *,
    bounds: ParameterSpace | Sequence[tuple[float, float]] | None = None,
    config: Any = None,
    population_size: int | None = None,
    target: float | None = None,
    max_generations: int | None = None,
    max_evaluations: int | None = None,
    seed: int = 1,
    evaluator: Evaluator | None = None,
    callback: Callable[[MinimizeResult], object] | None = None,
) -> MinimizeResult:
    """Smallest value of a function within a box.

    `fun` takes a vector (n_params,) and returns a number, or a vector of residuals, of which the sum of squares is
    minimised. The ensemble Kalman filter, the default, is at its best with residuals: they are its responses, with
    targets 0. With a number, that is its only response, and `target` says what it can be at best.

    `x0` is evaluated first and alone, so the result is never worse. It is also the first individual; the others are
    drawn in the box. A call of `fun` that raises or gives no finite number is a failed individual: it counts
    in `n_failed`, and the search goes on. Ctrl-C is not caught; a `callback` can keep the best so far.

    Parameters
    ----------
    fun : None if an `evaluator` is given
    x0 : (n_params,) finite, inside the bounds
    method : name in `optim.methods.METHODS`
    bounds : (low, high) of every parameter, or a ParameterSpace for whole numbers and logarithms. By default x0 -/+
        5 max(1, abs(x0)); the message says when the result lies on the edge of that
    config : settings of the method, e.g. ESConfig(sigma=0.2); None for the defaults
    population_size : individuals per generation, >= 1; None for `default_population`
    target : the search ends when a value is at or below it; None = never, and 0 for the filter
    max_generations : >= 1; `MAX_GENERATIONS` if neither this nor `max_evaluations` is given
    max_evaluations : >= 1; no generation begins that would exceed it
    seed : int >= 0; the same seed gives the same result
    evaluator : runs `task_of(fun)` elsewhere, e.g. in a pool of processes or on MPI ranks; None = here
    callback : gets the result so far after every generation; ends the search if it returns something true

    Raises
    ------
    ValueError : if an argument is not as above.
    RuntimeError : if `fun` failed for all of the first population; shows the first failure.
    """
    space, start = _space_and_start(x0, bounds)
    limits = _Limits(target, max_generations, max_evaluations)
    n = default_population(method, space.n_params) if population_size is None else population_size
    _check_call(method, config, n, seed)
    record = FunctionRecord(_evaluator_of(fun, evaluator))

    sampling, searching = (np.random.SeedSequence(seed, spawn_key=(key,)) for key in range(2))
    initial = space.sample(np.random.default_rng(sampling), n)
    initial[0] = start
    record.begin(initial)
    targets = np.zeros(record.n_responses) if record.n_responses else np.array([target or 0.0])
    optimizer = make_optimizer(method, Start(space, initial, searching, targets), config)
    success, message = _search(optimizer, record, limits, callback)
    if bounds is None and ((record.x == space.low) | (record.x == space.high)).any():
        message += ". x lies on the edge of the default box around x0: give bounds"
    return _result(record, success, message)


@dataclass(frozen=True, slots=True)
class _Limits:
    """When `minimize` ends."""

    target: float | None
    max_generations: int | None
    max_evaluations: int | None

    def __post_init__(self) -> None:
        if self.target is not None and not np.isfinite(self.target):
            raise ValueError(f"target={self.target} is not a finite number. Give the value that suffices, or None.")
        for name in ("max_generations", "max_evaluations"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise ValueError(f"{name}={value} is not an integer >= 1. Give e.g. 100.")
        if self.max_generations is None and self.max_evaluations is None:
            object.__setattr__(self, "max_generations", MAX_GENERATIONS)


def _result(record: FunctionRecord, success: bool, message: str) -> MinimizeResult:
    """The result so far."""
    return MinimizeResult(
        x=record.x.copy(),
        fun=record.fun,
        nit=len(record.history),
        nfev=record.nfev,
        n_failed=record.n_failed,
        success=success,
        message=message,
        history=np.array(record.history, dtype=np.float64),
    )


def _search(
    optimizer: Optimizer, record: FunctionRecord, limits: _Limits, callback: Callable[[MinimizeResult], object] | None
) -> tuple[bool, str]:
    """Run the optimizer to its end; whether that is a success, and why it ended."""
    while True:
        end = _end(optimizer, record, limits)
        if end is not None:
            return end
        genomes = optimizer.ask()
        evaluations = record.evaluate(optimizer.generation + 1, genomes)
        try:
            optimizer.tell(genomes, evaluations)
        except RuntimeError as error:  # too few have survived for an update
            return False, str(error)
        if callback is not None and callback(_result(record, False, "running")):
            return False, "the callback asked to stop"


def _end(optimizer: Optimizer, record: FunctionRecord, limits: _Limits) -> tuple[bool, str] | None:
    """Whether the end is a success, and why it is there; None to go on."""
    if limits.target is not None and record.fun <= limits.target:
        return True, f"target={limits.target} was reached"
    reasons = optimizer.stop()
    if reasons:
        return True, "; ".join(f"{reason}: {sentence}" for reason, sentence in reasons.items())
    if optimizer.generation == limits.max_generations:
        return False, f"max_generations={limits.max_generations} are done"
    n = len(optimizer.ask())
    if limits.max_evaluations is not None and record.nfev + n > limits.max_evaluations:
        return False, f"max_evaluations={limits.max_evaluations} leave no room for another generation of {n}"
    return None


def _space_and_start(
    x0: Sequence[float] | Array, bounds: ParameterSpace | Sequence[tuple[float, float]] | None
) -> tuple[ParameterSpace, Array]:
    """The box to search and x0 as an array.

    Raises
    ------
    ValueError : if they are not vectors of numbers of one length, or x0 is not inside.
    """
    start = np.array(x0, dtype=np.float64)
    if start.ndim != 1 or not start.size or not np.isfinite(start).all():
        raise ValueError(f"x0={x0} must be a vector of finite numbers. Give e.g. [0.5, 0.5].")
    if isinstance(bounds, ParameterSpace):
        space = bounds
    else:
        half_width = _HALF_WIDTH * np.maximum(1.0, np.abs(start))
        pairs = np.array(
            np.stack([start - half_width, start + half_width], axis=1) if bounds is None else bounds, dtype=np.float64
        )
        if pairs.shape != (len(start), 2):
            raise ValueError(
                f"bounds have shape {pairs.shape}, but x0 has {len(start)} elements. Give a (low, high) for each."
            )
        space = ParameterSpace(tuple(Block(f"x[{i}]", 1, low, high) for i, (low, high) in enumerate(pairs.tolist())))
    if len(start) != space.n_params:
        raise ValueError(f"x0 has {len(start)} elements, but bounds {space.n_params}. Give one value per parameter.")
    outside = np.flatnonzero(~((start >= space.low) & (start <= space.high)))
    if outside.size:
        i = outside[0]
        raise ValueError(
            f"x0[{i}]={start[i]} is outside its bounds [{space.low[i]}, {space.high[i]}]. Move it or widen them."
        )
    space.check(start[None])
    return space, start


def _evaluator_of(fun: Function | None, evaluator: Evaluator | None) -> Evaluator:
    """What evaluates genomes.

    Raises
    ------
    ValueError : if both or none are given.
    """
    if fun is not None and evaluator is None:
        return SerialEvaluator(task_of(fun))
    if fun is None and evaluator is not None:
        return evaluator
    raise ValueError("give either fun or an evaluator, and the other as None: an evaluator runs task_of(fun) already.")


def _check_call(method: str, config: Any, population_size: int, seed: int) -> None:
    """Refuse what would fail later with a message that says less.

    Raises
    ------
    ValueError : if an argument does not fit.
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown. Choose one of {', '.join(sorted(METHODS))}.")
    expected = METHODS[method].config
    if config is not None and isinstance(expected, type) and not isinstance(config, expected):
        raise ValueError(f"config={config!r} does not fit method={method!r}. Give a {expected.__name__}, or None.")
    if not isinstance(population_size, int | np.integer) or population_size < 1:
        raise ValueError(f"population_size={population_size} is not an integer >= 1. Give e.g. 32.")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed={seed!r} is not an integer >= 0. Give e.g. seed=1.")
