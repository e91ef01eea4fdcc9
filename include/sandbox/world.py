"""The whole local world: two chains, Circle's attestation service, the broker, and the maker's holdings."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.broker import Broker
from include.sandbox.alpaca.chain import EvmChain
from include.sandbox.alpaca.core import Profile, Stock
from include.sandbox.anvil import start_anvil
from include.sandbox.attestation import AttestationService
from include.sandbox.audit import Auditor, Holdings
from include.sandbox.funding import PLENTY_OF_USDC, fund, give, send_all
from include.sandbox.jsonrpc import calldata
from include.sandbox.scenario import DEFAULT, USDC, Scenario, Shift, Side
from include.sandbox.server import serve
from include.sandbox.vaults import Vaults, whole

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from include.sandbox.alpaca.settings import Latencies, Rules
    from include.sandbox.attestation_rules import AttestationSettings

log = logging.getLogger(__name__)

ACCOUNT_ID = "5f5a52a4-7bd0-4a3c-8f4b-0d9b1f0c2b11"
KEY_ID = "SANDBOXKEY"
SECRET = "sandbox-secret"  # noqa: S105 (a key to play money)
ALWAYS = 2**256 - 1


@dataclass
class Snapshot:
    """A state of the world to come back to, as often as wanted."""

    ethereum: str
    base: str
    broker: str


@dataclass(frozen=True)
class Endpoints:
    """What to attach to instead of starting it; None starts it. Ports of 0 take free ones."""

    ethereum_url: str | None = None
    base_url: str | None = None
    attestation_url: str | None = None
    ethereum_port: int = 0
    base_port: int = 0
    alpaca_port: int = 0
    attestation_port: int = 0


class World:
    """Starts, or attaches to, everything. A context manager that ends what it started.

    :param maker: whose wallet it is. Two books cannot have the same.
    :param block_time: seconds between blocks of the chains it starts; None mines each transaction at once.
    :param state_dir: where chains and broker are kept, to be continued by the next start.
    """

    def __init__(
        self,
        scenario: Scenario = DEFAULT,
        *,
        maker: Role = Role.MAKER,
        endpoints: Endpoints | None = None,
        block_time: float | None = 1.0,
        latencies: Latencies | None = None,
        rules: Rules | None = None,
        attestation: AttestationSettings | None = None,
        state_dir: Path | None = None,
    ) -> None:
        self.scenario = scenario
        self.maker = account(maker)
        self.attestation: AttestationService | None = None
        self._endpoints = endpoints or Endpoints()
        self._next_shift = 0
        self._stack = ExitStack()
        if state_dir is not None:
            state_dir.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._start_chains(block_time, state_dir)
            self.attestation_url = self._endpoints.attestation_url or self._start_attestation(attestation)
            path = state_dir / "broker.json" if state_dir else None
            self.broker = self._make_broker(latencies, rules, path)
            self.vaults = Vaults(self.base, self.deployment, scenario, self.maker.address)
            self._auditor = Auditor(self.broker, self.ethereum, self.base, self.deployment, self.vaults)
            self._seed_once()
            server = serve(self.broker.app, port=self._endpoints.alpaca_port)
            self.alpaca_url = self._stack.enter_context(server).url
            self._stack.enter_context(self.broker)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that this world started. Stopping twice is harmless."""
        self._stack.close()

    def _start_chains(self, block_time: float | None, state_dir: Path | None) -> None:
        def start(chain_id: int, name: str, port: int) -> str:
            state = state_dir / f"{name}.json" if state_dir else None
            node = start_anvil(chain_id, port=port, block_time=block_time, state=state)
            return self._stack.enter_context(node).url

        given = self._endpoints
        self.ethereum_url = given.ethereum_url or start(
            chains.ETHEREUM.chain_id, "ethereum", given.ethereum_port
        )
        self.base_url = given.base_url or start(chains.BASE.chain_id, "base", given.base_port)
        self.deployment = chains.deploy(
            self.ethereum_url, self.base_url, list(self.scenario.stocks), wrapped=list(self.scenario.wrapped)
        )
        self.ethereum, self.base = EvmChain(self.ethereum_url), EvmChain(self.base_url)
        self._stack.callback(self.ethereum.close)
        self._stack.callback(self.base.close)

    def _start_attestation(self, settings: AttestationSettings | None) -> str:
        service = AttestationService(self.ethereum_url, self.base_url, self.deployment, settings)
        self.attestation = service
        service.start()
        self._stack.callback(service.stop)
        return self._stack.enter_context(serve(service.app, port=self._endpoints.attestation_port)).url

    def _make_broker(self, latencies: Latencies | None, rules: Rules | None, path: Path | None) -> Broker:
        profile = Profile(
            account_id=ACCOUNT_ID,
            key_id=KEY_ID,
            secret=SECRET,
            stocks={
                symbol: Stock(symbol, token, f"t{symbol}", self.scenario.stocks[symbol].price)
                for symbol, token in self.deployment.stocks.items()
            },
            usdc=self.deployment.ethereum.usdc,
            linked_wallets=(self.maker.address,),
            redemption_wallet=account(Role.REDEMPTION).address,
            deposit_address=account(Role.ALPACA_DEPOSIT).address,
            payout_address=account(Role.ALPACA).address,
        )
        return Broker(
            profile,
            ethereum=self.ethereum,
            base=self.base,
            issuer=account(Role.ISSUER),
            payer=account(Role.ALPACA),
            latencies=latencies,
            rules=rules,
            path=path,
        )

    # The start

    def _seed_once(self) -> None:
        """Give everybody what they start with, unless this world goes on from before."""
        core = self.broker.core
        heads = {"ethereum": self.ethereum.head(), "base": self.base.head()}
        known = core.state.opening_blocks
        looked_at = {
            "base": core.state.scanned.get("redemption", 0),
            "ethereum": core.state.scanned.get("deposit", 0),
        }
        if known and all(heads[name] >= max(block, looked_at[name]) for name, block in known.items()):
            return
        if known:
            log.warning("the chains are younger than the broker's memory: starting over")
            self.broker.forget()
        self._fund_on_chain()
        for symbol, holding in self.scenario.stocks.items():
            self.broker.seed(symbol, holding.offchain)
        self.broker.seed(USDC, self.scenario.usdc.offchain)
        if self.scenario.cash is not None:
            self.broker.set_cash(self.scenario.cash)
        self.broker.whitelist(self.maker.address)
        heads = {"ethereum": self.ethereum.head(), "base": self.base.head()}
        self.broker.open(heads, self._opening_balances(heads))

    def _fund_on_chain(self) -> None:
        """Bring everybody's balances up to what they start with; what a chain has from before is kept."""
        fund(self.base, self.deployment, self.scenario, self.vaults, self.maker.address)
        omnibus = calldata("mint(address,uint256)", [account(Role.ALPACA).address, PLENTY_OF_USDC])
        send_all(self.ethereum, [(account(Role.DEPLOYER).address, self.deployment.ethereum.usdc, omnibus)])

    def _opening_balances(self, heads: dict[str, int]) -> Holdings:
        maker, stocks = self.maker.address, self.deployment.stocks
        held = self.base.balances([*stocks.values(), self.deployment.base.usdc], maker, heads["base"])
        (on_ethereum,) = self.ethereum.balances([self.deployment.ethereum.usdc], maker, heads["ethereum"])
        opening = {
            symbol: {"tokens": whole(units, 18), "shares": self.scenario.stocks[symbol].offchain}
            for symbol, units in zip(stocks, held, strict=False)
        }
        opening[USDC] = {
            "base": whole(held[-1], 6),
            "ethereum": whole(on_ethereum, 6),
            "alpaca": self.scenario.usdc.offchain,
        }
        for name, places in self.vaults.held_whole(heads["base"]).items():
            opening.setdefault(name, {}).update(places)
        return opening

    # What people and tests do with it

    def shift(self, shift: Shift) -> None:
        """Trade: take an amount of an asset from one side and leave the same on the other.

        :raises ValueError: the amount is not positive, or finer than its tokens are.
        :raises InsufficientFundsError: the broker's side has less.
        :raises RpcError: the chain's side has less.
        """
        asset, amount = shift.asset, shift.amount
        decimals = 6 if asset == USDC else 18
        units = int(amount.scaleb(decimals))
        if amount <= 0 or whole(units, decimals) != amount:
            raise ValueError(f"cannot trade {amount} {asset}")
        if shift.vault and shift.vault not in range(len(self.vaults.traded[asset].vaults)):
            raise ValueError(f"{asset} has no vault {shift.vault}")
        with self.broker.core.step:
            traded = self.vaults.to_traded(asset, units)
            if shift.source is Side.OFFCHAIN:
                self._at_the_broker(asset, -amount, "sold against tokens bought")
                self.vaults.buy(asset, traded, shift.vault)
            else:
                self.vaults.sell(asset, traded, shift.vault)
                self._at_the_broker(asset, amount, "bought against tokens sold")

    def _at_the_broker(self, asset: str, amount: Decimal, memo: str) -> None:
        """Book the broker's side of a trade: in dollars, where those are the maker's cash."""
        if asset == USDC and self.scenario.cash is not None:
            self.broker.trade_dollars(amount, memo)
        elif amount < 0:
            self.broker.sell(asset, -amount, memo)
        else:
            self.broker.buy(asset, amount, memo)

    def shift_next(self) -> Shift | None:
        """Do the next of the scenario's shifts, and return it; None when there are none."""
        if not self.scenario.shifts:
            return None
        shift = self.scenario.shifts[self._next_shift % len(self.scenario.shifts)]
        self._next_shift += 1
        self.shift(shift)
        return shift

    def give(self, asset: str, place: str, amount: Decimal) -> None:
        """Give the maker more of an asset, as if it had been there from the start.

        :param asset: also a wrapped token by its own name, such as `wtAAPL`.
        :param place: `shares` or `tokens`; for USDC `alpaca`, `base` or `ethereum`; for a wrapped token
            `wallet`; for what is traded from vaults also `vault`, then `vault_2` for the second, and so on.
        :raises ValueError: there is no such place.
        """
        core = self.broker.core
        if place not in core.state.opening.get(asset, {}):
            raise ValueError(f"{asset} has no place {place}")
        with core.step:
            if place in ("shares", "alpaca"):
                self.broker.seed(asset, amount)
            else:
                urls = {"ethereum": self.ethereum_url, "base": self.base_url}
                core.state.grants += give(
                    self.base, urls, self.vaults, asset=asset, place=place, amount=amount
                )
            with core.lock:
                opening = core.state.opening[asset]
                opening[place] = opening[place] + amount
                core.changed()

    def dividend(self, asset: str, each: Decimal) -> None:
        """Put tokens into the wrapper of a stock, so that each wrapped token is worth that much more.

        :param each: whole tokens of the stock for a wrapped one.
        :raises ValueError: the stock is not wrapped, or the dividend is nothing.
        """
        wrapper, token = self._wrapper(asset), self.deployment.stocks[asset]
        with self.broker.core.step:
            supply = int(self.base.rpc.call(wrapper, "totalSupply()", [], "uint256"))
            units = int(supply * each)
            if units <= 0:
                raise ValueError(f"{each} is no dividend")
            chains.mint_stock(self.base_url, token, wrapper, units)

    def limit_redemptions(self, asset: str, shares: Decimal | None) -> None:
        """Let nobody redeem more of a stock's wrapped tokens at once than this; None lifts the limit.

        :raises ValueError: the stock is not wrapped.
        """
        limit = ALWAYS if shares is None else int(shares.scaleb(18))
        wrapper = self._wrapper(asset)
        chains.transact(self.base_url, Role.ISSUER, wrapper, "setRedeemLimit(uint256)", [limit])

    def limit_wrapping(self, asset: str, tokens: Decimal | None) -> None:
        """Let nobody wrap more of a stock's tokens at once than this; None lifts the limit.

        :raises ValueError: the stock is not wrapped.
        """
        limit = ALWAYS if tokens is None else int(tokens.scaleb(18))
        wrapper = self._wrapper(asset)
        chains.transact(self.base_url, Role.ISSUER, wrapper, "setDepositLimit(uint256)", [limit])

    def _wrapper(self, asset: str) -> str:
        if asset not in self.deployment.wrappers:
            raise ValueError(f"{asset} is not wrapped")
        return self.deployment.wrappers[asset]

    def set_eth_price(self, dollars: Decimal, age: float = 0) -> None:
        """Let the price feed on Base say what a whole ETH costs, and since how many seconds."""
        chains.set_eth_price(self.base_url, self.deployment.price_feed, dollars, age)

    def onchain(self, asset: str) -> Decimal:
        """Return all that the maker has of an asset on Base, wrapped tokens at what they are worth now."""
        return self.vaults.inventory(asset)

    def holdings(self) -> Holdings:
        """Return how much of each asset is where, fees and what is under way included."""
        return self._auditor.holdings()

    def dollars(self) -> dict[str, Decimal]:
        """Return where the maker's dollars at the broker are, with what converting them has cost."""
        with self.broker.core.lock:
            return dollars.places(self.broker.core.state)

    def under_way(self) -> Holdings:
        """Return what has left one place and not reached the next; empty when all has arrived."""
        return self._auditor.under_way()

    def conservation(self) -> list[str]:
        """Return what is wrong with the money, to the last base unit; empty when nothing is."""
        return self._auditor.violations()

    def snapshot(self) -> Snapshot:
        """Remember chains and broker as they are now."""
        with self.broker.core.step:
            return Snapshot(
                ethereum=str(self.ethereum.rpc.request("evm_snapshot")),
                base=str(self.base.rpc.request("evm_snapshot")),
                broker=self.broker.dump(),
            )

    def revert(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot; it can be gone back to again. Faults are disarmed."""
        with self.broker.core.step:
            for chain, id_ in ((self.ethereum, snapshot.ethereum), (self.base, snapshot.base)):
                if chain.rpc.request("evm_revert", id_) is not True:
                    raise ValueError(f"{chain.url} has no snapshot {id_}")
                chain.rpc.request("anvil_dropAllTransactions")
            self.broker.restore(snapshot.broker)
            # Going back uses an anvil snapshot up.
            snapshot.ethereum = str(self.ethereum.rpc.request("evm_snapshot"))
            snapshot.base = str(self.base.rpc.request("evm_snapshot"))

    def settings_environment(self) -> dict[str, str]:
        """Return the environment with which Ballast works in this world."""
        connections = {
            "alpaca": {
                "conn_type": "alpaca",
                "host": self.alpaca_url,
                "login": KEY_ID,
                "password": SECRET,
                "extra": {"account_id": ACCOUNT_ID},
            },
            "circle": {"conn_type": "circle", "host": self.attestation_url},
            "evm_wallet": {
                "conn_type": "evm",
                "login": self.maker.address,
                "password": "0x" + bytes(self.maker.key).hex(),
            },
        }
        settings = {
            "REBALANCING_ENABLED": "true",
            "REBALANCING_CHECK_INTERVAL": "10s",
            "WALLET": self.maker.address,
            "TOKEN_ADDRESSES": json.dumps(dict(self.deployment.stocks)),
            "REDEMPTION_WALLET": account(Role.REDEMPTION).address,
            "ETHEREUM_RPC_URL": self.ethereum_url,
            "BASE_RPC_URL": self.base_url,
            "ETHEREUM_CONFIRMATIONS": "1",
            "BASE_CONFIRMATIONS": "1",
            **{
                f"{wait}_POLL": "1s"
                for wait in ("MINT", "REDEMPTION", "WITHDRAWAL", "ATTESTATION", "DEPOSIT", "RECEIPT")
            },
        }
        if self.scenario.cash is not None:
            settings["DOLLARS"] = "usd"
            settings["CONVERSION_POLL"] = "1s"
        if self.scenario.vaults:
            settings["ORDERBOOK"] = self.deployment.orderbook
        if self.scenario.vaults or self.scenario.wrapped:
            settings["ASSETS"] = json.dumps(self._assets())
        return {
            **{f"BALLAST_{name}": value for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        }

    def _assets(self) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = {}
        for asset, ids in self.scenario.vaults.items():
            found.setdefault(asset, {})["vaults"] = list(ids)
        for asset, wrapper in self.deployment.wrappers.items():
            found.setdefault(asset, {})["wrapper"] = wrapper
        return found
