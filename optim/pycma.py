"""CMA-ES as the library cma has it, with its step-size control, restricted covariances and boundary transformation.

Sole importer of cma, which is an extra: pip install 'stigmergy[cma]'.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np

from optim.base import Array, Evaluations, Seed, restore_rng
from optim.gaussian import WIDEST
from optim.search import Search
from optim.space import ParameterSpace

Covariance = Literal["full", "diagonal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PyCMAConfig:
    """Settings of `PyCMA`; lengths are in units of half the bound range.

    Raises
    ------
    ValueError : if a value is outside its range.
    """

    sigma: float = 0.3  # first standard deviation of all genes, (0, 1]
    covariance: Covariance = "full"  # "diagonal" for thousands of genes

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma <= WIDEST:
            raise ValueError(
                f"PyCMAConfig.sigma={self.sigma} is outside (0, {WIDEST}]. "
                "Give a standard deviation in units of half the bound range, e.g. 0.3."
            )
        if self.covariance not in get_args(Covariance):
            names = " or ".join(map(repr, get_args(Covariance)))
            raise ValueError(f"PyCMAConfig.covariance={self.covariance!r} is unknown. Choose {names}.")


class PyCMA(Search):
    """Let the library `cma` propose the candidates; for those who compare with it, or trust what they know.

    `optim.CMAES` is the same algorithm, needs no library and stores its state, not its history. Here the fitness of
    every generation is kept, and a search that was stored is played again to where it was: the library's own state
    can be stored by pickle only. That takes the time of all its asks and tells, and the same version of `cma`.

    Genes are searched linearly between their scaled bounds, whole numbers are rounded for evaluation, and the library
    keeps candidates inside, however a block says they should come back. It draws from a generator of this search.

    A failed candidate ranks below all others. If all failed, the distribution stays and new candidates are drawn.

    Parameters
    ----------
    x0 : (n_params,) float64, first mean, inside the bounds
    population_size : candidates per generation, >= 2
    seed : int >= 0 or SeedSequence

    Raises
    ------
    ModuleNotFoundError : if cma is not installed.
    ValueError : if `x0` leaves the bounds, or there are fewer than two genes or candidates.

    Source: Hansen, Akimoto and Baudis 2019 (CMA-ES/pycma), doi:10.5281/zenodo.2559634; Hansen 2016, arXiv:1604.00772.
    """

    _state = ("x0", "costs_told", "version")
    _resized = ("costs_told",)

    def __init__(
        self, space: ParameterSpace, config: PyCMAConfig, *, x0: Array, population_size: int, seed: Seed
    ) -> None:
        if find_spec("cma") is None:
            raise ModuleNotFoundError("the optimizer 'pycma' needs cma, which is not installed: pip install cma")
        import cma

        space.check(np.asarray(x0)[None])
        for what, n in (("population_size", population_size), ("the number of genes", space.n_params)):
            if n < 2:
                raise ValueError(f"{what} is {n}, but the library cma needs >= 2. Take another optimizer.")
        super().__init__(space, seed)
        self._config = config
        self._population_size = int(population_size)
        self._x0 = self._to_library(np.asarray(x0, dtype=np.float64))
        self._costs_told = np.empty((0, self._population_size))  # -fitness of all generations so far
        self._version = cma.__version__
        self._replay()

    def _to_library(self, genomes: Array) -> Array:
        """Coordinates (…, n_params) in which the scaled bounds are -1 and 1."""
        low, high = self._space.scaled_low, self._space.scaled_high
        return 2.0 * (self._space.scale(genomes) - low) / (high - low) - 1.0

    def _replay(self) -> None:
        """Build the library's search and play it to the last generation told."""
        import cma

        rng = restore_rng(self._rng.bit_generator.state)  # that of the search stays where it was at the start
        settings = {
            "popsize": self._population_size,
            "bounds": [-1.0, 1.0],
            "CMA_diagonal": self._config.covariance == "diagonal",
            "randn": lambda *shape: rng.standard_normal(shape),
            "seed": np.nan,  # else NumPy's global generator gets one
            "verbose": -9,
        }
        with _quiet():
            self._library = cma.CMAEvolutionStrategy(self._x0, self._config.sigma, settings)
            self._candidates = self._library.ask()
            for costs in self._costs_told:
                self._advance(costs)

    def _advance(self, costs: Array) -> None:
        """One generation: tell the costs, unless all candidates failed, and ask."""
        failed = np.isnan(costs)
        if not failed.all():
            ranked_last = np.nextafter(costs[~failed].max(), np.inf)
            self._library.tell(self._candidates, np.where(failed, ranked_last, costs))
        self._candidates = self._library.ask()

    def _genomes(self) -> Array:
        """The candidates as genomes."""
        low, high = self._space.scaled_low, self._space.scaled_high
        return self._space.unscale(low + 0.5 * (np.array(self._candidates) + 1.0) * (high - low))

    def _learn(self, evaluations: Evaluations) -> None:
        """Pass the fitness on and remember it."""
        with _quiet():
            self._advance(-evaluations.fitness)
        self._costs_told = np.concatenate([self._costs_told, -evaluations.fitness[None]])

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state` by playing its generations again; see `Optimizer`.

        Raises
        ------
        ValueError : also if another version of cma made it.
        """
        version = state.get("version", self._version)
        if version != self._version:
            raise ValueError(
                f"state was made with cma {version}, but {self._version} is installed, which may draw other "
                f"candidates. Install the former to go on: pip install cma=={version}"
            )
        super().load_state_dict(state)
        self._replay()

    def stop(self) -> dict[str, str]:
        """The library's own conditions, under its names."""
        with _quiet():
            return {name: f"condition of the library cma: {value}" for name, value in self._library.stop().items()}

    def diagnostics(self) -> dict[str, float]:
        """Step size in units of half the bound range, and the ratio of the longest and shortest axis."""
        return {"sigma": float(self._library.sigma), "axis_ratio": float(self._library.D.max() / self._library.D.min())}


class _quiet(warnings.catch_warnings):
    """Without the library's warnings about single candidates and flat fitness."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
