"""Burns, deliveries and a driven attestation service, for the tests of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from include.sandbox.accounts import Role, account
from include.sandbox.chains import BASE, ETHEREUM, ChainContracts, address_word, balance, mint_usdc, transact

if TYPE_CHECKING:
    from include.sandbox.anvil import AnvilProcess
    from include.sandbox.attestation import AttestationService

MAKER = account(Role.MAKER).address
USDC = 10**6
NO_CALLER = bytes(32)
BURN = "depositForBurn(uint256,uint32,bytes32,address,bytes32,uint256,uint32)"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Chain:
    node: AnvilProcess
    contracts: ChainContracts

    @property
    def url(self) -> str:
        return self.node.url

    @property
    def other(self) -> ChainContracts:
        return BASE if self.contracts is ETHEREUM else ETHEREUM

    def usdc(self, owner: str = MAKER) -> int:
        return balance(self.url, self.contracts.usdc, owner)

    def head(self) -> int:
        return int(self.node.rpc.request("eth_blockNumber"), 16)

    def give_usdc(self, amount: int) -> None:
        """Give the maker USDC that CCTP may take."""
        mint_usdc(self.url, MAKER, amount)
        transact(
            self.url,
            Role.MAKER,
            self.contracts.usdc,
            "approve(address,uint256)",
            [self.contracts.token_messenger, amount],
        )

    def burn(self, amount: int, **terms: Any) -> str:
        """Burn the maker's USDC and return the hash of the transaction."""
        return str(self.send_burn(amount, **terms)["transactionHash"])

    def send_burn(
        self,
        amount: int,
        *,
        max_fee: int = 0,
        finality: int = 2000,
        recipient: str = MAKER,
        caller: bytes = NO_CALLER,
        token: str | None = None,
        domain: int | None = None,
    ) -> dict[str, Any]:
        burn = [
            amount,
            self.other.domain if domain is None else domain,
            address_word(recipient),
            token or self.contracts.usdc,
            caller,
            max_fee,
            finality,
        ]
        return transact(self.url, Role.MAKER, self.contracts.token_messenger, BURN, burn)

    def receive(self, message: bytes, attestation: bytes, role: Role = Role.STRANGER) -> dict[str, Any]:
        """Deliver a message, as anyone may."""
        return transact(
            self.url,
            role,
            self.contracts.message_transmitter,
            "receiveMessage(bytes,bytes)",
            [message, attestation],
        )

    def used(self, nonce: bytes) -> int:
        return int(
            self.node.rpc.call(self.contracts.message_transmitter, "usedNonces(bytes32)", [nonce], "uint256")
        )

    def admin(self, contract: str, signature: str, *args: object) -> None:
        transact(self.url, Role.DEPLOYER, contract, signature, args)


@dataclass
class Iris:
    """The attestation service as a client sees it, and the hands that drive it."""

    url: str
    service: AttestationService
    clock: Clock

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.service.advance()

    def get(self, path: str, **params: str) -> httpx.Response:
        return httpx.get(self.url + path, params=params or None)

    def post(self, path: str) -> httpx.Response:
        return httpx.post(self.url + path)

    def patch(self, **change: object) -> httpx.Response:
        return httpx.patch(self.url + "/_sandbox/settings", json=change)

    def entries(self, domain: int, transaction_hash: str) -> list[dict[str, Any]]:
        answer = self.get(f"/v2/messages/{domain}", transactionHash=transaction_hash).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    def entry(self, domain: int, transaction_hash: str) -> dict[str, Any]:
        (found,) = self.entries(domain, transaction_hash)
        return found

    def attested(self, domain: int, transaction_hash: str) -> tuple[bytes, bytes]:
        entry = self.entry(domain, transaction_hash)
        assert entry["status"] == "complete"
        return bytes.fromhex(entry["message"][2:]), bytes.fromhex(entry["attestation"][2:])
