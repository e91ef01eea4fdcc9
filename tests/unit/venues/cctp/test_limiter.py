from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.venues.cctp.limiter import RequestLimiter, shared_limiter
from include.venues.errors import Unavailable


class Clock:
    """A clock that moves only when told, or when someone sleeps on it."""

    def __init__(self) -> None:
        self.time = 1_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def limiter(clock: Clock, *, per_second: float = 2, burst: int = 3, max_wait: float = 1) -> RequestLimiter:
    return RequestLimiter(
        per_second=per_second, burst=burst, max_wait=max_wait, now=clock.now, sleep=clock.sleep
    )


def test_acquire__burst__then_one_each_interval() -> None:
    clock = Clock()
    bounded = limiter(clock)

    for _ in range(6):
        bounded.acquire()

    assert clock.slept == pytest.approx([0.5, 0.5, 0.5])


def test_acquire__after_a_long_pause__allows_no_more_than_the_burst() -> None:
    clock = Clock()
    bounded = limiter(clock)
    bounded.acquire()
    clock.time += 3_600

    for _ in range(4):
        bounded.acquire()

    assert clock.slept == pytest.approx([0.5])


def test_acquire__turn_too_far_away__is_refused_without_taking_it() -> None:
    clock = Clock()
    bounded = limiter(clock, per_second=0.1, burst=1)
    bounded.acquire()

    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            bounded.acquire()
        assert caught.value.retry_after == pytest.approx(10)
    clock.time += 10
    bounded.acquire()

    assert clock.slept == []


def test_stand_down__until_it_is_over__refuses_with_what_remains() -> None:
    clock = Clock()
    bounded = limiter(clock)
    bounded.stand_down(300)
    bounded.stand_down(5)  # does not shorten it
    clock.time += 100

    with pytest.raises(Unavailable, match="standing down") as caught:
        bounded.acquire()
    assert caught.value.retry_after == pytest.approx(200)
    clock.time += 200
    bounded.acquire()


def test_stand_down__while_another_waits_for_its_turn__stops_that_one_too() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.time += seconds
        bounded.stand_down(300)

    bounded = RequestLimiter(per_second=2, burst=1, max_wait=1, now=clock.now, sleep=sleep)
    bounded.acquire()

    with pytest.raises(Unavailable, match="standing down"):
        bounded.acquire()


def test_acquire__many_threads__get_distinct_turns() -> None:
    waits: list[float] = []
    bounded = RequestLimiter(per_second=1, burst=1, max_wait=1_000, now=lambda: 0.0, sleep=waits.append)

    with ThreadPoolExecutor(8) as pool:
        for turn in [pool.submit(bounded.acquire) for _ in range(40)]:
            turn.result()

    assert sorted(waits) == pytest.approx([float(n) for n in range(1, 40)])


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_limiter__lets_nothing_through__is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="something"):
        RequestLimiter(per_second=per_second, burst=burst)


def test_shared_limiter__same_service__is_the_same_object() -> None:
    assert shared_limiter("one.invalid") is shared_limiter("one.invalid")
    assert shared_limiter("one.invalid") is not shared_limiter("two.invalid")
