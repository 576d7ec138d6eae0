"""Liquids: recurrent networks that turn a stimulus into a rich transient state, from (config, rng); pure."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np

from snn import wiring
from snn.models import Population
from snn.params import NeuronConfig
from snn.spike_trains import FloatArray, IntArray
from snn.topology import Connections, Topology

LIQUID = ("excitatory", "inhibitory")  # populations of every reservoir whose activity is the liquid state


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservoirConfig:
    """A general liquid: sparse random wiring with fixed in-degrees, 80 % excitatory.

    The defaults fire at about 7 Hz for Poisson inputs of 12 Hz each, 11 Hz for MNIST digits whose white is 100 Hz, 40
    Hz for inputs of 50 Hz, and fall silent without input. For another number of inputs keep the inputs per neuron,
    ``n_inputs * input_outdegree / n_neurons``, near 8.

    Raises
    ------
    ValueError : a number outside its range, or a degree above the number of partners.
    """

    n_inputs: int = 784  # spike generators, >= 1
    n_excitatory: int = 800  # >= 1, as all sizes
    n_inhibitory: int = 200
    input_outdegree: int = 10  # neurons of the liquid that an input reaches
    excitatory_indegree: int = 16  # synapses from the liquid onto each of its neurons
    inhibitory_indegree: int = 4
    model: str = "iaf_psc_exp"  # or iaf_psc_alpha
    neuron: NeuronConfig = field(
        default_factory=lambda: NeuronConfig(tau_m=20.0, tau_syn_ex=5.0, tau_syn_in=5.0, t_ref=2.0)
    )
    input_weight_pA: float = 200.0  # means of normal distributions; >= 0
    excitatory_weight_pA: float = 150.0  # >= 0
    inhibitory_weight_pA: float = -1000.0  # <= 0
    weight_spread: float = 0.5  # standard deviation / |mean|, >= 0
    is_dale: bool = True  # no weight has the other sign than its mean
    delay_mean_ms: float = 3.0  # > 0; normal, of all synapses
    delay_sd_ms: float = 1.0  # >= 0
    max_delay_ms: float = 10.0  # >= resolution_ms
    resolution_ms: float = 1.0  # delays are multiples of it, and at least one; an engine may run at 0.1 nevertheless

    def __post_init__(self) -> None:
        check_ranges(self)
        for degree, partners in (
            ("input_outdegree", self.n_excitatory + self.n_inhibitory),
            ("excitatory_indegree", self.n_excitatory - 1),
            ("inhibitory_indegree", self.n_inhibitory - 1),
        ):
            if getattr(self, degree) > partners:
                raise ValueError(f"ReservoirConfig.{degree}={getattr(self, degree)} is above {partners}, all partners.")
        if self.model not in ("iaf_psc_exp", "iaf_psc_alpha"):
            raise ValueError(f"ReservoirConfig.model={self.model!r} is unknown: give iaf_psc_exp or iaf_psc_alpha.")


def make_reservoir(config: ReservoirConfig, rng: np.random.Generator) -> Topology:
    """Populations "input", "excitatory" and "inhibitory"; inputs reach both kinds of neuron alike."""
    sizes = (config.n_inputs, config.n_excitatory, config.n_inhibitory)
    parameters = config.neuron.to_parameters()
    populations = _three_populations(sizes, config.model, parameters, parameters)
    inputs, excitatory, inhibitory = node_ranges(populations)
    liquid = np.concatenate([excitatory, inhibitory])

    grid = {"resolution_ms": config.resolution_ms, "max_ms": config.max_delay_ms}

    def block(pairs: wiring.Pairs, mean_pA: float) -> Connections:
        n, sd_pA = len(pairs[0]), abs(mean_pA) * config.weight_spread
        weight_pA = wiring.draw_weights(n, mean_pA, sd_pA, rng, is_dale=config.is_dale and mean_pA != 0)
        delay_ms = wiring.draw_delays(n, config.delay_mean_ms, config.delay_sd_ms, rng, **grid)
        return Connections(*pairs, weight_pA, delay_ms)

    from_input = wiring.fixed_outdegree(inputs, liquid, config.input_outdegree, rng)
    from_excitatory = wiring.fixed_indegree(excitatory, liquid, config.excitatory_indegree, rng)
    from_inhibitory = wiring.fixed_indegree(inhibitory, liquid, config.inhibitory_indegree, rng)
    connections = wiring.join(
        block(from_input, config.input_weight_pA),
        block(from_excitatory, config.excitatory_weight_pA),
        block(from_inhibitory, config.inhibitory_weight_pA),
    )
    return Topology(populations, connections)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnConfig:
    """A column of neurons on a grid, wired by distance. Two letters name source and target kind: ``ei`` is E onto I.

    Weights are means of exponential distributions (the gamma distributions of the source, with equal mean and standard
    deviation). The weights inside the column are those that the plastic synapses of the source (amplitudes 30, 60, -19,
    -19 nA) settle at for spikes every 50 ms. With their first-spike or full amplitudes as static weights the column
    fires at 100 to 200 Hz for good once an input has started it.

    Raises
    ------
    ValueError : a number outside its range or of the wrong sign, or a fraction that leaves a kind without neurons.

    Source: Maass, Natschläger & Markram 2002, doi:10.1162/089976602760407955.
    Deviates: static synapses, no short-term plasticity; neurons start at the reset potential, not at random ones.
    """

    n_inputs: int = 1  # spike generators, >= 1
    shape: tuple[int, int, int] = (3, 3, 15)  # points of the grid, one neuron each
    inhibitory_fraction: float = 0.2  # (0, 1) of the neurons, at random places
    input_fraction: float = 0.3  # [0, 1] of the neurons, reached by each input
    length: float = 2.0  # grid points, > 0; lambda in probability * exp(-(distance / lambda)**2)
    probability_ee: float = 0.3  # [0, 1]
    probability_ei: float = 0.2
    probability_ie: float = 0.4
    probability_ii: float = 0.1
    weight_ee_pA: float = 1_300.0  # >= 0
    weight_ei_pA: float = 15_750.0
    weight_ie_pA: float = -1_100.0  # <= 0
    weight_ii_pA: float = -4_120.0
    input_weight_e_pA: float = 18_000.0  # >= 0
    input_weight_i_pA: float = 9_000.0
    delay_ee_ms: float = 1.5  # > 0; both delays need an engine's resolution of 0.1 ms
    delay_ms: float = 0.8  # > 0, of all other synapses
    t_ref_inhibitory: float = 2.0  # ms; otherwise both kinds are equal
    I_e: float = 13_500.0  # pA, background
    neuron: NeuronConfig = field(
        default_factory=lambda: NeuronConfig(
            C_m=30_000.0, tau_m=30.0, tau_syn_ex=3.0, tau_syn_in=6.0, E_L=0.0, V_reset=13.5, V_th=15.0, t_ref=3.0
        )
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0 < round(self.inhibitory_fraction * math.prod(self.shape)) < math.prod(self.shape):
            raise ValueError(
                f"ColumnConfig.inhibitory_fraction={self.inhibitory_fraction} of shape={self.shape} leaves one kind of "
                "neuron without any: give e.g. 0.2 of (3, 3, 15)."
            )


def column_positions(config: ColumnConfig, rng: np.random.Generator) -> FloatArray:
    """Places of a column's neurons on its grid, excitatory ones first.

    It is the first draw of `make_column`: with equal generators it gives the places of that column.

    Returns
    -------
    (n_neurons, 3) float64, grid points
    """
    return rng.permutation(wiring.grid_positions(config.shape))


def make_column(config: ColumnConfig, rng: np.random.Generator) -> Topology:
    """Populations "input", "excitatory" and "inhibitory", all of iaf_psc_exp but the input."""
    positions = column_positions(config, rng)
    n_inhibitory = round(config.inhibitory_fraction * len(positions))
    neuron = config.neuron.to_parameters() | {"I_e": config.I_e, "V_m": config.neuron.V_reset}
    sizes = (config.n_inputs, len(positions) - n_inhibitory, n_inhibitory)
    populations = _three_populations(sizes, "iaf_psc_exp", neuron, neuron | {"t_ref": config.t_ref_inhibitory})
    inputs, excitatory, inhibitory = node_ranges(populations)
    kinds = {"e": excitatory, "i": inhibitory}
    blocks = []

    def add(pairs: wiring.Pairs, mean_pA: float, delay_ms: float) -> None:
        blocks.append(synapse_block(pairs, mean_pA * rng.standard_exponential(len(pairs[0])), delay_ms))

    chosen = wiring.fixed_outdegree(
        inputs, np.concatenate([excitatory, inhibitory]), round(config.input_fraction * len(positions)), rng
    )
    is_e = chosen[1] < inhibitory[0]
    add((chosen[0][is_e], chosen[1][is_e]), config.input_weight_e_pA, config.delay_ms)
    add((chosen[0][~is_e], chosen[1][~is_e]), config.input_weight_i_pA, config.delay_ms)
    for kind in ("ee", "ei", "ie", "ii"):
        source, target = kinds[kind[0]], kinds[kind[1]]
        where_s, where_t = positions[source - config.n_inputs], positions[target - config.n_inputs]
        probability, weight_pA = getattr(config, f"probability_{kind}"), getattr(config, f"weight_{kind}_pA")
        pairs = wiring.distance_dependent(source, target, where_s, where_t, probability, config.length, rng)
        add(pairs, weight_pA, config.delay_ee_ms if kind == "ee" else config.delay_ms)
    return Topology(populations, wiring.join(*blocks))


def _three_populations(
    sizes: tuple[int, int, int], model: str, excitatory: dict[str, float], inhibitory: dict[str, float]
) -> tuple[Population, ...]:
    return (
        Population(name="input", size=sizes[0], model="spike_generator"),
        Population(name="excitatory", size=sizes[1], model=model, parameters=excitatory),
        Population(name="inhibitory", size=sizes[2], model=model, parameters=inhibitory),
    )


def synapse_block(pairs: wiring.Pairs, weight_pA: FloatArray, delay_ms: float) -> Connections:
    """Synapses of equal delay."""
    return Connections(*pairs, weight_pA, np.full(len(weight_pA), delay_ms))


def node_ranges(populations: tuple[Population, ...]) -> list[IntArray]:
    """Node indices of every population."""
    ends = np.cumsum([population.size for population in populations])
    return [np.arange(end - population.size, end) for end, population in zip(ends, populations, strict=True)]


# Smallest and largest value of a number by the start of its name; the first that fits holds, otherwise >= 0.
_RANGES = {
    "n_": (1, math.inf),
    "probability": (0, 1),
    "input_fraction": (0, 1),
    "inhibitory_weight": (-math.inf, 0),
    "weight_i": (-math.inf, 0),
    "delay_sd": (0, math.inf),
    "delay": (0.001, math.inf),  # ms, NEST's finest resolution
    "resolution": (0.001, math.inf),
    "I_e": (-math.inf, math.inf),
    "": (0, math.inf),
}


def check_ranges(config: Any) -> None:
    """Raise ValueError for a number of a config that is not finite or outside its range."""
    for entry in dataclasses.fields(config):
        value, name = getattr(config, entry.name), f"{type(config).__name__}.{entry.name}"
        if entry.type == "int" and not isinstance(value, Integral):
            raise ValueError(f"{name}={value} is not a whole number: give an integer.")
        if entry.type not in ("int", "float"):
            continue
        low, high = next(ends for start, ends in _RANGES.items() if entry.name.startswith(start))
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"{name}={value} is outside {low:g} … {high:g}: give a finite number in that range.")
