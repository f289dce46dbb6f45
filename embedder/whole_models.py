"""Backbone and head as one model for other programs: RGB pictures in, class probabilities out."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.engines import build_for
from embedder.errors import EmbedderError, EngineError
from embedder.keras_engine import preprocessing_layers
from embedder.keras_files import write_keras_file
from embedder.recipe import FrozenRecipe, Recipe
from store.commit import write_file
from store.keras_setup import load_keras, standard_error_held_back

ABOUT = "embank.json"  # in a .keras file and in a SavedModel's folder `assets.extra`
_SUFFIXES = (".keras", ".xml", "")  # of a Keras model, of OpenVINO IR, of a SavedModel folder

Layers = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]


class HeadLayers(NamedTuple):
    """ReLU layers on vectors (kernel (in, out), bias (out,)), and `softmax` or `sigmoid` at their end."""

    layers: Layers
    activation: str


def check_place(out: Path) -> None:
    """Raises EmbedderError unless a whole model can be written there."""
    if out.suffix == ".onnx":
        raise EmbedderError(
            f"{out}: embank does not write ONNX. Name a .keras file, an .xml file (OpenVINO IR), or a folder "
            "(SavedModel), which converters to ONNX take."
        )
    if out.suffix not in _SUFFIXES:
        raise EmbedderError(
            f"{out}: a model is written to a .keras file, to an .xml file with a .bin beside it (OpenVINO IR), or "
            "to a folder with no ending (SavedModel)."
        )
    if not out.suffix and out.exists():
        raise EmbedderError(f"{out} exists already: name a folder that does not, for the SavedModel.")
    if not out.absolute().parent.is_dir():
        raise EmbedderError(f"{out}: there is no folder {out.absolute().parent}. Make it first.")


def write_whole_model(
    out: Path, frozen: FrozenRecipe, settings: Recipe, head: HeadLayers, about: Mapping[str, Any]
) -> None:
    """Writes a model from (n, size, size, 3) uint8 RGB to (n, k) float32 probabilities.

    Pictures come in the recipe's size, fitted as it says; the rest of the recipe is inside. It computes in
    float32. `about`, plain values such as the class names, goes along: in a .keras file as the member
    `embank.json`, in a SavedModel as `assets.extra/embank.json`, in OpenVINO IR as the runtime information
    `embank`. Raises EmbedderError, EngineError or WeightsError.
    """
    check_place(out)
    built = build_for(frozen, dataclasses.replace(settings, precision="float32"))
    keras = load_keras()
    if keras.backend.backend() != "tensorflow":
        raise EngineError("exporting a model needs Keras on TensorFlow: unset KERAS_BACKEND.")
    text = json.dumps(dict(about), indent=1, ensure_ascii=False)
    tail = _head_model(head, built.model.output_shape[1:])
    if out.suffix == ".keras":
        if not isinstance(built.model, keras.Model):
            raise EmbedderError(
                f"{out}: {frozen.backbone} is a SavedModel, which cannot be a part of a .keras file. Name a folder "
                "(SavedModel) or an .xml file (OpenVINO IR)."
            )
        write_keras_file(_keras_model(frozen, built.model, tail), out, {ABOUT: text})
        return
    whole = _Whole(frozen, built.model, tail)
    if out.suffix == ".xml":
        _write_openvino(out, whole, text)
    else:
        _write_saved_model(out, whole, text)


def _head_model(head: HeadLayers, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """The head as a Keras model on what the backbone puts out, a vector or a feature map."""
    keras = load_keras()
    layers: list[Any] = [keras.Input(shape)]
    if len(shape) > 1:
        layers.append(keras.layers.Flatten())
    for number, (_, bias) in enumerate(head.layers, 1):
        last = number == len(head.layers)
        layers.append(keras.layers.Dense(len(bias), activation=head.activation if last else "relu"))
    model = keras.Sequential(layers, name="head")
    model.set_weights([array for layer in head.layers for array in layer])
    return model


def _keras_model(frozen: FrozenRecipe, backbone: Any, tail: Any) -> Any:  # noqa: ANN401
    keras = load_keras()
    pictures = keras.Input((frozen.image_size, frozen.image_size, 3), dtype="uint8", name="pictures")
    pixels = preprocessing_layers(pictures, frozen)
    return keras.Model(pictures, tail(backbone(pixels)), name="embank")


class _Whole:
    """The whole model as a function of TensorFlow, and what it is made of."""

    def __init__(self, frozen: FrozenRecipe, backbone: Any, tail: Any) -> None:  # noqa: ANN401
        self.frozen, self.backbone, self.tail = frozen, backbone, tail

    def __call__(self, pictures: Any) -> Any:  # noqa: ANN401
        import tensorflow as tf

        pixels = tf.cast(pictures[..., ::-1] if self.frozen.color_order == "bgr" else pictures, tf.float32)
        pixels = (pixels - tf.constant(self.frozen.mean)) / tf.constant(self.frozen.scale)
        return self.tail(self.backbone(pixels, training=False), training=False)

    def compiled(self) -> Any:  # noqa: ANN401
        """It as a tf.function of any number of pictures."""
        import tensorflow as tf

        size = self.frozen.image_size
        spec = tf.TensorSpec((None, size, size, 3), tf.uint8, name="pictures")
        return tf.function(self, input_signature=[spec], autograph=False)


def _write_saved_model(out: Path, whole: _Whole, about: str) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.serve = whole.compiled()
    # TensorFlow saves the variables that it finds here; those of Keras are wrapped.
    module.parts = [variable.value for variable in _variables(whole)]
    module.kept = getattr(whole.backbone, "module", None)

    def fill(folder: Path) -> None:
        with standard_error_held_back():
            tf.saved_model.save(module, str(folder), signatures=module.serve.get_concrete_function())
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / ABOUT).write_text(about)

    _write_folder(out, fill)


def _variables(whole: _Whole) -> list[Any]:
    own = whole.backbone.variables if hasattr(whole.backbone, "variables") else ()
    return [*own, *whole.tail.variables]


def _write_openvino(out: Path, whole: _Whole, about: str) -> None:
    from embedder.openvino_engine import convert_function, save_model

    model = convert_function(whole.compiled().get_concrete_function())
    model.set_rt_info(about, ["embank"])
    with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".exporting-") as place:
        save_model(model, Path(place, out.name))
        for file in (out.with_suffix(".bin"), out):  # the one that names the other comes last
            write_file(file, Path(place, file.name).read_bytes())


def _write_folder(out: Path, fill: Callable[[Path], None]) -> None:
    """A folder that appears only when it is complete."""
    place = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=".exporting-"))
    try:
        fill(place)
        place.chmod(0o755)
        place.rename(out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
