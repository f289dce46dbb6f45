"""The cache of thumbnails: what it keeps, what it refuses, and that it never gets in the way."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from store import thumbnail_cache
from store.commit import commit_file, file_checksum
from store.thumbnail_cache import LARGEST_THUMBNAIL, Thumbnail, ThumbnailCache


def picture(number: int, size: int = 40) -> Thumbnail:
    body = number.to_bytes(4, "big") * (size // 4)
    return Thumbnail(b"\xff\xd8\xff" + body, (number % 256, number // 256 % 256, 7))


def hash_of(number: int) -> str:
    return file_checksum(number.to_bytes(8, "big"))


def pictures(numbers: range, size: int = 40) -> dict[str, Thumbnail]:
    return {hash_of(number): picture(number, size) for number in numbers}


@pytest.fixture
def cache(tmp_path: Path) -> ThumbnailCache:
    return ThumbnailCache.of(tmp_path / "x.embank", 160)


def packs(cache: ThumbnailCache) -> list[Path]:
    return sorted(cache.directory.glob("*"))


def test_what_is_added_is_found_and_nothing_else(cache: ThumbnailCache) -> None:
    cache.add(pictures(range(5)))
    assert cache.find([hash_of(2), hash_of(9), hash_of(4)]) == {
        hash_of(2): picture(2),
        hash_of(4): picture(4),
    }
    assert cache.find([]) == {}
    assert ThumbnailCache(cache.directory, 80).find([hash_of(2)]) == {}


def test_small_packs_are_merged_and_large_ones_are_left(
    cache: ThumbnailCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnail_cache, "PACK_BYTES", 1000)
    monkeypatch.setattr(thumbnail_cache, "_SMALL", 400)
    cache.add(pictures(range(15)))  # 43 bytes each
    assert len(packs(cache)) == 1
    (large,) = packs(cache)
    cache.add(pictures(range(20, 22)))
    cache.add(pictures(range(30, 32)))
    assert large in packs(cache)
    assert len(packs(cache)) == 2
    cache.add(pictures(range(100, 170)))
    everything = pictures(range(15)) | pictures(range(20, 22)) | pictures(range(30, 32))
    everything |= pictures(range(100, 170))
    assert cache.find(everything) == everything
    assert all(path.stat().st_size < 1000 + 8 + 23 * 27 for path in packs(cache))


def test_the_packs_that_were_used_longest_ago_go_first(
    cache: ThumbnailCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnail_cache, "_SMALL", 0)
    bounded = ThumbnailCache(cache.directory, 160, largest=3300)
    for number in range(3):
        bounded.add(pictures(range(number * 10, number * 10 + 10), size=80))
        newest = max(packs(cache), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (1000.0 + number, 1000.0 + number))
    assert bounded.find([hash_of(0)])  # it was used now
    bounded.add(pictures(range(40, 50), size=80))
    assert [number for number in (0, 10, 20, 40) if bounded.find([hash_of(number)])] == [0, 20, 40]


@pytest.mark.parametrize("flip", [0, 9, 30, 200, 300])
def test_a_damaged_pack_is_not_used(cache: ThumbnailCache, flip: int) -> None:
    cache.add(pictures(range(5)))
    (path,) = packs(cache)
    data = bytearray(path.read_bytes())
    data[flip] ^= 1
    path.write_bytes(data)
    assert cache.find([hash_of(2)]) == {}
    path.write_bytes(data[: len(data) // 2])
    assert cache.find([hash_of(2)]) == {}
    cache.add(pictures(range(5)))
    assert cache.find([hash_of(2)]) == {hash_of(2): picture(2)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\1",
        (1 << 60).to_bytes(8, "little"),
        (1).to_bytes(8, "little") + bytes(19) + (1 << 31).to_bytes(4, "little"),
        (1).to_bytes(8, "little") + bytes(19) + (3).to_bytes(4, "little") + b"\xff\xd8\xff\xd8",
        (1).to_bytes(8, "little") + bytes(19) + (9).to_bytes(4, "little") + b"<svg>boo!",
        (1).to_bytes(8, "little")
        + bytes(19)
        + (LARGEST_THUMBNAIL + 1).to_bytes(4, "little")
        + b"\xff\xd8\xff".ljust(LARGEST_THUMBNAIL + 1),
    ],
    ids=["empty", "one byte", "many", "huge", "longer than said", "no JPEG", "large"],
)
def test_a_strangers_pack_with_a_right_checksum_does_no_harm(cache: ThumbnailCache, data: bytes) -> None:
    commit_file(cache.directory, "160", ".thumbnails", data)
    assert cache.find(["00" * 16, hash_of(1)]) == {}
    cache.add(pictures(range(3)))
    assert cache.find(["00" * 16, hash_of(1)]) == {hash_of(1): picture(1)}


def test_a_pack_that_is_no_plain_file_is_not_opened(cache: ThumbnailCache, tmp_path: Path) -> None:
    cache.add(pictures(range(3)))
    (path,) = packs(cache)
    moved = path.rename(tmp_path / "elsewhere")
    path.symlink_to(moved)
    assert cache.find([hash_of(1)]) == {}
    path.unlink()
    os.mkfifo(path)
    assert cache.find([hash_of(1)]) == {}


def test_what_is_no_thumbnail_is_not_kept(cache: ThumbnailCache) -> None:
    big = Thumbnail(b"\xff\xd8\xff".ljust(LARGEST_THUMBNAIL + 1), (0, 0, 0))
    cache.add({hash_of(1): big, hash_of(2): Thumbnail(b"GIF89a", (0, 0, 0))})
    assert packs(cache) == []


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a directory should be")
    cache = ThumbnailCache.of(tmp_path, 160)
    cache.add(pictures(range(3)))
    assert cache.find([hash_of(1)]) == {}


def test_writers_at_once_lose_nothing(cache: ThumbnailCache) -> None:
    """Each merges the small packs of the others while they do the same."""

    def write(first: int) -> None:
        for number in range(first, first + 10):
            cache.add({hash_of(number): picture(number)})

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = pictures(range(10)) | pictures(range(100, 110)) | pictures(range(200, 210))
    assert cache.find(everything) == everything
