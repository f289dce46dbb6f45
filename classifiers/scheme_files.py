"""Schemes from a YAML file, with errors that name file, line, scheme and option."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from classifiers.errors import SchemeError
from classifiers.schemes import OPTIONS, Scheme
from classifiers.suggestions import suggest

_PLAIN_COLUMNS = ("folder", "key", "source", "split", "hash", "width", "height")
_DEEPEST = 6
_KINDS: dict[str, tuple[type, str]] = {
    "groups": (dict, "a mapping of classes to lists of values"),
    "drop": (list, "a list of values"),
    "classes": (list, "a list of classes"),
}
Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"


def load_schemes(path: str | Path) -> dict[str, Scheme]:
    """The schemes of a YAML file, by name, in its order. Raises SchemeError.

    Every plain value is read as text, so that `no`, `07` and `1_000` stay what they are.
    """
    path = Path(path)
    root = _compose(path)
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise SchemeError(
            f"{path} holds no schemes: it must map names to schemes, such as\nbreed:\n  from: folder"
        )
    entries = _mapping(root, path, "scheme")
    schemes: dict[str, Scheme] = {}
    for name, (line, node) in entries.items():
        if not isinstance(node, yaml.MappingNode):
            raise _error(path, line, name, f"it needs options such as `from: folder`; got {_shown(node)}")
        options = _mapping(node, path, f"option of scheme {name!r}")
        later = [other for other in entries if other not in schemes and other != name]
        schemes[name] = _scheme(_Entry(path, name, line, options), schemes, later)
    return schemes


@dataclass(frozen=True)
class _Entry:
    """One scheme as it stands in the file: its options with their lines."""

    path: Path
    name: str
    line: int
    options: dict[str, tuple[int, yaml.Node]]

    def plain(self) -> dict[str, Plain]:
        """The options that are given, each of its kind."""
        plain: dict[str, Plain] = {}
        for option, (line, node) in self.options.items():
            if option not in OPTIONS:
                raise self.error(f"there is no option {option!r}. {suggest(option, OPTIONS)}", line, "")
            value = _plain(node, self.path)
            kind, expected = _KINDS.get(option, (str, "a text"))
            if kind is list and isinstance(value, str) and value:
                value = [value]
            if value == "":
                continue
            if not isinstance(value, kind):
                raise self.error(f"{option} must be {expected}", line)
            plain[option] = value
        return plain

    def error(self, what: str, line: int | None = None, end: str = ".") -> SchemeError:
        return _error(self.path, line or self.line, self.name, what, end)


def _scheme(entry: _Entry, earlier: dict[str, Scheme], later: list[str]) -> Scheme:
    plain: dict[str, Any] = entry.plain()
    if "from" not in plain:
        raise entry.error("it needs `from:` (folder, key, labels.COLUMN, or an earlier scheme)")
    source = plain["from"]
    if source in later and source not in _PLAIN_COLUMNS:
        raise entry.error(
            f"it is made from {source!r}, which comes later in the file. Move it above {entry.name!r}, or write "
            f"labels.{source} for a column",
            entry.options["from"][0],
        )
    options: dict[str, Any] = {
        option: plain[option]
        for option in ("groups", "regex", "where", "drop", "classes", "separator")
        if option in plain
    }
    options["multilabel"] = _switch(plain.get("multilabel", "false"), entry)
    if "separator" in options and not options["multilabel"]:
        raise entry.error("separator goes with multilabel: true", entry.options["separator"][0])
    try:
        return Scheme(entry.name, source, parent=earlier.get(source), **options)
    except SchemeError as error:
        raise SchemeError(f"{entry.path}, line {entry.line}, {error}") from error


def _switch(value: str, entry: _Entry) -> bool:
    known = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    if value.lower() not in known:
        raise entry.error(f"multilabel is true or false; got {value!r}", entry.options["multilabel"][0])
    return known[value.lower()]


def _error(path: Path, line: int, name: str, what: str, end: str = ".") -> SchemeError:
    return SchemeError(f"{path}, line {line}, scheme {name!r}: {what}{end}")


def _compose(path: Path) -> yaml.Node | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SchemeError(f"there is no scheme file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SchemeError(f"cannot read the scheme file {path}: {reason}.") from error
    try:
        return yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise SchemeError(
            f"{path}{line} is not valid YAML: {getattr(error, 'problem', None) or error}."
        ) from error
    except RecursionError as error:
        raise SchemeError(f"{path} is nested too deeply.") from error


def _mapping(node: yaml.MappingNode, path: Path, what: str) -> dict[str, tuple[int, yaml.Node]]:
    """Key → (line, value node). PyYAML itself silently keeps the last of two equal keys."""
    result: dict[str, tuple[int, yaml.Node]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not key.value:
            raise SchemeError(f"{path}, line {line}: the name of a {what} must be a text.")
        if key.value in result:
            before = result[key.value][0]
            raise SchemeError(
                f"{path}, line {line}: the {what} {key.value!r} was given before, in line {before}."
            )
        result[key.value] = (line, value)
    return result


def _plain(node: yaml.Node, path: Path, depth: int = 0) -> Plain:
    """Texts, lists and dicts of a node."""
    if depth > _DEEPEST:
        raise SchemeError(f"{path}, line {node.start_mark.line + 1}: it is nested too deeply.")
    if isinstance(node, yaml.MappingNode):
        return {
            key: _plain(value, path, depth + 1) for key, (_, value) in _mapping(node, path, "group").items()
        }
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path, depth + 1) for item in node.value]
    return str(node.value)


def _shown(node: yaml.Node) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list"
