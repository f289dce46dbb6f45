"""The vectors of a space in two dimensions: t-SNE of a sample, kept in the store's cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked import banked
from classifiers.results import Comparison, Result
from classifiers.targets import labelled
from store import FeatureStore, StoreError
from store.columns import hashes_from_hex
from store.commit import commit_file, file_checksum
from store.files import read_committed

MOST = 2000  # images on a map: more hide one another, and t-SNE takes seconds
_DIMENSIONS = (
    50  # that t-SNE starts from, as in van der Maaten and Hinton 2008 (J. Mach. Learn. Res. 9, 2579)
)
_FEWEST = 50  # images; of fewer the two main axes say as much
_STEPS = 500  # of t-SNE; twice as many moved no cluster of 2,000 photos
_PERPLEXITY = 30
_NEIGHBOURS = 10
_VERSION = 1
_KEPT = 64  # maps in the cache
_NAME = re.compile(r"[0-9a-f]{32}-(?P<checksum>[0-9a-f]{32})\.map")

Places = NDArray[np.float32]


@dataclass(frozen=True)
class VectorMap:
    """Where images lie on the map of a space.

    `rows` (m,) of `comparison.images`; `places` (m, 2) in [0, 1], each axis for itself; `made` says how.
    """

    space: str
    rows: NDArray[np.intp]
    places: Places
    made: str

    @cached_property
    def neighbours(self) -> NDArray[np.intp]:
        """(m, k) the nearest other points of each point, at most ten."""
        from scipy.spatial import cKDTree

        k = min(_NEIGHBOURS, len(self.rows) - 1)
        found = cKDTree(self.places).query(self.places, k=np.arange(1, k + 2))[1]
        others = found != np.arange(len(found))[:, None]  # of points in one place, another may come first
        others[others.all(axis=1), -1] = False
        nearest: NDArray[np.intp] = found[others].reshape(len(found), k)
        return nearest


def vector_maps(store: FeatureStore, comparison: Comparison, results: Sequence[Result]) -> list[VectorMap]:
    """A map of each space of the results, of at most 2,000 of the images that they label.

    The sample goes by the images' hashes, so it hardly changes when images are added. Maps are kept in
    `cache/maps` of the store. A space that cannot be read has none.
    """
    found = []
    for space in dict.fromkeys(one.space for one in results):
        with suppress(StoreError):
            here = banked(store, space, comparison.images)
            of_space = [labelled(one.labels.codes) for one in results if one.space == space]
            rows = sample(comparison.images, np.flatnonzero(here & np.any(of_space, axis=0)))
            if len(rows):
                places, made = banked_places(store, space, comparison.images.iloc[rows])
                found.append(VectorMap(space, rows, places, made))
    return found


def banked_places(store: FeatureStore, space: str, images: pd.DataFrame) -> tuple[Places, str]:
    """(n, 2) places of images on a map of a space, from `cache/maps` of the store or made for it; and how they are
    made. At most 2,000 images.
    """
    hashes = np.ascontiguousarray(hashes_from_hex(images["hash"]))
    directory = store.path / "cache" / "maps"
    name = file_checksum(f"{_VERSION} {space} ".encode(), hashes.tobytes())
    places = None
    for path in directory.glob(f"{name}-*.map"):
        with suppress(StoreError, OSError, ValueError):
            places = _read(path, len(images))
    if places is None:
        places = project(store.vectors(space, images))
        with suppress(StoreError, OSError):  # a store that cannot be written does without
            commit_file(directory, name, ".map", places.tobytes())
            kept = sorted(directory.glob("*.map"), key=lambda path: -path.stat().st_mtime)
            for path in kept[_KEPT:]:
                path.unlink(missing_ok=True)
    return places, _made(len(images))


def project(vectors: NDArray[Any]) -> Places:
    """(n, 2) places in [0, 1] of (n, d) vectors: seeded t-SNE of 50 principal components, or two of these if n < 50."""
    from sklearn.decomposition import PCA

    n, dim = vectors.shape
    wanted = _DIMENSIONS if n >= _FEWEST else 2
    places = np.zeros((n, 2), np.float32)
    centred = vectors.astype(np.float32) - vectors.mean(axis=0, dtype=np.float32)
    if n > 1 and np.any(np.ptp(centred, axis=0) > 0):
        few = PCA(min(wanted, n, dim), svd_solver="randomized", random_state=0).fit_transform(centred)
        if n >= _FEWEST:
            few = _t_sne(few)
        places[:, : few.shape[1]] = few[:, :2]
    low, wide = places.min(axis=0), np.ptp(places, axis=0)
    return np.where(wide > 0, (places - low) / np.where(wide > 0, wide, 1), 0.5).astype(np.float32)


def _t_sne(few: NDArray[Any]) -> NDArray[Any]:
    """On one thread: OpenMP's wait for one another actively, which took ten times as long on a busy machine."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    start = np.zeros((len(few), 2), np.float32)
    start[:, : few.shape[1]] = few[:, :2]
    start *= 1e-4 / start[:, 0].std()  # as Kobak and Berens 2019 advise (Nat. Commun. 10, 5416)
    perplexity = min(_PERPLEXITY, (len(few) - 1) / 3)
    with threadpool_limits(1):
        placed: NDArray[Any] = TSNE(
            perplexity=perplexity, init=start, random_state=0, max_iter=_STEPS
        ).fit_transform(few)
    return placed


def sample(images: pd.DataFrame, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """At most 2,000 of these rows of the images, those of the lowest hashes, ascending."""
    if len(rows) <= MOST:
        return rows
    hashes = images["hash"].to_numpy(object)[rows].astype(str)
    return np.sort(rows[np.argsort(hashes, kind="stable")[:MOST]])


def _read(path: Path, rows: int) -> Places:
    data = read_committed(path, _NAME, "It may be deleted.", MOST * 8)
    places = np.frombuffer(data, np.float32).reshape(rows, 2)
    if not np.isfinite(places).all():
        raise ValueError(f"{path} holds what is no number")
    return places


def _made(rows: int) -> str:
    if rows < _FEWEST:
        return "the two principal components"
    perplexity = min(_PERPLEXITY, (rows - 1) // 3)
    return f"t-SNE of {_DIMENSIONS} principal components, perplexity {perplexity}, {_STEPS} steps, seed 0"
