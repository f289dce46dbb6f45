"""What one would write without embank: a folder of images to one .npy file of vectors, with Keras alone.

Run: python scripts/bench/baseline_keras.py FOLDER BACKBONE OUT.npy [--weights none|imagenet]
Prints one JSON document. The time is that from making the dataset to the saved file. Not in it: importing Keras,
building the model, and tracing it, which a first batch does beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from embedder.backbones import find_backbone

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
BATCH = 32


def main() -> None:
    """Embeds the folder and prints how long it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("backbone")
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", choices=("none", "imagenet"), default="none")
    options = parser.parse_args()

    import keras

    backbone = find_backbone(options.backbone)
    module = getattr(keras.applications, backbone.module)
    weights = None if options.weights == "none" else options.weights
    shape = (backbone.size, backbone.size, 3)
    model = getattr(keras.applications, backbone.builder)(
        include_top=False, weights=weights, pooling="avg", input_shape=shape, **backbone.options
    )

    def dataset() -> Any:  # noqa: ANN401
        images = keras.utils.image_dataset_from_directory(
            options.folder, labels=None, image_size=shape[:2], batch_size=BATCH, shuffle=False, verbose=False
        )
        return images.map(module.preprocess_input)

    model.predict(dataset().take(1), verbose=0)
    started = time.perf_counter()
    vectors = model.predict(dataset(), verbose=0)
    np.save(options.out, vectors)
    seconds = time.perf_counter() - started
    result = {"images": len(vectors), "seconds": seconds, "images_per_second": len(vectors) / seconds}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
