"""What is told, in words: what, since when, what to do, and where to look."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from include.alerts.anchors import anchor_of
from include.alerts.kinds import Kind
from include.ledger.alerts import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from include.ledger.alerts import Alert, Telling

MOST_APART: Final = 5
"""More than so many are told together."""
_SAYS: Final = {Stage.HOLDS: "", Stage.STILL_HOLDS: "Still: ", Stage.RESOLVED: "Resolved: "}
_WORST_FIRST: Final = ("critical", "warning")


@dataclass(frozen=True, slots=True)
class Places:
    """Which book messages are about, and where they link to.

    :param page: the book's page.
    :param runbook: the runbook, without an anchor.
    :param book: its name, which is said; empty for the book without a name.
    """

    page: str
    runbook: str
    book: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What a notifier is given. Texts hold no markup; `html` is the same, escaped.

    :param title: one line.
    :param text: what, since when, what to do, and the links.
    :param link: the book's page.
    :param runbook: the section of the runbook that says what to do.
    :param severity: `critical` or `warning`.
    :param status: `firing` or `resolved`.
    :param kind: the code of what it is; `several` where several are told together.
    :param key: the same for the same condition, for services that join messages by it.
    """

    title: str
    text: str
    html: str
    link: str
    runbook: str
    severity: str
    status: str
    kind: str
    key: str


def messages(tellings: Sequence[Telling], places: Places) -> list[tuple[Message, list[Telling]]]:
    """Return what one notifier is told now, each message with what it tells."""
    if len(tellings) <= MOST_APART:
        return [(message(one, places), [one]) for one in tellings]
    parts = []
    for resolved in (False, True):
        together = [one for one in tellings if (one.stage is Stage.RESOLVED) is resolved]
        if together:
            told = _together(together, places) if len(together) > 1 else message(together[0], places)
            parts.append((told, together))
    return parts


def message(telling: Telling, places: Places) -> Message:
    """Return what is told of one alert."""
    alert, kind = telling.alert, kind_of(telling.alert)
    runbook = _runbook(alert, places)
    title = f"{_SAYS[telling.stage]}{kind.headline}"
    if alert.asset is not None:
        title += f" ({alert.asset})"
    lines = [
        alert.text,
        f"Since {_moment(alert.since)}" + _until(alert) + ".",
        *([] if alert.operation_id is None else [f"Operation {alert.operation_id}."]),
    ]
    return _message(title, lines, [telling], places=places, runbook=runbook, kind=kind.value, key=alert.key)


def kind_of(alert: Alert) -> Kind:
    """Return the kind of an alert; one of another version of Ballast counts as what asks for a person."""
    return Kind(alert.kind) if alert.kind in list(Kind) else Kind.ATTENTION


def severity_of(tellings: Sequence[Telling]) -> str:
    """Return the worst severity among alerts."""
    found = {kind_of(one.alert).severity for one in tellings}
    return next(severity for severity in _WORST_FIRST if severity in found)


def _together(tellings: Sequence[Telling], places: Places) -> Message:
    says = _SAYS[tellings[0].stage] if all(one.stage is tellings[0].stage for one in tellings) else ""
    lines = [
        f"{kind_of(one.alert).headline}: {one.alert.text} (since {_moment(one.alert.since)}"
        f"{_until(one.alert)}; {_runbook(one.alert, places)})"
        for one in tellings
    ]
    title = f"{says}{len(tellings)} alerts"
    key = f"several:{tellings[0].alert.key}"
    runbook = places.runbook
    return _message(title, lines, tellings, places=places, runbook=runbook, kind="several", key=key)


def _message(
    title: str,
    lines: Sequence[str],
    tellings: Sequence[Telling],
    *,
    places: Places,
    runbook: str,
    kind: str,
    key: str,
) -> Message:
    resolved = all(one.stage is Stage.RESOLVED for one in tellings)
    links = {"See": places.page} if resolved else {"What to do": runbook, "See": places.page}
    title = f"Ballast {places.book}: {title}" if places.book else f"Ballast: {title}"
    html = "".join(f"<p>{escape(line)}</p>" for line in lines)
    html += "".join(
        f'<p>{what}: <a href="{escape(url)}">{escape(url)}</a></p>' for what, url in links.items()
    )
    return Message(
        title=title,
        text="\n".join([title, *lines, *(f"{what}: {url}" for what, url in links.items())]),
        html=f"<p><b>{escape(title)}</b></p>{html}",
        link=places.page,
        runbook=runbook,
        severity=severity_of(tellings),
        status="resolved" if resolved else "firing",
        kind=kind,
        key=f"{places.book}:{key}" if places.book else key,
    )


def _runbook(alert: Alert, places: Places) -> str:
    return f"{places.runbook}#{anchor_of(kind_of(alert), alert.text)}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _until(alert: Alert) -> str:
    return "" if alert.resolved_at is None else f" until {_moment(alert.resolved_at)}"
