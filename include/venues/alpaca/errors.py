"""Alpaca's failures, each one of the three kinds every venue has, with what Alpaca said.

A refusal speaks for the one request it answers. It says nothing about an earlier request with the same
idempotency key, whose answer may have been lost: look that one up by its ids.

All of them carry `status` (the HTTP status), `code` (Alpaca's own, where the body had one; unrelated causes
share codes), `message` (Alpaca's own words, shortened) and `request_id`.
"""

from __future__ import annotations

from include.venues.errors import OutcomeUnknown, Refused, Unavailable


class AlpacaRefused(Refused):
    """Alpaca answered no: this request did nothing."""

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        code: int | None = None,
        message: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id)
        self.status = status
        self.code = code
        self.message = message


class Unauthorized(AlpacaRefused):
    """The credentials are missing, wrong, or of another environment (401)."""


class InsufficientPosition(AlpacaRefused):
    """The account holds less than was asked for: shares, coins or dollars.

    It comes as 400, 403 or 422, told apart by words only.
    """


class KeyReused(AlpacaRefused):
    """The idempotency key was used before with another body (422): an earlier request exists under it."""


class DuplicateOrder(AlpacaRefused):
    """The client_order_id was used before (422): an order exists under it. Look it up and adopt it."""


class AlpacaUnavailable(Unavailable):
    """Alpaca gave no usable answer, and nothing was done. `status` is None where there was no response."""

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        code: int | None = None,
        message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id, retry_after=retry_after)
        self.status = status
        self.code = code
        self.message = message


class RateLimited(AlpacaUnavailable):
    """Too many requests: said by Alpaca (429), or by the client itself while Alpaca's pause is not over."""


class NoQuote(AlpacaUnavailable):
    """Alpaca has no price to fill an order by at the moment (403). The order was not taken; try it later."""


class AlpacaOutcomeUnknown(OutcomeUnknown):
    """A request that moves money left, and what came back does not tell whether it was done.

    `status` is None where there was no response.
    """

    def __init__(
        self,
        text: str,
        *,
        status: int | None = None,
        code: int | None = None,
        message: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(text, request_id=request_id)
        self.status = status
        self.code = code
        self.message = message
