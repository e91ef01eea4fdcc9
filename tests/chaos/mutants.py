"""Faults put into the code on purpose: each removes one thing that keeps money from moving twice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

from include.domain.operation import OperationKind
from include.ledger.lease import Lease
from include.ledger.records import EffectStatus
from include.legs.mint import Mint
from include.legs.sender import Sender
from include.legs.withdraw import Withdraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@contextmanager
def applied(name: str | None) -> Iterator[None]:
    """Work with a mutant in place; with none, as it is."""
    if name is None:
        yield
        return
    with MUTANTS[name].put_in():
        yield


@contextmanager
def _broadcast_before_it_is_stored() -> Iterator[None]:
    """Send a transaction first, and write it down afterwards."""

    def send(self: Sender, call: Any, nonce: int, gas: int, fees: Any, head: int) -> Any:
        stored = signed(self, call, nonce, gas, fees, head)
        self._offer(stored)
        return stored

    signed = Sender._signed
    with mock.patch.object(Sender, "_signed", send):
        yield


@contextmanager
def _no_idempotency_key() -> Iterator[None]:
    """Ask for a mint without looking first, and with a key that is new each time."""
    import uuid  # noqa: PLC0415 - of this mutant alone

    def post(self: Mint, effect: Any) -> Any:
        intent, fresh = effect.intent, str(uuid.uuid4())
        from decimal import Decimal  # noqa: PLC0415 - of this mutant alone

        return self.venues.alpaca.mint(
            symbol=intent["symbol"],
            quantity=Decimal(intent["quantity"]),
            issuer=intent["issuer"],
            network=intent["network"],
            wallet=intent["wallet"],
            client_request_id=fresh,
            idempotency_key=fresh,
        )

    with mock.patch.object(Mint, "_post", post):
        yield


@contextmanager
def _no_lease_check() -> Iterator[None]:
    """Write whatever anybody wants to write, and send what was sent already."""
    from contextlib import contextmanager as context  # noqa: PLC0415 - of this mutant alone

    from include.ledger.database import writing  # noqa: PLC0415 - as above

    @context
    def unfenced(self: Lease) -> Iterator[Any]:
        with writing(self._engine) as session:
            yield session

    def move(self: Lease, effect: Any, expected: Any, **values: Any) -> Any:
        from sqlalchemy import update  # noqa: PLC0415 - as above

        from include.ledger.records import Effect  # noqa: PLC0415 - as above
        from include.ledger.schema import EffectRow  # noqa: PLC0415 - as above

        assert expected
        with writing(self._engine) as session:
            session.execute(update(EffectRow).where(EffectRow.id == effect.id).values(**values))
            return Effect.of(session.get_one(EffectRow, effect.id))

    with mock.patch.object(Lease, "fenced", unfenced), mock.patch.object(Lease, "_move", move):
        yield


@contextmanager
def _no_lookup_before_a_withdrawal() -> Iterator[None]:
    """Take a withdrawal whose answer was lost for one that never left."""

    def advance(self: Withdraw) -> Any:
        effect = self.lease.effect(self.leg, "withdrawal_request")
        if effect is not None and effect.status in (EffectStatus.SENT, EffectStatus.UNKNOWN):
            self.lease.not_done(effect, "no answer")
        return original(self)

    original = Withdraw.advance
    with mock.patch.object(Withdraw, "advance", advance):
        yield


@contextmanager
def _no_order_id() -> Iterator[None]:
    """Order without looking first, and under an id that is new each time."""
    import uuid  # noqa: PLC0415 - of this mutant alone

    from include.venues.alpaca.client import AlpacaBroker  # noqa: PLC0415 - as above

    def buy(self: AlpacaBroker, notional: Any, client_order_id: str) -> Any:
        assert client_order_id
        order = original(self, notional, str(uuid.uuid4()))
        return order.model_copy(update={"client_order_id": client_order_id})

    original = AlpacaBroker.buy_usdc
    blind = mock.patch.object(AlpacaBroker, "order_by_client_id", return_value=None)
    with mock.patch.object(AlpacaBroker, "buy_usdc", buy), blind:
        yield


@dataclass(frozen=True)
class Mutant:
    """One fault.

    :param kind: the operation that shows it.
    :param needs_two: whether it takes two processes at once to show it, rather than one that is killed.
    """

    kind: OperationKind
    put_in: Callable[[], AbstractContextManager[None]]
    needs_two: bool = False


MUTANTS = {
    "broadcast-before-store": Mutant(OperationKind.REDEMPTION, _broadcast_before_it_is_stored),
    "no-idempotency-key": Mutant(OperationKind.MINT, _no_idempotency_key),
    "no-lease-check": Mutant(OperationKind.USDC_ALPACA_TO_BASE, _no_lease_check, needs_two=True),
    "no-order-id": Mutant(OperationKind.USDC_ALPACA_TO_BASE, _no_order_id),
    "no-lookup-before-withdrawal": Mutant(OperationKind.USDC_ALPACA_TO_BASE, _no_lookup_before_a_withdrawal),
}
