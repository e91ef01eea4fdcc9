"""The Broker API over HTTP: routes, credentials, limits, faults."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router

from include.sandbox.alpaca import market, orders, tokenization, wallets
from include.sandbox.alpaca.auth import Authority
from include.sandbox.alpaca.errors import UNAUTHORIZED, ApiError, coded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from include.sandbox.alpaca.core import Core
    from include.sandbox.alpaca.faults import Fault

NGINX = "<html>\r\n<head><title>{0}</title></head>\r\n<body><center><h1>{0}</h1></center></body>\r\n</html>"
REASONS = {
    401: "401 Authorization Required", 500: "500 Internal Server Error", 502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable", 504: "504 Gateway Time-out",
}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What a handler sees of a request."""

    path: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """Return the body as JSON, or None when it is not JSON, which no handler accepts."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


@dataclass(frozen=True)
class Reply:
    """An answer that is not just a body with 200."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def _mint(core: Core, call: Call) -> Reply:
    answer, replayed = tokenization.accept_mint(core, call.json(), call.headers.get("idempotency-key"))
    return Reply(answer, headers={"Idempotent-Replayed": "true"} if replayed else {})


def _whitelist_delete(core: Core, call: Call) -> Reply:
    wallets.remove_from_whitelist(core, call.path["entry_id"])
    return Reply(None)


def _cancel(core: Core, call: Call) -> Reply:
    orders.cancel(core, call.path["order_id"])
    return Reply(None, status=204)


_A, _T = "/v1/accounts/{account_id}", "/v1/trading/accounts/{account_id}"

HANDLERS: dict[str, tuple[str, str, Callable[[Core, Call], Any]]] = {
    "account": ("GET", f"{_T}/account", lambda core, _: market.account(core)),
    "positions": ("GET", f"{_T}/positions", lambda core, _: market.positions(core)),
    "position": (
        "GET",
        f"{_T}/positions/{{symbol}}",
        lambda core, c: market.position(core, c.path["symbol"]),
    ),
    "assets": ("GET", "/v1/assets", lambda core, _: market.assets(core)),
    "asset": ("GET", "/v1/assets/{symbol}", lambda core, c: market.asset(core, c.path["symbol"])),
    "clock": ("GET", "/v1/clock", lambda core, _: market.clock(core)),
    "mint": ("POST", f"{_A}/tokenization/mint", _mint),
    "requests": (
        "GET",
        f"{_A}/tokenization/requests",
        lambda core, c: tokenization.list_requests(core, c.query),
    ),
    "request_by_client_id": (
        "GET",
        f"{_A}/tokenization/requests:by_client_request_id",
        lambda core, c: tokenization.request_by_client_id(core, c.query.get("client_request_id")),
    ),
    "request": (
        "GET",
        f"{_A}/tokenization/requests/{{request_id}}",
        lambda core, c: tokenization.request_by_id(core, c.path["request_id"]),
    ),
    "wallets": ("GET", f"{_A}/wallets", lambda core, c: wallets.deposit_wallets(core, c.query)),
    "transfers": ("GET", f"{_A}/wallets/transfers", lambda core, _: wallets.list_transfers(core)),
    "transfer": (
        "GET",
        f"{_A}/wallets/transfers/{{transfer_id}}",
        lambda core, c: wallets.transfer_by_id(core, c.path["transfer_id"]),
    ),
    "withdraw": ("POST", f"{_A}/wallets/transfers", lambda core, c: wallets.withdraw(core, c.json())),
    "whitelists": ("GET", f"{_A}/wallets/whitelists", lambda core, _: wallets.list_whitelist(core)),
    "whitelist_add": (
        "POST",
        f"{_A}/wallets/whitelists",
        lambda core, c: wallets.add_to_whitelist(core, c.json()),
    ),
    "whitelist_delete": ("DELETE", f"{_A}/wallets/whitelists/{{entry_id}}", _whitelist_delete),
    "fee_estimate": ("GET", "/v1/wallets/fees/estimate", lambda core, c: wallets.fee_estimate(core, c.query)),
    "order": ("POST", f"{_T}/orders", lambda core, c: orders.place(core, c.json())),
    "orders": ("GET", f"{_T}/orders", lambda core, c: orders.list_orders(core, c.query)),
    "order_by_client_id": (
        "GET",
        f"{_T}/orders:by_client_order_id",
        lambda core, c: orders.order_by_client_id(core, c.query.get("client_order_id")),
    ),
    "order_by_id": (
        "GET",
        f"{_T}/orders/{{order_id}}",
        lambda core, c: orders.order_by_id(core, c.path["order_id"]),
    ),
    "order_cancel": ("DELETE", f"{_T}/orders/{{order_id}}", _cancel),
}
"""Every endpoint by its name: method, path, handler. The handlers run under the core's lock."""


class Hangup(Response):
    """No answer at all: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection under the server's feet."""
        transport = getattr(getattr(scope["sandbox.send"], "__self__", None), "transport", None)
        if transport is None:  # not behind uvicorn: the closest thing there is
            raise ConnectionResetError("the sandbox closed the connection")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class AlpacaApp:
    """The ASGI application."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._authority = Authority(core)
        self._minute, self._used = 0, 0
        routes = [
            Route(path, self._endpoint(name, handler), methods=[method])
            for name, (method, path, handler) in HANDLERS.items()
        ]
        self._router = Router([Route("/v1/oauth2/token", self._token, methods=["POST"]), *routes])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Every answer carries a request id and the state of the rate limit."""
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        scope["sandbox.send"] = send
        scope["sandbox.over_limit"], limits = self._count()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, {"X-Request-ID": str(uuid.uuid4()), **limits})
            await send(message)

        await self._router(scope, receive, send_with_headers)

    def _count(self) -> tuple[bool, dict[str, str]]:
        limit = self._core.rules.requests_per_minute
        minute = math.floor(self._core.clock().timestamp() / 60)
        if minute != self._minute:
            self._minute, self._used = minute, 0
        self._used += 1
        return self._used > limit, {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - self._used)),
            "X-RateLimit-Reset": str((minute + 1) * 60),
        }

    async def _token(self, request: Request) -> Response:
        content = await request.body()
        return await self._with_faults("token", lambda: JSONResponse(self._authority.issue(content)))

    def _endpoint(self, name: str, handler: Callable[[Core, Call], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            content = await request.body()
            if request.scope["sandbox.over_limit"]:
                return _error(coded(429, 42910000, "rate limit exceeded"))
            if not self._authority.admits(request.headers):
                return _unauthorized(name)
            call = Call(request.path_params, request.query_params, request.headers, content)
            return await self._with_faults(name, lambda: self._handle(handler, call))

        return endpoint

    def _handle(self, handler: Callable[[Core, Call], Any], call: Call) -> Response:
        core = self._core
        if call.path.get("account_id", core.profile.account_id) != core.profile.account_id:
            raise coded(404, 40410000, "account not found")
        with core.lock:
            result = handler(core, call)
        core.wake.set()
        reply = result if isinstance(result, Reply) else Reply(result)
        if reply.status == 204:
            return Response(status_code=204, headers=reply.headers)
        return JSONResponse(reply.body, reply.status, reply.headers)

    async def _with_faults(self, name: str, act: Callable[[], Response]) -> Response:
        """Act, and answer as the armed fault wants, if there is one."""
        fault = self._core.faults.answer(name)
        delay = self._core.latencies.answer + (fault.seconds if fault and fault.kind == "delay" else 0)
        if delay:
            await asyncio.sleep(delay)
        if fault and fault.kind in ("reset", "status", "html", "empty"):
            return _faulty(fault)
        try:
            response = act()
        except ApiError as error:
            response = _error(error)
        if fault and fault.kind in ("drop_answer", "status_after", "html_after"):
            return _faulty(fault)
        return response


def _faulty(fault: Fault) -> Response:
    if fault.kind in ("reset", "drop_answer"):
        return Hangup()
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.kind.startswith("html"):
        page = NGINX.format(REASONS.get(fault.status, str(fault.status)))
        return HTMLResponse(page, fault.status, headers)
    if fault.kind == "empty":
        return Response(status_code=fault.status, headers=headers)
    code = fault.status * 100_000 + 10_000
    return JSONResponse({"code": code, "message": "injected by the sandbox"}, fault.status, headers)


def _error(error: ApiError) -> Response:
    return JSONResponse(error.body, error.status)


def _unauthorized(name: str) -> Response:
    # Three shapes, as seen at the real one: with a code, with a message only, and a page of HTML.
    if name in ("mint", "requests", "request", "request_by_client_id"):
        return _error(UNAUTHORIZED)
    if name == "clock":
        return HTMLResponse(NGINX.format(REASONS[401]), 401)
    return JSONResponse({"message": "unauthorized."}, 401)


def _add_headers(message: MutableMapping[str, Any], headers: dict[str, str]) -> None:
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    message["headers"] = [*message.get("headers", []), *pairs]
