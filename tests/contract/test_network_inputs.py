"""What drives a network: currents, given spikes, noise; the same promises of every engine."""

import math

import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from snn.models import Population
from snn.network import build
from snn.topology import Topology
from tests.contract.network_cases import (
    STRONG_pA,
    connections,
    every_engine,
    make_chain,
    make_noise,
    spike_trains,
)


@every_engine
class TestInputs:
    @pytest.mark.parametrize("values", [700.0, [700.0, 700.0], [[700.0], [700.0], [700.0]], np.full((3, 2), 700.0)])
    def test_currents_are_broadcast(self, engine, values):
        network = build(make_chain(), engine=engine, n_copies=3, recorded=("a",))
        network.set_inputs("a", values)
        network.run(100.0)
        steps = [train.tolist() for train in network.spikes().trains()]
        assert len(steps[0]) >= 6
        assert steps == 6 * steps[:1]

    def test_one_current_per_neuron_or_per_copy(self, engine):
        network = build(make_chain(), engine=engine, n_copies=2, counted=("a",))
        network.set_inputs("a", [STRONG_pA, 0.0])
        network.run(20.0)
        assert (network.spike_counts() > 0).tolist() == [[True, False], [True, False]]
        network.set_inputs("a", [[0.0], [STRONG_pA]])
        network.run(20.0)
        assert (network.spike_counts() > 0).tolist() == [[False, False], [True, True]]

    @pytest.mark.parametrize("delay_ms", [0.1, 0.4, 1.0, 2.3, 17.0])
    def test_a_given_spike_arrives_exactly_one_delay_later(self, engine, delay_ms):
        network = build(make_chain(100.0, delay_ms), engine=engine, n_copies=2, probed=("a",))
        n_before = round(3 * network.slice_ms / 0.1)
        network.run(3 * network.slice_ms)
        network.set_inputs("given", spike_trains([(1, 0), (8, 3)], 4))  # copy 0, neuron 0; copy 1, neuron 1
        network.run(round(30 / network.slice_ms) * network.slice_ms)
        rises = network.membrane_potentials() > -70.0
        first = np.where(rises.any(axis=0), rises.argmax(axis=0) + 1, 0)
        # The current jumps `delay_ms` after the end of the spike's step; one step later it shows in the potential.
        n_delay = round(delay_ms / 0.1)
        assert first.tolist() == [[n_before + 1 + n_delay + 1, 0], [0, n_before + 8 + n_delay + 1]]

    def test_new_spike_trains_replace_those_still_to_come(self, engine):
        network = build(make_chain(), engine=engine, recorded=("a",))
        network.set_inputs("given", spike_trains([(10, 0), (90, 0), (150, 0)], 2))
        network.run(5.0)
        network.set_inputs("given", spike_trains([(50, 1)], 2))
        network.run(30.0)
        spikes = network.spikes()
        assert spikes.neurons.tolist() == [0, 1]
        assert np.diff(spikes.steps).tolist() == [90]
        network.set_inputs("given", spike_trains([], 2))
        network.run(5.0)
        assert network.spikes().steps.size == 2

    def test_a_given_spike_outlives_the_train_it_came_from(self, engine):
        network = build(make_chain(delay_ms=4.0), engine=engine, recorded=("a",))
        network.set_inputs("given", spike_trains([(8, 0)], 2))
        network.run(1.0)
        network.set_inputs("given", spike_trains([], 2))
        network.run(20.0)
        assert network.spikes().neurons.tolist() == [0]

    def test_two_spikes_in_one_step_count_twice(self, engine):
        def response(spikes, weight_pA=100.0):
            network = build(make_chain(weight_pA, E_L=0.0, V_th=15.0, V_reset=0.0), engine=engine, probed=("a",))
            network.set_inputs("given", spike_trains(spikes, 2))
            network.run(20.0)
            return network.membrane_potentials()

        np.testing.assert_array_equal(response([(3, 0), (3, 0)]), response([(3, 0)], 200.0))
        assert response([(3, 0)]).max() > 0.5

    def test_spike_trains_are_those_of_the_own_copy(self, engine):
        network = build(make_chain(), engine=engine, n_copies=10, counted=("a",))
        network.set_inputs("given", spike_trains([(1 + k, k) for k in range(0, 20, 3)], 20))
        network.run(20.0)
        np.testing.assert_array_equal(network.spike_counts().ravel(), np.arange(20) % 3 == 0)


@every_engine
class TestNoise:
    """Poisson sources: no engine has the other's random numbers, so that counts are held against the closed form."""

    N_COPIES, N_TARGETS, RATE_HZ, DURATION_MS = 50, 40, 100.0, 100.0
    N, MEAN = N_COPIES * N_TARGETS, RATE_HZ * DURATION_MS / 1000  # 2,000 independent counts with mean 10

    def count(self, engine, topology, rng_seed=1, resolution_ms=1.0):
        """(n_copies, n_targets) spikes that have arrived after `DURATION_MS` of noise."""
        options = {"probed": ("counters",), "resolution_ms": resolution_ms, "rng_seed": rng_seed}
        network = build(topology, engine=engine, n_copies=self.N_COPIES, **options)
        network.set_inputs("noise", self.RATE_HZ)
        network.run(self.DURATION_MS + 2)  # the delay, and the slice that is not shown
        counts = network.membrane_potentials()[-1]
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
        return np.rint(counts)

    @pytest.mark.parametrize("resolution_ms", [1.0, 0.1])
    def test_counts_are_poisson_distributed(self, engine, resolution_ms):
        # Tolerances are five standard deviations of the mean and of the variance of 2,000 counts.
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS), resolution_ms=resolution_ms)
        assert abs(counts.mean() - self.MEAN) < 5 * math.sqrt(self.MEAN / self.N)
        assert abs(counts.var() - self.MEAN) < 5 * math.sqrt((self.MEAN + 2 * self.MEAN**2) / self.N)
        inner = np.arange(4, 18)
        observed = [(counts < 4).sum(), *(counts == inner[:, None, None]).sum(axis=(1, 2)), (counts > 17).sum()]
        law = poisson(self.MEAN)
        expected = self.N * np.array([law.cdf(3), *law.pmf(inner), law.sf(17)])
        assert chisquare(observed, expected).pvalue > 1e-6

    def test_every_synapse_of_a_source_has_its_own_noise(self, engine):
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS)).reshape(-1, 2)
        assert abs(np.corrcoef(counts.T)[0, 1]) < 5 / math.sqrt(self.N / 2)
        # Two synapses between the same nodes: the variance of a sum of two independent counts, not of twice one count.
        doubled = self.count(engine, make_noise(n_targets=self.N_TARGETS, n_synapses=2))
        mean = 2 * self.MEAN
        assert abs(doubled.mean() - mean) < 5 * math.sqrt(mean / self.N)
        assert abs(doubled.var() - mean) < 5 * math.sqrt((mean + 2 * mean**2) / self.N)

    def test_copies_have_their_own_noise(self, engine):
        counts = self.count(engine, make_noise(n_targets=self.N_TARGETS))
        across = np.corrcoef(counts)[~np.eye(self.N_COPIES, dtype=bool)]
        assert abs(across.mean()) < 5 / math.sqrt(across.size / 2 * self.N_TARGETS)

    def test_the_seed_decides(self, engine):
        topology = make_noise(n_targets=self.N_TARGETS)
        first = self.count(engine, topology, rng_seed=7)
        np.testing.assert_array_equal(self.count(engine, topology, rng_seed=7), first)
        assert (self.count(engine, topology, rng_seed=8) != first).any()

    @pytest.mark.parametrize("delay_ms", [1.0, 3.0])
    @pytest.mark.parametrize("n_before", [0, 20])
    def test_noise_begins_at_once_but_for_the_very_first_step(self, engine, n_before, delay_ms):
        # NEST's sources are active in steps that begin after time 0, and so are everyone's.
        network = build(make_noise(delay_ms=delay_ms), engine=engine, probed=("counters",), resolution_ms=1.0)
        if n_before:
            network.run(n_before)
        network.set_inputs("noise", 1e6)  # about 1,000 spikes per step
        network.run(20.0)
        potentials = network.membrane_potentials()[:, 0, 0]
        first = int(max(1, n_before) + delay_ms)
        assert np.argmax(potentials > 0) == first
        assert np.abs(np.diff(potentials[first - 1 :]) - 1000).max() < 5 * math.sqrt(1000)

    def test_rates_can_change_at_any_time(self, engine):
        network = build(make_noise(), engine=engine, n_copies=2, probed=("counters",), resolution_ms=1.0)
        rates_hz = np.array([[0.0, 0.0], [1e5, 0.0], [0.0, 0.0], [1e4, 1e5]])
        for rate_hz in rates_hz:
            network.set_inputs("noise", rate_hz[:, None])
            network.run(100.0)
        network.run(2.0)
        arrived = np.diff(network.membrane_potentials()[::100, :, 0], axis=0)  # steps 1, 101, …: one delay later
        expected = rates_hz * 0.1
        np.testing.assert_array_less(np.abs(arrived - expected), 5 * np.sqrt(expected) + 0.5)

    def test_reset_begins_the_noise_again_at_rate_zero(self, engine):
        network = build(make_noise(), engine=engine, probed=("counters",), resolution_ms=1.0)
        traces = []
        for rate_hz in (500.0, 500.0, 0.0):
            if rate_hz:
                network.set_inputs("noise", rate_hz)
            network.run(100.0)
            traces.append(network.membrane_potentials())
            network.reset()
        np.testing.assert_array_equal(traces[0], traces[1])
        assert traces[0].max() > 0
        assert not traces[2].any()

    def test_a_source_without_synapses_does_nothing(self, engine):
        populations = (*make_noise().populations, Population(name="given", size=1, model="spike_generator"))
        network = build(Topology(populations, connections()), engine=engine, counted=("counters",))
        network.set_inputs("noise", 1000.0)
        network.set_inputs("given", spike_trains([(1, 0)]))
        network.run(10.0)
        assert network.spike_counts().tolist() == [[0]]
