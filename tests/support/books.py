"""A small book: its settings, its looks, its operations."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.operation import Leg, OperationKind
from include.settings import Settings, load_settings
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

TOKENS = '{"AAPL": "0x' + "11" * 20 + '"}'
TOO_MANY_SHARES = (Decimal(19), Decimal(81))
BALANCED = (Decimal(50), Decimal(50))
MINUTE = timedelta(minutes=1)


def settings(**values: str) -> Settings:
    """Return settings of a book that may move AAPL and USDC."""
    given = {
        "rebalancing_enabled": "true",
        "token_addresses": TOKENS,
        "wallet": "0x" + "22" * 20,
        "redemption_wallet": "0x" + "33" * 20,
        "ethereum_rpc_url": "http://ethereum.test",
        "base_rpc_url": "http://base.test",
    } | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


def record(ledger: Ledger, clock: Clock, aapl: tuple[Decimal, Decimal] = TOO_MANY_SHARES) -> str:
    """Record a live check."""
    return recorded_check(ledger, clock(), AAPL=aapl, USDC=BALANCED)


def mint(ledger: Ledger, clock: Clock, check_id: str) -> str:
    """Open a mint, a moment after the balances it rests on."""
    taken_at = clock()
    clock.pass_(seconds=1)
    kind = OperationKind.MINT
    return ledger.claim(
        kind=kind,
        asset="AAPL",
        amount=31_000_000_000,
        decimals=kind.decimals,
        check_id=check_id,
        run_id="run-1",
        taken_at=taken_at,
    ).id


def cancel(ledger: Ledger, clock: Clock, operation_id: str) -> None:
    """Cancel an operation a second later."""
    clock.pass_(seconds=1)
    with ledger.lease(operation_id, "somebody", MINUTE) as lease:
        lease.cancel("no gas")


def settle(
    ledger: Ledger, clock: Clock, operation_id: str, *, gas: int | None = None, after: float = 1
) -> None:
    """Settle a mint, a second later or after another time.

    :param gas: what a transaction of it paid, in wei.
    """
    clock.pass_(seconds=after)
    with ledger.lease(operation_id, "somebody", MINUTE) as lease:
        if gas is not None:
            intent = {"network": "base", "data": "0x"}
            effect = lease.sent(lease.intend(Leg.MINT, "wrap", intent, irreversible=True))
            lease.done(effect, "0x1", gas_paid=gas)
        lease.finish(Leg.MINT, amount_out=31_000_000_000)
    clock.pass_(seconds=1)
