"""Standing allowances: what a contract may take from the wallet, granted once for all operations.

Every contract named here takes only what a call of ours tells it to. What an operation will need later is
granted before its first irreversible effect, where there is time and nothing is at stake yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.book import Network
from include.domain.operation import Leg, OperationKind
from include.legs import preflight
from include.legs.leg import Wait
from include.legs.sender import Sender
from include.venues.evm import erc20

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.legs.leg import Step

ENOUGH = 2**95
"""What counts as granted for ever: more than is ever moved, less than the most that any token can grant."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One allowance.

    :param name: of the effect that grants it.
    :param least: what is enough of it, in base units of the token.
    """

    name: str
    network: Network
    token: str
    spender: str
    least: int


def messenger(step: Step, source: Network) -> Allowance:
    """Return what burning USDC on a chain needs."""
    facts = step.venues.facts(source)
    return Allowance("approve", source, facts.usdc, facts.token_messenger, step.amount)


def wrapper(step: Step, units: int) -> Allowance:
    """Return what wrapping that many base units of the asset's token needs."""
    terms = step.terms
    spender = preflight.require_set(terms.wrapper, "wrapper")
    return Allowance("approve_wrapper", Network.BASE, terms.token, spender, units)


def orderbook(step: Step, token: str, units: int) -> Allowance:
    """Return what putting that many base units of a token into a vault needs."""
    spender = preflight.require_set(step.terms.orderbook, "orderbook")
    return Allowance("approve_orderbook", Network.BASE, token, spender, units)


def ensure(step: Step, allowance: Allowance, before: Callable[[], object] = lambda: None) -> Wait | None:
    """Grant an allowance where it is not there yet, and return what to wait for, or None when it is there.

    :param before: what to require before anything is sent; it may raise `Refused`.
    """
    sender = Sender(step, allowance.network)
    stored = sender.stored(allowance.name)
    if stored is None or stored.status.is_resolved:
        if _granted(step, allowance) >= allowance.least:
            return None
        before()
    outcome = sender.send(
        allowance.name,
        lambda: erc20.approve(allowance.token, allowance.spender, erc20.MAX_UINT256),
        irreversible=False,
    )
    if isinstance(outcome, Wait):
        return outcome
    # As of a block that has the approval: a node that lags must not look like one that lost it.
    block = step.venues.chain(allowance.network).head().number
    if block >= outcome.block_number:
        if _granted(step, allowance, block) >= allowance.least:
            return None
        stored = sender.stored(allowance.name)
        if stored is not None:
            step.lease.not_done(stored, f"at block {block} nothing was left of what was granted")
    return step.pause(
        step.settings.receipt_poll,
        f"{allowance.network} to show the allowance granted in {outcome.transaction_hash}",
        step.settings.receipt_deadline,
    )


def ensure_later(step: Step) -> Wait | None:
    """Grant whatever the legs after this one will need, before anything irreversible is done."""
    for allowance in _later(step):
        waiting = ensure(step, allowance)
        if waiting is not None:
            return waiting
    return None


def _later(step: Step) -> Iterator[Allowance]:
    legs = step.legs
    for leg in legs[legs.index(step.leg) + 1 :]:
        if leg is Leg.BRIDGE:
            to_base = step.operation.kind is OperationKind.USDC_ALPACA_TO_BASE
            yield messenger(step, Network.ETHEREUM if to_base else Network.BASE)
        elif leg is Leg.WRAP:
            yield wrapper(step, ENOUGH)
        elif leg is Leg.VAULT_DEPOSIT:
            yield orderbook(step, step.terms.traded, ENOUGH)


def _granted(step: Step, allowance: Allowance, block: int | None = None) -> int:
    asked = erc20.allowance(allowance.token, step.book.signer.address, allowance.spender)
    return erc20.decode_uint(step.venues.chain(allowance.network).call(asked, block=block))
