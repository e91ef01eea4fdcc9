"""What a check is, and how all of them are run: each by itself, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from include.book import Network
from include.doctor.report import Finding, Level
from include.ledger.database import LedgerOutdated
from include.ledger.ledger import utc_now
from include.venues.cctp.contracts import MalformedAnswer
from include.venues.errors import Unavailable, VenueError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from include import profiles
    from include.book import Venues
    from include.settings import Settings
    from include.venues.alpaca.client import AlpacaBroker
    from include.venues.cctp.attestation import AttestationService
    from include.venues.evm.chain import Chain
    from include.venues.evm.types import Address

AT_ONCE = 8
ASK_AGAIN = (
    "Try again. If it stays, see whether it can be reached from here, and what it says of its own state."
)
_SHORTEST_SECRET = 4
_SHOWN = (VenueError, MalformedAnswer, LedgerOutdated)
"""Errors whose text is ours and holds no secret. Of any other only the kind is told."""


class NotOpened(Exception):
    """What a check needs is not there, which is a finding of its own already."""


@dataclass(frozen=True)
class Subject:
    """What is examined. A part that could not be opened is None, or left out, and its checks say so.

    :param signer: the address that the key in the Connection signs for.
    :param ledger_url: the ledger's database; it is opened for reading only.
    :param secrets: texts that no finding may show.
    """

    settings: Settings
    chains: Mapping[Network, Chain] = field(default_factory=dict)
    alpaca: AlpacaBroker | None = None
    attestations: AttestationService | None = None
    signer: Address | None = None
    ledger_url: str | None = None
    secrets: tuple[str, ...] = ()
    now: Callable[[], datetime] = utc_now

    @classmethod
    def of(
        cls,
        venues: Venues,
        *,
        signer: Address | None = None,
        ledger_url: str | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Subject:
        """Examine venues that were opened."""
        return cls(
            settings=venues.settings,
            chains={network: venues.chain(network) for network in Network},
            alpaca=venues.alpaca,
            attestations=venues.attestations,
            signer=signer,
            ledger_url=ledger_url,
            secrets=secrets,
            now=venues.now,
        )

    def hide(self, text: str) -> str:
        """Take every secret out of a text."""
        urls = [url for network in Network for url in self.settings.rpc_urls(network.value)]
        if self.settings.gate_url is not None:
            urls.append(self.settings.gate_url.get_secret_value())
        secrets = [*self.secrets, *urls]
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                text = text.replace(secret, "***")
        return text


@dataclass(frozen=True, slots=True)
class Found:
    """A finding before it has the name of its check. Without advice it gets the check's."""

    level: Level
    text: str
    advice: str = ""


def ok(text: str) -> Found:
    """Say that this is as it should be."""
    return Found(Level.OK, text)


def warning(text: str, advice: str = "") -> Found:
    """Say that this works, but not as well as it should."""
    return Found(Level.WARNING, text, advice)


def failure(text: str, advice: str = "") -> Found:
    """Say that an operation would fail by this, or would not be begun."""
    return Found(Level.FAILURE, text, advice)


@dataclass(frozen=True, slots=True)
class Look:
    """What a check may look at. Asking for a part that could not be opened raises `NotOpened`."""

    subject: Subject
    at: Network | None = None

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.subject.settings

    @property
    def network(self) -> Network:
        """The chain that a check of both chains is looking at."""
        if self.at is None:
            raise ValueError("this check is of no chain")
        return self.at

    @property
    def other(self) -> Network:
        """The chain at the other end of the bridge."""
        return Network.BASE if self.network is Network.ETHEREUM else Network.ETHEREUM

    @property
    def chain(self) -> Chain:
        """The client of `network`."""
        found = self.subject.chains.get(self.network)
        if found is None:
            raise NotOpened(f"the setting {self.network}_rpc_url")
        return found

    @property
    def base(self) -> Chain:
        """The client of Base, for a check that looks at nothing else."""
        return Look(self.subject, Network.BASE).chain

    @property
    def orderbook(self) -> Address:
        """The contract that holds the vaults."""
        if self.settings.orderbook is None:
            raise NotOpened("the setting orderbook")
        return self.settings.orderbook

    @property
    def facts(self) -> profiles.Chain:
        """The published addresses of `network`."""
        return self.facts_of(self.network)

    def facts_of(self, network: Network) -> profiles.Chain:
        """Return the published addresses of a chain."""
        chains = self.settings.chains
        return chains.ethereum if network is Network.ETHEREUM else chains.base

    @property
    def alpaca(self) -> AlpacaBroker:
        """The client of the account."""
        if self.subject.alpaca is None:
            raise NotOpened(f"the Connection {self.settings.alpaca_conn_id}")
        return self.subject.alpaca

    @property
    def attestations(self) -> AttestationService:
        """The client of Circle's service."""
        if self.subject.attestations is None:
            raise NotOpened(f"the Connection {self.settings.circle_conn_id}")
        return self.subject.attestations

    @property
    def wallet(self) -> Address:
        """The wallet's address."""
        if self.settings.wallet is None:
            raise NotOpened("the setting wallet")
        return self.settings.wallet


@dataclass(frozen=True, slots=True)
class About:
    """What a check is called, what it reads, and what to do when it finds something amiss."""

    name: str
    reads: str
    advice: str

    def finding(self, found: Found, name: str | None = None) -> Finding:
        """Name a finding, and add the advice unless all is well."""
        advice = "" if found.level is Level.OK else found.advice or self.advice
        return Finding(name or self.name, found.level, found.text, advice)


Looks: TypeAlias = Callable[[Look], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    :param look: finds; what it raises is a finding too.
    :param each_chain: whether it is made for Ethereum and for Base.
    """

    about: About
    look: Looks
    each_chain: bool = False


def check(name: str, *, reads: str, advice: str, each_chain: bool = False) -> Callable[[Looks], Check]:
    """Make a check of a function."""
    return lambda look: Check(About(name, reads, advice), look, each_chain)


def examine(subject: Subject, checks: Sequence[Check]) -> list[Finding]:
    """Run checks, several at a time, and return what they found in their order.

    Those that need a part which could not be opened are named at the end, together.
    """
    looks = [
        (one, Look(subject, network))
        for one in checks
        for network in (Network if one.each_chain else (None,))
    ]
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="doctor") as pool:
        results = list(pool.map(lambda pair: _run(*pair), looks))
    found = [finding for result in results for finding in result.findings]
    skipped: dict[str, list[str]] = {}
    for result in results:
        if result.missing is not None:
            skipped.setdefault(result.missing, []).append(result.name)
    return found + [
        Finding("not looked at", Level.WARNING, ", ".join(names), f"Put {missing} right first.")
        for missing, names in skipped.items()
    ]


@dataclass(frozen=True, slots=True)
class _Result:
    """What one check found, and the part that it needed and that is not there."""

    name: str
    findings: tuple[Finding, ...]
    missing: str | None


def _run(one: Check, look: Look) -> _Result:
    """Run one check. What stops it is a finding: it must not take the others with it."""
    name = one.about.name if look.at is None else f"{one.about.name} ({look.at})"
    found: list[Found] = []
    missing = None
    try:
        found.extend(one.look(look))
    except NotOpened as part:
        missing = str(part)
    except _SHOWN as error:
        found.append(failure(str(error), ASK_AGAIN if isinstance(error, Unavailable) else ""))
    except Exception as error:
        found.append(failure(f"the check itself failed: {type(error).__name__}", ASK_AGAIN))
    hide = look.subject.hide
    findings = (
        one.about.finding(Found(each.level, hide(each.text), hide(each.advice)), name) for each in found
    )
    return _Result(name, tuple(findings), missing)
