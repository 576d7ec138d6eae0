"""Liquids: degrees, signs and constants against the papers, activity against a second integrator."""

import math

import numpy as np
import pytest

from snn import wiring
from snn.published_reservoir import PublishedReservoirConfig, make_published_reservoir
from snn.receptive_fields import fixed_indegree_from_patches
from snn.reservoirs import ColumnConfig, ReservoirConfig, column_positions, make_column, make_reservoir
from snn.topology import check_grid

SMALL = ReservoirConfig(n_inputs=12, n_excitatory=40, n_inhibitory=10, input_outdegree=7)
PUBLISHED = make_published_reservoir(PublishedReservoirConfig(), np.random.default_rng(0))


def rng(seed=0):
    return np.random.default_rng(seed)


def between(topology, source, target):
    """The connections from one population to another."""
    first, last = topology.nodes(source), topology.nodes(target)
    c = topology.connections
    is_between = np.isin(c.source, first) & np.isin(c.target, last)
    return type(c)(*(values[is_between] for values in c))


def assert_equal(topology, other):
    assert topology.populations == other.populations
    for values, expected in zip(topology.connections, other.connections, strict=True):
        np.testing.assert_array_equal(values, expected)


def spike_rates(topology, input_hz, duration_ms, seed=0):
    """Mean rates in Hz of both kinds of neuron in an iaf_psc_exp liquid, integrated exactly in steps of 1 ms."""
    neuron, c = topology.population("excitatory").all_parameters(), topology.connections
    n_inputs, n_nodes, generator = topology.population("input").size, topology.n_nodes, rng(seed)
    tau_m, tau_s = neuron["tau_m"], neuron["tau_syn_ex"]
    decay_m, decay_s = math.exp(-1 / tau_m), math.exp(-1 / tau_s)
    gain = tau_m * tau_s / (tau_m - tau_s) / neuron["C_m"] * (decay_m - decay_s)  # mV / pA
    arriving = np.zeros((int(c.delay_ms.max()) + 1, n_nodes))
    potential, current, rest, n_spikes = np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes), np.zeros(n_nodes)
    for step in range(duration_ms):
        potential = np.where(rest > 0, neuron["V_reset"] - neuron["E_L"], decay_m * potential + gain * current)
        current = decay_s * current + arriving[step % len(arriving)]
        arriving[step % len(arriving)] = 0
        is_spike = (rest == 0) & (potential >= neuron["V_th"] - neuron["E_L"])
        rest = np.where(is_spike, neuron["t_ref"], np.maximum(rest - 1, 0))
        is_spike[:n_inputs] = generator.random(n_inputs) < input_hz / 1000
        n_spikes += is_spike
        synapses = np.flatnonzero(is_spike[c.source])
        slots = (step + c.delay_ms[synapses].astype(int)) % len(arriving)
        np.add.at(arriving, (slots, c.target[synapses]), c.weight_pA[synapses])
    rates = n_spikes * 1000 / duration_ms
    return rates[topology.nodes("excitatory")].mean(), rates[topology.nodes("inhibitory")].mean()


def test_a_reservoir_has_the_degrees_of_its_config():
    topology = make_reservoir(SMALL, rng())
    assert [(p.name, p.size, p.model) for p in topology.populations] == [
        ("input", 12, "spike_generator"), ("excitatory", 40, "iaf_psc_exp"), ("inhibitory", 10, "iaf_psc_exp")
    ]  # fmt: skip
    c, first = topology.connections, 12
    is_input = c.source < first
    np.testing.assert_array_equal(np.bincount(c.source[is_input]), np.full(12, 7))
    for kind, indegree in (("excitatory", 16), ("inhibitory", 4)):
        is_kind = np.isin(c.source, topology.nodes(kind))
        np.testing.assert_array_equal(np.bincount(c.target[is_kind])[first:], np.full(50, indegree))
    assert (c.source != c.target).all()
    assert len(set(zip(c.source.tolist(), c.target.tolist(), strict=True))) == len(c.source)
    assert c.delay_ms.min() >= 1
    assert c.delay_ms.max() <= 10
    for resolution_ms in (0.1, 1.0):
        check_grid(topology, resolution_ms)


def test_signs_follow_dales_principle_unless_switched_off():
    c = make_reservoir(SMALL, rng()).connections
    np.testing.assert_array_equal(c.weight_pA < 0, c.source >= 52)
    c = make_reservoir(ReservoirConfig(is_dale=False, weight_spread=1.0), rng()).connections
    for is_inhibitory in (False, True):
        weights = c.weight_pA[(c.source >= 784 + 800) == is_inhibitory]
        n, p = len(weights), math.erfc(1 / math.sqrt(2)) / 2  # beyond one standard deviation
        n_other = np.count_nonzero((weights < 0) != is_inhibitory)
        assert abs(n_other - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_weights_scale_with_the_config_and_delays_with_the_resolution():
    c = make_reservoir(SMALL, rng()).connections
    doubled = ReservoirConfig(
        n_inputs=12, n_excitatory=40, n_inhibitory=10, input_outdegree=7, input_weight_pA=400.0,
        excitatory_weight_pA=300.0, inhibitory_weight_pA=-2000.0,
    )  # fmt: skip
    np.testing.assert_allclose(make_reservoir(doubled, rng()).connections.weight_pA, 2 * c.weight_pA)
    silent = make_reservoir(ReservoirConfig(excitatory_weight_pA=0.0, resolution_ms=0.1), rng())
    assert (between(silent, "excitatory", "inhibitory").weight_pA == 0).all()
    check_grid(silent, 0.1)
    assert len(np.unique(silent.connections.delay_ms)) > 50


@pytest.mark.parametrize("make", [
    lambda generator: make_reservoir(SMALL, generator),
    lambda generator: make_column(ColumnConfig(), generator),
    lambda generator: make_published_reservoir(PublishedReservoirConfig(), generator).topology,
])  # fmt: skip
def test_equal_generators_give_equal_networks(make):
    assert_equal(make(rng(5)), make(rng(5)))
    assert not np.array_equal(make(rng(5)).connections.weight_pA[:50], make(rng(6)).connections.weight_pA[:50])


@pytest.mark.parametrize(("input_hz", "low", "high"), [(0.0, 0, 0), (12.0, 5, 20), (50.0, 25, 45)])
def test_the_default_reservoir_fires_at_useful_rates(input_hz, low, high):
    for rate_hz in spike_rates(make_reservoir(ReservoirConfig(), rng()), input_hz, 500):
        assert low <= rate_hz <= high


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (ReservoirConfig, {"n_inputs": 0}, "ReservoirConfig.n_inputs=0 is outside 1"),
        (ReservoirConfig, {"n_inhibitory": 2.5}, "n_inhibitory=2.5 is not a whole number"),
        (ReservoirConfig, {"input_outdegree": 1001}, "input_outdegree=1001 is above 1000"),
        (ReservoirConfig, {"excitatory_indegree": 800}, "excitatory_indegree=800 is above 799"),
        (ReservoirConfig, {"inhibitory_indegree": -1}, "inhibitory_indegree=-1 is outside 0"),
        (ReservoirConfig, {"inhibitory_weight_pA": 5.0}, "inhibitory_weight_pA=5.0 is outside -inf … 0"),
        (ReservoirConfig, {"input_weight_pA": np.nan}, "input_weight_pA=nan is outside"),
        (ReservoirConfig, {"delay_mean_ms": 0.0}, "delay_mean_ms=0.0 is outside 0.001"),
        (ReservoirConfig, {"model": "iaf_psc_delta"}, "model='iaf_psc_delta' .* give iaf_psc_exp or iaf_psc_alpha"),
        (ColumnConfig, {"probability_ii": 1.5}, "ColumnConfig.probability_ii=1.5 is outside 0 … 1"),
        (ColumnConfig, {"weight_ei_pA": -5.0}, "weight_ei_pA=-5.0 is outside 0"),
        (ColumnConfig, {"weight_ie_pA": 5.0}, "weight_ie_pA=5.0 is outside -inf … 0"),
        (ColumnConfig, {"input_fraction": 1.5}, "input_fraction=1.5 is outside 0 … 1"),
        (ColumnConfig, {"inhibitory_fraction": 0.0}, r"inhibitory_fraction=0.0 of shape=\(3, 3, 15\) leaves one kind"),
        (ColumnConfig, {"delay_ms": 0.0}, "delay_ms=0.0"),
        (PublishedReservoirConfig, {"n_clusters": 0}, "PublishedReservoirConfig.n_clusters=0"),
        (PublishedReservoirConfig, {"noise_weak_rate_hz": -1.0}, "noise_weak_rate_hz=-1.0"),
        (PublishedReservoirConfig, {"weight_i_pA": 90.0}, "weight_i_pA=90.0"),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused(config, settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_a_column_has_the_published_neurons():
    topology = make_column(ColumnConfig(), rng())
    assert [population.size for population in topology.populations] == [1, 108, 27]
    for name, t_ref in (("excitatory", 3.0), ("inhibitory", 2.0)):
        p = topology.population(name).all_parameters()
        assert (p["tau_m"], p["t_ref"], p["tau_syn_ex"], p["tau_syn_in"]) == (30.0, t_ref, 3.0, 6.0)
        assert p["tau_m"] / p["C_m"] * 1000 == pytest.approx(1.0)  # GOhm to MOhm: input resistance
        assert p["I_e"] * p["tau_m"] / p["C_m"] == pytest.approx(13.5)  # mV above rest: silent without input
        assert p["V_th"] - p["E_L"] == 15.0
    assert (
        len(between(topology, "input", "excitatory").source) + len(between(topology, "input", "inhibitory").source)
        == 40
    )


def test_a_columns_wiring_follows_kind_and_distance():
    config = ColumnConfig()
    expected = {("excitatory", "excitatory"): 0.3, ("excitatory", "inhibitory"): 0.2,
                ("inhibitory", "excitatory"): 0.4, ("inhibitory", "inhibitory"): 0.1}  # fmt: skip
    n_pairs, n_found = {kind: np.zeros(400) for kind in expected}, {kind: np.zeros(400) for kind in expected}
    for seed in range(40):
        topology, positions = make_column(config, rng(seed)), column_positions(config, rng(seed))
        assert set(map(tuple, positions)) == set(map(tuple, wiring.grid_positions((3, 3, 15))))
        squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=2).astype(int)
        for kind in expected:
            first, last = (topology.nodes(name) - 1 for name in kind)
            n_pairs[kind] += np.bincount(squared[np.ix_(first, last)].ravel(), minlength=400)
            c = between(topology, *kind)
            n_found[kind] += np.bincount(squared[c.source - 1, c.target - 1], minlength=400)
    for kind, probability in expected.items():
        assert n_found[kind][0] == 0
        for distance2 in (1, 2, 4, 6, 9):
            n, p = n_pairs[kind][distance2], probability * math.exp(-distance2 / 4)
            assert abs(n_found[kind][distance2] - n * p) < 5 * math.sqrt(n * p * (1 - p))


def settled_weight_pA(amplitude_nA, U, D_ms, F_ms):
    """Amplitude of a plastic synapse after many spikes 50 ms apart (Markram, Wang & Tsodyks 1998)."""
    u, R = U, 1.0
    for _ in range(500):
        R = 1 + (R - u * R - 1) * math.exp(-50 / D_ms)
        u = U + u * (1 - U) * math.exp(-50 / F_ms)
    return 1000 * amplitude_nA * u * R


def test_static_weights_of_a_column_are_those_the_plastic_synapses_settle_at():
    config = ColumnConfig()
    assert config.weight_ee_pA == pytest.approx(settled_weight_pA(30, 0.5, 1100, 50), abs=5)
    assert config.weight_ei_pA == pytest.approx(settled_weight_pA(60, 0.05, 125, 1200), abs=5)
    assert config.weight_ie_pA == pytest.approx(settled_weight_pA(-19, 0.25, 700, 20), abs=5)
    assert config.weight_ii_pA == pytest.approx(settled_weight_pA(-19, 0.32, 144, 60), abs=5)


def test_a_columns_weights_are_exponential_and_its_delays_go_by_kind():
    config = ColumnConfig(n_inputs=200, shape=(6, 6, 30))
    topology = make_column(config, rng(3))
    check_grid(topology, 0.1)
    means = {
        ("input", "excitatory"): 18_000.0, ("input", "inhibitory"): 9_000.0,
        ("excitatory", "excitatory"): config.weight_ee_pA, ("excitatory", "inhibitory"): config.weight_ei_pA,
        ("inhibitory", "excitatory"): config.weight_ie_pA, ("inhibitory", "inhibitory"): config.weight_ii_pA,
    }  # fmt: skip
    for kind, mean in means.items():
        c = between(topology, *kind)
        assert c.weight_pA.mean() == pytest.approx(mean, rel=5 / math.sqrt(len(c.weight_pA)))
        assert c.weight_pA.std() == pytest.approx(abs(mean), rel=15 / math.sqrt(len(c.weight_pA)))
        assert (np.sign(c.weight_pA) == np.sign(mean)).all()
        assert set(c.delay_ms) == ({1.5} if kind == ("excitatory", "excitatory") else {0.8})


def test_the_published_reservoir_has_the_published_numbers_of_synapses():
    topology, trained, _ = PUBLISHED
    expected = {
        ("pixels", "input"): 784, ("input", "excitatory"): 8 * 1600, ("input", "inhibitory"): 8 * 400,
        ("excitatory", "excitatory"): 1600 * 96, ("excitatory", "inhibitory"): 1600 * 32,
        ("inhibitory", "excitatory"): 400 * 160, ("inhibitory", "inhibitory"): 400 * 32,
        ("noise_strong", "excitatory"): 1600, ("noise_strong", "inhibitory"): 400,
        ("noise_weak", "excitatory"): 1600, ("noise_weak", "inhibitory"): 400,
    }  # fmt: skip
    counts = {kind: len(between(topology, *kind).source) for kind in expected}
    assert counts == expected
    n_recorders = 784 + 1600 + 400
    assert sum(counts.values()) == 305_168 - n_recorders
    assert [part.shape for part in trained] == [(3, 6400), (3, 1280), (3, 1600), (3, 320)]
    assert trained.of_clusters().size == 28_800
    n_inside, n_output_noise = 3 * (10 + 2) * 2 * 2, 36
    assert len(topology.connections.source) == 305_168 - n_recorders + 28_800 + n_inside + n_output_noise
    assert set(topology.connections.delay_ms) == {1.0}


def test_degrees_inside_the_published_liquid_are_fixed_at_the_source_and_without_repeats():
    for kind, degree in ((("excitatory", "inhibitory"), 32), (("inhibitory", "excitatory"), 160)):
        c = between(PUBLISHED.topology, *kind)
        assert set(np.unique(c.source, return_counts=True)[1]) == {degree}
    c = PUBLISHED.topology.connections
    n_different = len(np.unique(c.source * PUBLISHED.topology.n_nodes + c.target))
    assert n_different == len(c.source)
    outputs = np.concatenate([PUBLISHED.topology.nodes(f"output_{kind}") for kind in ("excitatory", "inhibitory")])
    assert (c.source == c.target)[~np.isin(c.target, outputs)].sum() == 0
    assert np.isin(c.target[np.isin(c.source, outputs)], outputs).all()  # no feedback to the liquid


def test_trained_synapses_are_all_those_from_the_liquid_to_each_cluster():
    topology, trained, _ = PUBLISHED
    c = topology.connections
    liquid = {"e": topology.nodes("excitatory"), "i": topology.nodes("inhibitory")}
    outputs = {"e": topology.nodes("output_excitatory"), "i": topology.nodes("output_inhibitory")}
    for kind, indices in trained._asdict().items():
        indegree = {"e": 640, "i": 160}[kind[0]]
        for cluster in range(3):
            targets = np.split(outputs[kind[1]], 3)[cluster]
            found, counts = np.unique(c.target[indices[cluster]], return_counts=True)
            np.testing.assert_array_equal(found, targets)
            assert set(counts) == {indegree}
            assert np.isin(c.source[indices[cluster]], liquid[kind[0]]).all()
        mean = {"e": 100, "i": -100}[kind[0]]
        assert c.weight_pA[indices].mean() == pytest.approx(mean, abs=5 * 50 / math.sqrt(indices.size))
    is_readout = np.isin(c.source, np.concatenate(list(liquid.values()))) & (c.target >= outputs["e"][0])
    np.testing.assert_array_equal(np.sort(trained.of_clusters().ravel()), np.flatnonzero(is_readout))


def test_the_background_leaves_the_membrane_as_far_below_threshold_as_published():
    topology, _, rates_hz = PUBLISHED
    assert rates_hz == {"pixels": 1.0, "noise_strong": 8000.0, "noise_weak": 10_000.0, "noise_output": 10_000.0}
    target, neuron = topology.nodes("excitatory")[7], topology.population("excitatory").all_parameters()
    charge_pA_ms = 0.0
    for name in ("noise_strong", "noise_weak"):
        c = between(topology, name, "excitatory")
        charge_pA_ms += rates_hz[name] / 1000 * c.weight_pA[c.target == target].sum() * math.e * neuron["tau_syn_ex"]
    assert charge_pA_ms == pytest.approx(293.6, abs=0.05)
    assert neuron["E_L"] + charge_pA_ms * neuron["tau_m"] / neuron["C_m"] == pytest.approx(-58.3, abs=0.05)


def test_published_pixels_are_negative_as_often_as_a_normal_distribution_says():
    weights = between(PUBLISHED.topology, "pixels", "input").weight_pA
    n, p = 784, math.erfc(70 / 400 / math.sqrt(2)) / 2
    assert p == pytest.approx(0.43, abs=0.005)
    assert abs(np.count_nonzero(weights < 0) - n * p) < 5 * math.sqrt(n * p * (1 - p))


def test_the_improved_encoding_changes_input_weights_only():
    improved = make_published_reservoir(PublishedReservoirConfig(), rng(), "improved")
    old, new = PUBLISHED.topology.connections, improved.topology.connections
    for name in ("source", "target", "delay_ms"):
        np.testing.assert_array_equal(getattr(new, name), getattr(old, name))
    is_pixel = np.isin(old.source, improved.topology.nodes("pixels"))
    is_input = np.isin(old.source, improved.topology.nodes("input"))
    np.testing.assert_array_equal(new.weight_pA[is_pixel], np.full(784, 1500.0))
    np.testing.assert_array_equal(new.weight_pA[is_input], np.abs(old.weight_pA[is_input]))
    np.testing.assert_array_equal(new.weight_pA[~is_pixel & ~is_input], old.weight_pA[~is_pixel & ~is_input])
    with pytest.raises(ValueError, match="encoding='bellec' is unknown: give one of published, improved"):
        make_published_reservoir(PublishedReservoirConfig(), rng(), "bellec")


def test_one_spike_of_a_pixel_makes_its_relay_fire_in_the_improved_encoding():
    t, tau_m, tau_s, C_m = np.arange(0, 60, 0.001), 10.0, 2.0, 250.0
    rate = 1 / tau_s - 1 / tau_m  # closed form of an alpha-shaped current of 1 pA through a leaky membrane
    potential = math.e / tau_s / C_m * np.exp(-t / tau_m) * (1 - np.exp(-rate * t) * (1 + rate * t)) / rate**2
    assert 15 / potential.max() == pytest.approx(1154, abs=1)
    assert PublishedReservoirConfig().relay_weight_pA > 1154


def test_ten_clusters_have_ninety_six_thousand_trained_weights():
    reservoir = make_published_reservoir(PublishedReservoirConfig(n_clusters=10), rng())
    assert reservoir.trained.of_clusters().shape == (10, 9600)
    assert reservoir.topology.population("output_excitatory").size == 100


def test_inputs_from_patches_come_from_one_square_each_and_reach_the_whole_image():
    pixels, target = np.arange(100, 100 + 144), np.arange(1000, 1400)
    source, onto = fixed_indegree_from_patches(pixels, target, 4, 7, np.random.default_rng(1))
    np.testing.assert_array_equal(onto, np.repeat(target, 7))
    row, column = np.divmod(source.reshape(400, 7) - 100, 12)
    for place in (row, column):
        assert np.ptp(place, axis=1).max() == 3
        assert (place.min(), place.max()) == (0, 11)
    assert all(len(set(own)) == 7 for own in source.reshape(400, 7).tolist())
    for place in (row, column):
        assert set(range(9)) <= set(place.min(axis=1).tolist())


@pytest.mark.parametrize(
    ("n_pixels", "side", "indegree", "message"),
    [
        (50, 3, 2, "50 pixels are no square image"),
        (49, 8, 2, "a patch of 8 × 8 pixels is not allowed: the image has 7 × 7"),
        (49, 0, 0, "a patch of 0 × 0 pixels"),
        (49, 3, 10, "an in-degree of 10 is not allowed: a patch has 9 pixels"),
    ],
)
def test_patches_that_do_not_fit_are_refused(n_pixels, side, indegree, message):
    with pytest.raises(ValueError, match=message):
        fixed_indegree_from_patches(np.arange(n_pixels), np.arange(5), side, indegree, np.random.default_rng(1))


def test_the_local_encoding_keeps_signs_and_lets_every_pixel_spike_pass():
    config = PublishedReservoirConfig(n_pixels=64, input_indegree=9, patch_pixels=4, input_weight_pA=0.0)
    topology = make_published_reservoir(config, np.random.default_rng(1), "local").topology
    c, relays = topology.connections, topology.nodes("input")
    np.testing.assert_array_equal(c.weight_pA[np.isin(c.target, relays)], config.relay_weight_pA)
    weights = c.weight_pA[np.isin(c.source, relays)]
    assert len(weights) == 9 * 2000
    np.testing.assert_allclose((weights < 0).mean(), 0.5, atol=0.02)
