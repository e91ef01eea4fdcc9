"""What Prometheus is given, and whom it is given to."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from ballast.page.metrics import KEPT_FOR, Answers
from include.alerts.kinds import Kind
from include.domain.decision import Reason
from include.ledger.alerts import AlertBook, Condition
from include.metrics.definitions import METRICS
from include.settings import Names, load_settings
from tests.unit.overview import books
from tests.unit.plugins.page.conftest import browser

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser, Given

LABELS = {metric.exposed: metric.own for metric in METRICS}
TOKEN = "a-token-of-some-length"


def numbers(answer: Any, book: str = "default") -> dict[tuple[str, ...], float]:
    """Return every sample by name and own labels, as Prometheus understands it; all are of the book."""
    assert answer.status_code == 200, answer.text
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    assert {sample.labels["book"] for sample in samples} == {book}
    return {
        (sample.name, *(sample.labels[label] for label in LABELS[sample.name])): sample.value
        for sample in samples
    }


def test_metrics__before_any_check__are_there(vera: Browser) -> None:
    answer = vera.get("metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    found = numbers(answer)
    assert found["ballast_switch", "drain"] == 1
    assert found["ballast_operations_overdue",] == 0
    assert ("ballast_snapshot_age_seconds",) not in found
    for metric in METRICS:
        assert f"# HELP {metric.exposed} {metric.help}" in answer.text
        assert f"# TYPE {metric.exposed} {metric.type}" in answer.text


def test_metrics__of_a_book__are_those_of_the_ledger(
    ledger: Ledger, clock: Clock, source: Given, vera: Browser
) -> None:
    check_id = books.check(ledger, clock() - timedelta(seconds=30), ["AAPL", "USDC"])
    books.operations(ledger, check_id, ["AAPL"], clock(), count=4, opened=1)
    book = AlertBook(ledger.engine, now=clock)
    book.observe([Condition("gas_low:base", Kind.GAS_LOW, "low", clock())], (), quiet=timedelta(0))
    book.keep_readings({"gas:base": 15 * 10**15, "nonce:base": 7})
    book.failed(book.take(["mail"], repeat=None)[0], "no")
    found = numbers(vera.get("metrics"))
    expected = {
        ("ballast_snapshot_age_seconds",): 30,
        ("ballast_checks_total", "live"): 1,
        ("ballast_decision", "AAPL", "balanced"): 1,
        ("ballast_asset_onchain_ratio", "AAPL"): 0.43,
        ("ballast_asset_lower_ratio", "AAPL"): 0.2,
        ("ballast_asset_amount", "AAPL", "offchain", "available"): 57,
        ("ballast_assets", "unread"): 0,
        ("ballast_operations_open", "mint", "wrap"): 1,
        ("ballast_oldest_operation_age_seconds",): 60,
        ("ballast_operations_closed_total", "mint", "settled"): 3,
        ("ballast_delivered_amount_total", "mint", "AAPL"): 93,
        ("ballast_daily_moved_amount", "AAPL"): 124,
        ("ballast_wallet_gas_eth", "base"): 0.015,
        ("ballast_wallet_next_nonce", "base"): 7,
        ("ballast_alerts", "gas_low", "warning"): 1,
        ("ballast_alerts", "overdue", "warning"): 0,
        ("ballast_alerts_untold", "mail"): 1,
    }
    assert {key: found.get(key) for key in expected} == pytest.approx(expected)
    assert sum(found["ballast_assets", reason.value] for reason in Reason) == len(source.settings().symbols)


def test_metrics__a_venue_that_was_not_read__is_said_and_is_not_zero(
    ledger: Ledger, clock: Clock, vera: Browser
) -> None:
    books.check(ledger, clock(), ["AAPL"], unread=True)
    found = numbers(vera.get("metrics"))
    assert found["ballast_asset_unread", "AAPL", "onchain"] == 1
    assert ("ballast_asset_amount", "AAPL", "onchain", "available") not in found
    assert ("ballast_asset_onchain_ratio", "AAPL") not in found


def with_token(source: Given, token: str | None) -> None:
    environ = {} if token is None else {"BALLAST_METRICS_TOKEN": token}
    source.given = load_settings(environ=environ)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401),
        ("Bearer \xe4\xf6", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
    ],
)
def test_metrics__with_a_token__only_the_right_one_counts(
    source: Given, nobody: Browser, given: str, status: int
) -> None:
    with_token(source, TOKEN)
    headers = {"Authorization": given.encode("latin-1")}
    assert nobody.get("metrics", headers=headers).status_code == status
    assert nobody.get("api/overview", headers=headers).status_code in (401, 403), "it opens nothing else"


def test_metrics__no_token_is_set__none_counts(source: Given, nobody: Browser) -> None:
    with_token(source, None)
    for given in ("Bearer ", "Bearer None", f"Bearer {TOKEN}"):
        assert nobody.get("metrics", headers={"Authorization": given}).status_code == 401


def test_metrics__airflows_own_token__still_counts(client: TestClient, source: Given, vera: Browser) -> None:
    with_token(source, TOKEN)
    api = browser(client, None)
    assert api.get("metrics", headers={"Authorization": f"Bearer {vera.token}"}).status_code == 200


def test_answers__several_in_a_moment__are_read_once(source: Given, vera: Browser) -> None:
    moments = [0.0]
    answers: Any = Answers(lambda: moments[0])
    counted: list[str] = []
    event.listen(source.opened.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    first = answers.of(source, Names())
    read = len(counted)
    assert 0 < read < 30
    moments[0] = KEPT_FOR - 0.1
    assert answers.of(source, Names()) is first
    assert len(counted) == read
    moments[0] = KEPT_FOR
    assert answers.of(source, Names()) is not first
    assert len(counted) <= 2 * read


def test_metrics__of_usdc__leave_the_stricter_limit(
    ledger: Ledger, clock: Clock, source: Given, vera: Browser
) -> None:
    source.given = load_settings(
        environ={
            "BALLAST_USDC_DAILY_MAXIMUM": "1000",
            "BALLAST_ASSETS": '{"USDC": {"daily_maximum": "400"}}',
        }
    )
    check_id = books.check(ledger, clock(), ["USDC"])
    books.operations(ledger, check_id, ["USDC"], clock(), count=1)
    found = numbers(vera.get("metrics"))
    moved = Decimal(31_000_000_000) / 10**9
    assert found["ballast_daily_moved_amount", "USDC"] == float(moved)
    assert found["ballast_daily_limit_amount", "USDC"] == 400
    assert found["ballast_daily_left_amount", "USDC"] == 369
