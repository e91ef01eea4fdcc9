"""The HTTP side, against a server that misbehaves in one way at a time."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from include.venues.errors import OutcomeUnknown, Unavailable
from include.venues.evm.chain import Chain
from include.venues.evm.errors import NonceTooLow, Reverted
from include.venues.evm.types import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "kEyOf32lettersThatNobodyMaySee"
OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


class Server:
    """Answers each POST with `behaviour`, and counts requests and connections."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.connections = 0
        self.behaviour: Callable[[BaseHTTPRequestHandler], None] = lambda handler: respond(handler, b"{}")
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append(json.loads(body))
                outer.behaviour(self)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.host = f"127.0.0.1:{self._http.server_port}"

    def chain(self, timeout: float = 5.0) -> Chain:
        return Chain(f"http://{self.host}/v2/{KEY}", chain_id=8453, name="base", timeout=timeout)

    def close(self) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def respond(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def rpc(**fields: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 0, **fields}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def cut(server: Server) -> Callable[[BaseHTTPRequestHandler], None]:
    def behaviour(handler: BaseHTTPRequestHandler) -> None:
        respond(handler, b'{"jsonrpc"', length=100)
        handler.close_connection = True

    return behaviour


def hang_up(server: Server) -> Callable[[BaseHTTPRequestHandler], None]:
    def behaviour(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    return behaviour


def stay_silent(server: Server) -> Callable[[BaseHTTPRequestHandler], None]:
    def behaviour(handler: BaseHTTPRequestHandler) -> None:
        server.release.wait(10)
        handler.close_connection = True

    return behaviour


def trickle(server: Server) -> Callable[[BaseHTTPRequestHandler], None]:
    def behaviour(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        respond(handler, b"", length=10_000)
        while not server.release.wait(0.05):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return

    return behaviour


def fixed(body: bytes, status: int = 200, **headers: str) -> Callable[[Server], Callable[..., None]]:
    return lambda _: lambda handler: respond(handler, body, status, None, **headers)


TROUBLES = [
    pytest.param(fixed(b"<html>busy</html>", 503), "HTTP 503", id="503"),
    pytest.param(fixed(b"", 500), "HTTP 500", id="500"),
    pytest.param(fixed(b'{"message": "no such key"}', 401), "HTTP 401", id="401"),
    pytest.param(fixed(b"", 307, Location="http://127.0.0.1:1/"), "HTTP 307", id="redirect"),
    pytest.param(
        fixed(rpc(error={"code": -32005, "message": "slow down"}), 429), "limits our requests", id="429"
    ),
    pytest.param(fixed(b"<html>hello</html>"), "not JSON", id="html"),
    pytest.param(fixed(b"\xff\xfe"), "not JSON", id="not-text"),
    pytest.param(fixed(b""), "not JSON", id="empty"),
    pytest.param(fixed(b"[" * 100_000), "not JSON", id="too-deep"),
    pytest.param(fixed(b"{}"), "malformed", id="neither-result-nor-error"),
    pytest.param(cut, "gave no answer", id="cut-short"),
    pytest.param(hang_up, "gave no answer", id="hung-up"),
    pytest.param(stay_silent, r"no answer within 0\.5 s", id="silent"),
    pytest.param(trickle, r"no answer within 0\.5 s", id="trickles"),
]


@pytest.mark.parametrize(("trouble", "said"), TROUBLES)
def test_trouble__read__unavailable_and_the_key_stays_hidden(
    server: Server, trouble: Callable[[Server], Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour = trouble(server)

    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable, match=said) as caught:
        server.chain(timeout=0.5).balance(OWNER)

    seen: BaseException | None = caught.value
    while seen is not None:
        assert KEY not in f"{seen!r} {seen}"
        seen = seen.__cause__ or seen.__context__
    assert server.host in str(caught.value)
    assert KEY not in caplog.text
    assert len(server.requests) == 1


@pytest.mark.parametrize(("trouble", "said"), TROUBLES)
def test_trouble__broadcast__outcome_unknown_after_exactly_one_request(
    server: Server, trouble: Callable[[Server], Any], said: str
) -> None:
    server.behaviour = trouble(server)

    with pytest.raises(OutcomeUnknown, match=said):
        server.chain(timeout=0.5).broadcast(b"\x02")

    assert [request["method"] for request in server.requests] == ["eth_sendRawTransaction"]


def test_429__retry_after__passed_on(server: Server) -> None:
    server.behaviour = lambda handler: respond(handler, b"", 429, Retry_After="7")

    with pytest.raises(Unavailable) as caught:
        server.chain().balance(OWNER)

    assert caught.value.retry_after == 7


@pytest.mark.parametrize("status", [400, 500])
def test_error_of_the_node_under_an_http_error__taken_for_what_it_says(server: Server, status: int) -> None:
    error = {"code": 3, "message": "execution reverted: Pausable: paused", "data": "0x"}
    server.behaviour = lambda handler: respond(handler, rpc(error=error), status)
    with pytest.raises(Reverted, match="Pausable: paused"):
        server.chain().call(Call(OWNER, b""))

    error = {"code": -32000, "message": "nonce too low"}
    server.behaviour = lambda handler: respond(handler, rpc(error=error), status)
    with pytest.raises(NonceTooLow):
        server.chain().broadcast(b"\x02")


def test_compressed_answer__read(server: Server) -> None:
    body = gzip.compress(rpc(result="0x7"))
    server.behaviour = lambda handler: respond(handler, body, Content_Encoding="gzip")

    assert server.chain().balance(OWNER) == 7


def test_connection__kept_for_the_next_request_of_any_thread_and_never_shared(server: Server) -> None:
    server.behaviour = lambda handler: respond(handler, rpc(result="0x7"))
    chain = server.chain()

    assert [chain.balance(OWNER) for _ in range(3)] == [7, 7, 7]
    thread = threading.Thread(target=chain.balance, args=(OWNER,))
    thread.start()
    thread.join()
    assert server.connections == 1

    both = threading.Barrier(2)

    def answer_together(handler: BaseHTTPRequestHandler) -> None:
        both.wait(5)
        respond(handler, rpc(result="0x7"))

    server.behaviour = answer_together
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(chain.balance, (OWNER, OWNER))) == [7, 7]
    assert server.connections == 2
