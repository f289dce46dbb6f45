"""What a person searches for: a banked image by its key or hash, or an image file."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embank.console import say
from embank.engines import open_engine_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from embedder.engines import Engine
    from store import FeatureStore, Space

_HASH = re.compile(r"[0-9a-f]{32}")
_SEARCHED = 5000  # keys among which the nearest one is looked for


@dataclass(frozen=True)
class Query:
    """An image to search with. banked: its rows in the store, if its bytes are there; data: those of a file."""

    name: str
    hash: str
    banked: pd.DataFrame
    data: bytes | None


def find_query(store: FeatureStore, name: str, images: pd.DataFrame) -> Query:
    """What `name` means: a key of the store (`SOURCE:KEY` where several have it), a hash, or an image file.

    Raises UnknownImageError if it is none of these, ImageError or SourceError for a file that cannot be read.
    """
    by_key = images[(images["key"] == name) | (images["source"] + ":" + images["key"] == name)]
    if by_key["hash"].nunique() > 1:
        raise _unknown(
            f"{store.path} has different images called {name} in {', '.join(by_key['source'])}: "
            f"say which, such as {by_key['source'].iloc[0]}:{name}."
        )
    if len(by_key):
        hash_ = by_key["hash"].iloc[0]
        return Query(name, hash_, images[images["hash"] == hash_], None)
    if _HASH.fullmatch(name) and (images["hash"] == name).any():
        return Query(name, name, images[images["hash"] == name], None)
    return _file(store, name, images)


def embed_query(query: Query, space: Space, weights: str | None, engine: str) -> NDArray[np.float32]:
    """The vector (dim,) of a file by exactly the recipe of a space. Raises ImageError, WeightsError."""
    opened = open_engine_of(space.recipe, weights, engine, 1)
    say(f"Embedding {query.name} with {opened.recipe.backbone}.")
    return embed_bytes(query.name, query.data or b"", opened)


def embed_bytes(name: str, data: bytes, engine: Engine) -> NDArray[np.float32]:
    """The vector (dim,) of an image file of this name and these bytes. Raises ImageError."""
    from embedder.entries import Entry
    from embedder.errors import ImageError
    from embedder.files import embed_files

    found = embed_files([Entry(name, name, -1, -1, lambda _: data)], engine)
    if found.problems[0]:
        raise ImageError(f"{name} cannot be embedded: {found.problems[0]}.")
    vector: NDArray[np.float32] = found.vectors[0]
    return vector


def _file(store: FeatureStore, name: str, images: pd.DataFrame) -> Query:
    from embedder.errors import ImageError
    from embedder.images import picture_size
    from embedder.sources import files_as_entries, read_entry
    from store.commit import checksum
    from store.object_path import is_url

    if not is_url(name) and not Path(name).is_file():
        raise _unknown(
            f"{name!r} is no image of {store.path}, by key or hash, and no file. {_suggestion(name, images)}"
        )
    entries = files_as_entries([name])
    if len(entries) != 1:
        raise ImageError(f"{name} has {len(entries)} images: name one of them.")
    try:
        data = read_entry(entries[0])
        picture_size(data)
    except ImageError as error:
        raise ImageError(f"{name} cannot be searched for: {error}.") from error
    hash_ = checksum(data)
    return Query(name, hash_, images[images["hash"] == hash_], data)


def _suggestion(name: str, images: pd.DataFrame) -> str:
    """The nearest keys: those of the same file name, else by their letters among some."""
    if not len(images):
        return "The store has no images yet."
    last = name.rpartition("/")[2].lower()
    near = images["key"][images["key"].str.rpartition("/")[2].str.lower() == last].iloc[:3].tolist()
    if not near:
        some = images["key"].sample(min(len(images), _SEARCHED), random_state=0)
        near = difflib.get_close_matches(name, some, n=1)
    if not near:
        return f"A key looks like {images['key'].iloc[0]}."
    return f"Did you mean {' or '.join(near)}?"


def _unknown(sentence: str) -> Exception:
    from store import UnknownImageError

    return UnknownImageError(sentence)
