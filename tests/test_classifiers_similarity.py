"""Similar images of a store: exact, each once, and never the query itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from classifiers.errors import SearchError, SpaceMismatchError
from classifiers.nearest import nearest
from classifiers.similarity import similar
from store import FeatureStore, StoreWriter, UnknownImageError, Vectors
from store.part import PartRows
from store.recipes import space_id

RECIPE = {"backbone": "Bank", "dtype": "float16"}
DIM = 12


@pytest.fixture
def bank(tmp_path: Path) -> tuple[FeatureStore, pd.DataFrame]:
    """A store of 90 vectors in three parts; its images in an order of their own, one with two names."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 256, (90, 16), dtype=np.uint8)
    writer = StoreWriter(tmp_path / "x.embank")
    for start in range(0, 90, 30):
        rows = slice(start, start + 30)
        vectors = generator.normal(size=(30, DIM)).astype(np.float16)
        keys = [f"{n}.jpg" for n in range(start, start + 30)]
        writer.commit_part(RECIPE, PartRows(hashes[rows], np.zeros(30, np.int16), vectors, keys, ["s"] * 30))
    images = pd.DataFrame({"key": [f"{n}.jpg" for n in range(90)], "hash": [bytes(h).hex() for h in hashes]})
    images = images.iloc[generator.permutation(90)]
    copy = images.iloc[[4]].assign(key="copy.jpg")
    return FeatureStore(tmp_path / "x.embank"), pd.concat([images, copy], ignore_index=True)


def test_the_nearest_of_vectors_and_of_banked_images(bank: tuple[FeatureStore, pd.DataFrame]) -> None:
    store, images = bank
    unique = images.iloc[:90]
    X = np.asarray(store.vectors("Bank", unique))
    expected, similarities = nearest(X, X[:3], 6)
    found = similar(store, "Bank", X[:3], 6, images=images)
    assert found["query"].tolist() == np.repeat(range(3), 6).tolist()
    assert found["key"].tolist() == unique["key"].iloc[expected.ravel()].tolist()
    np.testing.assert_allclose(found["similarity"], similarities.ravel(), atol=1e-6)
    others = similar(store, "Bank", images.iloc[:3], 5, images=images)
    assert others["key"].tolist() == unique["key"].iloc[expected[:, 1:].ravel()].tolist()
    alone = similar(store, "Bank", X[0], 1, images=images)
    assert alone["key"].tolist() == [unique["key"].iloc[0]]


def test_the_same_bytes_count_once_and_are_left_out_of_their_own_search(
    bank: tuple[FeatureStore, pd.DataFrame],
) -> None:
    store, images = bank
    everything = similar(store, "Bank", np.ones(DIM), 500, images=images)
    assert len(everything) == 90
    assert everything.set_index("hash")["copies"].to_dict() == images["hash"].value_counts().to_dict()
    copy = images.iloc[[-1]]
    rest = similar(store, "Bank", copy, 500, images=images)
    assert len(rest) == 89
    assert copy["hash"].iloc[0] not in set(rest["hash"])
    without = images[images["hash"] != copy["hash"].iloc[0]]  # searched among others: nothing to leave out
    pd.testing.assert_frame_equal(similar(store, "Bank", copy, 7, images=without), rest.iloc[:7])


def test_images_that_are_not_banked_are_not_found(bank: tuple[FeatureStore, pd.DataFrame]) -> None:
    store, images = bank
    stranger = pd.DataFrame({"key": ["new.jpg"], "hash": ["ab" * 16]})
    found = similar(store, "Bank", np.ones(DIM), 500, images=pd.concat([images, stranger]))
    assert len(found) == 90
    with pytest.raises(SearchError, match="no image to search for"):
        similar(store, "Bank", np.ones(DIM), images=stranger)
    with pytest.raises(UnknownImageError):
        similar(store, "Bank", stranger, images=images)


def test_a_vector_of_another_space_is_refused(bank: tuple[FeatureStore, pd.DataFrame]) -> None:
    store, images = bank
    vector = Vectors.of(np.ones((1, DIM), np.float32), "Other-0123456789ab", None)
    with pytest.raises(SpaceMismatchError, match="Other-0123456789ab"):
        similar(store, "Bank", vector, images=images)
    own = Vectors.of(np.ones((1, DIM), np.float32), space_id(RECIPE), None)
    assert len(similar(store, "Bank", own, 3, images=images)) == 3
    with pytest.raises(SearchError, match="same d"):
        similar(store, "Bank", np.ones(DIM + 1), images=images)
