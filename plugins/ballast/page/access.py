"""Who may look and who may act: Airflow's own login and roles decide, whichever auth manager it has.

To look, one has to be allowed to read the DAG `rebalancing`; to act, to edit it.
"""

# Annotations are not put off here: FastAPI reads them when a route is made.

from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.configuration import conf
from airflow.models import DagModel
from fastapi import Depends, Header, HTTPException, Request, status

from ballast.page.mount import PREFIX

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


def look_at_page(request: Request, user: Annotated[BaseUser, Depends(visitor)]) -> None:
    """Let those pass who may look, and send those to the login who are not logged in."""
    _may_look(request, user)


def may_act(user: BaseUser) -> bool:
    """Tell whether somebody may do more than look."""
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    return get_auth_manager().is_authorized_dag(method="PUT", details=details, user=user)


def login_url(request: Request) -> str:
    """Return Airflow's login, which leads back to the page that was asked for."""
    page = request.scope["root_path"]
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{page.removesuffix(PREFIX)}/api/v2/auth/login?next={quote(f'{page}/{query}', safe='')}"


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
