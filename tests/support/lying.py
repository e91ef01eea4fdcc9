"""Work on one book against a world whose every endpoint may lie."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from eth_utils.crypto import keccak

from include.book import Book, Venues
from include.ledger.ledger import utc_now
from include.legs.leg import Closed, Done, Outcome, Wait
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.chain import topic
from include.sandbox.audit import BURN, MINT, NOBODY
from include.sandbox.proxy import FaultProxy, Rule
from include.sandbox.server import serve
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, World
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.cctp.attestation import AttestationService, RequestLimiter
from include.venues.errors import VenueError
from include.venues.evm.chain import Chain
from include.venues.evm.signer import LocalSigner
from tests.support.desk import Desk, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from include.domain.operation import Leg
    from include.ledger.ledger import Ledger
    from include.legs.conditions import Condition

PATIENCE_SECONDS = 20
POLL_SECONDS = 0.02


class Later:
    """The machine's clock, put forward by as much as a test wants."""

    def __init__(self) -> None:
        self.by = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.by


def selector(signature: str) -> str:
    """Return the hex by which a call is known in a signed transaction."""
    return keccak(text=signature)[:4].hex()


TRANSFER = selector("transfer(address,uint256)")
APPROVE = selector("approve(address,uint256)")
BURNING = selector("depositForBurn(uint256,uint32,bytes32,address,bytes32,uint256,uint32)")
RECEIVING = selector("receiveMessage(bytes,bytes)")


@dataclass(frozen=True)
class Proxies:
    """The four endpoints of a world, each behind a proxy."""

    alpaca: FaultProxy
    attestation: FaultProxy
    ethereum: FaultProxy
    base: FaultProxy
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> tuple[FaultProxy, ...]:
        return self.alpaca, self.attestation, self.ethereum, self.base

    def clear(self) -> None:
        """Disarm everything, and wait until no delayed request is under way any more."""
        for proxy in self.all:
            proxy.clear()
        end = time.monotonic() + PATIENCE_SECONDS
        while not all(proxy.is_idle for proxy in self.all):
            assert time.monotonic() < end, "a proxy does not come to rest"
            time.sleep(0.01)

    def forget(self) -> None:
        for proxy in self.all:
            proxy.forget()


@contextmanager
def proxies_before(world: World) -> Iterator[Proxies]:
    """Start a proxy in front of each endpoint of a world."""
    targets = {
        "alpaca": world.alpaca_url,
        "attestation": world.attestation_url,
        "ethereum": world.ethereum_url,
        "base": world.base_url,
    }
    with ExitStack() as stack:
        found = {name: FaultProxy(url) for name, url in targets.items()}
        urls = {name: stack.enter_context(serve(proxy)).url for name, proxy in found.items()}
        yield Proxies(urls=urls, **found)


@dataclass
class LyingDesk(Desk):
    """A desk whose every request goes through a proxy."""

    proxies: Proxies = field(kw_only=True)


@contextmanager
def open_lying_desk(
    world: World,
    ledger: Ledger,
    proxies: Proxies,
    *,
    timeout: float = 10.0,
    auth: httpx.Auth | None = None,
    limiter: RequestLimiter | None = None,
    now: Callable[[], datetime] = utc_now,
    **changes: str,
) -> Iterator[LyingDesk]:
    """Open a book in a world, through proxies.

    :param timeout: of every request, in seconds.
    :param limiter: of the requests to Circle; unlimited where none is given, as it is not what is tested.
    :param changes: of settings.
    """
    urls = {"ethereum_rpc_url": proxies.urls["ethereum"], "base_rpc_url": proxies.urls["base"]}
    settings = settings_of(world, **urls, **changes)
    venues = Venues(
        settings=settings,
        alpaca=AlpacaBroker(
            proxies.urls["alpaca"],
            ACCOUNT_ID,
            auth or KeyPairAuth(KEY_ID, SECRET),
            timeout=httpx.Timeout(timeout),
            transport=_plain_http(),
            now=now,
        ),
        ethereum=Chain(urls["ethereum_rpc_url"], chain_id=1, name="Ethereum", timeout=timeout),
        base=Chain(urls["base_rpc_url"], chain_id=8453, name="Base", timeout=timeout),
        attestations=AttestationService(
            proxies.urls["attestation"],
            timeout=timeout,
            transport=_plain_http(),
            limiter=limiter or RequestLimiter(per_second=1000, burst=1000),
        ),
        now=now,
    )
    try:
        yield LyingDesk(world, Book(venues, ledger, LocalSigner(bytes(world.maker.key))), proxies=proxies)
    finally:
        venues.close()


def _plain_http() -> httpx.HTTPTransport:
    """Return what the clients use anyway, without reading certificates that nobody shows here."""
    return httpx.HTTPTransport(verify=False)


@dataclass
class Story:
    """How the pushing of an operation went.

    :param outcome: the last one: the operation's end, or the wait at which it was left.
    :param attentions: what persons were asked on the way, each once.
    """

    outcome: Outcome
    attentions: list[str] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        return isinstance(self.outcome, Done)

    @property
    def is_cancelled(self) -> bool:
        return isinstance(self.outcome, Closed)

    @property
    def asks(self) -> str:
        """What a person is asked at the end."""
        return (self.outcome.attention or "") if isinstance(self.outcome, Wait) else ""


def drive(
    desk: Desk,
    operation_id: str,
    *,
    past_attention: bool = False,
    until: Callable[[Wait], bool] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Story:
    """Push an operation leg by leg until it is over, and look again soon, however long it wants to wait.

    :param past_attention: go on when a person is asked; otherwise that is an end.
    :param until: a wait that is an end.
    """
    story, end = Story(Closed(desk.ledger.operation(operation_id).status, "")), time.monotonic() + patience
    for leg in [state.name for state in desk.ledger.legs(operation_id)]:
        while True:
            story.outcome = outcome = desk.push(operation_id, leg)
            if isinstance(outcome, Closed):
                return story
            if isinstance(outcome, Done):
                break
            if outcome.attention is not None and outcome.attention not in story.attentions:
                story.attentions.append(outcome.attention)
            if (until is not None and until(outcome)) or (outcome.attention and not past_attention):
                return story
            assert time.monotonic() < end, f"still waiting for {outcome.reason} after {story.attentions}"
            _pause(desk.book.venues, outcome.condition)
    return story


def _pause(venues: Venues, condition: Condition) -> None:
    """Wait a moment, shorter when the condition holds: a lying venue may never let it hold."""
    end = time.monotonic() + 4 * POLL_SECONDS
    while time.monotonic() < end:
        with suppress(VenueError):
            if condition.holds(venues):
                return
        time.sleep(POLL_SECONDS)


def push_until(desk: Desk, operation_id: str, leg: Leg, reason: str) -> Wait:
    """Push one leg until it waits for something whose words hold `reason`."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome = desk.push(operation_id, leg)
        assert isinstance(outcome, Wait), outcome
        if reason in outcome.reason:
            return outcome
        assert time.monotonic() < end, f"waits for {outcome.reason}, not for {reason}"
        _pause(desk.book.venues, outcome.condition)


def effects_outside(world: World) -> Counter[str]:
    """Count what moved money, as the chains and the broker have it, by kind of effect and asset."""
    core, deployment, maker = world.broker.core, world.deployment, world.maker.address
    opened = core.state.opening_blocks
    base = (opened["base"] + 1, world.base.head())
    ethereum = (opened["ethereum"] + 1, world.ethereum.head())
    symbols = {token: symbol for symbol, token in deployment.stocks.items()}
    tokens, usdc = list(symbols), [deployment.ethereum.usdc]
    found: Counter[str] = Counter()
    with core.lock:
        found.update(f"request of {one.type} {one.symbol}" for one in core.state.requests.values())
        found.update(f"transfer {one.direction}" for one in core.state.transfers.values())
    for one in world.base.transfers(tokens, maker, *base, sender=NOBODY):
        found[f"mint of {symbols[one.token]}"] += 1
    for one in world.base.transfers(tokens, account(Role.REDEMPTION).address, *base, sender=maker):
        found[f"tokens of {symbols[one.token]} sent"] += 1
    from_alpaca = world.ethereum.transfers(usdc, maker, *ethereum, sender=account(Role.ALPACA).address)
    found["payout"] += len(from_alpaca)
    to_alpaca = world.ethereum.transfers(usdc, account(Role.ALPACA_DEPOSIT).address, *ethereum, sender=maker)
    found["deposit"] += len(to_alpaca)
    for name, chain, contracts, blocks in (
        ("ethereum", world.ethereum, deployment.ethereum, ethereum),
        ("base", world.base, deployment.base, base),
    ):
        messenger = [contracts.token_messenger]
        found[f"burn on {name}"] += len(chain.logs(messenger, [BURN, None, topic(maker)], *blocks))
        found[f"receive on {name}"] += len(chain.logs(messenger, [MINT, topic(maker)], *blocks))
    return +found


def assert_never_twice(world: World) -> Counter[str]:
    """Require that every effect happened once at most and all money is somewhere; return the effects."""
    found = effects_outside(world)
    assert {what: times for what, times in found.items() if times > 1} == {}
    assert world.conservation() == []
    return found


__all__ = ["LyingDesk", "Proxies", "Rule", "drive", "open_lying_desk", "proxies_before"]
