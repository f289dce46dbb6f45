"""What is installed here, and what of it does not fit: each finding is one line with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OK, NOTE, WRONG = "ok", "note", "wrong"
_LITTLE = 5e9  # bytes; weights of one large backbone take half a gigabyte, its conversion as much
_EXTRAS = {  # by package: what it is for, and what installs it
    "tensorflow-datasets": ("tfds: sources", "pip install 'embank[tfds]'"),
    "s3fs": ("s3:// URLs", "pip install s3fs"),
    "gcsfs": ("gs:// URLs", "pip install gcsfs"),
}


@dataclass(frozen=True)
class Finding:
    """state: `ok`, `note` (it works, but somebody may want to know) or `wrong`. do: what to do, if anything."""

    about: str
    state: str
    found: str
    do: str | None = None


def installed() -> dict[str, str | None]:
    """The version of each library that embank requires, None where it is missing, by its name."""
    return {requirement.name: _version(requirement.name) for requirement in _requirements()}


def findings() -> Iterator[Finding]:
    """About everything but the engines, none of which is loaded."""
    import embank

    yield Finding(
        "embank",
        OK,
        f"{embank.__version__}, Python {platform.python_version()} at {sys.executable}, {platform.platform()}",
    )
    yield from _libraries()
    yield from _extras()
    yield from _processor()
    yield from _caches()
    yield _weights()


def _requirements() -> list[Requirement]:
    from packaging.requirements import Requirement

    return [Requirement(text) for text in requires("embank") or [] if "extra ==" not in text]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _libraries() -> Iterator[Finding]:
    sound = []
    for requirement in _requirements():
        here = _version(requirement.name)
        if here and requirement.specifier.contains(here, prereleases=True):
            sound.append(f"{requirement.name} {here}")
            continue
        needed = str(requirement)
        found = (
            f"{requirement.name} {here} is not what embank was tested with"
            if here
            else f"{requirement.name} is missing"
        )
        yield Finding("libraries", WRONG, found, f"pip install '{needed}'")
    yield Finding("libraries", OK, ", ".join(sound))


def _extras() -> Iterator[Finding]:
    for name, (what, how) in _EXTRAS.items():
        here = _version(name)
        if here:
            yield Finding("extras", OK, f"{name} {here}: {what}")
        else:
            yield Finding("extras", NOTE, f"{name} is not installed: {what} cannot be read", how)


def _processor() -> Iterator[Finding]:
    from embedder.machine import processor_features, processor_name, usable_processors

    features = processor_features()
    name = f"{usable_processors()} of {os.cpu_count()} cores of {processor_name()}"
    if "amx_bf16" in features:
        yield Finding(
            "processor",
            OK,
            f"{name}; bfloat16 in AMX tiles",
            "--precision bfloat16 is several times as quick",
        )
    elif features & {"avx512_bf16", "bf16"}:
        yield Finding(
            "processor", OK, f"{name}; bfloat16 without AMX", "--precision bfloat16 may be quicker: try it"
        )
    else:
        yield Finding("processor", NOTE, f"{name}; no bfloat16 units", "keep to --precision float32")
    if "x86" in platform.machine() and features and "avx2" not in features:
        yield Finding(
            "processor", NOTE, "it has no AVX2, so that embedding is slow", "embed on a newer machine"
        )


def _caches() -> Iterator[Finding]:
    from embedder.user_cache import cache_directory

    models = cache_directory("models")
    converted = len(list(models.glob("[!.]*"))) if models.is_dir() else 0
    yield _place(
        "cache", cache_directory(), f"{converted} converted models", "set EMBANK_CACHE to another folder"
    )
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    yield _place("cache", home, "weights that Keras downloaded", "set KERAS_HOME to another folder")
    yield _place(
        "temporary files", Path(tempfile.gettempdir()), "", "set TMPDIR to another folder", measured=False
    )


def _place(about: str, directory: Path, what: str, elsewhere: str, measured: bool = True) -> Finding:
    """Whether a folder, or the one that it would be made in, can be written and has room."""
    from store.files import bytes_below

    there = next(place for place in (directory, *directory.parents) if place.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return Finding(
            about, WRONG, f"{directory} cannot be written", f"mend its permissions, or {elsewhere}"
        )
    free = shutil.disk_usage(there).free
    size = bytes_below(directory) / 1e6 if measured and directory.is_dir() else 0
    held = f"{what}, {size:.0f} MB; " if measured and directory.is_dir() else ""
    found = f"{directory}: {held}{free / 1e9:.0f} GB free"
    if free < _LITTLE:
        return Finding(about, NOTE, found, f"make room, or {elsewhere}")
    return Finding(about, OK, found)


def _weights() -> Finding:
    from embedder.backbones import BACKBONES
    from embedder.weights import imagenet_is_here

    with suppress(OSError):
        here = [backbone.name for backbone in BACKBONES.values() if imagenet_is_here(backbone)]
        if here:
            return Finding("weights", OK, f"ImageNet weights of {', '.join(here)} are here")
    return Finding(
        "weights",
        NOTE,
        "no ImageNet weights are here",
        "Keras downloads them at first use; offline, pass --weights FILE",
    )
