"""One request to Alpaca and what its answer means: the rules that are the same for every endpoint."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from include.venues import exact_json
from include.venues.alpaca.errors import (
    AlpacaOutcomeUnknown,
    AlpacaRefused,
    AlpacaUnavailable,
    DuplicateOrder,
    InsufficientPosition,
    KeyReused,
    NoQuote,
    RateLimited,
    Unauthorized,
)
from include.venues.alpaca.limiter import Limiter, retry_after
from include.venues.alpaca.values import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

USER_AGENT = "ballast/0.1.0"
TIMEOUT = httpx.Timeout(30.0, connect=10.0, pool=10.0)

_logger = logging.getLogger(__name__)

# No connection was made, so not one byte of the request was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LONGEST_MESSAGE = 300
_INSUFFICIENT = re.compile(
    r"insufficient\b.*\b(positions?|qty|quantity|shares?|balances?|funds|available|buying power)\b"
    r"|\bno positions? found\b",
    re.I,
)
_NO_QUOTE = re.compile(r"\bno\b.*\bquotes?\b", re.I)
# Alpaca gives its code to other causes as well, so that only the words tell.
_DUPLICATE_ORDER = re.compile(r"client.?order.?id\b.*\b(unique|duplicate\w*|exists?|already|used)\b", re.I)
_OTHER_404 = re.compile(r"^\s*account\b", re.I)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of success: its JSON, with every number that has a fraction as Decimal."""

    payload: Any
    request_id: str | None


@dataclass(frozen=True, slots=True)
class _Problem:
    """What the body of an error says, in whichever of its forms it came."""

    message: str
    code: int | None
    is_json: bool


class Session:
    """Send requests to one Alpaca host and turn every failure into one of the venue's errors.

    :param base_url: scheme and host, without credentials in it.
    :param auth: adds the credentials to each request.
    :param transport: replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        auth: httpx.Auth,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: httpx.Timeout | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        url = httpx.URL(base_url)
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
            raise ValueError("base_url must be http(s)://host, without credentials or a query")
        self._now = now
        self._limiter = Limiter(now)
        verify = True if transport is not None else httpx.create_ssl_context(trust_env=False)

        def client(limits: httpx.Limits) -> httpx.Client:
            return httpx.Client(
                base_url=url,
                auth=auth,
                transport=transport,
                timeout=timeout or TIMEOUT,
                limits=limits,
                verify=verify,
                follow_redirects=False,
                trust_env=False,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            )

        self._reading = client(httpx.Limits(max_connections=10))
        # A kept connection may be closed by the other side just as we write to it, and then nobody knows
        # whether the request was read. What moves money therefore always gets a new connection.
        self._moving = client(httpx.Limits(max_connections=10, max_keepalive_connections=0))

    def close(self) -> None:
        """Close the connections."""
        self._reading.close()
        self._moving.close()

    def read(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """GET a resource.

        :raises Refused: any 4xx but 408 and 429, and any redirect.
        :raises Unavailable: no answer, 408, 429, 5xx, or an answer that is not JSON.
        """
        response = self._send(self._reading, "GET", path, params=params)
        if not response.is_success:
            self._fail("GET", path, response)
        try:
            return Reply(exact_json.loads(response.content), _request_id(response))
        except ValueError:
            raise AlpacaUnavailable(
                f"GET {path}: {response.status_code} with a body that is not JSON: {_shown(response)}",
                status=response.status_code,
                request_id=_request_id(response),
            ) from None

    def find(self, path: str, params: Mapping[str, str] | None = None) -> Reply | None:
        """GET a resource that may not exist: None when Alpaca itself says that it does not.

        A 404 of something between us and Alpaca (a page of HTML or text), or one about the account, proves
        nothing about the resource, and is an error.
        """
        try:
            return self.read(path, params)
        except AlpacaRefused as refused:
            if refused.status == 404 and not is_about_another(refused):
                return None
            raise

    def delete(self, path: str) -> None:
        """DELETE a resource.

        :raises Refused: any 4xx but 408, 409 and 429, and redirects but 303: certainly not done.
        :raises Unavailable: no connection was made, 429, or a 404 that is not Alpaca's own: not done.
        :raises OutcomeUnknown: everything else that is not an answer of success.
        """
        response = self._send(self._moving, "DELETE", path)
        if not response.is_success:
            self._fail("DELETE", path, response)

    def move(self, path: str, body: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """POST a request that moves money, once.

        :raises Refused: 4xx but 408, 409 and 429, and redirects but 303: certainly not done.
        :raises Unavailable: no connection was made, or 429: certainly not done.
        :raises OutcomeUnknown: everything else that is not a JSON answer of success.
        """
        response = self._send(self._moving, "POST", path, body=body, headers=headers)
        if not response.is_success:
            self._fail("POST", path, response)
        try:
            return Reply(exact_json.loads(response.content), _request_id(response))
        except ValueError:
            raise AlpacaOutcomeUnknown(
                f"POST {path}: {response.status_code} with a body that is not JSON: {_shown(response)}",
                status=response.status_code,
                request_id=_request_id(response),
            ) from None

    def _send(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        if (left := self._limiter.wait()) > 0:
            raise RateLimited(
                f"{method} {path}: not sent, Alpaca wants {left:.0f} s of silence", retry_after=left
            )
        started = time.monotonic()
        try:
            response = client.request(method, path, params=params, json=body, headers=headers)
        except httpx.HTTPError as error:
            what = f"{method} {path}: {type(error).__name__}: {_short(str(error))}"
            _logger.warning("%s after %d ms", what, (time.monotonic() - started) * 1000)
            if method == "GET" or isinstance(error, _NOT_SENT):
                raise AlpacaUnavailable(what) from error
            raise AlpacaOutcomeUnknown(what) from error
        self._limiter.note(response.status_code, response.headers)
        _logger.log(
            logging.DEBUG if method == "GET" else logging.INFO,
            "%s %s: %d in %d ms, request id %s",
            method,
            path,
            response.status_code,
            (time.monotonic() - started) * 1000,
            _request_id(response),
        )
        return response

    def _fail(self, method: str, path: str, response: httpx.Response) -> NoReturn:
        """Raise what a response that is not a success means."""
        status, request_id, problem = response.status_code, _request_id(response), _problem(response)
        text = f"{method} {path}: {status} {problem.message}".rstrip()
        if status == 429:
            raise RateLimited(
                text,
                status=status,
                code=problem.code,
                message=problem.message,
                request_id=request_id,
                retry_after=self._limiter.wait(),
            )
        moves = method != "GET"
        # 303 means "done, look there"; 409 may mean that an earlier copy of the request is being worked on.
        if moves and (status >= 500 or status < 300 or status in {303, 408, 409}):
            raise AlpacaOutcomeUnknown(
                text, status=status, code=problem.code, message=problem.message, request_id=request_id
            )
        if (
            status >= 500
            or status < 300
            or status == 408
            or (status == 404 and not problem.is_json and method != "POST")
        ):
            raise AlpacaUnavailable(
                text,
                status=status,
                code=problem.code,
                message=problem.message,
                request_id=request_id,
                retry_after=retry_after(response.headers, self._now()),
            )
        if status == 403 and _NO_QUOTE.search(problem.message):
            raise NoQuote(
                text, status=status, code=problem.code, message=problem.message, request_id=request_id
            )
        raise _refusal(status, problem)(
            text, status=status, code=problem.code, message=problem.message, request_id=request_id
        )


def is_about_another(refused: AlpacaRefused) -> bool:
    """Tell whether a 404 speaks of the account rather than of what was asked for."""
    return _OTHER_404.search(refused.message) is not None


def _refusal(status: int, problem: _Problem) -> type[AlpacaRefused]:
    if status == 401:
        return Unauthorized
    if status in {400, 403, 422} and _INSUFFICIENT.search(problem.message):
        return InsufficientPosition
    if status == 422 and "idempotency" in problem.message.lower():
        return KeyReused
    if status in {400, 422} and _DUPLICATE_ORDER.search(problem.message):
        return DuplicateOrder
    return AlpacaRefused


def _problem(response: httpx.Response) -> _Problem:
    """Read an error body: code and message, message alone, the travel-rule form, HTML, or nothing."""
    if response.has_redirect_location:
        # Only where to: the rest of a location may hold anything.
        host = "" if response.next_request is None else response.next_request.url.host
        return _Problem(f"is a redirect to {host!r}", None, is_json=False)
    try:
        body = exact_json.loads(response.content)
    except ValueError:
        return _Problem(_shown(response), None, is_json=not response.content.strip())
    if not isinstance(body, dict):
        return _Problem(_shown(response), None, is_json=True)
    code = body.get("code")
    words = [
        str(body[name]) for name in ("error_code", "message", "error") if isinstance(body.get(name), str)
    ]
    return _Problem(
        _short(": ".join(words)) or _shown(response),
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        is_json=True,
    )


def _shown(response: httpx.Response) -> str:
    """Show a body to a person: the title of a page, or the beginning of a text."""
    text = response.content[:4000].decode("utf-8", errors="replace")
    if title := re.search(r"<title>(.*?)</title>", text, re.I | re.S):
        text = f"page '{title[1]}'"
    return _short(text)


def _short(text: str) -> str:
    """Cut a text down, and put it on one line without control characters."""
    text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."


def _request_id(response: httpx.Response) -> str | None:
    return _short(response.headers.get("X-Request-ID", "")) or None
