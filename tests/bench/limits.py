"""How fast this core can be at most: arithmetic, and additions to scattered places, in the nearest cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from timing import cpu_seconds, medians

from snn.spike_trains import FloatArray
from snn.vector import WIDTH, add_scaled

_N, _N_PASSES = 1024, 4000  # numbers of an array (8 kB), passes over it per call
_N_TERMS = 4  # of a polynomial; longer ones wait for their own results

# Operations on float64 of one step of one iaf_psc_exp neuron in `snn.lif_kernels`: membrane 7, two currents 4,
# refractoriness, threshold and reset 8, spike count 1.
OPERATIONS_PER_UPDATE = 20


class Limits(NamedTuple):
    """Of one core, per second."""

    operations: float  # multiplications and additions of float64 in vector registers
    updates: float  # `operations / OPERATIONS_PER_UPDATE`
    axpy: float  # elements of y += a * x
    scattered: float  # additions of one weight to one place at random
    row_added: float  # additions in rows of eight at random places, as eight copies receive a spike


def measure_limits() -> Limits:
    """Median rates of small kernels on arrays of 8 kB."""
    rng = np.random.default_rng(1)
    x, y = _aligned(rng.random(_N)), _aligned(np.zeros(_N))
    place = rng.permutation(_N).astype(np.uint64)
    first = (WIDTH * rng.permutation(_N // WIDTH)).astype(np.int64)
    kernels: dict[str, tuple[Callable[[], object], int]] = {
        "operations": (lambda: _polynomial(x, y), 2 * _N_TERMS * _N),
        "axpy": (lambda: _axpy(x, y, 0.5), _N),
        "scattered": (lambda: _scatter(x, place, y), _N),
        "row_added": (lambda: _scatter_rows(x, first, y), _N),
    }
    for call, _ in kernels.values():
        call()  # compile
    times = medians({name: lambda call=call: cpu_seconds(call) for name, (call, _) in kernels.items()}, 9)
    rate = {name: n * _N_PASSES / times[name] for name, (_, n) in kernels.items()}
    return Limits(updates=rate["operations"] / OPERATIONS_PER_UPDATE, **rate)


def _aligned(values: FloatArray) -> FloatArray:
    """A copy that begins at a cache line, as the state of `snn.numba_network` does."""
    room = np.empty(values.size + 8)
    skip = -room.ctypes.data % 64 // 8
    room[skip : skip + values.size] = values
    return room[skip : skip + values.size]


@njit
def _polynomial(x, y):
    for _ in range(_N_PASSES):
        for i in range(x.size):
            total, factor = 0.25, x[i]
            for _ in range(_N_TERMS):
                total = total * factor + 0.125
            y[i] = total


@njit
def _axpy(x, y, a):
    for _ in range(_N_PASSES):
        for i in range(x.size):
            y[i] += a * x[i]


@njit
def _scatter(weight, place, sums):
    for _ in range(_N_PASSES):
        for i in range(weight.size):
            sums[place[i]] += weight[i]


@njit
def _scatter_rows(terms, first, sums):
    for _ in range(_N_PASSES):
        for i in range(first.size):
            add_scaled(sums, first[i], terms, i * WIDTH, 0.5)
