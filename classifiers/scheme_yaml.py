"""YAML as scheme files use it: nodes that know their lines, texts, lists and mappings, and nothing that runs away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import yaml

from classifiers.errors import SchemeError

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain]"
Lines = dict[str, tuple[int, yaml.Node]]
_LARGEST = 10 << 20
_DEEPEST = 8
_MOST_VALUES = 1_000_000
# Seven times as quick where PyYAML was built with libyaml, as its wheels are. Both read every plain value as text.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def compose(path: Path) -> yaml.Node | None:
    """The root of a YAML file, None if it is empty. Raises SchemeError.

    A file that is larger than 10 MB, nested deeper than schemes are, or whose aliases stand for more than a million
    values is refused.
    """
    text = _text(path)
    try:
        _check_depth(text, path)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise SchemeError(_explained(error, text, path)) from error
    values = 0 if root is None else _weight(root, path, {}, 0)
    if values > _MOST_VALUES:
        raise SchemeError(
            f"{path} stands for {values:,} values when its aliases are written out; {_MOST_VALUES:,} are allowed."
        )
    return root


def mapping(node: yaml.MappingNode, path: Path, what: str) -> Lines:
    """Key → (line, value node). PyYAML itself silently keeps the last of two equal keys."""
    result: Lines = {}
    for key, value in node.value:
        line = line_of(key)
        if not isinstance(key, yaml.ScalarNode) or not key.value:
            raise SchemeError(f"{path}, line {line}: the name of a {what} must be a text.")
        if key.value in result:
            before = result[key.value][0]
            raise SchemeError(
                f"{path}, line {line}: the {what} {key.value!r} was given before, in line {before}."
            )
        result[key.value] = (line, value)
    return result


def plain(node: yaml.Node, path: Path) -> Plain:
    """Texts, lists and dicts of a node."""
    if isinstance(node, yaml.MappingNode):
        return {key: plain(value, path) for key, (_, value) in mapping(node, path, "group").items()}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item, path) for item in node.value]
    return str(node.value)


def line_of(node: yaml.Node | yaml.Event) -> int:
    """The line in which a node or an event begins, from 1."""
    mark = node.start_mark
    return 1 if mark is None else int(mark.line) + 1


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise SchemeError(
                f"the scheme file {path} is larger than {_LARGEST >> 20} MB: it is no scheme file."
            )
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise SchemeError(f"there is no scheme file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SchemeError(f"cannot read the scheme file {path}: {reason}.") from error


def _check_depth(text: str, path: Path) -> None:
    """Before nodes are made, which recurses: a file of brackets would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise _too_deep(path, line_of(event))


def _weight(node: yaml.Node, path: Path, known: dict[int, int], depth: int) -> int:
    """How many values a node stands for. An alias may even name a node that it is in."""
    if depth > _DEEPEST:
        raise _too_deep(path, line_of(node))
    if id(node) not in known:
        known[id(node)] = 1 + sum(_weight(part, path, known, depth + 1) for part in _parts(node))
    return known[id(node)]


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _too_deep(path: Path, line: int) -> SchemeError:
    return SchemeError(f"{path}, line {line}: it is nested too deeply.")


def _explained(error: yaml.YAMLError, text: str, path: Path) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path} is not valid YAML: {str(error).splitlines()[0].rstrip('.')}."
    lines = text.splitlines()
    wrong = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in wrong[: len(wrong) - len(wrong.lstrip())]:
        return f"{path}, line {mark.line + 1} is indented with a tab; YAML takes spaces only."
    return f"{path}, line {mark.line + 1} is not valid YAML: {getattr(error, 'problem', None) or error}."
