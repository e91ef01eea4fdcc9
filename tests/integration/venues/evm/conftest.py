"""A chain client on the local Base, an account with money on it, and a node that mines when told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from include.sandbox.chains import mint_usdc
from include.venues.evm.chain import Chain
from include.venues.evm.signer import LocalSigner
from include.venues.evm.types import Call, Fees, Receipt, SignedTransaction, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.sandbox.anvil import AnvilProcess
    from include.sandbox.chains import Deployment

GWEI = 10**9
STRANGER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"


class Wallet:
    """An account of its own for each test."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.signer = LocalSigner(bytes(Account.create().key))
        self.address = self.signer.address

    def sign(
        self,
        nonce: int,
        *,
        call: Call | None = None,
        max_fee: int = 20 * GWEI,
        tip: int = GWEI,
        gas: int = 100_000,
    ) -> SignedTransaction:
        wanted = call or Call(STRANGER, b"", value=1)
        return self.signer.sign(
            UnsignedTransaction(self._chain.chain_id, nonce, wanted, gas, Fees(max_fee, tip))
        )


def mined(chain: Chain, signed: SignedTransaction) -> Receipt:
    """Broadcast, and wait for the receipt: the node answers before it has mined."""
    sent, end = chain.broadcast(signed.raw), time.monotonic() + 30
    assert sent == signed.hash
    while (receipt := chain.receipt(sent)) is None:
        assert time.monotonic() < end, "not mined in 30 s"
        time.sleep(0.01)
    return receipt


@pytest.fixture
def base(base_chain: AnvilProcess, fresh_chains: Deployment) -> Iterator[Chain]:
    """Base as the client sees it. Whatever a test does to mining and the pool ends with it."""
    yield Chain(base_chain.url, chain_id=8453, name="base")
    base_chain.rpc.request("anvil_dropAllTransactions")
    base_chain.rpc.request("evm_setAutomine", True)


@pytest.fixture
def mined_by_hand(base_chain: AnvilProcess, base: Chain) -> AnvilProcess:
    """The node behind `base`, mining only when told to."""
    base_chain.rpc.request("evm_setAutomine", False)
    return base_chain


@pytest.fixture
def wallet(base_chain: AnvilProcess, base: Chain, deployment: Deployment) -> Wallet:
    """An account with 1 ether and 1,000 USDC on Base, which has sent nothing yet."""
    wallet = Wallet(base)
    base_chain.rpc.request("anvil_setBalance", wallet.address, hex(10**18))
    mint_usdc(base_chain.url, wallet.address, 1_000_000_000)
    return wallet
