"""Decoding: every kind of file that people have, to the very pixels; and a reason for each that is no image."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from embedder.errors import ImageError
from embedder.images import decode, decode_rgb, picture_size

Pixels = NDArray[np.uint8]
SIZE = 32
PILLOW_MAY_WARN = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL.*"
)  # as embedder.images has it outside of pytest


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth enough for JPEG, different everywhere."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def squashed(image: Image.Image, size: int = SIZE) -> Pixels:
    """What Pillow itself makes of an RGB image."""
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def decoded(data: bytes, size: int = SIZE, fit: str = "squash") -> Pixels:
    return decode(data, {(size, fit)}).squares[size, fit]


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([32, 47, 75]))
def test_squash_is_pillows_bilinear_to_the_bit(width: int, height: int, size: int) -> None:
    image = noise(width, height)
    picture = decode(encoded(image), {(size, "squash")})
    assert (picture.width, picture.height) == (width, height)
    assert np.array_equal(picture.squares[size, "squash"], squashed(image, size))


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {"quality": 90}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"interlace": 1}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
        ("PPM", {}),
    ],
)
def test_every_format_gives_what_pillow_reads(format_: str, options: dict[str, Any]) -> None:
    data = encoded(noise(61, 43), format_, **options)
    with Image.open(io.BytesIO(data)) as image:
        expected = squashed(image.convert("RGB"))
    assert np.array_equal(decoded(data), expected)
    assert np.array_equal(decoded(data), decoded(bytes(data)))


def test_photos_of_two_cameras_in_one_file_give_the_first() -> None:
    first, second = noise(40, 30, seed=1), noise(40, 30, seed=2)
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"
    assert abs(decoded(data).astype(int) - squashed(first)).mean() < 5


def test_several_geometries_come_from_one_decoding() -> None:
    data = encoded(noise(50, 80), "JPEG")
    geometries = {(32, "squash"), (48, "squash"), (48, "crop"), (40, "pad")}
    squares = decode(data, geometries).squares
    assert squares.keys() == geometries
    for size, fit in geometries:
        assert squares[size, fit].shape == (size, size, 3)
        assert squares[size, fit].dtype == np.uint8
        assert np.array_equal(squares[size, fit], decoded(data, size, fit))


@pytest.mark.parametrize("upright", [False, True])
def test_crop_keeps_the_middle_and_pad_keeps_all(upright: bool) -> None:
    pixels = np.asarray(noise(3 * SIZE, SIZE)).copy()
    wide = encoded(Image.fromarray(pixels.transpose(1, 0, 2) if upright else pixels))

    def turned(square: Pixels) -> Pixels:
        return square.transpose(1, 0, 2) if upright else square

    assert np.array_equal(turned(decoded(wide, SIZE, "crop")), pixels[:, SIZE : 2 * SIZE])
    padded = turned(decoded(wide, 3 * SIZE, "pad"))
    assert np.array_equal(padded[SIZE : 2 * SIZE], pixels)
    assert not padded[:SIZE].any()
    assert not padded[2 * SIZE :].any()


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (4000, 1), (1, 4000)])
def test_extreme_shapes(size: tuple[int, int], fit: str) -> None:
    square = decoded(encoded(Image.new("RGB", size, (200, 100, 50))), SIZE, fit)
    colours = {tuple(colour) for colour in square.reshape(-1, 3).tolist()}
    assert square.shape == (SIZE, SIZE, 3)
    if fit != "pad":
        assert colours == {(200, 100, 50)}
    assert colours <= {(200, 100, 50), (0, 0, 0)}


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {  # EXIF 2.3, tag 0x0112: how stored pixels are shown
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photos_are_turned_upright(orientation: int) -> None:
    stored = np.asarray(noise(40, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(stored), "PNG", exif=exif)
    shown = Image.fromarray(np.ascontiguousarray(UPRIGHT[orientation](stored)))
    picture = decode(data, {(SIZE, "squash")})
    assert np.array_equal(picture.squares[SIZE, "squash"], squashed(shown))
    assert (picture.width, picture.height) == (40, 24)


BROKEN_EXIF = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x09\x00\x12\x01\x03\x00"


@PILLOW_MAY_WARN
def test_damaged_exif_does_not_cost_the_picture() -> None:
    image = noise(40, 24)
    broken = encoded(image, "JPEG", exif=BROKEN_EXIF)
    assert np.array_equal(decoded(broken), decoded(encoded(image, "JPEG")))


def test_nothing_is_printed_about_damaged_metadata(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encoded(noise(40, 24), "JPEG", exif=BROKEN_EXIF))
    code = "import sys; from embedder.images import decode; decode(open(sys.argv[1], 'rb').read(), {(32, 'crop')})"
    done = subprocess.run([sys.executable, "-c", code, photo], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def colour_of(image: Image.Image, format_: str = "PNG", **options: Any) -> tuple[int, ...]:
    """The colour that a file of one colour is decoded to."""
    square = decoded(encoded(image, format_, **options))
    colours = np.unique(square.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return tuple(colours[0].tolist())


def test_colour_modes() -> None:
    assert colour_of(Image.new("L", (9, 9), 77)) == (77, 77, 77)
    assert colour_of(Image.new("1", (9, 9), 1)) == (255, 255, 255)
    assert colour_of(Image.new("CMYK", (9, 9), (255, 0, 0, 0)), "TIFF") == (0, 255, 255)
    red, green, blue = colour_of(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "JPEG", quality=100)
    assert red > 245
    assert max(green, blue) < 10
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 12, 34, 56])
    assert colour_of(palette) == (12, 34, 56)


def test_transparency_lies_on_white() -> None:
    assert colour_of(Image.new("RGBA", (9, 9), (0, 0, 0, 0))) == (255, 255, 255)
    half = colour_of(Image.new("RGBA", (9, 9), (0, 100, 255, 128)))
    assert half == pytest.approx((127, 177, 255), abs=1)
    assert colour_of(Image.new("LA", (9, 9), (0, 128))) == pytest.approx((127, 127, 127), abs=1)
    assert colour_of(Image.new("L", (9, 9), 5), transparency=5) == (255, 255, 255)
    assert colour_of(Image.new("RGB", (9, 9), (9, 8, 7)), transparency=(9, 8, 7)) == (255, 255, 255)
    assert colour_of(Image.new("RGB", (9, 9), (9, 8, 7)), transparency=(1, 1, 1)) == (9, 8, 7)
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 12, 34, 56])
    assert colour_of(palette, transparency=1) == (255, 255, 255)
    assert colour_of(palette, "GIF", transparency=1) == (255, 255, 255)


@pytest.mark.parametrize(("format_", "dtype"), [("PNG", "<u2"), ("TIFF", "<u2"), ("PPM", "<u2")])
def test_sixteen_bit_grey_keeps_its_range(format_: str, dtype: str) -> None:
    for level in (0, 1, 77, 254, 255):
        image = Image.fromarray(np.full((9, 9), level * 257, dtype))
        assert colour_of(image, format_) == (level,) * 3


def test_big_endian_sixteen_bit_tiff() -> None:
    pixels = struct.pack(">4H", *[200 * 257] * 4)
    tags = [(256, 3, 2), (257, 3, 2), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 8)]
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    data = b"MM\x00*" + struct.pack(">I", 16) + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)
    assert (decoded(data) == 200).all()


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    for format_ in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if format_ == "WEBP" else {}
        data = encoded(frames[0], format_, save_all=True, append_images=frames[1:], **options)
        assert (decoded(data) == (255, 0, 0)).all(), format_


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64)))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"dear diary, this is no photo", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),  # never run Ghostscript
        (bytes(10_000), "not an image"),
        (png_header(60_000, 60_000), "too many pixels"),
        (png_header(300, 300), "damaged image"),
        (encoded(Image.fromarray(np.full((9, 9), 0.5, np.float32)), "TIFF"), "floating-point"),
    ],
    ids=["empty", "text", "svg", "postscript", "zeros", "bomb", "cut", "float"],
)
def test_what_is_no_image_has_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(data, {(SIZE, "squash")})


@PILLOW_MAY_WARN
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_file_cut_short_is_refused_or_whole(format_: str) -> None:
    data = encoded(noise(50, 40), format_)
    whole = decoded(data)
    refused = 0
    for length in [*range(1, len(data), 37), *range(len(data) - 40, len(data))]:
        try:
            assert np.array_equal(decoded(data[:length]), whole), f"half a picture from {length} bytes"
        except ImageError:
            refused += 1
    assert refused > len(data) // 40


@PILLOW_MAY_WARN
@given(st.data())
def test_damaged_bytes_raise_nothing_but_image_error(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"]))
    file = bytearray(encoded(noise(30, 20), format_))
    for _ in range(data.draw(st.integers(1, 8))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decoded(bytes(file)).shape == (SIZE, SIZE, 3)
    except ImageError as error:
        assert str(error).strip()
        assert "\n" not in str(error)


def test_the_header_gives_the_size_without_decoding() -> None:
    assert picture_size(png_header(300, 200)) == (300, 200)
    with pytest.raises(ImageError, match="empty"):
        picture_size(b"")


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_thumbnails_decode_at_least_what_is_asked_for(format_: str) -> None:
    image = decode_rgb(encoded(noise(800, 600), format_), at_least=100)
    assert image.mode == "RGB"
    assert 100 <= min(image.size) <= 600
    assert image.width * 3 == image.height * 4
