"""Which legs an operation has, by what is set for its asset, and what it keeps of that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.operation import LEGS, Leg, OperationKind
from include.legs.route import Terms, legs_needed, legs_of
from include.settings import Settings, load_settings

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
TOKEN, OTHER_TOKEN, WRAPPER, ORDERBOOK = (f"0x{digit * 40}" for digit in ("1", "2", "4", "3"))
FIRST, SECOND = "0x" + "0a" * 32, "0x" + "0b" * 32


def settings(dollars: str = "usdc", **assets: dict[str, Any]) -> Settings:
    given = {
        "orderbook": ORDERBOOK,
        "dollars": dollars,
        "token_addresses": json.dumps({"AAPL": TOKEN, "TSLA": OTHER_TOKEN}),
        "assets": json.dumps(assets),
    }
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


def legs(kind: OperationKind, dollars: str = "usdc", **own: Any) -> list[str]:
    symbol = "USDC" if kind.moves_usdc else "AAPL"
    return [leg.value for leg in legs_of(kind, settings(dollars, **{symbol: own}).asset(symbol), dollars)]


@pytest.mark.parametrize(
    ("kind", "own", "expected"),
    [
        (MINT, {}, ["mint"]),
        (MINT, {"vaults": [FIRST]}, ["mint", "vault_deposit"]),
        (MINT, {"wrapper": WRAPPER}, ["mint", "wrap"]),
        (MINT, {"vaults": [FIRST], "wrapper": WRAPPER}, ["mint", "wrap", "vault_deposit"]),
        (REDEMPTION, {}, ["redeem"]),
        (REDEMPTION, {"vaults": [FIRST, SECOND]}, ["vault_withdraw", "redeem"]),
        (REDEMPTION, {"wrapper": WRAPPER}, ["unwrap", "redeem"]),
        (REDEMPTION, {"vaults": [FIRST], "wrapper": WRAPPER}, ["vault_withdraw", "unwrap", "redeem"]),
        (TO_BASE, {}, ["withdraw", "bridge"]),
        (TO_BASE, {"vaults": [FIRST]}, ["withdraw", "bridge", "vault_deposit"]),
        (TO_ALPACA, {}, ["bridge", "deposit"]),
        (TO_ALPACA, {"vaults": [FIRST]}, ["vault_withdraw", "bridge", "deposit"]),
    ],
)
def test_legs_of__an_asset__are_those_that_its_settings_ask_for(
    kind: OperationKind, own: dict[str, Any], expected: list[str]
) -> None:
    assert legs(kind, **own) == expected


def test_legs_of__dollars__are_converted_at_alpacas_end_of_the_way() -> None:
    assert legs(TO_BASE, "usd") == ["convert", "withdraw", "bridge"]
    assert legs(TO_ALPACA, "usd", vaults=[FIRST]) == ["vault_withdraw", "bridge", "deposit", "convert"]
    assert legs(MINT, "usd") == ["mint"]


def test_legs_needed__by_several_assets__are_those_of_any_in_order() -> None:
    found = settings(AAPL={"vaults": [FIRST]}, TSLA={"wrapper": WRAPPER})
    assert legs_needed(MINT, found) == (Leg.MINT, Leg.WRAP, Leg.VAULT_DEPOSIT)
    assert legs_needed(REDEMPTION, found) == (Leg.VAULT_WITHDRAW, Leg.UNWRAP, Leg.REDEEM)
    assert legs_needed(TO_BASE, found) == (Leg.WITHDRAW, Leg.BRIDGE)


def test_legs_needed__with_no_asset_of_the_kind__are_those_of_every_operation() -> None:
    nothing = load_settings(environ={})
    assert {kind: legs_needed(kind, nothing) for kind in OperationKind} == {
        kind: kind.legs for kind in OperationKind
    }


@given(
    kind=st.sampled_from(OperationKind),
    vaults=st.booleans(),
    wrapper=st.booleans(),
    dollars=st.sampled_from(["usdc", "usd"]),
)
def test_legs_of__whatever_is_set__have_what_every_operation_has_in_the_one_order(
    kind: OperationKind, vaults: bool, wrapper: bool, dollars: str
) -> None:
    own: dict[str, Any] = {"vaults": [FIRST]} if vaults else {}
    if wrapper and not kind.moves_usdc:
        own["wrapper"] = WRAPPER
    found = legs(kind, dollars, **own)
    assert set(kind.legs) <= set(found)
    assert found == [leg for leg in LEGS[kind] if leg in found]


def test_terms__written_and_read__are_the_same() -> None:
    own = {"vaults": [FIRST, SECOND], "wrapper": WRAPPER, "minimum": "0.5"}
    terms = Terms.of(settings(AAPL=own), "AAPL")
    assert terms.vaults == (FIRST, SECOND)
    assert (terms.traded, str(terms.minimum)) == (WRAPPER, "0.5")
    assert Terms.from_dict(json.loads(json.dumps(terms.to_dict()))) == terms


def test_terms__of_usdc__name_its_contract_and_no_wrapper() -> None:
    found = settings()
    terms = Terms.of(found, "USDC")
    assert terms.traded == terms.token == found.chains.base.usdc
    assert (terms.wrapper, terms.vaults) == (None, ())
