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

from embedder.errors import RecipeError, UnknownBackboneError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """What a model expects: `(pixel - mean) / scale` for each channel, pixels from 0 to 255.

    color_order: `rgb` or `bgr`; mean and scale are in that order.
    """

    color_order: str
    mean: Triple
    scale: Triple

    def describe(self) -> str:
        """In a few words, such as `RGB in [-1, 1]`."""
        low, high = ((value - self.mean[0]) / self.scale[0] for value in (0.0, 255.0))
        if self == TORCH:
            return "RGB in [0, 1], minus ImageNet's mean, by its deviation"
        if self == CAFFE:
            return "BGR, minus ImageNet's mean"
        return f"{self.color_order.upper()} in [{low:g}, {high:g}]"


# The modes of keras.applications.imagenet_utils.preprocess_input, by their names there.
TF = Preprocessing("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
CAFFE = Preprocessing("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
TORCH = Preprocessing("rgb", (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))
RAW = Preprocessing("rgb", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # the model itself rescales
UNIT = Preprocessing("rgb", (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))  # what TF-Hub's image modules agreed on

PREPROCESSINGS: Mapping[str, Preprocessing] = {
    "raw": RAW,
    "unit": UNIT,
    "symmetric": TF,
    "caffe": CAFFE,
    "torch": TORCH,
}


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    name: ours. builder: the function in keras.applications; options: its further arguments. module: the
    submodule with its `preprocess_input`. size: native height and width in pixels. dim: length of the pooled
    vector. weights_file: what Keras calls the ImageNet weights without classifier, at the native size.
    """

    name: str
    module: str
    size: int
    dim: int
    preprocessing: Preprocessing
    weights_file: str
    builder: str
    options: Mapping[str, float] = field(default_factory=dict)


def _row(name: str, module: str, size: int, dim: int, preprocessing: Preprocessing, file: str) -> Backbone:
    return Backbone(name, module, size, dim, preprocessing, file, builder=name)


def _row_alpha(name: str, module: str, alpha: float, dim: int, file: str) -> Backbone:
    """A narrower or wider MobileNet: the same rows with another width multiplier."""
    own = f"{name}_{alpha:g}"
    return Backbone(own, module, 224, dim, TF, file, builder=name, options={"alpha": alpha})


_KERNELS = "weights_tf_dim_ordering_tf_kernels_notop.h5"


_ROWS = [
    _row("ResNet50", "resnet", 224, 2048, CAFFE, f"resnet50_{_KERNELS}"),
    _row("ResNet101", "resnet", 224, 2048, CAFFE, f"resnet101_{_KERNELS}"),
    _row("ResNet152", "resnet", 224, 2048, CAFFE, f"resnet152_{_KERNELS}"),
    _row("ResNet50V2", "resnet_v2", 224, 2048, TF, f"resnet50v2_{_KERNELS}"),
    _row("ResNet101V2", "resnet_v2", 224, 2048, TF, f"resnet101v2_{_KERNELS}"),
    _row("ResNet152V2", "resnet_v2", 224, 2048, TF, f"resnet152v2_{_KERNELS}"),
    _row("Xception", "xception", 299, 2048, TF, f"xception_{_KERNELS}"),
    _row("InceptionV3", "inception_v3", 299, 2048, TF, f"inception_v3_{_KERNELS}"),
    _row("InceptionResNetV2", "inception_resnet_v2", 299, 1536, TF, f"inception_resnet_v2_{_KERNELS}"),
    _row("VGG16", "vgg16", 224, 512, CAFFE, f"vgg16_{_KERNELS}"),
    _row("VGG19", "vgg19", 224, 512, CAFFE, f"vgg19_{_KERNELS}"),
    _row("MobileNet", "mobilenet", 224, 1024, TF, "mobilenet_1_0_224_tf_no_top.h5"),
    _row_alpha("MobileNet", "mobilenet", 0.25, 256, "mobilenet_2_5_224_tf_no_top.h5"),
    _row_alpha("MobileNet", "mobilenet", 0.5, 512, "mobilenet_5_0_224_tf_no_top.h5"),
    _row_alpha("MobileNet", "mobilenet", 0.75, 768, "mobilenet_7_5_224_tf_no_top.h5"),
    _row(
        "MobileNetV2",
        "mobilenet_v2",
        224,
        1280,
        TF,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    _row_alpha(
        "MobileNetV2",
        "mobilenet_v2",
        0.35,
        1280,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
    ),
    _row_alpha(
        "MobileNetV2",
        "mobilenet_v2",
        0.5,
        1280,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_224_no_top.h5",
    ),
    _row_alpha(
        "MobileNetV2",
        "mobilenet_v2",
        0.75,
        1280,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.75_224_no_top.h5",
    ),
    _row_alpha(
        "MobileNetV2",
        "mobilenet_v2",
        1.3,
        1664,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.3_224_no_top.h5",
    ),
    _row_alpha(
        "MobileNetV2",
        "mobilenet_v2",
        1.4,
        1792,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.4_224_no_top.h5",
    ),
    _row(
        "MobileNetV3Small",
        "mobilenet_v3",
        224,
        576,
        RAW,
        "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
    _row(
        "MobileNetV3Large",
        "mobilenet_v3",
        224,
        960,
        RAW,
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    ),
    _row("DenseNet121", "densenet", 224, 1024, TORCH, f"densenet121_{_KERNELS}"),
    _row("DenseNet169", "densenet", 224, 1664, TORCH, f"densenet169_{_KERNELS}"),
    _row("DenseNet201", "densenet", 224, 1920, TORCH, f"densenet201_{_KERNELS}"),
    _row("NASNetMobile", "nasnet", 224, 1056, TF, "nasnet_mobile_no_top.h5"),
    _row("NASNetLarge", "nasnet", 331, 4032, TF, "nasnet_large_no_top.h5"),
    _row("EfficientNetB0", "efficientnet", 224, 1280, RAW, "efficientnetb0_notop.h5"),
    _row("EfficientNetB1", "efficientnet", 240, 1280, RAW, "efficientnetb1_notop.h5"),
    _row("EfficientNetB2", "efficientnet", 260, 1408, RAW, "efficientnetb2_notop.h5"),
    _row("EfficientNetB3", "efficientnet", 300, 1536, RAW, "efficientnetb3_notop.h5"),
    _row("EfficientNetB4", "efficientnet", 380, 1792, RAW, "efficientnetb4_notop.h5"),
    _row("EfficientNetB5", "efficientnet", 456, 2048, RAW, "efficientnetb5_notop.h5"),
    _row("EfficientNetB6", "efficientnet", 528, 2304, RAW, "efficientnetb6_notop.h5"),
    _row("EfficientNetB7", "efficientnet", 600, 2560, RAW, "efficientnetb7_notop.h5"),
    _row("EfficientNetV2B0", "efficientnet_v2", 224, 1280, RAW, "efficientnetv2-b0_notop.h5"),
    _row("EfficientNetV2B1", "efficientnet_v2", 240, 1280, RAW, "efficientnetv2-b1_notop.h5"),
    _row("EfficientNetV2B2", "efficientnet_v2", 260, 1408, RAW, "efficientnetv2-b2_notop.h5"),
    _row("EfficientNetV2B3", "efficientnet_v2", 300, 1536, RAW, "efficientnetv2-b3_notop.h5"),
    _row("EfficientNetV2S", "efficientnet_v2", 384, 1280, RAW, "efficientnetv2-s_notop.h5"),
    _row("EfficientNetV2M", "efficientnet_v2", 480, 1280, RAW, "efficientnetv2-m_notop.h5"),
    _row("EfficientNetV2L", "efficientnet_v2", 480, 1280, RAW, "efficientnetv2-l_notop.h5"),
    _row("ConvNeXtTiny", "convnext", 224, 768, RAW, "convnext_tiny_notop.h5"),
    _row("ConvNeXtSmall", "convnext", 224, 768, RAW, "convnext_small_notop.h5"),
    _row("ConvNeXtBase", "convnext", 224, 1024, RAW, "convnext_base_notop.h5"),
    _row("ConvNeXtLarge", "convnext", 224, 1536, RAW, "convnext_large_notop.h5"),
    _row("ConvNeXtXLarge", "convnext", 224, 2048, RAW, "convnext_xlarge_notop.h5"),
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


def find_preprocessing(name: str) -> Preprocessing:
    """The preprocessing of this name, or that of the backbone of this name. Raises RecipeError."""
    if name in PREPROCESSINGS:
        return PREPROCESSINGS[name]
    try:
        return find_backbone(name).preprocessing
    except UnknownBackboneError:
        raise RecipeError(
            f"there is no preprocessing {name!r}: expected raw (0 to 255), unit (0 to 1), symmetric (-1 to 1), caffe, "
            "torch, or a backbone of `embank backbones`, for what that one expects."
        ) from None


def _plain(name: str) -> str:
    text = re.sub(r"alpha|[^a-z0-9]", "", name.lower())
    return re.sub(
        r"^(mobilenet(?:v2)?)1(?:00?)?$", r"\1", re.sub(r"^(mobilenet(?:v2)?)(\d\d)0$", r"\1\2", text)
    )
