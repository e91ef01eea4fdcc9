from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.sandbox.alpaca import tokenization, wallets
from include.sandbox.alpaca.state import USDC, decimals, floor_to, parse_number, plain_number
from include.sandbox.alpaca.store import load, save
from tests.unit.sandbox.alpaca.conftest import WALLET

if TYPE_CHECKING:
    from pathlib import Path

    from include.sandbox.alpaca.core import Core


def test_load__nothing_saved__is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "broker.json") is None


def test_load__after_a_save__is_the_same_state(core: Core, tmp_path: Path) -> None:
    body = {
        "underlying_symbol": "AAPL", "qty": "0.000000001", "issuer": "st0x", "network": "base",
        "wallet_address": WALLET,
    }  # fmt: skip
    tokenization.accept_mint(core, body, "key")
    wallets.withdraw(core, {"amount": "100", "asset": "USDC", "address": WALLET})
    path = tmp_path / "deep" / "broker.json"

    save(path, core.state)
    loaded = load(path)

    assert loaded == core.state
    assert loaded is not None
    assert loaded.available(USDC) == Decimal("8900.123456789")
    assert [file.name for file in path.parent.iterdir()] == ["broker.json"]


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("1.500", "1.5"), ("1E-9", "0.000000001"), ("100", "100"), ("0.0", "0")],
)
def test_plain_number__any_form__has_no_exponent_and_no_trailing_zeros(value: str, text: str) -> None:
    assert plain_number(Decimal(value)) == text


@pytest.mark.parametrize("value", [None, 5, 1.5, "x", "NaN", "Infinity", ""])
def test_parse_number__what_is_no_decimal_string__is_none(value: object) -> None:
    assert parse_number(value) is None


def test_decimals_and_floor__of_a_number__count_and_cut() -> None:
    assert [decimals(Decimal(n)) for n in ("1", "1E+3", "1.10", "0.000000001")] == [0, 0, 1, 9]
    assert floor_to(Decimal("1.9999999999"), 9) == Decimal("1.999999999")
