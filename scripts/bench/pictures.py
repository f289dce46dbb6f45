"""Pictures to measure with: photos as cameras make them, and tiny pictures in great numbers."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

PHOTO_SIZE = (430, 420)
_SHORTEST_SIDE = 330  # of an original: enlarging much more would make smoother photos than cameras do
_SMALL = 16
_FOLDER_OF = 1000
_NOISE_SIDE = 1024


def write_photos(folder: Path, count: int, originals: Path | None = None) -> None:
    """Fills a folder up to `count` JPEGs of 430 × 420, about 80 KB each, no two of the same bytes.

    They are crops of the photos below `originals`, each crop another one, or noise that is as smooth as photos
    are where there are no originals.
    """
    folder.mkdir(parents=True, exist_ok=True)
    photos = sorted(path for path in originals.rglob("*.jpg") if _is_large(path)) if originals else []
    missing = [number for number in range(count) if not _photo(folder, number).exists()]

    def write(number: int) -> None:
        rng = np.random.default_rng(number)
        picture = _crop(photos[number % len(photos)], rng) if photos else _crop_of_noise(rng)
        unfinished = folder / f".{number}"
        picture.save(unfinished, "JPEG", quality=95)
        unfinished.rename(_photo(folder, number))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, missing))


def first_photos(folder: Path, count: int) -> Path:
    """A folder of its own with the first `count` photos of `folder`, as links to them."""
    target = folder.parent / f"{folder.name}-{count}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for number in range(count):
        os.link(_photo(folder, number), _photo(target, number))
    return target


def write_small_pictures(folder: Path, count: int) -> None:
    """Writes `count` BMPs of 16 × 16 pixels of noise, a thousand to a folder."""
    rng = np.random.default_rng(0)
    pixels = _SMALL * _SMALL * 3
    header = (
        b"BM"
        + np.array([54 + pixels, 0, 54], "<u4").tobytes()
        + np.array([40, _SMALL, _SMALL], "<u4").tobytes()
        + np.array([1, 24], "<u2").tobytes()
        + np.array([0, pixels, 2835, 2835, 0, 0], "<u4").tobytes()
    )
    for start in range(0, count, _FOLDER_OF):
        place = folder / f"{start // _FOLDER_OF:04d}"
        place.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (min(_FOLDER_OF, count - start), pixels), dtype=np.uint8)
        for number, picture in enumerate(noise):
            (place / f"{number:04d}.bmp").write_bytes(header + picture.tobytes())


def _photo(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.jpg"


def _is_large(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= _SHORTEST_SIDE


def _crop(path: Path, rng: np.random.Generator) -> Image.Image:
    with Image.open(path) as image:
        across, down = rng.random(2)
        return ImageOps.fit(
            image.convert("RGB"), PHOTO_SIZE, Image.Resampling.BICUBIC, centering=(across, down)
        )


def _crop_of_noise(rng: np.random.Generator) -> Image.Image:
    left, top = (int(rng.integers(_NOISE_SIDE - side)) for side in PHOTO_SIZE)
    return _noise().crop((left, top, left + PHOTO_SIZE[0], top + PHOTO_SIZE[1]))


@cache
def _noise() -> Image.Image:
    """Noise of which each octave is two thirds as strong as that twice as coarse: about as rough as photos."""
    rng, size = np.random.default_rng(0), (_NOISE_SIDE, _NOISE_SIDE)
    total = np.zeros((*size, 3), np.float32)
    for octave in range(8):
        grain = rng.integers(0, 256, (8 << octave, 8 << octave, 3), dtype=np.uint8)
        layer = Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(layer, np.float32) - 128) / 1.5**octave
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))
