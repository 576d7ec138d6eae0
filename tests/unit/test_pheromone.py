"""Diffusion and evaporation against closed forms, invariants and a plain NumPy implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from envs.pheromone import diffuse, evaporate

# The published world: 101 x 61 patches, pheromone evaporates in x = 60 … 100, y = 1 … 60.
SHAPE = (61, 101)
ARENA = (60, 100, 1, 60)

NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
fields = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
    elements=st.floats(0.0, 1e6, allow_subnormal=False),
)
shares = st.floats(0.0, 1.0, allow_subnormal=False)
examples = settings(deadline=None, max_examples=60)


def diffused(field, share):
    out = np.full_like(field, np.nan)
    diffuse(field, share, out)
    return out


def evaporated(field, fraction, rectangle):
    out = np.full_like(field, np.nan)
    evaporate(field, fraction, *rectangle, out)
    return out


def handed_over(field, share):
    """Second implementation: every patch hands its eighths over, one direction after the other."""
    height, width = field.shape
    out = field.copy()
    for dy, dx in NEIGHBOURS:
        giver = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        taker = np.s_[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
        out[giver] -= share / 8 * field[giver]
        out[taker] += share / 8 * field[giver]
    return out


def test_one_deposit_gives_the_published_numbers_after_one_update():
    field = np.zeros(SHAPE)
    field[30, 80] = 60.0
    updated = evaporated(diffused(field, 0.2), 0.01, ARENA)
    expected = np.zeros(SHAPE)
    expected[29:32, 79:82] = 1.485
    expected[30, 80] = 47.52
    np.testing.assert_allclose(updated, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("patch", "n_neighbours"),
    [
        ((0, 0), 3),
        ((0, 6), 3),
        ((4, 0), 3),
        ((4, 6), 3),
        ((0, 3), 5),
        ((4, 3), 5),
        ((2, 0), 5),
        ((2, 6), 5),
        ((2, 3), 8),
    ],
)
def test_shares_that_would_leave_the_world_stay_where_they_are(patch, n_neighbours):
    field = np.zeros((5, 7))
    field[patch] = 80.0
    expected = np.zeros((5, 7))
    for dy, dx in NEIGHBOURS:
        row, column = patch[0] + dy, patch[1] + dx
        if 0 <= row < 5 and 0 <= column < 7:
            expected[row, column] = 4.0  # 80 * 0.4 / 8
    assert np.count_nonzero(expected) == n_neighbours
    expected[patch] = 80.0 - 4.0 * n_neighbours
    np.testing.assert_allclose(diffused(field, 0.4), expected, rtol=0, atol=1e-12)


@examples
@given(field=fields, share=shares)
def test_diffusion_equals_the_handing_over_of_eighths(field, share):
    np.testing.assert_allclose(diffused(field, share), handed_over(field, share), rtol=1e-11, atol=1e-8)


@examples
@given(field=fields, share=shares)
def test_diffusion_conserves_the_sum(field, share):
    assert diffused(field, share).sum() == pytest.approx(field.sum(), rel=1e-12)


@examples
@given(field=fields, share=shares)
def test_diffusion_makes_no_new_extremes(field, share):
    out = diffused(field, share)
    assert out.max() <= field.max() * (1 + 1e-12) + 1e-290  # products of tiny numbers lose digits
    assert out.min() >= field.min() * (1 - 1e-12) - 1e-290


def test_share_0_changes_nothing():
    field = np.random.default_rng(1).uniform(0.0, 60.0, (6, 5))
    np.testing.assert_array_equal(diffused(field, 0.0), field)


def test_share_1_leaves_each_inner_patch_the_mean_of_its_neighbours():
    field = np.random.default_rng(2).uniform(0.0, 60.0, (6, 5))
    out = diffused(field, 1.0)
    # Inner patches give all away, so they hold an eighth of what the patches around them held.
    ring_sum = sum(field[1 + dy : 5 + dy, 1 + dx : 4 + dx] for dy, dx in NEIGHBOURS)
    np.testing.assert_allclose(out[1:-1, 1:-1], ring_sum / 8, rtol=1e-12)
    # A corner keeps five of its eight shares.
    assert out[0, 0] == pytest.approx(5 / 8 * field[0, 0] + (field[0, 1] + field[1, 0] + field[1, 1]) / 8)


def test_a_uniform_field_stays_uniform_at_every_border():
    np.testing.assert_allclose(diffused(np.full((4, 6), 7.0), 0.37), 7.0, rtol=1e-14)


def test_diffusion_does_not_write_its_input():
    field = np.random.default_rng(3).uniform(0.0, 60.0, (6, 5))
    before = field.copy()
    diffused(field, 0.2)
    np.testing.assert_array_equal(field, before)


@examples
@given(field=fields, fraction=st.floats(0.0, 1.0, allow_subnormal=False), data=st.data())
def test_evaporation_takes_its_fraction_inside_the_rectangle_only(field, fraction, data):
    height, width = field.shape
    x_min, x_max = sorted(data.draw(st.tuples(*[st.integers(0, width - 1)] * 2)))
    y_min, y_max = sorted(data.draw(st.tuples(*[st.integers(0, height - 1)] * 2)))
    out = evaporated(field, fraction, (x_min, x_max, y_min, y_max))
    rows, columns = np.indices(field.shape)
    is_inside = (rows >= y_min) & (rows <= y_max) & (columns >= x_min) & (columns <= x_max)
    np.testing.assert_allclose(out[is_inside], field[is_inside] * (1 - fraction), rtol=1e-14, atol=1e-99)
    np.testing.assert_allclose(out[~is_inside], field[~is_inside], rtol=0, atol=1e-99)


def test_the_rectangle_of_evaporation_includes_its_edges():
    out = evaporated(np.ones((6, 7)), 0.25, (2, 4, 1, 3))
    expected = np.ones((6, 7))
    expected[1:4, 2:5] = 0.75
    np.testing.assert_array_equal(out, expected)


def test_evaporation_0_conserves_and_1_erases():
    field = np.random.default_rng(4).uniform(1.0, 60.0, (6, 5))
    everywhere = (0, 4, 0, 5)
    np.testing.assert_array_equal(evaporated(field, 0.0, everywhere), field)
    np.testing.assert_array_equal(evaporated(field, 1.0, everywhere), np.zeros((6, 5)))


@pytest.mark.parametrize(("value", "is_kept"), [(1e-99, True), (9e-101, False), (5e-324, False), (0.0, False)])
@pytest.mark.parametrize("rectangle", [(0, 2, 0, 2), (2, 2, 2, 2)], ids=["inside", "outside"])
def test_tiny_contents_become_0_inside_and_outside_the_rectangle(value, is_kept, rectangle):
    field = np.zeros((3, 3))
    field[1, 1] = value
    assert (evaporated(field, 0.01, rectangle)[1, 1] > 0) == is_kept
    assert np.count_nonzero(evaporated(field, 0.01, rectangle)) == is_kept


def test_a_trail_nobody_renews_vanishes_completely():
    field, scratch = np.zeros((5, 5)), np.zeros((5, 5))
    field[2, 2] = 60.0
    for _ in range(400):  # 60 * 0.5**400 is far below 1e-100 and far above the smallest float
        diffuse(field, 0.2, scratch)
        evaporate(scratch, 0.5, 0, 4, 0, 4, field)
    assert not field.any()


def test_evaporation_may_overwrite_its_input():
    field = np.random.default_rng(5).uniform(0.0, 60.0, (6, 5))
    expected = evaporated(field, 0.1, (1, 3, 1, 4))
    evaporate(field, 0.1, 1, 3, 1, 4, field)
    np.testing.assert_array_equal(field, expected)


def test_updates_through_one_scratch_array_equal_the_second_implementation():
    rng = np.random.default_rng(6)
    field = rng.uniform(0.0, 60.0, SHAPE)
    expected = field.copy()
    scratch = rng.uniform(0.0, 60.0, SHAPE)  # what an earlier update left there must not matter
    for _ in range(3):
        diffuse(field, 0.2, scratch)
        evaporate(scratch, 0.01, *ARENA, field)
        expected = handed_over(expected, 0.2)
        expected[1:61, 60:101] *= 0.99
    np.testing.assert_allclose(field, expected, rtol=1e-12)
