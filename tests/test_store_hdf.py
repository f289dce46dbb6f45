"""HDF5 images: the same bytes each time, and nothing but plain arrays of this format is read."""

import io
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from store.errors import StoreFormatError
from store.hdf import build_image, open_image, plain_dataset, read_about, read_array

SECRET = np.arange(12, dtype=np.float32).reshape(3, 4)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _say(file: h5py.File, about: dict[str, object]) -> None:
    file["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)


@settings(deadline=None)
@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.float16, np.uint8, np.int16, np.int64]),
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9),
    ),
    value=_JSON,
)
def test_arrays_and_what_they_are_come_back(array: NDArray[Any], value: object) -> None:
    image = build_image({"x": array}, {"value": value})
    with open_image(image, Path("x.h5")) as file:
        back = read_array(file, "x", array.ndim, array.dtype.str[1:])
        assert read_about(file) == {"format": 1, "value": value}
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_the_same_input_gives_the_same_bytes() -> None:
    """In another process too: neither the time, nor an address, nor the hash seed is in them."""
    script = (
        "import sys, numpy as np; from store.hdf import build_image; "
        "x = np.arange(12, dtype=np.float32).reshape(3, 4); "
        "sys.stdout.buffer.write(build_image({'x': x, 'n': x[0]}, {'recipe': {'b': 1, 'a': 'é'}}))"
    )
    elsewhere = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout
    here = build_image({"x": SECRET, "n": SECRET[0]}, {"recipe": {"a": "é", "b": 1}})
    assert here == elsewhere
    assert here == build_image({"x": SECRET.copy(), "n": SECRET[0]}, {"recipe": {"b": 1, "a": "é"}})


def test_a_dataset_is_stored_as_it_lies_in_memory() -> None:
    """So that it can be mapped: little-endian, row by row, at one place."""
    image = build_image({"x": SECRET}, {})
    assert image.count(SECRET.astype("<f4").tobytes()) == 1


def _external_link(file: h5py.File, other: Path) -> None:
    file["x"] = h5py.ExternalLink(str(other), "/x")


def _soft_link(file: h5py.File, _: Path) -> None:
    file["y"] = SECRET
    file["x"] = h5py.SoftLink("/y")


def _external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("x", SECRET.shape, "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout(SECRET.shape, "f4")
    layout[:] = h5py.VirtualSource(str(other), "x", SECRET.shape)
    file.create_virtual_dataset("x", layout)


def _chunked(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", data=SECRET, chunks=(1, 4))


def _gzip(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", data=SECRET, compression="gzip")


def _compact(file: h5py.File, _: Path) -> None:
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(SECRET.shape)
    dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, how)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, SECRET)


def _never_written(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", SECRET.shape, "f4")


def _objects(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", data=[["a", "b"]], dtype=h5py.string_dtype())


def _references(file: h5py.File, _: Path) -> None:
    file.create_dataset("x", (1, 1), h5py.ref_dtype)


def _compound(file: h5py.File, _: Path) -> None:
    file["x"] = np.zeros((2, 2), [("a", "f4")])


def _integers(file: h5py.File, _: Path) -> None:
    file["x"] = SECRET.astype(np.int32)


def _flat(file: h5py.File, _: Path) -> None:
    file["x"] = SECRET.ravel()


def _empty(file: h5py.File, _: Path) -> None:
    file["x"] = h5py.Empty("f4")


def _group(file: h5py.File, _: Path) -> None:
    file.create_group("x")


def _named_type(file: h5py.File, _: Path) -> None:
    file["x"] = np.dtype("f4")


def _missing(_: h5py.File, __: Path) -> None:
    pass


@pytest.mark.parametrize(
    "build",
    [
        _external_link, _soft_link, _external_storage, _virtual, _chunked, _gzip, _compact, _never_written,
        _objects, _references, _compound, _integers, _flat, _empty, _group, _named_type, _missing,
    ],
    ids=lambda build: build.__name__.strip("_"),
)  # fmt: skip
def test_what_is_not_a_plain_array_in_this_file_is_refused(
    tmp_path: Path, build: Callable[[h5py.File, Path], None]
) -> None:
    other, path = tmp_path / "other.h5", tmp_path / "x.h5"
    names = (
        "'x'" if build is not _external_link else "a message 0x02"
    )  # it makes the root a group of a new style
    other.write_bytes(build_image({"x": SECRET}, {}))
    with h5py.File(path, "w") as file:
        _say(file, {"format": 1})
        build(file, other)
    for source in (path, path.read_bytes()):
        with (
            pytest.raises(
                StoreFormatError, match=rf"x\.h5 is damaged or is not a file of this store \(.*{names}"
            ),
            open_image(source, path) as file,
        ):
            plain_dataset(file, "x", 2, "f4")


@pytest.mark.parametrize("rows", [8, 1 << 20, 1 << 61], ids=["a little", "much", "overflowing"])
def test_a_size_beyond_the_file_is_refused(tmp_path: Path, rows: int) -> None:
    """The rows that a dataset claims are changed to more than the file has bytes for."""
    image = build_image({"x": np.zeros((7, 1000), np.float32)}, {})
    claimed = struct.pack("<QQ", 7, 1000)
    assert claimed in image
    path = tmp_path / "x.h5"
    path.write_bytes(image.replace(claimed, struct.pack("<QQ", rows, 1000)))
    with pytest.raises(StoreFormatError, match="damaged"), open_image(path, path) as file:
        plain_dataset(file, "x", 2, "f4")


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    image = build_image({"x": SECRET}, {"about": {"a": 1}})
    for length in {*range(0, len(image), 97), len(image) - 1}:
        path.write_bytes(image[:length])
        with pytest.raises(StoreFormatError, match=r"x\.h5 is damaged"), open_image(path, path):
            pass


@pytest.mark.parametrize("version", [2, 10**6, 0, -1, "one", "1", [1], True, 1.0, None])
def test_any_format_but_this_one_is_refused(tmp_path: Path, version: object) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        _say(file, {"format": version})
    with pytest.raises(StoreFormatError, match=r"x\.h5 is "), open_image(path, path):
        pass


def test_a_newer_format_says_how_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        _say(file, {"format": 2})
    with (
        pytest.raises(StoreFormatError, match=r"is of format 2, this embank reads formats up to 1\. Upgrade"),
        open_image(path, path),
    ):
        pass


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"3", b"{", b"[" * 100_000, b"", b"[]"],
    ids=["no text", "number", "cut", "deep", "empty", "list"],
)
def test_a_file_that_does_not_say_what_it_is_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["about"] = np.frombuffer(text, np.uint8)
    with pytest.raises(StoreFormatError, match="damaged"), open_image(path, path):
        pass


def test_a_file_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_image(tmp_path / "x.h5", tmp_path / "x.h5"):
        pass


def test_what_it_is_stands_there_as_json() -> None:
    with h5py.File(io.BytesIO(build_image({}, {"recipe": {"b": [1, 2], "a": "é"}}))) as file:
        text = file["about"][()].tobytes().decode()
    assert text == '{"format":1,"recipe":{"a":"\\u00e9","b":[1,2]}}'
