"""USDC in and out: deposit address, withdrawals, deposits, whitelist; without HTTP and chains."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from eth_utils.address import is_address

from include.sandbox.alpaca.errors import plain, travel_rule
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import (
    USDC,
    Incoming,
    Stage,
    Transfer,
    Whitelisted,
    decimals,
    new_id,
    parse_number,
    plain_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.sandbox.alpaca.core import Core

USDC_DECIMALS = 6
USDC_UNIT = Decimal(10) ** USDC_DECIMALS


def deposit_wallets(core: Core, query: Mapping[str, str]) -> dict[str, Any] | list[dict[str, Any]]:
    """Show the deposit address: one object when an asset is named, a list of one otherwise."""
    wallet = {
        "chain": "ETH",
        "address": core.profile.deposit_address,
        "created_at": core.timestamp(core.profile.opened_at),
    }
    if "asset" not in query:
        return [wallet]
    _check_asset_and_chain(query.get("asset"), query.get("chain"), query.get("network"))
    return wallet


def withdraw(core: Core, body: Any) -> dict[str, Any]:
    """Take on a withdrawal. There is no key that would recognize a repetition: each call is a new withdrawal.

    :raises ApiError: the withdrawal is refused; nothing happened.
    """
    if not isinstance(body, dict):
        raise plain(400, "invalid request body")
    amount, address = parse_number(body.get("amount")), body.get("address")
    if amount is None or amount <= 0:
        raise plain(400, "amount must be a positive number")
    if decimals(amount) > USDC_DECIMALS:
        raise plain(400, f"amount must have at most {USDC_DECIMALS} decimal places")
    _check_asset_and_chain(body.get("asset"), body.get("chain"), None)
    if not _is_approved(core, address):
        raise plain(403, "withdrawal address is not whitelisted or not approved")
    fee = withdrawal_fee(core)
    if amount < core.rules.minimum_withdrawal or amount <= fee:
        raise plain(400, "amount is below the minimum withdrawal")
    if core.state.available(USDC) < amount:
        raise plain(403, "insufficient balance for withdrawal")
    now = core.clock()
    transfer = Transfer(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=core.faults.fate("withdrawal"),
        direction="OUTGOING",
        amount=amount,
        fees=fee,
        from_address=core.profile.payout_address,
        to_address=str(address),
    )
    for share, book in ((amount - fee, Book.WITHDRAWING), (fee, Book.WITHHELD)):
        core.state.journal.move(USDC, share, Book.MAKER, book, memo=f"withdrawal {transfer.id}", at=now)
    core.state.transfers[transfer.id] = transfer
    core.move_on(transfer, Stage.ACCEPTED, core.latencies.withdrawal_processing)
    return {**transfer_view(core, transfer), "network_fee": core.rules.network_fee_shown}


def withdrawal_fee(core: Core) -> Decimal:
    """Return what a withdrawal costs, in USDC: the same for every amount. It comes out of the amount."""
    return core.rules.withdrawal_fee


def debit_withdrawal(core: Core, transfer: Transfer, status: str) -> None:
    """Take the money of a withdrawal out of the account and show `status`."""
    now = core.clock()
    for share, source, target in (
        (transfer.amount - transfer.fees, Book.WITHDRAWING, Book.WITHDRAWN),
        (transfer.fees, Book.WITHHELD, Book.FEES),
    ):
        core.state.journal.move(USDC, share, source, target, memo=f"withdrawal {transfer.id}", at=now)
    transfer.status = status
    transfer.updated_at = now


def fail_withdrawal(core: Core, transfer: Transfer, transaction_hash: str | None) -> None:
    """Give the money of a withdrawal back and close it as FAILED."""
    now = core.clock()
    for share, source in (
        (transfer.amount - transfer.fees, Book.WITHDRAWING),
        (transfer.fees, Book.WITHHELD),
    ):
        core.state.journal.move(
            USDC, share, source, Book.MAKER, memo=f"failed withdrawal {transfer.id}", at=now
        )
    transfer.status = "FAILED"
    transfer.tx_hash = transaction_hash
    core.move_on(transfer, Stage.DONE)


def record_deposit(core: Core, incoming: Incoming) -> Transfer:
    """List a confirmed deposit as PROCESSING."""
    now = core.clock()
    transfer = Transfer(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=incoming.fate,
        direction="INCOMING",
        amount=Decimal(incoming.amount) / USDC_UNIT,
        from_address=incoming.sender,
        to_address=core.profile.deposit_address,
        tx_hash=incoming.transaction_hash,
    )
    incoming.handled = True
    core.state.transfers[transfer.id] = transfer
    core.move_on(transfer, Stage.ACCEPTED, core.latencies.deposit_credit)
    return transfer


def credit_deposit(core: Core, transfer: Transfer) -> None:
    """Give a deposit to the maker and close it."""
    core.state.journal.move(
        USDC,
        transfer.amount,
        Book.DEPOSITED,
        Book.MAKER,
        memo=f"deposit {transfer.tx_hash}",
        at=core.clock(),
    )
    transfer.status = "COMPLETE"
    core.move_on(transfer, Stage.DONE)


def transfer_view(core: Core, transfer: Transfer) -> dict[str, Any]:
    """Show a transfer. Its network fee reads 0 after the first answer, as at the real broker."""
    return {
        "id": transfer.id,
        "tx_hash": transfer.tx_hash,
        "direction": transfer.direction,
        "amount": plain_number(transfer.amount),
        "usd_value": plain_number(transfer.amount),
        "chain": "ETH",
        "asset": USDC,
        "from_address": transfer.from_address,
        "to_address": transfer.to_address,
        "status": transfer.status,
        "created_at": core.timestamp(transfer.created_at),
        "network_fee": "0",
        "fees": plain_number(transfer.fees),
    }


def list_transfers(core: Core) -> list[dict[str, Any]]:
    """List every transfer, newest first; there are no filters and no pages."""
    rows = sorted(core.state.transfers.values(), key=lambda t: t.created_at, reverse=True)
    return [transfer_view(core, transfer) for transfer in rows]


def transfer_by_id(core: Core, transfer_id: str) -> dict[str, Any]:
    """Show one transfer.

    :raises ApiError: 404 for an unknown one.
    """
    transfer = core.state.transfers.get(transfer_id.lower())
    if transfer is None:
        raise plain(404, "transfer not found")
    return transfer_view(core, transfer)


def add_to_whitelist(core: Core, body: Any) -> dict[str, Any]:
    """Take on an address, PENDING until its time is up.

    :raises ApiError: 400, for a bad address, a repetition, or missing travel-rule information.
    """
    if not isinstance(body, dict):
        raise plain(400, "invalid request body")
    address, asset = body.get("address"), body.get("asset")
    if not asset:
        raise plain(400, "asset cannot be empty")
    _check_asset_and_chain(asset, body.get("chain"), None)
    if not isinstance(address, str) or not is_address(address):
        raise plain(400, "invalid address")
    _check_travel_rule(body.get("travel_rule_info"))
    if any(entry.address.lower() == address.lower() for entry in core.state.whitelist.values()):
        raise plain(400, "address is already whitelisted")
    now = core.clock()
    entry = Whitelisted(
        id=new_id(),
        created_at=now,
        updated_at=now,
        due=now,
        fate=core.faults.fate("whitelist"),
        address=address,
        travel_rule_info=body["travel_rule_info"],
    )
    core.state.whitelist[entry.id] = entry
    core.move_on(entry, Stage.ACCEPTED, core.latencies.whitelist_approval)
    return whitelist_view(core, entry)


def decide_whitelist(core: Core, entry: Whitelisted) -> None:
    """Approve an address, or reject it as its fate says."""
    entry.status = "REJECTED" if entry.fate == "reject" else "APPROVED"
    core.move_on(entry, Stage.DONE)


def remove_from_whitelist(core: Core, entry_id: str) -> None:
    """Forget an address.

    :raises ApiError: 404 for an unknown one.
    """
    if core.state.whitelist.pop(entry_id.lower(), None) is None:
        raise plain(404, "whitelisted address not found")
    core.changed()


def whitelist_view(core: Core, entry: Whitelisted) -> dict[str, Any]:
    """Show a whitelisted address."""
    return {
        "id": entry.id,
        "chain": entry.chain,
        "asset": entry.asset,
        "address": entry.address,
        "created_at": core.timestamp(entry.created_at),
        "status": entry.status,
    }


def list_whitelist(core: Core) -> list[dict[str, Any]]:
    """List the whitelist, oldest first."""
    return [whitelist_view(core, entry) for entry in core.state.whitelist.values()]


def fee_estimate(core: Core, query: Mapping[str, str]) -> dict[str, str]:
    """Estimate the fee of a withdrawal, in USDC: exactly what :func:`withdraw` charges now.

    :raises ApiError: 400 when a parameter is missing or wrong.
    """
    for name in ("asset", "from_address", "to_address", "amount"):
        if not query.get(name):
            raise plain(400, f"{name} cannot be empty")
    _check_asset_and_chain(query.get("asset"), None, None)
    amount = parse_number(query["amount"])
    if amount is None or amount <= 0:
        raise plain(400, "amount must be a positive number")
    return {"fee": plain_number(withdrawal_fee(core))}


def _is_approved(core: Core, address: object) -> bool:
    # Letter by letter: an address that is not checksummed as it was whitelisted does not match.
    return any(
        entry.address == address and entry.status == "APPROVED" for entry in core.state.whitelist.values()
    )


def _check_asset_and_chain(asset: object, chain: object, network: object) -> None:
    if not asset:
        raise plain(400, "asset cannot be empty")
    if asset != USDC:
        raise plain(400, f"asset {asset} is not supported")
    if chain not in (None, "ETH"):
        raise plain(400, f"chain {chain} is not supported for USDC")
    if chain is None and network not in (None, "ethereum"):
        raise plain(400, f"network {network} is not supported for USDC")


def _check_travel_rule(info: object) -> None:
    if not isinstance(info, dict) or not info:
        raise plain(400, "travel_rule_info is missing")
    forms = ("beneficiary_is_self_hosted", "beneficiary_vasp_id", "beneficiary_manual_entry")
    if sum(bool(info.get(form)) for form in forms) != 1:
        message = "exactly one kind of destination must be given"
        raise travel_rule("INVALID_DATA", message, *((form,) for form in forms))
    person, entity = ("beneficiary_given_name", "beneficiary_family_name"), ("beneficiary_entity_name",)
    if all(info.get(name) for name in person) == bool(info.get(entity[0])):
        message = "a person's or an entity's name is required"
        raise travel_rule("BENEFICIARY_NAME_REQUIRED", message, person, entity)
