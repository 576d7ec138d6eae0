"""Networks on NEST: arrays in, spikes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any

import numpy as np
from typing_extensions import Self

from snn.checks import Inputs, check_options, check_synapses, check_trains, check_values, n_steps_of, slice_ms
from snn.flush import flushing_to_zero
from snn.models import Population
from snn.nest_kernel import Kernel
from snn.spike_trains import FloatArray, IntArray, SpikeTrains
from snn.topology import Connections, Topology, check_grid, combine_multapses

# A recorder cannot be emptied while NEST is prepared, and every read copies all it holds (0.1 µs per event); to end a
# prepared stretch and begin the next costs 0.15 ms. The sum is least near this number of events.
_MAX_HELD_EVENTS = 800
_MAX_STEPS = 10**9  # of NEST's clock, after which a reset builds again
_FORGETTING = 1e-3  # time constants in steps, for which exp(-step / tau) is exactly 0; see `NestNetwork._empty`


class NestNetwork:
    """A network and its copies in NEST's kernel: `snn.network.Network`.

    NEST has one kernel per process: building a network destroys the one before, which then refuses to run.

    Parameters and errors as `snn.network.build`; besides, RuntimeError when another network was built since, except for
    `reset` and `set_weights`, which take the kernel over again, and `NestError` for what NEST refuses.
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
        check_options(topology, n_copies, rng_seed, counted=counted, recorded=recorded, probed=probed)
        check_grid(topology, resolution_ms)
        self.topology, self.n_copies = topology, n_copies
        self.resolution_ms, self._rng_seed = resolution_ms, rng_seed
        self._counted, self._recorded, self._probed = tuple(counted), tuple(recorded), tuple(probed)
        self._weight_pA, self._delay_ms = topology.connections.weight_pA, topology.connections.delay_ms
        self._names = ", ".join(population.name for population in topology.populations)
        models = {population.model for population in topology.populations}
        self._can_empty = not self._probed and "poisson_generator" not in models
        self._build()

    def set_weights(self, weight_pA: FloatArray, delay_ms: FloatArray | None = None) -> None:
        """New weights, at time 0; see `snn.network.Network`. To build again is cheaper than to set them."""
        if delay_ms is None:
            delay_ms = self._delay_ms
        check_synapses(weight_pA, delay_ms, self.resolution_ms, self._weight_pA.shape)
        self._weight_pA, self._delay_ms = np.array(weight_pA, dtype=np.float64), np.array(delay_ms, dtype=np.float64)
        self._build()

    def reset(self) -> None:
        """Back to time 0: all state decays to nothing within a few steps, or the network is built again.

        Sources of random numbers and recorders of potentials can only be built again; the rest is emptied, which takes
        2 ms for 1,800 nodes and 28,000 synapses, where building takes 27 ms.
        """
        if self._can_empty and self._kernel.is_owned and self._origin < _MAX_STEPS:
            self._empty()
        else:
            self._build()

    def _empty(self) -> None:
        """Run while nothing can fire and every membrane and synapse forgets at once; then restore the parameters.

        NEST lets no one set synaptic currents, spikes under way and refractory counters; with these time constants
        their propagators are exactly 0, and the rest is over after the longest delay and refractory time.
        """
        self._end_stretch()
        neurons = [population for population in self.topology.populations if population.is_neuron]
        tau_ms = _FORGETTING * self.resolution_ms
        forgetful = {"tau_m": tau_ms, "tau_syn_ex": tau_ms, "tau_syn_in": tau_ms, "V_th": 1e9, "I_e": 0.0}
        for population in self.topology.populations:
            empty: dict[str, Any] = {"spike_times": []}
            if population.is_neuron:
                known = population.all_parameters()
                empty = {name: value for name, value in forgetful.items() if name in known}
            self._kernel.set_status(self._handles[population.name], [empty])
        longest_ms = self._delay_ms.max(initial=0.0) + max(p.all_parameters()["t_ref"] for p in neurons)
        n_slices = math.ceil(longest_ms / self.slice_ms) + 2
        self.run(n_slices * self.slice_ms)
        self._end_stretch()
        for population in neurons:
            parameters = population.all_parameters()
            self._kernel.set_status(self._handles[population.name], [parameters])
            self._inputs[population.name] = np.full(self._inputs[population.name].size, parameters["I_e"])
        self._origin += self._n_steps
        self._begin()

    def _build(self) -> None:
        """Build the network in an empty kernel (2 ms for 15 brains with 10,500 synapses)."""
        self._origin = 0  # steps of NEST's clock at time 0
        self._kernel = Kernel(self.resolution_ms, self._rng_seed)
        self._handles: dict[str, Any] = {}
        self._first_id: dict[str, int] = {}
        self._inputs: dict[str, FloatArray] = {}  # last values of `set_inputs`, flat
        for population in self.topology.populations:
            self._create(population)
        self.slice_ms = slice_ms(self._delay_ms, self.resolution_ms)
        self._connect()
        self._single: dict[tuple[str, int], Any] = {}
        self._is_prepared = False
        self._begin()

    def _begin(self) -> None:
        """Nothing has happened yet."""
        self._kept: list[tuple[IntArray, FloatArray]] = []
        self._n_steps = self._n_seen = 0
        self._uncounted: IntArray | int = 0  # spikes that `spikes` has met before `spike_counts`

    def _create(self, population: Population) -> None:
        """All copies of a population side by side, so that neuron k of copy c is number ``c * size + k``."""
        parameters = population.all_parameters() if population.is_neuron else {}
        n_nodes = self.n_copies * population.size
        with self._kernel.naming(f"population {population.name!r}, {population.model} with {parameters}"):
            self._handles[population.name], self._first_id[population.name] = self._kernel.create(
                population.model, n_nodes, parameters
            )
        initial = parameters["I_e"] if population.is_neuron else 0.0
        self._inputs[population.name] = np.full(n_nodes, initial)

    def _connect(self) -> None:
        """Synapses, one recorder of spikes, one of potentials."""
        names = [population.name for population in self.topology.populations]
        sizes = np.array([population.size for population in self.topology.populations])
        first = np.repeat([self._first_id[name] for name in names], sizes)
        local = np.concatenate([np.arange(size) for size in sizes])
        ids = first + local + np.arange(self.n_copies)[:, None] * np.repeat(sizes, sizes)
        source, target, *_ = self.topology.connections
        weight_pA = combine_multapses(self.topology, self._weight_pA, self._delay_ms)
        weight, delay = np.tile(weight_pA, self.n_copies), np.tile(self._delay_ms, self.n_copies)
        with self._kernel.naming(f"the synapses of the network {self._names}"):
            if weight.size:
                self._kernel.connect(Connections(ids[:, source].ravel(), ids[:, target].ravel(), weight, delay))
        self._recorder, recorder_id = self._kernel.create("spike_recorder", 1, {})
        watched = tuple(dict.fromkeys(self._counted + self._recorded))
        self._listen(recorder_id, watched, is_sender=False)
        if self._probed:
            settings = {"interval": self.resolution_ms, "record_from": ["V_m"]}
            self._multimeter, multimeter_id = self._kernel.create("multimeter", 1, settings)
            self._listen(multimeter_id, self._probed, is_sender=True)
        # Column of a sender in `spike_counts`; senders that are only recorded fall into one surplus column.
        n_counted = sum(self.topology.population(name).size for name in self._counted)
        self._counts_shape = (self.n_copies, n_counted)
        self._column = np.full(recorder_id, self.n_copies * n_counted)
        columns = np.arange(self.n_copies * n_counted).reshape(self._counts_shape)
        if n_counted:
            self._column[ids[:, np.concatenate([self.topology.nodes(name) for name in self._counted])]] = columns

    def _listen(self, device_id: int, populations: tuple[str, ...], *, is_sender: bool) -> None:
        """Connect a recorder; its delay must not shorten NEST's slices."""
        for name in populations:
            nodes = self._first_id[name] + np.arange(self.n_copies * self.topology.population(name).size)
            device = np.full(nodes.size, device_id)
            source, target = (device, nodes) if is_sender else (nodes, device)
            delay_ms = np.full(nodes.size, self.slice_ms)
            self._kernel.connect(Connections(source, target, np.ones(nodes.size), delay_ms))

    def set_inputs(self, population: str, values: Inputs) -> None:
        """Currents, rates or spike trains; see `snn.network.Network`. Only what changed is handed to NEST."""
        self._kernel.check_owned()
        chosen = self.topology.population(population)
        if chosen.model == "spike_generator":
            self._set_trains(chosen, values)
            return
        numbers = check_values(chosen, values, (self.n_copies,)).ravel()
        key = "I_e" if chosen.is_neuron else "rate"
        changed = np.flatnonzero(numbers != self._inputs[population])
        value = 0.0
        with self._kernel.naming(lambda: f"{key}={value} of population {population!r}"):
            for index, value in zip(changed.tolist(), numbers[changed].tolist(), strict=True):
                handle = self._single.get((population, index))
                if handle is None:
                    handle = self._single[population, index] = self._kernel.single(self._handles[population], index)
                self._kernel.set_status(handle, [{key: value}])
        self._inputs[population] = numbers.copy()
        if changed.size and not chosen.is_neuron:
            # NEST looks at rates only where a prepared stretch begins.
            self._uncounted = self._count_unread()
            self._end_stretch()

    def _set_trains(self, population: Population, values: Inputs) -> None:
        trains = check_trains(population, values, self.n_copies * population.size, self.resolution_ms)
        order = np.argsort(trains.neurons, kind="stable")
        steps = self._origin + self._n_steps + trains.steps[order]
        times_ms = np.round(steps * self.resolution_ms, 6).tolist()  # NEST takes lists in a third of the time of arrays
        ends = np.searchsorted(trains.neurons[order], np.arange(trains.n_neurons + 1)).tolist()
        parameters = [{"spike_times": times_ms[first:end]} for first, end in pairwise(ends)]
        with self._kernel.naming(f"the spike times of population {population.name!r}"):
            self._kernel.set_status(self._handles[population.name], parameters)

    def run(self, duration_ms: float) -> None:
        """Advance the network; see `snn.network.Network`."""
        self._kernel.check_owned()
        n_steps = n_steps_of(duration_ms, self.slice_ms, self.resolution_ms)
        with self._kernel.naming(f"to run {duration_ms} ms of the network {self._names}"), flushing_to_zero():
            if not self._is_prepared:
                self._kernel.prepare()
                self._is_prepared = True
            self._kernel.run(duration_ms)
        self._n_steps += n_steps

    def spike_counts(self) -> IntArray:
        """(n_copies, n_counted) spikes since the last call; also empties the recorder from time to time."""
        self._kernel.check_owned()
        counts = self._count_unread()
        if self._n_seen > _MAX_HELD_EVENTS:
            self._end_stretch()
        return counts.reshape(self._counts_shape)

    def _count_unread(self) -> IntArray:
        """Spikes of the counted neurons that no call has returned yet, flat."""
        senders = self._spike_events()[0]
        n_columns = self._counts_shape[0] * self._counts_shape[1]
        fresh = self._column[senders[self._n_seen :]]
        self._n_seen = len(senders)
        counts = np.bincount(fresh, minlength=n_columns + 1)[:-1] + self._uncounted
        self._uncounted = 0
        return counts

    def _spike_events(self) -> tuple[IntArray, FloatArray]:
        """Senders (NEST ids) and times (ms) of all spikes that the recorder holds."""
        events = self._kernel.get_events(self._recorder)
        # NEST returns an empty list as float.
        return events["senders"].astype(np.int64, copy=False), events["times"]

    def spikes(self) -> SpikeTrains:
        """All spikes of the recorded populations since time 0; see `snn.network.Network`."""
        if not self._recorded:
            raise RuntimeError("spikes were not recorded: build the network with recorded=(names of populations).")
        self._kernel.check_owned()
        self._uncounted = self._count_unread()
        self._end_stretch()
        sizes = {name: self.n_copies * self.topology.population(name).size for name in self._recorded}
        number, first = np.full(self._column.size, -1), 0
        for name, size in sizes.items():
            number[self._first_id[name] : self._first_id[name] + size] = first + np.arange(size)
            first += size
        senders = np.concatenate([kept[0] for kept in self._kept] or [np.empty(0, np.int64)])
        times_ms = np.concatenate([kept[1] for kept in self._kept] or [np.empty(0)])
        steps = np.rint(times_ms / self.resolution_ms).astype(np.int64) - self._origin
        neurons = number[senders]
        is_recorded = neurons >= 0
        return SpikeTrains.from_unsorted(
            steps[is_recorded], neurons[is_recorded], self.resolution_ms, self._n_steps, sizes
        )

    def membrane_potentials(self) -> FloatArray:
        """(n_steps, n_copies, n_probed) `V_m` in mV; see `snn.network.Network`."""
        if not self._probed:
            raise RuntimeError("potentials were not recorded: build the network with probed=(names of populations).")
        self._kernel.check_owned()
        n_steps = max(0, self._n_steps - round(self.slice_ms / self.resolution_ms))
        if n_steps == 0:
            n_probed = sum(self.topology.population(name).size for name in self._probed)
            return np.empty((0, self.n_copies, n_probed))
        events = self._kernel.get_events(self._multimeter)
        steps = np.rint(np.asarray(events["times"]) / self.resolution_ms).astype(np.int64)
        senders = np.asarray(events["senders"]).astype(np.int64)
        parts = []
        for name in self._probed:
            size = self.n_copies * self.topology.population(name).size
            values = np.empty((n_steps, size))
            is_own = (senders >= self._first_id[name]) & (senders < self._first_id[name] + size)
            values[steps[is_own] - 1, senders[is_own] - self._first_id[name]] = np.asarray(events["V_m"])[is_own]
            parts.append(values.reshape(n_steps, self.n_copies, -1))
        return np.concatenate(parts, axis=2)

    def _end_stretch(self) -> None:
        """Leave the prepared state, keep the recorded spikes and empty the recorder."""
        if self._is_prepared:
            self._kernel.cleanup()
            self._is_prepared = False
        if self._recorded:
            self._kept.append(self._spike_events())
        self._kernel.set_status(self._recorder, [{"n_events": 0}])
        self._n_seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kernel.is_owned:
            self._end_stretch()
