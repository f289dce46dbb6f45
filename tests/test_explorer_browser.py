"""The explorer in a browser: classes merge and images are relabelled by pointer and keyboard, and figures follow."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray

from classifiers import fit_ridge_on_store, load_schemes
from embedder.thumbnails import EDGE, make_thumbnail
from store import FeatureStore
from store.thumbnail_cache import ThumbnailCache
from tests import pages
from tests.conftest import draw
from tests.explored import EACH, FOLDERS, banked, explorer, photos
from tests.pages import Opened, chromium, needs_chromium, sync_api
from tests.small_banks import small_bank, told_apart

pytestmark = needs_chromium

MANY = 10_000
PATIENCE = 300  # tenths of a second


def opened(browser: Any, address: str, width: int = 1280, scheme: str = "light", **options: Any) -> Opened:
    one = pages.opened(browser, address, width, 860, scheme, **options)
    one.page.wait_for_selector("html[data-ready]", state="attached")
    return one


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explored")
    return banked(photos(folder / "photos"), folder / "photos.embank")


@pytest.fixture
def bank(template: Path, tmp_path: Path) -> Path:
    """A store of its own for each test, of the same photos."""
    return Path(shutil.copytree(template, tmp_path / "photos.embank"))


@pytest.fixture
def address(bank: Path) -> Iterator[str]:
    with explorer(bank) as found:
        yield found


@pytest.fixture
def at(browser: Any, address: str) -> Iterator[Opened]:
    one = opened(browser, address)
    yield one
    one.page.close()


@pytest.fixture
def page(at: Opened) -> Any:
    return at.page


@pytest.fixture(scope="module")
def standing(template: Path) -> Iterator[str]:
    """The address of one server for all tests that change nothing."""
    with explorer(template) as found:
        yield found


@pytest.fixture
def untouched(browser: Any, standing: str) -> Iterator[Any]:
    """A page for a test that changes nothing."""
    one = opened(browser, standing)
    yield one.page
    one.page.close()


def names(page: Any) -> list[str]:
    """The classes on the board, in order."""
    found: list[str] = page.locator(".column[data-code] .title").all_text_contents()
    return [name.strip() for name in found]


def count(page: Any, name: str) -> int:
    """How many images the board says are in a class, whether its column is in view or not."""
    column = page.locator(".column[data-code]").filter(has=page.get_by_role("button", name=f"Rename {name}"))
    return int((column.locator(".facts span").first.text_content() or "").split()[0].replace(",", ""))


def accuracy(page: Any) -> str:
    text: str = page.locator("#headline .big b").inner_text()
    return text


def classes_become(page: Any, expected: list[str]) -> None:
    """Waits until the board has these classes, in any order."""
    for _ in range(PATIENCE):
        if sorted(names(page)) == sorted(expected):
            return
        page.wait_for_timeout(100)
    assert sorted(names(page)) == sorted(expected)


def drag(page: Any, start: Any, end: Any) -> None:
    a, b = start.bounding_box(), end.bounding_box()
    page.mouse.move(a["x"] + a["width"] / 2, a["y"] + a["height"] / 2)
    page.mouse.down()
    page.mouse.move(a["x"] + a["width"] / 2 + 15, a["y"] + 20, steps=3)
    page.mouse.move(b["x"] + b["width"] / 2, b["y"] + b["height"] / 2, steps=5)
    page.mouse.up()


def test_a_class_dragged_onto_another_merges_and_figures_follow(at: Opened) -> None:
    page, before = at.page, accuracy(at.page)
    assert sorted(names(page)) == list(FOLDERS)
    assert re.fullmatch(r"\d+\.\d %", before)
    columns = page.locator(".column[data-code]")
    drag(page, columns.nth(0).locator(".grip"), columns.nth(1).locator(".grid"))
    classes_become(page, ["bee", "cat", "dog"])
    assert count(page, "bee") == 2 * EACH
    assert accuracy(page) != before
    headline = page.locator("#headline").inner_text()
    assert "points" in headline and " ms" in headline
    assert page.locator(".recalls dt").all_inner_texts() == names(page)
    assert page.locator(".matrix tbody tr").count() == 3
    page.keyboard.press("Control+z")
    classes_become(page, list(FOLDERS))
    assert accuracy(page) == before
    page.keyboard.press("Control+Shift+z")
    classes_become(page, ["bee", "cat", "dog"])
    assert at.problems == []


def test_the_keyboard_alone_merges_renames_and_puts_back(page: Any) -> None:
    page.get_by_role("button", name="Move ant onto another class").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")  # from bee, which is next, to cat
    assert page.locator(".column.target .title").inner_text() == "cat"
    page.keyboard.press("Escape")
    assert page.locator(".column.target, .column.lifted").count() == 0
    assert len(names(page)) == 4
    page.keyboard.press("m")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    classes_become(page, ["bee", "cat", "dog"])
    assert count(page, "cat") == 2 * EACH
    assert "column" in page.evaluate("document.activeElement.closest('.column').className")  # not lost
    page.get_by_role("button", name="Rename cat").focus()
    page.keyboard.press("F2")
    page.keyboard.type("ant or cat")
    page.keyboard.press("Enter")
    classes_become(page, ["ant or cat", "bee", "dog"])
    page.keyboard.press("F2")
    page.keyboard.type("<img src=x onerror=alert(1)>")  # a name is text, whatever is in it
    page.keyboard.press("Enter")
    classes_become(page, ["<img src=x onerror=alert(1)>", "bee", "dog"])


def test_a_name_that_is_taken_is_refused_in_a_sentence(page: Any) -> None:
    page.get_by_role("button", name="Rename ant").click()
    page.keyboard.type("bee")
    page.keyboard.press("Enter")
    column = page.locator(".column[data-code='0']")
    sync_api.expect(column.get_by_role("alert")).to_contain_text("There is a class 'bee' already")
    field = page.get_by_role("textbox", name="New name of ant")
    sync_api.expect(field).to_be_focused()
    assert field.input_value() == "bee" and field.get_attribute("aria-invalid") == "true"
    page.keyboard.press("End")
    page.keyboard.type("tle")
    page.keyboard.press("Enter")
    classes_become(page, ["bee", "beetle", "cat", "dog"])
    sync_api.expect(page.get_by_role("button", name="Rename beetle")).to_be_focused()
    hue = page.locator(".column .swatch").nth(1).get_attribute("class")
    page.get_by_role("button", name="Rename beetle").click()
    page.keyboard.type("bee")
    page.get_by_role("button", name="More for dog").focus()
    sync_api.expect(column.get_by_role("alert")).to_contain_text("'bee' already")  # typed, and left
    page.get_by_role("textbox", name="New name of beetle").press("Escape")
    assert sorted(names(page)) == ["bee", "beetle", "cat", "dog"]
    assert page.get_by_role("alert").filter(visible=True).count() == 0
    assert page.locator(".column .swatch").nth(1).get_attribute("class") == hue


def test_drop_restore_and_split(page: Any) -> None:
    page.get_by_role("button", name="More for dog").click()
    page.get_by_role("menuitem", name="Drop").click()
    classes_become(page, ["ant", "bee", "cat"])
    page.get_by_role("button", name="Restore").click()
    classes_become(page, list(FOLDERS))
    page.get_by_role("button", name="More for ant").click()
    page.get_by_role("menuitem", name="Split").click()
    page.get_by_role("dialog").get_by_role("button", name="Split").click()
    sync_api.expect(page.locator(".column[data-code]")).to_have_count(5)
    parts = [name for name in names(page) if name not in FOLDERS]
    assert sum(count(page, name) for name in parts) == EACH and all(count(page, name) for name in parts)


def test_what_cannot_be_split_so_is_told_in_the_dialog(page: Any) -> None:
    page.get_by_role("button", name="More for ant").click()
    page.get_by_role("menuitem", name="Split").click()
    dialog, go = page.get_by_role("dialog"), page.get_by_role("dialog").get_by_role("button", name="Split")
    told = dialog.get_by_role("alert")
    dialog.get_by_role("spinbutton").fill("50")
    page.keyboard.press("Enter")
    sync_api.expect(told).to_contain_text("2 to 12 clusters; got 50")
    sync_api.expect(dialog.get_by_role("spinbutton")).to_be_focused()
    dialog.get_by_role("combobox").select_option("folder")
    dialog.get_by_role("combobox").focus()
    go.click()
    sync_api.expect(told).to_contain_text("all its images have the value 'ant'")
    dialog.get_by_role("textbox").fill("colour ==")
    go.click()
    sync_api.expect(told).to_contain_text("colour ==")
    sync_api.expect(go).to_be_focused()
    assert dialog.get_by_role("textbox").input_value() == "colour =="
    assert page.locator(".toast").count() == 0 and names(page) == list(FOLDERS)
    dialog.get_by_role("spinbutton").fill("3")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator(".column[data-code]")).to_have_count(6)
    assert dialog.count() == 0


def test_what_other_dialogs_are_refused_is_told_in_them(page: Any) -> None:
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Save …").click()
    dialog.get_by_label("Name of the scheme").fill("a/b")
    page.keyboard.press("Enter")
    sync_api.expect(dialog.get_by_role("alert")).to_contain_text("cannot be the name")
    dialog.get_by_label("Name of the scheme").fill("mine")
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Close").click()
    page.locator("#start").click()  # what was saved can be started from
    sync_api.expect(dialog.get_by_role("radio", name="mine")).to_have_count(1)
    page.keyboard.press("Escape")
    page.route("**/api/merge", lambda route: route.fulfill(status=400, json={"error": "Not now."}))
    page.get_by_role("button", name="More for ant").click()
    page.get_by_role("menuitem", name="Merge into").click()
    dialog.get_by_label("Class").select_option("cat")
    dialog.get_by_role("button", name="Merge").click()
    sync_api.expect(dialog.get_by_role("alert")).to_have_text("Not now.")
    assert dialog.get_by_label("Class").input_value() == "cat"
    page.unroute("**/api/merge")
    dialog.get_by_role("button", name="Merge").click()
    classes_become(page, ["bee", "cat", "dog"])
    assert count(page, "cat") == 2 * EACH


def keys(page: Any) -> dict[str, str]:
    """The class of each number key."""
    texts = page.locator("#relabel .legend button").all_inner_texts()
    return dict(text.split(maxsplit=1) for text in texts)


def test_a_class_keeps_its_number_key(page: Any) -> None:
    assert keys(page) == {"1": "ant", "2": "bee", "3": "cat", "4": "dog"}
    page.get_by_role("button", name="More for bee").click()
    page.get_by_role("menuitem", name="Drop").click()
    classes_become(page, ["ant", "cat", "dog"])
    assert keys(page) == {"1": "ant", "3": "cat", "4": "dog"}
    page.get_by_role("button", name="Move ant onto another class").focus()
    for key in ("m", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    classes_become(page, ["cat", "dog"])
    assert keys(page) == {"1": "dog", "3": "cat"}  # what is merged keeps the lowest
    page.get_by_role("button", name="Rename cat").click()
    page.keyboard.type("tiger")
    page.keyboard.press("Enter")
    classes_become(page, ["dog", "tiger"])
    page.get_by_role("button", name="More for tiger").click()
    page.get_by_role("menuitem", name="Split").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("predicted == 'tiger'")
    page.get_by_role("dialog").get_by_role("button", name="Split").click()
    sync_api.expect(page.locator(".column[data-code]")).to_have_count(3)
    split = keys(page)
    assert (split["1"], split["3"]) == ("dog", "tiger") and split["2"].startswith("tiger, ")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert keys(page) == split
    page.locator(".column[data-code='0'] .grid").focus()
    page.keyboard.press("3")
    page.get_by_role("status").filter(has_text="1 image is now tiger").wait_for()


def test_undoing_gives_each_class_its_key_again(page: Any) -> None:
    page.get_by_role("button", name="Move cat onto another class").focus()
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    classes_become(page, ["ant", "bee", "dog"])
    assert keys(page) == {"1": "ant", "2": "bee", "3": "dog"}
    page.locator("#undo").click()
    classes_become(page, list(FOLDERS))
    assert keys(page) == {"1": "ant", "2": "bee", "3": "cat", "4": "dog"}


def test_after_a_change_in_another_window_the_page_shows_it_and_says_so(
    at: Opened, browser: Any, address: str
) -> None:
    page, other = at.page, opened(browser, address).page
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("button", name="All images").click()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{4 * EACH} images")
    page.locator("#look .grid").focus()
    page.keyboard.press("Space")
    other.get_by_role("button", name="Move cat onto another class").focus()
    for key in ("m", "Enter"):
        other.keyboard.press(key)
    classes_become(other, ["ant", "bee", "dog"])
    other.close()
    page.keyboard.press("2")
    page.get_by_role("alert").filter(has_text="changed in another window").wait_for()
    page.keyboard.press("2")  # once more: the page is up to date, and the image still selected
    page.get_by_role("status").filter(has_text="1 image is now bee").wait_for()
    page.get_by_role("tab", name="Classes").click()
    assert (count(page, "ant"), count(page, "bee"), count(page, "dog")) == (EACH - 1, EACH + 1, 2 * EACH)
    assert [one for one in at.problems if "409" not in one] == []


def test_a_dialog_of_an_older_state_says_so_and_can_be_sent_again(
    page: Any, browser: Any, address: str
) -> None:
    page.get_by_role("button", name="More for dog").click()
    page.get_by_role("menuitem", name="Split").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton").fill("3")
    other = opened(browser, address).page
    other.get_by_role("button", name="More for ant").click()
    other.get_by_role("menuitem", name="Drop").click()
    classes_become(other, ["bee", "cat", "dog"])
    other.close()
    dialog.get_by_role("button", name="Split").click()
    sync_api.expect(dialog.get_by_role("alert")).to_contain_text("changed in another window")
    classes_become(page, ["bee", "cat", "dog"])  # beneath the dialog
    assert dialog.get_by_role("spinbutton").input_value() == "3"
    dialog.get_by_role("button", name="Split").click()
    sync_api.expect(page.locator(".column[data-code]")).to_have_count(5)
    assert {"bee", "cat"} < set(names(page)) and count(page, "bee") == EACH


def test_a_cell_of_the_confusions_shows_its_images(untouched: Any) -> None:
    page = untouched
    cell = page.locator(".matrix .miss:not(.s0)").first
    number = int(cell.inner_text())
    said = cell.get_attribute("aria-label")
    cell.focus()
    page.keyboard.press("Enter")
    page.locator("#look .card[data-id]").first.wait_for()
    assert page.locator("#look .card").count() == number
    assert page.locator("#look h2").inner_text() == said.split(":")[0]
    page.locator(".matrix button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.matches('.matrix button')")


def test_images_are_relabelled_by_number_and_flips_are_told(page: Any) -> None:
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("button", name="All images").click()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{4 * EACH} images")
    page.locator("#look .grid").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    sync_api.expect(page.locator("#relabel")).to_contain_text("2 images selected")
    wanted = page.locator("#relabel .legend button").nth(3).inner_text().split()[-1]
    page.keyboard.press("4")
    page.get_by_role("status").filter(has_text=f"2 images are now {wanted}").wait_for()
    page.get_by_role("tab", name="Classes").click()
    assert count(page, "dog") == EACH + 2 and count(page, "ant") == EACH - 2
    page.locator("#undo").click()
    sync_api.expect(page.locator("#redo")).to_be_enabled()
    assert count(page, "ant") == EACH


def test_an_image_dragged_onto_a_class_is_relabelled(page: Any) -> None:
    columns = page.locator(".column[data-code]")
    card = columns.nth(0).locator(".card[data-id]").first
    card.wait_for()
    drag(page, card, columns.nth(2).locator(".grid"))
    page.get_by_role("status").filter(has_text="1 image is now cat").wait_for()
    assert (count(page, "ant"), count(page, "cat")) == (EACH - 1, EACH + 1)


def test_what_is_saved_is_what_compare_reads_and_comes_back(bank: Path, browser: Any) -> None:
    with explorer(bank) as address:
        page = opened(browser, address).page
        page.get_by_role("button", name="Move ant onto another class").focus()
        for key in ("Space", "Enter"):
            page.keyboard.press(key)
        classes_become(page, ["bee", "cat", "dog"])
        page.get_by_role("button", name="Save …").click()
        page.get_by_label("Name of the scheme").fill("insects")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        written = page.get_by_role("dialog").locator("pre")
        written.first.wait_for()
        shown, command = written.all_inner_texts()
        assert "embank compare" in command
        page.close()
    path = Path(shown)
    assert path == bank.parent / "insects.yaml"
    labels = load_schemes(path)["insects"].labels(FeatureStore(bank).images())
    assert sorted(labels.classes) == ["bee", "cat", "dog"]
    assert np.bincount(labels.codes).tolist() == [2 * EACH, EACH, EACH]
    with explorer(bank, "--schemes", str(path), "--scheme", "insects") as address:
        page = opened(browser, address).page
        assert sorted(names(page)) == ["bee", "cat", "dog"]
        assert count(page, "bee") == 2 * EACH
        page.close()


def test_a_loop_on_the_map_selects(untouched: Any) -> None:
    page = untouched
    page.get_by_role("tab", name="Map").click()
    sync_api.expect(page.locator(".chips button")).to_have_count(5)  # and one for images without a class
    box = page.locator(".map canvas").bounding_box()
    left, top, right, bottom = (
        box["x"] + 2,
        box["y"] + 2,
        box["x"] + box["width"] - 2,
        box["y"] + box["height"] - 2,
    )
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    sync_api.expect(page.locator("#relabel")).to_contain_text(f"{4 * EACH} images selected")
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("#relabel")).to_contain_text("Nothing selected")
    page.locator(".map").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    sync_api.expect(page.locator("#relabel")).to_contain_text("1 image selected")
    assert page.locator(".tip").is_visible()


def test_a_class_that_the_map_hides_stays_hidden_when_others_merge(page: Any) -> None:
    page.get_by_role("tab", name="Map").click()
    chips = page.get_by_role("group", name="Classes on the map")
    chips.get_by_role("button", name="cat").click()
    page.get_by_role("tab", name="Classes").click()
    page.get_by_role("button", name="Move ant onto another class").focus()
    for key in ("m", "Enter"):
        page.keyboard.press(key)
    classes_become(page, ["bee", "cat", "dog"])
    page.get_by_role("tab", name="Map").click()
    sync_api.expect(chips.get_by_role("button")).to_have_text(["bee", "cat", "dog", "no class"])
    assert chips.locator("[aria-pressed=false]").all_inner_texts() == ["cat"]


def test_filters_find_and_say_what_is_wrong(untouched: Any) -> None:
    page = untouched
    page.get_by_role("tab", name="Images").click()
    field = page.get_by_role("searchbox")
    field.fill("folder == 'ant'")
    field.press("Enter")
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{EACH} images")
    page.get_by_role("button", name="Select all").click()
    sync_api.expect(page.locator("#relabel")).to_contain_text(f"{EACH} images selected")
    field.fill("colour ==")
    field.press("Enter")
    said = page.locator("#find-said")
    said.wait_for()
    assert len(said.inner_text()) > 20
    assert field.get_attribute("aria-invalid") == "true"
    assert page.locator("#look .card").count() == 0


def test_a_list_stays_that_of_its_class_when_others_merge(page: Any) -> None:
    page.get_by_role("button", name="More for dog").click()
    page.get_by_role("menuitem", name="Show its images").click()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{EACH} images")
    page.get_by_role("tab", name="Classes").click()
    page.get_by_role("button", name="Move ant onto another class").focus()
    for key in ("m", "Enter"):
        page.keyboard.press(key)
    classes_become(page, ["bee", "cat", "dog"])
    page.get_by_role("tab", name="Images").click()
    sync_api.expect(page.locator("#look .strip.under")).to_contain_text(f"{EACH} images")
    assert page.locator("#look h2").inner_text() == "dog"
    shown = page.locator("#look .card[data-id] .caption b").all_inner_texts()
    assert shown and set(shown) == {"dog"}


def test_a_file_that_is_no_picture_is_told(untouched: Any) -> None:
    untouched.get_by_role("tab", name="Images").click()
    untouched.set_input_files(
        "#look input[type=file]", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    sync_api.expect(untouched.locator("#find-said")).to_contain_text("notes.jpg: ")
    assert untouched.locator("#look .card").count() == 0


def test_images_like_one(untouched: Any) -> None:
    page = untouched
    page.get_by_role("tab", name="Images").click()
    page.locator("#look .card[data-id]").first.wait_for()
    page.locator("#look .grid").focus()
    page.keyboard.press("s")
    sync_api.expect(page.locator("#look h2")).to_have_text(re.compile("^Like "))
    page.locator("#look .card[data-id]").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_is_as_wide_as_its_window(browser: Any, standing: str, width: int, scheme: str) -> None:
    one = opened(browser, standing, width, scheme)
    for tab in one.page.locator("[role=tab]:visible").all():
        tab.click()
        one.page.wait_for_timeout(200)
        assert one.page.evaluate("document.documentElement.scrollWidth") == width
    paper = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    one.page.locator("#theme").click()
    assert one.page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    assert one.problems == []
    host = urlsplit(standing).netloc
    assert {urlsplit(url).netloc for url in one.requests if not url.startswith(("data:", "blob:"))} == {host}
    one.page.close()


def test_the_token_leaves_the_address_and_reloading_shows_the_same(page: Any, address: str) -> None:
    assert urlsplit(address).query and not urlsplit(page.url).query
    page.get_by_role("button", name="Move ant onto another class").focus()
    for key in ("Space", "Enter"):
        page.keyboard.press(key)
    classes_become(page, ["bee", "cat", "dog"])
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert sorted(names(page)) == ["bee", "cat", "dog"]


def test_screen_readers_are_told_what_things_are(untouched: Any) -> None:
    page = untouched
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, img, [role=listbox], [role=tabpanel]")]
        .filter(each => !(each.getAttribute("aria-label") || each.getAttribute("aria-labelledby")
          || each.textContent.trim() || each.alt || each.labels?.length || each.hidden))
        .map(each => each.outerHTML.slice(0, 90))"""
    )
    assert unnamed == []


def made_store(path: Path, vectors: NDArray[np.float32], codes: NDArray[np.intp]) -> FeatureStore:
    """A store of so many images that all look the same."""
    keys = [f"kind {code:02}/{number:05}.jpg" for number, code in enumerate(codes)]
    store = small_bank(path, keys, [vectors])
    small = make_thumbnail(draw(0, (60, 60)), EDGE)
    ThumbnailCache.of(store.path, EDGE).add(dict.fromkeys(store.images()["hash"], small))
    return store


def test_figures_that_take_longer_are_near_at_once_and_final_then(browser: Any, tmp_path: Path) -> None:
    vectors, codes = told_apart(4, 400, 768)
    noise = np.random.default_rng(1).normal(scale=40, size=vectors.shape).astype(np.float32)
    store = made_store(tmp_path / "wide.embank", vectors + noise, codes)
    kept = codes != 1
    with explorer(store.path) as address:
        one = opened(browser, address)
        page = one.page
        page.get_by_role("button", name="More for kind 01").click()
        page.get_by_role("menuitem", name="Drop").click()
        page.locator("#headline .settling").wait_for()
        assert accuracy(page).startswith("≈ ")
        near = float(accuracy(page).split()[1])
        page.locator("#headline .settling").wait_for(state="detached")
        classes_become(page, ["kind 00", "kind 02", "kind 03"])
        images = store.images()
        images = images[images["folder"] != "kind 01"].reset_index(drop=True)
        (space,) = store.spaces
        (found,) = fit_ridge_on_store(
            store, space, images, [images["folder"].str[-2:].astype(int).to_numpy()]
        )
        assert len(images) == kept.sum()
        assert accuracy(page) == f"{100 * found.accuracy:.1f} %"
        assert near == pytest.approx(100 * found.accuracy, abs=2)
        assert one.problems == []
        page.close()


def test_ten_thousand_images_are_not_all_loaded(browser: Any, tmp_path: Path) -> None:
    store = made_store(tmp_path / "many.embank", *told_apart(20, MANY // 20, 16))
    with explorer(store.path) as address:
        one = opened(browser, address)
        one.page.locator(".column .card[data-id] img").first.wait_for()
        one.page.wait_for_timeout(500)
        assert one.page.locator(".card").count() < 300
        asked = [url for url in one.requests if "/thumb" in url]
        assert 10 < len(asked) < 300
        grid = one.page.locator(".column .grid").first
        grid.evaluate("each => { each.scrollTop = each.scrollHeight; }")
        last = one.page.locator(f".column .card[aria-posinset='{MANY // 20}'][data-id]").first
        last.wait_for()
        assert one.page.locator(".card").count() < 300
        assert len([url for url in one.requests if "/thumb" in url]) < 400
        assert one.problems == []
        one.page.close()


def test_labelling_from_nothing(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "loose"
    folder.mkdir()
    for path in photos(tmp_path / "photos").rglob("*.png"):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
    with explorer(banked(folder, tmp_path / "loose.embank")) as address:
        one = opened(browser, address)
        page = one.page
        assert page.get_by_role("tab", name="Labelling").get_attribute("aria-selected") == "true"
        for name in ("ant", "other"):
            page.get_by_label("Name of a new class").fill(name)
            page.keyboard.press("Enter")
        for done in range(1, 9):
            key = page.locator(".asked figcaption").inner_text()
            page.keyboard.press("1" if key.startswith("ant") else "2")
            sync_api.expect(page.locator(".asked figcaption")).not_to_have_text(key)
            sync_api.expect(page.locator("#about")).to_contain_text(f"{done} of {4 * EACH} images labelled")
        page.get_by_label("Accuracy by the number of labels").wait_for()
        page.get_by_role("tab", name="Classes").click()
        assert sum(count(page, name) for name in names(page)) == 8
        assert one.problems == []
        page.close()
