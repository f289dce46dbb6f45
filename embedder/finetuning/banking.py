"""Banking what the frozen lower part makes of the images, so that it runs once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from embedder.errors import FinetuneError
from embedder.finetuning.tunable import Tunable
from embedder.job import embed
from embedder.report import EmbedReport, Progress
from embedder.settings import JobSettings
from store import FeatureStore
from store.columns import hashes_from_hex
from store.object_path import ObjectPath


@dataclass(frozen=True)
class BankPlan:
    """What banking will add to a store.

    space: its id. shape: of one feature map. images: all that are wanted; missing: those of them that are not banked
    yet. bytes: of the missing ones.
    """

    space: str
    layer: str
    shape: tuple[int, ...]
    views: int
    dtype: str
    images: int
    missing: int
    bytes: int

    def describe(self) -> str:
        """One sentence."""
        per_image = self.views * math.prod(self.shape) * np.dtype(self.dtype).itemsize
        shape, views = " x ".join(map(str, self.shape)), f" x {self.views} views" if self.views > 1 else ""
        what = f"the output of {self.layer} ({shape} {self.dtype}{views}, {size_text(per_image)} an image)"
        if not self.missing:
            return f"{what[0].upper()}{what[1:]} is banked already for all {self.images} images."
        return f"Banking {what} of {self.missing} of {self.images} images: {size_text(self.bytes)}."


def plan_bank(store: FeatureStore, tunable: Tunable, images: pd.DataFrame) -> BankPlan:
    """What is missing of these images. Raises FinetuneError if the disk has no room for it."""
    cut, frozen = tunable.banked_at, tunable.frozen
    missing = int((~is_banked(store, tunable.space, images)).sum())
    per_image = frozen.views * math.prod(cut.shape) * np.dtype(frozen.dtype).itemsize
    plan = BankPlan(
        space=tunable.space,
        layer=cut.layer,
        shape=cut.shape,
        views=frozen.views,
        dtype=frozen.dtype,
        images=len(images),
        missing=missing,
        bytes=missing * per_image,
    )
    free = math.inf if isinstance(store.path, ObjectPath) else shutil.disk_usage(store.path).free
    if plan.bytes > free:
        raise FinetuneError(
            f"banking the output of {cut.layer} takes {size_text(plan.bytes)} ({missing} images, "
            f"{size_text(per_image)} each), and {store.path} has {size_text(free)} free. Name a later --from-layer, "
            "halve it with --dtype float16, bank fewer --views, or train end to end with --plain."
        )
    return plan


def bank(
    store: Path,
    tunable: Tunable,
    images: pd.DataFrame,
    settings: JobSettings,
    progress: Progress | None = None,
) -> list[EmbedReport]:
    """Banks the feature maps of these images that are not banked yet, source by source, as `embed` does."""
    opened = FeatureStore(store)
    missing = images[~is_banked(opened, tunable.space, images)]
    return [
        embed(
            opened.sources[source].location,
            store,
            tunable.activations,
            name=source,
            keys=frozenset(keys),
            settings=settings,
            progress=progress,
        )
        for source, keys in _keys_by_source(missing)
    ]


def is_banked(store: FeatureStore, space: str, images: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) which images have all their views in a space, which need not be there."""
    if space not in store.spaces:
        return np.zeros(len(images), bool)
    return store.spaces[space].holds(hashes_from_hex(images["hash"]))


def size_text(size: float) -> str:
    """`4.7 MB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _keys_by_source(images: pd.DataFrame) -> Sequence[tuple[str, list[str]]]:
    return [(str(source), some["key"].tolist()) for source, some in images.groupby("source")]
