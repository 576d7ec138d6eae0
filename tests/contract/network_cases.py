"""Networks for tests: written out by hand, or random from a seed alone, with random inputs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from snn.models import NEURON_MODELS, Population
from snn.network import build
from snn.params import ENGINES
from snn.spike_trains import SpikeTrains
from snn.topology import Connections, Topology

every_engine = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.nest) if name == "nest" else name for name in ENGINES]
)
RESOLUTIONS_MS = (1.0, 0.1, 0.25)


def connections(*synapses: tuple[int, int, float, float]) -> Connections:
    """Connections from (source, target, weight_pA, delay_ms) tuples."""
    columns = np.array(synapses, dtype=np.float64).reshape(-1, 4).T
    return Connections(columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2], columns[3])


def spike_trains(spikes: list[tuple[int, int]], n_neurons: int = 1, resolution_ms: float = 0.1) -> SpikeTrains:
    """Spike trains from (step, neuron) tuples."""
    steps, neurons = np.array(spikes, dtype=np.int64).reshape(-1, 2).T
    n_steps = int(steps.max(initial=0))
    return SpikeTrains.from_unsorted(steps, neurons, resolution_ms, n_steps, {"spikes": n_neurons})


class Case(NamedTuple):
    """One network and how it is driven."""

    topology: Topology
    resolution_ms: float
    n_copies: int
    rng: np.random.Generator


def make_case(seed: int, *, has_multapses: bool | None = None) -> Case:
    """A network of one to three populations of random models and parameters, with up to 1,200 random synapses.

    The resolution is that of the seed modulo 3. Half of the networks have several copies, a third have more than one
    synapse between the same two neurons.
    """
    rng = np.random.default_rng(seed)
    resolution_ms = RESOLUTIONS_MS[seed % 3]
    populations = [_random_population(f"neurons {i}", rng) for i in range(rng.integers(1, 4))]
    for name in ("early", "late"):
        if rng.random() < 0.6:
            position = 0 if name == "early" else len(populations)
            populations.insert(position, Population(name=name, size=5, model="spike_generator"))
    n_copies = int(rng.integers(2, 18)) if rng.random() < 0.5 else 1
    if has_multapses is None:
        has_multapses = bool(rng.random() < 0.33)
    synapses = _random_connections(tuple(populations), resolution_ms, has_multapses, rng)
    return Case(Topology(tuple(populations), synapses), resolution_ms, n_copies, rng)


def drive(network, case: Case, *, n_stretches: int = 5, n_pieces: int = 1) -> np.ndarray:
    """Run a network in stretches, with new random currents and spikes in each.

    Parameters
    ----------
    n_pieces : int, calls of `run` per stretch, if it has as many slices

    Returns
    -------
    (n_stretches, n_copies, n_counted) spikes of each stretch
    """
    counts = []
    rng = np.random.default_rng(case.rng.bit_generator.seed_seq.entropy + 10**6)
    for _ in range(n_stretches):
        for population in case.topology.populations:
            size = population.size * case.n_copies
            if population.is_neuron:
                currents = rng.uniform(-100, 900, size) * (rng.random(size) < 0.6)
                network.set_inputs(population.name, currents.reshape(case.n_copies, -1))
            else:
                n_spikes, n_steps = int(rng.integers(0, 200)), round(60 / case.resolution_ms)
                steps, neurons = rng.integers(1, n_steps + 1, n_spikes), rng.integers(0, size, n_spikes)
                trains = SpikeTrains.from_unsorted(steps, neurons, case.resolution_ms, n_steps, {"spikes": size})
                network.set_inputs(population.name, trains)
        n_slices = int(np.ceil(rng.uniform(1, 60) / network.slice_ms))
        for piece in np.array_split(np.arange(n_slices), min(n_pieces, n_slices)):
            network.run(round(piece.size * network.slice_ms, 6))
        counts.append(network.spike_counts())
    return np.array(counts)


def neuron_names(topology: Topology) -> tuple[str, ...]:
    """Names of the populations that have a membrane."""
    return tuple(population.name for population in topology.populations if population.is_neuron)


def _random_population(name: str, rng: np.random.Generator) -> Population:
    model = str(rng.choice(list(NEURON_MODELS)))
    parameters = {
        "C_m": rng.uniform(50, 300),
        "tau_m": rng.uniform(5, 30),
        "t_ref": float(rng.integers(0, 4)),
        "E_L": rng.uniform(-75, -65),
        "V_th": rng.uniform(-58, -50),
        "V_reset": rng.uniform(-75, -60),
        "V_m": rng.uniform(-75, -50),  # at times above the threshold
        "I_e": rng.uniform(0, 300),
    }
    if model != "iaf_psc_delta":
        parameters |= {"tau_syn_ex": rng.uniform(0.5, 6), "tau_syn_in": rng.uniform(0.5, 6)}
        if rng.random() < 0.3:  # the singular case
            parameters["tau_syn_ex"] = parameters["tau_m"]
    return Population(name=name, size=int(rng.integers(1, 20)), model=model, parameters=parameters)


def _random_connections(
    populations: tuple[Population, ...], resolution_ms: float, has_multapses: bool, rng: np.random.Generator
) -> Connections:
    is_neuron = np.concatenate([np.full(p.size, p.is_neuron) for p in populations])
    is_delta = np.concatenate([np.full(p.size, p.model == "iaf_psc_delta") for p in populations])
    n = int(rng.integers(0, 1200))
    source, target = rng.integers(0, is_neuron.size, n), rng.choice(np.flatnonzero(is_neuron), n)
    if not has_multapses:
        _, chosen = np.unique(source * is_neuron.size + target, return_index=True)
        chosen = rng.permutation(chosen)
        source, target = source[chosen], target[chosen]
    weight = rng.normal(50, 400, source.size) * np.where(is_delta[target], 0.004, 1.0)
    # Shortest delays below, at and above the longest slice of 1 ms.
    shortest = 1 if resolution_ms == 1.0 or rng.random() < 0.5 else int(rng.integers(1, 30))
    steps = rng.integers(shortest, shortest + (8 if resolution_ms == 1.0 else 60), source.size)
    return Connections(source, target, weight, np.round(steps * resolution_ms, 6))


# Random networks that fire a lot: all models, one and several copies, every resolution, short and long slices.
BUSY_SEEDS = (5, 10, 15, 20)
STRONG_pA = 20000.0  # makes a resting neuron fire within a millisecond
N_FAST, N_ALL = 60, 600


def make_chain(weight_pA=1500.0, delay_ms=1.0, n_senders=2, **parameters):
    """Neurons "a", each of which drives one of "b"; "given" spikes drive "a" as strongly."""
    kinds = (("given", "spike_generator", {}), ("a", "iaf_psc_alpha", parameters), ("b", "iaf_psc_alpha", parameters))
    populations = [Population(name=name, size=n_senders, model=model, parameters=p) for name, model, p in kinds]
    node = np.arange(2 * n_senders)
    weights, delays = np.full(node.size, weight_pA), np.full(node.size, delay_ms)
    return Topology(tuple(populations), Connections(node, node + n_senders, weights, delays))


def make_noise(weight_pA=1.0, n_targets=1, n_synapses=1, delay_ms=1.0):
    """One Poisson source, and targets without leak or threshold whose potential counts its spikes."""
    source = Population(name="noise", size=1, model="poisson_generator")
    counter = {"tau_m": 1e12, "V_th": 1e9, "E_L": 0.0, "V_reset": 0.0}
    target = Population(name="counters", size=n_targets, model="iaf_psc_delta", parameters=counter)
    ends = np.tile(np.arange(n_targets) + 1, n_synapses)
    values = np.ones(ends.size)
    return Topology((source, target), Connections(0 * ends, ends, weight_pA * values, delay_ms * values))


def record_all(case, engine):
    """A network of a case, all of whose neurons are counted, recorded and probed."""
    names = neuron_names(case.topology)
    options = {"counted": names, "recorded": names, "probed": names, "resolution_ms": case.resolution_ms}
    return build(case.topology, engine=engine, n_copies=case.n_copies, **options)


def outcome(network, case, **settings):
    """All that a network says when it is driven: counts, spikes, potentials."""
    counts = drive(network, case, **settings)
    return counts, network.spikes(), network.membrane_potentials()


def assert_equal(ours, theirs):
    """Every count and spike equal, every potential to the last bit."""
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1].equals(theirs[1])
    assert ours[2].tobytes() == theirs[2].tobytes(), f"first in step {np.argwhere(ours[2] != theirs[2])[:1]}"
