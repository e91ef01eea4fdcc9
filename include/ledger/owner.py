"""Whose money a ledger keeps account of: one wallet's, on one pair of chains.

Two books on one ledger would take each other's operations for their own. Their settings cannot show that they
have, where two Connections lead to one database; the ledger can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from include.ledger.database import reading, writing
from include.ledger.schema import OperationRow, OwnerRow

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

_ONLY = 1


class NotTheOwner(ValueError):
    """The ledger is that of another wallet, or cannot be let go. The message names both."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a ledger is.

    :param profile: which chains the wallet is on.
    :param book: what the book is called; it may be renamed, and is not compared.
    """

    wallet: str
    profile: str
    book: str

    def __str__(self) -> str:
        return f"the wallet {self.wallet} on {self.profile} (book {self.book})"

    def is_same(self, other: Owner) -> bool:
        """Tell whether it is the same wallet on the same chains."""
        return (self.wallet.lower(), self.profile) == (other.wallet.lower(), other.profile)


def owner_of(engine: Engine) -> Owner | None:
    """Return whose ledger it is; None where nobody has moved money with it."""
    with reading(engine) as session:
        row = session.get(OwnerRow, _ONLY)
        return None if row is None else Owner(row.wallet, row.profile, row.book)


def require_owner(engine: Engine, owner: Owner, *, now: datetime | None) -> None:
    """Pass if the ledger is this wallet's, or nobody's.

    :param now: makes it the wallet's where it is nobody's; None leaves it so, as for who only looks.
    :raises NotTheOwner: naming both wallets.
    """
    found = owner_of(engine)
    if found is None and now is not None:
        found = _stamp(engine, owner, now)
    if found is not None and not found.is_same(owner):
        msg = (
            f"the ledger is that of {found}, and the settings name {owner}: it would take the operations of "
            "one for those of the other. Give the book a ledger of its own; if the wallet was changed on "
            "purpose, run `python -m include.ledger release <database URL>` once nothing is open"
        )
        raise NotTheOwner(msg)


def release(engine: Engine) -> None:
    """Make a ledger nobody's, so that it is the next wallet's that moves money with it.

    :raises NotTheOwner: when operations are open, which only the present wallet can finish.
    """
    with writing(engine) as session:
        opened = session.query(OperationRow).filter_by(status="open").count()
        if opened:
            raise NotTheOwner(f"{opened} operations are open: finish them with the wallet that began them")
        session.query(OwnerRow).delete()


def _stamp(engine: Engine, owner: Owner, now: datetime) -> Owner | None:
    """Make a ledger somebody's, and return whose it is then: another process may have been first."""
    row = OwnerRow(id=_ONLY, wallet=owner.wallet, profile=owner.profile, book=owner.book, since=now)
    try:
        with writing(engine) as session:
            session.add(row)
    except IntegrityError:
        return owner_of(engine)
    return owner
