"""The brains of a colony: sensory observations -> one tick of simulated time -> actions."""

from __future__ import annotations

from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from snn.decoding import decode_actions
from snn.nest_network import NestNetwork, Spikes
from snn.params import INPUT_LAG_MS, AntBrainConfig
from snn.topology import FloatArray, IntArray, colony_connections


class AntColonyBrain:
    """One spiking network per ant, all with the same weights, in one simulation.

    An active sensor drives its input neuron with a constant current. At 1 ms resolution and refractory time it fires at
    t0+3, t0+5, …, t0+21 ms of a tick that begins at t0; the last spike falls into the next tick, as in the published
    recordings. State is never reset within an episode: what an ant carries, it can remember only here.

    Parameters
    ----------
    weights_pA, delays_ms : (n_synapses,) from `snn.genome.decode`
    n_ants : int
    config : AntBrainConfig
    rng_seed : int, 1 … 2**32 - 1
    has_recording : bool, keep all spikes for `spikes`

    Raises
    ------
    ValueError : no ants, a seed outside its range, or weights and delays that do not fit the network.
    snn.nest_kernel.NestUnavailableError : NEST is missing or built with MPI.

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
        first = config.n_neurons * np.arange(n_ants)[:, None]
        self._inputs: IntArray = (first + np.arange(config.n_inputs)).ravel()
        outputs = first + config.n_inputs + config.n_hidden + np.arange(config.n_outputs)
        self._network = NestNetwork(
            config.neuron,
            config.n_neurons * n_ants + 1,
            colony_connections(config, n_ants, weights_pA, delays_ms),
            counted=outputs.ravel(),
            resolution_ms=config.resolution_ms,
            rng_seed=rng_seed,
            has_recording=has_recording,
        )
        self._begin()

    def reset(self) -> None:
        """Back to time 0 with the same weights."""
        self._network.reset()
        self._begin()

    def _begin(self) -> None:
        heartbeat = np.array([self.config.n_neurons * self.n_ants])
        self._network.set_current(heartbeat, self.config.input_current_pA)
        self._is_active = np.zeros(self._inputs.size, dtype=np.bool_)
        self._is_first_tick = True

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
        # The sensors of the last tick act until INPUT_LAG_MS into this one; see snn.params.
        self._network.run(INPUT_LAG_MS)
        is_active = np.ravel(obs) != 0
        if self._is_first_tick and self.config.has_startup_transient:
            is_active = np.ones_like(is_active)
        self._is_first_tick = False
        changed = is_active != self._is_active
        self._network.set_current(self._inputs[changed & is_active], self.config.input_current_pA)
        self._network.set_current(self._inputs[changed & ~is_active], 0.0)
        self._is_active = is_active
        self._network.run(self.config.tick_ms - INPUT_LAG_MS)
        return decode_actions(self._network.spike_counts().reshape(self.n_ants, self.config.n_outputs))

    def spikes(self) -> dict[str, Spikes]:
        """Recorded spikes of the populations "input", "hidden" and "output" of the whole colony.

        Neuron ``k`` of ant ``a`` in a population of n per ant is ``a * n + k``. The heartbeat, one spike at every odd
        millisecond, is left out.

        Raises
        ------
        RuntimeError : the brain was built without recording.
        """
        steps, neurons, resolution_ms = self._network.spikes()
        ant, local = np.divmod(neurons, self.config.n_neurons)
        is_brain = ant < self.n_ants
        sizes = {"input": self.config.n_inputs, "hidden": self.config.n_hidden, "output": self.config.n_outputs}
        populations, first = {}, 0
        for name, size in sizes.items():
            chosen = is_brain & (local >= first) & (local < first + size)
            populations[name] = Spikes(steps[chosen], ant[chosen] * size + local[chosen] - first, resolution_ms)
            first += size
        return populations

    def __enter__(self) -> AntColonyBrain:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._network.__exit__(kind, error, trace)
