"""What can go wrong with a store. Every message is a sentence that says what to do."""

from __future__ import annotations


class StoreError(Exception):
    """Base of everything that the store raises on purpose."""

    def __str__(self) -> str:  # KeyError would print the sentence in quotes
        return str(self.args[0]) if self.args else ""


class StoreNotFoundError(StoreError, FileNotFoundError):
    """There is no store at this path."""


class StoreFormatError(StoreError, ValueError):
    """A file of the store is of a newer format, foreign or damaged."""


class StoreReadError(StoreError, OSError):
    """The file system refused a read; the file may be sound."""


class StoreWriteError(StoreError, OSError):
    """The file system refused a write; what was committed before is untouched."""


class UnknownSpaceError(StoreError, KeyError):
    """The store has no such space, or the name fits several."""


class UnknownImageError(StoreError, KeyError):
    """A space has no vector for an image that was asked for."""


class LabelTableError(StoreError, ValueError):
    """A label table cannot be read, joined or attached."""


def first_line(error: BaseException) -> str:
    """What a library says, for a sentence of ours: the first line of it, else the name of the error's class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
