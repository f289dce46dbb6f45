"""Models from outside the table: where they lie, what they are called, and what is known without loading them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from embedder.backbones import find_backbone
from embedder.errors import RecipeError, UnknownBackboneError, WeightsError
from store.errors import first_line

# https://www.tensorflow.org/hub/common_signatures/images: RGB in [0, 1]
SAVED_MODELS_EXPECT = "unit"

_VARYING = "fingerprint.pb"  # TensorFlow draws a new number for each export of one model
_PLAIN_ENDINGS = {"feature_vector", "classification", "frozen"}  # of hub handles: they name no model
_BEFORE_PIXELS_MATTER = ("InputLayer", "Random")  # augmentation layers do nothing when a model predicts


class ModelKind(Enum):
    """Where a backbone comes from."""

    TABLE = "a model of keras.applications"
    KERAS_FILE = "a .keras file"
    SAVED_MODEL = "a SavedModel folder or TF-Hub handle"


class OwnModel(NamedTuple):
    """What is known of a model from outside the table.

    digest: of its weights and its architecture. image_size: the only one that it takes, None if it takes any.
    preprocessing: what it expects unless somebody says otherwise, None if nobody can know.
    """

    digest: str
    image_size: int | None
    preprocessing: str | None


def model_kind(backbone: str) -> ModelKind:
    """What kind of backbone a name, a path or a handle means. Raises RecipeError for a whole model as .h5."""
    if backbone.endswith(".keras"):
        return ModelKind.KERAS_FILE
    if backbone.endswith((".h5", ".hdf5")):
        raise RecipeError(
            f"{backbone} is not read as a model: a model in an .h5 file can hold code. Save it in Keras 3 with "
            "model.save('NAME.keras') and pass that; for weights of a backbone, pass the file with --weights."
        )
    if "/" in backbone or "\\" in backbone:
        return ModelKind.SAVED_MODEL
    with suppress(UnknownBackboneError):
        find_backbone(backbone)
        return ModelKind.TABLE
    return ModelKind.SAVED_MODEL if _is_saved_model(backbone) else ModelKind.TABLE


def is_handle(place: str) -> bool:
    """Whether a place is a URL that tensorflow-hub resolves, not a folder or file of this machine."""
    return "://" in place


def short_name(place: str) -> str:
    """A name for spaces: `mobilenet_v2_100_224` of `…/imagenet/mobilenet_v2_100_224/feature_vector/5`."""
    if is_handle(place):
        parts = [part for part in urlsplit(place).path.split("/") if part]
        while len(parts) > 1 and (parts[-1].isdigit() or parts[-1] in _PLAIN_ENDINGS):
            parts.pop()
        name = parts[-1] if parts else ""
    else:
        name = Path(place).resolve().name.removesuffix(".keras")
    return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_.")[:64] or "model"


def check_is_there(place: str) -> None:
    """Raises WeightsError unless a model of this machine exists; a handle is found out when it is resolved."""
    if model_kind(place) is ModelKind.KERAS_FILE:
        if not Path(place).is_file():
            raise WeightsError(f"there is no Keras model at {place}: expected a file of this machine.")
    elif not is_handle(place) and not _is_saved_model(place):
        raise WeightsError(
            f"there is no SavedModel at {place}: expected a folder with saved_model.pb in it, the path of a .keras "
            "file, a TF-Hub handle (https://…), or a name that `embank backbones` lists."
        )


def folder_digest(folder: Path) -> str:
    """A digest of the names and bytes of all files of a SavedModel."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _VARYING)
    stats = [path.stat() for path in paths]
    return _folder_digest(
        folder,
        tuple((path, now.st_size, now.st_mtime_ns) for path, now in zip(paths, stats, strict=True)),
    )


def read_keras_file(place: str) -> OwnModel:
    """Digest, image size and preprocessing of a .keras file, from its JSON and its arrays: no Keras is needed.

    Raises WeightsError if it is damaged, RecipeError if it does not take one RGB picture.
    """
    status = Path(place).stat()
    return _read_keras_file(place, status.st_size, status.st_mtime_ns)


def is_own(digest: str) -> bool:
    """Whether a digest of a recipe is that of a model from outside the table."""
    return digest.startswith("model-")


@lru_cache(maxsize=8)  # a job asks several times, and all files are read
def _folder_digest(folder: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in files:
        name = path.relative_to(folder).as_posix().encode()
        digest.update(b"%d %d " % (len(name), size) + name)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return _as_model_digest(digest.hexdigest())


@lru_cache(maxsize=8)  # as above
def _read_keras_file(place: str, *_as_it_is: int) -> OwnModel:
    try:
        with zipfile.ZipFile(place) as archive:
            config = json.loads(archive.read("config.json"))
            weights = archive.read("model.weights.h5")
        digest = hashlib.sha256(json.dumps([config["class_name"], config["config"]], sort_keys=True).encode())
        for name, values in _arrays(weights):
            digest.update(f"{name} {values.shape} {values.dtype.str} ".encode())
            digest.update(np.ascontiguousarray(values).data)
        first = next(_layers(config), None)
        size = _image_size(place, config)
    except RecipeError:
        raise
    except Exception as error:  # damaged files raise BadZipFile, zlib.error, EOFError, KeyError and more
        raise WeightsError(
            f"{place} is not a model that Keras 3 saved, or is damaged ({first_line(error)}). Save it again with "
            "model.save('NAME.keras')."
        ) from error
    raw = first is not None and first["class_name"] in ("Rescaling", "Normalization")
    return OwnModel(_as_model_digest(digest.hexdigest()), size, "raw" if raw else None)


def _as_model_digest(digest: str) -> str:
    return f"model-{digest[:32]}"


def _is_saved_model(place: str) -> bool:
    return any(Path(place, name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def _arrays(weights: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    """All arrays of a model but those of its optimizer, in the order of their names."""
    import h5py

    with h5py.File(io.BytesIO(weights), "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in sorted(name for name in names if not name.startswith("optimizer/")):
            yield name, np.asarray(file[name])


def _layers(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The layers that pixels go through, in order; a model within the model is gone into."""
    for layer in config["config"].get("layers", ()):
        if "layers" in layer["config"]:
            yield from _layers(layer)
        elif not layer["class_name"].startswith(_BEFORE_PIXELS_MATTER):
            yield layer


def _image_size(place: str, config: Mapping[str, Any]) -> int | None:
    inputs = [
        layer["config"].get("batch_shape") or layer["config"].get("batch_input_shape")
        for layer in config["config"].get("layers", ())
        if layer["class_name"] == "InputLayer"
    ]
    shape = inputs[0] if len(inputs) == 1 else (config.get("build_config") or {}).get("input_shape")
    if len(inputs) > 1 or not isinstance(shape, list):
        raise RecipeError(f"{place} does not take one picture: its inputs are {inputs or 'not known'}.")
    return square_size(place, shape)


def square_size(place: str, shape: list[int | None]) -> int | None:
    """Height and width of an input (n, h, w, 3), None if any will do. Raises RecipeError if not square RGB."""
    if len(shape) != 4 or shape[3] not in (3, None) or shape[1] != shape[2]:
        raise RecipeError(
            f"{place} takes {tuple(shape)}: expected (n, height, width, 3), square RGB pictures, channels last."
        )
    return shape[1]
