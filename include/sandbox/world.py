"""The whole local world: two chains, Circle's attestation service, the broker, and the maker's holdings."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Self

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.broker import Broker
from include.sandbox.alpaca.chain import EvmChain
from include.sandbox.alpaca.core import Profile, Stock
from include.sandbox.anvil import start_anvil
from include.sandbox.attestation import AttestationService
from include.sandbox.audit import UNDER_WAY, Auditor, Holdings
from include.sandbox.jsonrpc import calldata
from include.sandbox.scenario import DEFAULT, USDC, Scenario, Shift, Side
from include.sandbox.server import serve

if TYPE_CHECKING:
    from pathlib import Path

    from include.sandbox.alpaca.settings import Latencies, Rules
    from include.sandbox.attestation_rules import AttestationSettings

log = logging.getLogger(__name__)

ACCOUNT_ID = "5f5a52a4-7bd0-4a3c-8f4b-0d9b1f0c2b11"
KEY_ID = "SANDBOXKEY"
SECRET = "sandbox-secret"  # noqa: S105 (a key to play money)
ALWAYS = 2**256 - 1
PLENTY_OF_USDC = 10**9 * 10**6
PLENTY_OF_TOKENS = 10**6 * 10**18


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

    :param block_time: seconds between blocks of the chains it starts; None mines each transaction at once.
    :param state_dir: where chains and broker are kept, to be continued by the next start.
    :param own: further addresses on Base that hold the maker's money, such as a contract with vaults.
    """

    def __init__(
        self,
        scenario: Scenario = DEFAULT,
        *,
        endpoints: Endpoints | None = None,
        block_time: float | None = 1.0,
        latencies: Latencies | None = None,
        rules: Rules | None = None,
        attestation: AttestationSettings | None = None,
        state_dir: Path | None = None,
        own: tuple[str, ...] = (),
    ) -> None:
        self.scenario = scenario
        self.maker = account(Role.MAKER)
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
            wallets = [self.maker.address, *own]
            self._auditor = Auditor(self.broker, self.ethereum, self.base, self.deployment, wallets)
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
        self.deployment = chains.deploy(self.ethereum_url, self.base_url, list(self.scenario.stocks))
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
        self.broker.whitelist(self.maker.address)
        heads = {"ethereum": self.ethereum.head(), "base": self.base.head()}
        self.broker.open(heads, self._opening_balances(heads))

    def _fund_on_chain(self) -> None:
        """Bring everybody's balances up to what they start with; what a chain has from before is kept."""
        maker, trader = self.maker.address, account(Role.TRADER).address
        deployer, issuer = account(Role.DEPLOYER).address, account(Role.ISSUER).address
        tokens = {**self.deployment.stocks, USDC: self.deployment.base.usdc}
        head = self.base.head()
        held = self.base.balances(list(tokens.values()), maker, head)
        traders = self.base.balances(list(tokens.values()), trader, head)
        on_base: list[tuple[str, str, str]] = []
        for (asset, token), maker_has, trader_has in zip(tokens.items(), held, traders, strict=True):
            if asset == USDC:
                minter, wanted, plenty = deployer, int(self.scenario.usdc.onchain.scaleb(6)), PLENTY_OF_USDC
            else:
                minter, plenty = issuer, PLENTY_OF_TOKENS
                wanted = int(self.scenario.stocks[asset].onchain.scaleb(18))
            on_base += [
                (minter, token, calldata("mint(address,uint256)", [to, goal - has]))
                for to, goal, has in ((maker, wanted, maker_has), (trader, plenty, trader_has))
                if goal > has
            ]
            # The trader takes what it buys, as an exchange does: the maker's nonces stay its own
            on_base.append((maker, token, calldata("approve(address,uint256)", [trader, ALWAYS])))
        omnibus = calldata("mint(address,uint256)", [account(Role.ALPACA).address, PLENTY_OF_USDC])
        _send_all(self.base, on_base)
        _send_all(self.ethereum, [(deployer, self.deployment.ethereum.usdc, omnibus)])

    def _opening_balances(self, heads: dict[str, int]) -> Holdings:
        stocks = self.deployment.stocks
        maker = self.maker.address
        held = self.base.balances([*stocks.values(), self.deployment.base.usdc], maker, heads["base"])
        (on_ethereum,) = self.ethereum.balances([self.deployment.ethereum.usdc], maker, heads["ethereum"])
        opening = {
            symbol: {"tokens": Decimal(units).scaleb(-18), "shares": self.scenario.stocks[symbol].offchain}
            for symbol, units in zip(stocks, held, strict=False)
        }
        opening[USDC] = {
            "base": Decimal(held[-1]).scaleb(-6),
            "ethereum": Decimal(on_ethereum).scaleb(-6),
            "alpaca": self.scenario.usdc.offchain,
        }
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
        if amount <= 0 or Decimal(units).scaleb(-decimals) != amount:
            raise ValueError(f"cannot trade {amount} {asset}")
        token = self.deployment.base.usdc if asset == USDC else self.deployment.stocks[asset]
        maker, trader = self.maker.address, account(Role.TRADER).address
        with self.broker.core.step:
            if shift.source is Side.OFFCHAIN:
                self.broker.sell(asset, amount, "sold against tokens bought")
                self.base.rpc.send(trader, token, calldata("transfer(address,uint256)", [maker, units]))
            else:
                take = calldata("transferFrom(address,address,uint256)", [maker, trader, units])
                self.base.rpc.send(trader, token, take)
                self.broker.buy(asset, amount, "bought against tokens sold")

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

        :param place: `shares` or `tokens`; for USDC `alpaca`, `base` or `ethereum`.
        """
        core, maker = self.broker.core, self.maker.address
        with core.step:
            if place in ("shares", "alpaca"):
                self.broker.seed(asset, amount)
            elif place == "tokens":
                units = int(amount.scaleb(18))
                hash_ = chains.mint_stock(self.base_url, self.deployment.stocks[asset], maker, units)
                core.state.grants.append(hash_)
            else:
                url = {"base": self.base_url, "ethereum": self.ethereum_url}[place]
                chains.mint_usdc(url, maker, int(amount.scaleb(6)))
            with core.lock:
                opening = core.state.opening[asset]
                opening[place] = opening.get(place, Decimal(0)) + amount
                core.changed()

    def holdings(self) -> Holdings:
        """Return how much of each asset is where, fees and what is under way included."""
        return self._auditor.holdings()

    def under_way(self) -> Holdings:
        """Return what has left one place and not reached the next; empty when all has arrived."""
        found = {
            asset: {place: amount for place, amount in places.items() if place in UNDER_WAY and amount}
            for asset, places in self.holdings().items()
        }
        return {asset: places for asset, places in found.items() if places}

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
        return {
            **{f"BALLAST_{name}": value for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        }


def _send_all(chain: EvmChain, transactions: list[tuple[str, str, str]]) -> None:
    """Send calls (sender, contract, data) from addresses that the node impersonates, and wait until mined."""
    hashes = chain.rpc.send_all(
        [{"from": sender, "to": to, "data": data, "gas": hex(300_000)} for sender, to, data in transactions]
    )
    for transaction_hash in hashes:
        chain.rpc.receipt(transaction_hash)
