"""What every rule of the broker works on: its memory, its rules, its clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING

from include.sandbox.alpaca.faults import Faults
from include.sandbox.alpaca.settings import Latencies, Rules
from include.sandbox.alpaca.state import Stage, State, Work, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Stock:
    """A stock that the issuer tokenizes. `price` is in dollars and only for show."""

    symbol: str
    token: str
    token_symbol: str
    price: Decimal = Decimal(100)


@dataclass(frozen=True)
class Profile:
    """Who the account belongs to, and the addresses that are tied to it.

    :param linked_wallets: wallets the issuer knows as the maker's: tokens are minted to no other, and only
        what they send is redeemed.
    """

    account_id: str
    key_id: str
    secret: str
    stocks: dict[str, Stock]
    usdc: str
    linked_wallets: tuple[str, ...]
    redemption_wallet: str
    deposit_address: str
    payout_address: str
    issuer: str = "st0x"
    network: str = "base"
    opened_at: datetime = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)


@dataclass
class Core:
    """The broker without its HTTP and its chains.

    :param lock: held for every look at or change of `state`; never while waiting for a network.
    :param step: held while work is moved on, so that whoever holds it sees no half-done chain effect.
    :param wake: set when there is new work.
    """

    profile: Profile
    state: State = field(default_factory=State)
    rules: Rules = field(default_factory=Rules)
    latencies: Latencies = field(default_factory=Latencies)
    faults: Faults = field(default_factory=Faults)
    clock: Callable[[], datetime] = utc_now
    lock: threading.RLock = field(default_factory=threading.RLock)
    step: threading.RLock = field(default_factory=threading.RLock)
    wake: threading.Event = field(default_factory=threading.Event)
    changed: Callable[[], None] = lambda: None

    def after(self, seconds: float) -> datetime:
        """Return the time that many seconds from now."""
        return self.clock() + timedelta(seconds=seconds)

    def move_on(self, work: Work, stage: Stage, seconds: float = 0.0) -> None:
        """Put work into its next stage, due after the given time."""
        work.stage = stage
        work.updated_at = self.clock()
        work.due = self.after(seconds)
        self.changed()

    def timestamp(self, moment: datetime) -> str:
        """Write a time as the API does: microseconds, and `Z` or an offset."""
        if self.rules.offset_timestamps:
            return moment.astimezone(timezone(timedelta(hours=-4))).isoformat(timespec="microseconds")
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def release(self, key: str) -> bool:
        """Lift the fate of a piece of work, so that it goes on. Tell whether there was one."""
        with self.lock:
            state = self.state
            for table in (state.requests, state.transfers, state.whitelist, state.orders):
                work = table.get(key)
                if work is not None and work.fate is not None:
                    work.fate = None
                    work.due = self.clock()
                    self.changed()
                    self.wake.set()
                    return True
            found = [
                incoming
                for table in (state.redemptions, state.deposits)
                for incoming in table.values()
                if key in (incoming.key, incoming.transaction_hash) and incoming.fate is not None
            ]
            for incoming in found:
                incoming.fate = None
            self.changed()
            self.wake.set()
            return bool(found)
