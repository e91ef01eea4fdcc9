"""What was found, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_WIDTH = 8


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"  # works, but not as well as it should, or not for long
    FAILURE = "failure"  # an operation would fail, or would not be begun


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one thing.

    :param check: its name, with the chain where it looks at both.
    :param found: what is there. It holds no secret.
    :param advice: what to do; empty when all is well.
    """

    check: str
    level: Level
    found: str
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"check": self.check, "level": self.level.value, "found": self.found, "advice": self.advice}

    def lines(self) -> Iterator[str]:
        """Write it as a line, and its advice as a second one."""
        shown = self.level.value.upper() if self.level is Level.FAILURE else self.level.value
        yield f"{shown:<{_WIDTH}}{self.check}: {self.found}"
        if self.advice:
            yield f"{'':<{_WIDTH}}-> {self.advice}"


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """Return those that have to be put right."""
    return [finding for finding in findings if finding.level is Level.FAILURE]


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 when there is a failure, otherwise 0."""
    return 1 if failures(findings) else 0


def summary(findings: Sequence[Finding]) -> str:
    """Say in one line how many there are of each level."""
    count = {level: sum(finding.level is level for finding in findings) for level in Level}
    plural = {level: "" if count[level] == 1 else "s" for level in Level}
    return (
        f"{count[Level.OK]} ok, {count[Level.WARNING]} warning{plural[Level.WARNING]}, "
        f"{count[Level.FAILURE]} failure{plural[Level.FAILURE]}"
    )
