import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optim import Block, ParameterSpace

SPACE = ParameterSpace((Block("weight_pA", 3, -20.0, 20.0), Block("delay_ms", 2, 1.0, 7.0)))
units = arrays(np.float64, (4, 5), elements=st.floats(-1.0, 1.0))


def test_bounds_and_slices_follow_the_block_order():
    assert SPACE.n_params == 5
    assert SPACE.names == ("weight_pA", "delay_ms")
    assert SPACE.slices == {"weight_pA": slice(0, 3), "delay_ms": slice(3, 5)}
    np.testing.assert_array_equal(SPACE.low, [-20, -20, -20, 1, 1])
    np.testing.assert_array_equal(SPACE.high, [20, 20, 20, 7, 7])


def test_spaces_with_equal_blocks_are_equal_and_bounds_cannot_be_written():
    assert ParameterSpace(SPACE.blocks) == SPACE
    with pytest.raises(ValueError, match="read-only"):
        SPACE.low[0] = 0.0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (("", 1, 0.0, 1.0), "Name the block"),
        (("w", 0, 0.0, 1.0), "size=0 is not an integer >= 1"),
        (("w", 1.5, 0.0, 1.0), "size=1.5 is not an integer"),
        (("w", 1, 1.0, 1.0), r"bounds \[1.0, 1.0\]"),
        (("w", 1, 2.0, 1.0), r"bounds \[2.0, 1.0\]"),
        (("w", 1, np.nan, 1.0), "bounds"),
        (("w", 1, 0.0, np.inf), "bounds"),
    ],
)
def test_an_impossible_block_is_refused(block, message):
    with pytest.raises(ValueError, match=message):
        Block(*block)


@pytest.mark.parametrize("names", [(), ("w", "w")])
def test_a_space_needs_blocks_with_different_names(names):
    with pytest.raises(ValueError, match="different names"):
        ParameterSpace(tuple(Block(name, 1, 0.0, 1.0) for name in names))


@settings(derandomize=True, deadline=None)
@given(units)
def test_unit_coordinates_come_back_from_the_box(unit):
    np.testing.assert_allclose(SPACE.to_unit(SPACE.from_unit(unit)), unit, atol=1e-14)


def test_unit_coordinates_match_hand_computed_values_and_are_exact_at_the_bounds():
    np.testing.assert_allclose(SPACE.from_unit(np.array([[0.0, 0.5, -0.5, 0.0, 0.5]])), [[0, 10, -10, 4, 5.5]])
    np.testing.assert_array_equal(SPACE.from_unit(np.ones((1, 5))), [SPACE.high])
    np.testing.assert_array_equal(SPACE.from_unit(-np.ones((1, 5))), [SPACE.low])
    np.testing.assert_array_equal(SPACE.to_unit(SPACE.high), np.ones(5))


@settings(derandomize=True, deadline=None)
@given(arrays(np.float64, (3, 5), elements=st.floats(-1e6, 1e6)))
def test_clipped_genomes_pass_the_check_and_clipping_twice_changes_nothing(genomes):
    clipped = SPACE.clip(genomes)
    SPACE.check(clipped)
    np.testing.assert_array_equal(SPACE.clip(clipped), clipped)


def test_samples_are_inside_and_fill_the_box():
    genomes = SPACE.sample(np.random.default_rng(1), 4000)
    SPACE.check(genomes)
    np.testing.assert_allclose(SPACE.to_unit(genomes).mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(SPACE.to_unit(genomes).var(axis=0), 1 / 3, atol=0.03)


@pytest.mark.parametrize("value", [np.nan, 7.5, -np.inf])
def test_check_names_the_first_offending_gene(value):
    genomes = np.tile(0.5 * (SPACE.low + SPACE.high), (3, 1))
    genomes[1, 4] = genomes[2, 0] = value
    with pytest.raises(ValueError, match=rf"genomes\[1, 4\] = {value} of block 'delay_ms' is outside \[1.0, 7.0\]"):
        SPACE.check(genomes)


@pytest.mark.parametrize("shape", [(5,), (2, 4), (1, 2, 5)])
def test_check_refuses_another_shape(shape):
    with pytest.raises(ValueError, match=r"must be \(n, 5\)"):
        SPACE.check(np.ones(shape))


MIXED = ParameterSpace(
    (
        Block("rate_hz", 1, 0.01, 100.0, kind="log"),
        Block("n_hidden", 2, 3, 9, kind="integer"),
        Block("delay_ms", 1, 1.0, 7.0, bounds="reflect"),
        Block("gain", 1, -2.0, 2.0, bounds="sigmoid"),
    )
)


def test_unit_coordinates_of_every_kind_lead_back_to_the_genome():
    genomes = MIXED.sample(np.random.default_rng(1), 50)
    MIXED.check(genomes)
    np.testing.assert_allclose(MIXED.from_unit(MIXED.to_unit(genomes)), genomes, rtol=1e-9)


def test_kinds_map_the_middle_and_the_ends_as_named():
    middle = MIXED.from_unit(np.zeros((1, 5)))[0]
    np.testing.assert_allclose(middle, [1.0, 6.0, 6.0, 4.0, 0.0])  # geometric mean, then arithmetic ones
    np.testing.assert_allclose(MIXED.from_unit(np.full((1, 5), 1.0))[0], [100.0, 9.0, 9.0, 7.0, 2.0 * np.tanh(1.0)])
    np.testing.assert_allclose(MIXED.from_unit(np.full((1, 5), -1.5))[0], [0.01, 3.0, 3.0, 2.5, 2.0 * np.tanh(-1.5)])


def test_every_integer_gets_an_equal_share_of_the_unit_interval():
    values = MIXED.from_unit(np.linspace(-1.0, 1.0, 70_000)[:, None] * np.ones(5))[:, 1]
    _, counts = np.unique(values, return_counts=True)
    assert len(counts) == 7
    np.testing.assert_allclose(counts, 10_000, rtol=1e-3)


def test_reflection_is_a_triangle_wave_of_period_four():
    space = ParameterSpace((Block("x", 1, -1.0, 1.0, bounds="reflect"),))
    steps = np.array([[1.25], [2.0], [3.0], [3.5], [5.25], [-1.5]])
    np.testing.assert_allclose(space.from_unit(steps), [[0.75], [0.0], [-1.0], [-0.5], [0.75], [-0.5]])


def test_named_values_have_the_type_of_their_kind():
    named = MIXED.named(np.array([0.5, 4.0, 5.0, 2.0, 1.0]))
    assert named["rate_hz"] == 0.5
    assert isinstance(named["rate_hz"], float)
    np.testing.assert_array_equal(named["n_hidden"], [4, 5])
    assert named["n_hidden"].dtype == np.int64
    assert isinstance(ParameterSpace((Block("n", 1, 1, 5, kind="integer"),)).named(np.array([2.0]))["n"], int)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "logarithmic"}, "kind='logarithmic' is unknown"),
        ({"bounds": "wrap"}, "bounds='wrap' is unknown"),
        ({"kind": "log", "low": 0.0}, "low=0.0 has no logarithm"),
        ({"kind": "integer", "low": 0.5}, "must be whole numbers"),
    ],
)
def test_a_block_of_an_impossible_kind_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Block(**{"name": "x", "size": 1, "low": 1.0, "high": 2.0} | settings)


def test_a_fraction_where_a_whole_number_belongs_is_named():
    genome = np.array([[1.0, 4.0, 5.5, 2.0, 0.0]])
    with pytest.raises(ValueError, match=r"genomes\[0, 2\] = 5.5 of block 'n_hidden' is no whole number"):
        MIXED.check(genome)
    np.testing.assert_array_equal(MIXED.clip(genome)[0], [1.0, 4.0, 6.0, 2.0, 0.0])


@pytest.mark.parametrize("space", [SPACE, MIXED])
def test_genomes_are_written_where_the_caller_wants_them(space):
    unit = np.random.default_rng(1).normal(size=(6, 5))
    kept = unit.copy()
    out = np.full((9, 5), np.nan)
    rows = out[2:8]
    assert space.from_unit(unit, out=rows) is rows
    np.testing.assert_array_equal(rows, space.from_unit(unit))
    np.testing.assert_array_equal(unit, kept)
    assert np.isnan(out[[0, 1, 8]]).all()


def test_a_coordinate_that_is_no_number_stays_none():
    unit = np.array([[np.nan, 2.0, -2.0, np.nan, 0.0]])
    np.testing.assert_array_equal(SPACE.from_unit(unit), [[np.nan, 20.0, -20.0, np.nan, 4.0]])


def test_behind_a_sigmoid_a_search_walks_only_as_far_as_genes_change():
    far = MIXED.confine(np.full((1, 5), 1e6))[0, 4]
    assert 10.0 < far < 11.0
    np.testing.assert_allclose(MIXED.from_unit(np.full((1, 5), far))[0, 4], 2.0, rtol=1e-8)


def test_a_space_is_plain_if_no_gene_needs_more_than_its_bounds():
    assert SPACE.is_plain
    for block in (
        Block("a", 1, 1.0, 2.0, kind="log"),
        Block("a", 1, 1, 2, kind="integer"),
        Block("a", 1, 1.0, 2.0, bounds="reflect"),
        Block("a", 1, 1.0, 2.0, bounds="sigmoid"),
    ):
        assert not ParameterSpace((Block("w", 2, -1.0, 1.0), block)).is_plain


def test_the_scaled_box_is_that_of_the_genes_with_logarithms_where_they_are_searched():
    low, high, is_whole = SPACE.scaled_box
    np.testing.assert_array_equal([low, high], [SPACE.low, SPACE.high])
    assert is_whole.shape == (0,)
    mixed = ParameterSpace((Block("a", 1, 0.1, 10.0, kind="log"), Block("n", 1, 3, 9, kind="integer")))
    low, high, is_whole = mixed.scaled_box
    np.testing.assert_allclose([low, high], [[np.log(0.1), 3.0], [np.log(10.0), 9.0]])
    np.testing.assert_array_equal(is_whole, [False, True])


@pytest.mark.parametrize("wrong", [np.zeros((3, 1)), np.zeros((2, 12)), np.zeros(3), np.zeros((2, 6)) * 1j, 0.0])
@pytest.mark.parametrize("method", ["clip", "to_unit", "from_unit", "confine", "named", "unscale"])
def test_rows_of_another_length_or_of_complex_numbers_are_never_stretched_to_fit(method, wrong):
    space = ParameterSpace((Block("x", 4, -1.0, 1.0), Block("y", 2, 0.0, 1.0, bounds="reflect")))
    with pytest.raises(ValueError, match=r"must be \(…, 6\) real numbers"):
        getattr(space, method)(wrong)


def test_reflection_of_float32_coordinates_is_that_of_their_float64_values():
    space = ParameterSpace((Block("x", 3, -1.0, 1.0, bounds="reflect"),))
    unit = np.float32([[1.3, -2.7, 0.1]])
    np.testing.assert_array_equal(space.confine(unit), space.confine(unit.astype(np.float64)))
