"""Liquids: states against recordings, engines against each other, order and batches, a task, the published preset."""

import dataclasses

import numpy as np
import pytest

from snn.liquid import LiquidStateMachine, trials_to_copies
from snn.liquid_config import (
    ENCODERS,
    LiquidConfig,
    encode_trial,
    make_liquid,
    published_liquid,
    stimulus_seeds,
)
from snn.measures import filtered_trace
from snn.network import build
from snn.published_reservoir import OUTPUTS, PublishedReservoirConfig, make_published_reservoir
from snn.readout import RidgeReadout
from snn.reservoirs import LIQUID, ColumnConfig, ReservoirConfig
from snn.shared_reservoir import SharedReservoir, output_network
from snn.spike_trains import SpikeTrains
from snn.topology import Connections, Topology

RESERVOIR = ReservoirConfig(n_inputs=8, n_excitatory=40, n_inhibitory=10, input_outdegree=25, input_weight_pA=400.0)
SMALL = LiquidConfig(reservoir=RESERVOIR, stimulus_ms=60.0, bin_ms=20.0, warm_up_ms=5.0, min_rate_hz=10.0)
ENGINES = pytest.mark.parametrize("engine", ["nest", "numba"])


def rng(seed=0):
    return np.random.default_rng(seed)


VALUES = rng().random((11, 8))


def changed(**settings):
    return dataclasses.replace(SMALL, **settings)


def raw_trains(seed, n_inputs=8, n_steps=60, rate=0.1):
    steps, neurons = np.nonzero(rng(seed).random((n_steps, n_inputs)) < rate)
    return SpikeTrains(steps + 1, neurons, 1.0, n_steps, {"input": n_inputs})


STIMULI = {
    "poisson": VALUES,
    "latency": VALUES,
    "threshold": np.cumsum(rng().normal(size=(11, 2, 12)), axis=2),
    "raw": [raw_trains(seed) for seed in range(11)],
}


# --- States ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", STIMULI)
@pytest.mark.parametrize("state", ["counts", "trace"])
def test_both_engines_give_the_same_states(encoder, state):
    config = changed(encoder=encoder, state=state, thresholds=(0.0, 1.0))
    nest, numba = (LiquidStateMachine(config, engine).transform(STIMULI[encoder]) for engine in ("nest", "numba"))
    assert nest.shape == (11, 50 * 3)
    assert np.count_nonzero(nest) > 100
    np.testing.assert_array_equal(nest, numba)


@ENGINES
@pytest.mark.parametrize("state", ["counts", "trace"])
def test_states_are_what_the_recorded_spikes_say(engine, state):
    machine = LiquidStateMachine(changed(state=state), engine)
    states = machine.transform(VALUES)
    assert states.shape == (11, machine.n_features)
    for index in (0, 7, 10):
        if state == "counts":
            expected = machine.spikes(VALUES[index], index).counts(20.0)
        else:
            expected = filtered_trace(machine.spikes(VALUES[index], index, has_idle=True), 20.0, [25.0, 45.0, 65.0])
        np.testing.assert_array_equal(states[index].reshape(50, 3), expected)


@ENGINES
def test_states_do_not_depend_on_order_or_batch(engine):
    machine = LiquidStateMachine(SMALL, engine)
    together, order = machine.transform(VALUES), rng(1).permutation(11)
    np.testing.assert_array_equal(machine.transform(VALUES[order], order), together[order])
    parts = [machine.transform(VALUES[part], part) for part in np.array_split(order, [1, 2, 10])]
    np.testing.assert_array_equal(np.concatenate(parts), together[order])
    np.testing.assert_array_equal(LiquidStateMachine(SMALL, engine).transform(VALUES), together)


def test_noise_follows_from_seed_and_index():
    machine = LiquidStateMachine(SMALL, "numba")
    same = np.tile(VALUES[0], (3, 1))
    states = machine.transform(same, [4, 5, 4])
    np.testing.assert_array_equal(states[0], states[2])
    assert (states[0] != states[1]).any()
    topologies = [make_liquid(changed(seed=seed))[0] for seed in (1, 1, 2)]
    weights = [topology.connections.weight_pA for topology in topologies]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


def test_every_use_of_every_stimulus_has_seeds_of_its_own():
    keys = [
        tuple(stimulus_seeds(seed, index, use).generate_state(2))
        for seed in (1, 2) for index in (0, 1, 2) for use in ("encoder", "liquid", "outputs")
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)


@ENGINES
def test_a_trial_after_others_equals_one_in_a_new_network(engine):
    machine = LiquidStateMachine(changed(state="trace"), engine)
    machine.transform(VALUES * 3 % 1)
    expected = machine.transform(VALUES[9:], [9, 10])
    for row, index in zip(expected, (9, 10), strict=True):
        trial = encode_trial(VALUES[index], SMALL, index, 5.0)
        with build(machine.topology, engine=engine, recorded=LIQUID, resolution_ms=1.0) as network:
            network.set_inputs("input", trial)
            network.run(65.0)
            new = network.spikes()
        assert len(new.steps) > 50
        assert machine.spikes(VALUES[index], index, has_idle=True).equals(new)
        np.testing.assert_array_equal(row.reshape(50, 3), filtered_trace(new, 20.0, [25.0, 45.0, 65.0]))


@ENGINES
@pytest.mark.parametrize("state", ["counts", "trace"])
def test_between_trials_a_cooling_network_goes_on(engine, state):
    config = changed(between_trials="cool-down", cool_down_ms=10.0, state=state)
    machine = LiquidStateMachine(config, engine)
    states = machine.transform(VALUES[:3])
    trials = [encode_trial(VALUES[k], config, k, 15.0 if k == 0 else 10.0) for k in range(3)]
    starts = np.cumsum([0, 75, 70])
    whole = SpikeTrains(
        np.concatenate([trial.steps + start for trial, start in zip(trials, starts, strict=True)]),
        np.concatenate([trial.neurons for trial in trials]), 1.0, 215, {"input": 8},
    )  # fmt: skip
    with build(machine.topology, engine=engine, recorded=LIQUID, resolution_ms=1.0) as network:
        network.set_inputs("input", whole)
        network.run(215.0)
        trains = network.spikes()
    for k, onset in enumerate((15.0, 85.0, 155.0)):
        if state == "counts":
            expected = trains.slice(onset, onset + 60.0).counts(20.0)
        else:
            expected = filtered_trace(trains, 20.0, onset + np.array([20.0, 40.0, 60.0]))
        np.testing.assert_allclose(states[k].reshape(50, 3), expected, rtol=1e-12, atol=1e-12)
    assert (states[1] != machine.transform(VALUES[1:2], [1])[0]).any()
    assert machine.transform(VALUES[:0]).shape == (0, 150)


def test_a_column_runs_at_its_fine_resolution():
    config = LiquidConfig(
        reservoir=ColumnConfig(n_inputs=2), encoder="raw", resolution_ms=0.1, stimulus_ms=80.0, bin_ms=40.0
    )
    steps = np.arange(10, 800, 40)
    trains = SpikeTrains(np.repeat(steps, 2), np.tile([0, 1], len(steps)), 0.1, 800, {"input": 2})
    states = [LiquidStateMachine(config, engine).transform([trains, trains]) for engine in ("nest", "numba")]
    np.testing.assert_array_equal(*states)
    np.testing.assert_array_equal(states[0][0], states[0][1])
    assert states[0].sum() > 20


def test_trials_stand_side_by_side_in_the_order_of_spike_trains():
    trials = [raw_trains(seed, rate=0.4) for seed in range(3)]
    joined = trials_to_copies(trials, 8)
    assert joined.n_neurons == 64
    for copy in range(8):
        is_own = joined.neurons // 8 == copy
        expected = trials[copy] if copy < 3 else raw_trains(0, rate=0.0)
        np.testing.assert_array_equal(joined.steps[is_own], expected.steps)
        np.testing.assert_array_equal(joined.neurons[is_own] % 8, expected.neurons)


# --- Learning ----------------------------------------------------------------------------------------------------


def test_readouts_that_share_one_simulation_tell_jittered_templates_apart():
    templates, generator = [raw_trains(seed, n_inputs=8, n_steps=60, rate=0.05) for seed in (100, 101)], rng(2)
    classes = generator.integers(0, 2, 120)
    stimuli = []
    for k in classes:
        jittered = templates[k].steps + np.rint(generator.normal(0, 3, len(templates[k].steps))).astype(int)
        steps = np.clip(jittered, 1, 60)
        stimuli.append(SpikeTrains.from_unsorted(steps, templates[k].neurons, 1.0, 60, {"input": 8}))
    machine = LiquidStateMachine(changed(encoder="raw", state="trace", seed=3), "numba")
    machine.fit(stimuli[:80], classes[:80])
    assert machine.score(stimuli[80:], classes[80:]) > 0.9
    assert set(machine.predict(stimuli[80:])) == {0, 1}
    states = machine.transform(stimuli)
    names = np.array(["first", "second"])[classes]
    for targets in (classes, names, classes.astype(float)):
        assert RidgeReadout(100.0).fit(states[:80], targets[:80]).score(states[80:], targets[80:]) > 0.5
    shuffled = generator.permutation(classes)
    assert RidgeReadout(100.0).fit(states[:80], shuffled[:80]).score(states[80:], shuffled[80:]) < 0.75


class RememberingReadout:
    """Keeps the states it is given."""

    def fit(self, states, targets):
        self.fitted = states

    def predict(self, states):
        self.predicted = states
        return np.zeros(len(states))

    def score(self, states, targets):
        self.scored = states
        return 0.0


@pytest.mark.parametrize(("indices", "first"), [(None, 4), ([2, 9, 0, 1], 10)])
def test_the_noise_of_a_test_set_is_by_default_not_that_of_the_training_set(indices, first):
    machine = LiquidStateMachine(SMALL, "numba", RememberingReadout())
    same, targets = np.tile(VALUES[0], (4, 1)), np.zeros(4)
    expected = machine.transform(same[:2], [first, first + 1])
    machine.fit(same, targets, indices)
    for _ in range(2):  # a call leaves the numbers as they were
        machine.predict(same[:2])
        machine.score(same[:2], targets[:2])
        np.testing.assert_array_equal(machine.readout.predicted, expected)
        np.testing.assert_array_equal(machine.readout.scored, expected)
    assert not (machine.readout.fitted[:, np.newaxis] == expected).all(axis=2).any()
    machine.predict(same, range(4) if indices is None else indices)
    np.testing.assert_array_equal(machine.readout.predicted, machine.readout.fitted)


# --- The published reservoir -------------------------------------------------------------------------------------

TINY = PublishedReservoirConfig(
    n_pixels=20, n_excitatory=60, n_inhibitory=20, n_clusters=2, n_cluster_excitatory=3, n_cluster_inhibitory=2,
    outdegree_ee=8, outdegree_ei=4, outdegree_ie=10, outdegree_ii=4, readout_indegree_e=30, readout_indegree_i=10,
    noise_strong_weight_pA=9.0, readout_weight_pA=300.0,
)  # fmt: skip


@ENGINES
def test_the_published_liquid_fires_at_the_published_rates(engine):
    config = published_liquid(stimulus_ms=300.0)
    assert (config.warm_up_ms, config.cool_down_ms, published_liquid().stimulus_ms) == (100.0, 200.0, 500.0)
    assert (config.min_rate_hz, config.max_rate_hz) == (1.0, 100.0)
    image = np.zeros(784)
    image[rng(3).choice(784, 150, replace=False)] = rng(4).integers(60, 256, 150)
    trains = LiquidStateMachine(config, engine).spikes(image)
    rates = [trains.population(name).mean_rate_hz()[0] for name in LIQUID]
    assert 5 < rates[0] < 11  # measured before: 7.7 Hz and 25.5 Hz
    assert 17 < rates[1] < 34


@ENGINES
def test_published_states_follow_from_the_index_although_the_liquid_has_noise(engine):
    config = published_liquid("improved", reservoir=TINY, stimulus_ms=100.0, warm_up_ms=20.0, cool_down_ms=30.0)
    machine, pixels = LiquidStateMachine(config, engine), rng().integers(0, 255, (4, 20))
    states = machine.transform(pixels)
    np.testing.assert_array_equal(machine.transform(pixels[[2]], [2])[0], states[2])
    np.testing.assert_array_equal(machine.spikes(pixels[3], 3).counts()[:, 0], states[3])
    repeated = machine.transform(pixels[[0, 0]])
    assert (repeated[0] != repeated[1]).any()
    assert states.sum() > 20


@ENGINES
def test_replayed_outputs_fire_as_in_a_kernel_of_their_own(engine):
    reservoir = dataclasses.replace(TINY, noise_output_rate_hz=0.0)
    config = published_liquid(reservoir=reservoir, stimulus_ms=100.0, warm_up_ms=20.0, cool_down_ms=30.0)
    shared = SharedReservoir(config, 3, engine)
    weights_pA = rng(5).normal(300.0, 300.0, (3, shared.trained.size))
    published = make_published_reservoir(reservoir, np.random.default_rng(config.seed))
    trial = rng(6).random((150, 20)) < 0.05
    for use in range(2):  # the second use has new weights and a network that was used before
        expected = []
        for member in weights_pA + use:
            c = published.topology.connections
            weight_pA = c.weight_pA.copy()
            weight_pA[published.trained.of_clusters().ravel()] = member
            full = Topology(published.topology.populations, Connections(c.source, c.target, weight_pA, c.delay_ms))
            with build(full, engine=engine, recorded=(*LIQUID, *OUTPUTS), resolution_ms=1.0) as network:
                for name, rate_hz in published.rates_hz.items():
                    network.set_inputs(name, rate_hz)
                network.set_inputs("pixels", 100.0 * trial[0])
                network.run(150.0)
                trains = network.spikes()
            recording = SpikeTrains(trains.steps, trains.neurons, 1.0, 150, trains.populations)
            expected.append([recording.slice(50.0, 150.0).population(name).counts()[:, 0] for name in OUTPUTS])
        shared.set_weights(weights_pA + use)
        counts = shared.counts(recording)
        np.testing.assert_array_equal(counts, [np.concatenate(parts) for parts in expected])
        assert counts.shape == (3, shared.n_outputs)
        assert (counts[0] != counts[1]).any()
    rates = shared.rates_hz(recording)
    np.testing.assert_allclose(rates[:, 1], counts[:, 3:6].mean(axis=1) / 0.1)


def test_replays_are_equal_on_both_engines_with_noise():
    config = published_liquid(reservoir=TINY, stimulus_ms=100.0, warm_up_ms=20.0, cool_down_ms=30.0)
    machines = [SharedReservoir(config, 2, engine) for engine in ("nest", "numba")]
    recording = machines[1].record(np.arange(20.0), 7)
    assert recording.duration_ms == 150.0
    counts = [machine.counts(recording, 7) for machine in machines]
    np.testing.assert_array_equal(*counts)
    np.testing.assert_array_equal(counts[0][0], counts[0][1])  # equal weights, common noise
    assert counts[0].sum() > 10
    np.testing.assert_array_equal(machines[0].counts(recording, 7), counts[0])


def test_weights_of_members_are_copied():
    config = published_liquid(reservoir=TINY, stimulus_ms=100.0, warm_up_ms=20.0, cool_down_ms=30.0)
    recording = SharedReservoir(config, 2, "numba").record(np.arange(20.0))
    counts = []
    for is_changed in (False, True):
        shared = SharedReservoir(config, 2, "numba")
        weights_pA = np.full(shared.weights_pA.shape, 200.0)
        shared.set_weights(weights_pA)
        weights_pA[:] = 0.0 if is_changed else 200.0
        counts.append(shared.counts(recording))
    np.testing.assert_array_equal(*counts)
    assert counts[0].sum() > 0


def test_recordings_of_another_liquid_or_length_are_refused():
    config = published_liquid(reservoir=TINY, stimulus_ms=100.0, warm_up_ms=20.0, cool_down_ms=30.0)
    shared = SharedReservoir(config, 2, "numba")
    whole = shared.record(np.arange(20.0))
    expected = shared.counts(whole)
    message = (
        "the recording lasts {} ms, but 50 ms of idle time and 100 ms of the stimulus are 150 ms: give one of record"
    )
    for start_ms, stop_ms in ((0, 100), (50, 150), (0, 149)):
        with pytest.raises(ValueError, match=message.format(stop_ms - start_ms)):
            shared.counts(whole.slice(start_ms, stop_ms))
    longer = SpikeTrains(whole.steps, whole.neurons, 1.0, 200, whole.populations)
    with pytest.raises(ValueError, match=message.format(200)):
        shared.counts(longer)
    sizes = "but the liquid has {'excitatory': 60, 'inhibitory': 20}"
    for populations in ({"excitatory": 80}, {"excitatory": 61, "inhibitory": 20}, {"a": 60, "b": 20}):
        with pytest.raises(ValueError, match=sizes):
            shared.counts(SpikeTrains(whole.steps, whole.neurons, 1.0, 150, populations))
    with pytest.raises(ValueError, match=r"a resolution of 0.5 ms, the liquid 1.0 ms"):
        shared.counts(SpikeTrains(whole.steps, whole.neurons, 0.5, 300, whole.populations))
    np.testing.assert_array_equal(shared.counts(whole), expected)  # a refusal leaves the network as it was


# --- Refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "rate"}, f"encoder='rate' is unknown: give one of {', '.join(ENCODERS)}"),
        ({"between_trials": "wait"}, "between_trials='wait' is unknown: give one of reset, cool-down"),
        ({"state": "rate"}, "state='rate' is unknown"),
        ({"seed": -1}, "LiquidConfig.seed=-1 is not allowed"),
        ({"stimulus_ms": 0.0}, "stimulus_ms=0.0 is not allowed: it must be finite and > 0"),
        ({"warm_up_ms": -1.0}, "warm_up_ms=-1.0 is not allowed: it must be finite and >= 0"),
        ({"tau_ms": np.inf}, "tau_ms=inf is not allowed"),
        ({"bin_ms": 7.0}, "bin_ms=7.0 does not divide stimulus_ms=60.0"),
        ({"bin_ms": 100.0}, "bin_ms=100.0 does not divide"),
        ({"min_rate_hz": 200.0}, "min_rate_hz=200.0 is above max_rate_hz=100.0"),
        ({"encoder": "published"}, r"encoder='published' does not go with a ReservoirConfig: .*published_liquid\(\)"),
        ({"reservoir": TINY}, "encoder='poisson' does not go with a PublishedReservoirConfig"),
        ({"encoder": "threshold"}, "thresholds is empty"),
    ],
)
def test_a_bad_config_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        changed(**settings)


@pytest.mark.parametrize(
    ("settings", "stimulus", "message"),
    [
        ({}, VALUES[0] * 2, r"stimulus 0: its values span .*, outside \[0, 1\]: scale them"),
        ({}, VALUES[0, :5], "stimulus 0: 5 input trains of 60 steps, but the liquid takes 8 of 60"),
        ({}, np.full(8, np.nan), "stimulus 0: its values span nan"),
        ({"encoder": "latency"}, VALUES[0] - 1, "stimulus 0: values span"),
        ({"encoder": "threshold", "thresholds": (0.5,)}, VALUES[0], r"stimulus 0: it has shape \(8,\)"),
        ({"encoder": "raw"}, VALUES[0], "stimulus 0: it is a ndarray, but encoder='raw' takes SpikeTrains"),
        ({"encoder": "raw"}, raw_trains(0, n_steps=50), "stimulus 0: 8 input trains of 50 steps"),
    ],
)
def test_a_bad_stimulus_is_refused(settings, stimulus, message):
    with pytest.raises(ValueError, match=message):
        LiquidStateMachine(changed(**settings), "numba").transform([stimulus])


def test_bad_machines_and_indices_are_refused():
    with pytest.raises(ValueError, match="engine='brian' is unknown"):
        LiquidStateMachine(SMALL, "brian")
    with pytest.raises(ValueError, match=r"LiquidConfig.warm_up_ms: .* multiple of 1 ms"):
        LiquidStateMachine(changed(warm_up_ms=2.5), "numba")
    machine = LiquidStateMachine(SMALL, "numba")
    for indices in ([0], [0, -1], [0.0, 1.0]):
        with pytest.raises(ValueError, match="give 2 whole numbers >= 0, one per stimulus"):
            machine.transform(VALUES[:2], indices)
    with pytest.raises(RuntimeError, match="not trained"):
        machine.predict(VALUES)


def test_bad_ensembles_are_refused():
    config = published_liquid(reservoir=TINY)
    with pytest.raises(ValueError, match="a ReservoirConfig has no output neurons"):
        SharedReservoir(SMALL, 2)
    with pytest.raises(ValueError, match="n_members=0 is not allowed"):
        SharedReservoir(config, 0)
    shared = SharedReservoir(config, 2, "numba")
    with pytest.raises(ValueError, match=r"weights_pA have shape \(2, 399\), expected \(n_members, 400\)"):
        shared.set_weights(np.zeros((2, 399)))
    with pytest.raises(ValueError, match=r"weights_pA\[1\] holds a weight that is not finite"):
        shared.set_weights(np.vstack([np.zeros(400), np.full(400, np.nan)]))
    with pytest.raises(ValueError, match="index=-1 is not allowed"):
        shared.counts(shared.record(np.ones(20)), -1)
    published = make_published_reservoir(TINY, rng()).topology
    output, liquid = published.nodes(OUTPUTS[0])[:1], published.nodes("excitatory")[:1]
    c = published.connections
    back = Connections(
        np.append(c.source, output),
        np.append(c.target, liquid),
        np.append(c.weight_pA, 1.0),
        np.append(c.delay_ms, 1.0),
    )
    with pytest.raises(ValueError, match="1 synapses lead from outputs back to the liquid"):
        output_network(Topology(published.populations, back))
