"""Charts as plain geometry, which the templates draw as SVG and tell again as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = 420, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 22, 12, 42
_TICKS = 5  # aimed at on an axis

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """From values to pixels. `percent`: values are shares, and told as such."""

    name: str
    low: float
    high: float
    start: float
    end: float
    log: bool = False
    percent: bool = False

    def __call__(self, values: ArrayLike) -> Float:
        """The pixels of values, those beyond the axis at its ends."""
        array, low, high = np.asarray(values, np.float64), self.low, self.high
        if self.log:
            array, low, high = np.log(np.maximum(array, 1e-9)), float(np.log(low)), float(np.log(high))
        share = np.clip((array - low) / ((high - low) or 1.0), 0, 1)
        return np.round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Round values on the axis: their pixels and their names."""
        values = _log_ticks(self.low, self.high) if self.log else _even_ticks(self.low, self.high)
        return [(float(self(value)), self._name(value)) for value in values]

    def _name(self, value: float) -> str:
        if self.percent:
            return f"{value * 100:g}\u202f%"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


@dataclass(frozen=True)
class Series:
    """One line of a chart. `dots` are (x, y, what to say on hover); `bars` are (x, y, y) from low to high."""

    name: str
    colour: int
    path: str = ""
    dashed: str = ""
    band: str = ""
    dots: tuple[tuple[float, float, str], ...] = ()
    bars: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Chart:
    """What a template needs: axes, series, names beside points, and the same as a table."""

    title: str
    about: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    histogram: tuple[tuple[float, float, float, float], ...] = ()  # x, y, width and height of its columns
    names: tuple[tuple[float, float, str, str], ...] = ()  # x, y, anchor, text
    diagonal: bool = False
    width: int = WIDTH
    height: int = HEIGHT


def x_axis(name: str, low: float, high: float, *, log: bool = False, percent: bool = False) -> Axis:
    """An axis along the bottom of a chart."""
    return Axis(name, low, high, _LEFT, WIDTH - _RIGHT, log, percent)


def y_axis(name: str, low: float, high: float, *, percent: bool = False) -> Axis:
    """An axis up the left side of a chart."""
    return Axis(name, low, high, HEIGHT - _BOTTOM, _TOP, percent=percent)


def room(values: ArrayLike, least: float = 0.0, most: float = 1.0) -> tuple[float, float]:
    """Ends of an axis that hold the values with some room around them, within `least` and `most`."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return least, most
    low, high = float(finite.min()), float(finite.max())
    margin = max((high - low) * 0.08, 0.01 * max(abs(high), abs(low), 1e-6))
    return max(least, low - margin), min(most, high + margin)


def line(x: Sequence[float] | Float, y: Sequence[float] | Float) -> str:
    """An SVG path through pixels; where y is NaN there is a gap."""
    path, draws = [], False
    for one, other in zip(x, y, strict=True):
        if np.isfinite(other):
            path.append(f"{'L' if draws else 'M'}{one:g} {other:g}")
        draws = bool(np.isfinite(other))
    return "".join(path)


def band(x: Float, low: Float, high: Float) -> str:
    """An SVG path around the area between two lines of pixels."""
    sound = np.isfinite(low) & np.isfinite(high)
    if not sound.any():
        return ""
    there = line(x[sound], high[sound])
    back = line(x[sound][::-1], low[sound][::-1])
    return f"{there}L{back[1:]}Z"


def _even_ticks(low: float, high: float) -> list[float]:
    wide = (high - low) or 1.0
    rough = wide / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999))
    first = np.ceil(low / step - 1e-9)
    values = (first + np.arange(0, np.floor(high / step + 1e-9) - first + 1)) * step
    return [float(round(value, 10)) for value in values]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5)):
        values = [power * step for power in powers for step in steps if low <= power * step <= high]
        if len(values) >= 3:
            break
    return [float(f"{value:g}") for value in values]
