"""Accounts that the sandbox does not have."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from include.doctor import alpaca
from include.doctor.check import Subject, examine
from include.doctor.report import Level
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from tests.unit.doctor.build import TOKEN, settings

KEY, SECRET = "SENTINELKEY", "sentinel-secret"
ACCOUNT = {"id": "5f5a52a4", "status": "ACTIVE", "crypto_status": "ACTIVE", "cash": "1"}


def found(answer: httpx.Response, check: Any = alpaca.account, **values: str) -> list[tuple[Level, str]]:
    """Return what a check finds when Alpaca gives this answer to everything."""
    transport = httpx.MockTransport(lambda _: answer)
    with AlpacaBroker(
        "https://broker.test", "5f5a52a4", KeyPairAuth(KEY, SECRET), transport=transport
    ) as broker:
        findings = examine(Subject(settings(**values), alpaca=broker, secrets=(KEY, SECRET)), [check])
    assert not {KEY, SECRET} & set(repr(findings).split("'"))
    return [(finding.level, finding.found) for finding in findings]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (Level.OK, "the status is ACTIVE, and nothing is blocked")),
        ({"status": "SUBMITTED"}, (Level.FAILURE, "the status is SUBMITTED")),
        (
            {"transfers_blocked": True, "account_blocked": True},
            (Level.FAILURE, "the status is ACTIVE, account_blocked, transfers_blocked"),
        ),
    ],
)
def test_account__active_or_blocked__is_told(values: dict[str, Any], expected: tuple[Level, str]) -> None:
    assert found(httpx.Response(200, json=ACCOUNT | values))[0] == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ACTIVE", (Level.OK, "crypto is enabled")),
        ("INACTIVE", (Level.FAILURE, "the crypto status is INACTIVE")),
        (None, (Level.WARNING, "Alpaca does not say whether crypto is enabled")),
    ],
)
def test_account__crypto__is_judged_by_its_own_status(
    status: str | None, expected: tuple[Level, str]
) -> None:
    assert found(httpx.Response(200, json=ACCOUNT | {"crypto_status": status}))[1:] == [expected]


def test_account__an_answer_that_repeats_the_key__shows_none_of_it() -> None:
    text = f"key {KEY} with {SECRET} is not authorized"

    ((level, shown),) = found(httpx.Response(401, json={"message": text}))

    assert level is Level.FAILURE
    assert shown.endswith("key *** with *** is not authorized")


def test_stocks__more_than_are_asked_for__is_said() -> None:
    tokens = {f"S{n}": f"0x{n + 1:040x}" for n in range(alpaca.MOST_STOCKS + 2)}
    asset = {"id": "1", "symbol": "S1", "class": "us_equity", "status": "active", "tradable": True}

    shown = found(
        httpx.Response(200, json=asset), alpaca.stocks, token_addresses=str(tokens).replace("'", '"')
    )

    assert shown == [(Level.WARNING, "2 stocks were not looked at")]


def test_stocks__inactive__is_a_warning() -> None:
    asset = {"id": "1", "symbol": "AAPL", "class": "us_equity", "status": "inactive", "tradable": False}

    shown = found(httpx.Response(200, json=asset), alpaca.stocks)

    assert shown == [(Level.WARNING, "AAPL is inactive at Alpaca"), (Level.OK, "Alpaca knows AAPL")]
    assert TOKEN not in repr(shown)


PAIR = {"id": "2", "symbol": "USDCUSD", "class": "crypto", "status": "active", "tradable": True}
TRADED = (Level.OK, "USDCUSD is traded")


def dollars(
    account: dict[str, Any],
    pair: dict[str, Any] | None = None,
    names: tuple[str, ...] = ("USDCUSD",),
    **values: str,
) -> list[tuple[Level, str]]:
    """Return what is found of the dollars of an account, where Alpaca knows the pair by these names."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/account"):
            return httpx.Response(200, json=ACCOUNT | account)
        known = request.url.path.removeprefix("/v1/assets/") in names
        return httpx.Response(200, json=PAIR | (pair or {})) if known else httpx.Response(404, json={})

    with AlpacaBroker(
        "https://broker.test", "5f5a52a4", KeyPairAuth(KEY, SECRET), transport=httpx.MockTransport(answer)
    ) as broker:
        given = settings(**({"dollars": "usd"} | values))
        findings = examine(Subject(given, alpaca=broker), [alpaca.dollars])
    assert all(finding.advice for finding in findings if finding.level is not Level.OK)
    return [(finding.level, finding.found) for finding in findings]


@pytest.mark.parametrize(
    ("account", "reserve", "expected"),
    [
        (
            {"cash": "1000.5", "cash_withdrawable": "400"},
            "0",
            (Level.OK, "1000.5 dollars, of which 400 are settled"),
        ),
        (
            {"cash": "1000", "non_marginable_buying_power": "30", "cash_withdrawable": "40"},
            "29",
            (Level.OK, "1000 dollars, of which 30 are settled"),
        ),
        ({"cash": "0", "cash_withdrawable": "0"}, "0", (Level.OK, "0 dollars, of which 0 are settled")),
        (
            {"cash": "1000", "cash_withdrawable": "400"},
            "400",
            (Level.WARNING, "400 dollars are settled, and the reserve is 400: none can be moved"),
        ),
        ({"cash": "-3.25", "cash_withdrawable": "0"}, "0", (Level.FAILURE, "the account owes 3.25 dollars")),
        (
            {"cash": "1000"},
            "0",
            (
                Level.FAILURE,
                "Alpaca does not say how much of the cash is settled, so no dollars can be counted",
            ),
        ),
    ],
)
def test_dollars__the_accounts_cash__is_judged(
    account: dict[str, Any], reserve: str, expected: tuple[Level, str]
) -> None:
    assert dollars(account, cash_reserve=reserve) == [expected, TRADED]


@pytest.mark.parametrize(
    ("pair", "names", "expected"),
    [
        ({"tradable": False}, ("USDCUSD",), (Level.FAILURE, "USDCUSD is active, and not traded")),
        ({"status": "inactive"}, ("USDCUSD",), (Level.FAILURE, "USDCUSD is inactive")),
        ({"symbol": "USDC/USD"}, ("USDC/USD",), (Level.OK, "USDC/USD is traded")),
        ({}, (), (Level.FAILURE, "Alpaca does not know USDCUSD")),
    ],
)
def test_dollars__the_pair__must_be_traded(
    pair: dict[str, Any], names: tuple[str, ...], expected: tuple[Level, str]
) -> None:
    assert dollars({"cash": "1", "cash_withdrawable": "1"}, pair, names)[1] == expected


def test_dollars__are_usdc__are_not_asked_for() -> None:
    assert dollars({"cash": "-1"}, dollars="usdc") == [(Level.OK, "not needed: `dollars` is usdc")]
