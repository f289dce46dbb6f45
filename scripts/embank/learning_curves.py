"""Learning curves as a picture: loss and accuracy by epoch, on the training and on the validation images."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from classifiers.report.charts import Axis
from embank.grids import picture_kind

Point = tuple[float, float]
_SCALE = 2  # drawn so much larger, so that lines are smooth
_WIDTH, _HEIGHT = 460, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 66, 46
_INK, _FAINT, _GRID, _PAPER = (40, 40, 40), (110, 110, 110), (225, 225, 225), (255, 255, 255)
_LINES = (("", "training", (31, 119, 180)), ("val_", "validation", (214, 96, 20)))


def write_curves(curves: Mapping[str, Sequence[float]], path: Path, title: str = "", first: int = 0) -> None:
    """Writes a PNG or JPEG of `loss` and `accuracy`, and of `val_loss` and `val_accuracy` where they are there.

    first: the epoch of the first value. Raises StoreWriteError, BadParameter for another kind of file.
    """
    from store.commit import write_file

    kind = picture_kind(path)
    sheet = Image.new("RGB", (2 * _WIDTH * _SCALE, _HEIGHT * _SCALE), _PAPER)
    for number, name in enumerate(("loss", "accuracy")):
        panel = _Panel(sheet, number * _WIDTH, name, curves, first)
        panel.draw()
    font = ImageFont.load_default(16 * _SCALE)
    ImageDraw.Draw(sheet).text((_LEFT * _SCALE, 10 * _SCALE), title, _INK, font)
    out = io.BytesIO()
    sheet.resize((2 * _WIDTH, _HEIGHT), Image.Resampling.LANCZOS).save(out, kind)
    write_file(path, out.getvalue())


class _Panel:
    """One of the two charts; places are in pixels of the picture as it will be."""

    def __init__(
        self, sheet: Image.Image, left: int, name: str, curves: Mapping[str, Sequence[float]], first: int
    ) -> None:
        self._pen, self._left, self._name, self._first = ImageDraw.Draw(sheet), left, name, first
        self._lines = {
            (label, colour): list(curves[prefix + name])
            for prefix, label, colour in _LINES
            if prefix + name in curves
        }
        values = [value for line in self._lines.values() for value in line] or [0.0]
        self._epochs = max((len(line) for line in self._lines.values()), default=1)
        low, high = (0.0, max(values)) if name == "loss" else (min(values), 1.0)
        self._y = Axis(name, low, max(high, low + 1e-6), _HEIGHT - _BOTTOM, _TOP, percent=name == "accuracy")

    def draw(self) -> None:
        self._draw_axes()
        for place, ((label, colour), values) in enumerate(self._lines.items()):
            points = [self._point(epoch, value) for epoch, value in enumerate(values)]
            self._line(points, colour, 2)
            for x, y in points:
                self._pen.circle((x * _SCALE, y * _SCALE), 3 * _SCALE, colour)
            x = self._left + _LEFT + 110 * place
            self._line([(x, 56), (x + 18, 56)], colour, 3)
            self._text((x + 24, 48), label, colour)

    def _draw_axes(self) -> None:
        self._text((self._left + _WIDTH - _RIGHT - 70, 48), self._name, _INK)
        for y, label in self._y.ticks:
            self._line([(self._left + _LEFT, y), (self._left + _WIDTH - _RIGHT, y)], _GRID, 1)
            self._text((self._left + 14, y - 7), label.replace("\u202f", ""), _FAINT)
        step = max(1, -(-(self._epochs - 1) // 10))
        for epoch in range(0, self._epochs, step):
            self._text(
                (self._point(epoch, self._y.low)[0] - 4, _HEIGHT - _BOTTOM + 6),
                str(self._first + epoch),
                _FAINT,
            )
        self._text((self._left + _WIDTH // 2, _HEIGHT - 20), "epoch", _FAINT)

    def _point(self, epoch: int, value: float) -> Point:
        wide = _WIDTH - _LEFT - _RIGHT
        x = self._left + _LEFT + wide * (epoch / max(1, self._epochs - 1))
        return x, float(self._y(value))

    def _line(self, points: Sequence[Point], colour: tuple[int, int, int], width: int) -> None:
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        self._pen.line(scaled, colour, width * _SCALE, joint="curve")

    def _text(self, place: Point, text: str, colour: tuple[int, int, int]) -> None:
        self._pen.text(
            (place[0] * _SCALE, place[1] * _SCALE), text, colour, ImageFont.load_default(12 * _SCALE)
        )
