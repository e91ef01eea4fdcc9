"""The tables of the ledger.

Amounts are integers of base units, kept as text so that a uint256 fits on every database. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class BaseUnits(TypeDecorator[int]):
    """A whole number of base units, stored as decimal text: SQLite's integers end at 2**63."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        """Write an integer; anything else is a mistake of the caller."""
        if value is None:
            return None
        if type(value) is not int or value < 0:
            msg = f"an amount is a whole number of base units of at least 0, not {value!r}"
            raise TypeError(msg)
        return str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Read the integer back."""
        return None if value is None else int(value)


class Utc(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write an aware time; a naive one is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"a time in the ledger has a time zone, {value!r} has none"
            raise TypeError(msg)
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read the time back as UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of the ledger."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Utc, dict[str, Any]: JSON, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's way


class CheckRow(Base):
    """One look at the inventory: the snapshot, whole, and what the run was allowed to do."""

    __tablename__ = "checks"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(250), index=True)
    mode: Mapped[str] = mapped_column(String(16))  # live, dry_run, observe, replay
    taken_at: Mapped[datetime] = mapped_column(index=True)
    recorded_at: Mapped[datetime]
    base_block: Mapped[int | None]
    ethereum_block: Mapped[int | None]
    snapshot: Mapped[dict[str, Any]]


class DecisionRow(Base):
    """What one check decided about one asset, and why."""

    __tablename__ = "decisions"
    check_id: Mapped[str] = mapped_column(ForeignKey("checks.id"), primary_key=True)
    asset: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[str] = mapped_column(String(32))
    decision: Mapped[dict[str, Any]]


class OperationRow(Base):
    """One operation. While it is open it is the claim on its asset."""

    __tablename__ = "operations"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    asset: Mapped[str] = mapped_column(String(32), index=True)
    amount: Mapped[int] = mapped_column(BaseUnits)
    decimals: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    check_id: Mapped[str] = mapped_column(ForeignKey("checks.id"))
    run_id: Mapped[str] = mapped_column(String(250))  # the run that pushes it now
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    delivered: Mapped[int | None] = mapped_column(BaseUnits)
    base_block: Mapped[int | None]  # of the last receipt: the next snapshot must not be older
    ethereum_block: Mapped[int | None]
    estimate: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # of its cost
    fence: Mapped[int] = mapped_column(Integer, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(250))
    lease_until: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_operations_open_asset",
            "asset",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
        Index("ix_operations_asset_closed_at", "asset", "closed_at"),
    )


class LegRow(Base):
    """How far one leg of an operation is, and what it waits for."""

    __tablename__ = "legs"
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    position: Mapped[int]
    amount_in: Mapped[int | None] = mapped_column(BaseUnits)
    amount_out: Mapped[int | None] = mapped_column(BaseUnits)
    notes: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    started_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    waiting_for: Mapped[str | None] = mapped_column(Text)
    waiting_since: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    attention: Mapped[str | None] = mapped_column(Text)


class EffectRow(Base):
    """One thing done to the outside world: a row before it is an act."""

    __tablename__ = "effects"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"), index=True)
    leg: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    irreversible: Mapped[bool]
    intent: Mapped[dict[str, Any]]
    reference: Mapped[str | None] = mapped_column(String(128), index=True)
    detail: Mapped[str | None] = mapped_column(Text)
    intended_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    gas_paid: Mapped[int | None] = mapped_column(BaseUnits)  # wei, whether it was done or reverted

    __table_args__ = (UniqueConstraint("operation_id", "leg", "name", "attempt"),)


class NonceRow(Base):
    """A nonce belongs to one effect, for ever: the primary key is the conditional write that claims it."""

    __tablename__ = "nonces"
    chain_id: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(String(42), primary_key=True)
    nonce: Mapped[int] = mapped_column(primary_key=True)
    effect_id: Mapped[str] = mapped_column(ForeignKey("effects.id"), unique=True)


class TransactionRow(Base):
    """A signed transaction, stored before it is broadcast. A gas bump is a further row with its nonce."""

    __tablename__ = "transactions"
    hash: Mapped[str] = mapped_column(String(66), primary_key=True)
    effect_id: Mapped[str] = mapped_column(ForeignKey("effects.id"), index=True)
    chain_id: Mapped[int]
    sender: Mapped[str] = mapped_column(String(42))
    nonce: Mapped[int]
    raw: Mapped[bytes]
    gas: Mapped[int] = mapped_column(BaseUnits)
    max_fee_per_gas: Mapped[int] = mapped_column(BaseUnits)
    max_priority_fee_per_gas: Mapped[int] = mapped_column(BaseUnits)
    signed_at: Mapped[datetime]
    signed_at_block: Mapped[int]

    __table_args__ = (UniqueConstraint("chain_id", "sender", "nonce", "hash"),)


class InterventionRow(Base):
    """What a person did with an operation, and why. Written in the commit that does it."""

    __tablename__ = "interventions"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    operation_id: Mapped[str] = mapped_column(ForeignKey("operations.id"), index=True)
    verb: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(250))
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]


_NOT_RESOLVED = text("resolved_at IS NULL")


class AlertRow(Base):
    """Something that people are told: one time that a condition held, from its first sight to its end."""

    __tablename__ = "alerts"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    key: Mapped[str] = mapped_column(String(250))
    kind: Mapped[str] = mapped_column(String(32))
    asset: Mapped[str | None] = mapped_column(String(32))
    operation_id: Mapped[str | None] = mapped_column(String(36))
    text: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(index=True)

    __table_args__ = (
        Index(
            "uq_alerts_open_key",
            "key",
            unique=True,
            sqlite_where=_NOT_RESOLVED,
            postgresql_where=_NOT_RESOLVED,
        ),
    )


class TellingRow(Base):
    """What one notifier was told of an alert. It is claimed before it is told, so that two tell it once."""

    __tablename__ = "tellings"
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    notifier: Mapped[str] = mapped_column(String(64), primary_key=True)
    told_at: Mapped[datetime | None]  # that it holds; the last time
    resolved_told_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    error: Mapped[str | None] = mapped_column(Text)


class ReadingRow(Base):
    """The last reading of a number of the world, as a wallet's gas or its next nonce on a chain."""

    __tablename__ = "readings"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[int] = mapped_column(BaseUnits)
    read_at: Mapped[datetime]


class OwnerRow(Base):
    """Whose ledger it is. There is one row at most."""

    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # always 1
    wallet: Mapped[str] = mapped_column(String(42))
    profile: Mapped[str] = mapped_column(String(32))
    book: Mapped[str] = mapped_column(String(24))
    since: Mapped[datetime]


class ReplayRow(Base):
    """A replay: the past decided again under other settings. Its id is made from what it is."""

    __tablename__ = "replays"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(100))
    overrides: Mapped[dict[str, Any]]
    policy: Mapped[dict[str, Any]]  # with the overrides
    base_policy: Mapped[dict[str, Any]]  # without them
    interval_seconds: Mapped[int]  # between two checks
    created_at: Mapped[datetime]


class ReplayRunRow(Base):
    """What one run of a replay decided again, or why it did not. Another try takes its place."""

    __tablename__ = "replay_runs"
    replay_id: Mapped[str] = mapped_column(ForeignKey("replays.id"), primary_key=True)
    moment: Mapped[datetime] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(250))
    source_id: Mapped[str | None] = mapped_column(ForeignKey("checks.id"))  # whose balances
    check_id: Mapped[str | None] = mapped_column(ForeignKey("checks.id"))  # of the replay itself
    skipped: Mapped[str | None] = mapped_column(String(32))
    recorded_at: Mapped[datetime]
