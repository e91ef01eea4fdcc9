"""Everything that can be set, in one model. Credentials are not here: they live in Airflow Connections.

`docs/settings.md` is generated from the descriptions below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from include.domain.amounts import USDC
from include.domain.imbalance import Threshold
from include.domain.plan import AssetPolicy, Policy
from include.profiles import PROFILES, Profile, ProfileName
from include.settings.checks import BROKER, problems
from include.settings.types import (
    Address,
    Duration,
    NonNegative,
    Poll,
    Positive,
    Ratio,
    Symbol,
    Table,
    Url,
    VaultId,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)


class AssetSettings(BaseModel):
    """What is set for one asset; what is left out comes from the settings of all assets."""

    model_config = _CONFIG

    token: Address | None = Field(
        None, description="Token contract on Base; the same as in `token_addresses`."
    )
    enabled: bool = Field(True, description="Whether operations of this asset may be started.")
    target_ratio: Ratio | None = Field(None, description="Instead of `rebalancing_target_ratio`.")
    deviation: NonNegative | None = Field(None, description="Instead of `rebalancing_deviation`.")
    minimum: NonNegative | None = Field(None, description="Smallest amount moved at once, in shares or USDC.")
    maximum: Positive | None = Field(None, description="Largest amount moved at once, in shares or USDC.")
    vault: VaultId | None = Field(None, description="Raindex vault that holds it on Base. Not supported yet.")
    wrapper: Address | None = Field(
        None, description="ERC-4626 wrapper whose shares are traded. Not supported yet."
    )


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset with every default filled in.

    :param token: its contract on Base; for USDC the profile's.
    :param minimum: in shares (equity) or USDC; smaller moves are not started.
    :param maximum: in the same unit; larger ones are cut to it. None is no limit.
    """

    symbol: str
    token: str
    enabled: bool
    target_ratio: Decimal
    deviation: Decimal
    minimum: Decimal
    maximum: Decimal | None
    vault: str | None
    wrapper: str | None

    @property
    def is_usdc(self) -> bool:
        """Tell USDC from the equities."""
        return self.symbol == USDC


class Settings(BaseModel):
    """All settings of Ballast, checked as a whole and frozen."""

    model_config = _CONFIG

    # What is kept in balance, and how.
    rebalancing_enabled: bool = Field(
        False,
        description="Whether money may move. When false, balances and decisions are recorded and shown.",
    )
    rebalancing_check_interval: Duration = Field(
        timedelta(seconds=60), ge=timedelta(seconds=10), description="Time between two checks, at least 10 s."
    )
    rebalancing_target_ratio: Ratio = Field(
        Decimal("0.5"), description="Wanted share of an asset that is onchain, 0 to 1."
    )
    rebalancing_deviation: NonNegative = Field(
        Decimal("0.3"), description="How far the share may be from the target before something is moved."
    )
    broker: str = Field(BROKER, description="The offchain venue. Rebalancing works with `alpaca` only.")
    profile: ProfileName = Field(
        "mainnet",
        description="`mainnet`, or `testnet` for Sepolia, Base Sepolia and the Alpaca Broker sandbox.",
    )

    # The assets.
    token_addresses: Annotated[dict[Symbol, Address], Table] = Field(
        default_factory=dict, description="Token contract on Base of each symbol. Required once enabled."
    )
    assets: Annotated[dict[Symbol, AssetSettings], Table] = Field(
        default_factory=dict, description="Settings of single assets, `USDC` among them. See below."
    )
    equity_minimum: NonNegative = Field(
        Decimal("0.01"), description="Smallest number of shares moved at once, so that dust is left alone."
    )
    equity_maximum: Positive | None = Field(None, description="Largest number of shares moved at once.")
    usdc_minimum: NonNegative = Field(
        Decimal(51), description="Smallest amount of USDC moved at once. Alpaca withdraws no less than 50."
    )
    usdc_maximum: Positive | None = Field(None, description="Largest amount of USDC moved at once.")
    max_open_operations: int | None = Field(
        None, ge=1, description="How many operations may be open at once. Unset, one for each asset."
    )
    max_snapshot_age: Duration = Field(
        timedelta(seconds=60), gt=timedelta(0), description="Older balances are not acted upon."
    )

    # Places on the chains.
    wallet: Address | None = Field(
        None,
        description="Own wallet, the same on both chains; receives minted tokens. Required once enabled.",
    )
    redemption_wallet: Address | None = Field(
        None, description="The issuer's wallet that redeems tokens sent to it. Required once enabled."
    )
    orderbook: Address | None = Field(
        None,
        description="Raindex OrderBook (V6) on Base that holds the vaults. Not supported yet.",
    )
    ethereum_rpc_url: Url | None = Field(
        None,
        description="JSON-RPC of Ethereum; never shown, as it often carries a key. Required once enabled.",
    )
    base_rpc_url: Url | None = Field(
        None, description="JSON-RPC of Base; never shown, as it often carries a key. Required once enabled."
    )
    ethereum_confirmations: int = Field(
        3, ge=1, description="Blocks on Ethereum, its own among them, before a transaction is trusted."
    )
    base_confirmations: int = Field(
        5, ge=1, description="Blocks on Base, its own among them, before a transaction is trusted."
    )
    ethereum_min_gas_eth: NonNegative = Field(
        Decimal("0.01"),
        description="ETH the wallet must hold on Ethereum before anything starts that needs gas there.",
    )
    base_min_gas_eth: NonNegative = Field(
        Decimal("0.001"),
        description="ETH the wallet must hold on Base before anything starts that needs gas there.",
    )

    # Who tokenizes, and how USDC crosses.
    issuer: str = Field("st0x", min_length=1, description="Who issues the tokens, as Alpaca names it.")
    tokenization_network: str = Field(
        "base", min_length=1, description="Chain of the tokens, as Alpaca names it."
    )
    usdc_speed: Literal["fast", "standard"] = Field(
        "fast",
        description="CCTP transfer: `fast` takes seconds and a fee, `standard` 15 to 35 minutes and none.",
    )
    cctp_fee_headroom: NonNegative = Field(
        Decimal("0.2"),
        description="How much more than today's fast fee is offered, as a part of it (0.2 is 20 %).",
    )

    # Waiting: how often a trigger looks, and when a person is asked.
    mint_poll: Poll = Field(timedelta(seconds=10), description="Between two looks at a mint at Alpaca.")
    mint_deadline: Duration = Field(timedelta(minutes=30), description="When an unfinished mint is late.")
    redemption_poll: Poll = Field(timedelta(seconds=30), description="Between two looks at a redemption.")
    redemption_deadline: Duration = Field(
        timedelta(hours=6), description="When an unfinished redemption is late."
    )
    withdrawal_poll: Poll = Field(timedelta(seconds=15), description="Between two looks at a withdrawal.")
    withdrawal_deadline: Duration = Field(
        timedelta(hours=1), description="When an unfinished withdrawal is late."
    )
    attestation_poll: Poll = Field(
        timedelta(seconds=5), description="Between two looks at Circle's attestation of a burn."
    )
    attestation_deadline: Duration = Field(
        timedelta(minutes=60), description="When a missing attestation is late."
    )
    deposit_poll: Poll = Field(timedelta(seconds=15), description="Between two looks at a deposit at Alpaca.")
    deposit_deadline: Duration = Field(timedelta(hours=1), description="When an uncredited deposit is late.")
    receipt_poll: Poll = Field(timedelta(seconds=2), description="Between two looks at a transaction.")
    receipt_deadline: Duration = Field(
        timedelta(minutes=10), description="When an unmined transaction is late."
    )
    worker_patience: Duration = Field(
        timedelta(seconds=12), description="How long a leg waits in its worker before it defers to a trigger."
    )
    lease_seconds: int = Field(
        60, ge=10, description="Seconds for which a process that advances an operation keeps others off it."
    )

    # Names of the Airflow Connections.
    alpaca_conn_id: str = Field(
        "alpaca", min_length=1, description="Connection with the Alpaca account and its keys."
    )
    circle_conn_id: str = Field(
        "circle", min_length=1, description="Connection with the attestation service's host."
    )
    wallet_conn_id: str = Field(
        "evm_wallet", min_length=1, description="Connection with the wallet's private key."
    )
    ledger_conn_id: str = Field(
        "rebalancing_ledger", min_length=1, description="Connection with the ledger database."
    )

    @model_validator(mode="after")
    def _check_as_a_whole(self) -> Settings:
        """Check what one field alone cannot tell, and report every problem at once."""
        errors: list[InitErrorDetails] = [
            {
                "type": PydanticCustomError("setting", "{problem}", {"problem": problem}),
                "loc": path,
                "input": None,
            }
            for path, problem in problems(self)
        ]
        if errors:
            raise ValidationError.from_exception_data("Settings", errors, hide_input=True)
        return self

    @property
    def chains(self) -> Profile:
        """Return the published facts of the chosen profile: chains, contracts, hosts."""
        return PROFILES[self.profile]

    @property
    def tokens(self) -> dict[str, str]:
        """Return the token contract of each equity, from `token_addresses` and `assets`, sorted by symbol."""
        found = dict(self.token_addresses)
        found.update({symbol: asset.token for symbol, asset in self.assets.items() if asset.token})
        return dict(sorted(found.items()))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return every asset that is watched: the equities by name, then USDC."""
        return (*self.tokens, USDC)

    def asset(self, symbol: str) -> Asset:
        """Return one asset with every default filled in.

        :raises KeyError: it is not among `symbols`.
        """
        own = self.assets.get(symbol) or AssetSettings()
        usdc = symbol == USDC
        minimum = self.usdc_minimum if usdc else self.equity_minimum
        maximum = self.usdc_maximum if usdc else self.equity_maximum
        return Asset(
            symbol=symbol,
            token=self.chains.base.usdc if usdc else self.tokens[symbol],
            enabled=own.enabled,
            target_ratio=self.rebalancing_target_ratio if own.target_ratio is None else own.target_ratio,
            deviation=self.rebalancing_deviation if own.deviation is None else own.deviation,
            minimum=minimum if own.minimum is None else own.minimum,
            maximum=maximum if own.maximum is None else own.maximum,
            vault=own.vault,
            wrapper=own.wrapper,
        )

    def watched(self) -> Iterator[Asset]:
        """Yield every asset of `symbols` with its defaults filled in."""
        return (self.asset(symbol) for symbol in self.symbols)

    def policy(
        self, *, may_start: bool, selected: frozenset[str] | None = None, dry_run: bool = False
    ) -> Policy:
        """Return what a plan needs to know of the settings and of this run.

        :param may_start: whether the switch is at run.
        :param selected: the only assets this run may move; None for all.
        :raises ValueError: an asset is selected that is not among `symbols`.
        """
        assets = {
            asset.symbol: AssetPolicy(
                threshold=Threshold(asset.target_ratio, asset.deviation),
                minimum=asset.minimum,
                maximum=asset.maximum,
                enabled=asset.enabled,
            )
            for asset in self.watched()
        }
        return Policy(
            assets=assets,
            enabled=self.rebalancing_enabled,
            may_start=may_start,
            max_snapshot_age=self.max_snapshot_age,
            selected=selected,
            dry_run=dry_run,
            max_open_operations=self.max_open_operations,
        )
