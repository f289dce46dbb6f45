"""What all tests share: a home and a cache of their own, photos made by code, and an engine without Keras."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from embank.cli import main
from embedder.images import decode
from embedder.recipe import FrozenRecipe, Recipe
from embedder.weights import known_digest

WritePhoto = Callable[..., Path]

# Files that take longest, the longest first: begun last, one of them would keep one worker busy and no other.
LONG_FILES = (
    "test_embedder_ray.py",
    "test_embedder_engines.py",
    "test_explorer_browser.py",
    "test_examples.py",
    "test_store_s3.py",
    "test_embank_export.py",
    "test_embank_cli.py",
    "test_explorer_touch.py",
    "test_torture_power.py",
    "test_torture_kill.py",
    "test_hostile.py",
    "test_classifiers_by_parts.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first."""
    places = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real photos and weights."""
    folder = Path(os.environ.get("EMBANK_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"there are no real photos and weights at {folder} (EMBANK_SHARED names another place)")
    return folder


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, which all of a process share, empty before and after."""
    import fsspec

    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's home or caches. The workers of a run share a cache."""
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(run / "home"))
        patch.setenv("XDG_CACHE_HOME", str(run / "home" / ".cache"))
        patch.setenv("KERAS_HOME", str(run / "home" / ".keras"))
        patch.setenv("EMBANK_CACHE", str(run / "cache"))
        yield


def draw(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """An RGB picture of its own colours and blobs, of this width and height."""
    rng = np.random.default_rng(seed)
    blobs = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def write_photo() -> WritePhoto:
    """`write_photo(path, seed, size=(width, height))` draws a photo, another one for each seed."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30), **options: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(seed, size).save(path, **options)
        return path

    return write


@pytest.fixture
def photos(tmp_path: Path, write_photo: WritePhoto) -> Path:
    """A folder of eight photos in two class folders."""
    folder = tmp_path / "photos"
    for number in range(8):
        write_photo(folder / ("cats", "dogs")[number % 2] / f"{number}.jpg", number, size=(40 + number, 30))
    return folder


class FakeEngine:
    """An engine whose vectors depend on every pixel and on the recipe, but not on the batch."""

    description = "fake"
    streams = 2
    dim = 6

    shape: tuple[int, ...] = (dim,)

    def __init__(self, recipe: FrozenRecipe, batch_size: int, engines: FakeEngines) -> None:
        self.recipe, self.batch_size, self._engines = recipe, batch_size, engines
        self.streams = engines.streams or self.streams
        rng = np.random.default_rng(int(recipe.fingerprint, 16))
        self._projection = rng.standard_normal((recipe.image_size**2 * 3, self.dim)) / 255

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert pictures.dtype == np.uint8
        assert pictures.shape[1:] == (self.recipe.image_size, self.recipe.image_size, 3)
        assert 0 < len(pictures) <= self.batch_size
        self._engines.before_batch(len(pictures))
        self._engines.batches.append(len(pictures))
        vectors = [picture.astype(np.float64).ravel() @ self._projection for picture in pictures]
        return self._engines.change(np.stack(vectors).astype(np.float32))


class FakeEngines:
    """Stands for embedder.engines: opens fake engines and counts what they are given.

    before_batch: called with the number of pictures before each batch. change: has the last word on vectors.
    streams: how many batches run at once, if not as many as ever; with 1 they run in order.
    """

    def __init__(self) -> None:
        self.opened: list[FakeEngine] = []
        self.batches: list[int] = []
        self.streams = 0
        self.before_batch: Callable[[int], None] = lambda count: None
        self.change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda vectors: vectors

    def open(
        self, recipe: Recipe, engine: str = "auto", batch_size: int | None = None, threads: int = 1
    ) -> FakeEngine:
        """What open_engine does."""
        self.opened.append(FakeEngine(recipe.freeze(str(known_digest(recipe))), batch_size or 16, self))
        return self.opened[-1]

    @property
    def pictures(self) -> int:
        """How many pictures went through the engines so far."""
        return sum(self.batches)

    def vector(self, recipe: Recipe, data: bytes) -> NDArray[np.float32]:
        """(dim,) the vector of an image file by this recipe, outside of any job."""
        frozen = recipe.freeze(str(known_digest(recipe)))
        picture = decode(data, {frozen.geometry}).squares[frozen.geometry]
        vectors = FakeEngine(frozen, 1, FakeEngines())(picture)
        return vectors.ravel()


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngines:
    """Jobs of this test run on fake engines: nothing is downloaded, Keras is not loaded, and no canary sings."""
    engines = FakeEngines()
    monkeypatch.setattr("embedder.engine_set.open_engine", engines.open)
    monkeypatch.setattr("embedder.engine_set.is_known", lambda *_: True)
    return engines


class Ran(NamedTuple):
    """What a command left: its exit status and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Embank = Callable[..., Ran]


@pytest.fixture
def embank(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Embank]:
    """Runs the command line in this process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["embank", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
