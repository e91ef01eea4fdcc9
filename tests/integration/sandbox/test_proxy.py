"""The proxy that lies: what it passes on, what it answers instead, and how it breaks a connection."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from include.sandbox.proxy import FaultProxy, Rule
from include.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from include.sandbox.anvil import AnvilProcess


class Venue:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        routes = [Route("/{path:path}", self.answer, methods=["GET", "POST"])]
        self.app = Starlette(routes=routes)

    async def answer(self, request: Request) -> JSONResponse:
        self.heard.append(f"{request.method} {request.url.path}?{request.url.query}")
        return JSONResponse({"got": (await request.body()).decode()}, headers={"X-Request-ID": "7"})


class Stand:
    """A venue, the proxy before it, and a client."""

    def __init__(self, venue: Venue, proxy: FaultProxy, http: httpx.Client) -> None:
        self.venue, self.proxy, self.http = venue, proxy, http


@pytest.fixture
def stand() -> Iterator[Stand]:
    venue = Venue()
    with serve(venue.app) as server:
        proxy = FaultProxy(server.url)
        with serve(proxy) as front, httpx.Client(base_url=front.url, trust_env=False, timeout=5) as http:
            yield Stand(venue, proxy, http)


def test_no_rule__is_passed_on_as_it_is(stand: Stand) -> None:
    answer = stand.http.post("/a/b?c=d%20e", content="hello")
    assert answer.json() == {"got": "hello"}
    assert answer.headers["X-Request-ID"] == "7"
    assert stand.venue.heard == ["POST /a/b?c=d%20e"]
    assert [(one.name, one.body, one.fault) for one in stand.proxy.seen] == [("POST /a/b", b"hello", None)]


@pytest.mark.parametrize("kind", ["lost", "reset"])
def test_connection__closed__the_client_gets_no_answer(stand: Stand, kind: str) -> None:
    stand.proxy.arm(Rule("POST *", kind))
    with pytest.raises(httpx.TransportError):
        stand.http.post("/x")
    assert len(stand.venue.heard) == (1 if kind == "lost" else 0)
    assert stand.http.post("/x").status_code == 200


def test_half__is_an_incomplete_answer(stand: Stand) -> None:
    stand.proxy.arm(Rule("GET *", "half"))
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        stand.http.get("/x")
    assert len(stand.venue.heard) == 1


@pytest.mark.parametrize(
    ("kind", "heard"), [("status", 0), ("html", 0), ("status_after", 1), ("html_after", 1)]
)
def test_failure__with_its_status_and_headers(stand: Stand, kind: str, heard: int) -> None:
    stand.proxy.arm(Rule("GET *", kind, status=429, headers=(("Retry-After", "3"),)))
    answer = stand.http.get("/x")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
    assert len(stand.venue.heard) == heard


def test_malformed_and_edited__after_the_deed(stand: Stand) -> None:
    stand.proxy.arm(Rule("GET *", "malformed"), Rule("GET *", "edit", edit=lambda content: [content]))
    with pytest.raises(json.JSONDecodeError):
        stand.http.get("/x").json()
    assert stand.http.get("/x").json() == [{"got": ""}]
    assert len(stand.venue.heard) == 2


@pytest.mark.parametrize(("kind", "heard_at_once"), [("delay", 0), ("late", 1)])
def test_slow__the_client_is_gone_and_the_venue_hears_of_it(
    stand: Stand, kind: str, heard_at_once: int
) -> None:
    stand.proxy.arm(Rule("POST *", kind, seconds=0.5))
    with pytest.raises(httpx.ReadTimeout):
        stand.http.post("/x", timeout=0.2)
    assert len(stand.venue.heard) == heard_at_once
    while not stand.proxy.is_idle:
        time.sleep(0.01)
    assert len(stand.venue.heard) == 1


def test_rule__hits_what_it_names_and_as_often_as_it_says(stand: Stand) -> None:
    stand.proxy.arm(Rule("GET /y", "status", containing="", times=2, after=1, every=2))
    statuses = [stand.http.get("/y").status_code for _ in range(6)]
    assert statuses == [200, 500, 200, 500, 200, 200]
    assert stand.http.get("/z").status_code == 200
    assert stand.proxy.hits == 2


def test_clear__disarms(stand: Stand) -> None:
    stand.proxy.arm(Rule("*", "status", times=None))
    assert stand.http.get("/x").status_code == 500
    stand.proxy.clear()
    assert stand.http.get("/x").status_code == 200


def test_rule__of_no_known_kind__is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'flood'"):
        Rule("*", "flood")


class Node:
    """Asks a real node through a proxy."""

    def __init__(self, url: str, proxy: FaultProxy) -> None:
        self._url, self.proxy = url, proxy

    def __call__(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 5, "method": method, "params": params}
        answer = httpx.post(self._url, json=body, trust_env=False).json()
        assert answer["id"] == 5
        return answer["error"] if "error" in answer else answer["result"]


@contextmanager
def node_before(chain: AnvilProcess) -> Iterator[Node]:
    proxy = FaultProxy(chain.url)
    with serve(proxy) as front:
        yield Node(front.url, proxy)


def test_node__answers_nulls_errors_and_hashes_of_what_it_swallowed(base_chain: AnvilProcess) -> None:
    with node_before(base_chain) as ask:
        ask.proxy.arm(
            Rule("eth_blockNumber", "answer", result=None),
            Rule("eth_blockNumber", "error", code=-7, message="no"),
            Rule("eth_sendRawTransaction", "swallow"),
        )
        assert ask("eth_blockNumber") is None
        assert ask("eth_blockNumber") == {"code": -7, "message": "no"}
        assert ask("eth_sendRawTransaction", "0x02") == (
            "0xf2ee15ea639b73fa3db9b34a245bdfa015c260c598b211bf05a1ecc4b3e3b4f2"
        )
        assert int(ask("eth_blockNumber"), 16) == int(base_chain.rpc.request("eth_blockNumber"), 16)


def test_node__that_lags__knows_nothing_of_later_blocks(base_chain: AnvilProcess) -> None:
    somebody, other = "0x" + "5a" * 20, "0x" + "5b" * 20
    rpc, snapshot = base_chain.rpc, base_chain.snapshot()
    rpc.request("anvil_setBalance", somebody, hex(10**18))
    base_chain.mine()
    head = int(rpc.request("eth_blockNumber"), 16)
    receipt = rpc.send(somebody, other, value=7)
    with node_before(base_chain) as ask:
        ask.proxy.arm(Rule("eth_*", "lagging", block=head, times=None))
        assert int(ask("eth_blockNumber"), 16) == head
        assert int(ask("eth_getBlockByNumber", "latest", False)["number"], 16) == head
        assert ask("eth_getBlockByNumber", hex(head + 1), False) is None
        assert ask("eth_getBalance", other, "latest") == "0x0"
        assert ask("eth_getTransactionCount", somebody, "pending") == "0x0"
        assert ask("eth_getTransactionCount", somebody, hex(head + 1))["message"] == "header not found"
        assert ask("eth_getTransactionReceipt", receipt["transactionHash"]) is None
        assert ask("eth_getLogs", {"fromBlock": hex(head + 1), "toBlock": "latest"}) == []
        assert ask("eth_getLogs", {"fromBlock": hex(head), "toBlock": hex(head + 1)}) == []
        ask.proxy.clear()
        assert ask("eth_getBalance", other, "latest") == "0x7"
    base_chain.revert(snapshot)
