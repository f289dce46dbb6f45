"""Cats and dogs, small: a network from scratch, with and without augmentation, and a frozen Xception beside it.

    V=flip,rotation=40,shift=0.2,shear=0.2,zoom=0.2,nearest
    embank baseline cats_and_dogs_filtered/ --epochs 15 --curves scratch.png                       # (a)
    embank baseline cats_and_dogs_filtered/ --epochs 30 --augment $V --curves augmented.png        # (b)
    embank embed cats_and_dogs_filtered/ small.embank --backbone Xception --image-size 150 --augment $V --views 4
    embank train small.embank --scheme folder --plain --head "dense(output=sigmoid, dropout=0.5, learning_rate=0.01)" \
        --out plain.head                                                           # (c); (d) without --plain
    embank embed cats_and_dogs_filtered/ small.embank --backbone Xception --augment $V --views 4 \
        --contact-sheet views.png

1,000 + 1,000 photos to train on, 500 + 500 to validate. The original reached 0.72 to 0.75 from scratch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import steps

from classifiers import DenseHead, train_head
from embank.baselines import Baseline, train_baseline
from embank.finetuning import Watcher
from embank.learning_curves import write_curves
from embedder.contact_sheet import write_contact_sheet
from embedder.finetuning import FinetuneSettings

PUT = (
    "Unpack cats_and_dogs_filtered.zip here, or name a folder with train/ and validation/ in it with --data."
)
VIEWS = "flip,rotation=40,shift=0.2,shear=0.2,zoom=0.2,nearest"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains all four, and draws the augmentations and the learning curves."""
    numbers = {"image_size": 150, "epochs": 15, "views": 4}
    given = steps.options(__doc__, arguments, data="cats_and_dogs_filtered", backbone="Xception", **numbers)
    store, (space, *_), (recipe, *_) = steps.bank(given, "hymenoptera", PUT, VIEWS, given.views)
    scheme, found = steps.labels(store), {}
    write_contact_sheet(given.data, recipe, given.out / "views.png")

    for name, views, epochs in (("scratch", None, given.epochs), ("augmented", VIEWS, 2 * given.epochs)):
        settings = FinetuneSettings(epochs, 20, "rmsprop", 1e-3)
        task = Baseline(scheme, given.image_size, augment=views)
        tuned = train_baseline(store.path, task, given.out / f"{name}.keras", None, settings, Watcher(print))
        write_curves(tuned.trained.curves, given.out / f"{name}.png", tuned.head.head)
        found[name] = tuned.document["rows"][1:]

    for name, plain in (("frozen", True), ("frozen, with views", False)):
        head = DenseHead(output="sigmoid", dropout=0.5, learning_rate=0.01)
        found[name] = train_head(store, scheme, head, space, plain=plain)[1]["rows"]
    for name, rows in found.items():
        steps.tell(name, rows)
    return found


if __name__ == "__main__":
    main()
