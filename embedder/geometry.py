"""Geometries: what the decoder has to know of a recipe."""

from __future__ import annotations

from typing import NamedTuple

from embedder.augmentation import Augmentation


class Geometry(NamedTuple):
    """How a picture becomes squares of pixels. Recipes of one geometry share the decoded picture.

    size: height and width in pixels. fit: `squash`, `crop` or `pad`. views: how many squares, the plain one
    included, which is view 0; the others are made by `augmentation`.
    """

    size: int
    fit: str
    augmentation: Augmentation | None = None
    views: int = 1

    @property
    def without_views(self) -> Geometry:
        """The plain picture alone."""
        return Geometry(self.size, self.fit)
