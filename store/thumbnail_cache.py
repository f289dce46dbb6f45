"""Thumbnails of banked images, kept in the store's cache in packs of a few megabytes.

A pack is named after its checksum, so it is either exactly right or not used; packs are immutable, small ones are
merged into new ones, and the oldest go where there are too many. All of `cache/` may be deleted at any time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.columns import HASH_BYTES
from store.commit import commit_file, sweep_temporary_files
from store.errors import StoreError
from store.files import mark_used, read_committed

LARGEST_THUMBNAIL = 1 << 16  # bytes
PACK_BYTES = 16 << 20  # of pictures: a reader must read all of a pack to see whether it is whole
_SMALL = PACK_BYTES // 4
_LARGEST_PACK = 2 * PACK_BYTES
_LARGEST = 256 << 20
_NAME = re.compile(r"(?P<edge>\d{1,4})-(?P<checksum>[0-9a-f]{32})\.thumbnails")
_JPEG = b"\xff\xd8\xff"
_ROW = HASH_BYTES + 3 + 4  # bytes beside its JPEG


@dataclass(frozen=True)
class Thumbnail:
    """A small JPEG of an image, and the image's mean colour: red, green and blue from 0 to 255."""

    jpeg: bytes
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class ThumbnailCache:
    """The thumbnails of a store whose longer side has `edge` pixels. It never raises: what fails is not kept."""

    directory: Path
    edge: int
    largest: int = _LARGEST

    @classmethod
    def of(cls, store: Path, edge: int) -> ThumbnailCache:
        """The cache of the store at this path."""
        return cls(store / "cache" / "thumbnails", edge)

    def find(self, hashes: Collection[str]) -> dict[str, Thumbnail]:
        """Those of the wanted thumbnails that are kept, by the image's hash (32 hex digits)."""
        wanted = set(hashes)
        for _ in range(3):  # a pack that was merged away meanwhile is in a new one
            found: dict[str, Thumbnail] = {}
            try:
                for path in self._packs():
                    if len(found) == len(wanted):
                        break
                    with suppress(StoreError, ValueError):
                        here = _read(path, wanted - found.keys())
                        if here:
                            mark_used(path)
                        found |= here
            except FileNotFoundError:
                continue
            break
        return found

    def add(self, made: Mapping[str, Thumbnail]) -> None:
        """Keeps thumbnails by their images' hashes, together with those in small packs."""
        kept = {hash_: one for hash_, one in made.items() if _is_sound(one.jpeg)}
        if not kept:
            return
        with suppress(StoreError, OSError):
            sweep_temporary_files(self.directory)
            merged = set[Path]()
            for path, pack in self._small_packs():
                if _bytes_of(kept) + _bytes_of(pack) <= PACK_BYTES:
                    kept |= pack
                    merged.add(path)
            for pack in _cut(kept):
                merged.discard(commit_file(self.directory, str(self.edge), ".thumbnails", *_pieces(pack)))
            for path in merged:
                path.unlink(missing_ok=True)
            self._make_room()

    def _packs(self) -> list[Path]:
        """Packs of this edge, the one that was used last first."""
        packs = [path for path in self.directory.glob(f"{self.edge}-*") if _NAME.fullmatch(path.name)]
        return sorted(packs, key=_age)

    def _small_packs(self) -> Iterator[tuple[Path, dict[str, Thumbnail]]]:
        for path in self._packs():
            with suppress(StoreError, OSError, ValueError):
                if path.lstat().st_size < _SMALL:
                    yield path, _read(path)

    def _make_room(self) -> None:
        """Bounds the bytes of all packs, of whatever edge."""
        total = 0
        packs = [path for path in self.directory.glob("*.thumbnails") if _NAME.fullmatch(path.name)]
        for path in sorted(packs, key=_age):
            total += path.lstat().st_size
            if total > self.largest:
                path.unlink(missing_ok=True)


def _read(path: Path, wanted: Collection[str] | None = None) -> dict[str, Thumbnail]:
    """The wanted thumbnails of a pack, or all. Raises ValueError or StoreError if it is not whole."""
    data = read_committed(path, _NAME, "Delete it.", _LARGEST_PACK)
    count = int.from_bytes(data[:8], "little")
    if 8 + count * _ROW > len(data):
        raise ValueError(f"{path} ends before its thumbnails do")
    sizes_at = 8 + count * (HASH_BYTES + 3)
    sizes = np.frombuffer(data, "<u4", count, sizes_at).astype(np.int64)
    ends = 8 + count * _ROW + np.cumsum(sizes)
    if count and ends[-1] != len(data):
        raise ValueError(f"{path} has thumbnails of other sizes than it says")
    text = data[8 : 8 + count * HASH_BYTES].hex()
    colours = np.frombuffer(data, np.uint8, 3 * count, 8 + count * HASH_BYTES).reshape(count, 3).tolist()
    found = {}
    for number, (start, end) in enumerate(zip((ends - sizes).tolist(), ends.tolist(), strict=True)):
        hash_ = text[2 * HASH_BYTES * number : 2 * HASH_BYTES * (number + 1)]
        if (wanted is None or hash_ in wanted) and _is_sound(jpeg := data[start:end]):
            red, green, blue = colours[number]
            found[hash_] = Thumbnail(jpeg, (red, green, blue))
    return found


def _pieces(pack: Mapping[str, Thumbnail]) -> list[bytes]:
    """How many; their hashes, (n, 16) uint8; colours, (n, 3) uint8; sizes, (n,) little-endian uint32; the JPEGs."""
    jpegs = [one.jpeg for one in pack.values()]
    return [
        len(pack).to_bytes(8, "little"),
        bytes.fromhex("".join(pack)),
        bytes(value for one in pack.values() for value in one.colour),
        np.array([len(jpeg) for jpeg in jpegs], "<u4").tobytes(),
        b"".join(jpegs),
    ]


def _cut(thumbnails: Mapping[str, Thumbnail]) -> Iterator[dict[str, Thumbnail]]:
    """Packs of at most PACK_BYTES of pictures."""
    pack: dict[str, Thumbnail] = {}
    total = 0
    for hash_, one in thumbnails.items():
        if total + len(one.jpeg) > PACK_BYTES:
            yield pack
            pack, total = {}, 0
        pack[hash_] = one
        total += len(one.jpeg)
    yield pack


def _is_sound(jpeg: bytes) -> bool:
    return jpeg.startswith(_JPEG) and len(jpeg) <= LARGEST_THUMBNAIL


def _bytes_of(pack: Mapping[str, Thumbnail]) -> int:
    return sum(len(one.jpeg) for one in pack.values())


def _age(path: Path) -> float:
    """For sorting: the smaller, the later it was used; a pack that is gone is the oldest."""
    with suppress(OSError):
        return -path.lstat().st_mtime
    return 0.0
