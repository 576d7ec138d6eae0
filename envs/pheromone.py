"""Compiled kernels of the pheromone field: diffusion to the eight neighbours and evaporation."""

from numba import njit


@njit(cache=True)
def diffuse(field, share, out):
    """One NetLogo-style diffusion step on a closed world.

    Every patch gives `share` of its content in equal eighths to its neighbours; shares that would leave the world
    stay where they are, so the sum is conserved:
    out(p) = field(p) (1 - share n_p / 8) + share / 8 * sum of field over the n_p existing neighbours.

    Parameters
    ----------
    field, out : (height, width) float64, height and width >= 2; `out` is overwritten and must not alias `field`
    share : float in [0, 1], dimensionless
    """
    height, width = field.shape
    eighth = share / 8.0
    keep = 1.0 - share
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            above = field[i - 1, j - 1] + field[i - 1, j] + field[i - 1, j + 1]
            beside = field[i, j - 1] + field[i, j + 1]
            below = field[i + 1, j - 1] + field[i + 1, j] + field[i + 1, j + 1]
            out[i, j] = keep * field[i, j] + eighth * (above + beside + below)
    # The border runs outside the hot loop: a branch in there would block vectorisation.
    for j in range(width):
        out[0, j] = _diffuse_patch(field, eighth, 0, j)
        out[height - 1, j] = _diffuse_patch(field, eighth, height - 1, j)
    for i in range(1, height - 1):
        out[i, 0] = _diffuse_patch(field, eighth, i, 0)
        out[i, width - 1] = _diffuse_patch(field, eighth, i, width - 1)


@njit(cache=True)
def _diffuse_patch(field, eighth, i, j):
    """New content of one patch, counting the neighbours that exist."""
    height, width = field.shape
    received = 0.0
    n_neighbours = 0
    for i_near in range(max(i - 1, 0), min(i + 2, height)):
        for j_near in range(max(j - 1, 0), min(j + 2, width)):
            if i_near != i or j_near != j:
                received += field[i_near, j_near]
                n_neighbours += 1
    return field[i, j] * (1.0 - eighth * n_neighbours) + eighth * received


@njit(cache=True)
def evaporate(field, fraction, x_min, x_max, y_min, y_max, out):
    """Remove `fraction` of the pheromone inside a rectangle, copy the rest unchanged.

    Values below 1e-100 become 0: they carry no information, and denormal numbers would slow every later update.

    Parameters
    ----------
    field, out : (height, width) float64; `out` is overwritten
    fraction : float in [0, 1], share lost per call
    x_min, x_max, y_min, y_max : int, the rectangle, inclusive, in patches
    """
    height, width = field.shape
    for i in range(height):
        for j in range(width):
            value = field[i, j]
            if y_min <= i <= y_max and x_min <= j <= x_max:
                value *= 1.0 - fraction
            out[i, j] = value if value > 1e-100 else 0.0
