"""Keras is set up once, and a GPU's memory is taken as it is needed, before the GPU is first used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

GROWTH = """
import os
import tensorflow as tf
{first}
gpus, grown = ["GPU:0", "GPU:1"], []
tf.config.list_physical_devices = lambda kind: gpus if kind == "GPU" else []

def grow(gpu, wanted):
    grown.append((gpu, wanted))
    if gpu == "GPU:0":
        raise RuntimeError("it is in use")

tf.config.experimental.set_memory_growth = grow
from store.keras_setup import load_keras
assert load_keras() is load_keras()
assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
assert grown == [("GPU:0", True), ("GPU:1", True)], grown
"""


@pytest.mark.keras
@pytest.mark.parametrize("first", ["", "import keras"], ids=["embank first", "the user's own import first"])
def test_memory_of_every_gpu_grows_as_needed(first: str) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "XLA_"))
    }
    code = GROWTH.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
