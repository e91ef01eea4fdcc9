from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from include.venues.alpaca.models import (
    Account,
    CryptoTransfer,
    Position,
    TokenizationRequest,
    TokenizationStatus,
    WhitelistedAddress,
)
from tests.unit.venues.alpaca.support import fixture

REQUEST = fixture("tokenization_requests")[0]
TRANSFER = fixture("transfers")[0]
POSITION = fixture("positions")[0]


def test_request__old_id_field__is_read() -> None:
    row = {name: value for name, value in REQUEST.items() if name != "tokenization_request_id"} | {
        "id": "abc"
    }

    assert TokenizationRequest.model_validate(row).id == "abc"


@pytest.mark.parametrize("status", ["held", "PARTIALLY_DONE"])
def test_request__unknown_status__is_kept_and_is_none_of_the_known(status: str) -> None:
    request = TokenizationRequest.model_validate(REQUEST | {"status": status})

    assert request.status == status
    assert isinstance(request.status, TokenizationStatus)
    assert not any((request.is_pending, request.is_completed, request.is_rejected))
    assert pickle.loads(pickle.dumps(request)) == request
    assert f'"{status}"' in request.model_dump_json()


@pytest.mark.parametrize("status", ["rejected", "Rejected", "REJECTED"])
def test_request__rejected_in_any_case__is_rejected(status: str) -> None:
    assert TokenizationRequest.model_validate(REQUEST | {"status": status}).is_rejected


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"type": ""}, "type", None),
        ({"type": None}, "type", None),
        ({"type": "burn"}, "type", "burn"),
        ({"fees": None}, "fees", None),
        ({"fees": ""}, "fees", None),
        ({"fees": 1}, "fees", Decimal(1)),
        ({"updated_at": ""}, "updated_at", None),
        ({"tx_hash": "0x"}, "tx_hash", "0x"),
        ({"wallet_address": ""}, "wallet", None),
        ({"issuer": "a-new-one", "network": "a-new-chain"}, "network", "a-new-chain"),
        ({"new_field": {"a": 1}}, "symbol", "AAPL"),
    ],
)
def test_request__quirk__is_tolerated(change: dict[str, Any], field: str, value: object) -> None:
    assert getattr(TokenizationRequest.model_validate(REQUEST | change), field) == value


@pytest.mark.parametrize(
    "change",
    [
        {"tokenization_request_id": ""},
        {"status": ""},
        {"status": None},
        {"qty": None},
        {"qty": ""},
        {"qty": True},
        {"created_at": None},
        {"underlying_symbol": ""},
        {"tx_hash": 5},
    ],
)
def test_request__what_a_decision_needs_is_missing__is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TokenizationRequest.model_validate(REQUEST | change)


def test_models__are_frozen() -> None:
    request = TokenizationRequest.model_validate(REQUEST)

    with pytest.raises(ValidationError, match="frozen"):
        request.status = TokenizationStatus.REJECTED  # type: ignore[misc] # that is the point


def test_models__made_by_field_name__are_the_same() -> None:
    request = TokenizationRequest.model_validate(REQUEST)

    assert TokenizationRequest.model_validate(request.model_dump()) == request


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "COMPLETE", "FAILED", "SOMETHING_NEW"])
def test_transfer__status__is_told(status: str) -> None:
    transfer = CryptoTransfer.model_validate(TRANSFER | {"status": status})

    assert transfer.status == status
    assert transfer.is_complete == (status == "COMPLETE")
    assert transfer.is_failed == (status == "FAILED")


def test_transfer__spare_fields_missing__is_read() -> None:
    needed = ("id", "direction", "status", "amount", "asset", "created_at")

    transfer = CryptoTransfer.model_validate({name: TRANSFER[name] for name in needed})

    assert (transfer.tx_hash, transfer.network_fee, transfer.chain) == (None, None, None)


@pytest.mark.parametrize("missing", [{}, {"qty_available": None}])
def test_position__available_not_said__is_all_of_it(missing: dict[str, None]) -> None:
    row = {name: value for name, value in POSITION.items() if name != "qty_available"} | missing

    assert Position.model_validate(row).available == Decimal("120.123456789")


@pytest.mark.parametrize("quantity", ["5", "-5", 5])
def test_position__short__is_negative(quantity: object) -> None:
    position = Position.model_validate(POSITION | {"side": "short", "qty": quantity, "qty_available": "3"})

    assert position.quantity == -5
    assert position.available == -3


@pytest.mark.parametrize(
    ("symbol", "asset_class", "is_usdc"),
    [
        ("USDCUSD", "crypto", True),
        ("USDC/USD", "crypto", True),
        ("USDC", "us_equity", False),
        ("BTCUSD", "crypto", False),
    ],
)
def test_position__usdc__is_told_by_class_and_symbol(symbol: str, asset_class: str, is_usdc: bool) -> None:
    position = Position.model_validate(POSITION | {"symbol": symbol, "asset_class": asset_class})

    assert position.is_usdc is is_usdc


@pytest.mark.parametrize(
    "change",
    [
        {"status": "ACCOUNT_CLOSED"},
        *({name: True} for name in fixture("account") if name.endswith("_blocked")),
    ],
)
def test_account__closed_or_blocked__is_not_active(change: dict[str, Any]) -> None:
    assert not Account.model_validate(fixture("account") | change).is_active


def test_account__broker_fields_missing__are_not_known_rather_than_zero() -> None:
    account = Account.model_validate({"id": "x", "status": "ACTIVE", "cash": "-5"})

    assert account.cash == -5
    assert account.cash_withdrawable is None


def test_whitelist__unknown_status__is_not_approved() -> None:
    row = fixture("whitelists")[0] | {"status": "UNDER_REVIEW"}

    assert not WhitelistedAddress.model_validate(row).is_approved


@pytest.mark.parametrize(
    ("said", "settled"),
    [
        ({"cash_withdrawable": "7", "non_marginable_buying_power": "5"}, Decimal(5)),
        ({"cash_withdrawable": "4", "non_marginable_buying_power": "5"}, Decimal(4)),
        ({"cash_withdrawable": "4"}, Decimal(4)),
        ({"cash_withdrawable": "", "non_marginable_buying_power": "3"}, Decimal(3)),
        ({"cash_withdrawable": "40"}, Decimal(10)),
        ({"cash_withdrawable": "-1"}, Decimal(0)),
        ({}, None),
    ],
)
def test_account__settled_cash__is_the_least_that_is_said(
    said: dict[str, str], settled: Decimal | None
) -> None:
    account = Account.model_validate({"id": "x", "status": "ACTIVE", "cash": "10"} | said)

    assert account.settled_cash == settled
