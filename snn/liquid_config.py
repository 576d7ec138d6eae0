"""What a liquid-state machine is made of, and its stimuli as spike trains; pure."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal

import numpy as np

from snn import encoding
from snn.published_reservoir import ENCODINGS, OUTPUTS, PublishedReservoirConfig, make_published_reservoir, sub_network
from snn.reservoirs import ColumnConfig, ReservoirConfig, make_column, make_reservoir
from snn.spike_trains import SpikeTrains, is_whole, whole_steps
from snn.topology import Topology

_GENERAL_ENCODERS = ("poisson", "latency", "threshold", "raw")
ENCODERS = (*_GENERAL_ENCODERS, *ENCODINGS)

# What the random numbers of a stimulus are for, and how their seeds are told apart. Results depend on these numbers.
_SEED_KEYS: dict[str, tuple[int, ...]] = {"encoder": (), "liquid": (1,), "outputs": (2,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidConfig:
    """A reservoir, how stimuli enter it, and what of its activity is the state.

    A stimulus of encoder "poisson" holds (n_inputs,) values in [0, 1], or (n_inputs, n_bins) of them in time, the
    firing rates between `min_rate_hz` and `max_rate_hz`; of "latency" (n_inputs,) values in [0, 1], the larger the
    earlier; of "threshold" a (n_channels, n_samples) signal with ``n_inputs = 2 * n_channels * len(thresholds)``; of
    "raw" it is `SpikeTrains`; of "published" and "improved" n_inputs pixels >= 0, the brightest of which has the
    maximal rate.

    Raises
    ------
    ValueError : an unknown choice, a number outside its range, or an encoder that does not go with the reservoir.

    Source: encoders of `snn.encoding`; "published" and "improved" are Yegenoglu et al. 2022,
    doi:10.3389/fncom.2022.885207, see `published_liquid`.
    """

    reservoir: ReservoirConfig | ColumnConfig | PublishedReservoirConfig = field(default_factory=ReservoirConfig)
    encoder: str = "poisson"  # one of ENCODERS
    seed: int = 1  # >= 0, of the wiring, and with the index of a stimulus of its noise
    resolution_ms: float = 1.0  # > 0, integration step
    stimulus_ms: float = 300.0  # > 0, length of every stimulus
    warm_up_ms: float = 0.0  # >= 0, idle input after a reset
    cool_down_ms: float = 0.0  # >= 0, idle input before every stimulus
    between_trials: str = "reset"  # exact, or "cool-down": the network goes on, so states depend on the stimulus before
    state: str = "counts"  # spikes of every neuron in each bin, or "trace": exponential traces at the end of each bin
    bin_ms: float = 50.0  # > 0, divides stimulus_ms
    tau_ms: float = 20.0  # > 0, decay of a trace
    max_rate_hz: float = 100.0  # >= min_rate_hz, of value 1
    min_rate_hz: float = 0.0  # >= 0, of value 0 and of idle input; other encoders are idle in silence
    latency_threshold: float = 0.0  # [0, 1]; smaller values do not fire
    thresholds: tuple[float, ...] = ()  # of encoder "threshold", in the unit of the signal

    def __post_init__(self) -> None:
        for name, allowed in (
            ("encoder", ENCODERS),
            ("between_trials", ("reset", "cool-down")),
            ("state", ("counts", "trace")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"LiquidConfig.{name}={getattr(self, name)!r} is unknown: give one of {', '.join(allowed)}."
                )
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise ValueError(f"LiquidConfig.seed={self.seed} is not allowed: give a whole number >= 0.")
        self._check_numbers()
        is_published = isinstance(self.reservoir, PublishedReservoirConfig)
        if is_published != (self.encoder in ENCODINGS):
            fitting = ENCODINGS if is_published else _GENERAL_ENCODERS
            raise ValueError(
                f"LiquidConfig.encoder={self.encoder!r} does not go with a {type(self.reservoir).__name__}: give one "
                f"of {', '.join(fitting)}, or use published_liquid()."
            )
        if self.encoder == "threshold" and not self.thresholds:
            raise ValueError("LiquidConfig.thresholds is empty: encoder='threshold' needs at least one.")

    def _check_numbers(self) -> None:
        above_zero = ("resolution_ms", "stimulus_ms", "bin_ms", "tau_ms")
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if entry.type == "float" and not (
                math.isfinite(value) and value >= 0 and (value or entry.name not in above_zero)
            ):
                bound = ">" if entry.name in above_zero else ">="
                raise ValueError(f"LiquidConfig.{entry.name}={value} is not allowed: it must be finite and {bound} 0.")
        if self.min_rate_hz > self.max_rate_hz:
            raise ValueError(
                f"LiquidConfig.min_rate_hz={self.min_rate_hz} is above max_rate_hz={self.max_rate_hz}: give min <= max."
            )
        n_bins = self.stimulus_ms / self.bin_ms
        if round(n_bins) < 1 or not is_whole(n_bins):
            raise ValueError(
                f"LiquidConfig.bin_ms={self.bin_ms} does not divide stimulus_ms={self.stimulus_ms}: give e.g. "
                f"{self.stimulus_ms / 5:g}."
            )

    @property
    def n_inputs(self) -> int:
        """Spike trains that drive the reservoir."""
        reservoir = self.reservoir
        return reservoir.n_pixels if isinstance(reservoir, PublishedReservoirConfig) else reservoir.n_inputs

    @property
    def input_name(self) -> str:
        """Population that the spike trains drive."""
        return "pixels" if isinstance(self.reservoir, PublishedReservoirConfig) else "input"

    @property
    def n_bins(self) -> int:
        """Bins of a stimulus."""
        return round(self.stimulus_ms / self.bin_ms)


def published_liquid(encoder: str = "published", **changes: Any) -> LiquidConfig:
    """The published reservoir and protocol: 100 ms warm-up, 200 ms at 1 Hz before each image, 500 ms per image.

    Parameters
    ----------
    encoder : "published", or "improved" with positive input weights and relays that pass every spike
    changes : fields of `LiquidConfig` to set besides

    Raises
    ------
    ValueError : as `LiquidConfig`.

    Source: Yegenoglu et al. 2022, doi:10.3389/fncom.2022.885207, and its frozen code.   Deviates: every image meets a
    network after a reset, as the first image of the published protocol does, so that states do not depend on the order;
    ``between_trials="cool-down"`` goes on as published. States are counts in bins of 100 ms; resolution is 1 ms.
    """
    settings: dict[str, Any] = {
        "reservoir": PublishedReservoirConfig(), "encoder": encoder, "resolution_ms": 1.0, "stimulus_ms": 500.0,
        "warm_up_ms": 100.0, "cool_down_ms": 200.0, "bin_ms": 100.0, "max_rate_hz": 100.0, "min_rate_hz": 1.0,
    }  # fmt: skip
    return LiquidConfig(**settings | changes)


def make_liquid(config: LiquidConfig) -> tuple[Topology, dict[str, float]]:
    """The reservoir of a machine, without output clusters, its inputs as spike generators.

    Returns
    -------
    topology : populations `config.input_name`, "excitatory", "inhibitory" and others
    rates_hz : rate of every population of Poisson sources
    """
    rng = np.random.default_rng(config.seed)
    if isinstance(config.reservoir, ReservoirConfig):
        return make_reservoir(config.reservoir, rng), {}
    if isinstance(config.reservoir, ColumnConfig):
        return make_column(config.reservoir, rng), {}
    encoding_name: Any = config.encoder
    published = make_published_reservoir(config.reservoir, rng, encoding_name)
    left_out = (*OUTPUTS, "noise_output")
    names = [population.name for population in published.topology.populations if population.name not in left_out]
    topology, _ = sub_network(published.topology, names, given=("pixels",))
    return topology, {name: rate for name, rate in published.rates_hz.items() if name in names and name != "pixels"}


def stimulus_seeds(seed: int, index: int, use: Literal["encoder", "liquid", "outputs"]) -> np.random.SeedSequence:
    """Seeds of the noise of one stimulus: other stimuli, and other uses of the same stimulus, have others.

    Parameters
    ----------
    seed : int, >= 0, of the config
    index : int, >= 0, number of the stimulus
    use : the input spikes, the noise sources of the liquid, or those of the outputs of `SharedReservoir`
    """
    return np.random.SeedSequence(seed, spawn_key=(index, *_SEED_KEYS[use]))


def encode_trial(stimulus: Any, config: LiquidConfig, index: int, idle_ms: float) -> SpikeTrains:
    """Input spikes of one trial: idle input, then the stimulus. All noise follows from the seed and the index.

    Parameters
    ----------
    stimulus : see `LiquidConfig`
    index : int, >= 0, number of the stimulus in its data set
    idle_ms : float, >= 0, a whole number of steps

    Returns
    -------
    SpikeTrains of ``config.n_inputs`` neurons and ``idle_ms + config.stimulus_ms``

    Raises
    ------
    ValueError : a stimulus of another shape or length or outside its range, and the message tells its index; times
        that are not whole numbers of steps.
    """
    rng = np.random.default_rng(stimulus_seeds(config.seed, index, "encoder"))
    is_noisy = config.encoder in ("poisson", *ENCODINGS)
    name, resolution_ms = config.input_name, config.resolution_ms
    try:
        idle = None
        if idle_ms > 0 and is_noisy:
            rates_hz = np.full(config.n_inputs, config.min_rate_hz)
            idle = encoding.poisson_rate(rates_hz, idle_ms, resolution_ms, rng, population=name)
        trains = _encode(stimulus, config, rng)
        n_steps = whole_steps(config.stimulus_ms, resolution_ms, "stimulus_ms")
        if (trains.n_neurons, trains.n_steps) != (config.n_inputs, n_steps):
            raise ValueError(
                f"{trains.n_neurons} input trains of {trains.n_steps} steps, but the liquid takes {config.n_inputs} "
                f"of {n_steps}: fit n_inputs and stimulus_ms to the stimuli."
            )
        if abs(trains.resolution_ms - resolution_ms) > 1e-9:
            raise ValueError(f"its resolution is {trains.resolution_ms} ms, that of the liquid {resolution_ms} ms.")
    except ValueError as error:
        raise ValueError(f"stimulus {index}: {error}") from None
    n_idle = whole_steps(idle_ms, resolution_ms, "idle_ms") if idle_ms > 0 else 0
    steps, neurons = trains.steps + n_idle, trains.neurons
    if idle is not None:
        steps, neurons = np.concatenate([idle.steps, steps]), np.concatenate([idle.neurons, neurons])
    return SpikeTrains(steps, neurons, resolution_ms, n_idle + n_steps, {name: config.n_inputs})


def _encode(stimulus: Any, config: LiquidConfig, rng: np.random.Generator) -> SpikeTrains:
    """Spike trains of the stimulus alone."""
    duration_ms, resolution_ms = config.stimulus_ms, config.resolution_ms
    if config.encoder == "raw":
        if not isinstance(stimulus, SpikeTrains):
            raise ValueError(f"it is a {type(stimulus).__name__}, but encoder='raw' takes SpikeTrains.")
        return stimulus
    values = np.asarray(stimulus, dtype=np.float64)
    if config.encoder == "latency":
        return encoding.latency(values, duration_ms, resolution_ms, threshold=config.latency_threshold)
    if config.encoder == "threshold":
        if values.ndim != 2 or values.size == 0:
            raise ValueError(f"it has shape {values.shape}: give (n_channels, n_samples).")
        return encoding.threshold_crossing(values, config.thresholds, duration_ms / values.shape[1], resolution_ms)
    if config.encoder in ENCODINGS:
        rates_hz = encoding.grey_value_rates(values, config.max_rate_hz, config.min_rate_hz)
    else:
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"its values span {values.min()} … {values.max()}, outside [0, 1]: scale them, e.g. pixels / 255."
            )
        rates_hz = config.min_rate_hz + (config.max_rate_hz - config.min_rate_hz) * values
    return encoding.poisson_rate(rates_hz, duration_ms, resolution_ms, rng)
