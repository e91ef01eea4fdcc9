"""What stands in for Airflow, the venues and the ledger around an operator."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from include.domain.operation import Leg, OperationKind
from include.legs.conditions import Condition
from include.settings import Names, Settings, load_settings, variable
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

NAMES = Names()
"""Of the book without a name."""
RUN = "scheduled__2026-03-02T14:30:00+00:00"
WALLET = "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B"


def settings(*, book: str = "", **values: str) -> Settings:
    """Return settings of a book that observes AAPL and USDC."""
    given = {
        "wallet": WALLET,
        "token_addresses": '{"AAPL": "0x' + "11" * 20 + '"}',
        "ethereum_rpc_url": "http://ethereum.test",
        "base_rpc_url": "http://base.test",
    } | values
    environ = {variable(name, book): value for name, value in given.items()}
    return load_settings(environ, Path(os.devnull), book=book)


def opened(
    ledger: Ledger,
    clock: Clock,
    kind: OperationKind = OperationKind.MINT,
    legs: Sequence[Leg] | None = None,
) -> dict[str, str]:
    """Open an operation in the ledger, and return it as a claim hands it out."""
    asset, amount = ("USDC", 4_000_000_000) if kind.moves_usdc else ("AAPL", 31_000_000_000)
    check_id = recorded_check(ledger, clock(), AAPL=(Decimal(19), Decimal(81)))
    operation = ledger.claim(
        kind=kind,
        asset=asset,
        amount=amount,
        decimals=kind.decimals,
        check_id=check_id,
        run_id=RUN,
        taken_at=clock() + timedelta(microseconds=1),
        legs=legs,
    )
    return {"operation_id": operation.id, "asset": asset, "label": f"some {asset}"}


@dataclass(frozen=True)
class Seen(Condition):
    """Holds from the given look on."""

    name: ClassVar[str] = "seen_by_a_test"
    looks: ClassVar[list[bool | Exception]] = []
    what: str = "something"

    def holds(self, venues: Any) -> bool:
        """Return or raise what comes next; at the end, what came last."""
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Variables:
    """Airflow's Variables, in memory."""

    values: dict[str, str] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: str, description: str | None = None) -> None:
        self.writes.append(key)
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.writes.append(key)
        del self.values[key]

    def keys(self, prefix: str | None = None) -> list[str]:
        return [key for key in self.values if key.startswith(prefix or "")]


class Timer:
    """Replaces `time` where a worker waits: sleeping moves its clock, and a book's clock with it."""

    def __init__(self, clock: Clock) -> None:
        self.slept: list[float] = []
        self.during_sleep: Callable[[], None] | None = None
        self._clock = clock
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.during_sleep is not None:
            self.during_sleep()
        self._now += seconds
        self._clock.pass_(seconds=seconds)


def book_of(ledger: Ledger, clock: Callable[[], datetime], **values: str) -> Any:
    """Return as much of a book as an operator asks for."""
    own = settings(**values)
    return SimpleNamespace(ledger=ledger, settings=own, venues=SimpleNamespace(now=clock, settings=own))


def opening(book: Any) -> Callable[[Settings], Any]:
    """Return what replaces `open_book`, or what opens a part of it."""

    @contextmanager
    def open_book(_: Settings) -> Iterator[Any]:
        yield book

    return open_book


def context(leg: Leg, **more: Any) -> Any:
    """Return as much of a task's context as a leg asks for."""
    ti = SimpleNamespace(
        dag_id="rebalancing", run_id=RUN, task_id=f"group.{leg.value}", map_index=0, try_number=1
    )
    return {"ti": ti, "run_id": RUN, **more}
