"""What is published about the two worlds Ballast can work in: `mainnet` and `testnet`.

Chain ids, contract addresses and host names are facts that others decide, so they are code and not settings.
Circle deploys CCTP V2 at the same addresses on Ethereum and Base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

ProfileName: TypeAlias = Literal["mainnet", "testnet"]


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain: its ids, the contracts on it that Ballast calls, and where a person can look at it.

    :param cctp_domain: Circle's own number of the chain, which is not its chain id.
    :param block_seconds: the time between two of its blocks.
    """

    name: str
    chain_id: int
    cctp_domain: int
    block_seconds: int
    usdc: str
    token_messenger: str
    message_transmitter: str
    token_minter: str
    explorer_url: str

    def transaction_url(self, transaction_hash: str) -> str:
        """Return the explorer page of a transaction."""
        return f"{self.explorer_url}/tx/{transaction_hash}"

    def address_url(self, address: str) -> str:
        """Return the explorer page of an account or a contract."""
        return f"{self.explorer_url}/address/{address}"


@dataclass(frozen=True, slots=True)
class Profile:
    """Two chains and the hosts of Circle and Alpaca that go with them.

    The hosts are defaults: an Airflow Connection that names a host wins.
    """

    name: ProfileName
    ethereum: Chain
    base: Chain
    attestation_url: str
    alpaca_url: str
    alpaca_login_url: str


_MAINNET_CCTP: Final = {
    "token_messenger": "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d",
    "message_transmitter": "0x81D40F21F12A8F0E3252Bccb954D722d4c464B64",
    "token_minter": "0xfd78EE919681417d192449715b2594ab58f5D002",
}
_TESTNET_CCTP: Final = {
    "token_messenger": "0x8FE6B999Dc680CcFDD5Bf7EB0974218be2542DAA",
    "message_transmitter": "0xE737e5cEBEEBa77EFE34D4aa090756590b1CE275",
    "token_minter": "0xb43db544E2c27092c107639Ad201b3dEfAbcF192",
}

MAINNET: Final = Profile(
    name="mainnet",
    ethereum=Chain(
        name="Ethereum",
        chain_id=1,
        cctp_domain=0,
        block_seconds=12,
        usdc="0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        explorer_url="https://etherscan.io",
        **_MAINNET_CCTP,
    ),
    base=Chain(
        name="Base",
        chain_id=8453,
        cctp_domain=6,
        block_seconds=2,
        usdc="0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
        explorer_url="https://basescan.org",
        **_MAINNET_CCTP,
    ),
    attestation_url="https://iris-api.circle.com",
    alpaca_url="https://broker-api.alpaca.markets",
    alpaca_login_url="https://authx.alpaca.markets/v1/oauth2/token",
)

TESTNET: Final = Profile(
    name="testnet",
    ethereum=Chain(
        name="Ethereum Sepolia",
        chain_id=11155111,
        cctp_domain=0,
        block_seconds=12,
        usdc="0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
        explorer_url="https://sepolia.etherscan.io",
        **_TESTNET_CCTP,
    ),
    base=Chain(
        name="Base Sepolia",
        chain_id=84532,
        cctp_domain=6,
        block_seconds=2,
        usdc="0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        explorer_url="https://sepolia.basescan.org",
        **_TESTNET_CCTP,
    ),
    attestation_url="https://iris-api-sandbox.circle.com",
    alpaca_url="https://broker-api.sandbox.alpaca.markets",
    alpaca_login_url="https://authx.sandbox.alpaca.markets/v1/oauth2/token",
)

PROFILES: Final[dict[ProfileName, Profile]] = {"mainnet": MAINNET, "testnet": TESTNET}
