"""What the freeze gate is asked, and what becomes of its answers."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pytest

from include import gate
from include.domain.decision import PlannedOperation, Reason
from include.domain.limits import Shut
from include.domain.operation import OperationKind
from include.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "key-of-gate"
URL = f"https://gate.example/v1/{SECRET}"
MINT = PlannedOperation(OperationKind.MINT, "AAPL", Decimal("31.5"))
REDEMPTION = PlannedOperation(OperationKind.REDEMPTION, "BRK.B", Decimal(2))


def settings(**values: str) -> Settings:
    given = {"gate_url": URL, "gate_timeout": "2"} | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


class Gate:
    """A gate that says what it is told to, and remembers what it was asked."""

    def __init__(self, say: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self._say = say

    def ask(self, *operations: PlannedOperation, **values: str) -> dict[str, Shut]:
        async def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return self._say(request)

        transport = httpx.MockTransport(answer)
        return gate.ask(settings(**values), operations, transport=transport)


def saying(content: object, status: int = 200) -> Gate:
    if isinstance(content, bytes):
        return Gate(lambda _: httpx.Response(status, content=content))
    return Gate(lambda _: httpx.Response(status, json=content))


def failing(error: Exception) -> Gate:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return Gate(fail)


def test_ask__any_operation__says_asset_kind_and_amount() -> None:
    open_gate = saying({"frozen": False, "reason": ""})
    assert open_gate.ask(MINT, REDEMPTION) == {}
    assert [str(one.url) for one in open_gate.asked] == [
        f"{URL}?asset=AAPL&kind=mint&amount=31.5",
        f"{URL}?asset=BRK.B&kind=redemption&amount=2",
    ]
    assert {one.method for one in open_gate.asked} == {"GET"}


def test_ask__url_with_a_query_of_its_own__keeps_it() -> None:
    open_gate = saying({"frozen": False})
    open_gate.ask(MINT, gate_url=f"{URL}?desk=7")
    assert dict(open_gate.asked[0].url.params) == {
        "desk": "7",
        "asset": "AAPL",
        "kind": "mint",
        "amount": "31.5",
    }


def test_ask__one_of_two_is_frozen__shuts_that_one_and_says_why() -> None:
    def say(request: httpx.Request) -> httpx.Response:
        frozen = request.url.params["asset"] == "AAPL"
        return httpx.Response(200, json={"frozen": frozen, "reason": "a split\n is  due. "})

    assert Gate(say).ask(MINT, REDEMPTION) == {
        "AAPL": Shut(Reason.FROZEN, "the gate says it is frozen: a split is due")
    }


@pytest.mark.parametrize("reason", [{}, {"reason": None}, {"reason": ""}, {"reason": 7}])
def test_ask__frozen_without_a_reason__is_frozen(reason: dict[str, object]) -> None:
    found = saying({"frozen": True, **reason}).ask(MINT)
    assert found["AAPL"] == Shut(Reason.FROZEN, "the gate says it is frozen: no reason given")


def test_ask__reason_without_end_and_with_control_characters__is_made_fit_to_show() -> None:
    found = saying({"frozen": True, "reason": "\x1b[31m" + "x" * 5000}).ask(MINT)
    assert found["AAPL"].why.startswith("the gate says it is frozen: [31mxxx")
    assert len(found["AAPL"].why) < 300


SILENCES: dict[str, tuple[Gate, str]] = {
    "server error": (saying({"frozen": False}, status=500), "HTTP 500"),
    "client error": (saying({"frozen": False}, status=404), "HTTP 404"),
    "other success": (saying({"frozen": False}, status=204), "HTTP 204"),
    "redirect": (
        Gate(lambda _: httpx.Response(302, headers={"location": "https://other.example"})),
        "HTTP 302",
    ),
    "not json": (saying(b"<html>fine</html>"), "is not JSON"),
    "not text": (saying(b"\xff\xfe\x00"), "is not JSON"),
    "nothing": (saying(b""), "is not JSON"),
    "endlessly nested": (saying(b"[" * 60_000), "is not JSON"),
    "a list": (saying([{"frozen": False}]), "does not say"),
    "frozen as text": (saying({"frozen": "false"}), "does not say"),
    "frozen as a number": (saying({"frozen": 0}), "does not say"),
    "frozen as null": (saying({"frozen": None}), "does not say"),
    "another key": (saying({"Frozen": False}), "does not say"),
    "too long": (saying(b" " * 65_537), "too long"),
    "no connection": (failing(httpx.ConnectError(URL)), "(ConnectError)"),
    "broken off": (failing(httpx.RemoteProtocolError(URL)), "(RemoteProtocolError)"),
    "read time-out": (failing(httpx.ReadTimeout(URL)), "(ReadTimeout)"),
    "time-out": (failing(TimeoutError(URL)), "no answer within 2 s"),
    "system": (failing(OSError(URL)), "(OSError)"),
}


@pytest.mark.parametrize(("silent", "words"), SILENCES.values(), ids=list(SILENCES))
def test_ask__anything_but_an_answer__is_silence_and_does_not_pass(silent: Gate, words: str) -> None:
    found = silent.ask(MINT)
    assert found["AAPL"].reason is Reason.GATE_SILENT
    assert words in found["AAPL"].why
    assert SECRET not in found["AAPL"].why


@pytest.mark.parametrize("silent", [silent for silent, _ in SILENCES.values()], ids=list(SILENCES))
def test_ask__silence_where_the_settings_say_proceed__passes_and_is_logged(
    silent: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    assert silent.ask(MINT, gate_silence="proceed") == {}
    assert "AAPL passes, as gate_silence says: the gate" in caplog.text
    assert SECRET not in caplog.text


def test_ask__frozen_where_the_settings_say_proceed__does_not_pass() -> None:
    assert saying({"frozen": True}).ask(MINT, gate_silence="proceed")["AAPL"].reason is Reason.FROZEN


def test_ask__answer_of_just_the_longest_length__is_read() -> None:
    body = b'{"frozen": false}'
    assert saying(body + b" " * (65_536 - len(body))).ask(MINT) == {}


def test_ask__no_gate_or_nothing_to_ask__asks_nothing() -> None:
    open_gate = saying({"frozen": True})
    assert open_gate.ask() == {}
    assert open_gate.ask(MINT, gate_url="") == {}
    assert open_gate.asked == []


def test_ask__a_url_that_the_http_library_refuses__is_silence() -> None:
    found = saying({"frozen": False}).ask(MINT, gate_url=f"https://gäte..example/{SECRET}")
    assert found["AAPL"].reason is Reason.GATE_SILENT
    assert SECRET not in found["AAPL"].why


def test_ask__everything_is_logged__the_url_is_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("httpx"), "disabled", False)  # others may have turned it off
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="httpx"):
        saying({"frozen": True, "reason": "halted"}).ask(MINT)
        httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))).get(
            "https://other.example/"
        )
    assert SECRET not in caplog.text
    assert "other.example" in caplog.text  # what is not the gate's is logged as before
