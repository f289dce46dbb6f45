"""Merging: everything of both stores, once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import FeatureStore, StoreError, StoreFormatError, StoreWriter, compact, merge
from store.columns import hashes_from_hex
from store.commit import checksum
from store.labels import make_label_table
from store.listing import OK, Listing
from store.part import Part, PartRows
from store.recipes import space_id
from store.space import Space, part_files
from store.verify import verify

RECIPES: list[dict[str, Any]] = [{"backbone": name, "dtype": "float32"} for name in ("ResNet50", "Xception")]


def _rows(images: Sequence[int]) -> PartRows:
    hashes = [checksum(b"%d" % image) for image in images]
    vectors = np.array([[image, 1] for image in images], np.float32).reshape(-1, 2)
    views = np.zeros(len(images), np.int16)
    return PartRows(hashes_from_hex(hashes), views, vectors, list(map(str, images)), ["photos"] * len(images))


def _listing(images: Sequence[int], recipe: dict[str, Any]) -> pd.DataFrame:
    hashes = [checksum(b"%d" % image) for image in images]
    table = pd.DataFrame({"key": list(map(str, images)), "hash": hashes, "bytes": 1, "mtime": 2, "width": 3})
    return table.assign(height=4, status=OK, **{space_id(recipe): True})


def _store(path: Path, parts: Sequence[tuple[int, list[int]]], source: str = "photos") -> Path:
    """A store of parts, each a recipe and images."""
    writer = StoreWriter(path)
    for recipe, images in parts:
        writer.commit_part(RECIPES[recipe], _rows(images))
        writer.add_to_listing(source, "/" + source, _listing(images, RECIPES[recipe]))
    return path


def _seen(path: Path) -> dict[str, set[int]]:
    """Which images each space and each source has."""
    opened = FeatureStore(path)
    seen = {}
    for id_, space in opened.spaces.items():
        rows = space.find(_rows(range(10)).hash)
        vectors = np.empty((int((rows >= 0).sum()), 2), np.float32)
        space.read(rows[rows >= 0], vectors)
        seen[id_] = set(vectors[:, 0].astype(int).tolist())
        assert len(seen[id_]) == space.rows
    return seen | {name: set(listing.table["key"].astype(int)) for name, listing in opened.sources.items()}


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


_PARTS = st.lists(
    st.tuples(st.integers(0, 1), st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True)), max_size=4
)


@settings(deadline=None, max_examples=20)
@given(ours=_PARTS, theirs=_PARTS, compacted=st.sampled_from(["", "ours", "theirs", "after"]))
def test_a_merged_store_has_what_both_have_and_a_second_merge_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    ours: list[tuple[int, list[int]]],
    theirs: list[tuple[int, list[int]]],
    compacted: str,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    paths = _store(folder / "ours", ours), _store(folder / "theirs", theirs)
    if compacted in ("ours", "theirs"):
        compact(folder / compacted)
    before = [_seen(path) for path in paths]
    other_files = _files(paths[1])
    merge(*paths)
    expected = {
        name: before[0].get(name, set()) | before[1].get(name, set()) for name in {**before[0], **before[1]}
    }
    assert _seen(paths[0]) == expected
    assert verify(paths[0]).damage == []
    assert _files(paths[1]) == other_files
    if compacted == "after":
        compact(paths[0])
    files = _files(paths[0])
    report = merge(*paths)
    assert (report.parts, report.sources, report.labels) == (0, [], [])
    assert [file for file in _files(paths[0]) if file not in files] == []
    assert _seen(paths[0]) == expected


def test_a_copy_that_was_compacted_takes_the_place_of_its_own_parts(tmp_path: Path) -> None:
    path = _store(tmp_path / "ours", [(0, [1]), (0, [2])])
    shutil.copytree(path, tmp_path / "theirs")
    StoreWriter(tmp_path / "theirs").commit_part(RECIPES[0], _rows([3]))
    compact(tmp_path / "theirs")
    merge(path, tmp_path / "theirs")
    assert _seen(path)[space_id(RECIPES[0])] == {1, 2, 3}
    assert len(Space(path / "spaces" / space_id(RECIPES[0])).parts) == 1


def test_of_two_rows_of_a_key_the_later_one_counts_and_keeps_its_time(tmp_path: Path) -> None:
    for name, times in (("ours", [10, 40]), ("theirs", [30, 20])):
        table = _listing([1, 2], RECIPES[0]).assign(listed=times, width=times)
        writer = StoreWriter(tmp_path / name)
        writer.commit_part(RECIPES[0], _rows([1, 2]))
        writer.rewrite_listing(Listing("photos", "/photos", table))
    merge(tmp_path / "ours", tmp_path / "theirs")
    table = FeatureStore(tmp_path / "ours").sources["photos"].table.sort_values("key")
    assert table["width"].tolist() == table["listed"].tolist() == [30, 40]


def test_sources_of_one_name_from_two_places_need_another_name(tmp_path: Path) -> None:
    ours, theirs = _store(tmp_path / "ours", [(0, [1])]), tmp_path / "theirs"
    writer = StoreWriter(theirs)
    writer.commit_part(RECIPES[0], _rows([2]))
    writer.add_to_listing("photos", "/elsewhere", _listing([2], RECIPES[0]))
    labels, _ = make_label_table("coat", pd.DataFrame({"path": ["2"], "coat": ["long"]}), source="photos")
    writer.attach_labels(labels)
    files = _files(ours)
    with pytest.raises(
        StoreError, match=r"called 'photos'.*from /photos.*from /elsewhere.*--rename photos=NEW"
    ):
        merge(ours, theirs)
    with pytest.raises(StoreError, match="no source 'fotos' to rename; its sources: photos"):
        merge(ours, theirs, {"fotos": "x"})
    assert _files(ours) == files
    merge(ours, theirs, {"photos": "hers"})
    assert _seen(ours) == {space_id(RECIPES[0]): {1, 2}, "photos": {1}, "hers": {2}}
    images = FeatureStore(ours).images().set_index("source")
    assert images.loc["hers", "labels.coat"] == "long"
    assert merge(ours, theirs, {"photos": "hers"}).sources == []


def test_label_tables_of_one_name_are_both_kept(tmp_path: Path) -> None:
    stores = _store(tmp_path / "ours", [(0, [1])]), _store(tmp_path / "theirs", [(0, [1])])
    for path, coat in zip(stores, ("long", "short"), strict=True):
        table = pd.DataFrame({"path": ["1"], "coat": [coat]})
        StoreWriter(path).attach_labels(make_label_table("coat", table)[0])
    second = make_label_table("coat-2", pd.DataFrame({"path": ["1"], "coat": ["curly"]}))[0]
    StoreWriter(stores[1]).attach_labels(second)
    report = merge(*stores)
    assert report.renamed["coat"] == "coat-2"
    tables = FeatureStore(stores[0]).label_tables
    assert sorted(table.table["coat"].iloc[0] for table in tables.values()) == ["curly", "long", "short"]
    assert tables["coat"].table["coat"].tolist() == ["long"]
    assert merge(*stores).labels == []


def test_damaged_parts_do_not_come_in(tmp_path: Path) -> None:
    ours, theirs = _store(tmp_path / "ours", [(0, [1])]), _store(tmp_path / "theirs", [(0, [2])])
    (file,) = part_files(theirs / "spaces" / space_id(RECIPES[0]))
    data = bytearray(file.read_bytes())
    data[Part.read(file).vectors_at] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreFormatError, match=f"{file.name} is damaged"):
        merge(ours, theirs)
    assert _seen(ours)[space_id(RECIPES[0])] == {1}


def test_a_store_is_not_merged_with_itself(tmp_path: Path) -> None:
    path = _store(tmp_path / "ours", [(0, [1])])
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(StoreError, match="the same store"):
        merge(path, tmp_path / "link")
