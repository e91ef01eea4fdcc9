"""Every effect is in the ledger before it happens.

Just before a request leaves, a second connection to the database reads what is committed by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from include.domain.operation import Leg, OperationKind
from include.ledger.ledger import Ledger
from tests.integration.legs.test_operations import KINDS, open_one
from tests.integration.legs.test_vaults import CASES, PUT_BACK, open_for
from tests.support.desk import open_desk

if TYPE_CHECKING:
    from pathlib import Path

    from include.sandbox.world import World

EXPECTED = {
    OperationKind.MINT: [("mint_request", "sent")],
    OperationKind.REDEMPTION: [("token_transfer", "sent")],
    OperationKind.USDC_ALPACA_TO_BASE: [
        ("approve", "sent"),
        ("withdrawal_request", "sent"),
        ("burn", "sent"),
        ("receive", "sent"),
    ],
    OperationKind.USDC_BASE_TO_ALPACA: [
        ("approve", "sent"),
        ("burn", "sent"),
        ("receive", "sent"),
        ("usdc_transfer", "sent"),
    ],
}
EXPECTED_WITH_VAULTS = {
    "mint into a vault": [("approve_orderbook", "sent"), ("mint_request", "sent"), ("vault_deposit", "sent")],
    "mint, wrap, into a vault": [
        ("approve_wrapper", "sent"),
        ("approve_orderbook", "sent"),
        ("mint_request", "sent"),
        ("wrap", "sent"),
        ("vault_deposit", "sent"),
    ],
    "redemption from a vault": [("vault_withdraw_0", "sent"), ("token_transfer", "sent")],
    "redemption from a vault, unwrapped": [
        ("vault_withdraw_0", "sent"),
        ("unwrap", "sent"),
        ("token_transfer", "sent"),
    ],
    "redemption from two vaults": [
        ("vault_withdraw_0", "sent"),
        ("vault_withdraw_1", "sent"),
        ("token_transfer", "sent"),
    ],
    "USDC into a vault": [
        ("approve", "sent"),
        ("approve_orderbook", "sent"),
        ("withdrawal_request", "sent"),
        ("burn", "sent"),
        ("receive", "sent"),
        ("vault_deposit", "sent"),
    ],
    "USDC from a vault": [
        ("approve", "sent"),
        ("vault_withdraw_0", "sent"),
        ("burn", "sent"),
        ("receive", "sent"),
        ("usdc_transfer", "sent"),
    ],
}
STORED = """
    SELECT effects.name, effects.status FROM transactions
    JOIN effects ON effects.id = transactions.effect_id
    JOIN nonces ON nonces.effect_id = effects.id AND nonces.nonce = transactions.nonce
    WHERE transactions.raw = :raw
"""
REQUESTED = "SELECT name, status FROM effects WHERE name = :effect ORDER BY attempt DESC LIMIT 1"
POSTS = {"tokenization/mint": "mint_request", "wallets/transfers": "withdrawal_request"}


class Witness:
    """Notes each effect that leaves, with what is durably known of it at that moment."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self.seen: list[tuple[str, str]] = []
        self.unknown: list[str] = []

    def __call__(self, name: str, content: Any) -> None:
        if name == "eth_sendRawTransaction":
            self._note(name, STORED, raw=bytes.fromhex(content[0].removeprefix("0x")))
        elif name.startswith("POST "):
            effect = next((effect for path, effect in POSTS.items() if name.endswith(path)), "")
            self._note(name, REQUESTED, effect=effect)

    def _note(self, name: str, query: str, **values: Any) -> None:
        with self._engine.connect() as connection:
            row = connection.execute(text(query), values).one_or_none()
        if row is None:
            self.unknown.append(name)
        elif (row[0], row[1]) not in self.seen:
            self.seen.append((row[0], row[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_effect__before_it_leaves__is_committed(world: World, tmp_path: Path, kind: OperationKind) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, witness = Ledger.open(url), Witness(url)
    with open_desk(world, ledger, witness) as desk:
        desk.settle(open_one(desk, kind).operation_id)
    ledger.close()
    assert witness.unknown == []
    assert witness.seen == EXPECTED[kind]


@pytest.mark.parametrize("case", CASES)
def test_effect__of_vaults_and_wrappers__is_committed_before_it_leaves(
    vault_world: World, tmp_path: Path, case: str
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, witness = Ledger.open(url), Witness(url)
    with open_desk(vault_world, ledger, witness) as desk:
        desk.settle(open_for(desk, *CASES[case]))
    ledger.close()
    assert witness.unknown == []
    assert witness.seen == EXPECTED_WITH_VAULTS[case]


def test_effect__put_back__is_committed_before_it_leaves(vault_world: World, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger, witness = Ledger.open(url), Witness(url)
    asset, kind, trades = PUT_BACK["a wrapped stock"]
    with open_desk(vault_world, ledger, witness, equity_minimum="6") as desk:
        operation_id = open_for(desk, kind, asset)
        for trade in trades:
            desk.world.shift(trade)
        desk.finish(operation_id, Leg.VAULT_WITHDRAW)
    ledger.close()
    assert witness.unknown == []
    assert witness.seen == [("vault_withdraw_0", "sent"), ("approve_orderbook", "sent"), ("put_back", "sent")]
