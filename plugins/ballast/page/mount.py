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
BOOKS: Final = "/books/"
"""Below this, with its name, is the page of a book that has one."""
AIRFLOW: Final = "ballast.airflow"
"""Under this name a request's scope has Airflow's own app."""
HOME: Final = "ballast.home"
"""Under this name it has the path that all books' pages are below."""

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


def build(book: str | None) -> App:
    """Make the app of a book; None stands for where there is none."""
    from ballast.page.app import create_app
    from ballast.page.nowhere import create_nowhere
    from include.settings.names import Names

    return create_nowhere() if book is None else create_app(Names(book))


class Mounted:
    """Hands each request to the app of its book, which is made by the first that asks for it.

    Every answer gets the headers that keep other sites out of it.
    """

    def __init__(self, build: Callable[[str | None], App] = build) -> None:
        self._build = build
        self._apps: dict[str | None, App] = {}
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        home = scope.get("root_path", "")
        book = _asked_for(scope["path"].removeprefix(home))
        app = await asyncio.to_thread(self._app_of, book)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                own = [*_HEADERS, (b"cache-control", b"no-store")]
                added = [(name, value) for name, value in own if name not in present]
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        # Airflow's own app is told here only: what is mounted puts itself in its place.
        own = {AIRFLOW: scope.get("app"), HOME: home, "root_path": f"{home}{BOOKS}{book}" if book else home}
        await app({**scope, **own}, receive, send_guarded)

    def _app_of(self, book: str) -> App:
        """Return the app of a book. Which there are is looked up each time, as their files come and go."""
        from include.settings import books

        there = book if book in books() else None
        with self._lock:
            if there not in self._apps:
                self._apps[there] = self._build(there)
            return self._apps[there]


def _asked_for(path: str) -> str:
    """Return the name of the book that a path is of, whether there is one or not; empty for the nameless."""
    return path.removeprefix(BOOKS).partition("/")[0] if path.startswith(BOOKS) else ""
