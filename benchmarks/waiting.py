"""Many waits in one event loop, as a triggerer has them. Its own process, so that it can be weighed.

    python -m benchmarks.waiting shared|alone < conditions.json

It writes a line of JSON when all wait, and one whenever a wait is over. `alone` is the usual way: each
trigger asks for itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil

from ballast.triggers import FIRST_LOOK, ConditionTrigger, shared_venues
from include.legs.conditions import Condition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG = timedelta(hours=1)
_threads = ThreadPoolExecutor(max_workers=8)


class Alone(ConditionTrigger):
    """Asks for itself, as often as its leg wants."""

    async def run(self) -> AsyncIterator[Any]:
        """Look, sleep, look again."""
        condition, loop = Condition.from_dict(self.condition), asyncio.get_running_loop()
        pause = FIRST_LOOK
        while True:
            await asyncio.sleep(pause)
            pause = self.every
            if await loop.run_in_executor(_threads, condition.holds, shared_venues(self.book)):
                break
        yield None


def say(**what: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def fire(number: int, trigger: ConditionTrigger) -> None:
    """Run one trigger until it fires."""
    async for _ in trigger.run():
        say(woken=number, at=time.time())
        return


async def watch_the_loop() -> None:
    """Tell of the longest time for which nothing else had a turn, as the triggerer's watchdog does."""
    longest = 0.0
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.1)
        late = time.monotonic() - began - 0.1
        if late > longest:
            longest = late
            say(blocked=late)


async def main(kind: type[ConditionTrigger], waits: list[dict[str, Any]]) -> None:
    """Wait for everything at once."""
    process = psutil.Process()
    await asyncio.to_thread(shared_venues, "")
    before = process.memory_info().rss
    wake_at = (datetime.now(UTC) + LONG).isoformat()
    tasks = [
        asyncio.create_task(
            fire(
                number,
                kind(
                    condition=wait["condition"],
                    every=wait["every"],
                    wake_at=wake_at,
                    operation_id=str(number),
                ),
            )
        )
        for number, wait in enumerate(waits)
    ]
    await asyncio.sleep(FIRST_LOOK + 5)
    watchdog = asyncio.create_task(watch_the_loop())
    say(waiting=len(tasks), bytes=process.memory_info().rss - before)
    await asyncio.gather(*tasks)
    watchdog.cancel()


if __name__ == "__main__":
    chosen = {"shared": ConditionTrigger, "alone": Alone}[sys.argv[1]]
    asyncio.run(main(chosen, json.loads(sys.stdin.readline())))
