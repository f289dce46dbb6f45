"""Every model of keras.applications, the giants too: its dimensions, and the same vectors from both engines.

Not in the ordinary suite: some have 350 million weights. `pytest -m giants` runs it.
"""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from embedder.backbones import BACKBONES
from embedder.recipe import Recipe


@pytest.mark.giants
@pytest.mark.parametrize("name", BACKBONES)
def test_dimensions_and_engines(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    from embedder.keras_engine import KerasEngine
    from embedder.keras_models import build_model
    from embedder.openvino_engine import OpenVinoEngine, convert_and_cache

    monkeypatch.setenv("EMBANK_CACHE", str(tmp_path))
    row = BACKBONES[name]
    recipe = Recipe(name, weights="none")
    built = build_model(recipe)
    assert built.model.input_shape == (None, row.size, row.size, 3)
    frozen = recipe.freeze(built.digest)
    blobs = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    pictures = blobs.repeat(row.size // 4 + 1, axis=1).repeat(row.size // 4 + 1, axis=2)
    pictures = np.ascontiguousarray(pictures[:, : row.size, : row.size])
    openvino = OpenVinoEngine(frozen, convert_and_cache(frozen, built), batch_size=2, threads=2)(pictures)
    expected = KerasEngine(frozen, built.model, batch_size=2)(pictures)
    assert openvino.shape == expected.shape == (2, row.dim)
    assert np.isfinite(expected).all()
    assert np.linalg.norm(openvino - expected) < 1e-3 * np.linalg.norm(expected)
    del built
    keras.backend.clear_session()
    gc.collect()
