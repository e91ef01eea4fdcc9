"""Work on one book against the sandbox, as Airflow would, but without it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx

from include.book import Book, Network, Venues
from include.check import Checked, Run, Switch, check
from include.claim import Assignment, claim
from include.domain.operation import OperationKind
from include.ledger.ledger import Ledger, utc_now
from include.legs.leg import Closed, Done, Outcome, Wait, advance
from include.legs.registry import STEPS
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, World
from include.settings import Settings, load_settings
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.cctp.attestation import AttestationService
from include.venues.evm.chain import Chain
from include.venues.evm.signer import LocalSigner
from include.venues.evm.transport import NodeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr
    from web3.types import RPCEndpoint

    from include.domain.operation import Leg

PATIENCE_SECONDS = 60


def settings_of(world: World, **changes: str) -> Settings:
    """Return the settings with which Ballast works in a world."""
    environment = {
        name: value for name, value in world.settings_environment().items() if name.startswith("BALLAST_")
    }
    environment.update({f"BALLAST_{name.upper()}": value for name, value in changes.items()})
    return load_settings(environ=environment)


Watch = Callable[[str, Any], None]
"""Told of every request just before it leaves: its name, and its JSON body or its parameters."""


class WatchedHttp(httpx.BaseTransport):
    """Sends over the network, and tells of it first."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._network = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._watch(f"{request.method} {request.url.path}", json.loads(request.content or "null"))
        return self._network.handle_request(request)

    def close(self) -> None:
        self._network.close()


class WatchedNode:
    """Sends JSON-RPC over the network, and tells of it first."""

    def __init__(self, url: str, watch: Watch) -> None:
        self._watch = watch
        self._network = NodeProvider(url, timeout=15)

    def make_request(self, method: RPCEndpoint, params: Any) -> Any:
        self._watch(method, params)
        return self._network.make_request(method, params)


def _ignore(_name: str, _content: Any) -> None:
    return


@contextmanager
def open_venues(world: World, settings: Settings, watch: Watch = _ignore) -> Iterator[Venues]:
    """Open real clients of the sandbox's venues."""

    def chain(network: Network, url: SecretStr | None) -> Chain:
        assert url is not None
        facts = settings.chains.ethereum if network is Network.ETHEREUM else settings.chains.base
        node = url.get_secret_value()
        return Chain(node, chain_id=facts.chain_id, name=facts.name, provider=WatchedNode(node, watch))

    venues = Venues(
        settings=settings,
        alpaca=AlpacaBroker(
            world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET), transport=WatchedHttp(watch)
        ),
        ethereum=chain(Network.ETHEREUM, settings.ethereum_rpc_url),
        base=chain(Network.BASE, settings.base_rpc_url),
        attestations=AttestationService(world.attestation_url, transport=WatchedHttp(watch)),
    )
    try:
        yield venues
    finally:
        venues.close()


@dataclass
class Desk:
    """One book in one world, and the acts of a run on it."""

    world: World
    book: Book
    run_id: str = "run-1"

    @property
    def ledger(self) -> Ledger:
        return self.book.ledger

    def check(self, switch: Switch = Switch.RUN, *, dry_run: bool = False) -> Checked:
        return check(self.book.venues, self.ledger, Run(self.run_id, dry_run=dry_run), switch)

    def claim(
        self,
        checked: Checked,
        kind: OperationKind,
        switch: Switch = Switch.RUN,
        is_running: Callable[[str], bool] = lambda _run: True,
    ) -> list[Assignment]:
        return claim(
            self.ledger,
            self.book.settings,
            kind,
            check_id=checked.id,
            run_id=self.run_id,
            switch=switch,
            is_running=is_running,
            now=utc_now(),
        )

    def push(self, operation_id: str, leg: Leg, book: Book | None = None) -> Outcome:
        """Advance a leg once."""
        return advance(book or self.book, operation_id, STEPS[leg], self.run_id)

    def finish(self, operation_id: str, leg: Leg) -> Done | Closed:
        """Advance a leg until it is over, polling what it waits for in between."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            outcome = self.push(operation_id, leg)
            if not isinstance(outcome, Wait):
                return outcome
            assert outcome.attention is None, outcome.attention
            await_condition(self.book.venues, outcome, end)

    def settle(self, operation_id: str) -> None:
        """Push an operation through all of its legs."""
        for state in self.ledger.legs(operation_id):
            outcome = self.finish(operation_id, state.name)
            assert isinstance(outcome, Done), outcome

    def run(self) -> list[Assignment]:
        """Check, claim and settle, one after another, whatever is out of balance."""
        checked = self.check()
        assignments = [one for kind in OperationKind for one in self.claim(checked, kind)]
        for assignment in assignments:
            self.settle(assignment.operation_id)
        return assignments

    def with_run(self, run_id: str) -> Desk:
        return replace(self, run_id=run_id)


def await_condition(venues: Venues, wait: Wait, end: float) -> None:
    """Poll a condition until it holds or its wake-up has come."""
    while not (wait.condition.holds(venues) or (wait.wake_at and venues.now() >= wait.wake_at)):
        assert time.monotonic() < end, f"still waiting for {wait.reason}"
        time.sleep(0.05)


@contextmanager
def open_desk(world: World, ledger: Ledger, watch: Watch = _ignore, **changes: str) -> Iterator[Desk]:
    """Open a book in a world."""
    settings = settings_of(world, **changes)
    with open_venues(world, settings, watch) as venues:
        signer = LocalSigner(bytes(world.maker.key))
        yield Desk(world, Book(venues, ledger, signer))


__all__ = ["Desk", "open_desk", "open_venues", "settings_of"]
