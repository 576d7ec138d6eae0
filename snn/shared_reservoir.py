"""Many spiking readouts of one reservoir: simulate it once per stimulus, then replay its spikes into all of them.

Output neurons that do not project back leave the reservoir as it is, whatever their weights. So the costly part is
simulated once and recorded, and the output neurons of all members of an ensemble are driven by the recording: on NEST
as one network, in compiled code many members side by side (`snn.replay`), with the same spikes. Noise of the outputs is
drawn once per stimulus and shared by the members, as random numbers common to all that are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn.encoding import poisson_rate, poisson_rate_counts
from snn.liquid import LiquidStateMachine
from snn.liquid_config import LiquidConfig, stimulus_seeds
from snn.models import Population
from snn.network import Network, build
from snn.published_reservoir import (
    OUTPUTS,
    PublishedReservoirConfig,
    make_published_reservoir,
    sub_network,
)
from snn.replay import Replay, network_of_members
from snn.reservoirs import LIQUID
from snn.spike_trains import FloatArray, IntArray, SpikeTrains, whole_steps
from snn.topology import Connections, Topology

_NOISE = "noise_output"
_N_TOGETHER = 16  # stimuli that are replayed in one call: as many as hardly need memory


class SharedReservoir:
    """The published reservoir with an ensemble of trained weights: one simulation of the liquid for all members.

    ``counts(record(stimulus, index), index)`` gives what each member's output neurons fire, `counts_of` the same of
    several recordings at less cost. Members do not affect one another: any part of the ensemble gives its part of the
    counts. Both engines give the same counts for the same recording; recordings agree between engines in distribution,
    as the liquid has noise of its own.

    Parameters
    ----------
    config : LiquidConfig with a `PublishedReservoirConfig`, e.g. `published_liquid()`
    n_members : int, >= 1, rows of weights until `set_weights` gives another number
    engine : "nest" or "numba"

    Attributes
    ----------
    n_members : int, rows of `weights_pA`
    trained : (n_clusters, n_per_cluster) int64, columns of `weights_pA` that lead to each cluster, in the order of
        `snn.published_reservoir.TrainedSynapses`: ee, ei, ie, ii
    weights_pA : (n_members, n_trained) float64, at first those of the reservoir for every member

    Raises
    ------
    ValueError : a config with another reservoir, or no member.

    Source: own; the protocol it speeds up is Yegenoglu et al. 2022, doi:10.3389/fncom.2022.885207.   Deviates: noise of
    the outputs is shared by the members.
    """

    def __init__(self, config: LiquidConfig, n_members: int, engine: str = "nest") -> None:
        if not isinstance(config.reservoir, PublishedReservoirConfig):
            raise ValueError(
                f"a {type(config.reservoir).__name__} has no output neurons: give published_liquid() as config."
            )
        if n_members < 1:
            raise ValueError(f"n_members={n_members} is not allowed: it must be >= 1.")
        self.config, self.engine, self.n_members = config, engine, n_members
        self.liquid = LiquidStateMachine(config, engine)
        encoder: Any = config.encoder
        published = make_published_reservoir(config.reservoir, np.random.default_rng(config.seed), encoder)
        single, synapses = output_network(published.topology)
        trained = published.trained.of_clusters()
        is_trained = np.isin(synapses, trained)
        column = np.full(len(published.topology.connections.source), -1)
        column[trained.ravel()] = np.arange(trained.size)
        self.trained: IntArray = column[trained]
        self._columns = column[synapses[is_trained]]  # of `weights_pA`, for the trained synapses of the output network
        self._is_trained = np.flatnonzero(is_trained)
        self._single, self._noise_hz = single, published.rates_hz[_NOISE]
        self._network: Network | None = None
        self._replay: Replay | None = None
        if engine == "numba":
            self._replay = Replay(single, config.reservoir.n_clusters, _NOISE, config.resolution_ms)
            self._given_columns = column[synapses[self._replay.given]]  # every synapse from the liquid is trained
        self.set_weights(np.tile(published.topology.connections.weight_pA[trained.ravel()], (n_members, 1)))

    @property
    def n_outputs(self) -> int:
        """Output neurons of a member: excitatory ones, cluster after cluster, then inhibitory ones."""
        return sum(self._single.population(name).size for name in OUTPUTS)

    def set_weights(self, weights_pA: FloatArray) -> None:
        """Give every member new trained weights; there are as many members as rows from now on.

        Parameters
        ----------
        weights_pA : (n_members, n_trained), finite, n_members >= 1; copied

        Raises
        ------
        ValueError : another shape, or a weight that is not finite.
        """
        weights_pA = np.array(weights_pA, dtype=np.float64)  # a copy: the caller may change its array
        if weights_pA.ndim != 2 or len(weights_pA) < 1 or weights_pA.shape[1] != self.trained.size:
            raise ValueError(
                f"weights_pA have shape {weights_pA.shape}, expected (n_members, {self.trained.size}), members × "
                "trained synapses, with at least one member."
            )
        if not np.isfinite(weights_pA).all():
            member = int(np.flatnonzero(~np.isfinite(weights_pA).all(axis=1))[0])
            raise ValueError(f"weights_pA[{member}] holds a weight that is not finite.")
        if len(weights_pA) != self.n_members:
            self.n_members, self._network = len(weights_pA), None
        self.weights_pA: FloatArray = weights_pA
        if self._replay is not None:
            self._replay.set_weights(weights_pA[:, self._given_columns])
        elif self._network is not None:
            self._network.set_weights(self._all_weights_pA())

    def record(self, stimulus: Any, index: int = 0) -> SpikeTrains:
        """Spikes of the liquid, idle time and stimulus, after a reset; as `LiquidStateMachine.spikes`."""
        return self.liquid.spikes(stimulus, index, has_idle=True)

    def counts(self, recording: SpikeTrains, index: int = 0) -> IntArray:
        """Spikes of all output neurons of all members during the stimulus.

        Parameters
        ----------
        recording : of `record`, idle time and stimulus; it can be used again for other weights. Populations other than
            those of the liquid are left out.
        index : int, >= 0, number of the stimulus, on which the noise of the outputs depends

        Returns
        -------
        (n_members, n_outputs) int64, outputs in the order of `n_outputs`

        Raises
        ------
        ValueError : a negative index, or a recording of other populations, of another resolution, or not as long as the
            idle time and the stimulus.
        """
        return self.counts_of([recording], [index])[0]

    def counts_of(self, recordings: Sequence[SpikeTrains], indices: Sequence[int] | IntArray) -> IntArray:
        """Spikes of all output neurons of all members during several stimuli, as `counts` gives for each of them.

        Parameters
        ----------
        recordings : (n_stimuli,) as of `counts`
        indices : (n_stimuli,) integers >= 0, numbers of the stimuli

        Returns
        -------
        (n_stimuli, n_members, n_outputs) int64

        Raises
        ------
        ValueError : as `counts`, or another number of indices than of recordings.
        """
        if len(recordings) != len(indices):
            raise ValueError(f"{len(recordings)} recordings but {len(indices)} indices: give one per recording.")
        pairs = list(zip(recordings, map(int, indices), strict=True))
        for recording, index in pairs:
            self._check(recording, index)
        counts = np.empty((len(pairs), self.n_members, self.n_outputs), dtype=np.int64)
        if self._replay is None:
            for k, (recording, index) in enumerate(pairs):
                counts[k] = self._simulate(recording, index)
            return counts
        n_idle = round((self.config.warm_up_ms + self.config.cool_down_ms) / self.config.resolution_ms)
        for first in range(0, len(pairs), _N_TOGETHER):
            some = pairs[first : first + _N_TOGETHER]
            noise = [poisson_rate_counts(*self._noise(index)) for _, index in some] if self._noise_hz > 0 else []
            counts[first : first + _N_TOGETHER] = self._replay.counts(
                [recording for recording, _ in some], noise, n_idle
            )
        return counts

    def rates_hz(self, recording: SpikeTrains, index: int = 0) -> FloatArray:
        """(n_members, n_clusters) mean rates of each cluster's excitatory neurons during the stimulus, in Hz."""
        return self.rates_of([recording], [index])[0]

    def rates_of(self, recordings: Sequence[SpikeTrains], indices: Sequence[int] | IntArray) -> FloatArray:
        """(n_stimuli, n_members, n_clusters) rates as `rates_hz`; arguments and errors as `counts_of`."""
        n_clusters, n_excitatory = len(self.trained), self._single.population(OUTPUTS[0]).size
        counts = self.counts_of(recordings, indices)[:, :, :n_excitatory]
        parts = counts.reshape(*counts.shape[:2], n_clusters, n_excitatory // n_clusters)
        return parts.mean(axis=3) / (self.config.stimulus_ms / 1000.0)

    def _simulate(self, recording: SpikeTrains, index: int) -> IntArray:
        """`counts` by the network of all members."""
        if self._network is None:
            members = network_of_members(self._single, self.n_members)
            c = members.connections
            members = Topology(members.populations, Connections(c.source, c.target, self._all_weights_pA(), c.delay_ms))
            self._network = build(members, engine=self.engine, counted=OUTPUTS, resolution_ms=self.config.resolution_ms)
        else:
            self._network.reset()
        for name, trains in self._drive(recording, index).items():
            self._network.set_inputs(name, trains)
        idle_ms = self.config.warm_up_ms + self.config.cool_down_ms
        if idle_ms > 0:
            self._network.run(idle_ms)
            self._network.spike_counts()
        self._network.run(self.config.stimulus_ms)
        ends = np.cumsum([self.n_members * self._single.population(name).size for name in OUTPUTS])[:-1]
        parts = np.split(self._network.spike_counts()[0], ends)
        return np.concatenate([part.reshape(self.n_members, -1) for part in parts], axis=1)

    def _check(self, recording: SpikeTrains, index: int) -> None:
        """Raise ValueError for a recording that is none of `record`, or a negative index."""
        if index < 0:
            raise ValueError(f"index={index} is not allowed: it is the number of a stimulus, >= 0.")
        config = self.config
        expected = {name: self._single.population(name).size for name in LIQUID}
        if {name: recording.populations.get(name) for name in LIQUID} != expected:
            raise ValueError(
                f"the recording has populations {dict(recording.populations)}, but the liquid has {expected}: give one "
                "of record()."
            )
        if abs(recording.resolution_ms - config.resolution_ms) > 1e-9:
            raise ValueError(
                f"the recording has a resolution of {recording.resolution_ms} ms, the liquid {config.resolution_ms} ms."
            )
        idle_ms = config.warm_up_ms + config.cool_down_ms
        if recording.n_steps != whole_steps(idle_ms + config.stimulus_ms, config.resolution_ms):
            raise ValueError(
                f"the recording lasts {recording.duration_ms:g} ms, but {idle_ms:g} ms of idle time and "
                f"{config.stimulus_ms:g} ms of the stimulus are {idle_ms + config.stimulus_ms:g} ms: give one of "
                "record(), which includes the idle time."
            )

    def _drive(self, recording: SpikeTrains, index: int) -> Mapping[str, SpikeTrains]:
        """Spikes into the output network: those of the liquid, and noise."""
        noise = poisson_rate(*self._noise(index), population=_NOISE)
        return {name: recording.population(name) for name in LIQUID} | {_NOISE: noise}

    def _noise(self, index: int) -> tuple[FloatArray, float, float, np.random.Generator]:
        """Rates in Hz, duration and resolution in ms, and random numbers of the noise of the outputs."""
        config = self.config
        rates_hz = np.full(self._single.population(_NOISE).size, self._noise_hz)
        duration_ms = config.warm_up_ms + config.cool_down_ms + config.stimulus_ms
        rng = np.random.default_rng(stimulus_seeds(config.seed, index, "outputs"))
        return rates_hz, duration_ms, config.resolution_ms, rng

    def _all_weights_pA(self) -> FloatArray:
        """(n_members * n_synapses,) weights of all synapses of the members' network."""
        weight_pA = np.tile(self._single.connections.weight_pA, (self.n_members, 1))
        weight_pA[:, self._is_trained] = self.weights_pA[:, self._columns]
        return weight_pA.ravel()


def output_network(topology: Topology) -> tuple[Topology, IntArray]:
    """The output neurons of a published reservoir, driven by spike generators in place of the liquid and of noise.

    Every synapse of the noise gets a generator of its own, since it has its own noise.

    Returns
    -------
    topology : populations "noise_output", "excitatory", "inhibitory" (generators) and those of the outputs
    synapses : (n_synapses,) index of its synapses in the connections of the reservoir

    Raises
    ------
    ValueError : outputs that project back to the liquid, so that it cannot be replayed.
    """
    outputs = np.concatenate([topology.nodes(name) for name in OUTPUTS])
    is_back = np.isin(topology.connections.source, outputs) & ~np.isin(topology.connections.target, outputs)
    if is_back.any():
        raise ValueError(
            f"{np.count_nonzero(is_back)} synapses lead from outputs back to the liquid: its spikes depend on the "
            "trained weights and cannot be replayed. Remove them."
        )
    small, synapses = sub_network(topology, (_NOISE, *LIQUID, *OUTPUTS), given=(_NOISE, *LIQUID))
    c = small.connections
    is_noise = np.isin(c.source, small.nodes(_NOISE))
    n_noise = int(np.count_nonzero(is_noise))
    n_added = n_noise - small.population(_NOISE).size
    source = c.source + n_added
    source[is_noise] = np.arange(n_noise)
    noise = Population(name=_NOISE, size=n_noise, model="spike_generator")
    populations = (noise, *small.populations[1:])
    return Topology(populations, Connections(source, c.target + n_added, c.weight_pA, c.delay_ms)), synapses
