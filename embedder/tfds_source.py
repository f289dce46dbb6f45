"""A data set of TensorFlow Datasets as a source: `tfds:NAME[:SPLIT]`, an optional extra."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from embedder.entries import Entry, Source, name_after, stamp_of
from embedder.errors import SourceError
from embedder.temporary_files import Slices, write_temporarily
from store.errors import first_line
from store.keras_setup import load_keras
from store.labels import make_label_table

TFDS = "tfds:"


def tfds_source(spec: str, name: str | None, may_download: bool) -> Source:
    """Lists a data set by a name such as `tfds:beans`, with `:SPLIT` one split of it.

    Keys are the split and the number in it, `train/000123`; features that are one class, text or number become
    a label table. The records can only be read in their order, and say nothing of their images before, so
    listing reads all of them and copies the images as they are to a temporary file. TensorFlow is loaded:
    the library reads its records with it. Raises SourceError.
    """
    builder, given_split = _builder(spec, may_download)
    image = _image_feature(builder)
    splits = [given_split] if given_split else sorted(builder.info.splits)
    name = name or name_after("-".join(filter(None, [builder.info.name, given_split])))
    file = tempfile.TemporaryFile()  # noqa: SIM115 (its reader closes it)
    reader, offset = Slices(file), 0
    entries: list[Entry] = []
    rows: list[dict[str, object]] = []
    for split, number, example in _examples(builder, image, splits):
        data, key = bytes(example[image]), f"{split}/{number:06d}"
        write_temporarily(file, data, spec)
        entries.append(Entry(key, str(offset), len(data), stamp_of(data), reader))
        offset += len(data)
        rows.append({"key": key} | _labels(builder.info.features, example))
    file.flush()
    if not entries:
        raise SourceError(f"there is no image in {spec}.")
    entries.sort(key=lambda entry: entry.key)
    table = pd.DataFrame(rows)
    labels = make_label_table(name, table, source=name, column="key")[0] if len(table.columns) > 1 else None
    return Source(name, _location(spec), entries, labels)


def _location(spec: str) -> str:
    """The spec as it may be given from anywhere."""
    name, colon, split = spec.removeprefix(TFDS).partition(":")
    return TFDS + (str(Path(name).resolve()) if _is_prepared_folder(name) else name) + colon + split


def _is_prepared_folder(name: str) -> bool:
    return (Path(name) / "dataset_info.json").is_file()


def _builder(spec: str, may_download: bool) -> tuple[Any, str]:
    """The data set, on this machine, and the split that was asked for or an empty name."""
    try:
        load_keras()  # with TensorFlow, in the order and with the settings that it wants
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SourceError(
            f"{spec} needs the package tensorflow-datasets ({error}): pip install 'embank[tfds]' adds it."
        ) from error
    wanted = spec.removeprefix(TFDS)
    name, _, split = wanted.partition(":")
    if not name:
        raise SourceError(f"{spec} names no data set: expected tfds:NAME or tfds:NAME:SPLIT.")
    try:
        builder = tfds.builder_from_directory(name) if _is_prepared_folder(name) else tfds.builder(name)
        if not builder.is_prepared():
            if not may_download:
                size = builder.info.download_size or "an unknown size"
                raise SourceError(f"the data set {name} is not on this machine: {size} would be downloaded.")
            builder.download_and_prepare()
    except SourceError:
        raise
    except Exception as error:  # a registry, a download and a user's own code are behind this
        raise SourceError(f"the data set {name} cannot be had: {first_line(error).rstrip('.')}.") from error
    if split and split not in builder.info.splits:
        raise SourceError(
            f"the data set {name} has no split {split!r}: expected one of {', '.join(sorted(builder.info.splits))}."
        )
    return builder, split


def _image_feature(builder: Any) -> str:  # noqa: ANN401
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [name for name, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not images:
        raise SourceError(
            f"the data set {builder.info.name} has no image: its features are {', '.join(features)}."
        )
    return "image" if "image" in images else str(images[0])


def _examples(builder: Any, image: str, splits: list[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:  # noqa: ANN401
    """Examples with their split and number, images still encoded, in the order in which they are stored."""
    import tensorflow_datasets as tfds

    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    for split in splits:
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders={image: tfds.decode.SkipDecoding()},
            read_config=in_order,
        )
        for number, example in enumerate(tfds.as_numpy(dataset)):
            yield split, number, example


def _labels(features: Any, example: dict[str, Any]) -> dict[str, object]:  # noqa: ANN401
    """The features of an example that a table can hold: classes by their name, text, numbers."""
    import tensorflow_datasets as tfds

    labels: dict[str, object] = {}
    for name, feature in features.items():
        value = example[name]
        if isinstance(feature, tfds.features.Image):
            continue
        if isinstance(feature, tfds.features.ClassLabel):
            labels[name] = feature.int2str(int(value)) if value >= 0 else None  # -1: not told
        elif isinstance(value, bytes):
            labels[name] = value.decode("utf-8", "backslashreplace")
        elif isinstance(value, np.generic) and value.dtype.kind in "iufb":
            labels[name] = value.item()
    return labels
