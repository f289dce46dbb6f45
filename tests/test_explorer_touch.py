"""The explorer by finger, on a telephone's screen and on a large one: nothing needs a mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.explored import EACH, FOLDERS, banked, explorer, photos
from tests.pages import chromium, needs_chromium, sync_api
from tests.test_explorer_browser import classes_become, opened

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(params=[390, 1280])
def page(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The explorer on a screen without a mouse."""
    width = request.param
    with explorer(banked(photos(tmp_path / "photos"), tmp_path / "photos.embank")) as address:
        one = opened(browser, address, width, has_touch=True, is_mobile=width < 500)
        yield one.page
        assert one.problems == []
        one.page.close()


def finger(page: Any, *places: tuple[float, float]) -> None:
    """A finger goes from place to place and is lifted; touches, not a mouse's events."""
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )

    send("touchStart", places[0])
    for (x, y), (to_x, to_y) in pairwise(places):
        for step in range(1, 9):
            send("touchMove", (x + (to_x - x) * step / 8, y + (to_y - y) * step / 8))
    page.wait_for_timeout(150)  # it rests: a fling would swallow the next tap
    send("touchMove", places[-1])
    send("touchEnd")


def middle(element: Any) -> tuple[float, float]:
    box = element.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_fingers_regroup(page: Any) -> None:
    dialog = page.get_by_role("dialog")
    grip, onto = (middle(page.locator(".column[data-code]").nth(i).locator(".grip")) for i in range(2))
    finger(page, grip, (grip[0] + 20, grip[1] + 40), (onto[0] + 40, onto[1] + 60))
    classes_become(page, ["bee", "cat", "dog"])
    page.locator(".toast").get_by_role("button", name="Undo").tap()
    classes_become(page, list(FOLDERS))
    sync_api.expect(page.locator(".toast")).to_have_count(0)
    page.get_by_role("button", name="Rename ant").tap()
    page.keyboard.type("emmet")
    page.get_by_role("heading", name="4 classes").tap()  # away from the field
    classes_become(page, ["emmet", "bee", "cat", "dog"])
    for act, then, expected in (
        ("Split …", "Split", ["emmet 1", "emmet 2", "bee", "cat", "dog"]),
        ("Merge into …", "Merge", ["emmet 2", "bee", "cat", "dog"]),
        ("Drop", "", ["bee", "cat", "dog"]),
    ):
        page.locator(".column[data-code='0'] .more").tap()
        page.get_by_role("menuitem", name=act).tap()
        if then:
            dialog.get_by_role("button", name=then).tap()
        classes_become(page, expected)


def test_fingers_relabel_and_scroll(page: Any) -> None:
    photo = page.locator(".column[data-code='0'] .card[data-id]").first
    photo.tap()
    sync_api.expect(page.locator("#relabel")).to_contain_text("1 image selected")
    page.locator("#relabel .legend").get_by_role("button", name="cat").tap()
    page.get_by_role("status").filter(has_text="1 image is now cat").wait_for()
    board = page.locator(".columns")
    x, y = middle(page.locator(".column[data-code='0'] .grid"))
    if board.evaluate("each => each.scrollWidth > each.clientWidth + 100"):
        finger(page, (x + 80, y), (x - 80, y))
        first = page.locator(".column[data-code='0']")
        sync_api.expect(first).not_to_be_in_viewport(ratio=0.9)
    page.get_by_role("tab", name="Images").tap()
    page.get_by_role("button", name="All images").tap()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{4 * EACH} images")
    card = page.locator("#look .card[data-id]").nth(1)
    hidden = card.locator(".similar").bounding_box()
    page.touchscreen.tap(hidden["x"] + 9, hidden["y"] + 9)  # the photo is seen there
    sync_api.expect(page.locator("#relabel")).to_contain_text("1 image selected")
    card.locator(".similar").tap()
    sync_api.expect(page.locator("#look h2")).to_have_text(re.compile("^Like "))
    seen = page.locator("#look .photo").first
    seen.tap()
    seen.tap()
    page.get_by_role("dialog").wait_for()
    page.get_by_role("button", name="Close", exact=True).tap()
    if page.viewport_size["width"] < 500:
        page.get_by_role("tab", name="Figures").tap()
    cell = page.locator(".matrix .miss:not(.s0)").first
    number = int(cell.inner_text())
    cell.tap()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(
        f"{number} image{'s' if number > 1 else ''}"
    )


def test_a_finger_draws_loops_on_the_map(page: Any) -> None:
    page.get_by_role("tab", name="Map").tap()
    sync_api.expect(page.locator(".chips button")).to_have_count(5)
    box = page.locator(".map canvas").bounding_box()
    left, top = box["x"] + 2, box["y"] + 2
    right, bottom, across = left + box["width"] - 4, top + box["height"] - 4, left + box["width"] / 2

    def loop(left: float, right: float) -> None:
        finger(page, (left, top), (right, top), (right, bottom), (left, bottom), (left, top))

    selected = page.locator("#relabel > b")
    loop(left, across)
    sync_api.expect(selected).to_have_text(re.compile(r"^\d+ images selected$"))
    assert 0 < int(selected.inner_text().split()[0]) < 4 * EACH
    page.get_by_role("button", name="Loops add").tap()
    loop(across, right)
    sync_api.expect(selected).to_have_text(f"{4 * EACH} images selected")
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    page.get_by_role("button", name="Clear").tap()
    x, y = page.evaluate("fetch('api/map').then(answer => answer.json()).then(map => [map.x[0], map.y[0]])")
    box, edge = page.locator(".map canvas").bounding_box(), 14  # pixels around the places
    page.touchscreen.tap(
        box["x"] + edge + x * (box["width"] - 2 * edge),
        box["y"] + box["height"] - edge - y * (box["height"] - 2 * edge),
    )
    sync_api.expect(page.locator("#relabel")).to_contain_text("1 image selected")
    sync_api.expect(page.locator(".tip")).to_be_visible()
