"""The batch job: embeds a source into a store, commits as it goes, and goes on where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from embedder.bank import Bank
from embedder.engines import Engine, check_engine, open_engine
from embedder.errors import ImageError, RecipeError, SourceError
from embedder.images import picture_size
from embedder.machine import usable_processors
from embedder.pipeline import Decoded, Embedded, Pipeline, ReadImage, Task
from embedder.recipe import FrozenRecipe, Recipe
from embedder.sources import Entry, Source, open_source
from embedder.weights import known_digest
from store import FeatureStore, StoreWriter

DEFAULT_BATCH = 16


@dataclass(frozen=True)
class JobSettings:
    """How a job runs; none of it changes a vector.

    engine: `auto`, `openvino` or `keras`. batch_size: images that the engine takes at once. workers: threads
    that read and decode; None is one a processor. limit: only the first so many images. max_failures: end the
    run early after more bad images than this, a count or a share such as `5%`. Raises EngineError or RecipeError.
    """

    engine: str = "auto"
    batch_size: int = DEFAULT_BATCH
    workers: int | None = None
    limit: int | None = None
    max_failures: str | int | None = None

    def __post_init__(self) -> None:
        check_engine(self.engine)
        self.failure_limit(1)
        for name in ("batch_size", "workers", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise RecipeError(f"{name} is {value}: expected 1 or more.")

    def failure_limit(self, listed: int) -> float:
        """The number of bad images that is still accepted, of so many listed."""
        text = str(self.max_failures).strip() if self.max_failures is not None else "100%"
        try:
            share = float(text.removesuffix("%")) / 100 if text.endswith("%") else None
            limit = float(int(text)) if share is None else share * listed if share <= 1 else -1.0
        except ValueError:
            limit = -1.0
        if not 0 <= limit < math.inf:
            raise RecipeError(f"--max-failures {text!r}: expected a count such as 20 or a share such as 5%.")
        return limit


@dataclass
class EmbedReport:
    """What a job did. listed = embedded + skipped + duplicates + failed, unless it ended early.

    space: ids, in the order of the recipes. skipped: images banked before. duplicates: images with the same
    bytes as another one. seconds: the whole run, loading of backbones included; images_per_second: embedded
    images by the time from the first read to the last commit. gave_up: why the job is not a success, although
    what was embedded is banked: too many bad images.
    """

    space: list[str] = field(default_factory=list)
    listed: int = 0
    embedded: int = 0
    skipped: int = 0
    duplicates: int = 0
    failed: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    notes: list[str] = field(default_factory=list)
    gave_up: str | None = None

    @property
    def done(self) -> int:
        """Images of which the outcome is known."""
        return self.embedded + self.skipped + self.duplicates + self.failed

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `embank embed --json` prints them."""
        return asdict(self)


Progress = Callable[[EmbedReport], None]


def embed(
    source: str | Path,
    store: str | Path,
    recipes: Recipe | Sequence[Recipe],
    *,
    name: str | None = None,
    settings: JobSettings | None = None,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embeds every image of `source` by each recipe into the store, which is made if it is absent.

    What is banked already is skipped: by size and time of the file, then by its bytes. Images that cannot be
    read or decoded are recorded with their reason and do not stop the run. Vectors are committed as the run
    goes; a run that is interrupted (KeyboardInterrupt) commits what is done and raises, and the next one goes
    on from there. Raises EmbedderError or StoreError.
    """
    started = time.monotonic()
    settings = settings or JobSettings()
    recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
    if not recipes:
        raise RecipeError("there is no recipe to embed by: name at least one backbone.")
    for recipe in recipes:
        known_digest(recipe)  # a weights file that is not there is said before anything is listed
    listed = open_source(source, name)
    if Path(store).exists():
        _check_same_place(StoreWriter(store), listed, named=name is not None)
    job = _Job(listed, Path(store), recipes, settings, progress)
    report = job.run()
    report.seconds = round(time.monotonic() - started, 3)
    return report


class _Job:
    """One run: what has become of each image so far, and the stages it goes through."""

    def __init__(
        self,
        source: Source,
        store: Path,
        recipes: Sequence[Recipe],
        settings: JobSettings,
        progress: Progress | None,
    ) -> None:
        self._source, self._settings, self._progress = source, settings, progress
        self._report = EmbedReport(notes=list(source.notes))
        self._engines: dict[str, Engine] = {}
        by_recipe = {self._freeze(recipe): recipe for recipe in recipes}
        frozen = {recipe.space: recipe for recipe in by_recipe}
        self._recipes = {recipe.space: settings for recipe, settings in by_recipe.items()}
        self._report.space = list(frozen)
        if not store.exists():  # a recipe that cannot be run must not leave a store behind
            self._open_engines()
        self._bank = Bank(StoreWriter(store), source, frozen)
        self._sizes: dict[str, tuple[int, int]] = {}  # of every image of this run, by hash
        self._reasons: dict[str, str] = {}  # why an image of this hash is bad
        self._twins: list[ReadImage] = []  # same bytes as an image of this run whose outcome is not known yet
        self._open_spaces: dict[str, set[str]] = {}  # by hash, where vectors are still to come

    def run(self) -> EmbedReport:
        """Embeds what is not banked. Whatever ends the run, what was embedded by then is committed."""
        entries = self._source.entries[: self._settings.limit]
        report = self._report
        report.listed = len(entries)
        self._failure_limit = self._settings.failure_limit(len(entries))
        todo = [entry for entry in entries if not self._bank.is_unchanged(entry)]
        report.skipped = len(entries) - len(todo)
        self._tell()
        try:
            if todo:
                self._embed(todo)
        finally:
            self._settle_twins()
            whole = len(entries) == len(self._source.entries) and report.done == report.listed
            self._bank.finish(complete=whole)
        self._has_too_many_failures()  # the last images may have been the bad ones
        return report

    def _has_too_many_failures(self) -> bool:
        if self._report.failed > self._failure_limit:
            self._report.gave_up = f"more than {self._settings.max_failures} bad images"
        return self._report.gave_up is not None

    def _freeze(self, recipe: Recipe) -> FrozenRecipe:
        digest = known_digest(recipe)
        return self._open_engine(recipe).recipe if digest is None else recipe.freeze(digest)

    def _open_engine(self, recipe: Recipe) -> Engine:
        threads = usable_processors()
        engine = open_engine(recipe, self._settings.engine, self._settings.batch_size, threads)
        self._engines[engine.recipe.space] = engine
        return engine

    def _open_engines(self) -> None:
        for space, recipe in self._recipes.items():
            if space not in self._engines:
                self._open_engine(recipe)

    def _embed(self, todo: list[Entry]) -> None:
        self._open_engines()
        started = time.monotonic()
        workers = self._settings.workers or usable_processors()
        with Pipeline(self._engines, workers).running() as pipeline:
            tasks = self._choose(pipeline.read(todo))
            for embedded in pipeline.infer(self._sound(pipeline.decode(tasks))):
                self._take(embedded)
                self._bank.commit_if_due()
                self._tell()
        self._report.images_per_second = round(self._report.embedded / (time.monotonic() - started), 1)

    def _choose(self, images: Iterable[ReadImage]) -> Iterator[Task]:
        """Passes on the images that must be decoded, each hash once."""
        for image in images:
            if self._has_too_many_failures():
                return
            if image.problem:
                self._fail(image.entry, "", image.problem)
            elif image.hash in self._sizes or image.hash in self._reasons or image.hash in self._open_spaces:
                self._twins.append(image)
                self._report.duplicates += 1
            elif spaces := self._bank.missing(image.hash):
                self._open_spaces[image.hash] = set(spaces)
                yield Task(image, spaces)
            else:
                self._take_banked(image)

    def _take_banked(self, image: ReadImage) -> None:
        try:
            size = picture_size(image.data)
        except ImageError as error:
            self._fail(image.entry, image.hash, str(error))
            return
        if self._bank.is_listed_elsewhere(image.entry, image.hash):
            self._report.duplicates += 1
        else:
            self._report.skipped += 1
        self._bank.add_row(image.entry, image.hash, size)
        self._tell()

    def _sound(self, images: Iterable[Decoded]) -> Iterator[Decoded]:
        """Passes on the images that could be decoded and records the others."""
        for image in images:
            read = image.task.image
            if image.picture is None:
                self._fail(read.entry, read.hash, str(image.problem))
            else:
                self._sizes[read.hash] = (image.picture.width, image.picture.height)
                yield image

    def _take(self, embedded: Embedded) -> None:
        for decoded, vector in zip(embedded.images, embedded.vectors, strict=True):
            image = decoded.task.image
            if image.hash in self._reasons:
                continue
            dtype = self._recipes[embedded.space].dtype
            if not (np.abs(vector) <= np.finfo(dtype).max).all():  # NaN is not
                self._fail(image.entry, image.hash, f"its vector is not finite {dtype} in {embedded.space}")
                continue
            self._bank.add_vector(embedded.space, image.entry.key, image.hash, vector)
            waiting = self._open_spaces[image.hash]
            waiting.discard(embedded.space)
            if not waiting:
                self._bank.add_row(image.entry, image.hash, self._sizes[image.hash])
                self._report.embedded += 1

    def _fail(self, entry: Entry, hash_: str, reason: str) -> None:
        if hash_:
            self._reasons[hash_] = reason
        self._bank.add_row(entry, hash_, (0, 0), status=reason)
        self._report.failed += 1
        self._tell()

    def _settle_twins(self) -> None:
        """An image with the bytes of another one shares its outcome."""
        for twin in self._twins:
            if twin.hash in self._reasons:
                self._report.duplicates -= 1
                self._fail(twin.entry, twin.hash, self._reasons[twin.hash])
            elif not self._open_spaces.get(twin.hash):
                self._bank.add_row(twin.entry, twin.hash, self._sizes[twin.hash])
        self._twins.clear()

    def _tell(self) -> None:
        if self._progress:
            self._progress(self._report)


def _check_same_place(writer: StoreWriter, source: Source, named: bool) -> None:
    """Two folders of one name are not one source, unless the first has moved or the person says so."""
    listing = FeatureStore(writer.path).sources.get(source.name)
    if listing and listing.location != source.location and not named and Path(listing.location).exists():
        raise SourceError(
            f"{writer.path} already has a source called {source.name!r}, from {listing.location}. "
            f"Give {source.location} another name with --name; or, if it is the same one in a new place, "
            f"say so with --name {source.name}."
        )
