"""A map of vectors as one scheme colours it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.labels import class_names
from classifiers.report.vector_map import VectorMap
from classifiers.results import Result

# Around (0, 0), of about the same area: with eight colours two classes of twenty never look alike.
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z",
    "M-4.4-4.4h8.8v8.8h-8.8Z",
    "M0-5.7L5.4 4H-5.4Z",
    "M0-6L6 0 0 6-6 0Z",
    "M-1.8-5.6h3.6v3.8h3.8v3.6h-3.8v3.8h-3.6v-3.8h-3.8v-3.6h3.8Z",
    "M-5.2-2.7L-2.7-5.2 0-2.5 2.7-5.2 5.2-2.7 2.5 0 5.2 2.7 2.7 5.2 0 2.5-2.7 5.2-5.2 2.7-2.5 0Z",
    "M0 5.7L5.4-4H-5.4Z",
    "M-6-2.2h12v4.4h-12Z",
)
_COLOURED = 20  # classes; the others are small grey dots
_UNLABELLED = 0xFFFF


def scheme_map(result: Result, place: VectorMap, number: int) -> dict[str, Any]:
    """What the template needs: codes by point and names, the most frequent first; the `number`th map of the page.

    `wrong`: point to name of what was said, of held-out images. `legend`: the coloured classes, with how many
    points each has, and how many of a point's ten nearest on the map are of its class on average.
    """
    labels = result.labels
    texts = class_names(labels.classes, labels.codes[place.rows], f"{labels.separator} ")
    given = np.array([one is not None for one in texts], bool)
    names, codes = np.unique(np.where(given, texts, "").astype(str)[given], return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(names), np.intp)
    rank[order] = np.arange(len(names))
    points = np.full(len(place.rows), _UNLABELLED, np.uint16)
    points[given] = rank[codes]
    ordered = [names[i] or "none" for i in order]
    whole = np.full(len(points), len(names))
    whole[given] = rank[codes]
    shares = _agreement(whole, place.neighbours, len(names))
    return {
        "map": number,
        "made": place.made,
        "space": place.space,
        "shown": int(given.sum()),
        "codes": base64.b64encode(points.astype("<u2").tobytes()).decode(),
        "names": ordered,
        "wrong": _wrong(result, place),
        "legend": [
            {"name": name, "count": int(counts[order[i]]), "agreement": float(shares[i])}
            for i, name in enumerate(ordered[:_COLOURED])
        ],
        "others": int(counts[order[_COLOURED:]].sum()),
        "other_classes": max(0, len(ordered) - _COLOURED),
    }


def map_data(place: VectorMap, tiles: dict[int, int]) -> dict[str, Any]:
    """Coordinates of the points, 0 to 65,535 along each axis, and the number of each one's picture."""
    grid = np.round(place.places * 0xFFFF).astype("<u2")
    numbers = np.array([tiles[int(row)] for row in place.rows], "<u2")
    return {
        "places": base64.b64encode(grid.tobytes()).decode(),
        "tiles": base64.b64encode(numbers.tobytes()).decode(),
    }


def _wrong(result: Result, place: VectorMap) -> dict[str, str]:
    """Point on the map to what was said there, of the held-out images that were labelled wrongly."""
    labels, mistakes = result.labels, np.flatnonzero(~result.right)
    _, at, points = np.intersect1d(result.test[mistakes], place.rows, return_indices=True)
    said = class_names(labels.classes, result.predicted[mistakes[at]], f"{labels.separator} ")
    return {str(point): str(name or "none") for point, name in zip(points.tolist(), said, strict=True)}


def _agreement(codes: NDArray[np.intp], neighbours: NDArray[np.intp], classes: int) -> NDArray[np.float64]:
    """The share of the labelled ones among the ten nearest points that are of the same class, by class: (classes,)."""
    own, others = codes[:, None], codes[neighbours]
    counted = (own < classes) & (others < classes)
    same = np.bincount(codes, ((own == others) & counted).sum(axis=1), classes + 1)[:classes]
    among = np.bincount(codes, counted.sum(axis=1), classes + 1)[:classes]
    shares: NDArray[np.float64] = np.divide(same, among, out=np.full(classes, np.nan), where=among > 0)
    return shares
