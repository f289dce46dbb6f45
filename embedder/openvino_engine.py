"""The openvino engine: a backbone converted once, kept in the user's cache, quick to start and to run."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor

from embedder.engines import Pictures
from embedder.errors import EngineError
from embedder.keras_models import BuiltModel
from embedder.recipe import FrozenRecipe
from embedder.user_cache import cache_directory
from store.keras_setup import load_keras, standard_error_held_back
from store.recipes import canonical_json

_PRECISION = {"float32": "f32", "bfloat16": "bf16"}
_MOST_STREAMS = 16  # each holds what its layers make; one a core was quickest on two cores
_MODEL, _DIGEST = "model.xml", "digest.txt"


class OpenVinoEngine:
    """Runs a converted backbone with a fixed batch; a short batch is filled up with zeros.

    Pictures go in as uint8, and the preprocessing runs inside the graph. Precision is always set: left alone,
    OpenVINO would pick bfloat16 by itself where the processor has it.
    """

    def __init__(self, recipe: FrozenRecipe, model: Path, batch_size: int, threads: int) -> None:
        core = ov.Core()
        if recipe.precision == "bfloat16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise EngineError(
                "this processor has no bfloat16 arithmetic: use --precision float32, or --engine keras, which "
                "computes in bfloat16 anywhere, though not faster."
            )
        self.recipe, self.batch_size = recipe, batch_size
        graph = _with_preprocessing(core.read_model(model), recipe)
        graph.reshape([batch_size, recipe.image_size, recipe.image_size, 3])
        streams = min(threads, _MOST_STREAMS)
        settings = {
            "INFERENCE_PRECISION_HINT": _PRECISION[recipe.precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
        }
        compiled = core.compile_model(graph, "CPU", settings)
        self.shape = tuple(int(length) for length in compiled.output(0).shape[1:])
        self.dim = math.prod(self.shape)
        self.description = f"openvino {ov.get_version().split('-')[0]}"
        self._requests: SimpleQueue[ov.InferRequest] = SimpleQueue()
        self.streams = streams + 1  # one more: its pictures are copied in while the others run
        for _ in range(self.streams):
            request = compiled.create_infer_request()
            # OpenVINO's binding sets itself up when a tensor is first seen as an array. Threads that are first at once
            # wait for each other and for the interpreter for ever (10 processes of 25), so this one is first.
            _ = request.get_input_tensor(0).data, request.get_output_tensor(0).data
            self._requests.put(request)

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        request = self._requests.get()
        try:
            inputs = request.get_input_tensor(0).data
            inputs[: len(pictures)] = pictures
            inputs[len(pictures) :] = 0
            request.infer()
            vectors: NDArray[np.float32] = request.get_output_tensor(0).data[: len(pictures)].copy()
            return vectors.reshape(len(pictures), self.dim)
        finally:
            self._requests.put(request)


def cached_model(recipe: FrozenRecipe) -> Path | None:
    """The converted model in the cache, if it is there and whole."""
    directory = _cache_entry(recipe)
    try:
        whole = (directory / _DIGEST).read_text() == _digest(directory)
    except OSError:
        return None
    return directory / _MODEL if whole else None


def convert_and_cache(recipe: FrozenRecipe, built: BuiltModel) -> Path:
    """Converts a Keras model and keeps it in the cache; two processes may do so at once."""
    target = _cache_entry(recipe)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as place:
            scratch = Path(place, target.name)
            scratch.mkdir()
            save_model(_convert(built.model, recipe.image_size), scratch / _MODEL)
            (scratch / _DIGEST).write_text(_digest(scratch))
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
    except (OSError, RuntimeError) as error:  # OpenVINO raises the latter on a full disk
        if cached_model(recipe) is None:  # else another process was first, and its entry is as good
            raise EngineError(
                f"the converted model could not be kept in {target.parent} ({error}); make room there, "
                "or name another place in the environment variable EMBANK_CACHE."
            ) from error
    return target / _MODEL


def _convert(model: Any, size: int) -> ov.Model:  # noqa: ANN401
    import tensorflow as tf

    keras = load_keras()
    if keras.backend.backend() != "tensorflow":
        raise EngineError(
            f"converting to OpenVINO needs Keras on TensorFlow, not on {keras.backend.backend()}: "
            "unset KERAS_BACKEND, or use --engine keras."
        )
    function = tf.function(
        lambda pictures: model(pictures, training=False),
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.float32)],
    ).get_concrete_function()
    return convert_function(function)


def convert_function(function: Any) -> ov.Model:  # noqa: ANN401
    """A concrete function of TensorFlow as an OpenVINO model."""
    with standard_error_held_back(), _without_telemetry():
        return ov.convert_model(function)


def save_model(model: ov.Model, path: Path) -> None:
    """Writes `path`, an .xml file, and a .bin file beside it, in full precision."""
    ov.save_model(model, path, compress_to_fp16=False)


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """OpenVINO's converter reports to its makers unless it believes to run in CI; images are private."""
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def _with_preprocessing(model: ov.Model, recipe: FrozenRecipe) -> ov.Model:
    steps = PrePostProcessor(model)
    picture = steps.input()
    picture.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    picture.model().set_layout(ov.Layout("NHWC"))
    process = picture.preprocess().convert_element_type(ov.Type.f32)
    if recipe.color_order == "bgr":
        process.reverse_channels()
    process.mean(list(recipe.mean)).scale(list(recipe.scale))
    return steps.build()


def _cache_entry(recipe: FrozenRecipe) -> Path:
    """What decides the converted graph names its place; precision and preprocessing are added on loading."""
    parts = {
        "weights": recipe.weights,
        "layer": recipe.layer,
        "pooling": recipe.pooling,
        "image_size": recipe.image_size,
        "scores": recipe.scores,
        "openvino": ov.get_version(),
    }
    key = hashlib.sha256(canonical_json(parts).encode()).hexdigest()[:16]
    return cache_directory("models", f"{recipe.backbone}-{key}")


def _digest(directory: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in (_MODEL, "model.bin"):
        digest.update((directory / name).read_bytes())
    return digest.hexdigest()
