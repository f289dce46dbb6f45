"""Fine-tuning for one scheme, from banked activations to a tuned backbone with its head."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers import SavedHead, Scheme
from classifiers.dense_training import Layer
from classifiers.evaluating import figures_row, predictions
from classifiers.evaluation import evaluate_codes
from classifiers.labels import Labels
from classifiers.targets import Targets
from classifiers.three_way_split import ThreeWaySplit, three_way_split
from classifiers.tuned_head import check_loss, linear_start, random_start, tuned_head
from embedder import EmbedReport, FinetuneError, FrozenRecipe, JobSettings, Recipe
from embedder.finetuning import (
    Examples,
    FinetuneSettings,
    Network,
    Trained,
    Tunable,
    bank,
    check_place,
    check_tunable,
    open_feed,
    open_tunable,
    plan_bank,
    pooled,
    save_tuned,
    train,
)
from store import FeatureStore, Vectors

Show = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Task:
    """What to tune, for which labels.

    recipe: of the backbone with average pooling; its dtype, precision and views are those of the bank. from_layer: the
    first layer that is trained, by number or name. loss: auto, binary or categorical. head: the linear head that
    training starts from; None starts from random numbers. plain: end to end, from photos. split, test_size, seed,
    group: as in `train_head`; validation_size: the share of the training images that epochs are judged by, where no
    column names them. name: what the head is called, before its settings.
    """

    recipe: Recipe
    from_layer: int | str
    scheme: Scheme
    loss: str = "auto"
    head: str | None = "ridge"
    plain: bool = False
    split: str = "auto"
    test_size: float = 0.2
    validation_size: float = 0.1
    group: str | None = None
    name: str = "finetune"


@dataclass(frozen=True)
class Watcher:
    """Who is told how it goes. embedding: of banking; working: batches done, all, and a remark, by what is done."""

    say: Callable[[str], None] = lambda line: None
    embedding: Callable[[EmbedReport], None] | None = None
    working: Callable[[str], Show] = lambda what: lambda done, total, remark: None


@dataclass
class Tuned:
    """The saved head with its recipe, the curves, and what the command prints as JSON."""

    head: SavedHead
    trained: Trained
    document: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def finetune(
    store: str | Path,
    task: Task,
    out: str | Path,
    head_out: str | Path | None = None,
    settings: FinetuneSettings | None = None,
    job: JobSettings | None = None,
    watcher: Watcher | None = None,
) -> Tuned:
    """Tunes the upper layers of a backbone for a scheme; writes the backbone to `out` (.keras), its head to `head_out`
    (by default beside it, .head).

    A KeyboardInterrupt while it trains keeps the best weights so far; `trained.ended` then says so. Raises
    FinetuneError and what embedding, schemes, splits and heads raise.
    """
    started, settings, watcher = time.monotonic(), settings or FinetuneSettings(), watcher or Watcher()
    out, opened = Path(out), FeatureStore(store)
    check_place(out)
    check_tunable(task.recipe)
    images = opened.images()
    labels = task.scheme.labels(images)
    check_loss(labels, task.loss)
    parts = _parts(images, labels, task, settings.seed)
    tunable = open_tunable(task.recipe, task.from_layer, task.plain)
    watcher.say(tunable.describe())
    wanted = np.concatenate([parts.train, parts.validation, parts.test])
    banking, notes = 0.0, list(parts.notes)
    if not task.plain:
        begun = time.monotonic()
        notes += _bank(opened, tunable, images.iloc[wanted], job or JobSettings(), watcher)
        banking = time.monotonic() - begun
        opened.refresh()
    run = _Run(opened, task, tunable, images, labels, parts, settings, watcher)
    trained = run.train()
    frozen = save_tuned(tunable, out)
    head = run.head(frozen, trained)
    place = Path(head_out) if head_out else out.with_suffix(".head")
    head.save(place)
    seconds = {
        "banking": banking,
        "start": run.start_seconds,
        "training": trained.seconds,
        "all": time.monotonic() - started,
    }
    document = run.document(head, trained) | {
        "out": str(out),
        "head_out": str(place),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
    }
    return Tuned(head, trained, document, [*notes, *run.warned])


class _Run:
    """One training: from the images to the figures."""

    def __init__(
        self,
        store: FeatureStore,
        task: Task,
        tunable: Tunable,
        images: pd.DataFrame,
        labels: Labels,
        parts: ThreeWaySplit,
        settings: FinetuneSettings,
        watcher: Watcher,
    ) -> None:
        self._task, self._tunable, self._labels, self._settings = task, tunable, labels, settings
        self._images, self._watcher, self._groups = images, watcher, parts.groups
        self._feed, here = open_feed(store, tunable, images, settings.seed)
        sides = (parts.train, parts.validation, parts.test)
        self._train, self._validation, self._test = (side[here[side]] for side in sides)
        if not len(self._train) or not len(self._validation) or not len(self._test):
            raise FinetuneError("too few images could be embedded: one side of the split has none left.")
        self._split = {
            "name": parts.name,
            "kind": task.split,
            "test_size": task.test_size,
            "seed": settings.seed,
        }
        self.warned: list[str] = []
        self.start_seconds = 0.0

    def train(self) -> Trained:
        """Starts from the linear head, and trains."""
        begun, codes = time.monotonic(), self._labels.codes
        rows = np.concatenate([self._train, self._validation, self._test])
        vectors = np.full((len(codes), self._tunable.dim), np.nan, np.float32)
        vectors[rows] = self._pooled(rows, "starting")
        frozen = self._tunable.frozen
        mine = Vectors.of(vectors[self._train], frozen.space, frozen.to_dict())
        linear, layer, self.warned = self._start(mine, codes[self._train])
        several = self._labels.multilabel
        self._network = Network(self._tunable, *layer, several, self._settings)
        self._before = self._row("before", linear, vectors[self._test])
        self.start_seconds = time.monotonic() - begun
        examples = Examples(self._feed, np.asarray(codes, np.int32), vectors, self._train, self._validation)
        return train(
            self._tunable,
            self._network,
            examples,
            self._settings,
            self._watcher.working("training"),
            self._watcher.say,
        )

    def _start(self, vectors: Vectors, codes: Targets) -> tuple[SavedHead, Layer, list[str]]:
        """The head that training starts from, its layer, and what it warned of."""
        loss, labels, frozen = self._task.loss, self._labels, self._tunable.frozen
        if self._task.head is not None:
            return linear_start(self._task.head, vectors, codes, labels, loss)
        layer = random_start(self._tunable.dim, labels, loss, self._settings.seed)
        estimator = tuned_head(layer, labels, frozen.space, frozen.to_dict(), {}, {})
        return SavedHead.of(estimator, classes=labels.classes), layer, []

    def head(self, frozen: FrozenRecipe, trained: Trained) -> SavedHead:
        """The head on the tuned backbone, with its figures on the test images."""
        settings, recipe = self._settings, frozen.to_dict()
        parameters = {
            name: getattr(settings, name)
            for name in ("dropout", "optimizer", "learning_rate", "epochs", "batch_size", "seed")
        }
        estimator = tuned_head(
            self._network.layer, self._labels, frozen.space, recipe, trained.curves, parameters
        )
        start = "" if self._task.head is None else f"from_layer={self._task.from_layer}, "
        name = f"{self._task.name}({start}epochs={trained.kept})"
        options: dict[str, Any] = {"classes": self._labels.classes, "scheme": self._task.scheme, "head": name}
        vectors = self._pooled(self._test, "testing")
        self._after = self._row("held-out", SavedHead.of(estimator, **options), vectors)
        return SavedHead.of(
            estimator,
            **options,
            figures=self._after,
            train_hashes=self._images["hash"].iloc[np.concatenate([self._train, self._validation])],
            split=self._split,
        )

    def document(self, head: SavedHead, trained: Trained) -> dict[str, Any]:
        """Plain values, as `embank finetune --json` prints them."""
        tunable, cut = self._tunable, self._tunable.cut
        return {
            "scheme": self._task.scheme.name,
            "head": head.head,
            "space": head.space,
            "classes": list(head.classes),
            "rows": [self._before, self._after],
            "curves": trained.curves,
            "epochs": trained.epochs,
            "kept_epoch": trained.kept,
            "ended": trained.ended,
            "images": {
                "train": len(self._train),
                "validation": len(self._validation),
                "test": len(self._test),
            },
            "trained_weights": tunable.weights_of(trained=True),
            "frozen_weights": tunable.weights_of(trained=False),
            "cut": cut and {"layer": cut.layer, "shape": list(cut.shape), "first": cut.first},
        }

    def _pooled(self, rows: NDArray[np.intp], what: str) -> NDArray[np.float32]:
        size = self._settings.batch_size
        return pooled(self._tunable, self._feed, rows, size, self._watcher.working(what))

    def _row(self, subset: str, saved: SavedHead, vectors: NDArray[np.float32]) -> dict[str, Any]:
        """Figures on the test images."""
        predicted, shares = predictions(saved, vectors)
        groups = None if self._groups is None else self._groups[self._test]
        classes = self._labels.classes
        figures = evaluate_codes(self._labels.codes[self._test], predicted, len(classes), shares, groups)
        return figures_row(subset, figures, classes)


def _parts(images: pd.DataFrame, labels: Labels, task: Task, seed: int) -> ThreeWaySplit:
    return three_way_split(
        images,
        labels.codes,
        labels.classes,
        split=task.split,
        test_size=task.test_size,
        validation_size=task.validation_size,
        seed=seed,
        group=task.group,
    )


def _bank(
    store: FeatureStore, tunable: Tunable, images: pd.DataFrame, job: JobSettings, watcher: Watcher
) -> list[str]:
    """Banks what is missing; returns notes."""
    plan = plan_bank(store, tunable, images)
    watcher.say(plan.describe())
    reports = bank(store.path, tunable, images, job, watcher.embedding)
    notes = [note for report in reports for note in report.notes]
    failed = sum(report.failed for report in reports)
    return [*notes, f"{failed} images could not be embedded and are left out."] if failed else notes
