"""What the examples share: their options, and going on with what is there where something cannot be had."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifiers import Scheme
from embedder import JobSettings, Recipe, SourceError, WeightsError, embed
from embedder.engines import open_engine
from embedder.files import embed_files
from embedder.imagenet_classes import imagenet_classes
from embedder.sources import open_source
from store import FeatureStore

SHARED = Path(os.environ.get("EMBANK_SHARED") or Path(__file__).parents[3] / "shared")
_WEIGHTS = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224{}.h5"


def options(
    text: str | None, arguments: Sequence[str] | None, *, data: str, backbone: str, **numbers: float | None
) -> argparse.Namespace:
    """Reads the options. numbers: more of them, with their defaults; image_size=None is the backbone's own."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=data, help=f"any source of `embank embed`; by default {data}")
    parser.add_argument("--out", type=Path, default=Path("example"), help="folder for pictures and heads")
    parser.add_argument("--store", type=Path, help="by default bank.embank in --out")
    parser.add_argument("--backbone", nargs="+", default=backbone.split(), help=f"by default {backbone}")
    parser.add_argument("--weights", nargs="+", default=["imagenet"], help="imagenet, files, or none")
    parser.add_argument("--limit", type=int, help="only so many images")
    for name, default in ({"image_size": None} | numbers).items():
        kind = float if isinstance(default, float) else int
        option = f"--{name.replace('_', '-')}"
        if isinstance(default, bool):
            parser.add_argument(option, action="store_true")
        else:
            parser.add_argument(option, type=kind, default=default)
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    given.store = given.store or given.out / "bank.embank"
    return given


def bank(
    given: argparse.Namespace, stand_in: str, put: str, augment: str | None = None, views: int | None = None
) -> tuple[FeatureStore, list[str], list[Recipe]]:
    """Embeds `--data` by each backbone; returns the store, the ids of the spaces and their recipes.

    Where the data cannot be had it says so, and what to `put` where, and goes on with `stand_in` of ../shared/data;
    where weights cannot be had, with MobileNetV2's of ../shared/weights, else with random ones.
    """
    weights = given.weights * (len(given.backbone) // len(given.weights))
    recipes = [
        Recipe(name, file, image_size=given.image_size, augment=augment, views=views)
        for name, file in zip(given.backbone, weights, strict=True)
    ]
    for _ in range(3):
        try:
            report = embed(given.data, given.store, recipes, settings=JobSettings(limit=given.limit))
        except SourceError as error:
            other = SHARED / "data" / stand_in
            if not other.is_dir() or given.data == str(other):
                raise SystemExit(f"{error} {put}") from error
            print(f"{error}\n{put}\nGoing on with {other}: figures are of these photos.")
            given.data = str(other)
        except WeightsError as error:
            recipes = _stand_ins(recipes)
            print(
                f"{error}\nGoing on with {recipes[0].backbone}, weights {recipes[0].weights}: figures are its own."
            )
        else:
            print(f"{report.embedded} images embedded, {report.skipped} were banked already: {report.space}")
            return FeatureStore(given.store), report.space, recipes
    raise SystemExit("neither the data nor the weights can be had.")


def labels(store: FeatureStore, name: str = "kind") -> Scheme:
    """The label of a TensorFlow data set where there is one, else the folder that a photo lies in."""
    return Scheme(name, "labels.label" if "labels.label" in store.images() else "folder")


def tell(what: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints accuracies with their 95 % intervals."""
    for row in rows:
        low, high = row["accuracy_low"], row["accuracy_high"]
        print(
            f"{what}, {row['subset']}: {row['accuracy']:.1%} ({low:.1%} to {high:.1%}) of {row['n']} images"
        )


def print_imagenet_labels(data: str) -> None:
    """The five most probable of ImageNet's 1,000 classes for the first photo, or why they cannot be had."""
    [photo, *_] = open_source(data).entries
    file = SHARED / "weights" / _WEIGHTS.format("")
    try:
        engine = open_engine(Recipe("MobileNetV2", str(file) if file.is_file() else "imagenet", scores=True))
    except WeightsError as error:
        print(error)
        return
    scores = embed_files([photo], engine).vectors[0]
    for code in scores.argsort()[::-1][:5]:
        print(f"{photo.key}: {imagenet_classes()[code]} {scores[code]:.3f}")


def _stand_ins(recipes: Sequence[Recipe]) -> list[Recipe]:
    file = SHARED / "weights" / _WEIGHTS.format("_no_top")
    weights = str(file) if file.is_file() and recipes[0].weights != str(file) else "none"
    return [dataclasses.replace(recipes[0], backbone="MobileNetV2", weights=weights)]
