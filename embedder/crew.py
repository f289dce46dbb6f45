"""A crew: who does the work of a run. The local crew is one worker in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pandas as pd

from embedder.bank import Bank
from embedder.engine_set import EngineSet
from embedder.recipe import FrozenRecipe, Recipe
from embedder.report import EmbedReport
from embedder.settings import JobSettings
from embedder.sources import Source
from embedder.units import Unit
from embedder.worker import Worker
from store import StoreWriter


class Crew(Protocol):
    """Does the work of one run. Used as a context manager; it takes hold of machines when it first needs them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def freeze(self) -> Mapping[str, FrozenRecipe]:
        """The job's recipes by space. Raises WeightsError, RecipeError or EngineError."""

    def try_out(self) -> None:
        """Raises unless every backbone can be run."""

    def embed(self, units: list[Unit], bank: Bank, report: EmbedReport, tell: Callable[[], None]) -> None:
        """Embeds the images of the units and counts them in `report`, telling now and then.

        It takes the units over, and the entries of the source: afterwards they may be gone, to save memory.
        """

    def replace_listing(self, writer: StoreWriter, source: str, location: str, table: pd.DataFrame) -> None:
        """Does what the writer's `replace_listing` does."""


class LocalCrew:
    """Works in this process."""

    def __init__(self, source: Source, store: Path, recipes: Sequence[Recipe], settings: JobSettings) -> None:
        self._source, self._store, self._settings = source, store, settings
        self._engines = EngineSet(recipes, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def freeze(self) -> Mapping[str, FrozenRecipe]:
        """The job's recipes by space."""
        return self._engines.frozen

    def try_out(self) -> None:
        """Raises unless every backbone can be run."""
        self._engines.open()

    def embed(self, units: list[Unit], bank: Bank, report: EmbedReport, tell: Callable[[], None]) -> None:
        """Embeds the images of the units, telling of each one."""
        worker = Worker(self._source, self._store, bank, self._engines, self._settings, report.listed)
        worker.work(units, report, tell)

    def replace_listing(self, writer: StoreWriter, source: str, location: str, table: pd.DataFrame) -> None:
        """Does what the writer's `replace_listing` does."""
        writer.replace_listing(source, location, table)
