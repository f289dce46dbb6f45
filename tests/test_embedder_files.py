"""Vectors of single files: in the order of the files, with a reason for each that has none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from embedder.files import embed_files
from embedder.recipe import Recipe
from embedder.sources import Entry, files_as_entries

if TYPE_CHECKING:
    from tests.conftest import FakeEngines

RECIPE = Recipe("MobileNetV2", weights="none", image_size=32)


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_rows_are_in_the_order_of_the_files(photos: Path, fake_engine: FakeEngines, batch_size: int) -> None:
    paths = sorted(map(str, photos.rglob("*.jpg")), key=lambda path: path[::-1], reverse=True)
    paths.insert(3, paths[0])  # one file twice
    told: list[tuple[int, int]] = []
    result = embed_files(
        files_as_entries(paths),
        fake_engine.open(RECIPE, batch_size=batch_size),
        progress=lambda done, of: told.append((done, of)),
    )
    expected = np.stack([fake_engine.vector(RECIPE, Path(path).read_bytes()) for path in paths])
    np.testing.assert_array_equal(result.vectors, expected)
    assert result.vectors.dtype == np.float32
    assert result.problems == [None] * 9
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (9, 9)


def test_files_without_a_vector_have_their_reason(photos: Path, fake_engine: FakeEngines) -> None:
    (photos / "text.jpg").write_text("dear diary")
    (photos / "empty.jpg").touch()
    sound = files_as_entries([str(photos / "cats")])
    missing = Entry("missing.jpg", str(photos / "missing.jpg"), -1, -1)
    bad = [*files_as_entries([str(photos / "text.jpg"), str(photos / "empty.jpg")]), missing]
    entries = [bad[0], *sound[:2], bad[1], *sound[2:], bad[2]]
    result = embed_files(entries, fake_engine.open(RECIPE, batch_size=3))
    reasons = [result.problems[row] or "" for row in (0, 3, 6)]
    assert "not an image" in reasons[0]
    assert "empty" in reasons[1]
    assert "no such file" in reasons[2]
    assert np.isnan(result.vectors[[0, 3, 6]]).all()
    for row in (1, 2, 4, 5):
        assert result.problems[row] is None
        expected = fake_engine.vector(RECIPE, Path(entries[row].path).read_bytes())
        np.testing.assert_array_equal(result.vectors[row], expected)


def test_a_vector_that_is_not_finite_is_a_problem(photos: Path, fake_engine: FakeEngines) -> None:
    fake_engine.change = lambda vectors: np.where(np.arange(len(vectors))[:, None] == 1, np.inf, vectors)
    result = embed_files(files_as_entries([str(photos)]), fake_engine.open(RECIPE, batch_size=8))
    assert [problem is not None for problem in result.problems] == [False, True] + [False] * 6
    assert "not finite" in str(result.problems[1])
    assert np.isnan(result.vectors[1]).all()


def test_no_files_and_no_sound_files(photos: Path, fake_engine: FakeEngines) -> None:
    engine = fake_engine.open(RECIPE)
    assert embed_files([], engine).vectors.shape == (0, engine.dim)
    (photos / "bad.jpg").touch()
    result = embed_files(files_as_entries([str(photos / "bad.jpg")]), engine)
    assert result.vectors.shape == (1, engine.dim)
    assert fake_engine.batches == []
