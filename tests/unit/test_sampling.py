import itertools

import numpy as np
import pytest
from scipy import stats

from optim import Block, Evaluations, ParameterSpace
from optim.sampling import GridConfig, GridSearch, RandomConfig, RandomSearch, grid_levels, sobol_points

MIXED = ParameterSpace(
    (
        Block("weight_pA", 2, -20.0, 20.0),
        Block("rate_hz", 1, 1e-2, 1e2, kind="log"),
        Block("n_hidden", 1, 3, 5, kind="integer"),
    )
)
SQUARE = ParameterSpace((Block("x", 2, 0.0, 1.0),))


def grid(levels=3, space=MIXED, population_size=7, seed=1):
    return GridSearch(space, GridConfig(levels=levels), population_size=population_size, seed=seed)


def asked(search, n=None):
    """All rows a search asks for, until it stops or in n generations."""
    rows = []
    while not search.stop() and (n is None or len(rows) < n):
        rows.append(search.ask())
        search.tell(rows[-1], Evaluations(np.zeros(len(rows[-1]))))
    return np.concatenate(rows)


@pytest.mark.parametrize("levels", [0, 2.5, {"x": 0}])
def test_an_impossible_number_of_levels_is_refused(levels):
    with pytest.raises(ValueError, match=r"GridConfig\.levels.* is not an integer >= 1"):
        GridConfig(levels=levels)


def test_an_unknown_sequence_is_refused():
    with pytest.raises(ValueError, match=r"RandomConfig\.sequence='halton' is unknown"):
        RandomConfig(sequence="halton")


@pytest.mark.parametrize("population_size", [0, 1.5])
def test_an_impossible_population_size_is_refused(population_size):
    with pytest.raises(ValueError, match=f"population_size={population_size} is not"):
        grid(population_size=population_size)
    with pytest.raises(ValueError, match=f"population_size={population_size} is not"):
        RandomSearch(SQUARE, RandomConfig(), population_size=population_size, seed=1)


def test_levels_are_even_in_scaled_coordinates_with_both_bounds():
    levels = grid_levels(MIXED, 5)
    np.testing.assert_array_equal(levels[0], [-20.0, -10.0, 0.0, 10.0, 20.0])
    np.testing.assert_allclose(levels[2], [1e-2, 1e-1, 1.0, 1e1, 1e2])
    assert (levels[2][0], levels[2][-1]) == (1e-2, 1e2)
    np.testing.assert_array_equal(levels[3], [3.0, 4.0, 5.0])  # no more than there are whole numbers


def test_levels_can_differ_between_blocks_and_one_is_the_middle():
    levels = grid_levels(MIXED, {"weight_pA": 2, "rate_hz": 1, "n_hidden": 1})
    np.testing.assert_array_equal(levels[1], [-20.0, 20.0])
    np.testing.assert_allclose(levels[2], [1.0])
    np.testing.assert_array_equal(levels[3], [4.0])


@pytest.mark.parametrize("n", range(2, 12))
def test_levels_of_whole_numbers_are_different_whole_numbers(n):
    space = ParameterSpace((Block("n_hidden", 1, -4, 6, kind="integer"),))
    levels = grid_levels(space, n)[0]
    assert len(np.unique(levels)) == min(n, 11)
    space.check(levels[:, None])


def test_levels_of_other_blocks_are_refused():
    with pytest.raises(ValueError, match=r"GridConfig\.levels names \['x'\], but the blocks are"):
        grid({"x": 2})


def test_every_grid_point_is_asked_once():
    rows = asked(grid(3))
    expected = itertools.product([-20, 0, 20], [-20, 0, 20], [1e-2, 1.0, 1e2], [3, 4, 5])
    np.testing.assert_allclose(rows[np.lexsort(rows.T[::-1])], list(expected))


def test_another_seed_asks_the_same_points_in_another_order():
    first, second = asked(grid(seed=1)), asked(grid(seed=2))
    assert not np.array_equal(first, second)
    assert {tuple(row) for row in first} == {tuple(row) for row in second}


def test_the_last_batch_is_what_is_left_and_then_there_is_nothing_to_ask():
    search = grid(2, SQUARE, population_size=3)
    sizes = []
    while not search.stop():
        assert search.diagnostics() == {"done": sum(sizes) / 4}
        sizes.append(len(search.ask()))
        search.tell(search.ask(), Evaluations(np.zeros(sizes[-1])))
    assert sizes == [3, 1]
    assert search.stop() == {"exhausted": "all 4 grid points were evaluated"}
    with pytest.raises(RuntimeError, match="all 4 grid points were evaluated"):
        search.ask()


def test_a_grid_nobody_can_evaluate_is_refused_with_its_size():
    space = ParameterSpace((Block("weight_pA", 30, -20.0, 20.0),))
    with pytest.raises(ValueError, match=f"{5**30:,} grid points, more than 1,000,000"):
        grid(5, space)


def random_search(space, sequence="uniform", population_size=64, seed=1):
    return RandomSearch(space, RandomConfig(sequence=sequence), population_size=population_size, seed=seed)


@pytest.mark.parametrize("sequence", ["uniform", "sobol"])
def test_points_are_uniform_in_scaled_coordinates(sequence):
    rows = asked(random_search(MIXED, sequence), n=16)
    assert len(rows) == 1024
    MIXED.check(rows)
    assert stats.kstest(rows[:, 0], stats.uniform(-20.0, 40.0).cdf).pvalue > 0.01
    assert stats.kstest(np.log10(rows[:, 2]), stats.uniform(-2.0, 4.0).cdf).pvalue > 0.01
    assert np.bincount(rows[:, 3].astype(int))[3:].tolist() == pytest.approx([1024 / 3] * 3, abs=60)


def test_sobol_points_of_a_search_are_balanced_in_every_dyadic_box():
    rows = asked(random_search(SQUARE, "sobol", population_size=16), n=16)  # 2^8 points
    for n_columns in (1, 4, 16, 64, 256):
        boxes = np.floor(rows * [n_columns, 256 // n_columns])
        assert len(np.unique(boxes, axis=0)) == 256


def test_batches_of_any_size_continue_one_sequence():
    whole = sobol_points(5, 0, 64, 3)
    parts = [sobol_points(5, start, n, 3) for start, n in ((0, 1), (1, 6), (7, 20), (27, 37))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(sobol_points(6, 0, 64, 3), whole)


def test_a_sobol_sequence_of_too_many_genes_is_refused():
    space = ParameterSpace((Block("weight_pA", 21202, -20.0, 20.0),))
    with pytest.raises(ValueError, match="up to 21201 genes, but there are 21202"):
        random_search(space, "sobol")
