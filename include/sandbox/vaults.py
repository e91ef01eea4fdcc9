"""Where the maker's tokens are on Base: in its wallet, in vaults of the OrderBook, and inside a wrapper."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.codes import wrapper_symbol
from include.sandbox.jsonrpc import RpcError, calldata
from include.sandbox.scenario import USDC

if TYPE_CHECKING:
    from include.sandbox.alpaca.chain import EvmChain
    from include.sandbox.chains import Deployment
    from include.sandbox.scenario import Scenario

WALLET: Final = "wallet"
"""Where wrapped tokens are that are in no vault."""
VAULT_TRADED: Final = "0x" + keccak(text="VaultTraded(address,address,bytes32,bool,uint256)").hex()
WRAPPED: Final = "0x" + keccak(text="Deposit(address,address,uint256,uint256)").hex()
UNWRAPPED: Final = "0x" + keccak(text="Withdraw(address,address,address,uint256,uint256)").hex()


@dataclass(frozen=True)
class Traded:
    """What is traded of an asset on Base, and from where.

    :ivar name: under which it is counted: the asset itself, or `wtAAPL` where AAPL is wrapped.
    :ivar vaults: ids of the vaults it is traded from, the first of which is the primary; none is the wallet.
    """

    asset: str
    name: str
    token: str
    decimals: int
    vaults: tuple[str, ...]
    wrapped: bool


@dataclass(frozen=True)
class Wrap:
    """One deposit into a wrapper, or one withdrawal from it, that concerns the maker. Base units."""

    asset: str
    assets: int
    shares: int
    paid_by_maker: bool
    transaction_hash: str


def vault_place(index: int) -> str:
    """Return what the vault at that position among an asset's vaults is called."""
    return "vault" if index == 0 else f"vault_{index + 1}"


class Vaults:
    """Reads and trades what the maker holds in vaults and wrappers."""

    def __init__(self, base: EvmChain, deployment: Deployment, scenario: Scenario, owner: str) -> None:
        self._base = base
        self._deployment = deployment
        self.owner = owner
        self.stocks = dict(deployment.stocks)
        self.traded = {
            asset: self._traded(asset, scenario.vaults.get(asset, ())) for asset in (*scenario.stocks, USDC)
        }

    def _traded(self, asset: str, vaults: tuple[str, ...]) -> Traded:
        if asset == USDC:
            return Traded(asset, asset, self._deployment.base.usdc, 6, vaults, wrapped=False)
        wrapper = self._deployment.wrappers.get(asset)
        name = asset if wrapper is None else wrapper_symbol(asset)
        token = self._deployment.stocks[asset] if wrapper is None else wrapper
        return Traded(asset, name, token, 18, vaults, wrapped=wrapper is not None)

    # Reads

    def held(self, block: int | str) -> dict[str, dict[str, int]]:
        """Return name -> place -> base units: what is in vaults, and wrapped tokens in the wallet."""
        places: list[tuple[str, str]] = []
        calls: list[tuple[str, str]] = []
        for one in self.traded.values():
            if one.wrapped:
                places.append((one.name, WALLET))
                calls.append((one.token, calldata("balanceOf(address)", [self.owner])))
            for index, vault in enumerate(one.vaults):
                places.append((one.name, vault_place(index)))
                vault_units = calldata("vaultUnits(address,address,bytes32)", self._key(one, vault))
                calls.append((self._deployment.orderbook, vault_units))
        at = block if isinstance(block, str) else hex(block)
        requests = [("eth_call", ({"to": to, "data": data}, at)) for to, data in calls]
        found: dict[str, dict[str, int]] = {one.name: {} for one in self.traded.values()}
        for (name, place), answer in zip(places, self._base.rpc.batch(requests), strict=True):
            found[name][place] = int(answer, 16)
        return found

    def held_whole(self, block: int) -> dict[str, dict[str, Decimal]]:
        """Return the same in whole tokens."""
        decimals = {one.name: one.decimals for one in self.traded.values()}
        return {
            name: {place: whole(units, decimals[name]) for place, units in places.items()}
            for name, places in self.held(block).items()
        }

    def inventory(self, asset: str) -> Decimal:
        """Return all that the owner has of an asset on Base, wrapped tokens at what they are worth now."""
        one, wallet = self.traded[asset], self.stocks.get(asset, self._deployment.base.usdc)
        elsewhere = sum(self.held("latest")[one.name].values())
        (in_wallet,) = self._base.balances([wallet], self.owner, self._base.head())
        return whole(in_wallet + self.worth(asset, elsewhere), one.decimals)

    def to_traded(self, asset: str, units: int) -> int:
        """Return how many base units of what is traded stand for that many of the asset, rounded down."""
        one = self.traded[asset]
        if not one.wrapped:
            return units
        return int(self._base.rpc.call(one.token, "convertToShares(uint256)", [units], "uint256"))

    def worth(self, asset: str, units: int) -> int:
        """Return what that many base units of what is traded are in base units of the asset, rounded down."""
        one = self.traded[asset]
        if not one.wrapped:
            return units
        return int(self._base.rpc.call(one.token, "convertToAssets(uint256)", [units], "uint256"))

    def trades(self, first: int, last: int) -> dict[str, int]:
        """Return name -> base units that trades put into the maker's vaults, less what they took."""
        names = {one.token: one.name for one in self.traded.values()}
        found = dict.fromkeys(names.values(), 0)
        owner = "0x" + self.owner[2:].lower().rjust(64, "0")
        for log in self._base.logs([self._deployment.orderbook], [VAULT_TRADED, owner], first, last):
            into, amount = int(log["data"][2:66], 16), int(log["data"][66:130], 16)
            name = names[to_checksum_address("0x" + log["topics"][2][-40:])]
            found[name] += amount if into else -amount
        return found

    def wraps(self, first: int, last: int) -> list[Wrap]:
        """Return the deposits into wrappers that the maker paid for or that were made for it."""
        return self._wrapper_events(WRAPPED, first, last)

    def unwraps(self, first: int, last: int) -> list[Wrap]:
        """Return the withdrawals from wrappers of the maker's shares, or to the maker."""
        return self._wrapper_events(UNWRAPPED, first, last)

    def _wrapper_events(self, topic: str, first: int, last: int) -> list[Wrap]:
        assets = {wrapper: asset for asset, wrapper in self._deployment.wrappers.items()}
        if not assets:
            return []
        found = []
        for log in self._base.logs(assets, [topic], first, last):
            people = [to_checksum_address("0x" + word[-40:]) for word in log["topics"][1:]]
            # A deposit names payer and owner; a withdrawal names the caller first, who neither gives nor gets
            payer, other = people[-2:] if topic == WRAPPED else (people[-1], people[-2])
            if self.owner in (payer, other):
                found.append(
                    Wrap(
                        asset=assets[to_checksum_address(log["address"])],
                        assets=int(log["data"][2:66], 16),
                        shares=int(log["data"][66:130], 16),
                        paid_by_maker=payer == self.owner,
                        transaction_hash=log["transactionHash"],
                    )
                )
        return found

    # Trades

    def buy(self, asset: str, units: int, vault: int = 0) -> None:
        """Let the trader put tokens into a vault of the maker, or into its wallet where it has no vaults.

        :param units: base units of what is traded.
        """
        one, trader = self.traded[asset], account(Role.TRADER).address
        if one.vaults:
            self._hook("fill", one, one.vaults[vault], units)
        else:
            data = calldata("transfer(address,uint256)", [self.owner, units])
            self._base.rpc.send(trader, one.token, data)

    def sell(self, asset: str, units: int, vault: int = 0) -> None:
        """Let the trader take tokens of the maker: from the named vault first, then from the others in order.

        :raises RpcError: there are fewer.
        """
        one, trader = self.traded[asset], account(Role.TRADER).address
        if not one.vaults:
            data = calldata("transferFrom(address,address,uint256)", [self.owner, trader, units])
            self._base.rpc.send(trader, one.token, data)
            return
        held = self.held("latest")[one.name]
        order = sorted(range(len(one.vaults)), key=lambda index: (index != vault, index))
        if sum(held[vault_place(index)] for index in order) < units:
            raise RpcError(f"the vaults of {asset} hold less than {units} base units")
        for index in order:
            part = min(units, held[vault_place(index)])
            if part:
                self._hook("take", one, one.vaults[index], part)
            units -= part

    def seed(self, asset: str, units: int, vault: int = 0) -> tuple[str, str, str]:
        """Return the trader's call that puts its tokens where the maker has them at the start.

        :param units: base units of what is traded.
        """
        one, trader = self.traded[asset], account(Role.TRADER).address
        if not one.vaults:
            return trader, one.token, calldata("transfer(address,uint256)", [self.owner, units])
        return trader, self._deployment.orderbook, self._hook_data("seed", one, one.vaults[vault], units)

    def _hook(self, name: str, one: Traded, vault: str, units: int) -> None:
        data = self._hook_data(name, one, vault, units)
        self._base.rpc.send(account(Role.TRADER).address, self._deployment.orderbook, data)

    def _hook_data(self, name: str, one: Traded, vault: str, units: int) -> str:
        return calldata(f"{name}(address,address,bytes32,uint256)", [*self._key(one, vault), units])

    def _key(self, one: Traded, vault: str) -> list[object]:
        return [self.owner, one.token, bytes.fromhex(vault[2:])]


def whole(units: int, decimals: int) -> Decimal:
    """Return base units as whole tokens."""
    return Decimal(units).scaleb(-decimals)
