"""What can go wrong with schemes, splits and heads. Every message is a sentence that says what to do."""

from __future__ import annotations


class ClassifierError(Exception):
    """Base of everything that the classifiers raise on purpose."""

    def __str__(self) -> str:  # KeyError would print the sentence in quotes
        return str(self.args[0]) if self.args else ""


class SchemeError(ClassifierError, ValueError):
    """A label scheme cannot be read, or gives no usable labels on these images."""


class ExpressionError(SchemeError):
    """A `where` expression cannot be read, or names an unknown column."""


class SplitError(ClassifierError, ValueError):
    """The images cannot be split as asked."""


class HeadError(ClassifierError, ValueError):
    """A head cannot be made, fitted or used on this input."""


class UnknownHeadError(HeadError, KeyError):
    """There is no head, or no option of a head, of this name."""


class SpaceMismatchError(HeadError):
    """The vectors were made by another recipe than the head was trained on."""


class HeadFileError(ClassifierError, ValueError):
    """A head file is damaged, foreign, of a newer format, or holds what is not allowed."""


class SearchError(ClassifierError, ValueError):
    """The nearest vectors cannot be searched for as asked."""
