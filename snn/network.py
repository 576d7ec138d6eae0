"""What every engine offers, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from snn.checks import Inputs
from snn.nest_network import NestNetwork
from snn.numba_network import NumbaNetwork
from snn.spike_trains import FloatArray, IntArray, SpikeTrains
from snn.topology import Topology


class Network(Protocol):
    """Copies of one network side by side, simulated together; they share their weights and nothing else.

    Both engines give the same spikes and the same membrane potentials, bit for bit; only Poisson sources, whose random
    numbers are each engine's own, agree in distribution.
    """

    topology: Topology
    n_copies: int
    resolution_ms: float
    slice_ms: float  # shortest delay, at most 1 ms: runs are multiples of it

    def set_weights(self, weight_pA: FloatArray, delay_ms: FloatArray | None = None) -> None:
        """Give all synapses new weights, and delays, in the order of the topology; back to time 0.

        Raises
        ------
        ValueError : another number of synapses, a weight that is not finite, or a delay off the grid.
        """

    def set_inputs(self, population: str, values: Inputs) -> None:
        """Set what drives a population from now on.

        Parameters
        ----------
        population : name
        values : by the model of the population, always broadcast to (n_copies, size): for neurons the constant current
            `I_e` in pA; for "poisson_generator" the rates in Hz, >= 0; for "spike_generator" spike trains whose step 1
            is the next step of the network, of ``n_copies * size`` neurons; they replace those that are still to come

        Raises
        ------
        ValueError : an unknown population, another shape or resolution, a number that is not finite, a negative rate.
        """

    def run(self, duration_ms: float) -> None:
        """Advance the network.

        Raises
        ------
        ValueError : a duration that is not a positive multiple of `slice_ms`.
        """

    def spike_counts(self) -> IntArray:
        """(n_copies, n_counted) spikes since the last call, of the neurons of the counted populations."""

    def spikes(self) -> SpikeTrains:
        """All spikes of the recorded populations since time 0.

        Raises
        ------
        RuntimeError : no population is recorded.
        """

    def membrane_potentials(self) -> FloatArray:
        """(n_steps, n_copies, n_probed) `V_m` in mV of the probed populations at the end of each step since time 0.

        The steps of the last slice are not among them: NEST hands samples over one slice late.

        Raises
        ------
        RuntimeError : no population is probed.
        """

    def reset(self) -> None:
        """Back to time 0 with the same weights and without inputs: exactly the state of a new network."""

    def __enter__(self) -> Network: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def build(
    topology: Topology,
    *,
    engine: str = "nest",
    n_copies: int = 1,
    counted: Sequence[str] = (),
    recorded: Sequence[str] = (),
    probed: Sequence[str] = (),
    resolution_ms: float = 0.1,
    rng_seed: int = 1,
) -> Network:
    """A network on one of the engines, at time 0.

    Parameters
    ----------
    topology : Topology
    engine : "nest", the reference, or "numba", its fast twin
    n_copies : int, equal networks side by side
    counted, recorded, probed : names of populations of neurons, for `spike_counts`, `spikes` and `membrane_potentials`
    resolution_ms : float, integration step; delays and refractory times are multiples of it
    rng_seed : int, 1 … 2**32 - 1, of Poisson sources

    Raises
    ------
    ValueError : an unknown engine or population, times off the grid, a number outside its range.
    snn.nest_kernel.NestUnavailableError : engine "nest" without a NEST that can be used.
    """
    kinds: dict[str, Callable[..., Network]] = {"nest": NestNetwork, "numba": NumbaNetwork}
    if engine not in kinds:
        raise ValueError(f"engine={engine!r} is unknown: choose one of {', '.join(kinds)}.")
    return kinds[engine](
        topology,
        n_copies=n_copies,
        counted=counted,
        recorded=recorded,
        probed=probed,
        resolution_ms=resolution_ms,
        rng_seed=rng_seed,
    )
