"""Training a small network from scratch on photos, with the schemes, splits and figures that heads have."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from classifiers import Scheme
from embank.finetuning import Task, Tuned, Watcher, finetune
from embedder import Recipe
from embedder.baseline_cnn import IMAGE_SIZE, write_baseline
from embedder.finetuning import FinetuneSettings
from embedder.listing import list_source
from store.feature_store import STORE_FILE


@dataclass(frozen=True)
class Baseline:
    """What the network sees, for which labels.

    image_size: height and width in pixels. fit: squash, crop or pad. augment: what happens to a photo, another way each
    epoch, such as `flip,rotation=40`. loss, split, test_size, validation_size, group: as in `finetuning.Task`.
    """

    scheme: Scheme
    image_size: int = IMAGE_SIZE
    fit: str = "squash"
    augment: str | None = None
    loss: str = "auto"
    split: str = "auto"
    test_size: float = 0.2
    validation_size: float = 0.1
    group: str | None = None


def listed_store(
    place: str,
    scratch: Path,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The store at `place`; of a source there, a store in the folder `scratch` that lists it and has no vectors.

    Raises SourceError.
    """
    if (Path(place) / STORE_FILE).is_file():
        return Path(place)
    store = scratch / "listed.embank"
    list_source(place, store, limit, seed, progress)
    return store


def train_baseline(
    store: str | Path,
    baseline: Baseline,
    out: Path | None = None,
    head_out: Path | None = None,
    settings: FinetuneSettings | None = None,
    watcher: Watcher | None = None,
) -> Tuned:
    """Trains the network on the photos that a store lists; writes it to `out` (.keras) and its last layer to `head_out`
    (by default beside it, .head). Both are as `finetuning.finetune` writes them: `embed` and `predict` take them.

    A KeyboardInterrupt keeps the best weights so far; `trained.ended` then says so. Raises FinetuneError and what
    schemes, splits and heads raise.
    """
    settings = settings or FinetuneSettings(epochs=15, batch_size=20, learning_rate=1e-3)
    with tempfile.TemporaryDirectory(prefix="embank-") as place:
        untrained = Path(place, "baseline.keras")
        write_baseline(untrained, baseline.image_size, settings.seed)
        views = 1 if baseline.augment else None  # an epoch draws its own
        recipe = Recipe(str(untrained), fit=baseline.fit, augment=baseline.augment, views=views)
        task = Task(
            recipe,
            from_layer=0,
            scheme=baseline.scheme,
            loss=baseline.loss,
            head=None,
            plain=True,
            split=baseline.split,
            test_size=baseline.test_size,
            validation_size=baseline.validation_size,
            group=baseline.group,
            name="baseline",
        )
        tuned = finetune(store, task, out or Path(place, "cnn.keras"), head_out, settings, None, watcher)
        if out is None:
            tuned.document["out"] = None
            tuned.document["head_out"] = head_out and str(head_out)
        return tuned
