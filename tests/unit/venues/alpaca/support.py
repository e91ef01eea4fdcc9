"""A recorded Alpaca: answers in order, and remembers what it was asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker

ACCOUNT = "7f0c4a52-2d64-4a0e-9a7c-0d5f1b8a3c21"
BASE_URL = "https://broker.test"
WALLET = "0x52908400098527886E0F7030069857D2E4169EE7"
DEPOSIT = "0x8617E340B3D01FA5F11F306F4090FD50E238070D"
KEY_ID = "AKTESTKEYID"
SECRET = "s3cr3t-of-the-key-pair"
IDEMPOTENCY_KEY = "0192f3c2-7b1e-7c5a-9a51-2f2c8b7d1e10"

_FIXTURES = Path(__file__).parents[3] / "fixtures" / "alpaca"


def fixture(name: str) -> Any:
    return json.loads((_FIXTURES / f"{name}.json").read_text())


def fixture_text(name: str) -> str:
    return (_FIXTURES / f"{name}.json").read_text()


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 9, 25, 14, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Venue:
    """Give each prepared answer once, in order. An exception is raised instead of answered."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        # A copy: the same request may be changed and sent again.
        self.requests.append(
            httpx.Request(
                request.method,
                request.url,
                headers=request.headers,
                content=request.content,
                extensions=request.extensions,
            )
        )
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    @property
    def request(self) -> httpx.Request:
        """The only request there was."""
        assert len(self.requests) == 1, [str(request.url) for request in self.requests]
        return self.requests[0]


def answer(name: str, **headers: str) -> httpx.Response:
    return httpx.Response(
        200, content=fixture_text(name), headers={"Content-Type": "application/json", **headers}
    )


def broker(venue: Venue, *, clock: Clock | None = None, auth: httpx.Auth | None = None) -> AlpacaBroker:
    return AlpacaBroker(
        BASE_URL,
        ACCOUNT,
        auth or KeyPairAuth(KEY_ID, SECRET),
        transport=venue.transport,
        now=clock or Clock(),
    )
