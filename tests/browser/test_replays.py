"""The section of replays: what it shows, that everybody can use it, and what its act sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from include.replay import models
from tests.browser import canned_replays
from tests.browser.test_quality import findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.browser.desk import Desk

    Open = Callable[..., Page]

pytestmark = pytest.mark.integration


def section(page: Page) -> Locator:
    return page.get_by_role("region", name="Replays")


def choose(page: Page, name: str) -> Locator:
    button = section(page).get_by_role("button", name=name)
    button.click()
    return button


def row(page: Page, name: str) -> Locator:
    return section(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def test_answers__as_made_up__fit_their_models() -> None:
    assert len(models.Replays.model_validate(canned_replays.replays()).replays) == 2
    for one in (canned_replays.NARROW, canned_replays.WIDE):
        assert models.Report.model_validate(canned_replays.report(one["id"])).replay.done == one["done"]
        assert models.History.model_validate(canned_replays.history(one["id"], "AAPL")).asset == "AAPL"


def test_list__says_what_each_set_and_how_many_runs_were_skipped_and_why(open_page: Open) -> None:
    listed = section(open_page()).get_by_role("listitem")
    expect(listed).to_have_count(2)
    expect(listed.first).to_contain_text("deviation 0.12, USDC deviation 0.2")
    expect(listed.first).to_contain_text("140 runs · 4 skipped: the newest balances were too old")
    expect(listed.last).to_contain_text("1 skipped: nothing was recorded by then")


def test_one_is_chosen__its_figures_are_beside_what_was(open_page: Open) -> None:
    page = open_page()
    expect(choose(page, "a narrower band")).to_have_attribute("aria-pressed", "true")
    expect(section(page).get_by_role("columnheader")).to_have_text(["as it was", "would be, A"])
    expect(row(page, "operations").get_by_role("cell")).to_have_text(
        ["3 mint, 2 redemption, 1 cancelled", "6 mint, 4 redemption, 1 cancelled"]
    )
    expect(row(page, "fees").get_by_role("cell")).to_have_text(["$12.48", "$31.90"])
    expect(row(page, "out of its own band").get_by_role("cell").first).to_have_text("2 h 30 min (3 %)")
    expect(section(page).locator(".chart")).to_be_hidden()  # there is no ratio of everything


def test_asset_is_chosen__its_ratio_is_drawn_and_unknown_fees_are_not_zero(open_page: Open) -> None:
    page = open_page()
    choose(page, "a narrower band")
    section(page).get_by_label("Compared for").select_option("USDC")
    expect(section(page).locator("canvas")).to_be_visible()
    expect(section(page).locator("figcaption")).to_contain_text("USDC: solid as it was, dashed as in A")
    expect(row(page, "fees").get_by_role("cell").last).to_have_text("not known")
    expect(row(page, "not enough").get_by_role("cell").last).to_have_text("30 min")
    expect(section(page)).to_contain_text(
        "USDC to Alpaca takes 20 min (a default, as none has settled yet), cost not known"
    )


def test_two_are_chosen__stand_side_by_side_and_one_can_be_left(open_page: Open) -> None:
    page = open_page()
    choose(page, "a narrower band")
    choose(page, "replay bbbbbb")
    expect(section(page).get_by_role("columnheader")).to_have_text(
        ["as it was", "would be, A", "would be, B"]
    )
    section(page).get_by_label("Compared for").select_option("AAPL")
    expect(section(page).locator("canvas")).to_be_visible()
    expect(section(page).locator("figcaption")).to_contain_text("dotted as in B")
    section(page).locator(".u-over").hover()
    expect(section(page).locator("figcaption")).to_contain_text(re.compile(r"was .*, A .*, B "))
    choose(page, "a narrower band")
    expect(section(page).get_by_role("columnheader")).to_have_text(["as it was", "would be, A"])
    choose(page, "replay bbbbbb")
    expect(section(page).get_by_role("table")).to_be_hidden()


def test_act__sends_the_time_and_what_is_set_otherwise(open_page: Open, desk: Desk) -> None:
    page = open_page()
    section(page).get_by_role("button", name="Decide the past again").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("From", exact=True).fill("2026-03-01T00:00")
    dialog.get_by_label("To", exact=True).fill("2026-03-02T00:00")
    dialog.get_by_label("Deviation of all assets").fill("0.1")
    dialog.get_by_role("button", name="Start it").click()
    expect(dialog).to_be_hidden()
    assert desk.acts == [
        (
            "replay",
            {
                "since": "2026-03-01T00:00:00.000Z",
                "until": "2026-03-02T00:00:00.000Z",
                "overrides": {"deviation": "0.1"},
            },
        )
    ]


def test_keyboard__chooses_a_replay_and_keeps_the_focus(open_page: Open) -> None:
    page = open_page()
    button = section(page).get_by_role("button", name="a narrower band")
    button.focus()
    page.keyboard.press("Enter")
    expect(section(page).get_by_role("table")).to_be_visible()
    expect(button).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_and_width__with_two_compared__nothing_is_found(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(scheme=scheme, width=width)
    choose(page, "a narrower band")
    choose(page, "replay bbbbbb")
    section(page).get_by_label("Compared for").select_option("USDC")
    expect(section(page).locator("canvas")).to_be_visible()
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
