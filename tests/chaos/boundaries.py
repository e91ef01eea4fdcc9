"""The boundaries between two acts on the outside world, as a process meets them.

A boundary is a commit of the ledger, a request that is about to leave, or an answer that has just come. Each
has a label that names where it is, so that two runs can be compared. Nothing here knows a leg: a new one is
covered because it commits and asks like all others.
"""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import event
from sqlalchemy.orm import Session

from include.venues.evm.transport import NodeProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ACTS = ("POST", "eth_sendRawTransaction")
"""Requests that change the outside world: being killed before or after one is not the same."""


@dataclass
class Recorder:
    """Notes each boundary while it is listening, and does something at one of them.

    :param target: the boundary to act at: its number, or the label of which the first one is meant; None for
        none.
    :param act: what to do there. By default the process is killed on the spot.
    """

    target: int | str | None = None
    act: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    trace: list[str] = field(default_factory=list)
    place: str = ""
    listening: bool = False

    def reach(self, what: str) -> None:
        """Come to a boundary."""
        if not self.listening:
            return
        self.trace.append(f"{self.place}: {what}")
        if self.target in (len(self.trace) - 1, self.trace[-1]):
            self.act()

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Listen, for the time of one entry into one place."""
        self.place, self.listening = place, True
        try:
            yield
        finally:
            self.listening = False

    @contextmanager
    def commits(self) -> Iterator[None]:
        """Note the commits of every session in this process, just before and just after."""

        def before(_session: Session) -> None:
            self.reach("before commit")

        def after(_session: Session) -> None:
            self.reach("after commit")

        event.listen(Session, "before_commit", before)
        event.listen(Session, "after_commit", after)
        try:
            yield
        finally:
            event.remove(Session, "before_commit", before)
            event.remove(Session, "after_commit", after)

    def asked(self, name: str, ask: Callable[[], Any]) -> Any:
        """Note a request before it leaves and, where it is an act, when its answer has come."""
        self.reach(f"before {name}")
        answer = ask()
        if name.startswith(ACTS):
            self.reach(f"after {name}")
        return answer


class TappedHttp(httpx.BaseTransport):
    """HTTP whose requests are boundaries."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._network = httpx.HTTPTransport(verify=False)  # no TLS here, and it is slow to load

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {IDS.sub('*', request.url.path)}"
        answer: httpx.Response = self._recorder.asked(name, lambda: self._read(request))
        return answer

    def _read(self, request: httpx.Request) -> httpx.Response:
        # The whole body, so that "after" means that the answer is here.
        response = self._network.handle_request(request)
        response.read()
        return response

    def close(self) -> None:
        self._network.close()


class TappedNode:
    """JSON-RPC whose requests are boundaries."""

    def __init__(self, url: str, recorder: Recorder, network: str) -> None:
        self._recorder = recorder
        self._network = network
        self._provider = NodeProvider(url, timeout=15)

    def make_request(self, method: Any, params: Any) -> Any:
        return self._recorder.asked(
            f"{method} on {self._network}", lambda: self._provider.make_request(method, params)
        )


def shown(trace: list[str]) -> str:
    """Return a trace for people."""
    return json.dumps(trace, indent=1)
