"""What the ledger must be: there, up to date, and free of operations that wait for a person."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from include.book import owner_by
from include.doctor.check import Check, Found, NotOpened, check, failure, ok, warning
from include.ledger.database import MIGRATIONS, is_current, open_engine
from include.ledger.ledger import Ledger
from include.ledger.owner import NotTheOwner, require_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from include.doctor.check import Look
    from include.ledger.owner import Owner


class NoLedgerYet(Exception):
    """The ledger is a SQLite file that is not there. Opening it would make it."""


@check(
    "ledger",
    reads="whether the ledger's database can be read, its tables are those of this version, and it is the "
    "wallet's own.",
    advice="Run `python -m include.ledger migrate <database URL>` with this version of Ballast.",
)
def ledger(look: Look) -> Iterator[Found]:
    """Open the ledger for reading, and compare its revision."""
    try:
        with _opened(look) as engine:
            yield _compared(engine)
            owner = owner_by(look.settings)
            if is_current(engine) and owner is not None:
                yield from _owned(engine, owner)
    except NoLedgerYet as missing:
        yield warning(
            f"{missing} is not there",
            "The first check makes it. If Ballast has run before, the path is wrong: do not go on, as an "
            "empty ledger does not know what is on its way.",
        )
    except SQLAlchemyError as error:
        yield failure(
            f"the database cannot be read: {type(error).__name__}",
            "Check the Connection of the ledger, and that the database is running.",
        )


def _compared(engine: Engine) -> Found:
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if is_current(engine):
        return ok(f"{engine.dialect.name}, up to date at revision {revision}")
    if revision is None:
        text = "there are no tables yet"
    elif revision in {known.revision for known in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        text = f"the tables are at the older revision {revision}"
    else:
        return failure(
            f"the tables are at revision {revision}, which this version does not know",
            "A newer version of Ballast has written it: use that version.",
        )
    if engine.dialect.name == "sqlite":
        return warning(text, "Nothing needs to be done: the next check brings them up to date.")
    return failure(text)


def _owned(engine: Engine, owner: Owner) -> Iterator[Found]:
    try:
        require_owner(engine, owner, now=None)
    except NotTheOwner as error:
        yield failure(str(error), "Correct the Connection of the ledger, or the wallet.")


@check(
    "operations",
    reads="the open operations: whether a leg waits for a person, or longer than it should.",
    advice='Run `make operations ARGS="list"`, which says what can be done about each.',
)
def operations(look: Look) -> Iterator[Found]:
    """Look at the legs of every open operation."""
    try:
        with _opened(look) as engine:
            if is_current(engine):
                yield from _operations(Ledger(engine), look)
            else:
                yield warning("not looked at, as the tables are not this version's", "See the ledger.")
    except NoLedgerYet:
        yield ok("there is no ledger yet")
    except SQLAlchemyError:
        yield warning("not looked at, as the ledger cannot be read", "See the ledger.")


def _operations(found: Ledger, look: Look) -> Iterator[Found]:
    waiting = 0
    under_way = found.operations(only_open=True)
    for operation in under_way:
        for leg in found.legs(operation.id):
            subject = f"{operation.kind} of {operation.asset} ({operation.id}), leg {leg.name}"
            if leg.attention is not None:
                waiting += 1
                yield failure(f"{subject}: {leg.attention}")
            elif not leg.is_done and leg.due_at is not None and leg.due_at < look.subject.now():
                waiting += 1
                since = f"{leg.due_at:%Y-%m-%d %H:%M} UTC"
                yield warning(
                    f"{subject}: overdue since {since}, waiting for {leg.waiting_for}",
                    "It goes on by itself when what it waits for comes; look at the venue.",
                )
    if not waiting:
        yield ok(f"{len(under_way)} are open, and none waits for a person")


@contextmanager
def _opened(look: Look) -> Iterator[Engine]:
    """Open the ledger so that nothing can be written, and nothing is made.

    :raises NoLedgerYet: when it is a file that is not there.
    """
    if look.subject.ledger_url is None:
        raise NotOpened(f"the Connection {look.settings.ledger_conn_id}")
    url = make_url(look.subject.ledger_url)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if not path.is_file():
            raise NoLedgerYet(str(path))
        engine = create_engine(f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true")
    else:
        engine = open_engine(look.subject.ledger_url).execution_options(postgresql_readonly=True)
    try:
        yield engine
    finally:
        engine.dispose()


CHECKS: tuple[Check, ...] = (ledger, operations)
