"""Who may ask: a key pair by Basic or headers, or a Bearer token from the token endpoint."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from include.sandbox.alpaca.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.sandbox.alpaca.core import Core


class Authority:
    """Knows the key pair of the account, and the tokens it gave out. Several tokens may be good at once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tokens: dict[str, datetime] = {}

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a request carries good credentials."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            expiry = self._tokens.get(value.strip())
            return expiry is not None and self._core.clock() < expiry
        if scheme.lower() == "basic":
            try:
                key_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return self._is_key_pair(key_id, secret)
        return self._is_key_pair(headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", ""))

    def issue(self, form: bytes) -> dict[str, Any]:
        """Give out a token for the key pair, sent as client_id and client_secret in a form.

        :raises ApiError: 400 for another grant, 401 for wrong credentials.
        """
        fields = {name: values[0] for name, values in parse_qs(form.decode(errors="replace")).items()}
        if fields.get("grant_type") != "client_credentials":
            raise ApiError(400, {"error": "unsupported_grant_type"})
        if not self._is_key_pair(fields.get("client_id", ""), fields.get("client_secret", "")):
            raise ApiError(401, {"error": "invalid_client"})
        lifetime = self._core.rules.token_lifetime
        token = secrets.token_urlsafe(32)
        self._tokens[token] = self._core.clock() + timedelta(seconds=lifetime)
        return {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"}

    def _is_key_pair(self, key_id: str, secret: str) -> bool:
        profile = self._core.profile
        # Compared as bytes: a header may hold characters that compare_digest refuses in a str.
        return hmac.compare_digest(key_id.encode(), profile.key_id.encode()) and hmac.compare_digest(
            secret.encode(), profile.secret.encode()
        )
