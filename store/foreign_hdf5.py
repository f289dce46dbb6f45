"""HDF5 files that somebody else made. The library crashes on some damaged ones and hangs on others.

So a child process reads such a file to its end before this process opens it. Run as a module, this is the child.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.errors import StoreError, first_line

_CHILD = (sys.executable, "-P", "-m", "store.foreign_hdf5")
_BLOCK_BYTES = 16 << 20
_LARGEST_RATIO = 1100  # deflate turns one byte into at most 1032
_UNREADABLE = 3


@contextmanager
def open_foreign(path: Path, patience_s: float) -> Iterator[dict[str, Any]]:
    """The plain datasets in the root of an HDF5 file by name, as h5py has them. No link is followed.

    Raises StoreError if the library crashes on the file, or shows no sign of life for so many seconds.
    """
    _try_in_child([*_CHILD, str(path)], path, patience_s)
    with h5py.File(path, "r") as file:
        yield _plain_datasets(file)


def _try_in_child(command: Sequence[str], path: Path, patience_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:  # noqa: S603
        try:
            if not _lives(child, patience_s):
                raise StoreError(
                    f"{path}: the HDF5 library stood still on it for {patience_s:g} seconds and was stopped. The file "
                    "is damaged, or made to do harm; ask for the vectors as .npy or .npz."
                )
            reason = child.stderr.read().decode(errors="replace").strip() if child.stderr else ""
        finally:
            child.kill()
    if child.returncode == _UNREADABLE:
        raise OSError(reason)
    if child.returncode:
        how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
        raise StoreError(
            f"{path}: the HDF5 library crashed on it ({how}). The file is damaged, or made to do harm; ask for the "
            "vectors as .npy or .npz."
        )


def _lives(child: subprocess.Popen[bytes], patience_s: float) -> bool:
    """Waits for the child's end; False if it says nothing for too long."""
    while child.stdout and select.select([child.stdout], [], [], patience_s)[0]:
        if not os.read(child.stdout.fileno(), 1 << 16):
            with suppress(subprocess.TimeoutExpired):
                child.wait(patience_s)
                return True
            break
    return False


def _plain_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    return {name: file[name] for name in file if _is_plain(file, name)}


def _is_plain(file: h5py.File, name: str) -> bool:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return False
    dataset = file[name]
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.shape is None
        or dataset.external
        or dataset.is_virtual
    ):
        return False
    if dataset.nbytes > _LARGEST_RATIO * file.id.get_filesize():
        raise OSError(
            f"its dataset {name!r} says that it has {dataset.nbytes:,} bytes, far more than the file"
        )
    return True


def _read_all(path: str) -> None:
    """Reads every value, and writes a byte for each block as a sign of life."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with h5py.File(path, "r") as file:
            for dataset in _plain_datasets(file).values():
                if not dataset.ndim or not (
                    dataset.dtype.kind in "fiuS" or h5py.check_string_dtype(dataset.dtype)
                ):
                    continue
                row_bytes = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=object))
                rows = max(1, _BLOCK_BYTES // max(1, row_bytes))
                for start in range(0, len(dataset), rows):
                    _ = dataset[start : start + rows]
                    os.write(sys.stdout.fileno(), b".")
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, MemoryError) as error:
        sys.stderr.write(first_line(error))
        sys.exit(_UNREADABLE)


if __name__ == "__main__":
    _read_all(sys.argv[1])
