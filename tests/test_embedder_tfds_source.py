"""Data sets of TensorFlow Datasets, made by its own builders in the test. TensorFlow takes seconds to load."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedder.errors import ImageError, SourceError
from embedder.images import decode_rgb
from embedder.sources import open_source, read_entry, reader_at
from store.folders import folder_and_split
from store.keras_setup import load_keras

pytestmark = pytest.mark.keras


def png(number: int) -> bytes:
    """A grey picture, another one for each number."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((10, 12, 3), number, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def tfds() -> Any:
    load_keras()
    return pytest.importorskip("tensorflow_datasets", reason="tfds: sources need the extra embank[tfds]")


@pytest.fixture(scope="module")
def beasts(tfds: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared data set of five training and three test images; the folder that it lies in."""

    class TinyBeasts(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(),
                "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                "age": np.int64,
                "owner": tfds.features.Text(),
                "mask": tfds.features.Image(),
                "box": tfds.features.BBoxFeature(),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager: Any) -> dict[str, Any]:
            return {"train": self._generate_examples(0, 5), "test": self._generate_examples(5, 8)}

        def _generate_examples(self, first: int, last: int) -> Any:
            for number in range(first, last):
                yield (
                    number,
                    {
                        "image": io.BytesIO(png(number)),
                        "label": number % 2 if number else -1,
                        "age": number,
                        "owner": f"ö{number}",
                        "mask": np.zeros((10, 12, 3), np.uint8),
                        "box": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
                    },
                )

    builder = tfds.builder("tiny_beasts", data_dir=tmp_path_factory.mktemp("tfds"))
    builder.download_and_prepare()
    return str(builder.data_path)


def test_images_are_the_original_bytes_with_their_labels(beasts: str) -> None:
    source = open_source(f"tfds:{beasts}")
    assert (source.name, source.location) == ("tiny_beasts", f"tfds:{beasts}")
    assert [entry.key for entry in source.entries] == [f"test/{number:06}" for number in range(3)] + [
        f"train/{number:06}" for number in range(5)
    ]
    assert source.labels is not None
    assert set(source.labels.columns) == {"label", "age", "owner"}
    labels = source.labels.table.set_index("key")
    for entry in source.entries:
        data = read_entry(entry)
        number = decode_rgb(data, 1).getpixel((0, 0))[0]  # type: ignore[index]
        assert data == png(number)
        assert entry.bytes == len(data)
        row = labels.loc[entry.key]
        assert (row["age"], row["owner"]) == (number, f"ö{number}")
        assert row["label"] == ["cat", "dog"][number % 2] if number else np.isnan(row["label"])
    read, again = reader_at(source.location), reader_at(source.location, whole=True)
    assert [again(entry.key) for entry in source.entries] == [read_entry(entry) for entry in source.entries]
    with pytest.raises(ImageError, match="with all others"):
        read("train/000001")
    columns = folder_and_split(labels.index.to_series())
    assert columns["split"].value_counts().to_dict() == {"train": 5, "test": 3}


def test_one_split_and_a_second_listing(beasts: str) -> None:
    train = open_source(f"tfds:{beasts}:train")
    assert len(train.entries) == 5
    assert (train.name, train.location) == ("tiny_beasts-train", f"tfds:{beasts}:train")
    assert train.entries == open_source(f"tfds:{beasts}:train").entries
    moved = {entry.key: (entry.bytes, entry.mtime) for entry in open_source(f"tfds:{beasts}").entries}
    assert all(moved[entry.key] == (entry.bytes, entry.mtime) for entry in train.entries)


def test_what_cannot_be_had_is_one_sentence(
    tfds: Any, beasts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for spec, told in (
        (f"tfds:{beasts}:val", "has no split 'val': expected one of test, train"),
        ("tfds:no_such_beasts", "no_such_beasts cannot be had: .*not found"),
        ("tfds:", "names no data set"),
        ("tfds::train", "names no data set"),
    ):
        with pytest.raises(SourceError, match=told):
            open_source(spec)
    with pytest.raises(SourceError, match=r"tiny_beasts is not on this machine: .* would be downloaded"):
        open_source("tfds:tiny_beasts", may_download=False)
    assert open_source("tfds:tiny_beasts").entries == open_source(f"tfds:{beasts}").entries


def test_without_the_extra_the_package_is_named() -> None:
    """In a process of its own, in which the package is not there."""
    program = (
        "import sys; from types import SimpleNamespace as Fake; sys.modules['tensorflow_datasets'] = None\n"
        "sys.modules['keras'] = Fake(backend=Fake(backend=lambda: 'none'))\n"
        "from embedder.sources import open_source\nopen_source('tfds:mnist')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "SourceError: tfds:mnist needs the package tensorflow-datasets" in ended.stderr
    assert "embank[tfds]" in ended.stderr
