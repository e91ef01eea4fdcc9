"""Who may look and who may act: Airflow's own login and roles decide, whichever auth manager it has.

To look at a book, one has to be allowed to read its DAG; to act, to edit it. The switch and the hold list are
Variables: to change one, one has to be allowed to edit that too. Which book it is, the request's app says, so
that a right to one book opens nothing of another.
"""

# Annotations are not put off here: FastAPI reads them when a route is made.

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails, VariableDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.configuration import conf
from airflow.models import DagModel
from airflow.models.variable import Variable
from fastapi import Depends, Header, HTTPException, Request, status

from ballast.page.books import known
from ballast.page.mount import HOME, PREFIX
from include.settings.names import Names

User = Annotated[BaseUser, Depends(get_user)]
"""Whoever is logged in; 401 where nobody is."""


def names_of(request: Request) -> Names:
    """Return what the DAGs and Variables of the book are called that the request is about."""
    found: Names = request.app.state.names
    return found


ItsNames = Annotated[Names, Depends(names_of)]


def _require(method: Literal["GET", "PUT"], request: Request, user: BaseUser) -> None:
    requires_access_dag(method, param_dag_id=names_of(request).dag)(request, user)


def look(request: Request, user: User) -> None:
    """Let those pass who may look; 403 for the others."""
    _require("GET", request, user)


def act(request: Request, user: User) -> None:
    """Let those pass who may do more than look; 403 for the others."""
    _require("PUT", request, user)


LOOK: Final = Depends(look)
ACT: Final = Depends(act)


class LoginNeeded(Exception):
    """Nobody is logged in, and it is a person who asks for a page."""


async def visitor(request: Request) -> BaseUser:
    """Return whoever is logged in.

    :raises LoginNeeded: where nobody is, or the login is over.
    """
    try:
        return await get_user(request, None, await bearer_scheme(request))
    except HTTPException:
        raise LoginNeeded from None


Visitor = Annotated[BaseUser, Depends(visitor)]
"""Whoever is logged in; who is not is sent to the login."""


def tab(names: ItsNames, dag_id: str | None = None) -> Names | None:
    """Return which book's page is asked for; None in a tab of somebody else's DAG.

    Airflow shows the page of the book without a name as a tab of every DAG.
    """
    if dag_id is None or names.belongs(dag_id):
        return names
    return next((one for one in known() if one.belongs(dag_id)), None)


Tab = Annotated[Names | None, Depends(tab)]


def look_at_page(request: Request, user: Visitor, asked_for: Tab, names: ItsNames) -> None:
    """Let those pass who may look, and send those to the login who are not logged in."""
    if asked_for == names:  # else a few words are shown, or another page that looks for itself
        _require("GET", request, user)


def look_at_text(request: Request, user: Visitor) -> None:
    """Let those pass who may look, of those who open a link, and send the others to the login."""
    _require("GET", request, user)


async def may_look(request: Request) -> None:
    """Let those pass who are logged in and may look; 401 for who is not, 403 for who may not."""
    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:
        # Airflow says 403 of a token that is none of its own.
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "this needs a login or a token") from error
    _require("GET", request, user)


def may_see(user: BaseUser, names: Names) -> bool:
    """Tell whether somebody may look at a book."""
    return _may("GET", user, names)


def may_act(user: BaseUser, names: Names) -> bool:
    """Tell whether somebody may do more with a book than look."""
    return _may("PUT", user, names)


def may_steer(user: BaseUser, names: Names) -> bool:
    """Tell whether somebody may turn the switch of a book and hold its assets back."""
    return may_act(user, names) and all(_may_edit(name, user) for name in (names.switch, names.hold))


def _may(method: Literal["GET", "PUT"], user: BaseUser, names: Names) -> bool:
    details = DagDetails(id=names.dag, team_name=DagModel.get_team_name(names.dag))
    return get_auth_manager().is_authorized_dag(method=method, details=details, user=user)


def edits(variable: Callable[[Names], str]) -> Any:
    """Let those pass who may edit a Variable of the book, as an act does that ends in it."""

    def required(user: User, names: ItsNames) -> None:
        name = variable(names)
        if not _may_edit(name, user):
            detail = f"this needs the right to edit the Airflow Variable {name}"
            raise HTTPException(status.HTTP_403_FORBIDDEN, detail)

    return Depends(required)


def _may_edit(name: str, user: BaseUser) -> bool:
    details = VariableDetails(key=name, team_name=Variable.get_team_name(name))
    return get_auth_manager().is_authorized_variable(method="PUT", details=details, user=user)


def login_url(request: Request) -> str:
    """Return Airflow's login, which leads back to the page that was asked for."""
    page, home = request.scope["root_path"], request.scope[HOME]
    query = f"?{request.url.query}" if request.url.query else ""
    asked = f"{page}/{request.url.path.removeprefix(page).removeprefix('/')}{query}"
    return f"{home.removesuffix(PREFIX)}/api/v2/auth/login?next={quote(asked, safe='')}"


def from_page(
    request: Request,
    x_ballast: Annotated[str | None, Header(description="1, which another site cannot send.")] = None,
    origin: Annotated[str | None, Header(include_in_schema=False)] = None,
    sec_fetch_site: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    """Let those requests pass that come from the page itself, or from no browser at all.

    A browser sends the login with whatever any site makes it ask for, so a login alone does not tell that a
    person wants it.
    """
    if x_ballast != "1":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "the header X-Ballast: 1 is missing")
    if sec_fetch_site is not None:  # said by the browser, and out of reach of any script
        same = sec_fetch_site == "same-origin"
    else:
        same = origin is None or urlsplit(origin).netloc in _hosts(request)
    if not same:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "the request comes from another site")


FROM_PAGE: Final = Depends(from_page)


def _hosts(request: Request) -> set[str]:
    """Return the names Airflow is reached under; behind a proxy it may be told another."""
    configured = urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
    return {request.headers.get("host", ""), configured} - {""}
