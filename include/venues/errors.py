"""What a failed request to a venue means for the money.

Every client raises one of these three, so that a leg never has to guess from a status code whether the
outside world changed.
"""

from __future__ import annotations


class VenueError(Exception):
    """A request to a venue did not end as asked.

    :param message: what happened, for a person.
    :param request_id: the venue's own id of the request, where it gave one.
    """

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class Refused(VenueError):
    """The venue understood the request and will not do it: certainly nothing happened."""


class Unavailable(VenueError):
    """The venue could not be asked, or asked us to wait: certainly nothing happened; asking again may help.

    :param retry_after: seconds the venue wants us to wait, where it said so.
    """

    def __init__(
        self, message: str, *, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after


class OutcomeUnknown(VenueError):
    """The request left and no trustworthy answer came back: it may have been done."""
