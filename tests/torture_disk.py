"""Stands between a job and the file system: sees each call that changes a tree, in order, and may refuse it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import store


@dataclass(frozen=True)
class Call:
    """One call. kind: `mkdir`, `create`, `open` (to sync a directory), `write`, `fsync`, `rename` or `unlink`.

    path: absolute; of a descriptor, where it was opened. data: what is written. target: of a rename. site: the
    file and line of the store that calls.
    """

    kind: str
    path: str
    data: bytes = b""
    target: str = ""
    site: tuple[str, int] = ("", 0)


Watch = Callable[[Call], None]


@contextmanager
def watched(root: Path, before: Watch = lambda _: None, after: Watch = lambda _: None) -> Iterator[None]:
    """Calls `before` and `after` around each call on `root`; what `before` raises, the caller sees.

    A write is done by half if it is refused, as on a disk that fills up. Calls that fail by themselves have no
    `after`. Reading is not watched.
    """
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "mkdir", "unlink")}
    opened: dict[int, str] = {}
    inside = f"{root}{os.sep}"

    def watch(call: Call, act: Callable[[], Any], when_refused: Callable[[], Any] = lambda: None) -> Any:
        try:
            before(call)
        except OSError:
            when_refused()
            raise
        result = act()
        after(call)
        return result

    def open_(path: Any, flags: int, *rest: Any, **options: Any) -> Any:
        reads = not flags & os.O_CREAT and not Path(path).is_dir()
        if reads or not f"{path}{os.sep}".startswith(inside):
            return real["open"](path, flags, *rest, **options)
        call = Call("create" if flags & os.O_CREAT else "open", str(path), site=_site())
        descriptor = watch(call, lambda: real["open"](path, flags, *rest, **options))
        opened[descriptor] = str(path)
        return descriptor

    def write(descriptor: int, data: Any) -> Any:
        if descriptor not in opened:
            return real["write"](descriptor, data)
        call = Call("write", opened[descriptor], data=bytes(data), site=_site())
        half = data[: len(data) // 2]
        return watch(call, lambda: real["write"](descriptor, data), lambda: real["write"](descriptor, half))

    def fsync(descriptor: int) -> Any:
        if descriptor not in opened:
            return real["fsync"](descriptor)
        return watch(Call("fsync", opened[descriptor], site=_site()), lambda: real["fsync"](descriptor))

    def close(descriptor: int) -> None:
        opened.pop(descriptor, None)
        close_really(descriptor)

    def replace(path: Any, target: Any, **options: Any) -> Any:
        if not str(target).startswith(inside):
            return real["replace"](path, target, **options)
        call = Call("rename", str(path), target=str(target), site=_site())
        return watch(call, lambda: real["replace"](path, target, **options))

    def on_path(name: str) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **options: Any) -> Any:
            if not str(path).startswith(inside):
                return real[name](path, *rest, **options)
            return watch(Call(name, str(path), site=_site()), lambda: real[name](path, *rest, **options))

        return call

    close_really = os.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_)
        patch.setattr(os, "write", write)
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "close", close)
        patch.setattr(os, "replace", replace)
        patch.setattr(os, "mkdir", on_path("mkdir"))
        patch.setattr(os, "unlink", on_path("unlink"))
        yield


_PACKAGE = str(Path(store.__file__).parent)


def _site() -> tuple[str, int]:
    """The innermost line of the store that led here."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return (Path(frame.f_code.co_filename).name, frame.f_lineno) if frame else ("", 0)
