"""What is told, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.alerts.anchors import anchor_of, section_of
from include.alerts.kinds import Kind
from include.alerts.message import MOST_APART, Message, Places, message, messages
from include.ledger.alerts import Alert, Stage, Telling

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PLACES = Places(page="https://flow.test/ballast/", runbook="https://flow.test/ballast/runbook")


def telling(
    kind: Kind = Kind.OVERDUE, stage: Stage = Stage.HOLDS, text: str = "late", number: int = 1
) -> Telling:
    ended = NOW + timedelta(hours=1) if stage is Stage.RESOLVED else None
    alert = Alert("id", f"{kind}:{number}", kind.value, "AAPL", "op-1", text, NOW, NOW, NOW, ended)
    return Telling(alert, "mail", stage)


def test_message__says_what_since_when_what_to_do_and_where() -> None:
    told = message(telling(text="mint of 31 AAPL, leg mint, waits for <tokens>"), PLACES)
    assert told.title == "Ballast: An operation is overdue (AAPL)"
    assert told.text.splitlines() == [
        "Ballast: An operation is overdue (AAPL)",
        "mint of 31 AAPL, leg mint, waits for <tokens>",
        "Since 2026-03-02 14:30 UTC.",
        "Operation op-1.",
        "What to do: https://flow.test/ballast/runbook#overdue",
        "See: https://flow.test/ballast/",
    ]
    assert "waits for &lt;tokens&gt;" in told.html
    assert '<a href="https://flow.test/ballast/runbook#overdue">' in told.html
    assert (told.severity, told.status, told.kind, told.key) == ("warning", "firing", "overdue", "overdue:1")


def test_message__resolved__says_until_when_and_nothing_to_do() -> None:
    told = message(telling(stage=Stage.RESOLVED), PLACES)
    assert told.title == "Ballast: Resolved: An operation is overdue (AAPL)"
    assert "Since 2026-03-02 14:30 UTC until 2026-03-02 15:30 UTC." in told.text
    assert "What to do" not in told.text
    assert told.status == "resolved"


def test_message__again__says_so() -> None:
    assert message(telling(stage=Stage.STILL_HOLDS), PLACES).title.startswith("Ballast: Still: ")


@pytest.mark.parametrize("kind", list(Kind))
def test_message__of_every_kind__links_its_section(kind: Kind) -> None:
    told = message(telling(kind), PLACES)
    assert told.runbook == f"{PLACES.runbook}#{kind.anchor}"
    assert told.runbook in told.text
    assert told.runbook in told.html


def test_message__of_another_version__is_told_as_what_asks_for_a_person() -> None:
    strange = Alert("id", "x", "of_tomorrow", None, None, "text", NOW, NOW, NOW, None)
    assert message(Telling(strange, "mail", Stage.HOLDS), PLACES).kind == Kind.ATTENTION


def test_messages__few__are_told_apart() -> None:
    few = [telling(number=number) for number in range(MOST_APART)]
    assert [parts for _, parts in messages(few, PLACES)] == [[one] for one in few]


def test_messages__many__are_told_together_by_what_they_say() -> None:
    many = [telling(number=number) for number in range(4)]
    many += [telling(Kind.NO_CHECK, number=9), telling(stage=Stage.RESOLVED, number=10)]
    (held, first), (ended, second) = messages(many, PLACES)
    assert isinstance(held, Message)
    assert (held.title, held.severity, held.status) == ("Ballast: 5 alerts", "critical", "firing")
    assert held.text.count("#overdue") == 4
    assert "#no-check-is-made" in held.text
    assert ended == message(many[-1], PLACES)
    assert messages([*many, many[-1]], PLACES)[1][0].title == "Ballast: Resolved: 2 alerts"
    assert first + second == many


def test_section__of_what_a_leg_asks__is_the_one_about_it() -> None:
    lost = "a withdrawal of 40 USDC was asked for at 14:30 and its answer was lost; transfers that fit: none"
    assert anchor_of(Kind.ATTENTION, f"it, leg withdraw: {lost}") == "withdrawal-answer-lost"
    refused = f"the next step was refused and money is under way: {lost}"
    assert section_of(refused) == "the-next-step-was-refused"
    assert section_of(None, "words that nobody knows") == Kind.ATTENTION.anchor
    assert section_of("words", lost) == "withdrawal-answer-lost"
    assert anchor_of(Kind.OVERDUE, lost) == "overdue"
