"""What a batch job would do: counts, sizes, and an estimate of time and space. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedder.backbones import find_backbone
from embedder.cost_model import HOUR, REFERENCES, infer_seconds
from embedder.engines import open_engine
from embedder.errors import ImageError
from embedder.images import decode, picture_size
from embedder.machine import usable_processors
from embedder.own_models import ModelKind
from embedder.recipe import FrozenRecipe, Recipe
from embedder.seen import Seen
from embedder.settings import JobSettings
from embedder.sources import Entry, open_source, read_entry, sample_entries
from embedder.weights import known_recipe
from store import FeatureStore
from store.folders import folder_and_split
from store.object_path import store_path

_HEADERS = 200
_DECODED = 16


@dataclass(frozen=True)
class PictureSizes:
    """Widths and heights in pixels, each smallest, median and largest, of a random sample of images.

    sampled: how many files were looked at. unreadable: how many of them are no images.
    """

    sampled: int
    unreadable: int
    width: tuple[int, int, int] | None
    height: tuple[int, int, int] | None


@dataclass(frozen=True)
class SpacePlan:
    """What a job would add to one space.

    space: its id, None where the backbone's weights were never on this machine. banked: images that are there
    already. rows: vectors to be added, at most, since equal files are embedded once. dim: length of a vector,
    None if only the loaded backbone knows. bytes: on disk, None without dim. ready: whether the backbone can
    start at once; if not, it has to be fetched, built or converted first. seconds: estimated, to run the backbone on
    all images. basis: `measured` here, `model` (embedder/cost_model.py: figures of another machine) or `unknown`,
    where seconds are 0.
    """

    backbone: str
    space: str | None
    banked: int
    rows: int
    dim: int | None
    bytes: int | None
    ready: bool
    seconds: float
    basis: str


@dataclass(frozen=True)
class DryRun:
    """What a job would do.

    listed: images that it would look at, `--limit` respected. bytes: of all their files, of which
    unknown_bytes do not say their size. folders, splits: images in each. todo: images that it would read, since
    a vector of them is missing in some space or the file looks new. seconds: estimated, on so many `machines` like
    this one; without fetching and converting backbones that are not ready. core_hours: of all of them. money: for
    these at the price of `price_per_core_hour`; None without one.
    """

    source: str
    location: str
    listed: int
    bytes: int
    unknown_bytes: int
    folders: dict[str, int]
    splits: dict[str, int]
    sizes: PictureSizes
    todo: int
    spaces: tuple[SpacePlan, ...]
    seconds: float
    notes: tuple[str, ...]
    machines: int = 1
    core_hours: float = 0.0
    money: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `embank embed --dry-run --json` prints them."""
        return asdict(self)


def dry_run(
    source: str | Path,
    store: str | Path,
    recipes: Sequence[Recipe],
    *,
    name: str | None = None,
    settings: JobSettings | None = None,
    machines: int = 1,
    price_per_core_hour: float | None = None,
) -> DryRun:
    """What `embed` would do with the same arguments. Raises EmbedderError or StoreError.

    The time is that of a sample: 16 images are decoded, and two batches run through each backbone that is converted
    already; of others it is that of the cost model, by its slower processor. An image counts as banked by its size and
    time; the job itself also compares bytes.
    """
    settings = settings or JobSettings()
    seed = settings.seed
    recipes = list(dict.fromkeys(recipes))
    known = [known_recipe(recipe) for recipe in recipes]
    listed = open_source(source, name, may_download=False)
    entries = settings.chosen(listed.entries)
    bank = _open_store(store_path(store))
    nothing = np.zeros((len(entries), len(recipes)), bool)
    banked = Seen(bank, listed.name).banked(entries, known) if bank else nothing
    todo = [entries[row] for row in np.flatnonzero(~banked.all(axis=1))]
    decoding = _decoding_seconds(sample_entries(todo, _DECODED, seed), recipes, known)
    plans, starting, inferring = [], 0.0, 0.0
    for recipe, frozen, done in zip(recipes, known, banked.sum(axis=0).tolist(), strict=True):
        images = len(entries) - done
        speed = _measure(recipe, settings) if images and _is_ready(frozen, settings.engine) else None
        plan = _plan(recipe, frozen, done, images, bank, speed)
        plans.append(plan)
        starting += speed.seconds if speed else 0.0
        inferring += plan.seconds
    keys = folder_and_split(pd.Series([entry.key for entry in entries], dtype="str"))
    sizes = [entry.bytes for entry in entries if entry.bytes >= 0]
    cores = usable_processors()
    seconds = starting + (len(todo) * decoding / min(settings.workers or cores, cores) + inferring) / machines
    core_hours = seconds * cores * machines / HOUR
    return DryRun(
        source=listed.name,
        location=listed.location,
        listed=len(entries),
        bytes=sum(sizes),
        unknown_bytes=len(entries) - len(sizes),
        folders=_counts(keys["folder"]),
        splits=_counts(keys["split"].dropna()),
        sizes=_picture_sizes(sample_entries(entries, _HEADERS, seed)),
        todo=len(todo),
        spaces=tuple(plans),
        seconds=round(seconds, 1),
        notes=listed.notes,
        machines=machines,
        core_hours=round(core_hours, 4),
        money=None if price_per_core_hour is None else round(core_hours * price_per_core_hour, 4),
    )


def _open_store(path: Path) -> FeatureStore | None:
    is_new = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    return None if is_new else FeatureStore(path)


@dataclass(frozen=True)
class _Speed:
    """seconds: to load a backbone. seconds_per_image: with all its threads. dim: length of a vector."""

    seconds: float
    seconds_per_image: float
    dim: int


def _is_ready(recipe: FrozenRecipe | None, engine: str) -> bool:
    """Whether a backbone was converted before. Keras's own engine takes longer to load than an estimate may."""
    if recipe is None or engine == "keras":
        return False
    from embedder.openvino_engine import cached_model

    return cached_model(recipe) is not None


def _measure(recipe: Recipe, settings: JobSettings) -> _Speed:
    started = time.monotonic()
    threads = settings.threads or usable_processors()
    engine = open_engine(recipe, settings.engine, settings.batch_size, threads)
    size = engine.recipe.image_size
    pictures = np.zeros((engine.batch_size, size, size, 3), np.uint8)
    engine(pictures)  # the first batch takes longer
    ready = time.monotonic()
    with ThreadPoolExecutor(engine.streams) as pool:
        list(pool.map(engine, [pictures] * engine.streams))
    per_image = (time.monotonic() - ready) / (engine.streams * engine.batch_size)
    return _Speed(ready - started, per_image, engine.dim)


def _decoding_seconds(
    sample: Sequence[Entry], recipes: Sequence[Recipe], known: Sequence[FrozenRecipe | None]
) -> float:
    """How long one thread reads and decodes one image for all recipes; 0 for no image."""
    geometries = {(frozen or recipe).geometry for recipe, frozen in zip(recipes, known, strict=True)}
    started = time.monotonic()
    for entry in sample:
        with suppress(ImageError):
            decode(read_entry(entry), geometries)
    return (time.monotonic() - started) / max(1, len(sample))


def _plan(
    recipe: Recipe,
    frozen: FrozenRecipe | None,
    banked: int,
    images: int,
    bank: FeatureStore | None,
    speed: _Speed | None,
) -> SpacePlan:
    space = frozen.space if frozen else None
    dim = speed.dim if speed else _dim(recipe, space, bank)
    rows = images * recipe.geometry.views
    size = None if dim is None else rows * dim * np.dtype(recipe.dtype).itemsize
    per_image, basis = _seconds_per_image(recipe, speed)
    return SpacePlan(
        recipe.backbone,
        space,
        banked,
        rows,
        dim,
        size,
        ready=speed is not None or not images,
        seconds=round(rows * per_image, 1),
        basis=basis if images else "measured",
    )


def _seconds_per_image(recipe: Recipe, speed: _Speed | None) -> tuple[float, str]:
    """With all processors of this machine, and where it is from."""
    if speed is not None:
        return speed.seconds_per_image, "measured"
    plain = recipe.kind is ModelKind.TABLE and recipe.layer is None
    found = [
        infer_seconds(recipe.backbone, recipe.precision, reference, recipe.image_size)
        for reference in REFERENCES
    ]
    known = [one[0] for one in found if one] if plain else []
    return (max(known) / usable_processors(), "model") if known else (0.0, "unknown")


def _dim(recipe: Recipe, space: str | None, bank: FeatureStore | None) -> int | None:
    """The length of a vector as far as it can be told without the backbone."""
    if bank and space and space in bank.spaces:
        return bank.spaces[space].dim
    plain = recipe.layer is None and recipe.pooling != "none" and not recipe.scores
    return find_backbone(recipe.backbone).dim if plain and recipe.kind is ModelKind.TABLE else None


def _counts(values: pd.Series[str]) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}


def _picture_sizes(sample: Sequence[Entry]) -> PictureSizes:
    def size(entry: Entry) -> tuple[int, int] | None:
        try:
            return picture_size(read_entry(entry))
        except ImageError:
            return None

    with ThreadPoolExecutor(usable_processors()) as pool:
        sizes = [found for found in pool.map(size, sample) if found]
    return PictureSizes(
        len(sample),
        len(sample) - len(sizes),
        _spread([width for width, _ in sizes]),
        _spread([height for _, height in sizes]),
    )


def _spread(values: list[int]) -> tuple[int, int, int] | None:
    return (min(values), int(np.median(values)), max(values)) if values else None
