"""Urban or rural: 72 photos to train on and 20 to validate, a frozen ResNet50 and a softmax of two nodes.

    embank embed urban-and-rural-photos/ urban.embank --backbone ResNet50        # --weights FILE without a connection
    embank train urban.embank --scheme folder --head "dense(optimizer=sgd, epochs=1, batch_size=12)" --out urban.head
    embank backbones ResNet50 --classes 2                                        # parameters: frozen, and trained
    embank evaluate urban.embank urban.head --gallery urban.png

The photos are class folders below train/ and val/. The original reached 0.90 on the 20 after one epoch of 12 s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import steps

from classifiers import DenseHead, train_head
from classifiers.evaluating import evaluated
from embank.grids import write_prediction_grids
from embedder.parameters import count_parameters

PUT = "Put the photos into urban-and-rural-photos/train/CLASS and …/val/CLASS, or name their folder with --data."


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Embeds, trains for one epoch, and prints parameters and accuracies."""
    given = steps.options(
        __doc__, arguments, data="urban-and-rural-photos", backbone="ResNet50", epochs=1, batch_size=12
    )
    store, (space, *_), recipes = steps.bank(given, "hymenoptera", PUT)

    head = DenseHead(output="softmax", optimizer="sgd", epochs=given.epochs, batch_size=given.batch_size)
    started = time.monotonic()
    saved, report = train_head(store, steps.labels(store), head, space)
    print(f"{given.epochs} epochs in {time.monotonic() - started:.1f} s")

    frozen = count_parameters(recipes[0].backbone, recipes[0].image_size)
    trained = sum(array.size for layer in saved.estimator.layers_ for array in layer)
    print(
        f"{frozen.name} to {frozen.dim} numbers: {frozen.parameters:,} parameters frozen, {trained:,} trained"
    )
    steps.tell(report["head"], report["rows"])

    saved.save(given.out / "urban.head")
    write_prediction_grids(store, evaluated(store, saved), [], given.out / "predictions.png")
    return report | {"frozen": frozen.parameters, "trained": trained}


if __name__ == "__main__":
    main()
