"""A space: the vectors of all its parts as one table, of one recipe and no other."""

import json
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import store.space
from store.commit import checksum, commit_file, file_checksum
from store.errors import StoreFormatError
from store.part import Part, PartRows, part_image
from store.recipes import canonical_json, describe_difference, fingerprint, space_id
from store.space import Space, part_files, read_recipe
from store.writer import StoreWriter

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32", "image_size": 224}
OTHER = RECIPE | {"image_size": 160}


def _hash(image: int) -> bytes:
    return bytes.fromhex(checksum(b"%d" % image))


def _hashes(images: Sequence[int]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(map(_hash, images)), np.uint8).reshape(-1, 16)


def _rows(
    pairs: Sequence[tuple[int, int]], dim: int = 3, dtype: str = "float32", shift: float = 0
) -> PartRows:
    """Rows whose vector is the image's number, its view, and `shift` beyond."""
    vectors = np.full((len(pairs), dim), shift, dtype)
    if pairs:
        vectors[:, :2] = pairs
    return PartRows(
        hash=_hashes([image for image, _ in pairs]),
        view=np.array([view for _, view in pairs], np.int16),
        vectors=vectors,
        key=[f"{image}.jpg" for image, _ in pairs],
        source=["photos"] * len(pairs),
    )


def _commit(path: Path, *parts: PartRows, recipe: dict[str, Any] = RECIPE) -> Path:
    """The directory of the space in a new store of these parts."""
    writer = StoreWriter(path)
    id_ = writer.open_space(recipe)
    for part in parts:
        writer.commit_part(recipe, part)
    return path / "spaces" / id_


_PAIR = st.tuples(st.integers(0, 9), st.integers(0, 2))


@settings(deadline=None, max_examples=50)
@given(
    parts=st.lists(st.lists(_PAIR, max_size=8), max_size=4),
    asked=st.lists(st.integers(0, 9), max_size=12),
    view=st.integers(0, 2),
    dtype=st.sampled_from(["float32", "float16"]),
)
def test_rows_are_found_in_any_part_and_read_in_the_order_asked(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[tuple[int, int]]],
    asked: list[int],
    view: int,
    dtype: str,
) -> None:
    rows = [_rows(pairs, dtype=dtype, shift=number) for number, pairs in enumerate(parts)]
    space = Space(_commit(tmp_path_factory.mktemp("space") / "s.embank", *rows))
    first: dict[tuple[int, int], int] = {}
    for number, pairs in enumerate(parts):
        for pair in pairs:
            first.setdefault(pair, number)
    assert space.rows == len(first)
    assert space.dim == (3 if parts else 0)

    found = space.find(_hashes(asked), view)
    assert (found >= 0).tolist() == [(image, view) in first for image in asked]
    present = [image for image in asked if (image, view) in first]
    out = np.full((len(present), 3), np.nan, np.float32)
    space.read(found[found >= 0], out)
    assert out.tolist() == [[image, view, first[image, view]] for image in present]


def test_a_pair_that_two_writers_wrote_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "s.embank"
    one, other = StoreWriter(path), StoreWriter(path)
    id_ = one.open_space(RECIPE)
    other.open_space(RECIPE)
    paths = [writer.commit_part(RECIPE, _rows([(1, 0), (2, 0)])) for writer in (one, other)]
    assert paths[0].name != paths[1].name
    assert paths[0].name.partition("-")[0] == paths[1].name.partition("-")[0] == "000001"
    space = Space(path / "spaces" / id_)
    assert (space.rows, len(space.parts)) == (2, 2)


def test_numbers_of_parts_go_on_where_the_last_writer_ended(tmp_path: Path) -> None:
    _commit(tmp_path / "s.embank", _rows([(1, 0)]), _rows([(2, 0)]))
    directory = _commit(tmp_path / "s.embank", _rows([(3, 0)]))
    assert [path.name.partition("-")[0] for path in part_files(directory)] == ["000001", "000002", "000003"]
    assert Space(directory).rows == 3


def test_superseded_parts_are_ignored(tmp_path: Path) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0), (2, 0)]), _rows([(3, 0)]), _rows([(4, 0)]))
    compacted = _rows([(1, 0), (2, 0), (3, 0)], shift=7)
    superseded = [path.name for path in part_files(directory)[:2]]
    commit_file(directory, "000004-00000000", ".h5", part_image(compacted, RECIPE, superseded))
    space = Space(directory)
    assert (space.rows, len(space.parts)) == (4, 2)
    out = np.zeros((2, 3), np.float32)
    space.read(space.find(_hashes([2, 4])), out)
    assert out.tolist() == [[2, 0, 7], [4, 0, 0]]


def test_a_part_that_a_compaction_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)]))
    real = store.space.part_files
    listed = iter([[directory / "000001-00000000-gone.h5", *real(directory)]])
    monkeypatch.setattr(store.space, "part_files", lambda path: next(listed, None) or real(path))
    assert Space(directory).rows == 1


def test_other_files_of_the_directory_are_not_parts(tmp_path: Path) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)]))
    (directory / ".tmp-00000000-1-00000000").write_bytes(b"half a part")
    (directory / "notes.txt").write_bytes(b"mine")
    assert Space(directory).rows == 1


def test_a_part_of_another_recipe_is_refused(tmp_path: Path) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)]))
    foreign = _commit(tmp_path / "s.embank", _rows([(2, 0)]), recipe=OTHER)
    shutil.copy(part_files(foreign)[0], directory)
    with pytest.raises(StoreFormatError, match=f"is foreign: .* {foreign.name} .* lies in {directory.name}"):
        Space(directory)


def test_parts_of_different_dimensions_are_refused(tmp_path: Path) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)], dim=3), _rows([(2, 0)], dim=4))
    with pytest.raises(StoreFormatError, match="with 4 dimensions"):
        Space(directory)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff", b"{", b"[]", b"3", b"null", b"{}", b'{"backbone": "ResNet50", "dtype": NaN}',
        canonical_json(OTHER).encode(),
    ],
)  # fmt: skip
def test_a_recipe_that_does_not_fit_its_space_is_refused(tmp_path: Path, data: bytes) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)]))
    (directory / "recipe.json").write_bytes(data)
    with pytest.raises(StoreFormatError, match=r"recipe\.json (is damaged|does not fit its space)"):
        Space(directory)


def test_a_space_without_its_recipe_is_refused(tmp_path: Path) -> None:
    directory = _commit(tmp_path / "s.embank", _rows([(1, 0)]))
    (directory / "recipe.json").unlink()
    with pytest.raises(StoreFormatError, match=r"has no recipe\.json"):
        Space(directory)
    _commit(tmp_path / "s.embank")
    assert Space(directory).rows == 1


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_RECIPES = st.dictionaries(st.text(), _VALUES | st.lists(_VALUES, max_size=3), max_size=6).map(
    lambda settings: {**settings, "backbone": "ResNet50"}
)


@settings(deadline=None)
@given(recipe=_RECIPES)
def test_a_recipe_and_its_file_have_one_fingerprint(recipe: dict[str, Any]) -> None:
    text = canonical_json(recipe)
    assert text.isascii()
    assert canonical_json(json.loads(text)) == text
    shuffled = dict(reversed(recipe.items()))
    assert fingerprint(shuffled) == fingerprint(recipe)
    assert space_id(recipe) == f"ResNet50-{fingerprint(recipe)}"


@settings(deadline=None)
@given(ours=_RECIPES, theirs=_RECIPES)
def test_recipes_that_differ_have_different_fingerprints(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    if canonical_json(ours) != canonical_json(theirs):
        assert fingerprint(ours) != fingerprint(theirs)


def test_a_difference_names_each_setting() -> None:
    ours = {"backbone": "ResNet50", "pooling": "avg", "image_size": 224}
    theirs = {"backbone": "ResNet50", "image_size": 160, "augment": "flip"}
    assert (
        describe_difference(ours, theirs) == "pooling avg → none, image_size 224 → 160, augment none → flip"
    )


def test_the_fingerprint_can_be_made_without_embank() -> None:
    """`printf '{"backbone":"B","size":224}' | sha256sum`, the first 12 digits: written down in format.md."""
    assert canonical_json({"size": 224, "backbone": "B"}) == '{"backbone":"B","size":224}'
    assert fingerprint({"size": 224, "backbone": "B"}) == "f34787911fab"


def test_reading_a_recipe_gives_what_was_written(tmp_path: Path) -> None:
    assert read_recipe(_commit(tmp_path / "s.embank")) == RECIPE


def test_an_empty_space_has_no_rows(tmp_path: Path) -> None:
    space = Space(_commit(tmp_path / "s.embank"))
    assert (space.rows, space.dim, space.dtype) == (0, 0, "float32")
    assert space.find(_hashes([1, 2])).tolist() == [-1, -1]


def test_a_part_is_named_by_its_bytes(tmp_path: Path) -> None:
    (path,) = part_files(_commit(tmp_path / "s.embank", _rows([(1, 0)])))
    assert path.stem.rpartition("-")[2] == file_checksum(path.read_bytes())
    assert Part.read(path).path == path


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_gather_takes_no_more_memory_than_its_result(
    tmp_path: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.space._READERS", 2)  # each holds a block of 512 rows at a time
    recipe = RECIPE | {"dtype": dtype}
    pairs = [[(image, 0) for image in range(start, start + 8000)] for start in (0, 8000)]
    space = Space(_commit(tmp_path / "s.embank", *(_rows(each, 256, dtype) for each in pairs), recipe=recipe))
    rows = np.random.default_rng(0).permutation(16_000)
    out = np.empty((len(rows), 256), np.float32)
    space.read(rows[:10], out[:10])
    tracemalloc.start()
    try:
        space.read(rows, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < out.nbytes / 4
