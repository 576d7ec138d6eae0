"""Files from anybody: nothing in them may reach another file, run code, or fill the memory (reliability §9)."""

import contextlib
import io
import time
import zipfile

import h5py
import numpy as np
import pytest

from experiments import storage
from experiments.evaluate import read_genomes
from experiments.files import DataError
from experiments.npz import read_arrays, write_genomes
from experiments.settings import ConfigError
from experiments.sonata import read_sonata


@contextlib.contextmanager
def refused_at_once(error, message):
    """The block ends with this error before it has used a second of a processor."""
    start = time.process_time()
    with pytest.raises(error, match=message):
        yield
    assert time.process_time() - start < 1.0


def external_link(file):
    file["spikes"] = h5py.ExternalLink("secret.h5", "/")


def external_link_in_the_middle(file):
    file["spikes/a"] = h5py.ExternalLink("secret.h5", "/")


def soft_link(file):
    file["spikes"] = h5py.SoftLink("/elsewhere")


def external_storage(file):
    file.create_dataset("spikes/timestamps", (7,), "u1", external=[("secret.txt", 0, 7)])


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (3,))
    file.create_virtual_dataset("spikes/timestamps", layout)


def virtual_without_end(file):
    layout = h5py.VirtualLayout((3,), "f8", maxshape=(None,))
    source = h5py.VirtualSource("secret.h5", "x", (3,), maxshape=(None,))
    layout[h5py.h5s.UNLIMITED and slice(0, h5py.h5s.UNLIMITED)] = source[slice(0, h5py.h5s.UNLIMITED)]
    file.create_virtual_dataset("spikes/timestamps", layout)


def object_reference(file):
    file.create_dataset("spikes/timestamps", data=[file["/"].ref], dtype=h5py.ref_dtype)


def region_reference(file):
    values = file.create_dataset("values", data=[1, 2])
    file.create_dataset("spikes/timestamps", data=[values.regionref[:1]], dtype=h5py.regionref_dtype)


def compound_with_a_reference(file):
    file.create_dataset("spikes/timestamps", (1,), np.dtype([("a", "f8"), ("b", h5py.ref_dtype)]))


def lists(file):
    file.create_dataset("spikes/timestamps", (1,), h5py.vlen_dtype(np.float64))


def unallocated_terabyte(file):
    file.create_dataset("spikes/timestamps", (10**11,), "f8")


def chunk_of_gigabytes(file):
    data = file.create_dataset("spikes/timestamps", (1,), "u1", maxshape=(None,), chunks=(2**31,), compression="gzip")
    assert data.shape == (1,)


def unknown_filter(file):
    form = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    form.set_chunk((10,))
    form.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstd, a plugin
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(file.create_group("spikes").id, b"timestamps", h5py.h5t.IEEE_F64LE, space, form)


def no_values(file):
    file.create_dataset("spikes/timestamps", data=h5py.Empty("f8"))


def many_objects(file):
    for number in range(40):
        file.create_group(f"spikes/{number}")


HOSTILE = {
    external_link: "/spikes is a link to another place",
    external_link_in_the_middle: "/spikes/a is a link to another place",
    soft_link: "/spikes is a link to another place",
    external_storage: "/spikes/timestamps takes its values from other files",
    virtual: "/spikes/timestamps takes its values from other files",
    virtual_without_end: "/spikes/timestamps takes its values from other files",
    object_reference: "/spikes/timestamps holds values of type object",
    region_reference: "/spikes/timestamps holds values of type object",
    compound_with_a_reference: r"/spikes/timestamps holds values of type \[\('a'",
    lists: "/spikes/timestamps holds values of type object",
    unallocated_terabyte: "declares 800,000,000,000 bytes, but stores 0",
    chunk_of_gigabytes: "declares 2,147,483,648 bytes, but stores 0",
    unknown_filter: "needs the filter 32015, which may load foreign code",
    no_values: "/spikes/timestamps has no values",
    many_objects: "has more than 30 objects",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_hdf5_that_reaches_out_or_declares_the_absurd_is_refused_with_file_and_reason(tmp_path, monkeypatch, make):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file.create_dataset("x", data=[1.0, 2.0, 3.0], maxshape=(None,))
    (tmp_path / "secret.txt").write_text("secret!")
    with h5py.File(tmp_path / "evil.h5", "w") as file:
        make(file)
    monkeypatch.setattr(storage, "_MAX_OBJECTS", 30)
    for read in (read_sonata, lambda path: storage.reading(path).__enter__()):
        with refused_at_once(DataError, rf"evil.h5 is refused: .*{HOSTILE[make]}"):
            read(tmp_path / "evil.h5")


def test_groups_that_contain_each_other_are_no_endless_walk(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        inner = file.create_group("outer/inner")
        inner["outer"] = file["outer"]
        inner["root"] = file["/"]
    with storage.reading(tmp_path / "a.h5") as file:
        assert list(file["outer/inner"]) == ["outer", "root"]


def test_what_our_own_files_hold_is_not_refused(tmp_path):
    n = 300_000
    constant = {"t": {"x": np.zeros(n), "flag": np.ones(n, dtype=bool)}, "s": {"text": np.array(["ü"] * 1000)}}
    storage.grow(tmp_path / "a.h5", 10**7, lambda file: storage.append_tables(file, constant))
    with storage.reading(tmp_path / "a.h5") as file:
        assert len(storage.read_tables(file)["t"]["x"]) == 300_000


def member(array):
    content = io.BytesIO()
    np.lib.format.write_array(content, array)
    return content.getvalue()


def declared(shape, n_bytes):
    """An npy header of a large array, in front of a few bytes."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return content.getvalue() + bytes(n_bytes)


def npz(path, compression=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


class Canary:
    def __reduce__(self):
        return (open, ("canary", "w"))


def with_objects():
    content = io.BytesIO()
    np.lib.format.write_array(content, np.array([Canary()], dtype=object), allow_pickle=True)
    return content.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"weights": declared((10**12,), 8)}, "weights.npy declares 8,000,000,000,000 bytes of values, but has 8"),
        ({"weights": declared((2, 2), 33)}, "declares 32 bytes of values, but has 33"),
        ({"weights": bytes(10_001)}, "it declares 1 arrays of 10,001 bytes, more than 10,000"),
        ({"weights": with_objects()}, "weights.npy holds values of type object"),
        ({"weights": member(np.array([1j]))}, "holds values of type complex128"),
        ({"weights": b"not npy"}, "magic string"),
        ({"weights": b"\x93NUMPY\x03\x00" + bytes(20)}, r"weights.npy has the npy version \(3, 0\)"),
        ({"weights": b""}, "EOF"),
        ({f"a{number}": b"" for number in range(1001)}, "it declares 1001 arrays"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_npz_files_that_declare_the_absurd_or_hold_code_are_refused(tmp_path, monkeypatch, members, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.npz._MAX_BYTES", 10_000)
    path = npz(tmp_path / "evil.npz", **members)
    with refused_at_once(ValueError, rf"evil.npz cannot be read as an npz file of numbers: .*{message}"):
        read_arrays(path)
    with refused_at_once(ConfigError, r"evil.npz cannot be read as an npz file of numbers"):
        read_genomes(path, None)
    assert not (tmp_path / "canary").exists()


def test_an_npz_file_with_one_name_twice_is_refused(tmp_path):
    path = npz(tmp_path / "evil.npz", weights=member(np.ones(2)))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("weights.npy", member(np.zeros(2)))
    with pytest.raises(ValueError, match="two arrays of one name"):
        read_arrays(path)


def test_an_npz_file_cut_or_flipped_anywhere_is_refused_or_still_the_same(tmp_path):
    path = tmp_path / "a.npz"
    write_genomes(path, np.ones((2, 3)), np.full((2, 3), 2.0))
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for position in rng.integers(len(content), size=150).tolist():
        for damaged in (
            content[:position],
            content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :],
        ):
            path.write_bytes(damaged)
            arrays = {}
            with contextlib.suppress(ValueError):  # and nothing else
                arrays = read_arrays(path)
            for found in arrays.values():  # names and times of a zip archive have no checksum
                assert set(found.ravel().tolist()) in ({1.0}, {2.0})


def test_what_we_write_reads_back(tmp_path):
    write_genomes(tmp_path / "a.npz", np.arange(6.0).reshape(2, 3), np.ones((2, 3)))
    arrays = read_arrays(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["weights"], np.arange(6.0).reshape(2, 3))
    assert list(arrays) == ["weights", "delays"]
