"""Writing a comparison as one HTML file: the board, then for each scheme its classes, confusions and pictures.

The file is whole in itself: it opens offline, in light or dark, on a phone or by a screen reader. Its policy
(Content-Security-Policy) allows nothing but its own script and styles, by their digests, and data: pictures.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from classifiers.audits.traits import Pictures
from classifiers.report import formats
from classifiers.report.board import board_rows, choices, summary
from classifiers.report.regroupings import schemes_chart
from classifiers.report.scheme_map import SHAPES, map_data
from classifiers.report.sections import Sections
from classifiers.report.shown import Shown, sheets
from classifiers.report.vector_map import VectorMap
from classifiers.results import Comparison, Result
from store.commit import write_file

if TYPE_CHECKING:
    from classifiers.curves import FewShot

_TEMPLATES = Path(__file__).parent / "templates"
_OPEN = 8  # with more schemes than this their sections start closed
_VERSIONS = ("embank", "numpy", "scikit-learn", "tensorflow", "keras", "openvino", "pillow", "h5py")


def write_report(
    path: Path,
    comparison: Comparison,
    *,
    title: str,
    pictures: Pictures,
    about: Mapping[str, Any],
    curves: Sequence[FewShot] = (),
    maps: Sequence[VectorMap] = (),
) -> None:
    """Writes the report of a comparison to `path`, replacing what was there.

    pictures: gets rows of `comparison.images` and returns a JPEG thumbnail for each, or None where the file is
    gone. It is called at most once, each image is in it once; 160 pixels and 4 kB a picture keep the file small.
    about: how this was made (recipe, split, seed, command, …), shown as it is; values that are not strings are
    shown as JSON. curves: learning curves over the number of labelled images. maps: of the spaces, from
    `vector_maps`. Raises store.StoreWriteError.
    """
    best = best_results(comparison.results)
    shown = Shown(comparison.images)
    places = {one.space: one for one in maps}
    maker = Sections(comparison, shown, len(best), curves, places)
    sections = [maker.section(result) for result in best.values()]
    tiles = {int(row): i for i, row in enumerate(dict.fromkeys(row for one in maps for row in one.rows))}
    found = shown.load(pictures, list(tiles))
    rows = board_rows(comparison, best)
    page = {
        "title": title,
        "summary": summary(comparison),
        "date": datetime.now().astimezone(),
        "version": version("embank"),
        "rows": rows,
        "choices": choices(comparison.board),
        "schemes_chart": schemes_chart(list(best.values())),
        "errors": comparison.errors,
        "sections": sections,
        "sections_open": len(sections) <= _OPEN,
        "splits": _splits(comparison.results),
        "about": {
            name: formats.written(value) for name, value in (*about.items(), ("versions", _versions()))
        },
        "styles": shown.styles(found),
        "sheets": sheets(list(tiles), found),
        "map_data": _json([map_data(one, tiles) for one in places.values()]),
        "shapes": SHAPES,
        "has_rivals": any(row["rival"] is not None for row in rows),
        "keys": _json([str(key) for key in comparison.images["key"].iloc[list(tiles)]]),
    }
    write_file(path, _rendered(page).encode())


def best_results(results: Sequence[Result]) -> dict[str, Result]:
    """The most accurate result of each scheme; the first of equals."""
    best: dict[str, Result] = {}
    for result in results:
        if result.scheme not in best or result.figures.accuracy > best[result.scheme].figures.accuracy:
            best[result.scheme] = result
    return best


def _rendered(page: dict[str, Any]) -> str:
    """The page, with the digests of its script and styles in its policy."""
    pictures = {**page["styles"], **{f"sheet{i}": data for i, data in enumerate(page["sheets"])}}
    rules = [
        f".{name} {{ background-image: url(data:image/jpeg;base64,{data}); }}"
        for name, data in pictures.items()
    ]
    style = "\n".join([_text("report.css"), *rules])
    script = _text("report.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # Both are this package's own text and base64, and must stand as they were digested.
    inlined = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    template = _environment().get_template("report.html.j2")
    return template.render(**page, **inlined, policy=Markup(policy))  # noqa: S704


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: object) -> Markup:
    """JSON that may stand in a script element, whatever the strings in it hold."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def _splits(results: Sequence[Result]) -> list[dict[str, Any]]:
    """How images were held out, by scheme."""
    by_scheme = {(one.scheme, one.split, one.n_train, len(one.test)): None for one in results}
    return [
        {"scheme": scheme, "split": split, "n_train": n_train, "n_test": n_test}
        for scheme, split, n_train, n_test in by_scheme
    ]


def _versions() -> str:
    """`embank 0.1.0, …, Python 3.11.2`: of what is installed."""
    found = []
    for name in _VERSIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join([*found, f"Python {platform.python_version()}"])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,  # keys, class names and titles are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "span", "points", "duration", "count"):
        environment.filters[name] = getattr(formats, name)
    return environment
