"""Removal: gone for readers at once, and nothing else with it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from store import (
    FeatureStore,
    StoreError,
    StoreWriter,
    UnknownSpaceError,
    compact,
    remove_source,
    remove_space,
)
from store.columns import hashes_from_hex
from store.commit import checksum
from store.listing import OK
from store.part import PartRows
from store.recipes import space_id
from store.verify import verify

RECIPE: dict[str, Any] = {"backbone": "ResNet50", "dtype": "float32"}
OTHER: dict[str, Any] = {"backbone": "Xception", "dtype": "float32"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two sources that were banked in two spaces."""
    writer = StoreWriter(tmp_path / "s.embank")
    for source in ("a", "b"):
        keys = [f"{source}{number}" for number in range(3)]
        hashes = [checksum(key.encode()) for key in keys]
        for recipe in (RECIPE, OTHER):
            views = np.zeros(3, np.int16)
            vectors = np.ones((3, 2), np.float32)
            writer.commit_part(recipe, PartRows(hashes_from_hex(hashes), views, vectors, keys, [source] * 3))
        table = pd.DataFrame({"key": keys, "hash": hashes, "bytes": 1, "mtime": 2, "width": 3, "height": 4})
        table = table.assign(status=OK, **{space_id(RECIPE): True, space_id(OTHER): True})
        writer.add_to_listing(source, "/" + source, table[:2])
        writer.add_to_listing(source, "/" + source, table[2:])
    return writer.path


def _entries(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_a_source_goes_and_its_vectors_stay(path: Path) -> None:
    remove_source(path, "a")
    opened = FeatureStore(path)
    assert list(opened.sources) == ["b"]
    assert opened.images()["key"].tolist() == ["b0", "b1", "b2"]
    assert opened.space("ResNet50").rows == 6
    assert verify(path).damage == []
    assert _entries(path) == ["embank.json", "sources", "spaces"]


@pytest.mark.parametrize("name", ["Xception", space_id(OTHER)])
def test_a_space_goes_with_what_listings_promise_of_it(path: Path, name: str) -> None:
    images = FeatureStore(path).images()
    assert remove_space(path, name) == space_id(OTHER)
    opened = FeatureStore(path)
    assert list(opened.spaces) == [space_id(RECIPE)]
    pd.testing.assert_frame_equal(opened.images(), images)
    assert verify(path).damage == []
    assert _entries(path / "spaces") == [space_id(RECIPE)]
    assert opened.sources["a"].table[space_id(RECIPE)].all()


def test_a_space_that_cannot_be_opened_is_removed_by_its_id(path: Path) -> None:
    (path / "spaces" / space_id(OTHER) / "recipe.json").write_text("{}")
    with pytest.raises(StoreError):
        remove_space(path, "Xception")
    remove_space(path, space_id(OTHER))
    assert verify(path).damage == []


@pytest.mark.parametrize("name", ["c", "../a", ".", "", "a/../b"])
def test_only_a_source_of_the_store_is_removed(path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="its sources: a, b"):
        remove_source(path, name)
    with pytest.raises(UnknownSpaceError):
        remove_space(path, f"../{name}")
    assert verify(path).rows == 12


@pytest.mark.parametrize("step", ["forgetting", "renaming", "deleting"])
def test_a_removal_that_was_stopped_leaves_a_sound_store(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        if step == "deleting":
            patch.setattr(shutil, "rmtree", fail)
        elif step == "renaming":
            patch.setattr(Path, "rename", fail)
        else:
            patch.setattr("store.commit.os.write", fail)
        with pytest.raises(StoreError, match="Permission denied"):
            remove_space(path, "Xception")
    gone = step == "deleting"
    assert (space_id(OTHER) in FeatureStore(path).spaces) is not gone
    assert len(FeatureStore(path).images()) == 6
    assert verify(path).damage == []
    if gone:
        assert _entries(path)[0].startswith(".trash-")
        compact(path)
    else:
        remove_space(path, "Xception")
    assert _entries(path) == ["embank.json", "sources", "spaces"]
    assert list(FeatureStore(path).spaces) == [space_id(RECIPE)]
