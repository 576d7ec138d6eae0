"""Ask/tell bookkeeping that all optimizers share; an algorithm adds how rows are formed and what they teach."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optim.base import Array, Evaluations, Seed, make_rng, restore_rng
from optim.space import ParameterSpace


class Search:
    """Base class of the optimizers; see `optim.base.Optimizer` for what its methods promise.

    A subclass draws its first generation in the constructor and says

    - in `_state`, which of its attributes change: arrays, numbers, texts, None, or dicts of them;
    - in `_resized`, which of these arrays change their shape;
    - in `_genomes`, which rows are to be evaluated now, as a function of the state;
    - in `_learn`, how their evaluations change the state. It must not change anything before its last error.

    Parameters
    ----------
    seed : int >= 0 or SeedSequence
    """

    _state: ClassVar[tuple[str, ...]] = ()
    _resized: ClassVar[tuple[str, ...]] = ()

    def __init__(self, space: ParameterSpace, seed: Seed) -> None:
        self._space = space
        self._rng = make_rng(seed)
        self._open: Array | None = None  # the rows of this generation, once they were needed
        self._is_asked = False
        self.generation = 0

    def _genomes(self) -> Array:
        """(n, n_params) float64, rows to evaluate, inside the bounds: a new array, or one that is never written to."""
        raise NotImplementedError

    def _learn(self, evaluations: Evaluations) -> None:
        """Form the next generation; row i of the evaluations belongs to row i of `_genomes()`."""
        raise NotImplementedError

    def ask(self) -> Array:
        """(n, n_params) float64, the genomes to evaluate; see `Optimizer`."""
        asked = self._rows()
        self._is_asked = True
        return asked

    def tell(self, genomes: Array, evaluations: Evaluations) -> None:
        """Learn from the evaluations of the asked genomes; see `Optimizer`."""
        if not self._is_asked:
            raise RuntimeError(
                "tell() without an open ask(): there is no generation to score. Call ask() before tell()."
            )
        order = _row_order(self._rows(), genomes, len(evaluations))
        if order is not None:
            responses = None if evaluations.responses is None else evaluations.responses[order]
            evaluations = Evaluations(evaluations.fitness[order], responses, evaluations.targets)
        self._learn(evaluations)
        self._open = None
        self._is_asked = False
        self.generation += 1

    def stop(self) -> dict[str, str]:
        """Why it makes no sense to go on; see `Optimizer`."""
        return {}

    def diagnostics(self) -> dict[str, float]:
        """What the search looks like inside; see `Optimizer`."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes; see `Optimizer`."""
        return {name: _copied(value) for name, value in self._present().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; see `Optimizer`."""
        _check_state(state, self._present(), self._resized)
        rng = restore_rng(state["rng"])
        for name in self._state:
            setattr(self, f"_{name}", _copied(state[name]))
        self._rng = rng
        self._open = None
        self._is_asked = bool(state["is_asked"])
        self.generation = int(state["generation"])

    def _present(self) -> dict[str, Any]:
        """As `state_dict`, with the arrays of this search itself."""
        return {
            "algorithm": type(self).__name__,
            "generation": self.generation,
            "is_asked": self._is_asked,
            "rng": self._rng.bit_generator.state,
        } | {name: getattr(self, f"_{name}") for name in self._state}

    def _rows(self) -> Array:
        if self._open is None:
            rows = self._genomes()
            rows.setflags(write=False)
            self._open = rows
        return self._open


def _copied(value: Any) -> Any:
    """The same value with arrays of its own."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _row_order(asked: Array, genomes: Array, n_evaluations: int) -> NDArray[np.intp] | None:
    """Where each asked row stands among the told `genomes`; None if they are in order.

    Raises
    ------
    ValueError : if shape, values or number of evaluations differ.
    """
    if np.shape(genomes) != asked.shape:
        raise ValueError(
            f"tell() got genomes of shape {np.shape(genomes)}, but ask() returned {asked.shape}. "
            "Pass back the array from ask()."
        )
    if n_evaluations != len(asked):
        raise ValueError(
            f"tell() got {n_evaluations} evaluations for {len(asked)} genomes. "
            "Give one per row; a failed individual has fitness NaN."
        )
    if genomes is asked or np.array_equal(genomes, asked):
        return None
    told = np.asarray(genomes, dtype=np.float64)
    order = np.empty(len(asked), dtype=np.intp)
    order[np.lexsort(asked.T)] = np.lexsort(told.T)
    different = np.flatnonzero((told[order] != asked).any(axis=1))
    if different.size:
        raise ValueError(
            f"tell() got genomes that are not those of ask(): {different.size} of {len(asked)} differ, first "
            f"{asked[different[0]]} is missing. Pass back the rows of ask(), unchanged."
        )
    return order


def _check_state(state: Mapping[str, Any], current: Mapping[str, Any], resized: tuple[str, ...]) -> None:
    """Refuse a saved state that does not fit the optimizer whose own state is `current`.

    Raises
    ------
    ValueError : if the algorithm, the keys or the shape of an array differ.
    """
    if state.get("algorithm") != current["algorithm"]:
        raise ValueError(
            f"state is of algorithm {state.get('algorithm')!r}, but this is {current['algorithm']!r}. "
            "Load it into the optimizer class that wrote it."
        )
    if state.keys() != current.keys():
        raise ValueError(
            f"state has keys {sorted(state)}, but {sorted(current)} are needed. "
            "Load a state_dict() of this version, whole."
        )
    for key, value in current.items():
        if not isinstance(value, np.ndarray):
            continue
        shape = np.shape(state[key])
        fits = shape[1:] == value.shape[1:] if key in resized else shape == value.shape
        if not fits:
            raise ValueError(
                f"state[{key!r}] has shape {shape}, but this optimizer needs {value.shape}. "
                "Build it with the parameter space and population size of the saved run."
            )
