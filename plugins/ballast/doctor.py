"""Would the first real operation go through? The Airflow side: settings, Connections, switch and pools."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from ballast.hooks import AlpacaHook, CircleHook, ConnectionIncomplete, EvmHook, LedgerHook
from include.settings import Names, SettingsError, books, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.book import Network
    from include.doctor import Finding, Subject
    from include.settings import Settings
    from include.venues.evm.chain import Chain

log = logging.getLogger(__name__)

T = TypeVar("T")

FINDINGS: Final = "findings"

_LEVELS: Final = {"ok": logging.INFO, "warning": logging.WARNING, "failure": logging.ERROR}


def doctor(book: str) -> None:
    """Look at everything that a task can see; write it line by line to the log, and as XCom `findings`.

    :param book: what is looked at; empty for the book without a name.
    :raises AirflowFailException: when there is a failure.
    """
    from include.doctor.report import failures, summary

    found = examine(book)
    for finding in found:
        for line in finding.lines():
            log.log(_LEVELS[finding.level.value], "%s", line)
    log.info("not looked at: the pools, which a task cannot see; `make doctor` looks at them")
    log.info("%s", summary(found))
    # Pushed and not returned, since a task that fails returns nothing.
    get_current_context()["ti"].xcom_push(key=FINDINGS, value=[finding.to_dict() for finding in found])
    if failures(found):
        raise AirflowFailException(summary(found))


def examine(book: str) -> list[Finding]:
    """Look at everything of a book but the pools. Nothing is changed, and nothing is raised."""
    from include import doctor as every
    from include.doctor.airflow import SETTINGS
    from include.doctor.check import failure

    # It says each time which database it looks at, which is no news here.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    try:
        settings = load_settings(book=book)
    except SettingsError as error:
        return [SETTINGS.finding(failure(problem)) for problem in error.problems]
    found = [*_settings(settings), _switch(settings.names), _hold(settings)]
    with ExitStack() as stack:
        subject = _open(settings, found, stack)
        return found + every.examine(subject)


def examine_with_database(book: str) -> list[Finding]:
    """Look at everything of a book, in a process that may read Airflow's database. Tasks may not."""
    from include.doctor.airflow import DATABASE
    from include.doctor.check import failure

    problem = database_problem()
    if problem is not None:
        # Without it neither Connections nor Variables could be told from missing ones.
        return [DATABASE.finding(failure(problem))]
    # One that does not exist has no pools to miss.
    return [*(pools(Names(book)) if book in books() else ()), *examine(book)]


def database_problem() -> str | None:
    """Say why Airflow's database cannot be read, without making one; None when it can."""
    from airflow.configuration import AIRFLOW_HOME, conf
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import make_url, select
    from sqlalchemy.exc import SQLAlchemyError

    url = make_url(conf.get_mandatory_value("database", "sql_alchemy_conn"))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return f"there is no Airflow here: {url.database} does not exist (AIRFLOW_HOME is {AIRFLOW_HOME})"
    try:
        with create_session() as session:
            session.scalar(select(Pool.id).limit(1))
    except SQLAlchemyError as error:
        return f"Airflow's database cannot be read: {type(error).__name__} (AIRFLOW_HOME is {AIRFLOW_HOME})"
    return None


def pools(names: Names) -> list[Finding]:
    """Look at the pools of a book in Airflow's database."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        known = {pool.pool: (pool.slots, pool.include_deferred) for pool in session.scalars(select(Pool))}
    return [_pool(name, known.get(name), deferred) for name, deferred in pools_of(names).items()]


def pools_of(names: Names) -> dict[str, bool]:
    """Return each pool of a book, and whether it has to count deferred tasks."""
    return {names.check_pool: False, names.operations_pool: True}


def _pool(name: str, known: tuple[int, bool] | None, deferred: bool) -> Finding:
    from include.doctor.airflow import POOL
    from include.doctor.check import failure, ok, warning

    if known is None:
        return POOL.finding(failure(f"{name} is missing, so its tasks would never start"))
    slots, counts_deferred = known
    if slots == 0:
        found = failure(f"{name} has no slots", "Give it slots, in Airflow under Admin, Pools.")
    elif deferred and not counts_deferred:
        found = warning(f"{name} does not count deferred tasks, so it does not limit the work in progress")
    elif not deferred and slots != 1:
        found = warning(f"{name} has {slots} slots: checks overlap", "Give it one slot.")
    else:
        many = "1 slot" if slots == 1 else f"{slots} slots"
        found = ok(f"{name} has {many}{', deferred tasks counted' if counts_deferred else ''}")
    return POOL.finding(found)


def _settings(settings: Settings) -> Iterator[Finding]:
    from include.doctor.airflow import SETTINGS
    from include.doctor.check import failure, ok, warning
    from include.settings.checks import missing
    from include.settings.loading import misnamed
    from include.settings.names import MAY_BE

    for file in misnamed():
        yield SETTINGS.finding(warning(f"{file.name} is no book: a book's name is {MAY_BE}", "Rename it."))
    for (name, *_), problem in missing(dict(settings)):
        yield SETTINGS.finding(failure(f"{name} {problem}"))
    if settings.rebalancing_enabled:
        assets = ", ".join(asset.symbol for asset in settings.watched() if asset.enabled)
        yield SETTINGS.finding(ok(f"profile {settings.profile}, enabled for {assets or 'no asset'}"))
    else:
        text = f"profile {settings.profile}; rebalancing_enabled is false, so nothing is begun"
        yield SETTINGS.finding(warning(text, "Set it to true when money may move."))


def _switch(names: Names) -> Finding:
    from airflow.sdk import Variable

    from include.check import Switch
    from include.doctor.airflow import SWITCH as ABOUT
    from include.doctor.check import failure, ok, warning

    value = Variable.get(names.switch, default=None)
    text, advice = f"{names.switch} is {value!r}", f"Set the Variable `{names.switch}` to run, drain or halt."
    if value is None:
        found = warning(f"{names.switch} is missing, which means drain: nothing is begun", advice)
    elif value.strip().lower() not in list(Switch):
        found = failure(f"{text}, which means drain: nothing is begun", advice)
    elif Switch.read(value) is Switch.RUN:
        found = ok(text)
    else:
        found = warning(f"{text}: nothing is begun", "Set it to run when operations may begin.")
    return ABOUT.finding(found)


def _hold(settings: Settings) -> Finding:
    from airflow.sdk import Variable

    from include.doctor.airflow import HOLD as ABOUT
    from include.doctor.check import failure, ok, warning
    from include.domain.limits import Hold

    name = settings.names.hold
    hold = Hold.read(Variable.get(name, default=None))
    unknown = hold.assets.difference(settings.symbols)
    if hold.everything is not None:
        advice = f"Correct the Variable `{name}`: symbols between commas; empty or missing holds nothing."
        found = failure(f"{hold.everything}: nothing is begun", advice)
    elif unknown:
        text = f"{name} names {', '.join(sorted(unknown))}, which is in no setting"
        found = warning(text, f"Take it out of `{name}`.")
    elif hold.assets:
        text = f"{', '.join(sorted(hold.assets))}: nothing is begun for what is held"
        found = warning(text, f"Take it out of {name} when operations may begin.")
    else:
        found = ok("nothing is held")
    return ABOUT.finding(found)


def _open(settings: Settings, found: list[Finding], stack: ExitStack) -> Subject:
    """Open what can be opened, and find what cannot; the stack closes it."""
    from include.doctor import Subject

    chains = settings.chains
    secrets: list[str] = []
    alpaca_hook = AlpacaHook(settings.alpaca_conn_id, profile=chains)
    circle_hook = CircleHook(settings.circle_conn_id, profile=chains)
    evm_hook = EvmHook(settings.wallet_conn_id, profile=chains)
    ledger_hook = LedgerHook(settings.ledger_conn_id)
    for hook in (alpaca_hook, evm_hook, ledger_hook):
        secrets += _secrets(hook)
    alpaca = _try(found, secrets, alpaca_hook.conn_id, alpaca_hook.get_conn)
    attestations = _try(found, secrets, circle_hook.conn_id, circle_hook.get_conn)
    signer = _try(found, secrets, evm_hook.conn_id, lambda: evm_hook.get_conn().address)
    ledger_url = _try(found, secrets, ledger_hook.conn_id, ledger_hook.database_url)
    for client in (alpaca, attestations):
        if client is not None:
            stack.callback(client.close)
    return Subject(
        settings=settings,
        chains=_chains(settings),
        alpaca=alpaca,
        attestations=attestations,
        signer=signer,
        ledger_url=ledger_url,
        secrets=tuple(secrets),
    )


def _try(found: list[Finding], secrets: list[str], conn_id: str, opening: Callable[[], T]) -> T | None:
    """Return what a Connection opens, and say that it is complete; or say what is wrong with it."""
    from include.doctor.airflow import CONNECTION
    from include.doctor.check import failure, ok
    from include.venues.errors import VenueError

    try:
        opened = opening()
    except (ConnectionIncomplete, VenueError) as error:  # what signs may be elsewhere, and not answer
        text = str(error)
        for secret in secrets:
            text = text.replace(secret, "***")
        found.append(CONNECTION.finding(failure(text)))
    except Exception as error:
        found.append(CONNECTION.finding(failure(f"{conn_id}: {type(error).__name__}")))
    else:
        found.append(CONNECTION.finding(ok(f"{conn_id} is complete")))
        return opened
    return None


def _secrets(hook: AlpacaHook | EvmHook | LedgerHook) -> list[str]:
    """Return what no finding may show of a Connection."""
    try:
        connection = hook.read()
    except ConnectionIncomplete:
        return []
    login = connection.login if isinstance(hook, AlpacaHook) else None
    return [secret.strip() for secret in (login, connection.password) if secret and secret.strip()]


def _chains(settings: Settings) -> dict[Network, Chain]:
    from include.book import Network
    from include.chains import open_chain

    return {network: open_chain(settings, network) for network in Network if settings.rpc_urls(network.value)}
