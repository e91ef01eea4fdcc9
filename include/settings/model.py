"""Everything that can be set, in one model. Credentials are not here: they live in Airflow Connections.

`docs/settings.md` is generated from the descriptions below.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from include.domain.amounts import USDC, plain
from include.domain.imbalance import Threshold
from include.domain.limits import DailyLimits
from include.domain.policy import AssetPolicy, Policy
from include.profiles import PROFILES, Profile, ProfileName
from include.settings.asset import Asset
from include.settings.checks import BROKER, problems, smallest_usdc
from include.settings.names import Names
from include.settings.notifier import Notifiers  # noqa: TC001 - pydantic reads it when the model is made
from include.settings.types import (
    Address,
    Duration,
    Expiry,
    NonNegative,
    Poll,
    Positive,
    Ratio,
    Symbol,
    Table,
    Token,
    Url,
    Urls,
    VaultIds,
    WebUrl,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr


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
    stop_deviation: NonNegative | None = Field(None, description="Instead of `stop_deviation` of all assets.")
    minimum: NonNegative | None = Field(None, description="Smallest amount moved at once, in shares or USDC.")
    maximum: Positive | None = Field(
        None,
        description="Largest amount moved at once, in shares or USDC; cut to `equity_cap` or `usdc_cap`.",
    )
    daily_maximum: Positive | None = Field(
        None, description="Most of this asset that is moved in a day (UTC), in shares or USDC."
    )
    approval_above: NonNegative | None = Field(
        None, description="Instead of `equity_approval_above` or `usdc_approval_above`."
    )
    approval_expiry: Expiry | None = Field(None, description="Instead of `approval_expiry` of all assets.")
    vaults: VaultIds = Field(
        (),
        description="Raindex vaults that hold it on Base. The first is where it is deposited and withdrawn.",
    )
    wrapper: Address | None = Field(
        None, description="ERC-4626 wrapper of the token, whose shares are traded. Equities only."
    )


_NOTHING_OF_ITS_OWN: Final = AssetSettings()


def _smallest_usdc(given: dict[str, Any]) -> Decimal:
    return smallest_usdc(given.get("dollars", "usdc"))


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
    rebalancing_reaction: bool = Field(
        False,
        description="Whether a check also starts as soon as an asset leaves its band. Needs the triggerer.",
    )
    reaction_poll: Poll = Field(
        timedelta(seconds=1),
        description="Between two looks at the newest block of Base, for `rebalancing_reaction`.",
    )
    reaction_rest: Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(seconds=1),
        description="Shortest time between two checks that `rebalancing_reaction` starts.",
    )
    rebalancing_target_ratio: Ratio = Field(
        Decimal("0.5"), description="Wanted share of an asset that is onchain, 0 to 1."
    )
    rebalancing_deviation: NonNegative = Field(
        Decimal("0.3"), description="How far the share may be from the target before something is moved."
    )
    stop_deviation: NonNegative = Field(
        Decimal(0),
        description="How far from the target a move stops, less than the deviation. 0 moves all the way.",
    )
    broker: str = Field(BROKER, description="The offchain venue. Rebalancing works with `alpaca` only.")
    profile: ProfileName = Field(
        "mainnet",
        description="`mainnet`, or `testnet` for Sepolia, Base Sepolia and the Alpaca Broker sandbox.",
    )

    dollars: Literal["usdc", "usd"] = Field(
        "usdc",
        description="What the dollars at Alpaca are: `usdc`, or `usd`, which is bought and sold for USDC.",
    )
    cash_reserve: NonNegative = Field(
        Decimal(0), description="Withdrawable cash at Alpaca that is never moved. With `dollars` `usd` only."
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
    equity_cap: Positive | None = Field(
        None, description="Shares moved at once that nothing set for a single asset exceeds."
    )
    equity_daily_maximum: Positive | None = Field(
        None, description="Most shares that are moved in a day (UTC), those of all equities together."
    )
    usdc_minimum: NonNegative = Field(
        default_factory=_smallest_usdc,
        description="Smallest amount of USDC moved at once. Unset, the least that Alpaca lets out, with room "
        "for fees: 51, or 53 with `dollars` `usd`. It must not be less.",
    )
    usdc_maximum: Positive | None = Field(None, description="Largest amount of USDC moved at once.")
    usdc_cap: Positive | None = Field(
        None, description="USDC moved at once that nothing set for a single asset exceeds."
    )
    usdc_daily_maximum: Positive | None = Field(
        None, description="Most USDC that is moved in a day (UTC), both directions together."
    )
    max_open_operations: int | None = Field(
        None, ge=1, description="How many operations may be open at once. Unset, one for each asset."
    )
    max_snapshot_age: Duration = Field(
        timedelta(seconds=60), gt=timedelta(0), description="Older balances are not acted upon."
    )
    settle_cooldown: Duration = Field(
        timedelta(0),
        ge=timedelta(0),
        description="How long an asset rests after an operation of it has moved money.",
    )
    refusal_cooldown: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(0),
        le=timedelta(hours=1),
        description="How long an asset rests after an operation of it was cancelled. Each further one "
        "in a row doubles it, up to an hour.",
    )
    equity_approval_above: NonNegative | None = Field(
        None, description="More shares than this at once need a person's approval. Unset, none do."
    )
    usdc_approval_above: NonNegative | None = Field(
        None, description="More USDC than this at once needs a person's approval. Unset, none does."
    )
    approval_expiry: Expiry = Field(
        timedelta(minutes=30),
        description="How long a person has to approve an operation, or it is cancelled. See `approval.md`.",
    )
    gate_url: Url | None = Field(
        None,
        description="Asked whether an equity is frozen before it is moved. Never shown. See `limits.md`.",
    )
    gate_timeout: Duration = Field(
        timedelta(seconds=3),
        gt=timedelta(0),
        le=timedelta(seconds=30),
        description="How long the gate may take to answer.",
    )
    gate_silence: Literal["skip", "proceed"] = Field(
        "skip", description="What is done with an equity when the gate gives no answer."
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
        description="Raindex OrderBook on Base that holds the vaults. Required where an asset has vaults.",
    )
    orderbook_version: Literal["v6", "v5"] = Field("v6", description="Version of the OrderBook.")
    stray_tokens: Literal["report", "deposit"] = Field(
        "report",
        description="What is done with tokens that lie in the wallet although their asset has vaults.",
    )
    ethereum_rpc_url: Url | None = Field(
        None,
        description="JSON-RPC of Ethereum; never shown, as it often carries a key. Required once enabled.",
    )
    base_rpc_url: Url | None = Field(
        None, description="JSON-RPC of Base; never shown, as it often carries a key. Required once enabled."
    )
    ethereum_rpc_fallbacks: Urls = Field(
        (),
        description="Further endpoints of Ethereum, in the order in which they are asked where the first "
        "does not answer. Never shown. See `endpoints.md`.",
    )
    base_rpc_fallbacks: Urls = Field((), description="The same of Base.")
    rpc_hedge_after: Duration = Field(
        timedelta(seconds=1),
        ge=timedelta(0),
        description="How long an endpoint may take before the next is asked besides, where there are "
        "several. 0 asks the next only when one fails.",
    )
    rpc_agreement: int = Field(
        1, ge=1, description="How many endpoints of a chain have to give the same balances of the same block."
    )
    rpc_reads_at_once: int = Field(
        2_500,
        ge=1,
        description="Most reads in one request to an endpoint; more are made in several at once. A node that "
        "allows less gas for a request than others needs less.",
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
    usdc_speed: Literal["fast", "standard", "auto"] = Field(
        "fast",
        description="CCTP transfer: `fast` takes seconds and a fee, `standard` 15 to 35 minutes and none, "
        "and `auto` chooses for each transfer.",
    )
    cctp_fee_headroom: NonNegative = Field(
        Decimal("0.2"),
        description="How much more than today's fast fee is offered, as a part of it (0.2 is 20 %).",
    )
    cost_budget_bps: Positive | None = Field(
        None,
        description="What a move of USDC may cost, in hundredths of a percent of it. Unset, anything. See "
        "`costs.md`.",
    )
    cost_patience: Duration = Field(
        timedelta(hours=1),
        gt=timedelta(0),
        description="The budget doubles each time an operation has waited this long for it.",
    )
    eth_price_usd: Positive | None = Field(
        None, description="Dollars for one ETH, to count gas with. This or `eth_price_feed`, not both."
    )
    eth_price_feed: Address | None = Field(
        None, description="Chainlink aggregator on Base that tells the dollars for one ETH."
    )

    # Waiting: how often a trigger looks, and when a person is asked.
    mint_poll: Poll = Field(
        timedelta(seconds=10), description="Longest time between two looks at a mint at Alpaca."
    )
    mint_deadline: Duration = Field(timedelta(minutes=30), description="When an unfinished mint is late.")
    redemption_poll: Poll = Field(
        timedelta(seconds=30), description="Longest time between two looks at a redemption."
    )
    redemption_deadline: Duration = Field(
        timedelta(hours=6), description="When an unfinished redemption is late."
    )
    withdrawal_poll: Poll = Field(
        timedelta(seconds=15), description="Longest time between two looks at a withdrawal."
    )
    withdrawal_deadline: Duration = Field(
        timedelta(hours=1), description="When an unfinished withdrawal is late."
    )
    attestation_poll: Poll = Field(
        timedelta(seconds=5), description="Between two looks at Circle's attestation of a burn."
    )
    attestation_deadline: Duration = Field(
        timedelta(minutes=60), description="When a missing attestation is late."
    )
    deposit_poll: Poll = Field(
        timedelta(seconds=15), description="Longest time between two looks at a deposit at Alpaca."
    )
    deposit_deadline: Duration = Field(timedelta(hours=1), description="When an uncredited deposit is late.")
    conversion_poll: Poll = Field(
        timedelta(seconds=2), description="Between two looks at a conversion of USDC and dollars at Alpaca."
    )
    conversion_deadline: Duration = Field(
        timedelta(minutes=5), description="When what is left of a conversion is cancelled."
    )
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

    # What people are told, and what machines may ask.
    alert_interval: Duration = Field(
        timedelta(seconds=60), ge=timedelta(seconds=10), description="Time between two looks for alerts."
    )
    alert_notifiers: Notifiers = Field(
        (),
        description="Who is told: a list of `{notifier, kwargs, name}`. Unset, alerts are only in the log. "
        "See `alerts.md`.",
        repr=False,
    )
    alert_repeat: Duration | None = Field(
        None,
        ge=timedelta(minutes=1),
        description="What still holds is told again after so long. Unset, it is told once.",
    )
    alert_quiet: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(0),
        description="So long a condition has to be gone before its alert ends. Each alert of the same in a "
        "day doubles it, up to an hour.",
    )
    alert_missed_checks: int = Field(
        5, ge=1, description="So many check intervals without a check, or checks without balances, are told."
    )
    alert_chain_interval: Duration = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=10),
        description="Time between two readings of the wallet's gas and nonce on the chains.",
    )
    alert_gas_factor: Positive = Field(
        Decimal(2), description="Gas is low below so many times `ethereum_min_gas_eth` or `base_min_gas_eth`."
    )
    alert_cost_after: Duration = Field(
        timedelta(hours=6), description="When an asset that waits for its cost budget is told."
    )
    alert_run_deadline: Duration | None = Field(
        None,
        ge=timedelta(minutes=1),
        description="When a run that has not ended is told. A run lasts as long as its operations. Unset, "
        "never.",
    )
    page_url: WebUrl | None = Field(
        None, description="Where Ballast's page is, for links. Unset, under Airflow's own `base_url`."
    )
    runbook_url: WebUrl | None = Field(
        None, description="Where the runbook is, for links. Unset, the copy that the page serves."
    )
    metrics_token: Token | None = Field(
        None,
        description="Who gives it as bearer token may read the metrics without a login. 16 characters at "
        "least.",
    )

    # Names of the Airflow Connections.
    alpaca_conn_id: str = Field(
        "alpaca",
        min_length=1,
        description="Connection with the Alpaca account and its keys. Of a named book `alpaca_<book>`.",
    )
    circle_conn_id: str = Field(
        "circle", min_length=1, description="Connection with the attestation service's host, for all books."
    )
    wallet_conn_id: str = Field(
        "evm_wallet",
        min_length=1,
        description="Connection with the wallet's private key. Of a named book `evm_wallet_<book>`.",
    )
    ledger_conn_id: str = Field(
        "rebalancing_ledger",
        min_length=1,
        description="Connection with the ledger database. Of a named book `rebalancing_ledger_<book>`.",
    )

    # Not a setting: who loads them says which book they are of.
    _book: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:
        """Take the book's name from the context of the validation."""
        self._book = (context or {}).get("book", "")

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
    def book(self) -> str:
        """Return the name of the book; empty for the one without a name."""
        return self._book

    @property
    def names(self) -> Names:
        """Return what the book's DAGs, pools and Variables are called."""
        return Names(self._book)

    @property
    def chains(self) -> Profile:
        """Return the published facts of the chosen profile: chains, contracts, hosts."""
        return PROFILES[self.profile]

    def rpc_urls(self, network: str) -> tuple[str, ...]:
        """Return the endpoints of a chain, the primary first; none where that is not set. They are secrets.

        :param network: `ethereum` or `base`.
        """
        first: SecretStr | None = getattr(self, f"{network}_rpc_url")
        further: tuple[SecretStr, ...] = getattr(self, f"{network}_rpc_fallbacks")
        return () if first is None else tuple(url.get_secret_value() for url in (first, *further))

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
        own = self.assets.get(symbol) or _NOTHING_OF_ITS_OWN
        usdc = symbol == USDC
        minimum = self.usdc_minimum if usdc else self.equity_minimum
        cap = self.usdc_cap if usdc else self.equity_cap
        above = self.usdc_approval_above if usdc else self.equity_approval_above
        maximum = own.maximum or (self.usdc_maximum if usdc else self.equity_maximum)
        return Asset(
            symbol=symbol,
            # Not by `tokens`, which is put together anew each time.
            token=self.chains.base.usdc if usdc else own.token or self.token_addresses[symbol],
            enabled=own.enabled,
            target_ratio=self.rebalancing_target_ratio if own.target_ratio is None else own.target_ratio,
            deviation=self.rebalancing_deviation if own.deviation is None else own.deviation,
            stop_deviation=self.stop_deviation if own.stop_deviation is None else own.stop_deviation,
            minimum=minimum if own.minimum is None else own.minimum,
            maximum=min((one for one in (maximum, cap) if one is not None), default=None),
            cap=cap,
            daily_maximum=own.daily_maximum,
            approval_above=above if own.approval_above is None else own.approval_above,
            approval_expiry=self.approval_expiry if own.approval_expiry is None else own.approval_expiry,
            vaults=own.vaults,
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
        watched = list(self.watched())
        return Policy(
            assets={asset.symbol: self._asset_policy(asset) for asset in watched},
            enabled=self.rebalancing_enabled,
            may_start=may_start,
            max_snapshot_age=self.max_snapshot_age,
            selected=selected,
            dry_run=dry_run,
            max_open_operations=self.max_open_operations,
            daily=DailyLimits(
                {asset.symbol: asset.daily_maximum for asset in watched if asset.daily_maximum is not None},
                equity=self.equity_daily_maximum,
                usdc=self.usdc_daily_maximum,
            ),
            settle_cooldown=self.settle_cooldown,
            refusal_cooldown=self.refusal_cooldown,
        )

    def _asset_policy(self, asset: Asset) -> AssetPolicy:
        free = "withdrawable cash"
        if self.cash_reserve:
            free += f" less a reserve of {plain(self.cash_reserve)}"
        return AssetPolicy(
            threshold=Threshold(asset.target_ratio, asset.deviation, asset.stop_deviation),
            minimum=asset.minimum,
            maximum=None if asset.maximum == asset.cap else asset.maximum,
            enabled=asset.enabled,
            cap=asset.cap,
            free_offchain=free if asset.is_usdc and self.dollars == "usd" else "",
        )
