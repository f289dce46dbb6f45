"""Factorizations kept in a store's cache, so that one more scheme on the same images needs no new one.

A file is named after what it depends on (the space, the training images' hashes in their order, the intercept,
this format) and after its own checksum: it is either exactly right or not used. All of `cache/` may be deleted
at any time.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.factorization import Factorization, VectorRows, factorize
from classifiers.gram import Gram
from store import FeatureStore, StoreError
from store.commit import commit_file, file_checksum
from store.files import mark_used, read_file

_VERSION = 1
_LARGEST = 2 << 30  # bytes of all factorizations of a store
_WORTH_KEEPING = 256  # dimensions; smaller ones are made as quickly as they are read
_NAME = re.compile(r"(?P<of>[0-9a-f]{32})-(?P<checksum>[0-9a-f]{32})\.factors")
_ARRAYS = ("mean", "values", "basis", "strengths", "gaps")


@dataclass
class FactorCache:
    """The factorizations of a store; of the last one it has in memory it remembers the arrays."""

    directory: Path
    largest: int = _LARGEST
    _last: tuple[str, Factorization] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, store: FeatureStore) -> FactorCache:
        """The cache of a store."""
        return cls(store.path / "cache" / "factorizations")

    def rows(
        self, space: str, hashes: NDArray[np.uint8], gram: Callable[[], Gram] | None = None
    ) -> KeptFactors:
        """Where the factorization of images (n, 16) uint8 of a space is kept. `gram` gives theirs, if it is cheap."""
        about = f"{_VERSION} {space} {len(hashes)} ".encode()
        return KeptFactors(self, file_checksum(about, np.ascontiguousarray(hashes).data), gram)

    def load(self, name: str, X: VectorRows) -> Factorization | None:
        """The factorization of this name, with the rows that it is of; None if there is none that is whole."""
        if self._last and self._last[0] == name:
            return replace(self._last[1], X=X)
        for path in self.directory.glob(f"{name}-*.factors"):
            with suppress(StoreError, OSError, ValueError, TypeError, LookupError):
                factor = _read(path, X)
                mark_used(path)  # the least recently used go first
                self._last = (name, factor)
                return factor
        return None

    def save(self, name: str, factor: Factorization) -> None:
        """Keeps a factorization without weights; a store that cannot be written does without."""
        self._last = (name, factor)
        if len(factor.values) < _WORTH_KEEPING:
            return
        earlier = list(self.directory.glob(f"{name}-*.factors"))
        with suppress(StoreError, OSError):
            written = commit_file(self.directory, name, ".factors", *_pieces(factor))
            for path in earlier:
                if path != written:
                    path.unlink(missing_ok=True)
            self._make_room()

    def _make_room(self) -> None:
        files = sorted(self.directory.glob("*.factors"), key=lambda path: -path.stat().st_mtime)
        total = 0
        for path in files:
            total += path.stat().st_size
            if total > self.largest:
                path.unlink(missing_ok=True)


@dataclass
class RememberedFactors(FactorCache):
    """Factorizations in memory alone, the least recently used forgotten first."""

    directory: Path = Path()
    _remembered: OrderedDict[str, Factorization] = field(default_factory=OrderedDict, repr=False)

    def load(self, name: str, X: VectorRows) -> Factorization | None:
        """As of a store; the rows themselves are not remembered."""
        if name not in self._remembered:
            return None
        self._remembered.move_to_end(name)
        return replace(self._remembered[name], X=X)

    def save(self, name: str, factor: Factorization) -> None:
        """Remembers a factorization."""
        self._remembered[name] = replace(factor, X=factor.X[:0])
        self._remembered.move_to_end(name)
        while sum(one.basis.nbytes for one in self._remembered.values()) > self.largest:
            self._remembered.popitem(last=False)


@dataclass
class KeptFactors:
    """The place of one set of training rows in the cache."""

    cache: FactorCache
    name: str
    gram: Callable[[], Gram] | None = None

    def known(self, X: VectorRows, fit_intercept: bool = True) -> Factorization | None:
        """That of the rows X, if it is kept."""
        return self.cache.load(self._name(fit_intercept), X)

    def factorization(self, X: VectorRows, fit_intercept: bool = True) -> Factorization:
        """That of the rows X: the kept one, or a new one, which `keep` keeps."""
        found = self.known(X, fit_intercept)
        if found is not None:
            return found
        rows, dim = X.shape
        return factorize(X, None, fit_intercept, self.gram() if self.gram and rows > dim else None)

    def keep(self, factor: Factorization, gaps: int) -> None:
        """Keeps a factorization, unless it was read and has no more gaps than the given number since."""
        if len(factor.known_gaps) > gaps or self.known(factor.X, factor.intercept) is None:
            self.cache.save(self._name(factor.intercept), factor)

    def _name(self, fit_intercept: bool) -> str:
        return self.name if fit_intercept else file_checksum(self.name.encode(), b"no intercept")


def _pieces(factor: Factorization) -> list[memoryview | bytes]:
    strengths = np.array(sorted(factor.known_gaps), np.float64)
    gaps = np.array([factor.known_gaps[one] for one in strengths.tolist()], np.float64)
    gaps = gaps.reshape(len(strengths), len(factor.X))
    arrays = (factor.mean, factor.values, np.ascontiguousarray(factor.basis), strengths, gaps)
    about = {
        "shapes": [array.shape for array in arrays],
        "wide": factor.wide,
        "intercept": factor.intercept,
        "scale": factor.scale,
    }
    header = json.dumps(about).encode() + b"\n"
    return [header + b" " * (-len(header) % 8), *(array.reshape(-1).view(np.uint8).data for array in arrays)]


def _read(path: Path, X: VectorRows) -> Factorization:
    data = read_file(path)
    match = _NAME.fullmatch(path.name)
    if not match or file_checksum(data) != match["checksum"]:
        raise ValueError(f"{path} does not match its checksum")
    line = data.index(b"\n") + 1
    about = json.loads(data[:line])
    at = line + -line % 8
    arrays: dict[str, NDArray[Any]] = {}
    for name, shape in zip(_ARRAYS, about["shapes"], strict=True):
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, np.float64, count, at).reshape(shape)
        at += 8 * count
    rows, dim = X.shape
    wide = bool(about["wide"])
    fits = arrays["mean"].shape == (dim,) and arrays["basis"].shape == (
        rows if wide else dim,
        len(arrays["values"]),
    )
    if not fits or arrays["gaps"].shape != (len(arrays["strengths"]), rows):
        raise ValueError(f"{path} is of other rows")
    gaps = dict(zip(arrays["strengths"].tolist(), arrays["gaps"], strict=True))
    return Factorization(
        X,
        arrays["mean"],
        np.broadcast_to(np.float64(1), (rows,)),
        bool(about["intercept"]),
        arrays["values"],
        arrays["basis"],
        wide,
        float(about["scale"]),
        gaps,
    )
