"""What the torture tests share: a real job on a fake engine that tells what it did, and what must hold then.

A job tells events. `("engine", picture)` before the engine is given a picture, `("vector", hash, digest)` once a
row is committed, `("list", key, row)` before a listing row is committed, `("listed", key, row)` after it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from embedder.images import decode
from embedder.job import embed
from embedder.recipe import FrozenRecipe, Recipe
from embedder.settings import JobSettings
from store import FeatureStore, StoreNotFoundError, StoreWriter
from store.columns import hashes_from_hex, hashes_to_hex
from store.commit import checksum, file_checksum
from store.part import PartRows
from store.recipes import canonical_json
from store.verify import verify
from tests.conftest import FakeEngine, FakeEngines, draw

LONG = os.environ.get("EMBANK_TORTURE") == "long"
RECIPE = Recipe("MobileNetV2", weights="none", image_size=32)
SPACE = RECIPE.freeze("random-0").space
COMMIT_ROWS = 4
BATCH = 2
# Rows that wait for a commit, the batch that makes it due, and the batches that the engine was given meanwhile.
MOST_IN_FLIGHT = COMMIT_ROWS - 1 + BATCH + BATCH * (FakeEngine.streams + 2)

Event = tuple[str, ...]
Tell = Callable[[list[Event]], None]

FORKS = multiprocessing.get_context("forkserver")  # a child is forked from a warm process without threads
FORKS.set_forkserver_preload(["tests.torture", "embank.cli", "embank.commands.embed"])


@dataclass
class Album:
    """Photos and the truth about them: what a store may say of an image is this or nothing.

    hashes: by key. vectors: the bytes of the vector by hash, made outside of any job. pictures: the hash by the
    digest of the picture that the engine is given.
    """

    folder: Path
    hashes: dict[str, str] = field(default_factory=dict)
    vectors: dict[str, bytes] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, seed: int) -> None:
        """Draws a photo, in place of one that has this key."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(seed, (34 + seed % 5, 33)).save(path)
        frozen = RECIPE.freeze("random-0")
        picture = decode(path.read_bytes(), {frozen.geometry}).squares[frozen.geometry][0]
        self.hashes[key] = hash_ = checksum(path.read_bytes())
        vector = _TellingEngine(frozen, 1, lambda _: None)(picture[None])
        self.vectors[hash_] = vector.tobytes()
        self.pictures[checksum(picture.tobytes())] = hash_

    def remove(self, key: str) -> None:
        """The photo leaves the folder; what its vector is stays known."""
        (self.folder / key).unlink()
        del self.hashes[key]


def make_album(folder: Path, count: int, first: int = 0) -> Album:
    """An album of `count` photos in two class folders, each of its own bytes, numbered from `first`."""
    album = Album(folder)
    for number in range(first, first + count):
        album.add(f"{('cats', 'dogs')[number % 2]}/{number:03d}.png", number)
    return album


class _TellingEngine(FakeEngine):
    """Tells of each picture before it is embedded."""

    dim = 64

    def __init__(self, recipe: FrozenRecipe, batch_size: int, tell: Tell) -> None:
        super().__init__(recipe, batch_size, FakeEngines())
        self._tell = tell

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._tell([("engine", checksum(picture.tobytes())) for picture in pictures])
        return super().__call__(pictures)


@contextmanager
def telling(tell: Tell, commit_rows: int = COMMIT_ROWS) -> Iterator[None]:
    """Jobs inside run on the fake engine, commit every few rows and tell what they did."""
    part, add, replace = StoreWriter.commit_part, StoreWriter.add_to_listing, StoreWriter.replace_listing

    def open_engine(recipe: Recipe, engine: str, batch_size: int, threads: int) -> _TellingEngine:
        return _TellingEngine(recipe.freeze("random-0"), batch_size, tell)

    def commit_part(self: StoreWriter, recipe: Mapping[str, Any], rows: PartRows, **options: Any) -> Path:
        path = part(self, recipe, rows, **options)
        digests = (checksum(vector.tobytes()) for vector in rows.vectors)
        hashes = hashes_to_hex(rows.hash)
        tell([("vector", hash_, digest) for hash_, digest in zip(hashes, digests, strict=True)])
        return path

    def listing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: StoreWriter, source: str, location: str, table: pd.DataFrame) -> Any:
            rows = [(row["key"], f"{row['hash']} {row['status']}") for _, row in table.iterrows()]
            tell([("list", *row) for row in rows])
            result = real(self, source, location, table)
            tell([("listed", *row) for row in rows])
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedder.engine_set.open_engine", open_engine)
        patch.setattr(
            "embedder.engine_set.is_known", lambda *_: True
        )  # a canary's pictures are embedded twice
        patch.setattr("embedder.bank.COMMIT_ROWS", commit_rows)
        patch.setattr(StoreWriter, "commit_part", commit_part)
        patch.setattr(StoreWriter, "add_to_listing", listing(add))
        patch.setattr(StoreWriter, "replace_listing", listing(replace))
        yield


def run(folder: Path, bank: Path) -> None:
    """One run of the job in this process."""
    embed(folder, bank, RECIPE, settings=JobSettings(batch_size=BATCH, workers=2))


def run_in_fork(folder: Path, bank: Path, ledger: Path) -> None:
    """One run of the job in a forked process, which keeps a ledger of it."""
    with errors_into(ledger), _open_ledger(ledger) as tell, telling(tell):
        tell([("run",)])
        run(folder, bank)


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A folder where an fsync costs nothing, if there is one: what a test does there does not need a disk."""
    memory = Path("/dev/shm")  # noqa: S108
    if not os.access(memory, os.W_OK):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="embank-torture-", dir=memory) as folder:
        yield Path(folder)


def say(figures: str) -> None:
    """Shows what a test has seen, with `pytest -rP` as in `make torture`."""
    print(figures)  # noqa: T201


def error_of(ledger: Path) -> str:
    """The traceback of the run that died by itself."""
    path = ledger.with_suffix(".error")
    return path.read_text() if path.exists() else "it left no traceback"


@contextmanager
def errors_into(ledger: Path) -> Iterator[None]:
    """Leaves the traceback of what goes wrong beside this file."""
    try:
        yield
    except BaseException:
        ledger.with_suffix(".error").write_text(traceback.format_exc())
        raise


@contextmanager
def _open_ledger(path: Path) -> Iterator[Tell]:
    """Events go to a file in one write each, so that a kill leaves whole lines; committed ones are fsynced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(events: list[Event]) -> None:
        os.write(descriptor, "".join(f"{json.dumps(event)}\n" for event in events).encode())
        if events and events[0][0] in ("vector", "listed"):
            os.fsync(descriptor)

    yield tell
    os.close(descriptor)


def read_ledger(path: Path) -> list[Event]:
    """The events of all runs so far."""
    return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


@dataclass
class Told:
    """What a job has told so far, as what must hold of its store.

    committed: the digest of each vector by hash. rows: by key, the last row that was reported and those that
    were begun since, any of which may be the current one. listed: keys of which a row was reported. embedded:
    hashes that the engine was given. twice: of these, the ones that were committed already. in_flight: embedded
    by this run and not committed. most_in_flight: the highest that was at the end of a run.
    """

    committed: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[str]] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    embedded: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    in_flight: set[str] = field(default_factory=set)
    most_in_flight: int = 0

    def take(self, events: Iterable[Event], album: Album) -> Told:
        """Adds what these events say."""
        for kind, *values in events:
            if kind == "engine":
                hash_ = album.pictures[values[0]]
                self.embedded.append(hash_)
                self.in_flight.add(hash_)
                if hash_ in self.committed:
                    self.twice.append(hash_)
            elif kind == "vector":
                self.committed[values[0]] = values[1]
                self.in_flight.discard(values[0])
            elif kind == "list":
                self.rows.setdefault(values[0], []).append(values[1])
            elif kind == "listed":
                rows = self.rows[values[0]]
                self.rows[values[0]] = rows[rows.index(values[1]) :]
                self.listed.add(values[0])
            elif kind == "run":
                self.in_flight.clear()
            self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        return self


def check_bank(bank: Path, album: Album, told: Told) -> int:
    """Nothing that was reported is missing, nothing torn or wrong is visible; returns how many rows there are."""
    check_names(bank)
    try:
        store = FeatureStore(bank)
    except StoreNotFoundError:
        assert not told.committed
        assert not told.listed
        return 0
    tables = [listing.table for listing in store.sources.values()]  # rows first: they promise vectors
    current = {key: f"{hash_} {status}" for table in tables for key, hash_, status in _rows(table)}
    assert told.listed <= current.keys()
    for key, row in current.items():
        assert row in told.rows[key]
    visible = check_vectors(store, album)
    assert told.committed.keys() <= visible
    for hash_, digest in told.committed.items():
        assert checksum(album.vectors[hash_]) == digest
    found = verify(bank)
    assert found.ok, found.damage
    return len(visible)


def check_vectors(store: FeatureStore, album: Album) -> set[str]:
    """All vectors that are visible are the right ones, bit for bit, listed ones are visible; returns the hashes."""
    images = store.images()
    assert set(images["hash"]) <= album.vectors.keys()
    if SPACE not in store.spaces:
        assert images.empty
        return set()
    known = pd.DataFrame({"hash": list(album.vectors)})
    known = known[store.space(SPACE).find(hashes_from_hex(known["hash"])) >= 0]
    assert len(known) == store.space(SPACE).rows
    for table in (known, images):
        expected = b"".join(album.vectors[hash_] for hash_ in table["hash"])
        assert np.asarray(store.vectors(SPACE, table)).tobytes() == expected
    return set(known["hash"])


def check_finished(bank: Path, album: Album, told: Told) -> None:
    """The job is done: every photo is listed with its vector, none was embedded twice but what was in flight."""
    check_bank(bank, album, told)
    images = FeatureStore(bank).images()
    assert dict(zip(images["key"], images["hash"], strict=True)) == album.hashes
    assert told.twice == []
    assert told.most_in_flight <= MOST_IN_FLIGHT


_CHECKED = re.compile(r".*-(?P<checksum>[0-9a-f]{32})\.(h5|parquet)")


def check_names(bank: Path) -> None:
    """Every file under a final name has the bytes that belong to it."""
    for path in bank.rglob("*"):
        if path.is_dir() or path.name.startswith(".tmp-") or bank / "cache" in path.parents:
            continue
        data = path.read_bytes()
        if path.name == "embank.json":
            assert data == b'{"format": 1}\n', f"{path} is torn"
        elif path.name == "recipe.json":
            assert data == canonical_json(RECIPE.freeze("random-0").to_dict()).encode(), f"{path} is torn"
        else:
            match = _CHECKED.fullmatch(path.name)
            assert match, f"{path} has no name of a store"
            assert file_checksum(data) == match["checksum"], f"{path} is torn"


def _rows(table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    return zip(table["key"], table["hash"], table["status"], strict=True)
