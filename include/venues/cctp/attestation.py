"""Circle's attestation service: signed messages, fees, the allowance of fast transfers.

The service decides nothing about money. What it serves is matched with the message that the source chain
emitted and checked before use (`checks`); whether a message was delivered is asked of the destination chain.
"""

from __future__ import annotations

import logging
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

import httpx

from include.venues import exact_json
from include.venues.cctp.answers import (
    CCTP_VERSION,
    AttestedMessage,
    BurnFee,
    mapping,
    read_amount,
    read_fee,
    read_message,
    read_public_key,
)
from include.venues.cctp.limiter import RequestLimiter, shared_limiter
from include.venues.cctp.message import ZERO_WORD, normalise
from include.venues.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from decimal import Decimal

__all__ = [
    "AttestationService",
    "AttestedMessage",
    "BurnFee",
    "ReattestOutcome",
    "RequestLimiter",
    "fee_for",
    "match",
]

STAND_DOWN_SECONDS: Final = 300.0
"""For so long Circle blocks a client that asked too often."""
LONGEST_STAND_DOWN_SECONDS: Final = 3600.0

_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
# Other statuses from 400 on also come from proxies and gateways: no proof that the service understood.
_REFUSALS: Final = frozenset({400, 404, 409, 422})
_TRANSACTION_HASH: Final = re.compile(r"0x[0-9a-fA-F]{64}")

_log = logging.getLogger(__name__)


class ReattestOutcome(StrEnum):
    """What came of asking for a new attestation."""

    REQUESTED = "requested"  # a new one is being made: ask for the message again
    ALREADY_FINAL = "already_final"  # the newest one never expires: ask for the message again


class AttestationService:
    """A client of the attestation service.

    Every method raises `Refused` when the service understood and will not, and `Unavailable` when it could
    not be asked, did not answer in its own form, or asks us to wait. All may be repeated without harm.

    :param base_url: for example `https://iris-api.circle.com`.
    :param transport: how requests leave; a test passes its own.
    :param timeout: of one request, in seconds.
    :param limiter: bounds the requests. Without one, all clients of this process for this service share one.
    :param now: a clock in seconds, for a limiter of this client's own. Ignored when `limiter` is given.
    """

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: httpx.Timeout | float | None = None,
        limiter: RequestLimiter | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        if limiter is None:
            limiter = (
                shared_limiter(httpx.URL(base_url).netloc.decode())
                if now is None
                else RequestLimiter(now=now)
            )
        self._limiter = limiter
        self._client = httpx.Client(
            base_url=base_url,
            transport=transport,
            timeout=_TIMEOUT if timeout is None else timeout,
            headers={"accept": "application/json"},
        )

    def messages(self, source_domain: int, transaction_hash: str) -> list[AttestedMessage]:
        """Return the messages of a burn transaction, in the order of their logs.

        The list is empty as long as the service has not seen the transaction, which looks the same as a wrong
        hash or domain: confirm the burn on chain first. Rows that cannot be read are skipped with a warning.
        """
        if not _TRANSACTION_HASH.fullmatch(transaction_hash):
            raise ValueError(f"not a transaction hash: {transaction_hash!r}")
        path = f"/v2/messages/{source_domain}"
        response = self._send("GET", path, params={"transactionHash": transaction_hash})
        if response.status_code == 404:
            return []
        found = []
        for row in _rows(_field(_content(response), "messages", response), response):
            try:
                found.append(read_message(row))
            except ValueError as error:
                _log.warning("a message of transaction %s could not be read: %s", transaction_hash, error)
        return found

    def fees(self, source_domain: int, destination_domain: int) -> list[BurnFee]:
        """Return what transfers on this lane cost now, one entry for each finality threshold."""
        response = self._send("GET", f"/v2/burn/USDC/fees/{source_domain}/{destination_domain}")
        found = []
        for row in _rows(_content(response), response):
            try:
                found.append(read_fee(row))
            except ValueError as error:
                _log.warning(
                    "a fee of lane %s to %s could not be read: %s", source_domain, destination_domain, error
                )
        if not found:
            raise _unreadable(response, "no fee in it")
        return found

    def fast_allowance(self) -> Decimal:
        """Return how many whole USDC may still leave by fast transfer, over all chains and all users."""
        response = self._send("GET", "/v2/fastBurn/USDC/allowance")
        try:
            return read_amount(_field(_content(response), "allowance", response))
        except ValueError as error:
            raise _unreadable(response, str(error)) from error

    def reattest(self, nonce: bytes) -> ReattestOutcome:
        """Ask for a new attestation of a message whose attestation expired. Its nonce stays the same.

        A lost answer raises `Unavailable` too, because a second request does no harm.
        """
        if len(nonce) != 32 or nonce == ZERO_WORD:
            raise ValueError(f"not the nonce of an attested message: 0x{nonce.hex()}")
        response = self._send("POST", f"/v2/reattest/0x{nonce.hex()}")
        if response.is_success:
            return ReattestOutcome.REQUESTED
        if response.status_code == 400 and "already finalized" in response.text.lower():
            return ReattestOutcome.ALREADY_FINAL
        raise _failure(response)

    def public_keys(self) -> list[bytes]:
        """Return the uncompressed public keys (65 bytes) that attest for CCTP V2, in the service's order."""
        response = self._send("GET", "/v2/publicKeys")
        found = []
        for row in _rows(_field(_content(response), "publicKeys", response), response):
            try:
                key = read_public_key(row)
            except ValueError as error:
                _log.warning("a public key of the attestation service could not be read: %s", error)
            else:
                if key is not None:
                    found.append(key)
        if not found:
            raise _unreadable(response, "no public key in it")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, method: str, path: str, params: dict[str, str] | None = None) -> httpx.Response:
        self._limiter.acquire()
        try:
            response = self._client.request(method, path, params=params)
        except httpx.HTTPError as error:
            raise Unavailable(f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status_code == 429:
            wait = min(max(_retry_after(response) or 0.0, STAND_DOWN_SECONDS), LONGEST_STAND_DOWN_SECONDS)
            self._limiter.stand_down(wait)
            raise Unavailable(
                f"{_asked(response)}: too many requests, standing down for {wait:.0f} s",
                request_id=_request_id(response),
                retry_after=wait,
            )
        return response


def match(
    sent: bytes, candidates: Sequence[AttestedMessage], *, taken: Collection[bytes] = ()
) -> AttestedMessage | None:
    """Return the attested form of a message that the source chain emitted, or None while there is none.

    It is found by its bytes and never by its place: one transaction may hold other messages, also of CCTP V1.
    Identical burns of one transaction have equal bytes and are interchangeable; the first one is returned.

    :param taken: event nonces that were given to other burns of the same transaction already.
    :raises MalformedMessage: when `sent` is not a burn message.
    """
    wanted = normalise(sent)
    for candidate in candidates:
        # A row without a version label is told from V1 by its bytes: those are shorter, with version word 0.
        if candidate.cctp_version not in (None, CCTP_VERSION) or not candidate.is_ready:
            continue
        if candidate.event_nonce is not None and candidate.event_nonce in taken:
            continue
        if candidate.message is not None and normalise(candidate.message) == wanted:
            return candidate
    return None


def fee_for(amount: int, basis_points: Decimal) -> int:
    """Return the fee of an amount, rounded up as Circle does; both in base units."""
    if amount < 0 or not basis_points.is_finite() or basis_points < 0:
        raise ValueError(f"no fee can be taken: {basis_points} basis points of {amount}")
    numerator, denominator = basis_points.as_integer_ratio()
    return -(-amount * numerator // (denominator * 10_000))


def _field(content: object, name: str, response: httpx.Response) -> object:
    try:
        return mapping(content)[name]
    except (ValueError, KeyError) as error:
        raise _unreadable(response, f"no {name} in it") from error


def _rows(content: object, response: httpx.Response) -> list[object]:
    if not isinstance(content, list):
        raise _unreadable(response, "not a list")
    return content


def _content(response: httpx.Response) -> object:
    """Read the JSON of a successful answer, with no float in it."""
    if response.status_code != 200:
        raise _failure(response)
    try:
        return exact_json.loads(response.content)
    except ValueError as error:
        raise _unreadable(response, "not JSON") from error


def _failure(response: httpx.Response) -> Refused | Unavailable:
    text = f"{_asked(response)}: HTTP {response.status_code}: {response.text[:300]}"
    if response.status_code in _REFUSALS:
        return Refused(text, request_id=_request_id(response))
    return Unavailable(text, request_id=_request_id(response), retry_after=_retry_after(response))


def _unreadable(response: httpx.Response, why: str) -> Unavailable:
    return Unavailable(
        f"{_asked(response)}: the answer cannot be read: {why}: {response.text[:300]!r}",
        request_id=_request_id(response),
    )


def _asked(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"


def _request_id(response: httpx.Response) -> str | None:
    request_id: str | None = response.headers.get("x-request-id")
    return request_id


def _retry_after(response: httpx.Response) -> float | None:
    """Read the header where it is a number of seconds. A date is ignored: callers have a default."""
    value = response.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"[0-9]{1,9}", value) else None
