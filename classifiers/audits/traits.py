"""What is known of an image without looking at what it shows, in a few bins a trait."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.splits import Rows

Pictures = Callable[[pd.DataFrame], Sequence[bytes | None]]
BINS = 16
_MOST_PICTURES = 10_000  # decoding a JPEG of 160 pixels at an eighth takes a tenth of a millisecond
_AT_ONCE = 1024


@dataclass(frozen=True)
class Traits:
    """`bins` (all images, traits): the bin of each image, from 0 on; `counts`: how many bins each of `names` has."""

    names: tuple[str, ...]
    bins: NDArray[np.int16]
    counts: tuple[int, ...]


def traits(images: pd.DataFrame, rows: Rows, pictures: Pictures | None) -> Traits:
    """The traits of `rows` of the images, quantiles of what they are on these; other images are in bin 0.

    Width, height, aspect, file size, depth of the key's folders, file type, and with `pictures` (JPEGs of images,
    None for a file that is gone) the mean red, green and blue. What is missing has a bin of its own; a trait that
    is the same for all images is left out.
    """
    columns = {name: _binned(values) for name, values in _values(images.iloc[rows], pictures)}
    varied = {name: values for name, values in columns.items() if values.max(initial=0) > 0}
    bins = np.zeros((len(images), len(varied)), np.int16)
    for column, values in enumerate(varied.values()):
        bins[rows, column] = values
    return Traits(tuple(varied), bins, tuple(int(values.max()) + 1 for values in varied.values()))


def _values(images: pd.DataFrame, pictures: Pictures | None) -> Iterator[tuple[str, NDArray[np.float64]]]:
    known = {
        name: images[name].to_numpy(np.float64) for name in ("width", "height", "bytes") if name in images
    }
    known = {name: np.where(values > 0, values, np.nan) for name, values in known.items()}  # 0 is unknown
    for name, values in known.items():
        yield {"bytes": "file size"}.get(name, name), values
    if "width" in known and "height" in known:
        yield "aspect", known["width"] / known["height"]
    if "key" in images:
        keys = images["key"].astype(str)
        yield "folder depth", np.asarray(keys.str.count("/"), np.float64)
        types = keys.str.extract(r"\.([^./]+)$")[0].str.lower()
        order = types.value_counts().index[: BINS - 1]  # the rarer ones are one bin
        places = {name: place for place, name in enumerate(order)}
        yield "file type", np.asarray(types.map(places), np.float64)
    if pictures is not None:
        yield from zip(("mean red", "mean green", "mean blue"), _colours(images, pictures).T, strict=True)


def _binned(values: NDArray[np.float64]) -> NDArray[np.int16]:
    """The bin of each value: quantiles of their distribution, the last one for what is missing."""
    missing = ~np.isfinite(values)
    known = np.unique(values[~missing])
    if len(known) > BINS:
        known = np.unique(np.quantile(values[~missing], np.arange(BINS) / BINS))
    bins = np.searchsorted(known, values, side="right") - 1
    bins[missing] = len(known)
    return bins.astype(np.int16)


def _colours(images: pd.DataFrame, pictures: Pictures) -> NDArray[np.float64]:
    """Mean red, green and blue (n, 3), 0 to 255; NaN where there is no picture, and beyond the first 10,000."""
    means = np.full((len(images), 3), np.nan)
    for start in range(0, min(len(images), _MOST_PICTURES), _AT_ONCE):
        stop = min(start + _AT_ONCE, _MOST_PICTURES)
        for place, jpeg in enumerate(pictures(images.iloc[start:stop]), start):
            if jpeg is not None:
                means[place] = _mean_colour(jpeg)
    return means


def _mean_colour(jpeg: bytes) -> NDArray[np.float64]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            image.draft("RGB", (8, 8))  # at an eighth of its size, if the file allows
            mean: NDArray[np.float64] = np.asarray(image.convert("RGB"), np.float64).mean(axis=(0, 1))
    except OSError:
        return np.full(3, np.nan)
    return mean
