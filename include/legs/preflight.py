"""Check the exit before entering: what would stop an operation half-way is found before its first effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.book import Network
from include.domain.amounts import plain, to_base_units
from include.domain.operation import OperationKind
from include.venues.cctp import contracts
from include.venues.errors import Refused, Unavailable

if TYPE_CHECKING:
    from include.book import Venues

WEI_DECIMALS = 18
USDC_CHAIN = "ETH"
"""Alpaca's name of the chain on which it takes and gives USDC; it does not offer Base."""


class NotReady(Refused):
    """Something that the operation will need later is missing, so it is not begun."""


def require_gas(venues: Venues, *networks: Network) -> None:
    """Require that the wallet can pay for gas.

    :raises NotReady: naming the chain, what the wallet holds and what it should.
    """
    minimum = {
        Network.ETHEREUM: venues.settings.ethereum_min_gas_eth,
        Network.BASE: venues.settings.base_min_gas_eth,
    }
    for network in networks:
        held = venues.chain(network).balance(venues.wallet)
        if held < to_base_units(minimum[network], WEI_DECIMALS):
            msg = f"the wallet holds {held} wei on {network} and needs {plain(minimum[network])} ETH for gas"
            raise NotReady(msg)


def require_bridge(venues: Venues) -> None:
    """Require that both ends of the bridge are open, and open to the wallet.

    :raises NotReady: naming the chain, and the contract that is paused or keeps the wallet out.
    :raises Unavailable: when a contract does not answer.
    """
    for network in Network:
        facts = venues.facts(network)
        obstacles = {
            "MessageTransmitter is paused": contracts.paused(facts.message_transmitter),
            "TokenMinter is paused": contracts.paused(facts.token_minter),
            "USDC is paused": contracts.paused(facts.usdc),
            f"TokenMessenger has {venues.wallet} on its denylist": contracts.is_denylisted(
                facts.token_messenger, venues.wallet
            ),
            f"USDC has {venues.wallet} on its blacklist": contracts.is_blacklisted(facts.usdc, venues.wallet),
        }
        answers = venues.chain(network).multicall(list(obstacles.values())).results
        for obstacle, answer in zip(obstacles, answers, strict=True):
            if answer is None:
                msg = f"on {network} nobody answers whether {obstacle}"
                raise Unavailable(msg)
            if contracts.decode_bool(answer):
                msg = f"on {network} {obstacle}"
                raise NotReady(msg)


def require_burn_limit(venues: Venues, network: Network, amount: int) -> None:
    """Require that an amount can leave a chain in one message, as a leg burns once.

    :param amount: base units of USDC.
    :raises NotReady: naming the limit.
    """
    facts = venues.facts(network)
    answer = venues.chain(network).call(contracts.burn_limit(facts.token_minter, facts.usdc))
    limit = contracts.decode_uint(answer)
    if amount > limit:
        msg = f"one burn on {network} takes at most {limit} base units of USDC and {amount} are to be moved"
        raise NotReady(msg)


def require_account(venues: Venues) -> None:
    """Require that Alpaca lets the account move what it holds.

    :raises NotReady: naming its status, and what is blocked.
    """
    account = venues.alpaca.account()
    if not account.is_active:
        blocks = ("trading_blocked", "account_blocked", "transfers_blocked")
        found = [f"the status is {account.status}", *(name for name in blocks if getattr(account, name))]
        msg = f"the account at Alpaca cannot be used: {', '.join(found)}"
        raise NotReady(msg)


def require_set(value: str | None, name: str) -> str:
    """Return a setting that the leg at hand cannot do without.

    :raises NotReady: when it is not set.
    """
    if value is None:
        msg = f"{name} is not set"
        raise NotReady(msg)
    return value


def require_way(venues: Venues, kind: OperationKind) -> None:
    """Require that USDC can go its whole way between the chains, and on to Alpaca where it is to end there.

    :raises NotReady: naming what is in the way.
    """
    require_gas(venues, Network.ETHEREUM, Network.BASE)
    require_bridge(venues)
    if kind is OperationKind.USDC_BASE_TO_ALPACA:
        require_account(venues)
        require_deposit_address(venues)


def require_way_from_base(venues: Venues, kind: OperationKind, amount: int) -> None:
    """Require that what leaves a vault or a wrapper on Base can go on to Alpaca.

    :param amount: base units of the operation.
    :raises NotReady: naming what is in the way.
    """
    if kind.moves_usdc:
        require_way(venues, kind)
        require_burn_limit(venues, Network.BASE, amount)
    else:
        require_account(venues)
        require_gas(venues, Network.BASE)
        require_set(venues.settings.redemption_wallet, "redemption_wallet")


def require_whitelisted(venues: Venues, address: str) -> None:
    """Require that Alpaca lets USDC out to an address.

    :raises NotReady: when it is not on the list, or not approved yet.
    """
    rows = [row for row in venues.alpaca.whitelist() if row.address == address and row.asset == "USDC"]
    if any(row.is_approved for row in rows):
        return
    state = ", ".join(row.status.value for row in rows) or "not on it"
    msg = f"Alpaca's whitelist does not let USDC out to {address}: {state}"
    raise NotReady(msg)


def require_deposit_address(venues: Venues) -> str:
    """Return the address at which Alpaca takes USDC."""
    return venues.alpaca.deposit_address(asset="USDC", chain=USDC_CHAIN)
