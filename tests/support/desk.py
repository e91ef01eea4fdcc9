"""Work on one book against the sandbox, as Airflow would, but without it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.domain.operation import Leg

PATIENCE_SECONDS = 60


def settings_of(world: World, **changes: str) -> Settings:
    """Return the settings with which Ballast works in a world."""
    environment = {
        name: value for name, value in world.settings_environment().items() if name.startswith("BALLAST_")
    }
    environment.update({f"BALLAST_{name.upper()}": value for name, value in changes.items()})
    return load_settings(environ=environment)


@contextmanager
def open_venues(world: World, settings: Settings) -> Iterator[Venues]:
    """Open real clients of the sandbox's venues."""
    chains = settings.chains
    assert settings.ethereum_rpc_url is not None
    assert settings.base_rpc_url is not None
    venues = Venues(
        settings=settings,
        alpaca=AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET)),
        ethereum=Chain(
            settings.ethereum_rpc_url.get_secret_value(), chain_id=chains.ethereum.chain_id, name="Ethereum"
        ),
        base=Chain(settings.base_rpc_url.get_secret_value(), chain_id=chains.base.chain_id, name="Base"),
        attestations=AttestationService(world.attestation_url),
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
        for leg in self.ledger.operation(operation_id).kind.legs:
            outcome = self.finish(operation_id, leg)
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
def open_desk(world: World, ledger: Ledger, **changes: str) -> Iterator[Desk]:
    """Open a book in a world."""
    settings = settings_of(world, **changes)
    with open_venues(world, settings) as venues:
        signer = LocalSigner(bytes(world.maker.key))
        yield Desk(world, Book(venues, ledger, signer))


__all__ = ["Desk", "Network", "open_desk", "open_venues", "settings_of"]
