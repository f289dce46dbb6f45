"""One run of the batch job: what is to be done of a source, who does it, and what the listing says in the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embedder.bank import Bank
from embedder.crew import Crew, LocalCrew
from embedder.recipe import Recipe
from embedder.report import EmbedReport, Progress
from embedder.settings import JobSettings
from embedder.sources import Source
from embedder.units import split_into_units, without
from store import StoreWriter


class Run:
    """Embeds what is not banked of a source, by some recipes, into a store.

    place: where the source is, for a worker on any machine.
    """

    def __init__(
        self,
        source: Source,
        place: str,
        store: Path,
        recipes: Sequence[Recipe],
        settings: JobSettings,
        progress: Progress | None,
    ) -> None:
        self._source, self._place, self._store, self._recipes = source, place, store, recipes
        self._settings, self._progress = settings, progress
        self._report = EmbedReport(notes=list(source.notes))

    def run(self) -> EmbedReport:
        """Embeds what is not banked. Whatever ends the run, what was embedded by then is committed."""
        with self._crew() as crew:
            frozen = crew.freeze()
            self._report.space = list(frozen)
            if not self._store.exists():  # a recipe that cannot be run must not leave a store behind
                crew.try_out()
            bank = Bank(StoreWriter(self._store), self._source, frozen)
            self._embed(crew, bank)
        return self._report

    def _embed(self, crew: Crew, bank: Bank) -> None:
        entries = self._settings.chosen(self._source.entries)
        all_listed = self._source.complete and len(entries) == len(self._source.entries)
        report = self._report
        report.listed = len(entries)
        shard = self._settings.shard
        units = split_into_units(entries, of=f"-{shard.replace('/', 'of')}" if shard else "")
        unchanged = bank.unchanged(entries)
        todo = list(without(units, unchanged))
        report.skipped = int(unchanged.sum())
        del entries  # the crew may want to drop them
        self._tell()
        try:
            if todo:
                crew.embed(todo, bank, report, self._tell)
        finally:
            bank.finish(all_listed and report.done == report.listed, crew.replace_listing)

    def _crew(self) -> Crew:
        if self._settings.runner == "ray":
            from embedder.ray_crew import RayCrew

            return RayCrew(self._source, self._place, self._store, self._recipes, self._settings)
        return LocalCrew(self._source, self._store, self._recipes, self._settings)

    def _tell(self) -> None:
        if self._progress:
            self._progress(self._report)
