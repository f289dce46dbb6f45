"""Labels made on the page, kept in a label table of the store as they are made, with who said what and when."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from store.labels import HISTORY_COLUMN

if TYPE_CHECKING:
    import pandas as pd

TABLE = "explorer"


@dataclass(frozen=True)
class Change:
    """One image that has another label now; None is none."""

    hash: str
    before: str | None
    after: str | None


class KeptLabels:
    """The label table `explorer`: a column a scheme, by the images' hashes, and the history of each image.

    If the store has a table of that name from elsewhere, ours is `explorer-2`, and so on. It is written by a thread of
    its own, so that nobody waits for the disk; of several writings that wait, each has all that came before it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, _own_table(path)
        self._pool = ThreadPoolExecutor(1, "labels")
        self._lock = Lock()
        self._labels: dict[str, dict[str, str | None]] = {}
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._last: Future[None] | None = None
        self.problem: str | None = None

    def columns(self) -> list[str]:
        """The schemes that are kept in the store."""
        from store import FeatureStore

        table = FeatureStore(self._path).label_tables.get(self._name)
        return [name for name in table.columns if name != HISTORY_COLUMN] if table else []

    def keep(self, column: str, labels: Mapping[str, str | None], changes: Sequence[Change] = ()) -> None:
        """Keeps the labels of a scheme by hash, sooner or later, and what changed now."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        about = {"when": now, "who": _user(), "scheme": column}
        with self._lock:
            self._labels[column] = dict(labels)
            self._events += [(one.hash, {**about, "from": one.before, "to": one.after}) for one in changes]
            if self._last is None or self._last.done() or self._last.running():
                self._last = self._pool.submit(self._write)

    def flush(self) -> None:
        """Waits until all is written. Raises StoreError or OSError if it cannot be."""
        self._pool.submit(lambda: None).result()
        if self._labels or self._events:
            self._write_now()

    def close(self) -> None:
        """Writes what is left, and ends the thread."""
        self.flush()
        self._pool.shutdown()

    def _write(self) -> None:
        try:
            self._write_now()
            self.problem = None
        except Exception as error:  # whatever it is: told on the page, and tried again with the next change
            self.problem = f"Labels could not be saved in {self._path}: {error}"

    def _write_now(self) -> None:
        with self._lock:
            labels, events = self._labels, self._events
            self._labels, self._events = {}, []
        if not labels and not events:
            return
        try:
            self._commit(labels, events)
        except BaseException:
            with self._lock:
                self._labels = labels | self._labels
                self._events = events + self._events
            raise

    def _commit(
        self, labels: Mapping[str, Mapping[str, str | None]], events: list[tuple[str, dict[str, Any]]]
    ) -> None:
        import pandas as pd

        from store import FeatureStore, StoreWriter
        from store.labels import LabelTable

        earlier = FeatureStore(self._path).label_tables.get(self._name)
        table = (
            pd.DataFrame(index=pd.Index([], dtype=object))
            if earlier is None
            else earlier.table.set_index("hash")
        )
        history = dict(table[HISTORY_COLUMN]) if HISTORY_COLUMN in table else {}
        wanted = pd.Index(
            [
                *dict.fromkeys(
                    [*table.index, *(h for one in labels.values() for h in one), *(h for h, _ in events)]
                )
            ]
        )
        table = table.reindex(wanted).astype(object)
        for column, values in labels.items():
            old = dict(zip(table.index, table[column], strict=True)) if column in table else {}
            table[column] = _texts(wanted, {**old, **values})
        for hash_, event in events:
            told = history.get(hash_)
            history[hash_] = json.dumps(
                [*(json.loads(told) if isinstance(told, str) else []), event], ensure_ascii=False
            )
        table[HISTORY_COLUMN] = _texts(wanted, history)
        table.index.name = "hash"
        StoreWriter(self._path).attach_labels(LabelTable(self._name, "hash", None, table.reset_index()))


def _own_table(path: Path) -> str:
    """The name of the table that earlier runs wrote, or one that is free."""
    from store import FeatureStore

    tables = FeatureStore(path).label_tables
    name, number = TABLE, 2
    while name in tables and HISTORY_COLUMN not in tables[name].columns:
        name, number = f"{TABLE}-{number}", number + 1
    return name


def _texts(index: pd.Index[Any], values: Mapping[str, Any]) -> pd.Series[Any]:
    import pandas as pd

    texts = [value if isinstance(value := values.get(one), str) else None for one in index]
    return pd.Series(texts, index=index, dtype=object)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "unknown"
