"""Recipes: how a vector is made, first as a person asks for it, then frozen with every value filled in."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedder.backbones import Triple, find_backbone
from embedder.errors import RecipeError
from store.recipes import fingerprint, space_id

POOLINGS = ("avg", "max")
FITS = ("squash", "crop", "pad")
PRECISIONS = ("float32", "bfloat16")
DTYPES = ("float32", "float16")
RESIZE = "pillow-bilinear"


@dataclass(frozen=True)
class Recipe:
    """What a person chooses. Raises UnknownBackboneError or RecipeError for a value that does not exist.

    backbone: a name of `embank backbones`. weights: `imagenet` (downloaded by Keras), a file, or `none`
    (random, seeded with `seed`). layer: cut the backbone at this layer; None is its last. pooling: `avg` or
    `max` over the feature map. image_size: height and width in pixels; None is the backbone's own. fit: how a
    picture becomes square: `squash` it, `crop` the middle, or `pad` with black. precision: of the arithmetic,
    `float32` or `bfloat16`. dtype: of the stored vectors, `float32` or `float16`.
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "backbone", find_backbone(self.backbone).name)
        _one_of("pooling", self.pooling, POOLINGS)
        _one_of("fit", self.fit, FITS)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("dtype", self.dtype, DTYPES)
        if self.image_size is not None and not 32 <= self.image_size <= 2048:
            raise RecipeError(f"image size {self.image_size} is out of range: expected 32 to 2048 pixels.")

    def freeze(self, weights_digest: str) -> FrozenRecipe:
        """The recipe with every value filled in, for weights of this digest."""
        backbone = find_backbone(self.backbone)
        return FrozenRecipe(
            backbone=self.backbone,
            weights=weights_digest,
            layer=self.layer,
            pooling=self.pooling,
            image_size=self.image_size or backbone.size,
            fit=self.fit,
            resize=RESIZE,
            color_order=backbone.preprocessing.color_order,
            mean=backbone.preprocessing.mean,
            scale=backbone.preprocessing.scale,
            precision=self.precision,
            dtype=self.dtype,
        )


@dataclass(frozen=True)
class FrozenRecipe:
    """All that decides what a vector is. Two vectors may be compared only if their frozen recipes are equal.

    weights: a digest of the backbone's weights, or `random-<seed>`. mean, scale: `(pixel - mean) / scale` in
    `color_order`. augment, views: kept for augmenting recipes; a plain recipe has one view, the image itself.
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
    def geometry(self) -> tuple[int, str]:
        """What the decoder needs to know: recipes of one geometry share the decoded picture."""
        return self.image_size, self.fit

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `recipe.json` holds them."""
        return dataclasses.asdict(self) | {"mean": list(self.mean), "scale": list(self.scale)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrozenRecipe:
        """The inverse of `to_dict`. Raises RecipeError for a recipe that this version cannot follow."""
        known = {field.name for field in dataclasses.fields(cls)}
        if set(values) != known:
            differing = ", ".join(sorted(set(values) ^ known))
            raise RecipeError(
                f"this recipe was made by another version of embank: it differs in {differing}."
            )
        recipe = cls(**{**values, "mean": tuple(values["mean"]), "scale": tuple(values["scale"])})
        if recipe.resize != RESIZE or recipe.augment is not None or recipe.views != 1:
            raise RecipeError(
                f"this embank cannot follow the recipe of {recipe.space}: it resizes by {recipe.resize}, "
                f"augments by {recipe.augment}. Upgrade embank to the version that made it."
            )
        return recipe


def _one_of(setting: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = difflib.get_close_matches(value, allowed, n=1)
        raise RecipeError(
            f"{setting} {value!r} does not exist: expected {', '.join(allowed)}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
