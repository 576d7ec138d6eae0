"""Whether a run fits on the disk and into the memory, told before it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.study import Study

_CHECKPOINTS = 4  # three are kept while the next is written
_SPARE = 1e9  # bytes above which spikes are announced
_FIXED = 2e4  # bytes of a record beside its rows


def expected_bytes(study: Study, genomes: np.ndarray[Any, Any], state: Mapping[str, Any], n_generations: int) -> float:
    """What a run will take on disk at most, while its records are merged for the last time.

    Parameters
    ----------
    genomes : (n, n_params), those of one generation
    state : of the optimizer
    """
    n_individuals, n_params = genomes.shape
    n_genomes = 1 + (n_individuals if study.config.record_genomes == "all" else 0)
    n_episodes = n_individuals * study.config.episodes
    record = 8.0 * (n_genomes * n_params + 3 * n_individuals + n_episodes * (5 + len(study.measures))) + _FIXED
    # Merging writes a copy of all records before the old ones are removed.
    return n_generations * (2 * record + study.bytes_of_best) + _CHECKPOINTS * _array_bytes(state)


def disk_warning(expected: float, free: int) -> str:
    """One line if the run will not fit; empty if it will."""
    if expected <= free:
        return ""
    return (
        f"the run may take up to {expected / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free. It stops when the disk is "
        "full, and can be resumed then. Make room, or choose record_genomes=best."
    )


def recording_line(study: Study, n_generations: int) -> str:
    """What is kept of the best individuals will take, if it is more than 1 GB; empty otherwise."""
    total = n_generations * study.bytes_of_best
    if total <= _SPARE:
        return ""
    return f"spikes about {total / 1e9:.1f} GB, {n_generations} generations × {study.bytes_of_best / 1e6:.0f} MB"


def memory_error(n_individuals: int, n_params: int) -> str:
    """One line if the genomes of a generation, of which an optimizer holds several copies, are too many; else empty."""
    needed = 4 * 8 * n_individuals * n_params
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed <= memory:
        return ""
    return (
        f"population={n_individuals}: the genomes of one generation, {n_params} numbers each, need about "
        f"{needed / 1e9:,.0f} GB, and this machine has {memory / 1e9:,.0f} GB. Choose a smaller population or brain."
    )


def _array_bytes(state: Mapping[str, Any]) -> int:
    """Bytes of all arrays in nested dicts."""
    nested = sum(_array_bytes(value) for value in state.values() if isinstance(value, Mapping))
    return nested + sum(value.nbytes for value in state.values() if isinstance(value, np.ndarray))
