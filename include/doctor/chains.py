"""What the two chains must have: the right nodes, contracts, tokens and gas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.book import Network
from include.doctor.check import Check, Found, NotOpened, check, failure, ok, warning
from include.domain.amounts import TOKEN_DECIMALS, USDC_DECIMALS, floor_to, from_base_units, plain
from include.legs.preflight import WEI_DECIMALS
from include.settings import USDC
from include.venues.errors import VenueError
from include.venues.evm import erc20
from include.venues.evm.multicall import MULTICALL3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.doctor.check import Look

AHEAD_SECONDS = 15
"""A block is never stamped later than this after the time at which it is seen."""
OLD_WARNING_SECONDS = 120
OLD_FAILURE_SECONDS = 600
SHOWN_DECIMALS = 6


@check(
    "node",
    reads="the chain id of each RPC endpoint, and the wallet's nonce as of a confirmed block.",
    advice="Set `ethereum_rpc_url` and `base_rpc_url`, and their fallbacks, to endpoints of the profile's "
    "two chains that know the state of recent blocks too.",
    each_chain=True,
)
def node(look: Look) -> Iterator[Found]:
    """Ask each endpoint which chain it serves, and whether it remembers."""
    settings, network = look.settings, look.network
    depth = settings.ethereum_confirmations if network is Network.ETHEREUM else settings.base_confirmations
    endpoints = look.chain.each()
    for endpoint in endpoints:
        try:
            endpoint.verify_chain_id()
            head = endpoint.head()
            endpoint.nonce(look.wallet, block=max(head.number - depth + 1, 0))
        except VenueError as error:
            if len(endpoints) == 1:
                raise
            yield failure(str(error))
            continue
        where = f" ({endpoint.host})" if len(endpoints) > 1 else ""
        yield ok(f"{look.facts.name}, chain {endpoint.chain_id}, at block {head.number}{where}")


@check(
    "newest block",
    reads="the time of the newest block, against the clock of this machine.",
    advice="Let a time service set this machine's clock; if that is right, the node lags: use another one.",
    each_chain=True,
)
def newest_block(look: Look) -> Iterator[Found]:
    """Compare the newest block with the clock."""
    head = look.chain.head()
    age = look.subject.now().timestamp() - head.timestamp
    if age < -AHEAD_SECONDS:
        yield failure(f"block {head.number} is stamped {-age:.0f} s later than this machine's clock")
    elif age > OLD_FAILURE_SECONDS:
        yield failure(f"block {head.number} is {age:.0f} s old")
    elif age > OLD_WARNING_SECONDS:
        yield warning(f"block {head.number} is {age:.0f} s old")
    else:
        yield ok(f"block {head.number} is {max(age, 0):.0f} s old")


@check(
    "contracts",
    reads="the code of USDC, CCTP's contracts and Multicall3 at their published addresses.",
    advice="The endpoint serves another network than the `profile` says: correct one of them.",
    each_chain=True,
)
def contracts(look: Look) -> Iterator[Found]:
    """Look for code."""
    facts = look.facts
    wanted = {
        "USDC": facts.usdc,
        "TokenMessenger": facts.token_messenger,
        "MessageTransmitter": facts.message_transmitter,
        "TokenMinter": facts.token_minter,
        "Multicall3": MULTICALL3,
    }
    missing = [f"{name} at {address}" for name, address in wanted.items() if not look.chain.code(address)]
    for one in missing:
        yield failure(f"there is no contract {one}")
    if not missing:
        yield ok(f"{', '.join(wanted)} are there")


@check(
    "tokens",
    reads="the decimals of USDC, and on Base of every token: 6 and 18 are what amounts are counted in.",
    advice="Correct the address in `token_addresses`; ask the issuer for the token's contract on Base.",
    each_chain=True,
)
def tokens(look: Look) -> Iterator[Found]:
    """Read every token's decimals in one call."""
    wanted = {USDC: (look.facts.usdc, USDC_DECIMALS)}
    if look.network is Network.BASE:
        wanted |= {symbol: (token, TOKEN_DECIMALS) for symbol, token in look.settings.tokens.items()}
    answers = look.chain.multicall([erc20.decimals(token) for token, _ in wanted.values()]).results
    right = 0
    for (symbol, (token, decimals)), answer in zip(wanted.items(), answers, strict=True):
        if answer is None or len(answer) != 32:
            yield failure(f"{symbol}: there is no token at {token}")
        elif (found := erc20.decode_uint(answer)) != decimals:
            yield failure(f"{symbol}: the token {token} has {found} decimals, expected {decimals}")
        else:
            right += 1
    if right == len(wanted):
        yield ok(f"the decimals are as expected: {', '.join(wanted)}")


@check(
    "gas",
    reads="the wallet's ETH, against `ethereum_min_gas_eth` and `base_min_gas_eth`.",
    advice="Send ETH to the wallet on this chain.",
    each_chain=True,
)
def gas(look: Look) -> Iterator[Found]:
    """Compare the wallet's ether with the minimum."""
    settings, network = look.settings, look.network
    minimum = settings.ethereum_min_gas_eth if network is Network.ETHEREUM else settings.base_min_gas_eth
    held = from_base_units(look.chain.balance(look.wallet), WEI_DECIMALS)
    shown = plain(floor_to(held, SHOWN_DECIMALS))
    text = f"the wallet holds {shown} ETH; the minimum is {plain(minimum)}"
    yield ok(text) if held >= minimum else failure(text)


@check(
    "wallet key",
    reads="the address that the key in the Connection signs for, against the setting `wallet`.",
    advice="Put the key of `wallet` into the Connection, or correct `wallet`.",
)
def wallet_key(look: Look) -> Iterator[Found]:
    """Compare the signer's address with the wallet."""
    wallet, signer = look.wallet, look.subject.signer
    if signer is None:
        yield failure(f"there is no key to sign for {wallet} with")
    elif signer.lower() != wallet.lower():
        yield failure(f"the key signs for {signer}, and the wallet is {wallet}")
    else:
        yield ok(f"the key signs for {wallet}")


@check(
    "redemption wallet",
    reads="whether `redemption_wallet`, to which tokens are sent, is a contract, and one that is known.",
    advice="Ask the issuer for the address of its redemption wallet on Base.",
)
def redemption_wallet(look: Look) -> Iterator[Found]:
    """Look at where tokens to be redeemed are sent."""
    address = look.settings.redemption_wallet
    if address is None:
        raise NotOpened("the setting redemption_wallet")
    known = {MULTICALL3: "Multicall3"}
    for network in Network:
        facts = look.facts_of(network)
        known |= {
            facts.usdc: f"USDC on {facts.name}",
            facts.token_messenger: "CCTP's TokenMessenger",
            facts.message_transmitter: "CCTP's MessageTransmitter",
            facts.token_minter: "CCTP's TokenMinter",
        }
    known |= {token: f"the token of {symbol}" for symbol, token in look.settings.tokens.items()}
    if address in known:
        yield failure(f"{address} is {known[address]}: tokens sent to it would be lost")
        return
    base = look.subject.chains.get(Network.BASE)
    what = "not looked at" if base is None else "a contract" if base.code(address) else "no contract"
    yield ok(f"{address} is {what}")


CHECKS: tuple[Check, ...] = (
    node,
    newest_block,
    contracts,
    tokens,
    gas,
    wallet_key,
    redemption_wallet,
)
