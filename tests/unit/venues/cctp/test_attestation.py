from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.venues.cctp.answers import AttestedMessage
from include.venues.cctp.attestation import AttestationService, ReattestOutcome
from include.venues.cctp.limiter import RequestLimiter
from include.venues.cctp.message import public_key_to_address
from include.venues.errors import Refused, Unavailable
from tests.unit.venues.cctp.samples import (
    ATTESTED,
    NONCE,
    TRANSACTION,
    genuine_answer,
    genuine_attestation,
    genuine_message,
    genuine_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_URL = "https://iris.invalid"
KEY = b"\x04" + bytes(range(64))


class Service:
    """A service that gives one answer to everything, and the client that asks it."""

    def __init__(self, answer: httpx.Response | Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self.time = 0.0
        self._answer = answer
        self.client = AttestationService(
            BASE_URL,
            transport=httpx.MockTransport(self._handle),
            limiter=RequestLimiter(per_second=1000, burst=1000, now=lambda: self.time, sleep=self._no_sleep),
        )

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(request) if callable(self._answer) else self._answer

    def _no_sleep(self, seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s")


def answering(content: Any, status: int = 200, **headers: str) -> Service:
    text = content if isinstance(content, str) else json.dumps(content)
    return Service(httpx.Response(status, text=text, headers=headers))


def row(**changes: Any) -> dict[str, Any]:
    whole = {
        "message": "0x" + ATTESTED.encode().hex(),
        "attestation": "0x" + "11" * 130,
        "eventNonce": "0x" + NONCE.hex(),
        "cctpVersion": 2,
        "status": "complete",
        "delayReason": None,
    }
    return whole | changes


def only(changes: dict[str, Any]) -> AttestedMessage:
    (message,) = answering({"messages": [row(**changes)]}).client.messages(0, TRANSACTION)
    return message


EVERY_CALL: list[Callable[[AttestationService], object]] = [
    lambda client: client.messages(0, TRANSACTION),
    lambda client: client.fees(0, 6),
    lambda client: client.fast_allowance(),
    lambda client: client.reattest(NONCE),
    lambda client: client.public_keys(),
]
every_call = pytest.mark.parametrize(
    "call", EVERY_CALL, ids=["messages", "fees", "allowance", "reattest", "keys"]
)


# --- messages


def test_messages__genuine_answer__is_read_whole() -> None:
    service = answering(genuine_answer())

    messages = service.client.messages(0, TRANSACTION)

    assert messages == [
        AttestedMessage(
            cctp_version=2,
            status="complete",
            delay_reason=None,
            message=genuine_message(),
            attestation=genuine_attestation(),
            event_nonce=bytes.fromhex(genuine_row()["eventNonce"][2:]),
        )
    ]
    assert messages[0].is_ready
    assert [(r.method, str(r.url)) for r in service.requests] == [
        ("GET", f"{BASE_URL}/v2/messages/0?transactionHash={TRANSACTION}")
    ]


def test_messages__not_seen_yet_or_not_processed__is_an_empty_list() -> None:
    assert answering({"error": "Message not found"}, 404).client.messages(0, TRANSACTION) == []
    assert answering("<html>not found</html>", 404).client.messages(0, TRANSACTION) == []
    assert answering({"messages": []}).client.messages(0, TRANSACTION) == []


@pytest.mark.parametrize("bad", ["", "0x12", TRANSACTION[2:], TRANSACTION + "00", "0x" + "g" * 64])
def test_messages__not_a_transaction_hash__is_refused_before_anything_is_sent(bad: str) -> None:
    service = answering({"messages": []})

    with pytest.raises(ValueError, match="not a transaction hash"):
        service.client.messages(0, bad)
    assert service.requests == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "pending_confirmations", "attestation": "PENDING", "message": "0x"},
        {"status": "pending_confirmations", "attestation": None, "message": None},
        {"status": "pending_confirmations", "attestation": "0x", "message": ""},
    ],
)
def test_messages__pending__is_tolerated_and_not_ready(changes: dict[str, Any]) -> None:
    message = only(changes)

    assert (message.message, message.attestation, message.is_ready) == (None, None, False)


def test_messages__fields_left_out__are_none() -> None:
    service = answering({"messages": [{"status": "pending_confirmations"}]})

    assert service.client.messages(0, TRANSACTION) == [
        AttestedMessage(None, "pending_confirmations", None, None, None, None)
    ]


def test_messages__delayed__keeps_the_reason() -> None:
    assert only({"delayReason": "insufficient_fee"}).delay_reason == "insufficient_fee"


@pytest.mark.parametrize(("given", "version"), [(2, 2), ("2", 2), (1, 1), ("1", 1), (None, None)])
def test_messages__cctp_version__may_be_number_or_text(given: object, version: int | None) -> None:
    assert only({"cctpVersion": given}).cctp_version == version


@pytest.mark.parametrize(
    ("given", "nonce"),
    [
        ("0x" + "5e" * 32, NONCE),
        ("0x" + "5E" * 32, NONCE),
        ("0x25d2", (9682).to_bytes(32, "big")),
        ("9682", (9682).to_bytes(32, "big")),
        (9682, (9682).to_bytes(32, "big")),
        (str(2**256 - 1), b"\xff" * 32),
        ("0x" + "00" * 32, None),
        ("0", None),
        (0, None),
        ("", None),
        (None, None),
    ],
)
def test_messages__event_nonce__is_32_bytes_from_hex_or_decimal_and_never_zero(
    given: object, nonce: bytes | None
) -> None:
    assert only({"eventNonce": given}).event_nonce == nonce


@pytest.mark.parametrize(
    "bad",
    [
        row(eventNonce="nonce"),
        row(eventNonce="-1"),
        row(eventNonce=True),
        row(eventNonce=1.5),
        row(eventNonce=str(2**256)),
        row(eventNonce="0x" + "11" * 33),
        row(message="0x123"),
        row(message="not hex"),
        row(message=5),
        row(attestation="FAILED"),
        row(attestation=[]),
        row(status=None),
        row(cctpVersion=3),
        row(cctpVersion=True),
        None,
        "text",
        [],
    ],
)
def test_messages__malformed_row__is_left_out_with_a_warning(
    bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    service = answering({"messages": [bad, row()]})

    with caplog.at_level(logging.WARNING):
        messages = service.client.messages(0, TRANSACTION)

    assert [message.event_nonce for message in messages] == [NONCE]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert TRANSACTION in caplog.text


def test_messages__healthy_and_pending_rows__log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        only({})
        only({"status": "pending_confirmations", "attestation": "PENDING", "message": None})

    assert caplog.records == []


# --- fees, allowance, keys


def test_fees__numbers_texts_and_fractions__are_exact() -> None:
    service = answering(
        '[{"finalityThreshold":1000,"minimumFee":1.3},{"finalityThreshold":"2000","minimumFee":"0"},'
        '{"finalityThreshold":1500,"minimumFee":1.1000000000000000000001}]'
    )

    fees = service.client.fees(6, 0)

    assert [(fee.finality_threshold, str(fee.basis_points)) for fee in fees] == [
        (1000, "1.3"),
        (2000, "0"),
        (1500, "1.1000000000000000000001"),
    ]
    assert service.requests[0].url.path == "/v2/burn/USDC/fees/6/0"


@pytest.mark.parametrize("bad", [None, "cheap", -1, True, 10_001, [], "NaN", "Infinity", "1e999999999"])
def test_fees__malformed_row__is_left_out_with_a_warning(
    bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"finalityThreshold": 1000, "minimumFee": bad}, {"finalityThreshold": 2000, "minimumFee": 0}]

    fees = answering(rows).client.fees(0, 6)

    assert [fee.finality_threshold for fee in fees] == [2000]
    assert "could not be read" in caplog.text


@pytest.mark.parametrize(
    "content", [[], {}, [{"finalityThreshold": 1000}], {"fees": []}, "", "null", "[NaN]"]
)
def test_fees__none_can_be_read__is_unavailable(content: object) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        answering(content).client.fees(0, 6)


@pytest.mark.parametrize(
    ("content", "allowance"),
    [
        ('{"allowance": 123999.99, "lastUpdated": "2026-01-01T00:00:00Z"}', "123999.99"),
        ('{"allowance": "0.10"}', "0.10"),
        ('{"allowance": 0}', "0"),
        ('{"allowance": 12345678901234567890.123456}', "12345678901234567890.123456"),
    ],
)
def test_fast_allowance__number_or_text__is_exact(content: str, allowance: str) -> None:
    service = answering(content)

    assert str(service.client.fast_allowance()) == allowance
    assert service.requests[0].url.path == "/v2/fastBurn/USDC/allowance"


@pytest.mark.parametrize(
    "content",
    ["{}", '{"allowance": null}', '{"allowance": -1}', '{"allowance": "much"}', '{"allowance": NaN}', "[]"],
)
def test_fast_allowance__not_an_amount__is_unavailable_rather_than_zero(content: str) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        answering(content).client.fast_allowance()


def test_public_keys__of_version_two__are_returned_in_order(caplog: pytest.LogCaptureFixture) -> None:
    other = b"\x04" + bytes(range(1, 65))
    rows = [
        {"publicKey": f"0x{KEY.hex()}", "cctpVersion": 2},
        {"publicKey": f"0x{bytes(65).hex()}", "cctpVersion": 2},
        {"publicKey": f"0x{KEY.hex()}", "cctpVersion": 1},
        {"publicKey": f"0x{other.hex()}", "cctpVersion": "2"},
        {"cctpVersion": 2},
    ]

    keys = answering({"publicKeys": rows}).client.public_keys()

    assert keys == [KEY, other]
    assert len({public_key_to_address(key) for key in keys}) == 2
    assert len(caplog.records) == 2


@pytest.mark.parametrize("content", [{}, {"publicKeys": []}, {"publicKeys": {}}, []])
def test_public_keys__none_can_be_read__is_unavailable(content: object) -> None:
    with pytest.raises(Unavailable):
        answering(content).client.public_keys()


# --- reattest


def test_reattest__accepted__is_requested() -> None:
    service = answering({"message": "Re-attestation successfully requested for nonce.", "nonce": "0x5e"})

    assert service.client.reattest(NONCE) is ReattestOutcome.REQUESTED
    assert [(r.method, r.url.path) for r in service.requests] == [("POST", f"/v2/reattest/0x{NONCE.hex()}")]


def test_reattest__already_final__is_no_failure() -> None:
    content = {"message": "Cannot re-attest requested message.", "error": "Message is already finalized."}

    assert answering(content, 400).client.reattest(NONCE) is ReattestOutcome.ALREADY_FINAL


@pytest.mark.parametrize(("status", "error"), [(400, "Unknown nonce."), (404, "Not found."), (422, "No.")])
def test_reattest__will_not__is_refused(status: int, error: str) -> None:
    with pytest.raises(Refused, match=error):
        answering({"error": error}, status).client.reattest(NONCE)


@pytest.mark.parametrize("nonce", [b"", bytes(32), b"\x01" * 8])
def test_reattest__not_a_nonce__is_refused_before_anything_is_sent(nonce: bytes) -> None:
    service = answering({})

    with pytest.raises(ValueError, match="not the nonce"):
        service.client.reattest(nonce)
    assert service.requests == []


# --- failures


@every_call
@pytest.mark.parametrize("status", [301, 401, 403, 408, 500, 502, 503, 504])
def test_every_call__status_that_proves_nothing__is_unavailable(
    call: Callable[[AttestationService], object], status: int
) -> None:
    service = answering("<html>proxy</html>", status, **{"x-request-id": "abc"})

    with pytest.raises(Unavailable, match=f"HTTP {status}") as caught:
        call(service.client)
    assert caught.value.request_id == "abc"


@every_call
def test_every_call__bad_request__is_refused(call: Callable[[AttestationService], object]) -> None:
    with pytest.raises(Refused, match=r"HTTP 400: .*Invalid domain"):
        call(answering({"error": "Invalid domain"}, 400).client)


@every_call
@pytest.mark.parametrize(
    "error", [httpx.ConnectError("no route"), httpx.ReadTimeout("slow"), httpx.ReadError("cut")]
)
def test_every_call__transport_fails__is_unavailable(
    call: Callable[[AttestationService], object], error: httpx.HTTPError
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(Unavailable, match=type(error).__name__):
        call(Service(fail).client)


@pytest.mark.parametrize("call", [call for n, call in enumerate(EVERY_CALL) if n != 3])
@pytest.mark.parametrize("text", ["", "<html>", "{", "null", '"text"', "NaN", "[" * 100_000, "9" * 5_000])
def test_every_read__not_the_json_expected__is_unavailable(
    call: Callable[[AttestationService], object], text: str
) -> None:
    with pytest.raises(Unavailable, match="cannot be read"):
        call(answering(text).client)


@every_call
@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 300),
        ("1", 300),
        ("299", 300),
        ("900", 900),
        ("999999999", 3600),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 300),
    ],
)
def test_every_call__too_many_requests__stands_down_for_at_least_five_minutes(
    call: Callable[[AttestationService], object], header: str | None, wait: float
) -> None:
    service = answering("", 429, **({} if header is None else {"retry-after": header}))

    with pytest.raises(Unavailable) as caught:
        call(service.client)
    assert caught.value.retry_after == wait
    service.time = wait - 1
    with pytest.raises(Unavailable) as caught:
        call(service.client)
    assert caught.value.retry_after == pytest.approx(1)
    assert len(service.requests) == 1  # the second one never left

    service.time = wait + 1
    with pytest.raises(Unavailable):
        call(service.client)
    assert len(service.requests) == 2


def test_service_unavailable__retry_after__is_passed_on() -> None:
    with pytest.raises(Unavailable) as caught:
        answering("", 503, **{"retry-after": "17"}).client.fees(0, 6)

    assert caught.value.retry_after == 17


def test_stand_down__clients_of_one_limiter__all_obey() -> None:
    limiter = RequestLimiter(now=lambda: 0.0)
    asked: list[httpx.Request] = []

    def too_many(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429)

    clients = [
        AttestationService(BASE_URL, transport=httpx.MockTransport(too_many), limiter=limiter)
        for _ in range(2)
    ]

    for client in clients:
        with pytest.raises(Unavailable):
            client.fast_allowance()
    assert len(asked) == 1


def test_stand_down__clients_without_a_limiter__share_the_one_of_their_service() -> None:
    def client(host: str, status: int) -> AttestationService:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json={"allowance": 1}))
        return AttestationService(f"https://{host}", transport=transport)

    with pytest.raises(Unavailable):
        client("shared.invalid", 429).fast_allowance()

    with pytest.raises(Unavailable, match="standing down"):
        client("shared.invalid", 200).fast_allowance()
    assert client("another.invalid", 200).fast_allowance() == 1


def test_now__given__the_client_keeps_a_limiter_of_its_own() -> None:
    time = [0.0]
    statuses = iter([429, 200])
    transport = httpx.MockTransport(lambda _: httpx.Response(next(statuses), json={"allowance": 1}))
    client = AttestationService(BASE_URL, transport=transport, now=lambda: time[0])

    with pytest.raises(Unavailable):
        client.fast_allowance()
    time[0] = 301

    assert client.fast_allowance() == 1


def test_close__after_use__no_request_can_be_sent() -> None:
    with answering({"allowance": 1}).client as client:
        assert client.fast_allowance() == 1

    with pytest.raises(RuntimeError, match="closed"):
        client.fast_allowance()
