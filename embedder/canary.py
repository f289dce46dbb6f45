"""The canary: banked images embedded again, wherever a space is made or continued by something new.

Another processor, engine or library may compute other vectors for the same recipe. A few images tell.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.engines import Engine
from embedder.errors import EngineError, ImageError
from embedder.images import decode
from embedder.machine import processor_name
from embedder.sources import Source, read_entry, reader_at
from store import FeatureStore
from store.canaries import Canary, read_canaries, write_canary
from store.commit import checksum
from store.listing import OK, empty_listing_table

IMAGES = 8
# Mean cosine similarity. In float32 two engines differ by about 1e-10 and another way to resize by 7e-4; bfloat16
# differs from float32 by 4e-3 (docs/benchmarks.md), and swapped colours by 1e-1.
TOLERANCE = {"float32": 0.9999, "bfloat16": 0.98}


def environment(engine: Engine) -> dict[str, str]:
    """What decides how an engine computes: its version, the processor, and what decodes pictures."""
    return {
        "engine": engine.description,
        "processor": f"{processor_name()} ({platform.machine()}, {platform.system()})",
        "libraries": f"Pillow {version('pillow')}, numpy {version('numpy')}, embank {version('embank')}",
    }


def is_known(directory: Path, engine: Engine) -> bool:
    """Whether this engine on this kind of machine has been compared with the space in `directory` before."""
    made_by = environment(engine)
    return directory.is_dir() and any(canary.made_by == made_by for canary in read_canaries(directory))


def sing(store: Path, source: Source, engine: Engine, reference: Engine | None) -> Canary | None:
    """Embeds a few banked images again, of this source or else of another, compares, and records what it found.

    reference: an engine for the same recipe in float32, for a recipe that is not. None if there is no image that
    is banked in the space and still what it was. Raises EngineError, with nothing recorded, if they do not agree.
    """
    space = engine.recipe.space
    banked = FeatureStore(store)
    for name, read in _readers(source, banked):
        images, pictures = _pictures(banked, name, read, engine)
        if pictures:
            break
    else:
        return None
    now = _embed(engine, pictures)
    likeness = cosine(now, np.asarray(banked.vectors(space, images)))
    canary = Canary(
        made_by=environment(engine),
        images=len(pictures),
        mean=_rounded(likeness.mean()),
        worst=_rounded(likeness.min()),
        float32=_rounded(cosine(now, _embed(reference, pictures)).mean()) if reference else None,
    )
    directory = store / "spaces" / space
    least = TOLERANCE[engine.recipe.precision]
    if not canary.mean >= least:
        raise EngineError(_disagreement(canary, space, least, read_canaries(directory)))
    write_canary(directory, canary)
    return canary


def _readers(source: Source, store: FeatureStore) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """The name of a source and what reads its images by their keys: this source, and then every other one.

    A source without entries, as a worker of a Ray run has it, is read like the others, from where it was listed.
    """
    entries = {entry.key: entry for entry in source.entries}

    def read(key: str) -> bytes:
        if key not in entries:
            raise ImageError("no longer in the source")
        return read_entry(entries[key])

    if entries:
        yield source.name, read
    for name in sorted(store.sources, key=lambda name: name != source.name):
        if name != source.name or not entries:
            yield name, reader_at(store.sources[name].location)


def _pictures(
    store: FeatureStore, source: str, read: Callable[[str], bytes], engine: Engine
) -> tuple[pd.DataFrame, list[NDArray[np.uint8]]]:
    """A few images of the listing whose files are still what they were, as pictures for this engine."""
    space, geometry = engine.recipe.space, engine.recipe.geometry.without_views
    listing = store.sources.get(source)
    if listing is None or space not in listing.spaces:
        return empty_listing_table(), []
    table = listing.table[(listing.table["status"] == OK) & listing.table[space]]
    table = table.iloc[:: max(1, len(table) // (4 * IMAGES))]
    rows, pictures = [], list[NDArray[np.uint8]]()
    for row, key, hash_ in zip(range(len(table)), table["key"], table["hash"], strict=True):
        if len(pictures) == IMAGES:
            break
        with suppress(ImageError):
            data = read(key)
            if checksum(data) == hash_:
                pictures.append(decode(data, {geometry}).squares[geometry][0])
                rows.append(row)
    return table.iloc[rows], pictures


def _embed(engine: Engine, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    size = engine.batch_size
    batches = [np.stack(pictures[start : start + size]) for start in range(0, len(pictures), size)]
    return np.concatenate([engine(batch) for batch in batches])


def cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """The cosine similarity of the rows of two (n, dim), (n,): 1 for equal rows, zeros included."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    same = (one == other).all(axis=1)
    found: NDArray[np.float64] = np.where(
        same, 1.0, (one * other).sum(axis=1) / np.where(lengths, lengths, 1)
    )
    return found


def _rounded(likeness: float) -> float:
    return round(float(likeness), 9)


def _disagreement(canary: Canary, space: str, least: float, earlier: list[Canary]) -> str:
    changed = [
        f"{name} was {there}, is {here}"
        for other in earlier
        for name, here in canary.made_by.items()
        if (there := other.made_by.get(name)) != here
    ]
    return (
        f"vectors made here do not agree with those in {space}: {canary.images} banked images embedded again have a "
        f"mean cosine similarity of {canary.mean:.6f} with what is banked, expected {least} or more. "
        f"{'; '.join(changed) or 'Nothing is known to have changed since they were made'}. The run stops here. Use "
        "what made the space, or embed into a new store: vectors that do not agree must not be mixed."
    )
