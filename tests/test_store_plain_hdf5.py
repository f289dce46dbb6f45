"""The own reader of plain HDF5: what h5py reads it reads the same, and nothing makes it fail but with a sentence."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from store.commit import file_checksum
from store.errors import StoreFormatError
from store.hdf import build_image
from store.listing import OK, Listing, listing_image, read_listing
from store.part import Part, PartRows, part_image
from store.plain_hdf5 import PlainFile

GOLDEN = Path(__file__).parent / "data" / "v1" / "photos.embank"
_TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
_ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(f"<{name}") for name in _TYPES]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)
_NAMES = st.text(st.characters(exclude_characters="/.\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


def _file(image: bytes) -> PlainFile:
    return PlainFile(io.BytesIO(image))


def _assert_same(image: bytes) -> None:
    """Names, types, shapes, places and values are those that h5py sees."""
    ours = _file(image)
    with h5py.File(io.BytesIO(image)) as theirs:
        assert sorted(ours) == sorted(theirs)
        for name, dataset in ours.items():
            other = theirs[name]
            assert (dataset.dtype, dataset.shape, dataset.nbytes) == (other.dtype, other.shape, other.nbytes)
            assert dataset.offset == (other.id.get_offset() or 0)
            values = ours.array(dataset)
            assert values.tobytes() == other[()].tobytes()
            assert values.flags.writeable


@settings(deadline=None, max_examples=60)
@given(arrays=st.dictionaries(_NAMES, _ARRAYS, max_size=12))
def test_what_was_built_is_read_as_h5py_reads_it(arrays: dict[str, NDArray[Any]]) -> None:
    arrays.pop("about", None)
    _assert_same(build_image(arrays, {}))


@pytest.mark.parametrize("count", [0, 1, 8, 9, 40, 300, 700])
def test_any_number_of_datasets_is_read(count: int) -> None:
    """Eight names fill a symbol table node, 256 the root of the B-tree."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in np.random.default_rng(0).permutation(count):
            file[f"name {number}"] = np.full((number % 3, 2), number, "i4")
    _assert_same(buffer.getvalue())


def test_what_h5py_adds_by_itself_is_passed_over() -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["title"] = "a text of variable length"
        for number in range(3):
            dataset = file.create_dataset(f"{number}", data=np.arange(number + 5.0), track_times=True)
            dataset.attrs["unit"] = np.arange(4000)
            dataset.attrs["about"] = "é"
    _assert_same(buffer.getvalue())


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.rglob("*.h5")), ids=lambda path: f"{path.parent.name}-{path.name[:6]}"
)
def test_golden_files_are_read_as_h5py_reads_them(path: Path) -> None:
    _assert_same(path.read_bytes())


def _with_size(image: bytes, size: int) -> bytes:
    end = len(image).to_bytes(8, "little")
    assert image.count(end) == 1
    return image.replace(end, size.to_bytes(8, "little"))


def _tree_into_itself(image: bytes) -> bytes:
    """The root of the B-tree says that it is above itself."""
    at = image.index(b"TREE")
    changed = bytearray(image)
    changed[at + 5] = 200
    changed[at + 32 : at + 40] = at.to_bytes(8, "little")
    return bytes(changed)


def _header_into_itself(image: bytes) -> bytes:
    """The first message of the first dataset's header goes on at the header's own messages."""
    name_offset = image.index(b"SNOD") + 8
    header = int.from_bytes(image[name_offset + 8 : name_offset + 16], "little")
    changed = bytearray(image)
    changed[header + 2 : header + 4] = b"\xff\xff"
    changed[header + 16 : header + 24] = b"\x10\0\x10\0\0\0\0\0"
    changed[header + 24 : header + 40] = (header + 16).to_bytes(8, "little") + (24).to_bytes(8, "little")
    return bytes(changed)


def _two_at_one_place(image: bytes) -> bytes:
    """Both names lead to the first one's header."""
    at = image.index(b"SNOD") + 8
    return image[: at + 48] + image[at + 8 : at + 16] + image[at + 56 :]


def _vast_names(image: bytes) -> bytes:
    at = image.index(b"HEAP") + 8
    return image[:at] + (1 << 40).to_bytes(8, "little") + image[at + 8 :]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda image: image[:-1], "bytes"),
        (lambda image: b"", "beyond its end"),
        (lambda image: b"\0" * 512 + image, "does not begin as an HDF5 file"),
        (lambda image: image[:8] + b"\2" + image[9:], "does not begin as an HDF5 file"),
        (lambda image: _with_size(image, 1 << 60), "bytes"),
        (_tree_into_itself, "more than 1048576 bytes|no sound B-tree|share byte"),
        (_header_into_itself, "more than 1048576 bytes|share byte|there twice"),
        (_two_at_one_place, "share byte"),
        (_vast_names, "beyond its end"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_structures_that_lead_nowhere_or_in_circles_are_refused(
    change: Callable[[bytes], bytes], reason: str
) -> None:
    image = build_image({"x": np.arange(3), "y": np.arange(3)}, {})
    with pytest.raises(ValueError, match=reason):
        _file(change(image))


def test_two_datasets_may_not_share_their_bytes() -> None:
    image = bytearray(build_image({"x": np.arange(3), "y": np.arange(3)}, {}))
    x, y = (_file(bytes(image))[name].offset.to_bytes(8, "little") for name in "xy")
    assert image.count(x) == image.count(y) == 1
    with pytest.raises(ValueError, match="share byte"):
        _file(bytes(image.replace(y, x)))


# What a stranger may change: any byte, with all checksums made to fit again.

_RECIPE = {"backbone": "ResNet50", "dtype": "float32"}


@cache
def _part() -> bytes:
    rows = PartRows(
        np.arange(48, dtype=np.uint8).reshape(3, 16), np.zeros(3, np.int16), np.ones((3, 2), np.float32),
        ["a", "b", "c"], ["p"] * 3,
    )  # fmt: skip
    return part_image(rows, _RECIPE, ["000001-00000000-00000000000000000000000000000000.h5"])


@cache
def _listing() -> bytes:
    table = pd.DataFrame({"key": ["a", "é"], "hash": ["0" * 32, "1" * 32], "status": [OK, "bad"]})
    table = table.assign(bytes=1, mtime=2, width=3, height=4, listed=5, space=True)
    return listing_image(Listing("p", "/p", table), [])


@contextmanager
def _no_hanging(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@cache
def _place_of_vectors() -> tuple[int, int]:
    dataset = _file(_part())["vectors"]
    return dataset.offset, dataset.offset + dataset.nbytes


def _read_part(folder: Path, image: bytes) -> bool:
    """Whether this is read. The seal is made to fit where the vectors of the sound file are."""
    start, stop = _place_of_vectors()
    path = folder / "p.h5"
    path.write_bytes(image[:-16] + bytes.fromhex(file_checksum(image[:start], image[stop:-16])))
    try:
        part = Part.read(path)
    except StoreFormatError as error:
        assert "\n" not in str(error)
        return False
    assert part.vectors.shape == (part.rows, part.dim)
    assert len(part.hash) == len(part.view) == part.rows
    return True


def _read_listing(folder: Path, image: bytes) -> bool:
    path = folder / f"000001-{file_checksum(image)}.h5"
    path.write_bytes(image)
    try:
        listing = read_listing(folder)
    except StoreFormatError as error:
        assert "\n" not in str(error)
        return False
    finally:
        path.unlink()
    assert listing is not None
    assert listing.table["key"].str.len().ge(0).all()
    return True


_KINDS = {"part": (_part, _read_part, (0x01, 0xFF)), "listing": (_listing, _read_listing, (0xFF,))}


@pytest.mark.parametrize("kind", _KINDS)
def test_every_byte_flipped_under_right_checksums_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    make, read, masks = _KINDS[kind]
    image = make()
    outcomes = [read(tmp_path, image)]
    for at in range(len(image)):
        for mask in masks:
            with _no_hanging(10):
                outcomes.append(read(tmp_path, image[:at] + bytes([image[at] ^ mask]) + image[at + 1 :]))
    assert outcomes[0]
    assert outcomes.count(False) > 500


@pytest.mark.parametrize("kind", _KINDS)
def test_many_bytes_changed_under_right_checksums_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    make, read, _ = _KINDS[kind]
    image, rng = make(), np.random.default_rng(1)
    structures = np.flatnonzero(np.frombuffer(image, np.uint8))  # where something stands
    refused = 0
    for _ in range(600):
        changed = bytearray(image)
        values = [0, 1, 8, len(image), 1 << 31, (1 << 63) - 1, (1 << 64) - 1, int(rng.integers(len(image)))]
        for at in rng.choice(structures, rng.integers(1, 9)).tolist():
            width = int(rng.choice([1, 2, 4, 8]))
            value = values[rng.integers(len(values))]
            changed[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
        with _no_hanging(10):
            refused += not read(tmp_path, bytes(changed[: len(image)]))
    assert refused > 100
