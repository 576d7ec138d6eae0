"""The pheromone update: beside a copy of the field, and beside the same update in NumPy, SciPy and OpenCV."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from timing import cpu_seconds, medians, row, text, title

# isort: split
import experiments  # noqa: F401  (before numba: it sets threads and the compiler cache)

# isort: split
from numba import njit
from scipy import ndimage

from envs.pheromone import N_SCRATCH_ROWS, diffuse_and_evaporate

try:
    import cv2
except ImportError:
    cv2 = None

_SHARE, _FRACTION = 0.2, 0.01
_SIDES = (100, 128, 256, 512, 1024)
_PUBLISHED = ((61, 101), (60, 100, 1, 60))
_N_ROUNDS = 15
_N_REPEATS = 20
_TOLERANCES = {np.float64: 1e-12, np.float32: 1e-5}
_SECONDS = 2e-3  # of each measurement, roughly
_RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])

Rectangle = tuple[int, int, int, int]
Update = Callable[[np.ndarray], object]


def _on_cache_line(shape: tuple[int, int], dtype: type) -> np.ndarray:
    """An array whose memory starts at a cache line; NumPy promises 16 bytes only."""
    n_bytes = shape[0] * shape[1] * np.dtype(dtype).itemsize
    memory = np.zeros(n_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + n_bytes].view(dtype).reshape(shape)


@njit
def _repeat(field, share, fraction, x_min, x_max, y_min, y_max, rows):
    for _ in range(_N_REPEATS):
        diffuse_and_evaporate(field, share, fraction, x_min, x_max, y_min, y_max, rows)


def _kernel(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> Update:
    rows = _on_cache_line((N_SCRATCH_ROWS, shape[1]), dtype)
    return lambda field: diffuse_and_evaporate(field, _SHARE, _FRACTION, *rectangle, rows)


def _kernel_repeated(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> Update:
    """Several updates in one compiled call, as a world makes them: without the 0.3 µs of a call from Python."""
    rows = _on_cache_line((N_SCRATCH_ROWS, shape[1]), dtype)
    return lambda field: _repeat(field, _SHARE, _FRACTION, *rectangle, rows)


def _coefficients(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> tuple[np.ndarray, np.ndarray]:
    """What each patch keeps of its content and gets of each neighbour's: constant, so given to the peers for free."""
    n_near = ndimage.convolve(np.ones(shape), _RING, mode="constant")
    x_min, x_max, y_min, y_max = rectangle
    factor = np.ones(shape)
    factor[y_min : y_max + 1, x_min : x_max + 1] = 1.0 - _FRACTION
    return (factor * (1.0 - _SHARE / 8.0 * n_near)).astype(dtype), (factor * _SHARE / 8.0).astype(dtype)


def _careful_numpy(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> Update:
    """Column sums, then row sums; all in buffers."""
    keep, give = _coefficients(shape, dtype, rectangle)
    near, column, is_kept = np.empty(shape, dtype), np.empty(shape, dtype), np.empty(shape, bool)
    tiny = dtype(1e-100 if dtype is np.float64 else 1e-30)

    def update(field: np.ndarray) -> None:
        np.add(field[:-2], field[2:], out=near[1:-1])
        near[0] = field[1]
        near[-1] = field[-2]
        np.add(near, field, out=column)
        near[:, 1:] += column[:, :-1]
        near[:, :-1] += column[:, 1:]
        np.multiply(near, give, out=near)
        np.multiply(field, keep, out=field)
        np.add(field, near, out=field)
        np.greater(field, tiny, out=is_kept)
        np.multiply(field, is_kept, out=field)

    return update


def _simple_numpy(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> Update:
    """Padding and eight slices."""
    keep, give = _coefficients(shape, dtype, rectangle)
    height, width = shape
    tiny = dtype(1e-100 if dtype is np.float64 else 1e-30)

    def update(field: np.ndarray) -> None:
        padded = np.pad(field, 1)
        near = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3) if (y, x) != (1, 1))
        out = keep * field + give * near
        field[:] = np.where(out > tiny, out, dtype(0))

    return update


def _filtered(
    ring_sum: Callable[[np.ndarray, np.ndarray], object], shape: tuple[int, int], dtype: type, rectangle: Rectangle
) -> Update:
    """The sum over the ring from a library, the rest as in careful NumPy."""
    keep, give = _coefficients(shape, dtype, rectangle)
    near, is_kept = np.empty(shape, dtype), np.empty(shape, bool)
    tiny = dtype(1e-100 if dtype is np.float64 else 1e-30)

    def update(field: np.ndarray) -> None:
        ring_sum(field, near)
        np.multiply(near, give, out=near)
        np.multiply(field, keep, out=field)
        np.add(field, near, out=field)
        np.greater(field, tiny, out=is_kept)
        np.multiply(field, is_kept, out=field)

    return update


def _scipy_ring(field: np.ndarray, out: np.ndarray) -> None:
    ndimage.convolve(field, _RING, output=out, mode="constant")


def _opencv_ring(field: np.ndarray, out: np.ndarray) -> None:
    kernel = _RING.astype(field.dtype)
    cv2.filter2D(field, -1, kernel, dst=out, borderType=cv2.BORDER_CONSTANT)


_PEERS: dict[str, Callable[[tuple[int, int], type, Rectangle], Update]] = {
    "NumPy, column sums in buffers": _careful_numpy,
    "NumPy, padding and eight slices": _simple_numpy,
    "scipy.ndimage.convolve": functools.partial(_filtered, _scipy_ring),
}
if cv2 is not None:
    _PEERS["cv2.filter2D"] = functools.partial(_filtered, _opencv_ring)


def _measure(shape: tuple[int, int], dtype: type, rectangle: Rectangle) -> dict[str, float]:
    """Median CPU seconds per update of all that is compared; the peers are checked first, borders included."""
    start = np.random.default_rng(1).uniform(0.0, 60.0, shape).astype(dtype)
    updates: dict[str, tuple[Update, np.ndarray]] = {
        "kernel": (_kernel(shape, dtype, rectangle), _on_cache_line(shape, dtype)),
        "kernel, field where NumPy puts it": (_kernel(shape, dtype, rectangle), np.empty(shape, dtype)),
    }
    updates |= {name: (make(shape, dtype, rectangle), np.empty(shape, dtype)) for name, make in _PEERS.items()}
    expected = None
    for name, (update, field) in updates.items():
        field[:] = start
        for _ in range(3):
            update(field)
        expected = field.copy() if expected is None else expected
        np.testing.assert_allclose(field, expected, rtol=_TOLERANCES[dtype], err_msg=f"{name} gives other numbers")
    updates["kernel, from compiled code"] = (_kernel_repeated(shape, dtype, rectangle), _on_cache_line(shape, dtype))
    target = _on_cache_line(shape, dtype)
    updates["copy"] = (functools.partial(np.copyto, target), _on_cache_line(shape, dtype))

    for update, field in updates.values():
        update(field)  # compile

    def seconds(update: Update, field: np.ndarray) -> float:
        field[:] = start
        n_updates = max(1, int(_SECONDS / cpu_seconds(lambda: update(field))))

        def repeat() -> None:
            for _ in range(n_updates):
                update(field)

        return cpu_seconds(repeat) / n_updates

    times = medians({name: functools.partial(seconds, *each) for name, each in updates.items()}, _N_ROUNDS)
    times["kernel, from compiled code"] /= _N_REPEATS
    return times


def _print_kernel(shape: tuple[int, int], dtype: type, times: dict[str, float]) -> None:
    """Time, memory traffic and share of a copy."""
    n_bytes = 2 * shape[0] * shape[1] * np.dtype(dtype).itemsize
    for name in ("kernel", "kernel, from compiled code", "kernel, field where NumPy puts it"):
        note = (
            f"{n_bytes / times[name] / 1e9:.0f} GB/s, {times['copy'] / times[name]:.0%} of a copy "
            f"({times['copy'] * 1e6:.2f} µs)"
        )
        row(f"{shape[0]} × {shape[1]}, {name}", times[name] * 1e6, "µs", note)


def bench_pheromone() -> None:
    """One update of square worlds that evaporate everywhere, and of the published world."""
    for dtype in (np.float64, np.float32):
        title(f"Pheromone update, {dtype.__name__}, CPU time; all takes turns with np.copyto")
        worlds = [((side, side), (0, side - 1, 0, side - 1)) for side in _SIDES]
        tables = {shape: _measure(shape, dtype, rectangle) for shape, rectangle in [*worlds, _PUBLISHED]}
        for shape, times in tables.items():
            _print_kernel(shape, dtype, times)
        title(f"The same update by other means, {dtype.__name__}; equal to {_TOLERANCES[dtype]:.0e}, borders included")
        for shape, times in tables.items():
            for name in _PEERS:
                ratio = times[name] / times["kernel"]
                row(f"{shape[0]} × {shape[1]}, {name}", times[name] * 1e6, "µs", f"{ratio:.1f} times the kernel")
    text("GB/s: one read and one write of the field per update. Peers get their coefficients for free.")
    if cv2 is None:
        text("OpenCV is not installed: no figures for cv2.filter2D (pip install opencv-python-headless)")


if __name__ == "__main__":
    bench_pheromone()
