"""The app of one book's page: its files, its answers and its acts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError

from ballast.hooks import ConnectionIncomplete
from ballast.page import acts, answers, approvals, metrics, replays, runbook
from ballast.page.access import LOOK, ItsNames, LoginNeeded, Tab, login_url, look_at_page
from ballast.page.books import below, led_to
from ballast.page.mount import PREFIX, airflow_prefix
from ballast.page.source import Source
from include.exits.refusal import Refusal
from include.ledger.database import LedgerOutdated
from include.overview.reader import Unknown
from include.replay.report import UnknownReplay
from include.settings.loading import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.settings.names import Names

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
NO_CACHE: Final = {"cache-control": "no-cache"}
"""A browser asks each time whether its copy is still good, so that an update shows at once."""


def create_app(names: Names, source: Source | None = None) -> FastAPI:
    """Make the app of a book. Every route of it says what it needs; there is none without a login.

    :param names: what is judged by, read and written: nothing that it does is of another book.
    """
    app = FastAPI(
        title="Ballast",
        version="1",
        description="What the operator's page shows, and what can be done on it.",
        servers=[{"url": f"{airflow_prefix()}{PREFIX}/{below(names)}".rstrip("/")}],
        # FastAPI's own pages would be open to everybody.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.names = names
    app.state.source = source or Source(names.book)
    app.state.metrics = metrics.Answers()
    app.state.reports = replays.Kept()
    app.include_router(answers.router, prefix="/api")
    app.include_router(approvals.router, prefix="/api")  # before the verbs, which look the same
    app.include_router(acts.router, prefix="/api")
    app.include_router(replays.looks, prefix="/api")
    app.include_router(replays.acts, prefix="/api")
    app.include_router(metrics.router)
    app.include_router(runbook.router)
    files = StaticFiles(directory=STATIC, check_dir=False)

    @app.get("/", dependencies=[Depends(look_at_page)], include_in_schema=False)
    def page(asked_for: Tab, names: ItsNames, request: Request) -> Response:
        """Return the page; in the tab of another book's DAG, lead to its page; else, say whose page it is."""
        if asked_for is not None and asked_for != names:
            return led_to(asked_for, names, request)
        return FileResponse(STATIC / ("index.html" if asked_for else "elsewhere.html"), headers=NO_CACHE)

    @app.get("/static/{path:path}", dependencies=[LOOK], include_in_schema=False)
    async def static(path: str, request: Request) -> Response:
        """Return a file of the page."""
        found = await files.get_response(path, request.scope)
        found.headers.update(NO_CACHE)
        return found

    @app.get("/api/openapi.json", dependencies=[LOOK], include_in_schema=False)
    def openapi() -> dict[str, Any]:
        """Return the description of this API."""
        return app.openapi()

    app.add_exception_handler(LoginNeeded, lambda request, _: RedirectResponse(login_url(request), 303))
    app.add_exception_handler(Refusal, _saying(409))
    for unknown in (Unknown, UnknownReplay):
        app.add_exception_handler(unknown, _saying(404))
    for unusable in (SettingsError, ConnectionIncomplete, LedgerOutdated):
        app.add_exception_handler(unusable, _saying(503))
    app.add_exception_handler(SQLAlchemyError, _unreadable)
    return app


def _saying(status: int) -> Callable[[Request, Exception], Response]:
    """Return what answers with an error's own words."""

    def answer(_: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error.args[0]) if error.args else str(error)}, status)

    return answer


def _unreadable(_: Request, error: Exception) -> Response:
    """Answer that a database does not answer. Its own words may name hosts and users."""
    log.error("a database could not be read for the page", exc_info=error)
    kind = type(error).__name__
    return JSONResponse({"detail": f"a database could not be read ({kind}); the log says more"}, 503)
