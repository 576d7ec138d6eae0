"""Liquid-state machine: stimulus -> spike trains -> recurrent network at random -> liquid state -> trained readout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snn.checks import n_steps_of, slice_ms
from snn.liquid_config import LiquidConfig, encode_trial, make_liquid, stimulus_seeds
from snn.measures import filtered_trace
from snn.network import Network, build
from snn.readout import Readout, RidgeReadout
from snn.reservoirs import LIQUID
from snn.spike_trains import FloatArray, IntArray, SpikeTrains

# Stimuli that compiled code simulates side by side, while their buffers fit the cache; NEST is fastest with one.
_N_TOGETHER = 8
_FINEST_TOGETHER_MS = 0.5  # resolution


class LiquidStateMachine:
    """A liquid that turns stimuli into states, and a readout that is trained on them.

    States follow from the config, the stimulus and its index alone, not from the order of the stimuli or from how they
    are split over calls. The index decides the noise of a stimulus, so a test set needs other indices than the training
    set: by default `fit` numbers its stimuli 0, 1, …, and `predict` and `score` go on after the largest index of `fit`.
    Both engines give the same states unless the reservoir has noise sources of its own (the published one). With
    ``between_trials="cool-down"`` states depend on the stimuli before as well, and every call begins with a reset.

    One simulation serves any number of readouts: keep the result of `transform` and fit them to it.

    Parameters
    ----------
    config : LiquidConfig
    engine : "nest", the reference, or "numba", its fast twin
    readout : Readout, trained by `fit`; default `RidgeReadout` with penalties of which it takes the best

    Raises
    ------
    ValueError : an unknown engine, or times of the config that are off the time grid of the network.
    snn.nest_kernel.NestUnavailableError : engine "nest" without a NEST that can be used.

    Source: Maass, Natschläger & Markram 2002, doi:10.1162/089976602760407955.
    """

    def __init__(self, config: LiquidConfig, engine: str = "nest", readout: Readout | None = None) -> None:
        self.config, self.engine = config, engine
        self.readout: Readout = RidgeReadout(np.logspace(0, 5, 11).tolist()) if readout is None else readout
        self.topology, self._rates_hz = make_liquid(config)
        slice_length_ms = slice_ms(self.topology.connections.delay_ms, config.resolution_ms)
        for name in ("bin_ms", "warm_up_ms", "cool_down_ms"):
            if getattr(config, name) > 0:
                try:
                    n_steps_of(getattr(config, name), slice_length_ms, config.resolution_ms)
                except ValueError as error:
                    raise ValueError(f"LiquidConfig.{name}: {error}") from None
        is_single = bool(self._rates_hz) or config.between_trials == "cool-down"
        is_single = is_single or engine != "numba" or config.resolution_ms < _FINEST_TOGETHER_MS
        self._n_copies = 1 if is_single else _N_TOGETHER
        self._n_numbered = 0  # one more than the largest index that `fit` has used
        self._network: Network | None = None
        self._renewed_network(0)

    @property
    def n_neurons(self) -> int:
        """Neurons whose activity is read."""
        return sum(self.topology.population(name).size for name in LIQUID)

    @property
    def n_features(self) -> int:
        """Columns of the states: bins of the first neuron, then of the next; excitatory neurons first."""
        return self.n_neurons * self.config.n_bins

    def transform(self, stimuli: Sequence[Any] | NDArray[Any], indices: ArrayLike | None = None) -> FloatArray:
        """Liquid states of stimuli.

        Parameters
        ----------
        stimuli : (n_stimuli, …) array or sequence; see `LiquidConfig` for a stimulus of each encoder
        indices : (n_stimuli,) integers >= 0, numbers of the stimuli in their data set, on which their noise depends;
            default 0, 1, …

        Returns
        -------
        (n_stimuli, n_features) float64, spikes per bin or traces (dimensionless)

        Raises
        ------
        ValueError : indices that do not fit, or a stimulus that the encoder does not take.
        """
        numbers = _check_indices(indices, len(stimuli))
        if self.config.between_trials == "cool-down":
            return self._transform_in_sequence(stimuli, numbers)
        states = np.empty((len(stimuli), self.n_features))
        for first in range(0, len(stimuli), self._n_copies):
            batch = slice(first, first + self._n_copies)
            states[batch] = self._transform_together(stimuli[batch], numbers[batch])
        return states

    def spikes(self, stimulus: Any, index: int = 0, *, has_idle: bool = False) -> SpikeTrains:
        """Spikes of the liquid during one stimulus that follows a reset.

        Parameters
        ----------
        stimulus, index : as in `transform`
        has_idle : whether the idle time before the stimulus is part of the recording

        Returns
        -------
        SpikeTrains of populations "excitatory" and "inhibitory"

        Raises
        ------
        ValueError : as `transform`.
        """
        (number,) = _check_indices([index], 1).tolist()
        idle_ms = self.config.warm_up_ms + self.config.cool_down_ms
        trial = encode_trial(stimulus, self.config, number, idle_ms)
        network = self._build(number, recorded=LIQUID)
        network.set_inputs(self.config.input_name, trial)
        network.run(trial.duration_ms)
        trains = network.spikes()
        return trains if has_idle else trains.slice(idle_ms, trains.duration_ms)

    def fit(
        self, stimuli: Sequence[Any] | NDArray[Any], targets: ArrayLike, indices: ArrayLike | None = None
    ) -> LiquidStateMachine:
        """Train the readout on the states of stimuli; arguments and errors as `transform` and `Readout.fit`.

        The indices, by default 0, 1, …, are those of the training stimuli: later calls of `predict` and `score` start
        after the largest of them.
        """
        numbers = _check_indices(indices, len(stimuli))
        self.readout.fit(self.transform(stimuli, numbers), targets)
        self._n_numbered = int(numbers.max(initial=-1)) + 1
        return self

    def predict(self, stimuli: Sequence[Any] | NDArray[Any], indices: ArrayLike | None = None) -> NDArray[Any]:
        """Classes or values of stimuli; arguments and errors as `transform` and `Readout.predict`.

        Parameters
        ----------
        indices : default ``n, n + 1, …`` with n one more than the largest index of `fit`, so that the noise is not that
            of the training stimuli, but the same in every call; give the indices of `fit` to meet its states again
        """
        return self.readout.predict(self._new_states(stimuli, indices))

    def score(
        self, stimuli: Sequence[Any] | NDArray[Any], targets: ArrayLike, indices: ArrayLike | None = None
    ) -> float:
        """Accuracy or R²; indices as `predict`, other arguments and errors as `transform` and `Readout.score`."""
        return self.readout.score(self._new_states(stimuli, indices), targets)

    def _new_states(self, stimuli: Sequence[Any] | NDArray[Any], indices: ArrayLike | None) -> FloatArray:
        """States of stimuli that, unless they are numbered, come after those of `fit`."""
        return self.transform(stimuli, self._n_numbered + np.arange(len(stimuli)) if indices is None else indices)

    def _build(self, number: int, n_copies: int = 1, **watched: Sequence[str]) -> Network:
        """A new network whose own noise, if it has any, follows from the number of a stimulus."""
        seeds = stimulus_seeds(self.config.seed, number, "liquid")
        rng_seed = int(seeds.generate_state(1)[0]) % (2**32 - 1) + 1
        options: dict[str, Any] = {"engine": self.engine, "n_copies": n_copies, "rng_seed": rng_seed, **watched}
        network = build(self.topology, resolution_ms=self.config.resolution_ms, **options)
        for name, rate_hz in self._rates_hz.items():
            network.set_inputs(name, rate_hz)
        return network

    def _renewed_network(self, number: int) -> Network:
        """The network of `transform` at time 0; one with noise of its own is built anew, with another seed."""
        if self._network is not None and not self._rates_hz:
            self._network.reset()
        else:
            watched = {"counted" if self.config.state == "counts" else "recorded": LIQUID}
            self._network = self._build(number, self._n_copies, **watched)
        return self._network

    def _transform_together(self, stimuli: Sequence[Any] | NDArray[Any], numbers: IntArray) -> FloatArray:
        """States of as many stimuli as there are copies, or fewer, after a reset."""
        config, network = self.config, self._renewed_network(int(numbers[0]))
        idle_ms = config.warm_up_ms + config.cool_down_ms
        trials = [encode_trial(x, config, n, idle_ms) for x, n in zip(stimuli, numbers.tolist(), strict=True)]
        network.set_inputs(config.input_name, trials_to_copies(trials, self._n_copies))
        if config.state == "counts":
            return self._run_counts(network, idle_ms)[: len(trials)]
        network.run(idle_ms + config.stimulus_ms)
        return self._traces(network, np.array([idle_ms]))[: len(trials)]

    def _transform_in_sequence(self, stimuli: Sequence[Any] | NDArray[Any], numbers: IntArray) -> FloatArray:
        """States of stimuli one after the other, without a reset in between."""
        config, network = self.config, self._renewed_network(int(numbers[0]) if len(numbers) else 0)
        states, onsets_ms, idle_ms, now_ms = [], [], config.warm_up_ms + config.cool_down_ms, 0.0
        for stimulus, number in zip(stimuli, numbers.tolist(), strict=True):
            network.set_inputs(config.input_name, encode_trial(stimulus, config, number, idle_ms))
            if config.state == "counts":
                states.append(self._run_counts(network, idle_ms))
            else:
                network.run(idle_ms + config.stimulus_ms)
            onsets_ms.append(now_ms + idle_ms)
            now_ms += idle_ms + config.stimulus_ms
            idle_ms = config.cool_down_ms
        if config.state == "trace" and onsets_ms:
            return self._traces(network, np.array(onsets_ms))
        return np.concatenate(states) if states else np.empty((0, self.n_features))

    def _run_counts(self, network: Network, idle_ms: float) -> FloatArray:
        """Run one trial; (n_copies, n_features) spikes per bin of the stimulus."""
        if idle_ms > 0:
            network.run(idle_ms)
            network.spike_counts()
        bins = []
        for _ in range(self.config.n_bins):
            network.run(self.config.bin_ms)
            bins.append(network.spike_counts())
        return np.stack(bins, axis=2).reshape(self._n_copies, -1).astype(np.float64)

    def _traces(self, network: Network, onsets_ms: FloatArray) -> FloatArray:
        """(n_copies or n_onsets, n_features) traces at the ends of the bins of stimuli that began at the onsets."""
        trains = network.spikes()
        at_ms = onsets_ms[:, np.newaxis] + self.config.bin_ms * np.arange(1, self.config.n_bins + 1)
        resolution_ms = self.config.resolution_ms
        at_ms = np.rint(at_ms / resolution_ms) * resolution_ms
        traces = filtered_trace(trains, self.config.tau_ms, np.minimum(at_ms.ravel(), trains.duration_ms))
        shape = (self._n_copies, -1, len(onsets_ms), self.config.n_bins)
        ends = np.cumsum([trains.populations[name] for name in LIQUID])[:-1]
        parts = [part.reshape(shape) for part in np.split(traces, ends)]
        return np.concatenate(parts, axis=1).transpose(0, 2, 1, 3).reshape(-1, self.n_features)


def trials_to_copies(trials: Sequence[SpikeTrains], n_copies: int) -> SpikeTrains:
    """Trials of equal length as the inputs of copies of a network; copies without a trial stay silent."""
    if n_copies == 1:
        return trials[0]
    size, n_steps = trials[0].n_neurons, trials[0].n_steps
    steps = np.concatenate([trial.steps for trial in trials])
    neurons = np.concatenate([trial.neurons + copy * size for copy, trial in enumerate(trials)])
    # Within a step the spikes already stand in order. Numbers of 16 bit are sorted in linear time.
    order = np.argsort(steps.astype(np.uint16) if n_steps < 2**16 else steps, kind="stable")
    (name,) = trials[0].populations
    return SpikeTrains(steps[order], neurons[order], trials[0].resolution_ms, n_steps, {name: n_copies * size})


def _check_indices(indices: ArrayLike | None, n_stimuli: int) -> IntArray:
    """Numbers of the stimuli, one each."""
    if indices is None:
        return np.arange(n_stimuli)
    numbers = np.asarray(indices)
    if numbers.shape != (n_stimuli,) or numbers.dtype.kind not in "iu" or (numbers < 0).any():
        raise ValueError(
            f"indices have shape {numbers.shape}, type {numbers.dtype} and begin with {numbers.ravel()[:1]}: give "
            f"{n_stimuli} whole numbers >= 0, one per stimulus."
        )
    return numbers.astype(np.int64)
