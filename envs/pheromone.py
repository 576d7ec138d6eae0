"""Compiled kernel of the pheromone field: diffusion to the eight neighbours, evaporation and flushing in one pass.

A sum over a 3 × 3 window is separable: columns first, ``pair = above + below`` and ``sum = pair + here``, then the
neighbours of a patch are ``(sum left + sum right) + pair``. Both additions of mirror images commute, so the result is
exactly symmetric. The kernel works in place, four rows at a time, block by block from left to right: it reads one
block ahead of what it writes, and one scratch row keeps the old content of the row above.
"""

from __future__ import annotations

from numba import njit

from envs.blocks import beside, flushed, lanes, load, store

N_SCRATCH_ROWS = 4


@njit(cache=True)
def diffuse_and_evaporate(field, share, fraction, x_min, x_max, y_min, y_max, rows):
    """One NetLogo-style diffusion step on a closed world, then evaporation inside a rectangle; in place.

    Every patch gives `share` of its content in equal eighths to its neighbours; shares that would leave the world
    stay where they are, so diffusion conserves the sum. With n_p existing neighbours of patch p,
    new(p) = [field(p) (1 - share n_p / 8) + share / 8 * sum of field over the neighbours]
    * (1 - fraction inside the rectangle, else 1).
    Values not above 1e-100 (float32: 1e-30) become 0: they carry no information, and denormal numbers would slow every
    later update. There is no subtraction of contents, so no digits are lost and nothing turns negative.

    Parameters
    ----------
    field : (height, width) float64 or float32, C-contiguous, height and width >= 2, content >= 0; overwritten
    share, fraction : float in [0, 1], dimensionless, per call
    x_min, x_max, y_min, y_max : int, the rectangle, inclusive, in patches; it may reach beyond the world
    rows : (N_SCRATCH_ROWS, width) of the dtype of `field`, C-contiguous, scratch of any content; overwritten
    """
    height = field.shape[0]
    above, nothing, keep, give = rows[0], rows[1], rows[2], rows[3]
    rows[:2] = 0.0
    tiny = field.dtype.type(1e-100 if field.itemsize == 8 else 1e-30)
    first_inside = min(max(y_min, 1), height - 1)
    last_inside = min(max(y_max + 1, 1), height - 1)
    i = 0
    # Bands of rows with the same coefficients: border, outside, inside, outside, border; some may be empty.
    for stop in (1, first_inside, last_inside, height - 1, height):
        if i >= stop:
            continue
        n_rows_near = 2 if i == 0 or i == height - 1 else 3
        kept = 1.0 - fraction if y_min <= i <= y_max else 1.0
        _fill_coefficients(n_rows_near, share / 8.0, kept, x_min, x_max, keep, give)
        while i + 4 <= stop:
            group = (field[i], field[i + 1], field[i + 2], field[i + 3], field[i + 4])
            _sweep(_read_four, _write_four, group, above, keep, give, tiny)
            i += 4
        while i < stop:
            group = (field[i], field[i + 1] if i + 1 < height else nothing)
            _sweep(_read_one, _write_one, group, above, keep, give, tiny)
            i += 1


@njit(forceinline=True)
def _fill_coefficients(n_rows_near, eighth, kept, x_min, x_max, keep, give):
    """What a patch keeps of its content, and gets of each neighbour's, along a row; evaporation included."""
    width = keep.shape[0]
    inner = 1.0 - eighth * (3 * n_rows_near - 1)
    for j in range(width):
        factor = kept if x_min <= j <= x_max else 1.0
        keep[j] = factor * inner
        give[j] = factor * eighth
    for j in (0, width - 1):
        factor = kept if x_min <= j <= x_max else 1.0
        keep[j] = factor * (1.0 - eighth * (2 * n_rows_near - 1))


@njit(forceinline=True)
def _sweep(read, write, rows, above, keep, give, tiny):
    """Update the rows but for the last, which is read only; `above` holds the old row above, then the old last one.

    `read` and `write` are the pair of functions for so many rows; the rows share their coefficients.
    """
    width = keep.shape[0]
    block = lanes(keep)
    left = read(rows, above, 0, 0)
    here = read(rows, above, 0, width)
    n_full = max(width // block - 1, 0)  # the blocks after which another full one follows: no masks
    for b in range(n_full):
        right = read(rows, above, (b + 1) * block, block)
        write(rows, b * block, block, left, here, right, keep, give, tiny)
        left, here = here, right
    for j in range(n_full * block, width, block):
        right = read(rows, above, j + block, width - j - block)
        write(rows, j, width - j, left, here, right, keep, give, tiny)
        left, here = here, right


@njit(forceinline=True)
def _read_four(rows, above, j, n_left):
    """Column sums of four rows in the block at j; keeps the old content of the fourth."""
    first, second = load(rows[0], j, n_left), load(rows[1], j, n_left)
    third, fourth = load(rows[2], j, n_left), load(rows[3], j, n_left)
    columns = (
        _column(load(above, j, n_left), first, second),
        _column(first, second, third),
        _column(second, third, fourth),
        _column(third, fourth, load(rows[4], j, n_left)),
    )
    store(above, j, n_left, fourth)
    return columns


@njit(forceinline=True)
def _read_one(rows, above, j, n_left):
    """Column sums of one row in the block at j; keeps its old content."""
    content = load(rows[0], j, n_left)
    column = _column(load(above, j, n_left), content, load(rows[1], j, n_left))
    store(above, j, n_left, content)
    return column


@njit(forceinline=True)
def _column(above, here, below):
    """Sum of the column, the same without its middle, the middle."""
    pair = above + below
    return pair + here, pair, here


@njit(forceinline=True)
def _write_four(rows, j, n_left, left, here, right, keep, give, tiny):
    """New content of four rows in the block at j, from the column sums there and in the blocks beside it."""
    kept, given = load(keep, j, n_left), load(give, j, n_left)
    store(rows[0], j, n_left, _blend(left[0], here[0], right[0], kept, given, tiny))
    store(rows[1], j, n_left, _blend(left[1], here[1], right[1], kept, given, tiny))
    store(rows[2], j, n_left, _blend(left[2], here[2], right[2], kept, given, tiny))
    store(rows[3], j, n_left, _blend(left[3], here[3], right[3], kept, given, tiny))


@njit(forceinline=True)
def _write_one(rows, j, n_left, left, here, right, keep, give, tiny):
    """New content of one row in the block at j."""
    store(rows[0], j, n_left, _blend(left, here, right, load(keep, j, n_left), load(give, j, n_left), tiny))


@njit(forceinline=True)
def _blend(left, here, right, kept, given, tiny):
    """New content of one block of one row."""
    near = beside(left[0], here[0], right[0]) + here[1]
    return flushed(kept * here[2] + given * near, tiny)
