from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.venues.cctp.attestation import fee_for, match
from include.venues.cctp.message import MalformedMessage, normalise
from tests.unit.venues.cctp.samples import (
    ATTESTED,
    NONCE,
    SENT,
    attested,
    burn_messages,
    genuine_message,
)

ANOTHER = replace(ATTESTED, amount=7, nonce=b"\x07" * 32)
TWIN = replace(
    ATTESTED, nonce=b"\x08" * 32, fee_executed=0, finality_threshold_executed=2000, expiration_block=0
)
OURS = attested(ATTESTED.encode())
V1_ROW = attested(bytes(248), cctp_version=1, event_nonce=(9682).to_bytes(32, "big"))


def test_match__genuine_message__is_found_from_what_the_source_emitted() -> None:
    row = attested(genuine_message())

    assert match(normalise(genuine_message()), [row]) is row


def test_match__among_others_and_version_one__is_found_wherever_it_stands() -> None:
    others = [V1_ROW, attested(None, status="pending_confirmations"), attested(ANOTHER.encode())]

    for place in range(len(others) + 1):
        rows = [*others[:place], OURS, *others[place:]]
        assert match(SENT.encode(), rows) is OURS


def test_match__no_row_is_ours__is_none() -> None:
    assert match(SENT.encode(), []) is None
    assert match(SENT.encode(), [V1_ROW, attested(ANOTHER.encode())]) is None


@given(burn_messages, burn_messages)
def test_match__any_message__only_its_own_attested_form_is_taken(burnt: Any, other: Any) -> None:
    sent = normalise(burnt.encode())
    ours, theirs = attested(burnt.encode()), attested(other.encode())

    assert match(sent, [ours]) is ours
    if normalise(other.encode()) != sent:
        assert match(sent, [theirs]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 999_999_999},
        {"mint_recipient": b"\x01" * 32},
        {"destination_caller": b"\x01" * 32},
        {"max_fee": 1},
        {"hook_data": b"x"},
        {"source_domain": 1},
    ],
)
def test_match__something_differs_that_no_attester_fills__is_none(change: dict[str, Any]) -> None:
    assert match(SENT.encode(), [attested(replace(ATTESTED, **change).encode())]) is None


def test_match__labelled_version_one__is_never_taken() -> None:
    assert match(SENT.encode(), [replace(OURS, cctp_version=1)]) is None


def test_match__without_a_version_label__is_decided_by_the_bytes() -> None:
    row = replace(OURS, cctp_version=None)

    assert match(SENT.encode(), [replace(V1_ROW, cctp_version=None), row]) is row


def test_match__two_identical_burns__are_paired_in_order_by_distinct_nonces() -> None:
    rows = [OURS, attested(TWIN.encode())]

    first = match(SENT.encode(), rows)
    assert first is rows[0]
    assert match(SENT.encode(), rows, taken={NONCE}) is rows[1]
    assert match(SENT.encode(), rows, taken={NONCE, TWIN.nonce}) is None


def test_match__first_of_two_identical_burns_pending__the_ready_one_is_taken() -> None:
    rows = [attested(None, status="pending_confirmations"), attested(TWIN.encode())]

    assert match(SENT.encode(), rows) is rows[1]


def test_match__what_was_sent_is_no_burn_message__is_an_error() -> None:
    with pytest.raises(MalformedMessage):
        match(bytes(248), [OURS])


@pytest.mark.parametrize(
    ("changes", "ready"),
    [
        ({}, True),
        ({"attestation": bytes(65)}, True),
        ({"attestation": bytes(195)}, True),
        ({"message": bytes(376)}, True),
        ({"message": bytes(500)}, True),
        ({"event_nonce": None, "cctp_version": None}, True),
        ({"status": "pending_confirmations"}, False),
        ({"status": "COMPLETE"}, False),
        ({"status": ""}, False),
        ({"attestation": None}, False),
        ({"attestation": b""}, False),
        ({"attestation": bytes(64)}, False),
        ({"attestation": bytes(66)}, False),
        ({"attestation": bytes(131)}, False),
        ({"message": None}, False),
        ({"message": b""}, False),
        ({"message": bytes(375)}, False),
        ({"message": bytes(248)}, False),
    ],
)
def test_is_ready__matrix(changes: dict[str, Any], ready: bool) -> None:
    row = replace(OURS, **changes)

    assert row.is_ready is ready
    if not ready:
        assert match(SENT.encode(), [row]) is None


@pytest.mark.parametrize(
    ("amount", "basis_points", "fee"),
    [
        (1_000_000, "1", 100),
        (1_000_000_000, "1.3", 130_000),
        (1, "1", 1),
        (9_999, "1", 1),
        (10_000, "1", 1),
        (10_001, "1", 2),
        (1_000_001, "1.3", 131),
        (10_000_000_000_000, "1.4", 1_400_000_000),
        (1_000_000, "0", 0),
        (0, "1.3", 0),
        (10**30 + 1, "1", 10**26 + 1),  # more digits than a Decimal context keeps
    ],
)
def test_fee_for__examples__are_rounded_up(amount: int, basis_points: str, fee: int) -> None:
    assert fee_for(amount, Decimal(basis_points)) == fee


@given(st.integers(0, 10**40), st.decimals(0, 10_000, places=6))
def test_fee_for__any_amount__is_the_exact_ceiling(amount: int, basis_points: Decimal) -> None:
    assert fee_for(amount, basis_points) == ceil(amount * Fraction(basis_points) / 10_000)


@pytest.mark.parametrize(("amount", "basis_points"), [(-1, "1"), (1, "-1"), (1, "NaN"), (1, "Infinity")])
def test_fee_for__nonsense__is_refused(amount: int, basis_points: str) -> None:
    with pytest.raises(ValueError, match="no fee"):
        fee_for(amount, Decimal(basis_points))
