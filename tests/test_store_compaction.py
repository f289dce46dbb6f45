"""Compaction: the same rows in fewer files, at every moment, whatever stops it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import FeatureStore, StoreError, StoreFormatError, StoreNotFoundError, StoreWriter, compact
from store.columns import hashes_from_hex
from store.commit import checksum
from store.compaction import part_rows
from store.listing import OK, read_listing
from store.part import Part, PartRows
from store.recipes import space_id
from store.space import Space, part_files
from store.verify import verify

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32", "image_size": 224}
SPACE = space_id(RECIPE)
DIM = 3
ROW_BYTES = DIM * 4 + 18
Pair = tuple[int, int]
Rows = dict[Pair, tuple[float, ...]]


def _part(pairs: Sequence[Pair], shift: float = 0) -> PartRows:
    """Rows whose vector is the image's number, its view, and `shift`."""
    return PartRows(
        hash=hashes_from_hex([checksum(b"%d" % image) for image, _ in pairs]),
        view=np.array([view for _, view in pairs], np.int16),
        vectors=np.array([[image, view, shift] for image, view in pairs], np.float32).reshape(-1, DIM),
        key=[f"{image}.jpg" for image, _ in pairs],
        source=["photos"] * len(pairs),
    )


def _listing(images: Sequence[int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [f"{image}.jpg" for image in images], "hash": [checksum(b"%d" % image) for image in images],
            "bytes": 1, "mtime": 2, "width": 3, "height": 4, "status": OK, SPACE: True,
        }
    )  # fmt: skip


def _store(path: Path, parts: Sequence[Sequence[Pair]], shifts: bool = False) -> Path:
    writer = StoreWriter(path)
    writer.open_space(RECIPE)
    for number, pairs in enumerate(parts):
        writer.commit_part(RECIPE, _part(pairs, number if shifts else 0))
        images = sorted({image for image, view in pairs if view == 0})
        if images:
            writer.add_to_listing("photos", "/photos", _listing(images))
    return path


def _rows(path: Path) -> Rows:
    """What a reader sees: the vector of each (image, view)."""
    space = Space(path / "spaces" / SPACE)
    found: Rows = {}
    for view in range(3):
        numbers = space.find(hashes_from_hex([checksum(b"%d" % image) for image in range(12)]), view)
        here = np.flatnonzero(numbers >= 0)
        vectors = np.empty((len(here), DIM), np.float32)
        if len(here):
            space.read(numbers[here], vectors)
        found |= {(int(i), view): tuple(v) for i, v in zip(here, vectors.tolist(), strict=True)}
    assert len(found) == space.rows
    return found


def _files(path: Path) -> list[str]:
    return [file.name for file in part_files(path / "spaces" / SPACE)]


_PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), max_size=8)


@settings(deadline=None, max_examples=40)
@given(parts=st.lists(_PAIRS, max_size=7), target=st.integers(1, 30))
def test_rows_before_and_after_are_equal_and_once_is_enough(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Pair]], target: int
) -> None:
    path = _store(tmp_path_factory.mktemp("compact") / "s.embank", parts)
    before, images = _rows(path), FeatureStore(path).images()
    report = compact(path, target * ROW_BYTES)
    assert _rows(path) == before
    pd.testing.assert_frame_equal(FeatureStore(path).images(), images)
    assert verify(path).damage == []
    sizes = [part.rows for part in Space(path / "spaces" / SPACE).parts]
    assert report.parts_after == len(sizes) <= report.parts_before == len(parts)
    assert all(size <= max(target, *(len(set(pairs)) for pairs in parts)) for size in sizes)
    assert sum(sizes) == sum(map(len, parts)) - report.duplicates
    files = _files(path)
    compact(path, target * ROW_BYTES)
    assert _files(path) == files


@settings(deadline=None, max_examples=15)
@given(parts=st.lists(_PAIRS, min_size=1, max_size=6))
def test_of_rows_that_differ_the_first_one_stays_where_all_come_into_one_part(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[Pair]]
) -> None:
    path = _store(tmp_path_factory.mktemp("compact") / "s.embank", parts, shifts=True)
    before = _rows(path)
    report = compact(path)
    assert _rows(path) == before
    assert report.parts_after == 1
    assert report.duplicates == sum(map(len, parts)) - len(before)


def test_two_parts_that_fit_never_stay_two(tmp_path: Path) -> None:
    parts = [[(image, 0) for image in chosen] for chosen in ([0, 1, 2], [3, 4, 5], [6], [7, 8, 9, 10], [11])]
    path = _store(tmp_path / "s.embank", parts)
    compact(path, 4 * ROW_BYTES)
    assert sorted(part.rows for part in Space(path / "spaces" / SPACE).parts) == [4, 4, 4]


@pytest.mark.parametrize("size", [1, 3])
def test_a_copy_of_a_full_part_is_found_wherever_it_stands(tmp_path: Path, size: int) -> None:
    """What two compactions at once leave."""
    full, other = [(0, 0), (1, 0), (2, 0)], [(3, 0), (4, 0), (5, 0)]
    path = _store(tmp_path / "s.embank", [full, other, full])
    report = compact(path, size * ROW_BYTES)
    assert (report.parts_after, report.duplicates) == (2, 3)


def test_keys_and_sources_go_with_their_rows(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(5, 0), (1, 0)], [(1, 0), (9, 1)]])
    compact(path)
    (file,) = part_files(path / "spaces" / SPACE)
    part = Part.read(file)
    assert list(part_rows(part).key) == ["5.jpg", "1.jpg", "9.jpg"]
    assert part.view.tolist() == [0, 0, 1]


def test_many_listing_files_become_one_and_rows_keep_their_times(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(0, 0)], [(1, 0)], [(2, 0)]])
    directory = path / "sources" / "photos"
    before = read_listing(directory)
    report = compact(path)
    after = read_listing(directory)
    assert before
    assert after
    assert (report.listings_before, report.listings_after, len(after.files)) == (3, 1, 1)
    pd.testing.assert_frame_equal(after.table, before.table)
    assert after.location == before.location


class _Killed(BaseException):
    """Stands for kill -9: nothing that the process would do afterwards happens."""


_CALLS = ("open", "write", "fsync", "replace", "unlink", "rename", "mkdir")


class _Faults:
    """Counts the calls that change the disk, and makes the one of a number fail."""

    def __init__(self, at: int, kill: bool) -> None:
        self.at, self.kill, self.count = at, kill, 0

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.kill and self.count > self.at:
                raise _Killed
            if self.count == self.at:
                if name == "write":  # torn
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise _Killed if self.kill else OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **options)

        return call


def _run_with_fault(run: Callable[[], object], at: int, kill: bool) -> bool:
    """Whether `run` ended before the fault."""
    faults = _Faults(at, kill)
    with pytest.MonkeyPatch.context() as patch:
        for name in _CALLS:
            patch.setattr(os, name, faults.wrap(name, getattr(os, name)))
        try:
            run()
        except (_Killed, StoreError):
            assert faults.count >= at
    return faults.count < at


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "failing"])
def test_what_stops_it_at_any_step_loses_nothing_and_the_next_one_finishes(
    tmp_path: Path, kill: bool
) -> None:
    parts = [[(0, 0), (1, 0)], [(1, 0), (2, 1)], [(3, 0), (4, 0), (5, 0)], [(6, 0)]]
    sound = _store(tmp_path / "sound.embank", parts)
    rows, images = _rows(sound), FeatureStore(sound).images()
    for at in range(1, 1000):
        path = Path(shutil.copytree(sound, tmp_path / f"{at}.embank"))
        done = _run_with_fault(lambda path=path: compact(path, 4 * ROW_BYTES), at, kill)  # type: ignore[misc]
        assert _rows(path) == rows, at
        pd.testing.assert_frame_equal(FeatureStore(path).images(), images)
        assert verify(path).damage == [], at
        compact(path, 4 * ROW_BYTES)
        assert _rows(path) == rows, at
        assert len(_files(path)) == 2, at
        assert len(list((path / "sources" / "photos").glob("*.h5"))) == 1, at
        if done:
            break
    assert at > 20


def test_what_others_commit_meanwhile_is_not_touched(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(0, 0)], [(1, 0)], [(2, 0)], [(3, 0)]])
    other = StoreWriter(path)
    committed: list[Path] = []

    def commit(done: int, total: int) -> None:
        committed.append(other.commit_part(RECIPE, _part([(4 + len(committed), 0)])))
        other.add_to_listing("photos", "/photos", _listing([3 + len(committed)]))

    compact(path, 2 * ROW_BYTES, commit)
    assert len(committed) == 2
    assert all(part.exists() for part in committed)
    assert sorted(_rows(path)) == [(image, 0) for image in range(6)]
    assert len(FeatureStore(path).images()) == 6
    assert verify(path).ok


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(i, 0), ((i + 1) % 8, 0)] for i in range(8)])
    rows = _rows(path)

    def compact_too(done: int, total: int) -> None:
        compact(path, 7 * ROW_BYTES)

    compact(path, 5 * ROW_BYTES, compact_too)
    assert _rows(path) == rows
    compact(path)
    assert _rows(path) == rows
    assert len(_files(path)) == 1


def test_a_reader_that_opened_the_store_before_reads_on(tmp_path: Path) -> None:
    opened = FeatureStore(_store(tmp_path / "s.embank", [[(0, 0)], [(1, 0), (2, 0)], [(3, 0)]]))
    images, space = opened.images(), opened.space(SPACE)
    compact(opened.path)
    assert space.parts
    assert opened.vectors(SPACE, images)[:, 0].tolist() == [0, 1, 2, 3]


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def test_a_damaged_part_is_not_copied_under_a_sound_checksum(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(0, 0)], [(1, 0)]])
    part = Part.read(part_files(path / "spaces" / SPACE)[1])
    _flip(part.path, part.vectors_at)
    files = _files(path)
    with pytest.raises(StoreFormatError, match=rf"{part.path.name} is damaged.*Delete it and embed"):
        compact(path)
    assert _files(path) == files


def test_replaced_parts_stay_while_what_replaces_them_is_damaged(tmp_path: Path) -> None:
    path = _store(tmp_path / "s.embank", [[(0, 0)], [(1, 0)]])
    rows = _rows(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.compaction._remove", lambda path: None)
        compact(path)
    *old, new = part_files(path / "spaces" / SPACE)
    assert len(old) == 2
    _flip(new, Part.read(new).vectors_at)
    with pytest.raises(StoreFormatError, match=new.name):
        compact(path)
    new.unlink()
    assert _rows(path) == rows


def test_compacting_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        compact(tmp_path / "none.embank")
    assert not (tmp_path / "none.embank").exists()
