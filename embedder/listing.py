"""Lists a source without embedding it: what there is to train on from photos alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedder.bank import Bank
from embedder.entries import Entry
from embedder.errors import ImageError
from embedder.images import decode
from embedder.machine import usable_processors
from embedder.sources import open_source, read_entry, sample_entries
from store import StoreWriter
from store.commit import checksum
from store.listing import OK

_Look = tuple[str, tuple[int, int], str]  # hash, size, status


def list_source(
    spec: str | Path,
    store: Path,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the listing of a source, and the labels that come with it, to a store that has no vectors.

    Each image is read and decoded once: those that cannot be are recorded with the reason. limit: only so many, drawn
    by `seed`. Raises SourceError.
    """
    source = open_source(spec)
    entries = sample_entries(source.entries, limit, seed)
    bank = Bank(StoreWriter(store), source, {})
    with ThreadPoolExecutor(usable_processors(), thread_name_prefix="decode") as pool:
        for done, (entry, look) in enumerate(zip(entries, pool.map(_look, entries), strict=True), 1):
            bank.add_row(entry, *look)
            if progress:
                progress(done, len(entries))
    bank.finish(complete=source.complete and len(entries) == len(source.entries))


def _look(entry: Entry) -> _Look:
    hash_ = ""
    try:
        data = read_entry(entry)
        hash_ = checksum(data)
        picture = decode(data, frozenset())
    except ImageError as error:
        return hash_, (0, 0), str(error)
    return hash_, (picture.width, picture.height), OK
