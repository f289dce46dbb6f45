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
from embedder.geometry import Geometry
from embedder.images import Picture, decode, decode_rgb, picture_size

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


def only(picture: Picture) -> Pixels:
    """The one square of a picture that was decoded for one plain geometry."""
    [squares] = picture.squares.values()
    square: Pixels = np.squeeze(squares, axis=0)
    return square


def decoded(data: bytes, size: int = SIZE, fit: str = "squash") -> Pixels:
    return only(decode(data, {Geometry(size, fit)}))


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([32, 47, 75]))
def test_squash_is_pillows_bilinear_to_the_bit(width: int, height: int, size: int) -> None:
    image = noise(width, height)
    picture = decode(encoded(image), {Geometry(size, "squash")})
    assert (picture.width, picture.height) == (width, height)
    assert np.array_equal(only(picture), squashed(image, size))


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
    geometries = {Geometry(*pair) for pair in ((32, "squash"), (48, "squash"), (48, "crop"), (40, "pad"))}
    squares = decode(data, geometries).squares
    assert squares.keys() == geometries
    for geometry in geometries:
        assert squares[geometry].shape == (1, geometry.size, geometry.size, 3)
        assert squares[geometry].dtype == np.uint8
        assert np.array_equal(squares[geometry][0], decoded(data, geometry.size, geometry.fit))


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
    picture = decode(data, {Geometry(SIZE, "squash")})
    assert np.array_equal(only(picture), squashed(shown))
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
    code = "import sys; from embedder.images import decode_rgb; decode_rgb(open(sys.argv[1], 'rb').read(), at_least=32)"
    done = subprocess.run([sys.executable, "-c", code, photo], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def colour_of(image: Image.Image, format_: str = "PNG", **options: Any) -> tuple[int, ...]:
    """The colour that a picture of one colour has after being written and decoded."""
    return one_colour(encoded(image, format_, **options))


def one_colour(data: bytes) -> tuple[int, ...]:
    """The colour that a file of one colour is decoded to."""
    square = decoded(data)
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


def test_cmyk_jpeg_as_photoshop_writes_it() -> None:
    """Both of Adobe's kinds are stored inverted; in YCCK the inks are stored as luma and chroma."""
    inks = (255 - 100, 127, 255 - 200, 0)  # stored inverted as 100, 128, 200, 255
    plain = encoded(Image.new("CMYK", (16, 16), inks), "JPEG", quality=100)
    assert one_colour(plain) == pytest.approx((100, 128, 200), abs=2)
    ycck = bytearray(plain)
    ycck[plain.index(b"Adobe") + 11] = 2  # the transform that the APP14 marker tells
    red, green, blue = (
        100 + 1.402 * 72,
        100 - 0.714 * 72,
        100,
    )  # from luma 100, chroma 128 and 200 (JFIF 1.02)
    assert one_colour(bytes(ycck)) == pytest.approx((255 - red, 255 - green, 255 - blue), abs=3)


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


def tiff(pixels: bytes, bits: int, photometric: int = 1, order: str = ">") -> bytes:
    """A 2 x 2 TIFF of one channel."""
    values = {256: 2, 257: 2, 258: bits, 259: 1, 262: photometric, 273: 8, 279: len(pixels)}
    body = pixels.ljust(8, b"\0")
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in values.items())
    mark = b"MM\x00*" if order == ">" else b"II*\x00"
    return (
        mark
        + struct.pack(order + "I", 16)
        + body
        + struct.pack(order + "H", len(values))
        + entries
        + bytes(4)
    )


def test_grey_tiff_of_more_than_eight_bits() -> None:
    level = 200 * 257
    assert (decoded(tiff(struct.pack(">4H", *[level] * 4), 16)) == 200).all()
    assert (decoded(tiff(struct.pack("<4H", *[level] * 4), 16, order="<")) == 200).all()
    assert (decoded(tiff(struct.pack("<4H", *[level] * 4), 16, photometric=0, order="<")) == 55).all()
    assert (decoded(tiff(bytes([0x80, 0x08, 0x00] * 2), 12, order="<")) == 2048 * 255 // 4095).all()


def png(depth: int, colour: int, pixel: bytes, *chunks: tuple[bytes, bytes], size: int = 3) -> bytes:
    """A PNG of one colour, with chunks before its pixels."""
    header = struct.pack(">IIBBBBB", size, size, depth, colour, 0, 0, 0)
    rows = zlib.compress((b"\0" + pixel * size) * size)
    written = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in written
    )


def test_sixteen_bit_png_of_every_kind() -> None:
    grey, red, half = (level.to_bytes(2, "big") for level in (0x4D4D, 0xFE80, 0x8080))
    zero, full = bytes(2), b"\xff\xff"
    assert one_colour(png(16, 0, grey)) == (0x4D,) * 3
    assert one_colour(png(16, 0, grey, (b"tRNS", grey))) == (255,) * 3
    assert one_colour(png(16, 0, grey, (b"tRNS", zero))) == (0x4D,) * 3
    assert one_colour(png(16, 2, red + zero + grey)) == (0xFE, 0, 0x4D)
    assert one_colour(png(16, 4, grey + full)) == (0x4D,) * 3
    assert one_colour(png(16, 4, zero + half)) == pytest.approx((127,) * 3, abs=1)
    assert one_colour(png(16, 6, red + zero + grey + zero)) == (255,) * 3


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
        decode(data, {Geometry(SIZE, "squash")})


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


Colorants = list[tuple[float, float, float]]
SRGB: Colorants = [(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]
DISPLAY_P3: Colorants = [
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
]
SRGB_CURVE = b"para" + struct.pack(
    ">4xH2x5i", 3, *(round(x * 65536) for x in (2.4, 0.94787, 0.05213, 0.0774, 0.04045))
)


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile of a display (ICC.1:2022, clause 7) with these tags."""
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data.ljust(-(-len(data) // 4) * 4, b"\0")
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += padded
    head = struct.pack(">I4x4s4s4s4s12x4s", start + len(body), b"\x04\x20\0\0", b"mntr", space, pcs, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(colorants: Colorants) -> bytes:
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
    for name, colorant in zip("rgb", colorants, strict=True):
        tags |= {f"{name}XYZ".encode(): xyz(*colorant), f"{name}TRC".encode(): SRGB_CURVE}
    return profile(b"RGB ", tags)


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def cmyk_profile() -> bytes:
    """Of a press whose cyan looks blue, where no ink is white and every other solid ink black."""
    blue, white, black = (75, 196, 16), (255, 128, 128), (0, 128, 128)  # Lab of sRGB's blue, in 8 bits
    corners = [white] + [black] * 7 + [blue] + [black] * 7  # two grid points an ink, cyan varying slowest
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    table = b"".join(bytes(corner) for corner in corners)
    lut = b"mft1" + struct.pack(">4x3Bx", 4, 3, 2) + identity + ramp * 4 + table + ramp * 3
    return profile(b"CMYK", {b"A2B0": lut, b"wtpt": xyz(0.9642, 1.0, 0.8249)}, pcs=b"Lab ")


SWAPPED = rgb_profile(SRGB[::-1])  # red and blue have changed places


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_colour_profiles_are_applied(format_: str) -> None:
    best: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}
    options = best.get(format_, {})
    exact = 3 if format_ == "JPEG" else 0
    red = Image.new("RGB", (16, 16), (255, 0, 0))
    assert colour_of(red, format_, icc_profile=SWAPPED, **options) == pytest.approx((0, 0, 255), abs=exact)
    red_in_p3 = Image.new("RGB", (16, 16), (234, 51, 35))  # what CSS Color 4 says of sRGB's red
    wide = colour_of(red_in_p3, format_, icc_profile=rgb_profile(DISPLAY_P3), **options)
    assert wide == pytest.approx((255, 0, 0), abs=6)


def test_a_profile_counts_for_each_mode_that_it_describes() -> None:
    assert colour_of(Image.new("RGBA", (9, 9), (255, 0, 0, 128)), icc_profile=SWAPPED) == (127, 127, 255)
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert colour_of(palette, icc_profile=SWAPPED) == (0, 0, 255)
    linear = profile(b"GRAY", {b"kTRC": b"curv" + bytes(8), b"wtpt": xyz(0.9642, 1.0, 0.8249)})
    assert colour_of(Image.new("L", (9, 9), 55), icc_profile=linear) == pytest.approx((128,) * 3, abs=1)
    assert colour_of(Image.new("LA", (9, 9), (55, 255)), icc_profile=linear) == pytest.approx(
        (128,) * 3, abs=1
    )
    sixteen = Image.fromarray(np.full((9, 9), 55 * 257, np.uint16))
    assert colour_of(sixteen, icc_profile=linear) == pytest.approx((128,) * 3, abs=1)
    cyan = Image.new("CMYK", (9, 9), (255, 0, 0, 0))
    assert colour_of(cyan, "TIFF") == (0, 255, 255)
    assert colour_of(cyan, "TIFF", icc_profile=cmyk_profile()) == pytest.approx((0, 0, 255), abs=8)
    printed = colour_of(cyan, "JPEG", quality=100, icc_profile=cmyk_profile())
    assert printed == pytest.approx((0, 0, 255), abs=12)


@pytest.mark.parametrize(
    "icc",
    [
        rgb_profile(SRGB),
        SWAPPED[:200],
        SWAPPED[:-40],
        b"garbage" * 60,
        bytes(4000),
        rgb_profile([(0.0, 0.0, 0.0)] * 3),
        profile(b"RGB ", {}),
        profile(b"GRAY", {b"kTRC": b"curv" + bytes(8)}),
        cmyk_profile(),
        SWAPPED.replace(b"mntr", b"link"),
        SWAPPED + bytes(5 << 20),
    ],
    ids=["srgb", "cut", "short", "garbage", "zeros", "black", "empty", "grey", "cmyk", "link", "huge"],
)
def test_profiles_that_say_nothing_leave_the_pixels_alone(icc: bytes) -> None:
    image = noise(60, 40)
    assert np.array_equal(decoded(encoded(image, "TIFF", icc_profile=icc)), squashed(image))


def test_large_pictures_are_converted_in_strips_to_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(70, 50)
    sixteen = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    palette = image.quantize(40)
    files = [encoded(image, icc_profile=SWAPPED), encoded(sixteen, transparency=771), encoded(palette, "GIF")]
    files += [encoded(image.convert(mode), "TIFF") for mode in ("CMYK", "LA", "RGBA", "1", "L", "LAB")]
    whole = [decoded(data) for data in files]
    monkeypatch.setattr("embedder.colours._STRIP_PIXELS", 200)
    for data, expected in zip(files, whole, strict=True):
        assert np.array_equal(decoded(data), expected)


def test_a_jpeg_too_large_for_memory_is_decoded_half_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    image = noise(400, 300)
    data = encoded(image, "JPEG", quality=95)
    whole = decoded(data)
    monkeypatch.setattr("embedder.images.MAX_PICTURE_BYTES", 300_000)
    assert not np.array_equal(decoded(data), whole)
    assert abs(decoded(data).astype(int) - whole).mean() < 2
    picture = decode(data, {Geometry(SIZE, "squash")})
    assert (picture.width, picture.height) == (400, 300)
    with pytest.raises(ImageError, match=r"too many pixels: 400 x 300 take 0 MB"):
        decode(encoded(image), {Geometry(SIZE, "squash")})
    monkeypatch.setattr("embedder.images.MAX_PICTURE_BYTES", 100_000)
    with pytest.raises(ImageError, match="too many pixels: 200 x 150"):
        decode(data, {Geometry(SIZE, "squash")})


def test_scans_without_end_are_refused() -> None:
    data = encoded(noise(40, 30), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert decoded(data[:-2] + data[last:]).any()
    with pytest.raises(ImageError, match="scans in a progressive JPEG"):
        decoded(data[:-2] + data[last:-2] * 300 + b"\xff\xd9")
