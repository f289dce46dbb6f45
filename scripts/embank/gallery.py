"""Similar images to look at: a page of its own, or a contact sheet."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = (".html", ".htm", ".jpg", ".jpeg")
_ACROSS = 6  # pictures of a contact sheet, at least
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Shown:
    """One image of a gallery. picture: a JPEG, or None where its file is gone; similarity: None of the query."""

    key: str
    picture: bytes | None
    similarity: float | None
    facts: Sequence[str] = ()

    @property
    def url(self) -> str | None:
        """The picture as a data URL."""
        if self.picture is None:
            return None
        return "data:image/jpeg;base64," + base64.b64encode(self.picture).decode()


def write_gallery(path: Path, query: Shown, found: Sequence[Shown], about: Sequence[str]) -> None:
    """Writes a self-contained HTML page, or for a name ending in .jpg or .jpeg a contact sheet."""
    if path.suffix.lower() in SUFFIXES[:2]:
        from store.commit import write_file

        write_file(path, _page(query=query, found=found, about=about).encode())
        return
    from embank.grids import Cell, write_grid

    cells = [Cell(query.picture, (query.key, "query"))]
    cells += [Cell(one.picture, (one.key, f"{one.similarity:.3f}")) for one in found]
    write_grid(cells, path, least_across=_ACROSS)


def _page(**parts: Any) -> str:  # noqa: ANN401 (of the template)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,  # keys and labels are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("similar.html.j2").render(**parts)
