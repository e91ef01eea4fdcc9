"""`GET /metrics`: what Prometheus reads, with Airflow's login or with a token of its own."""

# Annotations are not put off here: FastAPI reads them when a route is made.

import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from ballast.page import steering
from ballast.page.access import ItsNames, may_look
from ballast.page.answers import From
from ballast.page.source import Source
from include.ledger.database import reading
from include.metrics.counts import count
from include.metrics.samples import samples
from include.metrics.text import CONTENT_TYPE, text
from include.overview.reader import Viewer
from include.settings.names import Names

KEPT_FOR: Final = 5.0
"""Seconds. Several who ask at once are given the same."""
_BEARER: Final = "bearer "


async def may_read(
    request: Request,
    source: From,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> None:
    """Let those pass who give the token of the settings, or are logged in and may look."""
    token = source.settings().metrics_token
    given = authorization or ""
    if token is not None and given.lower().startswith(_BEARER):
        said = given[len(_BEARER) :].strip().encode()
        if secrets.compare_digest(said, token.get_secret_value().encode()):
            return
    await may_look(request)


router = APIRouter(dependencies=[Depends(may_read)])


class Answers:
    """The answer about one book, kept for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: tuple[float, bytes] | None = None

    def of(self, source: Source, names: Names) -> bytes:
        """Return the metrics of the book. Of several who ask at once, one reads its ledger."""
        with self._lock:
            now = self._clock()
            if self._kept is None or now - self._kept[0] >= KEPT_FOR:
                self._kept = now, _read(source, names)
            return self._kept[1]


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, source: From, names: ItsNames) -> Response:
    """Return the numbers of the book's ledger as Prometheus reads them."""
    answers: Answers = request.app.state.metrics
    return Response(answers.of(source, names), media_type=CONTENT_TYPE)


def _read(source: Source, names: Names) -> bytes:
    settings, reader = source.settings(), source.reader()
    overview = reader.overview(settings, steering.read(names), Viewer("", may_act=False, may_steer=False))
    with reading(source.ledger().engine) as session:
        counted = count(session)
    return text(samples(overview, counted, settings.chains, overview.as_of, book=names.label))
