"""Flowers: ImageNet's own labels for one photo, then five kinds of flowers from a TF-Hub module.

    embank predict --imagenet flower_photos/roses/12240303_80d87f77a3_n.jpg --top 5
    embank embed flower_photos/ flowers.embank \
        --backbone https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4
    embank train flowers.embank --scheme folder --split random --test-size 0.25 \
        --head "dense(output=logits, epochs=5)" --out flowers.head

3,670 photos of flower_photos.tgz. The original reached 86 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import steps
from sklearn.model_selection import train_test_split

from classifiers import DenseHead, SavedHead
from classifiers.evaluation import evaluate_codes
from embank.learning_curves import write_curves

PUT = "Unpack flower_photos.tgz here, or name its folder with --data."
MODULE = "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Labels a photo, then embeds all and trains dense logits on three quarters of them."""
    given = steps.options(__doc__, arguments, data="flower_photos", backbone=MODULE, epochs=5)
    store, (space, *_), _ = steps.bank(given, "flowers", PUT)
    steps.print_imagenet_labels(given.data)

    images = store.images()
    labels, vectors = steps.labels(store).labels(images), store.vectors(space, images)
    X, X_test, y, y_test = train_test_split(vectors, labels.codes, random_state=0)
    head = DenseHead(output="logits", optimizer="adam", epochs=given.epochs)
    head.fit(X, y, validation=(X_test, y_test))
    write_curves(head.history_, given.out / "curves.png", "Flowers", first=1)
    figures = evaluate_codes(y_test, head.predict(X_test), len(labels.classes), head.predict_proba(X_test))
    steps.tell("flowers", [figures.to_dict() | {"subset": "test"}])
    SavedHead.of(head, classes=labels.classes, space=store.space(space)).save(given.out / "flowers.head")
    return figures.to_dict()


if __name__ == "__main__":
    main()
