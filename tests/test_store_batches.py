"""Batches: every row once, in the order that was asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from store import FeatureStore, StoreWriter, iterate_batches, tf_dataset
from store.columns import hashes_from_hex
from store.commit import checksum
from store.part import PartRows
from store.recipes import space_id

RECIPE = {"backbone": "Fake", "dtype": "float32"}
N = 23


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    writer = StoreWriter(tmp_path / "s.embank")
    keys = [f"{number:02d}.jpg" for number in range(N)]
    hashes = [checksum(key.encode()) for key in keys]
    for some in (slice(0, 10), slice(10, N)):
        numbers = np.arange(N)[some]
        vectors = np.stack([numbers, -numbers], axis=1).astype(np.float32)
        rows = PartRows(
            hashes_from_hex(hashes[some]), np.zeros(len(numbers), np.int16), vectors, keys[some], keys[some]
        )
        writer.commit_part(RECIPE, rows)
    table = pd.DataFrame({"key": keys, "hash": hashes})
    table = table.assign(bytes=1, mtime=1, width=1, height=1, status="ok", **{space_id(RECIPE): True})
    writer.add_to_listing("s", "/s", table)
    return FeatureStore(writer.path)


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_batches_in_order_are_the_whole(store: FeatureStore, rows: int) -> None:
    batches = list(iterate_batches(store, "Fake", rows=rows))
    assert max(len(some) for some, _ in batches) <= rows
    assert np.concatenate([some for some, _ in batches]).tolist() == list(range(N))
    assert np.array_equal(np.concatenate([vectors for _, vectors in batches]), store.vectors("Fake"))
    assert batches[0][1].space == space_id(RECIPE)


def test_a_shuffle_has_each_row_once_and_another_order_each_epoch(store: FeatureStore) -> None:
    def numbers(epoch: int) -> list[int]:
        batches = list(iterate_batches(store, "Fake", rows=5, shuffle=3, epoch=epoch))
        for some, vectors in batches:
            assert vectors[:, 0].tolist() == some.tolist()
        return [int(row) for some, _ in batches for row in some]

    assert sorted(numbers(0)) == list(range(N))
    assert numbers(0) == numbers(0) != numbers(1)


@pytest.mark.keras
def test_keras_trains_from_a_dataset(store: FeatureStore) -> None:
    from store.keras_setup import load_keras

    keras = load_keras()
    images = store.images()
    labels = np.arange(N, dtype=np.float32)
    dataset = tf_dataset(store, "Fake", images, labels, batch_size=6, shuffle=0)
    seen = [(vectors.numpy(), targets.numpy()) for vectors, targets in dataset]
    assert sorted(np.concatenate([targets for _, targets in seen]).tolist()) == labels.tolist()
    assert all((vectors[:, 0] == targets).all() for vectors, targets in seen)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(dataset, epochs=2, verbose=0, shuffle=False).history["loss"]).all()
    with pytest.raises(ValueError, match="22 labels for 23 images"):
        tf_dataset(store, "Fake", images, labels[:-1])
