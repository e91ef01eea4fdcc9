"""The app that answers where there is no book: nothing without a login, and then that there is none.

Where every book has a name, `/ballast/` is such a place. Airflow leads there, so it leads on to a book.
"""

# Annotations are not put off here: FastAPI reads them when a route is made.

from typing import Final

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import FastAPI, HTTPException, Request, Response, status
from fastapi.responses import FileResponse, RedirectResponse

from ballast.page.access import LoginNeeded, User, Visitor, login_url, may_see
from ballast.page.app import NO_CACHE, STATIC
from ballast.page.books import known, led_to
from ballast.page.mount import HOME
from include.settings.names import Names

_NAMELESS: Final = Names()
_METHODS: Final = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def create_nowhere() -> FastAPI:
    """Make the app."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/")
    def page(request: Request, user: Visitor, dag_id: str | None = None) -> Response:
        """Lead to the book of the DAG whose tab it is, or else to the first that one may look at."""
        _require_home(request)
        owner = next((one for one in known() if dag_id is not None and one.belongs(dag_id)), None)
        if found := owner or _first(user):
            return led_to(found, _NAMELESS, request)
        if dag_id is None:
            raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")
        return FileResponse(STATIC / "elsewhere.html", headers=NO_CACHE)

    @app.get("/runbook")
    def runbook(request: Request, user: Visitor) -> Response:
        """Lead to the runbook, which is the same for all books."""
        _require_home(request)
        if found := _first(user):
            return led_to(found, _NAMELESS, request, more="runbook")
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")

    @app.api_route("/{path:path}", methods=_METHODS)
    def anything(user: User) -> Response:
        """Say that there is nothing."""
        raise _nothing()

    app.add_exception_handler(LoginNeeded, lambda request, _: RedirectResponse(login_url(request), 303))
    return app


def _first(user: BaseUser) -> Names | None:
    return next((one for one in known() if may_see(user, one)), None)


def _require_home(request: Request) -> None:
    """Pass if this is where the book without a name would be, and not where another one would."""
    if request.scope["root_path"] != request.scope[HOME]:
        raise _nothing()


def _nothing() -> HTTPException:
    return HTTPException(status.HTTP_404_NOT_FOUND, "there is no such book")
