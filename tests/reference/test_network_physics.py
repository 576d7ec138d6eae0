"""Closed forms of the integrate-and-fire neuron, and invariants of networks, on both engines.

Symbols: V potential above rest in mV, C capacity in pF, tau_m and tau_s membrane and synaptic time constant in ms,
w weight in pA, h resolution in ms.
"""

import itertools
import math

import numpy as np
import pytest

from snn.models import NEURON_MODELS, Population
from snn.network import build
from snn.spike_trains import SpikeTrains
from snn.topology import Connections, Topology
from tests.contract.network_cases import connections, every_engine, spike_trains

C, TAU_M, TAU_S = 250.0, 10.0, 2.0  # NEST's defaults
QUIET = {"E_L": 0.0, "V_reset": 0.0, "V_th": 1e6}  # the potential is V, and nothing fires
SYNAPTIC = ("iaf_psc_alpha", "iaf_psc_exp")
# Rheobase is 375 pA, at which the threshold is approached and never reached.
INTERVALS = {375.0: None, 376.0: 613, 380.0: 454, 400.0: 298, 500.0: 159, 750.0: 90, 1000.0: 68}  # pA: steps


def epsp(model, t, w=100.0, tau_s=TAU_S, tau_m=TAU_M):
    """V at times `t` after the arrival of one spike."""
    t = np.maximum(t, 0.0)
    decay_s, decay_m = np.exp(-t / tau_s), np.exp(-t / tau_m)
    if model == "iaf_psc_delta":
        return w * decay_m
    if tau_s == tau_m:
        return w / C * t * decay_m if model == "iaf_psc_exp" else w * math.e / (C * tau_m) * t**2 / 2 * decay_m
    a = 1 / tau_s - 1 / tau_m
    if model == "iaf_psc_exp":
        return w / C * (decay_s - decay_m) / (1 / tau_m - 1 / tau_s)
    return w * math.e / (C * tau_s) * ((decay_m - decay_s) / a**2 - t * decay_s / a)


def response(engine, model, arrivals, *, h=0.1, duration_ms=40.0, **parameters):
    """V of one neuron after the arrival of (time in ms, weight) pairs, at h, 2h, …"""
    weights = sorted({weight for _, weight in arrivals})
    source = Population(name="source", size=len(weights), model="spike_generator")
    target = Population(name="target", size=1, model=model, parameters=QUIET | parameters)
    synapses = connections(*((k, len(weights), weight, 1.0) for k, weight in enumerate(weights)))
    network = build(Topology((source, target), synapses), engine=engine, probed=("target",), resolution_ms=h)
    spikes = [(round((time - 1.0) / h), weights.index(weight)) for time, weight in arrivals]
    network.set_inputs("source", spike_trains(spikes, len(weights), h))
    network.run(duration_ms + 1.0)
    return network.membrane_potentials()[:, 0, 0]


def times(h=0.1, duration_ms=40.0):
    return h * np.arange(1, round(duration_ms / h) + 1)


@every_engine
class TestConstantCurrent:
    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_every_interval_of_the_f_I_curve_is_the_closed_form(self, engine, model):
        population = Population(name="neurons", size=len(INTERVALS), model=model)
        network = build(Topology((population,), connections()), engine=engine, recorded=("neurons",), resolution_ms=0.1)
        network.set_inputs("neurons", np.array(list(INTERVALS)))
        network.run(700.0)
        n_refractory = 20  # t_ref = 2 ms
        for current_pA, train in zip(INTERVALS, network.spikes().trains(), strict=True):
            steps, expected = np.rint(train / 0.1).astype(int), INTERVALS[current_pA]
            if expected is None:
                assert steps.size == 0
                continue
            V_end = current_pA * TAU_M / C
            assert expected == n_refractory + math.ceil(TAU_M * math.log(V_end / (V_end - 15.0)) / 0.1)
            assert steps.size == 1 + (7000 - (expected - n_refractory)) // expected
            np.testing.assert_array_equal(np.diff(steps, prepend=-n_refractory), expected)

    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_the_potential_charges_exponentially(self, engine, model):
        population = Population(name="neurons", size=2, model=model, parameters={**QUIET, "V_m": -5.0})
        network = build(Topology((population,), connections()), engine=engine, probed=("neurons",), resolution_ms=0.1)
        network.set_inputs("neurons", [300.0, -300.0])
        network.run(41.0)
        V_end, decay = 300.0 * TAU_M / C, np.exp(-times() / TAU_M)[:, None]
        expected = np.array([V_end, -V_end]) * (1 - decay) - 5.0 * decay
        np.testing.assert_allclose(network.membrane_potentials()[:, 0], expected, rtol=1e-11, atol=1e-12)


@every_engine
class TestPostsynapticPotential:
    @pytest.mark.parametrize("w", [100.0, -100.0])
    @pytest.mark.parametrize("h", [0.1, 0.5])
    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_it_is_the_closed_form_at_every_step(self, engine, model, h, w):
        ours = response(engine, model, [(4.0, w)], h=h)
        t = times(h) - 4.0
        # The step that ends at the arrival: a current jumps there, and V of a delta neuron has jumped.
        has_arrived = np.rint(t / h) >= (0 if model == "iaf_psc_delta" else 1)
        assert not ours[~has_arrived].any()
        np.testing.assert_allclose(ours[has_arrived], epsp(model, t[has_arrived], w), rtol=1e-11)

    @pytest.mark.parametrize(
        ("model", "peak_mV", "peak_ms"), [("iaf_psc_alpha", 1.300066, 6.65), ("iaf_psc_exp", 0.534992, 4.02)]
    )
    def test_its_peak_is_the_published_one(self, engine, model, peak_mV, peak_ms):
        # Source: an ODE solver, which agrees with the closed form to 5e-9 mV.
        ours = response(engine, model, [(2.0, 100.0)], h=0.01, duration_ms=20.0)
        assert round(ours.max(), 6) == peak_mV
        assert round(0.01 * (1 + ours.argmax()) - 2.0, 2) == peak_ms

    @pytest.mark.parametrize("model", SYNAPTIC)
    def test_excitation_and_inhibition_have_their_own_time_constant(self, engine, model):
        slow = {"tau_syn_ex": 0.7, "tau_syn_in": 5.0}
        for w, tau_s in ((100.0, 0.7), (-100.0, 5.0)):
            ours = response(engine, model, [(4.0, w)], **slow)[40:]
            np.testing.assert_allclose(ours, epsp(model, times()[40:] - 4.0, w, tau_s), rtol=1e-10)

    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_it_is_linear_in_the_weight_and_flips_with_its_sign(self, engine, model):
        one = response(engine, model, [(4.0, 50.0)])
        np.testing.assert_array_equal(response(engine, model, [(4.0, 100.0)]), 2 * one)
        np.testing.assert_allclose(response(engine, model, [(4.0, 150.0)]), 3 * one, rtol=1e-13)
        np.testing.assert_array_equal(response(engine, model, [(4.0, -50.0)]), -one)

    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_potentials_add_up_below_the_threshold(self, engine, model):
        arrivals = [(4.0, 100.0), (4.0, 30.0), (6.5, -250.0), (6.6, 100.0), (30.0, 70.0)]
        together = response(engine, model, arrivals)
        alone = sum(response(engine, model, [arrival]) for arrival in arrivals)
        np.testing.assert_allclose(together, alone, atol=1e-12)
        assert np.ptp(together) > 0.5

    @pytest.mark.parametrize("model", SYNAPTIC)
    @pytest.mark.parametrize("tau_m", [2.0, 10.0])
    def test_it_is_smooth_where_the_time_constants_meet(self, engine, model, tau_m):
        def potential(tau_s):
            return response(engine, model, [(4.0, 100.0)], tau_m=tau_m, tau_syn_ex=tau_s)[40:]

        t = times()[40:] - 4.0
        singular = potential(tau_m)
        np.testing.assert_allclose(singular, epsp(model, t, tau_s=tau_m, tau_m=tau_m), rtol=1e-11)
        for difference in (sign * 10.0**k for k, sign in itertools.product(range(-10, 0), (1, -1))):
            ours = potential(tau_m + difference)
            # To first order; the largest change is 0.92 (alpha) or 0.74 (exp) times this.
            scale = singular.max() * abs(difference) / tau_m
            assert 0.7 * scale < np.abs(ours - singular).max() < scale, difference


@every_engine
class TestInvariance:
    @pytest.mark.parametrize("model", NEURON_MODELS)
    def test_the_step_size_does_not_matter_for_input_on_the_grid(self, engine, model):
        rng = np.random.default_rng(1)
        arrivals = [(float(t), float(w)) for t, w in zip(rng.integers(2, 60, 30), rng.integers(-9, 9, 30), strict=True)]
        traces = {}
        for h in (1.0, 0.1, 0.05, 0.025):
            traces[h] = response(engine, model, arrivals, h=h, duration_ms=80.0)[round(1 / h) - 1 :: round(1 / h)]
        for h in (1.0, 0.05, 0.025):
            np.testing.assert_allclose(traces[h], traces[0.1], atol=1e-12, rtol=1e-12)
        assert np.ptp(traces[0.1]) > 0.1

    @pytest.mark.parametrize("h", [0.1, 0.05, 0.025])
    def test_a_step_current_gives_the_same_potential_at_every_step_size(self, engine, h):
        population = Population(name="neurons", size=1, parameters=QUIET)
        network = build(Topology((population,), connections()), engine=engine, probed=("neurons",), resolution_ms=h)
        currents_pA, V, expected = (300.0, 0.0, -120.0), 0.0, []
        for current_pA in currents_pA:
            network.set_inputs("neurons", current_pA)
            network.run(7.0)
            V = current_pA * TAU_M / C + (V - current_pA * TAU_M / C) * math.exp(-7.0 / TAU_M)
            expected.append(V)
        network.run(1.0)
        ours = network.membrane_potentials()[:, 0, 0][round(7 / h) - 1 :: round(7 / h)]
        np.testing.assert_allclose(ours, expected, atol=1e-12)

    @pytest.mark.parametrize("n_copies", [7, 17])
    def test_copies_with_the_same_input_fire_the_same_trains(self, engine, n_copies):
        network = build(make_recurrent(), engine=engine, n_copies=n_copies, recorded=("ex", "in"), probed=("ex",))
        drive(network, n_copies)
        for name, size in (("ex", 16), ("in", 5)):
            spikes = network.spikes().population(name)
            trains = [(spikes.steps[own], spikes.neurons[own] % size) for own in is_own(spikes, n_copies)]
            assert trains[0][0].size > 50
            for steps, neurons in trains[1:]:
                np.testing.assert_array_equal(steps, trains[0][0])
                np.testing.assert_array_equal(neurons, trains[0][1])
        potentials = network.membrane_potentials()
        np.testing.assert_array_equal(potentials, np.broadcast_to(potentials[:, :1], potentials.shape))

    @pytest.mark.parametrize("delay_ms", [0.1, 0.9, 1.0, 1.1, 7.0, 30.0])
    def test_a_delay_shifts_the_target_by_exactly_the_difference(self, engine, delay_ms):
        def target_steps(delay_ms):
            pair = tuple(Population(name=name, size=1) for name in ("sender", "target"))
            network = build(Topology(pair, connections((0, 1, 1500.0, delay_ms))), engine=engine, recorded=("target",))
            network.set_inputs("sender", 700.0)
            network.run(round(100 / network.slice_ms) * network.slice_ms)
            return network.spikes().steps

        n_later = round((delay_ms - 0.5) / 0.1)
        expected = target_steps(0.5) + n_later
        ours = target_steps(delay_ms)
        assert ours.size >= 6
        np.testing.assert_array_equal(ours, expected[expected <= 995][: ours.size])

    def test_a_silent_network_stays_silent(self, engine):
        network = build(make_recurrent(), engine=engine, n_copies=3, recorded=("ex", "in"), probed=("ex", "in"))
        network.run(1000.0)
        assert network.spikes().steps.size == 0
        assert (network.membrane_potentials() == -70.0).all()

    @pytest.mark.parametrize("seed", [1, 2, 3])
    def test_the_order_of_populations_and_synapses_does_not_matter(self, engine, seed):
        topology = make_recurrent()
        rng = np.random.default_rng(seed)
        expected_spikes, expected_potentials = simulate(topology, engine)
        assert expected_spikes["ex"].steps.size > 50
        spikes, potentials = simulate(relabelled(topology, rng), engine)
        for name, trains in expected_spikes.items():
            assert spikes[name].equals(trains)
            np.testing.assert_allclose(potentials[name], expected_potentials[name], atol=1e-9)


def make_recurrent():
    """A network of exciting and inhibiting neurons and given spikes, with random synapses."""
    rng = np.random.default_rng(0)
    kinds = (("ex", 16, "iaf_psc_alpha"), ("in", 5, "iaf_psc_exp"), ("given", 4, "spike_generator"))
    populations = tuple(Population(name=name, size=size, model=model) for name, size, model in kinds)
    pairs = [(s, t) for s in range(25) for t in range(21) if s != t and rng.random() < 0.4]
    weights = [(-900.0 if 16 <= source < 21 else 300.0) * rng.uniform(0.5, 1.5) for source, _ in pairs]
    delays = np.round(rng.integers(5, 40, len(pairs)) * 0.1, 1)
    return Topology(populations, connections(*((*p, w, d) for p, w, d in zip(pairs, weights, delays, strict=True))))


def relabelled(topology, rng):
    """The same network with its populations and its synapses in another order."""
    populations = [topology.populations[k] for k in rng.permutation(len(topology.populations))]
    if populations == list(topology.populations):
        populations.reverse()
    empty = Topology(tuple(populations), connections())
    number = np.empty(topology.n_nodes, dtype=np.int64)
    for population in populations:
        number[topology.nodes(population.name)] = empty.nodes(population.name)
    source, target, weight_pA, delay_ms = topology.connections
    order = rng.permutation(source.size)
    moved = Connections(number[source][order], number[target][order], weight_pA[order], delay_ms[order])
    return Topology(tuple(populations), moved)


def drive(network, n_copies):
    """300 ms of the same currents and given spikes for every copy."""
    rng = np.random.default_rng(5)
    for _ in range(3):
        network.set_inputs("ex", rng.uniform(200, 500, 16))
        network.set_inputs("in", rng.uniform(200, 500, 5))
        steps, neurons = rng.integers(1, 1001, 60), rng.integers(0, 4, 60)
        steps, neurons = np.tile(steps, n_copies), (neurons + 4 * np.arange(n_copies)[:, None]).ravel()
        trains = SpikeTrains.from_unsorted(steps, neurons, 0.1, 1000, {"given": 4 * n_copies})
        network.set_inputs("given", trains)
        network.run(100.0)


def simulate(topology, engine):
    """Spikes and potentials of a driven network, by population."""
    network = build(topology, engine=engine, recorded=("ex", "in"), probed=("ex", "in"))
    drive(network, 1)
    potentials = np.split(network.membrane_potentials(), [16], axis=2)
    return {name: network.spikes().population(name) for name in ("ex", "in")}, dict(
        zip(("ex", "in"), potentials, strict=True)
    )


def is_own(spikes, n_copies):
    """Per copy, which spikes are its own."""
    size = spikes.n_neurons // n_copies
    return [spikes.neurons // size == copy for copy in range(n_copies)]
