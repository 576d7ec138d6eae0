"""Bad input of networks, refused by every engine in the same words."""

import math

import numpy as np
import pytest

from snn.models import NEURON_MODELS, SOURCE_MODELS, Population
from snn.network import build
from snn.topology import Topology
from tests.contract.network_cases import (
    connections,
    every_engine,
    spike_trains,
)


def make_mixed(t_ref=2.0, delay_ms=1.0):
    """One population of each kind of node."""
    neurons = [Population(name=f"neurons {m}", size=2, model=m, parameters={"t_ref": t_ref}) for m in NEURON_MODELS]
    sources = [Population(name=model, size=1, model=model) for model in SOURCE_MODELS]
    return Topology((*neurons, *sources), connections((0, 1, 100.0, delay_ms), (7, 2, 100.0, 2.0)))


@every_engine
class TestRefusals:
    """Bad input is refused before anything runs, with what is wrong and what is right."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_copies": 2.0}, "n_copies=2.0 is not allowed: give a whole number"),
            ({"rng_seed": 1.5}, "rng_seed=1.5 is not allowed: give a whole number"),
            ({"resolution_ms": 1 / 3}, "resolution_ms=0.33.* multiple of 0.001 ms"),
            ({"resolution_ms": 1.0005}, "resolution_ms=1.0005"),
            ({"n_copies": 0}, "n_copies=0 is not allowed: it must be >= 1"),
            ({"rng_seed": 0}, "rng_seed=0 is outside 1 … "),
            ({"rng_seed": 2**32}, "rng_seed=4294967296 is outside"),
            ({"counted": ("output",)}, "no population 'output': this network has neurons iaf_psc_alpha, "),
            ({"recorded": ("spike_generator",)}, "recorded names 'spike_generator', a spike_generator: only neurons"),
            ({"probed": ("poisson_generator",)}, "probed names 'poisson_generator'"),
            ({"probed": 2 * ("neurons iaf_psc_exp",)}, "names a population twice"),
            ({"counted": "neurons iaf_psc_exp"}, "is a text: give a tuple of names"),
            ({"resolution_ms": 0.0}, "resolution_ms=0.0 is not allowed: it must divide 1 ms"),
            ({"resolution_ms": math.nan}, "resolution_ms=nan"),
            ({"resolution_ms": -0.1}, "resolution_ms=-0.1"),
            ({"resolution_ms": 1e-5}, "resolution_ms=1e-05"),  # NEST's smallest unit of time is 0.001 ms
            ({"resolution_ms": 0.4, "delay_ms": 2.0}, "resolution_ms=0.4"),  # slices of 1 ms would not be whole steps
            ({"delay_ms": 0.05}, "delay 0 is 0.05 ms: delays must be positive multiples of the resolution, 0.1 ms"),
            ({"delay_ms": 1.55}, "delay 0 is 1.55 ms"),
            ({"delay_ms": 1.5, "resolution_ms": 1.0}, "delay 0 is 1.5 ms: .* resolution, 1.0 ms"),
            ({"t_ref": 0.25}, "population 'neurons iaf_psc_alpha': t_ref=0.25 is not a multiple of the resolution"),
        ],
    )
    def test_of_options(self, engine, options, message):
        shape = {name: options[name] for name in ("t_ref", "delay_ms") if name in options}
        with pytest.raises(ValueError, match=message):
            build(make_mixed(**shape), engine=engine, **{k: v for k, v in options.items() if k not in shape})

    @pytest.mark.parametrize(
        ("population", "values", "message"),
        [
            ("hidden", 1.0, "no population 'hidden': this network has"),
            ("neurons iaf_psc_alpha", math.nan, "inputs of 'neurons iaf_psc_alpha' hold nan: give finite numbers"),
            ("neurons iaf_psc_alpha", [[0.0, math.inf]], "hold inf"),
            ("neurons iaf_psc_alpha", np.zeros(3), r"'neurons iaf_psc_alpha'.* \(3,\).*broadcast to"),
            ("neurons iaf_psc_alpha", np.zeros((1, 3, 2, 1)), "broadcast to"),
            ("neurons iaf_psc_alpha", "strong", "broadcast to"),
            ("neurons iaf_psc_alpha", spike_trains([], 6), "broadcast to"),
            ("poisson_generator", -1.0, "hold the rate -1.0 Hz: rates must be >= 0"),
            ("poisson_generator", math.nan, "hold nan"),
            ("spike_generator", [1.0, 2.0], "are list: give SpikeTrains"),
            ("spike_generator", spike_trains([], 2), "have 2 spike trains, expected 3"),
            ("spike_generator", spike_trains([], 3, 1.0), "resolution_ms=1.0, the network has 0.1"),
        ],
    )
    def test_of_inputs(self, engine, population, values, message):
        network = build(make_mixed(), engine=engine, n_copies=3, counted=("neurons iaf_psc_alpha",))
        counts = []
        for is_asked in (False, True):
            network.reset()
            network.set_inputs("neurons iaf_psc_alpha", 600.0)
            if is_asked:
                with pytest.raises(ValueError, match=message):
                    network.set_inputs(population, values)
            network.run(100.0)
            counts.append(network.spike_counts())
        np.testing.assert_array_equal(*counts)  # as if nothing had been asked
        assert (counts[0] >= 5).all()

    @pytest.mark.parametrize(
        ("weight_pA", "delay_ms", "message"),
        [
            ([1.0], None, r"weight_pA has shape \(1,\), expected \(2,\)"),
            ([[1.0], [2.0]], None, r"weight_pA has shape \(2, 1\), expected \(2,\)"),
            (2.0, None, r"weight_pA has shape \(\), expected \(2,\)"),
            ([1.0, 2.0], [1.0], r"delay_ms has shape \(1,\), expected \(2,\)"),
            ([1.0, math.nan], None, "weight 1 is nan pA: every weight must be finite"),
            ([-math.inf, 1.0], None, "weight 0 is -inf pA"),
            ([1.0, 2.0], [1.0, 0.0], "delay 1 is 0.0 ms: delays must be positive multiples of the resolution"),
            ([1.0, 2.0], [1.0, 1.23], "delay 1 is 1.23 ms"),
            ([1.0, 2.0], [math.nan, 1.0], "delay 0 is nan ms"),
        ],
    )
    def test_of_weights_and_delays(self, engine, weight_pA, delay_ms, message):
        network = build(make_mixed(), engine=engine, counted=("neurons iaf_psc_alpha",))
        network.set_inputs("neurons iaf_psc_alpha", 600.0)
        network.run(50.0)
        delay_ms = None if delay_ms is None else np.array(delay_ms)
        with pytest.raises(ValueError, match=message):
            network.set_weights(np.array(weight_pA), delay_ms)
        network.run(50.0)  # still the same network, at the same time
        assert (network.spike_counts() >= 5).all()

    @pytest.mark.parametrize("duration_ms", [0.0, -1.0, 0.5, 1.5, math.nan, math.inf])
    def test_of_durations(self, engine, duration_ms):
        network = build(make_mixed(), engine=engine, recorded=("neurons iaf_psc_alpha",))
        with pytest.raises(ValueError, match=f"duration_ms={duration_ms} is not allowed: .* multiple of 1 ms"):
            network.run(duration_ms)
        network.run(2.0)
        assert network.spikes().n_steps == 20


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match="engine='brian' is unknown: choose one of nest, numba"):
        build(make_mixed(), engine="brian")
