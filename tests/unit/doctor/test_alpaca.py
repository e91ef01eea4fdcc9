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
