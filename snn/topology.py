"""Who is connected to whom, as index arrays; pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn.params import AntBrainConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Connections(NamedTuple):
    """Synapses of a network as flat arrays of equal length."""

    source: IntArray  # (n_synapses,) 0-based neuron index
    target: IntArray  # (n_synapses,) 0-based neuron index
    weight_pA: FloatArray  # (n_synapses,)
    delay_ms: FloatArray  # (n_synapses,)


def ant_brain_pairs(config: AntBrainConfig) -> tuple[IntArray, IntArray]:
    """Source and target of every synapse of one ant, in the order of the published genome.

    Neurons of one ant are numbered inputs, hidden, outputs; the index ``config.n_neurons`` is the heartbeat.
    Order: input -> hidden (input-major), heartbeat -> hidden, hidden -> hidden without self-connections
    (source-major), hidden -> output (source-major).

    Returns
    -------
    source, target : (n_synapses,) int64
    """
    inputs = np.arange(config.n_inputs)
    hidden = config.n_inputs + np.arange(config.n_hidden)
    outputs = config.n_inputs + config.n_hidden + np.arange(config.n_outputs)
    heartbeat = np.array([config.n_neurons])
    blocks = [_all_pairs(inputs, hidden), _all_pairs(heartbeat, hidden)]
    recurrent_source, recurrent_target = _all_pairs(hidden, hidden)
    is_other = recurrent_source != recurrent_target
    blocks += [(recurrent_source[is_other], recurrent_target[is_other]), _all_pairs(hidden, outputs)]
    return np.concatenate([pair[0] for pair in blocks]), np.concatenate([pair[1] for pair in blocks])


def colony_connections(
    config: AntBrainConfig, n_ants: int, weights_pA: FloatArray, delays_ms: FloatArray
) -> Connections:
    """Synapses of `n_ants` equal brains, side by side, with one common heartbeat.

    Neuron ``k`` of ant ``a`` has the index ``a * config.n_neurons + k``; the heartbeat comes last.

    Parameters
    ----------
    weights_pA, delays_ms : (n_synapses,) of one ant, ordered as `ant_brain_pairs`
    """
    source, target = ant_brain_pairs(config)
    first = config.n_neurons * np.arange(n_ants)[:, None]
    heartbeat = config.n_neurons * n_ants
    return Connections(
        source=np.where(source == config.n_neurons, heartbeat, first + source).ravel(),
        target=(first + target).ravel(),
        weight_pA=np.tile(weights_pA, n_ants),
        delay_ms=np.tile(delays_ms, n_ants),
    )


def _all_pairs(source: IntArray, target: IntArray) -> tuple[IntArray, IntArray]:
    return np.repeat(source, target.size), np.tile(target, source.size)
