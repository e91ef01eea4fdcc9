"""From what the ledger knows of an effect to a page where a person can look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.book import Network
from include.domain.operation import Leg, OperationKind
from include.exits.situation import is_transaction
from include.overview.models import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.ledger.records import Effect, LegState
    from include.profiles import Chain, Profile

TRANSACTION = "0x"


def of_effect(profile: Profile, effect: Effect, signed: Mapping[str, str]) -> Link | None:
    """Return where the transaction of an effect can be seen, mined or not; None for a request to a venue.

    :param signed: by id of the effect, the hash of the last transaction that was signed for it.
    """
    tx_hash = effect.reference or signed.get(effect.id)
    if not is_transaction(effect) or tx_hash is None:
        return None
    return _link(_chain(profile, Network(effect.intent["network"])), effect.name, tx_hash)


def of_leg(
    profile: Profile,
    kind: OperationKind,
    leg: LegState,
    effects: Iterable[Effect],
    signed: Mapping[str, str],
) -> list[Link]:
    """Return the transactions of a leg in their order, and the one that proves it where it is another's."""
    found = {link.url: link for effect in effects if (link := of_effect(profile, effect, signed)) is not None}
    proof = str(leg.notes.get("proof", ""))
    if proof.startswith(TRANSACTION):
        link = _link(explorer(profile, leg.name, kind), "proof", proof)
        found.setdefault(link.url, link)
    return list(found.values())


def explorer(profile: Profile, leg: Leg, kind: OperationKind) -> Chain:
    """Return the chain that the transaction proving a leg is on."""
    crosses_to_base = kind is OperationKind.USDC_ALPACA_TO_BASE
    on_base = crosses_to_base if leg is Leg.BRIDGE else leg not in (Leg.WITHDRAW, Leg.DEPOSIT)
    return profile.base if on_base else profile.ethereum


def _chain(profile: Profile, network: Network) -> Chain:
    return profile.base if network is Network.BASE else profile.ethereum


def _link(chain: Chain, what: str, tx_hash: str) -> Link:
    return Link(text=f"{what.replace('_', ' ')} on {chain.name}", url=chain.transaction_url(tx_hash))
