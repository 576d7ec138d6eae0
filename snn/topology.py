"""One description of a network for both engines: populations, and synapses as flat arrays; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn.models import Population
from snn.params import AntBrainConfig
from snn.spike_trains import FloatArray, IntArray, is_whole


class Connections(NamedTuple):
    """Static synapses as flat arrays of equal length.

    The sign of a weight, not the source, decides whether a synapse excites or inhibits.
    """

    source: IntArray  # (n_synapses,) 0-based node index
    target: IntArray  # (n_synapses,) 0-based node index, a neuron
    weight_pA: FloatArray  # (n_synapses,); in mV for targets of model iaf_psc_delta
    delay_ms: FloatArray  # (n_synapses,)


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """Populations and the synapses among them.

    Nodes, neurons and sources alike, are numbered 0, 1, … through the populations in their order.

    Raises
    ------
    ValueError : no neuron, two populations of one name, arrays of unequal length, node indices that are no whole
        numbers, a synapse from or to a node that does not exist, onto a source, or with a weight that is not finite or
        a delay that is not positive.
    """

    populations: tuple[Population, ...]
    connections: Connections

    def __post_init__(self) -> None:
        source, target, weight_pA, delay_ms = (np.asarray(values) for values in self.connections)
        shapes = {name: np.shape(values) for name, values in self.connections._asdict().items()}
        if any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"connections have arrays of shapes {shapes}: give flat arrays, one entry per synapse.")
        if source.size and not (source.dtype.kind in "iu" and target.dtype.kind in "iu"):
            raise ValueError(f"connections name nodes as {source.dtype} and {target.dtype}: give whole numbers.")
        ends = (source.astype(np.int64), target.astype(np.int64))
        own = Connections(*ends, weight_pA.astype(np.float64), delay_ms.astype(np.float64))
        object.__setattr__(self, "connections", own)  # copies: later changes of the caller's arrays have no effect
        names = [population.name for population in self.populations]
        if len(set(names)) < len(names):
            raise ValueError(f"populations are named {names}: every name may be used once.")
        if not any(population.is_neuron for population in self.populations):
            raise ValueError("a network needs at least one population of neurons.")
        sizes = {name: len(values) for name, values in self.connections._asdict().items()}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"connections have arrays of unequal length: {sizes}.")
        for name in ("source", "target"):
            indices = getattr(self.connections, name)
            is_outside = (indices < 0) | (indices >= self.n_nodes)
            if is_outside.any():
                raise ValueError(
                    f"connections.{name} holds node {indices[is_outside][0]}, outside 0 … {self.n_nodes - 1}."
                )
        for population in self.populations:
            if not population.is_neuron and np.isin(self.connections.target, self.nodes(population.name)).any():
                raise ValueError(f"a synapse ends on {population.name!r}, a {population.model}: sources take no input.")
        check_weights(self.connections.weight_pA)
        is_positive = self.connections.delay_ms > 0
        if not is_positive.all():
            index = int(np.flatnonzero(~is_positive)[0])
            raise ValueError(f"delay {index} is {self.connections.delay_ms[index]} ms: delays must be > 0.")

    @property
    def n_nodes(self) -> int:
        """Neurons and sources."""
        return sum(population.size for population in self.populations)

    def population(self, name: str) -> Population:
        """A population by its name.

        Raises
        ------
        ValueError : no population of this name.
        """
        for population in self.populations:
            if population.name == name:
                return population
        raise ValueError(f"no population {name!r}: this network has {', '.join(p.name for p in self.populations)}.")

    def nodes(self, name: str) -> IntArray:
        """(size,) node indices of a population.

        Raises
        ------
        ValueError : no population of this name.
        """
        population = self.population(name)
        first = sum(other.size for other in self.populations[: self.populations.index(population)])
        return first + np.arange(population.size)


def check_weights(weight_pA: FloatArray) -> None:
    """Raise ValueError for weights that are not finite."""
    is_finite = np.isfinite(weight_pA)
    if not is_finite.all():
        index = int(np.flatnonzero(~is_finite)[0])
        raise ValueError(f"weight {index} is {weight_pA[index]} pA: every weight must be finite.")


def combine_multapses(topology: Topology, weight_pA: FloatArray, delay_ms: FloatArray) -> FloatArray:
    """Weights with those of synapses that act as one given to the first of them, and 0 to the others.

    Such synapses join the same two nodes with the same delay and sign. Their spikes arrive together, and NEST adds them
    in an order that is its own and not always the same: this makes sums exact and engines equal. Synapses of Poisson
    sources stay apart, since each one has its own noise.

    Parameters
    ----------
    weight_pA, delay_ms : (n_synapses,)

    Returns
    -------
    (n_synapses,) float64
    """
    source, target = topology.connections.source, topology.connections.target
    pair = source * topology.n_nodes + target
    ordered = np.sort(pair)  # ten times faster than np.unique
    if (ordered[1:] > ordered[:-1]).all():
        return weight_pA
    populations = topology.populations
    model = np.repeat([population.model for population in populations], [population.size for population in populations])
    is_positive = (weight_pA > 0) | (model[target] == "iaf_psc_delta")
    own = np.where(model[source] == "poisson_generator", np.arange(pair.size), -1)
    keys = np.stack([pair, np.rint(delay_ms * 1e6).astype(np.int64), is_positive, own])
    _, first, group = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    combined = np.zeros(pair.size)
    np.add.at(combined, first[group.ravel()], weight_pA)
    return combined


def check_grid(topology: Topology, resolution_ms: float) -> None:
    """Raise ValueError for delays and refractory times between the steps, which NEST would round silently."""
    is_fine = 0.001 <= resolution_ms < 1 and is_on_grid(1.0, resolution_ms)
    if not ((is_fine or 1 <= resolution_ms < np.inf) and is_on_grid(resolution_ms, 0.001)):
        raise ValueError(
            f"resolution_ms={resolution_ms} is not allowed: it must divide 1 ms, or be longer, and be a multiple of "
            "0.001 ms, NEST's unit of time; e.g. 0.1 or 1.0."
        )
    check_delays(topology.connections.delay_ms, resolution_ms)
    for population in topology.populations:
        if population.is_neuron and not is_on_grid(population.all_parameters()["t_ref"], resolution_ms):
            raise ValueError(
                f"population {population.name!r}: t_ref={population.all_parameters()['t_ref']} is not a multiple of "
                f"the resolution, {resolution_ms} ms (NEST would round silently)."
            )


def check_delays(delay_ms: FloatArray, resolution_ms: float) -> None:
    """Raise ValueError for delays that are not positive multiples of the resolution."""
    is_allowed = (delay_ms >= resolution_ms * (1 - 1e-9)) & is_on_grid(delay_ms, resolution_ms)
    if not is_allowed.all():
        index = int(np.flatnonzero(~is_allowed)[0])
        raise ValueError(
            f"delay {index} is {delay_ms[index]} ms: delays must be positive multiples of the resolution, "
            f"{resolution_ms} ms (NEST would round silently)."
        )


def is_on_grid(time_ms: FloatArray | float, resolution_ms: float) -> NDArray[np.bool_]:
    """Whether times are whole numbers of steps, but for rounding."""
    return is_whole(np.asarray(time_ms) / resolution_ms)


def ant_brain_pairs(config: AntBrainConfig) -> tuple[IntArray, IntArray]:
    """Source and target of every synapse of an ant brain, in the order of the published genome.

    Nodes are numbered inputs, hidden, outputs, heartbeat. Order: input -> hidden (input-major), heartbeat -> hidden,
    hidden -> hidden without self-connections (source-major), hidden -> output (source-major).

    Returns
    -------
    source, target : (n_synapses,) int64
    """
    inputs = np.arange(config.n_inputs)
    hidden = config.n_inputs + np.arange(config.n_hidden)
    outputs = config.n_inputs + config.n_hidden + np.arange(config.n_outputs)
    heartbeat = np.array([config.n_inputs + config.n_hidden + config.n_outputs])
    blocks = [_all_pairs(inputs, hidden), _all_pairs(heartbeat, hidden)]
    recurrent_source, recurrent_target = _all_pairs(hidden, hidden)
    is_other = recurrent_source != recurrent_target
    blocks += [(recurrent_source[is_other], recurrent_target[is_other]), _all_pairs(hidden, outputs)]
    return np.concatenate([pair[0] for pair in blocks]), np.concatenate([pair[1] for pair in blocks])


def ant_brain(config: AntBrainConfig, weights_pA: FloatArray, delays_ms: FloatArray) -> Topology:
    """The brain of one ant: populations "input", "hidden", "output" and "heartbeat".

    Parameters
    ----------
    weights_pA, delays_ms : (n_synapses,), ordered as `ant_brain_pairs`

    Raises
    ------
    ValueError : arrays of another length, a weight that is not finite, or a delay that is not positive.
    """
    neuron = config.neuron.to_parameters()
    populations = (
        Population(name="input", size=config.n_inputs, parameters=neuron),
        Population(name="hidden", size=config.n_hidden, parameters=neuron),
        Population(name="output", size=config.n_outputs, parameters=neuron),
        Population(name="heartbeat", size=1, parameters=neuron | {"I_e": config.input_current_pA}),
    )
    return Topology(populations, Connections(*ant_brain_pairs(config), weights_pA, delays_ms))


def _all_pairs(source: IntArray, target: IntArray) -> tuple[IntArray, IntArray]:
    return np.repeat(source, target.size), np.tile(target, source.size)
