"""Spike files: read by libsonata, equal after the round trip, appended as a whole or not at all, size known before."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import files, storage
from experiments.sonata import append_sonata, read_sonata, recording_bytes, write_sonata
from experiments.storage import StorageError
from snn.spike_trains import SpikeTrains

SIZES = {"hidden": 300, "output": 60, "input": 7}


def random_trains(n_spikes, resolution_ms, n_steps=40_000, populations=SIZES, seed=0):
    rng = np.random.default_rng(seed)
    n_neurons = sum(populations.values()) - populations.get("input", 0)  # no spikes of the last population
    steps, neurons = rng.integers(1, n_steps + 1, n_spikes), rng.integers(0, n_neurons, n_spikes)
    return SpikeTrains.from_unsorted(steps, neurons, resolution_ms, n_steps, populations)


def write_foreign(path, times_ms, node_ids, units="ms", sorting=None):
    """A SONATA file as other programs write it: no attributes of ours, fixed length, other integer types."""

    def write(file):
        group = file.create_group("spikes/cortex")
        group.create_dataset("timestamps", data=np.asarray(times_ms, dtype=np.float64))
        if units is not None:
            group["timestamps"].attrs["units"] = units
        group.create_dataset("node_ids", data=np.asarray(node_ids, dtype=np.uint64), compression="gzip")
        if sorting is not None:
            group.attrs.create("sorting", sorting, dtype=storage.SORTING)

    storage.commit(path, write)


@pytest.mark.parametrize("resolution_ms", [1.0, 0.1, 0.125])
@pytest.mark.parametrize("n_stretches", [1, 3])
def test_libsonata_reads_every_spike_of_every_population(tmp_path, resolution_ms, n_stretches):
    libsonata = pytest.importorskip("libsonata")
    trains, path = random_trains(50_000, resolution_ms), tmp_path / "spikes.h5"
    bounds_ms = np.rint(np.linspace(0, 40_000, n_stretches + 1)) * resolution_ms
    write_sonata(path, trains.slice(bounds_ms[0], bounds_ms[1]), {"generation": 3})
    for start_ms, stop_ms in itertools.pairwise(bounds_ms[1:]):
        append_sonata(path, trains.slice(start_ms, stop_ms))
    reader = libsonata.SpikeReader(str(path))
    assert set(reader.get_population_names()) == set(SIZES)
    for name in SIZES:
        population, expected = reader[name], trains.population(name)
        assert population.sorting == "by_time"
        read = np.array(population.get(), dtype=[("node", int), ("time", float)])
        np.testing.assert_array_equal(read["node"], expected.neurons)
        np.testing.assert_allclose(read["time"], expected.times_ms, rtol=0, atol=1e-9)
    assert path.stat().st_size < 50_000 * 16 / 2


@st.composite
def stretches(draw):
    """One to three small stretches of one recording."""
    sizes = draw(st.dictionaries(st.sampled_from(["a", "b", "ü c"]), st.integers(0, 3), max_size=3))
    resolution_ms = draw(st.sampled_from([0.001, 0.1, 0.3, 1 / 3, 0.7, 1.0, 1.1, 20.0]))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        n_steps = draw(st.sampled_from([0, 1, 50, 10**9]))
        is_silent = not (n_steps and sum(sizes.values()))
        spike = st.tuples(st.integers(1, max(n_steps, 1)), st.integers(0, max(sum(sizes.values()) - 1, 0)))
        spikes = np.array(draw(st.lists(spike, max_size=0 if is_silent else 20)), dtype=np.int64).reshape(-1, 2)
        parts.append(SpikeTrains.from_unsorted(spikes[:, 0], spikes[:, 1], resolution_ms, n_steps, sizes))
    return parts


@given(stretches())
def test_what_was_written_and_appended_is_read_back_equal(parts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spikes.h5"
        write_sonata(path, parts[0])
        for part in parts[1:]:
            append_sonata(path, part)
        read = read_sonata(path)
    starts = np.cumsum([0, *(part.n_steps for part in parts)])
    steps = np.concatenate([part.steps + start for start, part in zip(starts, parts, strict=False)])
    neurons = np.concatenate([part.neurons for part in parts])
    assert read.equals(SpikeTrains(steps, neurons, parts[0].resolution_ms, int(starts[-1]), parts[0].populations))


@pytest.mark.parametrize("name", ["", ".", "a/b"])
def test_population_names_that_are_paths_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be stored: HDF5 names"):
        write_sonata(tmp_path / "spikes.h5", random_trains(0, 1.0, populations={name: 1}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        random_trains(10, 0.1),
        random_trains(10, 1.0, populations={"hidden": 300, "output": 61, "input": 7}),
        random_trains(10, 1.0, populations={"output": 60, "hidden": 300, "input": 7}),
    ],
)
def test_a_stretch_of_another_recording_is_not_appended(tmp_path, other):
    path, trains = tmp_path / "spikes.h5", random_trains(100, 1.0)
    write_sonata(path, trains)
    with pytest.raises(ValueError, match="append stretches of one recording only"):
        append_sonata(path, other)
    assert read_sonata(path).equals(trains)


@pytest.mark.parametrize("moment", ["between populations", "before the rename"])
def test_a_kill_while_appending_leaves_the_recording_as_it_was(tmp_path, monkeypatch, moment):
    path, trains = tmp_path / "spikes.h5", random_trains(1000, 1.0)
    write_sonata(path, trains)

    def killed(*_):
        raise KeyboardInterrupt

    original, calls = SpikeTrains.population, []

    def killed_at_second(self, name):
        calls.append(name)
        return original(self, name) if len(calls) < 2 else killed()

    with monkeypatch.context() as patch:
        if moment == "between populations":
            patch.setattr(SpikeTrains, "population", killed_at_second)
        else:
            patch.setattr(files, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            append_sonata(path, trains)
    assert read_sonata(path).equals(trains)
    assert [found.name for found in tmp_path.iterdir()] == ["spikes.h5"]
    append_sonata(path, trains)
    assert read_sonata(path).n_steps == 2 * trains.n_steps


@pytest.mark.parametrize("sorting", [None, 0, 1, 2])
def test_files_of_other_programs_are_read_with_the_resolution_given(tmp_path, sorting):
    path = tmp_path / "foreign.h5"
    write_foreign(path, [0.3, 12.5, 0.1], [0, 4, 2], sorting=sorting)
    expected = SpikeTrains(np.array([1, 3, 125]), np.array([2, 0, 4]), 0.1, 125, {"cortex": 5})
    assert read_sonata(path, resolution_ms=0.1).equals(expected)
    with pytest.raises(StorageError, match="not written by write_sonata"):
        append_sonata(path, expected)


def test_a_silent_file_of_another_program_is_an_empty_recording(tmp_path):
    write_foreign(tmp_path / "foreign.h5", [], [])
    trains = read_sonata(tmp_path / "foreign.h5", resolution_ms=0.1)
    assert (trains.n_steps, dict(trains.populations)) == (0, {"cortex": 0})


@pytest.mark.parametrize(
    ("content", "resolution_ms", "error", "message"),
    [
        ({}, None, ValueError, r"resolution_ms=None, but .*foreign.h5 does not state its resolution.*e.g. 0.1"),
        ({}, 0.0, ValueError, r"resolution_ms=0.0, but"),
        ({}, 0.2, StorageError, r"foreign.h5 has a spike at 0.3\d* ms, which is no multiple of 0.2 ms"),
        ({"units": "s"}, 0.1, StorageError, r"/spikes/cortex/timestamps has the unit 's', expected 'ms'"),
        ({"units": None}, 0.1, StorageError, r"has the unit 'none'"),
        ({"units": np.bytes_("s")}, 0.1, StorageError, r"has the unit 's'"),
        ({"times_ms": [0.0]}, 0.1, StorageError, r"a spike at 0 ms.*first possible time is 0.1 ms: add 0.1 ms to all"),
        ({"times_ms": [-0.2]}, 0.1, StorageError, r"has a spike at -0.2 ms.*add 0.3 ms to all timestamps"),
        ({"times_ms": [np.nan]}, 0.1, StorageError, r"has a spike at nan ms"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path, content, resolution_ms, error, message):
    path = tmp_path / "foreign.h5"
    write_foreign(path, **({"times_ms": [0.3], "node_ids": [0]} | content))
    with pytest.raises(error, match=message):
        read_sonata(path, resolution_ms)


@pytest.mark.parametrize("group", ["other", "spikes/timestamps"])
def test_a_file_without_populations_is_no_sonata_file(tmp_path, group):
    storage.commit(tmp_path / "a.h5", lambda file: file.create_group(group))
    with pytest.raises(StorageError, match=r"a.h5 has no groups /spikes/<population>"):
        read_sonata(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"spikes\.h5 does not exist: check the path"),
        (b"", r"spikes\.h5 is damaged"),
        (b"not HDF5", r"spikes\.h5 is damaged"),
    ],
)
def test_a_missing_or_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "spikes.h5"
    if content is not None:
        path.write_bytes(content)
    for use in (read_sonata, lambda path: append_sonata(path, random_trains(1, 1.0))):
        for given_path in (path, str(path)):
            with pytest.raises(StorageError, match=message):
                use(given_path)


def test_a_missing_folder_and_a_folder_for_a_file_are_named(tmp_path):
    path = tmp_path / "missing" / "spikes.h5"
    for given_path in (path, str(path)):
        with pytest.raises(
            StorageError, match=r"spikes.h5 cannot be written: the folder .*missing does not exist. Make"
        ):
            write_sonata(given_path, random_trains(1, 1.0))
    with pytest.raises(StorageError, match=r"is a folder: give the path of a file in it"):
        read_sonata(tmp_path)


def test_paths_may_be_texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trains = random_trains(100, 1.0)
    write_sonata("spikes.h5", trains)
    append_sonata("spikes.h5", trains)
    assert read_sonata("spikes.h5").n_steps == 2 * trains.n_steps


@pytest.mark.parametrize(("resolution_ms", "rate_hz"), [(1.0, 170.0), (0.1, 170.0), (0.1, 5.0)])
def test_the_size_estimate_is_within_a_third_of_the_file(tmp_path, resolution_ms, rate_hz):
    n_neurons, n_spikes = 500, 200_000
    duration_ms = 1000 * n_spikes / (n_neurons * rate_hz)
    trains = random_trains(n_spikes, resolution_ms, round(duration_ms / resolution_ms), {"a": 100, "b": 400})
    write_sonata(tmp_path / "spikes.h5", trains)
    measured = (tmp_path / "spikes.h5").stat().st_size
    assert recording_bytes(n_neurons, rate_hz, duration_ms) == pytest.approx(measured, rel=1 / 3)
