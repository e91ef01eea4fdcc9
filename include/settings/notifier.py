"""Who is told of alerts: notifiers of Airflow, each with the arguments it is made from."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from include.settings.types import read_json

_CLASS: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_NAME: Final = re.compile(r"[\w.-]{1,64}")


def _class_path(value: str) -> str:
    if not _CLASS.fullmatch(value):
        raise ValueError(
            "is not the path of a class, such as airflow.providers.smtp.notifications.smtp.SmtpNotifier"
        )
    return value


def _name(value: str) -> str:
    if value and not _NAME.fullmatch(value):
        raise ValueError("is not a name: letters, digits, `_`, `.` and `-`, 64 at most")
    return value


def _plain_numbers(value: Any) -> Any:
    """Turn the exact numbers of a settings file into those that a notifier expects: none of them is money."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _plain_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(one) for one in value]
    return value


class NotifierSettings(BaseModel):
    """A notifier of Airflow.

    :param notifier: the path of its class.
    :param kwargs: what it is made from; texts are templates with `{{ title }}`, `{{ text }}` and others.
    :param name: what it is called in the ledger; by default the name of its class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    notifier: Annotated[str, AfterValidator(_class_path)]
    # Never shown: somebody may give a key here, though it belongs into a Connection.
    kwargs: Annotated[dict[str, Any], BeforeValidator(_plain_numbers)] = Field(
        default_factory=dict, repr=False
    )
    name: Annotated[str, AfterValidator(_name)] = ""

    @property
    def called(self) -> str:
        """What it is called in the ledger."""
        return self.name or self.notifier.rpartition(".")[2][:64]


def _list(value: object) -> object:
    """Read a list given as JSON text."""
    return read_json(value) if isinstance(value, str) else value


def _called_once(found: tuple[NotifierSettings, ...]) -> tuple[NotifierSettings, ...]:
    called = [one.called for one in found]
    for name in called:
        if called.count(name) > 1:
            raise ValueError(f"has two that are called {name}: give each a name of its own")
    return found


Notifiers: TypeAlias = Annotated[
    tuple[NotifierSettings, ...], BeforeValidator(_list), AfterValidator(_called_once)
]
