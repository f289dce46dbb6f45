"""What a request asks for, checked: names, numbers and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException

_LONGEST = 4000  # characters


class Asked:
    """The fields of a request. Raise HTTPException, a sentence, for what is missing or of another kind.

    images: how many there are, numbered from 0.
    """

    def __init__(self, fields: Mapping[str, Any], images: int) -> None:
        self._fields, self._images = fields, images

    def has(self, name: str) -> bool:
        """Whether a field is given."""
        return name in self._fields

    def flag(self, name: str) -> bool:
        """Whether a field is given and is not 0."""
        return str(self._fields.get(name, "0")) not in ("0", "")

    def text(self, name: str, default: str | None = None) -> str:
        """A text."""
        value = self._fields.get(name, default)
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise _wrong(f"{name} must be a text of at most {_LONGEST:,} characters.")
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text, or null."""
        if name not in self._fields:
            raise _wrong(f"{name} is missing.")
        return None if self._fields[name] is None else self.text(name)

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """One of some texts."""
        value = self._fields.get(name)
        if value not in known:
            raise _wrong(f"{name} must be one of {', '.join(known)}.")
        return str(value)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number from 0 up."""
        value = self._fields.get(name, default)
        if isinstance(value, str) and value.isdecimal() and len(value) < 16:
            value = int(value)
        if type(value) is not int or value < 0:
            raise _wrong(f"{name} must be a whole number from 0 up.")
        return value

    def numbers(self, name: str) -> list[int]:
        """Whole numbers from 0 up."""
        value = self._fields.get(name)
        if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
            raise _wrong(f"{name} must be a list of whole numbers from 0 up.")
        return value

    def row(self, name: str) -> int:
        """The number of an image."""
        return self._row(self.number(name))

    def rows(self, name: str) -> list[int]:
        """Numbers of images, at least one."""
        value = self.numbers(name)
        if not value:
            raise _wrong("no image is chosen.")
        return [self._row(one) for one in value]

    def _row(self, number: int) -> int:
        if number >= self._images:
            raise _wrong(f"there is no image number {number}: there are {self._images:,}, from 0 on.", 404)
        return number


def _wrong(sentence: str, status: int = 400) -> HTTPException:
    return HTTPException(status, sentence)
