"""The batch job: embeds a source into a store, commits as it goes, and goes on where it stopped."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from embedder.errors import RecipeError, SourceError
from embedder.recipe import Recipe
from embedder.report import EmbedReport, Progress
from embedder.run import Run
from embedder.settings import JobSettings
from embedder.sources import Source, may_be_there, open_source
from embedder.weights import known_recipe
from store import FeatureStore, StoreWriter
from store.object_path import is_url, store_path


def embed(
    source: str | Path,
    store: str | Path,
    recipes: Recipe | Sequence[Recipe],
    *,
    name: str | None = None,
    keys: Collection[str] | None = None,
    settings: JobSettings | None = None,
    progress: Progress | None = None,
) -> EmbedReport:
    """Embeds every image of `source` by each recipe into the store, which is made if it is absent.

    What is banked already is skipped: by size and time of the file, then by its bytes. Images that cannot be
    read or decoded are recorded with their reason and do not stop the run. Vectors are committed as the run
    goes; a run that is interrupted (KeyboardInterrupt) commits what is done and raises, and the next one goes
    on from there. keys: only these images of the source. Raises EmbedderError or StoreError.
    """
    started = time.monotonic()
    settings = settings or JobSettings()
    recipes = [recipes] if isinstance(recipes, Recipe) else list(recipes)
    if not recipes:
        raise RecipeError("there is no recipe to embed by: name at least one backbone.")
    for recipe in recipes:
        known_recipe(recipe)  # a weights file that is not there is said before anything is listed
    listed = open_source(source, name)
    if keys is not None:
        some = [entry for entry in listed.entries if entry.key in keys]
        listed = dataclasses.replace(listed, entries=some, complete=False)
    store = store_path(store)
    if store.exists():
        _check_same_place(StoreWriter(store), listed, named=name is not None)
    place = str(source) if is_url(str(source)) else listed.location
    report = Run(listed, place, store, recipes, settings, progress).run()
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _check_same_place(writer: StoreWriter, source: Source, named: bool) -> None:
    """Two folders of one name are not one source, unless the first has moved or the person says so."""
    listing = FeatureStore(writer.path).sources.get(source.name)
    if listing and listing.location != source.location and not named and may_be_there(listing.location):
        raise SourceError(
            f"{writer.path} already has a source called {source.name!r}, from {listing.location}. "
            f"Give {source.location} another name with --name; or, if it is the same one in a new place, "
            f"say so with --name {source.name}."
        )
