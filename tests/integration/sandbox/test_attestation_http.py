"""Circle's paths and shapes, wrong requests, and settings that change while the service runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_keys.datatypes import PublicKey

from include.sandbox.accounts import Role, account

if TYPE_CHECKING:
    from tests.integration.sandbox.cctp import Iris

NOBODY = "0x" + "ab" * 32


def test_fees__both_lanes__are_numbers_and_may_be_fractional(iris: Iris) -> None:
    assert iris.get("/v2/burn/USDC/fees/0/6").json() == [
        {"finalityThreshold": 1000, "minimumFee": 1},
        {"finalityThreshold": 2000, "minimumFee": 0},
    ]
    assert iris.get("/v2/burn/USDC/fees/6/0").json() == [
        {"finalityThreshold": 1000, "minimumFee": 1.3},
        {"finalityThreshold": 2000, "minimumFee": 0},
    ]


def test_allowance__nothing_on_its_way__is_what_the_settings_say(iris: Iris) -> None:
    iris.patch(fast_allowance="123999.99")

    answer = iris.get("/v2/fastBurn/USDC/allowance").json()

    assert answer["allowance"] == 123999.99
    assert answer["lastUpdated"].endswith("Z")


def test_public_keys__of_the_attesters__give_their_addresses(iris: Iris) -> None:
    keys = iris.get("/v2/publicKeys").json()["publicKeys"]

    assert {key["cctpVersion"] for key in keys} == {2}
    addresses = [
        PublicKey(bytes.fromhex(key["publicKey"].removeprefix("0x04"))).to_checksum_address() for key in keys
    ]
    assert addresses == [account(role).address for role in (Role.ATTESTER_1, Role.ATTESTER_2)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/v2/messages/0?transactionHash={NOBODY}", 404),
        ("GET", f"/v2/messages/3?transactionHash={NOBODY}", 404),
        ("GET", f"/v2/messages/0?nonce={NOBODY}", 404),
        ("GET", "/v2/messages/0", 400),
        ("GET", "/v2/messages/0?transactionHash=0x12", 400),
        ("POST", f"/v2/reattest/{NOBODY}", 404),
        ("POST", "/v2/reattest/12", 400),
        ("GET", "/v2/burn/USDC/fees/0/0", 400),
        ("GET", "/v2/burn/USDC/fees/0/3", 400),
    ],
)
def test_request__unknown_or_malformed__is_refused(iris: Iris, method: str, path: str, status: int) -> None:
    answer = iris.get(path) if method == "GET" else iris.post(path)

    assert answer.status_code == status
    assert answer.json()["code"] == status


def test_settings__one_latency_of_one_chain__changes_only_that(iris: Iris) -> None:
    before = iris.get("/_sandbox/settings").json()

    changed = iris.patch(fast_latency={"6": 3.5})

    assert changed.status_code == 200
    assert iris.get("/_sandbox/settings").json() == before | {"fast_latency": {"0": 20, "6": 3.5}}


@pytest.mark.parametrize(
    "change",
    [
        {"latency": 1},
        {"fast_allowance": -1},
        {"fail_with": 200},
        {"fast_latency": {"0": -1}},
        {"fast_latency": {"3": 1}},
        {"fast_fee_bps": {"0": "-1"}},
        {"expiration_blocks": {"0": -1}},
    ],
)
def test_settings__not_valid__changes_nothing(iris: Iris, change: dict[str, Any]) -> None:
    before = iris.get("/_sandbox/settings").json()

    assert iris.patch(**change).status_code == 422

    assert iris.get("/_sandbox/settings").json() == before


def test_fail_with__a_status__every_public_endpoint_answers_it_until_it_is_lifted(iris: Iris) -> None:
    iris.patch(fail_with=503)
    paths = ["/v2/messages/0", "/v2/burn/USDC/fees/0/6", "/v2/fastBurn/USDC/allowance", "/v2/publicKeys"]

    assert {iris.get(path).status_code for path in paths} == {503}
    assert iris.post(f"/v2/reattest/{NOBODY}").status_code == 503
    iris.patch(fail_with=None)

    assert iris.get("/v2/publicKeys").status_code == 200
