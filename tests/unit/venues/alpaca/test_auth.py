from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from include.venues.alpaca.auth import ClientCredentialsAuth, KeyPairAuth
from include.venues.alpaca.errors import RateLimited, Unauthorized
from include.venues.errors import OutcomeUnknown, Refused, Unavailable, VenueError
from tests.unit.venues.alpaca.support import KEY_ID, SECRET, Clock, Venue, answer, broker
from tests.unit.venues.alpaca.test_http import mint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

TOKEN_URL = "https://authx.test/v1/oauth2/token"
CLIENT_ID = "client-1"
CLIENT_SECRET = "the-client-secret"


def pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def token(value: str = "token-1", **changes: Any) -> httpx.Response:
    body = {"access_token": value, "expires_in": 899, "token_type": "Bearer"} | changes
    return httpx.Response(200, json={name: entry for name, entry in body.items() if entry is not None})


def by_secret(issuer: Venue, clock: Clock | None = None) -> ClientCredentialsAuth:
    return ClientCredentialsAuth(
        TOKEN_URL,
        CLIENT_ID,
        client_secret=CLIENT_SECRET,
        transport=issuer.transport,
        now=clock or Clock(),
    )


def bearers(venue: Venue) -> list[str]:
    return [request.headers["Authorization"] for request in venue.requests]


# The key pair


def test_key_pair__repr__hides_the_secret() -> None:
    shown = repr(KeyPairAuth(KEY_ID, SECRET))

    assert KEY_ID in shown
    assert SECRET not in shown


@pytest.mark.parametrize("bad", ["", "a b", "a\nb", "ä"])
def test_key_pair__not_sendable__is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(ValueError, match="secret must be") as caught:
        KeyPairAuth(KEY_ID, bad)
    assert str(caught.value) == "secret must be printable ASCII without spaces"
    with pytest.raises(ValueError, match="key_id must be"):
        KeyPairAuth(bad, SECRET)


# Getting a token


def test_token__by_secret__is_asked_for_in_a_form_and_sent_as_bearer() -> None:
    issuer, venue = Venue(token()), Venue(answer("account"))

    broker(venue, auth=by_secret(issuer)).account()

    assert issuer.request.method == "POST"
    assert str(issuer.request.url) == TOKEN_URL
    assert issuer.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in issuer.request.headers
    assert parse_qs(issuer.request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [CLIENT_ID],
        "client_secret": [CLIENT_SECRET],
    }
    assert bearers(venue) == ["Bearer token-1"]
    assert "APCA-API-SECRET-KEY" not in venue.request.headers


def test_token__by_private_key__signs_a_short_lived_assertion() -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    clock = Clock()
    issuer, venue = Venue(token(), token("token-2")), Venue(answer("account"), answer("account"))
    auth = ClientCredentialsAuth(
        TOKEN_URL,
        CLIENT_ID,
        private_key=pem(private_key),
        key_id="key-7",
        transport=issuer.transport,
        now=clock,
    )
    alpaca = broker(venue, auth=auth)

    alpaca.account()
    clock.advance(899)
    alpaca.account()

    forms = [parse_qs(request.content.decode()) for request in issuer.requests]
    assert forms[0]["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert "client_secret" not in forms[0]
    assertions = [form["client_assertion"][0] for form in forms]
    claims = [
        jwt.decode(
            assertion,
            private_key.public_key(),
            algorithms=["ES256"],
            audience=TOKEN_URL,
            options={"verify_exp": False, "verify_iat": False},
        )
        for assertion in assertions
    ]
    assert claims[0]["iss"] == claims[0]["sub"] == CLIENT_ID
    assert claims[0]["exp"] - claims[0]["iat"] == 300
    assert claims[1]["iat"] == clock().timestamp()
    assert claims[0]["jti"] != claims[1]["jti"]
    assert jwt.get_unverified_header(assertions[0])["kid"] == "key-7"


@pytest.mark.parametrize(
    "credentials",
    [{}, {"client_secret": "a", "private_key": "b"}, {"client_secret": ""}],
)
def test_credentials__not_exactly_one__are_refused(credentials: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="client_secret"):
        ClientCredentialsAuth(TOKEN_URL, CLIENT_ID, **credentials)  # type: ignore[arg-type] # any of the strings


@pytest.mark.parametrize(
    "private_key",
    [
        "not a key, but secret",
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["text", "rsa", "p384"],
)
def test_private_key__not_p256__is_refused_without_showing_it(private_key: str) -> None:
    with pytest.raises(ValueError, match="private_key") as caught:
        ClientCredentialsAuth(TOKEN_URL, CLIENT_ID, private_key=private_key)

    assert private_key not in str(caught.value)


@pytest.mark.parametrize("url", ["", "authx.test/token", "https://user:pass@authx.test/token"])
def test_token_url__bad__is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="token_url"):
        ClientCredentialsAuth(url, CLIENT_ID, client_secret=CLIENT_SECRET)


# Keeping it


def test_token__while_good__is_kept() -> None:
    clock = Clock()
    issuer, venue = Venue(token()), Venue(*[answer("account") for _ in range(3)])
    alpaca = broker(venue, auth=by_secret(issuer, clock))

    for _ in range(3):
        alpaca.account()
        clock.advance(300)

    assert bearers(venue) == ["Bearer token-1"] * 3


@pytest.mark.parametrize(
    ("lifetime", "age", "renewed"),
    [
        (899, 778, False),
        (899, 779, True),
        (100, 49, False),
        (100, 50, True),
        (None, 179, False),
        (None, 180, True),
        (86400, 3479, False),
        (86400, 3480, True),
        (899.5, 779.5, True),
    ],
)
def test_token__near_its_end__is_renewed_early(lifetime: float | None, age: float, renewed: bool) -> None:
    clock = Clock()
    issuer = Venue(token(expires_in=lifetime), token("token-2"))
    venue = Venue(answer("account"), answer("account"))
    alpaca = broker(venue, auth=by_secret(issuer, clock))
    alpaca.account()

    clock.advance(age)
    alpaca.account()

    assert bearers(venue)[1] == ("Bearer token-2" if renewed else "Bearer token-1")


def test_token__renewal_fails__the_old_one_serves_until_its_end_and_nobody_is_hammered() -> None:
    clock = Clock()
    down = httpx.Response(503)
    issuer = Venue(token(), down, httpx.ConnectError("x"), token("token-2"))
    venue = Venue(*[answer("account") for _ in range(4)])
    alpaca = broker(venue, auth=by_secret(issuer, clock))
    alpaca.account()

    clock.advance(800)
    alpaca.account()
    clock.advance(14)
    alpaca.account()  # within the backoff: the issuer is not asked
    assert len(issuer.requests) == 2
    clock.advance(75)  # at 889 s it may no longer be used
    with pytest.raises(Unavailable, match="did not answer: ConnectError"):
        alpaca.account()
    with pytest.raises(Unavailable, match="next one is in 15 s") as caught:
        alpaca.account()
    assert caught.value.retry_after == 15
    assert len(issuer.requests) == 3
    clock.advance(15)
    alpaca.account()

    assert bearers(venue) == ["Bearer token-1"] * 3 + ["Bearer token-2"]


def test_token__many_threads__ask_once() -> None:
    issuer = Venue(token())
    venue = Venue(*[answer("account") for _ in range(8)])
    alpaca = broker(venue, auth=by_secret(issuer))
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait(10)
            alpaca.account()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert failures == []
    assert len(issuer.requests) == 1
    assert bearers(venue) == ["Bearer token-1"] * 8


def test_token__renewal_hangs__other_threads_use_the_old_one() -> None:
    clock = Clock()
    asked, release = threading.Event(), threading.Event()
    answers = [token(), token("token-2")]

    def issue(request: httpx.Request) -> httpx.Response:
        if len(answers) == 1:
            asked.set()
            assert release.wait(10)
        return answers.pop(0)

    auth = ClientCredentialsAuth(
        TOKEN_URL, CLIENT_ID, client_secret=CLIENT_SECRET, transport=httpx.MockTransport(issue), now=clock
    )
    venue = Venue(*[answer("account") for _ in range(3)])
    alpaca = broker(venue, auth=auth)
    alpaca.account()
    clock.advance(800)
    renewing = threading.Thread(target=alpaca.account)
    renewing.start()
    assert asked.wait(10)

    alpaca.account()
    release.set()
    renewing.join(10)

    assert bearers(venue) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


# A 401 in the middle


def test_401__in_the_middle__a_new_token_is_used_once_and_the_body_is_sent_again() -> None:
    issuer = Venue(token(), token("token-2"))
    venue = Venue(httpx.Response(401, json={"message": "unauthorized."}), answer("mint_answer"))

    assert mint(broker(venue, auth=by_secret(issuer)))

    assert bearers(venue) == ["Bearer token-1", "Bearer token-2"]
    assert venue.requests[0].content == venue.requests[1].content != b""
    assert venue.requests[0].headers["Idempotency-Key"] == venue.requests[1].headers["Idempotency-Key"]


def test_401__twice__is_refused() -> None:
    issuer = Venue(token(), token("token-2"))
    venue = Venue(httpx.Response(401), httpx.Response(401))

    with pytest.raises(Unauthorized):
        broker(venue, auth=by_secret(issuer)).account()

    assert len(venue.requests) == 2


def test_401__no_new_token__is_unavailable_even_for_what_moves_money() -> None:
    issuer = Venue(token(), httpx.ReadTimeout("slow"))
    venue = Venue(httpx.Response(401))

    with pytest.raises(Unavailable):
        mint(broker(venue, auth=by_secret(issuer)))

    assert len(venue.requests) == 1


def test_401__renewed_by_another_thread__that_token_is_used() -> None:
    issuer = Venue(token(), token("token-2"))
    auth = by_secret(issuer)
    first, second = (auth.auth_flow(httpx.Request("GET", "https://broker.test/")) for _ in range(2))
    next(first)
    next(second)

    renewed = [flow.send(httpx.Response(401)) for flow in (first, second)]

    assert [request.headers["Authorization"] for request in renewed] == ["Bearer token-2"] * 2
    assert len(issuer.requests) == 2


# A token endpoint that fails


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.ConnectError("x"), "did not answer: ConnectError"),
        (httpx.ReadTimeout("x"), "did not answer: ReadTimeout"),
        (httpx.RemoteProtocolError("x"), "did not answer: RemoteProtocolError"),
        (httpx.Response(500), "answered 500"),
        (httpx.Response(401, json={"error": "invalid_client"}), "answered 401 invalid_client"),
        (httpx.Response(400, json={"error": f"bad {CLIENT_SECRET}"}), "answered 400"),
        (httpx.Response(400, json={"error": "x", "error_description": CLIENT_SECRET}), "answered 400 x"),
        (httpx.Response(400, text=CLIENT_SECRET), "answered 400"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.test/"}), "answered 302"),
        (httpx.Response(200, html="<html></html>"), "without a usable token"),
        (httpx.Response(200, json=[]), "without a usable token"),
        (token(access_token=None), "without a usable token"),
        (token(access_token=""), "without a usable token"),
        (token(access_token="a\nb"), "without a usable token"),
        (token(access_token=5), "without a usable token"),
        (token(token_type="mac"), "not a bearer token"),
        (token(expires_in=0), "already over"),
        (token(expires_in=-1), "already over"),
        (token(expires_in="899"), "already over"),
        (token(expires_in=True), "already over"),
    ],
)
def test_token_endpoint__fails__is_unavailable_and_nothing_was_sent(
    reply: httpx.Response | Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    venue = Venue()

    with caplog.at_level(logging.DEBUG), pytest.raises(VenueError) as caught:
        mint(broker(venue, auth=by_secret(Venue(reply))))

    assert isinstance(caught.value, Unavailable)
    assert not isinstance(caught.value, Refused | OutcomeUnknown)
    assert words in str(caught.value)
    assert venue.requests == []
    assert CLIENT_SECRET not in str(caught.value) + repr(caught.value) + caplog.text


@pytest.mark.parametrize(("after", "seconds"), [(None, 15), ("3", 15), ("40", 40), ("4000", 60)])
def test_token_endpoint__429__waits_as_asked(after: str | None, seconds: float) -> None:
    clock = Clock()
    issuer = Venue(httpx.Response(429, headers={} if after is None else {"Retry-After": after}), token())
    venue = Venue(answer("account"))
    alpaca = broker(venue, auth=by_secret(issuer, clock))
    with pytest.raises(RateLimited) as caught:
        alpaca.account()
    assert caught.value.retry_after == seconds

    clock.advance(seconds - 1)
    with pytest.raises(Unavailable):
        alpaca.account()
    assert len(issuer.requests) == 1

    clock.advance(1)
    assert alpaca.account().status == "ACTIVE"


def test_token__type_missing_or_in_small_letters__is_taken() -> None:
    for kind in (None, "bearer"):
        venue = Venue(answer("account"))
        broker(venue, auth=by_secret(Venue(token(token_type=kind)))).account()
        assert bearers(venue) == ["Bearer token-1"]


def test_repr_and_log__hold_neither_secret_nor_token(caplog: pytest.LogCaptureFixture) -> None:
    auth = by_secret(Venue(token("very-secret-token")))
    with caplog.at_level(logging.DEBUG):
        broker(Venue(answer("account")), auth=auth).account()

    shown = repr(auth) + repr(auth._token) + caplog.text
    assert CLIENT_ID in repr(auth)
    assert CLIENT_SECRET not in shown
    assert "very-secret-token" not in shown
