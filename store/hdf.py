"""HDF5 images: built in memory, and opened with nothing trusted.

The library never writes to disk here: on a full disk its own writing segfaults. What it reads must be
plain, contiguous and inside the file: external storage, links and virtual datasets can read other files.
"""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.errors import StoreFormatError, StoreReadError
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
    name = f"image-{id(datasets)}"
    with h5py.File(name, "w", driver="core", backing_store=False, block_size=_IMAGE_GROWTH) as file:
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
def open_image(source: Path | bytes, path: Path) -> Iterator[h5py.File]:
    """Opens a file, or the bytes of one, for reading; whatever HDF5 says becomes one sentence on `path`."""
    try:
        with h5py.File(
            io.BytesIO(source) if isinstance(source, bytes) else source, "r", locking=False
        ) as file:
            _check_format(file, path)
            yield file
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, StoreFormatError):
            raise
        if isinstance(error, OSError) and error.errno is not None:  # the file system's word, not HDF5's
            raise StoreReadError(f"{path} could not be read: {os.strerror(error.errno)}.") from error
        raise StoreFormatError(
            f"{path} is damaged or is not a file of this store ({_first_line(error)}). "
            "`embank verify` lists all damage; delete the file and run the embed again to make its rows anew."
        ) from error


def read_about(file: h5py.File) -> dict[str, Any]:
    """What `build_image` was told about the file. Raises ValueError if that is not there."""
    about = json.loads(read_array(file, ABOUT, 1, "u1").tobytes())
    if not isinstance(about, dict):
        raise ValueError(f"{ABOUT!r} is not a JSON object")
    return about


def plain_dataset(file: h5py.File, name: str, dimensions: int, *dtypes: str) -> h5py.Dataset:
    """The dataset `name`, after seeing that it is a plain array of one of these types inside this file."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is missing or is a link to elsewhere")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{name!r} is not a dataset")
    contiguous = dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS
    if not contiguous or dataset.external or (dataset.size and dataset.id.get_offset() is None):
        raise ValueError(f"{name!r} is not stored contiguously in this file")
    if dataset.dtype.str[1:] not in dtypes or dataset.ndim != dimensions:
        raise ValueError(f"{name!r} has type {dataset.dtype} and shape {dataset.shape}")
    end = (dataset.id.get_offset() or 0) + dataset.size * dataset.dtype.itemsize
    if dataset.size and end > file.id.get_filesize():
        raise ValueError(f"{name!r} is larger than its file")
    return dataset


def read_array(file: h5py.File, name: str, dimensions: int, *dtypes: str) -> NDArray[Any]:
    """The whole of a plain dataset."""
    array: NDArray[Any] = np.asarray(plain_dataset(file, name, dimensions, *dtypes)[()])
    return array


def _check_format(file: h5py.File, path: Path) -> None:
    version = read_about(file)["format"]
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise StoreFormatError(
            f"{path} is of format {version}, this embank reads formats up to {FORMAT_VERSION}. "
            "Upgrade with `pip install --upgrade embank`."
        )


def _to_text(value: Mapping[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), np.uint8)


def _first_line(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else type(error).__name__
    return text.splitlines()[0] if text else type(error).__name__
