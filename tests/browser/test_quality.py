"""That everybody can use the page, that it is quick with a thousand assets, and that it stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import expect

from tests.browser import canned
from tests.browser.desk import STATIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.desk import Desk

pytestmark = pytest.mark.integration

LARGEST = 300_000  # bytes of everything that is served
FIRST_PAINT = 2_000  # milliseconds of the processor, with a thousand assets


def findings(page: Page) -> list[Any]:
    """Ask axe, and name what it finds and where."""
    violations = Axe().run(page).response["violations"]
    return [(one["id"], one["impact"], [node["target"] for node in one["nodes"]]) for one in violations]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe__whole_page__finds_nothing(open_page: Callable[..., Page], scheme: str, width: int) -> None:
    page = open_page(scheme=scheme, width=width)
    expect(page.locator("#history canvas")).to_be_visible()
    expect(page.locator(".past:not(.heads)").first).to_be_attached()
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe__dialogs_and_an_outage__finds_nothing(
    open_page: Callable[..., Page], desk: Desk, scheme: str
) -> None:
    page = open_page(scheme=scheme)
    page.get_by_role("button", name="Details of the mint of AAPL").click()
    expect(page.get_by_role("dialog")).to_contain_text("Alpaca was down")
    assert findings(page) == []
    page.get_by_role("button", name="Close").click()
    desk.down = True
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#outage")).to_be_visible()
    page.get_by_role("button", name="Reconcile the redemption of TSLA").click()
    page.get_by_role("button", name="Reconcile", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert findings(page) == []


@pytest.mark.parametrize("overview", ["overview", "nothing_yet", "calm", "thousand"])
@pytest.mark.parametrize("width", [1440, 1000, 390, 320])
def test_width__any__nothing_is_wider_than_the_window(
    open_page: Callable[..., Page], desk: Desk, overview: str, width: int
) -> None:
    desk.overview = getattr(canned, overview)()
    page = open_page(width=width)
    expect(page.locator("#freshness")).to_contain_text("live")
    expect(page.locator(".past:not(.heads)").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def worked(page: Page) -> Callable[[], float]:
    """Return what tells how many milliseconds of the processor the page has taken since.

    Not how long it took: the machine may have more to do.
    """
    browser = page.context.new_cdp_session(page)
    browser.send("Performance.enable", {"timeDomain": "threadTicks"})

    def taken() -> float:
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
        metrics = {one["name"]: one["value"] for one in browser.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"]) * 1000

    before = taken()
    return lambda: taken() - before


def test_speed__thousand_assets__are_painted_soon_and_updated_sooner(
    open_page: Callable[..., Page], desk: Desk, record_property: Callable[[str, object], None]
) -> None:
    page = open_page()
    expect(page.locator("#freshness")).to_contain_text("live")
    desk.overview = canned.thousand()
    since = worked(page)
    page.reload()
    expect(page.locator("#assets .more")).to_be_visible()
    first = since()
    since = worked(page)
    page.locator("#assets .more").click()
    expect(page.locator(".asset:not(.heads)")).to_have_count(1000)
    took = since()
    record_property("first_paint_ms", round(first))
    record_property("all_rows_ms", round(took))
    print(f"first paint {first:.0f} ms, all thousand rows {took:.0f} ms")
    assert 0 < first < FIRST_PAINT
    assert 0 < took < FIRST_PAINT


def test_size__of_everything_served__is_small() -> None:
    assert sum(file.stat().st_size for file in STATIC.rglob("*") if file.is_file()) < LARGEST


def test_files__of_the_page__name_no_other_host_and_hold_no_inline_code() -> None:
    own = [file for file in STATIC.iterdir() if file.is_file()]
    assert own
    for file in own:
        text = file.read_text()
        assert "https://" not in text, file.name
        assert "http://" not in text, file.name
        assert "innerHTML" not in text, file.name
    page = (STATIC / "index.html").read_text()
    assert " style=" not in page
    assert "<style" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module" src=')


def test_preloads__are_exactly_the_modules_there_are() -> None:
    page = (STATIC / "index.html").read_text()
    modules = {file.name for file in STATIC.glob("*.js")} - {"theme.js", "main.js"}
    named = {line.split("static/")[1].split('"')[0] for line in page.splitlines() if "modulepreload" in line}
    assert named == modules
