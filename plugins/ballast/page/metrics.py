"""`GET /metrics`: what Prometheus reads, with Airflow's login or with a token of its own."""

# Annotations are not put off here: FastAPI reads them when a route is made.

import secrets
import time
from collections.abc import Callable
from threading import Lock
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Request, Response

from ballast.page import steering
from ballast.page.access import may_look
from ballast.page.answers import From
from ballast.page.source import Source
from include.ledger.database import reading
from include.metrics.counts import count
from include.metrics.samples import samples
from include.metrics.text import CONTENT_TYPE, text
from include.overview.reader import Viewer

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
    """The answer, kept for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: tuple[Source, float, bytes] | None = None

    def of(self, source: Source) -> bytes:
        """Return the metrics of a ledger. Of several who ask at once, one reads it."""
        with self._lock:
            now = self._clock()
            if self._kept is None or self._kept[0] is not source or now - self._kept[1] >= KEPT_FOR:
                self._kept = source, now, _read(source)
            return self._kept[2]


_answers: Final = Answers()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(source: From) -> Response:
    """Return the numbers of the ledger as Prometheus reads them."""
    return Response(_answers.of(source), media_type=CONTENT_TYPE)


def _read(source: Source) -> bytes:
    settings, reader = source.settings(), source.reader()
    overview = reader.overview(settings, steering.read(), Viewer("", may_act=False, may_steer=False))
    with reading(source.ledger().engine) as session:
        counted = count(session)
    return text(samples(overview, counted, settings.chains, overview.as_of))
