"""Faults that a test or a person arms while the broker runs. Each one is used up after `times` hits."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Callable

ENDPOINTS = (
    "token", "account", "positions", "position", "assets", "asset", "clock",
    "mint", "requests", "request", "request_by_client_id",
    "wallets", "transfers", "transfer", "withdraw",
    "whitelists", "whitelist_add", "whitelist_delete", "fee_estimate",
    "order", "orders", "order_by_id", "order_by_client_id", "order_cancel",
)  # fmt: skip
"""The names by which requests are addressed; `*` means any of them."""

ANSWERS = {
    "drop_answer": "do what was asked, then close the connection without an answer",
    "reset": "close the connection before anything is done",
    "delay": "wait `seconds` before the request is handled",
    "status": "answer `status` with a JSON error and do nothing",
    "status_after": "do what was asked, then answer `status` with a JSON error",
    "html": "answer `status` with an HTML page and do nothing",
    "html_after": "do what was asked, then answer `status` with an HTML page",
    "empty": "answer `status` with no body and do nothing",
}
"""What can go wrong with a request."""

FATES: dict[str, dict[str, str]] = {
    "mint": {
        "reject": "rejected before the journal: the shares stay",
        "reject_returned": "rejected after the journal, shares given back",
        "reject_kept": "rejected after the journal, shares kept by the issuer",
        "stuck": "shares journaled, tokens never minted, until released",
        "stuck_accepted": "accepted, and nothing else happens until released",
    },
    "redemption": {
        "never_seen": "the transfer is overlooked until released",
        "reject": "listed, then rejected; the tokens are gone",
        "stuck": "listed, then pending until released",
    },
    "withdrawal": {
        "fail": "FAILED without a hash; the money is released",
        "fail_with_hash": "FAILED with the hash of a reverted transaction; the money is released",
        "fail_but_sent": "FAILED with a hash although the money went out",
        "complete_before_hash": "COMPLETE first, sent and given a hash later",
        "complete_before_mined": "COMPLETE with a hash that no chain knows yet, sent later",
        "stuck": "PROCESSING until released",
    },
    "deposit": {"never_seen": "overlooked until released", "stuck": "PROCESSING until released"},
    "whitelist": {"stuck": "PENDING until released", "reject": "REJECTED instead of APPROVED"},
    "order": {
        "no_quote": "refused at once for want of a price; nothing is taken on",
        "reject": "accepted, then rejected without a fill",
        "stuck": "open without a fill until cancelled or released",
        "partial": "filled in part, then open until cancelled or released",
        "cancel_rest": "filled in part, then cancelled by the broker",
        "expire": "filled in part, then expired",
        "fill_anyway": "open until its cancellation is accepted, then filled all the same",
        "slow_cancel": "open until cancelled, then pending_cancel until released",
    },
}
"""What can become of a piece of work that was taken on."""


class Fault(BaseModel):
    """One armed fault.

    :param target: an endpoint's name or `*` for a fault of the answer; `mint`, `order` ... for a fate.
    :param kind: a key of `ANSWERS`, or of `FATES[target]`.
    :param times: how many requests or pieces of work it hits.
    :param after: how many it lets pass first.
    """

    model_config = ConfigDict(extra="forbid")

    target: str
    kind: str
    times: int = Field(default=1, ge=1)
    after: int = Field(default=0, ge=0)
    status: int = Field(default=500, ge=400, le=599)
    seconds: float = Field(default=1.0, ge=0)
    retry_after: int | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.is_fate:
            return self
        if self.kind not in ANSWERS or self.target not in (*ENDPOINTS, "*"):
            raise ValueError(f"no fault {self.kind!r} for {self.target!r}")
        return self

    @property
    def is_fate(self) -> bool:
        """Tell whether this decides over work rather than over an answer."""
        return self.kind in FATES.get(self.target, {})


class Faults:
    """The armed faults, first armed first used. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Add a fault behind those already armed."""
        with self._lock:
            self._armed.append(fault.model_copy())

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[Fault]:
        """Return copies of what is still armed."""
        with self._lock:
            return [fault.model_copy() for fault in self._armed]

    def answer(self, endpoint: str) -> Fault | None:
        """Use up and return the fault that hits this request, if any."""
        return self._take(lambda fault: not fault.is_fate and fault.target in (endpoint, "*"))

    def fate(self, work: str) -> str | None:
        """Use up and return the kind of fate that hits this piece of work, if any."""
        fault = self._take(lambda fault: fault.is_fate and fault.target == work)
        return fault.kind if fault else None

    def _take(self, hits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for fault in self._armed:
                if not hits(fault):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                if fault.times == 0:
                    self._armed.remove(fault)
                return fault.model_copy()
            return None
