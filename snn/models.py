"""Neuron models and spike sources that both engines know, and their exact propagators; pure.

Every neuron is linear between spikes, so one step is a multiplication by constants, the propagators (Rotter & Diesmann
1999, doi:10.1007/s004220050570). They are computed in the order of operations of NEST 3.10: only then do membrane
potentials agree to the last bit.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from types import MappingProxyType
from typing import NamedTuple

_MEMBRANE = {
    "C_m": 250.0,  # pF, > 0
    "tau_m": 10.0,  # ms, > 0
    "E_L": -70.0,  # mV
    "V_reset": -70.0,  # mV, < V_th
    "V_th": -55.0,  # mV
    "t_ref": 2.0,  # ms, >= 0
    "I_e": 0.0,  # pA, constant current; replaced by `set_inputs`
}
_SYNAPSES = {"tau_syn_ex": 2.0, "tau_syn_in": 2.0}  # ms, > 0

# Parameters and defaults are NEST's. "V_m", the potential at time 0, is allowed besides; its default is E_L.
NEURON_MODELS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "iaf_psc_alpha": _MEMBRANE | _SYNAPSES,  # alpha-shaped synaptic currents
        "iaf_psc_exp": _MEMBRANE | _SYNAPSES,  # exponential synaptic currents
        "iaf_psc_delta": _MEMBRANE,  # a spike is a jump of the potential, its weight in mV
    }
)
# What drives a network from outside: given spike times, or noise with a rate in Hz that is independent at each synapse.
SOURCE_MODELS = ("spike_generator", "poisson_generator")
MODELS = (*NEURON_MODELS, *SOURCE_MODELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Equal neurons, or equal sources of spikes.

    Raises
    ------
    ValueError : an unknown model or parameter (the nearest known one is offered), a size below 1, a value that is not
        finite or outside its range.
    """

    name: str
    size: int  # >= 1
    model: str = "iaf_psc_alpha"  # one of MODELS
    parameters: Mapping[str, float] = field(default_factory=dict)  # NEST's names; the others keep NEST's defaults

    def __post_init__(self) -> None:
        if not isinstance(self.size, Integral):
            raise ValueError(f"population {self.name!r} has size {self.size!r}: give a whole number.")
        if self.size < 1:
            raise ValueError(f"population {self.name!r} has size {self.size}: it needs at least 1.")
        if self.model not in MODELS:
            raise ValueError(f"population {self.name!r}: model {self.model!r} is unknown{_nearest(self.model, MODELS)}")
        known = (*NEURON_MODELS[self.model], "V_m") if self.is_neuron else ()
        for name, value in self.parameters.items():
            if name not in known:
                raise ValueError(
                    f"population {self.name!r}: {self.model} has no parameter {name!r}{_nearest(name, known)}"
                )
            if not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(f"population {self.name!r}: {name}={value!r} is not finite: give a number.")
        if self.is_neuron:
            self._check_ranges()

    @property
    def is_neuron(self) -> bool:
        """Whether it has a membrane; otherwise it is a source of spikes."""
        return self.model in NEURON_MODELS

    def all_parameters(self) -> dict[str, float]:
        """Every parameter of a neuron with its value, "V_m" included."""
        values = {**NEURON_MODELS[self.model], **self.parameters}
        return values if "V_m" in values else values | {"V_m": values["E_L"]}

    def _check_ranges(self) -> None:
        values = self.all_parameters()
        for name in ("C_m", "tau_m", "tau_syn_ex", "tau_syn_in"):
            if values.get(name, 1.0) <= 0:
                raise ValueError(f"population {self.name!r}: {name}={values[name]} is not allowed: it must be > 0.")
        if values["t_ref"] < 0:
            raise ValueError(f"population {self.name!r}: t_ref={values['t_ref']} is not allowed: it must be >= 0 ms.")
        if values["V_reset"] >= values["V_th"]:
            raise ValueError(
                f"population {self.name!r}: V_reset={values['V_reset']} is not below V_th={values['V_th']}: "
                "the neuron would fire without end."
            )


class Propagators(NamedTuple):
    """Constants of one step; names are NEST's, what a model lacks keeps its default."""

    P_leak: float  # alpha: exp(-h / tau_m) - 1, which is added to 1; exp and delta: exp(-h / tau_m)
    P_current: float  # mV / pA, constant current to potential
    threshold: float  # mV above E_L
    reset: float  # mV above E_L
    P11_ex: float = 0.0  # decay of the synaptic current
    P11_in: float = 0.0
    P21_ex: float = 0.0  # alpha: slope of the current to the current
    P21_in: float = 0.0
    P31_ex: float = 0.0  # alpha: slope of the current to the potential, mV / (pA / ms)
    P31_in: float = 0.0
    P32_ex: float = 0.0  # synaptic current to potential, mV / pA
    P32_in: float = 0.0
    kick_ex: float = 1.0  # alpha: slope of the current after a spike of 1 pA, e / tau_syn
    kick_in: float = 1.0


def propagators(population: Population, resolution_ms: float) -> Propagators:
    """Constants of one step of a population of neurons.

    Source: NEST 3.10 (iaf_psc_alpha, iaf_psc_exp, iaf_psc_delta), whose order of operations is kept.
    """
    h, p = resolution_ms, population.all_parameters()
    tau_m, C_m = p["tau_m"], p["C_m"]
    threshold, reset = p["V_th"] - p["E_L"], p["V_reset"] - p["E_L"]
    decay = math.exp(-h / tau_m)
    if population.model == "iaf_psc_delta":
        return Propagators(decay, 1 / C_m * (1 - decay) * tau_m, threshold, reset)
    tau_ex, tau_in = p["tau_syn_ex"], p["tau_syn_in"]
    P11_ex, P11_in = math.exp(-h / tau_ex), math.exp(-h / tau_in)
    P31_ex, P32_ex = _synapse_to_potential(tau_ex, tau_m, C_m, h)
    P31_in, P32_in = _synapse_to_potential(tau_in, tau_m, C_m, h)
    common = Propagators(
        decay, tau_m / C_m * (1.0 - decay), threshold, reset, P11_ex, P11_in, P32_ex=P32_ex, P32_in=P32_in
    )
    if population.model == "iaf_psc_exp":
        return common
    growth = _expm1(-h / tau_m)
    return common._replace(
        P_leak=growth,
        P_current=-tau_m / C_m * growth,
        P21_ex=h * P11_ex,
        P21_in=h * P11_in,
        P31_ex=P31_ex,
        P31_in=P31_in,
        kick_ex=math.e / tau_ex,
        kick_in=math.e / tau_in,
    )


def _synapse_to_potential(tau_syn: float, tau_m: float, C_m: float, h: float) -> tuple[float, float]:
    """P31 and P32; NEST switches to their limits where the time constants are so close that rounding would win."""
    difference = tau_m - tau_syn
    decay_syn, decay_m = math.exp(-h * (1 / tau_syn)), math.exp(-h * (1 / tau_m))
    P31_limit, P32_limit = 0.5 * h * h * (1 / C_m) * decay_m, h * (1 / C_m) * decay_m
    if difference == 0.0:
        return P31_limit, P32_limit
    beta = tau_syn * tau_m / difference
    gamma = beta / C_m
    growth = _expm1(h * (difference / (tau_syn * tau_m)))
    P32 = gamma * decay_syn * growth
    if not P32 >= _SMALLEST_NORMAL:
        P32 = P32_limit
    if h > _STABILITY_FACTOR * tau_m * tau_m / abs(difference):
        return gamma * decay_syn * (beta * growth - h), P32
    return P31_limit, P32


_SMALLEST_NORMAL = 2.2250738585072014e-308
_STABILITY_FACTOR = 1e-7  # NEST's NUMERICAL_STABILITY_FACTOR


def _expm1(x: float) -> float:
    """exp(x) - 1 by its Taylor series, as the NEST wheel computes it; the C library differs in the last bits."""
    if x == 0:
        return 0.0
    if abs(x) > math.log(2.0):
        return math.exp(x) - 1
    total, term, n = x, x * x / 2, 2
    while abs(term) > abs(total) * 2.0**-52:
        total += term
        n += 1
        term *= x / n
    return total


def _nearest(name: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else f"; known: {', '.join(known) or 'none'}."
