"""The cached index of a space: right or not used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from store import FeatureStore, StoreWriter
from store.part import Part, PartRows
from store.recipes import space_id

RECIPE = {"backbone": "Fake", "dtype": "float16"}
SPACE = space_id(RECIPE)


def _rows(first: int, count: int) -> PartRows:
    hashes = np.random.default_rng(first).integers(0, 256, (count, 16), dtype=np.uint8)
    vectors = np.random.default_rng(first + 1).normal(size=(count, 4)).astype(np.float16)
    names = [str(first + number) for number in range(count)]
    return PartRows(hashes, np.zeros(count, np.int16), vectors, names, ["s"] * count)


@pytest.fixture
def writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreWriter:
    monkeypatch.setattr("store.space.CACHED_ROWS", 10)
    writer = StoreWriter(tmp_path / "s.embank")
    for first in (0, 100, 200):
        writer.commit_part(RECIPE, _rows(first, 30))
    return writer


def _opened(writer: StoreWriter) -> dict[bytes, list[float]]:
    space = FeatureStore(writer.path).spaces[SPACE]
    found: dict[bytes, list[float]] = {}
    for first in (0, 100, 200, 300):
        rows = _rows(first, 30)
        places = space.find(rows.hash)
        there = np.flatnonzero(places >= 0)
        out = np.empty((len(there), 4), np.float32)
        space.read(places[there], out)
        found |= {rows.hash[row].tobytes(): vector for row, vector in zip(there, out.tolist(), strict=True)}
    return found


def _cache(writer: StoreWriter) -> list[Path]:
    return list((writer.path / "cache" / "spaces" / SPACE).glob("*.h5"))


def test_the_second_opening_reads_no_part(writer: StoreWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _opened(writer)
    assert len(first) == 90 and len(_cache(writer)) == 1
    monkeypatch.setattr(Part, "read", lambda path: pytest.fail(f"{path} was opened"))
    assert _opened(writer) == first


def test_the_columns_of_a_cached_index_stay_in_its_file(writer: StoreWriter) -> None:
    _opened(writer)
    index = FeatureStore(writer.path).spaces[SPACE]._index
    for column in (index.order, index.prefixes, index.hashes, index.views):
        assert not column.flags.owndata and not column.flags.writeable and column.flags.aligned


def test_another_part_makes_another_index(writer: StoreWriter) -> None:
    _opened(writer)
    writer.commit_part(RECIPE, _rows(300, 30))
    assert len(_opened(writer)) == 120
    assert len(_cache(writer)) == 1, "the index of the earlier parts is of no use any more"
    assert len(_opened(writer)) == 120


@pytest.mark.parametrize("place", [0, 600, -1])
def test_a_damaged_index_is_not_used(writer: StoreWriter, place: int) -> None:
    right = _opened(writer)
    (cached,) = _cache(writer)
    data = bytearray(cached.read_bytes())
    data[place] ^= 1
    cached.write_bytes(data)
    assert _opened(writer) == right


def test_a_store_that_cannot_be_written_does_without(writer: StoreWriter) -> None:
    (writer.path / "cache").write_text("in the way")
    assert len(_opened(writer)) == 90
    assert len(_opened(writer)) == 90
