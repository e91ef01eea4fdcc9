"""Limits, the gate and the price of gas, as the doctor judges them."""

from __future__ import annotations

import functools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from eth_abi.abi import encode

from include import gate
from include.book import Network
from include.doctor import limits
from include.doctor.check import Subject, examine
from include.doctor.report import Finding, Level
from include.venues.errors import Unavailable
from include.venues.evm.types import Call, MulticallResult
from tests.support.clock import Clock
from tests.unit.doctor.build import TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.doctor.check import Check

FEED = "0x" + "55" * 20
GATE_URL = "https://gate.test/sentinel-gate-key/frozen"


def found(check: Check, subject: Subject) -> list[tuple[Level, str]]:
    findings = examine(subject, [check])
    assert all(bool(finding.advice) is (finding.level is not Level.OK) for finding in findings)
    return [(finding.level, finding.found) for finding in findings]


# Limits


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "equities: no limit for all; USDC: no limit for all"),
        (
            {"equity_maximum": "50", "equity_cap": "40", "equity_daily_maximum": "90"},
            "equities: 40 at once, 90 in a day; USDC: no limit for all",
        ),
        ({"usdc_cap": "5000"}, "equities: no limit for all; USDC: 5000 at once, any amount in a day"),
    ],
)
def test_limits__that_make_sense__are_told(values: dict[str, str], text: str) -> None:
    assert found(limits.limits, Subject(settings(**values))) == [(Level.OK, text)]


@pytest.mark.parametrize(
    ("values", "own", "text"),
    [
        ({"equity_cap": "40"}, {"maximum": "50"}, "AAPL: its maximum (50) is cut to equity_cap (40)"),
        (
            {"equity_daily_maximum": "40"},
            {"daily_maximum": "50"},
            "AAPL: its daily_maximum (50) is above equity_daily_maximum (40)",
        ),
        (
            {},
            {"maximum": "50", "daily_maximum": "40"},
            "AAPL: one move may be 50, which is more than 40 in a day",
        ),
        (
            {"equity_maximum": "50", "equity_daily_maximum": "40"},
            {},
            "AAPL: one move may be 50, which is more than 40 in a day",
        ),
    ],
)
def test_limits__one_that_is_useless__is_a_warning(
    values: dict[str, str], own: dict[str, str], text: str
) -> None:
    given = settings(**values, assets=json.dumps({"AAPL": own}))
    assert found(limits.limits, Subject(given))[0] == (Level.WARNING, text)


def test_limits__just_within_each_other__are_ok() -> None:
    own = json.dumps({"AAPL": {"maximum": "40", "daily_maximum": "40"}})
    given = settings(equity_cap="40", equity_daily_maximum="40", assets=own)
    assert [level for level, _ in found(limits.limits, Subject(given))] == [Level.OK]


# The gate


@pytest.fixture
def gate_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    """Return what is found when the gate answers with this, for each asset."""

    def examined(answers: dict[str, httpx.Response], **values: str) -> list[Finding]:
        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.params["kind"] == "mint"
            return answers[request.url.params["asset"]]

        asking = functools.partial(gate.ask, transport=httpx.MockTransport(answer))
        monkeypatch.setattr(gate, "ask", asking)
        tokens = json.dumps({"AAPL": TOKEN, "NVDA": "0x" + "22" * 20})
        given = settings(token_addresses=tokens, **({"gate_url": GATE_URL} | values))
        return examine(Subject(given), [limits.the_gate])

    return examined


def says(frozen: Any, reason: str = "") -> httpx.Response:
    return httpx.Response(200, json={"frozen": frozen, "reason": reason})


def levels(findings: list[Finding]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.found) for finding in findings]


def test_gate__answers__says_what_may_be_moved(gate_says: Callable[..., list[Finding]]) -> None:
    assert levels(gate_says({"AAPL": says(False), "NVDA": says(False)})) == [
        (Level.OK, "it answers; 2 of 2 equities may be moved")
    ]
    assert levels(gate_says({"AAPL": says(True, "split"), "NVDA": says(False)})) == [
        (Level.WARNING, "AAPL: the gate says it is frozen: split"),
        (Level.OK, "it answers; 1 of 2 equities may be moved"),
    ]


@pytest.mark.parametrize(
    ("silence", "level", "end"),
    [
        ("skip", Level.FAILURE, "they are not moved"),
        ("proceed", Level.WARNING, "they are moved all the same, as `gate_silence` is proceed"),
    ],
)
def test_gate__silent__is_as_bad_as_the_settings_make_it(
    gate_says: Callable[..., list[Finding]], silence: str, level: Level, end: str
) -> None:
    answers = {"AAPL": httpx.Response(503), "NVDA": says(False)}

    (finding,) = gate_says(answers, gate_silence=silence)

    assert finding.level is level
    assert finding.found == f"the gate answered with HTTP 503, asked about AAPL: {end}"
    assert finding.advice


def test_gate__in_trouble__shows_nothing_of_its_url(
    gate_says: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def repeats(*_: object, **__: object) -> None:
        raise Unavailable(f"nobody at {GATE_URL}")

    monkeypatch.setattr(gate, "ask", repeats)

    (finding,) = examine(Subject(settings(gate_url=GATE_URL)), [limits.the_gate])

    assert finding.level is Level.FAILURE
    assert finding.found == "nobody at ***"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"gate_url": ""}, "not needed: `gate_url` is not set"),
        (
            {"assets": json.dumps({"AAPL": {"enabled": False}, "NVDA": {"enabled": False}})},
            "not asked: no equity is enabled",
        ),
    ],
)
def test_gate__nothing_to_ask__is_ok(
    gate_says: Callable[..., list[Finding]], values: dict[str, str], text: str
) -> None:
    assert levels(gate_says({}, **values)) == [(Level.OK, text)]


# The price of gas


class Feed:
    """A chain with one contract: a price feed of 8 decimals."""

    def __init__(self, value: int, updated_at: int) -> None:
        self.answer = encode(
            ["uint80", "int256", "uint256", "uint256", "uint80"], [1, value, 0, updated_at, 1]
        )

    def code(self, address: str) -> bytes:
        return b"\1" if address == FEED else b""

    def multicall(self, calls: Sequence[Call]) -> MulticallResult:
        assert [call.to for call in calls] == [FEED, FEED]
        return MulticallResult(1, 1, ((8).to_bytes(32, "big"), self.answer))


@pytest.mark.parametrize(
    ("age", "level"),
    [
        (timedelta(0), Level.OK),
        (timedelta(hours=1), Level.OK),
        (timedelta(hours=1, seconds=1), Level.WARNING),
        (timedelta(days=1), Level.WARNING),
        (timedelta(days=1, seconds=1), Level.FAILURE),
    ],
)
def test_eth_price__of_a_feed__is_judged_by_its_age(age: timedelta, level: Level) -> None:
    clock = Clock()
    chain: Any = Feed(2987_12500000, int((clock() - age).timestamp()))
    subject = Subject(settings(eth_price_feed=FEED), chains={Network.BASE: chain}, now=clock)
    assert found(limits.eth_price, subject) == [(level, f"2987.125 dollars, {age.total_seconds():.0f} s old")]


def test_eth_price__no_price__is_a_failure() -> None:
    chain: Any = Feed(0, 1)
    subject = Subject(settings(eth_price_feed=FEED), chains={Network.BASE: chain})
    assert found(limits.eth_price, subject)[0][0] is Level.FAILURE


@pytest.mark.parametrize(
    ("values", "text"),
    [({}, "not needed: no price is set"), ({"eth_price_usd": "2950.50"}, "set to 2950.5 dollars")],
)
def test_eth_price__without_a_feed__needs_no_chain(values: dict[str, str], text: str) -> None:
    assert found(limits.eth_price, Subject(settings(**values))) == [(Level.OK, text)]
