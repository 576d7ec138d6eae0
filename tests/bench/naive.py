"""A colony the way NEST is usually scripted: the public calls, one for every input and every output."""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from snn import AntBrainConfig
from snn.decoding import decode_actions
from snn.nest_kernel import nest_version
from snn.spike_trains import FloatArray, IntArray
from snn.topology import ant_brain


class Style(enum.Enum):
    """What a script does in a tick, besides ``Simulate`` and one ``n_events`` per motor neuron."""

    PUBLISHED = enum.auto()  # a current generator per sensor is set and switched off again, every recorder is emptied
    LEAN = enum.auto()  # the same, but no generator is switched off
    TYPICAL = enum.auto()  # no generator: the input neuron's own current is set; recorders are never emptied


class ScriptedColony:
    """The network of `snn.AntColonyBrain` behind a generator or a current per sensor and a recorder per motor neuron.

    Generators act as late as the sensors of `AntColonyBrain` at 1 ms, so the actions are the same; the typical script
    drives its neurons 2 ms earlier. At 0.1 ms generators act earlier too.
    """

    def __init__(
        self, weights_pA: FloatArray, delays_ms: FloatArray, n_ants: int, config: AntBrainConfig, style: Style
    ) -> None:
        nest_version()  # quiet, one thread
        import nest

        self.nest, self.config, self.style = nest, config, style
        nest.ResetKernel()
        nest.set(resolution=config.resolution_ms, local_num_threads=1)
        topology = ant_brain(config, weights_pA, delays_ms)
        source, target, weight_pA, delay_ms = topology.connections
        neurons = nest.Create("iaf_psc_alpha", n_ants * topology.n_nodes, config.neuron.to_parameters())
        first = 1 + topology.n_nodes * np.arange(n_ants)[:, np.newaxis]
        nest.Connect(
            (first + source).ravel(),
            (first + target).ravel(),
            {"rule": "one_to_one"},
            {
                "synapse_model": "static_synapse",
                "weight": np.tile(weight_pA, n_ants),
                "delay": np.tile(delay_ms, n_ants),
            },
        )
        index = {name: (first - 1 + topology.nodes(name)).ravel().tolist() for name in ("input", "output", "heartbeat")}
        neurons[index["heartbeat"]].set(I_e=config.input_current_pA)
        self.inputs = [neurons[i] for i in index["input"]]
        self.recorders = [nest.Create("spike_recorder") for _ in index["output"]]
        for recorder, i in zip(self.recorders, index["output"], strict=True):
            nest.Connect(neurons[i], recorder)
        if style is not Style.TYPICAL:
            generators = [nest.Create("dc_generator") for _ in self.inputs]
            for generator, neuron in zip(generators, self.inputs, strict=True):
                nest.Connect(generator, neuron)
            self.inputs = generators
        self.last = np.zeros(len(self.recorders), dtype=np.int64)

    def act(self, obs: NDArray[np.int8]) -> IntArray:
        """Simulate one tick; as `AntColonyBrain.act`."""
        key = "I_e" if self.style is Style.TYPICAL else "amplitude"
        for driver, is_active in zip(self.inputs, obs.ravel(), strict=True):
            driver.set({key: self.config.input_current_pA * float(is_active)})
        self.nest.Simulate(self.config.tick_ms)
        counts = np.array([recorder.n_events for recorder in self.recorders])
        if self.style is Style.TYPICAL:
            counts, self.last = counts - self.last, counts
        else:
            for recorder in self.recorders:
                recorder.set(n_events=0)
        if self.style is Style.PUBLISHED:
            for generator in self.inputs:
                generator.set(amplitude=0.0)
        return decode_actions(counts.reshape(len(obs), -1))
