"""What an answer, or its absence, means: the same rules for every endpoint."""

from __future__ import annotations

import logging
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING

import httpcore
import httpx
import pytest

from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.errors import (
    AlpacaOutcomeUnknown,
    AlpacaRefused,
    AlpacaUnavailable,
    DuplicateOrder,
    InsufficientPosition,
    KeyReused,
    NoQuote,
    RateLimited,
    Unauthorized,
)
from include.venues.alpaca.http import Session
from include.venues.errors import OutcomeUnknown, Refused, Unavailable, VenueError
from tests.unit.venues.alpaca.support import (
    ACCOUNT,
    IDEMPOTENCY_KEY,
    KEY_ID,
    SECRET,
    WALLET,
    Clock,
    Venue,
    answer,
    broker,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.venues.alpaca.client import AlpacaBroker

HTML = httpx.Response(502, html="<html><head><title>502 Bad\nGateway</title></head><body>nginx</body></html>")


def read(alpaca: AlpacaBroker) -> object:
    return alpaca.transfers()


def mint(alpaca: AlpacaBroker) -> object:
    return alpaca.mint(
        symbol="AAPL",
        quantity=Decimal("12.5"),
        issuer="st0x",
        network="base",
        wallet=WALLET,
        client_request_id="ballast-mint-1",
        idempotency_key=IDEMPOTENCY_KEY,
    )


def withdraw(alpaca: AlpacaBroker) -> object:
    return alpaca.withdraw(amount=Decimal("250.5"), asset="USDC", address=WALLET, chain="ETH")


def buy(alpaca: AlpacaBroker) -> object:
    return alpaca.buy_usdc(Decimal("250.25"), "ballast-order-1")


def sell(alpaca: AlpacaBroker) -> object:
    return alpaca.sell_usdc(Decimal("250.123456"), "ballast-order-1")


move = pytest.mark.parametrize("move", [mint, withdraw, buy, sell])


def failure(
    call: Callable[[AlpacaBroker], object], reply: httpx.Response | Exception, *, kind: type[VenueError]
) -> VenueError:
    """Make the call fail, and return with what. It must be exactly one of the three kinds."""
    venue = Venue(reply)
    with pytest.raises(VenueError) as caught:
        call(broker(venue))
    assert len(venue.requests) == 1, "nothing is ever repeated"
    kinds = [known for known in (Refused, Unavailable, OutcomeUnknown) if isinstance(caught.value, known)]
    assert kinds == [kind]
    return caught.value


TRANSPORT = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
    httpx.CloseError("x"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.LocalProtocolError("x"),
    httpx.DecodingError("x"),
]
NEVER_CONNECTED = [
    httpx.ConnectError("[Errno 111] Connection refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("busy"),
]


@pytest.mark.parametrize("error", [*TRANSPORT, *NEVER_CONNECTED], ids=lambda error: type(error).__name__)
def test_read__no_answer__is_unavailable(error: Exception) -> None:
    raised = failure(read, error, kind=Unavailable)

    assert type(error).__name__ in str(raised)
    assert isinstance(raised, AlpacaUnavailable)
    assert raised.status is None


@move
@pytest.mark.parametrize("error", NEVER_CONNECTED, ids=lambda error: type(error).__name__)
def test_move__never_connected__is_unavailable(
    move: Callable[[AlpacaBroker], object], error: Exception
) -> None:
    failure(move, error, kind=Unavailable)


@move
@pytest.mark.parametrize("error", TRANSPORT, ids=lambda error: type(error).__name__)
def test_move__connection_lost_later__is_unknown(
    move: Callable[[AlpacaBroker], object], error: Exception
) -> None:
    failure(move, error, kind=OutcomeUnknown)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_read__server_failure__is_unavailable(status: int) -> None:
    raised = failure(read, httpx.Response(status, json={"message": "try later"}), kind=Unavailable)

    assert isinstance(raised, AlpacaUnavailable)
    assert (raised.status, raised.message) == (status, "try later")


@move
@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 599])
def test_move__server_failure__is_unknown(move: Callable[[AlpacaBroker], object], status: int) -> None:
    reply = httpx.Response(
        status, json={"code": 50010000, "message": "internal"}, headers={"X-Request-ID": "req-9"}
    )

    raised = failure(move, reply, kind=OutcomeUnknown)

    assert isinstance(raised, AlpacaOutcomeUnknown)
    assert (raised.status, raised.code, raised.request_id) == (status, 50010000, "req-9")


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 422, 451])
@pytest.mark.parametrize("call", [read, mint, withdraw])
def test_any__other_4xx__is_refused(call: Callable[[AlpacaBroker], object], status: int) -> None:
    reply = httpx.Response(
        status, json={"code": 42210001, "message": "issuer is required"}, headers={"X-Request-ID": "req-2"}
    )

    raised = failure(call, reply, kind=Refused)

    assert isinstance(raised, AlpacaRefused)
    assert (raised.status, raised.code, raised.message) == (status, 42210001, "issuer is required")
    assert raised.request_id == "req-2"
    assert f"{status} issuer is required" in str(raised)


@move
def test_move__404__is_refused(move: Callable[[AlpacaBroker], object]) -> None:
    failure(move, httpx.Response(404), kind=Refused)


@pytest.mark.parametrize("call", [read, mint, withdraw])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_any__redirect__is_refused_and_not_followed(
    call: Callable[[AlpacaBroker], object], status: int
) -> None:
    reply = httpx.Response(status, headers={"Location": "https://elsewhere.test/login?token=abc"})

    raised = failure(call, reply, kind=Refused)

    assert "elsewhere.test" in str(raised)
    assert "abc" not in str(raised)


@move
def test_move__303__is_unknown(move: Callable[[AlpacaBroker], object]) -> None:
    failure(move, httpx.Response(303, headers={"Location": "https://broker.test/done"}), kind=OutcomeUnknown)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, html="<html><title>Welcome</title></html>"),
        httpx.Response(200),
        httpx.Response(204),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, content=b'{"cash": NaN}'),
        httpx.Response(200, content=b"\xff\xfe\xff"),
        httpx.Response(200, content=b'[{"id": "cut o'),
    ],
    ids=["html", "empty", "204", "deep", "nan", "binary", "cut"],
)
def test_success__body_not_json__is_not_taken_as_an_answer(reply: httpx.Response) -> None:
    failure(read, reply, kind=Unavailable)
    failure(mint, reply, kind=OutcomeUnknown)
    failure(withdraw, reply, kind=OutcomeUnknown)


@pytest.mark.parametrize("call", [read, mint, withdraw])
def test_any__429__is_rate_limited_and_not_done(call: Callable[[AlpacaBroker], object]) -> None:
    raised = failure(call, httpx.Response(429, headers={"Retry-After": "7"}), kind=Unavailable)

    assert isinstance(raised, RateLimited)
    assert raised.status == 429
    assert raised.retry_after == 7


def test_read__503_with_retry_after__says_how_long() -> None:
    raised = failure(read, httpx.Response(503, headers={"Retry-After": "9"}), kind=Unavailable)

    assert isinstance(raised, Unavailable)
    assert raised.retry_after == 9


def test_real_connections__ignore_the_environment_and_are_new_for_what_moves_money(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")

    session = Session("https://broker.test", KeyPairAuth(KEY_ID, SECRET))

    for client in (session._reading, session._moving):
        assert not client.trust_env
        assert not client.follow_redirects
        assert client._mounts == {}
        transport = client._transport
        assert isinstance(transport, httpx.HTTPTransport)
        pool = transport._pool
        assert isinstance(pool, httpcore.ConnectionPool)
        assert pool._retries == 0
        assert pool._max_keepalive_connections == (0 if client is session._moving else 10)
    session.close()


def test_redirect__to_nonsense__does_not_crash() -> None:
    reply = httpx.Response(302, headers={"Location": "https://x.test:port/"})

    failure(read, reply, kind=Unavailable)
    failure(withdraw, reply, kind=OutcomeUnknown)


# The forms of an error body


@pytest.mark.parametrize(
    ("reply", "message", "code"),
    [
        (
            httpx.Response(403, json={"code": 40310000, "message": "forbidden"}),
            "forbidden",
            40310000,
        ),
        (
            httpx.Response(
                403,
                json={
                    "available": "0",
                    "code": 40310000,
                    "existing_qty": "23",
                    "message": "no",
                    "related_orders": ["x"],
                },
            ),
            "no",
            40310000,
        ),
        (httpx.Response(400, json={"message": "asset cannot be empty"}), "asset cannot be empty", None),
        (
            httpx.Response(
                400,
                json={
                    "error_code": "BENEFICIARY_NAME_REQUIRED",
                    "message": "Please provide a name.",
                    "next_actions": [{"name": "x"}],
                },
            ),
            "BENEFICIARY_NAME_REQUIRED: Please provide a name.",
            None,
        ),
        (
            httpx.Response(401, html="<html><TITLE>401 Authorization\nRequired</TITLE>"),
            "401 Authorization",
            None,
        ),
        (httpx.Response(403), "", None),
        (httpx.Response(403, text="  no\x00\x1b[31m way  "), "no [31m way", None),
        (httpx.Response(403, json=["a"]), '["a"]', None),
        (httpx.Response(403, json={"code": "x", "message": {"a": 1}}), "a", None),
        (httpx.Response(403, json={"code": True, "message": "m"}), "m", None),
        (httpx.Response(403, json={"code": 1.5, "message": "m"}), "m", None),
        (httpx.Response(403, content=b"\xff\xfe{"), "{", None),
    ],
)
def test_error_body__any_form__is_read(reply: httpx.Response, message: str, code: int | None) -> None:
    raised = failure(read, reply, kind=Refused)

    assert isinstance(raised, AlpacaRefused)
    assert message in raised.message
    assert raised.code == code


def test_error_body__html_page__is_shown_by_its_title() -> None:
    raised = failure(read, HTML, kind=Unavailable)

    assert "502 page '502 Bad Gateway'" in str(raised)


def test_error_body__long__is_cut() -> None:
    raised = failure(read, httpx.Response(400, json={"message": "x" * 100_000}), kind=Refused)

    assert len(str(raised)) < 500


def test_request_id__hostile__is_cleaned() -> None:
    reply = httpx.Response(400, headers={"X-Request-ID": "a" * 5000})

    raised = failure(read, reply, kind=Refused)

    assert raised.request_id is not None
    assert len(raised.request_id) <= 300


# Refusals told apart by their words


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "insufficient position"),
        (403, "insufficient position for AAPL"),
        (403, "Insufficient qty available for order (requested: 23, available: 0)"),
        (400, "insufficient balance for USDC"),
        (422, "no positions found"),
        (422, "No position found"),
    ],
)
@pytest.mark.parametrize("call", [mint, withdraw])
def test_move__insufficient_in_any_form__is_told(
    call: Callable[[AlpacaBroker], object], status: int, message: str
) -> None:
    raised = failure(call, httpx.Response(status, json={"code": 1, "message": message}), kind=Refused)

    assert isinstance(raised, InsufficientPosition)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "insufficient permissions"),
        (403, "account is not supported for tokenization"),
        (422, "invalid wallet address"),
        (400, "failed to decode request body"),
        (400, "request with this idempotency key was rejected"),
    ],
)
def test_mint__other_refusals__are_plain(status: int, message: str) -> None:
    raised = failure(mint, httpx.Response(status, json={"code": 1, "message": message}), kind=Refused)

    assert type(raised) is AlpacaRefused
    assert raised.message == message


def test_mint__key_used_for_another_body__is_told() -> None:
    body = {"code": 42210000, "message": "Idempotency-Key was used with a different request body"}

    assert isinstance(failure(mint, httpx.Response(422, json=body), kind=Refused), KeyReused)


@pytest.mark.parametrize(
    "reply", [httpx.Response(401, json={"message": "unauthorized."}), httpx.Response(401)]
)
def test_any__401__is_unauthorized(reply: httpx.Response) -> None:
    assert isinstance(failure(read, reply, kind=Refused), Unauthorized)


@pytest.mark.parametrize(
    "error",
    [
        AlpacaRefused("no", status=403, code=1, message="m", request_id="r"),
        RateLimited("wait", status=429, retry_after=3.0),
        NoQuote("later", status=403, code=40310000),
        DuplicateOrder("known", status=422, code=40010001),
        AlpacaOutcomeUnknown("?", status=502, request_id="r"),
    ],
)
def test_errors__pickled__keep_what_they_carry(error: VenueError) -> None:
    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


# The brake


def test_limiter__after_429__nothing_is_sent_until_the_pause_is_over() -> None:
    clock = Clock()
    venue = Venue(httpx.Response(429, headers={"Retry-After": "7"}), answer("transfers"))
    alpaca = broker(venue, clock=clock)
    with pytest.raises(RateLimited):
        read(alpaca)

    clock.advance(3)
    for call in (read, mint, withdraw):
        with pytest.raises(RateLimited) as caught:
            call(alpaca)
        assert caught.value.retry_after == 4
    assert len(venue.requests) == 1

    clock.advance(4)
    assert read(alpaca)


def test_limiter__quota_used_up__the_answer_counts_and_the_next_call_waits() -> None:
    clock = Clock()
    reset = str(int(clock().timestamp()) + 20)
    venue = Venue(
        answer("mint_answer", **{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}),
        answer("transfers"),
    )
    alpaca = broker(venue, clock=clock)

    assert mint(alpaca)
    with pytest.raises(RateLimited) as caught:
        read(alpaca)

    assert caught.value.retry_after == 20
    clock.advance(20)
    assert read(alpaca)


# The log


def test_log__one_request__has_what_is_needed_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    venue = Venue(answer("transfers", **{"X-Request-ID": "req-7"}), answer("mint_answer"))
    alpaca = broker(venue)

    with caplog.at_level(logging.DEBUG):
        read(alpaca)
        mint(alpaca)

    ours = [record for record in caplog.records if record.name.startswith("include.")]
    assert [record.levelno for record in ours] == [logging.DEBUG, logging.INFO]
    assert ours[0].getMessage().startswith(f"GET /v1/accounts/{ACCOUNT}/wallets/transfers: 200 in ")
    assert ours[0].getMessage().endswith("ms, request id req-7")
    for record in caplog.records:
        assert SECRET not in record.getMessage()
        assert KEY_ID not in record.getMessage()


def test_log__no_answer__is_a_warning_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        raised = failure(mint, httpx.ReadTimeout("slow"), kind=OutcomeUnknown)

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "ReadTimeout" in warnings[0].getMessage()
    assert SECRET not in caplog.text + str(raised) + repr(raised)
