"""The maps of a report: where images lie, how a scheme colours them, and what is kept in the store."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers.labels import Labels
from classifiers.report import VectorMap, vector_map
from classifiers.report.scheme_map import map_data, scheme_map
from classifiers.report.vector_map import project
from tests.made_results import N, small_result


def test_a_map_keeps_clusters_apart_and_is_the_same_every_time() -> None:
    generator = np.random.default_rng(0)
    codes = np.arange(60) % 3
    vectors = generator.normal(size=(60, 64)).astype(np.float32) + 8 * np.eye(3, 64)[codes]
    places = project(vectors)
    assert places.shape == (60, 2) and places.dtype == np.float32
    assert places.min(axis=0).tolist() == [0, 0] and places.max(axis=0).tolist() == [1, 1]
    np.testing.assert_array_equal(places, project(vectors))
    shown = scheme_map_of(codes, places)
    assert min(one["agreement"] for one in shown["legend"]) > 0.95


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_map_of_few_images_is_their_main_axes(rows: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(rows, 5)).astype(np.float32)
    places = project(vectors)
    assert places.shape == (rows, 2) and np.isfinite(places).all()


def test_a_map_of_equal_vectors_is_one_point() -> None:
    np.testing.assert_array_equal(project(np.ones((80, 6), np.float32)), np.full((80, 2), 0.5))


def scheme_map_of(codes: Any, places: Any) -> dict[str, Any]:
    one = SimpleNamespace(
        labels=Labels("kind", tuple(f"class {i}" for i in range(int(codes.max()) + 1)), codes),
        right=np.array([True, False]),
        test=np.array([0, 1]),
        predicted=np.array([0, 0]),
    )
    rows = np.arange(len(places))
    return scheme_map(one, VectorMap("Tiny", rows, places, "made so"), 0)  # type: ignore[arg-type]


def test_a_map_names_classes_by_how_many_images_they_have() -> None:
    codes = np.array([2, 2, 2, 1, 1, -1])
    shown = scheme_map_of(codes, np.random.default_rng(0).random((6, 2)).astype(np.float32))
    assert shown["names"] == ["class 2", "class 1"]
    assert np.frombuffer(base64.b64decode(shown["codes"]), "<u2").tolist() == [0, 0, 0, 1, 1, 0xFFFF]
    assert shown["wrong"] == {"1": "class 0"}
    assert (shown["shown"], shown["other_classes"]) == (5, 0)


def test_a_map_of_many_classes_colours_twenty() -> None:
    codes = np.arange(60) % 30
    shown = scheme_map_of(codes, np.random.default_rng(0).random((60, 2)).astype(np.float32))
    assert (len(shown["legend"]), shown["other_classes"], shown["others"]) == (20, 10, 20)


def test_points_carry_their_places_and_pictures() -> None:
    place = VectorMap("Tiny", np.array([4, 9]), np.array([[0, 1], [0.5, 0]], np.float32), "made so")
    data = map_data(place, {4: 0, 9: 1})
    assert np.frombuffer(base64.b64decode(data["places"]), "<u2").tolist() == [0, 65535, 32768, 0]
    assert np.frombuffer(base64.b64decode(data["tiles"]), "<u2").tolist() == [0, 1]


def test_maps_are_kept_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Store:
        path = tmp_path
        asked = 0

        def vectors(self, _space: str, images: pd.DataFrame) -> Any:
            self.asked += 1
            return np.random.default_rng(0).normal(size=(len(images), 8)).astype(np.float32)

    store: Any = Store()
    images = pd.DataFrame({"hash": [f"{i:032x}" for i in range(N)]})
    monkeypatch.setattr(vector_map, "banked", lambda *_: np.ones(N, bool))
    monkeypatch.setattr(vector_map, "_FEWEST", 1000)  # main axes are quicker than t-SNE
    compared: Any = SimpleNamespace(images=images)
    (first,) = vector_map.vector_maps(store, compared, [small_result()])
    (again,) = vector_map.vector_maps(store, compared, [small_result()])
    assert store.asked == 1
    np.testing.assert_array_equal(first.places, again.places)
    (kept,) = (tmp_path / "cache" / "maps").iterdir()
    kept.write_bytes(kept.read_bytes()[:-8] + b"\xff" * 8)
    (mended,) = vector_map.vector_maps(store, compared, [small_result()])
    assert store.asked == 2
    np.testing.assert_array_equal(first.places, mended.places)
    monkeypatch.setattr(vector_map, "MOST", 30)
    (sample,) = vector_map.vector_maps(store, compared, [small_result()])
    assert sample.rows.tolist() == list(range(30))  # those of the lowest hashes
