import numpy as np
import pytest

from optim import Block, ParameterSpace
from optim.coordinates import Coordinates

PLAIN = ParameterSpace((Block("weight_pA", 2, -20.0, 20.0), Block("delay_ms", 1, 1.0, 7.0)))
OTHERS = [
    ParameterSpace((Block("a", 3, 0.0, 4.0, bounds="reflect"),)),
    ParameterSpace((Block("a", 2, 0.0, 4.0, bounds="sigmoid"), Block("b", 1, 1.0, 2.0))),
    ParameterSpace((Block("a", 1, 1e-3, 1e3, kind="log"), Block("b", 2, 0, 9, kind="integer"))),
]


def sample(space):
    return space.sample(np.random.default_rng(1), 5)


def test_plain_genes_are_their_own_coordinates_and_need_no_copy():
    coordinates, genomes = Coordinates(PLAIN), sample(PLAIN)
    rows = coordinates.of(genomes)
    np.testing.assert_array_equal(rows, genomes)
    assert rows is not genomes
    assert np.shares_memory(coordinates.genomes(rows), rows)
    np.testing.assert_array_equal(coordinates.genomes(rows), genomes)
    coordinates.genomes(rows).setflags(write=False)
    assert rows.flags.writeable
    np.testing.assert_array_equal(coordinates.half, [20.0, 20.0, 3.0])
    np.testing.assert_array_equal([coordinates.low, coordinates.high], [PLAIN.low, PLAIN.high])
    coordinates.confine(rows)
    np.testing.assert_array_equal(rows, genomes)


@pytest.mark.parametrize("space", OTHERS)
def test_all_other_genes_are_moved_in_unit_coordinates_and_confined_as_their_blocks_say(space):
    coordinates, genomes = Coordinates(space), sample(space)
    rows = coordinates.of(genomes)
    np.testing.assert_array_equal(rows, space.to_unit(genomes))
    np.testing.assert_allclose(coordinates.genomes(rows), genomes, rtol=1e-12)
    np.testing.assert_array_equal(coordinates.half, np.ones(3))
    far = np.clip(1.7 * rows + 0.3, coordinates.low, coordinates.high)
    expected = space.confine(1.7 * rows + 0.3)
    coordinates.confine(far)
    np.testing.assert_array_equal(far, expected)


def test_an_array_in_another_order_or_type_becomes_rows_in_a_line():
    rows = Coordinates(PLAIN).of(np.asfortranarray(np.ones((4, 3), dtype=np.float32)))
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float64
