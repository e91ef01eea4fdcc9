"""Notifiers made from the settings, and what becomes of those that fail or hang."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from airflow.sdk import BaseNotifier

from ballast import notifiers
from ballast.notifiers import NotifierUnusable, deliver, make
from include.alerts.message import Message
from include.settings.notifier import NotifierSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

HERE = "tests.unit.plugins.test_notifiers"


class Kept(BaseNotifier):
    """Keeps what it is told."""

    template_fields = ("message", "extra", "title")
    told: ClassVar[list[Any]] = []

    def __init__(self, message: str = "{{ title }}", extra: Any = None) -> None:
        super().__init__()
        self.message, self.extra = message, extra
        self.title = "its own"

    def notify(self, context: Context) -> None:
        self.told.append((self.message, self.extra))


class Broken(BaseNotifier):
    """Fails, with a secret in its words."""

    def notify(self, context: Context) -> None:
        raise ConnectionError("https://hooks.test/secret")


class Hanging(BaseNotifier):
    """Never ends by itself."""

    let_go: ClassVar[threading.Event] = threading.Event()

    def notify(self, context: Context) -> None:
        self.let_go.wait(30)


class NoNotifier:
    """Something else."""


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    Kept.told.clear()
    Hanging.let_go.clear()
    yield
    Hanging.let_go.set()


def one(name: str, called: str = "", **kwargs: Any) -> NotifierSettings:
    return NotifierSettings(notifier=f"{HERE}.{name}", kwargs=kwargs, name=called)


def told(title: str = "Ballast: gas is low", text: str = "text") -> Message:
    return Message(
        title, text, "<p>", "https://page", "https://page/runbook", "warning", "firing", "gas_low", "k"
    )


def test_deliver__fills_the_templates_of_each_message() -> None:
    kept = one("Kept", message="{{ text }} {{ link }}", extra={"blocks": ["{{ kind }} {{ severity }}"]})
    assert deliver([(kept, [told(text="one"), told(text="two")])]) == {"Kept": [None, None]}
    assert Kept.told == [
        ("one https://page", {"blocks": ["gas_low warning"]}),
        ("two https://page", {"blocks": ["gas_low warning"]}),
    ]


def test_deliver__braces_in_what_is_told__are_no_template() -> None:
    deliver([(one("Kept", message="{{ text }}"), [told(text="{{ 7 * 7 }}")])])
    assert Kept.told == [("{{ 7 * 7 }}", None)]


def test_deliver__a_word_that_there_is_none_of__names_it() -> None:
    (why,) = deliver([(one("Kept", message="{{ txt }}"), [told()])])["Kept"]
    assert why == "alert_notifiers: a template of Kept: 'txt' is undefined"


def test_deliver__a_field_called_as_a_word__gets_the_word() -> None:
    """Airflow's own way to fill in templates would give it the template."""
    deliver([(one("Kept", message="{{ title }}", extra="{{ text }} {{ html }}"), [told()])])
    assert Kept.told == [("Ballast: gas is low", "text <p>")]


def test_deliver__one_that_fails__stops_no_other_and_gives_nothing_away() -> None:
    found = deliver([(one("Broken"), [told()]), (one("Kept"), [told()])])
    assert found == {"Broken": ["ConnectionError"], "Kept": [None]}
    assert len(Kept.told) == 1


def test_deliver__one_that_hangs__keeps_nobody_waiting() -> None:
    found = deliver([(one("Hanging"), [told(), told()]), (one("Kept"), [told()])], patience=0.2)
    assert found == {"Hanging": [notifiers.LATE, notifiers.LATE], "Kept": [None]}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("no.such.Module", "is not installed"),
        (f"{HERE}.Nothing", "is not installed"),
        (f"{HERE}.NoNotifier", "is not a notifier"),
        (f"{HERE}.told", "is not a notifier"),
    ],
)
def test_make__no_such_notifier__names_the_setting(path: str, says: str) -> None:
    with pytest.raises(NotifierUnusable, match=f"alert_notifiers: .*{says}"):
        make(NotifierSettings(notifier=path), {})


def test_make__other_arguments__names_them_and_not_what_they_are() -> None:
    with pytest.raises(NotifierUnusable, match=r"cannot be made from webhook_url$") as refused:
        make(one("Kept", webhook_url="https://hooks.test/secret"), {})
    assert "secret" not in str(refused.value)
    assert deliver([(one("Kept", webhook_url="x"), [told()])]) == {"Kept": [str(refused.value)]}
