"""Recordings on disk equal to a fresh simulation in any order, by any process; what is missing or not ours is told."""

import dataclasses
import re
import shutil

import numpy as np
import pytest

from experiments import storage
from experiments.datasets import Images
from experiments.files import DataError, MissingError
from experiments.recordings import Recordings
from snn.liquid import LiquidStateMachine
from snn.liquid_config import LiquidConfig, published_liquid
from snn.published_reservoir import PublishedReservoirConfig
from snn.reservoirs import ReservoirConfig
from snn.shared_reservoir import SharedReservoir

N_IMAGES = 8
PUBLISHED = published_liquid(
    "improved",
    reservoir=PublishedReservoirConfig(
        n_pixels=16, n_excitatory=40, n_inhibitory=10, outdegree_ee=8, outdegree_ei=3, outdegree_ie=8, outdegree_ii=3,
        readout_indegree_e=10, readout_indegree_i=4,
    ),
    stimulus_ms=60.0, warm_up_ms=10.0, cool_down_ms=10.0, bin_ms=60.0,
)  # fmt: skip
PLAIN = LiquidConfig(
    reservoir=ReservoirConfig(n_inputs=16, n_excitatory=40, n_inhibitory=10, input_outdegree=25, input_weight_pA=400.0),
    stimulus_ms=60.0, bin_ms=60.0,
)  # fmt: skip


def pictures(seed=1, **changes):
    pixels = np.random.default_rng(seed).integers(0, 256, (N_IMAGES, 4, 4)).astype(np.uint8)
    settings = {"name": "toy", "split": "train", "pixels": pixels, "labels": np.zeros(N_IMAGES, dtype=np.int64)}
    return Images(**settings | {"class_names": ("one",), "sha256": {"toy": "0"}} | changes)


def store(folder, config=PLAIN, images=None, **options):
    liquid = LiquidStateMachine(config, "numba")
    return Recordings(folder, liquid, pictures() if images is None else images, block_length=3, **options)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with all three blocks of `PLAIN`."""
    folder = tmp_path_factory.mktemp("recorded")
    recordings = store(folder)
    for block in range(recordings.n_blocks):
        recordings.record(block)
    return folder


@pytest.fixture
def copied(recorded, tmp_path):
    """The same, to spoil it."""
    shutil.copytree(recorded, tmp_path / "copy")
    return tmp_path / "copy"


def test_what_is_read_is_what_the_shared_reservoir_records(tmp_path):
    shared, images = SharedReservoir(PUBLISHED, 2, "numba"), pictures()
    recordings = Recordings(tmp_path, shared.liquid, images, first_index=100, block_length=3)
    recordings.record(1)
    for number, read in zip((5, 3), recordings.read([5, 3]), strict=True):
        expected = shared.record(images.pixels[number].ravel() / 255, 100 + number)
        assert read.equals(expected)
        assert read.neurons.dtype == expected.neurons.dtype
        assert len(read.steps) > 0
        np.testing.assert_array_equal(shared.counts(read, number), shared.counts(expected, number))


def test_recordings_do_not_depend_on_who_makes_which_block_when(recorded, tmp_path):
    for block in (2, 0, 1):  # a new process for each, and the last two twice
        store(tmp_path).record(block)
        store(tmp_path).record(min(block, 1))
    ours, theirs = (sorted(folder.glob("*/*")) for folder in (tmp_path, recorded))
    assert [path.name for path in ours] == ["block_000000.h5", "block_000001.h5", "block_000002.h5"]
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_blocks_hold_their_images_and_the_last_one_the_rest(recorded):
    recordings, liquid, images = store(recorded), LiquidStateMachine(PLAIN, "numba"), pictures()
    assert recordings.n_blocks == 3
    assert recordings.blocks_of([7, 0, 1, 6]) == [0, 2]
    order = [7, 0, 4, 0, 2]
    for number, read in zip(order, recordings.read(order), strict=True):
        assert read.equals(liquid.spikes(images.pixels[number].ravel() / 255, number))
    assert recordings.read([]) == []


def test_silence_is_recorded(tmp_path):
    recordings = store(tmp_path, images=pictures(pixels=np.zeros((N_IMAGES, 4, 4), dtype=np.uint8)))
    recordings.record(0)
    (read,) = recordings.read([2])
    assert (len(read.steps), read.n_steps, dict(read.populations)) == (0, 60, {"excitatory": 40, "inhibitory": 10})


def test_long_recordings_keep_every_step(tmp_path):
    long = dataclasses.replace(PLAIN, stimulus_ms=65_600.0, bin_ms=65_600.0, resolution_ms=1.0)
    one = pictures(pixels=pictures().pixels[:1], labels=np.zeros(1, dtype=np.int64))
    recordings = store(tmp_path, long, one)
    recordings.record(0)
    (read,) = recordings.read([0])
    assert read.steps[-1] >= 2**16
    assert read.equals(LiquidStateMachine(long, "numba").spikes(one.pixels[0].ravel() / 255))


@pytest.mark.parametrize(
    "other",
    [
        {"config": dataclasses.replace(PLAIN, seed=2)},
        {"config": dataclasses.replace(PLAIN, reservoir=dataclasses.replace(PLAIN.reservoir, input_weight_pA=399.0))},
        {"images": pictures(seed=2)},
        {"images": pictures(split="test")},
        {"first_index": 8},
    ],
    ids=["seed", "weight", "pixels", "split", "first index"],
)
def test_whatever_changes_the_spikes_changes_the_folder(recorded, tmp_path, other):
    ours, others = store(recorded), store(tmp_path, **other)
    assert ours.path.name.startswith("toy-train-")
    assert ours.path.name != others.path.name
    others.path.mkdir()  # even under its name the block of another set is refused
    shutil.copy(ours.path / "block_000001.h5", others.path)
    with pytest.raises(DataError, match=r"block_000001\.h5 holds recordings of another liquid or set of images"):
        others.read([4])


def test_a_missing_block_is_named(tmp_path):
    recordings = store(tmp_path)
    recordings.record(0)
    assert [recordings.is_recorded(block) for block in range(3)] == [True, False, False]
    with pytest.raises(MissingError, match=r"block_000002\.h5 is missing, with images 6 to 7 of toy: record block 2"):
        recordings.read([1, 6])


def spoil(path, change):
    """Write a file anew with some of its content changed."""

    def write(file):
        change(file)

    storage.commit(path, write, start_from=path)


def replaced(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced("first", np.array([0, 1, 2])),
        replaced("first", np.array([1, 2, 3, 4])),
        replaced("neurons", np.zeros(1, dtype=np.uint16)),
        lambda file: file["steps"].write_direct(np.zeros(file["steps"].shape, dtype=np.uint16)),
        lambda file: file["neurons"].write_direct(np.full(file["neurons"].shape, 50, dtype=np.uint16)),
        lambda file: file.pop("about"),
    ],
    ids=["too few images", "first spike left out", "too few neurons", "step 0", "neuron 50 of 50", "no digest"],
)
def test_a_block_that_does_not_fit_is_called_damaged(copied, change):
    recordings = store(copied)
    spoil(recordings.path / "block_000000.h5", change)
    with pytest.raises(DataError, match=r"block_000000\.h5 is damaged"):
        recordings.read([0])
    assert len(recordings.read([3])) == 1


@pytest.mark.parametrize("where", [0.5, 0.0])
def test_a_cut_or_overwritten_block_is_called_damaged(copied, where):
    recordings = store(copied)
    path = recordings.path / "block_000000.h5"
    content = path.read_bytes()
    path.write_bytes(content[: int(where * len(content))] + (b"" if where else b"\x00" * len(content)))
    with pytest.raises(DataError, match=re.escape(f"{path} is damaged")):
        recordings.read([0])
    recordings.record(0)
    assert path.read_bytes() == content


@pytest.mark.parametrize("images", [[8], [-1], [0.5], 3, [[0, 1]]])
def test_images_that_do_not_exist_are_refused(recorded, images):
    with pytest.raises(ValueError, match="image"):
        store(recorded).read(images)


@pytest.mark.parametrize("block", [-1, 3])
def test_blocks_that_do_not_exist_are_refused(recorded, block):
    with pytest.raises(ValueError, match="there is no block"):
        store(recorded).record(block)


@pytest.mark.parametrize("options", [{"first_index": -1}, {"block_length": 0}])
def test_numbers_outside_their_range_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match="must be >="):
        Recordings(tmp_path, LiquidStateMachine(PLAIN, "numba"), pictures(), **options)
