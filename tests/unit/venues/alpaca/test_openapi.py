"""What the client sends and understands, held against Alpaca's own description of its API."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import ValidationError

from include.venues.alpaca import models
from include.venues.alpaca.errors import AlpacaRefused
from tests.support import openapi
from tests.unit.venues.alpaca.support import Venue, answer, broker, fixture
from tests.unit.venues.alpaca.test_client import FEE, MINT, WITHDRAWAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from include.venues.alpaca.client import AlpacaBroker

try:
    openapi.description()
except openapi.DescriptionMissingError as missing:
    if os.environ.get("CI"):
        raise
    pytest.skip(str(missing), allow_module_level=True)

BROKER = "/v1/accounts/7f0c4a52-2d64-4a0e-9a7c-0d5f1b8a3c21"
REQUEST_ID = "5f1a5c0e-9d2b-4c43-a0b6-0a7a5c1f9e77"


def sent(call: Callable[[AlpacaBroker], object], *answers: httpx.Response) -> httpx.Request:
    venue = Venue(*answers)
    call(broker(venue))
    return venue.request


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        (lambda b: b.account(), "account"),
        (lambda b: b.positions(), "positions"),
        (lambda b: b.asset("AAPL"), "asset"),
        (lambda b: b.clock(), "clock"),
        (lambda b: b.tokenization_requests(), "tokenization_requests"),
        (
            lambda b: b.tokenization_requests(
                type="redeem", status="pending", symbol="AAPL", after=datetime(2026, 9, 1, tzinfo=UTC)
            ),
            "tokenization_requests",
        ),
        (lambda b: b.tokenization_request(REQUEST_ID), "mint_answer"),
        (lambda b: b.tokenization_request_by_client_id("ballast-mint-1"), "mint_answer"),
        (lambda b: b.deposit_address(), "wallet"),
        (lambda b: b.transfers(), "transfers"),
        (lambda b: b.whitelist(), "whitelists"),
        (lambda b: b.fee_estimate(**FEE), "fee"),
        (lambda b: b.order(fixture("order")["id"]), "order"),
        (lambda b: b.order_by_client_id(fixture("order")["client_order_id"]), "order"),
    ],
)
def test_query__of_each_read__is_as_described(call: Callable[[AlpacaBroker], object], reply: str) -> None:
    request = sent(call, answer(reply))

    openapi.validate(dict(request.url.params), request.method, request.url.path, part="request")


def test_mint__body_and_key__are_as_described() -> None:
    request = sent(lambda b: b.mint(**MINT), answer("mint_answer"))

    openapi.validate(json.loads(request.content), "POST", request.url.path, part="request")
    openapi.validate(request.headers, "POST", request.url.path, part="headers")
    assert "idempotency-key" in request.headers


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        (lambda b: b.buy_usdc(Decimal("250.25"), "ballast-order-1"), {}),
        (lambda b: b.sell_usdc(Decimal("0.000001"), "ballast-order-1"), {"side": "sell", "notional": None}),
    ],
)
def test_order__body__is_as_described(
    call: Callable[[AlpacaBroker], object], changes: dict[str, Any]
) -> None:
    request = sent(call, httpx.Response(200, json=fixture("order") | changes))

    openapi.validate(json.loads(request.content), "POST", request.url.path, part="request")


def test_withdrawal__has_no_description() -> None:
    """The Trading API lost its withdrawal, and with it the description; the Broker API kept it.

    What is left to hold against is the transfer that is answered, which reading transfers shares.
    """
    request = sent(lambda b: b.withdraw(**WITHDRAWAL), httpx.Response(200, json=fixture("transfers")[0]))

    with pytest.raises(openapi.NotDescribedError):
        openapi.validate(json.loads(request.content), "POST", request.url.path, part="request")
    openapi.validate(fixture("transfers")[0], "GET", f"{request.url.path}/some-id", part="response")


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", f"{BROKER}/tokenization/mint", "mint_answer"),
        ("GET", f"{BROKER}/wallets", "wallet"),
        ("GET", f"{BROKER}/wallets/transfers", "transfers"),
        ("GET", f"{BROKER}/wallets/whitelists", "whitelists"),
        ("GET", "/v1/wallets/fees/estimate", "fee"),
        ("GET", "/v1/clock", "clock"),
        ("GET", "/v1/assets/AAPL", "asset"),
        ("GET", f"/v1/trading{BROKER.removeprefix('/v1')}/account", "account"),
        ("GET", f"/v1/trading{BROKER.removeprefix('/v1')}/orders/some-id", "order"),
        ("POST", f"/v1/trading{BROKER.removeprefix('/v1')}/orders", "order"),
    ],
)
def test_our_examples__are_as_described(method: str, path: str, name: str) -> None:
    openapi.validate(fixture(name), method, path, part="response")


@pytest.mark.parametrize(
    ("schema", "model"),
    [("Account", models.Account), ("Position", models.Position), ("Assets", models.Asset)],
)
def test_their_examples__of_a_schema__are_understood(schema: str, model: type[BaseModel]) -> None:
    given = openapi.examples(schema)

    assert given
    for example in given:
        model.model_validate(example)


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("/v2/account", lambda b: b.account().cash),
        ("/v2/tokenization/requests/{tokenization_request_id}", lambda b: b.tokenization_request(REQUEST_ID)),
        (
            "/v2/tokenization/requests:by_client_request_id",
            lambda b: b.tokenization_request_by_client_id("ap-request-1"),
        ),
    ],
)
def test_their_examples__of_an_answer__are_understood(
    path: str, read: Callable[[AlpacaBroker], object]
) -> None:
    body = openapi.example_answer("GET", path)

    assert read(broker(Venue(httpx.Response(200, json=body)))) is not None


def test_their_example__of_the_clock__is_understood() -> None:
    (example,) = openapi.examples("legacy_clock")

    assert broker(Venue(httpx.Response(200, json=example))).clock().utcoffset() is not None


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_their_examples__of_errors__are_understood(status: int) -> None:
    body = openapi.example_answer("POST", "/v2/tokenization/mint", status)

    with pytest.raises(AlpacaRefused) as caught:
        broker(Venue(httpx.Response(status, json=body))).mint(**MINT)

    assert (caught.value.code, caught.value.message) == (body["code"], body["message"])


@pytest.mark.parametrize(
    "path",
    [
        "/v2/tokenization/requests/{tokenization_request_id}",
        "/v2/tokenization/requests:by_client_request_id",
    ],
)
def test_their_example__of_an_unknown_request__is_none(path: str) -> None:
    body = openapi.example_answer("GET", path, 404)
    alpaca = broker(Venue(*[httpx.Response(404, json=body)] * 2))

    assert alpaca.tokenization_request(REQUEST_ID) is None
    assert alpaca.tokenization_request_by_client_id("x") is None


@pytest.mark.parametrize(
    ("schema", "known"),
    [
        ("TokenizationRequestType", models.TokenizationType),
        ("TokenizationRequestStatus", models.TokenizationStatus),
        ("CryptoTransferStatus", models.TransferStatus),
        ("TransferDirection", models.TransferDirection),
        ("OrderSide", models.OrderSide),
        ("OrderStatus", models.OrderStatus),
    ],
)
def test_their_words__are_all_known(schema: str, known: type[models.OpenEnum]) -> None:
    words = openapi.description()["components"]["schemas"][schema]["enum"]

    assert set(words) <= {member.value for member in known}


# The helper itself: it must be able to say no


@pytest.mark.parametrize(
    ("instance", "method", "path", "part"),
    [
        ({"underlying_symbol": "AAPL"}, "POST", f"{BROKER}/tokenization/mint", "request"),
        (fixture("mint_answer") | {"status": "done"}, "POST", f"{BROKER}/tokenization/mint", "response"),
        ({"status": "open"}, "GET", f"{BROKER}/tokenization/requests", "request"),
        ({"limit": "5"}, "GET", f"{BROKER}/tokenization/requests", "request"),
        ({}, "GET", f"{BROKER}/tokenization/requests:by_client_request_id", "request"),
        (fixture("transfers")[0], "GET", f"{BROKER}/wallets/transfers", "response"),
        ([{"status": "DONE"}], "GET", f"{BROKER}/wallets/transfers", "response"),
        ([{"id": "not-a-uuid"}], "GET", f"{BROKER}/wallets/transfers", "response"),
        ([{"created_at": "yesterday"}], "GET", f"{BROKER}/wallets/transfers", "response"),
        ({"fee": "1e-3"}, "GET", "/v1/wallets/fees/estimate", "response"),
        ({"Idempotency-Key": "x" * 129}, "POST", f"{BROKER}/tokenization/mint", "headers"),
    ],
)
def test_validate__not_as_described__is_refused(
    instance: Any, method: str, path: str, part: openapi.Part
) -> None:
    with pytest.raises(ValidationError):
        openapi.validate(instance, method, path, part=part)


@pytest.mark.parametrize(
    ("method", "path", "part", "status"),
    [
        ("GET", "/v1/journals", "response", 200),
        ("POST", f"{BROKER}/wallets/transfers", "request", 200),
        ("GET", f"{BROKER}/wallets/transfers", "response", 418),
    ],
)
def test_validate__not_described__is_said(method: str, path: str, part: openapi.Part, status: int) -> None:
    with pytest.raises(openapi.NotDescribedError):
        openapi.validate({}, method, path, part=part, status=status)


def test_validate__an_error__by_its_status() -> None:
    body = {"code": 40410000, "message": "tokenization request not found"}

    openapi.validate(body, "GET", f"{BROKER}/tokenization/requests/{REQUEST_ID}", part="response", status=404)
