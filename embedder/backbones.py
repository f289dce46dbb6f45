"""Every backbone of keras.applications: native size, dimensions and preprocessing, in one table.

The wrong preprocessing is this field's classic silent bug, so it is data here, and the tests compare each
row with what Keras's own `preprocess_input` of the same model does. Sizes and preprocessing are those of the
models' pages at https://keras.io/api/applications and of `keras/src/applications/*.py` (Keras 3.15).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from embedder.errors import UnknownBackboneError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """What a model expects: `(pixel - mean) / scale` for each channel, pixels from 0 to 255.

    color_order: `rgb` or `bgr`; mean and scale are in that order.
    """

    color_order: str
    mean: Triple
    scale: Triple


# The modes of keras.applications.imagenet_utils.preprocess_input, by their names there.
TF = Preprocessing("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
CAFFE = Preprocessing("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
TORCH = Preprocessing("rgb", (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))
RAW = Preprocessing("rgb", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # the model itself rescales


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    name: ours. builder: the function in keras.applications; options: its further arguments. module: the
    submodule with its `preprocess_input`. size: native height and width in pixels. dim: length of the pooled
    vector.
    """

    name: str
    module: str
    size: int
    dim: int
    preprocessing: Preprocessing
    builder: str
    options: Mapping[str, float] = field(default_factory=dict)


def _row(name: str, module: str, size: int, dim: int, preprocessing: Preprocessing) -> Backbone:
    return Backbone(name, module, size, dim, preprocessing, builder=name)


def _narrow(name: str, module: str, alpha: float, dim: int) -> Backbone:
    return Backbone(f"{name}_{alpha:g}", module, 224, dim, TF, builder=name, options={"alpha": alpha})


_ROWS = [
    _row("ResNet50", "resnet", 224, 2048, CAFFE),
    _row("ResNet101", "resnet", 224, 2048, CAFFE),
    _row("ResNet152", "resnet", 224, 2048, CAFFE),
    _row("ResNet50V2", "resnet_v2", 224, 2048, TF),
    _row("ResNet101V2", "resnet_v2", 224, 2048, TF),
    _row("ResNet152V2", "resnet_v2", 224, 2048, TF),
    _row("Xception", "xception", 299, 2048, TF),
    _row("InceptionV3", "inception_v3", 299, 2048, TF),
    _row("InceptionResNetV2", "inception_resnet_v2", 299, 1536, TF),
    _row("VGG16", "vgg16", 224, 512, CAFFE),
    _row("VGG19", "vgg19", 224, 512, CAFFE),
    _row("MobileNet", "mobilenet", 224, 1024, TF),
    _narrow("MobileNet", "mobilenet", 0.25, 256),
    _narrow("MobileNet", "mobilenet", 0.5, 512),
    _narrow("MobileNet", "mobilenet", 0.75, 768),
    _row("MobileNetV2", "mobilenet_v2", 224, 1280, TF),
    _narrow("MobileNetV2", "mobilenet_v2", 0.35, 1280),
    _narrow("MobileNetV2", "mobilenet_v2", 0.5, 1280),
    _narrow("MobileNetV2", "mobilenet_v2", 0.75, 1280),
    _narrow("MobileNetV2", "mobilenet_v2", 1.3, 1664),
    _narrow("MobileNetV2", "mobilenet_v2", 1.4, 1792),
    _row("MobileNetV3Small", "mobilenet_v3", 224, 576, RAW),
    _row("MobileNetV3Large", "mobilenet_v3", 224, 960, RAW),
    _row("DenseNet121", "densenet", 224, 1024, TORCH),
    _row("DenseNet169", "densenet", 224, 1664, TORCH),
    _row("DenseNet201", "densenet", 224, 1920, TORCH),
    _row("NASNetMobile", "nasnet", 224, 1056, TF),
    _row("NASNetLarge", "nasnet", 331, 4032, TF),
    _row("EfficientNetB0", "efficientnet", 224, 1280, RAW),
    _row("EfficientNetB1", "efficientnet", 240, 1280, RAW),
    _row("EfficientNetB2", "efficientnet", 260, 1408, RAW),
    _row("EfficientNetB3", "efficientnet", 300, 1536, RAW),
    _row("EfficientNetB4", "efficientnet", 380, 1792, RAW),
    _row("EfficientNetB5", "efficientnet", 456, 2048, RAW),
    _row("EfficientNetB6", "efficientnet", 528, 2304, RAW),
    _row("EfficientNetB7", "efficientnet", 600, 2560, RAW),
    _row("EfficientNetV2B0", "efficientnet_v2", 224, 1280, RAW),
    _row("EfficientNetV2B1", "efficientnet_v2", 240, 1280, RAW),
    _row("EfficientNetV2B2", "efficientnet_v2", 260, 1408, RAW),
    _row("EfficientNetV2B3", "efficientnet_v2", 300, 1536, RAW),
    _row("EfficientNetV2S", "efficientnet_v2", 384, 1280, RAW),
    _row("EfficientNetV2M", "efficientnet_v2", 480, 1280, RAW),
    _row("EfficientNetV2L", "efficientnet_v2", 480, 1280, RAW),
    _row("ConvNeXtTiny", "convnext", 224, 768, RAW),
    _row("ConvNeXtSmall", "convnext", 224, 768, RAW),
    _row("ConvNeXtBase", "convnext", 224, 1024, RAW),
    _row("ConvNeXtLarge", "convnext", 224, 1536, RAW),
    _row("ConvNeXtXLarge", "convnext", 224, 2048, RAW),
]

BACKBONES: Mapping[str, Backbone] = {row.name: row for row in _ROWS}


def find_backbone(name: str) -> Backbone:
    """The backbone of this name; case and punctuation do not count, and `MobileNetV2(alpha=1.4)` works too.

    Raises UnknownBackboneError with the nearest name.
    """
    plain = {_plain(known): known for known in BACKBONES}
    wanted = _plain(name)
    if wanted in plain:
        return BACKBONES[plain[wanted]]
    near = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.4)
    raise UnknownBackboneError(
        f"there is no backbone {name!r}."
        + (f" Did you mean {plain[near[0]]}?" if near else "")
        + " `embank backbones` lists all."
    )


def _plain(name: str) -> str:
    text = re.sub(r"alpha|[^a-z0-9]", "", name.lower())
    return re.sub(
        r"^(mobilenet(?:v2)?)1(?:00?)?$", r"\1", re.sub(r"^(mobilenet(?:v2)?)(\d\d)0$", r"\1\2", text)
    )
