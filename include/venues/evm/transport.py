"""One JSON-RPC request over HTTP: tried once, bounded in time, and never telling the URL.

web3's own provider sends `eth_sendRawTransaction` again after a lost answer, writes the whole URL into its
debug log, and drops the body of an HTTP error. A node's URL usually holds a key, and a lost answer is for the
caller to judge.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
import urllib3
from pydantic_core import from_json
from web3.providers import HTTPProvider

from include.venues.errors import Unavailable
from include.venues.evm.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from web3.types import RPCEndpoint, RPCResponse

_PIECE = 64 * 1024
_SHORTEST_SECRET = 6


class NodeProvider(HTTPProvider):
    """web3's HTTP provider without retries, cache, redirects or a way for the URL to leak.

    :param url: the endpoint, which may carry a key.
    :param timeout: the longest that one request may take in all, in seconds.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        host = _host_of(url)
        if host is None:
            raise ValueError("the URL of a node must be http:// or https:// and name a host")
        super().__init__(url, exception_retry_configuration=None, cache_allowed_requests=False)
        self.host = host
        self._url = url
        self._timeout = timeout
        self._secrets = _secrets_of(url)
        self._idle: deque[requests.Session] = deque()
        self._pid = os.getpid()
        _hide_in_logs(self._secrets)

    def __str__(self) -> str:
        return f"JSON-RPC at {self.host}"

    def __repr__(self) -> str:
        return f"NodeProvider(host={self.host!r})"

    def redact(self, text: str) -> str:
        """Take every part of the URL that may be a key out of a text."""
        return _without(self._secrets, text)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Send one request, once.

        :raises Unavailable: when no JSON-RPC answer came back. Whether the node acted on the request is then
            not known, which matters for a broadcast only.
        """
        status, retry_after, body = self._post(method, self.encode_rpc_request(method, params))
        if status == 429:
            raise Unavailable(f"{self.host} limits our requests ({method})", retry_after=retry_after)
        answer: RPCResponse | None
        try:
            answer = from_json(body)  # unlike the standard library's parser, it bounds how deep it goes
        except ValueError:
            answer = None
        if status == 413:
            raise TooLarge(f"{self.host} answered {method} with HTTP 413: the request is too large")
        # Some nodes answer with their own error and an HTTP status of 4xx or 5xx; the error says more.
        if status != 200 and not (isinstance(answer, dict) and isinstance(answer.get("error"), dict)):
            raise Unavailable(f"{self.host} answered {method} with HTTP {status}", retry_after=retry_after)
        if answer is None:
            raise Unavailable(f"{self.host} answered {method} with something that is not JSON")
        return answer

    def _post(self, method: str, request: bytes) -> tuple[int, float | None, bytes]:
        deadline = time.monotonic() + self._timeout
        problem = "no answer"
        try:
            with (
                self._lent() as session,
                session.post(
                    self._url,
                    data=request,
                    headers=self.get_request_headers(),
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                body = bytearray()
                # Piece by piece as they arrive, or a server that trickles would never meet the deadline.
                while piece := response.raw.read1(_PIECE, decode_content=True):
                    body += piece
                    if time.monotonic() > deadline:
                        raise requests.Timeout
                return response.status_code, _seconds(response.headers.get("Retry-After")), bytes(body)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            problem = f"no answer within {self._timeout:g} s"
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            problem = type(error).__name__
        # Raised out here, and with none of the original's text, because that holds the URL.
        raise Unavailable(f"{self.host} gave no answer to {method}: {problem}")

    @contextmanager
    def _lent(self) -> Iterator[requests.Session]:
        """Lend connections to one request at a time; a process does not use those from before its fork."""
        if self._pid != os.getpid():
            self._idle, self._pid = deque(), os.getpid()
        idle = self._idle
        try:
            session = idle.pop()  # the one used last, whose connection is the likeliest to be open still
        except IndexError:
            session = self._session()
        yield session
        # Not after an error: whatever was under way on it is left behind with it.
        idle.append(session)

    def _session(self) -> requests.Session:
        """Make connections that nothing else uses."""
        return requests.Session()


def _seconds(header: str | None) -> float | None:
    """Read `Retry-After` where it counts seconds; a date is not worth the clock."""
    return float(header) if header is not None and header.isdecimal() else None


def _host_of(url: str) -> str | None:
    """Find the host and the port of an HTTP URL; None when it is no such URL, without quoting it."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return None
    return f"{parts.hostname}{port}" if parts.scheme in {"http", "https"} and parts.hostname else None


def _secrets_of(url: str) -> tuple[str, ...]:
    """List the parts of a URL that may be a key, the longest first."""
    parts = urlsplit(url)
    whole = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = [
        url,
        whole,
        *parts.path.split("/"),
        parts.query,
        *(value for _, value in parse_qsl(parts.query)),
    ]
    pieces += [part for part in (parts.username, parts.password) if part]
    pieces += [unquote(piece) for piece in pieces]
    bare = {f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{end}" for end in ("", "/")}
    found = {piece for piece in pieces if len(piece) >= _SHORTEST_SECRET} - bare
    return tuple(sorted(found, key=len, reverse=True))


def _without(secrets: tuple[str, ...], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


class _HideUrls(logging.Filter):
    """Takes the known secrets out of the HTTP library's debug lines, which print the path of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: tuple[str, ...] = ()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        hidden = _without(self.secrets, text)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


_hide_urls = _HideUrls()
_hide_lock = threading.Lock()
logging.getLogger("urllib3.connectionpool").addFilter(_hide_urls)


def _hide_in_logs(secrets: tuple[str, ...]) -> None:
    with _hide_lock:
        both = {*_hide_urls.secrets, *secrets}
        _hide_urls.secrets = tuple(sorted(both, key=len, reverse=True))
