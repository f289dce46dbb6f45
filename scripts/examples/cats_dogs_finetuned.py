"""Cats and dogs, fine-tuned: three frozen extractors compared, then ResNet101V2 tuned from layer 100 on.

    embank embed tfds:cats_vs_dogs cats.embank --backbone VGG16 --backbone InceptionV3 --backbone ResNet101V2 \
        --image-size 160
    embank info cats.embank --samples samples.png
    embank compare cats.embank --heads logistic --test-size 0.1
    embank finetune cats.embank --scheme label --space ResNet101V2 --from-layer 100 --epochs 10 --test-size 0.1 \
        --validation-size 0.111 --dtype float16 --out tuned.keras --curves curves.png    # --plain: end to end

23,262 photos, of which a tenth are validated on and a tenth tested on. The original reached 0.98.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import steps

from classifiers import compare
from embank.finetuning import Task, Watcher, finetune
from embank.grids import drawn_rows, sample_cells, write_grid
from embank.learning_curves import write_curves
from embedder.finetuning import FinetuneSettings

PUT = "Put the prepared data set into ~/tensorflow_datasets, or name a folder with --data."
BACKBONES = "VGG16 InceptionV3 ResNet101V2"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Embeds, compares heads on frozen backbones, tunes the last backbone, and draws samples and curves."""
    numbers = {"image_size": 160, "from_layer": 100, "epochs": 10, "plain": False}
    given = steps.options(__doc__, arguments, data="tfds:cats_vs_dogs", backbone=BACKBONES, **numbers)
    store, spaces, recipes = steps.bank(given, "hymenoptera", PUT)
    images, scheme = store.images(), steps.labels(store)
    write_grid(sample_cells(store, images.iloc[drawn_rows(len(images), 9)]), given.out / "samples.png")

    board = compare(store, [scheme], ["logistic"], spaces, split="random", test_size=0.1, quick=True)
    print(board[["space", "head", "n_train", "n_test", "accuracy"]].to_string(index=False))

    recipe = replace(recipes[-1], dtype="float16")  # of the banked activations
    task = Task(
        recipe, given.from_layer, scheme, plain=given.plain, split="random", test_size=0.1,
        validation_size=1 / 9,
    )  # fmt: skip
    settings = FinetuneSettings(given.epochs, optimizer="rmsprop", learning_rate=1e-4)
    tuned = finetune(store.path, task, given.out / "tuned.keras", None, settings, watcher=Watcher(print))
    for row in tuned.document["rows"]:
        print(f"{row['subset']}: loss {row['log_loss']:.4f} on the test images")
    steps.tell("fine-tuned", tuned.document["rows"])
    write_curves(tuned.trained.curves, given.out / "curves.png", tuned.head.head)
    return tuned.document | {"board": board}


if __name__ == "__main__":
    main()
