"""Wiring rules, weights and delays against exact degrees, closed forms and binomial bounds of five deviations."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn import wiring
from snn.topology import Connections, check_delays

A, B = np.arange(3), np.arange(2, 6)  # they share node 2
NONE = np.empty(0, np.int64)


def rng(seed=0):
    return np.random.default_rng(seed)


def as_list(pairs):
    assert pairs[0].dtype == pairs[1].dtype == np.int64
    return list(zip(*(part.tolist() for part in pairs), strict=True))


def assert_within_five_sigma(counts, n, p):
    """`counts` of binomial variables with n trials each of probability p."""
    sigma = math.sqrt(n * p * (1 - p))
    assert np.abs(np.asarray(counts) - n * p).max() <= 5 * sigma + 1e-9


@st.composite
def nodes_and_degree(draw):
    """Two sets of nodes that may overlap, a degree that every target can have, and a seed."""
    indices = st.integers(0, 40)
    source = draw(st.lists(indices, min_size=2, max_size=12, unique=True))
    target = draw(st.lists(indices, max_size=12, unique=True))
    degree = draw(st.integers(0, len(source) - 1))
    return np.array(source, np.int64), np.array(target, np.int64), degree, draw(st.integers(0, 2**32))


def test_all_to_all_is_the_product_without_the_diagonal():
    assert as_list(wiring.all_to_all(A, B)) == [(a, b) for a in (0, 1, 2) for b in (2, 3, 4, 5) if a != b]
    assert as_list(wiring.all_to_all(A, B, has_autapses=True)) == list(itertools.product((0, 1, 2), (2, 3, 4, 5)))


def test_one_to_one_pairs_the_nodes_in_their_order():
    assert as_list(wiring.one_to_one(np.array([4, 1, 2]), np.array([5, 3, 2], np.int32))) == [(4, 5), (1, 3), (2, 2)]


@settings(max_examples=200, deadline=None)
@given(nodes_and_degree())
def test_every_target_has_exactly_the_in_degree_from_distinct_other_sources(case):
    source, target, degree, seed = case
    pairs = as_list(wiring.fixed_indegree(source, target, degree, rng(seed)))
    assert [t for _, t in pairs] == [t for t in target.tolist() for _ in range(degree)]
    assert {s for s, _ in pairs} <= set(source.tolist())
    assert len(set(pairs)) == len(pairs)
    assert all(s != t for s, t in pairs)


@settings(max_examples=100, deadline=None)
@given(nodes_and_degree(), st.booleans(), st.booleans())
def test_out_degrees_are_in_degrees_with_the_roles_exchanged(case, has_autapses, has_multapses):
    source, target, degree, seed = case
    options = {"has_autapses": has_autapses, "has_multapses": has_multapses}
    into = wiring.fixed_indegree(source, target, degree, rng(seed), **options)
    out = wiring.fixed_outdegree(target, source, degree, rng(seed), **options)
    assert as_list(into) == as_list(out[::-1])


def test_the_largest_in_degree_is_the_complete_graph():
    nodes = np.arange(30)
    complete = set(as_list(wiring.all_to_all(nodes, nodes)))
    assert set(as_list(wiring.fixed_indegree(nodes, nodes, 29, rng()))) == complete
    with_self = wiring.fixed_indegree(nodes, nodes, 30, rng(), has_autapses=True)
    assert set(as_list(with_self)) == set(itertools.product(range(30), repeat=2))


def test_every_set_of_sources_is_equally_likely():
    n = 30_000  # targets, each with one of the 20 sets of 3 sources out of 6
    source, _ = wiring.fixed_indegree(np.arange(6), np.arange(10, 10 + n), 3, rng(1))
    found, counts = np.unique(np.sort(source.reshape(n, 3), axis=1), axis=0, return_counts=True)
    assert len(found) == 20
    assert_within_five_sigma(counts, n, 1 / 20)


def test_every_pair_of_different_nodes_is_equally_likely():
    n, n_nodes = 4000, 7  # repetitions
    counts = np.zeros((n_nodes, n_nodes))
    generator = rng(2)
    for _ in range(n):
        np.add.at(counts, wiring.fixed_indegree(np.arange(n_nodes), np.arange(n_nodes), 2, generator), 1)
    is_pair = ~np.eye(n_nodes, dtype=bool)
    assert (counts[~is_pair] == 0).all()
    assert_within_five_sigma(counts[is_pair], n, 2 / (n_nodes - 1))


def test_multapses_are_independent_draws_that_may_exceed_the_number_of_sources():
    n = 20_000  # targets
    source, target = wiring.fixed_indegree(np.arange(2), np.arange(5, 5 + n), 3, rng(3), has_multapses=True)
    np.testing.assert_array_equal(target, np.repeat(np.arange(5, 5 + n), 3))
    assert_within_five_sigma(np.bincount(source.reshape(n, 3).sum(axis=1))[[0, 3]], n, 1 / 8)
    source, target = wiring.fixed_indegree(A, A, 50, rng(), has_multapses=True)
    assert (source != target).all()


def test_a_self_connection_is_as_likely_as_any_other_where_it_is_allowed():
    n = 2000
    nodes = np.arange(n)
    source, target = wiring.fixed_indegree(nodes, nodes, 400, rng(4), has_autapses=True)
    assert_within_five_sigma(np.count_nonzero(source == target), n, 0.2)


def test_out_degrees_of_the_in_degree_rule_are_binomial():
    n, degree = 1500, 30
    source, _ = wiring.fixed_indegree(np.arange(n), np.arange(n), degree, rng(5))
    outdegrees = np.bincount(source, minlength=n)
    p = degree / (n - 1)
    assert outdegrees.sum() == n * degree
    variance = (n - 1) * p * (1 - p)
    assert outdegrees.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / n))


@pytest.mark.nest
def test_out_degrees_are_spread_as_those_of_nest():
    nest = pytest.importorskip("nest")
    n, degree = 600, 20
    nest.ResetKernel()
    neurons = nest.Create("iaf_psc_exp", n)
    rule = {"rule": "fixed_indegree", "indegree": degree, "allow_autapses": False, "allow_multapses": False}
    nest.Connect(neurons, neurons, rule)
    theirs = np.bincount(np.array(nest.GetConnections().source) - 1, minlength=n)
    ours = np.bincount(wiring.fixed_indegree(np.arange(n), np.arange(n), degree, rng(6))[0], minlength=n)
    levels = np.arange(2 * degree)
    distance = np.abs((np.sort(theirs)[:, None] <= levels).mean(0) - (np.sort(ours)[:, None] <= levels).mean(0)).max()
    assert distance < 1.95 * math.sqrt(2 / n)  # Kolmogorov and Smirnov, 0.1 %


@pytest.mark.parametrize("rule", [wiring.fixed_indegree, wiring.fixed_outdegree])
def test_equal_generators_give_equal_synapses(rule):
    nodes = np.arange(50)
    assert as_list(rule(nodes, nodes, 5, rng(7))) == as_list(rule(nodes, nodes, 5, rng(7)))
    assert as_list(rule(nodes, nodes, 5, rng(7))) != as_list(rule(nodes, nodes, 5, rng(8)))


def test_three_thousand_neurons_of_in_degree_sixty_take_less_than_a_tenth_of_a_second():
    nodes, seconds = np.arange(3000), []
    for _ in range(3):
        start = time.perf_counter()
        wiring.fixed_indegree(nodes, nodes, 60, rng())
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((A, B, 3), {}, "indegree=3 is not possible: node 2 has 2 allowed sources .without itself.*has_multapses=True"),
        ((A, B, 4), {"has_autapses": True}, "indegree=4 is not possible: node 2 has 3 allowed sources .with itself"),
        ((NONE, B, 1), {"has_multapses": True}, "node 2 has 0 allowed sources"),
        ((np.array([2]), B, 1), {"has_multapses": True}, "node 2 has 0 allowed sources .without itself.: give fewer"),
        ((A, B, -1), {}, "indegree=-1 is not allowed: give a whole number"),
        ((A, B, 1.5), {}, "indegree=1.5 is not allowed"),
        ((np.array([0, 1, 1]), B, 1), {}, "source holds node 1 more than once"),
        ((A, np.array([4.0]), 1), {}, r"target has shape \(1,\) and type float64: give a flat array of integers"),
        ((A[None], B, 1), {}, r"source has shape \(1, 3\)"),
    ],
)
def test_an_impossible_degree_or_node_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        wiring.fixed_indegree(*arguments, rng(), **options)


def test_other_rules_refuse_bad_requests_in_their_own_words():
    with pytest.raises(ValueError, match="outdegree=5 is not possible: node 0 has 4 allowed targets"):
        wiring.fixed_outdegree(A, B, 5, rng())
    with pytest.raises(ValueError, match="3 sources but 4 targets"):
        wiring.one_to_one(A, B)
    with pytest.raises(ValueError, match="target holds node 5 more than once"):
        wiring.all_to_all(A, np.array([5, 5]))


def test_no_nodes_or_degree_zero_give_no_synapses():
    for pairs in (
        wiring.all_to_all(NONE, B),
        wiring.fixed_indegree(A, NONE, 2, rng()),
        wiring.fixed_indegree(NONE, B, 0, rng()),
        wiring.fixed_outdegree(NONE, B, 2, rng()),
        wiring.distance_dependent(NONE, B, np.empty((0, 3)), np.zeros((4, 3)), 1.0, 1.0, rng()),
        wiring.distance_dependent(A, NONE, np.zeros((3, 3)), np.empty((0, 3)), 1.0, 1.0, rng()),
    ):
        assert as_list(pairs) == []


def test_grid_positions_count_like_nested_loops():
    expected = list(itertools.product(range(2), range(3), range(4)))
    np.testing.assert_array_equal(wiring.grid_positions((2, 3, 4)), expected)
    with pytest.raises(ValueError, match=r"shape=\(3, 0\) is not allowed"):
        wiring.grid_positions((3, 0))


def test_the_probability_falls_with_distance_as_a_gaussian():
    positions = wiring.grid_positions((24, 24))
    nodes = np.arange(len(positions))
    source, target = wiring.distance_dependent(nodes, nodes, positions, positions, 0.6, 2.5, rng(9))
    squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=2).astype(int)  # of every pair
    found = np.bincount(squared[source, target], minlength=squared.max() + 1)
    assert found[0] == 0  # no self-connections
    for distance2 in (1, 2, 4, 5, 8, 9, 10, 18):  # hundreds of pairs each
        n_pairs = np.count_nonzero(squared == distance2)
        assert_within_five_sigma(found[distance2], n_pairs, 0.6 * math.exp(-distance2 / 2.5**2))


def test_distance_does_not_matter_at_infinite_length():
    positions = wiring.grid_positions((10, 10, 2))
    nodes = np.arange(200)
    n_found = len(wiring.distance_dependent(nodes, nodes, positions, positions, 0.3, math.inf, rng())[0])
    assert_within_five_sigma(n_found, 200 * 199, 0.3)
    complete = wiring.distance_dependent(nodes, nodes, positions, positions, 1.0, math.inf, rng())
    assert as_list(complete) == as_list(wiring.all_to_all(nodes, nodes))
    with_self = wiring.distance_dependent(nodes, nodes, positions, positions, 1.0, 0.01, rng(), has_autapses=True)
    assert as_list(with_self) == as_list(wiring.one_to_one(nodes, nodes))


def test_only_relative_places_and_the_generator_decide(monkeypatch):
    source, target, positions = np.arange(60), np.arange(30, 90), wiring.grid_positions((3, 4, 5))
    expected = as_list(wiring.distance_dependent(source, target, positions, positions, 0.5, 2.0, rng(1)))
    moved = positions + np.array([8.0, -3.0, 100.0])
    assert as_list(wiring.distance_dependent(source, target, moved, moved, 0.5, 2.0, rng(1))) == expected
    monkeypatch.setattr(wiring, "_MAX_PAIRS_AT_ONCE", 7 * 60)  # in parts of 7 sources
    assert as_list(wiring.distance_dependent(source, target, positions, positions, 0.5, 2.0, rng(1))) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probability": -0.1}, r"probability=-0.1 is outside \[0, 1\]"),
        ({"probability": 1.1}, "probability=1.1"),
        ({"probability": np.nan}, "probability=nan"),
        ({"length": 0.0}, "length=0.0 is not allowed"),
        ({"length": np.nan}, "length=nan"),
        ({"source_positions": np.zeros((4, 2))}, r"shapes \(4, 2\) and \(4, 2\): give \(3, n\) and \(4, n\)"),
        ({"source_positions": np.zeros((3, 1))}, r"shapes \(3, 1\) and \(4, 2\)"),
        ({"source_positions": np.zeros(3)}, r"shapes \(3,\)"),
        ({"target_positions": np.full((4, 2), np.inf)}, "not all finite"),
    ],
)
def test_an_impossible_distance_rule_is_refused(changes, message):
    arguments = {
        "source_positions": np.zeros((3, 2)),
        "target_positions": np.zeros((4, 2)),
        "probability": 0.5,
        "length": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        wiring.distance_dependent(A, B, **arguments | changes, rng=rng())


def test_weights_have_the_mean_and_deviation_asked_for():
    weights = wiring.draw_weights(40_000, 70.0, 400.0, rng())
    assert weights.mean() == pytest.approx(70, abs=5 * 400 / 200)
    assert weights.std() == pytest.approx(400, rel=5 / math.sqrt(2 * 40_000))
    np.testing.assert_array_equal(wiring.draw_weights(4, -3.0, 0.0, rng(), is_dale=True), [-3, -3, -3, -3])
    assert wiring.draw_weights(0, 1.0, 1.0, rng(), is_dale=True).shape == (0,)


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e3, 1e3).filter(bool), st.floats(0, 1e6), st.integers(0, 200), st.integers(0, 2**32))
def test_weights_under_dales_principle_all_have_the_sign_of_their_mean(mean, sd, n, seed):
    weights = wiring.draw_weights(n, mean, sd, rng(seed), is_dale=True)
    assert weights.shape == (n,)
    assert (np.sign(weights) == np.sign(mean)).all()


@pytest.mark.parametrize(("mean", "sd"), [(100.0, 50.0), (-100.0, 100.0), (5.0, 400.0)])
def test_drawing_again_gives_the_normal_distribution_cut_off_at_zero(mean, sd):
    n = 40_000
    weights = wiring.draw_weights(n, mean, sd, rng(2), is_dale=True)
    ratio = abs(mean) / sd
    density, share = math.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi), math.erfc(-ratio / math.sqrt(2)) / 2
    expected = math.copysign(abs(mean) + sd * density / share, mean)
    assert weights.mean() == pytest.approx(expected, abs=5 * sd / math.sqrt(n))


@pytest.mark.parametrize(
    ("mean", "sd", "is_dale", "message"),
    [
        (np.nan, 1.0, False, "mean=nan and sd=1.0"),
        (1.0, np.inf, False, "sd=inf"),
        (1.0, -1.0, False, "sd=-1.0 .* sd >= 0"),
        (0.0, 1.0, True, "mean=0 have no sign"),
    ],
)
def test_impossible_weights_are_refused(mean, sd, is_dale, message):
    with pytest.raises(ValueError, match=message):
        wiring.draw_weights(3, mean, sd, rng(), is_dale=is_dale)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.01, 20), st.floats(0, 20), st.sampled_from([0.1, 0.25, 1.0]), st.floats(1, 30), st.integers(0, 2**32)
)
def test_delays_are_steps_between_one_and_the_maximum(mean, sd, resolution, maximum, seed):
    delays = wiring.draw_delays(100, mean, sd, rng(seed), resolution_ms=resolution, max_ms=maximum)
    check_delays(delays, resolution)
    assert delays.max() <= maximum + 1e-9


def test_delays_are_normal_before_rounding():
    delays = wiring.draw_delays(40_000, 10.0, 1.0, rng(), resolution_ms=0.1)
    assert delays.mean() == pytest.approx(10, abs=5 / 200)
    assert delays.std() == pytest.approx(1, rel=0.02)
    assert set(wiring.draw_delays(50, 2.4, 0.0, rng(), resolution_ms=1.0)) == {2.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean_ms": 0.0}, "mean_ms=0.0 and sd_ms=1.0"),
        ({"sd_ms": -1.0}, "sd_ms=-1.0"),
        ({"resolution_ms": 0.0}, "resolution_ms=0.0"),
        ({"max_ms": 0.05}, "max_ms=0.05 are not allowed"),
        ({"max_ms": np.nan}, "max_ms=nan"),
    ],
)
def test_impossible_delays_are_refused(changes, message):
    arguments = {"mean_ms": 2.0, "sd_ms": 1.0, "resolution_ms": 0.1, "max_ms": 5.0} | changes
    with pytest.raises(ValueError, match=message):
        wiring.draw_delays(3, **arguments, rng=rng())


def test_joined_connections_keep_their_order():
    first = Connections(np.array([0, 1]), np.array([2, 3]), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    second = Connections(np.array([4]), np.array([5]), np.array([-3.0]), np.array([2.0]))
    joined = wiring.join(first, second)
    assert [part.tolist() for part in joined] == [[0, 1, 4], [2, 3, 5], [1.0, 2.0, -3.0], [1.0, 1.0, 2.0]]
    assert [part.dtype for part in wiring.join()] == [np.int64, np.int64, np.float64, np.float64]


def test_positions_may_be_lists():
    positions = np.arange(6.0).reshape(3, 2)
    pairs = [
        wiring.distance_dependent([0, 1, 2], [0, 1, 2], where, where, 0.5, 5.0, np.random.default_rng(0))
        for where in (positions, positions.tolist())
    ]
    np.testing.assert_array_equal(*pairs)
