from __future__ import annotations

import json
import logging
import tomllib
from base64 import b64encode
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.alpaca.errors import AlpacaRefused, AlpacaUnavailable
from include.venues.errors import OutcomeUnknown, Unavailable
from tests.unit.venues.alpaca.support import (
    ACCOUNT,
    BASE_URL,
    DEPOSIT,
    IDEMPOTENCY_KEY,
    KEY_ID,
    SECRET,
    WALLET,
    Clock,
    Venue,
    answer,
    broker,
    fixture,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MINT: dict[str, Any] = {
    "symbol": "AAPL",
    "quantity": Decimal("12.5"),
    "issuer": "st0x",
    "network": "base",
    "wallet": WALLET,
    "client_request_id": "ballast-mint-1",
    "idempotency_key": IDEMPOTENCY_KEY,
}
WITHDRAWAL: dict[str, Any] = {
    "amount": Decimal("250.5"),
    "asset": "USDC",
    "address": WALLET,
    "chain": "ETH",
}
FEE: dict[str, Any] = {
    "asset": "USDC",
    "from_address": DEPOSIT,
    "to_address": WALLET,
    "amount": Decimal("250.5"),
}


def withdrawal_answer(**changes: Any) -> httpx.Response:
    return httpx.Response(200, json=fixture("transfers")[0] | changes)


# What is sent


@pytest.mark.parametrize(
    ("call", "reply", "path", "query"),
    [
        (lambda b: b.account(), "account", f"/v1/trading/accounts/{ACCOUNT}/account", {}),
        (lambda b: b.positions(), "positions", f"/v1/trading/accounts/{ACCOUNT}/positions", {}),
        (lambda b: b.asset("AAPL"), "asset", "/v1/assets/AAPL", {}),
        (lambda b: b.clock(), "clock", "/v1/clock", {}),
        (
            lambda b: b.tokenization_requests(),
            "tokenization_requests",
            f"/v1/accounts/{ACCOUNT}/tokenization/requests",
            {},
        ),
        (
            lambda b: b.tokenization_requests(
                type="mint", status="pending", symbol="AAPL", after=datetime(2026, 9, 1, tzinfo=UTC)
            ),
            "tokenization_requests",
            f"/v1/accounts/{ACCOUNT}/tokenization/requests",
            {
                "type": "mint",
                "status": "pending",
                "underlying_symbol": "AAPL",
                "after": "2026-09-01T00:00:00Z",
            },
        ),
        (
            lambda b: b.tokenization_request("5f1a5c0e-9d2b-4c43-a0b6-0a7a5c1f9e77"),
            "mint_answer",
            f"/v1/accounts/{ACCOUNT}/tokenization/requests/5f1a5c0e-9d2b-4c43-a0b6-0a7a5c1f9e77",
            {},
        ),
        (
            lambda b: b.tokenization_request_by_client_id("ballast-mint-1"),
            "mint_answer",
            f"/v1/accounts/{ACCOUNT}/tokenization/requests:by_client_request_id",
            {"client_request_id": "ballast-mint-1"},
        ),
        (
            lambda b: b.deposit_address(),
            "wallet",
            f"/v1/accounts/{ACCOUNT}/wallets",
            {"asset": "USDC", "chain": "ETH"},
        ),
        (lambda b: b.transfers(), "transfers", f"/v1/accounts/{ACCOUNT}/wallets/transfers", {}),
        (lambda b: b.whitelist(), "whitelists", f"/v1/accounts/{ACCOUNT}/wallets/whitelists", {}),
        (
            lambda b: b.fee_estimate(**FEE),
            "fee",
            "/v1/wallets/fees/estimate",
            {"asset": "USDC", "from_address": DEPOSIT, "to_address": WALLET, "amount": "250.5"},
        ),
    ],
)
def test_read__any__is_one_get_of_the_right_resource(
    call: Callable[[AlpacaBroker], object], reply: str, path: str, query: dict[str, str]
) -> None:
    venue = Venue(answer(reply))

    call(broker(venue))

    assert venue.request.method == "GET"
    assert venue.request.url.host == "broker.test"
    assert venue.request.url.path == path
    assert dict(venue.request.url.params) == query
    assert venue.request.content == b""


def test_every_request__carries_both_credentials_and_names_us() -> None:
    venue = Venue(answer("account"))

    broker(venue).account()

    headers = venue.request.headers
    assert headers["Authorization"] == "Basic " + b64encode(f"{KEY_ID}:{SECRET}".encode()).decode()
    assert headers["APCA-API-KEY-ID"] == KEY_ID
    assert headers["APCA-API-SECRET-KEY"] == SECRET
    assert headers["Accept"] == "application/json"
    version = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]["version"]
    assert headers["User-Agent"] == f"ballast/{version}"


def test_every_request__has_a_timeout() -> None:
    venue = Venue(answer("account"), answer("mint_answer"))
    alpaca = broker(venue)

    alpaca.account()
    alpaca.mint(**MINT)

    for request in venue.requests:
        assert request.extensions["timeout"] == {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 10.0}


def test_mint__good_arguments__sends_text_and_the_key() -> None:
    venue = Venue(answer("mint_answer"))

    broker(venue).mint(**MINT)

    assert venue.request.method == "POST"
    assert venue.request.url.path == f"/v1/accounts/{ACCOUNT}/tokenization/mint"
    assert venue.request.headers["Idempotency-Key"] == IDEMPOTENCY_KEY
    assert json.loads(venue.request.content) == {
        "underlying_symbol": "AAPL",
        "qty": "12.5",
        "issuer": "st0x",
        "network": "base",
        "wallet_address": WALLET,
        "client_request_id": "ballast-mint-1",
    }


def test_mint__equal_quantities__send_the_same_bytes() -> None:
    venue = Venue(answer("mint_answer"), answer("mint_answer"), answer("mint_answer"))
    alpaca = broker(venue)

    for quantity in ("12.5", "12.500000000000", "125E-1"):
        alpaca.mint(**MINT | {"quantity": Decimal(quantity)})

    assert len({request.content for request in venue.requests}) == 1


def test_withdraw__good_arguments__sends_text_and_no_key() -> None:
    venue = Venue(withdrawal_answer())

    broker(venue).withdraw(**WITHDRAWAL)

    assert venue.request.method == "POST"
    assert venue.request.url.path == f"/v1/accounts/{ACCOUNT}/wallets/transfers"
    assert "Idempotency-Key" not in venue.request.headers
    assert json.loads(venue.request.content) == {
        "amount": "250.5",
        "asset": "USDC",
        "address": WALLET,
        "chain": "ETH",
    }


# What is refused before it is sent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", Decimal("0.0000000001")),
        ("quantity", Decimal("1.0000000001")),
        ("quantity", Decimal(0)),
        ("quantity", Decimal(-1)),
        ("quantity", Decimal("NaN")),
        ("quantity", Decimal("Infinity")),
        ("quantity", Decimal("1E+30")),
        ("quantity", 12.5),
        ("quantity", 1),
        ("wallet", WALLET.lower()),
        ("wallet", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("wallet", "0x" + "0" * 40),
        ("wallet", "5dXY1aH2tQpV3wXmJg6Z7c8B4nKvF9bA1pQrSt2uVwYxXz"),
        ("wallet", ""),
        ("symbol", ""),
        ("symbol", "aapl"),
        ("symbol", "AA PL"),
        ("issuer", "ST0X"),
        ("network", ""),
        ("client_request_id", ""),
        ("client_request_id", " x"),
        ("client_request_id", "x\n"),
        ("client_request_id", "münze"),
        ("client_request_id", "x" * 129),
        ("idempotency_key", ""),
        ("idempotency_key", "a b"),
        ("idempotency_key", "x" * 37),
        ("idempotency_key", "x\r\nX-Other: 1"),
    ],
)
def test_mint__bad_argument__names_the_field_and_sends_nothing(field: str, value: object) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match=f"^{field} "):
        broker(venue).mint(**MINT | {field: value})

    assert venue.requests == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", Decimal("1.0000001")),
        ("amount", Decimal(0)),
        ("amount", 250.5),
        ("address", WALLET.lower()),
        ("asset", ""),
        ("chain", "ethereum"),
    ],
)
def test_withdraw__bad_argument__names_the_field_and_sends_nothing(field: str, value: object) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match=f"^{field} "):
        broker(venue).withdraw(**WITHDRAWAL | {field: value})

    assert venue.requests == []


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E+3", "1000"),
        ("0.000001", "0.000001"),
        ("1E-6", "0.000001"),
        ("1234567890.5", "1234567890.5"),
        ("250.500000000", "250.5"),
        ("100", "100"),
    ],
)
def test_withdraw__any_amount__is_written_plainly(amount: str, text: str) -> None:
    venue = Venue(withdrawal_answer(amount=text))

    broker(venue).withdraw(**WITHDRAWAL | {"amount": Decimal(amount)})

    assert json.loads(venue.request.content)["amount"] == text


@pytest.mark.parametrize("value", ["", "..", "a\nb", "ä"])
def test_lookup__bad_id__sends_nothing(value: str) -> None:
    venue = Venue()

    with pytest.raises(ValueError, match="transfer_id"):
        broker(venue).transfer(value)

    assert venue.requests == []


def test_lookup__id_with_a_slash__stays_one_segment() -> None:
    venue = Venue(httpx.Response(404, json={"message": "not found"}))

    broker(venue).transfer("../x?y")

    assert venue.request.url.raw_path == f"/v1/accounts/{ACCOUNT}/wallets/transfers/..%2Fx%3Fy".encode()


def test_tokenization_requests__time_without_zone__is_refused() -> None:
    with pytest.raises(ValueError, match=r"^after "):
        broker(Venue()).tokenization_requests(after=datetime(2026, 9, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    "base_url",
    ["", "broker.test", "ftp://broker.test", "https://user:pass@broker.test", "https://b.test?x=1"],
)
def test_broker__bad_base_url__is_refused_without_showing_it(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url must be") as caught:
        AlpacaBroker(base_url, ACCOUNT, KeyPairAuth(KEY_ID, SECRET))

    assert "pass" not in str(caught.value)


@pytest.mark.parametrize("account_id", ["", "a/b", "a b", "../x"])
def test_broker__bad_account_id__is_refused(account_id: str) -> None:
    with pytest.raises(ValueError, match="account_id"):
        AlpacaBroker(BASE_URL, account_id, KeyPairAuth(KEY_ID, SECRET))


def test_broker__as_context_manager__is_closed_at_the_end() -> None:
    with broker(Venue(answer("account"))) as alpaca:
        alpaca.account()

    with pytest.raises(RuntimeError, match="closed"):
        alpaca.account()


# What is read


def test_account__parsed() -> None:
    account = broker(Venue(answer("account"))).account()

    assert account.cash == Decimal("250000.17")
    assert account.cash_withdrawable == Decimal("198000.05")
    assert account.is_active


def test_positions__parsed_with_usdc_told_apart() -> None:
    shares, usdc = broker(Venue(answer("positions"))).positions()

    assert (shares.symbol, shares.quantity, shares.available) == (
        "AAPL",
        Decimal("120.123456789"),
        Decimal("119.5"),
    )
    assert not shares.is_usdc
    assert usdc.is_usdc
    assert usdc.symbol == "USDCUSD"
    assert usdc.available == Decimal("9749.623456789")


def test_asset__parsed() -> None:
    asset = broker(Venue(answer("asset"))).asset("AAPL")

    assert (asset.symbol, asset.asset_class, asset.tradable, asset.fractionable) == (
        "AAPL",
        "us_equity",
        True,
        True,
    )


def test_asset__unknown__is_refused_with_404() -> None:
    venue = Venue(httpx.Response(404, json={"code": 40410000, "message": "asset not found for XXXX"}))

    with pytest.raises(AlpacaRefused) as caught:
        broker(venue).asset("XXXX")

    assert caught.value.status == 404


def test_asset__symbol_with_slash__is_one_segment() -> None:
    venue = Venue(answer("asset"))

    broker(venue).asset("USDC/USD")

    assert venue.request.url.raw_path == b"/v1/assets/USDC%2FUSD"


def test_clock__with_offset_and_nanoseconds__is_aware() -> None:
    assert broker(Venue(answer("clock"))).clock() == datetime(2026, 9, 25, 14, 15, 0, 123456, tzinfo=UTC)


def test_mint__lean_answer__parsed() -> None:
    request = broker(Venue(answer("mint_answer"))).mint(**MINT)

    assert request.id == "5f1a5c0e-9d2b-4c43-a0b6-0a7a5c1f9e77"
    assert request.type is None
    assert request.is_pending
    assert (request.wallet, request.fees, request.tx_hash) == (None, None, None)
    assert request.client_request_id == "ballast-mint-1"


def test_tokenization_requests__quirks__normalised() -> None:
    mint, redemption = broker(Venue(answer("tokenization_requests"))).tokenization_requests()

    assert mint.is_completed
    assert mint.wallet == WALLET
    assert mint.tx_hash == "0x" + "8b1df00d" * 8
    assert mint.updated_at == datetime(2026, 9, 25, 14, 3, 52, 700113, tzinfo=UTC)
    assert redemption.type == "redeem"
    assert redemption.tx_hash is None
    assert redemption.token_symbol is None
    assert redemption.quantity == Decimal("0.000064248")
    assert redemption.fees == Decimal("0.01")
    assert redemption.created_at == datetime(2026, 9, 25, 14, 0, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("filters", "symbols"),
    [
        ({"type": "mint"}, ["AAPL"]),
        ({"type": "redeem"}, ["TSLA"]),
        ({"status": "pending"}, ["TSLA"]),
        ({"status": "rejected"}, []),
        ({"symbol": "AAPL"}, ["AAPL"]),
        ({"after": datetime(2026, 9, 25, 14, 1, tzinfo=UTC)}, ["AAPL"]),
        ({"after": datetime(2026, 9, 25, 14, 3, 11, 201934, tzinfo=UTC)}, []),
    ],
)
def test_tokenization_requests__leaky_filter__is_applied_again(
    filters: dict[str, Any], symbols: list[str]
) -> None:
    found = broker(Venue(answer("tokenization_requests"))).tokenization_requests(**filters)

    assert [request.symbol for request in found] == symbols


@pytest.mark.parametrize("name", ["tokenization_request", "tokenization_request_by_client_id", "transfer"])
@pytest.mark.parametrize(
    "answered",
    [
        httpx.Response(404, json={"code": 40410000, "message": "tokenization request not found"}),
        httpx.Response(404, json={"message": "not found"}),
        httpx.Response(404),
    ],
)
def test_lookup__alpaca_knows_none__returns_none(name: str, answered: httpx.Response) -> None:
    assert getattr(broker(Venue(answered)), name)("some-id") is None


@pytest.mark.parametrize("name", ["tokenization_request", "tokenization_request_by_client_id", "transfer"])
def test_lookup__404_of_something_in_between__is_no_answer(name: str) -> None:
    page = httpx.Response(404, html="<html><title>404 Not Found</title></html>")

    with pytest.raises(Unavailable, match="404 Not Found"):
        getattr(broker(Venue(page)), name)("some-id")


@pytest.mark.parametrize("name", ["tokenization_request", "tokenization_request_by_client_id", "transfer"])
def test_lookup__404_about_the_account__is_refused(name: str) -> None:
    unknown = httpx.Response(404, json={"code": 40410000, "message": "account not found"})

    with pytest.raises(AlpacaRefused, match="account not found"):
        getattr(broker(Venue(unknown)), name)("some-id")


def test_lookup_by_client_id__answer_with_another_label__is_no_answer() -> None:
    with pytest.raises(Unavailable, match="another label"):
        broker(Venue(answer("mint_answer"))).tokenization_request_by_client_id("something-else")


def test_deposit_address__lower_case__is_checksummed() -> None:
    assert broker(Venue(answer("wallet"))).deposit_address() == DEPOSIT


@pytest.mark.parametrize(
    "wallet",
    [
        [{"address": DEPOSIT, "chain": "ETH"}],
        {"asset_id": "x", "address": DEPOSIT},
        {"address": DEPOSIT, "chain": "ethereum"},
        {"address": DEPOSIT.lower(), "chain": None},
    ],
)
def test_deposit_address__known_forms__are_read(wallet: object) -> None:
    assert broker(Venue(httpx.Response(200, json=wallet))).deposit_address() == DEPOSIT


@pytest.mark.parametrize(
    "wallet",
    [
        [],
        [{"address": DEPOSIT}, {"address": WALLET}],
        {"chain": "ETH"},
        {"chain": "SOL", "address": "5dXY1aH2tQpV3wXmJg6Z7c8B4nKvF9bA1pQrSt2uVwYxXz"},
        {"chain": "ARB", "address": DEPOSIT},
        {"chain": "ETH", "address": "5dXY1aH2tQpV3wXmJg6Z7c8B4nKvF9bA1pQrSt2uVwYxXz"},
        {"chain": "ETH", "address": "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"},
        {"chain": "ETH", "address": "0x" + "0" * 40},
        {"chain": "ETH", "address": 5},
        "0x",
    ],
)
def test_deposit_address__not_surely_ours__is_no_answer(wallet: object) -> None:
    with pytest.raises(Unavailable):
        broker(Venue(httpx.Response(200, json=wallet))).deposit_address()


def test_transfers__parsed() -> None:
    withdrawal, deposit = broker(Venue(answer("transfers"))).transfers()

    assert withdrawal.is_outgoing
    assert withdrawal.tx_hash is None
    assert withdrawal.from_address == DEPOSIT
    assert (withdrawal.amount, withdrawal.fees, withdrawal.network_fee) == (
        Decimal("250.5"),
        Decimal("0.3"),
        Decimal("1.2"),
    )
    assert deposit.is_incoming
    assert deposit.is_complete
    assert deposit.tx_hash == "0x" + ("abcdef" * 11)[:64]


def test_transfer__known__parsed() -> None:
    row = fixture("transfers")[0]

    transfer = broker(Venue(httpx.Response(200, json=row))).transfer(row["id"])

    assert transfer is not None
    assert transfer.status == "PROCESSING"


def test_whitelist__parsed() -> None:
    approved, waiting = broker(Venue(answer("whitelists"))).whitelist()

    assert approved.is_approved
    assert approved.address == WALLET
    assert not waiting.is_approved
    assert waiting.chain is None


def test_fee_estimate__parsed() -> None:
    assert broker(Venue(answer("fee"))).fee_estimate(**FEE) == Decimal("0.0505")


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (lambda b: b.account(), []),
        (lambda b: b.account(), {"id": "x", "status": "ACTIVE"}),
        (lambda b: b.account(), {"id": "x", "status": "ACTIVE", "cash": "a lot"}),
        (lambda b: b.positions(), {"positions": []}),
        (lambda b: b.transfers(), {}),
        (lambda b: b.tokenization_requests(), None),
        (lambda b: b.transfer("x"), {"id": "x"}),
        (lambda b: b.clock(), {"timestamp": "soon"}),
        (lambda b: b.clock(), []),
        (lambda b: b.fee_estimate(**FEE), {}),
        (lambda b: b.fee_estimate(**FEE), {"fee": True}),
    ],
)
def test_read__json_of_another_shape__is_unavailable(
    call: Callable[[AlpacaBroker], object], body: object
) -> None:
    venue = Venue(httpx.Response(200, json=body, headers={"X-Request-ID": "req-1"}))

    with pytest.raises(AlpacaUnavailable) as caught:
        call(broker(venue))

    assert caught.value.request_id == "req-1"
    assert "a lot" not in str(caught.value)


# Rows that cannot be read


@pytest.mark.parametrize(
    ("call", "name", "bad"),
    [
        (
            lambda b: b.tokenization_requests(),
            "tokenization_requests",
            {"tokenization_request_id": "bad-row", "status": "completed"},
        ),
        (lambda b: b.transfers(), "transfers", {"id": "bad-row", "amount": "x"}),
        (lambda b: b.whitelist(), "whitelists", {"id": "bad-row", "status": "APPROVED"}),
    ],
)
def test_list__one_malformed_row__is_skipped_and_named_once(
    call: Callable[[AlpacaBroker], list[object]],
    name: str,
    bad: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = fixture(name)
    body = [rows[0], bad, *rows[1:]]
    alpaca = broker(Venue(httpx.Response(200, json=body), httpx.Response(200, json=body)))

    with caplog.at_level(logging.WARNING):
        first, second = call(alpaca), call(alpaca)

    assert len(first) == len(second) == len(rows)
    assert len(caplog.records) == 1
    assert "bad-row" in caplog.text


@pytest.mark.parametrize("bad", ["text", None, 7, {}])
def test_list__row_without_an_id__is_skipped(bad: object, caplog: pytest.LogCaptureFixture) -> None:
    rows = fixture("transfers")

    found = broker(Venue(httpx.Response(200, json=[bad, *rows]))).transfers()

    assert len(found) == len(rows)
    assert "without an id" in caplog.text


@pytest.mark.parametrize(
    "bad",
    [
        {"symbol": "TSLA", "asset_class": "us_equity", "qty": "many"},
        {"symbol": "USDCUSD", "asset_class": "crypto"},
        {"symbol": "TSLA", "qty": "1"},
        {"asset_class": "us_equity", "qty": "1"},
        "text",
    ],
)
def test_positions__a_row_that_may_be_ours_is_malformed__none_is_read_as_zero(bad: object) -> None:
    venue = Venue(httpx.Response(200, json=[*fixture("positions"), bad]))

    with pytest.raises(Unavailable, match="cannot be read"):
        broker(venue).positions()


def test_positions__malformed_option__is_skipped() -> None:
    bad = {"symbol": "AAPL270115C00200000", "asset_class": "us_option", "qty": None}
    venue = Venue(httpx.Response(200, json=[bad, *fixture("positions")]))

    assert [position.symbol for position in broker(venue).positions()] == ["AAPL", "USDCUSD"]


# Answers to requests that moved money


@pytest.mark.parametrize(
    "change",
    [
        {"underlying_symbol": "TSLA"},
        {"qty": "12.4"},
        {"issuer": "ondo"},
        {"network": "ethereum"},
        {"client_request_id": "other"},
        {"wallet_address": DEPOSIT},
    ],
)
def test_mint__answer_describes_something_else__is_unknown(change: dict[str, str]) -> None:
    venue = Venue(httpx.Response(200, json=fixture("mint_answer") | change))

    with pytest.raises(OutcomeUnknown, match="5f1a5c0e"):
        broker(venue).mint(**MINT)


def test_mint__answer_in_other_words__is_ours() -> None:
    venue = Venue(httpx.Response(200, json=fixture("mint_answer") | {"qty": "12.500", "network": "Base"}))

    assert broker(venue).mint(**MINT).quantity == Decimal("12.5")


@pytest.mark.parametrize(
    "change", [{"direction": "INCOMING"}, {"asset": "BTC"}, {"to_address": DEPOSIT}, {"amount": "x"}]
)
def test_withdraw__answer_describes_something_else__is_unknown(change: dict[str, str]) -> None:
    with pytest.raises(OutcomeUnknown, match="0b6c2f0e"):
        broker(Venue(withdrawal_answer(**change))).withdraw(**WITHDRAWAL)


def test_withdraw__answer__parsed() -> None:
    transfer = broker(Venue(withdrawal_answer())).withdraw(**WITHDRAWAL)

    assert transfer.id == "0b6c2f0e-7a51-44b6-8e0d-1d7c2a9b6f11"
    assert transfer.status == "PROCESSING"


@pytest.mark.parametrize("body", [[], {}, None, "ok", {"tokenization_request_id": "x"}])
def test_mint__answer_cannot_be_read__is_unknown(body: object) -> None:
    with pytest.raises(OutcomeUnknown):
        broker(Venue(httpx.Response(200, json=body))).mint(**MINT)


def test_broker__clock_given__is_used_for_pauses() -> None:
    clock = Clock()
    venue = Venue(httpx.Response(429, headers={"Retry-After": "5"}), answer("account"))
    alpaca = broker(venue, clock=clock)
    with pytest.raises(Unavailable):
        alpaca.account()

    clock.advance(5)

    assert alpaca.account().status == "ACTIVE"
