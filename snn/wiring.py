"""Who is connected to whom, with which weights and delays: random synapses as arrays, from an explicit rng; pure.

Nodes are any distinct indices, e.g. `Topology.nodes`. Every rule returns ``(source, target)``, two (n_synapses,) int64.
A synapse from a node to itself is an autapse, two or more from one node to the same other are multapses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np

from snn.spike_trains import FloatArray, IntArray
from snn.topology import Connections

Pairs = tuple[IntArray, IntArray]

_MAX_PAIRS_AT_ONCE = 2_000_000  # of `distance_dependent`; bounds its memory to about 50 MB, the result does not change


def all_to_all(source: IntArray, target: IntArray, *, has_autapses: bool = False) -> Pairs:
    """Every source onto every target, source-major.

    Raises
    ------
    ValueError : nodes that are not distinct integers.
    """
    source, target = _as_nodes("source", source), _as_nodes("target", target)
    pairs = np.repeat(source, len(target)), np.tile(target, len(source))
    return pairs if has_autapses else _without_autapses(pairs)


def one_to_one(source: IntArray, target: IntArray) -> Pairs:
    """The first source onto the first target, the second onto the second, and so on.

    Raises
    ------
    ValueError : nodes that are not distinct integers, or not as many sources as targets.
    """
    source, target = _as_nodes("source", source), _as_nodes("target", target)
    if len(source) != len(target):
        raise ValueError(f"{len(source)} sources but {len(target)} targets: one_to_one needs as many of each.")
    return source.copy(), target.copy()


def fixed_indegree(
    source: IntArray,
    target: IntArray,
    indegree: int,
    rng: np.random.Generator,
    *,
    has_autapses: bool = False,
    has_multapses: bool = False,
) -> Pairs:
    """Equally many random sources onto each target, target-major.

    Without multapses every set of `indegree` allowed sources is equally likely; with them each synapse is drawn alone.

    Raises
    ------
    ValueError : nodes that are not distinct integers, a negative degree, or more than there are allowed sources.
    """
    source, target = _as_nodes("source", source), _as_nodes("target", target)
    partners = _draw_partners(target, source, indegree, rng, has_autapses, has_multapses, ("indegree", "source"))
    return partners, np.repeat(target, indegree)


def fixed_outdegree(
    source: IntArray,
    target: IntArray,
    outdegree: int,
    rng: np.random.Generator,
    *,
    has_autapses: bool = False,
    has_multapses: bool = False,
) -> Pairs:
    """Each source onto equally many random targets, source-major; otherwise as `fixed_indegree`.

    Raises
    ------
    ValueError : nodes that are not distinct integers, a negative degree, or more than there are allowed targets.
    """
    source, target = _as_nodes("source", source), _as_nodes("target", target)
    partners = _draw_partners(source, target, outdegree, rng, has_autapses, has_multapses, ("outdegree", "target"))
    return np.repeat(source, outdegree), partners


def distance_dependent(
    source: IntArray,
    target: IntArray,
    source_positions: FloatArray,
    target_positions: FloatArray,
    probability: float,
    length: float,
    rng: np.random.Generator,
    *,
    has_autapses: bool = False,
) -> Pairs:
    """Each pair with probability ``probability * exp(-(d / length)**2)`` at distance d, source-major.

    Parameters
    ----------
    source_positions, target_positions : (n_sources, n_dimensions), (n_targets, n_dimensions) float64
    probability : float in [0, 1], of a pair at distance 0
    length : float > 0 in the unit of the positions; infinite for one probability at every distance

    Raises
    ------
    ValueError : nodes that are not distinct integers, positions that do not fit them or are not finite, a probability
        or length outside its range.

    Source: Maass, Natschläger & Markram 2002, doi:10.1162/089976602760407955.
    """
    source, target = _as_nodes("source", source), _as_nodes("target", target)
    source_positions, target_positions = np.asarray(source_positions), np.asarray(target_positions)
    _check_positions(source, target, source_positions, target_positions)
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"probability={probability} is outside [0, 1]: give the probability of a pair at distance 0.")
    if not length > 0:
        raise ValueError(f"length={length} is not allowed: it must be > 0 (infinite: no dependence on distance).")
    n_rows = max(1, _MAX_PAIRS_AT_ONCE // max(1, len(target)))
    rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first in range(0, len(source), n_rows):
        part = source_positions[first : first + n_rows]
        squared = np.zeros((len(part), len(target)))
        for axis in range(part.shape[1]):
            squared += ((part[:, axis, None] - target_positions[None, :, axis]) / length) ** 2
        row, column = np.nonzero(rng.random(squared.shape) < probability * np.exp(-squared))
        rows.append(row + first)
        columns.append(column)
    pairs = source[np.concatenate(rows)], target[np.concatenate(columns)]
    return pairs if has_autapses else _without_autapses(pairs)


def grid_positions(shape: Sequence[int]) -> FloatArray:
    """Points of a rectangular grid with spacing 1 and one corner at the origin; the last axis runs fastest.

    Returns
    -------
    (product of `shape`, number of axes) float64

    Raises
    ------
    ValueError : no axis, or one without points.
    """
    if len(shape) == 0 or not all(isinstance(size, Integral) and size >= 1 for size in shape):
        raise ValueError(f"shape={tuple(shape)} is not allowed: give whole numbers >= 1, e.g. (3, 3, 15).")
    return np.indices(shape).reshape(len(shape), -1).T.astype(np.float64)


def draw_weights(
    n_synapses: int, mean: float, sd: float, rng: np.random.Generator, *, is_dale: bool = False
) -> FloatArray:
    """Normal weights.

    With `is_dale` values that are zero or of the other sign than the mean are drawn again, so that a population
    excites or inhibits throughout (Dale's principle). This is the normal distribution cut off at zero: its mean is
    farther from zero than `mean`, by 3 % for ``sd = |mean| / 2`` and by 29 % for ``sd = |mean|``.

    Parameters
    ----------
    mean, sd : float in pA (mV for targets of model iaf_psc_delta); sd >= 0

    Returns
    -------
    (n_synapses,) float64, unit of `mean`

    Raises
    ------
    ValueError : a mean or sd that is not finite, a negative sd, or Dale's principle with mean 0.
    """
    if not math.isfinite(mean) or not 0 <= sd < math.inf:
        raise ValueError(f"weights with mean={mean} and sd={sd} are not allowed: both must be finite and sd >= 0.")
    if is_dale and mean == 0:
        raise ValueError("weights with mean=0 have no sign to keep: give another mean, or is_dale=False.")
    weights = rng.normal(mean, sd, n_synapses)
    while is_dale and (is_wrong := np.sign(weights) != np.sign(mean)).any():  # at least half of the draws are right
        weights[is_wrong] = rng.normal(mean, sd, np.count_nonzero(is_wrong))
    return weights


def draw_delays(
    n_synapses: int,
    mean_ms: float,
    sd_ms: float,
    rng: np.random.Generator,
    *,
    resolution_ms: float,
    max_ms: float = math.inf,
) -> FloatArray:
    """Normal delays, rounded to the nearest step and clipped to 1 step … `max_ms`.

    Parameters
    ----------
    mean_ms, sd_ms : float in ms; > 0, >= 0
    resolution_ms : float in ms, > 0; the delays are multiples of it

    Returns
    -------
    (n_synapses,) float64, ms

    Raises
    ------
    ValueError : a number outside its range, or a maximum below one step.
    """
    if not 0 < mean_ms < math.inf or not 0 <= sd_ms < math.inf:
        raise ValueError(f"delays with mean_ms={mean_ms} and sd_ms={sd_ms} are not allowed: need mean > 0 and sd >= 0.")
    if not 0 < resolution_ms < math.inf or not max_ms >= resolution_ms:
        raise ValueError(
            f"resolution_ms={resolution_ms} and max_ms={max_ms} are not allowed: need 0 < resolution <= max."
        )
    max_steps = np.floor(max_ms / resolution_ms + 1e-9)
    steps = np.rint(rng.normal(mean_ms, sd_ms, n_synapses) / resolution_ms)
    return np.clip(steps, 1, max_steps) * resolution_ms


def join(*connections: Connections) -> Connections:
    """All synapses in the order given."""
    empty = Connections(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Connections(*(np.concatenate(parts) for parts in zip(empty, *connections, strict=True)))


def _draw_partners(
    own: IntArray,
    others: IntArray,
    degree: int,
    rng: np.random.Generator,
    has_autapses: bool,
    has_multapses: bool,
    words: tuple[str, str],
) -> IntArray:
    """(len(own) * degree,) partners among `others`, those of the first of `own` first."""
    what, kind = words
    if not isinstance(degree, Integral) or degree < 0:
        raise ValueError(f"{what}={degree} is not allowed: give a whole number >= 0.")
    position = np.full(len(own), len(others))  # of each own node among the others
    if not has_autapses and len(others):
        order = np.argsort(others)
        nearest = order[np.minimum(np.searchsorted(others, own, sorter=order), len(others) - 1)]
        position = np.where(others[nearest] == own, nearest, len(others))
    n_allowed = len(others) - (position < len(others))
    is_short = n_allowed < (min(degree, 1) if has_multapses else degree)
    if is_short.any():
        index = int(np.flatnonzero(is_short)[0])
        fix = "give fewer" if has_multapses else "give fewer, or has_multapses=True"
        raise ValueError(
            f"{what}={degree} is not possible: node {own[index]} has {n_allowed[index]} allowed {kind}s "
            f"({'with' if has_autapses else 'without'} itself): {fix}."
        )
    draw = _draw_any if has_multapses else _draw_distinct
    chosen = draw(n_allowed, int(degree), rng)
    return others[(chosen + (chosen >= position)).T.ravel()]  # step over the node itself


def _draw_any(n_choices: IntArray, degree: int, rng: np.random.Generator) -> IntArray:
    """(degree, n) independent integers, column j in 0 … n_choices[j] - 1."""
    return rng.integers(0, np.maximum(n_choices, 1), (degree, len(n_choices)))


def _draw_distinct(n_choices: IntArray, degree: int, rng: np.random.Generator) -> IntArray:
    """(degree, n) integers, column j a uniformly random subset of 0 … n_choices[j] - 1.

    Source: algorithm F2 of Bentley & Floyd 1987, doi:10.1145/30401.315746, all columns at once.
    """
    chosen = np.empty((degree, len(n_choices)), np.int64)
    for k in range(degree):
        last = n_choices - degree + k
        candidate = rng.integers(0, last + 1)
        is_taken = (chosen[:k] == candidate).any(axis=0)
        chosen[k] = np.where(is_taken, last, candidate)
    return chosen


def _without_autapses(pairs: Pairs) -> Pairs:
    is_other = pairs[0] != pairs[1]
    return pairs[0][is_other], pairs[1][is_other]


def _as_nodes(name: str, nodes: IntArray) -> IntArray:
    nodes = np.asarray(nodes)
    if nodes.ndim != 1 or not np.issubdtype(nodes.dtype, np.integer):
        raise ValueError(f"{name} has shape {nodes.shape} and type {nodes.dtype}: give a flat array of integers.")
    found, counts = np.unique(nodes, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{name} holds node {found[counts > 1][0]} more than once: give each node once.")
    return nodes.astype(np.int64)


def _check_positions(source: IntArray, target: IntArray, source_xyz: FloatArray, target_xyz: FloatArray) -> None:
    shapes = np.shape(source_xyz), np.shape(target_xyz)
    n_dimensions = shapes[0][1:]
    if len(n_dimensions) != 1 or shapes != ((len(source), *n_dimensions), (len(target), *n_dimensions)):
        raise ValueError(
            f"positions have shapes {shapes[0]} and {shapes[1]}: give ({len(source)}, n) and ({len(target)}, n)."
        )
    if not np.isfinite(source_xyz).all() or not np.isfinite(target_xyz).all():
        raise ValueError("positions are not all finite: give a number for every coordinate.")
