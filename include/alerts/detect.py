"""What people have to be told now: a pure function of the books, of what Airflow says, and of the clock.

A condition that cannot be judged now has not ended. So what is found names the kinds that were judged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from include.alerts.kinds import Kind
from include.domain.amounts import from_base_units, plain
from include.ledger.alerts import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from include.alerts.state import Books, OpenLeg, Rules, Steering
    from include.ledger.alerts import Reading

ETH_DECIMALS: Final = 18
GAS: Final = "gas"
NONCE: Final = "nonce"
NAMED: Final = 5
"""So many assets are named in a line; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Found:
    """What holds.

    :param judged: the kinds that were looked for.
    """

    conditions: tuple[Condition, ...]
    judged: frozenset[str]


def detect(books: Books, steering: Steering, rules: Rules, now: datetime) -> Found:
    """Return what people have to be told now."""
    judged = set(Kind)
    found = [
        *_legs(books, now),
        *_lost(books),
        *_checks(books, rules, now),
        *_verdicts(books, rules, now),
        *_late_runs(books, steering, now),
    ]
    if rules.reports_stray:
        found += _stray(books)
    for network, gas, nonce in _chains(books, rules, now):
        if gas is None:
            judged.discard(Kind.GAS_LOW)
        else:
            found += _gas(network, gas, rules)
        if nonce is None:
            judged.discard(Kind.FOREIGN_NONCE)
        else:
            found += _nonce(network, nonce, books)
    if steering.paused is None:
        judged.discard(Kind.PAUSED)
    elif steering.paused and books.legs:
        found.append(_paused(books.legs))
    if steering.held_wholly is None:
        judged.discard(Kind.HELD_WHOLLY)
    elif steering.held_wholly:
        found.append(Condition(Kind.HELD_WHOLLY, Kind.HELD_WHOLLY, steering.held_wholly, now))
    return Found(tuple(found), frozenset(kind.value for kind in judged))


def gas_name(network: str) -> str:
    """Return the name under which the wallet's gas on a chain is kept, in wei."""
    return f"{GAS}:{network}"


def nonce_name(network: str) -> str:
    """Return the name under which the wallet's next nonce on a chain is kept."""
    return f"{NONCE}:{network}"


def run_overdue(run_id: str, since: datetime) -> Condition:
    """Return that a run does not end."""
    return Condition(f"{Kind.RUN_OVERDUE}:{run_id}", Kind.RUN_OVERDUE, f"{run_id} has not ended", since)


def named(assets: Iterable[str]) -> str:
    """Return assets in words, those beyond a few only counted."""
    every = list(assets)
    more = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _legs(books: Books, now: datetime) -> Iterator[Condition]:
    for leg in books.legs:
        about = f"{leg.what}, leg {leg.leg}"
        if leg.approve_by is not None and now < leg.approve_by:
            until = f"{leg.approve_by:%Y-%m-%d %H:%M} UTC"
            text = f"{leg.what} waits until {until} for a person who approves it"
            yield _of(Kind.APPROVAL, leg, text, leg.since)
        elif leg.attention is not None:
            yield _of(Kind.ATTENTION, leg, f"{about}: {_asks(leg)}", leg.since)
        elif leg.due_at is not None and leg.due_at < now:
            yield _of(Kind.OVERDUE, leg, f"{about}, waits for {leg.waiting_for}", leg.due_at)


def _asks(leg: OpenLeg) -> str:
    """Return what a leg asks, with what it waits for where that says more."""
    waits, asks = leg.waiting_for or "", leg.attention or ""
    return asks if not waits or waits in asks or asks in waits else f"{waits}: {asks}"


def _of(kind: Kind, leg: OpenLeg, text: str, since: datetime) -> Condition:
    return Condition(f"{kind}:{leg.operation_id}:{leg.leg}", kind, text, since, leg.asset, leg.operation_id)


def _lost(books: Books) -> Iterator[Condition]:
    for one in books.lost:
        key = f"{Kind.UNKNOWN_EFFECT}:{one.operation_id}:{one.leg}:{one.name}"
        text = f"{one.what}, leg {one.leg}: the answer to {one.name} was lost"
        yield Condition(key, Kind.UNKNOWN_EFFECT, text, one.since, one.asset, one.operation_id)


def _checks(books: Books, rules: Rules, now: datetime) -> Iterator[Condition]:
    # Before the first check there is nothing that has stopped.
    if books.checked_at is not None and now - books.checked_at > rules.check_interval * rules.missed_checks:
        text = f"the last check was made {books.checked_at:%Y-%m-%d %H:%M} UTC"
        yield Condition(Kind.NO_CHECK, Kind.NO_CHECK, text, books.checked_at)
    if books.unread is not None:
        text = f"{named(books.unread.assets)}: {books.unread.why}"
        yield Condition(Kind.UNREAD, Kind.UNREAD, text, books.unread.since)


def _verdicts(books: Books, rules: Rules, now: datetime) -> Iterator[Condition]:
    for one in books.over_daily_limit:
        kind = Kind.DAILY_LIMIT
        yield Condition(f"{kind}:{one.asset}", kind, f"{one.asset}: {one.detail}", one.since, one.asset)
    for one in books.costly:
        if now - one.since >= rules.cost_after:
            kind = Kind.COST_BUDGET
            yield Condition(f"{kind}:{one.asset}", kind, f"{one.asset}: {one.detail}", one.since, one.asset)


def _late_runs(books: Books, steering: Steering, now: datetime) -> Iterator[Condition]:
    """Keep up what the deadline of a run has told, for as long as the run may be under way."""
    for run_id, since in books.late_runs.items():
        if steering.running.get(run_id, True):
            yield run_overdue(run_id, since)


def _stray(books: Books) -> Iterator[Condition]:
    busy = {leg.asset for leg in books.legs}
    for asset, amount in books.stray.items():
        if asset in busy or books.seen_at is None:
            continue
        text = f"{plain(amount)} {asset} lies in the wallet, and is not moved from there"
        kind = Kind.STRAY_TOKENS
        yield Condition(f"{kind}:{asset}", kind, text, books.seen_at, asset)


def _chains(
    books: Books, rules: Rules, now: datetime
) -> Iterator[tuple[str, Reading | None, Reading | None]]:
    """Yield each chain with what was read of it lately enough to be believed."""
    fresh = {name: one for name, one in books.readings.items() if now - one.at <= rules.readings_last}
    for network in rules.gas:
        yield network, fresh.get(gas_name(network)), fresh.get(nonce_name(network))


def _gas(network: str, reading: Reading, rules: Rules) -> Iterator[Condition]:
    least = rules.gas[network]
    if reading.value < least:
        held, wanted = (plain(from_base_units(units, ETH_DECIMALS)) for units in (reading.value, least))
        text = f"the wallet holds {held} ETH on {network}, less than {wanted}"
        yield Condition(f"{Kind.GAS_LOW}:{network}", Kind.GAS_LOW, text, reading.at)


def _nonce(network: str, reading: Reading, books: Books) -> Iterator[Condition]:
    """Compare a chain with the ledger, which was read after it: what was sent in between it knows already."""
    known = books.known_nonces.get(network)
    # A ledger that has given out none cannot tell: the wallet may be older than it.
    if known is not None and reading.value > known + 1:
        text = (
            f"{network} has mined the wallet's transactions up to nonce {reading.value - 1}, "
            f"and the ledger knows of none above {known}"
        )
        yield Condition(f"{Kind.FOREIGN_NONCE}:{network}", Kind.FOREIGN_NONCE, text, reading.at)


def _paused(legs: Iterable[OpenLeg]) -> Condition:
    assets = sorted({leg.asset for leg in legs})
    since = min(leg.since for leg in legs)
    return Condition(Kind.PAUSED, Kind.PAUSED, f"open: {named(assets)}", since)
