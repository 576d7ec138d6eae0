"""Frozen configuration of neurons and brains; NEST's own parameter names, the unit beside every field."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

ENGINES = ("nest", "numba")
MAX_LAYER_SIZE = 1000  # neurons; a fully recurrent layer of this size has a million synapses


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronConfig:
    """``iaf_psc_alpha``: leaky integrate-and-fire with alpha-shaped synaptic currents. NEST defaults except `t_ref`."""

    C_m: float = 250.0  # pF, > 0
    tau_m: float = 10.0  # ms, > 0
    tau_syn_ex: float = 2.0  # ms, > 0
    tau_syn_in: float = 2.0  # ms, > 0
    E_L: float = -70.0  # mV
    V_reset: float = -70.0  # mV, < V_th
    V_th: float = -55.0  # mV
    t_ref: float = 1.0  # ms, > 0

    def to_parameters(self) -> dict[str, float]:
        """NEST's parameter names and values."""
        return dataclasses.asdict(self)

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not math.isfinite(value):
                raise ValueError(f"NeuronConfig.{name}={value} is not finite: give a number.")
        for name in ("C_m", "tau_m", "tau_syn_ex", "tau_syn_in", "t_ref"):
            if getattr(self, name) <= 0:
                raise ValueError(f"NeuronConfig.{name}={getattr(self, name)} is not allowed: it must be > 0.")
        if self.V_reset >= self.V_th:
            raise ValueError(
                f"NeuronConfig.V_reset={self.V_reset} is not below V_th={self.V_th}: the neuron would fire without end."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AntBrainConfig:
    """The published ant brain: inputs -> recurrent hidden layer -> outputs, and a heartbeat to the hidden layer.

    Source: Jimenez-Romero et al. 2024, doi:10.1007/s11721-023-00231-6, and its companion repository.
    """

    engine: str = "nest"  # "nest", the reference, or "numba", its twin: the same spikes, much faster
    n_inputs: int = 11  # one per binary sensor
    n_hidden: int = 20  # fully recurrent, no self-connections (10 in the visual-only study)
    n_outputs: int = 4  # move, left, right, pheromone
    tick_ms: float = 20.0  # simulated time per tick of the world
    resolution_ms: float = 1.0  # integration step; sensors fire every 2 ms at 1.0 only (then as published)
    weight_pA: float = 100.0  # synaptic weight of a gene of 1
    max_weight_gene: float = 20.0  # weight genes lie in ± this
    min_delay_gene: float = 1.0  # delay genes in ms; the delay is the floor of the gene
    max_delay_gene: float = 7.0
    input_current_pA: float = 20000.0  # of an active input neuron, and of the heartbeat: it fires after each refractory
    has_startup_transient: bool = True  # in the first tick every input is active, as in the published program
    neuron: NeuronConfig = field(default_factory=NeuronConfig)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"AntBrainConfig.engine={self.engine!r} is unknown: choose one of {', '.join(ENGINES)}.")
        for name in ("n_inputs", "n_hidden", "n_outputs"):
            if not 1 <= getattr(self, name) <= MAX_LAYER_SIZE:
                raise ValueError(
                    f"AntBrainConfig.{name}={getattr(self, name)} is not allowed: it must be 1 … {MAX_LAYER_SIZE}."
                )
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"AntBrainConfig.{entry.name}={value} is not finite: give a number.")
        if not 0.001 <= self.resolution_ms <= 1.0 or not _is_multiple(1.0, self.resolution_ms):
            raise ValueError(
                f"AntBrainConfig.resolution_ms={self.resolution_ms} is not allowed: delays are whole milliseconds, so "
                "it must divide 1 ms, e.g. 1.0 or 0.1."
            )
        if self.tick_ms <= INPUT_LAG_MS or not _is_multiple(self.tick_ms, 1.0):
            raise ValueError(
                f"AntBrainConfig.tick_ms={self.tick_ms} is not allowed: it must be a whole number of ms "
                f"above {INPUT_LAG_MS:g}, e.g. 20."
            )
        if not (self.min_delay_gene >= 1.0 and math.ceil(self.min_delay_gene) < math.floor(self.max_delay_gene)):
            raise ValueError(
                f"AntBrainConfig delay genes in [{self.min_delay_gene}, {self.max_delay_gene}] are not allowed: need "
                "min_delay_gene >= 1 and at least two whole milliseconds in between, e.g. [1, 7]."
            )
        for name in ("weight_pA", "max_weight_gene", "input_current_pA"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"AntBrainConfig.{name}={getattr(self, name)} is not allowed: it must be > 0.")


# In the published program a sensor acts through a current generator: its first spike comes this much later than that
# of a neuron whose own current is switched on.
INPUT_LAG_MS = 2.0


def _is_multiple(value: float, step: float) -> bool:
    return abs(value / step - round(value / step)) < 1e-9
