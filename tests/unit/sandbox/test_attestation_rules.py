from __future__ import annotations

from decimal import Decimal

import pytest
from pydantic import ValidationError

from include.sandbox.attestation_rules import AttestationSettings, DelayReason, Terms, fast_fee, terms
from include.sandbox.messages import FAST, STANDARD, Message

PLENTY = Decimal(10**9)


def burn(amount: int, *, max_fee: int, finality: int = FAST, source: int = 0) -> Message:
    data = bytearray(376)
    data[4:8] = source.to_bytes(4, "big")
    data[8:12] = (6 - source).to_bytes(4, "big")
    data[140:144] = finality.to_bytes(4, "big")
    data[216:248] = amount.to_bytes(32, "big")
    data[280:312] = max_fee.to_bytes(32, "big")
    return Message(bytes(data))


@pytest.mark.parametrize(
    ("amount", "bps", "fee"),
    [
        (1_000_000, Decimal(1), 100),
        (1_000_001, Decimal(1), 101),
        (1_000_000, Decimal("1.3"), 130),
        (1, Decimal("1.3"), 1),
        (10_000_000_000_000, Decimal("1.3"), 1_300_000_000),
        (1_000_000, Decimal(0), 0),
    ],
)
def test_fast_fee__any_fraction__is_rounded_up(amount: int, bps: Decimal, fee: int) -> None:
    assert fast_fee(amount, bps) == fee


@pytest.mark.parametrize(
    ("message", "allowance", "expected"),
    [
        pytest.param(burn(10**6, max_fee=100), PLENTY, Terms(fast=True, fee=100), id="fee-is-just-enough"),
        pytest.param(
            burn(10**6, max_fee=99),
            PLENTY,
            Terms(fast=False, delay_reason=DelayReason.INSUFFICIENT_FEE),
            id="fee-too-low",
        ),
        pytest.param(burn(10**6, max_fee=130, source=6), PLENTY, Terms(fast=True, fee=130), id="fee-of-base"),
        pytest.param(
            burn(10**6, max_fee=129, source=6),
            PLENTY,
            Terms(fast=False, delay_reason=DelayReason.INSUFFICIENT_FEE),
            id="fee-of-base-too-low",
        ),
        pytest.param(
            burn(10**6, max_fee=100), Decimal(1), Terms(fast=True, fee=100), id="allowance-just-enough"
        ),
        pytest.param(
            burn(10**6 + 1, max_fee=101),
            Decimal(1),
            Terms(fast=False, delay_reason=DelayReason.INSUFFICIENT_ALLOWANCE),
            id="allowance-exhausted",
        ),
        pytest.param(
            burn(10**13 + 1, max_fee=10**12),
            PLENTY,
            Terms(fast=False, delay_reason=DelayReason.AMOUNT_ABOVE_MAX),
            id="too-large",
        ),
        pytest.param(burn(10**6, max_fee=100, finality=STANDARD), PLENTY, Terms(fast=False), id="standard"),
        pytest.param(burn(10**6, max_fee=100, finality=FAST + 1), PLENTY, Terms(fast=False), id="in-between"),
        pytest.param(burn(10**6, max_fee=100, finality=0), PLENTY, Terms(fast=True, fee=100), id="lowest"),
    ],
)
def test_terms__a_burn__says_how_it_is_executed(
    message: Message, allowance: Decimal, expected: Terms
) -> None:
    assert terms(message, AttestationSettings(), allowance) == expected


def test_patched__one_domain_as_json_has_it__keeps_the_other() -> None:
    settings = AttestationSettings().patched({"fast_fee_bps": {"6": "1.4"}, "paused": True})

    assert settings.fast_fee_bps == {0: Decimal(1), 6: Decimal("1.4")}
    assert settings.paused


def test_settings__a_domain_is_missing__is_refused() -> None:
    with pytest.raises(ValidationError, match="needs exactly the domains 0 and 6"):
        AttestationSettings(fast_latency={0: 1})
