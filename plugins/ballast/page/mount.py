"""Where the page is in Airflow. Each of its processes reads this file, so the app is made when it is used."""

# ruff: noqa: PLC0415 - what is heavy is imported where it is used: every task's process reads this file

from __future__ import annotations

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.configuration import conf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX: Final = "/ballast"
AIRFLOW: Final = "ballast.airflow"
"""Under this name a request's scope has Airflow's own app."""

CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",  # Airflow shows it in a frame
    )
)
_HEADERS: Final = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


def views() -> list[dict[str, Any]]:
    """Return where Airflow shows the page: in the navigation, and as a tab of DAGs and of their runs."""
    page = f"{airflow_prefix()}{PREFIX}/"
    return [
        {
            "name": "Ballast",
            "href": page,
            "destination": "nav",
            "url_route": "ballast",
            "nav_top_level": True,
        },
        {
            "name": "Ballast",
            "href": f"{page}?dag_id={{DAG_ID}}",
            "destination": "dag",
            "url_route": "ballast_dag",
        },
        {
            "name": "Ballast",
            "href": f"{page}?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "ballast_run",
        },
    ]


def airflow_prefix() -> str:
    """Return the path that all of Airflow is under, without a slash at its end."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


def build() -> App:
    """Make the app."""
    from ballast.page.app import create_app

    return create_app()


class Mounted:
    """The page's app, made by the first request.

    Every answer gets the headers that keep other sites out of it.
    """

    def __init__(self, build: Callable[[], App] = build) -> None:
        self._build = build
        self._app: App | None = None
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        app = self._app
        if app is None:
            app = await asyncio.to_thread(self._made)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                own = [*_HEADERS, (b"cache-control", b"no-store")]
                added = [(name, value) for name, value in own if name not in present]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        # Airflow's own app is told here only: what is mounted puts itself in its place.
        await app({**scope, AIRFLOW: scope.get("app")}, receive, send_guarded)

    def _made(self) -> App:
        with self._lock:
            if self._app is None:
                self._app = self._build()
            return self._app
