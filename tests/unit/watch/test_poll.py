"""However many wait, a source is looked at once in a while, and the last wait ends it."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from include.venues.errors import Refused, Unavailable
from include.watch import poll
from include.watch.poll import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine


class Inline(Executor):
    """Runs at once what others would run in a thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Source:
    """Answers with what comes next; at the end, with what came last."""

    name = "the venue"

    def __init__(self, *looks: Collection[str] | Exception, at_least_every: float | None = None) -> None:
        self.at_least_every = at_least_every
        self.looked: list[tuple[str, ...]] = []
        self._looks = list(looks)

    def look(self, waiting: Collection[str]) -> Collection[str]:
        self.looked.append(tuple(waiting))
        found = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        if isinstance(found, Exception):
            raise found
        return found


class Bench:
    """A hub whose sleep takes no time, and ends after a number of them."""

    def __init__(self, *, sleeps: int = 1000) -> None:
        self.slept: list[float] = []
        self.refusals = 0
        self.hub = Hub(Inline(), refused=self._refused, sleep=self._sleep)
        self._sleeps = sleeps

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) >= self._sleeps:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)

    def _refused(self) -> None:
        self.refusals += 1

    def until(self, source: Source, wait: str = "a", every: float = 10) -> Coroutine[Any, Any, None]:
        return self.hub.until(wait, key="venue", source=lambda: source, every=every)


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_until__a_look_finds_it__returns_and_the_poll_ends() -> None:
    source = Source([], [], ["a"])

    async def scenario() -> None:
        bench = Bench()
        await bench.until(source)
        looks = len(source.looked)
        await settle()
        assert bench.hub.sources == []
        assert len(source.looked) == looks == 3
        assert bench.slept[:2] == [10, 10]

    asyncio.run(scenario())


def test_until__a_thousand_wait__one_look_serves_all() -> None:
    source = Source([], [str(number) for number in range(1000)])

    async def scenario() -> None:
        bench = Bench()
        await asyncio.gather(*(bench.until(source, str(number)) for number in range(1000)))
        assert bench.hub.sources == []

    asyncio.run(scenario())
    assert len(source.looked) == 2
    assert len(source.looked[-1]) == 1000


def test_until__two_wait_for_the_same__both_are_woken_and_it_is_asked_once() -> None:
    source = Source([], ["a"])

    async def scenario() -> None:
        bench = Bench()
        await asyncio.gather(bench.until(source), bench.until(source))

    asyncio.run(scenario())
    assert source.looked[-1] == ("a",)


def test_until__another_wait_is_over__goes_on_waiting() -> None:
    source = Source(["b"])

    async def scenario() -> None:
        bench = Bench(sleeps=20)
        waits = {name: asyncio.ensure_future(bench.until(source, name)) for name in "ab"}
        await settle()
        assert waits["b"].done()
        assert not waits["a"].done()
        assert source.looked[-1] == ("a",)
        waits["a"].cancel()
        await settle()
        assert bench.hub.sources == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("everys", "at_least_every", "expected"), [([10, 4, 30], None, 4), ([10, 30], 3.0, 3.0), ([1], 3.0, 1)]
)
def test_pause__several_wait__is_what_the_least_patient_wants(
    everys: list[float], at_least_every: float | None, expected: float
) -> None:
    source = Source([], at_least_every=at_least_every)

    async def scenario() -> list[float]:
        bench = Bench(sleeps=1)
        for number, every in enumerate(everys):
            asyncio.ensure_future(bench.until(source, str(number), every))  # noqa: RUF006 - ends with the loop
        await settle()
        return bench.slept

    assert asyncio.run(scenario()) == [expected]


def test_look__venue_is_away__nobody_is_woken_and_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, poll.__name__)
    away = Unavailable("no answer")
    source = Source(away, away, away, [], away, ["a", "b"])

    async def scenario() -> list[float]:
        bench = Bench()
        await asyncio.gather(bench.until(source, "a", 4), bench.until(source, "b", 4))
        return bench.slept

    slept = asyncio.run(scenario())

    assert slept[:5] == [8, 16, 30, 4, 8]
    assert caplog.messages == [
        "the venue cannot be looked at, for 2 waits: no answer",
        "the venue can be looked at again",
        "the venue cannot be looked at, for 2 waits: no answer",
        "the venue can be looked at again",
    ]


def test_look__venue_wants_peace__gets_it() -> None:
    source = Source(Unavailable("too many requests", retry_after=300), ["a"])

    async def scenario() -> list[float]:
        bench = Bench()
        await bench.until(source)
        return bench.slept

    assert asyncio.run(scenario())[0] == 300


def test_look__venue_refuses__connections_are_read_again() -> None:
    source = Source(Refused("the key is not known"), ["a"])

    async def scenario() -> int:
        bench = Bench()
        await bench.until(source)
        return bench.refusals

    assert asyncio.run(scenario()) == 1


def test_look__a_fault_of_ours__nobody_is_woken_and_it_looks_again(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(KeyError("a bug"), KeyError("a bug"), ["a"])

    async def scenario() -> None:
        await Bench().until(source)

    asyncio.run(scenario())

    assert len(source.looked) == 3
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "WARNING"] == [
        True
    ]


def test_run__begun_by_a_task__logs_in_no_tasks_name() -> None:
    task: ContextVar[str] = ContextVar("task", default="nobody")
    seen: list[str] = []

    class Asking(Source):
        async def noted(self) -> None:
            seen.append(task.get())

    async def scenario() -> None:
        bench = Bench()
        source = Asking([], ["a"])
        sleep = bench.hub.sleep

        async def noting(seconds: float) -> None:
            await source.noted()
            await sleep(seconds)

        bench.hub.sleep = noting
        task.set("the first to come")
        await bench.until(source)

    asyncio.run(scenario())
    assert set(seen) == {"nobody"}


def test_rest__nobody_has_waited_for_a_while__connections_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(poll, "LINGER", 0)
    rested: list[bool] = []

    async def scenario() -> None:
        hub = Hub(Inline(), idle=lambda: rested.append(True))
        await hub.until("a", key=1, source=lambda: Source(["a"]), every=1)
        await asyncio.sleep(0.01)

    asyncio.run(scenario())
    assert rested == [True]


def test_rest__somebody_else_still_waits__connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "LINGER", 0)
    rested: list[bool] = []

    async def scenario() -> None:
        hub = Hub(Inline(), idle=lambda: rested.append(True))
        other = asyncio.ensure_future(hub.until("b", key=2, source=lambda: Source([]), every=60))
        await asyncio.sleep(0)
        await hub.until("a", key=1, source=lambda: Source(["a"]), every=1)
        await asyncio.sleep(0.01)
        assert hub.sources == ["the venue"]
        assert rested == []
        other.cancel()

    asyncio.run(scenario())
