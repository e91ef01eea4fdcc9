"""The people of the sandbox: one deterministic key a role, so that two starts give the same addresses."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from eth_account import Account
from eth_utils.crypto import keccak

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


class Role(StrEnum):
    """Who holds a key in the sandbox."""

    DEPLOYER = "deployer"  # owns and administers the contracts
    MAKER = "maker"  # the market maker's wallet, on both chains
    OTHER_MAKER = "other-maker"  # the same of a second book, in a world of its own
    ISSUER = "issuer"  # mints stock tokens
    REDEMPTION = "redemption"  # the issuer's redemption wallet
    ALPACA = "alpaca"  # Alpaca's omnibus wallet on Ethereum: pays withdrawals
    ALPACA_DEPOSIT = "alpaca-deposit"  # the deposit address Alpaca gave to the maker
    ATTESTER_1 = "attester-1"
    ATTESTER_2 = "attester-2"
    TRADER = "trader"  # the other side of every trade that shifts the maker's balances
    STRANGER = "stranger"  # a third party, who may deliver our messages or send us dust


@cache
def account(role: Role) -> LocalAccount:
    """Return the account of a role. These keys are public knowledge: never send real money to them."""
    signer: LocalAccount = Account.from_key(keccak(text=f"ballast sandbox {role.value}"))
    return signer
