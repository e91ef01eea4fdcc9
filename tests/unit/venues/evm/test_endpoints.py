"""Several endpoints asked as one: who is asked when, and whose answer counts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from eth_utils.crypto import keccak

from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm.endpoints import REST_SECONDS, Endpoint, Endpoints, Memory, memory_of
from include.venues.evm.errors import NodeError, Reverted, TooLarge
from include.venues.evm.rpc import Rpc

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = 8453
LONG = 30.0
"""Longer than any test waits for."""


class Node:
    """Answers what it is told to, or raises it; and keeps the answer back until it is let go."""

    def __init__(self, name: str, said: object, *, chain_id: int = BASE, held: bool = False) -> None:
        self.name = name
        self.said = said
        self.asked: list[str] = []
        self.go = threading.Event()
        if not held:
            self.go.set()
        self.memory = Memory()
        self._chain_id = chain_id

    def make_request(self, method: str, _params: Any) -> Any:
        self.asked.append(method)
        if method == "eth_chainId":
            return {"result": hex(self._chain_id)}
        assert self.go.wait(LONG)
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(Rpc(self, label=self.name, redact=str), self.memory)


def ask(*nodes: Node, hedge_after: float | None = None, checks_chain: bool = False) -> object:
    endpoints = Endpoints(
        [node.endpoint for node in nodes],
        chain_id=BASE,
        checks_chain=checks_chain,
        hedge_after=hedge_after,
    )
    return endpoints.simulate(lambda answer: answer, "eth_call")


def result(value: object) -> dict[str, object]:
    return {"result": value}


def error(message: str, code: int = -32000) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


DEAD = Unavailable("no answer")
REFUSAL = error("execution reverted: not now", 3)


def test_first__primary_answers__nobody_else_is_asked() -> None:
    primary, second = Node("a", result("1")), Node("b", result("2"))

    assert ask(primary, second) == "1"
    assert second.asked == []


@pytest.mark.parametrize(
    "trouble", [DEAD, error("internal error"), error("header not found"), {"no": "answer"}, 7]
)
def test_first__primary_cannot_be_read__the_next_is_asked(trouble: object) -> None:
    primary, second = Node("a", trouble), Node("b", result("2"))

    assert ask(primary, second) == "2"
    assert (len(primary.asked), len(second.asked)) == (1, 1)


def test_first__none_can_be_read__says_what_the_primary_said() -> None:
    with pytest.raises(Unavailable, match="a answered eth_call with: internal error"):
        ask(Node("a", error("internal error")), Node("b", DEAD), Node("c", error("too busy")))


def test_first__primary_refuses__that_is_the_answer() -> None:
    second = Node("b", result("2"))

    with pytest.raises(Reverted, match="not now"):
        ask(Node("a", REFUSAL), second)
    assert second.asked == []


def test_first__one_without_an_answer__is_asked_after_the_others_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    primary, second = Node("a", DEAD), Node("b", result("2"))
    ask(primary, second)

    primary.said = result("1")
    assert ask(primary, second) == "2"
    now[0] += REST_SECONDS
    assert ask(primary, second) == "1"


def test_first__asks_for_a_longer_rest__gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    primary, second = Node("a", Unavailable("too many", retry_after=90.0)), Node("b", result("2"))
    ask(primary, second)

    now[0] += 89
    assert primary.memory.rests
    now[0] += 2
    assert not primary.memory.rests


@pytest.mark.parametrize("awake", [error("header not found"), TooLarge("less, please"), REFUSAL])
def test_first__one_that_answers_with_an_error__does_not_rest(awake: object) -> None:
    primary = Node("a", awake)
    try:
        assert ask(primary, Node("b", result("2"))) == "2"
    except Reverted:
        assert awake is REFUSAL
    assert not primary.memory.rests


def test_first__all_rest__are_asked_in_the_order_given() -> None:
    primary, second = Node("a", result("1")), Node("b", result("2"))
    for node in (primary, second):
        node.memory.rest()

    assert ask(primary, second) == "1"


def test_first__an_error_of_ours__is_raised_at_once() -> None:
    second = Node("b", result("2"))

    with pytest.raises(ZeroDivisionError):
        ask(Node("a", ZeroDivisionError()), second)
    assert second.asked == []


# Hedging


def test_hedge__primary_is_slow__the_second_is_asked_besides_and_the_primary_rests() -> None:
    primary, second = Node("a", result("1"), held=True), Node("b", result("2"))

    assert ask(primary, second, hedge_after=0.01) == "2"
    assert primary.asked == ["eth_call"]
    assert primary.memory.rests
    assert not second.memory.rests
    primary.go.set()


@pytest.mark.parametrize("weak", [REFUSAL, result(None), result([])])
def test_hedge__second_says_there_is_nothing__the_primary_is_waited_for(weak: object) -> None:
    primary, second = Node("a", result("1"), held=True), Node("b", weak)
    said: list[object] = []
    asking = threading.Thread(target=lambda: said.append(ask(primary, second, hedge_after=0.01)))
    asking.start()
    while not second.asked:
        asking.join(0.005)

    primary.go.set()
    asking.join(LONG)
    assert said == ["1"]


def test_hedge__second_refuses_and_the_primary_fails__the_refusal_counts() -> None:
    primary, second = Node("a", DEAD, held=True), Node("b", REFUSAL)
    threading.Timer(0.05, primary.go.set).start()

    with pytest.raises(Reverted):
        ask(primary, second, hedge_after=0.01)


def test_hedge__not_wanted__the_primary_is_waited_for() -> None:
    primary, second = Node("a", result("1"), held=True), Node("b", result("2"))
    threading.Timer(0.05, primary.go.set).start()

    assert ask(primary, second) == "1"
    assert second.asked == []


# Which chain it is


def test_chain__not_asked_for_in_this_process__is_asked_once() -> None:
    node = Node("a", result("1"))

    assert [ask(node, checks_chain=True) for _ in range(3)] == ["1", "1", "1"]
    assert node.asked == ["eth_chainId", "eth_call", "eth_call", "eth_call"]


def test_chain__primary_serves_another__is_never_believed_and_the_next_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    primary, second = Node("a", result("1"), chain_id=1), Node("b", result("2"))

    assert [ask(primary, second, checks_chain=True) for _ in range(2)] == ["2", "2"]
    assert set(primary.asked) == {"eth_chainId"}
    assert "a is chain 1, expected 8453" in caplog.text


def test_chain__none_serves_it__says_so() -> None:
    with pytest.raises(Unavailable, match="a is chain 1, expected 8453"):
        ask(Node("a", result("1"), chain_id=1), Node("b", DEAD), checks_chain=True)


def test_memory__of_an_endpoint__outlives_its_client_and_is_of_one_chain() -> None:
    memory_of("http://node.test/memory", BASE).serves = True

    assert memory_of("http://node.test/memory", BASE).serves
    assert not memory_of("http://node.test/memory", 1).serves
    assert not memory_of("http://node.test/other", BASE).serves


# Offering a transaction


def offer(*work: Callable[[], object]) -> object:
    by_name = {str(place): one for place, one in enumerate(work)}
    nodes = [Node(name, None) for name in by_name]
    endpoints = Endpoints([node.endpoint for node in nodes], chain_id=BASE)
    return endpoints.offer(lambda rpc: by_name[rpc.label]())


def fail(error: Exception) -> Callable[[], object]:
    def work() -> object:
        raise error

    return work


def test_offer__several__all_are_given_it() -> None:
    given = threading.Barrier(3)

    assert offer(*[lambda: given.wait(LONG)] * 3) in {0, 1, 2}


def test_offer__one_takes_it__returns_without_waiting_for_the_silent_one() -> None:
    silent = threading.Event()

    assert offer(lambda: silent.wait(LONG), lambda: keccak(b"")) == keccak(b"")
    silent.set()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_offer__one_refuses_and_of_one_it_is_not_known__it_is_not_known(order: tuple[int, int]) -> None:
    work = (fail(Refused("no")), fail(OutcomeUnknown("lost")))

    with pytest.raises(OutcomeUnknown, match="lost"):
        offer(*(work[place] for place in order))


def test_offer__all_refuse__what_the_primary_says() -> None:
    with pytest.raises(Refused, match="first"):
        offer(fail(Refused("first")), fail(Refused("second")))


def test_outcome__node_error_behind_unavailable__is_no_reason_to_rest() -> None:
    node = Node("a", error("method not found", -32601))
    with pytest.raises(Unavailable) as caught:
        ask(node)

    assert isinstance(caught.value.__cause__, NodeError)
    assert not node.memory.rests
