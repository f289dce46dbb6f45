"""docs/format.md is enough to read a store: a reader made from its words alone finds what embank finds."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xxhash

from store import FeatureStore, StoreWriter
from store.canaries import Canary, write_canary
from store.columns import hashes_from_hex
from store.commit import commit_file
from store.labels import make_label_table
from store.part import PartRows, part_image

SPECIFICATION = Path(__file__).parents[1] / "docs" / "format.md"
RECIPE: dict[str, Any] = {
    "backbone": "ResNet50",
    "dtype": "float16",
    "mean": [103.939, 1.0, 1e-7],
    "note": "ä\x7f\n",
}


def _patterns() -> dict[str, re.Pattern[str]]:
    """The names table of the specification."""
    rows = re.findall(r"^\| ([a-z, ]+) \| `([^`]+)`", SPECIFICATION.read_text(), re.MULTILINE)
    return {name: re.compile(pattern) for name, pattern in rows}


def _file_checksum(data: bytes) -> str:
    return xxhash.xxh3_128(data).hexdigest()


def _checksum(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _current(directory: Path, pattern: re.Pattern[str]) -> list[h5py.File]:
    names = [path.name for path in directory.iterdir() if pattern.fullmatch(path.name)]
    files = {}
    for name in sorted(names, key=lambda name: (int(name.partition("-")[0]), name)):
        assert _file_checksum((directory / name).read_bytes()) == name.rpartition("-")[2].removesuffix(".h5")
        files[name] = h5py.File(directory / name, "r")
        assert _about(files[name])["format"] == 1
    superseded = {name for file in files.values() for name in _about(file)["supersedes"]}
    return [file for name, file in files.items() if name not in superseded]


def _about(file: h5py.File) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(file["about"][()].tobytes())
    return about


def _strings(file: h5py.File, name: str) -> list[str]:
    text, ends = file[name][()].tobytes(), file[f"{name}_end"][()].tolist()
    return [text[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]


def _read_space(directory: Path) -> dict[tuple[str, int], list[float]]:
    recipe = (directory / "recipe.json").read_bytes()
    assert directory.name == f"{json.loads(recipe)['backbone']}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    rows: dict[tuple[str, int], list[float]] = {}
    for file in _current(directory, _patterns()["part"]):
        assert _about(file)["recipe"] == json.loads(recipe)
        vectors = file["vectors"]
        mapped = np.memmap(file.filename, vectors.dtype, "r", vectors.id.get_offset(), vectors.shape)
        for hash_, view, vector in zip(file["hash"][()], file["view"][()].tolist(), mapped, strict=True):
            rows.setdefault((hash_.tobytes().hex(), view), vector.tolist())
    return rows


def _read_source(directory: Path) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    banked: set[tuple[str, str, str]] = set()
    for file in _current(directory, _patterns()["listing file"]):
        assert _about(file)["source"] == directory.name
        for i, (key, status) in enumerate(zip(_strings(file, "key"), _strings(file, "status"), strict=True)):
            hash_ = file["hash"][i].tobytes().hex()
            spaces = zip(_about(file)["spaces"], file["banked"][i].tolist(), strict=True)
            banked |= {(key, hash_, space) for space, flag in spaces if flag}
            numbers = {name: int(file[name][i]) for name in ("bytes", "mtime", "width", "height", "listed")}
            if key not in rows or numbers["listed"] >= rows[key]["listed"]:
                rows[key] = {"key": key, "hash": hash_, **numbers, "status": status}
    return {
        key: row | {space: True for k, hash_, space in banked if (k, hash_) == (key, row["hash"])}
        for key, row in rows.items()
    }


def _hash(image: int) -> str:
    return _checksum(b"%d" % image)


def _part(images: range, shift: float = 0) -> PartRows:
    vectors = np.array([[image, shift, image / 3] for image in images], np.float16)
    names = [f"ä/{image}.jpg" for image in images]
    hashes = hashes_from_hex([_hash(image) for image in images])
    return PartRows(hashes, np.zeros(len(images), np.int16), vectors, names, ["photos"] * len(images))


def _listing(images: range, status: str = "ok", space: str = "") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "key": [f"ä/{image}.jpg" for image in images], "hash": [_hash(image) for image in images],
            "bytes": 1, "mtime": 1 << 60, "width": 3, "height": 4, "status": status,
            **({space: True} if space else {}),
        }
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store in which parts and listings overlap, and some are superseded but still there."""
    writer = StoreWriter(tmp_path / "s.embank")
    space = writer.open_space(RECIPE)
    first = writer.commit_part(RECIPE, _part(range(5)))
    writer.commit_part(RECIPE, _part(range(3, 8), shift=1))
    commit_file(
        first.parent, "000003-00000000", ".h5", part_image(_part(range(5), shift=2), RECIPE, [first.name])
    )
    writer.add_to_listing("photos", "/p", _listing(range(4), space=space))
    writer.replace_listing("photos", "/p", _listing(range(2, 6), "not an image"))
    writer.add_to_listing("photos", "/q", _listing(range(5, 8), space=space))
    labels = pd.DataFrame({"path": ["ä/1.jpg", "ä/2.jpg"], "coat": ["long", None]})
    writer.attach_labels(make_label_table("coats", labels, source="photos")[0])
    return writer.path


def test_a_space_can_be_read_from_the_specification(path: Path) -> None:
    ((id_, space),) = FeatureStore(path).spaces.items()
    rows = _read_space(path / "spaces" / id_)
    assert len(rows) == space.rows == 8
    images = pd.DataFrame({"hash": [hash_ for hash_, _ in rows]})
    assert FeatureStore(path).vectors(id_, images).tolist() == list(rows.values())


def test_a_source_can_be_read_from_the_specification(path: Path) -> None:
    listing = FeatureStore(path).sources["photos"]
    rows = _read_source(path / "sources" / "photos")
    expected = {
        str(row["key"]): {str(name): value for name, value in row.items() if value is not False}
        for row in listing.table.to_dict("records")
    }
    assert rows == expected
    assert len(rows) == 8
    assert sum(row["status"] == "ok" for row in rows.values()) == 5


def test_labels_can_be_read_from_the_specification(path: Path) -> None:
    (file,) = (path / "labels" / "coats").iterdir()
    assert _file_checksum(file.read_bytes()) == file.stem.partition("-")[2]
    table = pq.read_table(file)
    assert json.loads(table.schema.metadata[b"embank"]) == {"format": 1, "on": "key", "source": "photos"}
    assert table.to_pydict() == {"key": ["ä/1.jpg", "ä/2.jpg"], "coat": ["long", None]}


def test_names_are_as_the_specification_says(path: Path) -> None:
    patterns = _patterns()
    places = {
        "space": "spaces/*", "part": "spaces/*/0*", "listing file": "sources/*/*", "label table file": "labels/*/*",
        "source, label table": "[sl][oa]*/*",
    }  # fmt: skip
    assert patterns.keys() == {*places, "temporary file", "canary"}
    space = next((path / "spaces").iterdir())
    write_canary(space, Canary({"engine": "any"}, 1, 1.0, 1.0))
    places["canary"] = "spaces/*/c*"
    for kind, place in places.items():
        found = [entry.name for entry in path.glob(place)]
        assert found
        assert all(patterns[kind].fullmatch(name) for name in found), kind


def test_the_store_says_its_format(path: Path) -> None:
    assert json.loads((path / "embank.json").read_bytes()) == {"format": 1}
