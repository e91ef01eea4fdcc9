"""What the operator sees, and what the acts send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser import canned

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.browser.desk import Desk

    Open = Callable[..., Page]

pytestmark = pytest.mark.integration


def row(page: Page, symbol: str) -> Locator:
    return page.get_by_role("table", name="Assets").get_by_role("row").filter(
        has=page.get_by_role("button", name=symbol, exact=True)
    )  # fmt: skip


def look_again(page: Page) -> None:
    """Tell the page that it is seen again, or no longer: when seen, it asks at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_page__busy_book__says_in_one_line_what_matters(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#summary")).to_have_text(
        "6 of 12 assets in trim, 1 out of the band, 1 not judged, 3 moving, 1 thing needs you."
    )
    expect(page.locator("#freshness")).to_contain_text("live")


def test_page__something_needs_a_person__comes_first_with_its_acts(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("button", name="Adopt the redemption of TSLA")).to_be_visible()
    need = page.locator("#needs li")
    expect(need).to_contain_text("Alpaca shows no redemption after 2 h")
    expect(need).to_contain_text("for 61 min")
    headings = page.get_by_role("heading", level=2).all_text_contents()
    assert [heading.split(" ")[0] for heading in headings if heading] == [
        "Needs", "State", "Assets", "Open", "Ratio", "Today", "Operations", "Replays",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"paused": True}, "The DAG rebalancing is paused in Airflow"),
        ({"hold_all": "the hold list cannot be read"}, "Every asset is held back"),
    ],
)
def test_page__everything_is_held_up__is_what_needs_a_person(
    open_page: Open, desk: Desk, changes: dict[str, object], words: str
) -> None:
    desk.overview = canned.overview(**{"attention": [], **changes})
    page = open_page()
    expect(page.locator("#needs li")).to_contain_text(words)
    expect(page.locator("#summary")).to_contain_text("1 thing needs you")


def test_page__asset_out_of_its_band__is_first_and_not_only_a_colour(open_page: Open) -> None:
    page = open_page()
    first = page.locator(".asset:not(.heads)").first
    expect(first).to_contain_text("AMD")
    expect(first).to_contain_text("cooling down otherwise redemption of 31.4999…")
    expect(first.get_by_role("img")).to_have_attribute(
        "aria-label", "Ratio 0.914999990850000091: band 0.200 to 0.800, target 0.500"
    )
    expect(first.locator("[data-outside]")).to_have_attribute("data-outside", "▸")
    expect(row(page, "SPY").get_by_text("not read").first).to_have_attribute("title", re.compile("429"))


def test_page__ratio__is_drawn_where_it_lies(open_page: Open) -> None:
    page = open_page()
    band = row(page, "COIN").get_by_role("img")
    expect(band).to_be_visible()
    box, hand = band.bounding_box(), band.locator(".now").bounding_box()
    assert box is not None
    assert hand is not None
    assert (hand["x"] + hand["width"] / 2 - box["x"]) / box["width"] == pytest.approx(0.61, abs=0.005)


def test_page__long_amount__is_cut_and_whole_in_its_title(open_page: Open) -> None:
    page = open_page()
    shown = row(page, "MSFT").get_by_text("1,234.56…")
    expect(shown).to_have_attribute("title", "1,234.567890123456789012")


def test_page__open_operation__shows_where_its_money_is(open_page: Open) -> None:
    page = open_page()
    legs = page.locator(".operation").filter(has_text="18,250.12").get_by_role("listitem")
    expect(legs).to_have_count(3)
    expect(legs.nth(0)).to_contain_text("done")
    expect(legs.nth(1)).to_contain_text("for Circle's attestation of the burn, 14 of 65 blocks")
    expect(legs.nth(1)).to_contain_text("overdue by 40 s")
    expect(legs.nth(1)).to_have_attribute("aria-current", "step")
    expect(legs.nth(2)).to_contain_text("to come")
    expect(legs.nth(0).get_by_role("link")).to_have_attribute("href", re.compile(r"^https://explorer"))


def test_page__opened_from_a_run__shows_the_operations_of_that_run(open_page: Open, desk: Desk) -> None:
    other = {**canned.MINT, "run_id": "manual__7"}
    desk.overview = canned.overview(operations=[canned.STUCK, canned.TO_BASE, other])
    page = open_page("/ballast/?dag_id=rebalancing&run_id=manual__7")
    expect(page.locator(".operation")).to_have_count(1)
    page.get_by_role("button", name="Show those of every run").click()
    expect(page.locator(".operation")).to_have_count(3)


def test_page__ages__go_on_between_answers(open_page: Open) -> None:
    page = open_page()
    age = page.locator("[data-f=check]")
    expect(age).to_have_text(re.compile(r"2[3-5] s ago"))
    expect(age).to_have_text(re.compile(r"2[6-9] s ago"))


def test_page__nothing_has_run_yet__says_so_in_words(open_page: Open, desk: Desk) -> None:
    desk.overview = canned.nothing_yet()
    page = open_page()
    expect(page.locator("#summary")).to_have_text("No check has been recorded yet.")
    expect(page.locator("#open")).to_contain_text("Nothing moves: rebalancing is disabled")
    expect(page.locator("#today")).to_contain_text("Nothing has been moved today.")
    expect(page.locator("#status")).to_contain_text("observe only")
    expect(row(page, "AAPL")).to_contain_text("not judged yet")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The next check that finds an asset out of its band begins an operation."),
        ({"switch": "drain"}, "nothing begins while the switch is at drain"),
        ({"switch": "halt"}, "nothing begins while the switch is at halt"),
    ],
)
def test_page__nothing_open__says_why(
    open_page: Open, desk: Desk, changes: dict[str, object], words: str
) -> None:
    desk.overview = {**canned.calm(), **changes}
    page = open_page()
    expect(page.locator("#open")).to_contain_text(words)
    expect(page.locator("#needs")).to_contain_text("Nothing.")
    expect(page.locator("#summary")).to_contain_text("All of 4 assets in trim, nothing needs you.")


def test_page__new_answer__changes_in_place_and_keeps_the_focus(open_page: Open, desk: Desk) -> None:
    page = open_page()
    button = row(page, "AMD").get_by_role("button", name="Hold AMD back")
    button.focus()
    page.evaluate("window.kept = document.activeElement.closest('.asset')")
    back = [canned.within("AMD", "0.5") if one["asset"] == "AMD" else one for one in canned.ASSETS]
    desk.overview = canned.overview(assets=back)
    look_again(page)
    expect(row(page, "AMD")).to_contain_text("in trim")
    expect(button).to_be_focused()
    assert page.evaluate("window.kept === document.activeElement.closest('.asset')")
    expect(page.locator("#said")).to_contain_text("7 of 12 assets in trim")


def test_page__same_assets_again__touches_none_of_them(open_page: Open, desk: Desk) -> None:
    page = open_page()
    expect(page.locator("#history canvas")).to_be_visible()
    page.evaluate("""() => {
        window.changed = [];
        new MutationObserver((all) => window.changed.push(...all.map((one) => one.target.outerHTML)))
            .observe(document.querySelector("#assets"), {subtree: true, childList: true, attributes: true});
    }""")
    desk.overview = canned.overview(user="bob")
    look_again(page)
    expect(page.locator("footer")).to_contain_text("bob")
    assert page.evaluate("window.changed") == []


def test_page__server_down__says_so_and_recovers(open_page: Open, desk: Desk) -> None:
    page = open_page()
    expect(page.locator("#freshness")).to_contain_text("live")
    desk.down = True
    look_again(page)
    outage = page.locator("#outage")
    expect(outage).to_contain_text("the server answered 502. What you see is of")
    expect(row(page, "AMD")).to_be_visible()
    desk.down = False
    look_again(page)
    expect(outage).to_be_hidden()


def test_page__not_seen__asks_for_nothing_until_it_is(open_page: Open, desk: Desk) -> None:
    page = open_page(clock=True)
    expect(page.locator("#freshness")).to_contain_text("live")
    with page.expect_response("**/api/overview"):
        page.clock.run_for(5_000)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    look_again(page)
    looks = desk.looks
    page.clock.run_for(60_000)
    assert desk.looks == looks
    page.evaluate("delete document.hidden")
    with page.expect_response("**/api/overview"):
        look_again(page)
    assert desk.looks == looks + 1


def test_page__viewer__has_no_acts(open_page: Open, desk: Desk) -> None:
    desk.overview = canned.overview(may_act=False, may_steer=False)
    page = open_page()
    expect(page.locator("#needs li")).to_be_visible()
    acts = re.compile("^(Hold|Release|Turn|Check now|Adopt|Resume)")
    expect(page.get_by_role("button", name=acts)).to_have_count(0)
    page.get_by_role("button", name="Details of the mint of AAPL").click()
    expect(page.get_by_role("dialog")).to_contain_text("Alpaca was down")
    expect(page.get_by_role("dialog").get_by_role("button")).to_have_count(1)


def test_page__may_act_but_not_edit_variables__says_what_the_switch_needs(
    open_page: Open, desk: Desk
) -> None:
    desk.overview = canned.overview(may_steer=False)
    page = open_page()
    expect(page.locator("footer")).to_contain_text("The switch and the hold list need the right to edit")
    expect(page.get_by_role("button", name=re.compile("^(Hold|Release|Turn)"))).to_have_count(0)
    expect(page.get_by_role("button", name="Check now…")).to_be_visible()
    expect(page.get_by_role("button", name="Adopt the redemption of TSLA")).to_be_visible()


def test_act__no_reason__is_not_sent(open_page: Open, desk: Desk) -> None:
    page = open_page()
    page.get_by_role("button", name="Turn…").click()
    page.get_by_role("button", name="Turn it").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("A reason is needed")
    assert desk.acts == []


def test_act__switch__is_sent_with_its_reason(open_page: Open, desk: Desk) -> None:
    page = open_page()
    page.get_by_role("button", name="Turn…").click()
    page.get_by_role("radio", name="drain").check()
    page.get_by_label("Reason").fill("Base is slow")
    page.get_by_role("button", name="Turn it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert desk.acts == [("switch", {"to": "drain", "reason": "Base is slow"})]
    expect(page.locator("#said")).to_contain_text("The switch is turned.")


def test_act__hold__names_the_asset(open_page: Open, desk: Desk) -> None:
    page = open_page()
    row(page, "MSFT").get_by_role("button", name="Release MSFT").click()
    page.get_by_label("Reason").fill("the split is done")
    page.get_by_role("button", name="Release it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert desk.acts == [("hold", {"asset": "MSFT", "hold": False, "reason": "the split is done"})]


@pytest.mark.parametrize(("choice", "dry"), [("dry run", True), ("as scheduled", False)])
def test_act__check__is_dry_unless_chosen(open_page: Open, desk: Desk, choice: str, dry: bool) -> None:
    page = open_page()
    page.get_by_role("button", name="Check now…").click()
    expect(page.get_by_role("radio", name="dry run")).to_be_checked()
    page.get_by_role("radio", name=choice).check()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator("#said")).to_contain_text("A check is started: manual__1.")
    assert desk.acts == [("check", {"dry_run": dry})]


def test_act__reconcile__sends_only_what_belongs_to_the_outcome(open_page: Open, desk: Desk) -> None:
    page = open_page()
    page.get_by_role("button", name="Reconcile the redemption of TSLA").click()
    expect(page.get_by_label("Which effect")).to_contain_text("redemption request (unknown)")
    page.get_by_role("radio", name="closed").check()
    page.get_by_label("Delivered").fill("12.8")
    page.get_by_label("Reason").fill("credited by hand, ticket 4411")
    page.get_by_role("button", name="Reconcile", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    body = {"outcome": "closed", "delivered": "12.8", "reason": "credited by hand, ticket 4411"}
    assert desk.acts == [(f"operations/{canned.STUCK['id']}/reconcile", body)]


def test_act__adopt__sends_the_reference_and_the_effect(open_page: Open, desk: Desk) -> None:
    page = open_page()
    page.get_by_role("button", name="Adopt the redemption of TSLA").click()
    page.get_by_label("Reference").fill("0xabc")
    page.get_by_label("Which effect").select_option(label="redemption request (unknown)")
    page.get_by_label("Reason").fill("found at Alpaca")
    page.get_by_role("button", name="Adopt", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    body = {"reference": "0xabc", "effect": "e2", "reason": "found at Alpaca"}
    assert desk.acts == [(f"operations/{canned.STUCK['id']}/adopt", body)]


def test_act__refused__shows_the_text_and_keeps_the_reason(open_page: Open, desk: Desk) -> None:
    desk.refuse = (409, "the lease is held by scheduled__1 until 14:04; try again then")
    page = open_page()
    page.get_by_role("button", name="Details of the mint of AAPL").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel…").click()
    page.get_by_label("Reason").fill("not wanted")
    page.get_by_role("button", name="Cancel", exact=True).click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_have_text("Not done: the lease is held by scheduled__1 until 14:04; try again then.")
    expect(page.get_by_label("Reason")).to_have_value("not wanted")
    assert desk.acts == []


def test_act__no_answer__does_not_claim_that_nothing_happened(open_page: Open) -> None:
    page = open_page()
    page.route("**/api/switch", lambda route: route.abort())
    page.get_by_role("button", name="Turn…").click()
    page.get_by_label("Reason").fill("Base is slow")
    page.get_by_role("button", name="Turn it").click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("It is not known whether it was done")


def test_history__asset_pressed__is_drawn(open_page: Open) -> None:
    page = open_page()
    row(page, "NVDA").get_by_role("button", name="NVDA", exact=True).click()
    expect(page.locator("#history figcaption")).to_contain_text("NVDA, last 24 h: from ")
    page.get_by_role("button", name="7 d").click()
    expect(page.locator("#history figcaption")).to_contain_text("3 operations, marked along the top")
    expect(page.locator("#history canvas")).to_be_visible()


def test_recent__older__adds_a_page_and_ends(open_page: Open) -> None:
    page = open_page()
    rows = page.locator(".past:not(.heads)")
    expect(rows).to_have_count(30)
    older = page.get_by_role("button", name="Older")
    older.click()
    expect(rows).to_have_count(60)
    older.click()
    expect(rows).to_have_count(70)
    expect(older).to_be_hidden()


def test_keyboard__from_the_top__reaches_what_needs_a_person(open_page: Open) -> None:
    page = open_page()
    expect(page.locator("#needs li")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to what needs you")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Resume the redemption of TSLA")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Resume the redemption of TSLA")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_frame__inside_airflow__follows_its_colours_and_opens_links_beside_it(
    open_page: Open, theme: str
) -> None:
    other = "dark" if theme == "light" else "light"
    page = open_page(f"/frame/{theme}", scheme=other)
    page.context.route("https://explorer.example/**", lambda route: route.fulfill(body="an explorer"))
    frame = page.frame_locator("iframe")
    expect(frame.locator("html")).to_have_attribute("data-theme", theme)
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name=re.compile("0x0029")).click()
    assert opened.value.url.startswith("https://explorer.example/tx/0x")
    page.evaluate(f"document.documentElement.className = '{other}'")
    expect(frame.locator("html")).to_have_attribute("data-theme", other)
