"""Kills workers, schedulers and triggerers at moments that a seed has chosen, and starts them again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.distributed import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.distributed import DistributedAirflow
    from tests.distributed.work import Size

LONGEST_REST = 8.0
"""Seconds that pass at most until what was killed is started again."""


@dataclass(frozen=True)
class Kill:
    """One crash.

    :param after: how many operations have been opened before.
    :param whole: whether what the process has started dies with it, as when its machine loses its power.
    :param rest: seconds until it is started again.
    """

    after: int
    kind: str
    which: int
    whole: bool
    rest: float


def plan(size: Size, seed: int) -> list[Kill]:
    """Return what is killed when: the same for the same seed."""
    chance = random.Random(seed)
    kinds = [kind for kind, times in size.kills.items() for _ in range(times)]
    chance.shuffle(kinds)
    moments = sorted(chance.sample(range(1, size.operations), len(kinds)))
    return [
        Kill(after, kind, chance.randrange(2), chance.random() < 0.5, chance.uniform(0, LONGEST_REST))
        for after, kind in zip(moments, kinds, strict=True)
    ]


@dataclass
class Killer:
    """Does what was planned.

    :ivar ended: what ended by itself, with the end of its output, and was started again.
    """

    airflow: DistributedAirflow
    planned: list[Kill]
    tell: Callable[[str], None]
    ended: list[str] = field(default_factory=list)
    _down: dict[str, float] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Tell whether all has been killed that was planned, and runs again."""
        return not self.planned and not self._down

    def look(self, opened: int, is_busy: bool) -> None:
        """Kill what is due, if something is under way, and start what has rested.

        :param opened: how many operations have been opened so far.
        """
        self._start()
        if self.planned and opened >= self.planned[0].after and is_busy:
            self._kill(self.planned[0])

    def _kill(self, kill: Kill) -> None:
        running = [
            name
            for name in self.airflow.components
            if kind_of(name) == kill.kind and self.airflow.is_running(name)
        ]
        if len(running) < 2:
            return  # the other one of its kind still rests
        self.planned.pop(0)
        component = running[kill.which % len(running)]
        self.airflow.crash(component, whole=kill.whole)
        self._down[component] = time.monotonic() + kill.rest
        self.tell(f"killed {component}{' with its machine' if kill.whole else ''}, for {kill.rest:.0f} s")

    def _start(self) -> None:
        for component, until in list(self._down.items()):
            if time.monotonic() >= until:
                del self._down[component]
                self.airflow.start([component])
        for component in self.airflow.components:
            if component not in self._down and not self.airflow.is_running(component):
                self.ended.append(f"{component}: {self.airflow.tail(component, 8)}")
                self.tell(f"{component} ended by itself, and is started again")
                self.airflow.start([component])
