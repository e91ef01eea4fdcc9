"""Which book the page is about, and the way to the others: only where there are others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.test_quality import findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.browser.desk import Desk

    Open = Callable[..., Page]

pytestmark = pytest.mark.integration

MANY = ["", "alpha", *(f"marketmaker{number}ofadesk"[:24] for number in range(10, 18))]


def links(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Books").get_by_role("link")


def named(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", level=1, name=name, exact=True)


def test_one_book__without_a_name__is_called_nothing(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#freshness")).to_contain_text("live")
    expect(named(page, "Ballast")).to_be_visible()
    expect(page).to_have_title("Ballast")
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_one_book__with_a_name__says_it_and_offers_no_other(open_page: Open, desk: Desk) -> None:
    desk.books = ["alpha"]
    page = open_page("/ballast/books/alpha/")
    expect(named(page, "Ballast alpha")).to_be_visible()
    expect(page).to_have_title("alpha - Ballast")
    expect(page.get_by_role("navigation")).to_have_count(0)


def test_two_books__are_links__and_lead_to_each_other(open_page: Open, desk: Desk, address: str) -> None:
    desk.books = ["", "alpha"]
    page = open_page("/ballast/?dag_id=rebalancing&run_id=manual__7")
    expect(links(page)).to_have_text(["default", "alpha"])
    expect(links(page).and_(page.locator('[aria-current="page"]'))).to_have_text("default")
    expect(page).to_have_title("default - Ballast")
    links(page).get_by_text("alpha").click()
    expect(page).to_have_url(f"{address}/ballast/books/alpha/")
    expect(links(page).and_(page.locator('[aria-current="page"]'))).to_have_text("alpha")
    expect(named(page, "Ballast alpha")).to_be_visible()
    links(page).get_by_text("default").click()
    expect(page).to_have_url(f"{address}/ballast/")


def test_named_book__its_runs_and_acts_are_its_own(open_page: Open, desk: Desk, address: str) -> None:
    desk.books = ["", "alpha"]
    desk.overview["paused"] = True
    page = open_page("/ballast/books/alpha/")
    run = page.locator("#status").get_by_role("link", name="run")
    expect(run).to_have_attribute(
        "href", re.compile(re.escape(f"{address}/dags/rebalancing_alpha/runs/scheduled__"))
    )
    expect(page.locator("#needs")).to_contain_text("The DAG rebalancing_alpha is paused in Airflow")
    to_dag = page.get_by_role("link", name="To the DAG")
    expect(to_dag).to_have_attribute("href", f"{address}/dags/rebalancing_alpha")
    page.get_by_role("button", name="Turn…").click()
    dialog = page.get_by_role("dialog", name="Turn the switch · alpha")
    dialog.get_by_label("halt").check()
    dialog.get_by_role("textbox").fill("a test")
    dialog.get_by_role("button", name="Turn it").click()
    expect(dialog).to_be_hidden()
    assert desk.acts == [("books/alpha/api/switch", {"to": "halt", "reason": "a test"})]


def test_named_book__its_settings_are_wrong__says_so_and_leads_to_the_others(
    open_page: Open, desk: Desk
) -> None:
    desk.books = ["", "alpha"]
    desk.wrong["alpha"] = "Ballast's settings are wrong: wallet"
    page = open_page("/ballast/books/alpha/")
    expect(page.locator("#outage")).to_contain_text("Ballast's settings are wrong: wallet")
    expect(named(page, "Ballast alpha")).to_be_visible()
    links(page).get_by_text("default").click()
    expect(page.locator("#freshness")).to_contain_text("live")


def test_books__a_second_one_comes__is_shown_without_loading_the_page_again(
    open_page: Open, desk: Desk
) -> None:
    page = open_page(clock=True)
    expect(page.locator("#freshness")).to_contain_text("live")
    expect(page.get_by_role("navigation")).to_have_count(0)
    desk.books = ["", "alpha"]
    page.clock.fast_forward(61_000)
    expect(links(page)).to_have_text(["default", "alpha"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe__with_books__finds_nothing(open_page: Open, desk: Desk, scheme: str, width: int) -> None:
    desk.books = MANY
    page = open_page("/ballast/books/alpha/", scheme=scheme, width=width)
    expect(links(page)).to_have_count(len(MANY))
    expect(page.locator("#freshness")).to_contain_text("live")
    assert findings(page) == []


@pytest.mark.parametrize("width", [1440, 390, 320])
def test_width__with_many_books__nothing_is_wider_than_the_window(
    open_page: Open, desk: Desk, width: int
) -> None:
    desk.books = MANY
    page = open_page(f"/ballast/books/{MANY[-1]}/", width=width)
    expect(links(page)).to_have_count(len(MANY))
    expect(page.locator("#freshness")).to_contain_text("live")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
