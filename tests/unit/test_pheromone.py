"""The pheromone update against closed forms, invariants and two other implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numba import config, njit
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys

from envs.pheromone import N_SCRATCH_ROWS, diffuse_and_evaporate

# The published world: 101 x 61 patches, pheromone evaporates in x = 60 … 100, y = 1 … 60.
SHAPE = (61, 101)
ARENA = (60, 100, 1, 60)
NOWHERE = (0, -1, 0, -1)
TINY = {np.float64: 1e-100, np.float32: 1e-30}

NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
shapes = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=20)
fields = arrays(np.float64, shapes, elements=st.floats(0.0, 1e6, allow_subnormal=False))
fields_of_both_kinds = st.one_of(
    fields, arrays(np.float32, shapes, elements=st.floats(0.0, 1e6, allow_subnormal=False, width=32))
)
shares = st.floats(0.0, 1.0, allow_subnormal=False)
examples = settings(deadline=None, max_examples=60)
both_kinds = pytest.mark.parametrize("dtype", [np.float64, np.float32])
compiled_only = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="concerns compiled code")


def updated(field, share, fraction=0.0, rectangle=NOWHERE):
    """Field after one update; what the scratch rows held must not matter."""
    out = field.copy()
    diffuse_and_evaporate(
        out, share, fraction, *rectangle, np.full((N_SCRATCH_ROWS, field.shape[1]), np.nan, out.dtype)
    )
    return out


def is_inside(shape, rectangle):
    x_min, x_max, y_min, y_max = rectangle
    rows, columns = np.indices(shape)
    return (rows >= y_min) & (rows <= y_max) & (columns >= x_min) & (columns <= x_max)


def draw_rectangle(data, shape):
    """A rectangle that may be empty or reach beyond the world."""
    x, y = (data.draw(st.tuples(*[st.integers(-2, n + 1)] * 2)) for n in shape[::-1])
    return (*x, *y)


def handed_over(field, share, fraction=0.0, rectangle=NOWHERE):
    """Second implementation: every patch hands its eighths over, one direction after the other."""
    height, width = field.shape
    out = field.copy()
    for dy, dx in NEIGHBOURS:
        giver = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
        taker = np.s_[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
        out[giver] -= share / 8 * field[giver]
        out[taker] += share / 8 * field[giver]
    out[is_inside(field.shape, rectangle)] *= 1 - fraction
    return out


def whole_array_update(field, share, fraction, rectangle):
    """Third implementation: the sums of the kernel in its order, on whole arrays."""
    height, width = field.shape
    padded = np.pad(field, 1)
    pair = padded[:-2] + padded[2:]
    column = pair + padded[1:-1]
    near = (column[:, :-2] + column[:, 2:]) + pair[:, 1:-1]
    n_near = np.add.outer(np.zeros(height, int), np.full(width, 3) - np.isin(np.arange(width), (0, width - 1)))
    n_near *= (3 - np.isin(np.arange(height), (0, height - 1)))[:, None]
    factor = np.where(is_inside(field.shape, rectangle), 1.0 - fraction, 1.0)
    keep = (factor * (1.0 - share / 8.0 * (n_near - 1))).astype(field.dtype)
    give = (factor * (share / 8.0)).astype(field.dtype)
    out = keep * field + give * near
    return np.where(out > TINY[field.dtype.type], out, field.dtype.type(0.0))


def test_one_deposit_gives_the_published_numbers_after_one_update():
    field = np.zeros(SHAPE)
    field[30, 80] = 60.0
    expected = np.zeros(SHAPE)
    expected[29:32, 79:82] = 1.485
    expected[30, 80] = 47.52
    np.testing.assert_allclose(updated(field, 0.2, 0.01, ARENA), expected, rtol=0, atol=1e-9)


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
    np.testing.assert_allclose(updated(field, 0.4), expected, rtol=0, atol=1e-12)


@examples
@given(field=fields, share=shares, fraction=shares, data=st.data())
def test_the_update_equals_the_handing_over_of_eighths_and_the_loss_of_a_fraction(field, share, fraction, data):
    rectangle = draw_rectangle(data, field.shape)
    expected = handed_over(field, share, fraction, rectangle)
    np.testing.assert_allclose(updated(field, share, fraction, rectangle), expected, rtol=1e-11, atol=1e-8)


@both_kinds
@pytest.mark.parametrize("height", [2, 3, 4, 5, 6, 7, 9, 13])
def test_the_update_is_right_for_every_shape(height, dtype):
    rng = np.random.default_rng(height)
    for width in (*range(2, 12), 15, 16, 17, 23, 24, 25, 31, 32, 33, 50):
        field = rng.uniform(1.0, 60.0, (height, width))
        rectangle = (1, width - 2, 1, height // 2)
        expected = handed_over(field, 0.3, 0.1, rectangle)
        out = updated(field.astype(dtype), 0.3, 0.1, rectangle)
        assert out.dtype == dtype
        np.testing.assert_allclose(out, expected, rtol=1e-12 if dtype is np.float64 else 1e-6)


@examples
@given(field=fields_of_both_kinds, share=shares, fraction=shares, data=st.data())
def test_the_update_equals_plain_numpy_to_the_last_bit(field, share, fraction, data):
    rectangle = draw_rectangle(data, field.shape)
    expected = whole_array_update(field, share, fraction, rectangle)
    np.testing.assert_array_equal(updated(field, share, fraction, rectangle), expected)


@examples
@given(field=fields_of_both_kinds, share=shares, fraction=shares, data=st.data())
def test_a_mirrored_world_stays_the_exact_mirror_image(field, share, fraction, data):
    x_min, x_max, y_min, y_max = rectangle = draw_rectangle(data, field.shape)
    height, width = field.shape
    out = updated(field, share, fraction, rectangle)
    left_right = updated(field[:, ::-1].copy(), share, fraction, (width - 1 - x_max, width - 1 - x_min, y_min, y_max))
    up_down = updated(field[::-1].copy(), share, fraction, (x_min, x_max, height - 1 - y_max, height - 1 - y_min))
    np.testing.assert_array_equal(left_right[:, ::-1], out)
    np.testing.assert_array_equal(up_down[::-1], out)


@examples
@given(field=fields, share=shares)
def test_diffusion_conserves_the_sum(field, share):
    assert updated(field, share).sum() == pytest.approx(field.sum(), rel=1e-12)


@examples
@given(field=fields, share=shares, fraction=shares, data=st.data())
def test_what_is_lost_is_the_fraction_of_what_diffusion_left_in_the_rectangle(field, share, fraction, data):
    rectangle = draw_rectangle(data, field.shape)
    evaporated = fraction * handed_over(field, share)[is_inside(field.shape, rectangle)].sum()
    lost = field.sum() - updated(field, share, fraction, rectangle).sum()
    assert lost == pytest.approx(evaporated, rel=0, abs=1e-12 * field.sum() + 1e-90)


@examples
@given(field=fields, share=shares)
def test_diffusion_makes_no_new_extremes(field, share):
    out = updated(field, share)
    assert out.max() <= field.max() * (1 + 1e-12)
    assert out.min() >= field.min() * (1 - 1e-12) - 1e-100  # tiny contents become 0


@examples
@given(field=fields_of_both_kinds, share=shares, fraction=shares)
def test_nothing_turns_negative(field, share, fraction):
    height, width = field.shape
    assert updated(field, share, fraction, (0, width // 2, 0, height // 2)).min() >= 0.0


def test_share_0_changes_nothing():
    field = np.random.default_rng(1).uniform(0.0, 60.0, (6, 5))
    np.testing.assert_array_equal(updated(field, 0.0), field)


def test_share_1_leaves_each_inner_patch_the_mean_of_its_neighbours():
    # Contents of very different size: no digits may be lost where a large one leaves and small ones arrive.
    field = 10.0 ** np.random.default_rng(2).uniform(-9.0, 9.0, (6, 5))
    out = updated(field, 1.0)
    # Inner patches give all away, so they hold an eighth of what the patches around them held.
    ring_sum = sum(field[1 + dy : 5 + dy, 1 + dx : 4 + dx] for dy, dx in NEIGHBOURS)
    np.testing.assert_allclose(out[1:-1, 1:-1], ring_sum / 8, rtol=1e-12)
    # A corner keeps five of its eight shares.
    assert out[0, 0] == pytest.approx(5 / 8 * field[0, 0] + (field[0, 1] + field[1, 0] + field[1, 1]) / 8)


def test_a_uniform_field_stays_uniform_at_every_border():
    np.testing.assert_allclose(updated(np.full((9, 19), 7.0), 0.37), 7.0, rtol=1e-14)


@examples
@given(field=fields, fraction=shares, data=st.data())
def test_evaporation_takes_its_fraction_inside_the_rectangle_only(field, fraction, data):
    rectangle = draw_rectangle(data, field.shape)
    out = updated(field, 0.0, fraction, rectangle)
    inside = is_inside(field.shape, rectangle)
    np.testing.assert_allclose(out[inside], field[inside] * (1 - fraction), rtol=1e-14, atol=1e-99)
    np.testing.assert_allclose(out[~inside], field[~inside], rtol=0, atol=1e-99)


def test_the_rectangle_of_evaporation_includes_its_edges():
    expected = np.ones((6, 7))
    expected[1:4, 2:5] = 0.75
    np.testing.assert_array_equal(updated(np.ones((6, 7)), 0.0, 0.25, (2, 4, 1, 3)), expected)


def test_evaporation_0_conserves_and_1_erases():
    field = np.random.default_rng(4).uniform(1.0, 60.0, (6, 5))
    everywhere = (0, 4, 0, 5)
    np.testing.assert_array_equal(updated(field, 0.0, 0.0, everywhere), field)
    np.testing.assert_array_equal(updated(field, 0.2, 0.0, everywhere), updated(field, 0.2))
    np.testing.assert_array_equal(updated(field, 0.2, 1.0, everywhere), np.zeros((6, 5)))


@pytest.mark.parametrize(
    ("dtype", "value", "is_kept"),
    [
        (np.float64, 1.1e-100, True),
        (np.float64, 9e-101, False),
        (np.float64, 5e-324, False),
        (np.float64, 0.0, False),
        (np.float32, 1.1e-30, True),
        (np.float32, 9e-31, False),
        (np.float32, 1e-45, False),
        (np.float32, 0.0, False),
    ],
)
@pytest.mark.parametrize("rectangle", [(0, 2, 0, 2), (2, 2, 2, 2)], ids=["inside", "outside"])
def test_tiny_contents_become_0_inside_and_outside_the_rectangle(dtype, value, is_kept, rectangle):
    field = np.zeros((3, 3), dtype)
    field[1, 1] = value
    out = updated(field, 0.0, 0.01, rectangle)
    assert (out[1, 1] > 0) == is_kept
    assert np.count_nonzero(out) == is_kept
    assert not np.signbit(out).any()


@both_kinds
def test_a_trail_nobody_renews_vanishes_completely(dtype):
    field, rows = np.zeros((5, 5), dtype), np.empty((N_SCRATCH_ROWS, 5), dtype)
    field[2, 2] = 60.0
    for _ in range(400):  # 60 * 0.5**400 is far below 1e-100 and far above the smallest double
        diffuse_and_evaporate(field, 0.2, 0.5, 0, 4, 0, 4, rows)
    assert not field.any()


def test_single_precision_agrees_with_double_to_five_digits_after_twenty_updates():
    rng = np.random.default_rng(5)
    double = rng.uniform(1.0, 60.0, SHAPE)
    single = double.astype(np.float32)
    for _ in range(20):
        double, single = updated(double, 0.2, 0.01, ARENA), updated(single, 0.2, 0.01, ARENA)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_updates_through_the_same_scratch_rows_equal_the_second_implementation():
    field = np.random.default_rng(6).uniform(0.0, 60.0, SHAPE)
    expected, rows = field.copy(), np.empty((N_SCRATCH_ROWS, SHAPE[1]))
    for _ in range(3):
        diffuse_and_evaporate(field, 0.2, 0.01, *ARENA, rows)
        expected = handed_over(expected, 0.2, 0.01, ARENA)
    np.testing.assert_allclose(field, expected, rtol=1e-12)


@both_kinds
@pytest.mark.parametrize("shape", [(2, 2), (3, 7), (6, 17), (9, 16)])
def test_nothing_is_written_outside_the_arrays(shape, dtype):
    size, n_scratch = shape[0] * shape[1], N_SCRATCH_ROWS * shape[1]
    memory, scratch = np.full(size + 64, 7.0, dtype), np.full(n_scratch + 64, 7.0, dtype)
    field, rows = memory[32:-32].reshape(shape), scratch[32:-32].reshape(N_SCRATCH_ROWS, shape[1])
    diffuse_and_evaporate(field, 0.2, 0.1, 0, 1, 0, 1, rows)
    assert (field[:2, :2] != 7.0).all()
    for array in (memory, scratch):
        assert (array[:32] == 7.0).all()
        assert (array[-32:] == 7.0).all()


@compiled_only
def test_updates_allocate_no_memory():
    @njit
    def update(field, rows, n_times):
        for _ in range(n_times):
            diffuse_and_evaporate(field, 0.2, 0.01, 60, 100, 1, 60, rows)

    @njit
    def allocate(field, rows, n_times):
        for _ in range(n_times):
            field[0] += (field[1] + rows[0])[0]

    def n_allocations(call, n_times):
        before = rtsys.get_allocation_stats().alloc
        call(field, rows, n_times)
        return rtsys.get_allocation_stats().alloc - before

    field, rows = np.ones(SHAPE), np.empty((N_SCRATCH_ROWS, SHAPE[1]))
    was_counting = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        for call in (update, allocate):
            n_allocations(call, 1)  # compile
        assert n_allocations(update, 100) == n_allocations(update, 1)
        assert n_allocations(allocate, 100) >= n_allocations(allocate, 1) + 99  # the counter does count
    finally:
        if not was_counting:
            _nrt_python.memsys_disable_stats()


@compiled_only
@pytest.mark.parametrize(
    "field", [np.ones((4, 8))[:, ::2], np.ones((4, 4), np.int64), np.ones((4, 4), order="F")], ids=["gaps", "int", "F"]
)
def test_a_field_that_is_no_contiguous_array_of_floats_is_refused(field):
    with pytest.raises(TypingError, match="not a C-contiguous row of float64 or float32"):
        diffuse_and_evaporate(field, 0.2, 0.01, 0, 3, 0, 3, np.ones((N_SCRATCH_ROWS, 4), field.dtype))
