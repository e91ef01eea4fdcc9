"""Airflow's notifiers, made from the settings, each told in a thread of its own."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseNotifier
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.alerts.message import Message
    from include.settings.notifier import NotifierSettings

log = logging.getLogger(__name__)

PATIENCE: Final = 60.0
"""Seconds that all notifiers together have. One that hangs keeps nobody else waiting."""
# Plain text is filled in as it is; for HTML there is the word `html`, which is escaped.
_TEMPLATES: Final = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
LATE: Final = f"no answer within {PATIENCE:.0f} s"


class NotifierUnusable(ValueError):
    """The class that the settings name is none, or cannot be made from what they give."""


def deliver(
    todo: Iterable[tuple[NotifierSettings, Sequence[Message]]], *, patience: float = PATIENCE
) -> dict[str, list[str | None]]:
    """Tell each notifier its messages, and return why each was not taken, or None where it was.

    :param patience: seconds after which what is not told by then counts as not taken.
    """
    found: dict[str, list[str | None]] = {}
    threads = []
    for one, messages in todo:
        found[one.called] = [LATE] * len(messages)
        # A daemon, so that a notifier that hangs does not keep the process alive.
        threads.append(threading.Thread(target=_tell, args=(one, messages, found[one.called]), daemon=True))
        threads[-1].start()
    end = time.monotonic() + patience
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0.0))
    return {name: list(whys) for name, whys in found.items()}


def make(one: NotifierSettings, words: Mapping[str, str]) -> BaseNotifier:
    """Return a notifier, made with the words of a message in its arguments.

    The templates are filled in here and not by the notifier: it would put its own fields, templates too, over
    words of the same names, and would take braces in what is told for templates.

    :param words: what the templates can name.
    :raises NotifierUnusable: naming the setting, and nothing of the arguments.
    """
    module, _, name = one.notifier.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise NotifierUnusable(f"alert_notifiers: {one.notifier} is not installed") from error
    if not (isinstance(made, type) and issubclass(made, BaseNotifier)):
        raise NotifierUnusable(f"alert_notifiers: {one.notifier} is not a notifier")
    try:
        kwargs = {name: _filled_in(value, words) for name, value in one.kwargs.items()}
    except TemplateError as error:
        # What is wrong in a template are words of the settings' author, not of a message.
        raise NotifierUnusable(f"alert_notifiers: a template of {one.called}: {error}") from error
    try:
        notifier: BaseNotifier = made(**kwargs)
    except TypeError as error:
        given = ", ".join(one.kwargs) or "nothing"
        raise NotifierUnusable(f"alert_notifiers: {one.notifier} cannot be made from {given}") from error
    return notifier


def _filled_in(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _TEMPLATES.from_string(value).render(words)
    if isinstance(value, dict):
        return {key: _filled_in(part, words) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled_in(part, words) for part in value]
    return value


def _tell(one: NotifierSettings, messages: Sequence[Message], found: list[str | None]) -> None:
    for place, message in enumerate(messages):
        try:
            words = asdict(message)
            context: Any = dict(words)
            make(one, words).notify(context)
        except NotifierUnusable as error:
            found[place] = str(error)
        except Exception as error:
            # Its words may hold the address or the token that it was given.
            log.debug("%s failed", one.called, exc_info=error)
            found[place] = type(error).__name__
        else:
            found[place] = None
