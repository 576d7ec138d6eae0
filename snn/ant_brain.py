"""The brains of a colony: sensory observations -> one tick of simulated time -> actions."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn.ant_kernels import TickPlan, make_plan, tick
from snn.decoding import decode_actions
from snn.flush import flushing_to_zero
from snn.lif_arrays import Parts
from snn.network import build
from snn.numba_network import NumbaNetwork
from snn.params import INPUT_LAG_MS, AntBrainConfig
from snn.spike_trains import FloatArray, IntArray, SpikeTrains
from snn.topology import ant_brain


class CompiledBrain(NamedTuple):
    """What compiled callers of `snn.ant_kernels.tick` need of a colony on the engine "numba"."""

    plan: TickPlan
    parts: Parts


class AntColonyBrain:
    """One spiking network per ant, all with the same weights, in one simulation.

    An active sensor drives its input neuron with a constant current. At 1 ms resolution and refractory time it fires at
    t0+3, t0+5, …, t0+21 ms of a tick that begins at t0; the last spike falls into the next tick, as in the published
    recordings. State is never reset within an episode: what an ant carries, it can remember only here.

    Parameters
    ----------
    weights_pA, delays_ms : (n_synapses,) from `snn.genome.decode`
    n_ants : int
    config : AntBrainConfig; its `engine` simulates
    rng_seed : int, 1 … 2**32 - 1
    has_recording : bool, keep all spikes for `spikes`

    Raises
    ------
    ValueError : no ants, a seed outside its range, or weights and delays that do not fit the network.
    snn.nest_kernel.NestUnavailableError : NEST is the engine, but missing or built with MPI.

    Source: Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6; timing read from its published spike trains.
    """

    def __init__(
        self,
        weights_pA: FloatArray,
        delays_ms: FloatArray,
        n_ants: int,
        config: AntBrainConfig,
        *,
        rng_seed: int = 1,
        has_recording: bool = False,
    ) -> None:
        if n_ants < 1:
            raise ValueError(f"n_ants={n_ants} is not allowed: a colony has at least one ant.")
        self.config = config
        self.n_ants = n_ants
        self._has_recording = has_recording
        self._network = build(
            ant_brain(config, weights_pA, delays_ms),
            engine=config.engine,
            n_copies=n_ants,
            counted=("output",),
            recorded=("input", "hidden", "output") if has_recording else (),
            resolution_ms=config.resolution_ms,
            rng_seed=rng_seed,
        )
        self.n_ticks = 0
        self._compile()

    def _compile(self) -> None:
        """Have whole ticks done by one compiled call, where nothing is recorded."""
        self.compiled: CompiledBrain | None = None
        if isinstance(self._network, NumbaNetwork) and not self._has_recording:
            self.compiled = CompiledBrain(make_plan(self._network, self.config), self._network.parts())

    def reset(self) -> None:
        """Back to time 0 with the same weights."""
        self._network.reset()
        self.n_ticks = 0
        self._compile()

    def act(self, obs: NDArray[np.int8]) -> IntArray:
        """Simulate one tick.

        Parameters
        ----------
        obs : (n_ants, n_inputs) of 0 and 1

        Returns
        -------
        (n_ants, 3) int64: turn, move, deposit, see `snn.decoding.decode_actions`

        Raises
        ------
        ValueError : wrong shape of `obs`.
        """
        if np.shape(obs) != (self.n_ants, self.config.n_inputs):
            raise ValueError(f"obs has shape {np.shape(obs)}, expected {(self.n_ants, self.config.n_inputs)}.")
        self.n_ticks += 1
        is_active = np.not_equal(obs, 0, order="C")
        if self.compiled is not None:
            actions = np.empty((self.n_ants, 3), dtype=np.int64)
            with flushing_to_zero():
                tick(self.n_ticks - 1, is_active.view(np.int8), *self.compiled, actions)
            return actions
        # The sensors of the last tick act until INPUT_LAG_MS into this one; see snn.params.
        self._network.run(INPUT_LAG_MS)
        if self.n_ticks == 1 and self.config.has_startup_transient:
            is_active = np.ones_like(is_active)
        self._network.set_inputs("input", self.config.input_current_pA * is_active)
        self._network.run(self.config.tick_ms - INPUT_LAG_MS)
        return decode_actions(self._network.spike_counts())

    def spikes(self) -> SpikeTrains:
        """Recorded spikes of the populations "input", "hidden" and "output" of the whole colony.

        Neuron ``k`` of ant ``a`` in a population of n per ant is ``a * n + k``. The heartbeat, one spike at every odd
        millisecond, is left out.

        Raises
        ------
        RuntimeError : the brain was built without recording.
        """
        return self._network.spikes()

    def __enter__(self) -> AntColonyBrain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.__exit__(kind, error, trace)
