"""Brain A of the speed targets: 41 neurons, 1,000 synapses, about 16 spikes in a tick of 20 ms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn.models import Population
from snn.spike_trains import FloatArray
from snn.topology import Connections, Topology

N_INPUTS, N_HIDDEN, N_OUTPUTS = 11, 25, 5
N_NEURONS, N_SYNAPSES = 41, 1000
TICK_MS, MAX_DELAY_MS = 20.0, 5
_LEVELS_PA = np.array([0.0, 300.0, 500.0, 600.0])
_WEIGHT_SD_PA = 850.0  # with it, hidden neurons fire as often as specified


class Brains(NamedTuple):
    """Networks of one wiring and different weights."""

    topology: Topology
    weight_pA: FloatArray  # (n_networks, N_SYNAPSES)
    delay_ms: FloatArray  # (n_networks, N_SYNAPSES) whole ms


def make_brains(n_networks: int, rng: np.random.Generator) -> Brains:
    """Inputs -> hidden, hidden -> hidden without self-connections, hidden -> outputs, all to all, normal weights."""
    inputs = np.arange(N_INPUTS)
    hidden, outputs = N_INPUTS + np.arange(N_HIDDEN), N_INPUTS + N_HIDDEN + np.arange(N_OUTPUTS)
    pairs = [
        (s, t)
        for layer, targets in ((inputs, hidden), (hidden, hidden), (hidden, outputs))
        for s in layer
        for t in targets
        if s != t
    ]
    source, target = np.array(pairs).T
    weight_pA = rng.normal(0.0, _WEIGHT_SD_PA, (n_networks, N_SYNAPSES))
    delay_ms = rng.integers(1, MAX_DELAY_MS + 1, (n_networks, N_SYNAPSES)).astype(np.float64)
    populations = tuple(
        Population(name=name, size=size, model="iaf_psc_exp")
        for name, size in (("input", N_INPUTS), ("hidden", N_HIDDEN), ("output", N_OUTPUTS))
    )
    return Brains(Topology(populations, Connections(source, target, weight_pA[0], delay_ms[0])), weight_pA, delay_ms)


def make_currents(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Currents of the sensory neurons, one of four levels each."""
    return rng.choice(_LEVELS_PA, (*shape, N_INPUTS))
