"""The demo's pictures: paper cut-outs before a room or a landscape, drawn by code and labelled in five ways.

A picture shows one to four objects of one shape, in one colour family and one texture. Size, place, rotation,
hue, light, shadow, focus, grain and JPEG quality vary, hues stray, objects overlap or leave the frame, and
backgrounds go out of focus, so that no label can be read off one simple feature.
"""

import colorsys
import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from embank.cutouts import PARTS, PATTERNS, Points

SHAPES = ("bird", "butterfly", "fish", "house", "mug", "star")
HUES = {"red": 0.99, "yellow": 0.135, "green": 0.36, "blue": 0.59, "purple": 0.77}  # turns of the hue circle
TEXTURES = ("plain", "stripes", "dots", "checks")
COUNTS = (1, 2, 3, 4)
PLACES = ("indoor", "outdoor")
FINE = 2  # things are drawn this many times larger and averaged down: Pillow's polygons have hard edges

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Labels:
    """What a picture shows: one label of each scheme."""

    shape: str
    colour: str
    texture: str
    count: int
    place: str


@dataclass(frozen=True)
class Look:
    """How the objects of one picture are painted and lit."""

    parts: list[tuple[str, Points]]
    fill: Colour
    tones: dict[str, Colour]
    pattern: list[Points]
    pattern_colour: Colour
    light: complex  # where shadows fall, in radii of the object


def draw_pictures(folder: Path, count: int = 600, seed: int = 0) -> Path:
    """Draws `count` labelled pictures and returns the path of their label table.

    Writes `folder/train/<shape>/*.jpg`, `folder/val/<shape>/*.jpg` (every fifth picture of a shape) and
    `folder/labels.csv` with the columns path (relative to `folder`, POSIX), shape, colour, texture, count and
    place. Each scheme's labels are as even as `count` allows and shuffled independently of the others. Files
    of the same name are replaced. The same arguments write the same bytes under one version of Pillow and
    numpy. Raises ValueError if `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}: expected at least one picture to draw")
    seen = dict.fromkeys(SHAPES, 0)
    rows: list[tuple[Any, ...]] = [("path", *(field.name for field in fields(Labels)))]
    for number, labels in enumerate(plan(count, seed)):
        seen[labels.shape] += 1
        index = seen[labels.shape]
        path = Path("train" if index % 5 else "val", labels.shape, f"{labels.shape}_{index:03d}.jpg")
        rng = np.random.default_rng([seed, number])
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        draw_picture(labels, rng).save(folder / path, quality=int(rng.integers(55, 93)))
        rows.append((path.as_posix(), *astuple(labels)))
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return table


def plan(count: int, seed: int) -> list[Labels]:
    """The labels of each picture: even within a scheme, independent between schemes."""
    rng = np.random.default_rng(seed)
    options: tuple[tuple[Any, ...], ...] = (SHAPES, tuple(HUES), TEXTURES, COUNTS, PLACES)
    columns = [[values[i % len(values)] for i in rng.permutation(count)] for values in options]
    return [Labels(*row) for row in zip(*columns, strict=True)]


def draw_picture(labels: Labels, rng: Generator) -> Image.Image:
    """One picture, RGB, about 256 × 192 pixels, upright now and then."""
    long, short = int(rng.integers(236, 289)), int(rng.integers(180, 209))
    width, height = (long, short) if rng.random() < 0.8 else (short, long)
    scene = Image.new("RGB", (width * FINE, height * FINE))
    (draw_room if labels.place == "indoor" else draw_landscape)(scene, rng)
    distance = float(rng.choice((0.5, 1.5, 4, 8), p=(0.3, 0.35, 0.2, 0.15)))
    scene = scene.reduce(FINE).filter(ImageFilter.GaussianBlur(distance))
    look = make_look(labels, rng)
    for centre, radius in arrange(labels.count, scene.size, rng):
        lay(scene, look, centre, radius, rng)
    return develop(scene, rng)


def arrange(count: int, size: tuple[int, int], rng: Generator) -> list[tuple[complex, float]]:
    """Centres and radii of the objects: partly over one another or over the edge, never wholly."""
    base = min(size) * rng.uniform(0.18, 0.28) * (1.12, 1.0, 0.92, 0.86)[count - 1]
    closest = rng.uniform(1.5, 2.0)
    placed: list[tuple[complex, float]] = []
    while len(placed) < count:
        radius = base * rng.uniform(0.8, 1.2)
        centre = complex(*(rng.uniform(0.7 * radius, side - 0.7 * radius) for side in size))
        if all(abs(centre - other) > closest * (radius + r) / 2 for other, r in placed):
            placed.append((centre, radius))
        closest *= 0.985  # a crowded picture gives way in the end
    return placed


def make_look(labels: Labels, rng: Generator) -> Look:
    """Colours and pattern; now and then the hue strays towards the next family."""
    hue = HUES[labels.colour] + rng.normal(0, 0.018 if rng.random() < 0.85 else 0.05)
    saturation = rng.uniform(0.5, 0.9)
    value = rng.uniform(0.82, 1.0) if labels.colour == "yellow" else rng.uniform(0.62, 0.95)
    fill = hsv(hue, saturation, value)
    tones = {
        "shade": hsv(hue + 0.02, min(1, saturation * 1.1), value * 0.68),
        "accent": hsv(rng.uniform(0.05, 0.12), 0.75, 0.95),
        "cream": hsv(0.11, 0.12, 0.98),
        "ink": hsv(0.7, 0.3, 0.2),
    }
    other = hsv(hue, saturation * 0.3, 1.0) if rng.random() < 0.65 else hsv(hue, saturation, value * 0.45)
    turn = np.exp(1j * rng.choice([0, 0.25, 0.5, 0.75]) * np.pi)
    pattern = [points * turn for points in PATTERNS[labels.texture](rng.uniform(0.26, 0.5))]
    light = complex(rng.normal(0, 0.1), rng.uniform(0.06, 0.22))
    return Look(PARTS[labels.shape], fill, tones, pattern, mix(fill, other, rng.uniform(0.35, 0.9)), light)


def lay(scene: Image.Image, look: Look, centre: complex, radius: float, rng: Generator) -> None:
    """Lays one object on the scene: its soft shadow, then the object, lighter on one side."""
    paper, silhouette = cut_out(look, radius, rng)
    shine = Image.linear_gradient("L").rotate(rng.uniform(100, 260)).resize(paper.size)
    shine = shine.point(lambda grey: 170 + grey // 3)
    shadow = silhouette.filter(ImageFilter.GaussianBlur(radius * 0.07)).point(lambda grey: grey * 0.42)
    x, y = int(centre.real - paper.width / 2), int(centre.imag - paper.height / 2)
    scene.paste(
        (20, 16, 30), (x + round(look.light.real * radius), y + round(look.light.imag * radius)), shadow
    )
    scene.paste(ImageChops.multiply(paper, Image.merge("RGB", [shine] * 3)), (x, y), silhouette)


def cut_out(look: Look, radius: float, rng: Generator) -> tuple[Image.Image, Image.Image]:
    """One object, turned, squeezed and mirrored at random: its colours (RGB) and its silhouette (L)."""
    side = int(radius * 2.6) * FINE
    lean = rng.normal(0, 0.3) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    turn = FINE * radius * np.exp(1j * lean)
    mirror, squeeze = rng.choice([-1, 1]), rng.uniform(0.75, 1.0)

    def draw(image: Image.Image, points: Points, ink: int | Colour) -> None:
        moved = (mirror * points.real + 1j * squeeze * points.imag) * turn + side / 2 * (1 + 1j)
        outline = list(zip(moved.real.tolist(), moved.imag.tolist(), strict=True))
        ImageDraw.Draw(image).polygon(outline, ink)

    cloth = Image.new("RGB", (side, side), look.fill)
    for points in look.pattern:
        draw(cloth, points, look.pattern_colour)
    paper, silhouette = cloth.copy(), Image.new("L", cloth.size)
    for tone, points in look.parts:
        draw(silhouette, points, 255)
        if tone == "cloth":
            mask = Image.new("L", cloth.size)
            draw(mask, points, 255)
            paper.paste(cloth, mask=mask)
        else:
            draw(paper, points, look.tones[tone])
    return paper.reduce(FINE), silhouette.reduce(FINE)


def develop(picture: Image.Image, rng: Generator) -> Image.Image:
    """Light and camera: focus, uneven light, exposure, white balance, grain."""
    if rng.random() < 0.4:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.7)))
    y, x = np.ogrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    tilt, lean = rng.normal(0, 0.09, 2)
    light = (1 + tilt * x + lean * y - 0.08 * (x**2 + y**2)).astype(np.float32)
    warmth, exposure = rng.normal(0, 0.05), rng.uniform(0.93, 1.14)
    gains = np.array([1 + warmth, 1, 1 - warmth], np.float32) * np.float32(exposure)
    grain = rng.standard_normal(light.shape, np.float32) * np.float32(rng.uniform(1, 5))
    pixels = np.asarray(picture, np.float32) * light[..., None] * gains + grain[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def draw_room(scene: Image.Image, rng: Generator) -> None:
    """A wall, a floor of boards or carpet, and mostly a window, a picture or a lamp."""
    width, height = scene.size
    draw = ImageDraw.Draw(scene)
    floor = int(height * rng.uniform(0.62, 0.85))
    wall = hsv(rng.random(), rng.uniform(0.08, 0.4), rng.uniform(0.6, 0.95))
    shade(scene, (0, 0, width, floor), mix(wall, (255, 255, 255), 0.2), mix(wall, (0, 0, 0), 0.12))
    wood = rng.random() < 0.7
    boards = hsv(
        rng.uniform(0.04, 0.12) if wood else rng.random(), rng.uniform(0.2, 0.55), rng.uniform(0.4, 0.8)
    )
    shade(scene, (0, floor, width, height), boards, mix(boards, (0, 0, 0), 0.25))
    for x in np.linspace(-1, 2, int(rng.integers(9, 20))) * width:
        draw.line((x, floor, width / 2 + (x - width / 2) * 1.6, height), mix(boards, (0, 0, 0), 0.22), 2)
    draw.rectangle((0, floor - 8, width, floor), mix(wall, (255, 255, 255), 0.6))
    x, y = int(rng.uniform(0.05, 0.6) * width), int(rng.uniform(0.04, 0.16) * height)
    thing = rng.choice(["window", "picture", "lamp", "nothing"], p=[0.35, 0.25, 0.25, 0.15])
    if thing in ("window", "picture"):
        hang(scene, (x, y), rng, bars=thing == "window")
    elif thing == "lamp":
        draw.line((x + 60, 0, x + 60, y), (60, 55, 60), 4)
        draw.polygon((x + 40, y, x + 80, y, x + 120, y + 50, x, y + 50), hsv(rng.uniform(0.08, 0.15), 0.4, 1))


def hang(scene: Image.Image, corner: tuple[int, int], rng: Generator, bars: bool) -> None:
    """A framed landscape on the wall; with bars it is a window."""
    width, height = (int(rng.uniform(0.28, 0.4) * side) for side in scene.size)
    view = Image.new("RGB", (width, height))
    draw_landscape(view, rng)
    frame = hsv(rng.uniform(0.05, 0.12), rng.uniform(0, 0.5), rng.uniform(0.5, 1))
    if bars:
        ImageDraw.Draw(view).line((width / 2, 0, width / 2, height), frame, 7)
        ImageDraw.Draw(view).line((0, height / 2, width, height / 2), frame, 7)
    x, y = corner
    ImageDraw.Draw(scene).rectangle((x - 8, y - 8, x + width + 7, y + height + 7), frame)
    scene.paste(view, corner)


def draw_landscape(scene: Image.Image, rng: Generator) -> None:
    """Sky by day or at dusk, mostly a sun and clouds, and one to three rows of hills or dunes."""
    width, height = scene.size
    dusk, sand = rng.random() < 0.25, rng.random() < 0.2
    top = hsv(rng.uniform(0.62, 0.75), 0.45, 0.7) if dusk else hsv(rng.uniform(0.52, 0.62), 0.5, 0.92)
    low = hsv(rng.uniform(0.02, 0.12), 0.35, 0.97) if dusk else hsv(0.55, 0.12, 0.98)
    shade(scene, (0, 0, width, height), top, low)
    if rng.random() < 0.6:
        sun = hsv(rng.uniform(0.08, 0.15), 0.4, 1)
        disc(scene, rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.09), sun)
    for _ in range(int(rng.integers(0, 4))):
        x, y, r = rng.uniform(0, 1), rng.uniform(0.05, 0.4), rng.uniform(0.03, 0.06)
        for dx, dy, size in ((-1.3, 0.33, 0.8), (0, 0, 1.15), (1.2, 0.27, 0.9), (2.1, 0.53, 0.6)):
            disc(scene, x + dx * r, y + dy * r, size * r, mix(low, (255, 255, 255), 0.75))
    hue = rng.uniform(0.06, 0.13) if sand else rng.uniform(0.17, 0.4)
    ground = hsv(hue, rng.uniform(0.3, 0.6), rng.uniform(0.55, 0.85))
    rows, horizon, across = int(rng.integers(1, 4)), rng.uniform(0.4, 0.8), np.linspace(0, 1, 40)
    for row in range(rows):
        wave = np.sin(across * rng.uniform(3, 9) + rng.uniform(0, 6)) * rng.uniform(0.02, 0.07)
        ridge = (horizon + (1 - horizon) * row / rows * 0.8 + wave) * height
        edge = zip((across * width).tolist(), ridge.tolist(), strict=True)
        haze = 0.5 * (1 - (row + 1) / rows)
        ImageDraw.Draw(scene).polygon([*edge, (width, height), (0, height)], mix(ground, low, haze))


def disc(scene: Image.Image, x: float, y: float, radius: float, colour: Colour) -> None:
    """A filled circle: x and the radius in widths of the scene, y in heights."""
    ImageDraw.Draw(scene).circle((x * scene.width, y * scene.height), radius * scene.width, colour)


def shade(scene: Image.Image, box: tuple[int, int, int, int], top: Colour, bottom: Colour) -> None:
    """Fills a box with a vertical gradient."""
    ramp = Image.linear_gradient("L").resize((box[2] - box[0], box[3] - box[1]))
    below, above = (Image.new("RGB", ramp.size, colour) for colour in (bottom, top))
    scene.paste(Image.composite(below, above, ramp), box)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """8-bit RGB of a hue in turns (any real number), a saturation and a value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with `share` of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
