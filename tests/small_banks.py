"""Small stores of vectors made by code, without photos and without engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store import FeatureStore, StoreWriter
from store.columns import hashes_to_hex
from store.listing import empty_listing_table
from store.part import PartRows

RECIPE = {"backbone": "Fake", "dtype": "float32"}


def small_bank(
    path: Path, keys: Sequence[str], views: Sequence[NDArray[np.float32]], widths: Sequence[int] = ()
) -> FeatureStore:
    """A store of images with these keys, whose vectors (n, d) a view are in two parts each, in one space."""
    count = len(keys)
    hashes = np.random.default_rng(0).integers(0, 256, (count, 16), dtype=np.uint8)
    writer = StoreWriter(path)
    recipe = RECIPE | {"views": len(views)}
    for view, vectors in enumerate(views):
        for rows in (slice(0, count // 2), slice(count // 2, count)):
            some = hashes[rows]
            numbers, sources = np.full(len(some), view, np.int16), ["photos"] * len(some)
            writer.commit_part(recipe, PartRows(some, numbers, vectors[rows], list(keys[rows]), sources))
    table = empty_listing_table().drop(columns="listed").reindex(range(count))
    table = table.assign(key=list(keys), hash=hashes_to_hex(hashes), bytes=1, mtime=1, status="ok")
    table = table.assign(width=list(widths) or 1, height=1)
    (space,) = FeatureStore(path).spaces
    writer.replace_listing("photos", "/photos", table.assign(**{space: True}))
    return FeatureStore(path)


def told_apart(
    classes: int, each: int, dim: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Vectors (classes · each, dim) of classes far from each other, and their codes, in turn."""
    rng = np.random.default_rng(seed)
    codes = np.arange(classes * each) % classes
    centres = 3 * rng.normal(size=(classes, dim))
    return (centres[codes] + rng.normal(size=(len(codes), dim))).astype(np.float32), codes
