"""Data sets that are damaged, or made to do damage (fault F47): each is named with what was expected and found."""

import contextlib
import gzip
import re
import tracemalloc

import numpy as np
import pytest

from experiments.datasets import load, load_idx
from experiments.files import DataError
from experiments.idx import read_idx
from tests.conftest import DATA
from tests.unit.idx_cases import IMAGES, LABELS, header, idx, put, small_mnist

_LITTLE = 8 * 2**20  # bytes of memory that may be used to find out that a file is bad
WHOLE = idx(IMAGES)
PACKED = gzip.compress(WHOLE, mtime=0)


@contextlib.contextmanager
def refused(message):
    """The block ends with this error and has used little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            yield
        assert tracemalloc.get_traced_memory()[1] < _LITTLE
    finally:
        tracemalloc.stop()


def gzip_of_zeros(begin, n_bytes):
    """A small gzip file that unpacks to many zeros."""
    return gzip.compress(begin + bytes(n_bytes), compresslevel=9)


DAMAGES = {
    "truncated gz": (PACKED[:-9], "damaged: expected a whole gzip file, found: Compressed file ended"),
    "gz cut in its header": (PACKED[:5], "damaged: expected a whole gzip file, found: Compressed file ended"),
    "gz with a wrong checksum": (PACKED[:-8] + b"0000" + PACKED[-4:], "expected a whole gzip file, found: CRC check"),
    "gz with flipped bits": (PACKED[:14] + b"\xff\xff\xff" + PACKED[17:], "expected a whole gzip file, found: "),
    "gz and rubbish": (PACKED + b"rubbish", "expected a whole gzip file, found: Not a gzipped file"),
    "no IDX": (b"\x89PNG\r\n\x1a\n", "expected the magic number 0x00000801 … 0x00000808, found 0x89504e47"),
    "empty": (b"", "expected the magic number .*, found nothing"),
    "other type": (header(2, kind=0x0D) + bytes(8), "found 0x00000d01"),
    "no dimension": (header() + b"1", "found 0x00000800"),
    "255 dimensions": (header(*[1] * 255) + b"1", "found 0x000008ff"),
    "cut header": (WHOLE[:9], "damaged: expected a header of 16 bytes, found 9"),
    "cut values": (WHOLE[:-1], r"expected 60 bytes of values for the shape \(5, 4, 3\), found 59"),
    "cut values, packed": (gzip.compress(WHOLE[:-1]), "expected 60 bytes of values .*, found 59"),
    "trailing bytes": (WHOLE + b"!", "expected 60 bytes of values .*, found 61"),
    "trailing bytes, packed": (gzip.compress(WHOLE + b"!"), "expected 60 bytes of values .*, found more"),
    "two gzip files in one": (PACKED + PACKED, "expected 60 bytes of values .*, found more"),
    "2^40 bytes": (header(2**20, 2**10, 2**10) + b"1", "promises 1,099,511,627,776 bytes .* at most 1,073,741,824"),
    "2^40 bytes, packed": (gzip.compress(header(2**20, 2**20) + b"1"), "promises 1,099,511,627,776 bytes"),
    "2^256 bytes": (header(*[2**32 - 1] * 8), r"promises [0-9,]{90,} bytes"),
    "no byte of a huge shape": (header(0, *[2**32 - 1] * 7), "is refused: its header promises 0 bytes"),
    "1 GB that is not there": (header(2**30) + b"1", r"expected 1,073,741,824 bytes .* shape \(1073741824,\), found 1"),
    "1 GB that is not there, packed": (gzip.compress(header(2**30) + b"1"), "expected 1,073,741,824 bytes .*, found 1"),
    "64 MB for 4": (gzip_of_zeros(header(4), 2**26), r"expected 4 bytes of values for the shape \(4,\), found more"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_idx_file_is_named_with_expected_and_found_before_it_fills_the_memory(tmp_path, damage):
    content, message = DAMAGES[damage]
    (tmp_path / "bad-file").write_bytes(content)
    with refused(f"bad-file.*{message}"):
        read_idx(tmp_path / "bad-file")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:4], r"y: expected 5 labels for the images in .*x, found the shape \(4,\)"),
        (np.append(LABELS, 0).astype(np.uint8), r"y: expected 5 labels .*, found the shape \(6,\)"),
        (LABELS[:, None], r"expected 5 labels .*, found the shape \(5, 1\)"),
        (LABELS + 1, "y is damaged: expected labels of 0 … 2, found 3 at place 2"),
    ],
)
def test_labels_that_do_not_fit_the_images_or_the_classes_are_refused(tmp_path, labels, message):
    put(tmp_path, {"x": WHOLE, "y": idx(labels)})
    with refused(message):
        load_idx(tmp_path / "x", tmp_path / "y", "abc")


def test_labels_below_the_first_one_and_flat_images_are_refused(tmp_path):
    put(tmp_path, {"x": WHOLE, "y": idx(LABELS)})
    with refused("y is damaged: expected labels of 1 … 26, found 0 at place 0"):
        load_idx(tmp_path / "x", tmp_path / "y", "a" * 26, first_label=1)
    with refused(r"y: expected images with 3 dimensions, found the shape \(5,\)"):
        load_idx(tmp_path / "y", tmp_path / "y", "abc")


def test_a_known_name_with_another_content_is_an_error_that_tells_what_to_do(tmp_path, monkeypatch):
    contents = small_mnist(monkeypatch)
    put(tmp_path, contents | {"mnist/a-x": idx(IMAGES[::-1])})
    with refused(
        r"a-x is not the known mnist/a-x: expected the sha256 [0-9a-f]{64} \(of the content, unpacked\), found "
        r"[0-9a-f]{64}\. Get it again; a file of your own .* experiments\.idx\.read_idx"
    ):
        load("mnist", "train", tmp_path)
    put(tmp_path, {"mnist/a-x": idx(IMAGES[:3])})
    with refused(r"a-x: expected the shape \(5, 4, 3\), found \(3, 4, 3\)\. Get it again; a file of your own"):
        load("mnist", "train", tmp_path)


def test_a_header_that_promises_more_than_the_known_file_has_is_refused_before_unpacking(tmp_path, monkeypatch):
    small_mnist(monkeypatch)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "a-x.gz").write_bytes(gzip_of_zeros(header(2**26), 2**26))
    with refused(r"a-x.gz: expected the shape \(5, 4, 3\), found \(67108864,\)"):
        load("mnist", "train", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(2 * 3073 - 1), r"expected 12,292,000 bytes of values for the shape \(4000, 3073\), found 6,145"),
        (gzip_of_zeros(b"", 4001 * 3073), "expected 12,292,000 bytes of values .*, found more"),
        (gzip_of_zeros(b"", 4000 * 3073), "is not the known cifar10-subset/data_batch_1.first4000.bin: expected"),
    ],
)
def test_records_of_cifar_that_are_cut_too_many_or_others_are_refused(tmp_path, content, message):
    name = "data_batch_1.first4000.bin"
    put(tmp_path, {f"cifar10-subset/{name}": content})
    with pytest.raises(DataError, match=f"{name}.*{message}"):
        load("cifar10", "train", tmp_path)


@pytest.mark.data
def test_real_files_that_are_cut_flipped_or_exchanged_are_refused(tmp_path):
    source = DATA / "mnist"
    if not source.is_dir():
        pytest.skip(f"no MNIST in {source}; set STIGMERGY_DATA to the folder that holds mnist/")
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").symlink_to(source / "t10k-images-idx3-ubyte.gz")
    path = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    packed = (source / path.name).read_bytes()
    content = gzip.decompress(packed)
    wrong = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    for bad, message in (
        (packed[:-1000], "damaged: expected a whole gzip file, found: Compressed file ended"),
        (content[:-1], "expected 10,000 bytes of values .*, found 9,999"),
        (wrong, r"is not the known mnist/t10k-labels-idx1-ubyte: expected the sha256 ff7bcfd4"),
        ((source / "train-labels-idx1-ubyte.gz").read_bytes(), r"expected the shape \(10000,\), found \(60000,\)"),
        (b"\0\0\x0d" + content[3:], "found 0x00000d01"),
    ):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=f"{re.escape(str(path))}.*{message}"):
            load("mnist", "test", tmp_path)
    path.write_bytes(content)
    assert len(load("mnist", "test", tmp_path).labels) == 10_000
