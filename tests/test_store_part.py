"""Parts: every row comes back as it was written, and what is no sound part is refused."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from store.columns import unpack_strings
from store.errors import StoreFormatError
from store.hdf import build_image, open_image, read_array
from store.part import PART_NAME, Part, PartRows, part_image

RECIPE = {"backbone": "ResNet50", "dtype": "float32", "image_size": 224}


def _rows(n: int, dim: int = 3, dtype: str = "float32", seed: int = 0) -> PartRows:
    random = np.random.default_rng(seed)
    return PartRows(
        hash=random.integers(0, 256, (n, 16), dtype=np.uint8),
        view=random.integers(0, 3, n, dtype=np.int16),
        vectors=random.normal(size=(n, dim)).astype(dtype),
        key=[f"ä/{i}.jpg" for i in range(n)],
        source=["photos"] * n,
    )


@st.composite
def part_rows(draw: st.DrawFn) -> PartRows:
    """Any rows that a part can hold: no row at all, float16, every bit pattern, memory in any order."""
    n, dim = draw(st.integers(0, 12)), draw(st.integers(1, 9))
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    vectors = draw(hnp.arrays(dtype, (n, dim)))
    hashes = draw(hnp.arrays(np.uint8, (n, 16)))
    if draw(st.booleans()):
        vectors, hashes = np.asfortranarray(vectors), np.asfortranarray(hashes)
    texts = st.lists(st.text(max_size=6), min_size=n, max_size=n)
    return PartRows(hashes, draw(hnp.arrays(np.int16, n)), vectors, draw(texts), draw(texts))


@settings(deadline=None)
@given(rows=part_rows(), supersedes=st.lists(st.text("0-af.h5", max_size=9), max_size=3))
def test_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: PartRows, supersedes: list[str]
) -> None:
    path = tmp_path_factory.mktemp("part") / "p.h5"
    path.write_bytes(part_image(rows, RECIPE, supersedes))
    part = Part.read(path)
    assert (part.rows, part.dim) == rows.vectors.shape
    assert part.dtype == rows.vectors.dtype
    assert part.vectors.tobytes() == rows.vectors.tobytes()
    assert np.array_equal(part.hash, rows.hash)
    assert np.array_equal(part.view, rows.view)
    assert part.recipe == RECIPE
    assert part.supersedes == tuple(supersedes)
    with open_image(path, path) as file:
        for name, expected in (("key", rows.key), ("source", rows.source)):
            column = unpack_strings(read_array(file, name, 1, "u1"), read_array(file, f"{name}_end", 1, "i8"))
            assert column.tolist() == expected


def test_vectors_are_mapped_read_only(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    path.write_bytes(part_image(_rows(5), RECIPE))
    vectors = Part.read(path).vectors
    assert isinstance(vectors, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0


def test_every_flipped_byte_around_the_vectors_is_refused(tmp_path: Path) -> None:
    path, image = tmp_path / "p.h5", part_image(_rows(3), RECIPE)
    path.write_bytes(image)
    part = Part.read(path)
    vectors = range(part.vectors_at, part.vectors_at + part.rows * part.dim * part.dtype.itemsize)
    places = [place for place in range(len(image)) if place not in vectors][::7]
    refused = 0
    for place in places:
        path.write_bytes(image[:place] + bytes([image[place] ^ 0x10]) + image[place + 1 :])
        with pytest.raises(StoreFormatError, match="damaged"):
            Part.read(path)
        refused += 1
    assert refused > 500


def test_any_hdf5_tool_reads_a_part(tmp_path: Path) -> None:
    path, rows = tmp_path / "p.h5", _rows(5)
    path.write_bytes(part_image(rows, RECIPE))
    with h5py.File(path) as file:
        assert np.array_equal(file["vectors"][()], rows.vectors)
        assert np.array_equal(file["hash"][()], rows.hash)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("000001-0123abcd-0123456789abcdef0123456789abcdef.h5", True),
        ("1234567-0123abcd-0123456789abcdef0123456789abcdef.h5", True),
        ("00001-0123abcd-0123456789abcdef0123456789abcdef.h5", False),
        ("000001-0123ABCD-0123456789abcdef0123456789abcdef.h5", False),
        ("000001-0123abcd-0123456789abcdef.h5", False),
        ("000001-0123abcd-0123456789abcdef0123456789abcdef.h5.part", False),
        (".tmp-0123abcd-1-0123abcd", False),
    ],
)
def test_names_of_parts(name: str, fits: bool) -> None:
    assert bool(PART_NAME.fullmatch(name)) is fits


def _datasets(**changes: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
    rows = _rows(4)
    given = {"vectors": rows.vectors, "hash": rows.hash, "view": rows.view} | changes
    return {name: array for name, array in given.items() if array is not None}


def _attributes(**changes: object) -> dict[str, object]:
    return {"recipe": RECIPE, "supersedes": []} | changes


@pytest.mark.parametrize(
    ("datasets", "attributes"),
    [
        (_datasets(vectors=None), _attributes()),
        (_datasets(hash=None), _attributes()),
        (_datasets(view=None), _attributes()),
        (_datasets(vectors=np.zeros((3, 3), np.float32)), _attributes()),
        (_datasets(hash=np.zeros((5, 16), np.uint8)), _attributes()),
        (_datasets(hash=np.zeros((4, 20), np.uint8)), _attributes()),
        (_datasets(view=np.zeros(3, np.int16)), _attributes()),
        (_datasets(vectors=np.zeros((4, 3), np.int32)), _attributes()),
        (_datasets(), {"recipe": RECIPE}),
        (_datasets(), {"supersedes": []}),
        (_datasets(), _attributes(recipe=3)),
        (_datasets(), _attributes(recipe={})),
        (_datasets(), _attributes(recipe="ResNet50")),
        (_datasets(), _attributes(recipe=None)),
        (_datasets(), _attributes(supersedes=None)),
        (_datasets(), _attributes(supersedes=7)),
    ],
)
def test_what_is_no_sound_part_is_refused(
    tmp_path: Path, datasets: dict[str, NDArray[Any]], attributes: dict[str, object]
) -> None:
    path = tmp_path / "p.h5"
    path.write_bytes(build_image(datasets, attributes))
    with pytest.raises(StoreFormatError, match=re.escape(f"{path} is damaged")):
        Part.read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"hash": np.zeros((4, 16), np.uint16)},
        {"view": np.zeros(4, np.int64)},
        {"vectors": np.zeros((4, 3), np.float64)},
    ],
    ids=["hash", "view", "vectors"],
)
def test_a_wrong_width_of_a_type_is_refused(tmp_path: Path, change: dict[str, NDArray[Any]]) -> None:
    path = tmp_path / "p.h5"
    path.write_bytes(build_image(_datasets(**change), _attributes()))
    with pytest.raises(StoreFormatError, match="damaged"):
        Part.read(path)


def test_a_part_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Part.read(tmp_path / "p.h5")


def _outcome(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        Part.read(path)
    except StoreFormatError:
        return "refused"
    return "read"


def test_a_part_cut_anywhere_is_refused(tmp_path: Path) -> None:
    image = part_image(_rows(4), RECIPE)
    for length in {*range(0, len(image), 61), len(image) - 1}:
        assert _outcome(tmp_path / "p.h5", image[:length]) == "refused"
