"""Images of a store that look alike: the nearest by their vectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.banked_rows import banked_rows
from classifiers.errors import SearchError, SpaceMismatchError
from classifiers.nearest import nearest
from store import FeatureStore
from store.columns import hashes_from_hex


def similar(
    store: FeatureStore,
    space: str,
    query: NDArray[np.floating] | pd.DataFrame,
    k: int = 12,
    *,
    images: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The k images of a store most similar to each query by the cosine of their vectors, exactly.

    query: a vector (dim,) of this space, several (m, dim), or some banked images, which are not found themselves.
    images: where to search, by default all images of the store. Those with the same bytes count once.

    Returns the rows of `images`, ordered by query and then best first, with three more columns: `query` (its
    number), `similarity` (from -1 to 1) and `copies` (how many images have these bytes). There are fewer than k
    where there are not more images. Vectors are read in blocks, so a space may be larger than memory. Raises
    SearchError, SpaceMismatchError, UnknownSpaceError.
    """
    opened = store.space(space)
    images = store.images() if images is None else images
    copies = images["hash"].value_counts()
    images = images.drop_duplicates("hash", ignore_index=True)
    rows = opened.find(hashes_from_hex(images["hash"]))
    order = np.argsort(rows, kind="stable")[int((rows < 0).sum()) :]  # the disk is read from front to back
    images = images.iloc[order].reset_index(drop=True)
    if not len(images):
        raise SearchError(
            f"there is no image to search for in {opened.id}: embed some, or search among others."
        )
    X = banked_rows(store, opened.id, images)
    vectors, own = _queries(store, opened.id, query)
    left_out = own is not None  # one more, in case it finds itself
    found, similarity = nearest(X, vectors, min(k + left_out, len(images)))
    keep = np.ones(found.shape, bool)
    if own is not None:
        keep = images["hash"].to_numpy()[found] != own[:, None]
    keep &= np.cumsum(keep, axis=1) <= k
    numbers, places = np.nonzero(keep)
    result = images.iloc[found[numbers, places]].reset_index(drop=True)
    return result.assign(
        query=numbers, similarity=similarity[numbers, places], copies=result["hash"].map(copies).astype(int)
    )


def _queries(
    store: FeatureStore, space: str, query: NDArray[np.floating] | pd.DataFrame
) -> tuple[NDArray[np.floating], NDArray[np.object_] | None]:
    """Vectors (m, dim), and the hashes of their images if they are banked ones."""
    if isinstance(query, pd.DataFrame):
        return np.asarray(store.vectors(space, query)), query["hash"].to_numpy(object)
    made_by = getattr(query, "space", None)
    if made_by not in (None, space):
        raise SpaceMismatchError(
            f"the query is a vector of {made_by}, the search is in {space}: embed it by the same recipe."
        )
    return np.atleast_2d(np.asarray(query)), None
