"""HDF5 images: built in memory by the HDF5 library, and read without it.

The library never writes to disk here: on a full disk its own writing segfaults. It never reads here either: a
stranger's file can make it crash, hang or open other files.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.errors import StoreError, StoreFormatError, first_line
from store.files import json_object, open_file, unreadable
from store.plain_hdf5 import PlainDataset, PlainFile
from store.version import FORMAT_VERSION

ABOUT = "about"
_IMAGE_GROWTH = 1 << 16
_CONTIGUOUS, _NOWHERE = b"\x03\x01", b"\xff" * 8
_END_OF_FILE = 40
_ALIGNMENT = 64


def build_image(
    datasets: Mapping[str, NDArray[Any]],
    about: Mapping[str, Any],
    declared: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> bytes:
    """The bytes of an HDF5 file with these contiguous datasets, and what it is as JSON in the dataset `about`.

    declared: datasets that get a name, a shape and a type like these, but no place and no values.
    The same input gives the same bytes: no times are tracked. There are no attributes and no types of variable
    length: the library was seen to crash and to hang on damaged ones.
    """
    import h5py  # a tenth of a second, and only writers need it

    name = f"image-{id(datasets)}"
    options = {"driver": "core", "backing_store": False, "block_size": _IMAGE_GROWTH, "libver": "earliest"}
    with h5py.File(name, "w", **options) as file:
        for key, array in {ABOUT: _to_text({"format": FORMAT_VERSION, **about}), **datasets}.items():
            file.create_dataset(key, data=array, track_times=False)
        for key, array in declared.items():
            file.create_dataset(key, shape=array.shape, dtype=array.dtype, track_times=False)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def build_frame(
    datasets: Mapping[str, NDArray[Any]], about: Mapping[str, Any], name: str, array: NDArray[Any]
) -> bytes:
    """All bytes of an HDF5 file but those of the dataset `name`, which are to follow: frame + array's bytes.

    The library would copy a large array twice, which takes longer than to write it. So the dataset is declared
    and left unallocated, and its place is then filled in where the file format has it: in the layout message
    (version 3, class 1, address, size) and the end of file of the superblock (version 0), neither of which has
    a checksum. See "HDF5 File Format Specification Version 3.0", II.A and IV.A.2.i.
    """
    image = bytearray(build_image(datasets, about, {name: array}))
    unallocated = _CONTIGUOUS + _NOWHERE + struct.pack("<Q", array.nbytes)
    if image.count(unallocated) != 1 or struct.unpack_from("<Q", image, _END_OF_FILE) != (len(image),):
        raise RuntimeError(
            "this HDF5 library lays files out in another way than those that embank was tested with"
        )
    message = image.index(unallocated)
    image += bytes(-len(image) % _ALIGNMENT)
    struct.pack_into("<Q", image, message + len(_CONTIGUOUS), len(image))
    struct.pack_into("<Q", image, _END_OF_FILE, len(image) + array.nbytes)
    return bytes(image)


@contextmanager
def open_image(source: Path | bytes, path: Path) -> Iterator[PlainFile]:
    """Opens a file, or the bytes of one, for reading; whatever is wrong with it becomes one sentence on `path`."""
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else open_file(source) as file:
            plain = PlainFile(file)
            _check_format(plain, path)
            yield plain
    except (FileNotFoundError, StoreError):
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        raise StoreFormatError(
            f"{path} is damaged or is not a file of this store ({first_line(error)}). "
            "`embank verify` lists all damage; delete the file and run the embed again to make its rows anew."
        ) from error


def read_about(file: PlainFile) -> dict[str, Any]:
    """What `build_image` was told about the file. Raises ValueError if that is not there."""
    return json_object(read_array(file, ABOUT, 1, "u1").tobytes())


def plain_dataset(file: PlainFile, name: str, dimensions: int, *dtypes: str) -> PlainDataset:
    """The dataset `name`, after seeing that it has so many dimensions and one of these types."""
    dataset = file.get(name)
    if dataset is None:
        raise ValueError(f"{name!r} is missing")
    if dataset.dtype.str[1:] not in dtypes or len(dataset.shape) != dimensions:
        raise ValueError(f"{name!r} has type {dataset.dtype} and shape {dataset.shape}")
    return dataset


def read_array(file: PlainFile, name: str, dimensions: int, *dtypes: str) -> NDArray[Any]:
    """The whole of a dataset."""
    return file.array(plain_dataset(file, name, dimensions, *dtypes))


def _check_format(file: PlainFile, path: Path) -> None:
    version = read_about(file)["format"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise StoreFormatError(
            f"{path} is of format {version}, this embank reads formats up to {FORMAT_VERSION}. "
            "Upgrade with `pip install --upgrade embank`."
        )


def _to_text(value: Mapping[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), np.uint8)
