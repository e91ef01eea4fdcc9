"""A stand-in for Web3Signer: real HTTP on 127.0.0.1, real signatures, and lies on demand.

Like Web3Signer it signs for the one chain it was started for, whatever the request says.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from eth_account import Account

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from eth_account.signers.local import LocalAccount

# What a request asks for in hex; everything else in it is ignored, as Web3Signer does.
_NUMBERS = ("nonce", "value", "gas", "maxFeePerGas", "maxPriorityFeePerGas")


@dataclass
class StandIn:
    """What the service answers, and what it was asked.

    :param change: makes the fields that are signed from those that were asked for.
    :param answer: replaces status and body of every answer.
    :param error: replaces the result by a JSON-RPC error, sent with this HTTP status.
    """

    account: LocalAccount
    chain_id: int
    url: str = ""
    accounts: list[str] = field(default_factory=list)
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda fields: fields
    answer: tuple[int, bytes] | None = None
    error: tuple[int, dict[str, Any]] | None = None
    hold: threading.Event | None = None

    def respond(self, request: dict[str, Any]) -> tuple[int, bytes]:
        """Return status and body for a request."""
        method, params = request["method"], request["params"]
        self.asked.append((method, params))
        if self.hold is not None:
            self.hold.wait(30)
        if self.answer is not None:
            return self.answer
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if self.error is not None:
            status, error = self.error
            return status, json.dumps(body | {"error": error}).encode()
        result = self.accounts if method == "eth_accounts" else self.sign(params[0])
        return 200, json.dumps(body | {"result": result}).encode()

    def sign(self, asked: dict[str, str]) -> str:
        """Sign what was asked for, or what `change` makes of it."""
        fields: dict[str, Any] = {name: int(asked[name], 16) for name in _NUMBERS}
        fields |= {"type": 2, "chainId": self.chain_id, "to": asked["to"], "data": asked["data"]}
        signed = self.account.sign_transaction(self.change(fields))
        return f"0x{bytes(signed.raw_transaction).hex()}"


@contextmanager
def stand_in(key: str, chain_id: int, *, tls: ssl.SSLContext | None = None) -> Iterator[StandIn]:
    """Serve until the end of the block. Each answer ends its connection."""
    account = Account.from_key(key)
    service = StandIn(account, chain_id, accounts=[account.address.lower()])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = service.respond(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that went away."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        if service.hold is not None:
            service.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
