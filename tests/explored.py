"""Stores to explore, of photos made by code, and `embank explore` on them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from embedder import Recipe, embed
from tests.conftest import FakeEngines, draw

FOLDERS = ("ant", "bee", "cat", "dog")
EACH = 15  # photos of a folder
ROOT = Path(__file__).parents[1]


def photos(folder: Path) -> Path:
    """Photos of four classes that look alike within each, some of which lie in the wrong folder."""
    for code, name in enumerate(FOLDERS):
        for number in range(EACH):
            looks = code if number else (code + 1) % len(FOLDERS)
            photo = Image.blend(draw(looks, (64, 48)), draw(100 * code + number + 9, (64, 48)), 0.25)
            (folder / name).mkdir(parents=True, exist_ok=True)
            photo.save(folder / name / f"{number:02}.png")
    return folder


def banked(folder: Path, store: Path) -> Path:
    engines = FakeEngines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedder.engine_set.open_engine", engines.open)
        patch.setattr("embedder.engine_set.is_known", lambda *_: True)
        embed(folder, store, Recipe("MobileNetV2", weights="none", image_size=32))
    return store


@contextmanager
def explorer(store: Path, *options: str) -> Iterator[str]:
    """`embank explore` on a port of its own; gives the address that it prints."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    command = [sys.executable, "-m", "embank", "explore", str(store), "--no-browser", "--port", "0", *options]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=store.parent,  # where schemes are saved
        env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            found = None
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+/\S*", line)
                if found:
                    break
            assert found, process.stderr.read()
            yield found.group()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=20)
            finally:
                process.kill()
