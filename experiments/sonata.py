"""Spike files in the SONATA layout that libsonata and BMTK read: write, append, read.

``/spikes/<population>`` has `timestamps` (float64, ``units`` ms), `node_ids` (uint32, from 0 in every population) and
the enum attribute ``sorting``, by time. What SONATA does not say stands in further attributes: ``resolution_ms``,
``n_steps`` and ``populations`` (names in the order of the neurons) of ``/spikes``, ``n_neurons`` of each population.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.storage import SORTING, AnyPath, StorageError, commit, reading
from snn.spike_trains import SpikeTrains

# Bytes of one spike on disk. Measured: 2.3 for a published colony at 1 ms resolution (1,800 spikes per 20 ms from 525
# neurons), 2.7 for the same at 0.1 ms, 3.2 for 4,000 neurons at 5 Hz and 0.1 ms.
_SPIKE_BYTES = 3.0
_CHUNK = 16384  # spikes


def recording_bytes(n_neurons: int, rate_hz: float, duration_ms: float) -> float:
    """Expected size of a spike file, within about a third; `rate_hz` is the mean over the neurons."""
    return n_neurons * rate_hz * duration_ms * 1e-3 * _SPIKE_BYTES


def write_sonata(path: AnyPath, trains: SpikeTrains, attributes: Mapping[str, Any] | None = None) -> None:
    """Write a spike file as a whole or not at all.

    Parameters
    ----------
    attributes : plain values of the file that tell whose spikes these are

    Raises
    ------
    ValueError : a population name that HDF5 would take for a path.
    StorageError : the folder of the file does not exist.
    """
    for name in trains.populations:
        if not name or "/" in name or name == ".":
            raise ValueError(f"population {name!r} cannot be stored: HDF5 names are not empty and hold no '/'.")
    # Decimals that write every multiple of the resolution exactly; if there are too many, a thousandth of a step.
    decimals = -int(decimal.Decimal(repr(float(trains.resolution_ms))).normalize().as_tuple().exponent)
    decimals = max(0, decimals if decimals <= 9 else 3 - math.floor(math.log10(trains.resolution_ms)))

    def write(file: Any) -> None:
        file.attrs["magic"] = np.uint32(0x0A7A)
        file.attrs["version"] = np.array([0, 1], dtype=np.uint32)
        for name, value in (attributes or {}).items():
            file.attrs[name] = value
        spikes = file.create_group("spikes")
        spikes.attrs["resolution_ms"] = float(trains.resolution_ms)
        spikes.attrs["n_steps"] = 0
        spikes.attrs["populations"] = list(trains.populations)
        for name, size in trains.populations.items():
            _create_population(spikes.create_group(name), size, decimals)
        _append_spikes(spikes, trains)

    commit(path, write)


def append_sonata(path: AnyPath, trains: SpikeTrains) -> None:
    """Add the next stretch of a recording to a file of `write_sonata`; its time 0 is the end of what the file holds.

    The stretch is added to a copy, which then takes the place of the file: a kill at any moment leaves the recording
    with all of the stretch or none of it. Every call copies the file, so append stretches of seconds, not single ticks.

    Raises
    ------
    ValueError : other populations or another resolution than the file has.
    StorageError : the file is missing, damaged, or was not written by `write_sonata`.
    """
    with reading(path) as file:
        recorded = _recording_form(file)
    if recorded is None:
        raise StorageError(f"{path} was not written by write_sonata: read it with read_sonata and write a new file.")
    resolution_ms, _, populations = recorded
    ours = (trains.resolution_ms, list(trains.populations.items()))
    if ours != (resolution_ms, list(populations.items())):
        raise ValueError(
            f"the stretch has resolution_ms={trains.resolution_ms} and populations {dict(trains.populations)}, but "
            f"{path} has {resolution_ms} and {populations}: append stretches of one recording only."
        )
    commit(path, lambda file: _append_spikes(file["spikes"], trains), start_from=path)


def read_sonata(path: AnyPath, resolution_ms: float | None = None) -> SpikeTrains:
    """Spike trains of a SONATA file.

    Parameters
    ----------
    resolution_ms : float, integration step in ms; only for files of other programs, which do not state it. Their
        recording is taken to end with its last spike, and a population with its highest node id.

    Returns
    -------
    SpikeTrains, for a file of `write_sonata` equal to what was written

    Raises
    ------
    StorageError : the file is missing or damaged, holds no spikes in ms, or has spikes off the time grid or at time 0
        or before: a spike ends a step, so the first possible time is one step.
    ValueError : `resolution_ms` is missing or not > 0 for a file that does not state it.
    """
    with reading(path) as file:
        recorded = _recording_form(file)
        names = sorted(file["spikes"]) if recorded is None else list(recorded[2])
        raw = [_read_population(file["spikes"][name]) for name in names]
    if recorded is None:
        if resolution_ms is None or not 0 < resolution_ms < math.inf:
            raise ValueError(
                f"resolution_ms={resolution_ms}, but {path} does not state its resolution: give its integration step "
                "in ms, e.g. 0.1."
            )
        sizes = [int(ids.max(initial=-1)) + 1 for _, ids in raw]
        recorded = resolution_ms, None, dict(zip(names, sizes, strict=True))
    step_ms, n_steps, populations = recorded
    first = np.cumsum([0, *populations.values()])
    on_grid = np.concatenate([times_ms for times_ms, _ in raw] or [np.empty(0)]) / step_ms
    neurons = np.concatenate([ids + start for start, (_, ids) in zip(first, raw, strict=False)] or [first[:0]])
    is_off = ~(np.abs(on_grid - np.rint(on_grid)) < 0.01)
    if is_off.any():
        raise StorageError(
            f"{path} has a spike at {on_grid[is_off][0] * step_ms} ms, which is no multiple of {step_ms} ms: give the "
            "resolution_ms of its simulation."
        )
    steps = np.rint(on_grid).astype(np.int64)
    if steps.min(initial=1) < 1:
        raise StorageError(
            f"{path} has a spike at {steps.min() * step_ms:g} ms, but a spike ends a step, so the first possible time "
            f"is {step_ms:g} ms: add {(1 - steps.min()) * step_ms:g} ms to all timestamps of the file, or remove the "
            "spikes before the first step."
        )
    n_steps = int(steps.max(initial=0)) if n_steps is None else n_steps
    try:
        return SpikeTrains.from_unsorted(steps, neurons, step_ms, n_steps, populations)
    except ValueError as error:
        raise StorageError(f"{path} holds no valid recording: {error}") from None


def _create_population(group: Any, size: int, decimals: int) -> None:
    """An empty population; scaleoffset, because the gzip filter is missing in libsonata's wheel."""
    group.attrs.create("sorting", 2, dtype=SORTING)
    group.attrs["n_neurons"] = size
    options = {"shape": (0,), "maxshape": (None,), "chunks": (_CHUNK,)}
    times = group.create_dataset("timestamps", dtype=np.float64, scaleoffset=decimals, **options)
    times.attrs["units"] = "ms"
    group.create_dataset("node_ids", dtype=np.uint32, scaleoffset=0, **options)


def _append_spikes(spikes: Any, trains: SpikeTrains) -> None:
    """Extend every population of ``/spikes`` by a stretch that begins where the recording ends."""
    n_before = int(spikes.attrs["n_steps"])
    for name in trains.populations:
        part = trains.population(name)
        times_ms = (part.steps + n_before) * trains.resolution_ms
        for column, values in (("timestamps", times_ms), ("node_ids", part.neurons)):
            data = spikes[name][column]
            n_rows = len(data)
            data.resize(n_rows + len(values), axis=0)
            data[n_rows:] = values
    spikes.attrs["n_steps"] = n_before + trains.n_steps


def _recording_form(file: Any) -> tuple[float, int | None, dict[str, int]] | None:
    """Resolution in ms, number of steps and sizes of the populations; None if the file does not state them."""
    if "spikes" not in file or "timestamps" in file["spikes"]:
        raise StorageError(f"{file.filename} has no groups /spikes/<population>: it is no SONATA file of spikes.")
    spikes = file["spikes"]
    if not {"resolution_ms", "n_steps", "populations"} <= set(spikes.attrs):
        return None
    sizes = {str(name): int(spikes[name].attrs["n_neurons"]) for name in spikes.attrs["populations"]}
    return float(spikes.attrs["resolution_ms"]), int(spikes.attrs["n_steps"]), sizes


def _read_population(group: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times in ms and node ids."""
    times, units = group["timestamps"], group["timestamps"].attrs.get("units", "none")
    units = units.decode() if isinstance(units, bytes) else units
    if units != "ms":
        raise StorageError(f"{group.file.filename}: {times.name} has the unit {units!r}, expected 'ms'.")
    return times[:].astype(np.float64), group["node_ids"][:].astype(np.int64)
