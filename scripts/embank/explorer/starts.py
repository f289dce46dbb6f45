"""What a scheme may start from: the folder, columns of label tables, schemes of a file, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embank.explorer.collection import Collection

if TYPE_CHECKING:
    from pathlib import Path

    from classifiers import Scheme
    from classifiers.live import LiveScheme

EMPTY = "nothing"


@dataclass(frozen=True, eq=False)  # the same scheme begun with twice is two starts
class Start:
    """A scheme as it was begun with; `rule` is None where no image had a label, `conflicts` counts pictures whose names
    have different labels."""

    name: str
    rule: Scheme | None
    live: LiveScheme
    conflicts: int = 0


class Starts:
    """The schemes that there are by name, those of a file first. Raises SchemeError if none of the file is sound."""

    def __init__(self, collection: Collection, schemes: Path | None) -> None:
        from classifiers import default_schemes, read_schemes
        from classifiers.errors import SchemeError

        self._collection = collection
        found, wrong = read_schemes(schemes) if schemes else ({}, [])
        if wrong and not found:
            raise SchemeError(wrong[0][1])
        own, _ = default_schemes(collection.listed)
        self.notes = tuple(sentence for _, sentence in wrong)
        self.rules: dict[str, Scheme] = {
            **found,
            **{name: one for name, one in own.items() if name not in found},
        }
        self._of_file = set(found)

    def add(self, rule: Scheme) -> None:
        """One more, or a new one of its name."""
        self.rules[rule.name] = rule

    def first(self) -> str:
        """The one that the page opens with."""
        return next(iter(self.rules), EMPTY)

    def open(self, name: str) -> Start:
        """A scheme to change. Raises SchemeError, naming the nearest."""
        from classifiers.live import LiveScheme
        from embank.options import named_scheme

        if name == EMPTY and EMPTY not in self.rules:
            return Start("labels", None, LiveScheme.empty(len(self._collection)))
        rule = named_scheme(self.rules, name, str(self._collection.store.path))
        labels = rule.labels(self._collection.listed)
        LiveScheme.of(labels)  # refuses several labels an image
        own, conflicts = self._collection.one_each(labels)
        return Start(rule.name, rule, LiveScheme.of(own), conflicts)

    def listed(self) -> list[dict[str, str]]:
        """`id`, `title` and `more` of each, as the page shows them."""
        rows = [
            {
                "id": name,
                "title": name,
                "more": "scheme of the file" if name in self._of_file else f"from {one.source}",
            }
            for name, one in self.rules.items()
        ]
        if EMPTY not in self.rules:
            rows.append({"id": EMPTY, "title": "No labels", "more": "label from the start"})
        return rows
