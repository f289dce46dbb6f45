"""Recipes: how a vector is made, first as a person asks for it, then frozen with every value filled in."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedder.augmentation import Augmentation
from embedder.backbones import PREPROCESSINGS, Preprocessing, Triple, find_backbone, find_preprocessing
from embedder.errors import RecipeError
from embedder.geometry import Geometry
from embedder.own_models import ModelKind, OwnModel, model_kind, short_name
from store.recipes import fingerprint, space_id

POOLINGS = ("avg", "max", "none")
FITS = ("squash", "crop", "pad")
PRECISIONS = ("float32", "bfloat16")
DTYPES = ("float32", "float16")
RESIZE = "pillow-bilinear"
_SMALLEST, _LARGEST = 32, 2048
_VIEWS, _MOST_VIEWS = 4, 100  # all views of an image are in memory at once
_ANY_SIZE = 224  # what ImageNet models are mostly trained at, for a model that takes pictures of any size
# Fields that came later: recipe.json has them only at another value, so that ids of older spaces stay.
_LEFT_OUT_AT = {"scores": False}


@dataclass(frozen=True)
class Recipe:
    """What a person chooses. Raises UnknownBackboneError or RecipeError for a value that does not exist.

    backbone: a name of `embank backbones`, a TF-Hub handle (`https://…`), a SavedModel folder or a `.keras`
    file. weights: `imagenet` (downloaded by Keras), a file, or `none` (random, seeded with `seed`); a model
    that is not of the table brings its own. layer: cut the backbone at this layer; None is its last; of a
    SavedModel, the name of one of its outputs. pooling: `avg` or `max` over the feature map, `none` for the map
    itself. image_size: height and width in pixels; None is the backbone's own. fit: how a picture becomes
    square: `squash` it, `crop` the middle, or `pad` with black. precision: of the arithmetic, `float32` or
    `bfloat16`. dtype: of the stored vectors, `float32` or `float16`. preprocessing: what the backbone expects,
    `raw` (pixels as they are), `unit` ([0, 1]), `symmetric` ([-1, 1]), `caffe`, `torch`, or another backbone's
    name; None is its own. scores: bank the softmax scores of the 1000 ImageNet classes, not features. augment:
    what may happen to a picture in an augmented view, such as `flip,rotation=40` (see `Augmentation`). views: how
    many augmented views of each image are banked beside the image itself, which is view 0; 4 if left out.
    """

    backbone: str
    weights: str = "imagenet"
    layer: str | None = None
    pooling: str = "avg"
    image_size: int | None = None
    fit: str = "squash"
    precision: str = "float32"
    dtype: str = "float32"
    seed: int = 0
    preprocessing: str | None = None
    scores: bool = False
    augment: str | None = None
    views: int | None = None

    def __post_init__(self) -> None:
        if self.kind is ModelKind.TABLE:
            object.__setattr__(self, "backbone", find_backbone(self.backbone).name)
        elif self.weights != "imagenet":
            raise RecipeError(f"{self.backbone} brings its own weights: leave --weights {self.weights} out.")
        _one_of("pooling", self.pooling, POOLINGS)
        _one_of("fit", self.fit, FITS)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("dtype", self.dtype, DTYPES)
        smallest = _SMALLEST if self.kind is ModelKind.TABLE else 1
        if self.image_size is not None and not smallest <= self.image_size <= _LARGEST:
            raise RecipeError(
                f"image size {self.image_size} is out of range: expected {smallest} to {_LARGEST} pixels."
            )
        if self.preprocessing is not None:
            find_preprocessing(self.preprocessing)
        if self.scores:
            self._check_scores()
        if self.augment is not None:
            object.__setattr__(self, "augment", Augmentation.parse(self.augment).spec)
            object.__setattr__(self, "views", _VIEWS if self.views is None else self.views)
        out_of_range = self.views is not None and not 1 <= self.views <= _MOST_VIEWS
        if out_of_range or (self.augment is None) != (self.views is None):
            raise RecipeError(
                f"{self.views} views: expected 1 to {_MOST_VIEWS} views of an augmentation, such as --augment "
                "flip,rotation=40 --views 4."
            )

    @property
    def kind(self) -> ModelKind:
        """Where the backbone comes from."""
        return model_kind(self.backbone)

    @property
    def geometry(self) -> Geometry:
        """That of the frozen recipe, if a model from outside the table takes the size that most do."""
        native = find_backbone(self.backbone).size if self.kind is ModelKind.TABLE else _ANY_SIZE
        return _geometry(self.image_size or native, self.fit, self.augment, 1 + (self.views or 0))

    def settled(self, model: OwnModel) -> Recipe:
        """The recipe with what is known of a model from outside the table filled in. Raises RecipeError."""
        if self.image_size and model.image_size and self.image_size != model.image_size:
            raise RecipeError(
                f"{self.backbone} takes pictures of {model.image_size} pixels, not of {self.image_size}: leave "
                "--image-size out."
            )
        preprocessing = self.preprocessing or model.preprocessing
        if preprocessing is None:
            raise RecipeError(
                f"nothing in {self.backbone} says which pixels it was trained on, and wrong ones give bad vectors "
                "without any error. Say it with --preprocessing: raw (0 to 255), unit (0 to 1), symmetric (-1 to 1), "
                "or the backbone that it was built from, such as ResNet50."
            )
        size = self.image_size or model.image_size or _ANY_SIZE
        return dataclasses.replace(self, image_size=size, preprocessing=preprocessing)

    def freeze(self, weights_digest: str) -> FrozenRecipe:
        """The recipe with every value filled in, for weights of this digest.

        A model from outside the table has to be `settled` before.
        """
        size, expected = self.image_size, self.preprocessing and find_preprocessing(self.preprocessing)
        if self.kind is ModelKind.TABLE:
            backbone = find_backbone(self.backbone)
            size, expected = size or backbone.size, expected or backbone.preprocessing
        if not size or not expected:
            raise RecipeError(f"the image size and the preprocessing of {self.backbone} are not known yet.")
        return FrozenRecipe(
            backbone=self.backbone if self.kind is ModelKind.TABLE else short_name(self.backbone),
            weights=weights_digest,
            layer=self.layer,
            pooling=self.pooling,
            image_size=size,
            fit=self.fit,
            resize=RESIZE,
            color_order=expected.color_order,
            mean=expected.mean,
            scale=expected.scale,
            precision=self.precision,
            dtype=self.dtype,
            scores=self.scores,
            augment=self.augment,
            views=1 + (self.views or 0),
        )

    def _check_scores(self) -> None:
        if self.kind is not ModelKind.TABLE:
            raise RecipeError(
                f"class scores are for the ImageNet backbones of `embank backbones`; {self.backbone} is a model of "
                "your own: name its last layer with --layer."
            )
        native = find_backbone(self.backbone).size
        if self.layer is not None or self.pooling != "avg" or self.image_size not in (None, native):
            raise RecipeError(
                f"class scores are those of the whole {self.backbone} at {native} pixels: leave --layer, --pooling "
                "and --image-size out."
            )


@dataclass(frozen=True)
class FrozenRecipe:
    """All that decides what a vector is. Two vectors may be compared only if their frozen recipes are equal.

    weights: a digest of the backbone's weights, or `random-<seed>`. mean, scale: `(pixel - mean) / scale` in
    `color_order`. scores: the vector holds ImageNet's class scores, not features. views: rows of an image; view 0
    is the image itself, the others are made by `augment`.
    """

    backbone: str
    weights: str
    layer: str | None
    pooling: str
    image_size: int
    fit: str
    resize: str
    color_order: str
    mean: Triple
    scale: Triple
    precision: str
    dtype: str
    augment: str | None = None
    views: int = 1
    scores: bool = False

    @property
    def space(self) -> str:
        """The id of the space that these vectors live in."""
        return space_id(self.to_dict())

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that stand for the whole recipe."""
        return fingerprint(self.to_dict())

    @property
    def is_random(self) -> bool:
        """Whether the weights are random numbers, not learned ones."""
        return self.weights.startswith("random-")

    @property
    def geometry(self) -> Geometry:
        """What the decoder needs to know: recipes of one geometry share the decoded picture."""
        return _geometry(self.image_size, self.fit, self.augment, self.views)

    @property
    def preprocessing(self) -> str:
        """The name of the preprocessing, as --preprocessing takes it. Raises RecipeError if it has none."""
        ours = Preprocessing(self.color_order, self.mean, self.scale)
        for name, known in PREPROCESSINGS.items():
            if ours == known:
                return name
        raise RecipeError(f"the preprocessing of {self.space} has no name: {ours.describe()}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `recipe.json` holds them."""
        values = dataclasses.asdict(self) | {"mean": list(self.mean), "scale": list(self.scale)}
        return {name: value for name, value in values.items() if _LEFT_OUT_AT.get(name, ...) != value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrozenRecipe:
        """The inverse of `to_dict`. Raises RecipeError for a recipe that this version cannot follow."""
        known = {field.name for field in dataclasses.fields(cls)}
        if {*values, *_LEFT_OUT_AT} != known:
            differing = ", ".join(sorted({*values, *_LEFT_OUT_AT} ^ known))
            raise RecipeError(
                f"this recipe was made by another version of embank: it differs in {differing}."
            )
        recipe = cls(**{**values, "mean": tuple(values["mean"]), "scale": tuple(values["scale"])})
        if recipe.resize != RESIZE or (recipe.augment is None) != (recipe.views == 1):
            raise RecipeError(
                f"this embank cannot follow the recipe of {recipe.space}: it resizes by {recipe.resize} and makes "
                f"{recipe.views} views by {recipe.augment}. Upgrade embank to the version that made it."
            )
        return recipe


def _geometry(size: int, fit: str, augment: str | None, views: int) -> Geometry:
    return Geometry(size, fit, Augmentation.parse(augment) if augment else None, views)


def _one_of(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, n=1)
        raise RecipeError(
            f"{setting} {value!r} does not exist: expected {', '.join(allowed)}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
