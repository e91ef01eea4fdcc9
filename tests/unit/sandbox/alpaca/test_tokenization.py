from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.sandbox.alpaca.errors import ApiError
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import Incoming
from include.sandbox.alpaca.tokenization import (
    accept_mint,
    complete_mint,
    credit_redemption,
    finish_request,
    journal_mint,
    list_requests,
    record_redemption,
    reject_journaled_mint,
    request_by_client_id,
    request_by_id,
)
from tests.unit.sandbox.alpaca.conftest import START, WALLET, Clock, books_sum_to_zero

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core

BODY = {
    "underlying_symbol": "AAPL",
    "qty": "12.5",
    "issuer": "st0x",
    "network": "base",
    "wallet_address": WALLET,
    "client_request_id": "ours-1",
}
KEY = "0192f3c2-7b1e-7c5a-9a51-2f2c8b7d1e10"


def refused(core: Core, body: Any, key: str | None = None) -> ApiError:
    before = len(core.state.requests)
    with pytest.raises(ApiError) as caught:
        accept_mint(core, body, key)
    assert len(core.state.requests) == before
    return caught.value


def test_mint__accepted__answers_lean_and_lowers_only_the_available_quantity(core: Core) -> None:
    answer, replayed = accept_mint(core, BODY, KEY)

    assert not replayed
    assert set(answer) == {
        "tokenization_request_id", "created_at", "status", "underlying_symbol", "token_symbol", "qty",
        "issuer", "network", "client_request_id",
    }  # fmt: skip
    assert (answer["status"], answer["token_symbol"], answer["qty"]) == ("pending", "", "12.5")
    assert core.state.position("AAPL") == 60
    assert core.state.available("AAPL") == Decimal("47.5")


def test_mint__same_key_and_body__is_replayed_and_makes_no_second_one(core: Core) -> None:
    first, _ = accept_mint(core, BODY, KEY)

    second, replayed = accept_mint(core, dict(BODY), f" {KEY} ")

    assert replayed
    assert second == first
    assert len(core.state.requests) == 1


@pytest.mark.parametrize(("replay", "status"), [("original", "pending"), ("current", "completed")])
def test_mint__replayed_after_completion__shows_what_the_rule_says(
    core: Core, replay: str, status: str
) -> None:
    core.rules.replay = replay  # type: ignore[assignment]  # a parametrized literal
    answer, _ = accept_mint(core, BODY, KEY)
    request = core.state.requests[answer["tokenization_request_id"]]
    journal_mint(core, request)
    complete_mint(core, request, "0xabc")

    again, replayed = accept_mint(core, BODY, KEY)

    assert replayed
    assert again["status"] == status


def test_mint__same_key_and_rejected_original__is_400(core: Core) -> None:
    answer, _ = accept_mint(core, BODY, KEY)
    finish_request(core, core.state.requests[answer["tokenization_request_id"]], "rejected")

    assert refused(core, BODY, KEY).status == 400


def test_mint__same_key_and_other_body__is_422(core: Core) -> None:
    accept_mint(core, BODY, KEY)

    assert refused(core, {**BODY, "qty": "12.6"}, KEY).status == 422


@pytest.mark.parametrize("key", ["", " ", "with space", "x" * 129, "ümlaut"])
def test_mint__malformed_key__is_400(core: Core, key: str) -> None:
    assert refused(core, BODY, key).status == 400


def test_mint__without_a_key__is_made_each_time(core: Core) -> None:
    accept_mint(core, BODY, None)
    accept_mint(core, BODY, None)

    assert len(core.state.requests) == 2
    assert core.state.available("AAPL") == 35


def test_mint__refused_at_first__does_not_use_the_key_up(core: Core) -> None:
    refused(core, {**BODY, "qty": "1000"}, KEY)

    _, replayed = accept_mint(core, BODY, KEY)

    assert not replayed


@pytest.mark.parametrize(
    ("change", "status", "code", "words"),
    [
        (None, 400, 40010000, "failed to decode request body"),
        ({"qty": 5}, 400, 40010000, "failed to decode request body"),
        ({"issuer": "", "network": None}, 422, 42210001, "issuer is required, network is required"),
        ({"qty": "1.0000000001"}, 400, 40010000, "9 decimal places"),
        ({"qty": "-1"}, 422, 42210001, "positive"),
        ({"qty": "NaN"}, 422, 42210001, "positive"),
        ({"qty": "60.000000001"}, 400, 40010000, "insufficient position"),
        ({"issuer": "ondo"}, 422, 42210001, "issuer or network"),
        ({"underlying_symbol": "ZZZZ"}, 422, 42210001, "not supported"),
        ({"wallet_address": "0x" + "01" * 20}, 422, 42210001, "invalid wallet address"),
        ({"client_request_id": " padded "}, 422, 42210001, "client_request_id"),
    ],
)  # fmt: skip
def test_mint__wrong_body__is_refused_with_its_own_code(
    core: Core, change: dict[str, Any] | None, status: int, code: int, words: str
) -> None:
    error = refused(core, None if change is None else {**BODY, **change})

    assert (error.status, error.body["code"]) == (status, code)
    assert words in error.body["message"]


@pytest.mark.parametrize("status", [400, 403, 422])
def test_mint__insufficient_position__comes_under_the_status_that_is_set(core: Core, status: int) -> None:
    core.rules.insufficient_status = status  # type: ignore[assignment]  # a parametrized literal

    error = refused(core, {**BODY, "qty": "61"})

    assert error.status == status
    assert "insufficient position" in error.body["message"]


def test_mint__accepted_twice_for_all_shares__the_second_is_refused(core: Core) -> None:
    accept_mint(core, {**BODY, "qty": "60"}, None)

    assert refused(core, {**BODY, "qty": "0.000000001"}).status == 400


@pytest.mark.parametrize(
    ("fate", "shares"), [("reject", "60"), ("reject_returned", "60"), ("reject_kept", "47.5")]
)
def test_mint__rejected__leaves_the_shares_where_its_fate_says(core: Core, fate: str, shares: str) -> None:
    core.faults.arm(Fault(target="mint", kind=fate))
    answer, _ = accept_mint(core, BODY, None)
    request = core.state.requests[answer["tokenization_request_id"]]

    journal_mint(core, request)
    if fate != "reject":
        reject_journaled_mint(core, request)

    assert request.status == "rejected"
    assert core.state.position("AAPL") == Decimal(shares)
    assert core.state.available("AAPL") == Decimal(shares)
    assert books_sum_to_zero(core)


def arrived(units: int) -> Incoming:
    return Incoming(
        key="0xaa:0",
        asset="AAPL",
        sender=WALLET,
        amount=units,
        block=1,
        transaction_hash="0xaa",
        seen_at=START,
    )


def test_redemption__credited__gives_whole_ninths_and_remembers_the_dust(core: Core) -> None:
    request = record_redemption(core, arrived(2_000_000_001_999_999_999))

    credit_redemption(core, request)

    assert core.state.position("AAPL") == Decimal("62.000000001")
    assert request.dust == Decimal("0.000000000999999999")
    view = request_by_id(core, request.id)
    assert (view["type"], view["tx_hash"], view["qty"]) == ("redeem", "0xaa", "2.000000001")
    assert "client_request_id" not in view


def test_reads__of_pending_and_completed_mints__show_the_hash_only_when_it_exists(core: Core) -> None:
    answer, _ = accept_mint(core, BODY, None)
    request = core.state.requests[answer["tokenization_request_id"]]
    pending = request_by_id(core, request.id)
    journal_mint(core, request)
    complete_mint(core, request, "0xabc")

    completed = request_by_id(core, request.id)

    assert (pending["tx_hash"], pending["token_symbol"]) == ("", "")
    assert (completed["tx_hash"], completed["token_symbol"]) == ("0xabc", "tAAPL")
    assert core.state.journal.balance(Book.TOKENIZED, "AAPL") == Decimal("12.5")


def test_list__filtered__has_the_newest_first_and_exclusive_bounds(core: Core, clock: Clock) -> None:
    ids = []
    for _ in range(3):
        ids.append(accept_mint(core, BODY, None)[0]["tokenization_request_id"])
        clock.tick(60)
    record_redemption(core, arrived(10**18))

    def listed(**query: str) -> list[str]:
        return [row["tokenization_request_id"] for row in list_requests(core, query)]

    assert listed(type="mint") == ids[::-1]
    assert listed(type="mint", after="2026-09-25T14:00:00Z") == [ids[2], ids[1]]
    assert listed(before="2026-09-25T10:01:00-04:00") == [ids[0]]
    assert listed(status="completed") == []
    assert listed(underlying_symbol="TSLA") == []


def test_list__leaking_and_malformed__shows_what_the_rules_say(core: Core) -> None:
    accept_mint(core, BODY, None)
    core.rules.leak_filters = core.rules.malformed_rows = True

    rows = list_requests(core, {"status": "completed"})

    assert sorted(len(row) for row in rows)[0] == 3  # the broken one
    assert any(row.get("type") == "mint" for row in rows)


@pytest.mark.parametrize("name", ["after", "before"])
def test_list__bad_moment__is_422(core: Core, name: str) -> None:
    with pytest.raises(ApiError, match=f"failed to parse {name}"):
        list_requests(core, {name: "yesterday"})


def test_lookup__by_client_id__finds_the_newest_of_a_reused_one(core: Core, clock: Clock) -> None:
    accept_mint(core, BODY, None)
    clock.tick(1)
    newest, _ = accept_mint(core, BODY, None)

    assert (
        request_by_client_id(core, "ours-1")["tokenization_request_id"] == newest["tokenization_request_id"]
    )


@pytest.mark.parametrize(("client_id", "status"), [("other", 404), ("", 422), (None, 422)])
def test_lookup__by_a_client_id_that_is_unknown_or_absent__is_refused(
    core: Core, client_id: str | None, status: int
) -> None:
    with pytest.raises(ApiError) as caught:
        request_by_client_id(core, client_id)

    assert caught.value.status == status


@pytest.mark.parametrize(
    ("request_id", "status"), [("not-a-uuid", 422), ("5f1a5c0e-9d2b-4c43-a0b6-0a7a5c1f9e77", 404)]
)
def test_lookup__by_a_wrong_id__is_refused(core: Core, request_id: str, status: int) -> None:
    with pytest.raises(ApiError) as caught:
        request_by_id(core, request_id)

    assert caught.value.status == status
