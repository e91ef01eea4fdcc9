"""Stands in front of an HTTP or JSON-RPC endpoint and lies as it is told to, request by request."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import httpx
from eth_utils.crypto import keccak
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from include.sandbox import lagging
from include.sandbox.alpaca.app import NGINX, REASONS, Hangup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Scope, Send

KINDS = {
    "reset": "close the connection; the venue never hears of the request",
    "status": "answer `status` with a JSON error; the venue never hears of it",
    "html": "answer `status` with an HTML page; the venue never hears of it",
    "answer": "answer `result`, for JSON-RPC as the result; the venue never hears of it",
    "error": "JSON-RPC: answer the error `code`, `message`; the node never hears of it",
    "swallow": "JSON-RPC: answer a raw transaction's hash; the node never hears of it",
    "lagging": "JSON-RPC: answer as a node would whose newest block is `block`; it passes transactions on",
    "delay": "pass it on after `seconds`, and answer then, whether or not anybody still listens",
    "late": "pass it on at once, and answer after `seconds`",
    "lost": "pass it on, then close the connection without an answer",
    "half": "pass it on, then close the connection in the middle of the answer's body",
    "malformed": "pass it on, then answer 200 with something that is not JSON",
    "status_after": "pass it on, then answer `status` with a JSON error",
    "html_after": "pass it on, then answer `status` with an HTML page",
    "error_after": "JSON-RPC: pass it on, then answer the error `code`, `message`",
    "edit": "pass it on, then answer what `edit` makes of the answer's JSON",
}
"""What can go wrong with a request. What has `after` in its name or description happens to a done deed."""

_SILENT = ("reset", "status", "html", "answer", "error", "swallow")
_NOT_FORWARDED = ("host", "content-length", "connection", "accept-encoding", "transfer-encoding")
_NOT_RETURNED = ("content-length", "content-encoding", "connection", "transfer-encoding")
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Rule:
    """What happens to some requests.

    :param match: a glob on the request's name: the JSON-RPC method, or method and path of any other, such as
        `POST *tokenization/mint`.
    :param kind: a key of `KINDS`.
    :param containing: only requests whose body has this text in it.
    :param times: how many requests it hits; None never ends.
    :param after: how many matching requests pass first.
    :param every: of the matching ones after that, hit the first of so many; 2 is every other one.
    """

    match: str
    kind: str
    containing: str = ""
    times: int | None = 1
    after: int = 0
    every: int = 1
    status: int = 500
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 1.0
    block: int = 0
    code: int = -32000
    message: str = "injected by the sandbox"
    result: Any = None
    edit: Callable[[Any], Any] = lambda content: content

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}")


@dataclass(frozen=True)
class Seen:
    """A request that came in. `fault` is the kind of the rule that hit it, `name` as in `Rule.match`."""

    name: str
    body: bytes
    fault: str | None


@dataclass
class _Armed:
    rule: Rule
    matched: int = 0
    hits: int = 0

    @property
    def is_spent(self) -> bool:
        return self.rule.times is not None and self.hits >= self.rule.times

    def takes(self, name: str, body: bytes) -> bool:
        """Count a request, and tell whether it is hit."""
        rule = self.rule
        if not fnmatchcase(name, rule.match) or rule.containing.encode() not in body:
            return False
        self.matched += 1
        turn = self.matched - rule.after - 1
        if turn < 0 or turn % rule.every:
            return False
        self.hits += 1
        return True


@dataclass
class _Exchange:
    """A request, and what the target said to it where it was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    call: dict[str, Any] | None = field(init=False)

    def __post_init__(self) -> None:
        try:
            content = json.loads(self.body or b"null")
        except ValueError:
            content = None
        self.call = content if isinstance(content, dict) and "jsonrpc" in content else None

    @property
    def name(self) -> str:
        """What rules are matched with."""
        return str(self.call.get("method")) if self.call else f"{self.method} {self.path.partition('?')[0]}"

    @property
    def rpc(self) -> dict[str, Any]:
        """The JSON-RPC request.

        :raises ValueError: it is none.
        """
        if self.call is None:
            raise ValueError(f"{self.name} is no JSON-RPC request")
        return self.call


class FaultProxy:
    """An ASGI application that passes everything on to `target_url`, but for what rules say.

    Rules are used in the order in which they were armed. Arming, clearing and reading are safe from any
    thread.
    """

    def __init__(self, target_url: str) -> None:
        self._target = target_url.rstrip("/")
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._seen: list[Seen] = []
        self._under_way = 0
        self._client: httpx.AsyncClient | None = None

    # What tests do with it

    def arm(self, *rules: Rule) -> None:
        """Add rules behind those already armed."""
        with self._lock:
            self._armed += [_Armed(rule) for rule in rules]

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def forget(self) -> None:
        """Empty the log of requests."""
        with self._lock:
            self._seen.clear()

    @property
    def seen(self) -> list[Seen]:
        """The requests that came in, oldest first."""
        with self._lock:
            return list(self._seen)

    @property
    def hits(self) -> int:
        """How many of them a rule has hit."""
        return sum(one.fault is not None for one in self.seen)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way; a delayed request is, even if its client has gone."""
        with self._lock:
            return self._under_way == 0

    # The work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        scope["sandbox.send"] = send
        request = Request(scope, receive)
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        exchange = _Exchange(
            request.method, f"{scope['path']}{query}", dict(request.headers), await request.body()
        )
        with self._counted():
            response = await self._respond(exchange)
            await response(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as self._client:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1

    def _take(self, exchange: _Exchange) -> Rule | None:
        with self._lock:
            rule = next(
                (armed.rule for armed in self._armed if armed.takes(exchange.name, exchange.body)), None
            )
            self._armed = [armed for armed in self._armed if not armed.is_spent]
            self._seen.append(Seen(exchange.name, exchange.body, rule.kind if rule else None))
            return rule

    async def _respond(self, exchange: _Exchange) -> Response:
        rule = self._take(exchange)
        if rule is None:
            return await self._forward(exchange)
        if rule.kind in _SILENT:
            return _instead(rule, exchange)
        if rule.kind == "lagging":
            return await self._lagging(rule, exchange)
        if rule.kind == "delay":
            await asyncio.sleep(rule.seconds)
        answer = await self._forward(exchange)
        if rule.kind == "late":
            await asyncio.sleep(rule.seconds)
        return _spoilt(rule, exchange, answer)

    async def _forward(self, exchange: _Exchange, body: bytes | None = None) -> Response:
        if self._client is None:
            raise RuntimeError("the server did not start this application")
        headers = {name: value for name, value in exchange.headers.items() if name not in _NOT_FORWARDED}
        try:
            answer = await self._client.request(
                exchange.method,
                self._target + exchange.path,
                content=exchange.body if body is None else body,
                headers=headers,
            )
        except httpx.HTTPError:
            return Hangup()
        returned = {name: value for name, value in answer.headers.items() if name not in _NOT_RETURNED}
        return Response(answer.content, answer.status_code, returned)

    async def _lagging(self, rule: Rule, exchange: _Exchange) -> Response:
        known = lagging.answer_without_asking(exchange.rpc, rule.block)
        if known is not None:
            return JSONResponse(known)
        request = lagging.asked_as_of(exchange.rpc, rule.block)
        answer = await self._forward(exchange, json.dumps(request).encode())
        return JSONResponse(lagging.answered_as_of(request, json.loads(bytes(answer.body)), rule.block))


class _HalfAnswer(Response):
    """Half of an answer's body, after which the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the half and close the connection under the server's feet."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope["sandbox.send"].__self__.transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


def _instead(rule: Rule, exchange: _Exchange) -> Response:
    """Answer in place of the target."""
    if rule.kind == "reset":
        return Hangup()
    if rule.kind == "error":
        return _rpc_error(rule, exchange)
    if rule.kind == "swallow":
        raw = bytes.fromhex(exchange.rpc["params"][0].removeprefix("0x"))
        return _rpc_result(exchange, f"0x{keccak(raw).hex()}")
    if rule.kind == "answer":
        if exchange.call is not None:
            return _rpc_result(exchange, rule.result)
        return JSONResponse(rule.result, 200)
    return _failure(rule)


def _spoilt(rule: Rule, exchange: _Exchange, answer: Response) -> Response:
    """Make of the target's answer what the rule wants."""
    if rule.kind in ("status_after", "html_after"):
        return _failure(rule)
    if rule.kind == "error_after":
        return _rpc_error(rule, exchange)
    match rule.kind:
        case "lost":
            answer = Hangup()
        case "half":
            answer = _HalfAnswer(answer.body, answer.status_code, media_type="application/json")
        case "malformed":
            answer = Response(b'{"id": 1, "res', 200, media_type="application/json")
        case "edit":
            answer = JSONResponse(rule.edit(json.loads(bytes(answer.body))), answer.status_code)
    return answer


def _failure(rule: Rule) -> Response:
    headers = dict(rule.headers)
    if rule.kind.startswith("html"):
        page = NGINX.format(REASONS.get(rule.status, str(rule.status)))
        return HTMLResponse(page, rule.status, headers)
    body = {"code": rule.status * 100_000 + 10_000, "message": rule.message}
    return JSONResponse(body, rule.status, headers)


def _rpc_result(exchange: _Exchange, result: Any) -> Response:
    return JSONResponse({"jsonrpc": "2.0", "id": exchange.rpc.get("id"), "result": result})


def _rpc_error(rule: Rule, exchange: _Exchange) -> Response:
    error = {"code": rule.code, "message": rule.message}
    return JSONResponse({"jsonrpc": "2.0", "id": exchange.rpc.get("id"), "error": error})
