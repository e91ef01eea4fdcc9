"""One measured number: what it is, what it should be, and what it was measured against."""

from __future__ import annotations

import operator
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_COMPARED: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was measured.

    What depends on the machine is a ratio to something measured beside it in the same run.

    :param value: the median, where there were several runs.
    :param unit: `requests`, `s`, `times`, `MB` ...
    :param goal: what it should be, as `<= 5`; empty where it is only shown.
    :param compared_with: what a user would pick instead, and what that gave; or what a ratio is to.
    :param spread: the least and the most of the runs.
    :param runs: how many there were.
    :param guard: whether a build fails where the goal is not met: for what does not depend on the machine's
        mood.
    :raises ValueError: the goal is none.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    compared_with: str = ""
    spread: tuple[float, float] | None = None
    runs: int = 1
    guard: bool = False

    def __post_init__(self) -> None:
        if self.goal:
            self._parts()
        elif self.guard:
            raise ValueError(f"{self.name}: a guard needs a goal")

    def _parts(self) -> tuple[Callable[[float, float], bool], float]:
        sign, _, bound = self.goal.partition(" ")
        if sign not in _COMPARED:
            raise ValueError(f"{self.name}: {self.goal!r} is no goal")
        return _COMPARED[sign], float(bound)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if not self.goal:
            return None
        holds, bound = self._parts()
        return holds(self.value, bound)

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str, **rest: Any) -> Figure:
        """Make a figure of several runs: their median, and how far they are spread."""
        median = statistics.median(values)
        return cls(name, median, unit, spread=(min(values), max(values)), runs=len(values), **rest)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"met": self.met}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Figure:
        """Read back what `to_dict` wrote."""
        given = {name: value for name, value in data.items() if name != "met"}
        spread = given["spread"]
        return cls(**given | {"spread": None if spread is None else (spread[0], spread[1])})
