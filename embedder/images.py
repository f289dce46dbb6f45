"""From the bytes of an image file to square RGB pictures, or to the reason why not."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from embedder.augmentation import augmented_views
from embedder.colours import is_plain, to_srgb
from embedder.errors import ImageError
from embedder.geometry import Geometry
from embedder.memory_budget import MemoryBudget
from store.commit import checksum
from store.errors import first_line

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
MAX_PICTURE_BYTES = 640_000_000  # of memory while it is decoded: 160 megapixels of a plain JPEG
_BUDGET = MemoryBudget(1_000_000_000)  # for all pictures that are decoded at once
_MAX_SCANS = (
    200  # of a progressive JPEG; programs write up to about 70, and each costs as much as a whole picture
)
_SCAN = b"\xff\xda"
_JPEGS = ("JPEG", "MPO")

_UPRIGHT = {  # EXIF 2.3, tag 0x0112: what turns the stored pixels upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded image: its size in the file, and a (views, size, size, 3) uint8 RGB array for each geometry."""

    width: int
    height: int
    squares: dict[Geometry, NDArray[np.uint8]]


def decode(data: bytes, geometries: Set[Geometry]) -> Picture:
    """Decodes an image once and fits it to every geometry.

    The first frame counts; EXIF orientation and colour profile are applied; transparency lies on white;
    16-bit grey keeps its range: docs/images.md has all of it. Resizing is Pillow's bilinear, which averages
    over all source pixels. Raises ImageError with the reason.
    """
    with _opened(data) as image:
        width, height = image.size
        with _held(image):
            rgb = _upright(image)
            return Picture(width, height, {geometry: _views(rgb, geometry, data) for geometry in geometries})


def decode_rgb(data: bytes, at_least: int) -> Image.Image:
    """The whole picture, upright and RGB; a large JPEG is decoded smaller, but not under `at_least` pixels."""
    with _opened(data) as image, _held(image, at_least):
        return _upright(image)


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
            _check_scans(image, data)
            yield image
    except UnidentifiedImageError:
        raise ImageError("not an image, or of an unknown format") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"too many pixels ({error})") from error
    except ImageError:
        raise
    except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error and more
        raise ImageError(f"damaged image ({first_line(error)})") from error


def _check_scans(image: Image.Image, data: bytes) -> None:
    """A megabyte can hold a hundred thousand empty scans, which would keep the decoder busy for hours."""
    if image.info.get("progressive") and (scans := data.count(_SCAN)) > _MAX_SCANS:
        raise ImageError(f"{scans} scans in a progressive JPEG, more than the {_MAX_SCANS} that are allowed")


@contextmanager
def _held(image: Image.Image, at_least: int | None = None) -> Iterator[None]:
    """Takes the memory for decoding out of the budget. A JPEG that wants too much is decoded half as large.

    at_least: any JPEG may be decoded as small as this.
    """
    codec = _codec_bytes(image)
    if at_least:
        image.draft("RGB", (at_least, at_least))
    elif image.format in _JPEGS and codec + _picture_bytes(image) > MAX_PICTURE_BYTES:
        image.draft(None, (image.width // 2, image.height // 2))
    needed = codec + _picture_bytes(image)
    if needed > MAX_PICTURE_BYTES:
        raise ImageError(
            f"too many pixels: {image.width} x {image.height} take {needed / 1e6:.0f} MB of memory to decode, "
            f"of which {MAX_PICTURE_BYTES / 1e6:.0f} are allowed"
        )
    with _BUDGET.holding(needed):
        yield


def _codec_bytes(image: Image.Image) -> int:
    """What a decoder holds beside the picture: all coefficients, the canvas of an animation, a strip."""
    progressive = 2 * len(image.getbands()) if image.info.get("progressive") else 0
    pixel_bytes = {"WEBP": 16, "TIFF": 4}.get(image.format or "", progressive)
    return image.width * image.height * pixel_bytes


def _picture_bytes(image: Image.Image) -> int:
    """What the picture takes: Pillow holds 4 bytes a pixel, and converting or turning it makes a copy."""
    turned = "exif" in image.info if image.format == "PNG" else _orientation(image) in _UPRIGHT
    copies = 1 + (not is_plain(image)) + turned
    return 4 * copies * image.width * image.height


def _upright(image: Image.Image) -> Image.Image:
    rgb = to_srgb(image)
    turn = _UPRIGHT.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF says nothing about the picture itself
        return 1
    return orientation if isinstance(orientation, int) else 1


def _views(image: Image.Image, geometry: Geometry, data: bytes) -> NDArray[np.uint8]:
    square = _fit(image, geometry.size, geometry.fit)
    if geometry.augmentation is None:
        return square[None]
    return augmented_views(square, geometry.augmentation, geometry.views, checksum(data))


def _fit(image: Image.Image, size: int, fit: str) -> NDArray[np.uint8]:
    square = (size, size)
    if fit == "crop":
        image = ImageOps.fit(image, square, Image.Resampling.BILINEAR)
    elif fit == "pad":
        image = ImageOps.pad(image, square, Image.Resampling.BILINEAR, color=(0, 0, 0))
    else:
        image = image.resize(square, Image.Resampling.BILINEAR)
    return np.asarray(image)
