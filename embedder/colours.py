"""From the pixels of any image file to sRGB, 8 bits a channel, nothing transparent."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from embedder.errors import ImageError

_STRIP_PIXELS = 1 << 20
_MAX_PROFILE_BYTES = 4 << 20  # the largest of printing presses have under 3 MB
_SAME_LEVELS = (
    2  # profiles called sRGB differ by 0 or 1 from it, or by 9 and more: they mean a plain gamma of 2.2
)
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour spaces of ICC.1:2022, table 19, as Pillow modes
_DEVICES = ("scnr", "mntr", "prtr", "spac")  # its classes that say what pixels look like
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF 6.0

ToGrey = Callable[[Image.Image], Image.Image]


def is_plain(image: Image.Image) -> bool:
    """Whether the file's pixels are used as they are."""
    return image.mode == "RGB" and "transparency" not in image.info and _transform_of(image) is None


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB: its colour profile applied, on white where it is transparent.

    A plain one is given back itself. Others are converted in strips, so that there is never more than the file's
    picture and the result. Raises ImageError for pixels that have no meaning as colours.
    """
    if image.mode == "F":
        raise ImageError("floating-point pixels have no agreed range")
    image.load()
    if is_plain(image):
        return image
    transform, to_grey = _transform_of(image), _sixteen_bit_rule(image)
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if height <= rows:
        return _strip_to_srgb(image, transform, to_grey)
    result = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        result.paste(_strip_to_srgb(strip, transform, to_grey), (0, top))
    return result


def _strip_to_srgb(
    image: Image.Image, transform: ImageCms.ImageCmsTransform | None, to_grey: ToGrey
) -> Image.Image:
    colours, alpha = _separated(image, to_grey)
    if transform and colours.mode != transform.input_mode:
        transform = None  # such as the profile of a printer on a grey picture
    rgb = transform.apply(colours) if transform else colours.convert("RGB")
    if alpha is None:
        return rgb
    rgb.putalpha(alpha)
    white = Image.new("RGBA", rgb.size, "white")
    return Image.alpha_composite(white, rgb).convert("RGB")


def _separated(image: Image.Image, to_grey: ToGrey) -> tuple[Image.Image, Image.Image | None]:
    """The colours (L, RGB or CMYK) and the opacity of each pixel (L), None where there is none."""
    if image.mode.startswith("I"):
        return to_grey(image), _opaque_but(image, image.info.get("transparency"))
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        layered = image.convert("RGBA")
        grey = image.mode in ("L", "LA", "La")
        return layered.getchannel("R") if grey else layered.convert("RGB"), layered.getchannel("A")
    return image if image.mode in _MODES.values() else image.convert("RGB"), None


def _opaque_but(image: Image.Image, level: object) -> Image.Image | None:
    if not isinstance(level, int):
        return None
    return Image.fromarray(np.where(np.asarray(image) == level, 0, 255).astype(np.uint8))


def _sixteen_bit_rule(image: Image.Image) -> ToGrey:
    """Pillow's own conversion cuts 16-bit grey off at 255, which turns most of it white.

    Nor does it spread the 12 bits of a TIFF over 16, or turn one round in which 0 is white.
    """
    tags = getattr(image, "tag_v2", {})
    top = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    zero_is_white = tags.get(_PHOTOMETRIC) == 0

    def to_grey(strip: Image.Image) -> Image.Image:
        levels: NDArray[np.int64] = np.clip(np.asarray(strip, np.int64), 0, top) * 255 // top
        return Image.fromarray((255 - levels if zero_is_white else levels).astype(np.uint8))

    return to_grey


def _transform_of(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _MAX_PROFILE_BYTES:
        return None
    return _transform(profile)


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """From this profile's colours to sRGB; None if it is sRGB itself, or damaged, or makes no sense."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space.strip()]
        if source.profile.device_class not in _DEVICES:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return transform if _is_of_use(transform, mode) else None
    except (ImageCms.PyCMSError, KeyError, OSError, ValueError, TypeError, AttributeError):
        return None


def _is_of_use(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether it tells dark from light, and changes colours by more than rounding does."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    bands = len(Image.new(mode, (1, 1)).getbands())
    grid = np.stack(np.meshgrid(*[levels[:: 3 if bands == 4 else 1]] * bands), -1).reshape(1, -1, bands)
    probe = Image.fromarray(grid[..., 0] if bands == 1 else grid, mode)
    result = np.asarray(transform.apply(probe)).astype(int)
    if np.ptp(result) < 128:
        return False
    return bands == 4 or bool(np.abs(result - grid).max() > _SAME_LEVELS)
