"""Files of format 1 as they were first written: every later version must read them.

`python tests/test_store_golden.py FOLDER` writes a new set; the one in tests/data/v1 is never written again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from store import FeatureStore, StoreWriter
from store.columns import hashes_from_hex
from store.commit import checksum
from store.labels import make_label_table
from store.listing import GONE
from store.part import PartRows
from store.recipes import space_id
from store.verify import verify

GOLDEN = Path(__file__).parent / "data" / "v1" / "photos.embank"
FINE = {"backbone": "Golden", "image_size": 224, "mean": [127.5, 0.1], "layer": None, "dtype": "float32"}
ROUGH = {**FINE, "dtype": "float16"}
KEYS = [
    "train/été/1.jpg",
    "train/été/2.jpg",
    "val/写真/3.png",
    "val/写真/a\\\\b.png",
    "val/写真/caf\\xe9.png",
]


def vectors(dtype: str) -> np.ndarray:
    """(5, 3): small numbers that float16 holds exactly."""
    return (np.arange(15).reshape(5, 3) / 8 - 1).astype(dtype)


def hash_of(key: str) -> str:
    return checksum(f"bytes of {key}".encode())


def listing(keys: list[str], status: str, *spaces: str) -> pd.DataFrame:
    table = pd.DataFrame({"key": keys, "hash": [hash_of(key) for key in keys]})
    table = table.assign(bytes=[100 + len(key) for key in keys], mtime=1_700_000_000_123_456_789)
    table = table.assign(width=640, height=480, status=status)
    return table.assign(**dict.fromkeys(spaces, True))


def rows(dtype: str, some: slice) -> PartRows:
    keys = KEYS[some]
    hashes = hashes_from_hex([hash_of(key) for key in keys])
    return PartRows(hashes, np.zeros(len(keys), np.int16), vectors(dtype)[some], keys, ["photos"] * len(keys))


def write(path: Path) -> None:
    """A store with all that format 1 has: two spaces, superseded parts, bad and vanished images, labels."""
    writer = StoreWriter(path)
    first = writer.commit_part(FINE, rows("float32", slice(0, 2)))
    writer.commit_part(FINE, rows("float32", slice(2, 5)))
    writer.commit_part(FINE, rows("float32", slice(0, 2)), supersedes=[first.name])
    writer.commit_part(ROUGH, rows("float16", slice(0, 5)))
    writer.add_to_listing("photos", "/photos", listing(KEYS, "ok", space_id(FINE)))
    writer.add_to_listing("photos", "/photos", listing(["bad.jpg"], "the file is empty"))
    writer.add_to_listing("photos", "/photos", listing(["old.jpg"], GONE))
    writer.add_to_listing("photos", "/photos", listing(KEYS, "ok", space_id(ROUGH)))
    table = pd.DataFrame({"key": KEYS[:3], "mood": ["calm", None, "bright"], "stars": [1, 2, 3]})
    writer.attach_labels(make_label_table("moods", table)[0])


def test_files_of_format_1_are_read() -> None:
    store = FeatureStore(GOLDEN)
    images = store.images()
    assert images["key"].tolist() == sorted(KEYS)
    assert images["split"].tolist() == ["train", "train", "val", "val", "val"]
    assert set(images["folder"]) == {"été", "写真"}
    assert set(images["mtime"]) == {1_700_000_000_123_456_789}
    assert images.set_index("key")["labels.mood"].dropna().to_dict() == {KEYS[0]: "calm", KEYS[2]: "bright"}
    assert store.errors().to_dict("records") == [
        {"source": "photos", "key": "bad.jpg", "status": "the file is empty"}
    ]
    order = [KEYS.index(key) for key in images["key"]]
    for recipe in (FINE, ROUGH):
        space = store.space(space_id(recipe))
        assert (space.recipe, space.rows, space.dim) == (recipe, 5, 3)
        assert np.array_equal(store.vectors(space.id, images), vectors("float32")[order])
    found = verify(GOLDEN)
    assert (found.damage, found.parts, found.rows) == ([], 4, 12)


def test_this_version_still_writes_what_it_read_then(tmp_path: Path) -> None:
    """Apart from the names of writers and the times of listing: the same parts, byte for byte."""
    write(tmp_path / "photos.embank")
    for space in (space_id(FINE), space_id(ROUGH)):
        old, new = (
            {path.stem[-32:] for path in root.glob(f"spaces/{space}/*-*-*.h5")}
            for root in (GOLDEN, tmp_path / "photos.embank")
        )
        assert old & new == old - {path.stem[-32:] for path in GOLDEN.glob(f"spaces/{space}/000003-*.h5")}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
