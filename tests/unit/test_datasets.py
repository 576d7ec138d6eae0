"""Loaders of images: round trips, known facts of the real files, splits and messages."""

import gzip
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from experiments.data_files import DATA_SETS, KnownFile, data_folder
from experiments.datasets import NAMES, Images, load, load_idx, of_classes, vectors
from experiments.files import DataError, StorageError
from experiments.idx import read_idx
from tests.conftest import DATA
from tests.unit.idx_cases import IMAGES, LABELS, idx, known, put, small_mnist


def real(name, split):
    """A part of a real data set; skips where it is absent."""
    try:
        return load(name, split, DATA)
    except StorageError:
        pytest.skip(f"no {name} ({split}) in {DATA}; set STIGMERGY_DATA to the folder that holds the data sets")


@given(arrays(np.uint8, array_shapes(min_dims=1, max_dims=6, min_side=0, max_side=5)), st.booleans())
def test_an_array_of_any_shape_comes_back_plain_and_packed_whatever_the_name(tmp_path_factory, array, is_packed):
    path = tmp_path_factory.mktemp("idx") / ("a" if is_packed else "a.gz")
    path.write_bytes(gzip.compress(idx(array)) if is_packed else idx(array))
    found = read_idx(path)
    assert (found.dtype, found.shape) == (np.uint8, array.shape)
    np.testing.assert_array_equal(found, array)
    assert not found.flags.writeable


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "split", "shape", "counts"),
    [
        ("mnist", "train", (60_000, 28, 28), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("mnist", "test", (10_000, 28, 28), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("fashion_mnist", "train", (60_000, 28, 28), [6000] * 10),
        ("fashion_mnist", "test", (10_000, 28, 28), [1000] * 10),
        ("emnist_letters", "train", (124_800, 28, 28), [4800] * 26),
        ("emnist_letters", "test", (20_800, 28, 28), [800] * 26),
    ],
)
def test_real_files_hold_the_published_numbers_of_images(name, split, shape, counts):
    images = real(name, split)
    assert (images.pixels.shape, images.pixels.dtype, images.labels.dtype) == (shape, np.uint8, np.int64)
    assert np.bincount(images.labels).tolist() == counts
    assert len(images.class_names) == len(counts)
    assert (images.pixels.max(), images.max_value) == (255, 255)
    assert images.pixels.flags.c_contiguous


@pytest.mark.data
def test_letters_stand_upright():
    images = real("emnist_letters", "test")
    assert images.class_names[:3] == ("A", "B", "C")
    means = {name: images.pixels[images.labels == i].mean(axis=0) for i, name in enumerate(images.class_names)}
    stroke, bow = means["I"] / means["I"].sum(), means["P"]
    height, width = (np.sqrt(np.cov(np.arange(28), aweights=stroke.sum(axis=axis))) for axis in (1, 0))
    assert height > 1.5 * width
    assert bow[:14].sum() > 1.3 * bow[14:].sum()  # above,
    assert bow[16:, :14].sum() > 3 * bow[16:, 14:].sum()  # and what is below is on the left


@pytest.mark.data
def test_colours_and_rows_of_cifar_are_in_their_places():
    images = real("cifar10", "test")
    packed = DATA / "cifar10-subset" / "test_batch.first1000.bin.gz"
    assert images.pixels.shape[1:] == (32, 32, 3)
    if len(images.labels) == 1000:
        record = gzip.decompress(packed.read_bytes())[3 * 3073 : 4 * 3073]
        assert images.labels[3] == record[0]
        for row, column, colour in [(0, 0, 0), (5, 7, 1), (31, 30, 2)]:
            assert images.pixels[3, row, column, colour] == record[1 + 1024 * colour + 32 * row + column]
    assert images.class_names[images.labels[0]] == "cat"
    sky = images.pixels[np.isin(images.labels, [0, 8]), :8].mean(axis=(0, 1, 2))  # above airplanes and ships
    assert sky[2] > sky[1] > sky[0]


def test_the_small_digits_are_split_within_every_class_and_always_alike():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    train, test = load("digits", "train"), load("digits", "test")
    assert (len(train.labels), len(test.labels)) == (1442, 355)
    whole = np.bincount(load_digits().target)
    np.testing.assert_array_equal(np.bincount(test.labels), whole // 5)
    both = np.concatenate([train.pixels, test.pixels]).reshape(1797, 64)
    assert sorted(map(bytes, both)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))
    np.testing.assert_array_equal(load("digits", "test").pixels, test.pixels)
    zeros = load_digits().data[load_digits().target == 0]
    np.testing.assert_array_equal(vectors(of_classes(test, [0])), zeros[4::5] / 16)


def test_digits_without_scikit_learn_tell_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[liquid\]'"):
        load("digits", "train")


@pytest.fixture
def own(tmp_path):
    (tmp_path / "x").write_bytes(idx(IMAGES))
    (tmp_path / "y.gz").write_bytes(gzip.compress(idx(LABELS + 1)))
    return load_idx(tmp_path / "x", tmp_path / "y.gz", ["red", "green", "blue"], first_label=1)


def test_files_of_ones_own_are_read_with_labels_from_zero(own, tmp_path):
    np.testing.assert_array_equal(own.pixels, IMAGES)
    np.testing.assert_array_equal(own.labels, LABELS)
    assert (own.labels.dtype, own.class_names, own.split) == (np.int64, ("red", "green", "blue"), "")
    assert list(own.sha256) == [str(tmp_path / "x"), str(tmp_path / "y.gz")]
    assert not own.pixels.flags.writeable
    assert not own.labels.flags.writeable


def test_images_travel_to_other_processes(own):
    copy = pickle.loads(pickle.dumps(own))  # noqa: S301
    assert isinstance(copy, Images)
    np.testing.assert_array_equal(copy.pixels, own.pixels)


def test_chosen_classes_are_counted_from_zero_in_the_order_asked_for(own):
    some = of_classes(own, [2, 0])
    assert some.class_names == ("blue", "red")
    assert some.labels.tolist() == [1, 0, 1]
    np.testing.assert_array_equal(some.pixels, IMAGES[[0, 2, 4]])
    assert of_classes(own, np.arange(2)).class_names == ("red", "green")


@pytest.mark.parametrize("classes", [[], [0, 0], [3], [-1]])
def test_classes_that_do_not_exist_are_refused(own, classes):
    with pytest.raises(ValueError, match=r"classes \[.*\] are not allowed: give different ones of 0 … 2"):
        of_classes(own, classes)


@pytest.mark.parametrize("dtype", [np.float32, "float64"])
def test_vectors_are_pixels_between_zero_and_one(own, dtype):
    found = vectors(own, dtype)
    assert (found.dtype, found.shape) == (np.dtype(dtype), (5, 12))
    np.testing.assert_array_equal(found, IMAGES.reshape(5, 12).astype(dtype) / np.dtype(dtype).type(255))


def test_vectors_of_whole_numbers_are_refused(own):
    with pytest.raises(ValueError, match="dtype uint8 is not allowed: choose float32 or float64"):
        vectors(own, np.uint8)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_known_set_is_found_plain_and_packed(tmp_path, monkeypatch, is_packed):
    contents = small_mnist(monkeypatch)
    monkeypatch.setenv("STIGMERGY_DATA", str(put(tmp_path, contents, is_packed)))
    for folder in (None, tmp_path):
        images = load("mnist", "test", folder)
        np.testing.assert_array_equal(images.pixels, IMAGES)
        end = ".gz" if is_packed else ""
        assert images.sha256 == {f.name + end: f.sha256 for f in DATA_SETS["mnist"][0]["test"]}


def test_the_data_folder_is_the_one_given_then_the_variable_then_beside_the_project(monkeypatch, tmp_path):
    monkeypatch.setenv("STIGMERGY_DATA", str(tmp_path))
    assert (data_folder("here").name, data_folder()) == ("here", tmp_path)
    for unset in (lambda: monkeypatch.setenv("STIGMERGY_DATA", ""), lambda: monkeypatch.delenv("STIGMERGY_DATA")):
        unset()
        assert data_folder().parts[-2:] == ("shared", "data")


@pytest.mark.parametrize("name", DATA_SETS)
def test_missing_files_are_named_with_the_places_and_the_remedy(tmp_path, name):
    first = tmp_path / DATA_SETS[name][0]["train"][0].name
    with pytest.raises(StorageError) as caught:
        load(name, "train", tmp_path)
    for part in (f"{first} is missing, and so is {first.name}.gz", f"data folder is {tmp_path}", "STIGMERGY_DATA",
                 "--data", f"stigmergy fetch-data {name}"):  # fmt: skip
        assert part in str(caught.value)


def test_the_whole_of_cifar_goes_before_the_part_and_is_never_mixed_with_it(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    whole, part = ([rng.integers(10, size=(2, 3073), dtype=np.uint8) for _ in range(n)] for n in (2, 1))
    files = {f"whole/{i}": array for i, array in enumerate(whole)} | {"part/0": part[0]}
    listed = [known(name, array, array.tobytes(), has_header=False) for name, array in files.items()]
    variants = tuple(dict.fromkeys(("train", "test"), tuple(some)) for some in (listed[:2], listed[2:]))
    monkeypatch.setitem(DATA_SETS, "cifar10", variants)
    put(tmp_path, {"part/0": part[0].tobytes()})
    (tmp_path / "whole").mkdir()
    np.testing.assert_array_equal(load("cifar10", "test", tmp_path).labels, part[0][:, 0])
    put(tmp_path, {"whole/0": whole[0].tobytes()})
    with pytest.raises(StorageError, match="whole/1 is missing"):
        load("cifar10", "test", tmp_path)
    put(tmp_path, {"whole/1": whole[1].tobytes()})
    images = load("cifar10", "train", tmp_path)
    np.testing.assert_array_equal(images.labels, np.concatenate(whole)[:, 0])
    assert images.pixels[3, 1, 2, 2] == whole[1][1, 1 + 2 * 1024 + 1 * 32 + 2]
    assert list(images.sha256) == ["whole/0", "whole/1"]


def test_a_file_whose_packed_form_alone_is_known_is_read_packed_and_refused_plain(tmp_path, monkeypatch):
    packed = {name: gzip.compress(idx(array)) for name, array in (("x", IMAGES), ("y", LABELS))}
    files = tuple(known(n, a, packed[n], is_packed=True) for n, a in (("x", IMAGES), ("y", LABELS)))
    monkeypatch.setitem(DATA_SETS, "mnist", ({"train": files, "test": files},))
    put(tmp_path, {f"{name}.gz": content for name, content in packed.items()})
    np.testing.assert_array_equal(load("mnist", "train", tmp_path).pixels, IMAGES)
    (tmp_path / "x.gz").rename(tmp_path / "gone")
    put(tmp_path, {"x": idx(IMAGES)})
    with pytest.raises(
        DataError, match=r"x is not the known x: expected the sha256 .* \(as it is distributed, gzipped"
    ):
        load("mnist", "train", tmp_path)


def test_unknown_names_and_splits_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=rf"'svhn' is not known: choose one of {', '.join(NAMES)}"):
        load("svhn", "train")
    with pytest.raises(ValueError, match="split 'valid' of mnist does not exist: choose one of train, test"):
        load("mnist", "valid")


def test_the_catalogue_is_complete_and_no_checksum_stands_twice():
    files = [f for variants in DATA_SETS.values() for v in variants for split in v.values() for f in split]
    assert all(isinstance(file, KnownFile) and len(file.sha256) == 64 for file in files)
    assert len({file.sha256 for file in files}) == len({file.name for file in files}) == len(files)
