"""From Airflow Connections to the clients that work on one book."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from include.settings import books, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Connection

    from include.book import Book, Venues
    from include.ledger.ledger import Ledger
    from include.profiles import Profile
    from include.settings import Settings
    from include.venues.alpaca.client import AlpacaBroker
    from include.venues.cctp.attestation import AttestationService
    from include.venues.errors import Refused
    from include.venues.evm.chain import Chain
    from include.venues.evm.signer import Signer

log = logging.getLogger(__name__)


class ConnectionIncomplete(AirflowException):
    """A Connection is missing, or lacks something. The message names both, and no secret."""


class _Hook(BaseHook):
    """What the hooks of Ballast share.

    :param conn_id: the Connection to read.
    :param profile: the published hosts, for what the Connection leaves open; else those of the settings.
    """

    conn_name_attr: ClassVar[str] = "conn_id"
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(self, conn_id: str | None = None, *, profile: Profile | None = None, **_: Any) -> None:
        super().__init__()
        self.conn_id = conn_id or self.default_conn_name
        self._profile = profile

    @property
    def profile(self) -> Profile:
        """The published hosts and contracts."""
        return self._profile or _profile_of_all()

    def read(self) -> Connection:
        """Return the Connection.

        :raises ConnectionIncomplete: when there is none, or Airflow could not be asked: it answers the same.
        """
        try:
            return self.get_connection(self.conn_id)
        except AirflowNotFoundException:
            msg = f"the Airflow Connection {self.conn_id!r} is missing, or could not be read"
            raise ConnectionIncomplete(msg) from None

    def need(self, value: str | None, what: str) -> str:
        """Return a part of the Connection.

        :raises ConnectionIncomplete: when it is empty.
        """
        if value is None or not value.strip():
            raise ConnectionIncomplete(f"the Airflow Connection {self.conn_id!r} has no {what}")
        return value.strip()

    def wrong(self, error: ValueError | Refused) -> ConnectionIncomplete:
        """Return an error that says what a client disliked about this Connection."""
        return ConnectionIncomplete(f"the Airflow Connection {self.conn_id!r}: {error}")

    def url(self, connection: Connection, otherwise: str) -> str:
        """Return the URL a Connection names as host, or as scheme, host and port."""
        host = (connection.host or "").strip().rstrip("/")
        if not host:
            return otherwise
        scheme, _, rest = host.rpartition("://")
        if connection.port and ":" not in rest:
            rest = f"{rest}:{connection.port}"
        return f"{scheme or connection.schema or 'https'}://{rest}"


class AlpacaHook(_Hook):
    """An Alpaca account. The extra `auth` tells whether the login is of a key pair or of an OAuth2 client."""

    default_conn_name = "alpaca"
    conn_type = "alpaca"
    hook_name = "Alpaca Broker"

    def get_conn(self) -> AlpacaBroker:
        """Return a client of the account.

        :raises ConnectionIncomplete: naming what the Connection lacks.
        """
        from include.venues.alpaca.auth import ClientCredentialsAuth, KeyPairAuth
        from include.venues.alpaca.client import AlpacaBroker

        connection = self.read()
        extra = connection.extra_dejson
        login = self.need(connection.login, "login (key id or client id)")
        password = self.need(connection.password, "password (secret)")
        account_id = self.need(extra.get("account_id"), "account_id in its extra")
        kind = extra.get("auth") or "key_pair"
        auth: KeyPairAuth | ClientCredentialsAuth
        try:
            if kind == "key_pair":
                auth = KeyPairAuth(login, password)
            elif kind == "client_credentials":
                token_url = extra.get("token_url") or self.profile.alpaca_login_url
                auth = ClientCredentialsAuth(token_url, login, client_secret=password)
            else:
                raise ValueError(f"auth is neither key_pair nor client_credentials but {kind!r}")
            return AlpacaBroker(self.url(connection, self.profile.alpaca_url), account_id, auth)
        except ValueError as error:
            raise self.wrong(error) from None

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the account, for the button in the connection form."""
        return _tested(lambda: f"the account is {self._status()}")

    def _status(self) -> str:
        with self.get_conn() as broker:
            return broker.account().status


class CircleHook(_Hook):
    """Circle's attestation service. It wants no credentials."""

    default_conn_name = "circle"
    conn_type = "circle"
    hook_name = "Circle CCTP attestations"

    def get_conn(self) -> AttestationService:
        """Return a client of the service."""
        from include.venues.cctp.attestation import AttestationService

        return AttestationService(self.url(self.read(), self.profile.attestation_url))

    def test_connection(self) -> tuple[bool, str]:
        """Ask for the fees, for the button in the connection form."""
        return _tested(self._fees)

    def _fees(self) -> str:
        service, profile = self.get_conn(), self.profile
        try:
            service.fees(profile.ethereum.cctp_domain, profile.base.cctp_domain)
        finally:
            service.close()
        return "the service answers"


class EvmHook(_Hook):
    """What signs for the wallet: a private key here, a key in AWS KMS, or a Web3Signer service.

    The login is the wallet's address, and the extra `signer` says which of them it is; see docs/keys.md.
    """

    default_conn_name = "evm_wallet"
    conn_type = "evm"
    hook_name = "EVM wallet"

    def get_conn(self) -> Signer:
        """Return what signs for the wallet. One that is elsewhere was asked whose key it has.

        :raises ConnectionIncomplete: naming what the Connection lacks; when whoever has the key refuses; when
            the key is not that of the address in the login.
        :raises Unavailable: when whoever has the key did not answer.
        """
        from include.venues.errors import Refused

        connection = self.read()
        openers = {"local": self._local, "aws_kms": self._aws_kms, "web3signer": self._web3signer}
        kind = connection.extra_dejson.get("signer") or "local"
        # What else is there is not repeated: somebody may have put the key into the wrong field.
        if not isinstance(kind, str) or kind not in openers:
            raise self.wrong(ValueError(f"the signer in its extra is none of {', '.join(openers)}"))
        try:
            signer = openers[kind](connection)
        except (ValueError, Refused) as error:
            raise self.wrong(error) from None
        stated = (connection.login or "").strip()
        if stated and stated.lower() != signer.address.lower():
            raise self.wrong(ValueError(f"its key is that of {signer.address}, its login says {stated}"))
        if kind != "local" and connection.password:
            text = "the Airflow Connection %r has a password, which its signer %s does not use: remove it"
            log.warning(text, self.conn_id, kind)
        return signer

    def _local(self, connection: Connection) -> Signer:
        from include.venues.evm.signer import LocalSigner

        return LocalSigner(self.need(connection.password, "password (private key)"))

    def _aws_kms(self, connection: Connection) -> Signer:
        from include.venues.evm.kms_signer import KmsSigner

        given = self._given(connection, "key_id", "region")
        return KmsSigner.open(given["key_id"], region=given["region"], endpoint_url=given.get("endpoint_url"))

    def _web3signer(self, connection: Connection) -> Signer:
        from include.venues.evm.web3signer import Web3Signer

        given = self._given(connection, "login", "ethereum_url", "base_url")
        chains = self.profile
        signer = Web3Signer(
            {chains.ethereum.chain_id: given["ethereum_url"], chains.base.chain_id: given["base_url"]},
            given["login"],
            ca_file=given.get("ca_file"),
            client_certificate=given.get("client_certificate"),
        )
        signer.verify()
        return signer

    def _given(self, connection: Connection, *needed: str) -> dict[str, str]:
        """Return the login and the texts of the extra, without the empty ones.

        :raises ConnectionIncomplete: naming all that is needed and not there.
        """
        texts = {**connection.extra_dejson, "login": connection.login}
        given = {name: text.strip() for name, text in texts.items() if isinstance(text, str) and text.strip()}
        missing = [
            "login (address)" if name == "login" else f"{name} in its extra"
            for name in needed
            if name not in given
        ]
        if missing:
            about = f"no {' and no '.join(missing)}, which the signer {given['signer']} needs"
            raise ConnectionIncomplete(f"the Airflow Connection {self.conn_id!r} has {about}")
        return given

    def test_connection(self) -> tuple[bool, str]:
        """Tell whose key it is, for the button in the connection form."""
        return _tested(lambda: f"the key is that of {self.get_conn().address}")


class LedgerHook(_Hook):
    """The database of the ledger, SQLite or PostgreSQL.

    There is no default for a missing Connection. Airflow answers the same when one cannot be read for a
    moment, and an empty ledger would not know what is already on its way.
    """

    default_conn_name = "rebalancing_ledger"
    conn_type = "sqlite"
    hook_name = "Ballast ledger"

    def get_conn(self) -> Ledger:
        """Return the ledger, its tables checked.

        :raises ConnectionIncomplete: naming what the Connection lacks.
        """
        from include.ledger.ledger import Ledger

        # It says twice each time which database it looks at, which is no news in a task's log.
        logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
        return Ledger.open(self.database_url())

    def database_url(self) -> str:
        """Return the SQLAlchemy URL. A relative SQLite path is beside Airflow's own files."""
        from airflow.configuration import AIRFLOW_HOME
        from sqlalchemy import URL

        connection = self.read()
        if connection.conn_type == "sqlite":
            named = self.need(connection.host or connection.schema, "host (path of the SQLite file)")
            path = Path(AIRFLOW_HOME) / Path(named).expanduser()
            return URL.create("sqlite", database=str(path)).render_as_string()
        if connection.conn_type in ("postgres", "postgresql"):
            options = {key: str(value) for key, value in connection.extra_dejson.items() if value is not None}
            return URL.create(
                "postgresql+psycopg",
                username=connection.login,
                password=connection.password,
                host=self.need(connection.host, "host"),
                port=connection.port,
                database=self.need(connection.schema, "schema (the database's name)"),
                query=options,
            ).render_as_string(hide_password=False)
        raise self.wrong(ValueError(f"its type is {connection.conn_type!r}, expected sqlite or postgres"))

    def test_connection(self) -> tuple[bool, str]:
        """Open the ledger, for the button in the connection form."""
        return _tested(lambda: f"{len(self._opened())} operations are open")

    def _opened(self) -> list[Any]:
        ledger = self.get_conn()
        try:
            return list(ledger.open_operations())
        finally:
            ledger.close()


def missing_for_observing(settings: Settings) -> list[str]:
    """Name the settings without which not even the balances can be read."""
    return [
        name for name in ("wallet", "ethereum_rpc_url", "base_rpc_url") if getattr(settings, name) is None
    ]


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of a book, and close it at the end. Settings that let money move make it the wallet's.

    :raises ConnectionIncomplete: naming what the Connection lacks; when the ledger is another wallet's.
    """
    hook = LedgerHook(settings.ledger_conn_id)
    ledger = hook.get_conn()
    try:
        require_own(hook, ledger, settings)
        yield ledger
    finally:
        ledger.close()


def require_own(hook: LedgerHook, ledger: Ledger, settings: Settings) -> None:
    """Pass if a ledger is that of the book's wallet. Nobody's becomes so where the settings let money move.

    :raises ConnectionIncomplete: when it is another wallet's.
    """
    from include.book import owner_by
    from include.ledger.ledger import utc_now
    from include.ledger.owner import NotTheOwner, require_owner

    owner = owner_by(settings)
    if owner is None:
        return
    try:
        require_owner(ledger.engine, owner, now=utc_now() if settings.rebalancing_enabled else None)
    except NotTheOwner as error:
        raise hook.wrong(error) from None


@contextmanager
def open_venues(settings: Settings) -> Iterator[Venues]:
    """Open the clients of both venues, without any key, and close them at the end.

    Nothing is asked yet. An endpoint that serves another chain than it should is found out by the first read,
    before it is believed.

    :raises ConnectionIncomplete: naming the Connection and what it lacks.
    """
    venues = connect(settings)
    try:
        yield venues
    finally:
        venues.close()


def connect(settings: Settings) -> Venues:
    """Return the clients of both venues; the caller closes them."""
    from include.book import Venues

    with ExitStack() as undo:
        alpaca = AlpacaHook(settings.alpaca_conn_id, profile=settings.chains).get_conn()
        undo.callback(alpaca.close)
        attestations = CircleHook(settings.circle_conn_id, profile=settings.chains).get_conn()
        undo.callback(attestations.close)
        venues = Venues(
            settings=settings,
            alpaca=alpaca,
            ethereum=_chain(settings, "ethereum"),
            base=_chain(settings, "base"),
            attestations=attestations,
        )
        undo.pop_all()
        return venues


@contextmanager
def open_book(settings: Settings) -> Iterator[Book]:
    """Open everything a leg works with, the wallet's key among it, and close it at the end.

    :raises ConnectionIncomplete: naming the Connection and what it lacks.
    """
    from include.book import Book

    signer = EvmHook(settings.wallet_conn_id, profile=settings.chains).get_conn()
    if settings.wallet is None or signer.address.lower() != settings.wallet.lower():
        msg = (
            f"the key in the Airflow Connection {settings.wallet_conn_id!r} is that of {signer.address}, "
            f"but the setting wallet is {settings.wallet or 'not set'}"
        )
        raise ConnectionIncomplete(msg)
    with open_ledger(settings) as ledger, open_venues(settings) as venues:
        yield Book(venues=venues, ledger=ledger, signer=signer)


def _chain(settings: Settings, network: str) -> Chain:
    from include.book import Network
    from include.chains import open_chain

    if not settings.rpc_urls(network):
        raise AirflowException(f"the setting {network}_rpc_url is not set")
    return open_chain(settings, Network(network))


def _profile_of_all() -> Profile:
    """Return the profile of every book there is, for the button in the connection form: it knows no book."""
    found = {settings.profile: settings.chains for settings in (load_settings(book=book) for book in books())}
    if len(found) > 1:
        msg = "the books have different profiles, so this cannot be tested here: ask the doctor of its book"
        raise ConnectionIncomplete(msg)
    [profile] = found.values()
    return profile


def _tested(test: Any) -> tuple[bool, str]:
    try:
        return True, test()
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
