"""Several backbones in one run share the work on an image: it is decoded once, and resized once a size.

Counted where the work is done, in Pillow, not in the pipeline's own functions.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageFile

from embedder import JobSettings, Recipe, embed

if TYPE_CHECKING:
    from tests.conftest import FakeEngines, WritePhoto

IMAGES = 7
SMALL = Recipe("MobileNetV2", weights="none", image_size=32)
SMALL_MAX = Recipe("MobileNetV2", weights="none", image_size=32, pooling="max")
SMALL_OTHER = Recipe("ResNet50", weights="none", image_size=32)
LARGE = Recipe("Xception", weights="none", image_size=71)
CROPPED = Recipe("ResNet50", weights="none", image_size=32, fit="crop")


@pytest.fixture
def folder(tmp_path: Path, write_photo: WritePhoto) -> Path:
    """Photos that no other decoder than Pillow would be used for."""
    for number in range(IMAGES):
        write_photo(tmp_path / "photos" / f"{number}.png", number, size=(80, 60))
    return tmp_path / "photos"


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often something was decoded, or resized to a size."""
    counts: Counter[str] = Counter()
    load, resize = ImageFile.ImageFile.load, Image.Image.resize

    def counted_load(image: ImageFile.ImageFile) -> Any:
        counts["decoded"] += bool(image.tile)  # no tiles are left once the pixels are there
        return load(image)

    def counted_resize(image: Image.Image, size: tuple[int, int], *rest: Any, **options: Any) -> Any:
        counts[f"resized to {size[0]}"] += 1
        return resize(image, size, *rest, **options)

    monkeypatch.setattr(ImageFile.ImageFile, "load", counted_load)
    monkeypatch.setattr(Image.Image, "resize", counted_resize)
    return counts


@pytest.mark.parametrize(
    ("recipes", "resized"),
    [
        ([SMALL], {"resized to 32": IMAGES}),
        ([SMALL, SMALL_MAX, SMALL_OTHER], {"resized to 32": IMAGES}),
        ([SMALL, LARGE], {"resized to 32": IMAGES, "resized to 71": IMAGES}),
        ([SMALL, SMALL_OTHER, CROPPED, LARGE], {"resized to 32": 2 * IMAGES, "resized to 71": IMAGES}),
    ],
    ids=["one backbone", "three of one size", "two sizes", "two fits of one size"],
)
def test_an_image_is_decoded_once_and_resized_once_a_size(
    folder: Path,
    tmp_path: Path,
    fake_engine: FakeEngines,
    work: Counter[str],
    recipes: list[Recipe],
    resized: dict[str, int],
) -> None:
    report = embed(folder, tmp_path / "b.embank", recipes, settings=JobSettings(batch_size=3))
    assert report.embedded == IMAGES
    assert fake_engine.pictures == IMAGES * len(recipes)
    assert work == {"decoded": IMAGES} | resized


def test_a_backbone_that_is_added_later_has_the_images_decoded_for_itself_alone(
    folder: Path, tmp_path: Path, fake_engine: FakeEngines, work: Counter[str]
) -> None:
    embed(folder, tmp_path / "b.embank", SMALL)
    work.clear()
    fake_engine.batches.clear()
    report = embed(folder, tmp_path / "b.embank", [SMALL, LARGE])
    assert report.embedded == IMAGES
    assert fake_engine.pictures == IMAGES
    assert work == {"decoded": IMAGES, "resized to 71": IMAGES}
