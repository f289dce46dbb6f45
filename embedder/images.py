"""From the bytes of an image file to square RGB pictures, or to the reason why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from embedder.errors import ImageError

# Pillow warns of damaged metadata, and at 89 million pixels; it refuses at twice that, from the header alone.
# What counts is whether there is a picture: a warning in the middle of a progress bar helps nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".gif",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
)
Geometry = tuple[int, str]


@dataclass(frozen=True)
class Picture:
    """A decoded image: its size in the file, and a (size, size, 3) uint8 RGB array for each geometry."""

    width: int
    height: int
    squares: dict[Geometry, NDArray[np.uint8]]


def decode(data: bytes, geometries: set[Geometry]) -> Picture:
    """Decodes an image once and fits it to every geometry (size in pixels, `squash`, `crop` or `pad`).

    The first frame counts; EXIF orientation is applied; transparency lies on white; 16-bit grey keeps its
    range. Resizing is Pillow's bilinear, which averages over all source pixels. Raises ImageError with the
    reason.
    """
    with _opened(data) as image:
        width, height = image.size
        rgb = _to_rgb(_upright(image))
        return Picture(width, height, {geometry: _fit(rgb, *geometry) for geometry in geometries})


def decode_rgb(data: bytes, at_least: int) -> Image.Image:
    """The whole picture, upright and RGB; a large JPEG is decoded smaller, but not under `at_least` pixels."""
    with _opened(data) as image:
        image.draft("RGB", (at_least, at_least))
        return _to_rgb(_upright(image))


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the file's header says. Raises ImageError."""
    with _opened(data) as image:
        return image.size


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Opens an image; whatever a decoder says, then or in the block, becomes an ImageError with the reason."""
    if not data:
        raise ImageError("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError:
        raise ImageError("not an image, or of an unknown format") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"too many pixels ({error})") from error
    except ImageError:
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error and more
        raise ImageError(f"damaged image ({_first_line(error)})") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF says nothing about the picture itself
        image.load()
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image)
    if image.mode == "F":
        raise ImageError("floating-point pixels have no agreed range")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Pillow's own conversion cuts 16-bit grey off at 255, which turns most of it white."""
    grey = np.clip(np.asarray(image, np.int64), 0, 65535) // 257
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")


def _fit(image: Image.Image, size: int, fit: str) -> NDArray[np.uint8]:
    square = (size, size)
    if fit == "crop":
        image = ImageOps.fit(image, square, Image.Resampling.BILINEAR)
    elif fit == "pad":
        image = ImageOps.pad(image, square, Image.Resampling.BILINEAR, color=(0, 0, 0))
    else:
        image = image.resize(square, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _first_line(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]
