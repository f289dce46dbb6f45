"""Augmentations: versions of a picture as other photos of the same thing might show it, the same everywhere."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedder.errors import RecipeError

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

_RANGES: dict[str, tuple[float, str]] = {  # the largest value of each option, and what it says
    "rotation": (180, "degrees to either side"),
    "shift": (0.5, "share of the picture's edge, in each direction"),
    "shear": (0.5, "share of its height by which the picture is slanted"),
    "zoom": (0.5, "share by which the picture is made larger or smaller"),
    "brightness": (1, "share by which the picture is made lighter or darker"),
    "contrast": (1, "share by which differences from its mean are made larger or smaller"),
}
_FLAGS = ("flip", "vflip", "nearest")
_EXAMPLE = "flip,rotation=40,shift=0.2,shear=0.2,zoom=0.2"
_COEFFICIENT_UNIT = 2.0**-16  # coarser than any difference between two machines' sines


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a picture in a view; each amount is drawn evenly from its range.

    flip, vflip: mirrored left to right, upside down, half of the time each. rotation: by -rotation to +rotation
    degrees about the middle. shift: to the side, and up or down, by -shift to +shift of the edge. shear: slanted
    by -shear to +shear of the height (the tangent of the angle, not degrees). zoom: 1-zoom to 1+zoom times as
    large, both ways alike. brightness: 1-brightness to 1+brightness times as light. contrast: 1-contrast to
    1+contrast times as far from its mean. 0 leaves an option out. nearest: what comes in from outside repeats the
    pixels of the edge, in place of mirroring the picture there. Raises RecipeError for a value out of range.
    """

    flip: bool = False
    vflip: bool = False
    rotation: float = 0.0
    shift: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    nearest: bool = False

    def __post_init__(self) -> None:
        for name, (largest, meaning) in _RANGES.items():
            value = getattr(self, name)
            if not 0 <= value <= largest:
                raise RecipeError(
                    f"augmentation {name}={value:g} is out of range: expected 0 to {largest:g}, the {meaning}."
                )
        if self.spec in ("", "nearest"):
            raise RecipeError(f"the augmentation changes nothing: expected such as {_EXAMPLE}.")

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """From text such as `flip,rotation=40,zoom=0.2`, in any order. Raises RecipeError."""
        values: dict[str, Any] = {}
        for option in filter(None, (part.strip() for part in text.split(","))):
            name, given, value = (part.strip() for part in option.partition("="))
            if name in values:
                raise RecipeError(f"augmentation {name!r} is given twice in {text!r}: give it once.")
            values[name] = _parse_value(name, value if given else None)
        return cls(**values)

    @property
    def spec(self) -> str:
        """The one text for this augmentation, which `parse` reads: options in a fixed order, 0 left out."""
        flags = [name for name in _FLAGS if getattr(self, name)]
        amounts = [f"{name}={_shortest(getattr(self, name))}" for name in _RANGES if getattr(self, name)]
        return ",".join(flags + amounts)

    def apply(self, square: Pixels, hash_: str, view: int) -> Pixels:
        """View `view` (from 1) of a picture: (size, size, 3) uint8 RGB to the same.

        hash_: the identity of the image; with `spec` and `view` it decides everything by chance, so that a view
        is the same in every order, thread and machine. All movements are one affine transform, sampled
        bilinearly; what comes in from outside is the picture mirrored at its edges, or with `nearest` its edge.
        """
        chance = _Chance(f"{self.spec}/{hash_}/{view}")
        offset = self._offset(chance, len(square))
        moved = _moved(square, self._matrix(chance), offset, "edge" if self.nearest else "symmetric")
        return self._lit(moved, chance)

    def _matrix(self, chance: _Chance) -> Matrix:
        """(2, 2): from a place in the view to the place in the picture, both (x, y) from their middles."""
        angle = math.radians(chance.amount("rotation", self.rotation))
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        slant = np.array([[1.0, chance.amount("shear", self.shear)], [0.0, 1.0]])
        mirror = [
            -1.0 if getattr(self, flag) and chance.share(flag) < 0.5 else 1.0 for flag in ("flip", "vflip")
        ]
        factor = 1.0 + chance.amount("zoom", self.zoom)
        matrix: Matrix = np.diag(mirror) @ slant @ turn / factor
        return matrix

    def _offset(self, chance: _Chance, size: int) -> Matrix:
        """(2,): how far the view is moved, in pixels to the right and down."""
        return size * np.array([chance.amount(axis, self.shift) for axis in ("shift x", "shift y")])

    def _lit(self, square: Pixels, chance: _Chance) -> Pixels:
        if not self.brightness and not self.contrast:
            return square
        # In whole numbers, a 2^-16th each, so that every machine rounds alike.
        lighter = round((1 + chance.amount("brightness", self.brightness)) * 65536)
        stronger = round((1 + chance.amount("contrast", self.contrast)) * 65536)
        mean = int(square.sum(dtype=np.int64)) // square.size
        levels = np.arange(256, dtype=np.int64)
        contrasted = mean * 65536 + (levels - mean) * stronger
        table = np.clip((contrasted * lighter + (1 << 31)) >> 32, 0, 255).astype(np.uint8)
        lit: Pixels = table[square]
        return lit


def augmented_views(square: Pixels, augmentation: Augmentation, views: int, hash_: str) -> Pixels:
    """(views, size, size, 3) uint8: view 0 is the plain square itself, the others are augmented."""
    others = [augmentation.apply(square, hash_, view) for view in range(1, views)]
    return np.stack([square, *others])


class _Chance:
    """Numbers that look random and depend on nothing but a seed and their own name."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def share(self, name: str) -> float:
        """A number in [0, 1)."""
        digest = blake2b(f"{self._seed}/{name}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) * 2.0**-53  # as many bits as a float holds exactly

    def amount(self, name: str, largest: float) -> float:
        """A number from -largest to +largest."""
        return largest * (2.0 * self.share(name) - 1.0)


def _moved(square: Pixels, matrix: Matrix, offset: Matrix, outside: Literal["edge", "symmetric"]) -> Pixels:
    if np.array_equal(matrix, np.eye(2)) and not offset.any():
        return square
    size = len(square)
    reach = size / 2 * np.abs(matrix).sum(axis=1) + np.abs(matrix @ offset)
    margin = max(0, math.ceil(reach.max() - size / 2)) + 1
    padded = np.pad(square, ((margin, margin), (margin, margin), (0, 0)), outside)
    matrix = np.round(matrix / _COEFFICIENT_UNIT) * _COEFFICIENT_UNIT
    start = size / 2 + margin - matrix @ (size / 2 + offset)
    start = np.round(start / _COEFFICIENT_UNIT) * _COEFFICIENT_UNIT
    coefficients = np.column_stack([matrix, start]).ravel().tolist()
    moved = Image.fromarray(padded).transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    return np.asarray(moved)


def _parse_value(name: str, value: str | None) -> bool | float:
    known = [*_FLAGS, *_RANGES]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise RecipeError(
            f"augmentation {name!r} does not exist: expected {', '.join(known)}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
    if name in _FLAGS:
        if value is not None:
            raise RecipeError(f"augmentation {name} takes no value: write {name}, not {name}={value}.")
        return True
    try:
        return float(value or "")
    except ValueError:
        largest, meaning = _RANGES[name]
        raise RecipeError(
            f"augmentation {name} needs a number, 0 to {largest:g}, the {meaning}: write such as {_EXAMPLE}."
        ) from None


def _shortest(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
