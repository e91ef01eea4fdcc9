"""What it takes to work on one book: the settings, the venues, the ledger and the wallet's key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from include.ledger.ledger import utc_now
from include.ledger.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include import profiles
    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from include.venues.alpaca.client import AlpacaBroker
    from include.venues.cctp.attestation import AttestationService
    from include.venues.evm.chain import Chain
    from include.venues.evm.signer import Signer


def owner_by(settings: Settings) -> Owner | None:
    """Return whose the settings say that the book's ledger is; None where they name no wallet."""
    if settings.wallet is None:
        return None
    return Owner(settings.wallet, settings.profile, settings.names.label)


class Network(StrEnum):
    """One of the two chains."""

    ETHEREUM = "ethereum"
    BASE = "base"


@dataclass(frozen=True, slots=True)
class Venues:
    """The clients that read and write the outside world."""

    settings: Settings
    alpaca: AlpacaBroker
    ethereum: Chain
    base: Chain
    attestations: AttestationService
    now: Callable[[], datetime] = utc_now

    def chain(self, network: Network) -> Chain:
        """Return the client of a chain."""
        return self.ethereum if network is Network.ETHEREUM else self.base

    def facts(self, network: Network) -> profiles.Chain:
        """Return the published addresses and numbers of a chain."""
        chains = self.settings.chains
        return chains.ethereum if network is Network.ETHEREUM else chains.base

    def confirmations(self, network: Network) -> int:
        """Return how many blocks, its own among them, a transaction needs before it is trusted."""
        if network is Network.ETHEREUM:
            return self.settings.ethereum_confirmations
        return self.settings.base_confirmations

    @property
    def wallet(self) -> str:
        """The wallet that holds the onchain venue.

        :raises ValueError: where none is set; enabled settings always have one.
        """
        if self.settings.wallet is None:
            msg = "wallet is not set"
            raise ValueError(msg)
        return self.settings.wallet

    def close(self) -> None:
        """Give the connections back."""
        self.alpaca.close()
        self.attestations.close()


@dataclass(frozen=True, slots=True)
class Book:
    """Everything a leg works with."""

    venues: Venues
    ledger: Ledger
    signer: Signer

    @property
    def settings(self) -> Settings:
        """The settings of the book."""
        return self.venues.settings

    @property
    def lease_duration(self) -> timedelta:
        """How long others are kept off an operation that is being advanced."""
        return timedelta(seconds=self.settings.lease_seconds)
