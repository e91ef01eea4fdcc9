"""The clients of the two chains, as the settings have them. Loading it loads web3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.book import Network
from include.venues.evm.chain import Chain, Reading

if TYPE_CHECKING:
    from include.settings import Settings


def open_chain(settings: Settings, network: Network) -> Chain:
    """Return the client of a chain, through all of its endpoints. Nothing is asked yet.

    :raises ValueError: no endpoint is set.
    """
    urls = settings.rpc_urls(network.value)
    if not urls:
        raise ValueError(f"{network}_rpc_url is not set")
    facts = settings.chains.ethereum if network is Network.ETHEREUM else settings.chains.base
    reading = Reading(
        checks_chain=True,
        hedge_after=settings.rpc_hedge_after.total_seconds() or None,
        witnesses=settings.rpc_agreement,
        most_at_once=settings.rpc_reads_at_once,
    )
    return Chain(urls, chain_id=facts.chain_id, name=facts.name, reading=reading)
