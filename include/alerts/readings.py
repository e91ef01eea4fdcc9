"""The wallet's gas and next nonce on both chains, read now and then and kept in the ledger."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from include.alerts.detect import gas_name, nonce_name
from include.book import Network
from include.venues.errors import VenueError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.ledger.alerts import AlertBook
    from include.settings import Settings
    from include.venues.evm.chain import Chain

log = logging.getLogger(__name__)


def due(book: AlertBook, settings: Settings, now: datetime) -> list[Network]:
    """Return the chains that were not read for an interval and can be read by what is set."""
    if settings.wallet is None:
        return []
    kept = book.readings()
    oldest = now - settings.alert_chain_interval
    return [
        network
        for network in Network
        if getattr(settings, f"{network}_rpc_url") is not None
        and any(
            name not in kept or kept[name].at <= oldest for name in (gas_name(network), nonce_name(network))
        )
    ]


def read(book: AlertBook, wallet: str, networks: list[Network], chain: Callable[[Network], Chain]) -> None:
    """Read what is due. A chain that does not answer keeps what was read before, which grows old.

    :param chain: opens the client of a chain; it may raise what its requests raise.
    """
    for network in networks:
        try:
            client = chain(network)
            found = {
                gas_name(network): client.balance(wallet),
                # Only what is mined counts. What is sent is in the ledger before.
                nonce_name(network): client.nonce(wallet),
            }
        except VenueError as error:
            log.warning("the wallet's gas on %s could not be read: %s", network, error)
        else:
            book.keep_readings(found)
