"""What every optimizer promises, and the checks they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Seed: TypeAlias = int | np.random.SeedSequence


@dataclass(frozen=True, slots=True, eq=False)
class Evaluations:
    """Scores of one generation; row i belongs to row i of the genomes.

    An individual has failed when its fitness or any of its responses is NaN or infinite. It is kept as a row of
    NaN in both arrays, so a diverged run can neither win nor stop the search. The arrays are read-only copies.

    Parameters
    ----------
    fitness : (n,) float64, maximised; NaN = failed
    responses : (n, d) float64 or None, predicted observations, read by `EnsembleKalmanFilter` only
    targets : (d,) float64, finite, or None: what the responses should be in this generation, where that changes, as
        with mini-batches

    Raises
    ------
    ValueError : if the fitness is not 1-d, the responses are not 2-d with one row per fitness, the targets are not
        one finite number per response, or any of them are complex.
    """

    fitness: Array
    responses: Array | None = None
    targets: Array | None = None

    def __post_init__(self) -> None:
        for name in ("fitness", "responses", "targets"):
            if np.iscomplexobj(getattr(self, name)):
                raise ValueError(f"Evaluations.{name} are complex, but must be real numbers. Give e.g. their modulus.")
        fitness = np.array(self.fitness, dtype=np.float64)
        if fitness.ndim != 1:
            raise ValueError(
                f"Evaluations.fitness has shape {fitness.shape}, but must be (n,): one number per individual. "
                "Average over episodes first, e.g. with optim.fitness.mean_over_episodes."
            )
        failed = ~np.isfinite(fitness)
        if self.responses is not None:
            responses = np.array(self.responses, dtype=np.float64)
            if responses.ndim != 2 or len(responses) != len(fitness):
                raise ValueError(
                    f"Evaluations.responses has shape {responses.shape}, but must be ({len(fitness)}, d): "
                    "one row per fitness. Give a failed individual a row of NaN."
                )
            failed |= ~np.isfinite(responses).all(axis=1)
            responses[failed] = np.nan
            responses.setflags(write=False)
            object.__setattr__(self, "responses", responses)
        if self.targets is not None:
            targets = np.array(self.targets, dtype=np.float64)
            shape = (None if self.responses is None else self.responses.shape[1],)
            if targets.shape != shape or not np.isfinite(targets).all():
                raise ValueError(
                    f"Evaluations.targets has shape {targets.shape}, but must be {shape} finite numbers: "
                    "one per column of the responses."
                )
            targets.setflags(write=False)
            object.__setattr__(self, "targets", targets)
        fitness[failed] = np.nan
        fitness.setflags(write=False)
        object.__setattr__(self, "fitness", fitness)

    def __len__(self) -> int:
        return len(self.fitness)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(n,) bool, true for individuals without a usable result."""
        return np.isnan(self.fitness)


class Optimizer(Protocol):
    """Search over vectors by ask, evaluate, tell.

    `ask` only shows the current generation: called twice without a `tell` it returns the same rows. All random
    numbers are drawn by the constructor and by `tell`, from a generator the optimizer owns.
    A refused `tell` or `load_state_dict` leaves the state unchanged.
    """

    @property
    def generation(self) -> int:
        """Number of completed `tell` calls."""
        ...

    def ask(self) -> Array:
        """(n, n_params) float64, the genomes to evaluate, inside the bounds; read-only. n may vary.

        Raises
        ------
        RuntimeError : if there is nothing left to evaluate; `stop` says so before.
        """
        ...

    def tell(self, genomes: Array, evaluations: Evaluations) -> None:
        """Take the scores of the rows `ask` returned, in any order, and form the next generation.

        Raises
        ------
        RuntimeError : if `ask` was not called since the last `tell`.
        ValueError : if `genomes` are not the asked rows or `evaluations` differ in number.
        """
        ...

    def stop(self) -> dict[str, str]:
        """Why it makes no sense to go on: a sentence by reason, e.g. "converged" or "exhausted"; empty = go on."""
        ...

    def diagnostics(self) -> dict[str, float]:
        """What the search looks like inside, e.g. its step size; the same keys in every generation."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as arrays and plain values, with the random state; config and space are not in it.

        An optimizer built with the same space, config and sizes continues bit-identically after `load_state_dict`.
        """
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, which is copied.

        Raises
        ------
        ValueError : if another algorithm wrote it, or for another number of parameters or individuals.
        """
        ...


def make_rng(seed: Seed) -> np.random.Generator:
    """Random generator of an optimizer; the same seed gives the same search.

    Raises
    ------
    TypeError : if `seed` is neither an integer nor a SeedSequence, e.g. None.
    """
    if not isinstance(seed, int | np.integer | np.random.SeedSequence):
        raise TypeError(
            f"seed={seed!r} is not an integer >= 0 or a numpy SeedSequence: the search could not be repeated. "
            "Give e.g. seed=1."
        )
    return np.random.default_rng(seed)


def restore_rng(state: Mapping[str, Any]) -> np.random.Generator:
    """Random generator in the `bit_generator.state` that `make_rng(...)` had reached."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    return rng
