"""The edits that the page can ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from embank.console import counted
from embank.explorer.lists import Lists
from embank.explorer.session import Session
from embank.explorer.steps import Shown

if TYPE_CHECKING:
    from classifiers.live import LiveScheme
    from classifiers.values import Texts

MOST_CLUSTERS = 12


class Edits:
    """Each gives what the page shows next. Raise SchemeError for what cannot be done."""

    def __init__(self, session: Session, lists: Lists) -> None:
        self._session, self._lists = session, lists

    def merge(self, codes: Sequence[int], name: str) -> Shown:
        """Several classes become one."""
        return self._session.edit(f"merging into {name}", lambda live: live.merged(codes, name))

    def rename(self, code: int, name: str) -> Shown:
        """A class gets another name."""
        return self._session.edit(f"renaming to {name}", lambda live: live.renamed(code, name))

    def drop(self, code: int) -> Shown:
        """A class is left out."""
        return self._session.edit(f"dropping {self._live.name(code)}", lambda live: live.without(code))

    def restore(self, name: str) -> Shown:
        """A class that was left out comes back."""
        return self._session.edit(f"restoring {name}", lambda live: live.restored(name))

    def relabel(self, rows: Sequence[int], label: str | None) -> Shown:
        """Images become of another class, which may be new, or of none."""
        chosen = np.unique(np.asarray(rows, np.intp))
        what = f"{'unlabelling' if label is None else 'labelling'} {counted(len(chosen), 'image')}"
        to = "" if label is None else f" as {label}"
        return self._session.edit(what + to, lambda live: live.relabelled(chosen, label), by_name=True)

    def split_by_column(self, code: int, column: str) -> Shown:
        """A class becomes one for each value of a column."""
        from classifiers.errors import SchemeError
        from classifiers.suggestions import suggest
        from classifiers.values import as_texts

        if column not in self._session.columns():
            raise SchemeError(
                f"there is no column {column!r} to split by. {suggest(column, self._session.columns())}"
            )
        texts = as_texts(self._session.collection.images[column])
        return self._split(code, lambda live: texts[live.rows(code)])

    def split_by_clusters(self, code: int, clusters: int) -> Shown:
        """A class becomes so many groups of images that look alike."""
        from classifiers.errors import SchemeError
        from classifiers.regrouping import cut_class

        if not 2 <= clusters <= MOST_CLUSTERS:
            raise SchemeError(f"a class is split into 2 to {MOST_CLUSTERS} clusters; got {clusters}.")

        def parts(live: LiveScheme) -> Texts:
            rows = live.rows(code)
            found = cut_class(self._session.fit.vectors, rows, clusters)
            texts: Texts = np.empty(len(rows), object)
            for number, members in enumerate(found, 1):
                texts[np.searchsorted(rows, members)] = f"{live.name(code)} {number}"
            return texts

        return self._split(code, parts)

    def split_by_expression(self, code: int, where: str) -> Shown:
        """A class becomes the images for which an expression holds, and the others, which keep its name."""

        def parts(live: LiveScheme) -> Texts:
            holds = self._lists.holds(where)[live.rows(code)]
            name = f"{live.name(code)}, {' '.join(where.split())}"
            texts: Texts = np.full(len(holds), None, object)
            texts[holds] = name if len(name) <= 80 else f"{live.name(code)} (some)"
            return texts

        return self._split(code, parts)

    @property
    def _live(self) -> LiveScheme:
        return self._session.shown.step.live

    def _split(self, code: int, parts: Callable[[LiveScheme], Texts]) -> Shown:
        what = f"splitting {self._live.name(code)}"
        return self._session.edit(what, lambda live: live.split(code, parts(live)))
