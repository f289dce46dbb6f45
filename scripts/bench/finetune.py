"""Fine-tuning from banked activations beside fine-tuning end to end: the same layers, images, seed and epochs.

Run: python scripts/bench/finetune.py [--turns 1] [--epochs 10] [--from-layer 117] [--size 160] [--shared ../shared]
The backbone is MobileNetV2 with its ImageNet weights, the photos are `hymenoptera` (244 to train on, of which a tenth
is held out to validate, 153 to test). Each side runs in a fresh process on a store of its own; importing and building
Keras's model is in `whole`, for both alike. `training` is all epochs with their validation; of the banked side,
banking comes on top once, and is paid again only for new photos.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import in_a_process
from processor import Processor

from embank.finetuning import Task, finetune
from embedder import Recipe, embed
from embedder.finetuning import FinetuneSettings
from store import FeatureStore

WEIGHTS = "weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
SIDES = ("banked", "plain")


def main() -> None:
    """Prints a line a side and turn, then the medians of their ratios."""
    options = parsed()
    if options.child:
        print(json.dumps(run(options, options.child == "plain")))
        return
    print(Processor.here().describe(), flush=True)
    turns = []
    for turn in range(options.turns):
        found = {side: in_a_process("finetune.py", "--child", side, *sys.argv[1:]) for side in SIDES}
        turns.append(found)
        for side in SIDES:
            print(f"turn {turn + 1}, {side}: {describe(found[side])}", flush=True)
    for name, seconds in (
        ("training alone", lambda one: one["training"]),
        ("banking and training", lambda one: one["training"] + one["banking"]),
        ("the whole command", lambda one: one["whole"]),
    ):
        ratio = statistics.median(seconds(turn["plain"]) / seconds(turn["banked"]) for turn in turns)
        print(f"{name}: end to end takes {ratio:.1f} times as long as from the bank")


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("turns", 1), ("epochs", 10), ("from-layer", 117), ("size", 160)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[3] / "shared")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(options: argparse.Namespace, plain: bool) -> dict[str, Any]:
    """One side: seconds, curves, and accuracy on the test images before and after."""
    from classifiers import default_schemes

    recipe = Recipe("MobileNetV2", str(options.shared / WEIGHTS), image_size=options.size)
    with tempfile.TemporaryDirectory() as place:
        os.environ["EMBANK_CACHE"] = str(Path(place, "cache"))  # converting the lower part counts as banking
        store = Path(place, "bench.embank")
        embed(options.shared / "data/hymenoptera", store, recipe)  # lists the photos, for both alike
        scheme = default_schemes(FeatureStore(store).images())[0]["folder"]
        task = Task(recipe, options.from_layer, scheme, plain=plain)
        started = time.monotonic()
        tuned = finetune(
            store, task, Path(place, "tuned.keras"), None, FinetuneSettings(epochs=options.epochs)
        )
        whole = time.monotonic() - started
        size = sum(path.stat().st_size for path in Path(store, "spaces").rglob("*.h5"))
    document = tuned.document
    return {
        **document["seconds"],
        "whole": whole,
        "cut": document["cut"],
        "trained": document["trained_weights"],
        "megabytes": size / 1e6,
        "accuracy": [row["accuracy"] for row in document["rows"]],
        "curves": document["curves"],
    }


def describe(found: dict[str, Any]) -> str:
    """One line."""
    losses, (before, after) = found["curves"]["val_loss"], found["accuracy"]
    return (
        f"banking {found['banking']:.1f} s, first look {found['start']:.1f} s, training {found['training']:.1f} s, "
        f"whole {found['whole']:.1f} s; {found['megabytes']:.0f} MB in the store; cut "
        f"{found['cut'] and found['cut']['layer']}; validation loss {losses[0]:.4f} to {losses[-1]:.4f}; accuracy on "
        f"the test images {before:.3f} to {after:.3f}"
    )


if __name__ == "__main__":
    main()
