"""A spiking network on NEST: arrays in, spikes out."""

from __future__ import annotations

import dataclasses
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from snn.flush import set_flush_to_zero
from snn.nest_kernel import Kernel
from snn.params import NeuronConfig
from snn.topology import Connections, FloatArray, IntArray

# A recorder cannot be emptied while NEST is prepared, and every read copies all it holds (0.1 µs per event); to end a
# prepared stretch and begin the next costs 0.15 ms. The sum is least near this number of events.
_MAX_HELD_EVENTS = 800


class Spikes(NamedTuple):
    """Spike trains of a network, sorted by time, then neuron."""

    steps: IntArray  # (n_spikes,) time in integration steps, end of the step that crossed the threshold
    neurons: IntArray  # (n_spikes,) 0-based neuron index
    resolution_ms: float  # ms per step


class NestNetwork:
    """Equal neurons with static synapses and step currents in NEST's kernel.

    NEST has one kernel per process: building a network destroys the one before, which then refuses to run.

    Parameters
    ----------
    neuron : NeuronConfig, common to all neurons
    n_neurons : int
    connections : Connections, indices below `n_neurons`
    counted : (k,) int64, neurons whose spikes `spike_counts` returns, in this order
    resolution_ms : float, integration step
    rng_seed : int, 1 … 2**32 - 1; without noise sources it does not change the result
    has_recording : bool, keep the spikes of all neurons for `spikes`

    Raises
    ------
    ValueError : a connection or counted neuron outside the network, a weight that is not finite, or a delay that is
        not a positive multiple of the resolution.
    snn.nest_kernel.NestUnavailableError : NEST is missing or built with MPI.
    """

    def __init__(
        self,
        neuron: NeuronConfig,
        n_neurons: int,
        connections: Connections,
        counted: IntArray,
        *,
        resolution_ms: float = 1.0,
        rng_seed: int = 1,
        has_recording: bool = False,
    ) -> None:
        _check_connections(connections, counted, n_neurons, resolution_ms)
        self.resolution_ms = resolution_ms
        self.n_neurons = n_neurons
        self._neuron, self._connections, self._counted = neuron, connections, counted
        self._rng_seed, self._has_recording = rng_seed, has_recording
        self.reset()

    def reset(self) -> None:
        """Build the network again at time 0: the only exact reset of NEST, and fast (2 ms for 10,500 synapses)."""
        self._kernel = Kernel(self.resolution_ms, self._rng_seed)
        self._neurons, self._first_id = self._kernel.create(
            "iaf_psc_alpha", self.n_neurons, dataclasses.asdict(self._neuron)
        )
        self._kernel.connect(self._connections, self._first_id)
        self._recorder, recorder_id = self._kernel.create("spike_recorder", 1, {})
        recorded = np.arange(self.n_neurons) if self._has_recording else self._counted
        # NEST runs in slices of the shortest delay; the recorder's own keeps them at 1 ms, whatever the synapses have.
        slice_ms = min(1.0, self._connections.delay_ms.min())
        self._kernel.record(recorder_id, recorded + self._first_id, slice_ms)
        # Column of a sender in `spike_counts`; senders that are only recorded fall into one surplus column.
        self._column = np.full(self._first_id + self.n_neurons, self._counted.size, dtype=np.int64)
        self._column[self._counted + self._first_id] = np.arange(self._counted.size)
        self._single: dict[int, Any] = {}
        self._kept: list[tuple[IntArray, FloatArray]] = []
        self._n_seen = 0
        self._uncounted: IntArray | int = 0  # spikes that `spikes` has met before `spike_counts`
        self._is_prepared = False

    def set_current(self, neurons: IntArray, I_e: float) -> None:
        """Constant current of some neurons from now on, in pA.

        Raises
        ------
        RuntimeError : another network was built since.
        """
        self._kernel.check_owned()
        for neuron in neurons.tolist():
            handle = self._single.get(neuron)
            if handle is None:
                handle = self._single[neuron] = self._kernel.single(self._neurons, neuron)
            self._kernel.set_status(handle, {"I_e": I_e})

    def run(self, duration_ms: float) -> None:
        """Advance the network; the duration is a multiple of 1 ms and of the shortest delay.

        Raises
        ------
        RuntimeError : another network was built since.
        """
        self._kernel.check_owned()
        if not self._is_prepared:
            self._kernel.prepare()
            self._is_prepared = True
        was_flushing = set_flush_to_zero(True)
        try:
            self._kernel.run(duration_ms)
        finally:
            set_flush_to_zero(was_flushing)

    def spike_counts(self) -> IntArray:
        """Spikes of the counted neurons since the last call; also empties the recorder from time to time.

        Returns
        -------
        (k,) int64
        """
        self._kernel.check_owned()
        counts = self._count_unread()
        if self._n_seen > _MAX_HELD_EVENTS:
            self._end_stretch()
        return counts

    def _count_unread(self) -> IntArray:
        """Spikes of the counted neurons that no call has returned yet."""
        senders, _ = self._kernel.get_events(self._recorder)
        fresh = self._column[senders[self._n_seen :]]
        self._n_seen = len(senders)
        counts = np.bincount(fresh, minlength=self._counted.size + 1)[:-1] + self._uncounted
        self._uncounted = 0
        return counts

    def spikes(self) -> Spikes:
        """All spikes since the last reset; needs ``has_recording=True``.

        Raises
        ------
        RuntimeError : the network was built without recording, or another one was built since.
        """
        if not self._has_recording:
            raise RuntimeError("spikes were not recorded: build the network with has_recording=True.")
        self._kernel.check_owned()
        self._uncounted = self._count_unread()
        self._end_stretch()
        senders = np.concatenate([kept[0] for kept in self._kept] or [np.empty(0, np.int64)]) - self._first_id
        times_ms = np.concatenate([kept[1] for kept in self._kept] or [np.empty(0)])
        steps = np.rint(times_ms / self.resolution_ms).astype(np.int64)
        order = np.lexsort((senders, steps))
        return Spikes(steps[order], senders[order], self.resolution_ms)

    def _end_stretch(self) -> None:
        """Leave the prepared state, keep the recorded spikes and empty the recorder."""
        if self._is_prepared:
            self._kernel.cleanup()
            self._is_prepared = False
        if self._has_recording:
            self._kept.append(self._kernel.get_events(self._recorder))
        self._kernel.set_status(self._recorder, {"n_events": 0})
        self._n_seen = 0

    def __enter__(self) -> NestNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kernel.is_owned:
            self._end_stretch()


def _check_connections(connections: Connections, counted: IntArray, n_neurons: int, resolution_ms: float) -> None:
    sizes = {name: len(values) for name, values in connections._asdict().items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(f"connections have arrays of unequal length, or none: {sizes}.")
    if counted.size == 0 or len(np.unique(counted)) < counted.size:
        raise ValueError(f"counted={counted.tolist()} must name at least one neuron, and each one once.")
    for name, indices in (
        ("connections.source", connections.source),
        ("connections.target", connections.target),
        ("counted", counted),
    ):
        is_outside = (indices < 0) | (indices >= n_neurons)
        if is_outside.any():
            raise ValueError(f"{name} holds neuron {indices[is_outside][0]}, outside 0 … {n_neurons - 1}.")
    if not np.isfinite(connections.weight_pA).all():
        index = int(np.flatnonzero(~np.isfinite(connections.weight_pA))[0])
        raise ValueError(f"weight {index} is {connections.weight_pA[index]} pA: every weight must be finite.")
    delay = connections.delay_ms
    is_on_grid = (delay >= resolution_ms) & (np.abs(delay / resolution_ms - np.round(delay / resolution_ms)) < 1e-9)
    if not is_on_grid.all():
        index = int(np.flatnonzero(~is_on_grid)[0])
        raise ValueError(
            f"delay {index} is {delay[index]} ms: delays must be positive multiples of the resolution, "
            f"{resolution_ms} ms (NEST would round silently)."
        )
