"""The Variables that people steer a book with, as the API server reads and writes them.

A change is written to Airflow's audit log in the same commit: who, from what, to what, and why.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow.models import DagModel, Log
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ballast.progress import DESCRIPTION, describe
from include.check import Switch
from include.domain.limits import Hold
from include.exits.refusal import Refusal
from include.overview.reader import Steering

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from include.ledger.ledger import Ledger
    from include.settings.names import Names

log = logging.getLogger(__name__)

_one_at_a_time: Final = Lock()


@dataclass(frozen=True, slots=True)
class Person:
    """Who changes something, and why.

    :param name: as Airflow knows them.
    """

    name: str
    reason: str


def read(names: Names) -> Steering:
    """Return what people have told the tasks of a book, as these understand it."""
    with create_session() as session:
        paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == names.dag))
        switch, hold = _value(session, names.switch), _value(session, names.hold)
    return Steering(switch=_switch(switch).value, hold=_hold(names, hold), paused=paused)


def turn(names: Names, to: Switch, person: Person) -> Switch:
    """Turn the switch, and return where it was.

    :raises Refusal: when it is set elsewhere than in Airflow's database.
    """
    was = Switch.DRAIN

    def changed(present: _Value) -> str:
        nonlocal was
        was = _switch(present)
        return to.value

    _change(names, names.switch, "ballast_switch", changed, person)
    return was


def hold(names: Names, asset: str, person: Person, *, held: bool) -> Hold:
    """Hold an asset back from new operations or let it go, and return what is held then.

    :raises Refusal: when the hold list cannot be read, or is set elsewhere than in Airflow's database.
    """
    found = Hold()

    def changed(present: _Value) -> str:
        nonlocal found
        found = _hold(names, present)
        if found.everything is not None:
            raise Refusal(f"{found.everything}: correct the Airflow Variable {names.hold} first")
        found = Hold(found.assets | {asset} if held else found.assets - {asset})
        return ", ".join(sorted(found.assets))

    _change(names, names.hold, "ballast_hold", changed, person)
    return found


def record(names: Names, event: str, person: Person, **more: Any) -> None:
    """Write to Airflow's audit log too what the ledger has recorded already."""
    try:
        with create_session() as session:
            session.add(_entry(names, event, person, more))
    except SQLAlchemyError:
        log.warning("%s by %s is not in Airflow's audit log", event, person.name, exc_info=True)


def show(names: Names, ledger: Ledger, asset: str) -> None:
    """Make the Variable that shows an asset's operation say what the ledger says. Nothing depends on it."""
    operation = next((one for one in ledger.operations(only_open=True) if one.asset == asset), None)
    try:
        if operation is None:
            Variable.delete(names.in_progress(asset))
        else:
            text = json.dumps(describe(ledger, operation), indent=2)
            Variable.set(names.in_progress(asset), text, description=DESCRIPTION)
    except SQLAlchemyError:
        log.warning("the work in progress of %s is not shown", asset, exc_info=True)


@dataclass(frozen=True, slots=True)
class _Value:
    """What a Variable says.

    :param stored: the row in Airflow's database.
    """

    text: str | None
    stored: Variable | None

    @property
    def unreadable(self) -> bool:
        """Whether it is there, and cannot be read."""
        return self.text is None and self.stored is not None

    @property
    def elsewhere(self) -> bool:
        """Whether something else is read instead of what is in Airflow's database."""
        return self.text is not None and (self.stored is None or self.stored.val != self.text)


def _value(session: Session, name: str) -> _Value:
    query = select(Variable).where(Variable.key == name)
    return _Value(Variable.get(name, default_var=None), session.scalar(query))


def _switch(value: _Value) -> Switch:
    """Read the switch as `ballast.switch.read_switch` does."""
    return Switch.HALT if value.unreadable else Switch.read(value.text)


def _hold(names: Names, value: _Value) -> Hold:
    """Read the hold list as `ballast.switch.read_hold` does."""
    if value.unreadable:
        return Hold(everything=f"the Airflow Variable {names.hold} could not be read, so everything is held")
    return Hold.read(value.text)


def _change(names: Names, name: str, event: str, change: Callable[[_Value], str], person: Person) -> None:
    """Change a Variable by what it says now, and write both to the audit log in one commit."""
    with _one_at_a_time, create_session() as session:
        # Other API servers wait here for this change, where the database knows how to.
        session.execute(select(Variable.id).where(Variable.key == name).with_for_update())
        present = _value(session, name)
        if present.elsewhere:
            raise Refusal(
                f"the Airflow Variable {name} is set elsewhere, as in AIRFLOW_VAR_{name.upper()}: "
                "what is changed here would not count"
            )
        text = change(present)
        description = None if present.stored is None else present.stored.description
        Variable.set(name, text, description=description, session=session)
        session.add(_entry(names, event, person, {"was": present.text, "to": text}))
    log.warning("%s set %s from %r to %r: %s", person.name, name, present.text, text, person.reason)


def _entry(names: Names, event: str, person: Person, more: dict[str, Any]) -> Log:
    return Log(
        event=event,
        owner=person.name,
        owner_display_name=person.name,
        dag_id=names.dag,
        extra=json.dumps({**more, "reason": person.reason}),
    )
