"""Who may look and who may act: Airflow's own login and roles decide, whichever auth manager it has.

To look, one has to be allowed to read the DAG `rebalancing`; to act, to edit it. The switch and the hold list
are Variables: to change one, one has to be allowed to edit that too.
"""

# Annotations are not put off here: FastAPI reads them when a route is made.

from typing import Annotated, Any, Final
from urllib.parse import quote, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails, VariableDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.configuration import conf
from airflow.models import DagModel
from airflow.models.variable import Variable
from fastapi import Depends, Header, HTTPException, Request, status

from ballast.page.mount import PREFIX
from ballast.switch import HOLD, SWITCH

DAG_ID: Final = "rebalancing"
_may_look = requires_access_dag("GET", param_dag_id=DAG_ID)

User = Annotated[BaseUser, Depends(get_user)]
"""Whoever is logged in; 401 where nobody is."""

LOOK: Final = Depends(_may_look)
ACT: Final = Depends(requires_access_dag("PUT", param_dag_id=DAG_ID))


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


def is_elsewhere(dag_id: str = DAG_ID) -> bool:
    """Tell whether the page is asked for as a tab of somebody else's DAG: Airflow shows it on each."""
    return dag_id != DAG_ID and not dag_id.startswith(f"{DAG_ID}_")


Elsewhere = Annotated[bool, Depends(is_elsewhere)]


def look_at_page(request: Request, user: Annotated[BaseUser, Depends(visitor)], elsewhere: Elsewhere) -> None:
    """Let those pass who may look, and send those to the login who are not logged in."""
    if not elsewhere:  # there, a few words are shown, and nothing else
        _may_look(request, user)


def look_at_text(request: Request, user: Annotated[BaseUser, Depends(visitor)]) -> None:
    """Let those pass who may look, of those who open a link, and send the others to the login."""
    _may_look(request, user)


async def may_look(request: Request) -> None:
    """Let those pass who are logged in and may look; 401 for who is not, 403 for who may not."""
    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException as error:
        # Airflow says 403 of a token that is none of its own.
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "this needs a login or a token") from error
    _may_look(request, user)


def may_act(user: BaseUser) -> bool:
    """Tell whether somebody may do more than look."""
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    return get_auth_manager().is_authorized_dag(method="PUT", details=details, user=user)


def may_steer(user: BaseUser) -> bool:
    """Tell whether somebody may turn the switch and hold assets back."""
    return may_act(user) and all(_may_edit(name, user) for name in (SWITCH, HOLD))


def edits(name: str) -> Any:
    """Let those pass who may edit a Variable, as an act does that ends in it."""

    def required(user: User) -> None:
        if not _may_edit(name, user):
            detail = f"this needs the right to edit the Airflow Variable {name}"
            raise HTTPException(status.HTTP_403_FORBIDDEN, detail)

    return Depends(required)


def _may_edit(name: str, user: BaseUser) -> bool:
    details = VariableDetails(key=name, team_name=Variable.get_team_name(name))
    return get_auth_manager().is_authorized_variable(method="PUT", details=details, user=user)


def login_url(request: Request) -> str:
    """Return Airflow's login, which leads back to the page that was asked for."""
    page = request.scope["root_path"]
    query = f"?{request.url.query}" if request.url.query else ""
    asked = f"{page}/{request.url.path.removeprefix(page).removeprefix('/')}{query}"
    return f"{page.removesuffix(PREFIX)}/api/v2/auth/login?next={quote(asked, safe='')}"


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
