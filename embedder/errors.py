"""What can go wrong when images are embedded. Every message is a sentence that says what to do."""

from __future__ import annotations


class EmbedderError(Exception):
    """Base of everything that the embedder raises on purpose."""

    def __str__(self) -> str:  # KeyError would print the sentence in quotes
        return str(self.args[0]) if self.args else ""


class UnknownBackboneError(EmbedderError, KeyError):
    """No backbone has this name."""


class RecipeError(EmbedderError, ValueError):
    """A setting of a recipe has no such value."""


class SourceError(EmbedderError, ValueError):
    """A source does not exist, is of an unknown kind or has no images."""


class WeightsError(EmbedderError, ValueError):
    """Weights cannot be found, downloaded or loaded into the backbone."""


class EngineError(EmbedderError, RuntimeError):
    """An engine is not available, or cannot run this recipe."""


class FinetuneError(EmbedderError, ValueError):
    """A backbone cannot be fine-tuned in this way, or its training went wrong."""


class ImageError(EmbedderError, ValueError):
    """One image cannot be read or decoded; the message is the reason that its listing row keeps."""


class RunnerError(EmbedderError, RuntimeError):
    """The machines that a run was to use cannot be had, or do not see what they need."""
