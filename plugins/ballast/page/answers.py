"""What can be read: `GET` under `/api`."""

# Annotations are not put off here: FastAPI reads them when a route is made.

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from ballast.page import steering
from ballast.page.access import LOOK, ItsNames, User, may_act, may_see, may_steer
from ballast.page.books import Shown, known, shown
from ballast.page.source import Source
from include.overview import models
from include.overview.history import LONGEST
from include.overview.reader import MOST_LISTED, Viewer

router = APIRouter(dependencies=[LOOK])


def source_of(request: Request) -> Source:
    """Return what the answers are made from."""
    found: Source = request.app.state.source
    return found


From = Annotated[Source, Depends(source_of)]


@router.get("/overview")
def overview(source: From, names: ItsNames, user: User) -> models.Overview:
    """Return everything at a glance."""
    viewer = Viewer(user.get_name(), may_act(user, names), may_steer(user, names))
    return source.reader().overview(source.settings(), steering.read(names), viewer)


@router.get("/books")
def books(names: ItsNames, user: User) -> list[Shown]:
    """Return the books that one may look at, whether their settings are right or not."""
    return [shown(one, names) for one in known() if may_see(user, one)]


@router.get("/history")
def history(
    source: From,
    asset: str,
    hours: Annotated[float, Query(gt=0, le=LONGEST.total_seconds() / 3600)] = 24,
) -> models.History:
    """Return the ratio of one asset over the last hours, and its operations."""
    return source.reader().history(source.settings(), asset, timedelta(hours=hours))


@router.get("/operations")
def operations(
    source: From,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    before: Annotated[str | None, Query(description="What the page before gave as `next`.")] = None,
    asset: str | None = None,
) -> models.Operations:
    """Return operations, open and closed, newest first."""
    return source.reader().operations(limit=limit, before=before, asset=asset or None)


@router.get("/operations/{operation_id}")
def operation(source: From, operation_id: str) -> models.Operation:
    """Return everything about one operation."""
    return source.reader().operation(source.settings(), operation_id)
