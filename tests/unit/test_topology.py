"""Populations and synapses as arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn import AntBrainConfig, decode, random_genomes
from snn.models import Population
from snn.topology import Connections, Topology, ant_brain, check_grid, combine_multapses, is_on_grid
from tests.contract.network_cases import connections

POPULATIONS = (
    Population(name="noise", size=1, model="poisson_generator"),  # node 0
    Population(name="given", size=1, model="spike_generator"),  # 1
    Population(name="cells", size=2),  # 2, 3
    Population(name="jumpers", size=1, model="iaf_psc_delta"),  # 4
)


def make(*synapses):
    return Topology(POPULATIONS, connections(*synapses))


def combine(*synapses):
    topology = make(*synapses)
    return combine_multapses(topology, topology.connections.weight_pA, topology.connections.delay_ms)


class TestNodes:
    def test_nodes_are_numbered_through_the_populations(self):
        topology = make()
        assert topology.n_nodes == 5
        assert [topology.nodes(p.name).tolist() for p in POPULATIONS] == [[0], [1], [2, 3], [4]]
        assert topology.population("cells") is POPULATIONS[2]

    @pytest.mark.parametrize("method", ["nodes", "population"])
    def test_an_unknown_population_is_refused_with_those_there_are(self, method):
        with pytest.raises(ValueError, match="no population 'cell': this network has noise, given, cells, jumpers"):
            getattr(make(), method)("cell")

    def test_an_ant_brain_has_the_synapses_of_the_genome(self):
        config = AntBrainConfig(n_hidden=6)
        weights_pA, delays_ms = decode(random_genomes(config, 1, np.random.default_rng(0))[0], config)
        topology = ant_brain(config, weights_pA, delays_ms)
        assert [(p.name, p.size) for p in topology.populations] == [
            ("input", 11),
            ("hidden", 6),
            ("output", 4),
            ("heartbeat", 1),
        ]
        source, target, *_ = topology.connections
        np.testing.assert_array_equal(topology.connections.weight_pA, weights_pA)
        assert set(source[66:72].tolist()) == set(topology.nodes("heartbeat").tolist())
        assert set(target[-24:].tolist()) == set(topology.nodes("output").tolist())
        assert source.size == 11 * 6 + 6 + 6 * 5 + 6 * 4


class TestCombineMultapses:
    """Synapses of the same nodes, delay and sign act as one."""

    def test_weights_of_one_kind_are_summed_into_the_first(self):
        assert combine((2, 3, 1.0, 1.0), (2, 2, 8.0, 1.0), (2, 3, 2.0, 1.0), (2, 3, 4.0, 1.0)).tolist() == [7, 8, 0, 0]

    def test_other_delays_stay_apart(self):
        assert combine((2, 3, 1.0, 1.0), (2, 3, 2.0, 1.1), (2, 3, 4.0, 1.0)).tolist() == [5, 2, 0]

    def test_delays_that_differ_by_rounding_are_the_same(self):
        assert combine((2, 3, 1.0, 0.3), (2, 3, 2.0, 0.1 + 0.2)).tolist() == [3, 0]

    def test_excitation_and_inhibition_stay_apart_except_at_delta_neurons(self):
        assert combine((2, 3, 5.0, 1.0), (2, 3, -2.0, 1.0), (2, 3, -3.0, 1.0)).tolist() == [5, -5, 0]
        assert combine((2, 4, 5.0, 1.0), (2, 4, -2.0, 1.0), (2, 4, -3.0, 1.0)).tolist() == [0, 0, 0]

    def test_synapses_of_poisson_sources_stay_apart(self):
        assert combine((0, 3, 1.0, 1.0), (0, 3, 2.0, 1.0), (1, 3, 4.0, 1.0), (1, 3, 8.0, 1.0)).tolist() == [1, 2, 12, 0]

    def test_without_multapses_nothing_changes(self):
        assert combine((2, 3, 1.0, 1.0), (3, 2, 2.0, 1.0)).tolist() == [1, 2]
        assert combine().tolist() == []

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 2**32), st.integers(0, 60))
    def test_the_input_of_every_kind_is_unchanged(self, seed, n):
        rng = np.random.default_rng(seed)
        source, target = rng.integers(0, 5, n), rng.integers(2, 5, n)
        weight_pA, delay_ms = rng.integers(-9, 10, n).astype(float), rng.integers(1, 4, n).astype(float)
        topology = Topology(POPULATIONS, Connections(source, target, weight_pA, delay_ms))
        combined = combine_multapses(topology, weight_pA, delay_ms)

        def sums(weights):
            totals = {}
            for s, t, d, before, w in zip(source, target, delay_ms, weight_pA, weights, strict=True):
                key = (s, t, d, before > 0 or t == 4)
                totals[key] = totals.get(key, 0.0) + w
            return totals

        assert sums(combined) == sums(weight_pA)
        is_single = source > 0
        kept = {(s, t, d, w > 0) for s, t, d, w in zip(source, target, delay_ms, combined, strict=True) if s and w}
        assert np.count_nonzero(combined[is_single]) == len(kept)
        np.testing.assert_array_equal(combined[~is_single], weight_pA[~is_single])


class TestRefusals:
    @pytest.mark.parametrize(
        ("synapse", "message"),
        [
            ((2, 5, 1.0, 1.0), "connections.target holds node 5, outside 0 … 4"),
            ((-1, 2, 1.0, 1.0), "connections.source holds node -1"),
            ((2, 1, 1.0, 1.0), "a synapse ends on 'given', a spike_generator: sources take no input"),
            ((2, 3, np.nan, 1.0), "weight 0 is nan pA: every weight must be finite"),
            ((2, 3, np.inf, 1.0), "weight 0 is inf pA"),
            ((2, 3, 1.0, 0.0), "delay 0 is 0.0 ms: delays must be > 0"),
            ((2, 3, 1.0, np.nan), "delay 0 is nan ms"),
        ],
    )
    def test_of_synapses(self, synapse, message):
        with pytest.raises(ValueError, match=message):
            make(synapse)

    @pytest.mark.parametrize("field", Connections._fields)
    def test_of_arrays_of_unequal_length(self, field):
        two = connections((2, 3, 1.0, 1.0), (3, 2, 1.0, 1.0))
        with pytest.raises(ValueError, match=f"arrays of unequal length: .*'{field}': 1"):
            Topology(POPULATIONS, two._replace(**{field: getattr(two, field)[:1]}))

    def test_of_populations(self):
        with pytest.raises(ValueError, match="every name may be used once"):
            Topology((POPULATIONS[2], POPULATIONS[2]), connections())
        with pytest.raises(ValueError, match="at least one population of neurons"):
            Topology(POPULATIONS[:2], connections())
        with pytest.raises(ValueError, match="at least one population of neurons"):
            Topology((), connections())

    @pytest.mark.parametrize(
        ("delay_ms", "t_ref", "resolution_ms", "message"),
        [
            (1.5, 2.0, 1.0, "delay 0 is 1.5 ms: delays must be positive multiples of the resolution, 1.0 ms"),
            (0.05, 2.0, 0.1, "delay 0 is 0.05 ms"),
            (1.0, 0.5, 1.0, "population 'cells': t_ref=0.5 is not a multiple of the resolution, 1.0 ms"),
            (1.0, 2.0, 0.0, "resolution_ms=0.0 is not allowed: it must divide 1 ms"),
            (1.0, 2.0, np.inf, "resolution_ms=inf"),
        ],
    )
    def test_of_times_between_the_steps(self, delay_ms, t_ref, resolution_ms, message):
        cells = Population(name="cells", size=2, parameters={"t_ref": t_ref})
        topology = Topology((cells,), connections((0, 1, 1.0, delay_ms)))
        with pytest.raises(ValueError, match=message):
            check_grid(topology, resolution_ms)


@pytest.mark.parametrize("resolution_ms", [1.0, 0.5, 0.25, 0.1, 0.05, 0.025])
def test_multiples_of_the_step_are_on_the_grid_in_spite_of_rounding(resolution_ms):
    times_ms = np.cumsum(np.full(1000, resolution_ms))
    assert is_on_grid(times_ms, resolution_ms).all()
    assert not is_on_grid(times_ms + resolution_ms / 3, resolution_ms).any()
    cells = Population(name="cells", size=1, parameters={"t_ref": 3 * resolution_ms})
    check_grid(Topology((cells,), connections((0, 0, 1.0, 7 * resolution_ms))), resolution_ms)


def test_connections_must_be_flat():
    square = np.zeros((1, 1))
    with pytest.raises(ValueError, match=r"arrays of shapes .* give flat arrays"):
        Topology(
            (Population(name="a", size=1),), Connections(square.astype(int), square.astype(int), square, square + 1)
        )
