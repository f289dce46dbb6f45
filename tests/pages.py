"""Pages in the Chromium that is installed; what goes wrong on them and what they ask for is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install '.[dev]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")


@dataclass(frozen=True)
class Opened:
    """A page, and what went wrong or was asked for on it."""

    page: Any
    problems: list[str]
    requests: list[str]


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, until the block ends."""
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, address: str, width: int, height: int, scheme: str, **options: Any) -> Opened:
    """A page of this size in the `light` or `dark` scheme, once it has loaded; `options` are those of `new_page`."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, **options)
    one = Opened(page, [], [])
    page.on("console", lambda message: one.problems.append(message.text))
    page.on("pageerror", lambda error: one.problems.append(str(error)))
    page.on("request", lambda request: one.requests.append(request.url))
    page.goto(address, wait_until="load")
    return one
