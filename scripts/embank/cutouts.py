"""Outlines of the demo's paper cut-outs and of the patterns on them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex128]  # x + iy, y downwards: a turn and a change of size are one product


def poly(*xy: float) -> Points:
    """A polygon, x and y of its corners in turn; an object fills about the unit circle."""
    return np.array(xy[::2]) + 1j * np.array(xy[1::2])


def arc(x: float, y: float, rx: float, ry: float, sweep: tuple[float, float] = (0, 360)) -> Points:
    """An ellipse, or the part of it between two angles in degrees, clockwise from three o'clock."""
    angle = np.radians(np.linspace(*sweep, 33))
    return np.asarray(x + rx * np.cos(angle) + 1j * (y + ry * np.sin(angle)))


def join(*pieces: Points) -> Points:
    return np.concatenate(pieces)


STRIPE, SQUARE = poly(0, -2, 0.5, -2, 0.5, 2, 0, 2), poly(0, 0, 1, 0, 1, 1, 0, 1) / 1.5
GRID = [(i, j) for i in range(-6, 7) for j in range(-6, 7)]
PATTERNS: dict[str, Callable[[float], list[Points]]] = {  # of a period in radii of the object
    "plain": lambda period: [],
    "stripes": lambda period: [period * (STRIPE.real + i) + 1j * STRIPE.imag for i in range(-8, 8)],
    "dots": lambda period: [period * arc(i + j % 2 / 2, 0.87 * j, 0.29, 0.29) for i, j in GRID],
    "checks": lambda period: [period * (SQUARE + complex(i, j) / 1.5) for i, j in GRID if (i + j) % 2],
}
EYE = [("cream", arc(0, 0, 0.1, 0.1)), ("ink", arc(-0.02, 0, 0.055, 0.055))]
PARTS: dict[
    str, list[tuple[str, Points]]
] = {  # painted in this order; "cloth" is the coloured, patterned stuff
    "bird": [
        ("ink", poly(-0.12, 0.4, -0.06, 0.4, -0.1, 0.92, -0.16, 0.92)),
        ("ink", poly(0.14, 0.4, 0.2, 0.4, 0.18, 0.92, 0.12, 0.92)),
        ("shade", poly(0.35, 0.05, 1.0, -0.3, 1.02, -0.02, 0.9, 0.12, 0.4, 0.4)),
        ("accent", poly(-0.7, -0.46, -1.05, -0.28, -0.7, -0.2)),
        ("cloth", join(arc(-0.46, -0.34, 0.34, 0.34, (120, 330)), arc(0.02, 0.14, 0.6, 0.44, (-60, 170)))),
        ("shade", join(arc(0.12, 0.06, 0.36, 0.3, (0, 180)), poly(-0.1, -0.08, 0.3, -0.02))),
        *((tone, points - 0.54 - 0.4j) for tone, points in EYE),
    ],
    "butterfly": [
        *(("cloth", arc(0.5 * side, -0.32, 0.46, 0.42) * np.exp(-0.1j * side)) for side in (-1, 1)),
        *(("cloth", arc(0.4 * side, 0.4, 0.36, 0.36)) for side in (-1, 1)),
        *(("shade", arc(0.4 * side, 0.42, 0.14, 0.14)) for side in (-1, 1)),
        ("ink", poly(-0.02, -0.5, -0.3, -0.95, -0.24, -0.97, 0.04, -0.5)),
        ("ink", poly(0.02, -0.5, 0.3, -0.95, 0.24, -0.97, -0.04, -0.5)),
        ("ink", arc(0, 0.05, 0.1, 0.66)),
    ],
    "fish": [
        ("shade", poly(-0.2, -0.3, 0.1, -0.72, 0.42, -0.62, 0.36, -0.2)),
        ("shade", poly(-0.1, 0.34, 0.1, 0.64, 0.26, 0.3)),
        ("cloth", poly(0.4, 0, 0.98, -0.5, 0.84, 0, 0.98, 0.5)),
        ("cloth", join(arc(-0.2, 0.16, 0.78, 0.56, (205, 345)), arc(-0.2, -0.16, 0.78, 0.56, (15, 155)))),
        *((tone, points * 1.2 - 0.6 - 0.08j) for tone, points in EYE),
    ],
    "house": [
        ("shade", poly(0.3, -0.9, 0.5, -0.9, 0.5, -0.3, 0.3, -0.3)),
        ("cloth", poly(-0.68, -0.15, 0.68, -0.15, 0.68, 0.8, -0.68, 0.8)),
        ("shade", poly(0, -0.95, 0.92, -0.1, -0.92, -0.1)),
        ("cream", poly(0.14, 0.1, 0.5, 0.1, 0.5, 0.44, 0.14, 0.44)),
        ("accent", join(arc(-0.26, 0.3, 0.19, 0.19, (180, 360)), poly(-0.07, 0.8, -0.45, 0.8))),
    ],
    "mug": [
        ("cloth", join(arc(0.42, 0.08, 0.55, 0.48, (-90, 90)), arc(0.42, 0.08, 0.34, 0.28, (90, -90)))),
        ("cloth", join(poly(-0.76, -0.55, 0.54, -0.55), arc(-0.11, 0.6, 0.58, 0.2, (0, 180)))),
        ("shade", arc(-0.11, -0.56, 0.65, 0.2)),
        ("ink", arc(-0.11, -0.54, 0.54, 0.13)),
    ],
    "star": [
        ("cloth", np.exp(1j * np.pi * (np.arange(10) / 5 - 0.5)) * np.tile([1.0, 0.5], 5)),
        *(("ink", arc(0.17 * side, -0.08, 0.065, 0.09)) for side in (-1, 1)),
        ("ink", join(arc(0, 0.1, 0.16, 0.15, (0, 180)), arc(0, 0.1, 0.16, 0.07, (180, 0)))),
    ],
}
