"""What somebody does on the page is done, seen on it without a reload, and recorded with their name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from include.domain.operation import OperationKind, OperationStatus
from include.ledger.records import EffectStatus, Verb
from include.ledger.schema import CheckRow
from include.sandbox.alpaca.faults import Fault
from tests.e2e.browser.pages import PATIENCE

if TYPE_CHECKING:
    from include.ledger.records import Operation
    from tests.e2e.browser.pages import Ballast, Person
    from tests.faults.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MINT, REDEMPTION, TO_BASE = OperationKind.MINT, OperationKind.REDEMPTION, OperationKind.USDC_ALPACA_TO_BASE


def audited(stage: Stage, event: str, who: str = "olga") -> list[dict[str, Any]]:
    """Return what Airflow's audit log says of an event, the newest first."""
    asked = {"event": event, "owner": who, "order_by": "-when"}
    found = stage.call("GET", "/eventLogs", params=asked).json()["event_logs"]
    return [json.loads(one["extra"] or "{}") for one in found]


def assert_recorded(stage: Stage, operation: Operation, verb: Verb, reason: str) -> None:
    """Assert that the ledger and Airflow's audit log have who did it, and why."""
    [done] = stage.ballast.ledger.interventions(operation.id)
    assert (done.verb, done.actor, done.reason) == (verb, "olga", reason)
    entry = {"operation": operation.id, "asset": operation.asset, "reason": reason}
    assert audited(stage, f"ballast_{verb}") == [entry]


def check_now(shown: Ballast) -> None:
    """Start a check that begins what is due."""
    shown.press("Check now…")
    shown.choose("as scheduled")
    shown.confirm("Check")


def opened(stage: Stage, shown: Ballast, *wanted: tuple[OperationKind, str]) -> list[Operation]:
    """Bring assets out of balance, have a check made from the page, and return what it has opened."""
    known = {operation.id for operation in stage.ballast.ledger.operations()}
    stage.trade(*wanted)
    check_now(shown)

    def found() -> dict[tuple[OperationKind, str], Operation]:
        operations = stage.ballast.ledger.operations()
        return {(one.kind, one.asset): one for one in operations if one.id not in known}

    stage.wait(lambda: found().keys() == set(wanted), f"{wanted} opened")
    return [found()[wish] for wish in wanted]


def mints(stage: Stage, symbol: str) -> list[str]:
    """Return the ids of the mints that Alpaca was asked for."""
    requests = stage.ballast.world.broker.core.state.requests.values()
    return [one.id for one in requests if (one.symbol, one.type) == (symbol, "mint")]


def arm(stage: Stage, target: str, kind: str, **more: Any) -> None:
    stage.ballast.world.broker.core.faults.arm(Fault(target=target, kind=kind, **more))


def test_switch__to_drain_and_back__turns_and_is_audited(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    for to, was, reason in (("drain", "run", "Base is slow"), ("run", "drain", "Base is well")):
        shown.press("Turn…")
        shown.choose(to)
        shown.confirm("Turn it", reason)
        expect(shown.frame.locator('[data-reading="switch"] .value')).to_have_text(to)
        assert stage.call("GET", "/variables/rebalancing_switch").json()["value"] == to
        assert audited(stage, "ballast_switch")[0] == {"was": was, "to": to, "reason": reason}


def test_hold__and_release__are_shown_and_audited(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    shown.asset("NVDA").hover()
    shown.press("Hold NVDA back")
    shown.confirm("Hold it back", "the stock splits tomorrow")
    expect(shown.asset("NVDA").locator(".tag")).to_have_text("held")
    assert stage.call("GET", "/variables/rebalancing_hold").json()["value"] == "NVDA"
    shown.press("Release NVDA")
    shown.confirm("Release it", "the split is done")
    expect(shown.asset("NVDA").locator(".tag")).to_be_hidden()
    reasons = [entry["reason"] for entry in audited(stage, "ballast_hold")]
    assert reasons == ["the split is done", "the stock splits tomorrow"]


def test_check__dry__is_a_run_of_hers_and_only_looks(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    shown.press("Check now…")
    shown.confirm("Check")
    expect(shown.frame.locator('[data-reading="check"]')).to_contain_text("dry run", timeout=PATIENCE)
    run = stage.ballast.runs()[0]
    assert (run["conf"]["dry_run"], run["triggering_user_name"]) == (True, "olga")
    assert audited(stage, "trigger_dag_run")
    with stage.ballast.ledger.engine.connect() as connection:
        modes = connection.scalars(select(CheckRow.mode).where(CheckRow.run_id == run["dag_run_id"])).all()
    assert modes == ["dry_run"]
    assert stage.wait_run(run["dag_run_id"]) == "success"


def start_by_hand(shown: Ballast, kind: OperationKind, asset: str, amount: str, reason: str) -> None:
    """Ask for one operation."""
    shown.press("Move by hand…")
    shown.select("Asset", asset)
    shown.select("Way", str(kind))
    shown.fill("Amount", amount)
    shown.choose("for real")
    shown.confirm("Start it", reason)


def first(stage: Stage, kind: OperationKind, asset: str) -> Operation:
    """Wait for the first operation of a kind and an asset, and return it."""

    def found() -> list[Operation]:
        return [one for one in stage.ballast.ledger.operations(kind=kind) if one.asset == asset]

    stage.wait(found, f"{kind} of {asset} opened")
    return found()[0]


def test_start__by_hand__moves_exactly_what_she_asked_for(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    start_by_hand(shown, REDEMPTION, "MSFT", "5.5", "shares are wanted tomorrow")
    operation = first(stage, REDEMPTION, "MSFT")
    assert operation.quantity == Decimal("5.5")
    expect(shown.past("MSFT")).to_contain_text("settled", timeout=PATIENCE)
    [judged] = [one for one in stage.ballast.ledger.decisions(operation.check_id) if one.asset == "MSFT"]
    assert judged.asked is not None
    assert (judged.asked.by, judged.asked.reason) == ("olga", "shares are wanted tomorrow")
    run = stage.run(operation.run_id)
    assert (run["triggering_user_name"], run["note"]) == ("olga", "shares are wanted tomorrow")


def test_approval__given_on_the_page__lets_it_begin(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    start_by_hand(shown, MINT, "NVDA", "3", "a test of approval")
    operation = first(stage, MINT, "NVDA")
    approve = shown.frame.get_by_role("button", name="Approve the mint of NVDA")
    expect(approve).to_be_visible(timeout=PATIENCE)
    approve.click()
    shown.confirm("Approve", "it is within the plan")
    expect(shown.past("NVDA")).to_contain_text("settled", timeout=PATIENCE)
    [done] = stage.ballast.ledger.interventions(operation.id)
    assert (done.verb, done.actor, done.reason) == (Verb.APPROVE, "olga", "it is within the plan")
    assert stage.ballast.ledger.operation(operation.id).quantity == Decimal(3)


def test_approval__refused_on_the_page__cancels_it_before_it_begins(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    start_by_hand(shown, REDEMPTION, "NVDA", "4", "a test of refusal")
    operation = first(stage, REDEMPTION, "NVDA")
    reject = shown.frame.get_by_role("button", name="Reject the redemption of NVDA")
    expect(reject).to_be_visible(timeout=PATIENCE)
    reject.click()
    shown.confirm("Reject", "not today")
    expect(shown.past("NVDA")).to_contain_text("cancelled", timeout=PATIENCE)
    found = stage.ballast.ledger.operation(operation.id)
    assert found.status is OperationStatus.CANCELLED
    assert "olga" in str(found.outcome)
    assert "not today" in str(found.outcome)
    assert stage.ballast.ledger.effects(operation.id) == []


def test_replay__of_what_was_recorded__is_listed_and_moves_nothing(olga: Person, stage: Stage) -> None:
    shown = olga.open_from_navigation()
    before = stage.ballast.ledger.operations()
    shown.press("Decide the past again…")
    since = datetime.now(UTC) - timedelta(hours=2)  # two runs, as a check is due every hour
    shown.dialog.locator('[name="since"]').fill(f"{since:%Y-%m-%dT%H:%M}")
    shown.fill("Deviation of all assets", "0.01")
    shown.dialog.locator('[name="replay_name"]').fill("a narrow band")
    shown.confirm("Start it")
    row = shown.frame.locator("#replays li").filter(has_text="a narrow band")
    expect(row).to_be_visible(timeout=PATIENCE)
    expect(row).to_contain_text("deviation 0.01")
    assert stage.ballast.ledger.operations() == before


@pytest.fixture(scope="module")
def stuck(olga: Person, stage: Stage) -> dict[OperationKind, Operation]:
    """Three operations, none of which can go on: one waits, one was rejected, one cannot begin."""
    arm(stage, "mint", "stuck")
    arm(stage, "redemption", "reject")
    arm(stage, "whitelists", "status", status=503, times=10_000)
    shown = olga.open_from_navigation()
    wanted = ((MINT, "AAPL"), (REDEMPTION, "TSLA"), (TO_BASE, "USDC"))
    return {operation.kind: operation for operation in opened(stage, shown, *wanted)}


def test_operations__under_way__are_shown_with_what_they_wait_for(
    olga: Person, stuck: dict[OperationKind, Operation]
) -> None:
    shown = olga.ballast()
    for operation in stuck.values():
        expect(shown.operation(operation.id)).to_contain_text(operation.asset, timeout=PATIENCE)
    mint = shown.operation(stuck[MINT].id)
    expect(mint.locator(".leg").first).to_have_attribute("data-state", "waiting", timeout=PATIENCE)
    expect(shown.asset("AAPL")).to_contain_text("moving mint of 31")


def test_reconcile__a_rejected_redemption__closes_it_as_she_says(
    olga: Person, vera: Person, stage: Stage, stuck: dict[OperationKind, Operation]
) -> None:
    shown = olga.ballast()
    button = shown.frame.get_by_role("button", name="Reconcile the redemption of TSLA")
    expect(button).to_be_visible(timeout=PATIENCE)
    seen_by_viewer = vera.open_from_navigation()
    expect(seen_by_viewer.frame.locator("#needs")).to_contain_text("TSLA")
    expect(seen_by_viewer.acts()).to_have_count(0)
    assert vera.post(f"operations/{stuck[REDEMPTION].id}/resume", {"reason": "a test"}) == 403
    button.click()
    shown.choose("closed")
    shown.fill("Delivered", "0")
    shown.confirm("Reconcile", "the issuer pays in cash")
    expect(shown.operation(stuck[REDEMPTION].id)).to_be_hidden()
    expect(shown.past("TSLA")).to_contain_text("reconciled")
    assert stage.ballast.ledger.operation(stuck[REDEMPTION].id).status is OperationStatus.RECONCILED
    assert_recorded(stage, stuck[REDEMPTION], Verb.RECONCILE, "the issuer pays in cash")


def test_cancel__what_has_moved_nothing__frees_the_asset(
    olga: Person, stage: Stage, stuck: dict[OperationKind, Operation]
) -> None:
    shown = olga.ballast()
    shown.open_details("USDC to Base", "USDC")
    shown.press("Cancel…")
    shown.confirm("Cancel", "the wallet is changed today")
    shown.close_details()
    expect(shown.operation(stuck[TO_BASE].id)).to_be_hidden()
    expect(shown.past("USDC")).to_contain_text("cancelled")
    assert stage.ballast.ledger.operation(stuck[TO_BASE].id).status is OperationStatus.CANCELLED
    assert_recorded(stage, stuck[TO_BASE], Verb.CANCEL, "the wallet is changed today")


def test_resume__then_the_mint_goes_on__it_settles_before_her_eyes(
    olga: Person, stage: Stage, stuck: dict[OperationKind, Operation]
) -> None:
    shown = olga.ballast()
    shown.frame.locator("body").evaluate("body => { body.dataset.kept = 'yes'; }")
    shown.open_details("mint", "AAPL")
    shown.press("Resume…")
    shown.confirm("Resume", "Alpaca says that it is done")
    shown.close_details()
    assert_recorded(stage, stuck[MINT], Verb.RESUME, "Alpaca says that it is done")
    stage.release()
    expect(shown.operation(stuck[MINT].id)).to_be_hidden(timeout=PATIENCE)
    expect(shown.past("AAPL")).to_contain_text("settled")
    assert stage.ballast.ledger.operation(stuck[MINT].id).status is OperationStatus.SETTLED
    expect(shown.frame.locator("body")).to_have_attribute("data-kept", "yes")


def test_adopt__a_mint_whose_answer_was_lost__goes_on_and_is_made_once(olga: Person, stage: Stage) -> None:
    arm(stage, "mint", "drop_answer")
    # It is looked up once before it is asked for; afterwards nothing is found.
    arm(stage, "request_by_client_id", "status", status=503, times=10_000, after=1)
    shown = olga.open_from_navigation()
    [mint] = opened(stage, shown, (MINT, "MSFT"))

    def is_unknown() -> bool:
        effects = stage.ballast.ledger.effects(mint.id)
        return any(one.status in (EffectStatus.SENT, EffectStatus.UNKNOWN) for one in effects)

    stage.wait(is_unknown, "asked for without an answer")
    [asked] = mints(stage, "MSFT")
    expect(shown.operation(mint.id)).to_be_visible(timeout=PATIENCE)
    shown.open_details("mint", "MSFT")
    shown.press("Adopt…")
    shown.fill("Reference", asked)
    shown.confirm("Adopt", "found at Alpaca")
    shown.close_details()
    assert_recorded(stage, mint, Verb.ADOPT, "found at Alpaca")
    stage.release()
    expect(shown.past("MSFT")).to_contain_text("settled", timeout=PATIENCE)
    assert mints(stage, "MSFT") == [asked]
