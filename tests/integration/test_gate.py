"""The freeze gate over real HTTP: many at once, and servers that never come to an end."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from include import gate
from include.domain.decision import PlannedOperation, Reason
from include.domain.operation import OperationKind
from include.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = tuple(PlannedOperation(OperationKind.MINT, f"A{n}", Decimal(1)) for n in range(20))


def settings(url: str, timeout: str) -> Settings:
    return load_settings(environ={"BALLAST_GATE_URL": url, "BALLAST_GATE_TIMEOUT": timeout})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/frozen"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, content: object) -> None:
    body = json.dumps(content).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_ask__many_assets__are_asked_at_the_same_time() -> None:
    everyone_is_here = threading.Barrier(len(MANY))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        everyone_is_here.wait(timeout=20)
        asset = parse_qs(urlsplit(handler.path).query)["asset"][0]
        send(handler, {"frozen": asset == "A7", "reason": "by hand"})

    with serving(answer) as url:
        found = gate.ask(settings(url, "20"), MANY)
    assert {asset: shut.reason for asset, shut in found.items()} == {"A7": Reason.FROZEN}


def test_ask__server_sends_a_byte_now_and_then__ends_in_time() -> None:
    """No single read takes long, so that only a limit on the whole ends it."""
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not over.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            return

    with serving(drip) as url:
        began = time.monotonic()
        found = gate.ask(settings(url, "0.5"), MANY[:3])
        took = time.monotonic() - began
        over.set()
    assert {shut.reason for shut in found.values()} == {Reason.GATE_SILENT}
    assert {shut.why for shut in found.values()} == {"the gate gave no answer within 0.5 s"}
    assert len(found) == 3
    assert took < 10


def test_ask__nobody_listens__is_silence() -> None:
    with serving(lambda handler: send(handler, {})) as url:
        pass
    found = gate.ask(settings(url, "5"), MANY[:1])
    assert found["A0"].reason is Reason.GATE_SILENT
