"""Airflow's own API, asked in this process and with the login of whoever asks the page."""

# Annotations are not put off here: FastAPI reads them when a route is made.

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
from fastapi import HTTPException, Request

from ballast.page.mount import AIRFLOW

PASSED_ON: Final = ("authorization", "cookie")


@asynccontextmanager
async def own_airflow(request: Request) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that may do what the user may, and no more."""
    headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    transport = httpx.ASGITransport(app=request.scope[AIRFLOW])
    async with httpx.AsyncClient(
        transport=transport, base_url=str(request.base_url), headers=headers
    ) as airflow:
        yield airflow


def answer_of(response: httpx.Response, otherwise: str) -> Any:
    """Return what Airflow answered.

    :param otherwise: what to say where it refuses without a word.
    :raises HTTPException: with Airflow's own status and words, where it refused.
    """
    found = response.json()
    if response.is_error:
        raise HTTPException(response.status_code, found.get("detail", otherwise))
    return found


async def is_paused(airflow: httpx.AsyncClient, dag_id: str) -> bool | None:
    """Tell whether a DAG is paused; None where Airflow does not say."""
    dag = await airflow.get(f"/api/v2/dags/{dag_id}")
    paused: bool | None = dag.json()["is_paused"] if dag.is_success else None
    return paused
