"""Search by an image that is dropped on the page."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from embank.explorer.collection import Collection
from embank.explorer.lists import Listed, Lists

if TYPE_CHECKING:
    from embedder.engines import Engine


class Searches:
    """Embeds images by the recipe of the collection's space; the engine is opened when it is first needed."""

    def __init__(self, collection: Collection, weights: str | None, engine: str) -> None:
        self._collection, self._weights, self._name = collection, weights, engine
        self._rows = {hash_: row for row, hash_ in enumerate(collection.images["hash"])}
        self._engine: Engine | None = None
        self._lock = Lock()

    def like(self, data: bytes, lists: Lists) -> Listed:
        """The images most like the one of these bytes; one that is banked itself comes first, and needs no engine.

        Raises ImageError for what is no image, WeightsError where the backbone's weights are not known here.
        """
        from embedder.errors import ImageError
        from embedder.images import picture_size
        from store.commit import checksum

        try:
            picture_size(data)
        except ImageError as error:
            raise ImageError(f"the picture cannot be searched for: {error}.") from error
        row = self._rows.get(checksum(data))
        if row is not None:
            return lists.similar(row)
        with self._lock:  # an engine runs one at a time
            return lists.near(self._embedded(data))

    def _embedded(self, data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        from embank.engines import open_engine_of
        from embank.queries import embed_bytes

        if self._engine is None:
            recipe = self._collection.store.space(self._collection.space).recipe
            self._engine = open_engine_of(recipe, self._weights, self._name, 1)
        return embed_bytes("the image", data, self._engine)[None]
