"""A server takes requests as soon as `serve` returns, and none once it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from include.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from starlette.requests import Request


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


APP = Starlette(routes=[Route("/", hello)])


def test_serve__two_at_once__each_answers_on_its_own_port() -> None:
    with serve(APP) as one, serve(APP) as two:
        assert one.url != two.url
        assert [httpx.get(server.url).text for server in (one, two)] == ["hello", "hello"]


def test_stop__with_an_open_connection__frees_the_port_for_the_next() -> None:
    first = serve(APP)
    port = int(first.url.rsplit(":", 1)[1])
    with httpx.Client() as client:
        assert client.get(first.url).text == "hello"
        first.stop()
        first.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(first.url)

    with serve(APP, port=port) as second:
        assert httpx.get(second.url).text == "hello"


def test_serve__port_is_taken__raises() -> None:
    with serve(APP) as running, pytest.raises(OSError, match="in use"):
        serve(APP, port=int(running.url.rsplit(":", 1)[1]))


def test_serve__application_fails_to_start__raises() -> None:
    async def broken(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "broken"})

    with pytest.raises(RuntimeError, match="did not start"):
        serve(broken)
