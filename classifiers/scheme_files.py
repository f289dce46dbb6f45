"""Schemes from a YAML file, with errors that name file, line, scheme and option."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from classifiers.errors import SchemeError
from classifiers.scheme_yaml import Lines, Plain, compose, line_of, mapping, plain
from classifiers.schemes import OPTIONS, Scheme
from classifiers.suggestions import suggest

_PLAIN_COLUMNS = ("folder", "key", "source", "split", "hash", "width", "height", "bytes", "mtime")
_KINDS: dict[str, tuple[type, str]] = {
    "groups": (dict, "a mapping of classes to lists of values"),
    "bins": (list, "a list of edges such as [0, 10, 100]"),
    "drop": (list, "a list of values"),
    "classes": (list, "a list of classes"),
}
_SWITCH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def load_schemes(path: str | Path) -> dict[str, Scheme]:
    """The schemes of a YAML file, by name, in its order. Raises SchemeError for the first that is wrong.

    Every plain value is read as text, so that `no`, `07` and `1_000` stay what they are.
    """
    schemes, errors = read_schemes(path)
    if errors:
        raise SchemeError(errors[0][1])
    return schemes


def read_schemes(path: str | Path) -> tuple[dict[str, Scheme], list[tuple[str, str]]]:
    """The schemes of a YAML file that are right, by name, and (name, sentence) of each that is wrong.

    Raises SchemeError if the file as a whole cannot be read.
    """
    path = Path(path)
    root = compose(path)
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise SchemeError(
            f"{path} holds no schemes: it must map names to schemes, such as\nbreed:\n  from: folder"
        )
    reader = _Reader(path, {}, {_name(key): line_of(key) for key, _ in reversed(root.value)})
    errors = []
    for key, node in root.value:
        try:
            reader.read(key, node)
        except SchemeError as error:
            errors.append((_name(key), str(error)))
    return reader.schemes, errors


def schemes_json_schema() -> str:
    """The JSON schema of scheme files, for editors that complete and check YAML."""
    return files("classifiers").joinpath("schemes.schema.json").read_text(encoding="utf-8")


@dataclass(frozen=True)
class _Reader:
    """What was read so far; `lines` has the line of every name of the file, the first if it is there twice."""

    path: Path
    schemes: dict[str, Scheme]
    lines: dict[str, int]

    def read(self, key: yaml.Node, node: yaml.Node) -> None:
        """One more scheme. Raises SchemeError."""
        name, line = _name(key), line_of(key)
        if not name:
            raise SchemeError(f"{self.path}, line {line}: the name of a scheme must be a text.")
        if self.lines[name] != line:
            raise SchemeError(
                f"{self.path}, line {line}: the scheme {name!r} was given before, in line {self.lines[name]}. Rename "
                "one of them."
            )
        entry = _Entry(self.path, name, line, {})
        if not isinstance(node, yaml.MappingNode):
            raise entry.error(f"it needs options such as `from: folder`; got {_shown(node)}")
        entry.options.update(mapping(node, self.path, f"option of scheme {name!r}"))
        options = entry.plain()
        parent = self._parent(entry, str(options["from"]))
        self.schemes[name] = _scheme(entry, options, parent, tuple(self.schemes))

    def _parent(self, entry: _Entry, source: str) -> Scheme | None:
        """The earlier scheme that is meant, None for a column."""
        if source in self.schemes or source not in self.lines or source == entry.name:
            return self.schemes.get(source)
        if self.lines[source] < entry.line:
            raise entry.error(
                f"it is made from {source!r}, which is wrong itself (line {self.lines[source]})",
                entry.options["from"][0],
            )
        if source in _PLAIN_COLUMNS:
            return None
        raise entry.error(
            f"it is made from {source!r}, which comes later in the file. Move it above {entry.name!r}, or write "
            f"labels.{source} for a column",
            entry.options["from"][0],
        )


@dataclass(frozen=True)
class _Entry:
    """One scheme as it stands in the file: its options with their lines."""

    path: Path
    name: str
    line: int
    options: Lines

    def plain(self) -> dict[str, Any]:
        """The options that are given, each of its kind."""
        found: dict[str, Plain] = {}
        for option, (line, node) in self.options.items():
            if option not in OPTIONS:
                raise self.error(f"there is no option {option!r}. {suggest(option, OPTIONS)}", line, "")
            value = plain(node, self.path)
            kind, expected = _KINDS.get(option, (str, "a text"))
            if kind is list and isinstance(value, str) and value:
                value = [value]
            if value == "":
                continue
            if not isinstance(value, kind):
                raise self.error(f"{option} must be {expected}", line)
            for part in value.values() if isinstance(value, dict) else [value]:
                if not isinstance(part, str) and not (isinstance(part, list) and _all_texts(part)):
                    raise self.error(f"{option} must be {expected}, not nested further", line)
            found[option] = value
        if "from" not in found:
            raise self.error("it needs `from:` (folder, key, labels.COLUMN, or an earlier scheme)")
        return found

    def error(self, what: str, line: int | None = None, end: str = ".") -> SchemeError:
        return SchemeError(f"{self.path}, line {line or self.line}, scheme {self.name!r}: {what}{end}")


def _scheme(
    entry: _Entry, options: dict[str, Any], parent: Scheme | None, earlier: tuple[str, ...]
) -> Scheme:
    source = options.pop("from")
    switch = options.pop("multilabel", "false")
    if switch.lower() not in _SWITCH:
        raise entry.error(f"multilabel is true or false; got {switch!r}", entry.options["multilabel"][0])
    multilabel = _SWITCH[switch.lower()]
    if "separator" in options and not multilabel:
        raise entry.error("separator goes with multilabel: true", entry.options["separator"][0])
    origin = f"{entry.path}, line {entry.line}"
    try:
        return Scheme(
            entry.name, source, parent, multilabel=multilabel, origin=origin, earlier=earlier, **options
        )
    except SchemeError as error:
        raise SchemeError(f"{origin}, {error}") from error


def _all_texts(items: list[Plain]) -> bool:
    return all(isinstance(item, str) for item in items)


def _name(key: yaml.Node) -> str:
    """The name of a scheme, empty if it is no text."""
    return str(key.value) if isinstance(key, yaml.ScalarNode) else ""


def _shown(node: yaml.Node) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list"
