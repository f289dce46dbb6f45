"""Bad, odd and hostile files: one run over all of them, each embedded right or recorded with its reason."""

from __future__ import annotations

import io
import os
import random
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from embedder.errors import ImageError
from embedder.geometry import Geometry
from embedder.images import decode, decode_rgb, picture_size
from embedder.job import embed
from embedder.recipe import Recipe
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import Entry, read_entry
from store import FeatureStore
from store.verify import verify

if TYPE_CHECKING:
    from tests.conftest import FakeEngines

# As embedder.images has it outside of pytest.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.*"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

SMALL = Recipe("MobileNetV2", weights="none", image_size=32)
GEOMETRY = Geometry(32, "squash")
SECONDS = 120  # for a run that takes a few
MEMORY = 500_000_000


def drawn(seed: int = 0) -> Image.Image:
    blobs = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize((40, 30), Image.Resampling.BICUBIC)


BASE = drawn()
GREY = BASE.convert("L")
CLEAR = Image.merge("RGBA", (*BASE.split(), GREY))


def file(image: Image.Image = BASE, format_: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


# Pieces of the formats


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(
    *between: bytes, width: int = 10, height: int = 10, rows: bytes = bytes(310), crc: int | None = None
) -> bytes:
    """A black RGB PNG with chunks before its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), crc)
    pixels = chunk(b"IDAT", zlib.compress(rows, 1)) if rows else b""
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + pixels + chunk(b"IEND", b"")


def text_bomb(size: int, keyword: bytes = b"a") -> bytes:
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(bytes(size), 1))


def jpeg_of_size(width: int, height: int) -> bytes:
    data = file()
    return patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", height, width))


def arithmetic_jpeg() -> bytes:
    """An arithmetic-coded grey square (ITU-T T.81, SOF9), with hardly any data: zeros are read at its end."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 255, marker, len(data) + 2) + data

    frame = struct.pack(">BHHB", 8, 16, 16, 1) + b"\x01\x11\0"
    tables = segment(0xDB, b"\0" + bytes([1] * 64))
    return (
        b"\xff\xd8" + tables + segment(0xC9, frame) + segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\0\0\xff\xd9"
    )


def ycck_jpeg() -> bytes:
    data = file(Image.new("CMYK", (16, 16), (155, 127, 127, 0)), quality=100)
    return patched(data, data.index(b"Adobe") + 11, b"\x02")


def scan_bomb() -> bytes:
    data = file(progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 20_000 + b"\xff\xd9"


def gif_of_canvas(width: int, height: int) -> bytes:
    return patched(file(format_="GIF"), 6, struct.pack("<HH", width, height))


def tiff_with(tag: int, value: int | None = None, count: int | None = None) -> bytes:
    """A TIFF with one entry of its directory changed."""
    data = bytearray(file(format_="TIFF"))
    at = directory_of(data)
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == tag:
            for offset, new in ((4, count), (8, value)):
                if new is not None:
                    struct.pack_into("<I", data, entry + offset, new)
    return bytes(data)


def directory_of(data: bytes | bytearray) -> int:
    found: int = struct.unpack_from("<I", data, 4)[0]
    return found


def looping_tiff() -> bytes:
    data = file(format_="TIFF")
    start = directory_of(data)
    return patched(data, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], struct.pack("<I", start))


def webp_of_canvas(edge: int) -> bytes:
    size = (edge - 1).to_bytes(3, "little")
    return (
        b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\x10\0\0\0"
        + size * 2
        + bytes(8)
    )


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def frames(format_: str, count: int = 3, **options: Any) -> bytes:
    return file(BASE, format_, save_all=True, append_images=[drawn(n) for n in range(1, count)], **options)


def on_white(image: Image.Image) -> Image.Image:
    return Image.composite(BASE, Image.new("RGB", BASE.size, "white"), image.getchannel("A"))


def flat(colour: tuple[int, int, int] | int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("RGB", size, (colour,) * 3 if isinstance(colour, int) else colour)


class Case(NamedTuple):
    """A file: the picture that it shows, or the reason that is recorded of it."""

    name: str
    data: bytes
    outcome: Image.Image | str


JPEG, PNG, GIF, WEBP, TIFF, BMP = (
    file(format_=name) for name in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP")
)
CUT = "damaged image|not an image"
BOMB = "too many pixels"
NO_IMAGE = "not an image, or of an unknown format"
TURNED = BASE.transpose(Image.Transpose.ROTATE_270)

CASES = [
    # odd, but sound
    Case("progressive.jpg", file(progressive=True), BASE),
    Case("arithmetic.jpg", arithmetic_jpeg(), flat(130)),
    Case("grey.jpg", file(GREY), GREY.convert("RGB")),
    Case("cmyk.jpg", file(BASE.convert("CMYK")), BASE),
    Case("ycck.jpg", ycck_jpeg(), flat(155)),
    Case("two_cameras.jpg", frames("MPO"), BASE),
    Case("trailing_garbage.jpg", JPEG + bytes(range(256)) * 9, BASE),
    Case("UPPER.JPG", file(quality=90), BASE),
    Case("png_named.jpg", PNG, BASE),
    Case("jpeg_named.png", file(quality=91), BASE),
    Case("exif_turned.jpg", file(exif=exif(6)), TURNED),
    Case("exif_orientation_99.jpg", file(exif=exif(99)), BASE),
    Case("exif_damaged.jpg", file(exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01\x03\0"), BASE),
    Case("exif_garbage.jpg", file(exif=b"Exif\0\0" + b"\xff" * 3000), BASE),
    Case("icc_garbage.jpg", file(icc_profile=b"\xff\0icc" * 3000), BASE),
    Case("header_of_a_smaller_picture.jpg", jpeg_of_size(40, 8), BASE.crop((0, 0, 40, 8))),
    Case(
        "sixteen_bit.png",
        file(Image.fromarray(np.asarray(GREY, np.uint16) * 257), "PNG"),
        GREY.convert("RGB"),
    ),
    Case("palette.png", file(BASE.quantize(200), "PNG"), BASE),
    Case("palette_transparent.png", file(flat(0).quantize(2), "PNG", transparency=0), flat(255)),
    Case("alpha.png", file(CLEAR, "PNG"), on_white(CLEAR)),
    Case("one_bit.png", file(Image.new("1", (9, 9), 1), "PNG"), flat(255)),
    Case("interlaced.png", file(format_="PNG", interlace=1), BASE),
    Case("wrong_data_crc.png", png().replace(chunk(b"IEND", b""), chunk(b"IEND", b"", 1)), flat(0)),
    Case("long_text.png", png(chunk(b"tEXt", b"a\0" + b"x" * 900_000)), flat(0)),
    Case("too_much_data.png", png(rows=bytes(40_000_000)), flat(0)),
    Case("animated.png", frames("PNG"), BASE),
    Case("animated.gif", file(flat(9), "GIF", save_all=True, append_images=[flat(99), flat(200)]), flat(9)),
    Case(
        "many_frames.gif",
        file(flat(1), "GIF", save_all=True, append_images=[flat(n % 256) for n in range(2, 300)]),
        flat(1),
    ),
    Case("transparent.gif", file(flat(0).quantize(2), "GIF", transparency=0), flat(255)),
    Case("animated.webp", frames("WEBP", lossless=True), BASE),
    Case("lossy_alpha.webp", file(CLEAR, "WEBP", quality=95), on_white(CLEAR)),
    Case("pages.tif", frames("TIFF"), BASE),
    Case("looping.tif", looping_tiff(), BASE),
    Case("rows_per_strip.tif", tiff_with(278, value=2**31), BASE),
    Case("jpeg_inside.tiff", file(format_="TIFF", compression="jpeg"), BASE),
    Case(
        "upside_down.bmp",
        patched(BMP, 22, struct.pack("<i", -30)),
        BASE.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    ),
    Case("text.ppm", b"P3 # a comment\n2 2 255\n" + b"7 " * 12, flat(7)),
    Case("one_pixel.png", file(flat(77, (1, 1)), "PNG"), flat(77)),
    Case("wide.png", file(flat(78, (30_000, 1)), "PNG"), flat(78)),
    Case("tall.jpg", file(flat(79, (1, 30_000))), flat(79)),
    Case("25_megapixels.png", file(Image.new("L", (5000, 5000), 66), "PNG"), flat(66)),
    Case("new\nline\tand\x1b[31mcolour.jpg", file(quality=92), BASE),
    Case("\udcff\udcfenot_utf8.jpg", file(quality=93), BASE),
    Case("back\\slash.jpg", file(quality=94), BASE),
    Case("ü" * 125 + "x.jpg", file(quality=88), BASE),  # 255 bytes
    Case(" .jpg", file(quality=87), BASE),
    # bad
    Case("empty.jpg", b"", "the file is empty"),
    Case("one_byte.jpg", b"\xff", NO_IMAGE),
    Case("zeros.jpg", bytes(5000), NO_IMAGE),
    Case("noise.jpg", random.Random(1).randbytes(5000), NO_IMAGE),  # noqa: S311
    *(
        Case(f"cut_{share}.jpg", JPEG[: len(JPEG) * share // 100], CUT)
        for share in (1, 10, 40, 60, 80, 95, 99)
    ),
    *(Case(f"cut_{share}.png", PNG[: len(PNG) * share // 100], CUT) for share in (1, 30, 60, 90)),
    *(Case(f"cut_{share}.gif", GIF[: len(GIF) * share // 100], CUT) for share in (1, 50, 90)),
    *(Case(f"cut_{share}.webp", WEBP[: len(WEBP) * share // 100], CUT) for share in (5, 50, 90)),
    *(Case(f"cut_{share}.tif", TIFF[: len(TIFF) * share // 100], CUT) for share in (1, 50, 90)),
    *(Case(f"cut_{share}.bmp", BMP[: len(BMP) * share // 100], CUT) for share in (1, 50, 90)),
    Case("wrong_header_crc.png", png(crc=1), NO_IMAGE),
    Case("no_pixels.png", png(rows=b""), "damaged image"),
    Case("no_width.png", png(width=0), NO_IMAGE),
    Case("bomb.png", png(width=60_000, height=60_000), BOMB),
    Case("smaller_bomb.png", png(width=13_000, height=13_000), "too many pixels: 13000 x 13000 take 676 MB"),
    Case("text_bomb.png", png(text_bomb(50_000_000)), "damaged image"),
    Case("text_bombs.png", png(*[text_bomb(1_000_000)] * 70), "damaged image"),
    Case(
        "profile_bomb.png",
        png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000), 1))),
        "damaged image",
    ),
    Case("bomb.jpg", jpeg_of_size(65_500, 65_500), BOMB),
    Case("scan_bomb.jpg", scan_bomb(), "scans in a progressive JPEG"),
    Case("no_height.jpg", jpeg_of_size(40, 0), CUT),
    Case("bomb.gif", gif_of_canvas(65_535, 65_535), BOMB),
    Case("smaller_bomb.gif", gif_of_canvas(10_000, 10_000), BOMB),
    Case("bomb.webp", webp_of_canvas(16_383), BOMB),
    Case("smaller_bomb.webp", webp_of_canvas(9_000), BOMB + "|" + CUT),
    Case("bomb.bmp", patched(BMP, 18, struct.pack("<ii", 2**30, 2**30)), BOMB),
    Case("bomb.ppm", b"P6 99999 99999 255\n", BOMB),
    Case("bomb.tif", tiff_with(257, value=2**31), BOMB + "|" + CUT),
    Case("strip_counts.tif", tiff_with(273, count=2**30), CUT),
    Case("strip_elsewhere.tif", tiff_with(273, value=2**31), CUT),
    Case("directory_in_header.tif", patched(TIFF, 4, struct.pack("<I", 4)), CUT),
    Case("unknown_compression.tif", tiff_with(259, value=5), "damaged image"),
    Case(
        "floats.tif",
        file(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
        "floating-point pixels",
    ),
    Case("page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", NO_IMAGE),
    Case("vector.jpg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", NO_IMAGE),
    Case("document.jpg", b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n%%EOF\n", NO_IMAGE),
    Case("script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", NO_IMAGE),
    Case("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300), NO_IMAGE),
    Case("icon.png", file(BASE, "ICO"), NO_IMAGE),
]
SPECIALS = {  # what is no plain file, or does not stay what it was
    "fifo.jpg": "not a regular file",
    "device.jpg": "not a regular file",
    "dangling.jpg": "there is no such file",
    "loops.jpg": "could not be read",
    "vanishes.jpg": "there is no such file",
    "becomes_a_folder.jpg": "could not be read|not a regular file",
    "is_cut_meanwhile.jpg": "damaged image",
    "unreadable.jpg": "could not be read",
}


def test_there_are_kinds_enough() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40
    assert sum(isinstance(case.outcome, str) for case in CASES) >= 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case.name))
def test_each_file_is_decoded_right_or_refused_with_its_reason(case: Case) -> None:
    if isinstance(case.outcome, str):
        with pytest.raises(ImageError, match=case.outcome) as refused:
            decode(case.data, {GEOMETRY})
        assert "\n" not in str(refused.value)
        return
    [square] = decode(case.data, {GEOMETRY}).squares[GEOMETRY]
    shown = case.outcome.resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(square.astype(int) - np.asarray(shown)).mean() < 8
    assert min(decode_rgb(case.data, 16).size) >= 1
    assert min(picture_size(case.data)) >= 1


def lay_out(folder: Path) -> None:
    """All cases as files, and what is no file."""
    folder.mkdir()
    for case in CASES:
        (folder / case.name).write_bytes(case.data)
    for number, name in enumerate(
        ("grows", "changes", "vanishes", "becomes_a_folder", "is_cut_meanwhile", "unreadable")
    ):
        (folder / f"{name}.jpg").write_bytes(file(drawn(100 + number)))
    os.mkfifo(folder / "fifo.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "loops.jpg").symlink_to(folder / "loops.jpg")
    (folder / "loop").symlink_to(folder)
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.jpg").write_bytes(file(drawn(50)))
    (folder / "theirs").mkdir()
    (folder / "theirs" / "hidden.jpg").write_bytes(file(drawn(51)))
    for hidden in ("._progressive.jpg", ".DS_Store", "Thumbs.db"):
        (folder / hidden).write_bytes(b"\0\x05\x16\x07" * 20)


def change_meanwhile(entry: Entry) -> None:
    """What others do to the folder between its listing and the reading of a file."""
    path, name = Path(entry.path), Path(entry.key).name
    if name in ("vanishes.jpg", "becomes_a_folder.jpg"):
        path.unlink()
    if name == "becomes_a_folder.jpg":
        path.mkdir()
    if name == "grows.jpg":
        path.write_bytes(path.read_bytes() + bytes(5000))
    if name == "changes.jpg":
        path.write_bytes(file(drawn(60)))
    if name == "is_cut_meanwhile.jpg":
        path.write_bytes(path.read_bytes()[:200])
    if name == "unreadable.jpg":
        path.chmod(0)


def read_in_a_busy_folder(entry: Entry) -> bytes:
    change_meanwhile(entry)
    if entry.key == "unreadable.jpg" and os.geteuid() == 0:  # root reads everything
        raise ImageError("could not be read (Permission denied)")
    return read_entry(entry)


@contextmanager
def resident_growth() -> Iterator[Callable[[], int]]:
    """How much more memory this process held at most in the block than before it, in bytes; 0 without /proc."""
    statm = Path("/proc/self/statm")
    peak, before, done = 0, resident(statm), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident(statm) - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: peak
    finally:
        done.set()
        watcher.join()


def resident(statm: Path) -> int:
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def embed_within(seconds: float, folder: Path, bank: Path) -> EmbedReport:
    """One job on another thread, so that a hang is a failure of this test and not its end."""
    reports: list[EmbedReport] = []

    def job() -> None:
        reports.append(embed(folder, bank, SMALL, settings=JobSettings(batch_size=5, workers=4)))

    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    thread.join(seconds)
    assert reports, "the job hangs" if thread.is_alive() else "the job failed"
    return reports[0]


def test_one_job_takes_the_whole_folder(
    tmp_path: Path, fake_engine: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, bank = tmp_path / "folder", tmp_path / "bank.embank"
    lay_out(folder)
    monkeypatch.setattr("embedder.pipeline.read_entry", read_in_a_busy_folder)
    deny_listing(monkeypatch, "theirs")
    with resident_growth() as growth:
        report = embed_within(SECONDS, folder, bank)
    assert growth() < MEMORY

    images = FeatureStore(bank).sources["folder"].table.set_index("key")
    reasons = {case.name: case.outcome for case in CASES if isinstance(case.outcome, str)} | SPECIALS
    sound = {case.name: case.data for case in CASES if not isinstance(case.outcome, str)} | {
        name: (folder / name).read_bytes() for name in ("grows.jpg", "changes.jpg", "folder.jpg/inside.jpg")
    }
    assert set(images.index) == {key(name) for name in (*reasons, *sound)}
    for name, reason in reasons.items():
        status = images.loc[key(name), "status"]
        assert re.search(reason, str(status)), (name, status)
    assert report.failed == len(reasons)
    assert report.listed == len(reasons) + len(sound)
    vectors = FeatureStore(bank).vectors(
        report.space[0], images.loc[[key(name) for name in sound]].reset_index()
    )
    for vector, (name, data) in zip(vectors, sound.items(), strict=True):
        assert np.array_equal(vector, fake_engine.vector(SMALL, data)), name
    assert verify(bank).ok


def key(name: str) -> str:
    """As the listing has it: see embedder.entries.key_of."""
    if any("\udc80" <= letter <= "\udcff" for letter in name):
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name.replace("\\", "\\\\")


def deny_listing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One folder becomes another user's: as root there is none that cannot be listed."""
    scandir = os.scandir

    def scan(path: Any) -> Any:
        if os.path.basename(os.fsdecode(path)) == name:  # noqa: PTH119 (bytes)
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", scan)


MUTANTS = 2000
GRAINS = [
    file(drawn(1), "JPEG"),
    file(drawn(2), "JPEG", progressive=True, exif=exif(6)),
    file(drawn(3).convert("CMYK"), "JPEG", icc_profile=bytes(range(200))),
    file(drawn(4), "PNG"),
    file(drawn(5).quantize(16), "PNG", transparency=3),
    file(drawn(6), "GIF"),
    frames("GIF"),
    file(drawn(7), "WEBP"),
    file(CLEAR, "WEBP", lossless=True),
    frames("WEBP"),
    file(drawn(8), "TIFF"),
    file(drawn(9).convert("L"), "TIFF", compression="tiff_adobe_deflate"),
    file(drawn(10), "BMP"),
    file(drawn(11), "PPM"),
]


def mutant(grain: bytes, chance: random.Random) -> bytes:
    """A file with a few bytes changed, or a piece of it cut out, doubled or put elsewhere."""
    data = bytearray(grain)
    for _ in range(chance.randint(1, 6)):
        at, length = chance.randrange(len(data)), chance.randint(1, 30)
        header = chance.random() < 0.5
        at = at % 200 if header else at
        change = chance.randrange(5)
        if change < 2:
            data[at % len(data)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif change == 2:
            data[at : at + length] = b""
        elif change == 3:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\xff\xff")
            )
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def test_mutants_give_a_picture_or_the_reason_why_not() -> None:
    chance = random.Random(20261123)  # noqa: S311
    pictures = 0
    for number in range(MUTANTS):
        data = mutant(GRAINS[number % len(GRAINS)], chance)
        try:
            picture = decode(data, {GEOMETRY})
        except ImageError as error:
            assert str(error).strip()
        else:
            assert picture.squares[GEOMETRY].shape == (1, 32, 32, 3)
            pictures += 1
    assert MUTANTS // 10 < pictures < MUTANTS * 9 // 10
