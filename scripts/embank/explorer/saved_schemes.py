"""Schemes as files that `compare` reads: groups of the scheme they began with, or labels kept in the store."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from embank.explorer.collection import Collection
from embank.explorer.kept_labels import KeptLabels
from embank.explorer.starts import Start
from store.labels import HISTORY_COLUMN

if TYPE_CHECKING:
    from classifiers import Scheme
    from classifiers.live import LiveScheme

_RESERVED = ("hash", "key", "name", "split", HISTORY_COLUMN)
_FIRST_LINE = "# Saved by embank explore; `embank compare` reads it."


class SavedSchemes:
    """Writes schemes of a collection into a folder, one file each."""

    def __init__(self, collection: Collection, labels: KeptLabels, folder: Path, where: str | None) -> None:
        self._collection, self._labels, self._folder, self._where = collection, labels, folder, where
        self._kept = set(labels.columns())
        self._foreign = {str(name).removeprefix("labels.") for name in collection.listed.columns} - self._kept
        self._own: set[str] = set()

    def suggested(self, start: Start) -> str:
        """A name for what becomes of a scheme: its own, if it was made here, else a new one that nothing has."""
        if start.rule is not None and self._is_column(start.rule):
            self._own.add(start.name)
            return start.name
        name = "my-labels" if start.rule is None else f"{start.name}-edited"
        number, free = 2, name
        while free in self._kept | self._foreign | {*_RESERVED}:
            free, number = f"{name}-{number}", number + 1
        return free

    def check(self, name: str) -> None:
        """Raises SchemeError or StoreError for a name that cannot be had."""
        from classifiers.errors import SchemeError
        from store.writer import check_name

        check_name("scheme", name)
        if name in _RESERVED:
            raise SchemeError(f"{name!r} means something else among labels: choose another name.")
        if name in self._foreign or (name in self._kept and name not in self._own):
            raise SchemeError(
                f"the store has labels called {name!r} already: choose another name"
                + (", or start from them to change them." if name in self._kept else ".")
            )
        path = self._path(name)
        if path.exists() and not _is_ours(path):
            raise SchemeError(f"{path} is there already and was not saved by this page: choose another name.")

    def keep(self, name: str) -> None:
        """A column of this name is this page's from now on."""
        self._own.add(name)
        self._kept.add(name)

    def rule(self, name: str, start: Start, live: LiveScheme) -> Scheme | None:
        """The scheme as groups of an earlier one; None where it needs labels of its own."""
        from dataclasses import replace

        base = start.rule
        while base is not None and not start.conflicts:
            if base.name != name:
                own, conflicts = self._collection.one_each(base.labels(self._collection.listed, strict=False))
                found = None if conflicts else live.as_groups(name, base, own.names())
                if found is not None:
                    return replace(found, where=self._where)
            base = base.parent
        return None

    def save(self, name: str, start: Start, live: LiveScheme) -> tuple[Scheme, dict[str, str]]:
        """The scheme, its file and the command that tries it. Raises SchemeError or StoreError."""
        from classifiers import Scheme
        from classifiers.errors import SchemeError
        from classifiers.regrouping import schemes_yaml
        from store.commit import write_file

        self.check(name)
        if len(live.classes) < 2:
            raise SchemeError("a scheme needs two classes with images to be saved.")
        rule = self.rule(name, start, live)
        if rule is None:
            hashes = self._collection.images["hash"]
            self._labels.keep(name, dict(zip(hashes, live.names, strict=True)))
            self._labels.flush()
            self.keep(name)
            rule = Scheme(name, f"labels.{name}", classes=live.classes, where=self._where)
        path = self._path(name)
        write_file(path, f"{_FIRST_LINE}\n{schemes_yaml([rule])}".encode())
        command = ["embank", "compare", str(self._collection.store.path), "--schemes", str(path)]
        return rule, {"path": str(path.resolve()), "command": shlex.join(command)}

    def _is_column(self, rule: Scheme) -> bool:
        return rule.name in self._kept and rule.source == f"labels.{rule.name}" and rule.groups is None

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.yaml"


def _is_ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\n") == _FIRST_LINE
    except (OSError, ValueError):
        return False
