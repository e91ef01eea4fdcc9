from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.sandbox.alpaca import wallets
from include.sandbox.alpaca.errors import ApiError
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import USDC, Incoming, Transfer
from tests.unit.sandbox.alpaca.conftest import DEPOSIT, START, WALLET, books_sum_to_zero

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core

BODY = {"amount": "250.5", "asset": "USDC", "address": WALLET, "chain": "ETH"}
TRAVEL_RULE = {
    "beneficiary_is_self_hosted": True,
    "beneficiary_given_name": "Ada",
    "beneficiary_family_name": "Lovelace",
}
OTHER = "0x52908400098527886E0F7030069857D2E4169EE7"


def withdrawn(core: Core) -> Transfer:
    return core.state.transfers[wallets.withdraw(core, BODY)["id"]]


def test_withdraw__accepted__holds_the_amount_until_it_is_complete(core: Core) -> None:
    answer = wallets.withdraw(core, BODY)

    assert (answer["status"], answer["tx_hash"], answer["direction"]) == ("PROCESSING", None, "OUTGOING")
    assert (answer["amount"], answer["fees"], answer["network_fee"]) == ("250.5", "0.25", "1.2")
    assert wallets.transfer_by_id(core, answer["id"])["network_fee"] == "0"
    assert core.state.position(USDC) == Decimal("9000.123456789")
    assert core.state.available(USDC) == Decimal("8749.623456789")


def test_withdraw__complete__debits_the_amount_and_sends_it_less_the_fee(core: Core) -> None:
    transfer = withdrawn(core)

    wallets.debit_withdrawal(core, transfer, "COMPLETE")

    assert core.state.position(USDC) == Decimal("8749.623456789")
    assert core.state.journal.balance(Book.WITHDRAWN, USDC) == Decimal("250.25")
    assert core.state.journal.balance(Book.FEES, USDC) == Decimal("0.25")
    assert books_sum_to_zero(core)


def test_withdraw__failed__gives_everything_back(core: Core) -> None:
    transfer = withdrawn(core)

    wallets.fail_withdrawal(core, transfer, None)

    assert core.state.available(USDC) == Decimal("9000.123456789")
    assert wallets.transfer_by_id(core, transfer.id)["status"] == "FAILED"
    assert books_sum_to_zero(core)


def test_withdraw__sent_twice__is_two_withdrawals(core: Core) -> None:
    assert wallets.withdraw(core, BODY)["id"] != wallets.withdraw(core, BODY)["id"]
    assert len(wallets.list_transfers(core)) == 2


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (None, 400, "invalid request body"),
        ({"amount": 250}, 400, "positive number"),
        ({"amount": "0"}, 400, "positive number"),
        ({"amount": "1.0000001"}, 400, "6 decimal places"),
        ({"amount": "0.25"}, 400, "minimum"),
        ({"amount": "9000.123457"}, 403, "insufficient balance"),
        ({"asset": ""}, 400, "asset cannot be empty"),
        ({"asset": "BTC"}, 400, "not supported"),
        ({"chain": "SOL"}, 400, "not supported"),
        ({"address": WALLET.lower()}, 403, "not whitelisted"),
        ({"address": OTHER}, 403, "not whitelisted"),
    ],
)
def test_withdraw__wrong_body__is_refused_without_a_code(
    core: Core, change: dict[str, Any] | None, status: int, words: str
) -> None:
    with pytest.raises(ApiError) as caught:
        wallets.withdraw(core, None if change is None else {**BODY, **change})

    assert caught.value.status == status
    assert words in caught.value.body["message"]
    assert "code" not in caught.value.body
    assert core.state.transfers == {}
    assert core.state.available(USDC) == Decimal("9000.123456789")


def test_whitelist__added__is_pending_and_then_decided(core: Core) -> None:
    entry = wallets.add_to_whitelist(
        core, {"address": OTHER, "asset": "USDC", "travel_rule_info": TRAVEL_RULE}
    )
    with pytest.raises(ApiError, match="not approved"):
        wallets.withdraw(core, {**BODY, "address": OTHER})

    wallets.decide_whitelist(core, core.state.whitelist[entry["id"]])

    assert entry["status"] == "PENDING"
    assert wallets.withdraw(core, {**BODY, "address": OTHER})["to_address"] == OTHER


def test_whitelist__rejected_by_its_fate__is_never_withdrawn_to(core: Core) -> None:
    core.faults.arm(Fault(target="whitelist", kind="reject"))
    entry = wallets.add_to_whitelist(
        core, {"address": OTHER, "asset": "USDC", "travel_rule_info": TRAVEL_RULE}
    )

    wallets.decide_whitelist(core, core.state.whitelist[entry["id"]])

    assert wallets.list_whitelist(core)[-1]["status"] == "REJECTED"
    with pytest.raises(ApiError, match="not approved"):
        wallets.withdraw(core, {**BODY, "address": OTHER})


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"address": WALLET}, "message", "address is already whitelisted"),
        ({"address": "0x12"}, "message", "invalid address"),
        ({"asset": None}, "message", "asset cannot be empty"),
        ({"travel_rule_info": None}, "message", "travel_rule_info is missing"),
        ({"travel_rule_info": {"beneficiary_entity_name": "X"}}, "error_code", "INVALID_DATA"),
        (
            {"travel_rule_info": {"beneficiary_is_self_hosted": True}},
            "error_code",
            "BENEFICIARY_NAME_REQUIRED",
        ),
    ],
)
def test_whitelist__wrong_body__is_400_in_its_own_shape(
    core: Core, change: dict[str, Any], field: str, value: str
) -> None:
    body = {"address": OTHER, "asset": "USDC", "travel_rule_info": TRAVEL_RULE, **change}

    with pytest.raises(ApiError) as caught:
        wallets.add_to_whitelist(core, body)

    assert caught.value.status == 400
    assert caught.value.body[field] == value
    assert len(core.state.whitelist) == 1


def test_whitelist__removed__is_gone(core: Core) -> None:
    wallets.remove_from_whitelist(core, "w")

    assert wallets.list_whitelist(core) == []
    with pytest.raises(ApiError) as caught:
        wallets.remove_from_whitelist(core, "w")
    assert caught.value.status == 404


def test_deposit__credited__raises_the_position_by_what_arrived(core: Core) -> None:
    incoming = Incoming(
        key="0xbb:3", asset=USDC, sender=WALLET, amount=50_000_001, block=9,
        transaction_hash="0xbb", seen_at=START,
    )  # fmt: skip
    transfer = wallets.record_deposit(core, incoming)
    listed = wallets.transfer_by_id(core, transfer.id)

    wallets.credit_deposit(core, transfer)

    assert (listed["status"], listed["tx_hash"], listed["to_address"]) == ("PROCESSING", "0xbb", DEPOSIT)
    assert core.state.position(USDC) == Decimal("9050.123457789")
    assert wallets.transfer_by_id(core, transfer.id)["status"] == "COMPLETE"


def test_deposit_wallet__with_and_without_an_asset__is_an_object_or_a_list(core: Core) -> None:
    one = wallets.deposit_wallets(core, {"asset": "USDC", "chain": "ETH"})

    assert isinstance(one, dict)
    assert one["address"] == DEPOSIT
    assert wallets.deposit_wallets(core, {}) == [one]


def test_fee_estimate__complete_query__is_the_fee_that_is_charged(core: Core) -> None:
    query = {"asset": "USDC", "from_address": WALLET, "to_address": WALLET, "amount": "100"}

    assert wallets.fee_estimate(core, query) == {"fee": "0.25"}
    with pytest.raises(ApiError, match="amount cannot be empty"):
        wallets.fee_estimate(core, {**query, "amount": ""})
