"""The dense head beside plain Keras: the same network on the same vectors, in fresh processes, taking turns.

Run: python scripts/bench/dense.py [--turns 3] [--rows 3680] [--dim 1792] [--classes 37] [--epochs 30]
What is timed is the fit, from arrays in memory to a trained network, compiling included; importing TensorFlow and
Keras is not in it. The network is that of the Oxford-pets notebooks: dropout 0.25, a 37-way softmax, Adam at 5e-4,
batches of 32. Required: under 8 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from typing import Any

import numpy as np
from measuring import in_a_process, timed

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
REQUIRED_S = 8.0
DROPOUT, LEARNING_RATE, BATCH = 0.25, 5e-4, 32


def main() -> None:
    """Prints a line a turn, and the medians; exits 1 if the head is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("turns", 3), ("rows", 3680), ("dim", 1792), ("classes", 37), ("epochs", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--child", choices=tuple(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(SIDES[options.child](options)))
        return
    turns = []
    for turn in range(options.turns):
        ours, theirs = (in_a_process("dense.py", "--child", side, *sys.argv[1:]) for side in SIDES)
        turns.append((ours["seconds"], theirs["seconds"]))
        print(
            f"turn {turn + 1}: dense head {ours['seconds']:.2f} s (again in the same process {ours['again']:.2f} s, "
            f"accuracy {ours['accuracy']:.3f}), Keras {theirs['seconds']:.2f} s (again {theirs['again']:.2f} s, "
            f"accuracy {theirs['accuracy']:.3f})",
            flush=True,
        )
    seconds, keras = (statistics.median(side) for side in zip(*turns, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in turns)
    verdict = "ok" if seconds < REQUIRED_S else "TOO SLOW"
    print(
        f"{options.rows:,} x {options.dim}, {options.classes} classes, {options.epochs} epochs: dense head "
        f"{seconds:.2f} s, required under {REQUIRED_S:g} s: {verdict}; keras.Sequential.fit {keras:.2f} s, "
        f"{ratio:.2f} times as long"
    )
    sys.exit(verdict != "ok")


def run_embank(options: argparse.Namespace) -> dict[str, float]:
    """DenseHead."""
    import keras  # noqa: F401 (its import is not what is measured)

    from classifiers import DenseHead

    X, y = vectors(options)
    head = DenseHead(dropout=DROPOUT, learning_rate=LEARNING_RATE, batch_size=BATCH, epochs=options.epochs)
    first, again = (timed(lambda: head.fit(X, y))[0] for _ in range(2))
    return {"seconds": first, "again": again, "accuracy": float((head.predict(X) == y).mean())}


def run_keras(options: argparse.Namespace) -> dict[str, float]:
    """What one would write with Keras alone."""
    import keras

    X, y = vectors(options)
    scaled = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())
    models: list[Any] = []

    def fit() -> None:
        model = keras.Sequential(
            [
                keras.Input((options.dim,)),
                keras.layers.Dropout(DROPOUT),
                keras.layers.Dense(options.classes, activation="softmax"),
            ]
        )
        optimizer = keras.optimizers.Adam(LEARNING_RATE)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(scaled, y, batch_size=BATCH, epochs=options.epochs, verbose=0)
        models.append(model)

    first, again = (timed(fit)[0] for _ in range(2))
    named = models[-1].predict(scaled, verbose=0).argmax(axis=1)
    return {"seconds": first, "again": again, "accuracy": float((named == y).mean())}


SIDES = {"embank": run_embank, "keras": run_keras}


def vectors(options: argparse.Namespace) -> tuple[Any, Any]:
    """Vectors like a backbone's, none below 0, with classes that overlap."""
    rng = np.random.default_rng(0)
    y = np.arange(options.rows) % options.classes
    centres = rng.normal(size=(options.classes, options.dim))
    X = np.maximum(0.15 * centres[y] + rng.normal(size=(options.rows, options.dim)), 0)
    return X.astype(np.float32), y.astype(np.int64)


if __name__ == "__main__":
    main()
