"""Stores on object storage, on fsspec's memory:// file system, beside the same on a disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from store import (
    FeatureStore,
    StoreError,
    StoreFormatError,
    StoreNotFoundError,
    StoreWriteError,
    StoreWriter,
    compact,
    merge,
    remove_source,
    remove_space,
)
from store.claims import Claims
from store.errors import StoreReadError
from store.labels import LabelTable
from store.object_file import ObjectFile, read_places
from store.object_path import ObjectPath, store_path
from store.part import PartRows
from store.recipes import space_id
from store.space import part_files
from store.thumbnail_cache import Thumbnail, ThumbnailCache
from store.verify import verify
from tests.small_banks import RECIPE, small_bank

if TYPE_CHECKING:
    from tests.conftest import Embank, FakeEngines

KEYS = [f"{'cats' if number % 2 else 'dogs'}/{number}.jpg" for number in range(40)]
VECTORS = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, memory: MemoryFileSystem) -> Callable[[str], Path]:
    """`place(name)` is where a store may be, on a disk and on an object store."""
    return lambda name: store_path(
        f"memory://bucket/{name}" if request.param == "memory" else tmp_path / name
    )


def _parts(path: Path) -> list[Path]:
    (space,) = (path / "spaces").iterdir()
    return part_files(space)


def _rows(first: int, count: int) -> PartRows:
    hashes = np.random.default_rng(first).integers(0, 256, (count, 16), dtype=np.uint8)
    vectors = np.random.default_rng(first + 1).normal(size=(count, 8)).astype(np.float32)
    names = [f"{first + number}.jpg" for number in range(count)]
    return PartRows(hashes, np.zeros(count, np.int16), vectors, names, ["photos"] * count)


def test_what_is_banked_is_read_back(place: Callable[[str], Path]) -> None:
    store = small_bank(place("a.embank"), KEYS, [VECTORS])
    images = store.images()
    order = [KEYS.index(key) for key in images["key"]]
    assert np.array_equal(store.vectors("Fake", images), VECTORS[order])
    mixed = images.sample(frac=1, random_state=3).iloc[:17]
    assert np.array_equal(store.vectors("Fake", mixed), VECTORS[[KEYS.index(key) for key in mixed["key"]]])
    summary = store.summary()
    assert (summary["images"], summary["spaces"][store.space("Fake").id]["parts"]) == (40, 2)
    assert summary["bytes"] > VECTORS.nbytes


def test_half_precision_and_repeated_rows_are_read_too(place: Callable[[str], Path]) -> None:
    writer = StoreWriter(place("a.embank"))
    rows, recipe = _rows(0, 30), RECIPE | {"dtype": "float16"}
    halves = PartRows(rows.hash, rows.view, rows.vectors.astype(np.float16), rows.key, rows.source)
    writer.commit_part(recipe, halves)
    space = FeatureStore(writer.path).spaces[space_id(recipe)]
    wanted = np.array([29, 0, 7, 7, 3])
    out = np.zeros((5, 8), np.float32)
    space.read(wanted, out)
    assert np.array_equal(out, rows.vectors.astype(np.float16)[wanted].astype(np.float32))


def test_a_store_is_sound_until_a_byte_of_it_is_not(place: Callable[[str], Path]) -> None:
    path = small_bank(place("a.embank"), KEYS, [VECTORS]).path
    assert verify(path).ok and verify(path).rows == 40
    part = _parts(path)[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.put(bytes(data)) if isinstance(part, ObjectPath) else part.write_bytes(data)
    damage = verify(path).damage
    assert damage[0].file == part.relative_to(path).as_posix() and "checksum" in damage[0].what
    with pytest.raises(StoreFormatError, match="damaged"):
        compact(path)
    part.unlink()
    assert "a part is missing" in verify(path).damage[0].what


def test_a_part_that_was_cut_short_is_one_sentence(place: Callable[[str], Path]) -> None:
    store = small_bank(place("a.embank"), KEYS, [VECTORS])
    images, space = store.images(), store.space("Fake")
    part = _parts(store.path)[1]
    short = part.read_bytes()[: space.parts[1].vectors_at + 100]
    part.put(short) if isinstance(part, ObjectPath) else part.write_bytes(short)
    with pytest.raises(StoreFormatError, match=r"ends before its vectors do"):
        store.vectors("Fake", images)


def test_compaction_keeps_every_row_and_removes_what_it_replaced(place: Callable[[str], Path]) -> None:
    store = small_bank(place("a.embank"), KEYS, [VECTORS])
    before = store.vectors("Fake", images := store.images())
    report = compact(store.path)
    assert (report.parts_before, report.parts_after, len(_parts(store.path))) == (2, 1, 1)
    assert np.array_equal(store.vectors("Fake", images), before), "a reader from before reads on"
    assert np.array_equal(FeatureStore(store.path).vectors("Fake", images), before)
    assert verify(store.path).ok


@pytest.mark.parametrize("other", ["memory://bucket/other.embank", "{}/other.embank"])
def test_stores_are_merged_across_kinds(place: Callable[[str], Path], other: str, tmp_path: Path) -> None:
    theirs = small_bank(place("a.embank"), KEYS, [VECTORS])
    ours = StoreWriter(other.format(tmp_path)).path
    assert merge(ours, theirs.path).rows == 40
    images = theirs.images()
    merged = FeatureStore(ours)
    pd.testing.assert_frame_equal(merged.images(), images)
    assert np.array_equal(merged.vectors("Fake", images), theirs.vectors("Fake", images))
    assert merge(ours, theirs.path).rows == 0


def test_removal_leaves_nothing(place: Callable[[str], Path]) -> None:
    store = small_bank(place("a.embank"), KEYS, [VECTORS])
    remove_space(store.path, "Fake")
    assert not FeatureStore(store.path).spaces and verify(store.path).ok
    remove_source(store.path, "photos")
    assert FeatureStore(store.path).images().empty
    with pytest.raises(StoreError, match="no source"):
        remove_source(store.path, "photos")


def test_label_tables_and_thumbnails(place: Callable[[str], Path]) -> None:
    store = small_bank(place("a.embank"), KEYS, [VECTORS])
    writer = StoreWriter(store.path)
    table = pd.DataFrame({"key": KEYS, "sex": ["f", "m"] * 20})
    writer.attach_labels(LabelTable("sexes", "key", None, table))
    writer.attach_labels(LabelTable("sexes", "key", None, table.assign(sex="f")))
    assert set(FeatureStore(store.path).images()["labels.sex"]) == {"f"}
    cache = ThumbnailCache.of(store.path, 96)
    hashes = store.images()["hash"].tolist()
    made = {hash_: Thumbnail(b"\xff\xd8\xff" + hash_.encode(), (1, 2, 3)) for hash_ in hashes}
    for some in (hashes[:20], hashes[20:]):
        cache.add({hash_: made[hash_] for hash_ in some})
    assert cache.find(hashes) == made


def test_what_is_no_store_is_said(place: Callable[[str], Path]) -> None:
    with pytest.raises(StoreNotFoundError, match=r"there is no store at .*none\.embank"):
        FeatureStore(place("none.embank"))
    path = StoreWriter(place("a.embank")).path
    file = path / "embank.json"
    file.put(b'{"format": 99}') if isinstance(file, ObjectPath) else file.write_text('{"format": 99}')
    with pytest.raises(StoreFormatError, match="of format 99"):
        FeatureStore(path)


class _Counted:
    """What a file system was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        for name in ("ls", "find", "info", "cat_file", "pipe_file", "_rm"):
            monkeypatch.setattr(MemoryFileSystem, name, self._counting(name, getattr(MemoryFileSystem, name)))

    def _counting(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(files: MemoryFileSystem, path: str, *arguments: Any, **options: Any) -> Any:
            self.calls.append((name, str(path)))
            return call(files, path, *arguments, **options)

        return counted

    def of(self, name: str, ending: str = "") -> int:
        return sum(call == name and path.endswith(ending) for call, path in self.calls)


def test_an_index_spares_the_opening_of_each_part(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = StoreWriter("memory://bucket/a.embank")
    for first in range(0, 400, 10):
        writer.commit_part(RECIPE, _rows(first, 3))
    counted = _Counted(monkeypatch)
    assert FeatureStore(writer.path).space("Fake").rows == 120
    assert counted.of("cat_file") <= 40 + 2, "a read for each part, the recipe and embank.json"
    for fresh in ([], [1000]):  # a new part is the only one that is opened
        for first in fresh:
            writer.commit_part(RECIPE, _rows(first, 3))
        counted.calls.clear()
        space = FeatureStore(writer.path).space("Fake")
        assert space.rows == 120 + 3 * len(fresh)
        assert counted.of("cat_file") == 3 + len(fresh), "embank.json, the recipe, the index, the new part"
        assert len(counted.calls) < 20
        for first in (0, 390, *fresh):
            rows = _rows(first, 3)
            out = np.zeros((3, 8), np.float32)
            space.read(space.find(rows.hash), out)
            assert np.array_equal(out, rows.vectors)


def test_an_index_of_parts_that_were_compacted_or_deleted_is_right(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = StoreWriter("memory://bucket/a.embank")
    paths = [writer.commit_part(RECIPE, _rows(first, 3)) for first in range(0, 400, 10)]
    assert FeatureStore(writer.path).space("Fake").rows == 120
    paths[3].unlink()
    assert FeatureStore(writer.path).space("Fake").rows == 117
    both = _rows(0, 3), _rows(10, 3)
    rows = PartRows(
        np.concatenate([one.hash for one in both]),
        np.concatenate([one.view for one in both]),
        np.concatenate([one.vectors for one in both]),
        [*both[0].key, *both[1].key],
        ["photos"] * 6,
    )
    new = writer.commit_part(RECIPE, rows, [path.name for path in paths[:2]])
    space = FeatureStore(writer.path).space("Fake")
    assert (space.rows, len(space.parts)) == (117, 38), "two are superseded, and one is gone"
    new.unlink()
    space = FeatureStore(writer.path).space("Fake")
    assert (space.rows, len(space.parts)) == (117, 39), "what it superseded counts again"


def test_few_rows_of_a_part_are_not_read_with_all(memory: MemoryFileSystem) -> None:
    path = ObjectPath("memory://bucket/big")
    path.put(bytes(range(256)) * 40_000)
    asked: list[tuple[int, int]] = []

    class Watched(ObjectPath):
        def read_ranges(self, ranges: Any) -> list[bytes]:
            asked.extend(ranges)
            return super().read_ranges(ranges)

    places = np.array([0, 4, 1000, 5_000_000, 9_999_996])
    found = [(rows, data) for rows, data in read_places(Watched(str(path)), places, 4)]
    assert asked == [(0, 1004), (5_000_000, 5_000_004), (9_999_996, 10_000_000)]
    records = np.concatenate([data for _, data in found])
    assert records[:, 0].tolist() == [place % 256 for place in places]


@given(starts=st.lists(st.integers(0, 990), min_size=1, max_size=30).map(sorted), gap=st.integers(0, 200))
def test_records_are_those_at_their_places(starts: list[int], gap: int) -> None:
    path = ObjectPath("memory://bucket/given")
    data = np.random.default_rng(0).integers(0, 256, 1000, dtype=np.uint8)
    path.put(data.tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.object_file._LARGEST_GAP", gap)
        patch.setattr("store.object_file._LARGEST_RANGE", 100)
        patch.setattr("store.object_file._AT_ONCE", 150)
        places = np.array(starts)
        out = np.zeros((len(places), 10), np.uint8)
        for rows, records in read_places(path, places, 10):
            out[rows] = records
    assert np.array_equal(out, np.stack([data[start : start + 10] for start in starts]))


@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 60)), max_size=8))
def test_an_object_is_a_file(reads: list[tuple[int, int]]) -> None:
    path = ObjectPath("memory://bucket/file")
    data = bytes(range(100))
    path.put(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("store.object_file._HEAD", 30)
        file = ObjectFile(path)
        for start, count in reads:
            file.seek(start)
            assert file.read(count) == data[start : start + count]


def test_a_put_that_fails_acknowledges_nothing(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = StoreWriter("memory://bucket/a.embank")
    writer.commit_part(RECIPE, _rows(0, 3))

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionResetError("the connection was reset")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", refuse)
    with pytest.raises(
        StoreWriteError, match=r"could not write memory://bucket.*was reset.*Nothing that was"
    ):
        writer.commit_part(RECIPE, _rows(10, 3))
    assert FeatureStore(writer.path).space("Fake").rows == 3
    assert verify(writer.path).ok


def test_a_network_that_is_lost_is_one_sentence(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = small_bank(store_path("memory://bucket/a.embank"), KEYS, [VECTORS])
    images = store.images()
    _ = store.spaces

    def lost(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(MemoryFileSystem, "cat_file", lost)
    with pytest.raises(
        StoreReadError, match=r"could not be read: no answer in time.*credentials and the network"
    ):
        store.vectors("Fake", images)
    with pytest.raises(StoreReadError, match="no answer in time"):
        FeatureStore(store.path)


def test_a_path_on_an_object_store_never_touches_the_disk(memory: MemoryFileSystem) -> None:
    path = store_path("memory://bucket/a.embank")
    for touch in (path.touch, path.rmdir, path.read_text, lambda: path.rename("b")):
        with pytest.raises(TypeError, match="on an object store"):
            touch()
    assert store_path(Path("memory://bucket/a.embank")) == path == store_path(path)
    assert str(path / "x") == "memory://bucket/a.embank/x"
    assert not isinstance(store_path("C:/x"), ObjectPath) and not isinstance(store_path("a/b"), ObjectPath)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nothing://bucket/a.embank", "no object store"),
        ("https://example.invalid/a.embank", "no object store"),
        ("sftp://host/a.embank", "no object store"),
    ],
)
def test_a_url_that_cannot_be_opened_is_said(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        FeatureStore(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [("s3://b/a.embank", r"pip install 'embank\[s3\]'"), ("gs://b/a.embank", "Please install gcsfs")],
)
def test_a_missing_package_is_named(url: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(StoreError, match=f"its package is missing.*{says}"):
        FeatureStore(url)


def test_one_of_two_claims_a_unit(place: Callable[[str], Path]) -> None:
    path = StoreWriter(place("a.embank")).path
    with Claims(path, "photos", ["a-1", "b-2"]) as ours, Claims(path, "photos", ["b-2", "a-1"]) as theirs:
        assert ours.take("unit")
        assert not theirs.take("unit")
        ours.release("unit")
        assert theirs.take("unit")


def test_one_of_many_threads_claims_a_unit(place: Callable[[str], Path]) -> None:
    path = StoreWriter(place("a.embank")).path
    claims = [Claims(path, "photos", ["a-1"]) for _ in range(8)]
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: taken.append(one.take("unit"))) for one in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(True) == 1


def test_the_command_line_takes_urls(
    memory: MemoryFileSystem, embank: Embank, photos: Path, fake_engine: FakeEngines, tmp_path: Path
) -> None:
    url, local = "memory://bucket/pets.embank", tmp_path / "pets.embank"
    for store in (url, local):
        ran = embank("embed", photos, store, "--backbone", "MobileNetV2", "--weights", "none", "--json")
        assert (ran.code, ran.json["embedded"]) == (0, 8), ran.err
    again = embank("embed", photos, url, "--backbone", "MobileNetV2", "--weights", "none", "--json")
    assert (again.code, again.json["skipped"]) == (0, 8)
    theirs, ours = FeatureStore(url), FeatureStore(local)
    pd.testing.assert_frame_equal(theirs.images(), ours.images())
    space = next(iter(ours.spaces))
    assert np.array_equal(theirs.vectors(space), ours.vectors(space))
    info = embank("info", url, "--json")
    assert (info.code, info.json["images"]) == (0, 8)
    assert embank("verify", url).code == 0
    labels = tmp_path / "sexes.csv"
    labels.write_text(
        "key,sex\n" + "".join(f"{key},{'fm'[i % 2]}\n" for i, key in enumerate(ours.images()["key"]))
    )
    assert embank("labels", url, "add", labels).code == 0
    compared = embank("compare", url, "--heads", "ridge", "--cv", "2", "--json")
    assert compared.code == 0 and {row["scheme"] for row in compared.json["rows"]} == {"folder", "sex"}
    assert embank("compact", url).code == 0
    similar = embank("similar", url, ours.images()["key"][0], "--json")
    assert similar.code == 0, similar.err
    missing = embank("info", "memory://bucket/none.embank")
    assert missing.code == 2 and "there is no store at memory://bucket/none.embank" in missing.err
