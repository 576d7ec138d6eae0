"""Networks in compiled code, spike for spike and bit for bit those of NEST, without NEST."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from typing_extensions import Self

from snn.checks import Inputs, check_options, check_synapses, check_trains, check_values, n_steps_of, slice_ms
from snn.flush import flushing_to_zero
from snn.lif_arrays import I_E, Drive, Parts, Record
from snn.lif_kernels import advance
from snn.lif_layout import (
    lanes_of,
    make_groups,
    make_layout,
    make_state,
    make_synapses,
    n_blocks_of,
    noisy_synapses,
    sort_events,
)
from snn.poisson import PoissonDraws
from snn.spike_trains import FloatArray, IntArray, SpikeTrains
from snn.topology import Topology, check_grid, combine_multapses
from snn.vector import WIDTH

_MAX_CALL_BYTES = 64e6  # longer runs are cut, so that what one call reads and writes besides the state stays below this
_NONE = np.empty(0, dtype=np.int64)


class NumbaEnsemble:
    """Many networks of one wiring and different weights, each with its copies, simulated in one call.

    The methods are those of `snn.network.Network`; their arrays have a first axis for the networks. Spike trains are
    those of ``n_networks * n_copies * size`` sources, neuron k of copy c of network g being
    ``(g * n_copies + c) * size + k``. Shortest delays below 1 ms must be the same in all networks.

    Parameters
    ----------
    topology : Topology; its weights and delays are those of all networks until `set_weights`
    n_networks : int, e.g. genomes
    n_copies : int, e.g. the ants of a colony, which share their genome's weights
    counted, recorded, probed, resolution_ms, rng_seed : as `snn.network.build`

    Raises
    ------
    ValueError : as `snn.network.build`.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        n_networks: int = 1,
        n_copies: int = 1,
        counted: Sequence[str] = (),
        recorded: Sequence[str] = (),
        probed: Sequence[str] = (),
        resolution_ms: float = 0.1,
        rng_seed: int = 1,
    ) -> None:
        if n_networks < 1:
            raise ValueError(f"n_networks={n_networks} is not allowed: it must be >= 1.")
        check_options(topology, n_copies, rng_seed, counted=counted, recorded=recorded, probed=probed)
        check_grid(topology, resolution_ms)
        self.topology, self.n_networks, self.n_copies = topology, n_networks, n_copies
        self.resolution_ms, self._rng_seed = resolution_ms, rng_seed
        self._recorded, self._probed = tuple(recorded), tuple(probed)
        groups = make_groups(topology, resolution_ms)
        self._lanes = lanes_of(groups, n_copies)
        self._layout = make_layout(topology, groups, self._lanes, counted, probed)
        self._block = np.arange(n_copies)[:, None] // WIDTH
        self._n_lanes = int(self._layout.group_lane[-1])
        counted_lanes = [self._lanes[name] for name in counted]
        self._counted_lanes = np.concatenate([np.empty((n_copies, 0), dtype=np.int64), *counted_lanes], axis=1)
        self._noisy = noisy_synapses(topology)
        self._delay_ms = topology.connections.delay_ms
        self._pending: dict[str, tuple[IntArray, IntArray]] = {}  # spikes to come, as (steps, neurons)
        self._rates: dict[str, FloatArray] = {}  # (n_networks, n_noisy, n_copies) in Hz
        self._no_record, self._no_drive = self._make_record(0), self._drive(0)
        self.set_weights(topology.connections.weight_pA)

    def set_weights(self, weight_pA: FloatArray, delay_ms: FloatArray | None = None) -> None:
        """New weights, (n_networks, n_synapses) or the same (n_synapses,) for all; see `snn.network.Network`."""
        shape = (self.n_networks, self.topology.connections.source.size)
        if delay_ms is None:
            delay_ms = self._delay_ms
        check_synapses(weight_pA, delay_ms, self.resolution_ms, shape[1:], shape)
        weight, delay = np.broadcast_to(weight_pA, shape), np.broadcast_to(delay_ms, shape)
        lengths = {slice_ms(row, self.resolution_ms) for row in delay}
        if len(lengths) > 1:
            raise ValueError(
                f"the networks of an ensemble have shortest delays of {sorted(lengths)} ms: below 1 ms they must agree."
            )
        self.slice_ms, self._delay_ms = lengths.pop(), np.array(delay_ms, dtype=np.float64)
        self._layout = self._layout._replace(slice_steps=round(self.slice_ms / self.resolution_ms))
        delay_steps = np.rint(delay / self.resolution_ms).astype(np.int64)
        weight = np.array([combine_multapses(self.topology, *row) for row in zip(weight, delay, strict=True)])
        self._max_delay_steps = int(delay_steps.max(initial=1))
        self._synapses = make_synapses(self.topology, self._lanes, self._layout.n_driven, weight, delay_steps)
        self.reset()

    def reset(self) -> None:
        """Back to time 0; see `snn.network.Network`."""
        self._states = make_state(self.topology, self._layout, self._lanes, self.n_networks, self._max_delay_steps)
        self._rates = {
            name: np.zeros((self.n_networks, synapses.size, self.n_copies))
            for name, (synapses, _) in self._noisy.items()
        }
        self._draws: PoissonDraws | None = None  # for these rates
        self._rngs = np.random.default_rng(self._rng_seed).spawn(2)
        self._pending, self._n_steps = {}, 0
        self._spikes: list[tuple[IntArray, ...]] = []  # networks, blocks, steps, lanes
        self._potentials: list[FloatArray] = []

    def set_inputs(self, population: str, values: Inputs) -> None:
        """Currents, rates or spike trains of all copies of all networks; see `snn.network.Network`."""
        chosen = self.topology.population(population)
        if chosen.model == "spike_generator":
            n_trains = self.n_networks * self.n_copies * chosen.size
            trains = check_trains(chosen, values, n_trains, self.resolution_ms)
            self._pending[population] = (self._n_steps + trains.steps - 1, trains.neurons)
            return
        numbers = check_values(chosen, values, (self.n_networks, self.n_copies))
        if chosen.is_neuron:
            self._states.lanes[:, self._block, I_E, self._lanes[population]] = numbers
        else:
            self._rates[population], self._draws = numbers[:, :, self._noisy[population][1]].swapaxes(1, 2), None

    def run(self, duration_ms: float) -> None:
        """Advance all networks; see `snn.network.Network`."""
        n_steps = n_steps_of(duration_ms, self.slice_ms, self.resolution_ms)
        longest = self._steps_per_call()
        with flushing_to_zero():
            for start in range(0, n_steps, longest):
                self._advance(min(longest, n_steps - start))

    def _steps_per_call(self) -> int:
        """Whole slices for which a call stays below `_MAX_CALL_BYTES`."""
        if not (self._recorded or self._rates):
            return 2**62
        n_bytes = self.n_networks * self._n_lanes * n_blocks_of(self.n_copies) * bool(self._recorded)
        n_bytes += 8 * sum(rates.size for rates in self._rates.values())
        slice_steps = self._layout.slice_steps
        return max(1, int(_MAX_CALL_BYTES / max(1, n_bytes)) // slice_steps) * slice_steps

    def _advance(self, n_steps: int) -> None:
        """One call of the kernel, and what it wrote down."""
        drive = self._drive(n_steps) if self._pending or self._noisy else self._no_drive
        record = self._make_record(n_steps) if self._recorded or self._probed else self._no_record
        advance(self._n_steps, n_steps, self._layout, self._synapses, self._states, drive, record)
        if self._recorded:
            networks, blocks, steps, lanes = np.nonzero(record.raster)
            self._spikes.append((networks, blocks, steps + self._n_steps + 1, lanes))
        if self._probed:
            self._potentials.append(record.potentials)
        self._n_steps += n_steps

    def _make_record(self, n_steps: int) -> Record:
        """Room for what a call writes down."""
        parts = (self.n_networks, n_blocks_of(self.n_copies))
        n_recorded, n_probed = (n_steps if names else 0 for names in (self._recorded, self._probed))
        n_probed_lanes = int(np.diff(self._layout.probed).sum())
        return Record(
            raster=np.empty((*parts, n_recorded, self._n_lanes), dtype=np.uint8),
            potentials=np.empty((*parts, n_probed, n_probed_lanes)),
        )

    def _drive(self, n_steps: int) -> Drive:
        """Spikes from outside during the next steps."""
        parts = [(_NONE, _NONE, _NONE)]
        for name, (steps, neurons) in self._pending.items():
            is_due = steps < self._n_steps + n_steps
            copy, neuron = np.divmod(neurons[is_due], self.topology.population(name).size)
            parts.append((steps[is_due], self.topology.nodes(name)[0] + neuron, copy))
            self._pending[name] = (steps[~is_due], neurons[~is_due])
        step, node, copy = (np.concatenate(part) for part in zip(*parts, strict=True))
        n_parts = (self.n_networks, n_blocks_of(self.n_copies))
        events = sort_events(step, node, copy, n_parts, self.n_copies, self._layout.slice_steps)
        noise_synapse, noise = _NONE, np.empty((self.n_networks, 0, 0, 0), dtype=np.int64)
        if self._rates:
            noise_synapse = np.concatenate([synapses for synapses, _ in self._noisy.values()])
            if self._draws is None:
                mean = np.concatenate(list(self._rates.values()), axis=1) * (self.resolution_ms / 1000.0)
                self._draws = PoissonDraws(mean.reshape(self.n_networks, -1))
            noise = self._draws.draw(n_steps, *self._rngs).reshape(self.n_networks, n_steps, -1, self.n_copies)
            if self._n_steps == 0:
                noise[:, :1] = 0  # as NEST's, a source is silent in the very first step
        return Drive(*events, noise_synapse, noise)

    def spike_counts(self) -> IntArray:
        """(n_networks, n_copies, n_counted) spikes since the last call; see `snn.network.Network`."""
        counts = self._states.counts[:, self._block, self._counted_lanes].astype(np.int64)
        self._states.counts[:] = 0.0
        return counts

    def spikes(self) -> list[SpikeTrains]:
        """Spike trains of the recorded populations, one per network; see `snn.network.Network`."""
        if not self._recorded:
            raise RuntimeError("spikes were not recorded: build the network with recorded=(names of populations).")
        number = np.full((n_blocks_of(self.n_copies), self._n_lanes), -1)
        sizes, first = {}, 0
        for name in self._recorded:
            lanes = self._lanes[name]
            number[self._block, lanes] = first + np.arange(lanes.size).reshape(lanes.shape)
            sizes[name] = lanes.size
            first += lanes.size
        parts = zip(*(self._spikes or [4 * (_NONE,)]), strict=True)
        networks, blocks, steps, lanes = (np.concatenate(part) for part in parts)
        neurons = number[blocks, lanes]
        return [
            SpikeTrains.from_unsorted(steps[is_own], neurons[is_own], self.resolution_ms, self._n_steps, sizes)
            for is_own in ((networks == network) & (neurons >= 0) for network in range(self.n_networks))
        ]

    def membrane_potentials(self) -> FloatArray:
        """(n_networks, n_steps, n_copies, n_probed) `V_m` in mV; see `snn.network.Network`."""
        if not self._probed:
            raise RuntimeError("potentials were not recorded: build the network with probed=(names of populations).")
        n_steps = max(0, self._n_steps - self._layout.slice_steps)
        parts, first = [], 0
        for name, (begin, end) in zip(self._probed, self._layout.probed.tolist(), strict=True):
            at = self._lanes[name] - begin + first
            first += end - begin
            # Two index arrays with a slice between them: their axes come first.
            values = [values[:, self._block, :, at].transpose(2, 3, 0, 1) for values in self._potentials]
            values = values or [np.empty((self.n_networks, 0, *at.shape))]
            E_L = self.topology.population(name).all_parameters()["E_L"]
            parts.append(np.concatenate(values, axis=1)[:, :n_steps] + E_L)
        return np.concatenate(parts, axis=3)

    def lanes(self, population: str) -> IntArray:
        """(n_copies, size) lanes of a population within the block of each copy, for compiled callers."""
        return self._lanes[population]

    def parts(self) -> Parts:
        """The network's arrays, for compiled callers of `snn.lif_kernels.advance` that count the steps themselves.

        They hold the state of this network until its next `reset` or `set_weights`; nothing drives it from outside and
        nothing is recorded.
        """
        return Parts(self._layout, self._synapses, self._states, self._no_drive, self._no_record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to release."""


class NumbaNetwork(NumbaEnsemble):
    """One network, with its copies, in compiled code: `snn.network.Network` without NEST.

    Parameters and errors as `snn.network.build`. Its arrays lack the axis for networks of its base class.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        n_copies: int = 1,
        counted: Sequence[str] = (),
        recorded: Sequence[str] = (),
        probed: Sequence[str] = (),
        resolution_ms: float = 0.1,
        rng_seed: int = 1,
    ) -> None:
        super().__init__(
            topology,
            n_copies=n_copies,
            counted=counted,
            recorded=recorded,
            probed=probed,
            resolution_ms=resolution_ms,
            rng_seed=rng_seed,
        )

    def set_inputs(self, population: str, values: Inputs) -> None:
        """Currents, rates or spike trains; see `snn.network.Network`."""
        chosen = self.topology.population(population)
        if chosen.model != "spike_generator":
            values = check_values(chosen, values, (self.n_copies,))
        super().set_inputs(population, values)

    def spike_counts(self) -> IntArray:
        """(n_copies, n_counted); see `snn.network.Network`."""
        return super().spike_counts()[0]

    def spikes(self) -> SpikeTrains:  # type: ignore[override]
        """Spike trains of the recorded populations; see `snn.network.Network`."""
        return super().spikes()[0]

    def membrane_potentials(self) -> FloatArray:
        """(n_steps, n_copies, n_probed) `V_m` in mV; see `snn.network.Network`."""
        return super().membrane_potentials()[0]
