"""The page where Airflow shows it: behind its login, in its navigation, and as a tab of DAG and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from scripts.local_ballast import DAG_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.browser.pages import Person
    from tests.faults.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_page__nobody_is_logged_in__leads_to_airflows_login_and_back(
    person: Callable[[str], Person],
) -> None:
    somebody = person("vera")
    somebody.page.goto("/ballast/?dag_id=rebalancing")
    expect(somebody.page.get_by_role("heading", name="Sign into Airflow")).to_be_visible()
    assert somebody.page.request.get("/ballast/api/overview").status == 401
    assert somebody.post("check", {"dry_run": True}) == 401
    somebody.log_in()
    expect(somebody.page.locator("#freshness")).to_contain_text("live")
    assert somebody.page.url.endswith("/ballast/?dag_id=rebalancing")


def test_navigation__opens_the_page__with_every_asset_and_its_ratio(olga: Person) -> None:
    shown = olga.open_from_navigation()
    expect(shown.frame.locator("footer")).to_contain_text("Logged in as olga.")
    expect(shown.frame.locator(".asset:not(.heads)")).to_have_count(5)
    expect(shown.asset("AAPL").locator(".ratio")).to_have_text("0.500")
    expect(shown.asset("USDC")).to_contain_text("5,000")
    olga.page.reload()
    expect(olga.ballast().asset("USDC")).to_be_visible()


def test_tabs__of_the_dag_and_of_a_run__show_the_page(olga: Person, stage: Stage) -> None:
    olga.open(f"/dags/{DAG_ID}")
    tab = olga.page.get_by_role("link", name="Ballast", exact=True).and_(
        olga.page.locator('[href*="/dags/rebalancing/"]')
    )
    tab.click()
    expect(olga.ballast().asset("AAPL")).to_be_visible()
    run_id = stage.ballast.runs()[0]["dag_run_id"]
    olga.open(f"/dags/{DAG_ID}/runs/{run_id}")
    tab.click()
    expect(olga.ballast().frame.locator("#open")).to_contain_text(f"Of run {run_id}.")


def test_frame__airflow_is_switched_to_dark__the_page_is_too(person: Callable[[str], Person]) -> None:
    somebody = person("vera")
    somebody.open()
    somebody.page.evaluate("localStorage.setItem('theme', 'dark')")
    shown = somebody.open_from_navigation()
    expect(shown.frame.locator("html")).to_have_attribute("data-theme", "dark")


def test_tab__of_another_dag__says_whose_page_it_is(olga: Person) -> None:
    olga.open()
    olga.page.goto("/ballast/?dag_id=payroll")  # what Airflow's frame would show there
    expect(olga.page.get_by_role("heading")).to_have_text("Ballast is about another DAG")
    olga.page.get_by_role("link", name="Show it here").click()
    expect(olga.page.locator("#freshness")).to_contain_text("live")


def test_viewer__sees_everything__and_is_offered_no_act(vera: Person, stage: Stage) -> None:
    shown = vera.open_from_navigation()
    expect(shown.asset("AAPL").locator(".ratio")).to_have_text("0.500")
    expect(shown.acts()).to_have_count(0)
    expect(shown.frame.locator("footer")).to_contain_text("You may look; acts need the right to run the DAG.")
    why = {"reason": "a test"}
    assert vera.post("switch", {"to": "halt", **why}) == 403
    assert vera.post("hold", {"asset": "AAPL", "hold": True, **why}) == 403
    assert vera.post("check", {"dry_run": True}) == 403
    asked = {"kind": "mint", "asset": "AAPL", "amount": "1", "key": "12345678", **why}
    assert vera.post("start", asked) == 403
    since = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
    assert vera.post("replay", since) == 403
    for verb in ("resume", "cancel", "adopt", "reconcile", "approve", "reject"):
        assert vera.post(f"operations/x/{verb}", why) == 403
    assert stage.call("GET", "/eventLogs", params={"owner": "vera"}).json()["total_entries"] == 0
