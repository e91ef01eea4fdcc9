"""The Broker API as HTTP, without a network: credentials, shapes of errors, limits, faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.sandbox.alpaca.app import HANDLERS, AlpacaApp
from include.sandbox.alpaca.faults import ENDPOINTS, Fault
from tests.unit.sandbox.alpaca.conftest import START, WALLET

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core
    from tests.unit.sandbox.alpaca.conftest import Clock

ACCOUNT = "7f0c1f7e-0000-4000-8000-000000000001"
A, T = f"/v1/accounts/{ACCOUNT}", f"/v1/trading/accounts/{ACCOUNT}"
MINT = {
    "underlying_symbol": "AAPL",
    "qty": "1",
    "issuer": "st0x",
    "network": "base",
    "wallet_address": WALLET,
}


class Client:
    """Asks the application, by default with the key pair."""

    def __init__(self, core: Core) -> None:
        self._app = AlpacaApp(core)

    def __call__(self, method: str, path: str, *, anonymous: bool = False, **kwargs: Any) -> httpx.Response:
        if not anonymous and "auth" not in kwargs and "authorization" not in kwargs.get("headers", {}):
            kwargs["auth"] = ("KEY", "secret")

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://broker.test") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(ask())


@pytest.fixture
def ask(core: Core) -> Client:
    return Client(core)


def test_endpoints__all_that_exist__can_be_named_by_a_fault() -> None:
    assert set(ENDPOINTS) == {*HANDLERS, "token"}


def test_positions__some_held__lists_no_zero_rows_and_usdc_as_crypto(ask: Client, core: Core) -> None:
    rows = {row["symbol"]: row for row in ask("GET", f"{T}/positions").json()}

    assert set(rows) == {"AAPL", "USDCUSD"}
    assert (rows["USDCUSD"]["asset_class"], rows["USDCUSD"]["exchange"]) == ("crypto", "CRYPTO")
    assert rows["USDCUSD"]["qty"] == "9000.123456789"
    assert rows["AAPL"]["qty_available"] == "60"

    ask("POST", f"{A}/tokenization/mint", json={**MINT, "qty": "60"})
    row = ask("GET", f"{T}/positions/AAPL").json()
    assert (row["qty"], row["qty_available"]) == ("60", "0")


def test_position__none_held__is_404(ask: Client) -> None:
    answer = ask("GET", f"{T}/positions/TSLA")

    assert (answer.status_code, answer.json()["code"]) == (404, 40410000)


def test_account_assets_and_clock__asked__answer_with_strings_and_offsets(ask: Client) -> None:
    account = ask("GET", f"{T}/account").json()
    assert (account["id"], account["status"], account["cash"]) == (ACCOUNT, "ACTIVE", "100000")
    assert "daytrade_count" not in account

    assert ask("GET", "/v1/assets/AAPL").json()["fractionable"] is True
    assert ask("GET", "/v1/assets/ZZZZ").status_code == 404
    clock = ask("GET", "/v1/clock").json()
    assert clock["timestamp"] == "2026-09-25T10:00:00-04:00"  # a Friday
    assert clock["is_open"] is True
    assert clock["next_open"] == "2026-09-28T09:30:00-04:00"


def test_mint__by_http__replays_with_its_header(ask: Client) -> None:
    headers = {"Idempotency-Key": "key-1"}

    first = ask("POST", f"{A}/tokenization/mint", json=MINT, headers=headers)
    second = ask("POST", f"{A}/tokenization/mint", json=MINT, headers=headers)
    found = ask("GET", f"{A}/tokenization/requests/{first.json()['tokenization_request_id']}")

    assert first.status_code == second.status_code == found.status_code == 200
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert found.json()["type"] == "mint"


def test_lookup__by_client_id__is_not_taken_for_an_id(ask: Client) -> None:
    ask("POST", f"{A}/tokenization/mint", json={**MINT, "client_request_id": "c 1"})

    path = f"{A}/tokenization/requests:by_client_request_id"

    assert ask("GET", path, params={"client_request_id": "c 1"}).json()["client_request_id"] == "c 1"
    assert ask("GET", path).status_code == 422


def test_whitelist_delete__by_http__is_answered_without_a_problem(ask: Client) -> None:
    assert ask("DELETE", f"{A}/wallets/whitelists/w").status_code == 200
    assert ask("GET", f"{A}/wallets/whitelists").json() == []


def test_other_account__asked_for__is_404(ask: Client) -> None:
    assert ask("GET", "/v1/accounts/other/wallets/transfers").status_code == 404


@pytest.mark.parametrize(
    "how",
    [
        {"auth": ("KEY", "secret")},
        {"anonymous": True, "headers": {"APCA-API-KEY-ID": "KEY", "APCA-API-SECRET-KEY": "secret"}},
    ],
)
def test_credentials__of_either_form__are_taken(ask: Client, how: dict[str, Any]) -> None:
    assert ask("GET", f"{T}/account", **how).status_code == 200


@pytest.mark.parametrize(
    "how",
    [
        {"anonymous": True},
        {"auth": ("KEY", "wrong")},
        {"headers": {"authorization": "Basic !!!"}},
        {"headers": {"authorization": "Bearer guessed"}},
        {"anonymous": True, "headers": {"APCA-API-KEY-ID": "KEY"}},
    ],
)
def test_credentials__wrong__are_401_in_three_shapes(ask: Client, how: dict[str, Any]) -> None:
    coded = ask("GET", f"{A}/tokenization/requests", **how)
    plain = ask("GET", f"{T}/account", **how)
    page = ask("GET", "/v1/clock", **how)

    assert [answer.status_code for answer in (coded, plain, page)] == [401, 401, 401]
    assert coded.json() == {"code": 40110000, "message": "unauthorized"}
    assert plain.json() == {"message": "unauthorized."}
    assert page.headers["content-type"].startswith("text/html")


def test_token__issued__is_good_until_it_expires(ask: Client, clock: Clock) -> None:
    form = {"grant_type": "client_credentials", "client_id": "KEY", "client_secret": "secret"}
    answer = ask("POST", "/v1/oauth2/token", data=form, anonymous=True).json()
    bearer: dict[str, Any] = {"headers": {"authorization": f"Bearer {answer['access_token']}"}}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 899)
    assert ask("GET", f"{T}/account", **bearer).status_code == 200

    clock.tick(899)

    assert ask("GET", f"{T}/account", **bearer).status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (
            {"grant_type": "client_credentials", "client_id": "KEY", "client_secret": "x"},
            401,
            "invalid_client",
        ),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_token__wrong_form__is_refused(ask: Client, form: dict[str, str], status: int, error: str) -> None:
    answer = ask("POST", "/v1/oauth2/token", data=form, anonymous=True)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_every_answer__good_or_bad__has_a_request_id_and_the_limit(ask: Client) -> None:
    answers = [ask("GET", f"{T}/account"), ask("GET", "/nowhere"), ask("GET", f"{T}/account", anonymous=True)]

    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["5999", "5998", "5997"]
    assert {answer.headers["x-ratelimit-reset"] for answer in answers} == {str(int(START.timestamp()) + 60)}


def test_rate_limit__used_up__is_429_until_the_next_minute(ask: Client, core: Core, clock: Clock) -> None:
    core.rules.requests_per_minute = 1
    assert ask("GET", f"{T}/account").status_code == 200
    limited = ask("POST", f"{A}/tokenization/mint", json=MINT)
    assert limited.status_code == 429
    assert core.state.requests == {}

    clock.tick(60)

    assert ask("GET", f"{T}/account").status_code == 200


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("status", False),
        ("html", False),
        ("empty", False),
        ("status_after", True),
        ("html_after", True),
    ],
)
def test_fault__of_an_answer__does_or_does_not_do_what_was_asked(
    ask: Client, core: Core, kind: str, accepted: bool
) -> None:
    core.faults.arm(Fault(target="mint", kind=kind, status=502, retry_after=7))

    broken = ask("POST", f"{A}/tokenization/mint", json=MINT)

    assert (broken.status_code, broken.headers["retry-after"]) == (502, "7")
    assert len(core.state.requests) == (1 if accepted else 0)
    assert ask("POST", f"{A}/tokenization/mint", json=MINT).status_code == 200


@pytest.mark.parametrize(("kind", "accepted"), [("reset", False), ("drop_answer", True)])
def test_fault__that_hangs_up__gives_no_answer(ask: Client, core: Core, kind: str, accepted: bool) -> None:
    core.faults.arm(Fault(target="withdraw", kind=kind))
    body = {"amount": "100", "asset": "USDC", "address": WALLET}

    with pytest.raises(ConnectionResetError):
        ask("POST", f"{A}/wallets/transfers", json=body)

    assert len(core.state.transfers) == (1 if accepted else 0)


def test_fault__with_times_and_after__lets_some_pass_and_then_hits_some(ask: Client, core: Core) -> None:
    core.faults.arm(Fault(target="*", kind="status", status=429, times=2, after=1))

    statuses = [
        ask("GET", path).status_code for path in (f"{T}/account", "/v1/clock", f"{T}/account", "/v1/clock")
    ]

    assert statuses == [200, 429, 429, 200]
    assert core.faults.armed() == []


@pytest.mark.parametrize(
    ("target", "kind"), [("mint", "bogus"), ("nowhere", "status"), ("deposit", "status"), ("*", "stuck")]
)
def test_fault__that_does_not_exist__is_refused(target: str, kind: str) -> None:
    with pytest.raises(ValueError, match="no fault"):
        Fault(target=target, kind=kind)
