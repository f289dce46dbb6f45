"""Imports Keras, quietly and once.

The one place that does, since it takes many seconds. It is in the store because backbones and dense heads both
need it and their packages do not know each other.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import ModuleType


def load_keras() -> ModuleType:
    """The keras module, with TensorFlow's greetings on standard error held back.

    Its backend is TensorFlow unless KERAS_BACKEND says otherwise; memory on a GPU is taken as it is needed.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX reads it when it first uses a GPU
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        with standard_error_held_back():
            import keras  # noqa: F401
    module = sys.modules["keras"]
    _take_memory_as_needed(module.backend.backend())
    return module


@cache
def _take_memory_as_needed(backend: str) -> None:
    if backend != "tensorflow":
        return
    with standard_error_held_back():
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # already in use by the caller's own code
                tf.config.experimental.set_memory_growth(gpu, True)


@contextmanager
def standard_error_held_back() -> Iterator[None]:
    """Keeps what libraries write to file descriptor 2 off the screen, unless the block fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
