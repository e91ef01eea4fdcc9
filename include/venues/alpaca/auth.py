"""The two ways to prove to Alpaca who is asking. Neither shows its secret in a message, a repr or a log."""

from __future__ import annotations

import threading
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from include.venues import exact_json
from include.venues.alpaca.errors import AlpacaUnavailable, RateLimited
from include.venues.alpaca.http import TIMEOUT, USER_AGENT
from include.venues.alpaca.limiter import retry_after
from include.venues.alpaca.values import utc_now
from include.venues.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

REFRESH_EARLY = 120.0  # seconds before its end at which a token is replaced, if that works
STOP_EARLY = 10.0  # seconds before its end from which a token is not used at all
BACKOFF = 15.0  # seconds between two attempts after one that failed
ASSERTION_LIFETIME = timedelta(minutes=5)
# Longer lifetimes are not believed, and a token without one is renewed soon.
LONGEST_LIFETIME = 3600.0
UNSTATED_LIFETIME = 300.0

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class KeyPairAuth(httpx.Auth):
    """A key id and its secret, sent both as HTTP Basic and in Alpaca's two headers.

    Some endpoints are documented with the one form, some with the other, and some were seen to want both.
    """

    def __init__(self, key_id: str, secret: str) -> None:
        for field, value in (("key_id", key_id), ("secret", secret)):
            if not _sendable(value):
                raise ValueError(f"{field} must be printable ASCII without spaces")
        self._key_id = key_id
        self._secret = secret
        self._basic = "Basic " + b64encode(f"{key_id}:{secret}".encode()).decode()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the three headers."""
        request.headers["Authorization"] = self._basic
        request.headers["APCA-API-KEY-ID"] = self._key_id
        request.headers["APCA-API-SECRET-KEY"] = self._secret
        yield request

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_id={self._key_id!r})"


@dataclass(frozen=True, slots=True, repr=False)
class _Token:
    value: str
    refresh_at: datetime
    unusable_at: datetime


class ClientCredentialsAuth(httpx.Auth):
    """A bearer token from OAuth2 client credentials, kept and renewed in time. Safe to share between threads.

    Give either `client_secret`, or `private_key` (with `key_id` if the key is registered under one) to sign
    an ES256 assertion instead. Whatever goes wrong with the token is `Unavailable`: the request that needed
    it was not sent.

    :param private_key: a P-256 private key in PEM form.
    :param transport: replaces the network, for tests; it is closed after each use.
    """

    requires_request_body = True  # a request answered with 401 is sent a second time

    def __init__(
        self,
        token_url: str,
        client_id: str,
        *,
        client_secret: str | None = None,
        private_key: str | None = None,
        key_id: str | None = None,
        transport: httpx.BaseTransport | None = None,
        timeout: httpx.Timeout | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if (client_secret is None) == (private_key is None):
            raise ValueError("give either client_secret or private_key")
        if not client_id or client_secret == "":
            raise ValueError("client_id and client_secret must not be empty")
        url = httpx.URL(token_url)
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise ValueError("token_url must be an http(s) URL without credentials")
        self._url = token_url
        self._client_id = client_id
        self._credential = _p256(private_key) if private_key is not None else str(client_secret)
        self._key_id = key_id
        self._transport = transport
        self._timeout = timeout or TIMEOUT
        self._now = now
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._not_before: datetime | None = None

    def __repr__(self) -> str:
        kind = "client_secret" if isinstance(self._credential, str) else "private_key"
        return f"{type(self).__name__}(client_id={self._client_id!r}, by={kind!r})"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token. After a 401, which did nothing, get a new one and send once more."""
        token = self._usable()
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == 401 and (newer := self._replace(token)) is not None:
            request.headers["Authorization"] = f"Bearer {newer.value}"
            yield request

    def _usable(self) -> _Token:
        """Return a token, renewed first when it is time. One thread renews; others use the old one."""
        old = self._token
        now = self._now()
        if old is not None and now < old.refresh_at:
            return old
        still_good = old is not None and now < old.unusable_at
        if not self._lock.acquire(blocking=not still_good) and old is not None:
            return old
        try:
            current = self._token
            if current is not None and current is not old and self._now() < current.unusable_at:
                return current
            try:
                return self._fetch()
            except Unavailable:
                if old is not None and still_good:
                    return old
                raise
        finally:
            self._lock.release()

    def _replace(self, rejected: _Token) -> _Token | None:
        """Return a token other than a rejected one, or None while a new one may not be asked for."""
        with self._lock:
            if self._token is not None and self._token is not rejected:
                return self._token
            self._token = None
            return None if self._backoff_left() > 0 else self._fetch()

    def _backoff_left(self) -> float:
        if self._not_before is None:
            return 0.0
        left = (self._not_before - self._now()).total_seconds()
        # More than any backoff means that our clock was put back.
        return left if 0 < left <= 60.0 else 0.0

    def _fetch(self) -> _Token:
        """Get a new token and keep it. The lock is held."""
        if (left := self._backoff_left()) > 0:
            raise AlpacaUnavailable(
                f"no token: the last attempt failed, the next one is in {left:.0f} s", retry_after=left
            )
        try:
            self._token = self._ask()
        except Unavailable as error:
            self._not_before = self._now() + timedelta(seconds=max(BACKOFF, error.retry_after or 0.0))
            raise
        self._not_before = None
        return self._token

    def _ask(self) -> _Token:
        asked_at = self._now()
        try:
            with httpx.Client(
                transport=self._transport,
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            ) as client:
                response = client.post(self._url, data=self._form(asked_at))
        except httpx.HTTPError as error:
            # Not chained: the failed request in the original holds the secret in its body.
            raise AlpacaUnavailable(f"the token endpoint did not answer: {type(error).__name__}") from None
        if response.status_code == 429:
            raise RateLimited(
                "the token endpoint is rate limited",
                status=429,
                retry_after=max(BACKOFF, retry_after(response.headers, asked_at) or 0.0),
            )
        body = _object(response)
        if response.status_code != 200:
            raise AlpacaUnavailable(
                f"the token endpoint answered {response.status_code} {_reason(body)}".rstrip(),
                status=response.status_code,
            )
        return _read_token(body, asked_at)

    def _form(self, now: datetime) -> dict[str, str]:
        form = {"grant_type": "client_credentials", "client_id": self._client_id}
        if isinstance(self._credential, str):
            return form | {"client_secret": self._credential}
        return form | {
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": self._assertion(self._credential, now),
        }

    def _assertion(self, private_key: EllipticCurvePrivateKey, now: datetime) -> str:
        """Sign a statement, valid for five minutes, that this client asks this token endpoint."""
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._url,
            "jti": str(uuid.uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + ASSERTION_LIFETIME).timestamp()),
        }
        headers = None if self._key_id is None else {"kid": self._key_id}
        return jwt.encode(claims, private_key, algorithm="ES256", headers=headers)


def _p256(pem: str) -> EllipticCurvePrivateKey:
    try:
        private_key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("private_key is not an unencrypted private key in PEM form") from None
    if not isinstance(private_key, EllipticCurvePrivateKey) or not isinstance(private_key.curve, SECP256R1):
        raise ValueError("private_key must be of the curve P-256, which ES256 needs")
    return private_key


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = exact_json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _reason(body: dict[str, Any]) -> str:
    """Return the standard error word, and nothing else: a description may echo what was sent."""
    word = body.get("error")
    if isinstance(word, str) and len(word) <= 64 and word.replace("_", "").isalnum() and word.isascii():
        return word
    return ""


def _read_token(body: dict[str, Any], asked_at: datetime) -> _Token:
    value, kind, lifetime = body.get("access_token"), body.get("token_type"), body.get("expires_in")
    if not isinstance(value, str) or not _sendable(value):
        raise AlpacaUnavailable("the token endpoint answered 200 without a usable token", status=200)
    if kind is not None and str(kind).lower() != "bearer":
        raise AlpacaUnavailable(
            "the token endpoint answered with a token that is not a bearer token", status=200
        )
    if lifetime is None:
        lifetime = UNSTATED_LIFETIME
    if (
        isinstance(lifetime, bool)
        or not isinstance(lifetime, int | float | Decimal)
        or not lifetime > STOP_EARLY
    ):
        raise AlpacaUnavailable("the token endpoint answered with a token that is already over", status=200)
    seconds = min(float(lifetime), LONGEST_LIFETIME)
    return _Token(
        value,
        refresh_at=asked_at + timedelta(seconds=seconds - min(REFRESH_EARLY, seconds / 2)),
        unusable_at=asked_at + timedelta(seconds=seconds - STOP_EARLY),
    )


def _sendable(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value
